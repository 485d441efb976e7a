"""Intervals: by resampling whole pictures for every ratio that the course quotes, by Student's t over seeds, exact."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import beta
from scipy.stats import t as student


def ratio_interval(
    top: np.ndarray, below: np.ndarray, level: float = 0.95, resamples: int = 1000, seed: int = 0
) -> tuple[float, float] | None:
    """Percentile bootstrap interval of ``sum(top) / sum(below)`` (Efron and Tibshirani 1993, chapter 13).

    Whole pictures are drawn, since plates and pixels of one picture go together. One seed draws the same pictures
    for every ratio of as many pictures, so that two methods on the same data are compared on the same draws.

    Args:
        top, below: numerator and denominator, one number a picture.
        level: share of the resamples within the interval.

    Returns:
        Its ends; None where no picture has a denominator.
    """
    if not below.any():
        return None
    random, values, pictures = np.random.default_rng(seed), [], len(top)
    step = max(1, 2_000_000 // pictures)  # rows of weights at a time: 16 MB
    for start in range(0, resamples, step):
        draws = min(step, resamples - start)
        weights = random.multinomial(pictures, np.full(pictures, 1 / pictures), size=draws)
        denominators = weights @ below
        told = denominators > 0  # a resample may hold no picture with a plate
        values.append((weights @ top)[told] / denominators[told])
    low, high = np.quantile(np.concatenate(values), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def share_interval(right: int, count: int, level: float = 0.95) -> tuple[float, float]:
    """Exact interval of a share (Clopper and Pearson 1934), ``right`` of ``count``."""
    tail = (1 - level) / 2
    low = float(beta.ppf(tail, right, count - right + 1)) if right else 0.0
    return low, float(beta.ppf(1 - tail, right + 1, count - right)) if right < count else 1.0


def seeds_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float] | None:
    """Interval of the mean over seeds, by Student's t; None for fewer than two of them."""
    if len(values) < 2:
        return None
    half = student.ppf((1 + level) / 2, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return float(np.mean(values) - half), float(np.mean(values) + half)
