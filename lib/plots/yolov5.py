"""Figures of `05_yolov5`: what a finder without a network sees, a training, coverage against stray cover, times."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from IPython.display import Image
from matplotlib.ticker import MaxNLocator

from lib.boxes import shrink
from lib.classic import SIDE, Classic, bars, look, propose
from lib.plots.style import BLACK, CYCLE, GREEN, ORANGE, axes, panels, show
from lib.rivals import STRAY, Rival

LOSSES = {"box_loss": "box (CIoU)", "cls_loss": "class", "dfl_loss": "box edges (DFL)"}
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))


def classical_steps(picture: np.ndarray, finder: Classic, data: str) -> Image:
    """A picture's edges, the bars they make, plate-coloured pixels, and the boxes proposed, the surest three thick."""
    small, _ = shrink(picture, SIDE)
    views = look(small)
    titles = ("upright edges", "edges joined into bars", "white or yellow pixels", "boxes proposed, the surest thick")
    figure, made = panels(4, 2, aspect=small.shape[0] / small.shape[1], titles=titles)
    joined = np.mean([*bars(views)], axis=0)
    for one, view in zip(made, (views.edges, joined, views.coloured), strict=False):
        one.imshow(view, cmap="gray")
    made[3].imshow(small)
    made[3].autoscale(False)
    for boxes, colour, width in ((propose(views), ORANGE, 0.6), (finder.boxes(small)[:3], GREEN, 2.5)):
        for left, top, right, bottom, *_ in boxes.tolist():
            made[3].plot((left, right, right, left, left), (top, top, bottom, bottom, top), color=colour, lw=width)
    return show(figure, data, "05_classical", photographs=True)


def training(history: Sequence[Mapping[str, float]], data: str) -> Image:
    """The three losses on training and validation pictures after each epoch, and what the boxes score on validation."""
    epochs = [row["epoch"] for row in history]
    figure, made = axes(1, 2)
    left, right = made[0]
    for (key, name), colour, mark in zip(LOSSES.items(), CYCLE, "osD", strict=False):
        left.plot(epochs, [row[f"train/{key}"] for row in history], f"{mark}-", color=colour, ms=4, label=name)
        left.plot(epochs, [row[f"val/{key}"] for row in history], f"{mark}:", color=colour, ms=4)
    left.set(xlabel="epoch", ylabel="loss", title="losses: training solid, validation dotted", ylim=(0, None))
    scores = {"mAP50(B)": "average precision at 0.5", "recall(B)": "recall", "precision(B)": "precision"}
    for (key, name), colour, line in zip(scores.items(), CYCLE, LINES, strict=False):
        values = [row[f"metrics/{key}"] for row in history]
        right.plot(epochs, values, line, color=colour, marker="o", ms=4, label=name)
    right.set(xlabel="epoch", ylim=(-0.03, 1.03), title="boxes on validation pictures")
    for one in (left, right):
        one.xaxis.set_major_locator(MaxNLocator(integer=True))
        one.legend(fontsize=8)
    return show(figure, data, "05_training")


def coverage_curves(rivals: Iterable[Rival], data: str, name: str = "05_coverage") -> Image:
    """Coverage against stray cover over all thresholds, growth fixed; a large dot marks each operating point.

    Left of a method's first dot nothing was measured: a thin dotted line joins it to nothing covered, nothing strayed.
    """
    figure, made = axes(width=7.5, height=3.8)
    one = made[0, 0]
    for rival, colour, line in zip(rivals, CYCLE, LINES, strict=False):
        measured = {threshold: held.summary() for threshold, held in rival.sweep.items()}
        points = np.array([(row["stray_cover"], row["coverage"]) for row in measured.values()])
        dense = np.linspace(points[:-1], points[1:], 30, axis=1).reshape(-1, 2)  # straight, on an axis that is not
        one.plot(*dense.T, linestyle=line, color=colour, label=rival.name)
        one.plot(*np.linspace((0, 0), points[0], 30).T, ":", color=colour, linewidth=0.6)  # nothing was measured there
        one.plot(*points.T, ".", color=colour, ms=4)
        at = measured[rival.point["threshold"]]
        one.plot(at["stray_cover"], at["coverage"], "o", color=colour, ms=8)
    one.axvline(STRAY, color=BLACK, linestyle=":", linewidth=1.2)
    one.annotate(f" {STRAY:.1%}: compared here", (STRAY, 1.0), fontsize=8, va="top")
    one.set_xscale("symlog", linthresh=1e-3, linscale=0.5)
    one.set_xticks([0, 0.001, 0.01, 0.1, 1], ["0", "0.1 %", "1 %", "10 %", "100 %"])
    one.set(
        xlim=(0, 1), ylim=(-0.02, 1.02), xlabel="stray cover: share of all pixels", ylabel="coverage: share of plates"
    )
    one.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return show(figure, data, name)


def concealed(pictures: Mapping[str, Sequence[np.ndarray]], data: str, name: str = "05_concealed") -> Image:
    """A row for each picture, a column for each method: what would leave the machine, uint8 (H, W, 3)."""
    rows = [*zip(*pictures.values(), strict=True)]
    first = rows[0][0]
    figure, made = panels(
        len(rows) * len(pictures), len(pictures), aspect=first.shape[0] / first.shape[1], titles=tuple(pictures)
    )
    for one, image in zip(made, (image for row in rows for image in row), strict=True):
        one.imshow(image)
    return show(figure, data, name, photographs=True)


def times(taken: Mapping[str, np.ndarray], data: str) -> Image:
    """Median milliseconds a picture of each method, with the 10th and the 90th percentile."""
    figure, made = axes(width=7.5, height=0.5 + 0.36 * len(taken))
    one = made[0, 0]
    for number, (name, values) in enumerate(taken.items()):
        low, middle, high = np.quantile(values, (0.1, 0.5, 0.9))
        one.barh(number, middle, color=CYCLE[0] if "ONNX" in name else CYCLE[3], hatch="//" if "ONNX" in name else None)
        one.plot((low, high), (number, number), "|-", color=BLACK, ms=8)
        one.annotate(f"  {middle:.1f} ms", (high, number), va="center", fontsize=8)
    one.set_yticks(range(len(taken)), list(taken))
    one.invert_yaxis()
    one.grid(axis="y", visible=False)
    one.set(xlabel="milliseconds a picture", xlim=(0, 1.25 * max(float(np.quantile(v, 0.9)) for v in taken.values())))
    return show(figure, data, "05_times")
