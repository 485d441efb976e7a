"""Figures of `11_low_data`, from records of `lib.contests`: coverage and losses against the number of photographs."""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
from IPython.display import Image
from matplotlib.axes import Axes

from lib.beyond import METHODS, grouped, twins
from lib.plots.style import BLUE, CYCLE, RED, axes, show

LOOKS = dict(zip(METHODS.values(), zip(CYCLE, "osD^", strict=False), strict=False))  # a method's colour and mark


def low_data(records: Sequence[Mapping[str, Any]], data: str) -> Image:
    """Coverage at 0.5 % stray cover against the number of training photographs, of all plates and of large ones.

    A dot a training, with its 95 % interval over test pictures; a line through the means of the seeds.
    """
    figure, made = axes(1, 2, width=9.0, height=3.8)
    titles = {"equal_stray": "all plates", "equal_stray_large": "scaled width 24 and more"}
    for one, (key, title) in zip(made[0], titles.items(), strict=True):
        for number, (label, own) in enumerate(grouped(records).items()):
            colour, mark = LOOKS[label]
            means = [np.mean([record[key]["coverage"] for record in some]) for some in own.values()]
            one.plot([*own], means, f"{mark}-", color=colour, label=label, markersize=6)
            for record in chain(*own.values()):
                at = record["photographs"] * 1.06 ** (number - 1.5)  # beside each other, else they hide each other
                one.plot((at, at), record[key]["interval"], "-", color=colour, linewidth=1.2, alpha=0.6)
                one.plot(at, record[key]["coverage"], mark, color=colour, markersize=3)
        _count_axis(one, records)
        one.set(title=title, ylim=(-0.02, 1.0), ylabel="coverage at 0.5 % stray cover")
    made[0, 0].legend(fontsize=8, loc="upper left")
    return show(figure, data, "11_low_data")


def longer(short: Sequence[Mapping[str, Any]], long: Sequence[Mapping[str, Any]], data: str) -> Image:
    """Coverage at 0.5 % stray cover against the number of steps, a panel a method, a line a number of photographs.

    Args:
        short, long: records of the same methods, photographs and seeds; those without a counterpart are left out.
        data: what the figure's note says.
    """
    pairs = twins(short, long)
    methods = list(dict.fromkeys(one["label"] for one, _ in pairs))
    figure, made = axes(1, len(methods), width=4.5 * len(methods), height=3.4)
    for one, method in zip(made[0], methods, strict=True):
        own = [pair for pair in pairs if pair[0]["label"] == method]
        for number, pair in enumerate(own):
            colour, mark = (BLUE, RED)[number % 2], "oD"[number % 2]
            at = [record["steps"] * 1.02 ** (number - 0.5) for record in pair]
            name = f"{pair[0]['photographs']:,} photographs"
            one.plot(at, [record["equal_stray"]["coverage"] for record in pair], f"{mark}-", color=colour, label=name)
            for x, record in zip(at, pair, strict=True):
                one.plot((x, x), record["equal_stray"]["interval"], "-", color=colour, linewidth=1.2, alpha=0.6)
        ticks = sorted({record["steps"] for pair in own for record in pair})
        one.set(title=method, ylim=(-0.02, 1.0), xlabel="optimiser steps", ylabel="coverage at 0.5 % stray cover")
        one.set_xticks([ticks[0], ticks[-1]], [f"{ticks[0]:,}", f"{ticks[-1]:,}"])
        one.legend(fontsize=8, loc="upper left")
    return show(figure, data, "11_longer")


def remembering(records: Sequence[Mapping[str, Any]], data: str) -> Image:
    """Loss at the end of each training, in training and on validation, against the number of photographs."""
    kinds = grouped(records)
    figure, made = axes(1, len(kinds), width=9.0, height=2.9)
    for one, (label, own) in zip(made[0], kinds.items(), strict=True):
        for key, colour, line, name in (
            ("loss", BLUE, "o-", "training crops"),
            ("validation_loss", RED, "D--", "validation"),
        ):
            last = [np.mean([record["history"][-1][key] for record in some]) for some in own.values()]
            one.plot([*own], last, line, color=colour, label=name, markersize=5)
        _count_axis(one, records)
        one.set_title(label, fontsize=9)
        one.set_ylim(0, 1.08 * one.dataLim.ymax)
        one.tick_params(labelsize=8)
    made[0, 0].set_ylabel("loss after the last step")
    made[0, 0].legend(fontsize=8, loc="lower left")
    return show(figure, data, "11_remembering")


def _count_axis(one: Axes, records: Sequence[Mapping[str, Any]]) -> None:
    ticks = sorted({record["photographs"] for record in records})
    one.set_xscale("log")
    one.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    one.minorticks_off()
    one.set_xlabel("training photographs")
