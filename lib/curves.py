"""A, A1 and false cover at every threshold, from one histogram."""

import numpy as np
import torch
from torch import Tensor


class ThresholdCurve:
    """A, pooled A1 and false cover at every threshold, from a histogram of P(background).

    A pixel is predicted plate where P(background) < t, for t = 0, 1/bins .. 1, exactly (a pixel falls into the bin
    [k/bins, (k+1)/bins)); raising t covers more.

    Args:
        bins: steps of the threshold; a power of two keeps the binning free of rounding.
    """

    def __init__(self, bins: int = 1024) -> None:
        self.counts = np.zeros((2, bins + 1), dtype=np.float64)  # background, plate; the last bin is exactly 1
        self.thresholds = np.arange(bins + 1) / bins

    @torch.no_grad()
    def add(self, probability: Tensor, mask: Tensor) -> None:
        """Add pixels of any shape: P(plate) in 0..1, and the plates (bool, or a number of which .5 and more is one).

        Raises:
            ValueError: the shapes differ, or a probability is not within 0..1.
        """
        if probability.shape != mask.shape:
            raise ValueError(f"both must have one shape, not {tuple(probability.shape)} and {tuple(mask.shape)}")
        bins = self.counts.shape[1]
        background = 1 - (probability.float() if probability.dtype != torch.float64 else probability)
        if not bool(((background >= 0) & (background <= 1)).all()):
            raise ValueError("a probability is not within 0..1; did the network give logits or NaN?")
        place = (background * (bins - 1)).long() + bins * (mask if mask.dtype == torch.bool else mask >= 0.5).long()
        self.counts += torch.bincount(place.flatten(), minlength=2 * bins).reshape(2, bins).cpu().numpy()

    def merge(self, other: "ThresholdCurve") -> None:
        """Take in another curve of as many bins, such as another process's."""
        self.counts += other.counts

    def _below(self) -> np.ndarray:
        """Pixels with P(background) < t, float64 (2, bins + 1)."""
        return np.cumsum(self.counts, axis=1) - self.counts

    @property
    def accuracy(self) -> np.ndarray:
        """A per threshold."""
        background, plate = self._below()
        return (plate + self.counts[0].sum() - background) / max(self.counts.sum(), 1)

    @property
    def on_plate_accuracy(self) -> np.ndarray:
        """Pooled A1 per threshold; NaN where no pixel is plate, which a plot leaves out."""
        total = self.counts[1].sum()
        return self._below()[1] / (total or np.nan)

    @property
    def false_cover(self) -> np.ndarray:
        """Share of background pixels predicted plate, per threshold; NaN where no pixel is background."""
        total = self.counts[0].sum()
        return self._below()[0] / (total or np.nan)

    def at_accuracy(self, accuracy: float) -> tuple[float, float] | None:
        """The threshold with the best pooled A1 among those with A >= ``accuracy``, and that A1.

        It compares models at equal A. None when no threshold reaches it or no pixel is plate.
        """
        reached = np.flatnonzero(self.accuracy >= accuracy)
        if not len(reached) or not self.counts[1].any():
            return None
        best = reached[-1]  # A1 never falls as t rises
        return float(self.thresholds[best]), float(self.on_plate_accuracy[best])
