"""Tables of `07_thresholds`, and the rules by which its numbers judge the paper's section 5.2."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lib.failures import KINDS, LADDER, colours, groups, kinds, reasons, thirds
from lib.thresholds import Sweep, Told

PAPER, SLIGHTLY_MORE, HIGH = LADDER[:3]  # the paper's thresholds: 0.1, 0.2, 0.4
STRAY_LIMIT = 0.005  # share of a picture: the limit that operating points keep (`lib.evaluate`)
ENOUGH = 20  # fewer cases decide nothing


def threshold_rows(sweep: Sweep, thresholds: Sequence[float] = LADDER) -> list[dict[str, Any]]:
    """A table row for each threshold: what it covers, what it leaves and what it conceals besides."""
    rows, known = [], ~np.isnan(sweep.plates["hidden"])
    for t in thresholds:
        coverage, interval = sweep.coverage(t)
        row = {
            "threshold": t,
            "coverage": coverage,
            "95 %": interval,
            "missed": sweep.plate_share(~sweep.covers(t, "half"))[0],
        }
        row["exposed"] = sweep.plate_share(~sweep.covers(t, "hidden"), known)[0]
        rows.append(row | {"stray cover": sweep.cover("stray", t)[0], "false cover": sweep.cover("false", t)[0]})
    return rows


def kind_rows(sweep: Sweep, thresholds: Sequence[float] = LADDER) -> list[dict[str, Any]]:
    """A table row for each threshold: the share of the plates that is of each kind."""
    found = {t: kinds(sweep, t) for t in thresholds}
    return [
        {"threshold": t} | {name: float((which == k).mean()) for k, name in enumerate(KINDS)}
        for t, which in found.items()
    ]


def reason_rows(
    sweeps: Mapping[str, Sweep], thresholds: Sequence[float] = LADDER, at: float = HIGH
) -> list[dict[str, Any]]:
    """A table row for each reason: its plates, and their coverage at each threshold, with the interval ``at`` one.

    Args:
        sweeps: what the table calls the pictures, to the pictures. Reasons of which nothing is known are left out.
    """
    rows = []
    for pictures, sweep in sweeps.items():
        why = reasons(sweep)
        cases = {name: column == 1 for name, column in why.items() if not np.isnan(column).all()}
        cases["none of these"] = ~np.any(list(cases.values()), axis=0)
        cases["all"] = np.ones(len(sweep.plates["width"]), bool)
        for name, which in cases.items():
            row: dict[str, Any] = {"plates that are": name, "pictures": pictures, "plates": int(which.sum())}
            row |= {f"t = {t:g}": sweep.coverage(t, which)[0] for t in thresholds}
            rows.append(row | {f"95 % at {at:g}": sweep.coverage(at, which)[1]})
    return rows


def group_rows(sweeps: Mapping[str, Sweep], at: float = HIGH) -> list[dict[str, Any]]:
    """A table row for each size, colour and light: coverage ``at`` a threshold, and what is concealed besides.

    Stray and false cover are of the pictures that hold a plate of the group.
    """
    rows = []
    for pictures, sweep in sweeps.items():
        for axis, parts in groups(sweep).items():
            for name, which in parts.items():
                holds = np.bincount(sweep.plates["picture"][which], minlength=len(sweep.stray)) > 0
                row: dict[str, Any] = {"by": axis, "group": name, "pictures": pictures, "plates": int(which.sum())}
                row["coverage"], row["95 %"] = sweep.coverage(at, which)
                covers = {f"{kind} cover": sweep.cover(kind, at, holds)[0] for kind in ("stray", "false")}
                rows.append(row | covers)
    return rows


def at_equal_stray(sweeps: Mapping[str, Sweep], limits: Sequence[float]) -> list[dict[str, Any]]:
    """A table row for each model: its coverage at the highest threshold whose stray cover is within each limit."""
    rows = []
    for name, one in sweeps.items():
        row: dict[str, Any] = {"model": name}
        for limit in limits:
            within = np.flatnonzero(one.covers_curve("stray") <= limit)
            row[f"stray cover {limit:.1%}"] = one.coverage(one.thresholds[within[-1]])[0] if len(within) else 0.0
        rows.append(row)
    return rows


def chosen_rows(validation: Sweep, test: Sweep, goals: Sequence[float] = (0.5, 0.9)) -> list[dict[str, Any]]:
    """A table row for the paper's threshold, the authors', and the least that reaches each coverage on validation."""
    points = {"the paper's": LADDER[0], "the authors' notebook": LADDER[1]}
    points |= {f"{goal:.0%} on validation": validation.threshold_for(goal) for goal in goals}
    rows = []
    for name, t in points.items():
        row: dict[str, Any] = {"threshold": name, "t": t}
        for split, one in (("validation", validation), ("test", test)):
            measured = {"coverage": (None, None), "stray cover": (None, None)}
            if t is not None:
                measured = {"coverage": one.coverage(t), "stray cover": one.cover("stray", t)}
            for key, (value, interval) in measured.items():
                row[f"{key}, {split}"] = value
                if split == "test":
                    row[f"{key} 95 %"] = interval
        rows.append(row)
    return rows


@dataclass(frozen=True)
class Judgement:
    """A verdict on a claim, with what `lib.claims.settle` wants to know of it."""

    ours: str
    verdict: str
    why: str
    interval: str | None = None


def majority(told: Told, cases: int, otherwise: str = "does not hold") -> str:
    """``holds`` where the interval of a share lies above one half, ``otherwise`` where it lies below.

    ``cannot be told here`` where it holds one half, or there are fewer than ENOUGH cases.
    """
    share, interval = told
    if share is None or interval is None or cases < ENOUGH or interval[0] <= 0.5 <= interval[1]:
        return "cannot be told here"
    return "holds" if interval[0] > 0.5 else otherwise


def judge(sweep: Sweep) -> dict[str, Judgement]:
    """The five claims of section 5.2, each judged by the rule that its ``why`` spells out."""
    return {
        "failure-kinds": _kinds(sweep),
        "threshold-balance": _balance(sweep),
        "threshold-02": _slightly_more(sweep),
        "threshold-colour": _colour(sweep),
        "threshold-noise": _noise(sweep),
    }


def _told(told: Told, what: str, why: str, verdict: str, cases: int) -> Judgement:
    share, interval = told
    ours = "no case" if share is None else f"{share:.0%} {what} ({cases:,})"
    return Judgement(ours, verdict, why, None if interval is None else f"{interval[0]:.0%} to {interval[1]:.0%}")


def _uncovered(sweep: Sweep, threshold: float) -> np.ndarray:
    """Which pictures have a plate that is not covered, bool (N,)."""
    return np.bincount(sweep.plates["picture"][~sweep.covers(threshold)], minlength=len(sweep.stray)) > 0


def _strays(sweep: Sweep, threshold: float) -> np.ndarray:
    """In which pictures the stray cover is over the limit, bool (N,)."""
    return sweep.stray[:, sweep.index(threshold)] > STRAY_LIMIT * sweep.pictures["pixels"]


def _kinds(sweep: Sweep) -> Judgement:
    left = _uncovered(sweep, PAPER)
    wrong = left | _strays(sweep, PAPER)
    found = kinds(sweep, PAPER)
    part, none = (np.isin(found, which).sum() / max((found > 0).sum(), 1) for which in ((1, 2), (3,)))
    cases, told = int(wrong.sum()), sweep.picture_share(left, wrong)
    why = (
        f"against the errors of covering too much, a stray cover over {STRAY_LIMIT:.1%}; of the plates not covered "
        f"at {PAPER}, {part:.0%} are covered in part and {none:.0%} not at all, which is all that they can be"
    )
    return _told(told, "of pictures with an error leave a plate uncovered", why, majority(told, cases), cases)


def _balance(sweep: Sweep) -> Judgement:
    has = np.bincount(sweep.plates["picture"], minlength=len(sweep.stray)) > 0
    whole, clean = ~_uncovered(sweep, PAPER), ~_strays(sweep, PAPER)
    told, cases = sweep.picture_share(whole & clean, has), int(has.sum())
    why = (
        f"every plate covered and stray cover within {STRAY_LIMIT:.1%} in more than half of the pictures; the first "
        f"alone in {sweep.picture_share(whole, has)[0]:.0%}, the second in {sweep.picture_share(clean, has)[0]:.0%}"
    )
    return _told(told, f"of pictures with a plate at {PAPER}", why, majority(told, cases), cases)


def _slightly_more(sweep: Sweep) -> Judgement:
    poor = (thirds(sweep.pictures["sharpness"]) == 0)[sweep.plates["picture"]]
    part = poor & np.isin(kinds(sweep, PAPER), (1, 2))
    told, cases = sweep.coverage(SLIGHTLY_MORE, part), int(part.sum())
    verdict = majority(told, cases)
    if verdict != "holds" and cases >= ENOUGH and told[0]:
        verdict = "holds in part"
    why = (
        f"plates covered in part at {PAPER} in the least sharp third of the pictures: more than half covered at "
        f"{SLIGHTLY_MORE} holds, some in part, fewer than {ENOUGH} such plates decide nothing"
    )
    return _told(told, f"of such plates at {SLIGHTLY_MORE}", why, verdict, cases)


def _colour(sweep: Sweep) -> Judgement:
    colour = colours(sweep)
    needs = ~sweep.covers(sweep.thresholds[sweep.index(HIGH) - 1])  # at no threshold below this one
    which = np.isin(colour, ("yellow", "red"))
    told, cases = sweep.plate_share(needs, which), int(which.sum())
    white, verdict = sweep.plate_share(needs, colour == "white"), majority(told, cases)
    if verdict == "holds" and (white[1] is None or told[1][0] <= white[1][1]):
        verdict = "holds in part"
    beside = "there are none" if white[0] is None else f"{white[0]:.0%} ({white[1][0]:.0%} to {white[1][1]:.0%})"
    why = (
        f"most yellow and red plates must need {HIGH} or more, and with an interval above the white plates', else "
        f"colour is not the reason and it holds in part; of white plates {beside}"
    )
    return _told(told, f"of yellow and red plates need {HIGH} or more", why, verdict, cases)


def _noise(sweep: Sweep) -> Judgement:
    (high, interval), (low, _) = sweep.cover("stray", HIGH), sweep.cover("stray", PAPER)
    verdict = "holds" if interval[0] > STRAY_LIMIT else "cannot be told here"
    if interval[1] < STRAY_LIMIT:
        verdict = "does not hold"
    why = (
        f"stray cover at {HIGH}, on the car or beside it, against the limit of {STRAY_LIMIT:.1%}; at {PAPER} {low:.2%}"
    )
    return Judgement(f"{high:.1%} stray cover at {HIGH}", verdict, why, f"{interval[0]:.1%} to {interval[1]:.1%}")


def beside(own: Judgement, scenes: Judgement | None) -> Judgement:
    """A judgement with that of the rendered scenes, where colour and light are known, told in its reason."""
    if scenes is None:
        return own
    return Judgement(
        own.ours, own.verdict, f"{own.why}; on rendered scenes: {scenes.verdict}, {scenes.ours}", own.interval
    )
