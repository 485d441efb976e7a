"""The trainings behind the names of models: the blog's two networks, small, on data and scenes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from test_corners import QUAD, street
from tiny import row, split

import lib.corner_training
import lib.detection
import lib.training
from lib import trainings
from lib.__main__ import main
from lib.crops import Crop
from lib.trainings import train_part


def plates() -> dict:
    rng = np.random.default_rng(0)

    def one(number: int) -> dict:
        quad = QUAD + rng.uniform(-10, 10, 2)
        box = [*quad.min(0), *np.ptp(quad, axis=0)]
        return row(number, Image.fromarray(street(quad)), [box], corners=[quad.flatten().tolist()])

    return {name: split(*map(one, range(count))) for name, count in (("train", 8), ("validation", 2), ("test", 1))}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list:
    asked = []
    for module in (lib.corner_training, lib.detection, lib.training):
        monkeypatch.setattr(module, "device", lambda: torch.device("cpu"))
    monkeypatch.setattr(lib.training, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(trainings, "DETECTOR_CROP", Crop(side=96, longest=128))
    drawn = plates()

    def load(name: str | None = None, sizes: dict | None = None) -> dict:
        if sizes:
            asked.append((name, sizes["train"]))
        return drawn

    monkeypatch.setattr(trainings, "load_plates", load)
    monkeypatch.setattr(trainings, "describe", lambda split: f"{len(split)} parts")
    return asked


@pytest.mark.parametrize("model", ["small_landmarks", "ssdlite"])
def test_each_part_is_trained_on_data_and_scenes_and_found_again(model: str, here: list) -> None:
    changes = {"epochs": 1, "batch": 4, "pictures": 5}
    if model == "ssdlite":
        changes["crop"] = Crop(side=96, light=False)
    run = train_part(model, plates(), scenes=8, **changes)
    assert here == [("scenes", 8)] and run.card["data"].count("parts") == 2
    photographs = 20 if model == "small_landmarks" else 5  # five of the data, of which corners are rare: four times
    assert run.card["pictures"] == photographs + 8  # and all eight scenes; a plate each
    assert train_part(model, plates(), scenes=8, **changes).loaded


def test_the_command_trains_a_part(here: list, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "landmarks", "--epochs", "1", "--batch", "4"]) == 0
    assert "trained landmarks: 3.0 M parameters" in capsys.readouterr().out and not here


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["landmarks", "--loss", "log2"], "--loss is for the paper's networks; landmarks has its own recipe"),
        (["ssdlite", "--ship"], "--ship is for platenet and the landmarks; ssdlite is not what conceals"),
    ],
)
def test_options_that_a_model_does_not_have_are_named(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *arguments]) == 1
    assert told in capsys.readouterr().err


def test_landmarks_are_shipped_with_their_point(
    here: list, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shipped = []
    monkeypatch.setattr(trainings, "choose_detect", lambda model, plates, scenes: {"expand": 1.3, "curve": []})
    monkeypatch.setattr(trainings, "ship_corners", lambda run, point: shipped.append((run.card["model"], point)))
    assert main(["train", "small_landmarks", "--epochs", "1", "--batch", "4", "--ship"]) == 0
    assert shipped == [("small_landmarks", {"expand": 1.3, "curve": []})]
    assert "expand 1.3" in capsys.readouterr().out
