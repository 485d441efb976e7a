"""Concealing a region: what changes, what cannot change, and whether it can be read back."""

import string
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageDraw, ImageFont

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
def test_a_region_of_one_colour_keeps_it(mode: str) -> None:
    pixels = np.full((40, 90, 3), (10, 120, 250), np.uint8)
    mask = np.zeros((40, 90), bool)
    mask[10:30, 5:80] = True
    pixels[~mask] = 0  # mixing in anything from outside would show
    assert np.array_equal(redact(pixels, mask, mode), pixels)


def test_pixelate_by_hand() -> None:
    pixels = np.zeros((10, 60), np.uint8)
    pixels[:, 25:] = 90
    # 10 high, 50 long: at least 20 a slab, so two of 25, cut evenly, not 20 + 20 + 10
    mask = np.zeros((10, 60), bool)
    mask[:, :50] = True
    out = redact(pixels, mask, "pixelate")
    assert (out[:, :25] == 0).all() and (out[:, 25:] == 90).all()
    pixels[:, 20:25] = 100  # five of the first slab's 25 columns
    assert (redact(pixels, mask, "pixelate")[:, :25] == 20).all()


def test_pixelate_cuts_across_a_tilted_plate() -> None:
    mask = np.zeros((200, 200), np.uint8)
    corners = cv2.boxPoints(((100, 100), (150, 30), 30))
    cv2.fillPoly(mask, [np.rint(corners).astype(np.int32)], 1)
    pixels = np.random.default_rng(0).integers(0, 256, (200, 200), dtype=np.uint8)
    out = redact(pixels, mask.astype(bool), "pixelate")
    assert len(np.unique(out[mask.astype(bool)])) <= 2  # 151 / (2 * 31) = 2.4


@pytest.mark.parametrize("mode", ["blur", "pixelate"])
def test_strength_scales_with_the_region(mode: str) -> None:
    """A picture three times as large is concealed alike: no kernel of fixed pixels."""
    small = cv2.resize(np.random.default_rng(3).integers(0, 256, (8, 30), dtype=np.uint8), (150, 40))
    large = cv2.resize(small, (450, 120), interpolation=cv2.INTER_NEAREST)
    a = redact(small, np.ones(small.shape, bool), mode)
    b = redact(large, np.ones(large.shape, bool), mode)
    difference = np.abs(cv2.resize(a, (450, 120), interpolation=cv2.INTER_NEAREST).astype(int) - b)
    assert difference.max() <= 4


def test_raising_the_strength_flattens_the_blur() -> None:
    pixels = np.zeros((40, 200), np.uint8)
    pixels[:, 100:] = 255
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


# The attack of Hill et al. 2016 in its strongest form: font, places, plate and method are known, only the text is not.
ALPHABET, LENGTH, HEIGHT, WIDTH = string.ascii_uppercase + string.digits, 7, 48, 230
FONT = ImageFont.load_default(size=46)
CHARACTER_HEIGHT = 33


def plate(text: str) -> np.ndarray:
    """A (HEIGHT, WIDTH) float plate, black on white; spaces leave a place empty."""
    image = Image.new("L", (WIDTH, HEIGHT), 235)
    for place, character in enumerate(text):
        ImageDraw.Draw(image).text((30 + place * 29, HEIGHT / 2), character, 25, FONT, anchor="mm")
    return np.asarray(image, np.float64)


def recovered(conceal: Callable[[np.ndarray], np.ndarray], plates: int = 14) -> float:
    """Share of characters that a matched attack reads from plates that were concealed at 8 bits, with camera noise.

    Every method here is linear in the pixels, so one rendering per character and place spans all texts; the nearest
    text is then searched place by place, from several starts. The attacker's own renderings have 16 bits.
    """
    fine = lambda text: conceal(np.rint(plate(text) * 257).astype(np.uint16)).ravel() / 257  # noqa: E731
    blank = fine(" " * LENGTH)
    marks = np.stack([fine(" " * i + c + " " * (LENGTH - 1 - i)) - blank for i in range(LENGTH) for c in ALPHABET])
    gram = marks @ marks.T
    random, right = np.random.default_rng(7), 0
    n = len(ALPHABET)
    for _ in range(plates):
        truth = random.integers(0, n, LENGTH)
        seen = plate("".join(ALPHABET[t] for t in truth)) + random.normal(0, 2, (HEIGHT, WIDTH))
        match = marks @ (conceal(np.rint(seen.clip(0, 255)).astype(np.uint8)).ravel() - blank)
        best, best_cost = truth * 0, np.inf
        for _ in range(20):
            guess = random.integers(0, n, LENGTH)
            cost = np.inf
            while True:
                for i in range(LENGTH):
                    rows = np.arange(i * n, (i + 1) * n)
                    others = [j * n + guess[j] for j in range(LENGTH) if j != i]
                    guess[i] = np.argmin(gram[rows, rows] / 2 - match[rows] + gram[np.ix_(rows, others)].sum(1))
                chosen = np.arange(LENGTH) * n + guess
                new = gram[np.ix_(chosen, chosen)].sum() / 2 - match[chosen].sum()
                if new >= cost - 1e-9:
                    break
                cost = new
            if cost < best_cost:
                best, best_cost = guess.copy(), cost
        right += int((best == truth).sum())
    return right / (plates * LENGTH)


def test_the_attack_reads_a_weak_blur() -> None:
    """The positive control: without it, an attack that never works would pass for a safe blur."""
    weak = lambda pixels: cv2.GaussianBlur(pixels, (0, 0), CHARACTER_HEIGHT / 4)  # noqa: E731
    assert recovered(weak) >= 0.9


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("rows", [slice(0, HEIGHT), slice(8, 40)], ids=["plate", "characters_only"])
def test_the_attack_reads_nothing_from_ours(mode: str, rows: slice) -> None:
    """Also where the region is no taller than the characters. Chance is 1 of 36."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[rows] = True
    assert recovered(lambda pixels: redact(pixels, mask, mode)[mask]) <= 0.12
