"""From a box to four corners: windows cut and mapped back, answers that are not believed, networks that learn."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tiny import row, split
from torch import Tensor, nn

import lib.corner_training
import lib.training
from lib.corner_training import CornerRecipe, CornerTrainer, draw, known_corners
from lib.corners import CornerFinder, Window, corner_error, plausible
from lib.gallery import Gallery
from lib.landmarks import SIDE, START, place_of, weighed
from lib.models import build, parameter_count
from lib.settings import PlatesError
from lib.training import Run, fit_or_load

BOX = (100.0, 50.0, 180.0, 90.0)
QUAD = np.array([[104.0, 56.0], [176.0, 50.0], [180.0, 84.0], [100.0, 90.0]])


def street(quad: np.ndarray = QUAD, seed: int = 0) -> np.ndarray:
    """Green noise of 240x160 with a magenta quadrilateral."""
    rgb = np.random.default_rng(seed).integers(60, 120, (160, 240, 3), np.uint8)
    rgb[..., 1] += 80
    cv2.fillConvexPoly(rgb, np.round((quad - 0.5) * 16).astype(int), (255, 0, 255), cv2.LINE_8, 4)
    return rgb


def test_the_blogs_network_has_three_million_parameters() -> None:
    conv = 3 * 9 * 32 + 32 + 32 * 9 * 64 + 64
    dense = 64 * 23 * 23 * 88 + 88 + 88 * 64 + 64 + 64 * 8 + 8
    assert parameter_count(build("landmarks")) == conv + dense == 3_005_024
    assert parameter_count(build("small_landmarks")) < 0.25 * 3_005_024


@pytest.mark.parametrize(("name", "start"), [("landmarks", START), ("small_landmarks", [[0.5, 0.5]] * 4)])
def test_it_starts_at_a_plates_usual_place_or_undecided_and_every_layer_learns(name: str, start: list) -> None:
    network = build(name)
    crops = torch.rand(3, 3, SIDE, SIDE)
    found = network(crops)
    assert torch.allclose(found, torch.tensor(start).expand(3, 4, 2), atol=1e-5)
    nn.init.normal_(network.head[-1].weight)  # zero at first, which lets no gradient through
    network(crops).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_the_surest_votes_count() -> None:
    votes = torch.tensor([[[[0.1, 0.2, 0.9], [0.3, 0.4, 0.8]]]])  # of three places, about one corner
    even, one, two = torch.zeros(1, 1, 3), torch.tensor([[[0.0, 99.0, 0.0]]]), torch.tensor([[[50.0, 50.0, 0.0]]])
    for sure, mean in ((even, [0.4, 0.5]), (one, [0.2, 0.4]), (two, [0.15, 0.35])):
        torch.testing.assert_close(weighed(votes, sure), torch.tensor([[mean]]))


def test_places_hold_their_corners_and_vote_for_their_own_middle_at_first() -> None:
    corners = torch.tensor([[[0.0, 0.0], [0.999, 0.0], [0.5, 0.05], [1.4, -0.2]]])
    assert place_of(corners).tolist() == [[0, 24, 25 + 12, 24]]  # the last is nearest to the top right
    votes, sure = build("small_landmarks").votes(torch.rand(1, 3, SIDE, SIDE))
    assert votes.shape == (1, 4, 2, 625) and sure.shape == (1, 4, 625) and not sure.any()
    at = place_of(corners)[0, 2]
    torch.testing.assert_close(votes[0, 2, :, at], torch.tensor([0.5, 0.06]))


def test_a_window_by_hand() -> None:
    window = Window.round(BOX, 1.5)  # 80 x 40 about (140, 70), half as much again
    assert window == (80, 40, 200, 100) and window.size.tolist() == [120, 60]
    assert window.place(np.array([[0.0, 0.0], [0.5, 1.0]])).tolist() == [[80, 40], [140, 100]]
    assert Window.round((10.2, 10.2, 10.4, 10.3), 1.0).size.min() >= 2  # a box of less than a pixel


def test_a_cut_shows_what_lies_there_and_grey_beyond_the_border() -> None:
    rgb = np.zeros((60, 80, 3), np.uint8)
    rgb[:30, :40] = 200
    inside = Window(20, 10, 60, 50).cut(rgb)
    assert inside.shape == (SIDE, SIDE, 3)
    assert inside[10, 10].tolist() == [200] * 3 and inside[90, 90].tolist() == [0] * 3
    assert abs(inside[:, 0, 0].astype(int) - 100).argmin() in range(48, 52)  # the edge, in the middle of 10 to 50
    over = Window(-40, -30, 40, 30).cut(rgb)
    assert len(np.unique(over[:45, :45])) == 1 and over[80, 80].tolist() == [200] * 3
    away = Window(500, 500, 540, 520).cut(rgb)
    assert len(np.unique(away)) == 1


@given(st.integers(0, 10_000))
def test_what_is_cut_is_placed_back(seed: int) -> None:
    """The middle of a magenta square in the crop, mapped back, is its middle in the picture."""
    rng = np.random.default_rng(seed)
    rgb = np.zeros((200, 300, 3), np.uint8)
    x, y = rng.integers(60, 220), rng.integers(60, 120)
    rgb[y : y + 20, x : x + 30] = 255
    left, top = x - rng.integers(5, 50), y - rng.integers(5, 50)
    window = Window(int(left), int(top), int(x + 30 + rng.integers(5, 50)), int(y + 20 + rng.integers(5, 50)))
    rows, columns = np.nonzero(window.cut(rgb)[..., 0] > 127)
    shares = np.array([columns.mean() + 0.5, rows.mean() + 0.5]) / SIDE
    assert np.abs(window.place(shares) - (x + 15, y + 10)).max() <= 0.02 * window.size.max() + 0.5


def test_what_is_believed_and_what_is_not() -> None:
    window = Window.round(BOX, 1.3)
    assert plausible(QUAD, BOX, window)
    assert plausible(np.array([[105, 55], [175, 50], [178, 85], [102, 90]], float), BOX, window)
    crossed = QUAD[[0, 2, 1, 3]]
    backwards = QUAD[::-1]
    small = QUAD.mean(0) + (QUAD - QUAD.mean(0)) * 0.4
    outside = QUAD + np.array([30.0, 0.0])
    line = np.array([[100.0, 50.0], [180.0, 51.0], [180.0, 52.0], [100.0, 51.5]])
    dented = np.array([[104.0, 56.0], [176.0, 50.0], [120.0, 70.0], [100.0, 90.0]])
    unknown = np.where([[True, False]] * 4, np.nan, QUAD)
    for wrong in (crossed, backwards, small, outside, line, dented, unknown, unknown * np.inf):
        assert not plausible(wrong, BOX, window)


class Says(nn.Module):
    """A network that answers the same shares for every crop."""

    def __init__(self, *shares: list[list[float]]) -> None:
        super().__init__()
        self.shares = torch.tensor(shares)

    def forward(self, crops: Tensor) -> Tensor:
        return self.shares[: len(crops)]


def test_a_find_that_is_not_believed_is_the_whole_window() -> None:
    good, crossed = [[0.2, 0.2], [0.8, 0.2], [0.8, 0.8], [0.2, 0.8]], [[0.2, 0.2], [0.8, 0.8], [0.8, 0.2], [0.2, 0.8]]
    finder = CornerFinder(Says(good, crossed), expand=1.5, portable=False)
    quads, believed = finder(street(), np.array([BOX, BOX]))
    assert believed.tolist() == [True, False]
    np.testing.assert_allclose(quads[0], [[104, 52], [176, 52], [176, 88], [104, 88]], atol=1e-4)
    assert quads[1].tolist() == [[80, 40], [200, 40], [200, 100], [80, 100]]
    quads, believed = finder(street(), np.zeros((0, 5)))
    assert quads.shape == (0, 4, 2) and believed.shape == (0,)


def test_a_hundred_boxes_and_odd_ones() -> None:
    network = build("small_landmarks", channels=(4, 4, 4, 4), neck=4)
    plain, fast = (CornerFinder(network, portable=portable) for portable in (False, True))
    boxes = np.random.default_rng(0).uniform(-50, 300, (100, 4))
    boxes = np.concatenate([np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])], axis=1)
    boxes[0], boxes[1] = (5, 5, 5, 5), (0, 0, 240, 160)
    one, other = plain(street(), boxes), fast(street(), boxes)
    assert one[0].shape == (100, 4, 2) and np.isfinite(one[0]).all()
    np.testing.assert_allclose(one[0], other[0], atol=1e-3)
    assert np.array_equal(one[1], other[1])


def test_a_corner_error_by_hand() -> None:
    truth = np.array([[[0, 0], [10, 0], [10, 4], [0, 4]]], float)
    found = truth + np.array([[[3, 4], [0, 0], [0, 0], [0, 1]]])
    assert corner_error(found, truth).tolist() == [pytest.approx((5 + 1) / 4 / 10)]


def gallery(count: int, seed: int) -> Gallery:
    rng = np.random.default_rng(seed)
    quads = [QUAD + rng.normal(0, 3, (4, 2)) + rng.uniform(-20, 20, 2) for _ in range(count)]
    none = [np.zeros((0, 4, 2), np.float32)] * count
    outlines = [quad[None].astype(np.float32) for quad in quads]
    return Gallery([street(quad, seed) for quad in quads], outlines, none, ["here"] * count)


def test_a_training_crop_shows_the_plate_where_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = CornerRecipe()
    monkeypatch.setattr(lib.corner_training, "change_light", lambda crop, _: crop)
    for seed in range(30):
        crop, shares = draw(street(), QUAD, recipe, seed)
        assert crop.shape == (SIDE, SIDE, 3) and crop.dtype == np.uint8 and shares.dtype == np.float32
        inside = np.zeros((SIDE, SIDE), np.uint8)
        cv2.fillConvexPoly(inside, np.round((shares * SIDE - 0.5) * 16).astype(int), 1, cv2.LINE_8, 4)
        magenta = (crop[..., 0] > 180) & (crop[..., 1] < 90)
        assert (magenta & (inside > 0)).sum() > 0.93 * (magenta | (inside > 0)).sum()
        corners = shares.astype(float)
        sides = np.roll(corners, -1, axis=0) - corners
        after = np.roll(sides, -1, axis=0)
        assert (sides[:, 0] * after[:, 1] - sides[:, 1] * after[:, 0] > 0).all()  # clockwise, mirrored or not
    same = draw(street(), QUAD, recipe, 3)
    assert all(np.array_equal(a, b) for a, b in zip(same, draw(street(), QUAD, recipe, 3), strict=True))


def test_a_crop_without_changes_by_hand() -> None:
    still = CornerRecipe(turn=0.0, bend=0.0, jitter=0.0, expand=(1.25, 1.25))
    _, shares = next(draw(street(), QUAD, still, seed) for seed in range(9) if draw(street(), QUAD, still, seed))
    middle, size = QUAD.min(0) / 2 + QUAD.max(0) / 2, 1.25 * np.ptp(QUAD, axis=0)
    plain = (QUAD - middle) / size + 0.5
    mirrored = np.stack([1 - plain[:, 0], plain[:, 1]], axis=1)[[1, 0, 3, 2]]
    assert min(np.abs(shares - plain).max(), np.abs(shares - mirrored).max()) < 1e-5


def test_plates_without_corners_are_left_out() -> None:
    corners = QUAD.flatten().tolist()
    image = Image.fromarray(street())
    both = row(0, image, [[10.0, 10.0, 20.0, 10.0], [100.0, 50.0, 80.0, 40.0]], corners=[[], corners])
    rows = split(both, row(1, image, [[1.0, 1.0, 9.0, 9.0]]))
    found = known_corners(rows)
    assert len(found) == 1 and np.allclose(found.outlines[0], QUAD[None])
    with pytest.raises(PlatesError, match="no picture of this split has a plate with known corners"):
        known_corners(rows.select([1]))


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lib.training, "RUNS", tmp_path / "runs")
    for module in (lib.corner_training, lib.training):
        monkeypatch.setattr(module, "device", lambda: torch.device("cpu"))


def train(recipe: CornerRecipe) -> Run:
    return fit_or_load("tiny", recipe, gallery(32, 1), gallery(6, 2), "magenta plates", trainer=CornerTrainer)


@pytest.mark.usefixtures("runs")
def test_it_learns_where_corners_are() -> None:
    small = {"channels": [4, 8, 8, 8], "neck": 8}
    recipe = CornerRecipe("small_landmarks", small, epochs=40, batch=8, learning_rate=3e-3, bend=0.05, turn=2.0)
    run = train(recipe)
    first, last = run.history[0]["validation_error"], run.history[-1]["validation_error"]
    assert last < 0.6 * first and run.history[-1]["validation_loss"] < run.history[0]["validation_loss"]
    assert train(recipe).loaded and not train(replace(recipe, epochs=1)).loaded


def test_far_plates_are_not_learned_from() -> None:
    far = Gallery([street()], [QUAD[None].astype(np.float32) / 10], [np.zeros((0, 4, 2), np.float32)], ["here"])
    with pytest.raises(PlatesError, match="no training plate is 10 pixels wide"):
        CornerTrainer(CornerRecipe(), far, far)


@pytest.mark.parametrize(("name", "value"), [("expand", (0.9, 1.2)), ("jitter", 0.5), ("beta", 0.0), ("batch", 1)])
def test_unusable_values_are_named(name: str, value: object) -> None:
    with pytest.raises(PlatesError, match=f"{name}="):
        CornerRecipe(**{name: value})
