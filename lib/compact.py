"""The compact network's recipe and its training: crops at many zooms, the overlap loss, averaged weights."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from lib import processes
from lib.crops import Crop, crop_batches, targets
from lib.engine import fast_precision
from lib.gallery import Gallery
from lib.metrics import Accumulator
from lib.models import build
from lib.overlap import overlap_loss
from lib.platenet import Coarse
from lib.recipes import checks_of, digest_of, refuse, rise_and_fall
from lib.settings import device, seed_everything
from lib.trainer import Trainer, pixel_scores
from lib.transforms import fit, to_input


@dataclass(frozen=True)
class CompactRecipe:
    """All that decides how a run ends, beside its data; the same duties as `lib.recipes.Recipe`, other choices.

    Attributes:
        model, options: for `lib.models.build`.
        epochs, batch: passes over the pictures, one crop of each a pass; crops a step.
        learning_rate, weight_decay: of AdamW; the rate rises over the first twentieth and falls to 0 as a cosine.
        crop: how crops are drawn.
        plate, tversky, missed, presence: for `lib.overlap.overlap_loss`.
        small: how strongly small plates are lifted (`lib.crops.targets`).
        average: the share of the averaged weights that stays at each step; 0 keeps the last weights alone.
        clip, clip_at: gradients clipped by ``"norm"``, ``"value"`` or ``""``.
        pictures: at most this many training pictures; None for all.
        seed: of weights, order and crops.
    """

    model: str = "platenet"
    options: Mapping[str, Any] = field(default_factory=dict)
    epochs: int = 60
    batch: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    crop: Crop = field(default_factory=Crop)
    plate: float = 3.0
    tversky: float = 1.0
    missed: float = 0.7
    presence: float = 0.0
    small: float = 0.5
    average: float = 0.999
    clip: str = "norm"
    clip_at: float = 5.0
    pictures: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        own = (
            ("plate", 0 < self.plate < math.inf, "a finite number above 0"),
            ("tversky", 0 <= self.tversky < math.inf, "a finite number of at least 0"),
            ("missed", 0 <= self.missed <= 1, "a share from 0 to 1"),
            ("presence", 0 <= self.presence < math.inf, "a finite number of at least 0"),
            ("small", 0 <= self.small <= 2, "an exponent from 0 to 2"),
            ("average", 0 <= self.average < 1, "a share from 0 to less than 1"),
        )
        refuse(self, (*checks_of(self), *own))

    def digest(self, data: str) -> str:
        """Eight characters that differ whenever the recipe or the data differ."""
        return digest_of(self, data)


class CompactTrainer(Trainer):
    """`lib.trainer.Trainer` with this module's recipe: the same steps, log and checkpoints.

    ``model`` is the averaged network, which is measured and saved; ``network`` is the one that learns, from ``start``
    where that is given.
    """

    def __init__(
        self,
        recipe: CompactRecipe,
        train: Gallery,
        validation: Gallery,
        test: Gallery | None = None,
        start: nn.Module | None = None,
    ) -> None:
        processes.keep_memory()
        seed_everything(recipe.seed)
        self.recipe, self.device = recipe, device()
        self.precision = fast_precision(self.device)
        self.train, self.validation, self.test = train.sample(recipe.pictures, recipe.seed), validation, test
        self.network = build(recipe.model, **recipe.options).to(self.device, memory_format=torch.channels_last)
        if start is not None:
            self.network.load_state_dict(start.state_dict())
        self.average = AveragedModel(self.network, multi_avg_fn=self._average, use_buffers=True)
        self.model = self.average.module
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
        )
        self.parallel = processes.parallel(Coarse(self.network))
        self.asked: dict[str, list[tuple[Tensor, ...]]] = {}
        self._begin()

    def _average(self, averages: Sequence[Tensor], now: Sequence[Tensor], count: Tensor | int) -> None:
        stays = min(self.recipe.average, (1 + int(count)) / (10 + int(count)))  # the first steps are soon forgotten
        if averages[0].is_floating_point():
            torch._foreach_lerp_(averages, now, 1 - stays)
        else:  # counters
            torch._foreach_copy_(averages, now)

    def batches(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """This process's share of the epoch: float crops, and `lib.crops.targets`' shares and weights."""
        rank, world = processes.rank(), processes.world()
        own = (self.recipe.crop, self.batch, self.recipe.seed, self.epoch, self.recipe.small)
        for batch in crop_batches(self.train, *own):
            yield self._given(*(part[rank::world] for part in batch))

    def _given(self, pixels: Tensor, share: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return to_input(pixels.to(self.device)), share.to(self.device), weight.to(self.device)

    def take_step(self, pictures: Tensor, share: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """One step; returns P(plate) and the masks, ``(B, S/4, S/4)``; see `lib.trainer.Trainer.take_step`."""
        self.network.train()
        with self.autocast():
            odds = self.parallel(pictures)
        self.descend(self._loss(odds, share, weight))
        self.average.update_parameters(self.network)
        return odds.detach().float().sigmoid()[:, 0], share[:, 0] >= 0.5

    def _loss(self, odds: Tensor, share: Tensor, weight: Tensor) -> Tensor:
        recipe = self.recipe
        return overlap_loss(odds, share, weight, recipe.plate, recipe.tversky, recipe.missed, recipe.presence)

    def rate(self, step: int) -> float:
        """The learning rate of ``step``: a straight rise over the first twentieth, then half a cosine to 0."""
        return self.recipe.learning_rate * rise_and_fall(step, self.recipe.epochs * self.steps_per_epoch)

    @torch.inference_mode()
    def measure(self, name: str, pictures: Gallery) -> dict[str, float]:
        """Loss and `lib.trainer.pixel_scores` on whole pictures, at a quarter of their size, as ``NAME_*``."""
        self.model.eval()
        accumulator, total = Accumulator(), 0.0
        if name not in self.asked:
            self.asked[name] = [*self._whole(pictures)]
        for picture, share, weight in self.asked[name]:
            with self.autocast():
                odds = self.model.coarse(to_input(picture))
            total += self._loss(odds, share, weight).item()
            accumulator.add_batch(odds.float().sigmoid()[:, 0], share[:, 0] >= 0.5)
        scores = {"loss": total / len(self.asked[name])} | pixel_scores(accumulator)
        self._check(scores["loss"], f"the {name} loss", math.inf)
        return {f"{name}_{key}": value for key, value in scores.items()}

    def _whole(self, pictures: Gallery) -> Iterator[tuple[Tensor, ...]]:
        """Each picture as the network looks at it, uint8, and what it is to answer, on the device."""
        yield from self._at(pictures, self.recipe.crop.longest)

    def _at(self, pictures: Gallery, longest: int) -> Iterator[tuple[Tensor, ...]]:
        for pixels, outlines, ignored in zip(pictures.pixels, pictures.outlines, pictures.ignored, strict=True):
            picture, scale = fit(pixels, longest)
            told = targets(outlines * scale, picture.shape[:2], self.recipe.small, ignored * scale)
            share, weight = (torch.from_numpy(part)[None, None].to(self.device) for part in told)
            yield torch.from_numpy(picture).permute(2, 0, 1)[None].to(self.device), share, weight

    def parts(self) -> dict[str, Any]:
        """What a checkpoint holds."""
        return {"network": self.network, "average": self.average, "optimiser": self.optimiser}
