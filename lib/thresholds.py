"""One look at every picture, then every threshold: how high it must be to cover each plate, and what that conceals.

A pixel is concealed where P(background) < t. So a plate has one number, the P(background) below which 95 % of its
outline's pixels lie or at which they end: at every t above that number it is covered, at every other it is not.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

import cv2
import numpy as np
import torch
from datasets import Dataset
from torch import nn

from lib.audit import geometry
from lib.bootstrap import ratio_interval
from lib.data import plates_of
from lib.metrics import COVERED, HIDDEN, MISSED
from lib.regions import PlateTruth, clear_near, rasterise
from lib.settings import PlatesError

THRESHOLDS = np.arange(1, 201) / 200  # 0.005 to 1; holds 0.1, 0.2, 0.4 as Python writes them
REACHES = ("touched", "half", "covered", "hidden")  # columns of P(background), see `Sweep`
Told = tuple[float | None, tuple[float, float] | None]  # a share and its 95 % interval, None where it cannot be told
Network = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Sweep:
    """Pictures and their plates, ready to be asked about any threshold.

    Attributes:
        plates: columns of one length P, a row a plate, regions to ignore left out. ``picture`` (row of ``pictures``),
            ``number`` (place in its picture's objects), ``width`` (scaled to a longer side of 640), ``red``, ``green``,
            ``blue`` (medians inside the outline, 0..1), ``tilt`` (degrees from the horizontal in the picture, 0..90),
            ``angle`` (degrees from the camera's direction), ``occluded`` (share), NaN where unknown; ``look``, ``''``
            where unknown. And the P(background), 0..1, that must be below a threshold for any pixel of the outline
            (``touched``), half of them (``half``) and 95 % of them (``covered``) to be concealed, and for 90 % of
            every character (``hidden``, NaN where no character is known).
        pictures: columns of one length N: ``image_id``, ``light`` (``''`` unknown), ``luminance`` (mean, 0..1),
            ``sharpness`` (variance of the Laplacian, Pech-Pacheco et al. 2000), ``pixels`` and ``background`` (counts,
            without ignored ones; background is outside every box).
        thresholds: (T,) increasing, the ones at which cover is counted.
        false, stray: int64 (N, T), pixels concealed outside every box, and farther than half a plate height from every
            labelled plate.
    """

    plates: dict[str, np.ndarray]
    pictures: dict[str, np.ndarray]
    thresholds: np.ndarray
    false: np.ndarray
    stray: np.ndarray

    def plate_share(self, marked: np.ndarray, kept: np.ndarray | None = None) -> Told:
        """The share of the plates ``kept`` (bool (P,), None: all) that are ``marked`` (bool (P,)), with its interval.

        The interval is a bootstrap over pictures (`lib.bootstrap`), since plates of one picture go together.
        """
        kept = np.ones(len(marked), bool) if kept is None else kept
        top, below = (
            np.bincount(self.plates["picture"][which], minlength=len(self.false)).astype(float)
            for which in (kept & marked, kept)
        )
        return (float(top.sum() / below.sum()), ratio_interval(top, below)) if kept.any() else (None, None)

    def picture_share(self, marked: np.ndarray, kept: np.ndarray | None = None) -> Told:
        """The same for pictures, bool (N,)."""
        kept = np.ones(len(marked), bool) if kept is None else kept
        if not kept.any():
            return None, None
        top, below = (kept & marked).astype(float), kept.astype(float)
        return float(top.sum() / below.sum()), ratio_interval(top, below)

    def covers(self, threshold: float, column: str = "covered") -> np.ndarray:
        """Which plates are covered (or what else `REACHES` names) at a threshold, bool (P,)."""
        return self.plates[column] < threshold  # NaN compares false: unknown characters are not hidden

    def coverage(self, threshold: float, kept: np.ndarray | None = None) -> Told:
        """Covered plates / plates, of those ``kept``."""
        return self.plate_share(self.covers(threshold), kept)

    def coverages(self, kept: np.ndarray | None = None, column: str = "covered") -> np.ndarray:
        """The share of the plates ``kept`` that are covered at each of ``thresholds``, (T,); NaN without a plate."""
        values = self.plates[column] if kept is None else self.plates[column][kept]
        values = values[~np.isnan(values)]  # characters nobody has labelled
        return (values[:, None] < self.thresholds).mean(0) if len(values) else np.full(len(self.thresholds), np.nan)

    def cover(self, kind: str, threshold: float, kept: np.ndarray | None = None) -> Told:
        """False or stray cover at one of ``thresholds``, of the pictures ``kept`` (bool (N,), None: all).

        Args:
            kind: ``"false"``, a share of the pixels outside the boxes, or ``"stray"``, a share of all pixels.

        Raises:
            PlatesError: the threshold is not among ``thresholds``.
        """
        kept = slice(None) if kept is None else kept
        top, below = getattr(self, kind)[kept, self.index(threshold)].astype(float), self._whole(kind)[kept]
        return (float(top.sum() / below.sum()), ratio_interval(top, below)) if below.any() else (None, None)

    def covers_curve(self, kind: str, kept: np.ndarray | None = None) -> np.ndarray:
        """False or stray cover at each of ``thresholds``, (T,)."""
        kept = slice(None) if kept is None else kept
        return getattr(self, kind)[kept].sum(0) / max(self._whole(kind)[kept].sum(), 1)

    def _whole(self, kind: str) -> np.ndarray:
        return self.pictures["background" if kind == "false" else "pixels"].astype(float)

    def index(self, threshold: float) -> int:
        """The place of a threshold in ``thresholds``.

        Raises:
            PlatesError: it is not among them.
        """
        found = np.flatnonzero(np.isclose(self.thresholds, threshold, rtol=0, atol=1e-9))
        if not len(found):
            raise PlatesError(f"threshold {threshold:g} was not counted; choose one of Sweep.thresholds.")
        return int(found[0])

    def threshold_for(self, goal: float) -> float | None:
        """The least of ``thresholds`` at which the coverage is ``goal`` (0..1) or more; None where none reaches it."""
        reached = np.flatnonzero(self.coverages() >= goal - 1e-12)
        return float(self.thresholds[reached[0]]) if len(reached) else None


def needed(background: np.ndarray, share: float) -> float:
    """The P(background) that a threshold must exceed for ``share`` (0..1, at least one) of these pixels to go.

    Args:
        background: P(background), any shape, at least one pixel.
    """
    place = max(ceil(share * background.size - 1e-9), 1) - 1
    return float(np.partition(background, place, axis=None)[place])


def sweep(dataset: Dataset, network: Network, thresholds: np.ndarray = THRESHOLDS) -> Sweep:
    """Look at every picture once, whole and in its own size (the full-frame protocol), one in memory at a time.

    What is concealed is the bare threshold: no growth and no filled holes, which `lib.conceal` adds and which would
    hide what the probability says.

    Args:
        dataset: a split as `lib.data` gives it.
        network: from (H, W, 3) uint8 RGB to (H, W) P(background), such as `lib.engine.Segmenter`.

    Raises:
        PlatesError: the split holds no plate.
    """
    plates: list[dict[str, object]] = []
    pictures: list[dict[str, object]] = []
    false, stray = [], []
    for row in dataset:
        rgb = np.asarray(row["image"])
        background = np.asarray(network(rgb))
        truths, objects = plates_of(row), row["objects"]
        plate, crowd = np.zeros(rgb.shape[:2], bool), np.zeros(rgb.shape[:2], bool)
        for number, truth in enumerate(truths):
            box = rasterise(truth.box, plate.shape)
            if box is None:
                continue  # outside of the picture
            (crowd if truth.iscrowd else plate)[box.window] |= box.inside
            if not truth.iscrowd:
                facts = {key: objects[key][number] for key in ("look", "angle", "occluded")}
                place = {"picture": len(pictures), "number": number}
                plates.append(place | facts | _plate(truth, rgb, background))
        counted = ~crowd | plate
        far = counted.copy()
        for truth in truths:
            clear_near(far, truth)
        false.append(_below(background[counted & ~plate], thresholds))
        stray.append(_below(background[far], thresholds))
        grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
        scale = 640 / max(grey.shape)  # sharpness depends on the size; larger pictures are brought to one
        small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else grey
        pictures.append(
            {
                "image_id": row["image_id"],
                "light": row["light"],
                "luminance": grey.mean() / 255,
                "sharpness": cv2.Laplacian(small, cv2.CV_64F).var(),
                "pixels": np.count_nonzero(counted),
                "background": np.count_nonzero(counted & ~plate),
            }
        )
    if not plates:
        raise PlatesError(
            "no picture of this split has a plate, so no threshold can be judged; give labelled pictures."
        )
    columns = {key: np.array([one[key] for one in plates]) for key in plates[0]}
    for key in ("angle", "occluded"):
        columns[key] = np.where(columns[key] < 0, np.nan, columns[key])
    facts = {key: np.array([one[key] for one in pictures]) for key in pictures[0]}
    return Sweep(columns, facts, thresholds, np.array(false), np.array(stray))


@torch.inference_mode()
def sweep_prior(dataset: Dataset, prior: nn.Module) -> Sweep:
    """The same for a model that says of every picture what `lib.models.LocationPrior` says, at thresholds of its own.

    Its P(background) is high everywhere, so the thresholds are 201 quantiles of it, and 1.
    """
    background = prior(torch.zeros(1, 3, 1, 1)).float().softmax(1)[0, 0].cpu().numpy()
    steps = np.unique([*np.quantile(background, np.linspace(0, 1, 201)), 1.0])
    return sweep(dataset, lambda rgb: cv2.resize(background, rgb.shape[1::-1]), steps)


def _plate(truth: PlateTruth, rgb: np.ndarray, background: np.ndarray) -> dict[str, float]:
    size = background.shape
    region = rasterise(truth.outline, size) or rasterise(truth.box, size)
    own = background[region.window][region.inside]
    shares = {"touched": 0.0, "half": MISSED, "covered": COVERED}
    letters = [part for part in (rasterise(quad, size) for quad in truth.characters) if part is not None]
    reached = [needed(background[part.window][part.inside], HIDDEN) for part in letters]
    tilt = np.nan if truth.corners is None else geometry(truth.outline, size[::-1])[0]
    colour = np.median(rgb[region.window][region.inside], axis=0) / 255
    return {
        "width": truth.bbox[2] * 640 / max(size),
        "tilt": min(tilt, 180 - tilt),  # upside down is not tilted; NaN stays
        **dict(zip(("red", "green", "blue"), colour.tolist(), strict=True)),
        **{key: needed(own, share) for key, share in shares.items()},
        "hidden": max(reached, default=np.nan),
    }


def _below(background: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """How many of these pixels are below each threshold, int64 (T,)."""
    first = np.searchsorted(thresholds, background, side="right")  # the first threshold above the pixel
    return np.bincount(first, minlength=len(thresholds) + 1)[: len(thresholds)].cumsum()
