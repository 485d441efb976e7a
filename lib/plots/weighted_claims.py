"""The rules by which `03_weighted_loss` settles the paper's claims: each a function from records to a verdict.

Every function returns what `lib.claims.settle` takes: ``ours``, ``verdict``, ``why``, ``data``, and ``interval`` where
there is one. The rule is in its docstring, and in the notebook beside the verdict.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from lib.bootstrap import seeds_interval
from lib.plots import weighted_verdicts as numbers
from lib.plots.search_tables import told_search, told_values
from lib.plots.weighted_verdicts import WINDOW, Record, count_jumps, interval_words, told_records
from lib.trials import value

HOLDS, IN_PART, FAILS, UNTOLD = "holds", "holds in part", "does not hold", "cannot be told here"
Settled = dict[str, Any]

RATE, DECAY = 1e-3, 1e-4  # the paper's final learning rate and weight decay


def settled(ours: str, verdict: str, why: str, data: str, interval: tuple[float, float] | None = None) -> Settled:
    """The arguments of `lib.claims.settle`."""
    return {"ours": ours, "verdict": verdict, "why": why, "data": data, "interval": interval_words(interval)}


def balance(record: Record) -> float:
    """How far a model is from balance at one half: |share of plate pixels right - share of background pixels right|."""
    return abs(numbers.at_half(record, "on_plate_accuracy") - (1 - numbers.at_half(record, "false_cover")))


def lambda_five(records: Sequence[Record]) -> Settled:
    """λ = 5 balances: of the values tried it has the smallest `balance`, in both forms; in part: in one of the two."""
    best, form = {}, {False: "outside", True: "inside"}
    for inside, name in form.items():
        own = [one for one in records if one["diverged"] is None and one["recipe"]["weight_inside"] == inside]
        if own:
            best[name] = min(own, key=balance)
    ours = ", ".join(
        f"λ = {one['recipe']['weight']:g} {name} (apart by {balance(one):.2f})" for name, one in best.items()
    )
    right = [one["recipe"]["weight"] == 5 for one in best.values()]
    if len(best) < 2:
        return settled(ours or "-", UNTOLD, "runs of one form or of both are missing", told_records(records))
    verdict = HOLDS if all(right) else IN_PART if any(right) else FAILS
    tried = "; ".join(
        f"{name} {', '.join(f'{one:g}' for one in sorted(_weights(records, inside)))}" for inside, name in form.items()
    )
    why = f"of the λ tried ({tried}) the one whose shares of plate and background pixels right at p ≥ 0.5 are closest"
    return settled(ours, verdict, f"{why}, if not close; one seed", told_records(records))


def _weights(records: Sequence[Record], inside: bool) -> set[float]:
    return {one["recipe"]["weight"] for one in records if one["recipe"]["weight_inside"] == inside}


def early_plate(records: Sequence[Record]) -> Settled:
    """Early checkpoints predict mostly plate: within the first half of the epochs, and not before training, over half
    of all pixels are predicted plate, and at the end fewer than half. In part: in some of the runs, or without the end.
    """
    said, outcomes = [], []
    for one in records:
        history = one["history"][1:]  # epoch 0 is the untrained network, no checkpoint
        if not history:
            continue
        half = history[: -(-len(history) // 2)]
        peak, last = max(row["validation_predicted_plate"] for row in half), history[-1]["validation_predicted_plate"]
        outcomes.append((peak > 0.5) + (peak > 0.5 > last))
        said.append(f"{one['label']}: {peak:.0%} early, {last:.0%} at the end")
    verdict = UNTOLD if not outcomes else HOLDS if min(outcomes) == 2 else IN_PART if max(outcomes) else FAILS
    why = "share of pixels predicted plate at p ≥ 0.5, largest of the first half of the epochs against the last epoch"
    return settled("; ".join(said) or "-", verdict, why, told_records(records))


def _clipped(records: Sequence[Record]) -> dict[str, dict[str, int]]:
    """Reduction to way of clipping to the number of jumps."""
    found: dict[str, dict[str, int]] = {}
    for one in records:
        found.setdefault(one["recipe"]["reduction"], {})[one["recipe"]["clip"]] = count_jumps(one)
    return found


def instability(records: Sequence[Record]) -> Settled:
    """Now and then a gradient greatly increases the loss: a run without clipping has a jump, or diverges.

    A jump is a loss over twice the median of the 20 steps before. That something never happens cannot be shown: with no
    jump in n steps it cannot be told, and happens in fewer than 3 / n of the steps (95 %, the rule of three).
    """
    free = {how: ways[""] for how, ways in _clipped(records).items() if "" in ways}
    free_runs = (len(one["log"]["loss"]) for one in records if one["recipe"]["clip"] == "")
    steps = sum(max(0, count - WINDOW) for count in free_runs)  # the first of each run have no 20 before them
    ours = ", ".join(f"{count} jumps without clipping ({how})" for how, count in free.items())
    verdict = HOLDS if any(free.values()) else UNTOLD
    why = f"a jump is a loss over twice the median of the 20 steps before, or a run that diverged; {steps:,} steps"
    why += "" if any(free.values()) or not steps else f", so fewer than {3 / steps:.1%} of them at 95 %"
    return settled(ours or "-", verdict, why, told_records(records))


def clipping(records: Sequence[Record]) -> Settled:
    """Clipping by 0.1 in value addresses it: with the same batches, at most half the jumps of the run without clipping.

    Holds: for sums and for means, where there was a jump to address; in part: for one of two. Where no run without
    clipping jumps there is nothing to address.
    """
    pairs = {how: (ways[""], ways["value"]) for how, ways in _clipped(records).items() if {"", "value"} <= ways.keys()}
    ours = ", ".join(f"{free} jumps without, {clipped} with clipping ({how})" for how, (free, clipped) in pairs.items())
    mended = [2 * clipped <= free for free, clipped in pairs.values() if free]
    verdict = UNTOLD if not mended else HOLDS if all(mended) else IN_PART if any(mended) else FAILS
    why = "jumps without clipping and clipped at 0.1 by value, on the same batches" if mended else "nothing to address"
    return settled(ours or "-", verdict, why, told_records(records))


def cosine(records: Sequence[Record]) -> Settled:
    """A cosine schedule encourages convergence: the last epoch's training loss is lower than with a constant rate.

    Holds: the 95 % interval (Student's t over the seeds, paired) of the difference is above 0; does not: below 0; in
    part: it holds 0, but every seed favours the cosine; else it cannot be told.
    """
    groups = [[one for one in records if one["recipe"]["schedule"] == name] for name in ("cosine", "constant")]
    gaps = numbers.differences(*groups)
    interval = seeds_interval(gaps)
    if interval is None:
        return settled("-", UNTOLD, "fewer than two seeds of both schedules", told_records(records))
    verdict = HOLDS if interval[0] > 0 else FAILS if interval[1] < 0 else IN_PART if min(gaps) > 0 else UNTOLD
    ours = f"{sum(gaps) / len(gaps):+.3f} with a constant rate"
    why = f"training loss of the last epoch, constant minus cosine, {len(gaps)} paired seeds"
    return settled(ours, verdict, why, told_records(records), interval)


def search_rate(grid: Mapping[str, Any] | None) -> Settled:
    """Rate 1e-3 with decay 1e-4 is best: it ties with the best of the grid and no other point does; in part: it ties
    and so do others; does not hold: the best is ahead of it (the 95 % interval of its lead is above 0), or it diverged.
    """
    asked = {"learning_rate": RATE, "weight_decay": DECAY}
    theirs = [one for one in (grid["trials"] if grid else []) if one["params"] == asked]
    if not theirs:
        return settled("-", UNTOLD, "no trial has the paper's values", told_search(grid) if grid else "none")
    tied = [one for one in grid["trials"] if one["state"] == "complete" and one["behind_best"][0] <= 0]
    best = max(tied, key=value, default=None)
    ours = "every trial diverged" if best is None else f"{told_values(best['params'])}; {len(tied)} trials tie"
    verdict = FAILS if theirs[0] not in tied else HOLDS if len(tied) == 1 else IN_PART
    why = "pooled A1 at A = 0.95 of whole validation pictures; the lead is that of the best over the paper's values"
    interval = theirs[0]["behind_best"] and tuple(theirs[0]["behind_best"])
    return settled(ours, verdict, why, told_search(grid), interval)


def batch_highest(random: Mapping[str, Any] | None) -> Settled:
    """The largest batch is best: it does not hold where the best trial is ahead of every trial with the largest batch;
    otherwise it cannot be told, since the search ends below what a GPU bears.
    """
    trials = [one for one in (random["trials"] if random else []) if "batch" in one["params"] and one["behind_best"]]
    if not trials:
        return settled("-", UNTOLD, "no completed trial varies the batch", told_search(random) if random else "none")
    largest = max(one["params"]["batch"] for one in trials)
    rival = max((one for one in trials if one["params"]["batch"] == largest), key=value)
    best = max(trials, key=value)
    why = f"equal pictures a trial, other values drawn too; the lead is over the best trial at batch {largest}"
    why += ", the largest tried" if best["params"]["batch"] != largest else ", the largest tried and the best"
    ours = f"batch {best['params']['batch']} of up to {largest}"
    verdict = FAILS if rival["behind_best"][0] > 0 else UNTOLD
    return settled(ours, verdict, why, told_search(random), tuple(rival["behind_best"]))
