"""Masks and their connected components: holes, growth, and the rectangle round each."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class Component:
    """One 8-connected component of a mask.

    Attributes:
        rows, columns: slices of its bounding box in the picture.
        mask: (h, w) bool, the component inside that box.
        center, axis: of its min-area rectangle, in picture pixels where pixel i spans [i, i + 1); the axis is a
            unit vector along the long side.
        length, height: long and short side of that rectangle, in pixels, at least 1.
    """

    rows: slice
    columns: slice
    mask: np.ndarray
    center: np.ndarray
    axis: np.ndarray
    length: float
    height: float


def components(mask: np.ndarray) -> Iterator[Component]:
    """The 8-connected components of a mask (H, W) bool, each with its min-area rectangle."""
    left, top, width, height = cv2.boundingRect(mask.view(np.uint8))  # plates are a small part of a large picture
    used = mask[top : top + height, left : left + width]
    if not used.size:
        return
    count, labels, stats, _ = cv2.connectedComponentsWithStats(used.view(np.uint8), connectivity=8)
    for index in range(1, count):
        x, y, w, h, _ = stats[index].tolist()
        inside = labels[y : y + h, x : x + w] == index
        x, y = x + left, y + top
        rows, columns = slice(y, y + h), slice(x, x + w)
        outline, _ = cv2.findContours(inside.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        (cx, cy), (a, b), angle = cv2.minAreaRect(outline[0])  # of pixel centres: a pixel smaller than the pixels
        turn = np.deg2rad(angle if a >= b else angle + 90)
        yield Component(
            rows,
            columns,
            inside,
            center=np.array([x + cx + 0.5, y + cy + 0.5]),
            axis=np.array([np.cos(turn), np.sin(turn)]),
            length=max(a, b) + 1,
            height=min(a, b) + 1,
        )


def reaching(mask: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """The 8-connected components of a mask (H, W) bool that hold at least one pixel of ``seeds``, (H, W) bool."""
    left, top, width, height = cv2.boundingRect(mask.view(np.uint8))
    window, out = (slice(top, top + height), slice(left, left + width)), np.zeros(mask.shape, bool)
    if width:
        count, labels = cv2.connectedComponents(mask[window].view(np.uint8), connectivity=8)
        kept = np.zeros(count, bool)
        kept[labels[seeds[window] & mask[window]]] = True
        out[window] = kept.take(labels)
    return out


def fill_holes(mask: np.ndarray) -> np.ndarray:
    """A mask (H, W) bool with everything inside its outlines set: what a plate encloses is plate."""
    outlines, _ = cv2.findContours(mask.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(np.zeros(mask.shape, np.uint8), outlines, -1, 1, cv2.FILLED).view(np.bool_)


def grow(mask: np.ndarray, growth: float) -> np.ndarray:
    """Dilate each 8-connected component by a disc of ``growth`` times its own height, rounded up to whole pixels.

    The height is the short side of the component's min-area rectangle.

    Args:
        mask: (H, W) bool.
        growth: at least 0, in component heights.

    Returns:
        (H, W) bool, a superset of ``mask``.
    """
    grown = mask.copy()
    if growth <= 0:
        return grown
    by_radius: dict[int, list[Component]] = {}
    for part in components(mask):
        # the slack keeps 0.1 * 30 from becoming 4 by rounding in the last digit
        by_radius.setdefault(int(np.ceil(growth * part.height - 1e-6)), []).append(part)
    height, width = mask.shape
    for radius, members in by_radius.items():  # one pass per radius: a thousand equal specks cost as much as one
        top = max(min(m.rows.start for m in members) - radius, 0)
        left = max(min(m.columns.start for m in members) - radius, 0)
        bottom = min(max(m.rows.stop for m in members) + radius, height)
        right = min(max(m.columns.stop for m in members) + radius, width)
        outside = np.ones((bottom - top, right - left), np.uint8)
        for m in members:
            place = outside[m.rows.start - top : m.rows.stop - top, m.columns.start - left : m.columns.stop - left]
            place[m.mask] = 0
        # distance to the nearest member: an exact disc whose cost does not grow with its radius
        distance = cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        grown[top:bottom, left:right] |= distance <= radius + 1e-3
    return grown


def quadrilaterals(mask: np.ndarray) -> list[np.ndarray]:
    """Each component's min-area rectangle, (4, 2) float32: TL, TR, BR, BL as they lie in the picture."""
    quads = []
    for part in components(mask):
        right, across, along = part.axis, part.height, part.length
        if abs(right[0]) < abs(right[1]):  # the side nearer to horizontal is the top
            right, across, along = np.array([-right[1], right[0]]), along, across
        right = right if right[0] > 0 else -right
        down = np.array([-right[1], right[0]])
        u, v = right * along / 2, down * across / 2
        quads.append((part.center + np.stack([-u - v, u - v, u + v, v - u])).astype(np.float32))
    return quads
