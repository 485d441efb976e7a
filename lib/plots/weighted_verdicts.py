"""Rules, sentences and tables of `03_weighted_loss`, computed from runs and records so that they are true of any."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from IPython.display import Markdown

from lib.losses import PlateLoss, resting_point
from lib.plots.tables import cell, table
from lib.settings import PlatesError

Record = Mapping[str, Any]  # of `lib.records`, or with as much as its ``history``, ``log`` and ``diverged``

WINDOW, JUMP = 20, 2.0  # a jump: a step whose loss is over twice the median of the 20 steps before it


def told_records(records: Sequence[Record]) -> str:
    """Data, recipe and device of records in one line, from the records themselves.

    Raises:
        PlatesError: there is none.
    """
    if not records:
        raise PlatesError("figures/runs holds no record of this group; make them with `python -m lib runs`.")
    whole = [one for one in records if one["diverged"] is None]  # a run that diverged does not say where it ran
    sizes = {
        f"{one['preset']} recipe, {one['epochs']} epochs of {one['pictures']:,}, batch {one['recipe']['batch']}"
        for one in whole
    }
    devices = {one["device"] for one in whole}
    return "; ".join((*sorted({one["data"] for one in records}), *sorted(sizes), *sorted(devices)))


def gradient_share(power: int, factor: float, p: np.ndarray, share: float | np.ndarray) -> np.ndarray:
    """The plate pixels' share of all pull on the logits, when every pixel is given the same P(plate).

    The pull of one plate pixel is ``factor * power * (-log p)^(power - 1) * (1 - p)`` (`lib.losses.loss_and_gradient`),
    that of a background pixel ``p``; one half is where `resting_point` lies.

    Args:
        p: P(plate), in (0, 1).
        share: plate pixels / pixels, in (0, 1); broadcast with ``p``.
    """
    plate = factor * power * (-np.log(p)) ** (power - 1) * (1 - p) * share
    return plate / (plate + p * (1 - share))


def gradient_table(losses: Mapping[str, PlateLoss], share: float) -> Markdown:
    """For each loss: the plate pixels' share of the pull at some p, and where it rests."""
    rows = [
        {"loss": name}
        | {
            f"at p = {p:g}": float(gradient_share(loss.power, loss.factor, np.array(p), share))
            for p in (0.01, 0.1, 0.5)
        }
        | {"rests at p": resting_point(loss.power, loss.factor, share)}
        for name, loss in losses.items()
    ]
    return table(rows, f"share of the pull that plate pixels have, at a plate share of {share:.2%}")


def balancing_factor(power: int, share: float) -> float:
    """What must multiply the plate term for a network that tells no pixels apart to rest at one half exactly."""
    return (1 - share) / (share * power * math.log(2) ** (power - 1))


def starts(
    histories: Mapping[str, Sequence[Mapping[str, Any]]], losses: Mapping[str, PlateLoss], share: float
) -> Markdown:
    """Where each run's loss rests before anything is learnt, and which share of all pixels its first epochs cover."""
    rows = []
    for name, history in histories.items():
        covered = [row["validation_predicted_plate"] for row in history[1:]]
        rests = resting_point(losses[name].power, losses[name].factor, share)
        row = {"run": name, "rests at P(plate)": rests, "predicted plate after epoch 1": covered[0]}
        rows.append(row | {"at most": max(covered), "after the last": covered[-1]})
    return table(rows, f"resting points at the plate share of the crops, {share:.2%}; shares of validation pixels")


def factor(record: Record) -> float:
    """What multiplies ``(-log p)^k`` in a record's loss: λ, or λ to the power k where it stands inside."""
    recipe = record["recipe"]
    power = {"cross_entropy": 1, "log2": 2, "log3": 3}[recipe["loss"]]
    weight = recipe["weight"] if recipe["weight"] is not None else (1.0 if power == 1 else 5.0)
    return PlateLoss(power, weight, recipe["weight_inside"]).factor


def pixels(record: Record) -> Mapping[str, Any]:
    """A record's scores on whole validation pictures."""
    return record["metrics"]["validation"]["full_frame"]


def at_half(record: Record, key: str) -> float:
    """A record's curve at a threshold of one half: ``accuracy``, ``on_plate_accuracy`` (pooled) or ``false_cover``."""
    curve = record["curve"]
    return curve[key][curve["threshold"].index(0.5)]


def scores_table(records: Sequence[Record]) -> Markdown:
    """A, A1 and what is independent of the threshold, a row a record; dashes where it diverged."""
    rows = []
    for one in records:
        own = pixels(one) if one["diverged"] is None else {}
        rows.append(
            {
                "run": one["label"],
                "acts as λ outside": f"{factor(one):g}",
                "A": own.get("accuracy"),
                "A1": own.get("on_plate_accuracy"),
                "A1 pooled": own.get("on_plate_accuracy_pooled"),
                "false cover": at_half(one, "false_cover") if own else None,
                "A1 pooled at A = 0.95": own["at_accuracy"]["0.95"] if own else None,
                "gain over the prior 95 %": tuple(own["gain_interval"]) if own and own["gain_interval"] else None,
            }
        )
    return table(rows, f"whole validation pictures, p ≥ 0.5 but for the last two; {told_records(records)}")


def forms(records: Sequence[Record]) -> Markdown:
    """What λ's place and the reduction do, each with the other held fixed, in a sentence; ``form-*`` records."""
    own = {one["name"]: pixels(one) for one in records if one["diverged"] is None}
    names = [f"form-{place}-{how}" for place in ("outside", "inside") for how in ("sum", "mean")]
    if any(name not in own for name in names):
        return Markdown("**Cannot be told apart here:** one of the four runs is missing or diverged.")
    half, fixed = (
        np.array([get(own[name]) for name in names]).reshape(2, 2)
        for get in (lambda one: one["on_plate_accuracy_pooled"], lambda one: one["at_accuracy"]["0.95"] or 0.0)
    )
    said = []
    for what, axis, lines in (("λ inside", 0, ("sums", "means")), ("means", 1, ("λ outside", "λ inside"))):
        pairs = [np.diff(table_, axis=axis).ravel() for table_ in (half, fixed)]
        each = [f"{a:+.2f} ({b:+.2f}) with {line}" for a, b, line in zip(*pairs, lines, strict=True)]
        said.append(f"{what} instead of {'λ outside' if axis == 0 else 'sums'}: " + " and ".join(each))
    return Markdown(f"**Change of the pooled A1 at one half (and at A = 0.95):** {'; '.join(said)}.")


def jumps(loss: Sequence[float]) -> np.ndarray:
    """How many times the median loss of the `WINDOW` steps before it each step has; NaN for the first `WINDOW`."""
    steps = np.asarray(loss, dtype=float)
    before = [np.median(steps[i - WINDOW : i]) if i >= WINDOW else np.nan for i in range(len(steps))]
    return steps / np.array(before, dtype=float)


def count_jumps(record: Record) -> int:
    """Steps of a run that jump; one more where it ran away altogether."""
    ratios = jumps(record["log"]["loss"])
    return int((ratios > JUMP).sum()) + (record["diverged"] is not None)


def clipping_table(records: Sequence[Record]) -> Markdown:
    """Gradient norms and jumps of each run, with what it scored."""
    rows = []
    for one in records:
        norms, ratios = np.array(one["log"]["gradient_norm"]), jumps(one["log"]["loss"])
        own = pixels(one) if one["diverged"] is None else {}
        rows.append(
            {
                "clipped by": one["label"],
                "steps": len(ratios),
                "norm, median": f"{np.median(norms):.3g}" if len(norms) else None,
                "norm, largest": f"{norms.max():.3g}" if len(norms) else None,
                "norm above 0.1": f"{np.mean(norms > 0.1):.0%}" if len(norms) else None,
                "jumps": count_jumps(one),
                "largest jump": f"x {np.nanmax(ratios):.2f}" if len(ratios) > WINDOW else None,
                "A1 pooled": own.get("on_plate_accuracy_pooled"),
                "A1 pooled at A = 0.95": own["at_accuracy"]["0.95"] if own else None,
            }
        )
    note = (
        "norms before clipping; a jump is a loss over twice the median of the 20 steps before, or a run that diverged"
    )
    return table(rows, f"{note}; {told_records(records)}")


def same_path(records: Sequence[Record], tolerance: float = 0.05) -> Markdown:
    """Which runs of a clipping group took the same way as the run without clipping, in sentences.

    AdamW divides each gradient by its own running size, so that a constant factor, such as sums in place of means,
    changes nothing but what clipping cuts off. Two runs are called alike when the median step's losses, each as a share
    of the first one's, differ by less than ``tolerance``.
    """
    free = {one["recipe"]["reduction"]: one for one in records if one["recipe"]["clip"] == ""}
    if "mean" not in free:
        return Markdown("**Cannot be told:** the run without clipping is missing.")
    said = []
    for one in records:
        if one is free["mean"]:
            continue
        pair = [np.array(run["log"]["loss"], dtype=float) for run in (one, free["mean"])]
        steps = min(map(len, pair))
        if not steps:
            continue
        apart = float(np.median(np.abs(pair[0][:steps] / pair[0][0] / (pair[1][:steps] / pair[1][0]) - 1)))
        said.append(f"{one['label']}: {'alike' if apart < tolerance else 'another way'} ({apart:.1%} apart)")
    return Markdown(f"**Against no clipping with means, the median step's loss:** {'; '.join(said)}.")


def differences(cosine: Sequence[Record], constant: Sequence[Record]) -> list[float]:
    """Training loss of the last epoch, constant minus cosine, for each seed that both have and neither diverged on."""
    last = [
        {one["seed"]: one["history"][-1]["loss"] for one in group if one["diverged"] is None}
        for group in (cosine, constant)
    ]
    return [last[1][seed] - last[0][seed] for seed in sorted(last[0].keys() & last[1].keys())]


def interval_words(interval: tuple[float, float] | None) -> str | None:
    """An interval as the ledger writes it."""
    return None if interval is None else cell(tuple(interval))
