"""PlateNet's training for a GPU, on a processor: it learns, listens to its teacher, and shows all as often as asked."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_compact import OPTIONS, TRAIN, VALID, gallery
from torch import nn

from lib.crops import Crop
from lib.gallery import Gallery
from lib.long_training import LongRecipe, LongTrainer
from lib.settings import PlatesError
from lib.training import Run, fit_or_load

RECIPE = LongRecipe(
    options=OPTIONS, epochs=6, passes=4, batch=4, learning_rate=2e-2, crop=Crop(side=96, light=False), taught=0.75
)

pytestmark = pytest.mark.usefixtures("on_one_thread_of_the_processor")


def train(recipe: LongRecipe) -> Run:
    return fit_or_load("tiny", recipe, TRAIN, VALID, "magenta plates", trainer=LongTrainer)


def test_it_learns_and_is_found_again() -> None:
    run = train(RECIPE)
    first, last = run.history[0], run.history[-1]
    assert last["validation_loss"] < 0.5 * first["validation_loss"]
    assert last["validation_on_plate_accuracy"] > 0.7
    assert run.card["steps"] == 6 * 4 * 8 // 4 and len(run.history) == 7
    assert train(RECIPE).loaded and not train(replace(RECIPE, passes=1, epochs=1)).loaded


class Says(nn.Module):
    """A teacher that says the same everywhere."""

    def __init__(self, odds: float) -> None:
        super().__init__()
        self.odds = odds

    def coarse(self, pictures: torch.Tensor) -> torch.Tensor:
        return torch.full((len(pictures), 1, pictures.shape[2] // 4, pictures.shape[3] // 4), self.odds)


def test_what_is_right_is_the_labels_and_the_teachers_word() -> None:
    told = next(LongTrainer(RECIPE, TRAIN, VALID, teacher=Says(0.0)).batches())
    alone = next(LongTrainer(RECIPE, TRAIN, VALID).batches())
    assert torch.equal(told[0], alone[0]) and torch.equal(told[2], alone[2])
    assert torch.allclose(told[1], 0.25 * alone[1] + 0.75 * 0.5)  # a sigmoid of 0 is one half


def test_sources_and_pictures_without_plates_are_shown_as_often_as_asked() -> None:
    pictures = gallery(4, 3)
    none = np.zeros((0, 4, 2), np.float32)
    mixed = Gallery(pictures.pixels, [*pictures.outlines[:3], none], pictures.ignored, ["a", "b", "a", "b"])
    recipe = replace(RECIPE, passes=2, often={"b": 3}, free=5, batch=7)
    trainer = LongTrainer(recipe, mixed, VALID)
    assert np.bincount(trainer.order).tolist() == [2, 6, 2, 2 * 3 * 5]
    assert trainer.steps_per_epoch == 40 // 7 and len([*trainer.batches()]) == 5


def test_unusable_values_are_named() -> None:
    for name, value in (("passes", 0), ("free", 0), ("taught", 1.5), ("often", {"a": 0})):
        with pytest.raises(PlatesError, match=f"{name}="):
            replace(RECIPE, **{name: value})
