"""Tables of `11_low_data`, computed from the records of `lib.contests`."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from datasets import Dataset
from IPython.display import Markdown

from lib.beyond import grouped, twins
from lib.data import plates_of
from lib.plots.tables import cell, table


def draws(drawn: Mapping[str, Dataset], data: str) -> Markdown:
    """Name to a draw of training photographs: how many plates it has, and from which sources its pictures are."""
    rows = []
    for name, split in drawn.items():
        rows_alone = split.remove_columns("image")  # which would be decoded
        plates = sum(not plate.iscrowd for row in rows_alone for plate in plates_of(row))
        sources = ", ".join(f"{source} {count}" for source, count in sorted(Counter(split["source"]).items()))
        rows.append({"drawn": name, "photographs": len(split), "plates": plates, "from": sources})
    return table(rows, data)


def by_count(made: Sequence[Mapping[str, Any]]) -> Markdown:
    """Coverage at 0.5 % stray cover, a row a method, a column a number of photographs.

    The mean over seeds, and from the lowest to the highest end of their 95 % intervals over test pictures.
    """
    counts, rows = sorted({record["photographs"] for record in made}), []
    for label, own in grouped(made).items():
        rows.append({"method": label} | {f"{n:,}": _told(own[n]) if n in own else None for n in counts})
    return table(rows, f"columns: training photographs; one seed if not said; {made[0]['data']}; {made[0]['device']}")


def _told(own: Sequence[Mapping[str, Any]]) -> str:
    seeds = f", {len(own)} seeds" if len(own) > 1 else ""
    return f"{cell(mean(own))} ({cell(ends(own))}{seeds})"


def findings(made: Sequence[Mapping[str, Any]]) -> Markdown:
    """What each method covers with the fewest and the most photographs, and what is best with each number of them.

    *Apart* are methods whose intervals, from the lowest to the highest end over seeds, do not touch the best one's.
    """
    told, lines = grouped(made), []
    for label, own in told.items():
        each = [f"{mean(own[n]):.3f} with {n:,} photographs" for n in sorted({min(own), max(own)})]
        lines.append(f"- {label}: {', '.join(each)}.")
    for count in sorted({record["photographs"] for record in made}):
        own = {label: of[count] for label, of in told.items() if count in of}
        best = max(own, key=lambda label: mean(own[label]))
        apart = [label for label, some in own.items() if ends(some)[1] < ends(own[best])[0]]
        rest = f"apart from it: {', '.join(apart)}" if apart else "none is apart from it"
        lines.append(f"- With {count:,} photographs {best} covers most; {rest}.")
    return Markdown("\n".join(lines))


def longer(short: Sequence[Mapping[str, Any]], long: Sequence[Mapping[str, Any]]) -> Markdown:
    """Coverage at 0.5 % stray cover and the last losses of each training of ``long``, and of its twin of ``short``."""
    rows: list[dict[str, Any]] = []
    for pair in twins(short, long):
        rows.append({"method": pair[0]["label"], "photographs": pair[0]["photographs"]})
        for each in pair:
            shown, last = each["equal_stray"], each["history"][-1]
            rows[-1] |= {
                f"{each['identity']['steps']:,} steps": f"{cell(shown['coverage'])} ({cell(tuple(shown['interval']))})",
                f"losses after {each['identity']['steps']:,}": f"{last['loss']:.2f}, {last['validation_loss']:.2f}",
            }
    return table(rows, f"losses: in training, on validation; {long[0]['data']}; {long[0]['device']}")


def mean(own: Sequence[Mapping[str, Any]]) -> float:
    """Mean coverage at equal stray cover."""
    return float(np.mean([each["equal_stray"]["coverage"] for each in own]))


def ends(own: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """Lowest and highest end of its intervals."""
    lows, highs = zip(*(each["equal_stray"]["interval"] for each in own), strict=True)
    return min(lows), max(highs)
