"""Picture in, concealed picture and report out; folders of them. Fails closed: in doubt no picture leaves."""

import importlib
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from lib.colour import view8
from lib.files import atomic
from lib.images import MAX_BYTES, Picture, PictureError, decode, encode, pixels_of
from lib.masks import fill_holes, grow, quadrilaterals, reaching
from lib.outputs import REPORT, Entry, Report, check_outputs, earlier_outputs, find_pictures, refusal, weights_of
from lib.redact import MODES, redact
from lib.settings import PlatesError

METHODS = {"segment": ("lib.engine", "Segmenter")}  # what has load(weights) and answers RGB with P(background)


@dataclass(frozen=True, eq=False)
class Concealed:
    """A concealed picture.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        plates: per concealed region its min-area rectangle, (4, 2) float32 in picture pixels (pixel i spans
            [i, i + 1)): the corners as they lie in the picture, TL, TR, BR, BL.
        mask: (H, W) bool, what was concealed.
        picture: the concealed pixels in the format they came in; None where the input was no encoded picture.
    """

    image: np.ndarray
    plates: list[np.ndarray]
    mask: np.ndarray
    picture: Picture | None = None

    def encode(self) -> bytes:
        """The concealed picture in the format it came in, without metadata.

        Raises:
            PlatesError: the input was pixels, which have no format.
        """
        if self.picture is None:
            raise PlatesError("this picture came as pixels and has no format; pass the file's bytes, or save .image.")
        return encode(self.picture, self.picture.pixels)


class Concealer:
    """A picture in, its plates concealed out.

    Args:
        segmenter: from (H, W, 3) uint8 RGB to (H, W) P(background), with ``name``, ``threshold`` and ``growth``.
        threshold: conceal where P(background) is below it, 0 (nothing) to 1; None: the segmenter's.
        growth: grow each region by this many of its heights, at least 0; None: the segmenter's.
        sure: of the regions below the threshold only those count in which P(background) somewhere falls below this, 0
            to 1: how far a plate reaches and whether there is one are two questions (the two thresholds of Canny 1986,
            *A computational approach to edge detection*, section VII). 1 asks nothing more; None: the segmenter's.
        mode: one of `lib.redact.MODES`.
        method: what reports call the way.

    Raises:
        PlatesError: a value out of its range, or no threshold given and the segmenter's is None.
    """

    def __init__(
        self,
        segmenter: Callable[[np.ndarray], np.ndarray],
        threshold: float | None = None,
        growth: float | None = None,
        mode: str = "fill",
        method: str = "segment",
        sure: float | None = None,
    ) -> None:
        self.segmenter, self.mode, self.method = segmenter, mode, method
        threshold = segmenter.threshold if threshold is None else threshold
        if threshold is None:
            raise PlatesError(
                f"{getattr(segmenter, 'file', None) or segmenter.name}: nobody has chosen a threshold for these "
                "weights, so they conceal nothing reliably; give --threshold (and --growth)."
            )
        self.threshold = float(threshold)
        self.growth = float(segmenter.growth if growth is None else growth)
        self.sure = float(getattr(segmenter, "sure", 1.0) if sure is None else sure)
        for name in ("threshold", "sure"):
            if not 0 <= (given := getattr(self, name)) <= 1:
                raise PlatesError(f"{name} {given:g} is not in 0..1; give a share such as 0.1.")
        if not 0 <= self.growth < float("inf"):
            raise PlatesError(f"growth {self.growth:g} is not 0 or more; give a share of a plate's height such as 0.2.")
        if mode not in MODES:
            raise PlatesError(f"mode {mode!r} is unknown; use one of {', '.join(MODES)}.")

    @classmethod
    def load(cls, method: str = "segment", weights: Path | None = None, **given: Any) -> "Concealer":
        """A concealer with trained weights (None: those in the repository, else the newest that were trained).

        ``given``: threshold, growth, sure and mode, as for the class.

        Raises:
            PlatesError: unknown method, no usable weights, or a value out of its range.
        """
        if method not in METHODS:
            raise PlatesError(f"method {method!r} is unknown; use one of {', '.join(METHODS)}.")
        module, name = METHODS[method]
        segmenter = getattr(importlib.import_module(module), name).load(weights)
        return cls(segmenter, method=method, **given)

    def __call__(self, picture: np.ndarray | Image.Image | bytes, name: str = "picture") -> Concealed:
        """Conceal one picture.

        Args:
            picture: (H, W, 3) uint8 RGB, a Pillow image, or the bytes of a file.
            name: what errors call it.

        Raises:
            PictureError: no usable picture.
            PlatesError: the network failed, or answered with what is no probability: nothing is returned then.
        """
        source = None
        if isinstance(picture, bytes):
            source = decode(picture, name)
            pixels = source.pixels
        else:
            pixels = pixels_of(picture, name) if isinstance(picture, Image.Image) else np.asarray(picture)
            if not isinstance(picture, Image.Image) and (pixels.dtype != np.uint8 or pixels.shape[2:] != (3,)):
                raise PictureError(
                    f"{name}: is an array {pixels.dtype} {pixels.shape}; give uint8 (height, width, 3) in RGB order."
                )
            if not pixels.size:
                raise PictureError(f"{name}: is an array {pixels.shape} without pixels; give a picture.")
        rgb = view8(pixels)
        mask = self.mask_from(self.probability(rgb, name))
        concealed = redact(pixels, mask, self.mode)
        return Concealed(
            image=concealed if rgb is pixels else redact(rgb, mask, self.mode),
            plates=quadrilaterals(mask),
            mask=mask,
            picture=None if source is None else replace(source, pixels=concealed),
        )

    def probability(self, rgb: np.ndarray, name: str = "picture") -> np.ndarray:
        """P(background), (H, W), of (H, W, 3) uint8 RGB, checked.

        Raises:
            PlatesError: the network failed, or answered with what is no probability.
        """
        try:
            background = np.asarray(self.segmenter(rgb))
        except Exception as error:  # whatever broke, the picture has not been looked at
            raise PlatesError(
                f"{name}: the network failed ({type(error).__name__}: {error}), so nothing is returned; "
                "try other weights or a smaller picture."
            ) from error
        # NaN compares false with everything and would pass for background
        if background.shape != rgb.shape[:2] or not np.all((background >= -1e-3) & (background <= 1 + 1e-3)):
            raise PlatesError(
                f"{name}: the network answered with something other than {rgb.shape[:2]} probabilities, "
                "so nothing is returned; use other weights."
            )
        return background

    def mask_from(self, background: np.ndarray) -> np.ndarray:
        """What to conceal, (H, W) bool, given P(background): below the threshold, somewhere `sure`, grown, filled.

        A speck counts for what it answers, not for its size: dropping the small ones would drop far plates first.
        """
        mask = background < self.threshold
        if self.sure < self.threshold:
            mask = reaching(mask, background < self.sure)
        return fill_holes(grow(mask, self.growth))


def conceal_files(
    inputs: Sequence[Path],
    out: Path,
    concealer: Concealer,
    report: Path | None = None,
    progress: bool = True,
) -> Report:
    """Conceal photographs and folders of them into a folder, each picture whole or not at all.

    ``out/report.json`` is written before the first picture, with every picture "not reached", and again at the end,
    also of an interrupted run. It is how a later run knows its own outputs: those are replaced, and removed where
    the picture now fails, so that no stale one passes for a result; every other existing file is refused.

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
    pairs, hidden = find_pictures(inputs)
    ours = earlier_outputs(out) if out.is_dir() else set()
    check_outputs(inputs, pairs, out, ours, *places[1:])
    result = Report(
        **{key: getattr(concealer, key) for key in ("method", "mode", "threshold", "growth", "sure")},
        **weights_of(concealer.segmenter),
        hidden=hidden,
        files=[Entry(relative.as_posix()) for _, relative in pairs],
        outputs=sorted(ours | {relative.as_posix() for _, relative in pairs}),
    )
    result.write(out / REPORT)  # before any work: it claims the outputs, and fails early where nothing can be written
    try:
        rows = zip(pairs, result.files, strict=True)
        for (path, relative), entry in tqdm(rows, total=len(pairs), unit="picture", disable=not progress):
            _conceal_file(path, out / relative, concealer, entry)
    finally:
        result.outputs = [name for name in result.outputs if (out / name).is_file()]
        for place in places:  # the claim on the outputs first, since the copy's place may fail
            result.write(place)
    return result


def _conceal_file(path: Path, target: Path, concealer: Concealer, entry: Entry) -> None:
    start = time.perf_counter()
    try:
        concealed = concealer(_read(path), entry.file)
        data = concealed.encode()
        with atomic(target) as temporary:
            temporary.write_bytes(data)
        entry.output, entry.error = entry.file, None
        entry.plates, entry.area = len(concealed.plates), round(float(concealed.mask.mean()), 6)
        entry.quadrilaterals = [np.round(quad.astype(float), 1).tolist() for quad in concealed.plates]
    except Exception as error:  # one picture's trouble, foreseen or not, must neither leak it nor stop the others
        entry.error = str(error) if isinstance(error, PlatesError) else f"{entry.file}: {type(error).__name__}: {error}"
        with suppress(OSError):
            target.unlink(missing_ok=True)
    entry.seconds = round(time.perf_counter() - start, 3)


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
