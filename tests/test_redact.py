"""Concealing a region: what changes, and what cannot change; `test_attack` tries to read it back."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lib.redact import FILL, MODES, redact
from lib.settings import PlatesError


@st.composite
def pictures_with_masks(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    height, width = draw(st.integers(1, 24)), draw(st.integers(1, 24))
    shape = (height, width, *draw(st.sampled_from([(), (1,), (3,)])))
    dtype = draw(st.sampled_from([np.uint8, np.uint16]))
    return draw(hnp.arrays(dtype, shape)), draw(hnp.arrays(np.bool_, (height, width)))


@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=60, deadline=None, derandomize=True)
@given(drawn=pictures_with_masks())
def test_nothing_outside_the_mask_changes_nor_does_the_input(mode: str, drawn: tuple[np.ndarray, np.ndarray]) -> None:
    pixels, mask = drawn
    before = pixels.copy()
    out = redact(pixels, mask, mode)
    assert out.shape == pixels.shape and out.dtype == pixels.dtype
    assert np.array_equal(out[~mask], pixels[~mask])
    assert np.array_equal(pixels, before)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(drawn=pictures_with_masks(), seed=st.integers(0, 9))
def test_fill_holds_nothing_of_what_was_there(drawn: tuple[np.ndarray, np.ndarray], seed: int) -> None:
    pixels, mask = drawn
    other = pixels.copy()
    other[mask] = np.random.default_rng(seed).integers(0, 255, other[mask].shape)
    assert np.array_equal(redact(pixels, mask), redact(other, mask))


def test_fill_is_the_same_grey_at_both_depths() -> None:
    mask = np.ones((2, 2), bool)
    assert (redact(np.zeros((2, 2), np.uint8), mask) == round(FILL * 255)).all()
    assert (redact(np.zeros((2, 2), np.uint16), mask) == round(FILL * 65535)).all()


@pytest.mark.parametrize("mode", ["blur", "pixelate"])
@pytest.mark.parametrize(("dtype", "unit"), [(np.uint8, 1), (np.uint16, 257)])
def test_a_region_of_one_colour_gets_the_nearest_step(mode: str, dtype: type, unit: int) -> None:
    pixels = np.full((40, 90, 3), (10, 120, 250), dtype) * dtype(unit)
    mask = np.zeros((40, 90), bool)
    mask[10:30, 5:80] = True
    pixels[~mask] = 60 * unit  # mixing in anything from outside would show
    expected = pixels.copy()
    expected[mask] = np.array((0, 85, 255)) * unit  # of 0, 85, 170 and 255
    assert np.array_equal(redact(pixels, mask, mode), expected)


def test_pixelate_by_hand() -> None:
    pixels = np.zeros((10, 100), np.uint8)
    pixels[:, 45:] = 90
    # 10 high, 90 long: at least 40 a slab, so two of 45, cut evenly, not 40 + 40 + 10
    mask = np.zeros((10, 100), bool)
    mask[:, :90] = True
    out = redact(pixels, mask, "pixelate")
    assert (out[:, :45] == 0).all() and (out[:, 45:] == [85] * 45 + [90] * 10).all()
    pixels[:, 30:45] = 120  # a third of the first slab: its mean is 40, nearer to 0 than to 85
    assert (redact(pixels, mask, "pixelate")[:, :45] == 0).all()
    pixels[:, 30:45] = 135  # 45
    assert (redact(pixels, mask, "pixelate")[:, :45] == 85).all()


def test_pixelate_cuts_across_a_tilted_plate() -> None:
    mask = np.zeros((200, 200), np.uint8)
    corners = cv2.boxPoints(((100, 100), (170, 16), 30))
    mask = cv2.fillPoly(mask, [np.rint(corners).astype(np.int32)], 1).view(bool)
    y, x = np.indices((200, 200)) - 99.5
    pixels = np.where(x * np.cos(np.pi / 6) + y * np.sin(np.pi / 6) > 0, 255, 0).astype(np.uint8)
    wrong = redact(pixels, mask, "pixelate") != pixels  # 171 / (4 * 17) = 2.5: two slabs that meet in the middle
    assert set(redact(pixels, mask, "pixelate")[mask]) == {0, 255}
    assert wrong.sum() <= 17 and np.abs(np.argwhere(wrong) - 99.5).max() <= 10


@pytest.mark.parametrize("mode", ["blur", "pixelate"])
def test_strength_scales_with_the_region(mode: str) -> None:
    """A picture three times as large is concealed alike: no kernel of fixed pixels."""
    small = np.random.default_rng(3).integers(0, 120, (40, 330), dtype=np.uint8)
    small[:, 165:] += 120
    large = cv2.resize(small, (990, 120), interpolation=cv2.INTER_NEAREST)
    a = redact(small, np.ones(small.shape, bool), mode)
    b = redact(large, np.ones(large.shape, bool), mode)
    difference = np.abs(cv2.resize(a, (990, 120), interpolation=cv2.INTER_NEAREST).astype(int) - b)
    assert np.ptp(a) > 80 and difference[:, np.abs(np.arange(990) - 494.5) > 2].max() <= 4


@settings(max_examples=100, deadline=None, derandomize=True)
@given(drawn=pictures_with_masks(), strength=st.floats(1, 1e9))
def test_both_modes_know_a_slabs_rounded_colour_and_nothing_else(
    drawn: tuple[np.ndarray, np.ndarray], strength: float
) -> None:
    """Whatever has the same rounded means comes out the same, so what was in a slab beyond them cannot be in there."""
    pixels, mask = drawn
    slabs = redact(pixels, mask, "pixelate", strength)
    assert set(np.unique(slabs[mask])) <= {np.iinfo(pixels.dtype).max // 3 * step for step in range(4)}
    assert np.array_equal(redact(slabs, mask, "pixelate", strength), slabs)
    assert np.array_equal(redact(slabs, mask, "blur", strength), redact(pixels, mask, "blur", strength))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(height=st.integers(1, 12), width=st.integers(1, 160), strength=st.floats(1, 1e9), seed=st.integers(0, 9))
def test_no_strength_gives_shorter_slabs(height: int, width: int, strength: float, seed: int) -> None:
    pixels = np.repeat(np.random.default_rng(seed).choice(np.uint8([0, 255]), (1, width)), height, 0)
    out = redact(pixels, np.ones(pixels.shape, bool), "pixelate", strength)
    edges = np.flatnonzero(np.diff(out[0].astype(int))) + 1
    assert (np.diff([0, *edges, width]) >= min(4 * min(height, width), width) - 1).all() and (out == out[:1]).all()


def test_raising_the_strength_flattens_the_blur() -> None:
    pixels = np.zeros((40, 400), np.uint8)
    pixels[:, 200:] = 255
    mask = np.ones(pixels.shape, bool)
    assert np.ptp(redact(pixels, mask, "blur", 4.0)) < np.ptp(redact(pixels, mask, "blur"))


@pytest.mark.parametrize("mode", MODES)
def test_half_a_large_picture_is_concealed(mode: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (1500, 2000, 3), dtype=np.uint8)
    mask = np.zeros((1500, 2000), bool)
    mask[:, :1000] = True
    out = redact(pixels, mask, mode)
    assert out[:, :1000].astype(float).std() < 5 and np.array_equal(out[:, 1000:], pixels[:, 1000:])


@pytest.mark.parametrize("strength", [0.0, 0.99, -1.0, float("nan"), float("inf")])
def test_nobody_can_ask_for_less(strength: float) -> None:
    with pytest.raises(PlatesError, match="readable"):
        redact(np.zeros((4, 4), np.uint8), np.ones((4, 4), bool), "blur", strength)


@pytest.mark.parametrize(
    ("pixels", "mask", "mode", "words"),
    [
        (np.zeros((4, 4), np.uint8), np.ones((4, 4), bool), "smear", "smear"),
        (np.zeros((4, 4), np.float32), np.ones((4, 4), bool), "fill", "float32"),
        (np.zeros((4, 4), np.uint8), np.ones((4, 5), bool), "fill", r"\(4, 5\)"),
        (np.zeros((4, 4), np.uint8), np.ones((4, 4), np.uint8), "fill", "uint8"),  # would index, not mask
    ],
)
def test_wrong_arguments_are_named(pixels: np.ndarray, mask: np.ndarray, mode: str, words: str) -> None:
    with pytest.raises(PlatesError, match=words):
        redact(pixels, mask, mode)
