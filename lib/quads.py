"""The blog's way in one call: boxes, expanded crops, corners, quadrilaterals; where a segmentation network would be."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lib.boxes import LEAST, boxes_of
from lib.checkpoints import checked, load_checkpoint
from lib.corners import CornerFinder
from lib.engine import Segmenter, told_weights
from lib.regions import rasterise
from lib.settings import WEIGHTS, PlatesError
from lib.tiles import Tiled

Find = Callable[[np.ndarray, float], np.ndarray]
CORNERS = WEIGHTS / "corners.safetensors"
HOW = (
    "get it again (`git checkout lib/weights`) or make it: `PLATES_FAST=0 python -m lib train small_landmarks --scenes "
    "4000 --ship`"
)
REGION = 0.8  # P(background) below which a pixel belongs to a region, of which a box is made
EDGE = 0.7  # share of a region's highest P(plate) at which its box ends, where boxes are all that is wanted
POINT = "detect"  # in the corners' card: what `QuadSegmenter.load` needs to know beside the weights


class RegionBoxes:
    """Plate boxes round the regions of a segmentation network, each as sure as its surest pixel.

    Args:
        segmenter: from (H, W, 3) uint8 RGB to (H, W) P(background).
        edge: see `lib.boxes.boxes_of`; the higher, the closer a box fits.
    """

    def __init__(self, segmenter: Callable[[np.ndarray], np.ndarray], edge: float = EDGE) -> None:
        self.segmenter, self.edge = segmenter, edge

    def __call__(self, rgb: np.ndarray, confidence: float = LEAST) -> np.ndarray:
        """float32 ``(N, 5)``: left, top, right, bottom in pixels and the confidence, highest first."""
        boxes = boxes_of(self.segmenter(rgb), REGION, np.min, self.edge)
        return boxes[boxes[:, 4] >= confidence]


class QuadSegmenter:
    """Boxes to quadrilaterals to P(background): one minus the confidence within the surest quadrilateral, 1 elsewhere.

    Args:
        find: from a picture, uint8 ``(H, W, 3)`` RGB, and a least confidence to boxes ``(N, 5)``.
        corners: finds each box's quadrilateral.
        name: what reports call it.
        threshold, growth, sure: as those of `lib.engine.Segmenter`.

    Attributes:
        file, weights_sha256, trained_on: of the corners' network, as those of `lib.engine.Segmenter`.
        point: how it was chosen (`lib.detect.choose_detect`); None where it was not loaded.
    """

    file: Path | None = None
    weights_sha256: str | None = None
    trained_on: str | None = None
    point: dict[str, Any] | None = None
    device = torch.device("cpu")  # ONNX Runtime's; what finds boxes may be elsewhere

    def __init__(
        self,
        find: Find,
        corners: CornerFinder,
        name: str,
        threshold: float | None = 0.5,
        growth: float = 0.0,
        sure: float = 1.0,
    ) -> None:
        self.find, self.corners, self.name = find, corners, name
        self.threshold, self.growth, self.sure = threshold, growth, sure

    @classmethod
    def load(cls, path: Path | None = None) -> "QuadSegmenter":
        """The shipped one: boxes round PlateNet's regions, their corners by the network in ``path``.

        Args:
            path: a checkpoint of `lib.landmarks` that `lib.detect.ship_corners` wrote; None for the repository's.

        Raises:
            PlatesError: weights are missing, damaged, of another model, or nobody has chosen a point for them.
        """
        path = Path(path or CORNERS)
        if not path.exists():
            raise PlatesError(f"{path}: there is no such weights file; {HOW}.")
        network, card = load_checkpoint(path)
        told = checked(path)
        point = card.get(POINT)
        if "landmarks" not in card["model"] or not isinstance(point, dict):
            raise PlatesError(
                f"{path}: holds {card['model']}, not corners with a point of their own for --method detect; {HOW}."
            )
        segmenter = Segmenter.load()
        find = Tiled(RegionBoxes(segmenter, point["edge"]))
        name = f"{segmenter.name} + {card['name']}"
        at = (point["threshold"], point["growth"], point.get("sure", 1.0))
        made = cls(find, CornerFinder(network, point["expand"]), name, *at)
        made.file, made.weights_sha256, made.trained_on, made.point = path, told[:12], card.get("data"), point
        return made

    def say(self) -> str:
        """One line for people: which file, its name, and what it was trained on."""
        return told_weights(self)

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
