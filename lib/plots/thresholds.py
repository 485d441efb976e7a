"""Figures of `07_thresholds`: trade-offs, kinds and pictures of failure (the paper's Figure 4), groups, reliability."""

from collections.abc import Mapping, Sequence

import numpy as np
from datasets import Dataset
from IPython.display import Image
from matplotlib.axes import Axes
from matplotlib.patches import Polygon, Rectangle

from lib.data import plates_of
from lib.failures import KINDS, LADDER, groups
from lib.plots.style import BLACK, BLUE, CYCLE, GREEN, ORANGE, RED, SKY, YELLOW, axes, panels, show
from lib.reliability import Reading, Reliability
from lib.thresholds import Network, Sweep

LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
MARKS = "os^Dv"
MASK = np.array([255, 0, 0], np.float32)  # the paper's red


def _mark(place: Axes, x: Sequence[float], y: Sequence[float], sweep: Sweep, colour: str) -> None:
    for t, mark in zip(LADDER, MARKS, strict=True):
        k = sweep.index(t)
        place.plot(x[k], y[k], mark, color=colour, markersize=5)
        place.annotate(f" {t:g}", (x[k], y[k]), fontsize=8, va="top")


def _ladder(place: Axes) -> None:
    for t in LADDER[:3]:  # the paper's
        place.axvline(t, color=BLACK, linewidth=0.8, linestyle=":")
    steps = (0, *LADDER, 1)
    place.set_xticks(steps, [f"{t:g}" for t in steps])


def trade_offs(sweep: Sweep, prior: Sweep, data: str) -> Image:
    """Coverage, missed plates and both covers against the threshold; coverage against stray cover, with the prior's."""
    figure, ((one, two),) = axes(1, 2, height=3.6)
    curves = {
        "coverage": sweep.coverages(),
        "missed": 1 - sweep.coverages(column="half"),
        "false cover": sweep.covers_curve("false"),
        "stray cover": sweep.covers_curve("stray"),
    }
    for (name, values), colour, line in zip(curves.items(), CYCLE, LINES, strict=False):
        one.plot(sweep.thresholds, values, linestyle=line, color=colour, label=name)
    one.set(xlabel="threshold t: concealed where P(background) < t", ylabel="share", ylim=(-0.02, 1.02))
    _ladder(one)
    one.legend(fontsize=8)
    for name, it, colour, line in (("network", sweep, BLUE, "-"), ("location prior", prior, ORANGE, "--")):
        two.plot(it.covers_curve("stray"), it.coverages(), linestyle=line, color=colour, label=name)
    _mark(two, sweep.covers_curve("stray"), sweep.coverages(), sweep, BLUE)
    two.set(xlabel="stray cover, share of pixels", ylabel="coverage, share of plates", ylim=(-0.02, 1.02))
    two.set_xscale("symlog", linthresh=1e-3)
    two.set_xlim(0, 1)
    two.set_xticks([0, 0.001, 0.01, 0.1, 1], ["0", "0.1 %", "1 %", "10 %", "100 %"])
    two.legend(fontsize=8, loc="upper left")
    return show(figure, data, "07_trade_offs")


def kinds(sweeps: Mapping[str, Sweep], data: str) -> Image:
    """Shares of the plates that are covered, covered in part and not at all, stacked, against the threshold.

    Args:
        sweeps: title to pictures, a panel each.
    """
    figure, (made,) = axes(1, len(sweeps), height=3.4)
    for place, (title, sweep) in zip(made, sweeps.items(), strict=True):
        reached = [sweep.coverages(column=column) for column in ("covered", "half", "touched")]
        edges = [np.zeros_like(reached[0]), *reached, np.ones_like(reached[0])]
        for low, high, name, colour, hatch in zip(
            edges, edges[1:], KINDS, (GREEN, SKY, ORANGE, RED), ("", "//", "..", "xx"), strict=False
        ):
            place.fill_between(
                sweep.thresholds, low, high, facecolor=colour, hatch=hatch, edgecolor="white", linewidth=0, label=name
            )
        place.set(
            xlabel="threshold t", xlim=(0, 1), ylim=(0, 1), title=f"{title}, {len(sweep.plates['width']):,} plates"
        )
        _ladder(place)
    made[0].set_ylabel("share of plates")
    handles, names = made[0].get_legend_handles_labels()
    figure.legend(handles[::-1], names[::-1], title="concealed", fontsize=8, loc="outside right center")
    return show(figure, data, "07_kinds")


def failures(dataset: Dataset, sweep: Sweep, network: Network, cases: Sequence[tuple[str, int]], data: str) -> Image:
    """The paper's Figure 4: a row for each failed plate, as it is and with what each threshold conceals in red.

    Args:
        dataset: the split that ``sweep`` was made from, with ``network``.
        cases: a title and the plate's row in ``sweep``, as `lib.failures.examples` gives them.
    """
    titles = ("picture", *(f"t = {t:g}" for t in LADDER))
    columns = len(titles)
    figure, made = panels(columns * len(cases), columns, width=9.0, titles=titles)
    for number, (name, index) in enumerate(cases):
        row = dataset[int(sweep.plates["picture"][index])]
        rgb, truth = np.asarray(row["image"]), plates_of(row)[int(sweep.plates["number"][index])]
        background, window = network(rgb), closeup(truth.bbox, rgb.shape[:2])
        first, *others = made[columns * number : columns * (number + 1)]
        first.imshow(rgb)
        x, y = window[1].start, window[0].start
        size = window[1].stop - x, window[0].stop - y
        first.add_patch(Rectangle((x, y), *size, fill=False, edgecolor=YELLOW, linewidth=1.2))
        tag = {"facecolor": "white", "edgecolor": "none", "pad": 1.5, "alpha": 0.9}
        first.text(0.03, 0.96, name, transform=first.transAxes, fontsize=8, va="top", bbox=tag)
        for place, t in zip(others, LADDER, strict=True):
            mask = (background < t)[window][..., None]
            tinted = np.where(mask, 0.45 * rgb[window] + 0.55 * MASK, rgb[window])
            place.imshow(tinted.astype(np.uint8), extent=(x, x + size[0], y + size[1], y))
            place.add_patch(Polygon(truth.outline, closed=True, fill=False, edgecolor=YELLOW, linewidth=1.0))
            place.set(xlim=(x, x + size[0]), ylim=(y + size[1], y))
    return show(figure, data, "07_failures", photographs=True)


def closeup(bbox: Sequence[float], shape: tuple[int, int]) -> tuple[slice, slice]:
    """A window of the form of 4:3 around a box (x, y, w, h), three times its size, within a picture (H, W)."""
    x, y, w, h = bbox
    height, width = shape
    wide = min(max(3 * w, 4 * h, 64), width, height * 4 / 3)
    high = wide * 3 / 4
    left = int(np.clip(x + w / 2 - wide / 2, 0, width - wide))
    top = int(np.clip(y + h / 2 - high / 2, 0, height - high))
    return slice(top, top + max(int(high), 1)), slice(left, left + max(int(wide), 1))


def by_group(sweeps: Mapping[str, Sweep], data: str) -> Image:
    """Coverage against the threshold by size, colour and light; a legend gives the plates of each group.

    Args:
        sweeps: title to pictures, a row of panels each.
    """
    figure, made = axes(len(sweeps), 3, width=9.0, height=3.3 * len(sweeps))
    for line_of, (title, sweep) in zip(made, sweeps.items(), strict=True):
        for place, (axis, parts) in zip(line_of, groups(sweep).items(), strict=True):
            for (name, which), colour, line in zip(parts.items(), (*CYCLE[:4], BLACK), LINES, strict=False):
                label = f"{name} ({which.sum():,})"
                place.plot(sweep.thresholds, sweep.coverages(which), linestyle=line, color=colour, label=label)
            place.set(xlabel="threshold t", ylim=(-0.02, 1.02), title=axis)
            place.set_xticks([0, 0.2, 0.4, 0.6, 0.8, 1.0])
            place.legend(fontsize=7, loc="lower right", title=title if len(sweeps) > 1 else None, title_fontsize=7)
        line_of[0].set_ylabel("coverage, share of plates")
    return show(figure, data, "07_groups")


def reliability(measured: Mapping[str, Reliability], reading: Reading, expected: str, data: str) -> Image:
    """Plate share against predicted P(plate), with what the loss leads to; and how many pixels each bin holds.

    Args:
        measured: what the legend calls the pictures, to their pixels.
        reading: what a P(plate) means by the loss (`lib.reliability.meant_share`), called ``expected`` in the legend.
    """
    figure, ((one, two),) = axes(1, 2, height=3.6)
    p = np.linspace(0, 1, 201)
    one.plot(p, p, color=BLACK, linestyle=":", linewidth=1, label="P(plate) as it says")
    one.plot(p, reading(p), color=ORANGE, linestyle="--", label=expected)
    for (name, pixels), colour, mark in zip(measured.items(), (BLUE, RED), MARKS, strict=False):
        rows = pixels.bins()
        x, y = (np.array([row[key] for row in rows]) for key in ("predicted", "share"))
        low, high = np.array([row["interval"] for row in rows]).T
        reach = np.abs(np.stack([y - low, high - y]))  # a hair below zero where all draws agree
        one.errorbar(x, y, reach, fmt=mark, color=colour, markersize=4, linewidth=1, label=name)
        two.plot(x, [row["pixels"] for row in rows], marker=mark, markersize=4, color=colour, label=name)
    one.set(xlabel="predicted P(plate)", ylabel="share that is plate", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    one.legend(fontsize=8, loc="upper left")
    two.set(xlabel="predicted P(plate)", ylabel="share of all pixels", yscale="log", xlim=(-0.02, 1.02))
    return show(figure, data, "07_reliability")
