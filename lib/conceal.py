"""Picture in, concealed picture out. Fails closed: in doubt no picture leaves."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lib.colour import view8
from lib.images import Picture, PictureError, decode, encode, pixels_of
from lib.masks import fill_holes, grow, quadrilaterals, reaching
from lib.redact import MODES, redact
from lib.settings import PlatesError

# What has load(weights) and answers RGB with P(background): the paper's way and the blog's.
METHODS = {"segment": ("lib.engine", "Segmenter"), "detect": ("lib.quads", "QuadSegmenter")}
MOST_GROWTH = 100  # heights of a region


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
        threshold: conceal where P(background) is below it, above 0 and up to 1; None: the segmenter's.
        growth: grow each region by this many of its heights, 0 to 100; None: the segmenter's.
        sure: of the regions below the threshold only those count in which P(background) somewhere falls below this,
            above 0 and up to 1: how far a plate reaches and whether there is one are two questions (the two thresholds
            of Canny 1986, *A computational approach to edge detection*, section VII). 1 asks nothing more; None: the
            segmenter's.
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
            if not 0 < (given := getattr(self, name)) <= 1:  # 0 would let every picture out as it is
                raise PlatesError(f"{name} {given:g} is not above 0 and up to 1; leave it out for the weights' own.")
        if not 0 <= self.growth <= MOST_GROWTH:
            told = f"growth {self.growth:g} is no number of plate heights from 0 to {MOST_GROWTH}"
            raise PlatesError(f"{told}; leave it out for the weights' own.")
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

    def mask_from(self, background: np.ndarray, unsure: bool = False) -> np.ndarray:
        """What to conceal, (H, W) bool, given P(background): below the threshold, somewhere `sure`, grown, filled.

        A speck counts for what it answers, not for its size: dropping the small ones would drop far plates first.
        ``unsure``: with regions too that are nowhere `sure`, for who knows more (`lib.memory`).
        """
        mask = background < self.threshold
        if self.sure < self.threshold and not unsure:
            mask = reaching(mask, background < self.sure)
        return fill_holes(grow(mask, self.growth))
