"""Training the compact network on data and scenes, its operating point, and weights that are found again."""

from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import DatasetDict
from safetensors.torch import load_file
from tiny import coco_split, scene

import lib.checkpoints
import lib.compact
import lib.engine
import lib.training
from lib import shipping
from lib.answers import quantise
from lib.checkpoints import find_weights, read_card
from lib.conceal import Concealer
from lib.crops import Crop
from lib.data import load_plates
from lib.engine import Segmenter
from lib.long_training import LongRecipe
from lib.settings import PlatesError
from lib.shipping import choose_again, choose_point, compact_recipe, ship, shipped, third, train_compact, train_stages

OPTIONS = {"stem": [4, 6], "channels": [8, 8, 8], "depth": [1, 1, 1], "neck": 8}


@pytest.fixture(autouse=True)
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (lib.engine, lib.compact, lib.training):
        monkeypatch.setattr(module, "device", lambda: torch.device("cpu"))
    for module in (lib.checkpoints, lib.training):
        monkeypatch.setattr(module, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(lib.checkpoints, "WEIGHTS", tmp_path / "weights")


@pytest.fixture
def plates(tmp_path: Path) -> DatasetDict:
    for split, count in (("train", 8), ("valid", 4), ("test", 1)):
        coco_split(tmp_path / "plates" / split, count, seed=count, size=(320, 240))
    return load_plates(tmp_path / "plates")


def recipe(**changes: object) -> lib.compact.CompactRecipe:
    told = {"options": OPTIONS, "epochs": 30, "batch": 4, "learning_rate": 2e-2, "pictures": None}
    return compact_recipe("fast", **{**told, "crop": Crop(side=96, light=False, bend=0.0, turn=0.0), **changes})


def test_trained_shipped_found_and_used(plates: DatasetDict, tmp_path: Path) -> None:
    run = train_compact("tiny", recipe(), plates)
    point = choose_point(run, plates)
    assert point["feasible"] and point["coverage"] == 1.0 and point["images"] == 4
    path = ship(run, point, plates, tmp_path / "weights" / "platenet.safetensors")
    card = read_card(path)
    assert card["operating_point"] == point and "log" not in card and card["data"] == run.card["data"]
    assert card["epoch"] == run.card["best_epoch"]  # whose weights they are
    assert find_weights() == path
    stored = load_file(path).values()
    assert {each.dtype for each in stored if each.is_floating_point()} == {torch.float16}
    # whole numbers change the answer by little
    rgb, (x, y, w, h) = scene(np.random.default_rng(9), 320, 240)
    shipped = Segmenter.load()
    assert shipped.answer.notes == {"weights_sha256": sha256(path.read_bytes()).hexdigest()}
    assert abs(shipped(rgb) - Segmenter(run.model, "whole")(rgb)).mean() < 0.02
    mask = Concealer.load().mask_from(shipped(rgb))
    assert mask[y : y + h, x : x + w].mean() > 0.95


def test_what_is_shipped_tells_of_all_its_stages(plates: DatasetDict, tmp_path: Path) -> None:
    path, point = tmp_path / "weights" / "platenet.safetensors", {"threshold": 0.5, "growth": 0.1}
    *before, run = train_stages("tiny", recipe(epochs=1), plates)
    ship(run, point, plates, path, before=[each.card for each in before])
    found = shipped(path)
    assert found.loaded and found.history == run.history and choose_point(found, plates) == point
    assert [each["name"] for each in found.card["before"]] == ["tiny-first", "tiny-second"]
    for told, made in zip(found.card["before"], before, strict=True):
        assert told["history"] == made.history and "log" not in told
    for one, other in zip(found.model.parameters(), run.model.parameters(), strict=True):
        assert torch.equal(one, other.half().float())


def test_the_point_chosen_anew_leaves_the_weights_as_they_were(plates: DatasetDict, tmp_path: Path) -> None:
    path = tmp_path / "weights" / "platenet.safetensors"
    run = train_compact("tiny", recipe(epochs=1), plates)
    ship(run, {"threshold": 0.5, "growth": 0.1}, plates, path, before=[{"name": "tiny-first"}])
    weights, card = load_file(path), read_card(path)
    assert not Segmenter.load().again  # a point of one look
    point = choose_again(plates, path)
    segmenter = Segmenter.load()
    assert segmenter.again and segmenter.threshold == point["threshold"] and segmenter.sure == point["sure"]
    again = load_file(path)
    assert all(torch.equal(weights[name], again[name]) for name in weights) and len(weights) == len(again)
    assert read_card(path) == card | {"operating_point": point}


def test_weights_that_are_not_the_shipped_ones_are_refused(plates: DatasetDict, tmp_path: Path) -> None:
    path = tmp_path / "weights" / "platenet.safetensors"
    run = train_compact("tiny", recipe(epochs=1), plates)
    ship(run, {"threshold": 0.5, "growth": 0.1}, plates, path)
    assert Segmenter.load().weights_sha256 == sha256(path.read_bytes()).hexdigest()[:12]
    altered = bytearray(path.read_bytes())
    altered[-1] ^= 1  # one bit of one weight
    path.write_bytes(altered)
    with pytest.raises(PlatesError, match=r"platenet\.safetensors: is not the file that was shipped.*--ship"):
        Segmenter.load()
    path.write_bytes(bytes(altered[: len(altered) // 2]))
    with pytest.raises(PlatesError, match=r"platenet\.safetensors: is not a whole checkpoint of ours"):
        Segmenter.load()
    ship(run, {"threshold": 0.5, "growth": 0.1}, plates, path)
    (path.parent / "SHA256SUMS").write_bytes(b"\xff one two three")
    with pytest.raises(PlatesError, match=r"platenet\.safetensors: is not the file that was shipped"):
        Segmenter.load()
    ship(run, {"threshold": 0.5, "growth": 0.1}, plates, path)
    path.with_suffix(".onnx").write_bytes(b"another network")
    with pytest.raises(PlatesError, match=r"platenet\.onnx: is not the file that was shipped"):
        Segmenter.load()
    path.with_suffix(".onnx").unlink()  # float32 answers
    assert not Segmenter.load().answer.notes
    ship(run, {"threshold": 0.5, "growth": 0.1}, plates, path)
    path.rename(path.with_name("other.safetensors"))
    with pytest.raises(PlatesError, match=r"other\.safetensors: is not the file that was shipped"):
        Segmenter.load()


def test_an_int8_form_of_other_weights_is_refused(plates: DatasetDict, tmp_path: Path) -> None:
    path, run = tmp_path / "weights" / "platenet.safetensors", train_compact("tiny", recipe(epochs=1), plates)
    ship(run, {"threshold": 0.5, "growth": 0.1}, plates, path)
    quantise(run.model, [np.zeros((64, 64, 3), np.uint8)], path.with_suffix(".onnx"), "0" * 64)
    listed = (f"{sha256(each.read_bytes()).hexdigest()}  {each.name}\n" for each in path.parent.glob("platenet.[so]*"))
    (path.parent / "SHA256SUMS").write_text("".join(listed))
    with pytest.raises(PlatesError, match=r"platenet\.onnx: was made of other weights than platenet\.safetensors"):
        Segmenter.load()


def test_three_stages(plates: DatasetDict, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second goes on with the first's network, closer and with more scenes; the third with second looks."""
    asked = []
    monkeypatch.setattr(
        shipping, "load_plates", lambda name, sizes: asked.append(sizes["train"]) or {"train": plates["test"]}
    )
    plan = recipe(epochs=1)
    first, middle, run = train_stages("tiny", plan, plates, scenes=2)
    assert asked == [2, 3, 3] and "begun from" not in first.card["data"]
    assert f"begun from {first.folder.name}" in middle.card["data"]
    assert f"begun from {middle.folder.name}" in run.card["data"]
    for each in (middle, run):
        told = each.card["recipe"]
        assert told["presence"] > 0 == plan.presence and told["crop"]["longest"] > plan.crop.longest
        assert each.model.longest == told["crop"]["longest"] == Segmenter(each.model, "tiny").longest
    assert run.card["recipe"]["looked"] == 2 and run.card["recipe"]["look"]["side"] == plan.crop.side
    assert run.card["recipe"]["bare"] == 1  # half as many scenes without a plate
    assert all("plates found too" in each.card["data"] for each in (first, middle, run))
    monkeypatch.setattr(shipping, "looks", lambda *_: pytest.fail("looked at again"))
    assert all(each.loaded for each in train_stages("tiny", plan, plates, scenes=2))


def test_a_teacher_has_its_say_in_the_second_stage(plates: DatasetDict) -> None:
    plan = LongRecipe(options=OPTIONS, epochs=1, passes=1, batch=4, crop=Crop(side=96, light=False))
    teacher = train_compact("large", plan, plates)
    first, run = train_stages("tiny", plan, plates, teacher=lambda: teacher, count=2)
    assert "taught by" not in first.card["data"] and f"taught by {teacher.folder.name}" in run.card["data"]
    assert run.card["steps"] == 3 * 8 // 4 and run.card["recipe"]["taught"] == 0.5


def test_weights_that_were_shipped_can_be_gone_on_from(plates: DatasetDict, tmp_path: Path) -> None:
    path, plan = tmp_path / "weights" / "platenet.safetensors", recipe(epochs=1)
    ship(train_compact("tiny", plan, plates), {"threshold": 0.5, "growth": 0.1}, plates, path)
    run = train_compact("mine", third(plan), plates, start=shipped(path))
    assert run.card["data"].endswith("begun from tiny") and run.card["steps"] > 0


def test_a_second_run_is_found_with_its_point(plates: DatasetDict, monkeypatch: pytest.MonkeyPatch) -> None:
    first = choose_point(train_compact("tiny", recipe(epochs=1), plates), plates)
    monkeypatch.setattr(shipping, "choose_operating_point", lambda *_, **__: pytest.fail("chosen again"))
    again = train_compact("tiny", recipe(epochs=1), plates)
    assert again.loaded and choose_point(again, plates) == first


def test_scenes_join_the_data_and_its_name(plates: DatasetDict, monkeypatch: pytest.MonkeyPatch) -> None:
    scenes, asked = plates["test"], []
    monkeypatch.setattr(
        shipping, "load_plates", lambda name, sizes: asked.append((name, sizes["train"])) or {"train": scenes}
    )
    run = train_compact("tiny", recipe(epochs=1, pictures=6), plates, scenes=1)
    assert asked == [("scenes", 1)]
    assert run.card["pictures"] == 7 and run.card["data"].count("pictures") == 2


def test_presets_change_sizes_alone() -> None:
    fast, full = compact_recipe("fast"), compact_recipe("full")
    assert fast.epochs < full.epochs and fast.pictures and not full.pictures
    assert fast.learning_rate == full.learning_rate and fast.options == full.options == {}
    with pytest.raises(PlatesError, match="preset 'huge' is unknown"):
        compact_recipe("huge")
