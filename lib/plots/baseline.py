"""Figures of `02_baseline`: losses and their gradients, resting points, training curves, first concealed plates."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from IPython.display import Image

from lib.conceal import Concealed
from lib.curves import ThresholdCurve
from lib.losses import PlateLoss, loss_and_gradient, resting_point
from lib.plots.style import BLACK, CYCLE, axes, panels, show

Losses = Mapping[str, PlateLoss]  # what the legend calls each, to the loss


def losses_and_gradients(losses: Losses, data: str) -> Image:
    """Each loss of one plate pixel, and the size of its gradient, against the predicted P(plate)."""
    p = np.geomspace(1e-3, 1, 400)
    figure, made = axes(1, 2)
    for (name, loss), colour, line in zip(losses.items(), CYCLE, ("-", "--", "-.", ":"), strict=False):
        for one, values in zip(made[0], loss_and_gradient(loss.power, loss.factor, p), strict=True):
            one.plot(p, np.maximum(values, 1e-4), line, color=colour, label=name)
    for one, title in zip(made[0], ("loss of a plate pixel", "gradient on its logit"), strict=True):
        one.set(xscale="log", yscale="log", ylim=(1e-2, 2e3), xlabel="predicted P(plate)", title=title)
    made[0, 0].set_ylabel("per pixel (log scale)")
    made[0, 0].legend(fontsize=8)
    return show(figure, data, "02_losses")


def resting_points(losses: Losses, share: float, data: str) -> Image:
    """Where a network that tells no pixel from another comes to rest, against the share of plate pixels."""
    shares = np.geomspace(2e-3, 0.5, 120)
    figure, made = axes(width=6.5, height=3.6)
    one = made[0, 0]
    for (name, loss), colour, line in zip(losses.items(), CYCLE, ("-", "--", "-.", ":"), strict=False):
        one.plot(shares, [resting_point(loss.power, loss.factor, s) for s in shares], line, color=colour, label=name)
    one.axhline(0.5, color=BLACK, linewidth=1)
    one.annotate("predicted plate above this line", (2.1e-3, 0.52), fontsize=8)
    one.axvline(share, color=BLACK, linewidth=1, linestyle=":")
    one.annotate(f" training crops: {share:.1%}", (share, 0.95), fontsize=8)
    one.set(xscale="log", xlabel="share of pixels that are plate", ylabel="P(plate) everywhere", ylim=(0, 1))
    one.set_xticks([0.003, 0.01, 0.03, 0.1, 0.3], ["0.3 %", "1 %", "3 %", "10 %", "30 %"])
    one.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return show(figure, data, "02_resting_points")


def training_curves(histories: Mapping[str, Sequence[Mapping[str, Any]]], share: float, data: str) -> Image:
    """A and pooled A1 on the whole validation pictures after each epoch, with what all-background scores."""
    figure, made = axes(1, 2)
    keys = {"validation_accuracy": "A, all pixels", "validation_on_plate_accuracy_pooled": "A1, plate pixels (pooled)"}
    for one, (key, title), floor in zip(made[0], keys.items(), (1 - share, 0.0), strict=True):
        for (name, history), colour, mark in zip(histories.items(), CYCLE, "osD^v", strict=False):
            points = [(row["step"], row[key]) for row in history if row[key] is not None]
            one.plot(*zip(*points, strict=True), marker=mark, markersize=3, color=colour, label=name)
        one.axhline(floor, color=BLACK, linestyle=":", linewidth=1.2, label="all-background")
        one.set(xlabel="optimiser steps", ylim=(-0.03, 1.03), title=title)
    made[0, 0].set_ylabel("share predicted right at p ≥ 0.5")
    made[0, 1].legend(fontsize=8)
    return show(figure, data, "02_training_curves")


def trade_offs(curves: Mapping[str, ThresholdCurve], data: str) -> Image:
    """Pooled A1 against A over all thresholds; a dot marks p = 0.5."""
    figure, made = axes(width=6.5, height=3.6)
    one = made[0, 0]
    for (name, curve), colour, line in zip(curves.items(), CYCLE, ("-", "--", "-.", ":"), strict=False):
        one.plot(curve.accuracy, curve.on_plate_accuracy, line, color=colour, label=name)
        half = len(curve.thresholds) // 2
        one.plot(curve.accuracy[half], curve.on_plate_accuracy[half], "o", color=colour)
    one.set(xlim=(0.5, 1.0), ylim=(-0.02, 1.02), xlabel="A, share of all pixels right", ylabel="A1 (pooled)")
    one.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return show(figure, data, "02_trade_offs")


def concealed_pictures(
    pictures: Sequence[np.ndarray], backgrounds: Sequence[np.ndarray], concealed: Sequence[Concealed], data: str
) -> Image:
    """A row for each picture: as it was, P(plate), and concealed."""
    figure, made = panels(3 * len(pictures), 3, titles=("picture", "P(plate), dark 0 to bright 1", "concealed"))
    for number, (picture, background, result) in enumerate(zip(pictures, backgrounds, concealed, strict=True)):
        left, middle, right = made[3 * number : 3 * number + 3]
        left.imshow(picture)
        middle.imshow(1 - background, vmin=0, vmax=1, cmap="viridis")
        right.imshow(result.image)
    return show(figure, data, "02_concealed", photographs=True)
