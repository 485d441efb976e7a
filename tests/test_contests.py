"""The trials beyond the paper: the catalogue as data, real trainings on tiny pictures, and records that are kept."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import DatasetDict
from tiny import OPTIONS, coco_split

import lib.compact
import lib.engine
import lib.trainer
import lib.training
from lib import beyond, contests
from lib.__main__ import main
from lib.beyond import CROP, STEPS, TRIALS, Trial, chosen
from lib.catalogue import CODE
from lib.compact import CompactRecipe
from lib.contests import load_contest, load_contests, losses, make_contest, only_large, only_source, splits_of
from lib.crops import Crop
from lib.data import load_plates
from lib.metrics import Accumulator, PlateRow
from lib.recipes import Recipe
from lib.rivals import Rival
from lib.settings import PlatesError
from lib.shipping import second
from lib.yolo_recipes import YoloRecipe

SMALL_NET = {"stem": [4, 6], "channels": [8, 8, 8], "depth": [1, 1, 1], "neck": 8}
COMPACT = CompactRecipe(options=SMALL_NET, batch=4, learning_rate=2e-2, crop=Crop(side=96, light=False, turn=0, bend=0))


@pytest.fixture(autouse=True)
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (lib.engine, lib.compact, lib.trainer, lib.training):
        monkeypatch.setattr(module, "device", lambda: torch.device("cpu"))
    monkeypatch.setattr(lib.training, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(beyond, "STEPS", 60)


@pytest.fixture(scope="module")
def plates(tmp_path_factory: pytest.TempPathFactory) -> DatasetDict:
    folder = tmp_path_factory.mktemp("plates")
    for split, count in (("train", 8), ("valid", 4), ("test", 4)):
        coco_split(folder / split, count, seed=count, size=(320, 240))
    return load_plates(folder)


def test_every_trial_takes_the_same_steps() -> None:
    for trial in TRIALS.values():
        for pictures in (2000, 3900, 3946, 5946):
            sized = trial.sized(pictures)
            taken = sized.epochs * (pictures // sized.batch)
            wanted = 240 if trial.group == "longer" else 60
            assert abs(taken - wanted) <= pictures // sized.batch / 2 + 1 or sized.epochs == 1, trial.name
    assert STEPS == 492 == 4 * (3946 // 32) == 2 * (3946 // 16)


def test_the_catalogue_has_what_the_figures_need() -> None:
    names = set(TRIALS)
    assert len(names) == len(TRIALS)
    low = [one for one in TRIALS.values() if one.group == "low-data"]
    for count, seeds in ((50, 3), (200, 3), (1000, 1), (None, 1)):
        assert len([one for one in low if one.pictures == count]) == 4 * seeds
    assert all(one.scenes == 0 for one in low if isinstance(one.recipe, YoloRecipe | Recipe))
    longer = [one for one in TRIALS.values() if one.group == "longer"]
    short = {(one.label, one.pictures): one for one in low if one.pictures in (50, None) and not one.recipe.seed}
    assert len(longer) == 4 and {one.times for one in longer} == {4}
    assert all(
        replace(one, name="", group="", times=1) == replace(twin, name="", group="")
        for one in longer
        if (twin := short[one.label, one.pictures])
    )
    rows = [one for one in TRIALS.values() if one.group == "choices"]
    recipes = [json.dumps([one.told(), one.scenes]) for one in rows]
    assert len(set(recipes)) == len(recipes)
    # the two stages of the network as it is shipped, but for their steps and the side of their crops
    assert rows[-3].recipe == CompactRecipe(crop=CROP)
    last, shipped = rows[-1].recipe, second(CompactRecipe(crop=CROP))
    assert (last.crop, last.presence) == (shipped.crop, shipped.presence)
    assert next(one.name for one in chosen(["sources", "choice-paper"])) == "choice-paper"
    with pytest.raises(PlatesError, match="no trial or group is called 'everything'"):
        chosen(["everything"])


@pytest.mark.parametrize("recipe", [COMPACT, Recipe(**CODE, options=OPTIONS, batch=4, weight=5.0)])
def test_a_trial_is_trained_measured_and_kept(recipe: Any, plates: DatasetDict, tmp_path: Path) -> None:
    trial = Trial("tiny", "a tiny one", "choices", recipe)
    told = make_contest(trial, plates, tmp_path / "records")
    assert told["steps"] == 60 and told["photographs"] == 8 and told["at_point"]["plates"] == 4
    curve = [row["coverage"] for row in told["curve"]]
    assert curve == sorted(curve)  # a higher threshold covers no fewer plates
    assert [row["epoch"] for row in told["history"]] == list(range(1, 31))
    low, high = told["equal_stray"]["interval"]
    assert low <= told["equal_stray"]["coverage"] <= high
    assert {source: row["plates"] for source, row in told["equal_stray_by_source"].items()} == {"here": 2, "there": 2}
    if recipe is COMPACT:
        assert all(row["coverage"] == 1.0 for row in told["equal_stray_by_source"].values())
        assert told["equal_stray"]["coverage"] == 1.0
    before = (tmp_path / "records" / "tiny.json").read_bytes()
    assert make_contest(trial, plates, tmp_path / "records") == told
    assert (tmp_path / "records" / "tiny.json").read_bytes() == before
    with pytest.raises(PlatesError, match=r"tiny\.json is of another recipe or other data"):
        make_contest(replace(trial, scenes=3), plates, tmp_path / "records")


def test_two_names_share_one_training(plates: DatasetDict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = (Trial(name, name, group, COMPACT) for name, group in (("first", "choices"), ("second", "low-data")))
    monkeypatch.setattr(contests, "TRIALS", {"first": one, "second": two})
    first = make_contest(one, plates, tmp_path)
    monkeypatch.setattr(contests, "train_trial", lambda *_: pytest.fail("trained again"))
    second = make_contest(two, plates, tmp_path)
    assert second["equal_stray"] == first["equal_stray"] and (second["name"], second["group"]) == ("second", "low-data")
    assert [each["name"] for each in load_contests("low-data", tmp_path)] == ["second"]


def test_few_pictures_make_as_many_steps(plates: DatasetDict, tmp_path: Path) -> None:
    trial = Trial("few", "few", "low-data", COMPACT, pictures=2)
    told = make_contest(trial, plates, tmp_path)
    assert (told["photographs"], told["steps"]) == (2, 60)
    with pytest.raises(PlatesError, match=r"few\.json is of another recipe or other data"):
        make_contest(replace(trial, times=2), plates, tmp_path)


def test_scenes_alone_need_no_photograph_to_train(
    plates: DatasetDict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lib.shipping.load_plates", lambda *_, **__: {"train": plates["train"]})
    told = make_contest(Trial("alone", "alone", "scenes-only", COMPACT, pictures=0, scenes=8), plates, tmp_path)
    assert (told["photographs"], told["scenes"], told["steps"]) == (0, 8, 60)


def test_a_source_left_out_is_tested_alone(plates: DatasetDict) -> None:
    trial = Trial("without", "here", "sources", COMPACT, without="here")
    splits, test = splits_of(trial, plates)
    assert {*splits["train"]["source"], *splits["validation"]["source"]} == {"there"}
    assert set(test["source"]) == {"here"} and len(test) == 2
    with pytest.raises(PlatesError, match="no source 'nowhere'; choose one of here, there"):
        splits_of(replace(trial, without="nowhere"), plates)


def test_only_large_plates_count_but_all_stray_cover() -> None:
    held = Accumulator()
    held.add(*[np.zeros((4, 4), bool)] * 2, [])
    held.plates = [PlateRow(0, width, 1.0, None, 1, 1) for width in (23.9, 24.0, 80.0)]
    kept = only_large(Rival("one", {"threshold": 0.5, "growth": 0.0}, {0.5: held}, None)).sweep[0.5]
    assert [row.width for row in kept.plates] == [24.0, 80.0] and kept.pictures == held.pictures
    assert len(held.plates) == 3


def test_a_source_is_its_own_pictures_plates_and_stray_cover() -> None:
    held, none = Accumulator(), np.zeros((4, 4), bool)
    for source in ("here", "there", "here"):
        held.add(none, none, [], source=source)
    held.plates = [PlateRow(picture, 30.0, 1.0, None, 1, 1) for picture in (0, 1, 2, 2)]
    kept = only_source(Rival("one", {"threshold": 0.5, "growth": 0.0}, {0.5: held}, None), "here").sweep[0.5]
    assert [row.source for row in kept.pictures] == ["here", "here"]
    assert [row.picture for row in kept.plates] == [0, 1, 1]
    assert len(held.pictures) == 3 and held.plates[3].picture == 2


def test_losses_of_both_kinds_by_hand() -> None:
    own = [{"epoch": 0, "validation_loss": 0.9}, {"epoch": 1, "loss": 0.5, "validation_loss": 0.7, "accuracy": 0.9}]
    assert losses(own) == [{"epoch": 1, "loss": 0.5, "validation_loss": 0.7}]
    train = {"train/box_loss": 1.0, "train/cls_loss": 2.0, "train/dfl_loss": 0.5}
    val = {"val/box_loss": 1.5, "val/cls_loss": 2.5, "val/dfl_loss": 0.25}
    yolo = {"epoch": 1.0, "time": 60.0, "metrics/mAP50(B)": 0.6} | train | val
    assert losses([yolo]) == [{"epoch": 1, "loss": 3.5, "validation_loss": 4.25}]


def test_a_missing_or_foreign_record_says_what_makes_it(tmp_path: Path) -> None:
    with pytest.raises(PlatesError, match="`python -m lib beyond low-yolo-50` makes it"):
        load_contest("low-yolo-50", tmp_path)
    (tmp_path / "scenes-only.json").write_text('{"name": "other"}')
    with pytest.raises(PlatesError, match="no whole record of scenes-only"):
        load_contest("scenes-only", tmp_path)


def test_the_command_makes_a_record_and_goes_on_after_a_failure(
    plates: DatasetDict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    bad = Trial("bad", "bad", "sources", COMPACT, without="nowhere")
    good = Trial("good", "good", "sources", COMPACT)
    monkeypatch.setattr(beyond, "TRIALS", {"bad": bad, "good": good})
    monkeypatch.setattr(beyond, "TRIAL_GROUPS", ("sources",))
    monkeypatch.setattr("lib.data.load_plates", lambda: plates)
    assert main(["beyond", "sources", "--out", str(tmp_path)]) == 1
    shown = capsys.readouterr()
    assert "error: bad: the test pictures have no source" in shown.err
    assert "good: coverage 1.000" in shown.out and (tmp_path / "good.json").exists()
