"""What is concealed round a plate as the view of it turns: a box against a quadrilateral, on the same finds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from datasets import Dataset

from lib.bootstrap import ratio_interval
from lib.conceal import Concealer
from lib.data import plates_of
from lib.masks import components
from lib.metrics import COVERED
from lib.regions import PlateTruth, rasterise
from lib.traits import ANGLES, bin_name, binned

HIDDEN = 0.05  # share of a plate that may be hidden: who knows what is behind an obstacle?
STEEP = 30.0  # degrees: "turned" where one number is asked for


@dataclass(frozen=True)
class Turned:
    """Plates whose view is known, as two methods concealed them; float64 arrays of one number a plate.

    Attributes:
        picture: which picture it is in.
        angle: degrees between the view and the plate's normal.
        plate: the plate's own pixels.
        background: method to concealed pixels that are no plate's, of the regions that reach into this one.
        covered: method to whether the plate is covered.
    """

    picture: np.ndarray
    angle: np.ndarray
    plate: np.ndarray
    background: dict[str, np.ndarray]
    covered: dict[str, np.ndarray]

    def chosen(self, which: np.ndarray) -> "Turned":
        """Some of the plates."""
        parts = ({key: each[which] for key, each in told.items()} for told in (self.background, self.covered))
        return Turned(self.picture[which], self.angle[which], self.plate[which], *parts)

    def less(self, one: str, other: str) -> tuple[float, tuple[float, float] | None]:
        """How much less background ``one`` conceals than ``other``, as a share, with its 95 % interval over pictures.

        Of the plates that both have covered; NaN where there are none.
        """
        both = self.chosen(self.covered[one] & self.covered[other])
        count = int(self.picture.max(initial=-1)) + 1
        mine, theirs = (np.bincount(both.picture, both.background[key], count) for key in (one, other))
        if not theirs.any():
            return np.nan, None
        share = ratio_interval(mine, theirs)
        return 1 - float(mine.sum() / theirs.sum()), share and (1 - share[1], 1 - share[0])


def turned(methods: Mapping[str, Concealer], split: Dataset) -> Turned:
    """Have methods conceal the pictures of a split whose plates' corners and views are known (the scenes).

    Plates that are partly hidden are left out.
    """
    rows: list[dict[str, Any]] = []
    for number, row in enumerate(split):
        rgb, objects = np.asarray(row["image"].convert("RGB")), row["objects"]
        plates = plates_of(row)
        told = [
            (plate, objects["angle"][k])
            for k, plate in enumerate(plates)
            if plate.corners is not None and objects["angle"][k] >= 0 and objects["occluded"][k] <= HIDDEN
        ]
        if not told:
            continue
        masks = {name: each.mask_from(each.probability(rgb)) for name, each in methods.items()}
        for plate, angle in told:
            own = {"picture": number, "angle": angle}
            for name, mask in masks.items():
                own[name] = around(mask, plate, plates)
            rows.append(own)
    background, covered = ({name: np.array([r[name][k] for r in rows]) for name in methods} for k in (0, 1))
    plate = np.array([r[next(iter(methods))][2] for r in rows], float)
    picture, angle = np.array([r["picture"] for r in rows], int), np.array([r["angle"] for r in rows], float)
    return Turned(picture, angle, plate, background, {name: each.astype(bool) for name, each in covered.items()})


def most_turned(split: Dataset, count: int, width: float = 60.0) -> list[int]:
    """The pictures of a split with the most turned plates that are whole and at least ``width`` pixels wide."""
    angles = []
    for row in split["objects"]:
        told = zip(row["angle"], row["bbox"], row["occluded"], strict=True)
        angles.append(max((angle for angle, box, hidden in told if box[2] >= width and hidden <= HIDDEN), default=-1.0))
    return np.argsort(angles, kind="stable")[::-1][:count].tolist()


def around(mask: np.ndarray, plate: PlateTruth, plates: Sequence[PlateTruth]) -> tuple[float, bool, float]:
    """What a mask, bool ``(H, W)``, conceals round one of a picture's plates.

    Returns:
        Pixels of no plate in the regions that reach into this one; whether it is covered; its own pixels.
    """
    own = rasterise(plate.outline, mask.shape)
    if own is None:
        return 0.0, False, 0.0
    others = np.zeros(mask.shape, bool)
    for each in plates:
        region = rasterise(each.outline, mask.shape)
        if region is not None:
            others[region.window] |= region.inside
    told = 0
    here = np.zeros(mask.shape, bool)
    here[own.window] = own.inside
    for part in components(mask):
        window = (part.rows, part.columns)
        if (here[window] & part.mask).any():
            told += int((part.mask & ~others[window]).sum())
    return float(told), own.share(mask) >= COVERED, float(own.inside.sum())


def by_angle(told: Turned, edges: Sequence[float] = ANGLES) -> dict[str, dict[str, Any]]:
    """Background concealed, in areas of the plate, by view: ``plates``, and for each method the mean and its interval.

    Of the plates that all methods have covered.
    """
    both = told.chosen(np.logical_and.reduce(list(told.covered.values())))
    bins = np.array([-1 if each is None else each for each in binned(both.angle.tolist(), edges)], int)
    groups = {}
    for number in sorted(set(bins.tolist())):
        some = both.chosen(bins == number)
        count = int(some.picture.max(initial=-1)) + 1
        area = np.bincount(some.picture, some.plate, count)
        row: dict[str, Any] = {"plates": len(some.angle)}
        for name, pixels in some.background.items():
            own = np.bincount(some.picture, pixels, count)
            row[name] = (float(own.sum() / area.sum()), ratio_interval(own, area))
        groups[bin_name(edges, number, "°")] = row
    return groups
