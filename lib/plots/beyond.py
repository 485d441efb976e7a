"""Figures of `10_beyond`: crops and targets, a training, maps, coverage by trait."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from IPython.display import Image

from lib.plots.style import BLUE, RED, axes, panels, show, span

CYAN = "#00ffff"  # no lamp, plate or sign has it


def crops(drawn: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]], data: str, name: str = "10_crops") -> Image:
    """Crops as the network sees them, in two rows, their targets outlined, and how far the smallest plate is lifted."""
    figure, made = panels(len(drawn), len(drawn) // 2, aspect=1.0, titles=("",) * len(drawn))
    for one, (rgb, share, weight) in zip(made, drawn, strict=True):
        one.imshow(rgb)
        if share.any():
            side = (np.arange(share.shape[0]) + 0.5) * rgb.shape[0] / share.shape[0] - 0.5
            one.contour(side, side, share, levels=[0.5], colors=[CYAN], linewidths=1.5)
        told = f"lifted {weight.max():.1f} times" if share.any() else "no plate"
        one.set_title(told, fontsize=9)
    return show(figure, data, name, photographs=True)


def training(stages: Sequence[Sequence[Mapping[str, float]]], data: str) -> Image:
    """Training and validation loss after each epoch of stage after stage, and A1 of whole validation pictures."""
    figure, made = axes(1, 2)
    left, right = made[0]
    lines = (
        (left, "loss", BLUE, "-", "training crops"),
        (left, "validation_loss", RED, "--", "whole validation pictures"),
        (right, "validation_on_plate_accuracy", BLUE, "-", "A1, mean over pictures"),
        (right, "validation_on_plate_accuracy_pooled", RED, "--", "A1, pooled"),
    )
    before = 0
    for number, history in enumerate(stages):
        epochs = [before + row["epoch"] for row in history[1:]]
        for one, key, colour, line, name in lines:  # each stage a line of its own: their losses have other terms
            one.plot(epochs, [row[key] for row in history[1:]], line, color=colour, label="" if number else name)
        if number:
            for one in (left, right):
                one.axvline(before + 0.5, color="0.4", linestyle=":", linewidth=1)
        before += len(history) - 1
    left.set(xlabel="epoch, over all stages" if len(stages) > 1 else "epoch", ylabel="loss", ylim=(0, None))
    left.legend(fontsize=8)
    right.set(xlabel=left.get_xlabel(), ylabel="A1 at p ≥ 0.5", ylim=(0, 1))
    right.legend(fontsize=8, loc="lower right")
    return show(figure, data, "10_training")


def maps(pictures: Sequence[np.ndarray], plate: Sequence[np.ndarray], out: Sequence[np.ndarray], data: str) -> Image:
    """A row a picture: the picture, P(plate), and what leaves."""
    aspect = pictures[0].shape[0] / pictures[0].shape[1]
    titles = ("picture", "P(plate)", "what leaves") + ("",) * (3 * len(pictures) - 3)
    figure, made = panels(3 * len(pictures), 3, aspect=aspect, titles=titles)
    for number, row in enumerate(zip(pictures, plate, out, strict=True)):
        for column, image in enumerate(row):
            one = made[3 * number + column]
            one.imshow(image, cmap="magma", vmin=0, vmax=1) if column == 1 else one.imshow(image)
    return show(figure, data, "10_maps", photographs=True)


def by_trait(told: Mapping[str, Mapping[Any, Mapping[str, Any]]], data: str, name: str) -> Image:
    """Coverage of groups of plates, with 95 % intervals and how many they are; a panel for each trait."""
    figure, made = axes(1, len(told), width=8.5, height=0.9 + 0.3 * max(len(groups) for groups in told.values()))
    for one, (trait, groups) in zip(made[0], told.items(), strict=True):
        for number, row in enumerate(groups.values()):
            span(one, number, row["coverage"], row["interval"], BLUE)
        labels = [f"{group} ({row['plates']:,})" for group, row in groups.items()]
        one.set_yticks(range(len(groups)), labels, fontsize=8)
        most = max(len(groups) for groups in told.values())
        one.set(xlim=(0, 1.02), ylim=(most - 0.5, -0.5), title=trait, xlabel="coverage")
    return show(figure, data, name)
