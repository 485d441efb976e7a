"""The compact network's training: it learns, its average is what is kept, it survives being killed."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import scene

import lib.compact
import lib.engine
import lib.training
from lib.compact import CompactRecipe, CompactTrainer
from lib.crops import Crop
from lib.gallery import Gallery
from lib.long_training import LongRecipe, LongTrainer
from lib.settings import PlatesError
from lib.training import Run, fit_or_load

OPTIONS = {"stem": [4, 6], "channels": [8, 8, 8], "depth": [1, 1, 1], "neck": 8}
RECIPE = CompactRecipe(options=OPTIONS, epochs=24, batch=4, learning_rate=2e-2, crop=Crop(side=96, light=False))


def gallery(count: int, seed: int) -> Gallery:
    random = np.random.default_rng(seed)
    drawn = [scene(random, 320, 240) for _ in range(count)]
    boxes = (np.array([[[x, y], [x + w, y], [x + w, y + h], [x, y + h]]], np.float32) for _, (x, y, w, h) in drawn)
    none = [np.zeros((0, 4, 2), np.float32)] * count
    return Gallery([rgb for rgb, _ in drawn], list(boxes), none, ["here"] * count)


TRAIN, VALID = gallery(8, 1), gallery(3, 2)
pytestmark = pytest.mark.usefixtures("on_one_thread_of_the_processor")


def train(recipe: CompactRecipe, trainer: type[CompactTrainer] = CompactTrainer) -> Run:
    return fit_or_load("tiny", recipe, TRAIN, VALID, "magenta plates", trainer=trainer)


def test_it_learns_and_is_found_again() -> None:
    run = train(RECIPE)
    first, last = run.history[0], run.history[-1]
    assert last["validation_loss"] < 0.5 * first["validation_loss"]
    assert last["validation_on_plate_accuracy"] > 0.7
    assert len(run.steps["loss"]) == run.card["steps"] == 48
    again = train(RECIPE)
    assert again.loaded and again.card == run.card
    assert not train(replace(RECIPE, epochs=1)).loaded


def test_what_is_kept_is_the_average_and_not_the_last_step() -> None:
    def trained(average: float) -> CompactTrainer:
        trainer = CompactTrainer(replace(RECIPE, average=average), TRAIN, VALID)
        for batch in trainer.batches():
            trainer.take_step(*batch)
        return trainer

    last, mean = trained(0.0), trained(0.999)
    one = [p.detach() for p in mean.network.parameters()]
    assert all(torch.equal(p, q) for p, q in zip(last.model.parameters(), last.network.parameters(), strict=True))
    assert all(torch.equal(p, q) for p, q in zip(last.network.parameters(), one, strict=True))  # the same steps
    assert any(not torch.equal(p, q) for p, q in zip(mean.model.parameters(), one, strict=True))


def test_an_average_by_hand() -> None:
    trainer = CompactTrainer(replace(RECIPE, average=0.999), TRAIN, VALID)
    # after one step the average keeps (1 + 1) / (10 + 1) of itself; counters are not averaged
    for mean, now, count, wanted in (
        (1.0, 12.0, 1, 2 / 11 * 1 + 9 / 11 * 12),
        (3, 4, 1, 4),
        (0.0, 1.0, 10**6, 0.001),
    ):
        got = torch.tensor(mean)
        trainer._average([got], [torch.tensor(now)], torch.tensor(count))
        assert got.item() == pytest.approx(wanted)


@pytest.mark.parametrize(("kind", "trainer"), [(CompactRecipe, CompactTrainer), (LongRecipe, LongTrainer)])
def test_killed_and_resumed_it_ends_with_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[CompactRecipe], trainer: type[CompactTrainer]
) -> None:
    recipe = kind(**{each.name: getattr(RECIPE, each.name) for each in fields(CompactRecipe)} | {"epochs": 3})
    whole = train(recipe, trainer)
    monkeypatch.setattr(lib.training, "RUNS", tmp_path / "other")
    monkeypatch.setattr(lib.training, "CHECKPOINT_SECONDS", 0.0)
    real = CompactTrainer.run_epoch

    def dies(self: CompactTrainer, bar: object) -> bool:
        if self.epoch == 2:
            raise KeyboardInterrupt
        return real(self, bar)

    monkeypatch.setattr(CompactTrainer, "run_epoch", dies)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, trainer)
    monkeypatch.setattr(CompactTrainer, "run_epoch", real)
    resumed = train(recipe, trainer)
    pairs = zip(whole.model.state_dict().values(), resumed.model.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_it_goes_on_from_where_another_ended() -> None:
    first = train(replace(RECIPE, epochs=1))
    trainer = CompactTrainer(replace(RECIPE, epochs=1, seed=5), TRAIN, VALID, start=first.model)
    for model in (trainer.network, trainer.model):
        pairs = zip(model.state_dict().values(), first.model.state_dict().values(), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)


def test_the_rate_rises_then_falls() -> None:
    trainer = CompactTrainer(replace(RECIPE, epochs=20), TRAIN, VALID)  # 40 steps, of which 2 rise
    rates = [trainer.rate(step) for step in range(41)]
    assert rates[0] == pytest.approx(1e-2) and rates[1] == pytest.approx(2e-2) == max(rates)
    assert rates[21] == pytest.approx(1e-2) and rates[40] == pytest.approx(0, abs=1e-9)
    assert rates[2:] == sorted(rates[2:], reverse=True)


def test_unusable_values_are_named() -> None:
    with pytest.raises(PlatesError, match="clip='hard'"):
        replace(RECIPE, clip="hard")
    with pytest.raises(PlatesError, match="side=100"):
        Crop(side=100)
    with pytest.raises(PlatesError, match=r"anywhere=1\.5"):
        Crop(anywhere=1.5)
    with pytest.raises(PlatesError, match=r"closer=0\.5"):
        Crop(closer=0.5)
    with pytest.raises(PlatesError, match="longest=8"):
        Crop(longest=8)
    with pytest.raises(PlatesError, match="presence=-1"):
        replace(RECIPE, presence=-1.0)
    with pytest.raises(PlatesError, match="average=1"):
        replace(RECIPE, average=1.0)
    with pytest.raises(PlatesError, match="learning_rate=nan"):
        replace(RECIPE, learning_rate=float("nan"))
