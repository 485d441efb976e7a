"""Photographs, films and folders of them concealed into a folder, with a report. In doubt no picture leaves."""

import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from tqdm import tqdm

from lib.conceal import Concealer
from lib.files import atomic, sha256_of
from lib.images import MAX_BYTES, PictureError
from lib.outputs import REPORT, VIDEOS, check_outputs, earlier_outputs, find_pictures, refusal
from lib.reports import Entry, Report, weights_of
from lib.settings import PlatesError


def conceal_files(
    inputs: Sequence[Path],
    out: Path,
    concealer: Concealer,
    report: Path | None = None,
    progress: bool = True,
) -> Report:
    """Conceal photographs, films and folders of them into a folder, each whole or not at all.

    ``out/report.json`` is written before the first picture, with every picture "not reached", and again at the end,
    also of an interrupted run. It is how a later run knows its own outputs: those are replaced, and removed where
    the picture now fails, so that no stale one passes for a result; every other existing file is refused, and so is
    an output that somebody mended since.

    Args:
        inputs: files of any name and folders.
        out: the output folder; made where it is missing; not inside an input folder.
        concealer: what conceals.
        report: a second place for the report; see `lib.outputs.check_outputs`.
        progress: show a bar on the standard error.

    Returns:
        The report; its ``exit_code`` is 1 where a picture failed.

    Raises:
        PlatesError: the plan would lose or overwrite something (nothing was written then), or ``out`` is read-only.
    """
    inputs, out = [Path(given) for given in inputs], Path(out)
    places = [out / REPORT] if report is None else [out / REPORT, Path(report)]
    plan = find_pictures(inputs)
    pairs, ours = plan.pairs, earlier_outputs(out) if out.is_dir() else {}
    check_outputs(inputs, pairs, out, ours, *places[1:])
    wanted = {relative.as_posix() for _, relative in pairs}
    result = Report(
        **{key: getattr(concealer, key) for key in ("method", "mode", "threshold", "growth", "sure")},
        **weights_of(concealer.segmenter),
        hidden=plan.hidden,
        ignored=dict(plan.ignored),
        files=[Entry(relative.as_posix()) for _, relative in pairs],
        outputs=sorted({*ours, *wanted}),
        sha256={name: known for name, known in sorted(ours.items()) if known and name not in wanted},
    )
    result.write(out / REPORT)  # before any work: it claims the outputs, and fails early where nothing can be written
    try:
        rows = zip(pairs, result.files, strict=True)
        for (path, relative), entry in tqdm(rows, total=len(pairs), unit="picture", disable=not progress):
            if told := _conceal_file(path, out / relative, concealer, entry, progress):
                result.sha256[relative.as_posix()] = told
    finally:
        result.outputs = [name for name in result.outputs if (out / name).is_file()]
        result.sha256 = {name: told for name, told in result.sha256.items() if name in result.outputs}
        for place in places:  # the claim on the outputs first, since the copy's place may fail
            result.write(place)
    return result


def _conceal_file(path: Path, target: Path, concealer: Concealer, entry: Entry, progress: bool) -> str | None:
    """Conceal one file into ``target`` and tell its ``entry``; the SHA-256 of what was written, None for nothing."""
    start, told = time.perf_counter(), None
    try:
        if path.suffix.lower() in VIDEOS and path.is_file():
            _conceal_film(path, target, concealer, entry, progress)
        else:
            concealed = concealer(_read(path), str(path))
            data = concealed.encode()
            with atomic(target) as temporary:
                temporary.write_bytes(data)
            entry.plates, entry.area = len(concealed.plates), round(float(concealed.mask.mean()), 6)
            entry.quadrilaterals = [np.round(quad.astype(float), 1).tolist() for quad in concealed.plates]
        told = sha256_of(target)
        entry.output, entry.error = entry.file, None
    except Exception as error:  # one picture's trouble, foreseen or not, must neither leak it nor stop the others
        entry.error = str(error) if isinstance(error, PlatesError) else f"{path}: {type(error).__name__}: {error}"
        with suppress(OSError):
            target.unlink(missing_ok=True)
    entry.seconds = round(time.perf_counter() - start, 3)
    return told


def _conceal_film(path: Path, target: Path, concealer: Concealer, entry: Entry, progress: bool) -> None:
    from lib.video import conceal_video  # for photographs alone FFmpeg is not needed

    done = conceal_video(path, target, concealer, progress)
    entry.frames, entry.plates, entry.area = done.frames, done.plates, round(done.area, 6)


def _read(path: Path) -> bytes:
    try:
        if told := refusal(path):
            raise PictureError(told)
        if path.exists() and not path.is_file():  # a pipe or a device would never end
            raise PictureError(f"{path}: is no regular file; name a picture.")
        if path.stat().st_size > MAX_BYTES:
            raise PictureError(f"{path}: is over {MAX_BYTES:,} bytes, the limit; save it smaller.")
        return path.read_bytes()
    except OSError as error:
        raise PictureError(f"{path}: cannot be read ({error.strerror}); check that you may read it.") from error
