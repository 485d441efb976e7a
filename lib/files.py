"""Files that are whole or absent, and made by one process at a time. JSON, read with errors that name."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from lib.settings import PlatesError

PATIENCE = 5.0  # s, until whoever waits is told what for


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it to ``path`` when the block succeeds.

    On an exception the temporary file is removed and ``path`` keeps what it held before.
    The temporary name keeps the suffix, since many writers choose the format by it.

    Raises:
        PlatesError: the folder cannot be made or written to.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with open(temporary, "rb+") as handle:
            os.fsync(handle.fileno())  # a rename may reach the disk before the bytes do
        os.replace(temporary, path)
    except OSError as error:
        raise PlatesError(
            f"{path}: cannot be written ({error.strerror or error}); choose a folder you may write to."
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file ``path``, waiting while another process does; one that was killed holds nothing.

    Raises:
        PlatesError: its folder cannot be made or written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        held = FileLock(path)
        try:
            held.acquire(timeout=PATIENCE)
        except Timeout:
            print(f"Another process makes the same at this moment; waiting for it ({path.name}).", flush=True)
            held.acquire()
    except OSError as error:
        raise PlatesError(f"{path.parent}: cannot be written ({error.strerror}); allow it.") from error
    try:
        yield
    finally:
        held.release()


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits.

    Raises:
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON with a final newline, atomically.

    A file name that is no UTF-8 holds lone surrogates (PEP 383). They are written as ``\\udc..``, which is how JSON
    spells them too, so that `read_json` gives the same name back.
    """
    with atomic(path) as temporary:
        told = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        temporary.write_bytes(told.encode("utf-8", "backslashreplace"))


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        PlatesError: the file is missing or is not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise PlatesError(f"{path}: cannot be read ({error.strerror}); check the name.") from error
    except (ValueError, RecursionError) as error:
        raise PlatesError(f"{path}: is not valid JSON ({error}); make or download it again.") from error


Entries = list[tuple[str, Mapping[str, Any]]]


def entries(value: Mapping[str, Any], key: str, file: Path) -> Entries:
    """The objects of the list ``value[key]``, each with the words by which errors name it; none where it is absent.

    Raises:
        PlatesError: it is no list, or something in it is no object.
    """
    listed = [] if value.get(key) is None else value[key]
    if not isinstance(listed, list):
        raise PlatesError(f"{file}: `{key}` is no list; make or download the file again.")
    for number, entry in enumerate(listed):
        if not isinstance(entry, dict):
            raise PlatesError(f"{file}: {key}[{number}] is {entry!r:.40} and no object; mend or remove it.")
    return [(f"{file}: {key}[{number}]", entry) for number, entry in enumerate(listed)]


def whole(entry: Mapping[str, Any], key: str, where: str) -> int:
    """``entry[key]`` as a whole number that the 64 bits of a table hold; errors call the entry ``where``.

    Raises:
        PlatesError: it is absent or no such number.
    """
    try:
        if -(2**63) <= (number := int(entry[key])) < 2**63:
            return number
    except (KeyError, TypeError, ValueError, OverflowError):
        pass
    raise PlatesError(f"{where} lacks a usable {key} ({entry.get(key)!r:.40}); give it a whole number of 64 bits.")


class _Tried(Exception):
    """Ends a trial of `atomic` before anything is renamed."""


def check_report(path: Path, keys: Set[str], inputs: Sequence[Path] = ()) -> None:
    """Refuse, before any work, a place where a report would overwrite something or cannot be written.

    Args:
        path: where the report is to be written; its folder is made.
        keys: what each report of the kind holds: a JSON object with these is an earlier one and may be replaced.
        inputs: what the work only reads; nothing is written into the folders among them.

    Raises:
        PlatesError: ``path`` lies in an input folder, holds anything but an earlier report, or cannot be written.
    """
    path = Path(path)
    for given in inputs:
        if given.is_dir() and path.resolve().is_relative_to(given.resolve()):
            raise PlatesError(f"{path}: lies in the input {given}; choose a place outside of it.")
    if os.path.lexists(path):
        earlier = None
        with suppress(PlatesError):
            earlier = read_json(path) if path.is_file() else None  # a pipe or a device would never end
        if not isinstance(earlier, dict) or not keys <= earlier.keys():
            raise PlatesError(
                f"{path}: exists and is no earlier report of this kind, so it stays; choose another name."
            )
    with suppress(_Tried), atomic(path) as temporary:
        temporary.touch()
        raise _Tried
