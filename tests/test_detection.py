"""torchvision's detectors: anchors that fit plates, boxes in the picture's own pixels, a training that learns."""

import urllib.error
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from test_compact import gallery
from torch import nn
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import box_iou

import lib.detection
import lib.engine
import lib.training
from lib.checkpoints import load_checkpoint
from lib.crops import Crop
from lib.detection import Detector, DetectorRecipe, DetectorTrainer, boxes_in
from lib.detectors import ANCHORS, KINDS, best_start, detector, look_at
from lib.settings import PlatesError
from lib.training import fit_or_load

PLAIN = Crop(side=96, longest=96, light=False, turn=0.0, bend=0.0, zoom=(0.9, 1.1), anywhere=0.1)
RECIPE = DetectorRecipe(options={"side": 96}, epochs=10, batch=4, learning_rate=3e-3, crop=PLAIN)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"faster_resnet50"}))
def test_every_kind_tells_its_losses_and_its_boxes(kind: str) -> None:
    torch.manual_seed(0)
    made = detector(kind, 96)
    boxes = torch.tensor([[10.0, 40.0, 40.0, 50.0]])
    losses = made([torch.rand(3, 96, 96)] * 2, [{"boxes": boxes, "labels": torch.ones(1, dtype=torch.int64)}] * 2)
    torch.stack(list(losses.values())).sum().backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in made.parameters())
    found = Detector(made, 96).boxes(np.random.default_rng(0).integers(0, 256, (60, 200, 3), np.uint8))
    assert found.dtype == np.float32 and found.shape[1] == 5
    assert (found[:, 0] >= 0).all() and (found[:, 2] <= 200).all() and (found[:, 3] <= 60).all()
    assert (np.diff(found[:, 4]) <= 0).all()


def test_a_far_plate_has_an_anchor_of_its_size() -> None:
    """24x8 pixels in a square of 320: SSDlite's own anchors overlap it by less than a tenth, ours by four fifths."""
    anchors = anchors_of(detector("ssdlite", 320).eval(), 320)
    sizes = anchors[:, 2:] - anchors[:, :2]
    overlap = torch.minimum(sizes, torch.tensor([24.0, 8.0])).prod(1)
    best = (overlap / (sizes.prod(1) + 24 * 8 - overlap)).max()
    assert best > 0.8 > 24 * 8 / (0.2 * 320) ** 2  # what lies within an anchor of a fifth overlaps it by its area


def test_wherever_a_plate_lies_several_anchors_learn_from_it() -> None:
    """Plates 39 to 97 pixels wide, half as high, as half of the photographs' are, in 200 places of a crop."""
    made, rng = detector("ssdlite", 192).eval(), np.random.default_rng(0)
    size = rng.uniform(39, 97, (200, 1)) * [1.0, 0.5]
    first = rng.uniform(0, 192 - size)
    boxes = torch.tensor(np.hstack([first, first + size]), dtype=torch.float32)
    overlap = box_iou(boxes, anchors_of(made, 192))
    learning = torch.stack([(made.proposal_matcher(plate[None]) >= 0).sum() for plate in overlap])
    assert learning.min() >= 4 and learning.median() >= 8  # at an overlap of .5: one and three


def anchors_of(network: nn.Module, side: int) -> torch.Tensor:
    features = network.backbone(torch.rand(1, 3, side, side))
    (told,) = network.anchor_generator(ImageList(torch.rand(1, 3, side, side), [(side, side)]), list(features.values()))
    return told


def test_anchors_are_in_pixels_whatever_the_square() -> None:
    made = detector("ssdlite", 128).eval()
    small = anchors_of(made, 128)
    large = anchors_of(look_at(made, 256), 256)
    assert made.side == 256
    sizes = [{tuple(size) for size in (each[:, 2:] - each[:, :2]).round().int().tolist()} for each in (small, large)]
    assert set(ANCHORS) <= sizes[0] and set(ANCHORS) <= sizes[1]  # of the finest grid
    assert len(large) > 3 * len(small)  # and more places to look at


class Says(nn.Module):
    """A detector that always answers the same boxes of its square."""

    def __init__(self, *boxes: tuple[float, ...]) -> None:
        super().__init__()
        self.told = torch.tensor(boxes).reshape(-1, 5)
        self.here = nn.Parameter(torch.zeros(1))

    def forward(self, pictures: list[torch.Tensor]) -> list[dict[str, torch.Tensor]]:
        assert pictures[0].shape == (3, 64, 64)
        return [{"boxes": self.told[:, :4], "scores": self.told[:, 4]}]


def test_boxes_are_told_in_the_pictures_own_pixels() -> None:
    # 128 x 64 into 64 x 64: scaled by a half, 16 rows of grey above and below
    says = Says((8, 20, 24, 28, 0.3), (0, 0, 64, 64, 0.9), (1, 1, 5, 5, 0.8), (30, 30, 40, 34, 0.01))
    found = Detector(says, 64).boxes(np.zeros((64, 128, 3), np.uint8), confidence=0.05)
    assert np.allclose(found[:, 4], [0.9, 0.3])  # the third lies in the grey alone, the fourth is not sure enough
    assert np.allclose(found[:, :4], [[0, 0, 128, 64], [16, 8, 48, 24]])
    assert Detector(Says(), 64).boxes(np.zeros((9, 9, 3), np.uint8)).shape == (0, 5)


def test_boxes_of_a_crop_by_hand() -> None:
    inside = [[10.0, 10.0], [30.0, 12.0], [30.0, 20.0], [10.0, 18.0]]
    half = [[90.0, 40.0], [110.0, 40.0], [110.0, 50.0], [90.0, 50.0]]  # 6 of its 20 pixels are in the crop
    cut = [[-4.0, 60.0], [16.0, 60.0], [16.0, 70.0], [-4.0, 70.0]]
    speck = [[50.0, 50.0], [58.0, 50.0], [58.0, 52.0], [50.0, 52.0]]
    got = boxes_in(np.array([inside, half, cut, speck]), 96)
    assert got.tolist() == [[10, 10, 30, 20], [0, 60, 16, 70]]
    assert boxes_in(np.zeros((0, 4, 2)), 96).shape == (0, 4)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (lib.detection, lib.training):
        monkeypatch.setattr(module, "device", lambda: torch.device("cpu"))
    monkeypatch.setattr(lib.training, "RUNS", tmp_path / "runs")


@pytest.mark.usefixtures("here")
def test_it_learns_and_is_loaded_without_a_server() -> None:
    train, validation = gallery(16, 1), gallery(3, 2)
    run = fit_or_load("tiny", RECIPE, train, validation, "magenta plates", trainer=DetectorTrainer)
    losses = [row["loss"] for row in run.history[1:]]
    assert sum(losses[-3:]) < 0.7 * sum(losses[:3])
    assert run.history[-1]["validation_loss"] < run.history[0]["validation_loss"]
    best = run.folder / "best.safetensors"
    model, card = load_checkpoint(best)
    assert card["options"] == {"side": 96} and model.side == 96
    assert [Detector.load(best, side).side for side in (None, 64)] == [PLAIN.longest, 64]  # and not 640
    assert fit_or_load("tiny", RECIPE, train, validation, "magenta plates", trainer=DetectorTrainer).loaded


def test_without_a_server_it_starts_from_nothing_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_server(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", no_server)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", no_server)
    with pytest.raises(PlatesError, match=r"the coco weights of ssdlite cannot be had .*no route.* start='none'"):
        detector("ssdlite", 320, "coco")
    with pytest.warns(UserWarning, match="cannot be had") as said:
        _, start = best_start("ssdlite", 96)
    assert start == "none" and len(said) == 2


@pytest.mark.parametrize(
    ("act", "told"),
    [
        (lambda: detector("yolo", 320), "detector 'yolo' is unknown"),
        (lambda: detector("ssdlite", 100), "side=100"),
        (lambda: detector("ssdlite", 320, "magic"), "start 'magic' is unknown"),
        (lambda: replace(RECIPE, options={"side": 128}), "crop.side=96 is not the detector's side=128"),
        (lambda: replace(RECIPE, learning_rate=float("nan")), "learning_rate=nan"),
    ],
)
def test_unusable_values_are_named(act: Callable[[], object], told: str) -> None:
    with pytest.raises(PlatesError, match=told):
        act()
