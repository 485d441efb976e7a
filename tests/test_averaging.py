"""Frames laid over each other: the noise shrinks as the square root of their number, the plate stays."""

import numpy as np
import pytest

from lib.averaging import FACE, stacked, stretched
from lib.scenes import Plate, Scene
from lib.settings import PlatesError


def frame(shift: int, noise: np.ndarray) -> Scene:
    """A grey frame with a plate of two halves, dark and less dark, ``shift`` pixels to the right."""
    image = np.full((80, 240, 3), 60.0)
    image[20:46, 20 + shift : 64 + shift] = 80
    image[20:46, 64 + shift : 108 + shift] = 90
    corners = np.array([(20, 20), (108, 20), (108, 46), (20, 46)], np.float32) + np.float32([shift, 0])
    plate = Plate("AB12", corners, (20.0 + shift, 20.0, 88.0, 26.0), (), "white", 0.0, 0.0, "night")
    pixels = np.rint(image + noise).clip(0, 255).astype(np.uint8)
    return Scene(pixels, (plate,), "street", "night", 0, 0)


def test_a_plate_that_moves_is_laid_on_itself_and_its_noise_shrinks() -> None:
    random = np.random.default_rng(0)
    clip = [frame(3 * number, random.normal(0, 15, (80, 240, 3))) for number in range(25)]
    first, mean, count = stacked(clip, "AB12")
    assert count == 25 and first.shape == mean.shape == (FACE[1], FACE[0], 3)
    inner = (slice(10, 120), slice(20, 200))
    assert mean[inner].std() < first[inner].std() / 4  # a fifth, but for the warp's own smoothing
    assert mean[inner].mean() == pytest.approx(80, abs=1)
    assert mean[10:120, 240:420].mean() == pytest.approx(90, abs=1)


def test_without_the_plate_there_is_a_sentence() -> None:
    with pytest.raises(PlatesError, match="no frame of this clip has the plate 'ZZ99'"):
        stacked([frame(0, np.zeros(1))], "ZZ99")


def test_stretching_uses_all_levels() -> None:
    levels = np.linspace(40, 60, 300).reshape(10, 10, 3)
    assert (stretched(levels).min(), stretched(levels).max()) == (0, 255)
    assert not stretched(np.full((4, 4, 3), 7.0)).any()
