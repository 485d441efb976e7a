"""ultralytics (AGPL-3.0), kept quiet: the only module that imports it, when asked to.

Nothing is sent and nothing written outside the folder of the runs: ultralytics is kept offline, its settings, its
integrations and the accounts it knows are left out, and its configuration folder lies beside the runs.
"""

import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from lib.settings import RUNS

REPLACED: dict[Any, tuple[str, ...]] = {Image: ("open",), cv2: ("imread", "imwrite", "imshow"), torch: ("save",)}


def installed() -> bool:
    """Whether ultralytics is there; looking does not import it."""
    return importlib.util.find_spec("ultralytics") is not None


class Raw(nn.Module):
    """A detection model without the second half of its answer, which only its losses need."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        answer = self.model(x)
        return answer[0] if isinstance(answer, tuple | list) else answer


def untrained(model: str = "yolov5n", folder: Path = RUNS) -> nn.Module:
    """A YOLOv5 with random weights and one class, fused as for inference: for timing it.

    Shape: ``(B, 3, S, S)`` float in 0..1, S a multiple of 32, to ``(B, 5, A)`` (`lib.yolo.Yolo`).
    """
    with quiet(folder):
        from ultralytics.nn.tasks import DetectionModel

        network = DetectionModel(f"{model}.yaml", nc=1, verbose=False)
        return Raw(network.float().eval().fuse(verbose=False)).eval()


@contextmanager
def quiet(folder: Path) -> Iterator[ModuleType]:
    """ultralytics, kept from the network and from writing elsewhere; what its import changes is put back after.

    Its import replaces functions of other libraries (`REPLACED`; its Image.open would install a decoder), sets one
    thread for OpenMP, none for OpenCV and print formats for NumPy and torch; its devices set torch to one thread less
    than there are cores, which on two cores is one.
    """
    config = Path(folder) / "ultralytics"
    asked = {
        "YOLO_OFFLINE": "true",  # the word: it takes no 1
        "YOLO_AUTOINSTALL": "false",
        "YOLO_VERBOSE": "false",
        "YOLO_CONFIG_DIR": str(config),
        "ULTRALYTICS_API_KEY": "",  # with a key it uploads what it trains
        "ULTRALYTICS_SAFE_LOAD": "true",  # weights alone, no code that a downloaded file might hold
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS") or str(torch.get_num_threads()),
        "WANDB_MODE": "disabled",
    }
    before = {name: os.environ.get(name) for name in asked}
    threads, vision, printing = torch.get_num_threads(), cv2.getNumThreads(), np.get_printoptions()
    replaced = {(owner, name): getattr(owner, name) for owner, names in REPLACED.items() for name in names}
    os.environ |= asked
    font = config / "Ultralytics" / "Arial.ttf"  # it would fetch this font, which only its drawings need
    font.parent.mkdir(parents=True, exist_ok=True)
    font.touch()
    try:
        import ultralytics
        from ultralytics.utils.events import events

        off = dict.fromkeys(("sync", "clearml", "comet", "dvc", "mlflow", "raytune", "tensorboard", "wandb"), False)
        dict.update(ultralytics.settings, {**off, "api_key": ""})  # in memory: the file belongs to the user
        events.enabled = False
        yield ultralytics
    finally:
        torch.set_num_threads(threads)
        cv2.setNumThreads(vision)
        np.set_printoptions(**printing)
        torch.set_printoptions(profile="default")
        for (owner, name), function in replaced.items():
            setattr(owner, name, function)
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})
