"""Tables of `03_weighted_loss`'s searches: every trial, and what each rule would choose."""

from collections.abc import Mapping, Sequence
from typing import Any

from IPython.display import Markdown

from lib.plots.tables import table
from lib.trials import completed, highest_accuracy, simplest, value


def trials_table(result: Mapping[str, Any]) -> Markdown:
    """Every trial of a search, the best first, those that diverged last."""
    rows = [
        {
            "trial": trial["number"],
            "values": told_values(trial["params"]),
            "steps": trial["steps"],
            "seconds": trial["seconds"],
            "A": trial["A"],
            "A1 pooled": trial["A1 pooled"],
            "cross entropy": trial["cross_entropy"],
            "A1 pooled at A = 0.95": trial["at_accuracy_095"],
            "behind the best 95 %": trial["behind_best"] and tuple(trial["behind_best"]),
        }
        for trial in sorted(result["trials"], key=lambda one: (one["state"] != "complete", -value(one)))
    ]
    return table(rows, told_search(result))


def choices_table(searches: Sequence[Mapping[str, Any]]) -> Markdown:
    """What each search would take: the best trial, the simplest that ties with it, and the paper's criterion."""
    rows = []
    for one in searches:
        trials = completed(one["trials"])
        rules = {
            "best": max(trials, key=value),
            "simplest tie": simplest(trials),
            "highest A": highest_accuracy(trials),
        }
        for rule, trial in rules.items():
            rows.append(
                {
                    "search, rule": f"{one['kind']}, {rule}",
                    "trial": trial["number"],
                    "values": told_values(trial["params"]),
                    "A1 pooled at A = 0.95": trial["at_accuracy_095"],
                    "gain over the prior 95 %": tuple(trial["interval"]),
                    "A": trial["A"],
                    "A1 pooled": trial["A1 pooled"],
                    "cross entropy": trial["cross_entropy"],
                }
            )
    return table(rows, "; ".join(told_search(one) for one in searches))


def told_values(params: Mapping[str, float]) -> str:
    """A trial's values in a few words."""
    names = {"learning_rate": "rate", "weight_decay": "decay", "weight": "λ", "batch": "batch", "clip_at": "clip"}
    return ", ".join(f"{names[key]} {params[key]:.2g}" for key in names if key in params)


def told_search(result: Mapping[str, Any]) -> str:
    """Data, size and device of a search in one line."""
    trials, recipe = result["trials"], result["recipe"]
    ended = sum(trial["state"] == "diverged" for trial in trials)
    return (
        f"{result['kind']} search of {len(trials)} trials ({ended} diverged), {recipe['epochs']} epochs of "
        f"{result['pictures']:,} pictures, {result['validation_pictures']:,} for validation; {result['data']}; "
        f"{result['device']}"
    )
