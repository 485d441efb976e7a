"""A method on a folder: every metric, as JSON, and the choice of its operating point."""

import copy
import time
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from datasets import Dataset, Image
from tqdm import tqdm

from lib.data import plates_of
from lib.engine import describe_device
from lib.images import decode
from lib.metrics import METRICS, Accumulator
from lib.reports import weights_of
from lib.settings import PlatesError

THRESHOLDS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
GROWTHS = (0.0, 0.1, 0.2, 0.35, 0.5)  # in component heights
FINER = {  # a grid for networks whose regions are sharp, where a twentieth of a height more or less is plates
    "thresholds": (0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95),
    "growths": (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4),
}
# What a region has to reach somewhere, in fine steps where networks that were trained for long end up.
SURES = (1.0, 0.5, *(k / 100 for k in range(40, 10, -2)), 0.1, 0.07, 0.05, 0.03, 0.02, 0.01)
MARGIN = 0.9  # how much of a limit is used
SWEEP_SIDE = 640  # longer side, pixels, at which operating points are compared
REPORT_KEYS = frozenset({"data", "method", "weights", "threshold", "growth", "coverage", "by_width", "by_source"})


class Concealing(Protocol):
    """What is measured; :class:`lib.conceal.Concealer` is one."""

    threshold: float
    growth: float
    sure: float

    def probability(self, rgb: np.ndarray, name: str = "picture") -> np.ndarray:
        """P(background), float (H, W), of a picture, uint8 (H, W, 3), that errors call ``name``."""

    def mask_from(self, background: np.ndarray, unsure: bool = False) -> np.ndarray:
        """What is concealed at the threshold, the growth and ``sure``, or were all regions sure, bool (H, W)."""


def _pictures(dataset: Dataset) -> Iterator[tuple[Mapping[str, Any], np.ndarray]]:
    """Rows with their pixels, one at a time, read as concealing reads them (`lib.images`), in full size."""
    for row in dataset.cast_column("image", Image(decode=False)):
        stored, name = row["image"], row["file_name"]
        try:
            data = stored["bytes"] or Path(stored["path"]).read_bytes()
        except OSError as error:
            raise PlatesError(f"{name}: cannot be read ({error.strerror}); load the folder again.") from error
        rgb = decode(data, name).rgb
        if rgb.shape[:2] != (row["height"], row["width"]):
            raise PlatesError(
                f"{name}: is {rgb.shape[1]}x{rgb.shape[0]} pixels and its annotation says "
                f"{row['width']}x{row['height']}; annotate the picture as it is."
            )
        yield row, rgb


def evaluate(dataset: Dataset, concealer: Concealing, progress: bool = True) -> Accumulator:
    """Measure a method on every picture of a split, whole and in its own size (the full-frame protocol).

    One picture is in memory at a time. ``seconds`` are from pixels to the concealed mask, network and mask, without
    reading the file and without covering; the first picture is done once untimed, since a network warms up.

    Args:
        dataset: a split as `lib.data` gives it.
        concealer: has ``probability`` and ``mask_from``.
        progress: show a bar on the standard error.

    Raises:
        PlatesError: a picture cannot be read, is not of the annotated size, or the network failed on it.
    """
    accumulator = Accumulator()
    pictures = tqdm(_pictures(dataset), total=len(dataset), unit="picture", disable=not progress)
    for number, (row, rgb) in enumerate(pictures):
        if number == 0:
            concealer.mask_from(concealer.probability(rgb, row["file_name"]))
        start = time.perf_counter()
        background = concealer.probability(rgb, row["file_name"])
        mask = concealer.mask_from(background)
        seconds = time.perf_counter() - start
        accumulator.add(mask, background <= 0.5, plates_of(row), row["source"], row["image_id"], seconds)
    return accumulator


def report(accumulator: Accumulator, concealer: Any, *, data: str, split: str | None) -> dict[str, Any]:
    """What ``python -m lib evaluate`` writes, fit for JSON: null where a metric cannot be told.

    Args:
        accumulator: from :func:`evaluate`.
        concealer: with ``method``, ``threshold``, ``growth``, ``sure`` and ``segmenter`` (``name``; if it has them
            ``device`` and what `lib.reports.weights_of` takes).
        data: the data's name.
        split: the split's name, None where the folder has none.

    Returns:
        Names, METRICS and counts of all pictures (see `lib.metrics`), ``intervals`` (95 %, bootstrap over pictures),
        and the same metrics ``by_width`` (``small``: scaled width under 24, ``large``) and ``by_source``.
    """
    device = getattr(concealer.segmenter, "device", None)
    intervals = {key: accumulator.interval(key) for key in METRICS}
    return {
        "data": data,
        "split": split,
        "method": concealer.method,
        **weights_of(concealer.segmenter),
        "device": "unknown" if device is None else describe_device(device),
        "threshold": concealer.threshold,
        "growth": concealer.growth,
        "sure": concealer.sure,
        **accumulator.summary(),
        "intervals": {key: told and list(told) for key, told in intervals.items()},
        "by_width": accumulator.by_width(),
        "by_source": accumulator.by_source(),
    }


def choose_operating_point(
    dataset: Dataset,
    concealer: Concealing,
    stray_limit: float = 0.005,
    false_limit: float = 0.02,
    margin: float = MARGIN,
    thresholds: Sequence[float] = THRESHOLDS,
    growths: Sequence[float] = GROWTHS,
    limit: int | None = 200,
    progress: bool = True,
    plate_free: Sequence[np.ndarray] = (),
    alarm_limit: float = 0.2,
) -> dict[str, float | int | bool]:
    """The threshold and growth that cover most plates of ``dataset`` (the split ``valid``) within the limits.

    The network runs once per picture; its answer is kept at a longer side of at most 640 and 16 bits (0.6 MB), and the
    concealer's own mask of it is measured for points of the grid. A higher threshold conceals more, so each growth's
    highest threshold within the limits is found by bisection. Among these the greatest coverage wins; equal ones are
    told apart by fewer missed plates, then less false and stray cover. With ``plate_free`` pictures the question
    whether a region counts at all is settled first: ``sure`` is the highest of `SURES` at which few of them alarm.

    Args:
        stray_limit, false_limit: the greatest stray and false cover, shares of pixels.
        margin: how much of a limit may be used, since the test pictures are others.
        thresholds, growths: the grid; a threshold is in (0, 1], a growth at least 0.
        limit: how many pictures to take, evenly spaced. None: all.
        plate_free: pictures without a plate, uint8 ``(H, W, 3)``; none: ``sure`` stays the concealer's.
        alarm_limit: the greatest share of these in which something is concealed.

    Returns:
        ``threshold``, ``growth``, ``sure``, what they give here (``coverage``, ``missed``, ``stray_cover``,
        ``false_cover``; with ``plate_free`` also ``alarms``, the share of these), on how many ``images`` and
        ``plates``, and ``feasible``: False where every point is over a limit; then the point is the one of least
        stray cover, then least false cover.

    Raises:
        PlatesError: the sample has no plate to choose by, or see :func:`evaluate`.
    """
    count = len(dataset) if limit is None else min(limit, len(dataset))
    sample = dataset.select(np.linspace(0, len(dataset) - 1, count).round().astype(int))
    kept = []
    for row, rgb in tqdm(_pictures(sample), total=count, unit="picture", disable=not progress):
        background = np.asarray(concealer.probability(rgb, row["file_name"]), dtype=np.float32)
        height, width = background.shape
        scale = min(1.0, SWEEP_SIDE / max(height, width))
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        small = cv2.resize(background, size, interpolation=cv2.INTER_AREA).astype(np.float16)
        truths = [replace(t, characters=()).scaled(size[0] / width, size[1] / height) for t in plates_of(row)]
        kept.append((small, truths))
    if not any(not truth.iscrowd for _, truths in kept for truth in truths):
        raise PlatesError(
            "No picture of the sample has a plate to choose an operating point by; give labelled pictures."
        )
    candidate = copy.copy(concealer)  # the caller's concealer keeps its own point
    lowest = np.array([np.min(concealer.probability(rgb, "a plate-free picture")) for rgb in plate_free])
    if plate_free:
        few = [sure for sure in SURES if (lowest < sure).mean() <= margin * alarm_limit]
        candidate.sure = max(few, default=min(SURES))

    @cache
    def measure(threshold: float, growth: float) -> dict[str, Any]:
        candidate.threshold, candidate.growth = threshold, growth
        accumulator = Accumulator()
        for small, truths in kept:
            mask = candidate.mask_from(small.astype(np.float32))
            accumulator.add(mask, mask, truths)
        got = accumulator.summary()
        within = got["stray_cover"] <= margin * stray_limit and got["false_cover"] <= margin * false_limit
        told = ("coverage", "missed", "stray_cover", "false_cover", "images", "plates")
        point = {"threshold": threshold, "growth": growth, "sure": candidate.sure, **{key: got[key] for key in told}}
        if plate_free:
            point["alarms"] = float((lowest < min(threshold, candidate.sure)).mean())
        return {**point, "feasible": within}

    points, steps = [], sorted(thresholds)
    for growth in growths:
        over = bisect_left(steps, True, key=lambda t, g=growth: not measure(t, g)["feasible"])
        points.append(measure(steps[max(over - 1, 0)], growth))
    feasible = [point for point in points if point["feasible"]]
    if not feasible:
        return min(points, key=lambda p: (p["stray_cover"], p["false_cover"]))
    return max(feasible, key=lambda p: (p["coverage"], -p["missed"], -p["false_cover"], -p["stray_cover"]))
