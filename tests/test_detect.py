"""The blog's way from weights on disk to a concealed picture: chosen, shipped, loaded, refused; corners' errors."""

import hashlib
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from test_corners import QUAD, street
from test_quads import CROSSED, SHARES, Says, finds
from tiny import row, split

from lib import detect
from lib.boxes import LEAST
from lib.checkpoints import SUMS
from lib.conceal import METHODS, Concealer
from lib.corners import CornerFinder
from lib.detect import (
    Remembered,
    best,
    choose_again,
    choose_detect,
    corner_errors,
    expansion_curve,
    known,
    ship_corners,
)
from lib.models import build
from lib.quads import QuadSegmenter
from lib.settings import PlatesError

TINY = {"channels": [4, 4, 4, 4], "neck": 4}
SHOWN = {"edge": 0.5, "expand": 1.3, "threshold": 0.6, "growth": 0.1, "sure": 0.4, "curve": []}


def rows(count: int = 3) -> dict:
    rng, made = np.random.default_rng(0), []
    for number in range(count):
        quad = QUAD + rng.uniform(-15, 15, 2)
        box = [*quad.min(0), *np.ptp(quad, axis=0)]
        made.append(row(number, Image.fromarray(street(quad, number)), [box], corners=[quad.flatten().tolist()]))
    return {"validation": split(*made), "test": split(*made)}


def magenta(rgb: np.ndarray, confidence: float = LEAST) -> np.ndarray:
    """The box round magenta pixels."""
    where = np.nonzero((rgb[..., 0] > 180) & (rgb[..., 1] < 90))
    if not len(where[0]):
        return np.zeros((0, 5), np.float32)
    (top, left), (bottom, right) = ((f(where[0]), f(where[1])) for f in (np.min, np.max))
    return np.array([[left, top, right + 1, bottom + 1, 0.9]], np.float32)


def test_a_finder_is_asked_once_for_each_picture() -> None:
    asked = []

    def find(rgb: np.ndarray, confidence: float) -> np.ndarray:
        asked.append(confidence)
        return np.array([[1, 1, 5, 5, 0.9], [1, 1, 5, 5, 0.2]], np.float32)

    again = Remembered(find)
    one, other = np.zeros((8, 8, 3), np.uint8), np.ones((8, 8, 3), np.uint8)
    assert [len(again(rgb, c)) for rgb, c in ((one, LEAST), (one, 0.5), (other, 0.1))] == [2, 1, 2]
    assert asked == [LEAST, LEAST]


def test_a_curve_has_a_point_for_each_factor_and_the_best_covers_most() -> None:
    network = build("small_landmarks", **TINY)  # starts by answering its middle and its last layer's bias alone
    with torch.no_grad():
        network.head[-1].bias[:8] = torch.tensor([-0.5, -0.5, 0.5, -0.5, 0.5, 0.5, -0.5, 0.5])  # the whole crop
    curve = [expansion_curve(magenta, network, rows()["validation"], factors=[factor])[0] for factor in (0.5, 1.0)]
    assert [row["expand"] for row in curve] == [0.5, 1.0] and curve[1]["coverage"] == 1
    assert best(curve)["expand"] == 1.0
    assert best([{**curve[1], "expand": 2.0}, curve[1]])["expand"] == 1.0  # of equals the least
    assert best([{**curve[1], "expand": 2.0, "false_cover": -1.0}, curve[1]])["expand"] == 2.0  # takes less along
    assert best([{**curve[1], "feasible": False}, curve[0]]) == curve[0]


def test_plates_of_which_only_a_box_is_known_are_set_aside() -> None:
    image, box = Image.fromarray(street()), [100.0, 50.0, 80.0, 40.0]
    corners = QUAD.flatten().tolist()
    told = split(row(0, image, [box, box], corners=[[], corners]), row(1, image, [box]))
    aside = known(told)
    assert [each["iscrowd"] for each in aside["objects"]] == [[True, False], [True]]
    assert aside.features == told.features and aside[1]["file_name"] == told[1]["file_name"]
    with pytest.raises(PlatesError, match="has a plate to choose an operating point by"):
        choose_detect(build("small_landmarks", **TINY), {"validation": told.select([1])}, None, lambda rgb: rgb[..., 0])


def test_what_is_chosen_says_how_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detect, "EDGES", (0.5,))
    monkeypatch.setattr(detect, "RegionBoxes", lambda segmenter, edge: magenta)
    monkeypatch.setattr(detect, "EXPANSIONS", (1.0, 1.5))
    monkeypatch.setattr(expansion_curve, "__defaults__", (expansion_curve.__defaults__[0], (1.0, 1.5)))
    told = choose_detect(build("small_landmarks", **TINY), rows(), rows(2)["validation"], SimpleNamespace())
    assert told["edge"] == 0.5 and told["expand"] in (1.0, 1.5) and len(told["curve"]) == 2
    assert told["images"] == told["plates"] == 5  # the data's and the scenes'
    assert {"threshold", "growth", "coverage", "stray_cover", "plates"} <= set(told)
    json.dumps(told)  # it goes into the weights' card


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    card = {"name": "tiny corners", "model": "small_landmarks", "options": TINY, "data": "magenta plates"}
    run = SimpleNamespace(model=build("small_landmarks", **TINY), card={**card, "best_epoch": 3, "log": [1, 2]})
    return ship_corners(run, SHOWN, tmp_path / "corners.safetensors")


def test_shipped_corners_are_loaded_with_their_point(shipped: Path) -> None:
    told = hashlib.sha256(shipped.read_bytes()).hexdigest()
    assert (shipped.parent / SUMS).read_text() == f"{told}  corners.safetensors\n"
    assert "log" not in json.loads(shipped.with_suffix(".json").read_text())
    concealer = Concealer.load("detect", shipped)
    segmenter = concealer.segmenter
    assert (concealer.threshold, concealer.growth, concealer.sure) == (0.6, 0.1, 0.4)
    assert segmenter.corners.expand == 1.3 and segmenter.point == SHOWN and segmenter.weights_sha256 == told[:12]
    assert "tiny corners" in segmenter.say() and "magenta plates" in segmenter.say()
    out = concealer(np.full((120, 160, 3), 90, np.uint8))
    assert out.image.shape == (120, 160, 3) and out.mask.shape == (120, 160)


def test_a_point_is_chosen_anew_for_the_same_weights(shipped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, weights = QuadSegmenter.load(shipped), load_file(shipped)
    monkeypatch.setattr(detect, "choose_detect", lambda network, plates, scenes: {**SHOWN, "growth": 0.3})
    assert choose_again(rows(), None, shipped)["growth"] == 0.3
    after = QuadSegmenter.load(shipped)  # its sum has been told anew, else this fails
    assert (after.growth, after.threshold, after.trained_on) == (0.3, 0.6, before.trained_on)
    for one, other in zip(load_file(shipped).values(), weights.values(), strict=True):
        assert torch.equal(one, other)


def test_the_repository_conceals_by_detecting_after_a_clone() -> None:
    assert set(METHODS) == {"segment", "detect"}
    concealer = Concealer.load("detect")
    assert concealer.segmenter.point["expand"] >= 1 and 0 < concealer.threshold <= 1


def test_weights_that_are_missing_foreign_or_altered_are_named(shipped: Path, tmp_path: Path) -> None:
    with pytest.raises(PlatesError, match=r"nowhere\.safetensors: there is no such weights file"):
        QuadSegmenter.load(tmp_path / "nowhere.safetensors")
    with pytest.raises(PlatesError, match="holds platenet, not corners"):
        QuadSegmenter.load(Path(detect.CORNERS).with_name("platenet.safetensors"))
    shipped.write_bytes(shipped.read_bytes()[:-1] + b"x")
    with pytest.raises(PlatesError, match=r"corners\.safetensors: is not the file that was shipped"):
        QuadSegmenter.load(shipped)
    shipped.write_bytes(shipped.read_bytes()[:100])
    with pytest.raises(PlatesError, match="is not a whole checkpoint"):
        QuadSegmenter.load(shipped)


def test_corners_without_a_point_conceal_nothing(shipped: Path, tmp_path: Path) -> None:
    run = SimpleNamespace(
        model=build("small_landmarks", **TINY),
        card={"name": "tiny", "model": "small_landmarks", "options": TINY, "best_epoch": 1},
    )
    other = ship_corners(run, None, tmp_path / "other" / "corners.safetensors")
    with pytest.raises(PlatesError, match="not corners with a point of their own"):
        QuadSegmenter.load(other)


@pytest.mark.parametrize(
    "found",
    [(), ((-9, -9, 9, 9, 0.9), (235, 155, 300, 200, 0.9)), ((50, 50, 51, 51, 0.9),), ((10, 10, 60, 30, 0.9),) * 100],
    ids=["nothing", "over the border", "one pixel", "a hundred"],
)
def test_odd_finds_conceal_more_or_nothing_but_never_fail(found: tuple) -> None:
    class Crossed(Says):
        def forward(self, crops: torch.Tensor) -> torch.Tensor:
            return self.shares.expand(len(crops), 4, 2)

    segmenter = QuadSegmenter(finds(*found), CornerFinder(Crossed(CROSSED), 1.5, portable=False), "tiny", 0.5)
    mask = Concealer(segmenter)(street()).mask
    assert mask.any() == bool(found)
    for left, top, right, bottom, _ in found:  # corners that cross are not believed: the whole window goes
        assert mask[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)].all()


def test_errors_of_corners_by_hand() -> None:
    data = rows(2)["test"]
    finder = CornerFinder(Says(SHARES, SHARES), expand=1.0, portable=False)
    told = corner_errors(finder, data)
    assert told["picture"].tolist() == [0, 1] and (told["box"] > 0.03).all() and (told["found"] > 0).all()
    given = corner_errors(finder, data, magenta)
    assert np.abs(given["box"] - told["box"]).max() < 0.02
    assert not len(corner_errors(finder, data, lambda rgb, c: np.zeros((0, 5), np.float32))["found"])
    assert len(corner_errors(finder, data, limit=1)["found"]) == 1
    far = replace_corners(data, QUAD / 20)
    assert not len(corner_errors(finder, far)["found"])  # below ten pixels nobody can say where a corner is


def replace_corners(data: object, quad: np.ndarray) -> object:
    box = [*quad.min(0), *np.ptp(quad, axis=0)]
    return split(row(0, Image.fromarray(street()), [box], corners=[quad.flatten().tolist()]))
