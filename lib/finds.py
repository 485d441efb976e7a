"""Detectors side by side: what they find, how exactly, how quickly, with how much memory."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from datasets import Dataset

from lib import scenes
from lib.bootstrap import ratio_interval, share_interval
from lib.boxes import average_precision
from lib.data import SEED, plates_of
from lib.detection import Detector
from lib.engine import Segmenter
from lib.metrics import COVERED, SMALL
from lib.quads import Find, RegionBoxes
from lib.regions import PlateTruth, corners_of
from lib.yolo import load_yolo

OVERLAP = 0.5  # intersection over union from which a box is a find
OVERLAPS = tuple(np.arange(0.5, 0.96, 0.05).round(2).tolist())  # COCO's ten
FALSE = 1.0  # false boxes a picture that are let pass where recall is read, on average
LEAST = 0.001  # boxes less sure than this are not asked for
LARGE_SEED = 10 * SEED + 8  # no split of the scenes has it
SCALED = 640  # pixels that a picture's longer side is scaled to where plates' widths are told


@dataclass(frozen=True, eq=False)
class Finds:
    """What a detector found in a split.

    Attributes:
        name: what tables call it.
        found: each picture's boxes ``(N, 5)``.
        truths: each picture's plates.
        widths: each picture's plates' scaled widths, those of regions to ignore left out.
        least: the confidence that counts, chosen on other pictures (`choose_least`).
    """

    name: str
    found: list[np.ndarray]
    truths: list[list[PlateTruth]]
    widths: list[np.ndarray]
    least: float = 0.0
    _known: dict[Any, Any] = field(default_factory=dict, repr=False)

    def precision(self, overlap: float = OVERLAP) -> tuple[float, tuple[float, float]] | None:
        """`lib.boxes.average_precision` at an overlap, and its interval."""
        if overlap not in self._known:
            self._known[overlap] = average_precision(self.found, self.truths, overlap)
        return self._known[overlap]

    def strict(self) -> float | None:
        """Average precision, the mean over COCO's ten overlaps from .5 to .95 (mAP@0.5:0.95)."""
        told = [self.precision(overlap) for overlap in OVERLAPS]
        return None if None in told else float(np.mean([value for value, _ in told]))

    def recall(self, low: float = 0.0, high: float = np.inf) -> dict[str, Any]:
        """Of the plates with a scaled width from ``low`` to below ``high`` the share that a sure box overlaps by half.

        Returns:
            ``plates``, ``recall`` (None without plates), ``interval`` (95 %, bootstrap over pictures; exact where all
            or none are found, of which every resample says the same).
        """
        hits, counts = [], []
        for boxes, plates, widths in zip(self.found, self.truths, self.widths, strict=True):
            hit = found_plates(boxes[boxes[:, 4] >= self.least], plates)
            chosen = (widths >= low) & (widths < high)
            hits.append(hit[chosen].sum())
            counts.append(chosen.sum())
        top, below = np.array(hits, float), np.array(counts, float)
        found, plates = int(top.sum()), int(below.sum())
        exact = plates and found in (0, plates)
        interval = share_interval(found, plates) if exact else ratio_interval(top, below)
        return {"plates": plates, "recall": found / plates if plates else None, "interval": interval}

    def cut(self) -> tuple[float, tuple[float, float] | None, int] | None:
        """Of the found plates the share that the surest box over each leaves uncovered in part, and how many there are.

        Covered: 95 % of the outline lies in the box. None where no plate is found.
        """
        cut, counts = np.zeros(len(self.found)), np.zeros(len(self.found))
        for number, (boxes, plates) in enumerate(zip(self.found, self.truths, strict=True)):
            sure = boxes[boxes[:, 4] >= self.least]
            for plate in plates:
                over = overlaps(sure, ends_of(plate.bbox)) >= OVERLAP
                if not plate.iscrowd and over.any():
                    counts[number] += 1
                    cut[number] += inside(plate.outline, sure[over.argmax()]) < COVERED
        found = int(counts.sum())
        return (float(cut.sum() / found), ratio_interval(cut, counts), found) if found else None

    def large(self) -> dict[str, Any]:
        """`recall` of plates with a scaled width of 24 pixels and more."""
        return self.recall(SMALL)


def overlaps(boxes: np.ndarray, box: Sequence[float]) -> np.ndarray:
    """Intersection over union of boxes ``(N, 4)`` or more columns with one: left, top, right, bottom; ``(N,)``."""
    box = np.asarray(box, np.float64)
    shared = (np.minimum(boxes[:, 2:4], box[2:]) - np.maximum(boxes[:, :2], box[:2])).clip(0).prod(1)
    area = (boxes[:, 2:4] - boxes[:, :2]).prod(1) + (box[2:] - box[:2]).prod()
    return shared / np.maximum(area - shared, 1e-9)


def inside(outline: np.ndarray, box: Sequence[float]) -> float:
    """The share of a convex outline's ``(4, 2)`` area that lies in a box: left, top, right, bottom."""
    shared, _ = cv2.intersectConvexConvex(outline.astype(np.float32), corners_of(box).astype(np.float32))
    return float(shared) / max(cv2.contourArea(outline.astype(np.float32)), 1e-9)


def found_plates(boxes: np.ndarray, plates: Sequence[PlateTruth]) -> np.ndarray:
    """Of each plate that is none to ignore, whether a box overlaps its own by `OVERLAP` or more; bool ``(K,)``."""
    told = []
    for plate in plates:
        if not plate.iscrowd:
            share = overlaps(boxes, ends_of(plate.bbox))
            told.append(len(share) > 0 and share.max() >= OVERLAP)
    return np.array(told, bool)


def ends_of(bbox: Sequence[float]) -> tuple[float, float, float, float]:
    """A box x, y, width, height as left, top, right, bottom."""
    x, y, w, h = bbox
    return x, y, x + w, y + h


Seen = Iterable[tuple[np.ndarray, list[PlateTruth]]]


def pictures_of(split: Dataset) -> Seen:
    """A split's pictures, uint8 ``(H, W, 3)`` RGB, whole and in their own size, with their plates."""
    for row in split:
        yield np.asarray(row["image"].convert("RGB")), plates_of(row)


def large_scenes(count: int, size: tuple[int, int] = (1920, 1080), seed: int = LARGE_SEED) -> Seen:
    """Rendered scenes of width and height ``size``, such as a camera of today sends."""
    for index in range(count):
        scene = scenes.render(seed, index, size)
        yield scene.image, [PlateTruth(each.bbox, each.corners) for each in scene.plates]


def look(name: str, find: Find, pictures: Seen, least: float = 0.0) -> Finds:
    """Have a detector look at every picture once."""
    found, truths, widths = [], [], []
    for rgb, plates in pictures:
        found.append(find(rgb, LEAST))
        truths.append(plates)
        scale = SCALED / max(rgb.shape[:2])
        widths.append(np.array([plate.bbox[2] * scale for plate in plates if not plate.iscrowd]))
    return Finds(name, found, truths, widths, least)


def choose_least(finds: Finds, false: float = FALSE) -> float:
    """The least confidence at which boxes that overlap no plate by half are at most ``false`` a picture on average."""
    wrong = []
    for boxes, plates in zip(finds.found, finds.truths, strict=True):
        real = [ends_of(plate.bbox) for plate in plates]  # what is to be ignored is not wrong either
        best = np.max([overlaps(boxes, box) for box in real], axis=0) if real else np.zeros(len(boxes))
        wrong.append(boxes[best < OVERLAP, 4])
    scores = np.sort(np.concatenate(wrong))[::-1]
    allowed = int(false * len(finds.found))
    return 0.0 if len(scores) <= allowed else float(np.nextafter(scores[allowed], np.float32(1), dtype=np.float32))


def judged(name: str, find: Find, validation: Dataset, test: Dataset) -> Finds:
    """Look at both splits; the confidence that counts is chosen on ``validation``, and ``test`` is looked at once."""
    return look(name, find, pictures_of(test), choose_least(look(name, find, pictures_of(validation))))


def finder(path: Path | None) -> Find:
    """The boxes of a detector's checkpoint or, for a folder, of the YOLOv5 trained in it; without a path, those round
    the regions of the shipped network.

    Raises:
        PlatesError: see `lib.detection.Detector.load`, `lib.yolo.load_yolo` and `lib.engine.Segmenter.load`.
    """
    if path is None:
        return RegionBoxes(Segmenter.load())
    return load_yolo(path).boxes if path.is_dir() else Detector.load(path).boxes


def frame_call(path: Path | None) -> Callable[[], np.ndarray]:
    """A call that looks at a frame of 640x480, for `lib.speeds.peak_memory`."""
    find, frame = finder(path), np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    return lambda: find(frame, LEAST)
