"""One accumulator behind every figure quoted."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from lib.bootstrap import ratio_interval
from lib.curves import ThresholdCurve
from lib.regions import PlateTruth, Region, clear_near, rasterise

__all__ = ["METRICS", "Accumulator", "PictureRow", "PlateRow", "PlateTruth", "ThresholdCurve"]

COVERED, MISSED, HIDDEN = 0.95, 0.5, 0.9  # shares concealed: of a covered plate, a missed one, a hidden character
SMALL = 24  # a plate of less scaled width is small
METRICS = (
    "accuracy",
    "on_plate_accuracy",
    "on_plate_accuracy_pooled",
    "coverage",
    "exposed",
    "missed",
    "false_cover",
    "stray_cover",
    "iou",
    "ms_per_image",
)


class PictureRow(NamedTuple):
    """One picture's pixel counts; None where nothing was concealed or timed."""

    image_id: int
    source: str
    pixels: int  # all but the ignored ones
    plate_pixels: int  # in a plate's box
    predicted: int  # predicted plate
    hits: int  # predicted plate, in a plate's box
    false: int | None = None  # concealed, in no plate's box
    stray: int | None = None
    seconds: float | None = None


class PlateRow(NamedTuple):
    """One plate: the index of its picture's row, its scaled width, and what was done to it."""

    picture: int
    width: float
    concealed: float  # share of its outline's pixels
    character: float | None  # share of its least concealed character; None when no character is known
    plate_pixels: int  # in its box
    hits: int


class Accumulator:
    """Counts per picture and per plate, from which every metric, any grouping and its interval follow.

    Every metric is a ratio of two sums over pictures:

    - ``accuracy`` (A): pixels predicted right / pixels, pooled (for pictures of one size this is the mean per picture);
    - ``on_plate_accuracy`` (A1 of the paper, section 4.4): the share of plate pixels predicted plate, per picture that
      has any, then the mean; ``on_plate_accuracy_pooled`` (the authors' code): over all plate pixels at once;
    - ``iou``: of predicted and plate pixels, pooled; ``false_cover``: concealed non-plate pixels / non-plate pixels;
    - ``coverage``, ``missed``: plates whose outline is concealed by >= 95 %, by < 50 %, / plates;
    - ``exposed``: plates with any character concealed by < 90 % / plates whose characters are known;
    - ``stray_cover``: pixels concealed farther than half a plate height from every labelled region / pixels;
    - ``ms_per_image``: over the pictures that were timed.

    The truth of the pixel metrics is the boxes (the paper's masks, section 3); that of plates and of stray cover is the
    quadrilateral where it is known, else the box. A crowd region is no plate, its pixels count nowhere (but for those
    in a plate's box), and the margin around it is not stray. A plate wholly outside its picture is not counted.
    A metric that cannot be told (no plates, nothing timed) is None, never NaN.
    """

    def __init__(self) -> None:
        self.pictures: list[PictureRow] = []
        self.plates: list[PlateRow] = []

    def add(
        self,
        mask: np.ndarray,
        predicted: np.ndarray,
        truths: Sequence[PlateTruth],
        source: str = "",
        image_id: int = 0,
        seconds: float | None = None,
    ) -> None:
        """Add a picture.

        Args:
            mask: bool (H, W), what was concealed at the operating point.
            predicted: bool (H, W), P(plate) >= .5.
            truths: the picture's plates and crowd regions.
            source, image_id: where the picture is from, and its number.
            seconds: how long concealing took.

        Raises:
            ValueError: the masks are not of one shape (H, W).
        """
        mask, predicted = np.asarray(mask, dtype=bool), np.asarray(predicted, dtype=bool)
        if mask.ndim != 2 or mask.shape != predicted.shape:
            raise ValueError(f"mask and predicted must be (H, W) alike, not {mask.shape} and {predicted.shape}")
        plate, crowd = np.zeros_like(mask), np.zeros_like(mask)
        for truth in truths:
            box = rasterise(truth.box, mask.shape)
            if box is not None:
                (crowd if truth.iscrowd else plate)[box.window] |= box.inside
                if not truth.iscrowd:
                    self.plates.append(self._plate_row(truth, box, mask, predicted))
        counted = ~crowd | plate
        stray = mask & counted
        false = int(np.count_nonzero(stray & ~plate))
        for truth in truths:
            clear_near(stray, truth)
        counts = (int(np.count_nonzero(x)) for x in (counted, plate, predicted & counted, predicted & plate))
        self.pictures.append(PictureRow(int(image_id), source, *counts, false, int(np.count_nonzero(stray)), seconds))

    def _plate_row(self, truth: PlateTruth, box: Region, mask: np.ndarray, predicted: np.ndarray) -> PlateRow:
        outline = rasterise(truth.outline, mask.shape) or box
        characters = (rasterise(quad, mask.shape) for quad in truth.characters)  # None: outside, nothing to be read
        return PlateRow(
            picture=len(self.pictures),
            width=float(truth.bbox[2]) * 640 / max(mask.shape),
            concealed=outline.share(mask),
            character=min((region.share(mask) for region in characters if region is not None), default=None),
            plate_pixels=int(np.count_nonzero(box.inside)),
            hits=int(np.count_nonzero(predicted[box.window] & box.inside)),
        )

    @torch.no_grad()
    def add_batch(self, probability: Tensor, mask: Tensor) -> None:
        """Add a batch's predictions alone (A, both A1, IoU), counted on its device with one transfer.

        Args:
            probability: (B, H, W), P(plate) in 0..1.
            mask: (B, H, W), the plates; bool, or a number of which .5 and more is plate.

        Raises:
            ValueError: the shapes are not (B, H, W) alike.
        """
        if probability.ndim != 3 or probability.shape != mask.shape:
            raise ValueError(f"both must be (B, H, W) alike, not {tuple(probability.shape)} and {tuple(mask.shape)}")
        predicted, plate = probability >= 0.5, mask if mask.dtype == torch.bool else mask >= 0.5
        counts = torch.stack([x.flatten(1).sum(1) for x in (plate, predicted, predicted & plate)], dim=1).tolist()
        pixels, first = mask.shape[1] * mask.shape[2], len(self.pictures)
        self.pictures += [PictureRow(first + i, "", pixels, *row) for i, row in enumerate(counts)]

    def merge(self, other: "Accumulator") -> None:
        """Take in the rows of another accumulator, such as another process's."""
        offset = len(self.pictures)
        self.plates += [row._replace(picture=row.picture + offset) for row in other.plates]
        self.pictures += other.pictures

    def state(self) -> dict[str, list[list[Any]]]:
        """All rows as plain lists, fit for JSON and for :meth:`from_state`."""
        return {"pictures": [list(row) for row in self.pictures], "plates": [list(row) for row in self.plates]}

    @classmethod
    def from_state(cls, state: dict[str, list[list[Any]]]) -> Self:
        """The accumulator that :meth:`state` described."""
        made = cls()
        made.pictures = [PictureRow(*row) for row in state["pictures"]]
        made.plates = [PlateRow(*row) for row in state["plates"]]
        return made

    def _ratios(self, width: str | None = None, source: str | None = None) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Numerator and denominator of each metric, one number per picture of the group."""
        pictures = np.array([row[2:] for row in self.pictures], dtype=np.float64).reshape(-1, 7)  # None becomes NaN
        plates = np.array(self.plates, dtype=np.float64).reshape(-1, 6)
        kept = np.array([source is None or row.source == source for row in self.pictures], dtype=bool)
        if width is not None:
            plates = plates[(plates[:, 1] < SMALL) == {"small": True, "large": False}[width]]
        index, concealed, character = plates[:, 0].astype(int), plates[:, 2], plates[:, 3]
        known = ~np.isnan(character)

        def per_picture(values: np.ndarray) -> np.ndarray:
            return np.bincount(index, values, len(pictures))

        pixels, truth, predicted, hits, false, stray, seconds = pictures.T
        on_plate, own_hits, count = truth, hits, per_picture(np.ones(len(plates)))
        if width is not None:  # the group's plates, and the pictures that hold one
            on_plate, own_hits, kept = per_picture(plates[:, 4]), per_picture(plates[:, 5]), kept & (count > 0)
        ratios = {
            "plates": (count, count),
            "accuracy": (pixels - truth - predicted + 2 * hits, pixels),
            "on_plate_accuracy": (own_hits / np.maximum(on_plate, 1), on_plate > 0),
            "on_plate_accuracy_pooled": (own_hits, on_plate),
            "coverage": (per_picture(concealed >= COVERED), count),
            "exposed": (per_picture(character < HIDDEN), per_picture(known)),  # NaN < x is False
            "missed": (per_picture(concealed < MISSED), count),
            "false_cover": (false, np.where(np.isnan(false), 0, pixels - truth)),
            "stray_cover": (stray, np.where(np.isnan(stray), 0, pixels)),
            "iou": (hits, truth + predicted - hits),
            "ms_per_image": (seconds * 1000, ~np.isnan(seconds)),
        }
        return {key: (np.nan_to_num(top[kept]), below[kept].astype(float)) for key, (top, below) in ratios.items()}

    def summary(self, width: str | None = None, source: str | None = None) -> dict[str, int | float | None]:
        """Every metric of all pictures, or of a group.

        Args:
            width: ``"small"`` (scaled width under 24) or ``"large"``: A1, coverage, exposed and missed of those plates
                alone, the other metrics of the pictures that hold one. None: all.
            source: pictures of this source only. None: all.

        Returns:
            ``images``, ``plates`` and METRICS (shares in 0..1, milliseconds), None where it cannot be told.
        """
        ratios = self._ratios(width, source)
        sums = {key: (top.sum(), below.sum()) for key, (top, below) in ratios.items()}
        counts = {"images": len(ratios["plates"][0]), "plates": int(sums["plates"][0])}
        return counts | {key: float(sums[key][0] / sums[key][1]) if sums[key][1] else None for key in METRICS}

    def by_width(self) -> dict[str, dict[str, int | float | None]]:
        """``small`` and ``large`` to their summary."""
        return {width: self.summary(width=width) for width in ("small", "large")}

    def by_source(self) -> dict[str, dict[str, int | float | None]]:
        """Each source to its summary, in alphabetical order."""
        return {source: self.summary(source=source) for source in sorted({row.source for row in self.pictures})}

    def interval(
        self, key: str, level: float = 0.95, resamples: int = 1000, seed: int = 0, **group: str | None
    ) -> tuple[float, float] | None:
        """Bootstrap interval of a metric over pictures (`lib.bootstrap`); None where the metric cannot be told.

        Args:
            key: one of METRICS.
            level: share of the resamples within the interval.
            group: ``width`` and ``source``, as for :meth:`summary`.
        """
        return ratio_interval(*self._ratios(**group)[key], level, resamples, seed)
