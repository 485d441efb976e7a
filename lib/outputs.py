"""A run over many files: which picture goes where, and what must not be touched."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lib.files import check_report, read_json, sha256_of
from lib.settings import PlatesError

EXTENSIONS = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff")
# pictures that are not read, the raw ones of cameras among them
PICTURES = (
    *(".heic", ".heif", ".avif", ".gif", ".jp2", ".jxl", ".mpo"),
    *(".dng", ".cr2", ".cr3", ".nef", ".arw", ".rw2", ".orf", ".raf"),
)
VIDEOS = (
    *(".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".3gp", ".mts", ".m2ts", ".ts"),
    *(".flv", ".ogv"),  # not read either, and told so by the reader
)
REPORT = "report.json"
REPORT_KEYS = frozenset({"totals", "method", "mode", "threshold", "growth", "files", "outputs"})


def _unreadable(error: OSError) -> None:
    raise PlatesError(f"{error.filename}: cannot be listed ({error.strerror}); check that you may read it.") from error


@dataclass
class Plan:
    """What a run is to do.

    Attributes:
        pairs: (path, path below the output folder) of each picture and film.
        hidden: hidden pictures and folders that are skipped.
        ignored: files that are no picture or film by their names: suffix, or name without one, to how many.
    """

    pairs: list[tuple[Path, Path]]
    hidden: int
    ignored: Counter[str]


def _walk(folder: Path) -> tuple[list[Path], int, Counter[str]]:
    """What a run over ``folder`` has to answer for, sorted; what it skips and ignores, as `Plan` has it."""
    paths, hidden, ignored = [], 0, Counter[str]()
    for top, folders, names in os.walk(folder, onerror=_unreadable):
        links = [name for name in folders if (Path(top) / name).is_symlink()]  # os.walk does not enter these
        wanted = links + [n for n in names if Path(n).suffix.lower() in (*EXTENSIONS, *PICTURES, *VIDEOS)]
        paths += [Path(top) / name for name in wanted if not name.startswith(".")]
        hidden += sum(name.startswith(".") for name in {*wanted, *folders})
        others = [Path(name) for name in names if name not in wanted and not name.startswith(".")]
        ignored.update(each.suffix.lower() or each.name for each in others)
        folders[:] = [name for name in folders if not name.startswith(".")]
    return sorted(paths), hidden, ignored


def find_pictures(inputs: Sequence[Path]) -> Plan:
    """What to conceal, what is skipped, and what is ignored.

    A folder keeps its structure below the output folder; a file lands in it directly. Folders are walked by suffix:
    EXTENSIONS and VIDEOS, and also PICTURES and links to folders, which then fail by `refusal` rather than go unsaid.
    Other files are ignored, and counted. Hidden files and folders (names with a dot first) are skipped unless they are
    named.

    Raises:
        PlatesError: a missing input, a folder without pictures, or two pictures for one output.
    """
    found: dict[Path, Path] = {}
    skipped, ignored = 0, Counter[str]()
    for given in inputs:
        if given.is_dir():
            paths, hidden, others = _walk(given)
            skipped += hidden
            ignored += others
            if not paths:
                kinds = " ".join((*EXTENSIONS, *VIDEOS))
                raise PlatesError(f"{given}: holds no picture and no film ({kinds}); name a folder that does.")
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
    return Plan([(path, relative) for relative, path in found.items()], skipped, ignored)


def refusal(path: Path) -> str | None:
    """Why ``path`` is not even opened, as a sentence; None where it is to be read as a picture or a film."""
    kind = path.suffix.lower()
    if path.is_dir():
        return f"{path}: is a link to a folder, which is not followed; name that folder as an input of its own."
    if kind in PICTURES:  # by name, since a raw photograph would open as the TIFF of its own thumbnail
        return f"{path}: {kind[1:].upper()} pictures are not read; convert it to JPEG or PNG."
    return None


def earlier_outputs(out: Path) -> dict[str, str | None]:
    """The files in ``out`` that an earlier run's report claims, relative to it, and the SHA-256 they were written with.

    None where an earlier run was cut off before it could tell.

    Raises:
        PlatesError: ``out`` holds a report.json of something else.
    """
    if not (out / REPORT).exists():
        return {}
    earlier = read_json(out / REPORT)
    outputs = earlier.get("outputs") if isinstance(earlier, dict) else None
    if not isinstance(outputs, list):
        raise PlatesError(f"{out / REPORT}: is no report of this tool and stays as it is; choose another --out.")
    hashes = earlier.get("sha256")
    known = hashes if isinstance(hashes, dict) else {}
    return {str(name): known.get(name) for name in outputs}


def _changed(target: Path, known: str | None) -> bool:
    try:
        return bool(known) and target.is_file() and sha256_of(target) != known
    except OSError:
        return True  # what cannot be read may have been changed


def check_outputs(
    inputs: Sequence[Path],
    pairs: list[tuple[Path, Path]],
    out: Path,
    ours: Mapping[str, str | None],
    report: Path | None = None,
) -> None:
    """Refuse every plan that could touch an original, a stranger's file, or one that somebody worked on since.

    Args:
        inputs: the files and folders that were named.
        pairs: as `find_pictures` gives them.
        out: the output folder.
        ours: as `earlier_outputs` gives them: the only existing files that may be replaced.
        report: a second place for the report.

    Raises:
        PlatesError: ``out`` is a file or lies in an input, an output is an original, a stranger's file or was changed,
            or ``report`` is no name for one, is an output, or is refused by `lib.files.check_report`.
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
        if _changed(target, ours[relative.as_posix()]):
            raise PlatesError(
                f"{target}: was changed since this tool wrote it, perhaps mended by hand, so it stays; "
                "move it away, or choose another output folder."
            )
    if report is not None:
        if report.suffix.lower() != ".json":
            raise PlatesError(f"{report}: is no name for a report; end it in .json.")
        if report.resolve() in {(out / relative).resolve() for _, relative in pairs}:
            raise PlatesError(f"{report}: is where a concealed picture goes; choose another name for the report.")
        check_report(report, REPORT_KEYS, inputs)
