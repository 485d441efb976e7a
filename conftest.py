"""The environment of every test and, since it is inherited, of every notebook's kernel under nbval."""

import os
from pathlib import Path

import matplotlib

ROOT = Path(__file__).resolve().parent

# The embedded data and small sizes unless somebody asked for others: `make test` always asks for these.
for name, value in {"PLATES_DATA": "scenes", "PLATES_FAST": "1", "PLATES_PUBLISH": "0"}.items():
    os.environ.setdefault(name, value)

os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
# The Hub's client is tested against a server of ours, which an offline client would refuse to ask.
os.environ.pop("HF_HUB_OFFLINE", None)
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
# No windows here; set in this process alone, since kernels that inherit MPLBACKEND would draw nothing inline.
os.environ.pop("MPLBACKEND", None)
matplotlib.use("Agg")
