"""The landmark networks' training: plates whose corners are known, cut out as a detector would, and bent."""

import math
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import torch
from datasets import Dataset
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from lib import processes
from lib.corners import EXPAND, Window, corner_error
from lib.crops import bending, for_opencv
from lib.data import plates_of
from lib.gallery import Gallery
from lib.landmarks import SIDE, SmallLandmarks, Votes, place_of, weighed
from lib.loop import Loop
from lib.models import build
from lib.recipes import checks_of, digest_of, half_cosine, refuse
from lib.relight import change_light
from lib.settings import PlatesError, device, seed_everything
from lib.transforms import batches, to_input

NARROWEST = 10.0  # pixels of width: below, nobody can say where a corner is
SURE = 0.05  # of the cross entropy of places beside the corners' error: without it all stay equally sure for long


@dataclass(frozen=True)
class CornerRecipe:
    """All that decides how a run ends, beside its data.

    Attributes:
        model, options: for `lib.models.build`.
        epochs, batch: passes over the plates; crops a step.
        learning_rate, weight_decay: of AdamW; the rate falls to 0 as half a cosine.
        beta: errors below it, in shares of the crop, count by their square, others as they are (smooth L1).
        expand: least and greatest sides of the crop, in sides of the box.
        jitter: standard deviation of each edge of the box, in its sides: a detector's boxes are not exact.
        turn, bend: standard deviation of the turn in degrees; greatest shear, stretch and perspective, as a share.
        clip, clip_at: gradients clipped by ``"norm"``, ``"value"`` or ``""``.
        pictures: at most this many training pictures; None for all.
        seed: of weights, order and crops.
    """

    model: str = "landmarks"
    options: Mapping[str, Any] = field(default_factory=dict)
    epochs: int = 40
    batch: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    beta: float = 0.02
    expand: tuple[float, float] = (1.1, 1.6)
    jitter: float = 0.05
    turn: float = 6.0
    bend: float = 0.25
    clip: str = "norm"
    clip_at: float = 5.0
    pictures: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        own = (
            ("beta", 0 < self.beta < math.inf, "a finite number above 0"),
            ("expand", 1 <= self.expand[0] <= self.expand[1], "two numbers of at least 1, the smaller first"),
            ("jitter", 0 <= self.jitter <= 0.3, "a share from 0 to 0.3"),
            ("turn", 0 <= self.turn <= 30, "degrees from 0 to 30"),
            ("bend", 0 <= self.bend <= 0.5, "a share from 0 to 0.5"),
        )
        refuse(self, (*checks_of(self), *own))

    def digest(self, data: str) -> str:
        """Eight characters that differ whenever the recipe or the data differ."""
        return digest_of(self, data)


def known_corners(split: Dataset) -> Gallery:
    """The pictures of a split that have plates with known corners, with these plates alone.

    Raises:
        PlatesError: there is none, or see `lib.gallery.Gallery.from_dataset`.
    """
    told = [
        [plate.corners is not None for plate in plates_of(row) if not plate.iscrowd]
        for row in split.remove_columns("image")
    ]
    keep = [number for number, flags in enumerate(told) if any(flags)]
    if not keep:
        raise PlatesError("no picture of this split has a plate with known corners; load data that say them.")
    gallery = Gallery.from_dataset(split.select(keep))
    outlines = [each[np.array(told[number])] for each, number in zip(gallery.outlines, keep, strict=True)]
    return Gallery(gallery.pixels, outlines, gallery.ignored, gallery.sources)


def draw(rgb: np.ndarray, outline: np.ndarray, recipe: CornerRecipe, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """One training crop of the plate with ``outline`` ``(4, 2)``, in pixels of the picture, uint8 ``(H, W, 3)``.

    The plate is turned, sheared, stretched and seen in perspective, then boxed, the box shaken and expanded, and the
    light changed; all in one warp.

    Returns:
        uint8 ``(SIDE, SIDE, 3)`` and the corners as shares of its sides, float32 ``(4, 2)``.
    """
    rng = np.random.default_rng(seed)
    size = float(np.ptp(outline, axis=0).max())
    corner = np.maximum(np.floor(outline.min(0) - 1.5 * size), 0).astype(int)  # what is farther away is never seen
    far = np.ceil(outline.max(0) + 1.5 * size).astype(int)
    rgb, outline = rgb[corner[1] : far[1], corner[0] : far[0]], outline - corner
    centre = outline.mean(0)
    turn = np.deg2rad(np.clip(rng.normal(0, recipe.turn), -4 * recipe.turn, 4 * recipe.turn))
    shear, stretch, *tilt = rng.uniform(-recipe.bend, recipe.bend, 4)
    mirrored = rng.random() < 0.5
    matrix = np.eye(3)
    matrix[:2, :2] = bending(turn, shear, stretch, mirrored)
    matrix[:2, 2] = -matrix[:2, :2] @ centre
    lean = np.eye(3)
    lean[2, :2] = np.array(tilt) / size
    matrix = lean @ matrix
    moved = cv2.perspectiveTransform(outline[None].astype(np.float64), matrix)[0]
    if mirrored:  # left and right change places, and so do their names
        moved = moved[[1, 0, 3, 2]]
    low, high = moved.min(0), moved.max(0)
    side = high - low
    low, high = low + rng.normal(0, recipe.jitter, 2) * side, high + rng.normal(0, recipe.jitter, 2) * side
    middle, half = (low + high) / 2, (high - low) / 2 * rng.uniform(*recipe.expand)
    scale = SIDE / (2 * half)
    into = np.diag([*scale, 1.0])
    into[:2, 2] = -scale * (middle - half)
    matrix = into @ matrix
    blur = 0.5 / float(scale.max())  # pixels that one of the crop's stands for: smooth them before they are skipped
    source = cv2.GaussianBlur(rgb, (0, 0), blur) if blur > 0.6 else rgb
    to = {"dsize": (SIDE, SIDE), "flags": cv2.INTER_LINEAR, "borderMode": cv2.BORDER_REPLICATE}
    crop = cv2.warpPerspective(source, for_opencv(matrix), **to)
    shares = (moved - (middle - half)) / (2 * half)
    return change_light(crop, rng), shares.astype(np.float32)


class CornerTrainer(Loop):
    """`lib.loop.Loop` with this module's recipe; a training example is a plate, not a picture."""

    def __init__(self, recipe: CornerRecipe, train: Gallery, validation: Gallery, test: Gallery | None = None) -> None:
        processes.keep_memory()
        seed_everything(recipe.seed)
        self.recipe, self.device, self.precision = recipe, device(), torch.float32
        self.pictures = train.sample(recipe.pictures, recipe.seed)
        self.train = [  # what an epoch goes through: picture and plate
            (number, plate)
            for number, outlines in enumerate(self.pictures.outlines)
            for plate in range(len(outlines))
            if np.ptp(outlines[plate][:, 0]) >= NARROWEST
        ]
        if not self.train:
            raise PlatesError(f"no training plate is {NARROWEST:g} pixels wide; give larger pictures.")
        self.validation, self.test = validation, test
        self.model = build(recipe.model, **recipe.options).to(self.device, memory_format=torch.channels_last)
        self.optimiser = torch.optim.AdamW(
            self.model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
        )
        votes = isinstance(self.model, SmallLandmarks)
        self.parallel = processes.parallel(Votes(self.model) if votes else self.model)
        self._begin()

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """This process's share of the epoch: float crops ``(B, 3, SIDE, SIDE)`` and corners ``(B, 4, 2)``."""
        rank, world = processes.rank(), processes.world()

        def one(index: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
            picture, plate = self.train[index]
            return draw(self.pictures.pixels[picture], self.pictures.outlines[picture][plate], self.recipe, seed)

        with ThreadPoolExecutor() as pool:
            for pair in batches(len(self.train), self.batch, self.recipe.seed, self.epoch):
                index, seeds = (part[rank::world].tolist() for part in pair)
                crops, corners = zip(*pool.map(one, index, seeds), strict=True)
                pixels = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).to(self.device)  # channels last
                yield to_input(pixels), torch.from_numpy(np.stack(corners)).to(self.device)

    def go_through(self, bar: tqdm) -> dict[str, float]:
        """Take the steps of one epoch; there are no pixels to be right about."""
        for crops, corners in self.batches():
            self.descend(self.loss(self.parallel(crops), corners))
            bar.update()
        return {}

    def loss(self, answer: Tensor | tuple[Tensor, Tensor], corners: Tensor) -> Tensor:
        """Smooth L1 of corners ``(B, 4, 2)``; where places vote, the surest shall be those that hold the corners."""
        if isinstance(answer, Tensor):
            return F.smooth_l1_loss(answer, corners, beta=self.recipe.beta)
        votes, sure = answer
        place = F.cross_entropy(sure.flatten(0, 1), place_of(corners).flatten())
        return F.smooth_l1_loss(weighed(votes, sure), corners, beta=self.recipe.beta) + SURE * place

    def rate(self, step: int) -> float:
        """Half a cosine from the recipe's rate to 0, over all steps."""
        return self.recipe.learning_rate * half_cosine(step, self.recipe.epochs * self.steps_per_epoch)

    @torch.inference_mode()
    def measure(self, name: str, pictures: Gallery) -> dict[str, float]:
        """``NAME_loss``, and ``NAME_error``: the mean `lib.corners.corner_error` of plates cut out by their boxes."""
        self.model.eval()
        losses, errors = [], []
        for rgb, outlines in zip(pictures.pixels, pictures.outlines, strict=True):
            for outline in outlines.astype(np.float64):
                window = Window.round((*outline.min(0), *outline.max(0)), EXPAND)
                crop = torch.from_numpy(window.cut(rgb)).permute(2, 0, 1)[None].to(self.device)
                found = self.model(to_input(crop)).float().cpu()
                shares = torch.from_numpy((outline - window.outline[0]) / window.size)[None].float()
                losses.append(F.smooth_l1_loss(found, shares, beta=self.recipe.beta).item())
                errors.append(corner_error(window.place(found.numpy()), outline[None])[0])
        loss = float(np.mean(losses))
        self._check(loss, f"the {name} loss", math.inf)
        return {f"{name}_loss": loss, f"{name}_error": float(np.mean(errors))}
