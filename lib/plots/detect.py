"""Figures of `08_detect_and_corners`: trainings, accuracy against time, corner errors, boxes, corners, turned views."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from IPython.display import Image
from matplotlib.lines import Line2D
from matplotlib.patches import Polygon
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, PercentFormatter

from lib.finds import Finds
from lib.plots.style import BLUE, CYCLE, ORANGE, RED, YELLOW, axes, panels, show
from lib.regions import corners_of

MARKS = "osD^vP"
LINES = ("-", "--", "-.", ":")


def trainings(histories: Mapping[str, Sequence[Mapping[str, float]]], data: str, name: str = "08_training") -> Image:
    """Loss of training crops and of whole validation pictures after each epoch, a panel for each network."""
    figure, made = axes(1, len(histories))
    for one, (title, history) in zip(made[0], histories.items(), strict=True):
        epochs = [row["epoch"] for row in history]
        trained = [row for row in history if "loss" in row]
        one.plot([row["epoch"] for row in trained], [row["loss"] for row in trained], "o-", ms=3, label="training")
        one.plot(epochs, [row["validation_loss"] for row in history], "s--", color=RED, ms=3, label="validation")
        one.set(xlabel="epoch", ylabel="loss", title=title, yscale="log")
        one.xaxis.set_major_locator(MaxNLocator(integer=True))
        one.yaxis.set_major_formatter("{x:g}")
        one.yaxis.set_minor_locator(LogLocator(subs=(2, 3, 5)))
        one.yaxis.set_minor_formatter("{x:.2g}")
        one.tick_params(axis="y", which="minor", labelsize=7)
        one.legend(fontsize=8)
    return show(figure, data, name)


def accuracy_against_time(finds: Sequence[Finds], times: Mapping[str, np.ndarray], data: str) -> Image:
    """Average precision, and recall of large plates, against the time of a frame: the blog's choice in one picture."""
    figure, made = axes(1, 2, height=3.4)
    titles = ("mAP at an overlap of one half", "recall of scaled widths of 24 and more")
    for one, title, large in zip(made[0], titles, (False, True), strict=True):
        for each, colour, mark in zip(finds, CYCLE, MARKS, strict=False):
            low, middle, high = np.quantile(times[each.name], (0.1, 0.5, 0.9))
            told = each.large()
            value, interval = (told["recall"], told["interval"]) if large else each.precision() or (None, None)
            if value is None:  # no plate of this kind in so few pictures
                continue
            one.plot([middle] * 2, interval, "-", color=colour, alpha=0.6, linewidth=2)
            one.plot((low, high), [value] * 2, "-|", color=colour, alpha=0.6, linewidth=2)
            one.plot(middle, value, mark, color=colour, ms=5, label=each.name)
        one.set(xscale="log", xlabel="ms a frame of 640x480", ylim=(-0.03, 1.03), xlim=(5, 1000))
        one.set_title(title, fontsize=9)
        one.xaxis.set_major_formatter("{x:g}")
        one.xaxis.set_minor_formatter(NullFormatter())
    made[0, 1].legend(fontsize=8, loc="center right")
    return show(figure, data, "08_accuracy_time")


def corner_errors(errors: Mapping[str, Mapping[str, np.ndarray]], data: str) -> Image:
    """Which share of the plates has its corners nearer than so much of its width; a panel for each kind of picture.

    Args:
        errors: kind of pictures to label to each plate's mean corner error, in plate widths.
    """
    figure, made = axes(1, len(errors), height=3.2)
    for one, (kind, told) in zip(made[0], errors.items(), strict=True):
        for (label, values), colour, line in zip(told.items(), CYCLE, LINES, strict=False):
            x = np.sort(values)
            one.plot(x, np.arange(1, len(x) + 1) / len(x), line, color=colour, label=f"{label}, mean {x.mean():.1%}")
        one.set(xlim=(0, 0.2), ylim=(0, 1.02), xlabel="mean corner error, of the plate's width", title=kind)
        one.set_xticks((0, 0.05, 0.1, 0.15, 0.2))
        one.xaxis.set_major_formatter(PercentFormatter(1, 0))
        one.legend(fontsize=7, loc="lower right")
    made[0, 0].set_ylabel("share of plates below")
    return show(figure, data, "08_corner_errors")


def boxes_and_corners(
    pictures: Sequence[np.ndarray], boxes: Sequence[np.ndarray], quads: Sequence[np.ndarray], data: str
) -> Image:
    """The blog's figure: a plate's box in yellow, its corners in vermilion, cut out of pictures uint8 ``(H, W, 3)``.

    Args:
        boxes: the one box shown of each picture, left, top, right, bottom.
        quads: its quadrilateral ``(4, 2)``.
    """
    figure, made = panels(len(pictures), 3, aspect=0.6)
    for one, rgb, box, quad in zip(made, pictures, boxes, quads, strict=True):
        left, top, right, bottom = box[:4]
        half = max(right - left, (bottom - top) / 0.6) * 0.9
        x, y = (left + right) / 2, (top + bottom) / 2
        one.imshow(rgb, interpolation="antialiased", extent=(0, rgb.shape[1], rgb.shape[0], 0))
        for outline, colour in ((corners_of(box), YELLOW), (quad, RED)):
            for width, ink in ((3.2, "black"), (1.8, colour)):
                one.add_patch(Polygon(outline, closed=True, fill=False, edgecolor=ink, linewidth=width))
        one.set(xlim=(x - half, x + half), ylim=(y + 0.6 * half, y - 0.6 * half))
    named = zip((YELLOW, RED), ("box", "corners"), strict=True)
    lines = [Line2D([], [], color=colour, linewidth=2.5, label=label) for colour, label in named]
    made[0].legend(handles=lines, fontsize=8, loc="upper left", facecolor="0.75")
    return show(figure, data, "08_boxes_and_corners", photographs=True)


def by_view(groups: Mapping[str, Mapping[str, Any]], data: str) -> Image:
    """Background concealed with a plate, in areas of the plate, by how far the view is turned."""
    figure, made = axes(width=7.0, height=3.2)
    one = made[0, 0]
    names = [key for key in next(iter(groups.values())) if key != "plates"]
    for shift, name, colour, mark in zip((-0.1, 0.1), names, (ORANGE, BLUE), "sD", strict=True):
        for place, row in enumerate(groups.values()):
            value, interval = row[name]
            one.plot([place + shift] * 2, interval or (value, value), "-", color=colour, linewidth=2, alpha=0.6)
            one.plot(place + shift, value, mark, color=colour, label=None if place else name)
    one.set_xticks(range(len(groups)), [f"{group}\n({row['plates']:,})" for group, row in groups.items()])
    one.set(xlabel="angle of the view (plates)", ylabel="background concealed,\nin areas of the plate", ylim=(0, None))
    one.legend(fontsize=8)
    return show(figure, data, "08_views")


def expansion(curves: Mapping[float, Sequence[Mapping[str, Any]]], chosen: Mapping[str, Any], data: str) -> Image:
    """Coverage within the limits on validation against the factor that boxes are expanded by.

    Args:
        curves: where boxes end, as a share of a region's peak, to the rows of `lib.detect.expansion_curve`.
        chosen: ``edge`` and ``expand`` of the point that is used.
    """
    figure, made = axes(width=7.0, height=3.0)
    one = made[0, 0]
    for (edge, rows), colour, mark, line in zip(curves.items(), CYCLE, MARKS, LINES, strict=False):
        x, y = [row["expand"] for row in rows], [row["coverage"] for row in rows]
        one.plot(x, y, f"{mark}{line}", color=colour, label=f"boxes end at {edge:g} of the peak")
        if edge == chosen["edge"] and chosen["expand"] in x:
            at = x.index(chosen["expand"])
            one.plot(x[at], y[at], "o", ms=14, mfc="none", color=colour, label="chosen")
    every = [row["coverage"] for rows in curves.values() for row in rows]
    one.set(xlabel="side of the crop, in sides of the box", ylabel="coverage within the limits")
    one.set_ylim(min(every) - 0.05, min(1.0, max(every) + 0.05))  # a plate more or less is no mountain
    one.legend(fontsize=8)
    return show(figure, data, "08_expansion")
