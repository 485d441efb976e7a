"""The attack's record: every mode, region and size, beside weak blurs; `python -m lib.attack_records` makes it."""

from datetime import date
from pathlib import Path
from typing import Any

from lib import redact as shipped
from lib.attack import ALPHABET, NOISE, QUALITY, REGIONS
from lib.attack_trials import LIGHT, LOOKS, ceiling, controls, measure, shipped_ways
from lib.files import read_json, write_json
from lib.settings import FIGURES, PlatesError

RECORD = FIGURES / "attack.json"
BOUND = 0.06  # what the upper end of a shipped mode's interval must not exceed
HEIGHTS = (8, 16, 32, 64, 96)


def quick(plates: int = 8, seed: int = 0) -> list[dict[str, Any]]:
    """A few cells in seconds, to see the attack work."""
    return measure([*controls((0.25, 1.0)), *shipped_ways(("characters",))], 16, plates, seed=seed)


def full(path: Path = RECORD, seed: int = 0) -> dict[str, Any]:
    """Every cell, written to ``path``, some ten minutes on one core.

    Controls; each mode, region and height; 25 frames of one plate; plates with few characters; and the `ceiling`.
    """
    cells = measure(controls((0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)), 32, rehearsals=100, seed=seed)
    for height in HEIGHTS:
        cells += measure(shipped_ways(), height, seed=seed)
    coarse = [way for way in shipped_ways(("characters",)) if way.mode != "fill"]  # whose frames are all alike
    for height in (8, 32):
        cells += measure(coarse, height, frames=25, seed=seed)
    for places in (2, 3):
        cells += measure(coarse, 16, plates=450 // places, places=places, seed=seed)
    where = [(region, height, 7) for region in REGIONS for height in HEIGHTS]
    where += [("characters", 16, places) for places in (1, 2, 3)]
    bounds = [{"region": r, "height": h, "places": p, "recovered": ceiling(h, r, p, seed=seed)} for r, h, p in where]
    told = {"date": date.today().isoformat(), "recipe": recipe() | {"seed": seed}, "cells": cells, "ceilings": bounds}
    write_json(path, told)
    return load(path)


def recipe() -> dict[str, Any]:
    """What the outcome depends on, as the record tells it."""
    constants = {"block": shipped.BLOCK, "step": shipped.STEP, "blur_sigma": shipped.BLUR_SIGMA}
    return {
        "redact": constants,
        "noise": NOISE,
        "jpeg_quality": QUALITY,
        "alphabet": ALPHABET,
        "looks": len(LOOKS),
        "light": list(LIGHT),
    }


def load(path: Path = RECORD) -> dict[str, Any]:
    """The record that `full` made.

    Raises:
        PlatesError: it is missing or damaged, or of another `lib.redact` than this.
    """
    told = read_json(path)
    known = told.get("recipe") if isinstance(told, dict) else None
    if not isinstance(known, dict) or {key: known.get(key) for key in recipe()} != recipe():
        raise PlatesError(
            f"{path.name} is of another recipe than this one; `python -m lib.attack_records` makes it anew."
        )
    return told


if __name__ == "__main__":
    for cell in full()["cells"]:
        print(cell)
