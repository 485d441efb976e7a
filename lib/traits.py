"""Coverage by what is known of each plate: its size, its tilt, its light, its country, its source."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from datasets import Dataset

from lib.bootstrap import ratio_interval
from lib.data import plates_of
from lib.metrics import COVERED, Accumulator
from lib.regions import rasterise

WIDTHS = (0.0, 16.0, 24.0, 40.0, 80.0, np.inf)  # scaled, pixels; 24 parts small plates from large ones
ANGLES = (0.0, 15.0, 30.0, 45.0, 90.0)  # degrees between the view and the plate's normal


def traits(split: Dataset) -> list[dict[str, Any]]:
    """What is known of each plate that `lib.metrics.Accumulator` counts, in its order: source, light, design, angle."""
    told = []
    for row in split.remove_columns("image"):
        objects, shape = row["objects"], (row["height"], row["width"])
        for number, plate in enumerate(plates_of(row)):
            if not plate.iscrowd and rasterise(plate.box, shape) is not None:
                own = {
                    "source": row["source"],
                    "light": row["light"] or None,
                    "design": objects["look"][number] or None,
                }
                told.append(own | {"angle": objects["angle"][number] if objects["angle"][number] >= 0 else None})
    return told


def coverage_by(held: Accumulator, groups: Sequence[Any], least: float = COVERED) -> dict[Any, dict[str, Any]]:
    """Coverage of each group of plates.

    Args:
        held: plates as measured at an operating point.
        groups: each plate's group, in the accumulator's order; None for none.
        least: share of a plate that has to be concealed; `lib.metrics.MISSED` for those that are not missed.

    Returns:
        Group to ``plates``, ``coverage`` and its ``interval`` (95 %, bootstrap over pictures), groups in order.
    """
    if len(groups) != len(held.plates):
        raise ValueError(f"{len(groups)} groups do not fit {len(held.plates)} plates")
    told = {}
    for group in sorted({each for each in groups if each is not None}):
        rows = [row for row, own in zip(held.plates, groups, strict=True) if own == group]
        index = [row.picture for row in rows]
        covered = np.bincount(index, [row.concealed >= least for row in rows], len(held.pictures))
        count = np.bincount(index, minlength=len(held.pictures)).astype(float)
        told[group] = {
            "plates": len(rows),
            "coverage": float(covered.sum() / count.sum()),
            "interval": ratio_interval(covered, count),
        }
    return told


def binned(values: Sequence[float | None], edges: Sequence[float]) -> list[int | None]:
    """The number of the bin ``edges[i] <= value < edges[i + 1]`` of each value; None stays None."""
    last = len(edges) - 2
    return [
        None if value is None else min(int(np.searchsorted(edges, value, side="right")) - 1, last) for value in values
    ]


def bin_name(edges: Sequence[float], number: int, unit: str = "") -> str:
    """``"16 to 24"``, ``"80 and more"``."""
    low, high = edges[number], edges[number + 1]
    return f"{low:g}{unit} and more" if np.isinf(high) else f"{low:g} to {high:g}{unit}"


def all_traits(held: Accumulator, known: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    """`coverage_by` for every trait that is known of some plates: ``scaled width``, ``angle``, ``light``,
    ``design``, ``source``, each group by its name."""
    widths = binned([row.width for row in held.plates], WIDTHS)
    angles = binned([each["angle"] for each in known], ANGLES)
    told = {
        "scaled width, px": {bin_name(WIDTHS, k): v for k, v in coverage_by(held, widths).items()},
        "angle of the view": {bin_name(ANGLES, k, "°"): v for k, v in coverage_by(held, angles).items()},
    }
    for trait in ("light", "design", "source"):
        told[trait] = coverage_by(held, [each[trait] for each in known])
    return {name: groups for name, groups in told.items() if groups}
