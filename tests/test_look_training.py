"""PlateNet's third stage: crops of pictures and of regions in one batch, both looked at on validation."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_compact import OPTIONS, TRAIN, VALID

from lib.crops import Crop, crop_batches
from lib.gallery import Gallery
from lib.look_training import LookRecipe, LookTrainer
from lib.looks import LookCrop, looks
from lib.settings import PlatesError
from lib.training import fit_or_load
from lib.transforms import to_input

RECIPE = LookRecipe(
    options=OPTIONS,
    epochs=24,
    batch=6,
    looked=4,
    learning_rate=2e-2,
    crop=Crop(side=96, light=False),
    look=LookCrop(side=96, light=False),
)


def magenta(picture: np.ndarray) -> np.ndarray:
    return np.where((picture[..., 0] > 150) & (picture[..., 1] < 100), 0.1, 1.0).astype(np.float32)


LOOKS = [looks(each, magenta) for each in (TRAIN, VALID)]
pytestmark = pytest.mark.usefixtures("on_one_thread_of_the_processor")


def trainer(recipe: LookRecipe, train: Gallery, validation: Gallery, test: Gallery | None = None) -> LookTrainer:
    return LookTrainer(recipe, train, validation, test, train_looks=LOOKS[0], validation_looks=LOOKS[1])


def test_regions_of_the_tiny_pictures_are_their_plates() -> None:
    assert [len(each) for each in LOOKS] == [len(TRAIN), len(VALID)]


def test_it_learns_from_both() -> None:
    run = fit_or_load("tiny", RECIPE, TRAIN, VALID, "magenta plates", trainer=trainer)
    first, last = run.history[0], run.history[-1]
    assert last["validation_loss"] < 0.6 * first["validation_loss"]
    assert run.card["steps"] == 24 * 2  # of 8 regions 4 a step; of 8 pictures 2 a step would make 4


def test_half_of_a_batch_is_of_pictures_the_rest_of_regions() -> None:
    pictures, share, weight = next(trainer(RECIPE, TRAIN, VALID).batches())
    crops = next(crop_batches(TRAIN, RECIPE.crop, 2, 0, 0, RECIPE.small))
    regions = next(crop_batches(LOOKS[0], RECIPE.look, 4, 0, 0, RECIPE.small))
    for got, *parts in zip((pictures, share, weight), crops, regions, strict=True):
        wanted = torch.cat(parts)
        assert torch.equal(got, to_input(wanted) if got is pictures else wanted)


def test_what_is_rare_is_drawn_of_pictures_and_of_regions() -> None:
    night = next(trainer(replace(RECIPE, night=1.0), TRAIN, VALID).batches())
    day = next(trainer(RECIPE, TRAIN, VALID).batches())
    assert (night[0].flatten(1).mean(1) < day[0].flatten(1).mean(1)).all()
    assert torch.equal(night[1], day[1]) and torch.equal(night[2], day[2])


def test_a_network_that_finds_nothing_learns_from_pictures_alone() -> None:
    none = TRAIN.select([])
    one = LookTrainer(RECIPE, TRAIN, VALID, train_looks=none, validation_looks=none)
    assert [len(batch[0]) for batch in one.batches()] == [6] and one.steps_per_epoch == 1


def test_validation_looks_at_regions_too() -> None:
    one = trainer(RECIPE, TRAIN, VALID)
    assert [part[0].shape[2] for part in one._whole(VALID)] == [480, 480, 480] * 2  # 640x480 pictures, squares of 480
    assert len([*one._whole(TRAIN)]) == len(TRAIN)


def test_unusable_values_are_named() -> None:
    for looked in (0, 6):
        with pytest.raises(PlatesError, match=f"looked={looked}"):
            replace(RECIPE, looked=looked)
    with pytest.raises(PlatesError, match="bare=-1"):
        replace(RECIPE, bare=-1)
    with pytest.raises(PlatesError, match="night=2"):
        replace(RECIPE, night=2)
