"""The finder without a network: what it proposes, what it measures, and that it finds drawn plates."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from datasets import Dataset
from tiny import coco_split

from lib.boxes import average_precision
from lib.classic import MEASURED, Classic, characters, logistic, look, measure, propose
from lib.data import load_folder, plates_of
from lib.settings import PlatesError


def street(random: np.random.Generator) -> tuple[np.ndarray, tuple[int, int, int, int]]:
    """A grey street with a dark car, a white plate with characters on it, and a window with no character."""
    rgb = np.full((240, 320, 3), 120, np.uint8)
    rgb += random.integers(0, 12, rgb.shape, np.uint8)
    x, y = int(random.integers(60, 180)), int(random.integers(100, 190))
    rgb[y - 60 : y + 35, x - 40 : x + 110] = 40
    rgb[y - 55 : y - 25, x : x + 70] = (200, 205, 215)  # the window: bright, smooth
    rgb[y : y + 20, x : x + 72] = 240
    text = "".join(random.choice([*"ABEHKX3479"], 6))
    cv2.putText(rgb, text, (x + 3, y + 16), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (10, 10, 10), 2)
    return rgb, (x, y, 72, 20)


def streets(count: int, seed: int) -> Dataset:
    random = np.random.default_rng(seed)
    made = [street(random) for _ in range(count)]
    empty = [[] for _ in made]
    objects = [
        {"bbox": [box], "corners": [[]], "characters": [[]], "iscrowd": [False]} for box in (box for _, box in made)
    ]
    from PIL import Image

    rows = {"image": [Image.fromarray(rgb) for rgb, _ in made], "objects": objects, "source": empty}
    return Dataset.from_dict(rows)


@pytest.fixture(scope="module")
def finder() -> Classic:
    return Classic.fit(streets(24, 0))


def test_it_finds_plates_it_was_not_fitted_to(finder: Classic) -> None:
    test = streets(12, 1)
    found = [finder.boxes(np.asarray(row["image"])) for row in test]
    assert average_precision(found, [plates_of(row) for row in test])[0] > 0.8


def test_boxes_lie_in_the_picture_and_are_sorted(finder: Classic) -> None:
    rgb, _ = street(np.random.default_rng(5))
    found = finder.boxes(rgb)
    assert found.dtype == np.float32 and found.shape[1] == 5 and len(found)
    assert (found[:, :4] >= 0).all() and (found[:, [0, 2]] <= 320).all() and (found[:, [1, 3]] <= 240).all()
    assert (np.diff(found[:, 4]) <= 0).all() and (found[:, 4] <= 1).all()
    assert len(finder.boxes(rgb, 0.5)) <= len(found)
    assert (finder.boxes(rgb, 0.5)[:, 4] >= 0.5).all()


def test_a_larger_picture_of_the_same_gives_larger_boxes(finder: Classic) -> None:
    rgb, (x, y, w, h) = street(np.random.default_rng(6))
    large = cv2.resize(rgb, None, fx=5, fy=5, interpolation=cv2.INTER_CUBIC)
    best = finder.boxes(large)[0, :4] / 5
    np.testing.assert_allclose(best, (x, y, x + w, y + h), atol=6)


@pytest.mark.parametrize("shape", [(1, 1, 3), (5, 300, 3), (40, 40, 3)])
def test_a_picture_without_anything_gives_no_box(finder: Classic, shape: tuple[int, int, int]) -> None:
    assert finder.boxes(np.full(shape, 90, np.uint8)).shape == (0, 5)


def test_characters_are_counted_dark_on_light_and_light_on_dark() -> None:
    plate = np.full((30, 120), 230, np.uint8)
    for left in (10, 35, 60, 85):
        plate[6:24, left : left + 10] = 20
    assert characters(plate) == 4
    assert characters(255 - plate) == 4
    assert characters(np.full((30, 120), 230, np.uint8)) == 0


def test_measurements_are_what_their_names_say() -> None:
    rgb = np.full((60, 100, 3), 60, np.uint8)
    rgb[20:30, 30:65] = 250
    views = look(rgb)
    ((edges, against, colour, beside, filled, shape, letters),) = measure(views, np.array([(30, 20, 65, 30, 0.75)]))
    assert len(MEASURED) == 7
    assert colour == 1.0 and filled == 0.75 and letters == 0.0
    assert shape == pytest.approx(0.0)  # 35 x 10 is 3.5
    assert beside == pytest.approx(1 - 350 / (20 * 45))  # half a height around
    assert edges > 0 and against < 1.5


def test_yellow_is_a_plates_colour_and_red_is_not() -> None:
    for colour, wanted in (
        ((240, 200, 20), True),
        ((250, 250, 250), True),
        ((220, 20, 20), False),
        ((30, 30, 30), False),
    ):
        rgb = np.full((20, 20, 3), 60, np.uint8)
        rgb[5:10, 5:10] = colour
        assert bool(look(rgb).coloured[7, 7]) == wanted


def test_proposals_have_a_plates_shape() -> None:
    rgb, _ = street(np.random.default_rng(7))
    boxes = propose(look(rgb))
    w, h = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    assert len(boxes) and (w / h >= 1.2).all() and (w / h <= 8).all() and (boxes[:, 4] <= 1).all()


def test_logistic_regression_finds_the_weights_that_made_the_data() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(20_000, 2))
    y = random.random(20_000) < 1 / (1 + np.exp(-(1.5 * x[:, 0] - 0.5 * x[:, 1] - 1)))
    np.testing.assert_allclose(logistic(x, y), (1.5, -0.5, -1), atol=0.06)


def test_logistic_regression_with_the_constant_alone_is_the_share() -> None:
    weights = logistic(np.zeros((10, 1)), np.arange(10) < 3)
    assert 1 / (1 + np.exp(-weights[1])) == pytest.approx(0.3)
    assert weights[0] == 0
    split = logistic(np.array([[-1.0], [1.0]]), np.array([False, True]))  # perfect: only the ridge keeps it finite
    assert np.isfinite(split).all() and split[0] > 0


def test_pictures_whose_plates_are_never_proposed_cannot_teach(tmp_path: Path) -> None:
    split = load_folder(coco_split(tmp_path / "none", 4, plates=False))
    with pytest.raises(PlatesError, match="proposed boxes are plates"):
        Classic.fit(split)
