"""Training the compact network on data and scenes, its operating point, and weights that are found again."""

from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import DatasetDict
from safetensors.torch import load_file
from tiny import coco_split, scene

import lib.compact
import lib.engine
import lib.training
from lib import shipping
from lib.conceal import Concealer
from lib.crops import Crop
from lib.data import load_plates
from lib.engine import Segmenter, find_weights, read_card
from lib.settings import PlatesError
from lib.shipping import choose_point, compact_recipe, ship, train_compact

OPTIONS = {"stem": [4, 6], "channels": [8, 8, 8], "depth": [1, 1, 1], "neck": 8}


@pytest.fixture(autouse=True)
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (lib.engine, lib.compact, lib.training):
        monkeypatch.setattr(module, "device", lambda: torch.device("cpu"))
    for module in (lib.engine, lib.training):
        monkeypatch.setattr(module, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(lib.engine, "WEIGHTS", tmp_path / "weights")


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
    path = ship(run, point, tmp_path / "weights" / "platenet.safetensors")
    card = read_card(path)
    assert card["operating_point"] == point and "log" not in card and card["data"] == run.card["data"]
    assert find_weights() == path
    stored = load_file(path).values()
    assert {each.dtype for each in stored if each.is_floating_point()} == {torch.float16}
    # half precision changes the answer by next to nothing
    rgb, (x, y, w, h) = scene(np.random.default_rng(9), 320, 240)
    shipped = Segmenter.load()
    assert abs(shipped(rgb) - Segmenter(run.model, "whole")(rgb)).max() < 0.02
    mask = Concealer.load().mask_from(shipped(rgb))
    assert mask[y : y + h, x : x + w].mean() > 0.95


def test_weights_that_are_not_the_shipped_ones_are_refused(plates: DatasetDict, tmp_path: Path) -> None:
    path = tmp_path / "weights" / "platenet.safetensors"
    run = train_compact("tiny", recipe(epochs=1), plates)
    ship(run, {"threshold": 0.5, "growth": 0.1}, path)
    assert Segmenter.load().weights_sha256 == sha256(path.read_bytes()).hexdigest()[:12]
    altered = bytearray(path.read_bytes())
    altered[-1] ^= 1  # one bit of one weight
    path.write_bytes(altered)
    with pytest.raises(PlatesError, match=r"platenet\.safetensors: is not the file that was shipped.*--ship"):
        Segmenter.load()
    path.write_bytes(bytes(altered[: len(altered) // 2]))
    with pytest.raises(PlatesError, match=r"platenet\.safetensors: is not a whole checkpoint of ours"):
        Segmenter.load()
    ship(run, {"threshold": 0.5, "growth": 0.1}, path)
    (path.parent / "SHA256SUMS").write_bytes(b"\xff one two three")
    with pytest.raises(PlatesError, match=r"platenet\.safetensors: is not the file that was shipped"):
        Segmenter.load()
    ship(run, {"threshold": 0.5, "growth": 0.1}, path)
    path.rename(path.with_name("other.safetensors"))
    with pytest.raises(PlatesError, match=r"other\.safetensors: is not the file that was shipped"):
        Segmenter.load()


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
