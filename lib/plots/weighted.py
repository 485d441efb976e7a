"""Figures of `03_weighted_loss`: who pulls the gradient, λ, clipping, the schedule, the searched space."""

from collections.abc import Callable, Mapping, Sequence
from textwrap import fill
from typing import Any

import numpy as np
from IPython.display import Image
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullLocator, ScalarFormatter

from lib.losses import PlateLoss
from lib.plots.search_tables import told_search
from lib.plots.style import BLACK, BLUE, CYCLE, GREEN, ORANGE, RED, axes, show
from lib.plots.weighted_verdicts import (
    JUMP,
    Record,
    at_half,
    balancing_factor,
    factor,
    gradient_share,
    jumps,
    pixels,
    told_records,
)
from lib.settings import PlatesError
from lib.thresholds import Sweep
from lib.trials import completed, simplest, value

LINES = ("-", "--", "-.", ":")
MARKS = "osD^v"
PLACES = {False: ("λ outside", BLUE, "o"), True: ("λ inside", RED, "s")}


def gradient_shares(losses: Mapping[str, PlateLoss], share: float, data: str) -> Image:
    """The plate pixels' share of the pull, against P(plate) at this plate share, and against the plate share at 1/2."""
    p, shares = np.geomspace(1e-3, 0.999, 400), np.geomspace(2e-3, 0.5, 200)
    figure, ((left, right),) = axes(1, 2, height=3.6)
    for (name, loss), colour, line in zip(losses.items(), CYCLE, LINES, strict=False):
        left.plot(p, gradient_share(loss.power, loss.factor, p, share), line, color=colour, label=name)
        right.plot(shares, gradient_share(loss.power, loss.factor, np.array(0.5), shares), line, color=colour)
    for one in (left, right):
        one.axhline(0.5, color=BLACK, linewidth=1)
        one.set(xscale="log", ylim=(0, 1))
    right.axvline(share, color=BLACK, linewidth=1, linestyle=":")
    right.set_xticks([0.003, 0.01, 0.03, 0.1, 0.3], ["0.3 %", "1 %", "3 %", "10 %", "30 %"])
    left.set_xticks([0.001, 0.01, 0.1, 0.5], ["0.001", "0.01", "0.1", "0.5"])
    left.set(xlabel="P(plate), the same for all pixels", ylabel="plate's share of the pull")
    left.set_title(f"at a plate share of {share:.1%}", fontsize=10)
    right.set(xlabel="share of pixels that are plate")
    right.set_title(f"untrained, at P(plate) = 1/2; dotted: training crops, {share:.1%}", fontsize=10)
    figure.legend(*left.get_legend_handles_labels(), loc="outside upper center", ncols=2, fontsize=8, frameon=False)
    return show(figure, data, "03_gradient_shares")


def lambdas(records: Sequence[Record]) -> Image:
    """Left: A and pooled A1 at one half against what multiplies the squared logarithm. Right: A1 against false cover.

    The dash-dotted line is where a network that tells no pixels apart would rest at one half (`balancing_factor`), at
    the plate share of these validation pictures.
    """
    figure, ((left, right),) = axes(1, 2, width=9, height=3.8)
    whole = [one for one in records if one["diverged"] is None]
    for inside, (words, colour, mark) in PLACES.items():
        own = sorted((one for one in whole if one["recipe"]["weight_inside"] == inside), key=factor)
        for key, line, name in (("accuracy", ":", "A"), ("on_plate_accuracy_pooled", "-", "A1 pooled")):
            values = [pixels(one)[key] for one in own]
            left.plot([factor(one) for one in own], values, mark + line, color=colour, label=f"{name}, {words}")
        for one in own:
            half = at_half(one, "false_cover"), at_half(one, "on_plate_accuracy")
            right.plot(one["curve"]["false_cover"], one["curve"]["on_plate_accuracy"], color=colour, alpha=0.3)
            right.plot(*half, mark, color=colour)
            if half[0] > 0.01:  # those that predict nothing lie on top of each other
                right.annotate(f"{one['recipe']['weight']:g}", half, (4, -9), textcoords="offset points", fontsize=7)
        right.plot([], [], mark + "-", color=colour, label=words)
    if whole:
        rests = balancing_factor(2, _share(whole[0]))
        left.axvline(rests, color=BLACK, linewidth=1, linestyle="-.", label="resting point passes 1/2")
    left.set(xscale="log", ylim=(-0.03, 1.03), xlabel="factor of log²: λ outside, λ² inside", ylabel="at p ≥ 0.5")
    left.set_xticks([1, 3, 10, 30, 100], ["1", "3", "10", "30", "100"])
    right.set(xlim=(-0.02, 1.02), ylim=(-0.03, 1.03), xlabel="false cover", ylabel="A1 (pooled)")
    right.legend(fontsize=8, loc="lower right")
    figure.legend(*left.get_legend_handles_labels(), loc="outside upper left", ncols=2, fontsize=8, frameon=False)
    return show(figure, told_records(records), "03_lambda")


def _share(record: Record) -> float:
    """The plate share of the pictures that a record's curve was scored on: with no plate predicted, A is 1 - share."""
    return 1 - record["curve"]["accuracy"][0]


def clippings(records: Sequence[Record]) -> Image:
    """Each step's loss over the median of the 20 before it, and the gradient's norm before clipping; sums and means."""
    ways = {
        "": ("not clipped", RED, "-", 2.6),
        "norm": ("by norm", ORANGE, "--", 1.2),
        "value": ("by value", BLUE, "-", 0.9),
    }
    figure, made = axes(2, 2, width=9, height=5)
    for column, reduction in enumerate(("sum", "mean")):
        own = [one for one in records if one["recipe"]["reduction"] == reduction]
        for one in sorted(own, key=lambda one: list(ways).index(one["recipe"]["clip"])):  # the widest line lies below
            words, colour, line, width = ways[one["recipe"]["clip"]]
            ended = "" if one["diverged"] is None else ", diverged"
            style = {"linestyle": line, "color": colour, "linewidth": width, "label": words + ended}
            made[0, column].plot(jumps(one["log"]["loss"]), **style)
            made[1, column].plot(one["log"]["gradient_norm"], **style)
        made[1, column].axhline(0.1, color=BLACK, linewidth=1, linestyle="-.")
        made[0, column].axhline(JUMP, color=BLACK, linewidth=1)
        made[0, column].set(title=f"{reduction}s over pixels", yscale="log")
        made[0, column].yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        made[0, column].yaxis.set_major_formatter(ScalarFormatter())
        made[0, column].yaxis.set_minor_locator(NullLocator())
        made[1, column].set(yscale="log", xlabel="optimiser steps")
        made[0, column].set_xlim(made[1, column].get_xlim())
    made[0, 0].set_ylabel("loss / median of 20 before")
    made[1, 0].set_ylabel("norm of the gradient")
    labels = made[0, 1].get_legend_handles_labels()
    figure.legend(*labels, loc="outside upper center", ncols=3, fontsize=8, frameon=False)
    return show(figure, told_records(records), "03_clipping")


def schedules(records: Sequence[Record]) -> Image:
    """Learning rate, training and validation loss after each epoch; a line a seed, one colour a schedule."""
    ways = {"cosine": (BLUE, "o-"), "constant": (RED, "s--")}
    keys = {"learning_rate": "learning rate", "loss": "training loss", "validation_loss": "validation loss"}
    figure, made = axes(1, 3, width=9, height=3.2)
    for one in (one for one in records if one["diverged"] is None):
        colour, line = ways[one["recipe"]["schedule"]]
        label = one["recipe"]["schedule"] if one["seed"] == 0 else None
        for place, key in zip(made[0], keys, strict=True):
            points = [(row["step"], row[key]) for row in one["history"] if row["epoch"] > 0]
            place.plot(*zip(*points, strict=True), line, color=colour, markersize=3, linewidth=1, label=label)
    for place, title in zip(made[0], keys.values(), strict=True):
        place.set(xlabel="optimiser steps", title=title)
    made[0, 0].ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
    made[0, 2].legend(fontsize=8)
    return show(figure, told_records(records), "03_schedule")


def live_runs(histories: Mapping[str, Sequence[Mapping[str, Any]]], steps: Mapping[str, Mapping], data: str) -> Image:
    """Share of pixels predicted plate and pooled A1 on validation, and the gradient's norm at each step.

    Args:
        histories, steps: of `lib.training.Run`, by what the legend calls the run.
    """
    keys = {
        "validation_predicted_plate": "pixels predicted plate",
        "validation_on_plate_accuracy_pooled": "A1 (pooled)",
    }
    figure, made = axes(1, 3, width=9, height=3.4)
    for (name, history), colour, line, mark in zip(histories.items(), CYCLE, LINES, MARKS, strict=False):
        for place, key in zip(made[0], keys, strict=False):
            points = [(row["step"], row[key]) for row in history if row[key] is not None]
            place.plot(*zip(*points, strict=True), line, marker=mark, markersize=3, color=colour, label=name)
        made[0, 2].plot(steps[name]["gradient_norm"], line, color=colour, linewidth=1)
    for place, title in zip(made[0], (*keys.values(), "norm of the gradient"), strict=True):
        place.set(xlabel="optimiser steps", title=title)
    for place in made[0, :2]:
        place.set_ylim(-0.03, 1.03)
    made[0, 2].set_yscale("log")
    figure.legend(
        *made[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=4, fontsize=8, frameon=False
    )
    return show(figure, data, "03_live_runs")


def coverages(sweeps: Mapping[str, Sweep], data: str) -> Image:
    """Plates covered against false cover over all thresholds, a curve a model; a mark at a threshold of one half."""
    figure, ((one,),) = axes(width=6.5, height=3.6)
    for (name, sweep), colour, line, mark in zip(sweeps.items(), CYCLE, LINES, MARKS, strict=False):
        false, covered = sweep.covers_curve("false"), sweep.coverages()
        one.plot(false, covered, line, color=colour)
        half = sweep.index(0.5)
        one.plot(false[half], covered[half], mark, color=colour)
        one.plot([], [], line, marker=mark, color=colour, label=name)
    one.plot([0, 1], [0, 1], color=BLACK, linewidth=1, linestyle=(0, (1, 3)), label="whole plates at random")
    one.set(xlim=(-0.02, 1.02), ylim=(-0.03, 1.03), xlabel="false cover", ylabel="coverage (plates, 95 % concealed)")
    one.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return show(figure, data, "03_coverage")


def searched(searches: Sequence[Mapping[str, Any]], data: str = "", name: str = "03_search") -> Image:
    """A trial's value against each of its five values, and against A at one half; the tie rule's choice is ringed.

    Args:
        data: what to write below; empty for what the searches say of themselves.

    Raises:
        PlatesError: there is no search, or none of one's trials was completed.
    """
    if not searches:
        raise PlatesError("figures/runs holds no search; make the two with `python -m lib runs search`.")
    panels: dict[str, Callable[[Mapping[str, Any]], float | None]] = {
        title: (lambda trial, key=key: trial["params"].get(key))
        for title, key in (
            ("learning rate", "learning_rate"),
            ("weight decay", "weight_decay"),
            ("λ inside", "weight"),
            ("batch", "batch"),
            ("clipping value", "clip_at"),
        )
    }
    panels["A at p ≥ 0.5"] = lambda trial: trial["A"]
    figure, made = axes(2, 3, width=9, height=5)
    for result, colour, mark in zip(searches, (BLUE, RED), "os", strict=False):
        for place, get in zip(made.flat, panels.values(), strict=True):
            _trials(place, result, get, colour, mark)
    for number, (place, title) in enumerate(zip(made.flat, panels, strict=True)):
        place.set_xlabel(title)
        if title not in ("λ inside", "A at p ≥ 0.5"):
            place.set_xscale("log")
        if number % 3 == 0:
            place.set_ylabel("A1 (pooled) at A = 0.95")
        prior = searches[0]["prior_at_accuracy_095"]
        if prior is not None:
            place.axhline(prior, color=BLACK, linewidth=1, linestyle=":", label="location prior")
    made[0, 2].set_xticks(range(2, 11, 2))
    made[1, 0].set_xticks([8, 16, 32, 64], ["8", "16", "32", "64"])
    made[1, 0].minorticks_off()
    figure.legend(
        *made[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=4, fontsize=8, frameon=False
    )
    told = data or "\n".join(fill(told_search(one), 170) for one in searches)
    return show(figure, told, name)


def _trials(place: Axes, result: Mapping[str, Any], get: Callable, colour: str, mark: str) -> None:
    """One search in one panel: its trials, those that tie with the best filled, and crosses for what diverged."""
    kept = [trial for trial in completed(result["trials"]) if get(trial) is not None]
    for tied, words in ((True, "ties with the best"), (False, "behind the best")):
        points = [(get(trial), value(trial)) for trial in kept if (trial["behind_best"][0] <= 0) == tied]
        face = colour if tied else "none"
        style = {"marker": mark, "linestyle": "none", "color": colour, "markerfacecolor": face, "markersize": 5}
        place.plot(*zip(*points, strict=True) if points else ([], []), **style, label=f"{result['kind']}: {words}")
    lost = [get(trial) for trial in result["trials"] if trial["state"] == "diverged" and get(trial) is not None]
    if lost:
        place.plot(lost, np.zeros(len(lost)), "x", color=colour)
    chosen = simplest(result["trials"])
    if get(chosen) is not None:
        place.plot(get(chosen), value(chosen), mark, color=GREEN, markersize=11, markerfacecolor="none")
