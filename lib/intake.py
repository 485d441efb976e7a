"""What a request asks: its frame, whole or as a form's file, and its options; in bounded time and memory."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, FiniteFloat, TypeAdapter, ValidationError
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import Field as FormField
from python_multipart.multipart import File, FormParser, parse_options_header

from lib.conceal import METHODS
from lib.frames import MEDIA, MOST_PLATES, kind_of
from lib.redact import MODES
from lib.serving import Limits, Refusal

FORM = "multipart/form-data"
KINDS = ", ".join(MEDIA.values())
LONGEST = 20_000  # characters of plates: room for MOST_PLATES with decimals
MOST_PARTS = 8  # of a form: a file and every option
Corners = Annotated[
    list[Annotated[list[FiniteFloat], Field(min_length=2, max_length=2)]], Field(min_length=4, max_length=4)
]
_PLATES = TypeAdapter(Annotated[list[Corners], Field(max_length=MOST_PLATES)])


class Options(BaseModel, extra="forbid"):
    """How to conceal a frame."""

    method: Literal[*METHODS] = Field("segment", description="What finds the plates.")
    mode: Literal[MODES] = Field("fill", description="What becomes of them; a blur could be undone, `fill` cannot.")
    threshold: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Conceal where the probability of background is below this: higher covers more. "
        "Left out: the network's own.",
    )
    plates: str | None = Field(
        None,
        description="Conceal exactly these instead of asking the network: a JSON list of plates, each four corners "
        "`[x, y]` in picture pixels. An empty list is refused.",
        examples=["[[[10, 10], [60, 10], [60, 30], [10, 30]]]"],
    )

    def drawn(self) -> list[list[list[float]]] | None:
        """``plates`` read; None where none were given.

        Raises:
            Refusal: it is no such list.
        """
        if self.plates is None:
            return None
        if len(self.plates) > LONGEST:
            raise Refusal(422, "options", f"plates has {len(self.plates):,} characters, over {LONGEST:,}; round them.")
        try:
            return _PLATES.validate_json(self.plates)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = "".join(f"[{at}]" for at in first["loc"])
            told = f"plates{where} cannot be used ({first['msg']}); give a JSON list of four corners [x, y] each."
            raise Refusal(422, "options", told) from error


def given_once(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The options of an address by name.

    Raises:
        Refusal: one is given twice, of which the weaker could be meant.
    """
    told: dict[str, str] = {}
    for name, value in pairs:
        if name in told:
            raise Refusal(422, "options", f"{name!r:.40} is in the address twice; give it once.")
        told[name] = value
    return told


def options_of(given: Mapping[str, Any], more: Mapping[str, str] | None = None) -> Options:
    """The options of an address and, ``more``, of a form.

    Raises:
        Refusal: an unknown one, one given twice, or a value that it cannot have.
    """
    for name in more or {}:
        if name in given:
            raise Refusal(422, "options", f"{name} is in the address and in the form; give it once.")
    try:
        return Options.model_validate({**given, **(more or {})})
    except ValidationError as error:
        raise Refusal(422, "options", sentence(error.errors(include_url=False)[0])) from error


def sentence(error: Mapping[str, Any]) -> str:
    """One sentence on what pydantic found wrong first."""
    name = str(error["loc"][-1]) if error["loc"] else "the request"
    if error["type"] == "extra_forbidden":
        return f"the option {name!r:.40} is unknown; use {', '.join(Options.model_fields)}."
    told = f"{error.get('input')!r:.40}"
    if error["type"] == "literal_error":
        return f"{name} {told} is unknown; use {error['ctx']['expected']}."
    return f"{name} {told} cannot be used ({error['msg']}); /docs says what can."


def check_type(declared: str | None, encoding: str | None) -> str:
    """The media type that a request declares for its body, in lower case and without parameters.

    Raises:
        Refusal: none, an unknown one, or a body that is compressed once more.
    """
    if encoding not in (None, "", "identity"):
        raise Refusal(415, "type", f"the body is encoded as {encoding!r:.40}; send it as it is.")
    kind = (declared or "").partition(";")[0].strip().lower()
    if kind not in (*MEDIA.values(), FORM):
        told = f"is {kind!r:.60}" if kind else "is missing"
        raise Refusal(415, "type", f"the Content-Type {told}; send a frame as {KINDS}, or a form as {FORM}.")
    return kind


async def read_body(
    stream: AsyncIterator[bytes], length: str | None, limits: Limits, take: Callable[[int], None]
) -> bytes:
    """A request's whole body, counted as it arrives.

    Args:
        stream: its parts.
        length: what its Content-Length says.
        limits: of bytes and seconds.
        take: told of every part's bytes; see `lib.serving.Purse`.

    Raises:
        Refusal: empty, too large, too slow, or no memory left for it.
    """
    most = limits.bytes + 2**16  # a form has a little beside the frame
    large = Refusal(413, "bytes", f"the frame has over {limits.bytes:,} bytes, the limit; save it smaller.")
    if length and length.isdecimal() and int(length) > most:
        raise large
    parts, total = [], 0
    try:
        async with asyncio.timeout(limits.seconds):
            async for part in stream:
                total += len(part)
                if total > most:
                    raise large
                take(len(part))
                parts.append(part)
    except TimeoutError as error:
        told = f"the frame did not arrive within {limits.seconds:g} seconds; send it faster or save it smaller."
        raise Refusal(408, "slow", told) from error
    if not total:
        raise Refusal(400, "empty", "the body is empty; send a JPEG, PNG or WebP picture.")
    return b"".join(parts)


def open_form(body: bytes, declared: str, limits: Limits) -> tuple[bytes, dict[str, str]]:
    """The file of a form and its other fields, all in memory.

    Raises:
        Refusal: broken, without a file, with several, or with more fields than there are options.
    """
    files: list[bytes] = []
    fields: dict[str, str] = {}

    def on_field(part: FormField) -> None:
        name, value = ((each or b"").decode("utf-8", "replace") for each in (part.field_name, part.value))
        if name in fields:
            raise Refusal(422, "options", f"{name!r:.40} is in the form twice; give it once.")
        fields[name] = value
        if len(fields) > MOST_PARTS:
            raise Refusal(422, "options", f"the form has over {MOST_PARTS} fields; give a file and its options.")

    def on_file(part: File) -> None:
        if files:
            raise Refusal(422, "form", "the form has several files; send one frame a request.")
        part.file_object.seek(0)
        files.append(part.file_object.read())

    _, parameters = parse_options_header(declared)
    try:
        boundary = parameters.get(b"boundary")
        parser = FormParser(
            FORM, on_field, on_file, boundary=boundary, config={"MAX_MEMORY_FILE_SIZE": 2 * limits.bytes}
        )
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise Refusal(400, "form", "the form is broken or cut short; send it again as multipart/form-data.") from error
    if not files or not files[0]:
        raise Refusal(400, "empty", "the form has no file, or an empty one; give the frame as a file.")
    if len(files[0]) > limits.bytes:
        raise Refusal(413, "bytes", f"the frame has over {limits.bytes:,} bytes, the limit; save it smaller.")
    return files[0], fields


def check_kind(data: bytes, declared: str) -> None:
    """Refuse a bare body that is another picture than its Content-Type says.

    Raises:
        Refusal: it is.
        lib.frames.KindError: it is no picture at all.
    """
    if declared != FORM and MEDIA[kind := kind_of(data)] != declared:
        raise Refusal(415, "type", f"the Content-Type is {declared} and the frame is {kind}; say {MEDIA[kind]}.")
