"""The training of the paper's networks: random crops, one loss, scores of pixels."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from lib import processes
from lib.engine import fast_precision
from lib.loop import Loop
from lib.losses import LOSSES, PlateLoss
from lib.metrics import Accumulator
from lib.models import build
from lib.pictures import Pictures
from lib.recipes import Recipe, half_cosine
from lib.settings import device, seed_everything
from lib.transforms import Augment, batches, full_frame, random_crops, to_input


class Trainer(Loop):
    """`lib.loop.Loop` on pictures and masks.

    Args:
        recipe: all that decides how it ends.
        train, validation: the pictures; ``recipe.pictures`` of the former are drawn.
        test: pictures whose loss, A and A1 on seeded random crops (the authors' protocol) are logged every tenth of
            a run (section 4.4 of the paper), or every second epoch; they choose nothing. None for none.

    Raises:
        PlatesError: the batch cannot be shared out evenly, or the recipe names what does not exist.
    """

    def __init__(self, recipe: Recipe, train: Pictures, validation: Pictures, test: Pictures | None = None) -> None:
        processes.keep_memory()
        seed_everything(recipe.seed)
        self.recipe, self.device = recipe, device()
        self.precision = fast_precision(self.device)
        self.train = train.sample(recipe.pictures, recipe.seed).to(self.device)
        self.validation = full_frame(validation.to(self.device))
        self.test = random_crops(test.to(self.device), recipe.seed) if test is not None else None
        self.augment = Augment(tuple(recipe.augment), smallest_crop=recipe.smallest_crop)
        self.criterion = make_loss(recipe)
        self.model = build(recipe.model, **recipe.options).to(self.device, memory_format=torch.channels_last)
        self.optimiser = torch.optim.AdamW(
            self.model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
        )
        self.parallel = processes.parallel(self.model)
        self._begin()

    def go_through(self, bar: tqdm) -> dict[str, float]:
        """Take the steps of one epoch; returns `pixel_scores` of the training crops, over all processes."""
        accumulator = Accumulator()
        for batch in self.batches():
            accumulator.add_batch(*self.take_step(*batch))
            bar.update()
        for state in processes.gather(accumulator.state())[1:]:
            accumulator.merge(Accumulator.from_state(state))
        return pixel_scores(accumulator)

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """This process's share of the epoch: float pictures ``(B, 3, S, S)`` and bool masks ``(B, S, S)``."""
        rank, world = processes.rank(), processes.world()
        for index, seeds in batches(len(self.train), self.batch, self.recipe.seed, self.epoch):
            pixels, masks, _ = self.augment(self.train, index[rank::world], seeds[rank::world])
            yield to_input(pixels), masks

    def take_step(self, pictures: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        """One step, logged in ``steps``; returns P(plate) and the masks, ``(B, S, S)`` both.

        Raises:
            Diverged: the loss or the gradient is not a number any more, or the loss grew a hundredfold.
        """
        with self.autocast():
            logits = self.parallel(pictures)
        loss, plate = self._judge(logits, masks)
        self.descend(loss)
        return plate, masks

    def _judge(self, logits: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        """The loss, and P(plate) without its gradient; of pixels that share a prediction one is looked at."""
        cell = getattr(self.model, "cell", 1)
        shared = logits[..., ::cell, ::cell]
        plate = shared.detach().float().softmax(1)[:, 1:]
        return self.criterion(shared, masks), F.interpolate(plate, masks.shape[1:], mode="nearest")[:, 0]

    def rate(self, step: int) -> float:
        """The learning rate of ``step``: half a cosine from the recipe's rate to 0, or the recipe's throughout."""
        if self.recipe.schedule == "constant":
            return self.recipe.learning_rate
        return self.recipe.learning_rate * half_cosine(step, self.recipe.epochs * self.steps_per_epoch)

    @torch.inference_mode()
    def measure(self, name: str, frames: tuple[Tensor, Tensor]) -> dict[str, float]:
        """Loss and `pixel_scores` on ``frames``, uint8 pictures and bool masks, as ``NAME_*``."""
        self.model.eval()
        accumulator, total = Accumulator(), 0.0
        for pixels, masks in zip(*(part.split(32) for part in frames), strict=True):
            with self.autocast():
                logits = self.model(to_input(pixels))
            loss, plate = self._judge(logits, masks)
            total += loss.item() * len(pixels)
            accumulator.add_batch(plate, masks)
        scores = {"loss": total / len(frames[0])} | pixel_scores(accumulator)
        self._check(scores["loss"], f"the {name} loss", math.inf)
        return {f"{name}_{key}": value for key, value in scores.items()}


def make_loss(recipe: Recipe) -> PlateLoss:
    """The loss that a recipe names."""
    given = {"weight": recipe.weight, "weight_inside": recipe.weight_inside, "reduction": recipe.reduction}
    return LOSSES[recipe.loss](**{key: value for key, value in given.items() if value is not None})


def pixel_scores(accumulator: Accumulator) -> dict[str, float]:
    """A, both forms of A1, and the share of pixels predicted plate, of an accumulator."""
    summary = accumulator.summary()
    told = {key: summary[key] for key in ("accuracy", "on_plate_accuracy", "on_plate_accuracy_pooled")}
    predicted, pixels = (sum(getattr(row, key) for row in accumulator.pictures) for key in ("predicted", "pixels"))
    return told | {"predicted_plate": predicted / max(pixels, 1)}
