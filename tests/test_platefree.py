"""Pictures without a plate: that they have none, and that alarms are counted as they are."""

import numpy as np
import pytest
from PIL import Image
from tiny import row, scene, split

from lib.conceal import Concealer
from lib.platefree import false_alarms, free_crops, free_scenes


def magenta(rgb: np.ndarray) -> np.ndarray:
    return 1.0 - ((rgb[..., 0] > 200) & (rgb[..., 1] < 60)).astype(np.float32)


magenta.name = "magenta"


@pytest.fixture
def finder() -> Concealer:
    return Concealer(magenta, threshold=0.5, growth=0.0)


def test_crops_hold_no_labelled_plate(finder: Concealer) -> None:
    rows, random = [], np.random.default_rng(0)
    for number in range(30):
        rgb, box = scene(random, 128, 96)
        rows.append(row(number, Image.fromarray(rgb), [box]))
    crops = free_crops(split(*rows), 20, share=0.4)
    assert len(crops) == 20 and all(each.shape == (38, 51, 3) for each in crops)
    assert false_alarms(finder, crops)["alarmed"] == 0.0
    again = free_crops(split(*rows), 20, share=0.4)
    assert all(np.array_equal(a, b) for a, b in zip(crops, again, strict=True))


def test_a_photograph_that_is_all_plate_is_passed_over() -> None:
    full = row(0, Image.new("RGB", (64, 48)), [[0.0, 0.0, 64.0, 48.0]])
    free = row(1, Image.new("RGB", (64, 48)), [])
    assert len(free_crops(split(full, free), 5)) == 1


def test_alarms_by_hand(finder: Concealer) -> None:
    clean, marked = np.zeros((10, 10, 3), np.uint8), np.zeros((10, 10, 3), np.uint8)
    marked[2:4, 3:8] = (255, 0, 255)
    told = false_alarms(finder, [clean, marked, clean, clean])
    assert told["pictures"] == 4 and told["alarmed"] == 0.25 and told["area"] == 10 / 400
    low, high = told["interval"]
    assert low == 0.0 and 0.5 <= high < 1.0


def test_scenes_without_plates_are_scenes_and_differ() -> None:
    one, two = free_scenes(2)
    assert one.shape == two.shape == (480, 640, 3) and one.dtype == np.uint8
    assert not np.array_equal(one, two)
