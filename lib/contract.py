"""What the service promises about its answers and expects of requests, in the words of OpenAPI."""

from typing import Any

from pydantic import BaseModel, Field

from lib.frames import MEDIA, Frame
from lib.intake import FORM, Options


class Problem(BaseModel):
    """Why there is no frame."""

    error: str = Field(description="One sentence: what is wrong, and the remedy.")


class Found(BaseModel):
    """Where the plates of a frame are."""

    plates: list[list[list[float]]] = Field(
        description="Four corners [x, y] of each: top left, top right, bottom right, bottom left as they lie in the "
        "upright picture, in pixels."
    )
    format: str = Field(description="JPEG, PNG or WEBP.")
    width: int
    height: int
    area: float = Field(description="Share of the pixels that is concealed, 0 to 1.")
    milliseconds: dict[str, float] = Field(description="By stage.")

    @classmethod
    def of(cls, frame: Frame) -> "Found":
        """A frame's, rounded to a hundredth of a pixel."""
        return cls(
            plates=[[[round(float(at), 2) for at in corner] for corner in plate] for plate in frame.plates],
            format=frame.format,
            width=frame.size[0],
            height=frame.size[1],
            area=round(frame.area, 6),
            milliseconds={stage: round(1000 * seconds, 2) for stage, seconds in frame.seconds.items()},
        )


class Method(BaseModel):
    """A way to find plates."""

    threshold: float


class Health(BaseModel):
    """What the service can do."""

    status: str
    methods: dict[str, Method]
    modes: list[str]
    formats: list[str]
    limits: dict[str, float]
    token: bool = Field(description="Whether a token is asked for.")


def _said(status: int, when: str) -> dict[str, Any]:
    told: dict[str, Any] = {"model": Problem, "description": when}
    if status == 503:
        told["headers"] = {"Retry-After": {"schema": {"type": "string"}, "description": "Seconds to wait."}}
    return told


REFUSALS = {
    status: _said(status, when)
    for status, when in {
        400: "No frame, or a broken form.",
        401: "The token is missing or wrong.",
        406: "The answer is asked for in a form that there is not.",
        408: "The frame arrived too slowly.",
        413: "Too many bytes or pixels.",
        415: "No JPEG, PNG or WebP, or another one than the Content-Type says.",
        422: "Unusable options, or a damaged or animated picture.",
        500: "The frame could not be concealed, so nothing is returned.",
        503: "Too much to do.",
    }.items()
}
_BYTES = {"schema": {"type": "string", "format": "binary"}}
RESULT = {
    "description": "The concealed frame in its own format, or where its plates are.",
    "model": Found,
    "content": {kind: _BYTES for kind in MEDIA.values()},
    "headers": {
        "X-Plates": {"schema": {"type": "string"}, "description": "How many plates were concealed."},
        "Server-Timing": {"schema": {"type": "string"}, "description": "Milliseconds by stage."},
    },
}
_FIELDS = Options.model_json_schema()["properties"]
BODY = {
    "required": True,
    "description": "The frame itself, or a form with it as a file; options are in the address or in the form.",
    "content": {kind: _BYTES for kind in MEDIA.values()}
    | {
        FORM: {
            "schema": {
                "type": "object",
                "properties": {"file": {"type": "string", "format": "binary"}} | _FIELDS,
                "required": ["file"],
                "additionalProperties": False,
            }
        }
    },
}
HEALTH = {"model": Health}
METRICS = {"content": {"text/plain": {"schema": {"type": "string"}}}}
