"""The blog's way as it is shipped: how far boxes are expanded, its operating point, its weights put in place."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, DatasetDict, concatenate_datasets
from torch import nn

from lib.boxes import LEAST
from lib.checkpoints import load_checkpoint, save_checkpoint
from lib.conceal import Concealer
from lib.corner_training import NARROWEST
from lib.corners import CornerFinder, corner_error
from lib.data import plates_of
from lib.engine import Segmenter
from lib.evaluate import FINER, choose_operating_point
from lib.finds import OVERLAP, overlaps
from lib.platefree import free_crops
from lib.quads import CORNERS, POINT, Find, QuadSegmenter, RegionBoxes
from lib.regions import corners_of
from lib.shipping import PLATE_FREE, write_sums
from lib.training import Run

EXPANSIONS = (1.0, 1.15, 1.3, 1.5, 1.7)  # sides of the crop, in sides of the box; no more than the networks learn from
EDGES = (0.35, 0.6)  # shares of a region's highest P(plate) at which its box ends
SCENES = 160  # rendered scenes of validation beside the photographs


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


def known(split: Dataset) -> Dataset:
    """A split to choose by: a plate of which only the box is known is set aside, as a region to ignore (iscrowd).

    A quadrilateral that fits such a plate leaves the corners of its box bare, however good it is, so that boxes ask for
    a growth that no plate needs. What is concealed on them or near them still is no stray cover.
    """
    objects = [
        {**row, "iscrowd": [crowd or not told for crowd, told in zip(row["iscrowd"], row["corners"], strict=True)]}
        for row in split["objects"]
    ]
    return split.remove_columns("objects").add_column("objects", objects, feature=split.features["objects"])


def expansion_curve(
    find: Find,
    network: nn.Module,
    validation: Dataset,
    plate_free: Sequence[np.ndarray] = (),
    factors: Iterable[float] = EXPANSIONS,
) -> list[dict[str, Any]]:
    """What `detect` covers within the limits on validation, for each factor that boxes are expanded by.

    Args:
        find: of boxes.
        network: of `lib.landmarks`.
        plate_free: pictures without a plate; see `lib.evaluate.choose_operating_point`.

    Returns:
        For each factor the chosen operating point with what it gives, and ``expand``.
    """
    find, curve = Remembered(find), []
    for factor in factors:
        segmenter = QuadSegmenter(find, CornerFinder(network, factor), "detect")
        options = {**FINER, "limit": None, "plate_free": plate_free, "progress": False}
        point = choose_operating_point(validation, Concealer(segmenter, 0.5), **options)
        curve.append({"expand": factor, **point})
    return curve


def best(curve: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The row of a curve that covers most within the limits; of equals what misses and takes along least."""
    return max(
        curve, key=lambda row: (row["feasible"], row["coverage"], -row["missed"], -row["false_cover"], -row["expand"])
    )


def choose_detect(
    network: nn.Module, plates: DatasetDict, scenes: Dataset | None = None, segmenter: Segmenter | None = None
) -> dict[str, Any]:
    """Choose where boxes end, how far they are expanded, threshold and growth, all on validation.

    Coverage is of the plates whose corners are known (`known`); stray and false cover are of all pictures.

    Args:
        network: of `lib.landmarks`.
        scenes: rendered scenes of validation, of which all corners are known, beside the data's own pictures.
        segmenter: whose regions are boxed; None for the shipped one.

    Returns:
        The `best` point, with ``edge`` and ``expand``, and the ``curve`` of all that were tried.

    Raises:
        PlatesError: no plate's corners are known.
    """
    segmenter, validation = segmenter or Segmenter.load(), known(plates["validation"])
    free = free_crops(plates["validation"], PLATE_FREE)
    if scenes is not None:
        validation = concatenate_datasets([validation, known(scenes)])
    curve = [
        {"edge": edge, **row}
        for edge in EDGES
        for row in expansion_curve(RegionBoxes(segmenter, edge), network, validation, free)
    ]
    return {**best(curve), "curve": curve}


def ship_corners(run: Run, point: dict[str, Any], path: Path = CORNERS) -> Path:
    """Put a landmark run's weights in place, in half precision, with their point; and the SHA-256 of all weights."""
    card = {key: value for key, value in run.card.items() if key != "log"} | {"epoch": run.card["best_epoch"]}
    save_checkpoint(path, run.model, {**card, POINT: point}, half=True)
    write_sums(path.parent)
    return path


def choose_again(plates: DatasetDict, scenes: Dataset | None = None, path: Path = CORNERS) -> dict[str, Any]:
    """Choose the point of the corners in ``path`` anew (`choose_detect`) and write it beside the very same weights."""
    network, card = load_checkpoint(path)
    point = choose_detect(network, plates, scenes)
    save_checkpoint(path, network, {**card, POINT: point}, half=True)
    write_sums(path.parent)
    return point


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
                told["box"].append(corner_error(corners_of(boxes[at])[None], outline[None])[0])
                told["picture"].append(number)
    return {key: np.array(values, float) for key, values in told.items()}
