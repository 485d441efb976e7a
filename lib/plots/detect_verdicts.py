"""The blog's statements, settled from what `08_detect_and_corners` measured."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lib.blog import (
    ENOUGH,
    TINY,
    TRAINED,
    at_most_verdict,
    cameras,
    equally_verdict,
    gain_verdict,
    trade_verdict,
)
from lib.detect import best
from lib.finds import Finds
from lib.rivals import STRAY, Interval, Rival, gap
from lib.slant import STEEP, Turned

WHERE = "08_detect_and_corners, section {}"
LEAST_LESS = 0.25  # "much finer": at least a quarter less background


def words(interval: Interval | None) -> str | None:
    """An interval for the ledger."""
    return None if interval is None else f"{interval[0]:.2f} to {interval[1]:.2f}"


def trade(ssd: Finds, faster: Finds, times: Mapping[str, np.ndarray], trained: str) -> dict[str, Any] | None:
    """SSD against Faster R-CNN in accuracy and time; None where the test pictures have no plate."""
    one, other = ssd.precision(), faster.precision()
    if one is None or other is None:
        return None
    (a, (a_low, a_high)), (b, (b_low, b_high)) = one, other
    quicker = float(np.median(times[faster.name]) / np.median(times[ssd.name]))
    apart = (b_low - a_high, b_high - a_low)  # of two intervals: wider than the paired one, never narrower
    return {
        "ours": f"{quicker:.1f} times as fast; mAP@0.5 {a:.2f} against {b:.2f}",
        "interval": f"{words((a_low, a_high))} against {words((b_low, b_high))}",
        "verdict": trade_verdict(quicker, apart, min(a, b)),
        "why": f"MobileNetV3 in both, from nothing; accuracies are compared where both reach a mAP of {TRAINED:g}",
        "data": trained,
        "where": WHERE.format(2),
    }


def gain(alone: Rival, corners: Rival, data: str) -> dict[str, Any]:
    """What the corners add to the same boxes at equal stray cover."""
    more, interval = gap(corners, alone)
    return {
        "ours": f"coverage {more:+.2f} at {STRAY:.1%} stray cover",
        "interval": words(interval),
        "verdict": gain_verdict(interval),
        "why": f"{corners.name} against {alone.name}: the same boxes, growth chosen for each on validation",
        "data": data,
        "where": WHERE.format(7),
    }


def cost(whole: np.ndarray, without: np.ndarray, plate: np.ndarray, plates: float, machine: str) -> dict[str, Any]:
    """The landmark network's share of a frame's time, at so many plates a frame, and its whole stage's.

    Args:
        whole, without: ms a frame with the stage, and of the same finds concealed as they are.
        plate: ms of the network alone, a plate.
    """
    every = float(np.median(whole))
    share, stage = plates * float(np.median(plate)) / every, 1 - float(np.median(without)) / every
    return {
        "ours": f"{np.median(plate):.2f} ms a plate, {share:.0%} of a frame with {plates:.1f} plates; "
        f"the stage with crops and outlines {stage:.0%}",
        "verdict": "holds in part" if share <= TINY < stage else at_most_verdict(share, TINY),
        "why": f"tiny means {TINY:.0%} of the whole way's time at most; in part: the network, not its stage",
        "data": machine,
        "where": WHERE.format(4),
    }


def shape(told: Turned, quads: str, boxes: str, data: str) -> dict[str, Any] | None:
    """Background round turned plates, quadrilateral against box; None without a turned plate."""
    steep = told.chosen(told.angle >= STEEP)
    less, interval = steep.less(quads, boxes) if len(steep.angle) else (np.nan, None)
    both = int((steep.covered[quads] & steep.covered[boxes]).sum())
    if interval is None:
        return None
    verdict = "holds" if interval[0] >= LEAST_LESS else "does not hold" if interval[1] < LEAST_LESS else "holds in part"
    return {
        "ours": f"{less:.0%} less background at {STEEP:g}° and more ({both} plates)",
        "interval": words(interval),
        "verdict": verdict,
        "why": f"much means {LEAST_LESS:.0%} at least; of plates that both cover, on the same finds",
        "data": data,
        "where": WHERE.format(5),
    }


def expand(curve: Sequence[Mapping[str, Any]], data: str) -> dict[str, Any]:
    """What expanding the boxes gives, within the limits on validation."""
    plain = next(row for row in curve if row["expand"] == min(each["expand"] for each in curve))
    won = best(curve)
    more = won["coverage"] - plain["coverage"]
    return {
        "ours": f"coverage {more:+.2f} by a factor of {won['expand']:g}, chosen among {len(curve)}",
        "verdict": "holds" if more > 0.01 else "cannot be told here",
        "why": f"{won['plates']} plates of validation; less than one in a hundred is no difference here",
        "data": data,
        "where": WHERE.format(6),
    }


def cut(share: float, interval: Interval, found: int, data: str) -> dict[str, Any]:
    """How often a found plate reaches out of its box."""
    return {
        "ours": f"{share:.0%} of {found} found plates are not covered by the box alone",
        "interval": words(interval),
        "verdict": "holds" if interval[0] > 0 and found >= ENOUGH else "cannot be told here",
        "why": "found: overlap of one half; covered: 95 % of the outline within the box",
        "data": data,
        "where": WHERE.format(7),
    }


def equally(by_source: Mapping[str, Mapping[str, Any]], data: str) -> dict[str, Any] | None:
    """Plates that are not missed by source, which stand for cameras; None for fewer than two sources.

    Coverage itself would compare kinds of label: a box cannot be filled by the quadrilateral that fits its plate.
    """
    if len(by_source) < 2:
        return None
    low, high = (f(by_source.items(), key=lambda item: item[1]["coverage"]) for f in (min, max))
    return {
        "ours": f"{low[1]['coverage']:.2f} ({low[0]}) to {high[1]['coverage']:.2f} ({high[0]})",
        "interval": f"{words(low[1]['interval'])} / {words(high[1]['interval'])}",
        "verdict": equally_verdict(by_source),
        "why": "sources stand for cameras; plates concealed by half at least; equally means within .10",
        "data": data,
        "where": WHERE.format(7),
    }


def engine(stock: np.ndarray, built: np.ndarray, what: str) -> dict[str, Any]:
    """A network in ONNX Runtime against the same in PyTorch."""
    times = float(np.median(stock) / np.median(built))
    return {
        "ours": f"{times:.1f} times as fast",
        "verdict": "holds" if times >= 1.2 else "does not hold",
        "why": "significantly means a fifth and more; PyTorch as installed against ONNX Runtime on the same threads",
        "data": what,
        "where": WHERE.format(8),
    }


def scale(times: np.ndarray, machine: str) -> dict[str, Any]:
    """Cameras a machine serves."""
    served = cameras(float(np.median(times)))
    return {
        "ours": f"{served} cameras at a frame every 3 s, {np.median(times):.0f} ms a frame",
        "verdict": "holds" if served >= 10 else "does not hold",
        "why": "many means ten or more on two cores, everything included",
        "data": machine,
        "where": WHERE.format(8),
    }
