"""The blog's statements that can be tested, and the rules by which a measurement settles each."""

from collections.abc import Mapping
from typing import Any

from lib.claims import CLAIMS

Interval = tuple[float, float]
EVERY = 3.0  # seconds between two frames of one camera ("every few seconds")
TRAINED = 0.3  # average precision
TINY = 0.1  # of the whole way's time: a cost up to here is called tiny
ENOUGH = 30  # plates: of fewer, no share is told
EQUALLY = 0.1  # of coverage: sources that differ by no more are served equally well
BLOG = tuple(key for key in CLAIMS if key.startswith("blog-"))


def trade_verdict(quicker: float, gap: Interval, worse: float) -> str:
    """Whether SSD is faster than Faster R-CNN and less accurate.

    Args:
        quicker: time of Faster R-CNN over that of SSD.
        gap: interval of Faster R-CNN's average precision minus SSD's.
        worse: the lesser average precision; below `TRAINED` that one has not learned enough to be compared.
    """
    if quicker <= 1:
        return "does not hold"
    if worse < TRAINED:
        return "cannot be told here"
    return "holds" if gap[0] > 0 else "holds in part" if gap[1] >= 0 else "does not hold"


def gain_verdict(gain: Interval) -> str:
    """Whether something gains, from the interval of the difference."""
    return "holds" if gain[0] > 0 else "does not hold" if gain[1] < 0 else "cannot be told here"


def at_most_verdict(value: float, most: float) -> str:
    """Whether a value is within what was said."""
    return "holds" if value <= most else "does not hold"


def equally_verdict(told: Mapping[str, Mapping[str, Any]]) -> str:
    """Whether all sources are covered equally well, within `EQUALLY`: what the intervals allow to say.

    Args:
        told: source to ``coverage`` and ``interval``.
    """
    highest = max(row["interval"][0] for row in told.values() if row["interval"])
    lowest = min(row["interval"][1] for row in told.values() if row["interval"])
    values = [row["coverage"] for row in told.values()]
    if highest - lowest > EQUALLY:  # even the nearest ends of two intervals are farther apart
        return "does not hold"
    return "holds" if max(values) - min(values) <= EQUALLY else "cannot be told here"


def cameras(milliseconds: float, every: float = EVERY) -> int:
    """How many cameras one machine serves that takes so long for a frame, each sending one every few seconds."""
    return int(1000 * every / milliseconds)
