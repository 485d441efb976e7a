"""What a committed notebook must be: stamped with its data and recipe, unaltered since, and fit to be reviewed."""

import hashlib
import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from lib.settings import ROOT, PlatesError

STAMP = "application/vnd.plates+json"  # how a settings cell hands its facts to publish(); no front end draws it
HEADINGS = ("Findings", "Limits", "Exercises")
MAX_BYTES = 1_000_000  # what a person can still review as a difference
MAX_LINES = 40

# This machine's folders, then those of whoever published; the look-behind lets URLs and ../work pass.
_HERE = (str(path) for path in (ROOT, ROOT.parent, Path.home(), Path(tempfile.gettempdir())) if len(path.parts) > 1)
_FOLDERS = [rf"{re.escape(path)}(?![\w.-])" for path in _HERE]
_FOLDERS += [r"/(?:home|Users)/[^/\s]+/", r"/(?:root|tmp|private)/", r"[A-Za-z]:\\+Users\\"]
_ABSOLUTE = re.compile(rf"(?<![\w.~-])(?:{'|'.join(_FOLDERS)})")
_PICTURE = re.compile(r"(image|video)/|application/pdf")
_EMBEDDED = re.compile(r"data:(image|video)/", re.IGNORECASE)
_DRAWN = re.compile(rf"{_EMBEDDED.pattern}|<(img|svg|video)\b", re.IGNORECASE)


def read(path: Path) -> NotebookNode:
    """Read a notebook as nbformat 4.

    Raises:
        PlatesError: the file is missing or is no notebook.
    """
    try:
        return nbformat.read(path, as_version=4)
    except OSError as error:
        raise PlatesError(f"{path}: cannot be read ({error.strerror}); name a notebook that is there.") from error
    except Exception as error:  # nbformat raises its own kinds, JSON's and plain AttributeError on a list
        raise PlatesError(f"{path}: is not a notebook ({type(error).__name__}); restore it.") from error


def _outputs(notebook: NotebookNode) -> Iterator[tuple[int, NotebookNode]]:
    code = (cell for cell in notebook.cells if cell.cell_type == "code")
    yield from ((number, output) for number, cell in enumerate(code, 1) for output in cell.outputs)


def _digest(notebook: NotebookNode) -> str:
    """SHA-256 of all outputs: a notebook run and saved by hand after publishing no longer agrees with its stamp."""
    return hashlib.sha256(json.dumps(list(_outputs(notebook)), sort_keys=True).encode()).hexdigest()


def stamp(notebook: NotebookNode, today: str) -> None:
    """Clean an executed notebook's metadata and stamp what its settings cell announced, in place.

    Raises:
        PlatesError: not exactly one cell called :func:`announce`.
    """
    from nbstripout import strip_output

    told = [output.data[STAMP] for _, output in _outputs(notebook) if STAMP in output.get("data", {})]
    if len(told) != 1:
        raise PlatesError(f"{len(told)} cells called announce(...); call it once, in the settings cell.")
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if STAMP not in output.get("data", {})]
    views = ("collapsed", "execution", "ExecuteTime", "scrolled", "jupyter", "vscode")
    keys = ["metadata.signature", "metadata.widgets", "metadata.language_info.version"]
    keys += [f"cell.metadata.{view}" for view in views]
    strip_output(notebook, keep_output=True, keep_count=True, keep_id=True, extra_keys=keys)
    notebook.metadata.kernelspec = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    notebook.metadata.plates = {**told[0], "date": today, "digest": _digest(notebook)}


def check(path: Path) -> list[str]:
    """Say what keeps a notebook from being committed: its form, its stamp, its outputs, its size.

    Raises:
        PlatesError: ``path`` is no notebook.
    """
    notebook, size = read(path), path.stat().st_size
    stamped = notebook.metadata.get("plates", {})
    complaints = form(notebook)
    counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    if counts != list(range(1, len(counts) + 1)):
        complaints.append(f"execution counts are {counts}, not 1 to {len(counts)}: run make publish")
    if missing := {"data", "recipe", "profile", "publish", "device", "versions", "date", "digest"} - set(stamped):
        complaints.append(f"the stamp lacks {', '.join(sorted(missing))}: run make publish")
    elif stamped.digest != _digest(notebook):
        complaints.append("the outputs are not those that were stamped: run make publish")
    for number, output in _outputs(notebook):
        data = output.get("data", {})
        told = [value for kind, value in data.items() if not _PICTURE.match(kind)]
        text = "\n".join([output.get("text", ""), *(one if isinstance(one, str) else json.dumps(one) for one in told)])
        if output.output_type == "error":
            complaints.append(f"code cell {number} ends in {output.ename}")
        if found := _ABSOLUTE.search(text):
            complaints.append(f"code cell {number} shows the path {found[0]} of the machine it ran on")
        if not stamped.get("publish") and (any(map(_PICTURE.match, data)) or _DRAWN.search(text)):
            complaints.append(f"code cell {number} shows a picture that make publish did not write")
    if size > MAX_BYTES:
        complaints.append(f"{size:,} bytes, over {MAX_BYTES:,}: fewer or smaller figures")
    return complaints


def form(notebook: NotebookNode) -> list[str]:
    """The complaints of :func:`check` that can be told before anything is run."""
    complaints = []
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    prose = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    if not notebook.cells or notebook.cells[0].cell_type != "markdown" or not prose[0].startswith("# "):
        complaints.append("the first cell is not the title")
    for heading in HEADINGS:
        if not re.search(rf"^#+ +{heading}\b", "\n".join(prose), re.MULTILINE):
            complaints.append(f"no heading {heading}")
    if sum("announce(" in source for source in code) != 1:
        complaints.append("not exactly one settings cell that calls announce(...)")
    if len(prose) < len(code):
        complaints.append(f"{len(prose)} markdown cells for {len(code)} code cells")
    for number, source in enumerate(code, 1):
        if (lines := source.count("\n") + 1) > MAX_LINES:
            complaints.append(f"code cell {number} has {lines} lines, over {MAX_LINES}")
    for number, cell in enumerate(notebook.cells, 1):
        if found := _ABSOLUTE.search(cell.source):
            complaints.append(f"cell {number} names the path {found[0]} of one machine")
        if cell.get("attachments") or _EMBEDDED.search(cell.source):
            complaints.append(f"cell {number} has a picture pasted in")
    return complaints
