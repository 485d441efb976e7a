"""Models side by side: hand-made frames whose every score is known."""

from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset, DatasetDict
from torch import Tensor, nn

from lib import experiments
from lib.conceal import Concealer
from lib.data import FEATURES
from lib.experiments import compare, conceal_rows, never_looking, paired_gain, score, shown_pictures
from lib.images import decode
from lib.losses import loss_and_gradient, resting_point
from lib.metrics import Accumulator
from lib.pictures import Pictures
from lib.plots import verdicts
from lib.plots.tables import cell, table
from lib.recipes import Recipe

SIDE = 20


class SeesRed(nn.Module):
    """Plate where the picture is red: a perfect model of the frames below."""

    def forward(self, pictures: Tensor) -> Tensor:
        red = (pictures[:, 0] - pictures[:, 1]) * 20 - 10
        return torch.stack([-red, red], 1)


@pytest.fixture
def frames() -> tuple[Tensor, Tensor]:
    """Four pictures with a red 4x5 plate at places of their own: 20 of 400 pixels, 5 %."""
    pixels = torch.zeros(4, 3, SIDE, SIDE, dtype=torch.uint8)
    masks = torch.zeros(4, SIDE, SIDE, dtype=torch.bool)
    for number, (top, left) in enumerate([(0, 0), (5, 5), (10, 10), (16, 15)]):
        masks[number, top : top + 4, left : left + 5] = True
        pixels[number, 0][masks[number]] = 255
    return pixels, masks


@pytest.fixture
def prior(frames: tuple[Tensor, Tensor]) -> nn.Module:
    from lib.models import LocationPrior

    return LocationPrior(SIDE).update(frames[1])


def test_a_perfect_model_and_one_that_never_looks(frames: tuple[Tensor, Tensor], prior: nn.Module) -> None:
    perfect, blind = compare({"red": SeesRed(), "prior": prior}, prior, frames)
    assert (perfect["A"], perfect["A1"], perfect["A1 pooled"]) == (1.0, 1.0, 1.0)
    # Each of the four places is plate in one of four pictures: 2/6 with pseudo-counts, never one half.
    assert blind["A"] == pytest.approx(0.95)
    assert blind["A1"] == 0
    assert blind["gain (pooled)"] == 0 and blind["gain 95 %"] == (0, 0)
    # At A = 1 the prior has to predict nothing of what it cannot know; it only reaches .95 and so cannot be compared.
    assert perfect["gain (pooled)"] is None


def test_gain_is_the_difference_on_the_same_pictures(frames: tuple[Tensor, Tensor], prior: nn.Module) -> None:
    red = score("red", SeesRed(), frames).pixels
    everything = score("prior", prior, frames, threshold=1.0).pixels
    nothing = score("prior", prior, frames, threshold=0.0).pixels
    assert paired_gain(red, everything) == (0, (0, 0))
    assert paired_gain(red, nothing) == (1, (1, 1))


def test_gain_interval_holds_the_gain_and_narrows_with_pictures() -> None:
    def accumulators(count: int) -> list[Accumulator]:
        torch.manual_seed(0)
        masks = torch.ones(count, 4, 4, dtype=torch.bool)
        made = [Accumulator(), Accumulator()]
        for one, level in zip(made, (0.7, 0.3), strict=True):
            one.add_batch((torch.rand(count, 4, 4) < level).float(), masks)
        return made

    widths = []
    for count in (20, 500):
        gain, (low, high) = paired_gain(*accumulators(count))
        assert low < gain < high
        widths.append(high - low)
    assert widths[1] < widths[0] / 2


def test_never_looking_counts_training_boxes() -> None:
    pixels = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
    boxes = torch.tensor([[[0.0, 0.0, 0.5, 0.5]], [[0.0, 0.0, 1.0, 1.0]]])
    pictures = Pictures(pixels, boxes, torch.ones(2), torch.arange(2))
    prior = never_looking(pictures)["location prior"]
    plate = prior(torch.zeros(1, 3, 320, 320)).softmax(1)[0, 1]
    assert plate[0, 0] == pytest.approx(3 / 4)  # plate in both, with one pseudo-count for each class
    assert plate[-1, -1] == pytest.approx(2 / 4)


def test_crop_share_of_whole_pictures_is_their_share() -> None:
    pixels = torch.zeros(3, 3, 64, 64, dtype=torch.uint8)
    boxes = torch.tensor([[[0.0, 0.0, 0.5, 0.5]]]).repeat(3, 1, 1)
    pictures = Pictures(pixels, boxes, torch.ones(3), torch.arange(3))
    assert experiments.crop_share(pictures, Recipe(smallest_crop=1.0)) == pytest.approx(0.25, abs=0.08)


def plates(folder: Path, source: str, count: int = 3) -> DatasetDict:
    """A data set of ``count`` grey PNG pictures with a magenta plate each."""
    from PIL import Image

    rows = []
    for number in range(count):
        picture = np.full((30, 40, 3), 90, np.uint8)
        picture[10:16, 5:25] = (255, 0, 255)
        path = folder / f"{source}{number}.png"
        Image.fromarray(picture).save(path)
        one = {"id": [0], "bbox": [[5, 10, 20, 6]], "corners": [[]], "area": [120.0], "iscrowd": [False], "text": [""]}
        one |= {"look": [""], "occluded": [-1.0], "angle": [-1.0], "characters": [[]], "chars": [""]}
        rows.append({"image_id": number, "image": str(path), "file_name": path.name, "width": 40, "height": 30})
        rows[-1] |= {"source": source, "license": "MIT", "light": "", "kind": "", "objects": one}
    columns = {key: [row[key] for row in rows] for key in FEATURES}
    return DatasetDict(validation=Dataset.from_dict(columns, features=FEATURES))


class SeesMagenta:
    """P(background) is 0 on magenta and 1 elsewhere."""

    name, threshold, growth = "magenta", 0.5, 0.0

    def __call__(self, rgb: np.ndarray) -> np.ndarray:
        return 1 - ((rgb[:, :, 0] > 200) & (rgb[:, :, 1] < 60)).astype(np.float32)


def test_conceal_rows_writes_every_picture_without_its_plate(tmp_path: Path) -> None:
    made = plates(tmp_path, "street")["validation"]
    assert conceal_rows(made, Concealer(SeesMagenta()), tmp_path / "out") == 3
    written = sorted((tmp_path / "out").iterdir())
    assert [path.name for path in written] == ["street0.png", "street1.png", "street2.png"]
    for path in written:
        rgb = decode(path.read_bytes(), path.name).rgb
        assert len(np.unique(rgb[10:16, 5:25].reshape(-1, 3), axis=0)) == 1  # one constant colour
        assert not (rgb[10:16, 5:25] == (255, 0, 255)).all(-1).any()
        assert (rgb[0] == 90).all()


def test_a_published_page_shows_scenes_and_never_photographs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photographs, scenes = plates(tmp_path, "street"), plates(tmp_path, "scenes")
    monkeypatch.setattr(experiments, "load_plates", lambda *_, **__: scenes)
    monkeypatch.setenv("PLATES_PUBLISH", "0")
    assert shown_pictures(photographs, 2).plates is photographs
    monkeypatch.setenv("PLATES_PUBLISH", "1")
    shown = shown_pictures(photographs, 2)
    assert shown.plates is scenes and len(shown.pictures) == 2


@pytest.mark.parametrize(("power", "factor"), [(1, 1.0), (2, 5.0), (2, 25.0), (3, 5.0)])
def test_a_resting_point_balances_the_two_pulls(power: int, factor: float) -> None:
    share = 0.03
    p = resting_point(power, factor, share)
    assert loss_and_gradient(power, factor, np.array(p))[1] * share == pytest.approx(p * (1 - share), rel=1e-5)


def test_cross_entropy_rests_at_the_plate_share_and_more_weight_higher() -> None:
    assert resting_point(1, 1.0, 0.06) == pytest.approx(0.06, abs=1e-8)
    assert resting_point(2, 5.0, 0.03) < 0.5 < resting_point(2, 25.0, 0.06)


def test_collapse_is_told_from_learning() -> None:
    def row(step: int, pooled: float) -> dict[str, float]:
        scores = {"validation_accuracy": 0.97, "validation_on_plate_accuracy_pooled": pooled}
        return {"step": step, "validation_on_plate_accuracy": pooled} | scores

    start = row(0, 0.5)  # before training everything is noise and says nothing
    assert "It collapses" in verdicts.collapse([start, row(10, 0.0), row(20, 0.001)], 0.03).data
    assert "does not collapse" in verdicts.collapse([start, row(10, 0.0), row(20, 0.2)], 0.03).data


def test_layers_counts_every_parameter_of_the_papers_network() -> None:
    told = verdicts.layers(Recipe()).data
    assert "106,911,104 parameters" in told
    assert "105,062,400 | 98.3%" in told


def test_a_table_is_markdown_with_one_line_a_row() -> None:
    told = table([{"a": "x", "b": 0.12345}, {"a": None, "b": 12345}], "caption").data
    assert told.splitlines()[:4] == ["| a | b |", "| --- | ---: |", "| x | 0.123 |", "| - | 12,345 |"]
    assert told.endswith("*caption*")
    assert cell((0.1, 0.25)) == "0.100 to 0.250"
