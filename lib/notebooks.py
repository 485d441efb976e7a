"""What notebooks announce, and how they are published: `python -m lib.notebooks run|publish|lab [NOTEBOOK...]`."""

import argparse
import os
import platform
import sys
from collections.abc import Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path

from lib.execution import environment, run, write
from lib.settings import BUILD, ROOT, PlatesError, device, settings
from lib.stamps import STAMP, check, form, read, stamp

NOTEBOOKS = ROOT / "notebooks"


def announce(*, recipe: str, data: str) -> None:
    """Print what a notebook runs on, and hand it to :func:`publish`; every notebook's settings cell calls this once.

    Args:
        recipe: what was really run, e.g. ``"batch 32, 8 epochs, 3,946 pictures"``.
        data: the words of :func:`lib.data.describe`, never a path.
    """
    import torch
    from IPython import display, get_ipython

    place, now = device(), settings()
    cuda = place.type == "cuda"
    facts = {
        "data": data,
        "recipe": recipe,
        "profile": now.profile,
        "device": torch.cuda.get_device_name(place) if cuda else f"{place.type}, {torch.get_num_threads()} threads",
    }
    versions = {name: version(name) for name in ("torch", "torchvision", "datasets")}
    versions = {"python": platform.python_version(), **versions}
    for name, fact in facts.items():
        print(f"{name:9}{fact}")
    print("versions", ", ".join(f"{name} {number}" for name, number in versions.items()))
    facts |= {"versions": versions, "publish": now.publish}
    if get_ipython() is not None:
        display.display({STAMP: facts}, raw=True)


def publish(paths: Sequence[Path], today: str | None = None) -> list[Path]:
    """Run notebooks with PLATES_PUBLISH=1 and, when all succeeded and pass :func:`check`, replace them.

    A notebook whose only change would be the date is left as it is.

    Returns:
        The notebooks that changed.

    Raises:
        PlatesError: a notebook failed or must not be committed; none is replaced then.
    """
    today = today or date.today().isoformat()
    complaints = [f"{path}: {complaint}" for path in paths for complaint in form(read(path))]  # before hours of work
    if not complaints:
        executed = run(paths, BUILD / "published", {"PLATES_PUBLISH": "1"})
        for one, path in zip(executed, paths, strict=True):
            notebook = read(one.path)
            stamp(notebook, today)
            write(notebook, one.path)
            complaints += [f"{path}: {complaint}" for complaint in check(one.path)]
    if complaints:
        raise PlatesError("Nothing was published; mend these and run it again:\n" + "\n".join(complaints))
    changed = []
    for one, path in zip(executed, paths, strict=True):
        notebook, old = read(one.path), read(path)
        notebook.metadata.plates.date = old.metadata.get("plates", {}).get("date", today)
        if notebook != old:
            notebook.metadata.plates.date = today
            write(notebook, path)
            changed.append(path)
    print(f"Published: {', '.join(path.name for path in changed) or 'no notebook changed'}")
    return changed


def main(arguments: Sequence[str] | None = None) -> int:
    """``python -m lib.notebooks run|publish|lab [NOTEBOOK...]``; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m lib.notebooks", description=__doc__)
    parser.add_argument("command", choices=("run", "publish", "lab"))
    parser.add_argument("--at-once", type=int, choices=(1, 2, 3, 4), default=1, help="how many side by side, for run")
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: all of notebooks/, in order")
    given = parser.parse_intermixed_args(arguments)  # notebooks may follow options: Python 3.11 refuses it otherwise
    try:
        if given.command == "lab":
            os.execve(
                sys.executable, [sys.executable, "-m", "jupyterlab", f"--notebook-dir={NOTEBOOKS}"], environment()
            )
        paths = given.notebooks or sorted(NOTEBOOKS.glob("*.ipynb"))
        run(paths, at_once=given.at_once) if given.command == "run" else publish(paths)
    except PlatesError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
