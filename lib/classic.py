"""Plates without a network: edges, colour and connected components (the paper's section 2.1), with OpenCV.

Two old ideas propose boxes: many upright edges close together, joined into a bar (Du et al. 2012 survey
both), and a patch of a plate's colour, white or yellow. Seven measurements of each box, among them how many components
look like characters, become one probability by a logistic regression on training pictures: eight numbers in all.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from datasets import Dataset
from torchvision.ops import box_iou, nms

from lib.boxes import shrink
from lib.data import plates_of
from lib.settings import PlatesError

SIDE = 640  # longer side of a picture while it is searched, pixels
BARS = ((9, 3), (17, 5), (33, 7))  # closings that join characters of small, middle and large plates: width, height
SHAPE = (1.2, 8.0)  # width / height of a box that may be a plate
SMALLEST, LARGEST = (10, 5), 0.4  # pixels of a box; share of the picture's area
MOST = 60  # boxes of a picture that are measured, those with most edges
FIND = 0.4  # a box that overlaps a plate by as much (intersection over union) is taught as one
MEASURED = ("edges", "edges against around", "colour", "colour against around", "filled", "shape", "characters")


@dataclass(frozen=True)
class Views:
    """What is searched, all uint8 or bool ``(h, w)``: brightness, upright edges, pixels of a plate's colour."""

    grey: np.ndarray
    edges: np.ndarray
    coloured: np.ndarray


def look(rgb: np.ndarray) -> Views:
    """The views of a picture, uint8 ``(h, w, 3)`` RGB."""
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    smooth = cv2.GaussianBlur(grey, (3, 3), 0)
    edges = cv2.convertScaleAbs(cv2.Sobel(smooth, cv2.CV_16S, 1, 0))
    hue, saturation, value = cv2.split(cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV))  # hue 0..179
    bright = value > max(90, int(np.median(value)))
    yellow = (hue > 12) & (hue < 38) & (saturation > 80)
    return Views(grey, edges, bright & ((saturation < 70) | yellow))


def bars(views: Views) -> Iterator[np.ndarray]:
    """Edges joined into bars, uint8 0 or 1 ``(h, w)``: one map for each size of plate."""
    strong = (views.edges > max(40.0, float(np.quantile(views.edges, 0.9)))).astype(np.uint8)
    for width, height in BARS:
        closed = cv2.morphologyEx(strong, cv2.MORPH_CLOSE, np.ones((height, width), np.uint8))
        yield cv2.morphologyEx(closed, cv2.MORPH_OPEN, np.ones((height, width // 2), np.uint8))


def patches(views: Views) -> np.ndarray:
    """Patches of a plate's colour with the characters filled in, uint8 0 or 1 ``(h, w)``."""
    return cv2.morphologyEx(views.coloured.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 5), np.uint8))


def propose(views: Views) -> np.ndarray:
    """Boxes that may be plates, float32 ``(N, 5)``: left, top, right, bottom, and how much of them is filled."""
    found, area = [], views.grey.size
    for shape in (*bars(views), patches(views)):
        _, _, stats, _ = cv2.connectedComponentsWithStats(shape, connectivity=8)
        x, y, w, h, filled = stats[1:].T.astype(np.float32)
        fits = (w >= SMALLEST[0]) & (h >= SMALLEST[1]) & (w * h <= LARGEST * area) & (filled > 0.35 * w * h)
        fits &= (w >= SHAPE[0] * h) & (w <= SHAPE[1] * h)
        found.append(np.stack([x, y, x + w, y + h, filled / (w * h)], axis=1)[fits])
    boxes = np.concatenate(found)
    summed = cv2.integral(views.edges)
    x0, y0, x1, y1 = boxes[:, :4].astype(int).T
    inside = (summed[y1, x1] - summed[y0, x1] - summed[y1, x0] + summed[y0, x0]) / np.maximum((x1 - x0) * (y1 - y0), 1)
    return boxes[np.argsort(-inside, kind="stable")[:MOST]]


def measure(views: Views, boxes: np.ndarray) -> np.ndarray:
    """The measurements MEASURED of boxes ``(N, 5)``, float64 ``(N, 7)``."""
    height, width = views.grey.shape
    rows = []
    for x0, y0, x1, y1, filled in boxes.tolist():
        x0, y0, x1, y1 = int(x0), int(y0), int(x1), int(y1)
        w, h = x1 - x0, y1 - y0
        around = (
            slice(max(y0 - h // 2, 0), min(y1 + h // 2, height)),
            slice(max(x0 - h // 2, 0), min(x1 + h // 2, width)),
        )
        inside = slice(y0, y1), slice(x0, x1)
        edges, near = views.edges[inside].mean(), views.edges[around].mean()
        colour, beside = views.coloured[inside].mean(), views.coloured[around].mean()
        shape = abs(np.log(w / h / 3.5))
        rows.append(
            (edges / 64, edges / (near + 1), colour, colour - beside, filled, shape, characters(views.grey[inside]) / 8)
        )
    return np.array(rows, np.float64).reshape(-1, len(MEASURED))


def characters(grey: np.ndarray) -> int:
    """How many components of a box, uint8 ``(h, w)``, are as high and narrow as characters; at most 8 count."""
    h, w = grey.shape
    scale = max(1.0, 24 / h)
    large = cv2.resize(grey, (round(w * scale), round(h * scale)), interpolation=cv2.INTER_LINEAR)
    best = 0
    for kind in (cv2.THRESH_BINARY, cv2.THRESH_BINARY_INV):  # light on dark, dark on light
        _, ink = cv2.threshold(large, 0, 1, kind | cv2.THRESH_OTSU)
        _, _, stats, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
        wide, high = stats[1:, cv2.CC_STAT_WIDTH], stats[1:, cv2.CC_STAT_HEIGHT]
        best = max(best, int(((high > 0.35 * len(large)) & (high < 0.98 * len(large)) & (wide < 1.1 * high)).sum()))
    return min(best, 8)


@dataclass(frozen=True)
class Classic:
    """The finder: eight numbers, and no network.

    Attributes:
        weights: float64 ``(8,)``: one for each of MEASURED, standardised, and the constant.
        mean, spread: float64 ``(7,)`` of the measurements in training.
        boxes_seen, plates_seen: how many proposed boxes it was fitted to, and how many of them were plates.
    """

    weights: np.ndarray
    mean: np.ndarray
    spread: np.ndarray
    boxes_seen: int
    plates_seen: int

    @classmethod
    def fit(cls, split: Dataset, pictures: int = 400, seed: int = 0) -> "Classic":
        """Fit the regression to the boxes proposed in training pictures.

        Args:
            split: `lib.data.load_plates`'s ``train``.
            pictures: at most this many of them, drawn with ``seed``.

        Raises:
            PlatesError: no proposed box is a plate, or all are: there is nothing to tell apart.
        """
        count = min(pictures, len(split))
        drawn = split.select(np.sort(np.random.default_rng(seed).permutation(len(split))[:count]).tolist())
        told, right = [], []
        for row in drawn:
            small, scale = shrink(np.asarray(row["image"].convert("RGB")), SIDE)
            views = look(small)
            boxes = propose(views)
            told.append(measure(views, boxes))
            right.append(_finds(boxes, [p.bbox for p in plates_of(row) if not p.iscrowd], scale))
        x, y = np.concatenate(told), np.concatenate(right)
        if not 0 < y.sum() < len(y):
            raise PlatesError(f"{int(y.sum())} of {len(y)} proposed boxes are plates; give more training pictures.")
        mean, spread = x.mean(axis=0), x.std(axis=0) + 1e-9
        return cls(logistic((x - mean) / spread, y), mean, spread, len(y), int(y.sum()))

    def boxes(self, picture: np.ndarray, confidence: float = 0.001) -> np.ndarray:
        """Find plates in a picture, uint8 ``(H, W, 3)`` RGB.

        Returns:
            float32 ``(N, 5)``: left, top, right, bottom in pixels of the picture, and the probability that such a box
            is a plate, highest first; boxes below ``confidence`` are dropped, and of overlapping ones all but one.
        """
        small, scale = shrink(picture, SIDE)
        views = look(small)
        proposed = propose(views)
        x = (measure(views, proposed) - self.mean) / self.spread
        sure = (1 / (1 + np.exp(-(x @ self.weights[:-1] + self.weights[-1])))).astype(np.float32)
        corners = proposed[:, :4].astype(np.float32)
        keep = nms(torch.from_numpy(corners.copy()), torch.from_numpy(sure), 0.3).numpy()
        keep = keep[sure[keep] >= confidence]
        return np.concatenate([corners[keep] / np.float32(scale), sure[keep, None]], axis=1)


def logistic(x: np.ndarray, y: np.ndarray, ridge: float = 1.0, rounds: int = 30) -> np.ndarray:
    """Logistic regression by Newton's method (iteratively reweighted least squares).

    Args:
        x: float64 ``(N, K)``; y: bool or 0..1 ``(N,)``.
        ridge: pulls the weights, not the constant, to 0, so that a perfect split has an answer.

    Returns:
        float64 ``(K + 1,)``: weights, then the constant.
    """
    x = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    pull = np.diag([ridge] * (x.shape[1] - 1) + [1e-9])
    weights = np.zeros(x.shape[1])
    for _ in range(rounds):
        p = 1 / (1 + np.exp(-np.clip(x @ weights, -30, 30)))
        step = np.linalg.solve((x.T * (p * (1 - p))) @ x + pull, x.T @ (y - p) - pull @ weights)
        weights = weights + step
        if np.abs(step).max() < 1e-9:
            break
    return weights


def _finds(boxes: np.ndarray, plates: Sequence[Sequence[float]], scale: float) -> np.ndarray:
    """Which boxes ``(N, 5)`` of the shrunken picture overlap a plate (x, y, w, h in the whole one), bool ``(N,)``."""
    if not len(plates) or not len(boxes):
        return np.zeros(len(boxes), bool)
    real = torch.tensor([[x, y, x + w, y + h] for x, y, w, h in plates], dtype=torch.float32) * scale
    return (box_iou(torch.from_numpy(boxes[:, :4].copy()), real).max(dim=1).values >= FIND).numpy()
