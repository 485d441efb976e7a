"""How a model fails: kinds of failure, what a failed plate is like, and typical cases of each (the paper's 5.2)."""

import colorsys
from itertools import pairwise

import numpy as np

from lib.metrics import SMALL
from lib.thresholds import Sweep

KINDS = ("covered", "half or more", "less than half", "not at all")
LADDER = (0.1, 0.2, 0.4, 0.6, 0.8)  # thresholds shown side by side; the first is the paper's, the second its authors'
TILTED, ASKEW, HIDDEN_SHARE = 15, 45, 0.1  # degrees in the picture, degrees off the camera's direction, share
WIDTHS = (24, 64, 128)  # scaled widths that part the sizes
FAMILIES = ("white", "yellow", "red", "dark", "other")
GREY, DARK = 0.25, 0.3  # below this saturation a plate has no colour; below this value such a plate is dark


def family(look: str) -> str:
    """The ground colour of a scene's look: white, yellow, red, dark or other (green, blue, several)."""
    first = look.split("_")[0]
    if first in ("yellow", "red", "dark"):
        return first
    return "white" if first in ("white", "top") or look == "slogan_white" else "other"


def told_colour(red: float, green: float, blue: float) -> str:
    """The colour of a plate by the median of its pixels, 0..1 each: what can be told where nobody labelled it.

    Saturation below 0.25 is white, or dark where the value is below 0.3 too; else hue 20 to 70 degrees is yellow, below
    20 and from 330 red, all others other. A white plate in shadow counts as dark and a dirty one as it looks.
    """
    hue, saturation, value = colorsys.rgb_to_hsv(red, green, blue)
    if saturation < GREY:
        return "dark" if value < DARK else "white"
    degrees = hue * 360
    if 20 <= degrees < 70:
        return "yellow"
    return "red" if degrees < 20 or degrees >= 330 else "other"


def colours(sweep: Sweep, measured: bool = False) -> np.ndarray:
    """Each plate's colour, str (P,): its look's where that is known (and not ``measured``), else by `told_colour`."""
    rows = zip(*(sweep.plates[key] for key in ("look", "red", "green", "blue")), strict=True)
    return np.array([family(look) if look and not measured else told_colour(*rgb) for look, *rgb in rows])


def kinds(sweep: Sweep, threshold: float) -> np.ndarray:
    """Which of KINDS each plate is at a threshold, int (P,): how much of its outline is concealed.

    ``covered`` is 95 % and more, ``not at all`` not one pixel; so the four are a partition.
    """
    steps = [sweep.covers(threshold, column) for column in ("covered", "half", "touched")]
    return 3 - np.sum(steps, axis=0)  # what is covered is half covered and touched too


def reasons(sweep: Sweep) -> dict[str, np.ndarray]:
    """What a plate is like that could explain a failure: for each reason 1, 0, or NaN where it cannot be told, (P,).

    ``small``: scaled width under 24. ``tilted``: 15 degrees and more in the picture, or 45 and more away from the
    camera. ``dark``: at dusk or night, and where the light is unknown in the darkest third of these pictures.
    ``coloured``: not white by `colours`. ``two-line``: by its look. ``occluded``: a tenth and more does not show.
    """
    plates, light = sweep.plates, sweep.pictures["light"]
    look, tilt, angle = plates["look"], plates["tilt"], plates["angle"]
    dim = thirds(sweep.pictures["luminance"]) == 0
    dark = np.where(light == "", dim, light != "day")[plates["picture"]]
    askew = (np.nan_to_num(tilt) >= TILTED) | (np.nan_to_num(angle) >= ASKEW)
    two = np.array([one.endswith(("two_line", "square")) for one in look])
    hidden = plates["occluded"]
    return {
        "small": (plates["width"] < SMALL).astype(float),
        "tilted": np.where(np.isnan(tilt) & np.isnan(angle), np.nan, askew),
        "dark": dark.astype(float),
        "coloured": (colours(sweep) != "white").astype(float),
        "two-line": np.where(look == "", np.nan, two),
        "occluded": np.where(np.isnan(hidden), np.nan, np.nan_to_num(hidden) >= HIDDEN_SHARE),
    }


def thirds(values: np.ndarray) -> np.ndarray:
    """0, 1 or 2 for the lowest, middle and highest third of ``values``, int (N,)."""
    return np.searchsorted(np.quantile(values, (1 / 3, 2 / 3)), values, side="left")


def groups(sweep: Sweep) -> dict[str, dict[str, np.ndarray]]:
    """Size, colour and light, each a partition of the plates: label to bool (P,); groups without a plate left out."""
    picture, colour = sweep.plates["picture"], colours(sweep)
    place = np.searchsorted(WIDTHS, sweep.plates["width"], side="right")
    names = (f"under {WIDTHS[0]}", *(f"{a} to {b}" for a, b in pairwise(WIDTHS)), f"{WIDTHS[-1]} and more")
    light = sweep.pictures["light"]
    third = np.array(["darkest third", "middle third", "brightest third"])[thirds(sweep.pictures["luminance"])]
    light = np.where(light == "", third, light)[picture]
    order = ("day", "dusk", "night", "brightest third", "middle third", "darkest third")
    made = {
        "scaled width": {name: place == number for number, name in enumerate(names)},
        "colour": {name: colour == name for name in FAMILIES},
        "light": {name: light == name for name in order},
    }
    return {axis: {name: which for name, which in parts.items() if which.any()} for axis, parts in made.items()}


def examples(sweep: Sweep, threshold: float = LADDER[0]) -> list[tuple[str, int]]:
    """Typical failures at a threshold: a title and the plate's row, for both kinds of failure and for every reason.

    Of the failed plates with this reason and the fewest others, the one whose needed threshold is the median: neither
    the best nor the worst. Kinds and reasons without a failed plate are left out.
    """
    found = kinds(sweep, threshold)
    why = {name: column == 1 for name, column in reasons(sweep).items()}
    count = np.sum(list(why.values()), axis=0)
    wide = sweep.plates["width"] >= WIDTHS[1]  # so that the kinds are shown on plates that can be seen
    cases = {"covered in part": wide & np.isin(found, (1, 2)), "not covered": wide & (found == 3)}
    cases |= {name: which & (found > 0) for name, which in why.items()}
    chosen, taken = [], set()
    for name, which in cases.items():
        left = [row for row in np.flatnonzero(which) if row not in taken]
        if left:
            few = [row for row in left if count[row] == count[left].min()]
            row = int(sorted(few, key=lambda one: sweep.plates["covered"][one])[len(few) // 2])
            chosen.append((name, row))
            taken.add(row)
    return chosen
