"""Boxes with confidences: from a detector's raw answer, into a map of probabilities, and scored against the plates."""

from collections.abc import Callable, Sequence
from math import ceil, floor

import cv2
import numpy as np
import torch
from pycocotools import mask
from torchvision.ops import nms

from lib.masks import components
from lib.regions import PlateTruth
from lib.transforms import scale_to

GREY = 114  # what YOLO pads with
LEAST = 0.005  # a surer box than this leaves a trace in the map of probabilities
OVERLAP = 0.7  # two boxes that overlap by more are one find (ultralytics' own value)
MOST = 300  # boxes a picture


def shrink(rgb: np.ndarray, side: int) -> tuple[np.ndarray, float]:
    """A picture, uint8 ``(H, W, 3)``, with its longer side made ``side`` pixels where it is longer; and the scale."""
    return scale_to(rgb, side) if max(rgb.shape[:2]) > side else (np.ascontiguousarray(rgb), 1.0)


def letterbox(rgb: np.ndarray, side: int) -> tuple[np.ndarray, float, int, int]:
    """Fit a picture, uint8 ``(H, W, 3)``, into a grey square without changing its proportions, as YOLO does.

    Returns:
        The square, uint8 ``(side, side, 3)``; the scale; the columns to the left and the rows above the picture.
    """
    small, scale = scale_to(rgb, side)
    height, width = small.shape[:2]
    square = np.full((side, side, 3), GREY, np.uint8)
    left, top = (side - width) // 2, (side - height) // 2
    square[top : top + height, left : left + width] = small
    return square, scale, left, top


def find_boxes(
    run: Callable[[np.ndarray], np.ndarray], picture: np.ndarray, side: int, confidence: float = 0.001
) -> np.ndarray:
    """The plates that a YOLO network finds.

    Args:
        run: the network, float32 ``(1, 3, side, side)`` in 0..1 to ``(1, 5, A)``: centre x, centre y, width, height in
            pixels of the square, confidence.
        picture: uint8 ``(H, W, 3)`` RGB.
        confidence: boxes below it are dropped.

    Returns:
        float32 ``(N, 5)``: left, top, right, bottom in pixels of the picture, clipped to it, and the confidence,
        highest first; of boxes that overlap by more than OVERLAP only the surest, at most MOST.
    """
    square, scale, left, top = letterbox(picture, side)
    raw = run(np.ascontiguousarray(square.transpose(2, 0, 1)[None], np.float32) / np.float32(255))[0]
    raw = raw[:, raw[4] >= confidence]
    centre, size = raw[:2], raw[2:4]
    corners = torch.from_numpy(np.concatenate([centre - size / 2, centre + size / 2]).T.copy())
    keep = nms(corners, torch.from_numpy(raw[4].copy()), OVERLAP)[:MOST].numpy()
    found = (corners.numpy()[keep] - (left, top, left, top)) / scale
    height, width = picture.shape[:2]
    found = found.clip(0, (width, height, width, height))
    return np.concatenate([found, raw[4][keep, None]], axis=1).astype(np.float32)


def paint(boxes: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """P(background) of every pixel: one minus the confidence of the surest box that holds it, 1 where none does.

    A box holds the pixels whose centre lies in it, and at least the one its middle lies in, as in `lib.regions`.

    Args:
        boxes: ``(N, 5)`` left, top, right, bottom in pixels and confidence in 0..1.
        shape: height and width of the picture.

    Returns:
        float32 ``(H, W)``.
    """
    background = np.ones(shape, np.float32)
    for left, top, right, bottom, confidence in boxes[np.argsort(boxes[:, 4], kind="stable")].tolist():
        rows, columns = _centres(top, bottom), _centres(left, right)
        if not rows or not columns:  # no pixel's centre
            rows, columns = (
                range(floor(middle), floor(middle) + 1) for middle in ((top + bottom) / 2, (left + right) / 2)
            )
        window = tuple(slice(max(one.start, 0), max(one.stop, 0)) for one in (rows, columns))
        background[window] = 1 - confidence  # a surer box comes later and is painted over this one
    return background


def _centres(low: float, high: float) -> range:
    """The pixels of a row whose centre lies between two edges, the lower one included."""
    return range(ceil(low - 0.5), ceil(high - 0.5))


class BoxSegmenter:
    """A detector in the place of a segmentation network: picture in, P(background) out (`paint`).

    Args:
        find: from a picture, uint8 ``(H, W, 3)`` RGB, and a least confidence to boxes ``(N, 5)``.
        name: what reports call it.
        threshold, growth: as those of `lib.engine.Segmenter`.

    Attributes:
        last: the boxes of the picture it was called with last; None before.
    """

    last: np.ndarray | None = None

    def __init__(
        self,
        find: Callable[[np.ndarray, float], np.ndarray],
        name: str,
        threshold: float = 0.5,
        growth: float = 0.0,
    ) -> None:
        self.find, self.name, self.threshold, self.growth = find, name, threshold, growth

    def __call__(self, rgb: np.ndarray) -> np.ndarray:
        """P(background), float32 ``(H, W)``, of a picture, uint8 ``(H, W, 3)`` RGB."""
        self.last = self.find(rgb, LEAST)
        return paint(self.last, rgb.shape[:2])


def boxes_of(
    background: np.ndarray,
    threshold: float,
    statistic: Callable[[np.ndarray], float] = np.mean,
    edge: float = 0.0,
) -> np.ndarray:
    """The boxes round what a segmentation network would conceal: one for each region, its P(plate) as confidence.

    Args:
        background: P(background), float ``(H, W)``.
        threshold: of P(background).
        statistic: what stands for a region's P(background): the mean; `numpy.min` for its surest pixel.
        edge: a box ends where a region's P(plate) falls below this share of its surest pixel's, as the width of a peak
            is told at half of its height; 0: where the region ends.

    Returns:
        float32 ``(N, 5)``, highest confidence first.
    """
    found = []
    for part in components(background < threshold):
        here = background[part.rows, part.columns]
        held = part.mask & (1 - here >= edge * (1 - here[part.mask].min()))
        x, y, w, h = cv2.boundingRect(held.view(np.uint8))
        left, top = part.columns.start + x, part.rows.start + y
        found.append((left, top, left + w, top + h, 1 - statistic(here[part.mask])))
    boxes = np.array(found, np.float32).reshape(-1, 5)
    return boxes[np.argsort(-boxes[:, 4], kind="stable")]


def average_precision(
    found: Sequence[np.ndarray], truths: Sequence[Sequence[PlateTruth]], overlap: float = 0.5, resamples: int = 200
) -> tuple[float, tuple[float, float]] | None:
    """Average precision of one class, COCO's: overlaps by pycocotools, precision read at 101 recalls.

    It asks for boxes in the right places in the right order of confidence. With the one class that there is it
    is also the mean average precision at this overlap, mAP@0.5.

    Args:
        found: each picture's boxes ``(N, 5)``.
        truths: each picture's plates; what is found in a crowd region counts neither way.
        overlap: the least intersection over union of a find.
        resamples: draws of the bootstrap over pictures.

    Returns:
        It and its 95 % interval; None where there is no plate.
    """
    matched = [_match(boxes, plates, overlap) for boxes, plates in zip(found, truths, strict=True)]
    plates = np.array([count for _, _, count in matched])
    if not plates.any():
        return None
    score = np.concatenate([s for s, _, _ in matched])
    picture = np.repeat(np.arange(len(matched)), [len(s) for s, _, _ in matched])
    order = np.argsort(-score, kind="stable")
    hit, picture = np.concatenate([h for _, h, _ in matched])[order], picture[order]
    random = np.random.default_rng(0)
    draws = random.multinomial(len(matched), np.full(len(matched), 1 / len(matched)), size=resamples)
    drawn = [_area(hit, w[picture], w @ plates) for w in draws if w @ plates]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return _area(hit, np.ones(len(hit)), plates.sum()), (float(low), float(high))


def _match(boxes: np.ndarray, plates: Sequence[PlateTruth], overlap: float) -> tuple[np.ndarray, np.ndarray, int]:
    """A picture's confidences, whether each is a find, and how many plates it has."""
    real, crowd = ([p.bbox for p in plates if p.iscrowd == crowd] for crowd in (False, True))
    boxes = boxes[np.argsort(-boxes[:, 4], kind="stable")][:MOST]
    sides = np.concatenate([boxes[:, :2], boxes[:, 2:4] - boxes[:, :2]], axis=1).astype(np.float64)
    hit, kept, free = np.zeros(len(boxes), bool), np.ones(len(boxes), bool), np.ones(len(real), bool)
    share = mask.iou(sides, np.array(real, np.float64), [0] * len(real)) if len(real) and len(boxes) else None
    ignored = mask.iou(sides, np.array(crowd, np.float64), [1] * len(crowd)) if len(crowd) and len(boxes) else None
    for number in range(len(boxes)):
        best = np.where(free, share[number], -1.0) if share is not None else np.array([-1.0])
        if best.max() >= overlap:
            hit[number], free[best.argmax()] = True, False
        elif ignored is not None and ignored[number].max() >= overlap:
            kept[number] = False
    return boxes[kept, 4], hit[kept], len(real)


def _area(hit: np.ndarray, weight: np.ndarray, plates: float) -> float:
    """Precision, made to fall only, averaged over 101 recalls; finds are in the order of their confidence."""
    true, all_ = np.cumsum(weight * hit), np.cumsum(weight)
    precision = np.divide(true, all_, out=np.zeros_like(true, float), where=all_ > 0)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    place = np.searchsorted(true / plates, np.linspace(0, 1, 101), side="left")
    return float(np.append(precision, 0.0)[np.minimum(place, len(precision))].mean())
