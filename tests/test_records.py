"""Records of trainings: made whole or not at all, found again, never mistaken for another's."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from datasets import DatasetDict
from tiny import RECIPE, coco_split

import lib.checkpoints
import lib.engine
import lib.trainer
import lib.training
from lib import records
from lib.catalogue import Experiment
from lib.data import load_plates
from lib.loop import Diverged
from lib.measures import Bench, by_share
from lib.metrics import Accumulator, PictureRow
from lib.recipes import Recipe
from lib.records import load, load_group, make, make_never_looking
from lib.settings import PlatesError

BRIEF = replace(RECIPE, epochs=2)
RECIPES = {"one": BRIEF, "same": BRIEF, "other": replace(BRIEF, seed=1), "wild": replace(BRIEF, clip="")}


@pytest.fixture(scope="module")
def plates(tmp_path_factory: pytest.TempPathFactory) -> DatasetDict:
    folder = tmp_path_factory.mktemp("coco")
    for number, (split, count) in enumerate({"train": 8, "valid": 4, "test": 5}.items()):
        coco_split(folder / split, count, seed=number)
    return load_plates(folder)


@pytest.fixture
def bench(plates: DatasetDict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    for module in (lib.engine, lib.trainer, lib.training):
        monkeypatch.setattr(module, "device", lambda: torch.device("cpu"))
    for module in (lib.checkpoints, lib.training):
        monkeypatch.setattr(module, "RUNS", tmp_path / "runs")
    catalogue = {name: Experiment(name, name.title(), "tiny", paper=(0.9, 0.8)) for name in RECIPES}
    catalogue["one"] = replace(catalogue["one"], tested=True, conceals=True)
    monkeypatch.setattr(records, "EXPERIMENTS", catalogue)
    monkeypatch.setattr(records, "experiment", catalogue.__getitem__)
    monkeypatch.setattr(records, "wanted", lambda name, preset: RECIPES[name])
    return Bench(plates)


def test_a_record_tells_what_was_trained_and_what_it_scored(bench: Bench, tmp_path: Path) -> None:
    told = make("one", bench, "fast", tmp_path)
    found = load("one", tmp_path)
    assert told == found  # as JSON has it, whether it was made or found
    assert (found["seed"], found["epochs"], found["steps"], found["pictures"]) == (0, 2, 4, 8)
    assert found["data"] == bench.data and Recipe(**found["recipe"]).digest("x") == BRIEF.digest("x")
    assert [row["epoch"] for row in found["history"]] == [0, 1, 2] and "test_loss" in found["history"][2]
    assert len(found["log"]["loss"]) == len(found["log"]["gradient_norm"]) == 4
    assert len(found["curve"]["threshold"]) == 65 and found["curve"]["threshold"][-1] == 1
    assert found["coverage"]["test"]["plates"] == 5 and 0 <= found["coverage"]["test"]["coverage"] <= 1
    whole, crop = (found["metrics"]["test"][key] for key in ("full_frame", "random_crop"))
    last = found["history"][found["best_epoch"]]
    assert found["metrics"]["validation"]["full_frame"]["accuracy"] == pytest.approx(last["validation_accuracy"])
    low, high = whole["intervals"]["accuracy"]
    assert low <= whole["accuracy"] <= high and whole != crop
    assert sum(group["pictures"] for group in crop["by_share"]) <= 5
    untested = make("other", bench, "fast", tmp_path)
    assert untested["metrics"].keys() == {"validation"} and "coverage" not in untested
    assert not any("test_loss" in row for row in untested["history"])
    assert found["command"] == "python -m lib runs one --preset fast"


def test_a_record_is_found_again_and_stands_in_for_its_twin(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make("one", bench, "fast", tmp_path)
    monkeypatch.setattr(records, "fit_or_load", None)  # nothing is trained from here on
    assert make("one", bench, "fast", tmp_path) == first
    twin = make("same", bench, "fast", tmp_path)
    assert (twin["name"], twin["label"]) == ("same", "Same") and twin["log"] == first["log"]
    assert [found["name"] for found in load_group("tiny", tmp_path)] == ["one", "same"]
    mixed = json.loads((tmp_path / "same.json").read_text()) | {"preset": "paper"}
    (tmp_path / "same.json").write_text(json.dumps(mixed))
    with pytest.raises(PlatesError, match=r"tiny are of .*fast recipe and of .*paper recipe.*--replace"):
        load_group("tiny", tmp_path)
    (tmp_path / "same.json").write_text("{")  # a neighbour's damage stops nobody else


def test_a_record_of_another_recipe_or_other_data_is_not_overwritten(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make("other", bench, "fast", tmp_path)
    before = (tmp_path / "other.json").read_bytes()
    monkeypatch.setitem(RECIPES, "other", replace(BRIEF, seed=2))
    with pytest.raises(PlatesError, match=r"other\.json is of another recipe.*--replace"):
        make("other", bench, "fast", tmp_path)
    assert (tmp_path / "other.json").read_bytes() == before
    assert make("other", bench, "fast", tmp_path, replace=True)["seed"] == 2


def test_a_training_that_runs_away_is_a_result(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fit_or_load(*_arguments: object, **_options: object) -> None:
        raise Diverged("the loss is nan at step 2", {"loss": [1.0, 2.0], "gradient_norm": [3.0, 4.0]})

    monkeypatch.setattr(records, "fit_or_load", fit_or_load)
    make("wild", bench, "fast", tmp_path)
    found = load("wild", tmp_path)
    assert found["diverged"] == "the loss is nan at step 2" and found["log"]["gradient_norm"] == [3.0, 4.0]
    assert (found["steps"], found["history"]) == (2, [])


def test_stopped_before_it_is_written_there_is_no_record(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Bench, "curve", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            make("one", bench, "fast", tmp_path)
    assert not list(tmp_path.glob("*.json"))
    trained = next((tmp_path / "runs").iterdir()) / "best.safetensors"
    written = trained.stat().st_mtime_ns
    make("one", bench, "fast", tmp_path)
    assert load("one", tmp_path)["steps"] == 4
    assert json.loads((tmp_path / "one.json").read_text())["seconds"] > 0 and written > 0


@pytest.mark.parametrize("damage", [lambda text: text[:-9], lambda text: "{}", lambda text: "[]", lambda text: ""])
def test_a_damaged_record_is_named(damage: object, bench: Bench, tmp_path: Path) -> None:
    make("other", bench, "fast", tmp_path)
    path = tmp_path / "other.json"
    path.write_text(damage(path.read_text()))
    with pytest.raises(PlatesError, match=r"other\.json"):
        load("other", tmp_path)
    with pytest.raises(PlatesError, match=r"missing\.json.*runs missing"):
        load("missing", tmp_path)


def test_the_rows_that_never_look(bench: Bench, tmp_path: Path) -> None:
    told = make_never_looking(bench, tmp_path)
    share = told["plate_share"]["test full_frame"]
    blind = told["models"]["all-background"]["test"]["full_frame"]
    assert blind["accuracy"] == pytest.approx(1 - share) and blind["on_plate_accuracy"] == 0
    assert blind["predicted_plate"] == 0 and blind["gain"] == pytest.approx(0, abs=0.5)
    prior = told["models"]["location prior"]["test"]["random_crop"]
    assert prior["gain"] is None or prior["gain"] == pytest.approx(0, abs=1e-3)
    assert make_never_looking(bench, tmp_path) == told
    other = tmp_path / "never-looking.json"
    other.write_text(json.dumps(told | {"pictures": ["others"]}))
    with pytest.raises(PlatesError, match=r"never-looking\.json is of another"):
        make_never_looking(bench, tmp_path)
    assert make_never_looking(bench, tmp_path, replace=True) == told


def test_groups_by_plate_share_by_hand() -> None:
    pixels = Accumulator()
    pixels.pictures = [  # id, source, pixels, plate, predicted, hits
        PictureRow(0, "", 1000, 5, 0, 0),
        PictureRow(1, "", 1000, 10, 20, 10),
        PictureRow(2, "", 1000, 500, 400, 400),
        PictureRow(3, "", 1000, 0, 9, 0),  # no plate: in no group
    ]
    groups = by_share(pixels)
    assert [group["pictures"] for group in groups] == [2, 0, 0, 0, 1]
    assert groups[0]["on_plate_accuracy"] == 0.5 and groups[0]["accuracy"] == pytest.approx(0.9925)
    assert groups[4]["on_plate_accuracy"] == 0.8 and groups[1]["accuracy"] is None
