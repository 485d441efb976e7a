"""Training for real, but tiny: it learns, it is found again, it survives being killed, it shares its work."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny import RECIPE, pictures
from torch import nn
from tqdm import tqdm

import lib.checkpoints
import lib.engine
import lib.files
import lib.trainer
import lib.training
from lib import processes
from lib.checkpoints import find_weights, read_card
from lib.losses import PlateLoss
from lib.recipes import Recipe
from lib.settings import ROOT, PlatesError
from lib.trainer import Trainer, make_loss
from lib.training import Run, fit_or_load, set_operating_point
from lib.transforms import full_frame, to_input

TRAIN, VALID = pictures(8, seed=1), pictures(4, seed=2)
BRIEF = replace(RECIPE, epochs=2)


@pytest.fixture(autouse=True)
def on_one_thread_of_the_processor(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for module in (lib.engine, lib.trainer, lib.training):
        monkeypatch.setattr(module, "device", lambda: torch.device("cpu"))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # steps this small only wait for each other's threads
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where runs go, and a shelf of shipped weights that is empty."""
    for module in (lib.checkpoints, lib.training):
        monkeypatch.setattr(module, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(lib.checkpoints, "WEIGHTS", tmp_path / "none")
    return tmp_path / "runs"


def train(name: str = "tiny", recipe: Recipe = BRIEF) -> Run:
    return fit_or_load(name, recipe, TRAIN, VALID, "magenta plates")


def trainer(**changes: object) -> Trainer:
    return Trainer(replace(BRIEF, **changes), TRAIN, VALID)


def weights(folder: Path) -> dict[str, dict[str, torch.Tensor]]:
    return {name: load_file(folder / f"{name}.safetensors") for name in ("best", "last")}


def same(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(
        torch.equal(tensor, other[file][key]) for file, tensors in one.items() for key, tensor in tensors.items()
    )


def told(folder: Path) -> list[dict]:
    """The history but for the seconds."""
    rows = read_card(folder / "last.safetensors")["history"]
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


# --- a whole run -------------------------------------------------------------------------------------------------


def test_a_run_learns_tells_and_is_found_again(runs: Path) -> None:
    recipe = replace(RECIPE, options={"grid": 10, "channels": (8, 16, 64)}, epochs=10, learning_rate=3e-3, weight=5.0)
    split = pictures(16, seed=1)
    run = fit_or_load("tiny", recipe, split, VALID, "magenta plates")
    first, last = run.history[0], run.history[-1]
    assert [row["epoch"] for row in run.history] == list(range(11))
    assert [row["step"] for row in run.history] == [4 * epoch for epoch in range(11)]
    losses = [row["loss"] for row in run.history[1:]]  # of random crops: the lowest, not the last, tells
    assert last["validation_loss"] < 0.6 * first["validation_loss"] and min(losses) < 0.7 * losses[0]
    assert last["validation_on_plate_accuracy"] > 0.9
    for row in run.history[1:]:
        assert {
            "learning_rate", "loss", "gradient_norm", "gradient_norm_max", "accuracy", "on_plate_accuracy",
            "on_plate_accuracy_pooled", "validation_loss", "validation_accuracy", "validation_on_plate_accuracy",
            "validation_on_plate_accuracy_pooled", "seconds",
        } <= row.keys()  # fmt: skip
        assert row["gradient_norm_max"] >= row["gradient_norm"] > 0 and 0 <= row["accuracy"] <= 1
    assert run.history == sorted(run.history, key=lambda row: row["seconds"])

    folder = run.folder
    assert folder.parent == runs and folder.name.startswith("tiny-")
    assert {path.name for path in folder.iterdir()} == {
        "best.json", "best.safetensors", "last.json", "last.safetensors",
    }  # fmt: skip
    card = json.loads((folder / "last.json").read_text())
    assert card == read_card(folder / "last.safetensors") and card["finished"] and card["steps"] == 40
    assert card["recipe"]["seed"] == 0 and card["recipe"]["weight"] == 5.0 and card["data"] == "magenta plates"
    assert card["pictures"] == 16 and card["parameters"] == sum(p.numel() for p in run.model.parameters())

    best = min(run.history[1:], key=lambda row: row["validation_loss"])
    assert run.card["best_epoch"] == best["epoch"]
    assert not run.model.training
    pixels, masks = full_frame(VALID)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=card["precision"] == "bfloat16"):
        loss = make_loss(recipe)(run.model(to_input(pixels)), masks)
    assert loss.item() == pytest.approx(best["validation_loss"], rel=1e-4)  # the weights that it returns

    assert not run.loaded and run.say().startswith("trained tiny: 0.0 M parameters, 40 steps in ")
    again = fit_or_load("tiny", recipe, split, VALID, "magenta plates")
    assert again.loaded and again.say().startswith("loaded tiny: ") and again.card == run.card
    for one, other in zip(again.model.state_dict().values(), run.model.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_the_same_recipe_ends_with_the_same_weights() -> None:
    one, other = train("one"), train("other")
    assert (
        not other.loaded and same(weights(one.folder), weights(other.folder)) and told(one.folder) == told(other.folder)
    )
    assert not same(weights(one.folder), weights(train("one", replace(BRIEF, seed=1)).folder))


def test_of_two_that_train_the_same_at_once_one_waits_and_loads(runs: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(train, ["tiny", "tiny"])
    assert {first.loaded, second.loaded} == {True, False} and first.folder == second.folder
    assert first.card == second.card


def test_another_recipe_or_other_pictures_under_the_same_name_are_another_run() -> None:
    first = train()
    folders = {first.folder}
    for run in (
        train(recipe=replace(BRIEF, weight=3.0)),
        fit_or_load("tiny", BRIEF, TRAIN, VALID, "other plates"),
        fit_or_load("tiny", BRIEF, pictures(8, seed=5), VALID, "magenta plates"),
        fit_or_load("tiny", BRIEF, TRAIN, VALID.sample(2, seed=0), "magenta plates"),
    ):
        assert not run.loaded
        folders.add(run.folder)
    assert len(folders) == 5
    assert train().loaded


def test_drawn_pictures_are_the_same_run_whoever_draws_them() -> None:
    recipe = replace(BRIEF, pictures=4, seed=3)
    run = train(recipe=recipe)
    assert run.card["pictures"] == 4 and run.card["steps"] == 2
    assert fit_or_load("tiny", recipe, TRAIN.sample(4, 3), VALID, "magenta plates").loaded


def test_pictures_without_any_plate_can_be_trained_on() -> None:
    bare = replace(TRAIN, boxes=torch.zeros_like(TRAIN.boxes))
    run = fit_or_load("bare", replace(BRIEF, epochs=1), bare, replace(VALID, boxes=bare.boxes[:4]), "no plates")
    assert run.history[-1]["on_plate_accuracy"] is None and run.history[-1]["validation_on_plate_accuracy"] is None
    assert run.history[-1]["validation_accuracy"] >= 0


def test_an_operating_point_is_kept_and_lets_the_weights_be_found() -> None:
    run, point = train(), {"threshold": 0.4, "growth": 0.2, "coverage": 1.0}
    with pytest.raises(PlatesError, match="no trained weights"):
        find_weights()
    before = weights(run.folder)
    set_operating_point(run, point)
    assert find_weights() == run.folder / "best.safetensors"
    assert read_card(find_weights())["operating_point"] == point and same(weights(run.folder), before)
    assert json.loads((run.folder / "best.json").read_text())["operating_point"] == point
    again = train()
    assert again.loaded and again.card["operating_point"] == point


# --- steps -------------------------------------------------------------------------------------------------------


def test_the_learning_rate_is_half_a_cosine() -> None:
    one = trainer(epochs=4, learning_rate=0.8)  # 8 steps
    assert [one.rate(step) for step in (0, 2, 4, 6, 8)] == pytest.approx(
        [0.8, 0.8 * (1 + math.sqrt(0.5)) / 2, 0.4, 0.8 * (1 - math.sqrt(0.5)) / 2, 0.0]
    )
    pixels, masks = next(one.batches())
    one.step = 4
    one.take_step(pixels, masks)
    assert one.optimiser.param_groups[0]["lr"] == pytest.approx(0.4) and one.step == 5


def test_a_constant_rate_stays() -> None:
    one = trainer(schedule="constant", learning_rate=0.3)
    assert {one.rate(step) for step in range(9)} == {0.3}
    with pytest.raises(PlatesError, match=r"'linear'.*'cosine'"):
        Recipe(schedule="linear")


def test_every_step_is_logged_and_test_scores_choose_nothing(runs: Path) -> None:
    bare = train("bare", replace(BRIEF, epochs=4))
    seen = fit_or_load("seen", replace(BRIEF, epochs=4), TRAIN, VALID, "magenta plates", test=pictures(3, seed=5))
    assert len(seen.steps["loss"]) == len(seen.steps["gradient_norm"]) == seen.card["steps"] == 8
    assert seen.steps == bare.steps and seen.card["best_epoch"] == bare.card["best_epoch"]
    first, second = seen.steps["loss"][:2]
    assert seen.history[1]["loss"] == pytest.approx((first + second) / 2, rel=1e-3)
    assert seen.history[1]["gradient_norm_max"] == pytest.approx(max(seen.steps["gradient_norm"][:2]), rel=1e-3)
    assert [row["epoch"] for row in seen.history if "test_loss" in row] == [2, 4]
    assert not any("test_loss" in row for row in bare.history)
    assert 0 <= seen.history[2]["test_predicted_plate"] <= 1


def test_epochs_that_are_kept_can_be_looked_at_again(runs: Path) -> None:
    kept = fit_or_load("kept", BRIEF, TRAIN, VALID, "magenta plates", keep=(1, 2))
    whole = to_input(full_frame(VALID)[0])
    with torch.no_grad():
        early, late, best = (model(whole) for model in (kept.at(1), kept.at(2), kept.model))
    assert not torch.equal(early, late)
    assert torch.equal(best, {1: early, 2: late}[kept.card["best_epoch"]])
    assert fit_or_load("kept", BRIEF, TRAIN, VALID, "magenta plates", keep=(1,)).loaded
    train("late")
    again = fit_or_load("late", BRIEF, TRAIN, VALID, "magenta plates", keep=(1,))
    assert not again.loaded and torch.equal(again.at(1)(whole), early)


def test_the_optimiser_is_the_papers() -> None:
    one = trainer(learning_rate=1e-3, weight_decay=1e-4)
    assert isinstance(one.optimiser, torch.optim.AdamW)
    assert one.optimiser.defaults["weight_decay"] == 1e-4 and one.optimiser.defaults["betas"] == (0.9, 0.999)


def gradients(**changes: object) -> tuple[list[torch.Tensor], float]:
    """What the optimiser is given in the first step, and the norm that was told."""
    one = trainer(**changes)
    one.take_step(*next(one.batches()))
    norm = one.steps["gradient_norm"][-1]
    return [p.grad.clone() for p in one.model.parameters()], norm


def test_clipping_by_value_by_norm_and_not_at_all() -> None:
    free, norm = gradients(clip="")
    by_hand = math.sqrt(sum(float(g.double().square().sum()) for g in free))
    assert norm == pytest.approx(by_hand, rel=1e-4) and norm > 10
    values, told = gradients(clip="value", clip_at=0.1)
    assert told == norm
    assert all(torch.equal(got, raw.clamp(-0.1, 0.1)) for got, raw in zip(values, free, strict=True))
    scaled, _ = gradients(clip="norm", clip_at=0.1)
    assert all(torch.allclose(got, raw * 0.1 / norm, rtol=1e-3) for got, raw in zip(scaled, free, strict=True))
    small, _ = gradients(clip="norm", clip_at=1e9)
    assert all(torch.equal(got, raw) for got, raw in zip(small, free, strict=True))


def test_the_loss_is_the_recipes() -> None:
    assert make_loss(Recipe()).factor == 5 and make_loss(Recipe()).reduction == "sum"
    told = make_loss(Recipe(loss="log3", weight=2.0, weight_inside=True, reduction="mean"))
    assert (told.power, told.factor, told.reduction) == (3, 8.0, "mean")
    assert make_loss(Recipe(loss="cross_entropy")).reduction == "pixels"
    with pytest.raises(PlatesError, match=r"'focal'.*cross_entropy, log2, log3"):
        make_loss(Recipe(loss="focal"))


def test_validation_is_the_whole_split_by_hand() -> None:
    one = trainer()
    one.precision = torch.float32
    many = Trainer(BRIEF, TRAIN, pictures(37, seed=3))  # more than one batch, the last one short
    many.precision, many.model = torch.float32, one.model
    pixels, masks = full_frame(pictures(37, seed=3))
    with torch.no_grad():
        logits = one.model.eval()(to_input(pixels))
    plate = logits[:, 1] >= logits[:, 0]
    got = many.measure("validation", many.validation)
    assert got["validation_accuracy"] == pytest.approx((plate == masks).float().mean().item())
    assert got["validation_on_plate_accuracy_pooled"] == pytest.approx(plate[masks].float().mean().item(), abs=1e-6)
    assert got["validation_loss"] == pytest.approx(PlateLoss()(logits, masks).item(), rel=1e-5)


def test_a_batch_larger_than_the_pictures_is_all_of_them() -> None:
    one = trainer(batch=512)
    assert (one.batch, one.steps_per_epoch) == (8, 1)
    assert [len(pixels) for pixels, _ in one.batches()] == [8]


# --- trouble -----------------------------------------------------------------------------------------------------


def spoil(monkeypatch: pytest.MonkeyPatch, at: int, value: float) -> None:
    """The criterion answers ``value`` times its loss from call ``at`` on."""
    calls, real = count(), PlateLoss.forward

    def forward(self: PlateLoss, logits: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        loss = real(self, logits, mask)
        return loss * value if next(calls) >= at else loss

    monkeypatch.setattr(PlateLoss, "forward", forward)


@pytest.mark.parametrize(
    ("at", "value", "words"),
    [
        (2, math.nan, "the loss is nan at step 1"),  # call 0 validates, 1 and 2 are steps, 3 validates
        (2, math.inf, "the loss is inf at step 1"),
        (2, 1e4, "the loss is .* at step 1"),
        (3, math.nan, "the validation loss is nan at step 2"),
    ],
)
def test_a_loss_that_runs_away_stops_with_a_remedy(
    at: int, value: float, words: str, monkeypatch: pytest.MonkeyPatch, runs: Path
) -> None:
    spoil(monkeypatch, at, value)
    with pytest.raises(PlatesError, match=words) as caught:
        train()
    assert "lower learning_rate (now 0.01)" in str(caught.value) and "clip='value' at 0.1" in str(caught.value)
    assert not list(runs.glob("*/last.safetensors"))


def test_a_learning_rate_far_too_high_is_noticed_for_real() -> None:
    with pytest.raises(PlatesError, match="lower learning_rate"):
        train(recipe=replace(RECIPE, learning_rate=1e4, epochs=10, clip=""))


def test_a_gradient_that_is_no_number_is_noticed_before_the_weights_take_it() -> None:
    one = trainer()
    before = [p.detach().clone() for p in one.model.parameters()]
    next(one.model.parameters()).register_hook(lambda grad: grad * math.nan)
    with pytest.raises(PlatesError, match="gradient's norm is nan"):
        one.take_step(*next(one.batches()))
    assert all(torch.equal(a, b) for a, b in zip(before, one.model.parameters(), strict=True))


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda _: b"", lambda _: b"a text"])
def test_a_damaged_resume_file_is_named(damage: Callable[[bytes], bytes], runs: Path) -> None:
    folder = interrupted(at_epoch=1)
    (folder / "resume.pt").write_bytes(damage((folder / "resume.pt").read_bytes()))
    with pytest.raises(PlatesError, match="delete it to train anew") as caught:
        train(recipe=RECIPE)
    assert str(folder / "resume.pt") in str(caught.value) and "\n" not in str(caught.value)
    (folder / "resume.pt").unlink()
    assert not train(recipe=RECIPE).loaded  # the remedy works


def test_a_resume_file_of_something_else_is_named(runs: Path) -> None:
    folder = interrupted(at_epoch=1)
    torch.save({"model": {}}, folder / "resume.pt")
    with pytest.raises(PlatesError, match=r"resume\.pt: cannot be resumed"):
        train(recipe=RECIPE)


# --- killed and resumed ------------------------------------------------------------------------------------------


class Killed(BaseException):
    """Nobody catches it, as nobody catches SIGKILL."""


def interrupted(at_epoch: int, recipe: Recipe = RECIPE) -> Path:
    """A run that was killed in the second step after ``at_epoch``, with a checkpoint after each epoch; its folder."""
    steps, real = count(1), Trainer.take_step

    def take_step(self: Trainer, *batch: torch.Tensor) -> object:
        if next(steps) == 2 * at_epoch + 2:
            raise Killed
        return real(self, *batch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lib.training, "CHECKPOINT_SECONDS", -1.0)
        patch.setattr(Trainer, "take_step", take_step)
        with pytest.raises(Killed):
            train(recipe=recipe)
    return next(lib.training.RUNS.glob("*"), lib.training.RUNS)  # there is none before the first checkpoint


def epochs_run(patch: pytest.MonkeyPatch) -> list[int]:
    """The epochs that are run from now on."""
    seen, real = [], Trainer.run_epoch

    def run_epoch(self: Trainer, bar: object) -> bool:
        seen.append(self.epoch + 1)
        return real(self, bar)

    patch.setattr(Trainer, "run_epoch", run_epoch)
    return seen


@pytest.mark.parametrize("at_epoch", [0, 1, 2])
def test_stopped_in_the_middle_of_an_epoch_it_ends_with_the_very_weights(
    at_epoch: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    recipe = replace(RECIPE, augment=("photometric", "flip", "blur"))
    folder = interrupted(at_epoch, recipe)
    assert (folder / "resume.pt").exists() == (at_epoch > 0)
    seen = epochs_run(monkeypatch)
    resumed = train(recipe=recipe)
    folder = resumed.folder
    assert seen == list(range(at_epoch + 1, 4)) and not resumed.loaded and len(list(folder.parent.iterdir())) == 1
    monkeypatch.setattr(lib.training, "RUNS", tmp_path / "whole")
    whole = train(recipe=recipe)
    assert same(weights(folder), weights(whole.folder)) and told(folder) == told(whole.folder)
    assert not (folder / "resume.pt").exists()


def test_killed_before_or_after_any_write_it_ends_with_the_very_weights(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    whole = train()
    writes, real = count(), os.replace
    monkeypatch.setattr(lib.training, "CHECKPOINT_SECONDS", -1.0)
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", lambda *names: (next(writes), real(*names)))
        patch.setattr(lib.training, "RUNS", tmp_path / "counted")
        train()
    total = next(writes)
    assert total >= 6
    for number in range(total):
        for after in (False, True):
            place = tmp_path / f"{number}{after}"
            calls = count()

            def killing(*names: object, calls: count = calls, number: int = number, after: bool = after) -> None:
                fatal = next(calls) == number
                if after or not fatal:
                    real(*names)
                if fatal:
                    raise Killed

            monkeypatch.setattr(lib.training, "RUNS", place)
            with monkeypatch.context() as patch:
                patch.setattr(os, "replace", killing)
                with pytest.raises(Killed):
                    train()
            resumed = train()
            assert same(weights(resumed.folder), weights(whole.folder)), (number, after)
            assert {path.name for path in resumed.folder.iterdir()} == {
                "best.json", "best.safetensors", "last.json", "last.safetensors",
            }, (number, after)  # fmt: skip
            assert train().loaded


def test_a_checkpoint_keeps_everything_that_the_next_epoch_depends_on(tmp_path: Path) -> None:
    one, other = trainer(), trainer(seed=1)
    for _ in range(2):
        one.run_epoch(tqdm(disable=True))
    one.save(tmp_path / "resume.pt")
    other.restore(tmp_path / "resume.pt")
    assert one.first_loss > 0 and one.best_epoch in (1, 2)
    for key in ("history", "epoch", "step", "seconds", "best_loss", "best_epoch", "first_loss"):
        assert getattr(other, key) == getattr(one, key)
    for a, b in zip(one.model.state_dict().values(), other.model.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    for a, b in zip(one.optimiser.state.values(), other.optimiser.state.values(), strict=True):
        assert a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def test_half_a_run_is_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    run = train()
    before = weights(run.folder)
    for name in ("last", "best"):
        (run.folder / f"{name}.safetensors").unlink()
        again = train()
        assert not again.loaded and same(weights(run.folder), before)


KILLED = """
import sys, time
from pathlib import Path
sys.path[:0] = sys.argv[2:4]
import torch
import lib.settings
lib.settings.RUNS = Path(sys.argv[1])
lib.settings.device = lambda: torch.device("cpu")
torch.set_num_threads(int(sys.argv[4]))
from tiny import RECIPE, pictures
import lib.training
from lib.trainer import Trainer
lib.training.CHECKPOINT_SECONDS = -1.0
real = Trainer.run_epoch
def run_epoch(self, bar):
    time.sleep(0.3)  # time to be killed in
    return real(self, bar)
Trainer.run_epoch = run_epoch
from dataclasses import replace
lib.training.fit_or_load(
    "tiny", replace(RECIPE, epochs=15), pictures(8, seed=1), pictures(4, seed=2), "magenta plates"
)
"""


def test_killed_by_the_system_it_ends_with_the_very_weights(
    runs: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    recipe = replace(RECIPE, epochs=15)
    threads = str(torch.get_num_threads())
    command = [sys.executable, "-c", KILLED, str(runs), str(ROOT), str(ROOT / "tests"), threads]
    child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 120
        while not list(runs.glob("*/resume.pt")):
            assert child.poll() is None, child.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        child.send_signal(signal.SIGKILL)
        child.communicate()
    assert child.returncode == -signal.SIGKILL
    (folder,) = runs.iterdir()
    (folder / ".best.1.part.safetensors").write_bytes(b"half")  # as a kill in the middle of a write leaves it
    seen = epochs_run(monkeypatch)
    resumed = train(recipe=recipe)
    assert 1 <= len(seen) < 15 and seen[-1] == 15 and resumed.folder == folder
    monkeypatch.setattr(lib.training, "RUNS", tmp_path / "whole")
    whole = train(recipe=recipe)
    assert same(weights(folder), weights(whole.folder)) and told(folder) == told(whole.folder)
    assert len(list(folder.iterdir())) == 4


# --- several processes -------------------------------------------------------------------------------------------

SHARED = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[2:4]
import torch
import lib.settings
lib.settings.RUNS = Path(sys.argv[1])
lib.settings.device = lambda: torch.device("cpu")
torch.cuda.is_available = lambda: False
from tiny import RECIPE, pictures
from dataclasses import replace
from lib import processes, training, trainer
trainer.fast_precision = lambda where: torch.float32
written = training.save_checkpoint
def save_checkpoint(path, model, card):
    with open(Path(sys.argv[1]) / "written", "a") as log:
        print(processes.rank(), path.name, card["processes"], file=log)
    written(path, model, card)
training.save_checkpoint = save_checkpoint
Path(sys.argv[1]).mkdir(exist_ok=True)
processes.join()
try:
    assert processes.world() == 2 and processes.gather(processes.rank()) == [0, 1]
    assert processes.mean(torch.tensor(float(processes.rank()))).item() == 0.5
    run = training.fit_or_load("tiny", RECIPE, pictures(8, seed=1), pictures(4, seed=2), "magenta plates")
    assert not run.loaded and run.card["processes"] == 2
    again = training.fit_or_load("tiny", RECIPE, pictures(8, seed=1), pictures(4, seed=2), "magenta plates")
    assert again.loaded
    odd = replace(RECIPE, batch=3)
    try:
        training.fit_or_load("odd", odd, pictures(8, seed=1), pictures(4, seed=2), "magenta plates")
    except lib.settings.PlatesError as error:
        print(f"refused: {error}")
finally:
    processes.leave()
"""


def test_two_processes_end_close_to_one_and_write_once(
    runs: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = tmp_path / "shared.py"
    script.write_text(SHARED)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)]
    done = subprocess.run(
        [*launch, str(runs), str(ROOT), str(ROOT / "tests")],
        capture_output=True, text=True, timeout=300, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("refused: batch=3 is no multiple of the 2 processes; choose one that is.") == 2
    lines = (runs / "written").read_text().splitlines()
    assert lines and all(line.split()[0] == "0" for line in lines)
    assert [line for line in lines if "last" in line] == ["0 last.safetensors 2"]
    (folder,) = runs.glob("tiny-*")

    monkeypatch.setattr(lib.trainer, "fast_precision", lambda where: torch.float32)
    monkeypatch.setattr(lib.training, "RUNS", tmp_path / "alone")
    alone = train(recipe=RECIPE)
    assert alone.card["processes"] == 1
    for name, tensor in weights(alone.folder)["last"].items():
        # Sums in another order: single precision apart, in six steps of at most .01 each.
        assert torch.allclose(tensor, weights(folder)["last"][name], atol=2e-4), name
    for one, two in zip(told(alone.folder), told(folder), strict=True):
        assert one.keys() == two.keys()
        assert all(one[key] == pytest.approx(two[key], rel=1e-3, abs=1e-3) for key in one)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads Linux's count of resident pages")
def test_memory_is_kept_while_training_and_given_back_after() -> None:
    script = """
from pathlib import Path
import torch
from lib.processes import keep_memory
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6
told = [resident()]
for keep in (True, False):
    keep_memory(keep)
    block = torch.ones(75_000_000)  # 300 MB
    del block
    told.append(resident())
print(*told)
"""
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True)
    before, kept, given_back = (float(word) for word in done.stdout.split())
    assert kept - before > 250 and given_back - before < 100


def test_one_process_needs_no_group() -> None:
    processes.join()  # torchrun has announced nothing
    assert (processes.rank(), processes.world()) == (0, 1)
    model = nn.Linear(1, 1)
    assert processes.parallel(model) is model
    value = torch.tensor(3.0, requires_grad=True)
    assert processes.mean(value).item() == 3 and not processes.mean(value).requires_grad
    assert processes.gather({"a": 1}) == [{"a": 1}]
    processes.wait()
    processes.leave()
