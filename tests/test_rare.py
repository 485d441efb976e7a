"""Negatives of plates and night: the rest of the picture stays, labels stay, and both are as rare as asked."""

import numpy as np
import pytest

from lib.crops import Crop
from lib.rare import Rare, darkened, negatives
from lib.regions import corners_of
from lib.settings import PlatesError

PLATE = corners_of((20, 10, 60, 26))[None].astype(np.float32)
NONE = np.zeros((0, 4, 2), np.float32)
STILL = Crop(side=64, longest=80, light=False)


@pytest.fixture
def street() -> np.ndarray:
    """A yellow plate with black characters on a noisy ground."""
    rgb = np.random.default_rng(0).integers(90, 160, (60, 80, 3), np.uint8)
    rgb[10:26, 20:60] = (240, 200, 40)
    rgb[14:22, 24:56:4] = 10
    return rgb


def test_a_negative_swaps_characters_and_ground_within_the_plates_own_range(street: np.ndarray) -> None:
    made = negatives(street, PLATE, colour=0.0)
    ground = 0.299 * 240 + 0.587 * 200 + 0.114 * 40  # 193.72: the two ends are the ground's and the characters' 10
    assert np.abs(made[12, 22].astype(int) - 10).max() <= 1
    assert np.abs(made[16, 24].astype(int) - ground).max() <= 1


def test_a_negative_keeps_what_is_asked_of_the_colour(street: np.ndarray) -> None:
    ground = negatives(street, PLATE)[12, 22].astype(int)
    assert ground[0] > ground[1] > ground[2] == 0  # dark, and still yellow: 10 plus 46, 6 and -154
    assert np.abs(ground - (56, 16, 0)).max() <= 1


def test_outside_the_outlines_no_pixel_changes(street: np.ndarray) -> None:
    before, turned = street.copy(), np.float32([[[30, 8], [62, 16], [58, 30], [26, 22]]])
    made = negatives(street, turned)
    assert np.array_equal(street, before), "the picture that it was given stays"
    differs = np.argwhere((made != street).any(-1))[:, ::-1] + 0.5
    sides = np.roll(turned[0], -1, 0) - turned[0]
    away = differs[:, None] - turned[0]
    inward = (sides[:, 0] * away[..., 1] - sides[:, 1] * away[..., 0]) / np.hypot(*sides.T)
    assert len(differs) > 400 and inward.min() >= 0, "pixels belong to the outline that holds their centre"


def test_outlines_beyond_the_picture_and_of_no_area_are_borne(street: np.ndarray) -> None:
    odd = np.stack([corners_of(box) for box in ((-30, -30, -5, -5), (70, 50, 120, 90), (5, 5, 5.5, 5.5))])
    made = negatives(street, odd.astype(np.float32))
    assert np.array_equal(made[:50], street[:50]) and (made[50:, 70:] != street[50:, 70:]).any()
    assert np.array_equal(negatives(street, NONE), street)


def test_night_is_darker_by_the_same_share_everywhere_and_noisy() -> None:
    flat = np.full((64, 64, 3), 200, np.uint8)
    flat[32:] = 100
    for seed in range(20):
        night = darkened(flat, np.random.default_rng(seed)).astype(float)
        upper, lower = night[:32].mean((0, 1)), night[32:].mean((0, 1))
        assert (upper > 9).all() and (upper < 101).all() and upper[0] >= upper[2] - 1, "a lamp is not bluer than day"
        np.testing.assert_allclose(lower, upper / 2, atol=0.6)
        assert night[:32].std((0, 1)).min() > 0.3


def test_the_crop_and_its_outlines_are_those_of_the_crop_beneath(street: np.ndarray) -> None:
    plain, (outline,) = STILL(street, PLATE, 7)
    assert np.array_equal(Rare(STILL, 0.0, 0.0)(street, PLATE, 7)[0], plain)
    made, (same,) = Rare(STILL, 1.0, 0.0)(street, PLATE, 7)
    assert np.array_equal(same, outline) and (made != plain).any()
    dark, (same,) = Rare(STILL, 0.0, 1.0)(street, PLATE, 7)
    assert np.array_equal(same, outline) and dark.mean() < 0.6 * plain.mean()
    assert np.array_equal(dark, Rare(STILL, 0.0, 1.0)(street, PLATE, 7)[0]), "of its picture and its seed alone"
    assert Rare(STILL, 0.5, 0.5).side == 64


def test_they_are_as_rare_as_asked(street: np.ndarray) -> None:
    rare, seeds = Rare(STILL, 0.25, 0.25), range(400)
    plain = [STILL(street, PLATE, seed)[0] for seed in seeds]
    night = np.mean([rare(street, PLATE, s)[0].mean() < 0.6 * plain[s].mean() for s in seeds])
    assert 0.18 < night < 0.32
    same = np.mean([np.array_equal(Rare(STILL, 0.25, 0.0)(street, PLATE, s)[0], plain[s]) for s in seeds])
    assert 0.68 < same < 0.9, "three quarters, and those in which the plate is not seen"


def test_a_picture_with_outlines_of_middles_alone_has_no_negative(street: np.ndarray) -> None:
    plain = STILL(street, PLATE, 3, PLATE)
    made = Rare(STILL, 1.0, 0.0)(street, PLATE, 3, PLATE)
    assert len(made) == 3 and all(np.array_equal(one, other) for one, other in zip(made, plain, strict=True))
    assert (Rare(STILL, 1.0, 0.0)(street, PLATE, 3, NONE)[0] != plain[0]).any()


@pytest.mark.parametrize("name", ["negative", "night"])
def test_shares_that_are_none_are_named(name: str) -> None:
    with pytest.raises(PlatesError, match=f"{name}=1.5 gives no crop; use a share from 0 to 1"):
        Rare(STILL, **{"negative": 0.0, "night": 0.0, name: 1.5})
