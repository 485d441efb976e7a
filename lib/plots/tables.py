"""Tables for notebooks, as Markdown that renders everywhere and reads well in a diff."""

from collections.abc import Mapping, Sequence
from typing import Any

from IPython.display import Markdown


def cell(value: Any) -> str:
    """A number with three places or thousands separators; an interval as ``low to high``; None as a dash."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple) and len(value) == 2:
        return f"{cell(value[0])} to {cell(value[1])}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 100 else f"{value:,.0f}"
    return str(value)


def table(rows: Sequence[Mapping[str, Any]], caption: str = "") -> Markdown:
    """Rows of equal keys as a table; keys are the headings, the first column is left aligned, the others right."""
    names = list(rows[0])
    lines = [names, ["---", *["---:"] * (len(names) - 1)], *([cell(row[name]) for name in names] for row in rows)]
    text = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return Markdown(f"{text}\n\n*{caption}*" if caption else text)
