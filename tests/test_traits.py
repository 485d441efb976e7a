"""Coverage by trait, by hand: groups, bins, and the order of plates."""

import numpy as np
import pytest
from PIL import Image
from tiny import row, split

from lib.data import plates_of
from lib.metrics import Accumulator
from lib.traits import ANGLES, WIDTHS, all_traits, bin_name, binned, coverage_by, traits


def measured(rows: list[dict]) -> Accumulator:
    """Concealed are the left halves of the pictures."""
    held = Accumulator()
    for each in rows:
        mask = np.zeros((each["height"], each["width"]), bool)
        mask[:, : each["width"] // 2] = True
        held.add(mask, mask, plates_of(each), each["source"])
    return held


@pytest.fixture
def rows() -> list[dict]:
    boxes = [[2.0, 2.0, 20.0, 8.0], [70.0, 2.0, 20.0, 8.0], [200.0, 2.0, 20.0, 8.0]]  # the last one is off the picture
    told = {"angle": [10.0, 50.0, 50.0], "look": ["eu", "us", "us"]}
    one = row(0, Image.new("RGB", (100, 40)), boxes, **told) | {"light": "day"}
    two = row(1, Image.new("RGB", (100, 40)), boxes[:1], angle=[-1.0]) | {"light": "night", "source": "there"}
    return [one, two]


def test_traits_follow_the_plates_that_are_counted(rows: list[dict]) -> None:
    known, held = traits(split(*rows)), measured(rows)
    assert len(known) == len(held.plates) == 3  # the plate off the picture is in neither
    assert [each["angle"] for each in known] == [10.0, 50.0, None]
    told = all_traits(held, known)
    assert {name: group["coverage"] for name, group in told["design"].items()} == {"eu": 1.0, "us": 0.0}
    assert {name: group["plates"] for name, group in told["angle of the view"].items()} == {
        "0 to 15°": 1, "45 to 90°": 1,
    }  # fmt: skip
    assert told["light"]["day"]["coverage"] == 0.5 and told["light"]["night"]["coverage"] == 1.0
    assert told["source"]["here"]["plates"] == 2
    assert told["scaled width, px"]["80 and more"]["plates"] == 3  # 20 of 100 pixels are 128 of 640
    low, high = told["light"]["day"]["interval"]
    assert low == high == 0.5  # one picture alone has such plates


def test_groups_that_do_not_fit_are_refused(rows: list[dict]) -> None:
    with pytest.raises(ValueError, match="1 groups do not fit 3 plates"):
        coverage_by(measured(rows), ["a"])


def test_bins_by_hand() -> None:
    assert binned([0.0, 15.9, 16.0, 24.0, 1e9, None], WIDTHS) == [0, 0, 1, 2, 4, None]
    assert binned([90.0], ANGLES) == [3]  # the last edge belongs to the last bin
    assert bin_name(WIDTHS, 1) == "16 to 24" and bin_name(WIDTHS, 4) == "80 and more"
