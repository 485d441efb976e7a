"""Sentences and tables of `06_saliency`, computed from its numbers so that they are true of any data."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from IPython.display import Markdown
from torch import Tensor, nn

from lib.attribution import PARTS, Specimens, brightest, density, mean_interval
from lib.counterfactuals import PLAIN, Belief
from lib.experiments import paired_gain
from lib.explain import Integrated, receptive_fields, seen_side
from lib.faithfulness import area_under, rank_correlation
from lib.plots.saliency_verdicts import above
from lib.plots.tables import table
from lib.plots.verdicts import told


def sight(model: nn.Module, masks: Tensor) -> Markdown:
    """What each layer of the encoder sees, and what none sees."""
    side, end = model.side, seen_side(model)
    rows = [
        {
            "layer": row["layer"],
            "cells": f"{row['cells']} x {row['cells']}",
            "one cell sees": f"{row['sees']} x {row['sees']} pixels",
            "cells are apart": f"{row['step']} pixels",
        }
        for row in receptive_fields(model)
    ]
    lost = 1 - masks[:, :end, :end].sum().item() / max(masks.sum().item(), 1)
    shown = table(rows).data
    return Markdown(
        f"{shown}\n\nNothing looks at the last {side - end} rows and columns of {side}: "
        f"{1 - (end / side) ** 2:.1%} of the picture, with {lost:.1%} of the plate pixels."
    )


def rests_on(beliefs: Mapping[str, Belief], data: str) -> Markdown:
    """Belief on and off the plates for several versions of the pictures; the first is the reference."""
    rows, first = [], next(iter(beliefs.values()))
    for name, one in beliefs.items():
        apart, interval = mean_interval(one.separation)
        rows.append(
            {
                "pictures": name,
                "P(plate) on the plates": mean_interval(one.on)[0],
                "elsewhere": mean_interval(one.off)[0],
                "separation": apart,
                "95 %": interval,
                "of the first": f"{apart / mean_interval(first.separation)[0]:.0%}",
            }
        )
    return table(rows, f"mean P(plate); separation: on the plates minus elsewhere; {data}")


def convergence(results: Mapping[int, Integrated], data: str) -> Markdown:
    """Integrated Gradients' convergence delta against its number of steps."""
    rows = [
        {
            "steps": steps,
            "evidence to explain": float(one.moved.abs().mean()),
            "delta": float(one.delta.abs().mean()),
            "delta / evidence": f"{float(one.delta.abs().sum() / one.moved.abs().sum()):.2%}",
        }
        for steps, one in results.items()
    ]
    return table(
        rows, f"mean absolute values of {len(next(iter(results.values())).moved)} pictures, sums of logits; {data}"
    )


def baselines(results: Mapping[str, Integrated], plates: Tensor, seen: int, data: str) -> Markdown:
    """How Integrated Gradients' maps depend on the baseline; the first of ``results`` is the reference."""
    reference = next(iter(results.values())).maps
    rows = []
    for name, one in results.items():
        ratio, interval = density(one.maps, plates, seen)
        rows.append(
            {
                "baseline": name,
                "evidence to explain": float(one.moved.mean()),
                "of it negative": f"{float((one.moved < 0).float().mean()):.0%}",
                "on plate, times chance": ratio,
                "95 %": interval,
                "rank correlation with the first": mean_interval(rank_correlation(one.maps, reference, seen))[0],
            }
        )
    return table(rows, f"{len(reference)} pictures; {data}")


def where_maps_lie(maps: Mapping[str, Tensor], specimens: Specimens, seen: int, data: str) -> Markdown:
    """Each map's density on each part, with intervals, and where its brightest pixel falls."""
    rows = []
    for name, one in maps.items():
        row = {"map": name} | {part: told(*density(one, specimens.parts[part], seen)) for part in PARTS}
        rows.append(row | {"brightest pixel on a plate": f"{brightest(one, specimens.plates, seen).mean():.0%}"})
    area = specimens.plates[:, :seen, :seen].float().mean().item()
    return table(
        rows, f"share of map / share of area (95 %); {len(specimens)} pictures, plates fill {area:.1%} of them; {data}"
    )


def randomised(curves: Mapping[str, Mapping[str, np.ndarray]]) -> Markdown:
    """The sanity check in a sentence for each method: what is left of the map when all weights are random."""
    lines = []
    for name, layers in curves.items():
        values = list(layers.values())[-1]
        left, interval = mean_interval(values)
        known = f"{np.count_nonzero(~np.isnan(values))} of {len(values)} pictures"  # elsewhere a map is empty
        verdict = (
            "so part of it shows the picture, not the training" if above(interval) else "so none is sure to remain"
        )
        lines.append(f"- **{name}**: {told(left, interval)} with all weights random, in {known}; {verdict}.")
    return Markdown("\n".join(lines))


def replacement_areas(result: Mapping[str, Mapping[str, np.ndarray]], data: str) -> Markdown:
    """Areas under the deletion and insertion curves, against the random ranking's on the same pictures."""
    rows = []
    for name in result["deletion"]:
        row: dict[str, Any] = {"squares ranked by": name}
        for test, curves in result.items():
            row[test] = float(area_under(curves[name]).mean())
            for blind in ("random", "centre"):
                gain = mean_interval(area_under(curves[name]) - area_under(curves[blind]))
                row[f"{test}, minus {blind}'s"] = "-" if name == blind else told(*gain)
        rows.append(row)
    pictures = len(next(iter(result["deletion"].values())))
    caption = f"area under the curve (95 %), {pictures} pictures; deletion: less is better; insertion: more is; {data}"
    return table(rows, caption)


def change(name: str, altered: Belief, original: Belief) -> dict[str, Any]:
    """A table row: pooled A1 and separation of altered pictures, and how they differ from the same pictures unaltered.

    Intervals are 95 %, by a bootstrap that draws the same pictures for both.
    """
    gain, interval = paired_gain(altered.pixels, original.pixels)
    apart, apart_interval = mean_interval(altered.separation - original.separation)
    return {
        "pictures": name,
        "A1 pooled": altered.pixels.summary()["on_plate_accuracy_pooled"],
        "A1 change": gain,
        "A1 change 95 %": interval,
        "separation": mean_interval(altered.separation)[0],
        "change": apart,
        "change 95 %": apart_interval,
    }


def colour_effects(beliefs: Mapping[str, Belief], data: str) -> Markdown:
    """What recolouring changes, for all versions of the pictures."""
    return table(
        [change(name, one, beliefs[PLAIN]) for name, one in beliefs.items()],
        f"{len(beliefs[PLAIN].on)} pictures; separation: mean P(plate) on the plates minus elsewhere; {data}",
    )
