"""Figures and tables of `12_ablation`, from records of `lib.contests`: choices one by one, and sources never seen."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from IPython.display import Image, Markdown

from lib.plots.style import BLACK, BLUE, ORANGE, RED, axes, show, span
from lib.plots.tables import cell, table

Record = Mapping[str, Any]
KEY = "equal_stray"  # coverage at the stray cover of `lib.rivals.STRAY`, with its interval
AXIS = "coverage at 0.5 % stray cover, 95 % intervals over test pictures"


def choices(records: Sequence[Record], data: str) -> Image:
    """What each choice brings, from the paper's network downwards: coverage at 0.5 % stray cover, all and large."""
    figure, made = axes(width=8.5, height=1.0 + 0.36 * len(records))
    one = made[0, 0]
    for number, record in enumerate(records):
        for key, shift, colour, mark in ((KEY, -0.12, BLUE, "o"), (f"{KEY}_large", 0.12, ORANGE, "D")):
            span(one, number + shift, record[key]["coverage"], record[key]["interval"], colour, mark)
    one.plot([], [], "o", color=BLUE, label="all plates")
    one.plot([], [], "D", color=ORANGE, label="large: scaled width of 24 px and more")
    one.set_yticks(range(len(records)), [record["label"] for record in records], fontsize=9)
    one.set(xlim=(0, 1), xlabel=AXIS)
    one.invert_yaxis()
    one.legend(fontsize=8, loc="lower right")
    return show(figure, data, "12_choices")


def choices_table(records: Sequence[Record]) -> Markdown:
    """A row a choice: coverage at equal stray cover, how far it is from the row above, and what it took."""
    rows, above = [], None
    for record in records:
        row = {"training": record["label"], "coverage": record[KEY]["coverage"], "95 %": tuple(record[KEY]["interval"])}
        row["more than above"] = None if above is None else f"{record[KEY]['coverage'] - above:+.3f}"
        above = record[KEY]["coverage"]
        row |= {"large": record[f"{KEY}_large"]["coverage"], "least loss on validation": _least(record)}
        rows.append(row | {"steps": record["steps"], "minutes": round(record["seconds"] / 60)})
    told = "coverage at 0.5 % stray cover; one seed; losses of different kinds do not compare"
    return table(rows, f"{told}; {records[0]['data']}; {records[0]['device']}")


def _least(record: Record) -> float:
    return min(row["validation_loss"] for row in record["history"])  # of the epoch whose weights were kept


def sources(without: Sequence[Record], known: Record, scenes: Record, data: str) -> Image:
    """Coverage of each source at 0.5 % stray cover: trained on it too, on the others alone, on scenes alone.

    Args:
        without: a record a source that was left out.
        known: of the same training with all sources.
        scenes: of a training on scenes alone.
    """
    figure, made = axes(width=8.5, height=1.2 + 0.5 * len(without))
    one = made[0, 0]
    looks = (
        (known, -0.2, BLACK, "D", "trained on it and on the others"),
        (None, 0.0, RED, "o", "trained on the others"),
        (scenes, 0.2, BLUE, "s", "trained on scenes alone"),
    )
    for given, shift, colour, mark, label in looks:
        for number, record in enumerate(without):
            told = of(given or record, record["without"])
            span(one, number + shift, told["coverage"], told["interval"], colour, mark)
        one.plot([], [], f"{mark}-", color=colour, label=label)
    labels = [f"{record['without']}\n{of(record, record['without'])['plates']:,} plates" for record in without]
    one.set_yticks(range(len(without)), labels, fontsize=9)
    one.set(xlim=(0, 1.02), xlabel=AXIS)
    one.invert_yaxis()
    one.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return show(figure, data, "12_sources")


def sources_table(without: Sequence[Record], known: Record, scenes: Record) -> Markdown:
    """The figure's numbers, and the photographs that the training without a source had."""
    rows = []
    for record in without:
        name = record["without"]
        row = {
            "source": name,
            "test plates": of(record, name)["plates"],
            "photographs without it": record["photographs"],
        }
        for label, one in (("trained on it too", known), ("never seen", record), ("scenes alone", scenes)):
            row[label] = _share(of(one, name))
        rows.append(row)
    whole = {"source": "all", "test plates": known["at_point"]["plates"], "photographs without it": None}
    whole |= {"trained on it too": _share(known[KEY]), "never seen": None, "scenes alone": _share(scenes[KEY])}
    return table([*rows, whole], f"coverage at 0.5 % stray cover; one seed; {known['data']}; {known['device']}")


def _share(told: Mapping[str, Any]) -> str:
    return f"{cell(told['coverage'])} ({cell(tuple(told['interval']))})"


def of(record: Record, source: str) -> Mapping[str, Any]:
    """``plates``, ``coverage`` at equal stray cover and its ``interval`` of one source."""
    return record["equal_stray_by_source"][source]


def below(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether all of one interval lies below all of another; one without a width tells nothing."""
    (_, high), (low, end) = one["interval"], other["interval"]
    return high < low < end


def findings(records: Sequence[Record], without: Sequence[Record], known: Record, scenes: Record) -> Markdown:
    """Which choices stand apart from the row above, and which sources are covered less where they were never seen."""
    steps = [(one[KEY], other[KEY], other["label"]) for one, other in pairwise(records)]
    more = [label for one, two, label in steps if below(one, two)]
    less = [label for one, two, label in steps if below(two, one)]
    rest = [label for *_, label in steps if label not in more + less]
    lines = [
        ("More than the row above, intervals apart", more),
        ("Less than the row above, intervals apart", less),
        ("Not to be told from the row above", rest),
    ]
    never, drawn = ({record["without"]: given or record for record in without} for given in (None, scenes))
    for told, own in (("Never seen", never), ("Scenes alone", drawn)):
        worse = [name for name, record in own.items() if below(of(record, name), of(known, name))]
        lines.append((f"{told}, covered less than when trained on, intervals apart", worse))
    flat = [name for name in never if of(known, name)["interval"][0] == of(known, name)["interval"][1]]
    lines.append(("Not compared, since an interval without width tells nothing", flat))
    return Markdown("\n".join(f"- {told}: {'; '.join(some) or 'none'}." for told, some in lines))
