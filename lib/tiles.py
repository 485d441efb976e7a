"""Large frames looked at whole and in tiles: a far plate of a sharp frame is gone where the whole is scaled down."""

from collections.abc import Callable, Iterator

import numpy as np
from torch import from_numpy
from torchvision.ops import nms

from lib.boxes import LEAST, OVERLAP, shrink

TILE = 960  # pixels: what the shipped network looks at without scaling
SHARED = 160  # pixels that neighbours share: a plate too wide to be whole in one of them is seen in the whole frame
MOST = 3840  # pixels of the longer side beyond which a frame is scaled down first: time stays bounded
BORDER = 2.0  # pixels: a box this near to a tile's inner edge may be cut


def tiles(height: int, width: int, side: int = TILE, shared: int = SHARED) -> Iterator[tuple[int, int, int, int]]:
    """Tiles that hold every pixel of a frame, as left, top, right, bottom; evenly laid, at least ``shared`` overlap."""
    for top, bottom in _cuts(height, side, shared):
        for left, right in _cuts(width, side, shared):
            yield left, top, right, bottom


def _cuts(length: int, side: int, shared: int) -> list[tuple[int, int]]:
    if length <= side:
        return [(0, length)]
    count = -(-(length - shared) // (side - shared))
    starts = np.linspace(0, length - side, count).round().astype(int).tolist()
    return [(start, start + side) for start in starts]


class Tiled:
    """A finder of boxes that looks at a frame whole and, where that is larger than ``side``, at its tiles too.

    A box cut by a tile's inner edge gives way to one that holds most of it; else it stays, since half a find is better
    than none.

    Args:
        find: from a picture, uint8 ``(H, W, 3)`` RGB, and a least confidence to boxes ``(N, 5)``.
        side: pixels of the tiles.
        most: a frame with a longer side than this is scaled down to it before anything else.
    """

    def __init__(self, find: Callable[[np.ndarray, float], np.ndarray], side: int = TILE, most: int = MOST) -> None:
        self.find, self.side, self.most = find, side, most

    def __call__(self, rgb: np.ndarray, confidence: float = LEAST) -> np.ndarray:
        """float32 ``(N, 5)``: left, top, right, bottom in pixels of the frame and the confidence, highest first."""
        if max(rgb.shape[:2]) <= self.side:
            return self.find(rgb, confidence)
        small, scale = shrink(rgb, self.most)
        height, width = small.shape[:2]
        whole, cut = [self.find(small, confidence)], []
        for left, top, right, bottom in tiles(height, width, self.side):
            found = self.find(np.ascontiguousarray(small[top:bottom, left:right]), confidence)
            found = found + np.array([left, top, left, top, 0], np.float32)
            inner = ((left, 0, 0), (top, 0, 1), (right, width, 2), (bottom, height, 3))
            near = [abs(found[:, k] - at) <= BORDER for at, end, k in inner if at != end]
            broken = np.any(near, axis=0) if near else np.zeros(len(found), bool)
            whole.append(found[~broken])
            cut.append(found[broken])
        sure, doubtful = np.concatenate(whole), np.concatenate(cut)
        boxes = np.concatenate([sure, doubtful[[not _held(box, sure) for box in doubtful]]])
        keep = nms(from_numpy(boxes[:, :4].copy()), from_numpy(boxes[:, 4].copy()), OVERLAP).numpy()
        return (boxes[keep] / np.array([scale] * 4 + [1], np.float32)).astype(np.float32)


def _held(box: np.ndarray, others: np.ndarray) -> bool:
    """Whether one of ``others`` ``(N, 5)`` holds at least half of a box's area."""
    low, high = np.maximum(others[:, :2], box[:2]), np.minimum(others[:, 2:4], box[2:4])
    shared = (high - low).clip(0).prod(1)
    return bool((shared >= 0.5 * (box[2:4] - box[:2]).prod()).any())
