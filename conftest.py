"""The environment of every test and, since it is inherited, of every notebook's kernel under nbval."""

import os
from pathlib import Path
from typing import Any

import matplotlib
import pytest
from xdist.scheduler import LoadScopeScheduling

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

APART = ("08", "09", "10", "11")  # notebooks that train nothing which another one needs


def part(nodeid: str) -> str:
    """What one worker of ``-n`` takes whole: a test file, or all notebooks that go on from one another's trainings."""
    folder, _, name = nodeid.split("::")[0].rpartition("/")
    return "trainings" if folder == "notebooks" and not name.startswith(APART) else name


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest part first; whatever else has an order keeps it."""
    items.sort(key=lambda item: part(item.nodeid) != "trainings")


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """xdist's scheduler with parts for scopes. Its ``--dist loadgroup`` (3.8.0) finds no groups under pytest 9.2."""
    scheduler = LoadScopeScheduling(config, log)
    scheduler._split_scope = part
    return scheduler
