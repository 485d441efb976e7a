"""A run over many files: which picture goes where, what must not be touched, and what was done."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lib.files import read_json, write_json
from lib.settings import PlatesError

EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
REPORT = "report.json"


def _unreadable(error: OSError) -> None:
    raise PlatesError(f"{error.filename}: cannot be listed ({error.strerror}); check that you may read it.") from error


def find_pictures(inputs: Sequence[Path]) -> list[tuple[Path, Path]]:
    """Pictures to conceal: (path, path below the output folder), folders walked by EXTENSIONS, hidden files skipped.

    A folder keeps its structure below the output folder; a file lands in it directly.

    Raises:
        PlatesError: a missing input, a folder without pictures, or two pictures for one output.
    """
    found: dict[Path, Path] = {}
    for given in inputs:
        if given.is_dir():
            walk = sorted(Path(top) / name for top, _, names in os.walk(given, onerror=_unreadable) for name in names)
            paths = [p for p in walk if p.suffix.lower() in EXTENSIONS and not p.name.startswith(".")]
            if not paths:
                raise PlatesError(f"{given}: holds no picture ({' '.join(EXTENSIONS)}); name a folder that does.")
            pairs = [(p, p.relative_to(given)) for p in paths]
        elif given.exists():
            pairs = [(given, Path(given.name))]
        else:
            raise PlatesError(f"{given}: there is no such file or folder; check the name.")
        for path, relative in pairs:
            other = found.setdefault(relative, path)
            if other.resolve() != path.resolve():
                raise PlatesError(f"{other} and {path} would both become {relative}; conceal them into two folders.")
    if not found:
        raise PlatesError("no input was named; name photographs or folders of them.")
    return [(path, relative) for relative, path in found.items()]


def earlier_outputs(out: Path) -> set[str]:
    """The files in ``out`` that an earlier run's report claims, relative to it.

    Raises:
        PlatesError: ``out`` holds a report.json of something else.
    """
    if not (out / REPORT).exists():
        return set()
    earlier = read_json(out / REPORT)
    outputs = earlier.get("outputs") if isinstance(earlier, dict) else None
    if not isinstance(outputs, list):
        raise PlatesError(f"{out / REPORT}: is no report of this tool and stays as it is; choose another --out.")
    return {str(name) for name in outputs}


def check_outputs(inputs: Sequence[Path], pairs: list[tuple[Path, Path]], out: Path, ours: set[str]) -> None:
    """Refuse every plan that could touch an original.

    Args:
        inputs: the files and folders that were named.
        pairs: as `find_pictures` gives them.
        out: the output folder.
        ours: as `earlier_outputs` gives them: the only existing files that may be replaced.

    Raises:
        PlatesError: ``out`` is a file or lies in an input, or an output is an original or a stranger's file.
    """
    if out.exists() and not out.is_dir():
        raise PlatesError(f"{out}: is a file; name a folder for the concealed pictures.")
    for given in inputs:
        if given.is_dir() and out.resolve().is_relative_to(given.resolve()):
            raise PlatesError(f"{out}: lies in the input {given}; choose an output folder outside of it.")
    # resolve() follows symbolic links; device and inode know hard links too
    originals = {(s.st_dev, s.st_ino) for s in (path.stat() for path, _ in pairs if path.exists())}
    for path, relative in pairs:
        target = out / relative
        if relative.as_posix() == REPORT:
            raise PlatesError(f"{path}: has the name of the report; rename it.")
        if not target.exists():
            continue
        status = target.stat()
        if (status.st_dev, status.st_ino) in originals:
            raise PlatesError(f"{target}: is one of the originals; choose another output folder.")
        if relative.as_posix() not in ours:
            raise PlatesError(
                f"{target}: exists and was not written by this tool, so {path} is not concealed to it; "
                "choose another output folder."
            )


@dataclass
class Entry:
    """One picture of a report: paths relative to input and output, plates' corners, share concealed, time, error."""

    file: str
    output: str | None = None
    plates: int = 0
    quadrilaterals: list[list[list[float]]] = field(default_factory=list)
    area: float = 0.0
    seconds: float = 0.0
    error: str | None = "not reached"


@dataclass
class Report:
    """What a run did. ``outputs`` names every file in the folder that this tool wrote, by this run or earlier ones."""

    method: str
    mode: str
    threshold: float
    growth: float
    weights: str
    files: list[Entry]
    outputs: list[str]

    @property
    def failures(self) -> list[Entry]:
        """The pictures for which nothing was written."""
        return [entry for entry in self.files if entry.error is not None]

    @property
    def exit_code(self) -> int:
        """0, or 1 where a picture failed."""
        return 1 if self.failures else 0

    def text(self) -> str:
        """One line of totals, and one for every picture that failed."""
        plates, done = sum(entry.plates for entry in self.files), len(self.files) - len(self.failures)
        lines = [f"{done} of {len(self.files)} pictures written, {plates} plates concealed ({self.mode})"]
        return "\n".join(lines + [f"not written: {entry.error}" for entry in self.failures])

    def as_dict(self) -> dict[str, Any]:
        """For JSON, totals first."""
        totals = {
            "pictures": len(self.files),
            "failed": len(self.failures),
            "plates": sum(entry.plates for entry in self.files),
            "seconds": round(sum(entry.seconds for entry in self.files), 3),
        }
        return {"totals": totals, **asdict(self)}

    def write(self, path: Path) -> None:
        """Write the report as JSON, whole.

        Raises:
            PlatesError: ``path`` cannot be written.
        """
        write_json(path, self.as_dict())
