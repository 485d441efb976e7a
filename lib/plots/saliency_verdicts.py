"""Verdicts of `06_saliency` on the paper's sections 4.2 and 5.1: the rules, and the numbers that they are given.

Each of `characters`, `contours`, `colour_used` and `colour_salient` gives what `lib.claims.settle` takes: ``ours``,
``interval``, ``verdict`` and ``why``.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from torch import Tensor

from lib.attribution import PARTS, Interval, Specimens, contrast, density_gain, mean_interval
from lib.counterfactuals import CONTROL, FOILS, GREY, PLAIN, Belief
from lib.plots.verdicts import told

COLOURED = 0.10  # a map of which less than this is colour's is said not to show colour
UNMOVED = 0.01  # a change of the separation smaller than this is called none

Verdict = tuple[str, str]  # one of lib.claims.VERDICTS, and why


def above(interval: Interval, limit: float = 0.0) -> bool:
    """Whether all of an interval lies above ``limit``; False where there is none."""
    return interval is not None and interval[0] > limit


def below(interval: Interval, limit: float = 0.0) -> bool:
    """Whether all of an interval lies below ``limit``; False where there is none."""
    return interval is not None and interval[1] < limit


def characters_rule(contrasts: Mapping[str, Interval], gain: Interval) -> Verdict:
    """Are characters the brightest, and because of what was learnt?

    Args:
        contrasts: of characters against each other part (`lib.attribution.contrast`), 95 %.
        gain: how much more of the trained network's map lies on characters, in times chance, than of its random twin's.
    """
    ahead = [name for name, interval in contrasts.items() if above(interval)]
    behind = [name for name, interval in contrasts.items() if below(interval)]
    rest = [name for name in contrasts if name not in ahead]
    if behind:
        return "does not hold", f"brighter than the characters: {_list(behind)}"
    if above(gain) and not rest:
        return "holds", "characters are brighter than every other part, and more so than with random weights"
    if above(gain):
        return "holds in part", f"training draws the map to the characters, but they are no brighter than {_list(rest)}"
    if below(gain):
        return "does not hold", "training takes the map away from the characters"
    return "cannot be told here", "on characters the map does not differ from that of random weights"


def contours_rule(changes: Mapping[str, Interval], beyond: Mapping[str, Interval]) -> Verdict:
    """Do characters lose against the contours when the picture is blurred?

    Args:
        changes: of the contrast of characters against each contour, blurred minus sharp, 95 %.
        beyond: the same, minus the change that the random twin's maps show.
    """
    fallen = [name for name, interval in changes.items() if below(interval)]
    own = [name for name in fallen if below(beyond[name])]
    if len(own) == len(changes):
        return "holds", f"blur moves the map from characters to {_list(own)}, more than with random weights"
    if fallen:
        doubt = "" if own else ", but no more than clearly with random weights too"
        return "holds in part", f"blur moves the map from characters to {_list(fallen)} alone{doubt}"
    if all(above(interval) for interval in changes.values()):
        return "does not hold", "blur moves the map towards the characters"
    return "cannot be told here", "blur moves the map to neither contour beyond what chance does"


def colour_map_rule(share: Interval, excess: Interval) -> Verdict:
    """Is colour absent from the maps?

    Args:
        share: of the attribution on plates, due to colour, 95 %.
        excess: that share minus the random twin's, on the same pictures.
    """
    if below(share, COLOURED):
        return "holds", f"less than {COLOURED:.0%} of the attribution on plates is colour's"
    if not above(share, COLOURED):
        return "cannot be told here", f"the interval holds both less and more than {COLOURED:.0%}"
    if below(excess):
        return "holds in part", "colour is in the maps, but less than with random weights: training turns from it"
    return "does not hold", "colour is in the maps, and no less than with random weights"


def colour_use_rule(grey: Interval, beyond: Interval, foils: Sequence[Interval]) -> Verdict:
    """Does the network find plates less well without colour?

    Args:
        grey: change of the separation in grey pictures, 95 %.
        beyond: that change minus the one under uneven light of the same size.
        foils: change of the separation under each coloured foil minus that under its neutral one.
    """
    if below(grey) and below(beyond):
        return "holds", "without colour plate and background are told apart less well, and colour is why"
    moved = sum(above(one) or below(one) for one in foils)
    if below(grey) or moved:
        lost = "grey pictures cost something" if below(grey) else "grey pictures cost nothing that can be told"
        return "holds in part", f"{lost}; {moved} of {len(foils)} coloured foils do other than grey ones as dark"
    if above(grey, -UNMOVED):
        return "does not hold", "neither grey pictures nor recoloured plates change what it finds"
    return "cannot be told here", "the interval holds both no change and one that matters"


def characters(maps: Tensor, blank: Tensor, specimens: Specimens, seen: int) -> dict[str, str]:
    """The paper's 5.1: the characters of a plate are the brightest pixels of the maps (`characters_rule`).

    Args:
        maps, blank: ``(N, S, S)``, of the trained network and of its random twin.
        seen: side of the square that the network sees.
    """
    own = specimens.parts["characters"]
    others = [name for name in PARTS if name != "characters"]
    against = {name: mean_interval(contrast(maps, own, specimens.parts[name], seen)) for name in others}
    gain = density_gain(maps, blank, own, seen)
    verdict, why = characters_rule({name: one[1] for name, one in against.items()}, gain[1])
    ours = f"contrast of the characters with {signed_each(against)}"
    return {"ours": ours, "interval": f"more than random weights by {told(*gain)} times chance"} | _entry(verdict, why)


def contours(
    sharp: tuple[Tensor, Tensor], soft: tuple[Tensor, Tensor], specimens: Specimens, seen: int
) -> dict[str, str]:
    """The paper's 5.1: of plates that cannot be read, surroundings and edges count more (`contours_rule`).

    Args:
        sharp, soft: maps ``(N, S, S)`` of sharp and of blurred pictures, by the trained network and its random twin.
        seen: side of the square that the network sees.
    """
    own, changes, beyond = specimens.parts["characters"], {}, {}
    for name in ("rim", "surroundings"):
        part = specimens.parts[name]
        trained, twin = (
            contrast(after, own, part, seen) - contrast(before, own, part, seen)
            for before, after in zip(sharp, soft, strict=True)
        )
        changes[name], beyond[name] = mean_interval(trained), mean_interval(trained - twin)
    verdict, why = contours_rule(*({name: one[1] for name, one in group.items()} for group in (changes, beyond)))
    ours = f"blur changes the contrast of the characters with {signed_each(changes)}"
    return {"ours": ours, "interval": f"minus random weights' change: {signed_each(beyond)}"} | _entry(verdict, why)


def colour_used(beliefs: Mapping[str, Belief]) -> dict[str, str]:
    """The paper's 4.2: colour is valuable, and the best model uses it (`colour_use_rule`).

    Args:
        beliefs: from `lib.counterfactuals.colour_test`.
    """
    grey, beyond = (differs(beliefs[GREY], beliefs[other]) for other in (PLAIN, CONTROL))
    foils = {
        f"{name} foil": differs(beliefs[f"plate {name}"], beliefs[f"plate darkened like {name}"]) for name in FOILS
    }
    verdict, why = colour_use_rule(grey[1], beyond[1], [one[1] for one in foils.values()])
    ours = f"separation in grey {signed(*grey)}; against a grey foil as dark, {signed_each(foils)}"
    return {"ours": ours, "interval": f"grey minus uneven light: {signed(*beyond)}"} | _entry(verdict, why)


def colour_salient(mine: np.ndarray, twins: np.ndarray) -> dict[str, str]:
    """The paper's 5.1: colour is not salient (`colour_map_rule`).

    Args:
        mine, twins: `lib.counterfactuals.colour_share` of the trained network and of its random twin, ``(N,)``.
    """
    share, excess = mean_interval(mine), mean_interval(mine - twins)
    verdict, why = colour_map_rule(share[1], excess[1])
    ours = f"colour's share of the attribution on plates {told(*share)}"
    return {"ours": ours, "interval": f"minus random weights' share: {signed(*excess)}"} | _entry(verdict, why)


def differs(one: Belief, other: Belief) -> tuple[float | None, Interval]:
    """Mean difference of two beliefs' separations on the same pictures, and its 95 % interval."""
    return mean_interval(one.separation - other.separation)


def signed(value: float | None, interval: Interval) -> str:
    """A difference with its sign and its 95 % interval, three places, in words."""
    if value is None or interval is None:
        return "cannot be told"
    return f"{value:+.3f} ({interval[0]:+.3f} to {interval[1]:+.3f})"


def signed_each(values: Mapping[str, tuple[float | None, Interval]]) -> str:
    """Several differences, each after its name."""
    return ", ".join(f"{name} {signed(*one)}" for name, one in values.items())


def _entry(verdict: str, why: str) -> dict[str, str]:
    return {"verdict": verdict, "why": why}


def _list(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
