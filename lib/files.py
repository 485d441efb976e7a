"""Files that are either whole or absent: write to a temporary name, then rename."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lib.settings import PlatesError


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


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON with a final newline, atomically."""
    with atomic(path) as temporary:
        told = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        temporary.write_text(told, encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        PlatesError: the file is missing or is not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise PlatesError(f"{path}: cannot be read ({error.strerror}); check the name.") from error
    except ValueError as error:
        raise PlatesError(f"{path}: is not valid JSON ({error}); make or download it again.") from error
