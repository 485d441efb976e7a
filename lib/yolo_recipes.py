"""How YOLOv5 is trained, as data: its recipe, the profiles' sizes, and where it starts from."""

import os
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

from lib.files import atomic
from lib.recipes import recipe
from lib.settings import CACHE, PlatesError, device, settings

PRETRAINED = "https://github.com/ultralytics/assets/releases/download/v8.4.0/{}u.pt"  # trained on COCO, 80 classes
PATIENCE = 5.0  # seconds that asking for those weights may take to be answered


@dataclass(frozen=True)
class YoloRecipe:
    """What decides how a YOLOv5 training ends, beside its data.

    Attributes:
        model: ``"yolov5n"``, ``"yolov5m"``: ultralytics' YOLOv5u of that size (an anchor-free head on YOLOv5).
        start: ``"scratch"``, or ``"COCO"`` for weights trained on its 118,287 pictures.
        side: pixels of the square that pictures are scaled into, a multiple of 32.
        epochs, batch: passes over the data; pictures a step.
        learning_rate: of AdamW, along a cosine; ultralytics' own choice for one class and so few steps.
        pictures: at most this many training pictures; None for all.
        seed: of the weights, the draw of pictures, their order and their augmentation.
    """

    model: str = "yolov5n"
    start: str = "scratch"
    side: int = 320
    epochs: int = 8
    batch: int = 32
    learning_rate: float = 0.002
    pictures: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.start not in ("scratch", "COCO"):
            raise PlatesError(f"start={self.start!r} is unknown; use 'scratch' or 'COCO'.")
        if self.side < 32 or self.side % 32:
            raise PlatesError(f"side={self.side} is no multiple of 32, YOLOv5's coarsest step; use 320.")
        if min(self.epochs, self.batch) < 1 or (self.pictures is not None and self.pictures < 1):
            raise PlatesError(
                f"epochs, batch and pictures must be 1 or more; {self.epochs}, {self.batch} cannot train."
            )

    def say(self) -> str:
        """The recipe in a few words."""
        return f"{self.model} from {self.start}, {self.epochs} epochs, batch {self.batch}, {self.side} px"

    def options(self, data: Path, run: Path) -> dict[str, Any]:
        """What ultralytics is to be told: one optimiser step a batch, in float32 (its check of less asks the network).

        Its mosaics of four pictures stop 10 epochs before the end, so a run of fewer has none.

        Args:
            data: the YAML file that names the pictures.
            run: the folder to train into.
        """
        where = device()
        return {
            "data": str(data),
            "epochs": self.epochs,
            "batch": self.batch,
            "nbs": self.batch,
            "imgsz": self.side,
            "seed": self.seed,
            "optimizer": "AdamW",
            "lr0": self.learning_rate,
            "momentum": 0.9,
            "warmup_bias_lr": 0.0,
            "warmup_epochs": min(3.0, self.epochs / 8),
            "cos_lr": True,
            "patience": 0,
            "amp": False,
            "plots": False,
            "verbose": False,
            "device": str(where.index or 0) if where.type == "cuda" else where.type,
            "workers": min(8, os.cpu_count() or 1) if where.type == "cuda" else 0,
            "project": str(run.parent.resolve()),
            "name": run.name,
            "exist_ok": True,
        }


def yolo_recipe(**changes: Any) -> YoloRecipe:
    """The profile's recipe, with ``changes``: as many steps on as many pictures as our own networks get.

    The fast profile's is far too short for a detector from scratch: it shows that all works. The full one takes the
    steps of `lib.recipes.recipe`, and COCO's weights where they can be had (`pretrained`); on a GPU the middle size. A
    processor takes these steps with half the batch, so on half as many pictures: YOLOv5 costs six times as much there.
    """
    if settings().fast:
        return YoloRecipe(**{"side": 192, "epochs": 4, "batch": 16, "pictures": 320, **changes})
    own = recipe()
    size, part = ("yolov5m", 1) if device().type == "cuda" else ("yolov5n", 2)
    told = {
        "model": size,
        "epochs": max(1, own.epochs // part),
        "batch": max(1, own.batch // part),
        "pictures": own.pictures,
        "seed": own.seed,
        **changes,
    }
    if "start" not in told:
        told["start"] = "COCO" if pretrained(told["model"]) else "scratch"
    return YoloRecipe(**told)


def pretrained(model: str, folder: Path = CACHE) -> Path | None:
    """The COCO weights of ``model``: those in ``folder``, else downloaded into it; None where they cannot be had."""
    path = folder / f"{model}u.pt"
    if not path.exists():
        try:
            with (
                urllib.request.urlopen(PRETRAINED.format(model), timeout=PATIENCE) as answer,
                atomic(path) as temporary,
            ):
                if not (weights := answer.read()).startswith(b"PK"):  # a log-in page, say, and no archive of weights
                    return None
                temporary.write_bytes(weights)
        except (OSError, HTTPException, PlatesError):  # no network, no such file, no place for it
            return None
    return path
