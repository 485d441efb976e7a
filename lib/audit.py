"""An audit of a data set: sizes and tilt of its plates, where they are, what a crop does to them, chance levels."""

import numpy as np
import torch
from datasets import Dataset, DatasetDict
from torch import Tensor

from lib.data import plates_of
from lib.pictures import Pictures
from lib.regions import rasterise
from lib.transforms import SIDE, Augment

FATES = ("whole", "cut", "gone")


def labels(data: DatasetDict) -> dict[str, np.ndarray]:
    """Every labelled plate of every split, regions to ignore left out, as columns of one length:

    ``split`` and ``source`` (names), ``picture`` (number, counted through all splits), ``scaled_width`` (pixels after
    the picture's longer side is scaled to 640), and where all four corners are known and in the picture, else NaN:
    ``tilt`` (degrees, 0..180, between the reading direction and the horizontal) and ``beside`` (the share, 0..1, of
    the corners' axis-aligned box that is not plate).
    """
    rows, number = [], 0
    for split, part in data.items():
        for row in part.remove_columns("image"):
            size = row["width"], row["height"]
            for plate in plates_of(row):
                if not plate.iscrowd:
                    width = plate.bbox[2] * 640 / max(size)
                    tilt, beside = (np.nan, np.nan) if plate.corners is None else geometry(plate.outline, size)
                    rows.append((split, row["source"], number, width, tilt, beside))
            number += 1
    names = ("split", "source", "picture", "scaled_width", "tilt", "beside")
    columns = zip(*rows, strict=True) if rows else [[]] * len(names)
    return {name: np.array(column) for name, column in zip(names, columns, strict=True)}


def geometry(corners: np.ndarray, size: tuple[int, int]) -> tuple[float, float]:
    """Tilt and share beside the plate, as `labels` explains them, of corners (4, 2) in a picture of (width, height)."""
    low, high = corners.min(axis=0), corners.max(axis=0)
    if (low < -0.5).any() or (high > np.add(size, 0.5)).any() or (high <= low).any():
        return np.nan, np.nan  # half a pixel: annotations round
    top_left, top_right, bottom_right, bottom_left = corners
    right, down = top_right - top_left + bottom_right - bottom_left, np.roll(corners, -1, axis=0)
    area = abs(np.sum(corners[:, 0] * down[:, 1] - corners[:, 1] * down[:, 0])) / 2  # the shoelace formula
    return abs(float(np.degrees(np.arctan2(right[1], right[0])))), float(1 - area / np.prod(high - low))


def frequency(split: Dataset, side: int = SIDE) -> tuple[np.ndarray, np.ndarray]:
    """How often each place is plate, and how much of each picture is, with box masks of ``side`` x ``side`` pixels.

    Returns:
        float64 (side, side), the share of pictures in which that pixel is plate: the location prior; and float64
        (N,), each picture's share of plate pixels.
    """
    total, shares = np.zeros((side, side), np.int64), []
    for row in split.remove_columns("image"):
        mask = np.zeros((side, side), bool)
        for plate in plates_of(row):
            box = plate.scaled(side / row["width"], side / row["height"]).box
            region = None if plate.iscrowd else rasterise(box, mask.shape)
            if region is not None:
                mask[region.window] |= region.inside
        total += mask
        shares.append(mask.mean())
    return total / max(len(shares), 1), np.array(shares)


def paint(prior: np.ndarray, truth: np.ndarray, share: float) -> tuple[float, float]:
    """A and A1 (pooled, 0..1) of a model that never looks: it paints that share of each picture as plate, where
    ``prior`` is highest; 0 is the all-background model.

    Args:
        prior, truth: maps of `frequency`, of the pictures it has learnt from and of those it is scored on.
    """
    painted = np.zeros(prior.size, bool)
    painted[np.argsort(-prior, axis=None, kind="stable")[: round(share * prior.size)]] = True
    truth = truth.ravel()
    on_plate = float(truth[painted].sum() / truth.sum()) if truth.any() else float("nan")
    return float(np.where(painted, truth, 1 - truth).mean()), on_plate


def mirrored(hashes: np.ndarray) -> np.ndarray:
    """The 8x8 difference hashes, uint64 (N,), of the same pictures mirrored left to right.

    A step from dark to bright becomes one from bright to dark, at the mirrored place. Exact but for neighbours of
    equal brightness, which count as "not darker" both ways.
    """
    bits = np.unpackbits(hashes.astype(">u8").view(np.uint8)).reshape(-1, 8, 8)
    return np.packbits(1 - bits[:, :, ::-1]).view(">u8").astype(np.uint64)


def fates(before: Tensor, after: Tensor) -> np.ndarray:
    """What a crop did to each plate: index into `FATES`, (B, K), -1 where ``before`` has no plate.

    Args:
        before, after: boxes (B, K, 4) as shares of the picture and, clipped, of the crop, as `Augment` gives them.
            A plate that meets the crop's border, and not the picture's, was cut.
    """

    def extent(boxes: Tensor) -> Tensor:
        return (boxes[..., 2:] - boxes[..., :2]).prod(-1)

    def at_border(boxes: Tensor) -> Tensor:
        return (boxes[..., :2] <= 0).any(-1) | (boxes[..., 2:] >= 1).any(-1)

    fate = (at_border(after) & ~at_border(before)).long()
    fate[extent(after) <= 0] = 2
    fate[extent(before) <= 0] = -1
    return fate.numpy()


def crop_plates(pictures: Pictures, draws: int = 4) -> dict[str, np.ndarray]:
    """What the paper's random crop does: ``draws`` seeded crops of each of N pictures with up to K plates.

    Returns:
        ``fate`` (draws, N, K) as `fates` gives it; ``width`` (draws, N, K) and ``whole_width`` (N, K), plate widths
        in pixels of the network's input, cropped (0 where gone) and in the full frame; ``share`` (draws,
        N), of plate pixels.
    """
    every, found = torch.arange(len(pictures)), {"fate": [], "width": [], "share": []}
    for number in range(draws):
        _, masks, boxes = Augment()(pictures, every, every + number * len(pictures))
        fate = fates(pictures.boxes, boxes)
        found["fate"].append(fate)
        found["width"].append(SIDE * (boxes[..., 2] - boxes[..., 0]).numpy() * (fate != 2))  # a crop above it spans it
        found["share"].append(masks.float().mean(dim=(1, 2)).numpy())
    whole = SIDE * (pictures.boxes[..., 2] - pictures.boxes[..., 0]).numpy()
    return {name: np.stack(values) for name, values in found.items()} | {"whole_width": whole}
