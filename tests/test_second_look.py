"""A closer look at each region: what it is shown, what its answer changes, and that it changes nothing else."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lib.engine import Segmenter
from lib.models import build
from lib.second_look import LOOSE, MOST, SIZE, WIDE, WORTH, closer, log_odds, look_again

GREEN, RED = (0, 255, 0), (255, 0, 0)


def street() -> tuple[np.ndarray, np.ndarray]:
    """A picture of 240x120 with a red and a green patch, and P(background) that takes both for plates."""
    rgb = np.full((120, 240, 3), 90, np.uint8)
    rgb[40:60, 20:80], rgb[40:60, 140:200] = RED, GREEN
    background = np.ones((120, 240), np.float32)
    for left in (20, 140):
        background[38:62, left - 2 : left + 62] = 0.9
        background[40:60, left : left + 60] = 0.4
    return rgb, background


def red(crop: np.ndarray) -> np.ndarray:
    """P(background) of a network that is sure of red."""
    small = crop[2::4, 2::4].astype(int)
    return np.where(small[..., 0] - small[..., 1] > 100, np.float32(0.001), np.float32(0.999))


def always(plate: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda crop: np.full((crop.shape[0] // 4, crop.shape[1] // 4), 1 - plate, np.float32)


def test_log_odds() -> None:
    assert log_odds(np.array([0.5, 0.75, 0.1])) == pytest.approx([0, np.log(3), -np.log(9)])
    assert np.isfinite(log_odds(np.array([0.0, 1.0]))).all()


def test_both_looks_have_their_say() -> None:
    rgb, background = street()
    before = background.copy()
    after = look_again(rgb, background, red)
    assert after.shape == background.shape and after.dtype == np.float32 and (background == before).all()
    odds = np.cbrt(0.6 / 0.4 * (0.999 / 0.001) ** 2)  # a mean of log odds is a root of the product of odds
    assert after[50, 50] == pytest.approx(1 / (1 + odds), rel=1e-4)
    assert after[50, 170] == pytest.approx(1 / (1 + np.cbrt(0.6 / 0.4 * (0.001 / 0.999) ** 2)), rel=1e-4)
    assert after[38, 170] == pytest.approx(1 / (1 + np.cbrt(0.1 / 0.9 * (0.001 / 0.999) ** 2)), rel=1e-3)
    assert (after[before == 1] == 1).all()


def test_what_the_second_look_sees_lies_where_it_saw_it() -> None:
    """Of a region that reaches too far the closer look takes back what is no plate, to the pixel."""
    rgb = np.full((120, 240, 3), GREEN, np.uint8)
    rgb[40:60, 80:140] = RED
    background = np.ones((120, 240), np.float32)
    background[30:70, 60:160] = 0.4
    for part in (background, background[::2, ::2].copy()):
        after = look_again(rgb, part, red)
        found = np.argwhere(after < 0.5) * (120 / len(part))
        size = 120 / len(part)
        assert [*found.min(0), *found.max(0) + size] == pytest.approx([40, 80, 60, 140], abs=size + 1)


@given(st.floats(0.21, 0.999), st.floats(0.001, 0.999))
def test_the_mean_of_log_odds_pixel_by_pixel(first: float, second: float) -> None:
    background = np.ones((40, 60), np.float32)
    background[10:20, 10:40] = 1 - np.float32(first) * np.linspace(0.7, 1, 30, dtype=np.float32)
    after = look_again(np.zeros((40, 60, 3), np.uint8), background, always(second))
    region = background < LOOSE
    mean = (log_odds(background[region]) + 2 * log_odds(np.float32(1 - second))) / 3
    assert after[region] == pytest.approx(1 / (1 + np.exp(-mean)), abs=1e-4)
    assert (after[~region] == background[~region]).all()


@pytest.mark.parametrize(
    ("shape", "box"),
    [
        ((480, 640), (300.0, 200.0, 360.0, 220.0)),
        ((480, 640), (300.0, 200.0, 305.0, 202.0)),
        ((480, 640), (100.0, 50.0, 140.0, 150.0)),  # upright
        ((1500, 2000), (700.0, 500.0, 1300.0, 800.0)),  # shrunk
        ((480, 640), (0.0, 0.0, 30.0, 10.0)),  # in the corner
        ((480, 640), (600.0, 470.0, 640.0, 480.0)),
        ((3, 5), (1.0, 1.0, 3.0, 2.0)),
    ],
)
def test_a_region_is_shown_at_one_size_where_it_is_said_to_lie(shape: tuple[int, int], box: tuple) -> None:
    rgb = np.full((*shape, 3), GREEN, np.uint8)
    left, top, right, bottom = (int(v) for v in box)
    rgb[top:bottom, left:right] = RED
    crop, into = closer(rgb, np.array(box))
    assert crop.shape == (SIZE[1], SIZE[0], 3) and into[0, 0] == into[1, 0]
    place = np.array(box).reshape(2, 2) * into[:, 0] + into[:, 1]
    wide, high = np.maximum(place[1] - place[0], (6 * into[0, 0], 3 * into[0, 0]))
    assert max(wide, 2 * high) == pytest.approx(WIDE) and place.mean(0) == pytest.approx(np.array(SIZE) / 2)
    is_red = (crop[..., 0].astype(int) - crop[..., 1]) > 0
    rows, columns = np.flatnonzero(is_red.any(1)), np.flatnonzero(is_red.any(0))
    slack = max(1.5, into[0, 0])  # beyond the picture's border red fades into grey over a pixel
    assert [columns[0], rows[0]] == pytest.approx(place[0], abs=slack)
    assert [columns[-1] + 1, rows[-1] + 1] == pytest.approx(place[1], abs=slack)


def test_no_region_is_no_work_and_of_many_the_rest_keep_the_first_answer() -> None:
    def never(crop: np.ndarray) -> np.ndarray:
        raise AssertionError("there is nothing to look at")

    background, rgb = np.ones((40, 60), np.float32), np.zeros((40, 60, 3), np.uint8)
    assert (look_again(rgb, background, never) == background).all()
    background[::2, ::2] = 0.5  # 600 regions
    background[::2, ::20] = 0.4
    looks: list[int] = []
    after = look_again(rgb, background, lambda crop: looks.append(1) or always(0.001)(crop))
    assert len(looks) == MOST and ((after == background) & (background < LOOSE)).sum() == 600 - MOST
    assert (after[::2, ::20] > 0.9).sum() == MOST  # the surest were asked about


def test_a_faint_region_is_left_as_it_is_and_a_surer_one_looked_at_whole() -> None:
    rgb, background = street()
    background[background < LOOSE] = WORTH + 0.05
    background[45:55, 30:40] = WORTH - 0.05
    after = look_again(rgb, background, always(0.999))
    assert (after[:, 120:] == background[:, 120:]).all()
    assert (after[38:62, 18:82] < background[38:62, 18:82]).all()


def test_a_smaller_copys_regions_are_found_in_the_picture() -> None:
    rgb, background = street()
    shown: list[np.ndarray] = []
    look_again(rgb, background[::2, ::2].copy(), lambda crop: shown.append(crop) or always(0.5)(crop))
    middles = {tuple(crop[SIZE[1] // 2, SIZE[0] // 2].tolist()) for crop in shown}
    assert middles == {RED, GREEN}


@pytest.mark.parametrize("shape", [(1, 1), (16, 16), (200, 320)])
def test_the_engine_looks_again_where_it_is_told_to(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    network = build("platenet", stem=(4, 6), channels=(8, 8, 8), depth=(1, 1, 1), neck=8)
    torch.nn.init.zeros_(network.head[-1].bias)  # undecided everywhere, so that the whole picture is a region
    rgb = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    once, twice = Segmenter(network, "once"), Segmenter(network, "twice", again=True)
    one, other = once(rgb), twice(rgb)
    assert one.shape == other.shape == shape and other.dtype == np.float32 and (one != other).any()
    plain = Segmenter(network, "twice", portable=False, again=True)
    assert np.abs(plain(rgb) - other).max() < 1e-3
