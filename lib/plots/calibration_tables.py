"""Tables and sentences of `07_thresholds` on what a probability means, and its findings."""

from collections.abc import Mapping, Sequence
from typing import Any

from IPython.display import Markdown

from lib.failures import FAMILIES, LADDER, colours
from lib.losses import PlateLoss
from lib.plots.tables import table
from lib.plots.verdicts import told
from lib.reliability import Reading, Reliability, meant_share
from lib.thresholds import Sweep

EXPLAINED = 0.5  # a loss explains a calibration error where reading by it leaves less than this share of it


def meaning_rows(losses: Mapping[str, PlateLoss], thresholds: Sequence[float]) -> list[dict[str, Any]]:
    """A table row for each threshold: how likely to be plate a pixel must be, for a loss's best answer to pass it.

    The last column is of the last loss: the background pixels that this threshold will conceal for one plate pixel,
    where it is least sure, ``(1 - s) / s``.
    """
    rows = []
    for t in thresholds:
        meant = {name: float(meant_share(one.power, one.factor, 1 - t)) for name, one in losses.items()}
        last = list(meant.values())[-1]
        price = f"{(1 - last) / last:.1f}"
        rows.append({"threshold": t, "P(plate) above": 1 - t, **meant, "background per plate pixel": price})
    return rows


def calibration(measured: Mapping[str, Reliability], reading: Reading, loss: str) -> Markdown:
    """The calibration error as the network says it and as the loss means it, and what follows, in a sentence."""
    rows, explained = [], True
    for name, pixels in measured.items():
        said, meant = pixels.error(), pixels.error(reading)
        share = float(pixels.counts[:, 1].sum() / max(pixels.counts.sum(), 1))
        rows.append({"pictures": name, "plate share": share, "error as it says": said, "error as meant": meant})
        explained &= meant < EXPLAINED * said
    verdict = "The loss explains the larger part of it" if explained else "The loss alone does not explain it here"
    text = table(rows, f"expected calibration error; as meant: P(plate) read as {loss} means it").data
    ends = " and ".join(f"from {row['error as it says']:.3f} to {row['error as meant']:.3f}" for row in rows)
    return Markdown(f"{text}\n\n**{verdict}:** with no parameter fitted, the error goes {ends}.")


def agreement(sweep: Sweep) -> list[dict[str, Any]]:
    """A table row for each known colour: the share of its plates whose pixels tell it, and how often that is right."""
    known, said = colours(sweep), colours(sweep, measured=True)
    labelled, rows = sweep.plates["look"] != "", []
    for name in FAMILIES:
        true, claimed = labelled & (known == name), labelled & (said == name)
        both = float((true & claimed).sum())
        row: dict[str, Any] = {"colour": name, "plates": int(true.sum())}
        row["told by their pixels"] = both / true.sum() if true.any() else None
        rows.append(row | {"of those told so, right": both / claimed.sum() if claimed.any() else None})
    return rows


def findings(validation: Sweep, test: Sweep, pixels: Reliability, reading: Reading, goal: float = 0.5) -> Markdown:
    """The notebook's results beside the paper's."""
    paper, more, high = LADDER[:3]
    chosen = validation.threshold_for(goal)
    rows = [("how the threshold is chosen", "0.1, by eye; 0.2 in the code", "for a stated coverage on validation")]
    rows += [(f"plates covered at {t}, test", "not measured", told(*test.coverage(t))) for t in (paper, more, high)]
    rows += [(f"stray cover at {t}, test", "not measured", _percent(*test.cover("stray", t))) for t in (paper, high)]
    if chosen is not None:
        rows += [
            (f"threshold for a coverage of {goal:.0%}, validation", "not asked", f"{chosen:g}"),
            ("plates covered with it, test", "not asked", told(*test.coverage(chosen))),
            ("stray cover with it, test", "not asked", _percent(*test.cover("stray", chosen))),
        ]
    errors = f"{pixels.error():.3f} as it says, {pixels.error(reading):.3f} as the loss means it"
    rows.append(("calibration error of P(plate), validation", "not asked", errors))
    return table([dict(zip(("question", "paper", "here"), row, strict=True)) for row in rows], "95 % in brackets")


def _percent(value: float | None, interval: tuple[float, float] | None) -> str:
    if value is None or interval is None:
        return "cannot be told"
    return f"{value:.1%} ({interval[0]:.1%} to {interval[1]:.1%})"
