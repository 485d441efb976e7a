"""Labelled plates and the pixels they own.

One rule for all: a pixel belongs to a polygon when its centre (x + .5, y + .5) lies inside (even-odd, half open: a box
owns its left and top border). A region that holds no pixel's centre is the one pixel its middle lies in, so that a far
plate never vanishes. Only the part within the picture counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import NamedTuple

import numpy as np


def corners_of(box: Sequence[float]) -> np.ndarray:
    """The four corners of a box left, top, right, bottom (more columns are ignored), clockwise, float64 ``(4, 2)``."""
    left, top, right, bottom = (float(each) for each in box[:4])
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)])


@dataclass(frozen=True, eq=False)
class PlateTruth:
    """A labelled plate, in pixels of its picture, whose borders are 0 and the width or height.

    Attributes:
        bbox: x, y, width, height.
        corners: (4, 2) top left, top right, bottom right, bottom left as a reader sees the plate, or None.
        characters: a (4, 2) quadrilateral per character; empty when unknown.
        iscrowd: a region to ignore, no plate.
    """

    bbox: tuple[float, float, float, float]
    corners: np.ndarray | None = None
    characters: tuple[np.ndarray, ...] = ()
    iscrowd: bool = False

    @property
    def box(self) -> np.ndarray:
        """The box's four corners, float64 (4, 2), clockwise from the top left."""
        x, y, w, h = self.bbox
        return corners_of((x, y, x + w, y + h))

    @property
    def outline(self) -> np.ndarray:
        """The quadrilateral where it is known, else the box, float64 (4, 2)."""
        return self.box if self.corners is None else np.asarray(self.corners, dtype=np.float64).reshape(4, 2)

    @property
    def height(self) -> float:
        """Plate height in pixels: the mean of the outline's left and right sides (the box's own height for a box)."""
        top_left, top_right, bottom_right, bottom_left = self.outline
        return float(np.hypot(*(bottom_left - top_left)) + np.hypot(*(bottom_right - top_right))) / 2

    def scaled(self, x: float, y: float) -> "PlateTruth":
        """The same plate in its picture stretched by ``x`` and ``y``."""
        left, top, width, height = self.bbox
        return PlateTruth(
            bbox=(left * x, top * y, width * x, height * y),
            corners=None if self.corners is None else self.outline * (x, y),
            characters=tuple(np.asarray(quad) * (x, y) for quad in self.characters),
            iscrowd=self.iscrowd,
        )


class Region(NamedTuple):
    """The pixels of a polygon: a window of the picture, and which of its pixels are inside (never none)."""

    window: tuple[slice, slice]
    inside: np.ndarray

    def share(self, mask: np.ndarray) -> float:
        """The share, 0..1, of the region's pixels that ``mask`` (bool (H, W)) holds."""
        return float(np.count_nonzero(mask[self.window] & self.inside) / np.count_nonzero(self.inside))


def _inside(polygon: np.ndarray, shape: tuple[int, int]) -> Region | None:
    """The pixels whose centre lies in a polygon; None where there is none."""
    (left, top), (right, bottom) = polygon.min(axis=0), polygon.max(axis=0)
    y0, y1 = max(0, ceil(top - 0.5)), min(shape[0], ceil(bottom - 0.5))
    x0, x1 = max(0, ceil(left - 0.5)), min(shape[1], ceil(right - 0.5))
    if y0 >= y1 or x0 >= x1:
        return None
    inside = np.zeros((y1 - y0, x1 - x0), dtype=bool)
    rows, columns = np.arange(y0, y1) + 0.5, np.arange(x0, x1) + 0.5
    for (ax, ay), (bx, by) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if ay != by:  # a horizontal side crosses no row of centres
            crossed = (ay <= rows) != (by <= rows)
            at = np.where(crossed, ax + (rows - ay) * ((bx - ax) / (by - ay)), -np.inf)
            inside ^= columns < at[:, None]  # odd number of sides to the right: inside
    return Region((slice(y0, y1), slice(x0, x1)), inside) if inside.any() else None


def rasterise(polygon: np.ndarray, shape: tuple[int, int]) -> Region | None:
    """The pixels of a polygon (N, 2) in a picture of ``shape`` (H, W), by the module's rule; None outside of it."""
    polygon = np.asarray(polygon, dtype=np.float64)
    region = _inside(polygon, shape)
    if region is None:
        x, y = (floor(middle) for middle in (polygon.min(axis=0) + polygon.max(axis=0)) / 2)
        if 0 <= y < shape[0] and 0 <= x < shape[1]:
            region = Region((slice(y, y + 1), slice(x, x + 1)), np.ones((1, 1), dtype=bool))
    return region


def _disc(centre: np.ndarray, radius: float, shape: tuple[int, int]) -> Region:
    """The pixels whose centre is no farther than ``radius`` from a point."""
    (left, top), (right, bottom) = np.floor(centre - radius), np.ceil(centre + radius)
    y0, y1 = np.clip((top, bottom), 0, shape[0]).astype(int)
    x0, x1 = np.clip((left, right), 0, shape[1]).astype(int)
    rows, columns = np.arange(y0, y1) + 0.5, np.arange(x0, x1) + 0.5
    inside = (rows[:, None] - centre[1]) ** 2 + (columns - centre[0]) ** 2 <= radius**2
    return Region((slice(y0, y1), slice(x0, x1)), inside)


def clear_near(mask: np.ndarray, plate: PlateTruth) -> None:
    """Clear from ``mask`` (bool (H, W), in place) the pixels on a plate, or within half its height of its outline.

    Exact: what lies within r of an outline is a band of r to both sides of each side, and a disc around each corner.
    """
    outline, reach = plate.outline, plate.height / 2 + 1e-9  # a pixel at that very distance is near, rounding or not
    near = [rasterise(outline, mask.shape)]
    for a, b in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        near.append(_disc(a, reach, mask.shape))
        if length := np.hypot(*(b - a)):
            across = np.array([a[1] - b[1], b[0] - a[0]]) * (reach / length)
            near.append(_inside(np.array([a + across, b + across, b - across, a - across]), mask.shape))
    for region in near:
        if region is not None:
            mask[region.window] &= ~region.inside
