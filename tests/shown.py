"""What a notebook's table shows."""

from IPython.display import Markdown


def text(table: Markdown) -> list[list[str]]:
    """A table's cells, without its heading and caption."""
    lines = [line for line in table.data.split("\n") if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
