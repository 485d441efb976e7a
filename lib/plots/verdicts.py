"""Sentences and tables of `02_baseline` that are computed from its runs, so that they are true of any data."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from IPython.display import Markdown

from lib.experiments import Score
from lib.models import build, parameter_count
from lib.plots.tables import table
from lib.recipes import Recipe

History = Sequence[Mapping[str, Any]]
NOTHING = 0.01  # an A1 below one in a hundred is called nothing


def layers(recipe: Recipe) -> Markdown:
    """The network's layers, what leaves each of them and their parameters, from the model itself."""
    with torch.device("meta"):  # shapes without memory
        model = build(recipe.model, **recipe.options)
        picture = torch.zeros(1, 3, model.side, model.side)
    rows, total = [], parameter_count(model)

    def note(layer: torch.nn.Module, _given: Any, out: torch.Tensor) -> None:
        own = parameter_count(layer)
        shape = " x ".join(str(n) for n in out.shape[1:])
        rows.append({"layer": str(layer), "out": shape, "parameters": own, "share": f"{own / total:.1%}"})

    leaves = [layer for layer in model.modules() if not list(layer.children())]
    for layer in leaves:
        layer.register_forward_hook(note)
    model(picture)
    return table(rows, f"{recipe.model}: {total:,} parameters, then reshaped to 2 x {model.grid} x {model.grid}")


def collapse(history: History, share: float) -> Markdown:
    """Whether a run collapsed, in a sentence with its numbers."""
    last = history[-1]
    best = max(row["validation_on_plate_accuracy_pooled"] for row in history[1:])
    accuracy, pooled = last["validation_accuracy"], last["validation_on_plate_accuracy_pooled"]
    verdict = "It collapses, as in the paper" if best < NOTHING else "It does not collapse completely here"
    return Markdown(
        f"**{verdict}:** after {last['step']:,} steps A is {accuracy:.3f}, where predicting nothing scores "
        f"{1 - share:.3f}, and A1 is {pooled:.3f}; the best A1 of any epoch was {best:.3f}."
    )


def probabilities(score: Score, share: float) -> Markdown:
    """How P(plate) lies on plate and on background pixels: medians and 99th percentiles of the histogram."""
    rows = []
    for name, counts in zip(("background", "plate"), score.curve.counts, strict=True):
        # The histogram is of P(background), so it is read from its end.
        below = counts[::-1].cumsum() / counts.sum()
        at = {q: 1 - score.curve.thresholds[::-1][(below >= q).argmax()] for q in (0.5, 0.99)}
        rows.append({"pixels": name, "median P(plate)": float(at[0.5]), "99 % are below": float(at[0.99])})
    return table(rows, f"{score.name}; plate share of the training crops {share:.3f}")


def findings(
    entropy: History,
    compared: Sequence[Mapping[str, Any]],
    measured: Mapping[str, Any],
    interval: tuple[float, float] | None,
    share: float,
) -> Markdown:
    """The notebook's results beside the paper's."""
    own = {row["model"]: row for row in compared}
    code, printed = own["log², code"], own["log², equation"]
    last, covered = entropy[-1], measured["coverage"]
    pair = "{:.2f} / {:.2f}".format  # A1 per picture, the paper's form
    rows = [
        {"question": "A of predicting nothing", "paper": ".94", "here": f"{1 - share:.3f}"},
        {
            "question": "cross entropy, A / A1",
            "paper": ".94 / 0",
            "here": pair(last["validation_accuracy"], last["validation_on_plate_accuracy"]),
        },
        {
            "question": "log², λ = 5, the equation, A / A1",
            "paper": ".89 / .93",
            "here": pair(printed["A"], printed["A1"]),
        },
        {"question": "log², λ = 5, the code, A / A1", "paper": "not said apart", "here": pair(code["A"], code["A1"])},
        {
            "question": "pooled A1 above the location prior's at equal A (code)",
            "paper": "not asked",
            "here": told(code["gain (pooled)"], code["gain 95 %"]),
        },
        {"question": "plates covered on test", "paper": "not measured", "here": told(covered, interval)},
    ]
    return table(
        rows,
        "the paper: 320x320 random crops of its own set, Table 1; here: whole pictures, validation; last row: test",
    )


def told(value: float | None, interval: tuple[float, float] | None) -> str:
    """A share with its 95 % interval, in words."""
    if value is None or interval is None:
        return "cannot be told"
    return f"{value:.2f} ({interval[0]:.2f} to {interval[1]:.2f})"
