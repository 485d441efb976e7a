"""A plate's box to its four corners, by a landmark network on an expanded crop; and when its answer is not believed."""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import nn

from lib.landmarks import SIDE
from lib.portable import as_portable, started
from lib.regions import corners_of
from lib.transforms import GREY, to_input

EXPAND = 1.3  # the crop's sides, in sides of the box: the blog expands it, since a detector may cut the plate
LEAST_AREA = 0.25  # of the box: a plate seen at a slant fills less of its box, down to about this
LEAST_SIDE = 0.1  # of the box's shorter side


class Window(NamedTuple):
    """A part of a picture, in whole pixels, that may reach over its borders."""

    left: int
    top: int
    right: int
    bottom: int

    @classmethod
    def round(cls, box: Sequence[float], expand: float = EXPAND) -> "Window":
        """The window round a box left, top, right, bottom: ``expand`` times its sides, at least 2 pixels wide."""
        left, top, right, bottom = box
        x, y = (left + right) / 2, (top + bottom) / 2
        w, h = max(expand * (right - left), 2.0) / 2, max(expand * (bottom - top), 2.0) / 2
        return cls(int(np.floor(x - w)), int(np.floor(y - h)), int(np.ceil(x + w)), int(np.ceil(y + h)))

    @property
    def size(self) -> np.ndarray:
        """Width and height in pixels."""
        return np.array([self.right - self.left, self.bottom - self.top], np.float64)

    @property
    def outline(self) -> np.ndarray:
        """Its four corners, clockwise from the top left, float64 ``(4, 2)``."""
        return corners_of((self.left, self.top, self.right, self.bottom))

    def cut(self, rgb: np.ndarray) -> np.ndarray:
        """The window's pixels squashed to ``(SIDE, SIDE, 3)``; grey where it reaches over the picture's border."""
        height, width = rgb.shape[:2]
        left, top = min(max(self.left, 0), width), min(max(self.top, 0), height)
        right, bottom = min(max(self.right, left), width), min(max(self.bottom, top), height)
        inside = rgb[top:bottom, left:right]
        w, h = self.size.astype(int)
        if inside.shape[:2] != (h, w):
            whole = np.full((h, w, 3), GREY, np.uint8)
            whole[top - self.top : bottom - self.top, left - self.left : right - self.left] = inside
            inside = whole
        way = cv2.INTER_AREA if min(w, h) > SIDE else cv2.INTER_LINEAR
        return cv2.resize(inside, (SIDE, SIDE), interpolation=way)

    def place(self, shares: np.ndarray) -> np.ndarray:
        """Points as shares of the window's sides ``(..., 2)``, to pixels of the picture, float64."""
        return np.asarray(shares, np.float64) * self.size + (self.left, self.top)


def plausible(corners: np.ndarray, box: Sequence[float], window: Window) -> bool:
    """Whether corners ``(4, 2)``, in pixels, can be those of the plate in ``box`` that was looked for in ``window``.

    They must be finite, in the window (but for a twentieth of its sides), turn clockwise at every corner, and enclose
    neither too little nor lines: what fails is concealed as the whole window.
    """
    if not np.isfinite(corners).all():
        return False
    slack = 0.05 * window.size
    low, high = window.outline[0] - slack, window.outline[2] + slack
    if (corners < low).any() or (corners > high).any():
        return False
    sides = np.roll(corners, -1, axis=0) - corners
    after = np.roll(sides, -1, axis=0)
    turns = sides[:, 0] * after[:, 1] - sides[:, 1] * after[:, 0]  # all of one sign: convex; positive: clockwise
    width, height = box[2] - box[0], box[3] - box[1]
    area = cv2.contourArea(corners.astype(np.float32))
    long_enough = np.hypot(*sides.T).min() >= LEAST_SIDE * min(width, height)
    return bool((turns > 0).all() and area >= LEAST_AREA * width * height and long_enough)


class CornerFinder:
    """Boxes in a picture to quadrilaterals.

    Args:
        network: of `lib.landmarks`, in evaluation mode.
        expand: the crop's sides, in sides of the box, at least 1.
        portable: run it in ONNX Runtime.
    """

    def __init__(self, network: nn.Module, expand: float = EXPAND, portable: bool = True) -> None:
        self.expand = expand
        made = network.eval()
        self.network = started(lambda: as_portable(made, SIDE, varying=(0,)), made) if portable else made

    @torch.inference_mode()
    def __call__(self, rgb: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The quadrilaterals of the plates in ``boxes``.

        Args:
            rgb: uint8 ``(H, W, 3)``.
            boxes: ``(N, 4)`` or more columns: left, top, right, bottom in pixels.

        Returns:
            float64 ``(N, 4, 2)``, and bool ``(N,)``: whether each is the network's; the others are the whole window,
            since its answer was not `plausible`.
        """
        windows = [Window.round(box[:4], self.expand) for box in boxes]
        if not windows:
            return np.zeros((0, 4, 2)), np.zeros(0, bool)
        crops = torch.from_numpy(np.stack([window.cut(rgb) for window in windows])).permute(0, 3, 1, 2)
        shares = self.network(to_input(crops)).numpy()
        quads = np.stack([window.place(each) for window, each in zip(windows, shares, strict=True)])
        told = [plausible(*each) for each in zip(quads, boxes[:, :4], windows, strict=True)]
        believed = np.array(told, bool)
        whole = np.stack([window.outline for window in windows])
        return np.where(believed[:, None, None], quads, whole), believed


def corner_error(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The mean distance of four corners from the true ones, in plate widths (mean of the true top and bottom sides).

    Args:
        found, truth: ``(N, 4, 2)``.

    Returns:
        float64 ``(N,)``.
    """
    width = np.hypot(*(truth[:, [1, 2]] - truth[:, [0, 3]]).transpose(2, 0, 1)).mean(1)
    return np.hypot(*(found - truth).transpose(2, 0, 1)).mean(1) / width
