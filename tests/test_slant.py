"""Background concealed with a turned plate, counted by hand; a box takes more along than a quadrilateral."""

import numpy as np
import pytest
from PIL import Image
from tiny import row, split

from lib.conceal import Concealer
from lib.regions import PlateTruth, rasterise
from lib.slant import STEEP, around, by_angle, most_turned, turned

QUAD = np.array([[20.0, 20.0], [60.0, 30.0], [60.0, 50.0], [20.0, 40.0]])  # 40 wide, 20 high, sheared by a quarter
PLATE = PlateTruth((20.0, 20.0, 40.0, 30.0), QUAD)


def filled(outline: np.ndarray, shape: tuple[int, int] = (80, 120)) -> np.ndarray:
    mask, region = np.zeros(shape, bool), rasterise(outline, shape)
    mask[region.window] = region.inside
    return mask


def test_a_box_and_a_quadrilateral_by_hand() -> None:
    own = float(filled(QUAD).sum())
    assert around(filled(PLATE.box), PLATE, [PLATE]) == (1200 - own, True, own)
    assert around(filled(QUAD), PLATE, [PLATE]) == (0, True, own)
    apart = filled(PLATE.box) | filled(np.array([[90.0, 5.0], [110, 5], [110, 15], [90, 15]]))
    assert around(apart, PLATE, [PLATE])[0] == 1200 - own  # what reaches no plate is counted with none
    neighbour = PlateTruth((60.0, 20.0, 20.0, 30.0))
    both = filled(np.array([[20.0, 20], [80, 20], [80, 50], [20, 50]]))
    assert around(both, PLATE, [PLATE, neighbour])[0] == 1200 - own  # another plate is no background
    assert around(np.zeros((80, 120), bool), PLATE, [PLATE]) == (0, False, own)


class Draws:
    """A segmentation network that knows one outline."""

    name, threshold, growth = "draws", 0.5, 0.0

    def __init__(self, outline: np.ndarray) -> None:
        self.outline = outline

    def __call__(self, rgb: np.ndarray) -> np.ndarray:
        return np.where(filled(self.outline, rgb.shape[:2]), 0.0, 1.0).astype(np.float32)


def street(angle: float, occluded: float = 0.0, corners: bool = True, number: int = 0) -> dict:
    picture = Image.fromarray(np.zeros((80, 120, 3), np.uint8))
    told = row(number, picture, [list(PLATE.bbox)], corners=[QUAD.flatten().tolist() if corners else []])
    told["objects"]["angle"], told["objects"]["occluded"] = [angle], [occluded]
    return told


def test_views_are_binned_and_compared_on_what_both_cover() -> None:
    rows = split(street(40, number=0), street(5, number=1), street(50, occluded=0.5, number=2), street(-1, number=3))
    methods = {"quadrilateral": Concealer(Draws(QUAD)), "box": Concealer(Draws(PLATE.box))}
    told = turned(methods, rows)
    assert told.angle.tolist() == [40, 5] and told.covered["box"].all()
    own = filled(QUAD).sum()
    groups = by_angle(told)
    assert list(groups) == ["0 to 15°", "30 to 45°"] and groups["30 to 45°"]["plates"] == 1
    assert groups["0 to 15°"]["box"][0] == pytest.approx((1200 - own) / own)
    assert groups["0 to 15°"]["quadrilateral"] == (0, (0, 0))
    less, interval = told.chosen(told.angle >= STEEP).less("quadrilateral", "box")
    assert less == 1 and interval == (1, 1)
    nowhere = turned({"quadrilateral": Concealer(Draws(QUAD - 15)), "box": Concealer(Draws(PLATE.box))}, rows)
    assert np.isnan(nowhere.less("quadrilateral", "box")[0]) and nowhere.less("quadrilateral", "box")[1] is None


def test_the_most_turned_come_first() -> None:
    rows = split(street(10, number=0), street(45, number=1), street(70, occluded=0.4, number=2), street(30, number=3))
    assert most_turned(rows, 2, width=30) == [1, 3]
    assert len(most_turned(rows, 9)) == 4
