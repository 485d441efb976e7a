"""The blog's way in one call: boxes, expanded crops, corners, quadrilaterals; where a segmentation network would be."""

from collections.abc import Callable

import numpy as np

from lib.boxes import LEAST, boxes_of
from lib.corners import CornerFinder
from lib.regions import rasterise


class RegionBoxes:
    """Plate boxes round the regions of a segmentation network, each as sure as its surest pixel.

    Args:
        segmenter: from (H, W, 3) uint8 RGB to (H, W) P(background).
        threshold: a region is where P(background) is below it.
    """

    def __init__(self, segmenter: Callable[[np.ndarray], np.ndarray], threshold: float) -> None:
        self.segmenter, self.threshold = segmenter, threshold

    def __call__(self, rgb: np.ndarray, confidence: float = LEAST) -> np.ndarray:
        """float32 ``(N, 5)``: left, top, right, bottom in pixels and the confidence, highest first."""
        boxes = boxes_of(self.segmenter(rgb), self.threshold, np.min)
        return boxes[boxes[:, 4] >= confidence]


class QuadSegmenter:
    """Boxes to quadrilaterals to P(background): one minus the confidence within the surest quadrilateral, 1 elsewhere.

    Args:
        find: from a picture, uint8 ``(H, W, 3)`` RGB, and a least confidence to boxes ``(N, 5)``.
        corners: finds each box's quadrilateral.
        name: what reports call it.
        threshold, growth, sure: as those of `lib.engine.Segmenter`.
    """

    def __init__(
        self,
        find: Callable[[np.ndarray, float], np.ndarray],
        corners: CornerFinder,
        name: str,
        threshold: float | None = 0.5,
        growth: float = 0.0,
        sure: float = 1.0,
    ) -> None:
        self.find, self.corners, self.name = find, corners, name
        self.threshold, self.growth, self.sure = threshold, growth, sure

    def quads(self, rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The plates' quadrilaterals, float64 ``(N, 4, 2)`` in pixels, and their confidences ``(N,)``."""
        boxes = self.find(rgb, LEAST)
        return self.corners(rgb, boxes)[0], boxes[:, 4]

    def __call__(self, rgb: np.ndarray) -> np.ndarray:
        """P(background), float32 ``(H, W)``, of a picture, uint8 ``(H, W, 3)`` RGB."""
        background = np.ones(rgb.shape[:2], np.float32)
        for quad, confidence in zip(*self.quads(rgb), strict=True):
            region = rasterise(quad, rgb.shape[:2])
            if region is not None:
                window = background[region.window]
                window[region.inside] = np.minimum(window[region.inside], 1 - confidence)
        return background
