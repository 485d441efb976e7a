"""The environment of every test and, since it is inherited, of every notebook's kernel under nbval."""

import os
from pathlib import Path

import matplotlib
import pytest

ROOT = Path(__file__).resolve().parent

# The embedded data and small sizes unless somebody asked for others: `make test` always asks for these.
DEFAULTS = {"PLATES_DATA": "scenes", "PLATES_FAST": "1", "PLATES_PUBLISH": "0"}
# Threads that wait by spinning take the core from the other worker's: a training step beside one takes twice as long.
for name, value in {**DEFAULTS, "OMP_WAIT_POLICY": "passive"}.items():
    os.environ.setdefault(name, value)

os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
# The Hub's client is tested against a server of ours, which an offline client would refuse to ask.
os.environ.pop("HF_HUB_OFFLINE", None)
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
# No windows here; set in this process alone, since kernels that inherit MPLBACKEND would draw nothing inline.
os.environ.pop("MPLBACKEND", None)
matplotlib.use("Agg")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Notebooks first, which take the longest, then the tests, each file as a whole by one of the workers of ``-n``."""
    from lib.execution import side_by_side

    notebooks = side_by_side(sorted({item.path for item in items if item.path.suffix == ".ipynb"}))
    items.sort(key=lambda item: notebooks.index(item.path) if item.path in notebooks else len(notebooks))
