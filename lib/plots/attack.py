"""Figures of the attack in `09_conceal_and_serve`: what is read against strength and size, and examples of it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from IPython.display import Image, Markdown
from matplotlib.axes import Axes

from lib import redact
from lib.attack_records import BOUND
from lib.attack_trials import CHANCE, Example
from lib.plots.style import BLACK, BLUE, GREEN, ORANGE, PURPLE, RED, axes, panels, show
from lib.plots.tables import table

Cells = Sequence[Mapping[str, Any]]
KINDS = {"gaussian": ("Gaussian, sigma", BLUE, "o-"), "mosaic": ("mosaic, block", RED, "s--")}
MODES = {"fill": (GREEN, "o"), "blur": (ORANGE, "s"), "pixelate": (PURPLE, "D")}
REGIONS = {"characters": "the tightest region", "plate": "the whole plate"}


def _error(cells: Cells) -> np.ndarray:
    """How far the intervals reach below and above the shares, (2, N)."""
    return np.abs(np.array([cell["interval"] for cell in cells]) - [[cell["recovered"]] for cell in cells]).T


def _limits(one: Axes) -> None:
    one.axhline(CHANCE, color=BLACK, linestyle=":", linewidth=1.2, label=f"chance, {CHANCE:.3f}")


def strengths(cells: Cells, data: str) -> Image:
    """Left: what is read of weak ways against their strength. Right: of the shipped modes, against size, enlarged."""
    figure, made = axes(1, 2, width=9.0, height=3.9)
    left, right = made[0]
    for kind, (label, colour, line) in KINDS.items():
        own = sorted((c for c in cells if c["mode"] == kind), key=lambda cell: cell["strength"])
        x, y = [cell["strength"] for cell in own], [cell["recovered"] for cell in own]
        left.errorbar(x, y, _error(own), fmt=line, color=colour, capsize=3, ms=5, label=label)
    _limits(left)
    left.axvline(redact.BLOCK, color="0.4", linewidth=6, alpha=0.4, label="our modes: this or more")
    ticks = sorted({cell["strength"] for cell in cells if cell["strength"] is not None} | {redact.BLOCK})
    left.set_xscale("log")
    left.set_xticks(ticks, [f"{tick:g}" for tick in ticks], fontsize=8)
    left.minorticks_off()
    left.set(xlabel="strength in character heights", ylabel="characters read", ylim=(-0.03, 1.03), title="weak ways")
    left.legend(fontsize=7, loc="lower left", bbox_to_anchor=(0.0, 0.2))
    plain = [c for c in cells if c["strength"] is None and c["places"] == 7]
    heights = sorted({cell["height"] for cell in plain})
    groups = [(m, r, f) for m in MODES for r in REGIONS for f in (1, 25)]
    groups = [key for key in groups if any((c["mode"], c["region"], c["frames"]) == key for c in plain)]
    for number, (mode, region, frames) in enumerate(groups):
        own = [c for c in plain if (c["mode"], c["region"], c["frames"]) == (mode, region, frames)]
        colour, mark = MODES[mode]
        x = [heights.index(cell["height"]) + 0.09 * (number - (len(groups) - 1) / 2) for cell in own]
        right.errorbar(
            x, [cell["recovered"] for cell in own], _error(own), fmt=mark, color=colour, capsize=2, ms=5,
            markerfacecolor="white" if region == "plate" else colour, alpha=1.0 if frames == 1 else 0.5,
            label=f"{mode}, {REGIONS[region]}" + (f", {frames} frames" if frames > 1 else ""),
        )  # fmt: skip
    _limits(right)
    right.axhline(BOUND, color=RED, linewidth=1.2, label=f"our limit, {BOUND}")
    right.set_xticks(range(len(heights)), [str(height) for height in heights])
    top = max(0.08, *(1.1 * cell["interval"][1] for cell in plain))
    right.set(
        xlabel="height of a character, pixels", ylim=(0, top), title="our modes, enlarged", ylabel="characters read"
    )
    right.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return show(figure, data, "09_attack")


def examples(made: Sequence[Example], data: str) -> Image:
    """A row for each plate: photographed, weakly blurred with what is read below, and every mode."""
    names = list(made[0].pictures)
    height, width = made[0].pictures[names[0]].shape[:2]
    figure, places = panels(len(made) * len(names), len(names), 9.0, 1.15 * height / width, titles=names)
    for number, one in enumerate(made):
        row = places[number * len(names) : (number + 1) * len(names)]
        for place, picture in zip(row, one.pictures.values(), strict=True):
            place.imshow(picture)
        told = f"read: {one.read}"
        row[1].text(0.5, -0.06, told, transform=row[1].transAxes, ha="center", va="top", fontsize=8, family="monospace")
    return show(figure, data, "09_examples", photographs=True)


def summary(told: Mapping[str, Any]) -> Markdown:
    """The worst cell of each kind of attack in a record, and what nobody can exceed."""
    kinds = {
        "weak, up to half a height": lambda c: c["strength"] is not None and c["strength"] <= 0.5,
        **{f"{m}, 7 characters": lambda c, m=m: _plain(c, m, 1, 7) for m in MODES},
        **{f"{m}, 25 frames averaged": lambda c, m=m: _plain(c, m, 25, 7) for m in MODES},
        "blur or pixelate, 2 or 3 characters": lambda c: c["strength"] is None and c["places"] < 7,
    }
    rows = []
    for name, belongs in kinds.items():
        if own := [cell for cell in told["cells"] if belongs(cell)]:
            worst = (min if name.startswith("weak") else max)(own, key=lambda cell: cell["recovered"])
            shares = {"least" if name.startswith("weak") else "most": worst["recovered"]}
            rows.append({"attack": name, "cells": len(own), "characters a cell": worst["characters"]})
            rows[-1] |= {"read, the worst cell for us": next(iter(shares.values())), "99 %": tuple(worst["interval"])}
    for places in sorted({bound["places"] for bound in told["ceilings"]}, reverse=True):
        own = [bound for bound in told["ceilings"] if bound["places"] == places]
        most = max(bound["recovered"] for bound in own)
        name = f"nobody can exceed, {places} character{'s' if places > 1 else ''}"
        rows.append({"attack": name, "cells": len(own), "characters a cell": None})
        rows[-1] |= {"read, the worst cell for us": most, "99 %": None}
    return table(rows, f"chance {CHANCE:.3f}; measured {told['date']}")


def listed(cells: Cells) -> Markdown:
    """Cells one by one."""
    rows = []
    for cell in cells:
        strength = "as shipped" if cell["strength"] is None else f"{cell['strength']:g} H"
        rows.append({"mode": cell["mode"], "strength": strength, "characters": cell["characters"]})
        rows[-1] |= {"read": cell["recovered"], "99 %": tuple(cell["interval"])}
    return table(rows, f"chance {CHANCE:.3f}")


def _plain(cell: Mapping[str, Any], mode: str, frames: int, places: int) -> bool:
    return (cell["mode"], cell["frames"], cell["places"]) == (mode, frames, places)
