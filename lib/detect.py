"""The blog's way as it is shipped: how far boxes are expanded, its operating point, its weights put in place."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, DatasetDict
from torch import nn

from lib.boxes import LEAST
from lib.conceal import Concealer
from lib.corner_training import NARROWEST
from lib.corners import CornerFinder, corner_error
from lib.data import plates_of
from lib.engine import Segmenter, save_checkpoint
from lib.evaluate import FINER, choose_operating_point
from lib.finds import OVERLAP, overlaps
from lib.platefree import free_crops
from lib.quads import CORNERS, POINT, Find, QuadSegmenter, RegionBoxes
from lib.shipping import PLATE_FREE, write_sums
from lib.training import Run

EXPANSIONS = (1.0, 1.15, 1.3, 1.5, 1.8)  # sides of the crop, in sides of the box
REGIONS = (0.5, 0.8)  # P(background) at which a region ends that a box is laid round
CURVE = 200  # validation pictures that expansions are compared on; the point is chosen on all


class Remembered:
    """A finder of boxes that looks at each picture once: what comes after it is tried many times."""

    def __init__(self, find: Find) -> None:
        self.find, self.known = find, {}

    def __call__(self, rgb: np.ndarray, confidence: float = LEAST) -> np.ndarray:
        """What ``find`` says."""
        key = (hashlib.sha1(np.ascontiguousarray(rgb)).digest(), rgb.shape)
        if key not in self.known:
            self.known[key] = self.find(rgb, LEAST)
        boxes = self.known[key]
        return boxes[boxes[:, 4] >= confidence]


def expansion_curve(
    find: Find,
    network: nn.Module,
    validation: Dataset,
    plate_free: Sequence[np.ndarray] = (),
    factors: Iterable[float] = EXPANSIONS,
    limit: int | None = CURVE,
) -> list[dict[str, Any]]:
    """What `detect` covers within the limits on validation, for each factor that boxes are expanded by.

    Args:
        find: of boxes.
        network: of `lib.landmarks`.
        plate_free: pictures without a plate; see `lib.evaluate.choose_operating_point`.
        limit: how many validation pictures; None for all.

    Returns:
        For each factor the chosen operating point with what it gives, and ``expand``.
    """
    find, curve = Remembered(find), []
    for factor in factors:
        segmenter = QuadSegmenter(find, CornerFinder(network, factor), "detect")
        options = {**FINER, "limit": limit, "plate_free": plate_free, "progress": False}
        point = choose_operating_point(validation, Concealer(segmenter, 0.5), **options)
        curve.append({"expand": factor, **point})
    return curve


def best(curve: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The row of a curve that covers most within the limits; the least expanded of equals."""
    return max(curve, key=lambda row: (row["feasible"], row["coverage"], -row["expand"]))


def choose_detect(network: nn.Module, plates: DatasetDict, segmenter: Segmenter | None = None) -> dict[str, Any]:
    """Choose how far regions reach, how far boxes are expanded, threshold and growth, all on validation.

    Args:
        network: of `lib.landmarks`.
        segmenter: whose regions are boxed; None for the shipped one.

    Returns:
        The point on all of validation, with ``region`` and ``expand``, and the ``curve`` that these two are from.
    """
    segmenter, validation = segmenter or Segmenter.load(), plates["validation"]
    free = free_crops(validation, PLATE_FREE)
    curve = [
        {"region": region, **row}
        for region in REGIONS
        for row in expansion_curve(RegionBoxes(segmenter, region), network, validation, free)
    ]
    won = best(curve)
    find = RegionBoxes(segmenter, won["region"])
    (whole,) = expansion_curve(find, network, validation, free, [won["expand"]], limit=None)
    return {"region": won["region"], **whole, "curve": curve}


def ship_corners(run: Run, point: dict[str, Any], path: Path = CORNERS) -> Path:
    """Put a landmark run's weights in place, in half precision, with their point; and the SHA-256 of all weights."""
    card = {key: value for key, value in run.card.items() if key != "log"} | {"epoch": run.card["best_epoch"]}
    save_checkpoint(path, run.model, {**card, POINT: point}, half=True)
    write_sums(path.parent)
    return path


def corner_errors(
    corners: CornerFinder, split: Dataset, find: Find | None = None, limit: int | None = None
) -> dict[str, np.ndarray]:
    """Errors of corners, in plate widths, of the plates whose corners are known and that are `NARROWEST` wide or more.

    Args:
        find: of boxes: a plate is given the find that overlaps its own box most, if by half or more, and others are
            left out. None: the plates' own boxes.
        limit: how many pictures at most; None for all.

    Returns:
        float64 arrays, a number a plate: ``found``, by the network; ``box``, of the corners of the box it was given;
        ``picture``, which picture it is in.
    """
    told: dict[str, list[float]] = {"found": [], "box": [], "picture": []}
    rows = split if limit is None else split.select(range(min(limit, len(split))))
    for number, row in enumerate(rows):
        known = [plate.outline for plate in plates_of(row) if plate.corners is not None and not plate.iscrowd]
        known = [outline for outline in known if np.ptp(outline[:, 0]) >= NARROWEST]
        if not known:
            continue
        rgb = np.asarray(row["image"].convert("RGB"))
        own = np.array([[*outline.min(0), *outline.max(0)] for outline in known])
        boxes = own if find is None else find(rgb, LEAST)
        quads, _ = corners(rgb, boxes)
        for outline, box in zip(known, own, strict=True):
            share = overlaps(boxes, box)
            if len(share) and share.max() >= OVERLAP:
                at = int(share.argmax())
                told["found"].append(corner_error(quads[at][None], outline[None])[0])
                told["box"].append(corner_error(_square(boxes[at])[None], outline[None])[0])
                told["picture"].append(number)
    return {key: np.array(values, float) for key, values in told.items()}


def _square(box: np.ndarray) -> np.ndarray:
    left, top, right, bottom = box[:4]
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)], np.float64)
