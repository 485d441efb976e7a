"""YOLOv5 trained by ultralytics on our pictures, and found again."""

import csv
import hashlib
import json
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset, DatasetDict
from torch import nn

from lib.boxes import find_boxes
from lib.data import describe
from lib.engine import describe_device
from lib.files import atomic, read_json, write_json
from lib.labels import draw, fingerprint, write_split
from lib.processes import alone, keep_memory
from lib.settings import RUNS, PlatesError, device
from lib.ultra import Raw, installed, quiet
from lib.yolo_recipes import YoloRecipe, pretrained, yolo_recipe


@dataclass(frozen=True)
class Yolo:
    """A trained YOLOv5.

    Attributes:
        network: pictures, float ``(B, 3, side, side)`` in 0..1, to ``(B, 5, A)``: centre x, centre y, width and height
            in pixels of the square and the confidence in 0..1, of each of the A places where a box may be.
        card: recipe, data, device, versions, seconds and history.
        folder: where its weights lie.
        loaded: whether the run was found rather than made.
    """

    network: nn.Module
    card: dict[str, Any]
    folder: Path
    loaded: bool

    @property
    def side(self) -> int:
        """Pixels of the network's square."""
        return self.card["recipe"]["side"]

    @property
    def name(self) -> str:
        """What tables call it: its size, and that its head is the one of YOLOv5u."""
        return f"{self.card['recipe']['model']}u"

    @property
    def history(self) -> list[dict[str, float]]:
        """One dictionary an epoch: ultralytics' losses on training and validation, and its metrics there."""
        return self.card["history"]

    def boxes(self, picture: np.ndarray, confidence: float = 0.001) -> np.ndarray:
        """Find plates in a picture, uint8 ``(H, W, 3)`` RGB.

        Returns:
            float32 ``(N, 5)``: left, top, right, bottom in pixels of the picture, and the confidence, highest first.
        """
        return find_boxes(self.run, picture, self.side, confidence)

    @torch.inference_mode()
    def run(self, pictures: np.ndarray) -> np.ndarray:
        """The network on float32 ``(B, 3, side, side)``, to ``(B, 5, A)``."""
        where = next(self.network.parameters()).device
        return self.network(torch.from_numpy(pictures).to(where)).float().cpu().numpy()

    def say(self) -> str:
        """One line for a notebook: loaded or trained, from what, how long."""
        own, told = self.card["recipe"], "loaded" if self.loaded else "trained"
        return (
            f"{told} {self.name} from {own['start']}: {self.card['parameters'] / 1e6:.1f} M parameters, "
            f"{self.card['pictures']:,} pictures at {own['side']} px, {self.card['steps']:,} steps of {own['batch']} "
            f"in {self.card['seconds'] / 60:.1f} min on {self.card['device']}"
        )


def train_yolo(plates: DatasetDict, wanted: YoloRecipe | None = None, folder: Path = RUNS) -> Yolo:
    """Load the YOLOv5 that has this recipe and these pictures, or train it (going on after its last whole epoch).

    Pictures and boxes are written into the run's folder as ultralytics wants them and removed when it has been
    trained. A region to ignore (``iscrowd``) is no box and so counts as background in training, as it does in the
    masks of our own networks. A batch that would not be full is left out, so that every step has as many pictures.

    Args:
        plates: `lib.data.load_plates`; ``validation`` chooses the epoch whose weights are kept.
        wanted: None for `yolo_recipe`.
        folder: of all runs.

    Raises:
        PlatesError: ultralytics is not installed, the pictures are too few, or training failed.
    """
    wanted = wanted or yolo_recipe()
    _require()
    train, data = draw(plates["train"], wanted), describe(plates)
    told = json.dumps([asdict(wanted), data, fingerprint(train), fingerprint(plates["validation"])])
    own = Path(folder) / f"{wanted.model}u-{hashlib.sha256(told.encode()).hexdigest()[:8]}"
    with alone(own.name):
        if loaded := (own / "card.json").exists():
            card = read_json(own / "card.json")
        else:
            card = {"recipe": asdict(wanted), "data": data, "pictures": len(train)}
            card["steps"] = wanted.epochs * len(train) // wanted.batch
            card |= _fit(wanted, train, plates["validation"], own)
            write_json(own / "card.json", card)  # last: while it is absent the run counts as unfinished
            shutil.rmtree(own / "pictures", ignore_errors=True)
    return load_yolo(own, loaded)


def load_yolo(folder: Path, loaded: bool = True) -> Yolo:
    """The YOLOv5 that `train_yolo` has put into a run's folder; ``loaded`` is what its attribute says.

    Raises:
        PlatesError: there is no finished run in it, or ultralytics is not installed.
    """
    _require()
    card = read_json(Path(folder) / "card.json")
    with quiet(folder.parent) as ultralytics:
        model = ultralytics.YOLO(folder / "run" / "weights" / "best.pt").model
    return Yolo(Raw(model.float().fuse(verbose=False)).eval().to(device()), card, folder, loaded)


def _require() -> None:
    if not installed():
        raise PlatesError(
            "ultralytics is not installed, so there is no YOLOv5; run `pip install ultralytics==8.4.190`."
        )


def _fit(wanted: YoloRecipe, train: Dataset, validation: Dataset, folder: Path) -> dict[str, Any]:
    """Train into ``folder``, or go on there; returns what the card tells about it."""
    pictures, run = folder / "pictures", folder / "run"
    told = pictures / "plates.yaml"
    if not told.exists():
        shutil.rmtree(pictures, ignore_errors=True)  # of a run that was killed while it wrote them
        for split, name in ((train, "train"), (validation, "val")):
            write_split(split, pictures / name, wanted.side)
        with atomic(told) as temporary:
            place = json.dumps(str(pictures.resolve()))
            temporary.write_text(f"path: {place}\ntrain: train/images\nval: val/images\nnames: [plate]\n")
    keep_memory()
    threads = torch.get_num_threads()
    with quiet(folder.parent) as ultralytics:
        last = run / "weights" / "last.pt"
        state = _state(last, wanted.epochs)
        if state is None:
            shutil.rmtree(run, ignore_errors=True)
        if state != "finished":
            start = pretrained(wanted.model) if wanted.start == "COCO" else f"{wanted.model}.yaml"
            if start is None:
                raise PlatesError(f"the COCO weights of {wanted.model} cannot be had; use start='scratch'.")
            model = ultralytics.YOLO(last if state else start, task="detect")
            for event in ("on_train_start", "on_train_epoch_start", "on_val_start"):
                model.add_callback(event, lambda _: torch.set_num_threads(threads))
            options = {"resume": True} if state else wanted.options(told, run)
            try:
                model.train(**options)
            except (RuntimeError, ValueError, FileNotFoundError) as error:
                raise PlatesError(
                    f"{folder}: YOLOv5 could not be trained ({error}); remove it and try again."
                ) from error
            if (used := int(model.trainer.args.batch)) != wanted.batch:  # it halves what its memory cannot hold
                shutil.rmtree(run, ignore_errors=True)
                raise PlatesError(
                    f"batch={wanted.batch} does not fit into the memory, only {used} does, and the steps would be "
                    f"others than the recipe's; give YoloRecipe(batch={used})."
                )
        network = ultralytics.YOLO(run / "weights" / "best.pt").model
        with (run / "results.csv").open(newline="") as file:
            history = [{key.strip(): float(value) for key, value in row.items()} for row in csv.DictReader(file)]
        version = ultralytics.__version__
    return {
        "seconds": _seconds([row["time"] for row in history]),
        "parameters": sum(weights.numel() for weights in network.parameters()),
        "device": describe_device(device()),
        "versions": {"torch": torch.__version__, "ultralytics": version},
        "history": history,
    }


def _state(last: Path, epochs: int) -> str | None:
    """What ``last.pt`` of a run allows: ``"finished"``, ``"unfinished"``, None where there is nothing to go on from."""
    if not last.exists():
        return None
    with suppress(Exception):  # killed while it was written: whatever is wrong with it, it is of no use
        held: Mapping[str, Any] = torch.load(last, map_location="cpu", weights_only=False)
        return "unfinished" if held.get("optimizer") and held["epoch"] + 1 < epochs else "finished"
    return None


def _seconds(clock: list[float]) -> float:
    """The time of all sessions of a run from its clock after each epoch, which starts anew when it is resumed."""
    before = [0.0, *clock[:-1]]
    return float(sum(now - then if now >= then else now for now, then in zip(clock, before, strict=True)))
