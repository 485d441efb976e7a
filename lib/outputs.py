"""A run over many files: which picture goes where, what must not be touched, and what was done."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lib.files import check_report, read_json, write_json
from lib.settings import PlatesError

EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
PICTURES = (".heic", ".heif", ".avif", ".gif", ".jp2", ".dng", ".cr2", ".nef", ".arw")  # that are not read
VIDEOS = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".3gp", ".mts")
REPORT = "report.json"
REPORT_KEYS = frozenset({"totals", "method", "mode", "threshold", "growth", "files", "outputs"})


def _unreadable(error: OSError) -> None:
    raise PlatesError(f"{error.filename}: cannot be listed ({error.strerror}); check that you may read it.") from error


def _walk(folder: Path) -> tuple[list[Path], int]:
    """What a run over ``folder`` has to answer for, sorted, and how many hidden pictures and folders it skips."""
    paths, hidden = [], 0
    for top, folders, names in os.walk(folder, onerror=_unreadable):
        links = [name for name in folders if (Path(top) / name).is_symlink()]  # os.walk does not enter these
        wanted = links + [n for n in names if Path(n).suffix.lower() in (*EXTENSIONS, *PICTURES, *VIDEOS)]
        paths += [Path(top) / name for name in wanted if not name.startswith(".")]
        hidden += sum(name.startswith(".") for name in {*wanted, *folders})
        folders[:] = [name for name in folders if not name.startswith(".")]
    return sorted(paths), hidden


def find_pictures(inputs: Sequence[Path]) -> tuple[list[tuple[Path, Path]], int]:
    """What to conceal: (path, path below the output folder) of each, and how many hidden ones are skipped.

    A folder keeps its structure below the output folder; a file lands in it directly. Folders are walked by suffix:
    EXTENSIONS and VIDEOS, and also PICTURES and links to folders, which then fail by `refusal` rather than go unsaid.
    Other files are ignored. Hidden files and folders (names with a dot first) are skipped unless they are named.

    Raises:
        PlatesError: a missing input, a folder without pictures, or two pictures for one output.
    """
    found: dict[Path, Path] = {}
    skipped = 0
    for given in inputs:
        if given.is_dir():
            paths, hidden = _walk(given)
            skipped += hidden
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
    return [(path, relative) for relative, path in found.items()], skipped


def refusal(path: Path) -> str | None:
    """Why ``path`` is not even opened, as a sentence; None where it is to be read as a picture or a film."""
    kind = path.suffix.lower()
    if path.is_dir():
        return f"{path}: is a link to a folder, which is not followed; name that folder as an input of its own."
    if kind in PICTURES:  # by name, since a raw photograph would open as the TIFF of its own thumbnail
        return f"{path}: {kind[1:].upper()} pictures are not read; convert it to JPEG or PNG."
    return None


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


def check_outputs(
    inputs: Sequence[Path], pairs: list[tuple[Path, Path]], out: Path, ours: set[str], report: Path | None = None
) -> None:
    """Refuse every plan that could touch an original or a stranger's file.

    Args:
        inputs: the files and folders that were named.
        pairs: as `find_pictures` gives them.
        out: the output folder.
        ours: as `earlier_outputs` gives them: the only existing files that may be replaced.
        report: a second place for the report.

    Raises:
        PlatesError: ``out`` is a file or lies in an input, an output is an original or a stranger's file, or
            ``report`` is no name for one, is an output, or is refused by `lib.files.check_report`.
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
    if report is not None:
        if report.suffix.lower() != ".json":
            raise PlatesError(f"{report}: is no name for a report; end it in .json.")
        if report.resolve() in {(out / relative).resolve() for _, relative in pairs}:
            raise PlatesError(f"{report}: is where a concealed picture goes; choose another name for the report.")
        check_report(report, REPORT_KEYS, inputs)


def weights_of(segmenter: Any) -> dict[str, str | None]:
    """Which weights a report is about, wherever their file lies: its ``weights``, ``weights_sha256``, ``trained_on``.

    None where a segmenter does not know, as one without a file.
    """
    return {
        "weights": str(getattr(segmenter, "name", "")),
        "weights_sha256": getattr(segmenter, "weights_sha256", None),
        "trained_on": getattr(segmenter, "trained_on", None),
    }


@dataclass
class Entry:
    """One picture of a report: paths relative to input and output, plates' corners, share concealed, time, error.

    A film has ``frames``, which are 0 for a picture, and no corners; its plates are counted once each for as long as
    they are followed, and its share is the mean over its frames.
    """

    file: str
    output: str | None = None
    frames: int = 0
    plates: int = 0
    quadrilaterals: list[list[list[float]]] = field(default_factory=list)
    area: float = 0.0
    seconds: float = 0.0
    error: str | None = "not reached"


@dataclass
class Report:
    """What a run did.

    ``outputs`` names every file in the folder that this tool wrote, by this run or earlier ones; ``hidden`` counts the
    hidden pictures and folders that were skipped; for the three about the weights see `weights_of`.
    """

    method: str
    mode: str
    threshold: float
    growth: float
    sure: float
    weights: str
    weights_sha256: str | None
    trained_on: str | None
    hidden: int
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
        """One line of totals, one for every picture that failed, and one where hidden ones were skipped."""
        plates, done = sum(entry.plates for entry in self.files), len(self.files) - len(self.failures)
        lines = [f"{done} of {len(self.files)} pictures written, {plates} plates concealed ({self.mode})"]
        lines += [f"not written: {entry.error}" for entry in self.failures]
        if self.hidden:
            lines.append(f"skipped, since hidden: {self.hidden} pictures or folders; name them to have them concealed")
        return "\n".join(lines)

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
