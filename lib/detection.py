"""Plate boxes by one of `lib.detectors`, and its training.

A detector answers as YOLOv5 does here: a picture in, boxes ``(N, 5)`` out, left, top, right, bottom and confidence.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from lib import processes
from lib.boxes import letterbox
from lib.checkpoints import load_checkpoint
from lib.crops import Crop, outline_batches
from lib.detectors import KINDS, detector, look_at
from lib.gallery import Gallery
from lib.loop import Loop
from lib.recipes import checks_of, digest_of, refuse, rise_and_fall
from lib.settings import PlatesError, device, seed_everything
from lib.transforms import LONGEST, to_input

Targets = list[dict[str, Tensor]]


class Detector:
    """A trained detector: picture in, boxes out.

    Args:
        network: of `detector`.
        side: pixels of the square that a picture is fitted into, unstretched.
    """

    def __init__(self, network: nn.Module, side: int) -> None:
        self.network, self.side = network.eval(), side
        self.device = next(network.parameters()).device

    @classmethod
    def load(cls, path: Path, side: int | None = None) -> "Detector":
        """The detector of a checkpoint, looking at squares of ``side`` pixels, onto `lib.settings.device`.

        Args:
            side: None for the longer side that its training crops were taken from.

        Raises:
            PlatesError: see `lib.checkpoints.load_checkpoint`; or it holds no detector.
        """
        network, card = load_checkpoint(path)
        if card["model"] not in KINDS:
            raise PlatesError(f"{path}: holds {card['model']}, no detector; name one of {', '.join(KINDS)}.")
        side = side or card.get("recipe", {}).get("crop", {}).get("longest", LONGEST)
        return cls(look_at(network, side).to(device()), side)

    @torch.inference_mode()
    def boxes(self, picture: np.ndarray, confidence: float = 0.001) -> np.ndarray:
        """Find plates in a picture, uint8 ``(H, W, 3)`` RGB.

        Returns:
            float32 ``(N, 5)``: left, top, right, bottom in pixels of the picture, clipped to it, and the confidence,
            highest first.
        """
        square, scale, left, top = letterbox(picture, self.side)
        pixels = torch.from_numpy(square).permute(2, 0, 1).to(self.device)
        (told,) = self.network([to_input(pixels[None])[0]])
        found = (told["boxes"].cpu().numpy() - (left, top, left, top)) / scale
        scores = told["scores"].cpu().numpy()
        height, width = picture.shape[:2]
        found = np.concatenate([found.clip(0, (width, height, width, height)), scores[:, None]], axis=1)
        found = found[(scores >= confidence) & (found[:, 2] > found[:, 0]) & (found[:, 3] > found[:, 1])]
        return found[np.argsort(-found[:, 4], kind="stable")].astype(np.float32)


@dataclass(frozen=True)
class DetectorRecipe:
    """All that decides how a run ends, beside its data.

    Attributes:
        model: a name of `lib.detectors.KINDS`.
        options: ``side``, pixels of the square it takes.
        start: whose weights it begins from, one of `lib.detectors.STARTS`.
        epochs, batch: passes over the pictures, one crop of each a pass; crops a step.
        learning_rate, weight_decay: of AdamW; the rate rises over the first twentieth and falls to 0 as a cosine.
        crop: how crops are drawn; their side is the detector's.
        clip, clip_at: gradients clipped by ``"norm"``, ``"value"`` or ``""``.
        pictures: at most this many training pictures; None for all.
        seed: of weights, order and crops.
    """

    model: str = "ssdlite"
    options: Mapping[str, Any] = field(default_factory=lambda: {"side": 320})
    start: str = "none"
    epochs: int = 30
    batch: int = 16
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    crop: Crop = field(default_factory=Crop)
    clip: str = "norm"
    clip_at: float = 5.0
    pictures: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.crop.side != self.options["side"]:
            raise PlatesError(
                f"crop.side={self.crop.side} is not the detector's side={self.options['side']}; make them equal."
            )
        refuse(self, checks_of(self))

    def digest(self, data: str) -> str:
        """Eight characters that differ whenever the recipe or the data differ."""
        return digest_of(self, data)


def boxes_in(outlines: np.ndarray, side: int, least: float = 3.0, shown: float = 0.5) -> np.ndarray:
    """The boxes of plates in a square crop, float32 ``(K, 4)`` left, top, right, bottom.

    Args:
        outlines: ``(K, 4, 2)`` in the crop's pixels; what reaches over its border is cut off.
        least: pixels that the cut box has at least along both sides, and
        shown: the share of the plate's box that is in the crop; others are left out.
    """
    if not len(outlines):
        return np.zeros((0, 4), np.float32)
    whole = np.concatenate([outlines.min(1), outlines.max(1)], axis=1)
    cut = whole.clip(0, side)

    def area(boxes: np.ndarray) -> np.ndarray:
        return (boxes[:, 2:] - boxes[:, :2]).clip(0).prod(1)

    keep = ((cut[:, 2:] - cut[:, :2]) >= least).all(1) & (area(cut) >= shown * area(whole))
    return cut[keep].astype(np.float32)


class DetectorTrainer(Loop):
    """`lib.loop.Loop` with this module's recipe; the detector computes its own losses, which are summed."""

    def __init__(
        self, recipe: DetectorRecipe, train: Gallery, validation: Gallery, test: Gallery | None = None
    ) -> None:
        processes.keep_memory()
        seed_everything(recipe.seed)
        self.recipe, self.device, self.precision = recipe, device(), torch.float32
        self.train, self.validation, self.test = train.sample(recipe.pictures, recipe.seed), validation, test
        made = detector(recipe.model, **recipe.options, start=recipe.start)
        self.model = made.to(self.device, memory_format=torch.channels_last)
        self.optimiser = torch.optim.AdamW(
            self.model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
        )
        self.parallel = processes.parallel(self.model)
        self._begin()

    def batches(self) -> Iterator[tuple[list[Tensor], Targets]]:
        """This process's share of the epoch: float crops ``(3, side, side)``, and their boxes as torchvision wants."""
        rank, world = processes.rank(), processes.world()
        for pixels, outlines in outline_batches(self.train, self.recipe.crop, self.batch, self.recipe.seed, self.epoch):
            own = to_input(pixels[rank::world].to(self.device, memory_format=torch.channels_last))
            yield list(own), self._targets(outlines[rank::world], self.recipe.crop.side)

    def _targets(self, outlines: list[np.ndarray], side: int) -> Targets:
        boxes = [torch.from_numpy(boxes_in(each, side)).to(self.device) for each in outlines]
        return [{"boxes": b, "labels": torch.ones(len(b), dtype=torch.int64, device=self.device)} for b in boxes]

    def go_through(self, bar: tqdm) -> dict[str, float]:
        """Take the steps of one epoch; boxes are not pixels, so that nothing is counted."""
        for crops, targets in self.batches():
            losses: dict[str, Tensor] = self.parallel(crops, targets)
            self.descend(torch.stack(list(losses.values())).sum())
            bar.update()
        return {}

    def rate(self, step: int) -> float:
        """The learning rate of ``step``: a straight rise over the first twentieth, then half a cosine to 0."""
        return self.recipe.learning_rate * rise_and_fall(step, self.recipe.epochs * self.steps_per_epoch)

    @torch.no_grad()
    def measure(self, name: str, pictures: Gallery) -> dict[str, float]:
        """``NAME_loss``: the losses' sum on whole pictures with the longer side that crops are taken from.

        torchvision's detectors tell their losses in training mode alone; normalisation keeps to its averages.
        """
        self.model.train()
        frozen = [each for each in self.model.modules() if isinstance(each, nn.BatchNorm2d)]
        for each in frozen:
            each.eval()
        side, losses = self.recipe.crop.longest, []
        look_at(self.model, side)
        for rgb, outlines in zip(pictures.pixels, pictures.outlines, strict=True):
            square, scale, left, top = letterbox(rgb, side)
            pixels = to_input(torch.from_numpy(square).permute(2, 0, 1)[None].to(self.device))
            told = self.model(list(pixels), self._targets([outlines * scale + (left, top)], side))
            losses.append(sum(each.item() for each in told.values()))
        look_at(self.model, self.recipe.crop.side).train()
        loss = float(np.mean(losses))
        self._check(loss, f"the {name} loss", math.inf)
        return {f"{name}_loss": loss}
