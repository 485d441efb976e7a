"""Figures of `04_deeper`: the network, Table 1 as a plane, what epochs predict, ablations over seeds, loss curves."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from IPython.display import Image
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from torch import nn

from lib.plots.style import BLACK, BLUE, CYCLE, ORANGE, RED, SKY, axes, panels, show
from lib.table1 import Record, families, source, value

MARKS = "osD^vP*X<>"


def samples(pictures: Sequence[np.ndarray], masks: Sequence[np.ndarray], data: str) -> Image:
    """Figure 1 of the paper with its masks: pictures uint8 ``(H, W, 3)`` above bool ``(H, W)``."""
    figure, made = panels(2 * len(pictures), len(pictures))
    for number, (picture, mask) in enumerate(zip(pictures, masks, strict=True)):
        made[number].imshow(picture)
        made[number].set_title(f"plate: {mask.mean():.1%} of pixels", fontsize=9)
        made[len(pictures) + number].imshow(mask, cmap="gray", vmin=0, vmax=1)
    return show(figure, data, "04_samples", photographs=True)


def network(model: nn.Module, name: str) -> Image:
    """Figure 2 of the paper, drawn from the model: what each layer hands on, as seen by one picture passing through.

    A block's height grows with the side of its picture (square root), its width with the channels (logarithm).
    """
    stages = _stages(model)
    figure, made = axes(width=8, height=3.0)
    one, left = made[0, 0], 0.0
    for label, channels, side, parameters in stages:
        width, height = 0.35 * np.log2(channels + 1), np.sqrt(side)
        kind = SKY if "conv" in label else ORANGE if "linear" in label else "0.8"
        one.add_patch(Rectangle((left, -height / 2), width, height, facecolor=kind, edgecolor=BLACK, linewidth=0.8))
        counted = f"\n{parameters / 1e6:.2f} M" if parameters >= 1e4 else f"\n{parameters:,}" if parameters else ""
        one.text(left + width / 2, height / 2 + 0.6, f"{channels} x {side} x {side}", ha="center", fontsize=7)
        one.text(left + width / 2, -10.2, f"{label}{counted}", ha="center", va="top", fontsize=7)
        left += width + 1.6
    one.set(xlim=(-1.2, left), ylim=(-14.5, 11))
    one.set_axis_off()
    return show(figure, f"none, drawn from lib.models; parameters under each learnt layer ({name})", "04_network")


@torch.no_grad()
def _stages(model: nn.Module) -> list[tuple[str, int, int, int]]:
    """Label, channels, side and parameters of the input, each conv-relu-pool block, and the head."""
    passing = torch.zeros(1, 3, model.side, model.side)
    stages: list[tuple[str, int, int, int]] = [("picture", 3, model.side, 0)]
    for layer in model.features:
        passing = layer(passing)
        count = sum(p.numel() for p in layer.parameters())
        if isinstance(layer, nn.Conv2d):
            stages.append(("conv", passing.shape[1], passing.shape[2], count))
        else:  # ReLU and pooling belong to their convolution
            label = stages[-1][0] + {"ReLU": ", relu", "MaxPool2d": ",\npool"}[type(layer).__name__]
            stages[-1] = (label, passing.shape[1], passing.shape[2], stages[-1][3])
    count = sum(p.numel() for p in model.head.parameters())
    return [*stages, ("linear,\nsoftmax", 2, model.grid, count)]


def plane(records: Sequence[Record], blind: Mapping[str, Any], split: str, protocol: str) -> Image:
    """Table 1 in the plane of A and A1: hollow the paper's rows, filled ours with 95 % intervals, joined by a line."""
    figure, made = axes(width=8, height=4.2)
    one = made[0, 0]
    for number, record in enumerate(records):
        told, colour, mark = record["metrics"][split][protocol], CYCLE[number % len(CYCLE)], MARKS[number % len(MARKS)]
        a, a1 = told["accuracy"], told["on_plate_accuracy"]
        _cross(one, told, colour)
        one.plot(a, a1, mark, color=colour, markersize=7, label=record["label"])
        one.plot([record["paper"][0], a], [record["paper"][1], a1], "-", color=colour, linewidth=0.7, alpha=0.6)
        one.plot(*record["paper"], mark, color=colour, markerfacecolor="white", markersize=7)
    nothing = blind["models"]["all-background"][split][protocol]["accuracy"]
    one.plot(nothing, 0, "k+", markersize=12, markeredgewidth=2, label="all-background, here")
    one.set(
        xlim=(-0.02, 1.02), ylim=(-0.04, 1.04), xlabel="A, share of all pixels right", ylabel="A1, plate pixels right"
    )
    one.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5), title="filled: here\nhollow: the paper")
    return show(figure, f"{source(records[0])}; {split}, {protocol.replace('_', ' ')} protocol", "04_table1")


def _cross(one: Axes, told: Mapping[str, Any], colour: str) -> None:
    spans = told["intervals"]
    one.plot(spans["accuracy"], [told["on_plate_accuracy"]] * 2, "-", color=colour, linewidth=2)
    one.plot([told["accuracy"]] * 2, spans["on_plate_accuracy"], "-", color=colour, linewidth=2)


def predicted_share(records: Sequence[Record], share: float) -> Image:
    """How much of the whole validation pictures each epoch calls plate, and how much of the plates it finds."""
    figure, made = axes(1, 2)
    keys = {
        "validation_predicted_plate": "pixels predicted plate",
        "validation_on_plate_accuracy": "A1, plate pixels right",
    }
    for one, (key, title) in zip(made[0], keys.items(), strict=True):
        for number, record in enumerate(records):
            points = [(row["epoch"], row[key]) for row in record["history"] if row.get(key) is not None]
            style = {"marker": MARKS[number], "markersize": 3, "color": CYCLE[number % len(CYCLE)]}
            one.plot(*zip(*points, strict=True), label=record["label"], **style)
        one.set(xlabel="epoch", ylim=(-0.03, 1.03), title=title)
    made[0, 0].axhline(share, color=BLACK, linestyle=":", linewidth=1.2, label="plates' true share")
    made[0, 0].set_ylabel("share")
    handles, labels = made[0, 0].get_legend_handles_labels()
    made[0, 1].legend(handles, labels, fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return show(figure, source(records[0]), "04_epochs")


def beliefs(pictures: Sequence[np.ndarray], maps: Mapping[str, Sequence[np.ndarray]], data: str) -> Image:
    """A row for each picture: the picture, then P(plate) after each of the epochs that ``maps`` names."""
    columns = 1 + len(maps)
    titles = ("picture", *maps) + ("",) * (columns * (len(pictures) - 1))
    figure, made = panels(columns * len(pictures), columns, titles=titles)
    for row, picture in enumerate(pictures):
        made[columns * row].imshow(picture)
        for column, told in enumerate(maps.values(), 1):
            made[columns * row + column].imshow(told[row], vmin=0, vmax=1, cmap="viridis")
    return show(figure, f"{data}; P(plate), dark 0 to bright 1", "04_beliefs", photographs=True)


def over_seeds(groups: Mapping[str, Sequence[Record]], name: str) -> Image:
    """Each variant's pooled A1 at A = .95 for every seed: a dot a seed, a bar at their mean."""
    figure, made = axes(1, len(groups), height=2.6)
    for one, (title, records) in zip(made[0], groups.items(), strict=True):
        made_of = families(records)
        for place, (_, members) in enumerate(made_of.items()):
            values = [value(record) for record in members]
            one.plot([place] * len(values), values, "o", color=BLUE, markersize=5, alpha=0.8)
            one.plot([place - 0.25, place + 0.25], [np.mean(values)] * 2, "-", color=RED, linewidth=2)
        one.set_xticks(range(len(made_of)), [label.replace(" ", "\n", 1) for label in made_of], fontsize=8)
        one.set(title=title, xlim=(-0.6, len(made_of) - 0.4))
    made[0, 0].set_ylabel("A1 (pooled) at A = .95")
    return show(figure, f"{source(next(iter(groups.values()))[0])}, and more seeds; whole validation pictures", name)


def loss_curves(records: Sequence[Record]) -> Image:
    """Figure 5 of the paper: loss of the training crops (solid) and of seeded test crops (dashed) after each epoch."""
    figure, made = axes(1, len(records), height=2.6)
    for one, record in zip(made[0], records, strict=True):
        for key, line, colour in (("loss", "-o", BLUE), ("test_loss", "--s", RED)):
            points = [(row["epoch"], row[key]) for row in record["history"] if key in row]
            label = "training crops" if key == "loss" else "test crops"
            one.plot(*zip(*points, strict=True), line, color=colour, markersize=3, label=label)
        one.set(title=record["label"], xlabel="epoch", ylim=(0, None))
        one.title.set_fontsize(9)
    made[0, 0].set_ylabel("loss")
    made[0, 0].legend(fontsize=8)
    return show(figure, source(records[0]), "04_loss_curves")


def by_share(records: Sequence[Record], split: str, protocol: str) -> Image:
    """A1 of pictures grouped by how much of the picture is plate."""
    figure, made = axes(width=6.5, height=3.2)
    one = made[0, 0]
    for number, record in enumerate(records):
        groups = [g for g in record["metrics"][split][protocol]["by_share"] if g["pictures"]]
        labels = [f"{g['above']:.0%} to {g['up_to']:.0%}\n{g['pictures']} pictures" for g in groups]
        style = {"marker": MARKS[number], "color": CYCLE[number % len(CYCLE)], "label": record["label"]}
        one.plot(range(len(groups)), [g["on_plate_accuracy"] for g in groups], **style)
        one.set_xticks(range(len(groups)), labels, fontsize=8)
    one.set(ylim=(-0.03, 1.03), xlabel="share of the crop that is plate", ylabel="A1")
    one.legend(fontsize=8)
    return show(figure, f"{source(records[0])}; {split}, {protocol.replace('_', ' ')} protocol", "04_by_share")
