"""Crops for a network of any input size: plates kept at many sizes, tilts and lights, and much without a plate.

One perspective warp a crop does zoom, turn, shear, mirror and place at once, so that pixels are interpolated once.
A crop is a function of its picture and its seed alone, whatever the batch, the order or the number of threads.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
import torch
from torch import Tensor

from lib.gallery import Gallery
from lib.platenet import COARSE, STRIDE
from lib.recipes import refuse
from lib.relight import change_light
from lib.transforms import GREY, LONGEST, batches

SHIFT = 4  # binary digits of a pixel that OpenCV's polygons are painted with


class Draws(Protocol):
    """What draws crops: `Crop`, or what is laid over one."""

    side: int
    __call__: Callable[..., tuple[np.ndarray, ...]]


@dataclass(frozen=True)
class Crop:
    """How crops are drawn.

    Attributes:
        side: side of the square crop in pixels, a multiple of 32.
        longest: the longer side that pictures are looked at with, in pixels; also where the network is used.
        zoom: least and greatest zoom, on top of the one that brings the picture's longer side to ``longest``.
        anywhere: share of the crops laid, closer than the picture's own zoom, where no plate is, as far as five
            tries find such a place; the others hold one of the picture's plates.
        closer: the former are taken up to this many times closer still.
        turn: standard deviation of the turn, in degrees.
        bend: greatest shear, stretch and perspective, as a share.
        light: whether to change light, colour, sharpness, noise and compression.
    """

    side: int = 320
    longest: int = LONGEST
    zoom: tuple[float, float] = (0.5, 1.7)
    anywhere: float = 0.3
    closer: float = 1.0
    turn: float = 5.0
    bend: float = 0.15
    light: bool = True

    def __post_init__(self) -> None:
        checks = (
            ("side", self.side >= STRIDE and self.side % STRIDE == 0, f"a multiple of {STRIDE}"),
            ("longest", self.longest >= STRIDE, f"{STRIDE} pixels or more"),
            ("zoom", 0 < self.zoom[0] <= self.zoom[1], "two numbers above 0, the smaller first"),
            ("anywhere", 0 <= self.anywhere <= 1, "a share from 0 to 1"),
            ("closer", self.closer >= 1, "1 or more"),
            ("turn", 0 <= self.turn <= 30, "degrees from 0 to 30"),
            ("bend", 0 <= self.bend <= 0.5, "a share from 0 to 0.5"),
        )
        refuse(self, checks, "gives no crop; use")

    def __call__(
        self, pixels: np.ndarray, outlines: np.ndarray, seed: int, *others: np.ndarray
    ) -> tuple[np.ndarray, ...]:
        """One crop of a picture uint8 ``(H, W, 3)`` with the plates' outlines ``(K, 4, 2)`` in its pixels.

        Returns:
            uint8 ``(side, side, 3)`` and the plates' outlines in it, float32 ``(K, 4, 2)``; then ``others``, outlines
            that have no say in where the crop lies.
        """
        rng = np.random.default_rng(seed)
        matrix = self.place(pixels.shape[:2], outlines, rng)
        scale = np.sqrt(abs(np.linalg.det(matrix[:2, :2])))
        source, way = pixels, matrix
        if scale < 0.6:  # a warp looks at four pixels however many it passes over: shrink first
            source = cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
            back = np.diag([pixels.shape[1] / source.shape[1], pixels.shape[0] / source.shape[0], 1.0])
            way = matrix @ back
        crop = cv2.warpPerspective(
            source, for_opencv(way), (self.side, self.side), flags=cv2.INTER_LINEAR, borderValue=(GREY,) * 3
        )
        moved = (
            cv2.perspectiveTransform(each.reshape(1, -1, 2), matrix).reshape(-1, 4, 2) if len(each) else each
            for each in (outlines, *others)
        )
        return (change_light(crop, rng) if self.light else crop), *(each.astype(np.float32) for each in moved)

    def place(self, shape: tuple[int, int], outlines: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The matrix (3, 3) from picture to crop, in pixels whose corners are whole numbers."""
        zoom, centre = self._lay(shape, outlines, rng)
        half = self.side / zoom / 2
        for axis, extent in enumerate(shape[::-1]):  # stay within the picture where it is larger than the crop
            inside = half if extent >= 2 * half else extent - half
            centre[axis] = np.clip(centre[axis], *sorted((inside, extent - inside)))
        turn = np.deg2rad(np.clip(rng.normal(0, self.turn), -4 * self.turn, 4 * self.turn))
        shear, stretch = rng.uniform(-self.bend, self.bend, 2)
        bent = zoom * bending(turn, shear, stretch, mirrored=rng.random() < 0.5)
        matrix = np.eye(3)
        matrix[:2, :2], matrix[:2, 2] = bent, -bent @ centre
        tilt = np.eye(3)
        tilt[2, :2] = rng.uniform(-self.bend, self.bend, 2) / self.side
        there = np.array([[1, 0, self.side / 2], [0, 1, self.side / 2], [0, 0, 1.0]])
        return there @ tilt @ matrix

    def _lay(self, shape: tuple[int, int], outlines: np.ndarray, rng: np.random.Generator) -> tuple[float, np.ndarray]:
        """The zoom, and the crop's centre in the picture's pixels, (2,)."""
        height, width = shape
        own = self.longest / max(shape)
        zoom = own * np.exp(rng.uniform(*np.log(self.zoom)))
        if len(outlines) and rng.random() >= self.anywhere:
            plate = outlines[rng.integers(len(outlines))]
            low, high = plate.min(0), plate.max(0)
            zoom = min(zoom, 0.9 * self.side / max(*(high - low), 1.0))
            centre = (low + high) / 2 + rng.uniform(-0.45, 0.45, 2) * (self.side / zoom - (high - low)).clip(0)
        else:
            zoom = max(zoom, own)
            if self.closer > 1:
                zoom *= np.exp(rng.uniform(0, np.log(self.closer)))
            tries = (rng.uniform(0, (width, height)) for _ in range(5))
            for centre in tries:
                if not len(outlines) or (abs(outlines - centre).max(2).min(1) > self.side / zoom / 2).all():
                    break
        return zoom, centre


@dataclass(frozen=True)
class UniformCrop(Crop):
    """Crops laid anywhere in the picture, whether there is a plate or none; ``anywhere`` and ``closer`` say nothing.

    Attributes:
        laid: tells recipes with such crops from others.
    """

    laid: str = "uniformly"

    def _lay(self, shape: tuple[int, int], outlines: np.ndarray, rng: np.random.Generator) -> tuple[float, np.ndarray]:
        zoom = self.longest / max(shape) * np.exp(rng.uniform(*np.log(self.zoom)))
        return zoom, rng.uniform(0, shape[::-1])


def bending(turn: float, shear: float, stretch: float, mirrored: bool) -> np.ndarray:
    """A matrix (2, 2) that mirrors left and right, then shears and stretches, then turns by ``turn`` radians."""
    cos, sin = np.cos(turn), np.sin(turn)
    bent = np.array([[cos, -sin], [sin, cos]]) @ np.array([[1 + stretch, shear], [0, 1 / (1 + stretch)]])
    return bent @ np.diag([-1.0 if mirrored else 1.0, 1.0])


def for_opencv(matrix: np.ndarray) -> np.ndarray:
    """The same map for OpenCV's warp, whose whole numbers are the pixels' centres."""
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1.0]])
    return np.linalg.inv(half) @ matrix @ half


def targets(
    outlines: np.ndarray, shape: tuple[int, int], small: float = 0.5, ignored: Sequence[np.ndarray] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """What the network is to answer for a crop, and how much each pixel weighs.

    Args:
        outlines: float32 ``(K, 4, 2)`` in the crop's pixels.
        shape: height and width of the crop, multiples of 4.
        small: how strongly a small plate's pixels are lifted: by (reference area / its area) to this power, at
            least 1 and at most 6. 0 lifts none.
        ignored: outlines ``(K, 4, 2)`` of regions that weigh nothing, where no plate is known in them.

    Returns:
        float32 ``(H / 4, W / 4)`` twice: each pixel's share of plate, and its weight, 1 off the plates.
    """
    coarse = (shape[1] // COARSE, shape[0] // COARSE)  # as OpenCV takes sizes
    plates, weight = np.zeros(shape, np.uint8), np.ones(coarse[::-1], np.float32)
    for outline in ignored:
        _paint(weight, outline / COARSE - 0.5, 0.0)
    for outline in sorted(outlines, key=cv2.contourArea, reverse=True):  # where two overlap, the smaller one's weight
        lift = float(np.clip((REFERENCE_AREA / max(cv2.contourArea(outline), 1.0)) ** small, 1, 6))
        # OpenCV's whole numbers are the centres of pixels, ours their corners: half a pixel off, large or coarse
        _paint(plates, outline - 0.5, 255)
        _paint(weight, outline / COARSE - 0.5, lift)
    share = cv2.resize(plates, coarse, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    return share, np.where((share > 0) & (weight == 0), 1, weight)  # a plate's rim is known, whatever lies about it


def _paint(canvas: np.ndarray, outline: np.ndarray, value: float) -> None:
    points = np.round(outline.clip(-1e5, 1e5) * 2**SHIFT).astype(np.int32)
    cv2.fillConvexPoly(canvas, points, value, cv2.LINE_8, SHIFT)


REFERENCE_AREA = 77.0 * 38.0  # pixels of the median plate of the training photographs at a longer side of 640


def crop_batches(
    gallery: Gallery, crop: Draws, batch: int, seed: int, epoch: int, small: float, threads: int | None = None
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """One epoch: uint8 pictures ``(B, 3, S, S)``, targets and weights ``(B, 1, S/4, S/4)``, made a batch ahead."""

    def gather(drawn: list[tuple[np.ndarray, ...]]) -> tuple[Tensor, Tensor, Tensor]:
        told = [(pixels, *targets(plates, (crop.side, crop.side), small, doubt)) for pixels, plates, doubt in drawn]
        pixels, shares, weights = (torch.from_numpy(np.stack(part)) for part in zip(*told, strict=True))
        return pixels.permute(0, 3, 1, 2), shares.unsqueeze(1), weights.unsqueeze(1)

    yield from _ahead(gallery, crop, batch, seed, epoch, gather, threads)


def outline_batches(
    gallery: Gallery, crop: Draws, batch: int, seed: int, epoch: int, threads: int | None = None
) -> Iterator[tuple[Tensor, list[np.ndarray]]]:
    """The same crops, uint8 ``(B, 3, S, S)``, with the plates' outlines in each, float32 ``(K, 4, 2)``."""

    def gather(drawn: list[tuple[np.ndarray, ...]]) -> tuple[Tensor, list[np.ndarray]]:
        pixels, outlines, _ = zip(*drawn, strict=True)
        return torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2), list(outlines)

    yield from _ahead(gallery, crop, batch, seed, epoch, gather, threads)


def _ahead(
    gallery: Gallery,
    crop: Draws,
    batch: int,
    seed: int,
    epoch: int,
    gather: Callable[[list[tuple[np.ndarray, ...]]], Any],
    threads: int | None,
) -> Iterator[Any]:
    """An epoch's batches, crops with their plates and what is in doubt, made by threads a few batches ahead."""

    def make(pair: tuple[Tensor, Tensor]) -> Any:
        return gather([draw(*each) for each in zip(*(part.tolist() for part in pair), strict=True)])

    def draw(index: int, own: int) -> tuple[np.ndarray, ...]:
        return crop(gallery.pixels[index], gallery.outlines[index], own, gallery.ignored[index])

    threads = threads or os.cpu_count() or 1
    with ThreadPoolExecutor(threads) as pool:
        waiting: list[Future] = []
        for pair in batches(len(gallery), batch, seed, epoch):
            waiting.append(pool.submit(make, pair))
            if len(waiting) > threads:
                yield waiting.pop(0).result()
        for each in waiting:
            yield each.result()
