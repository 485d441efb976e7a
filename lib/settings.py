"""The course's settings: environment variables, device, seed and paths, read here and nowhere else."""

import os
import random
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

ROOT = Path(__file__).resolve().parent.parent
WEIGHTS = ROOT / "lib" / "weights"  # shipped with the repository
FIGURES = ROOT / "figures"  # shipped, written by `make publish`
BUILD = ROOT / "build"  # everything that a run leaves behind
CACHE = BUILD / "cache"  # rendered scenes, decoded pictures
RUNS = BUILD / "runs"  # trained checkpoints

HUB_DATASET = "keremberke/license-plate-object-detection"


class PlatesError(Exception):
    """An error the user can mend: one sentence that names what is at fault and the remedy."""


@dataclass(frozen=True)
class Settings:
    """What the environment asks for.

    Attributes:
        data: ``"hub"``, ``"scenes"``, a folder in the COCO layout, or None (the Hub, else the scenes).
        fast: small sizes on the same code paths (True) or the paper's recipe (False).
        publish: pictures in outputs come from the rendered scenes whatever the data.
    """

    data: str | Path | None
    fast: bool
    publish: bool

    @property
    def profile(self) -> str:
        """``"fast"`` or ``"full"``, as tables and figures name it."""
        return "fast" if self.fast else "full"


def _switch(name: str, default: bool) -> bool:
    value = os.environ.get(name, "").strip()
    if value not in ("", "0", "1"):
        raise PlatesError(f"{name}={value!r} is not a setting; use {name}=0 or {name}=1.")
    return default if value == "" else value == "1"


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def parse_data(value: str) -> str | Path:
    """Read one value of PLATES_DATA: ``hub``, ``scenes`` or an existing folder (made absolute).

    Raises:
        PlatesError: the value is neither a known name nor a folder.
    """
    if value in ("hub", "scenes"):
        return value
    folder = Path(value).expanduser().resolve()
    if not folder.is_dir():
        raise PlatesError(
            f"PLATES_DATA={value!r} is neither 'hub' nor 'scenes' nor a folder; "
            "name a folder that holds train/, valid/ and test/, each with _annotations.coco.json."
        )
    return folder


def settings() -> Settings:
    """Read the environment now; a value that is given is always obeyed.

    Unset, PLATES_DATA means the Hub with the scenes as its stand-in, and under ``CI=true`` the scenes.

    Raises:
        PlatesError: a variable holds something it cannot hold.
    """
    value = os.environ.get("PLATES_DATA", "").strip()
    if not value and os.environ.get("CI", "").lower() == "true":
        value = "scenes"
    return Settings(
        data=parse_data(value) if value else None,
        fast=_switch("PLATES_FAST", True),
        publish=_switch("PLATES_PUBLISH", False),
    )


def device() -> "torch.device":
    """The first CUDA device, else Apple's MPS, else the processor."""
    import torch

    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch alike."""
    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def someone_watches() -> bool:
    """Whether a progress bar has a reader: a terminal, or a notebook open in Jupyter (not one executed unattended)."""
    return sys.stderr.isatty() or "JPY_SESSION_NAME" in os.environ
