"""What detectors find: overlaps and shares by hand, the confidence that counts, large frames, loaded detectors."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import row, split

from lib.checkpoints import save_checkpoint
from lib.detectors import detector
from lib.finds import (
    Finds,
    choose_least,
    ends_of,
    finder,
    found_plates,
    frame_call,
    inside,
    judged,
    large_scenes,
    look,
    overlaps,
    pictures_of,
)
from lib.models import build
from lib.regions import PlateTruth
from lib.settings import PlatesError

PLATE = PlateTruth((10.0, 10.0, 40.0, 10.0))
SMALL = PlateTruth((70.0, 50.0, 10.0, 4.0))
CROWD = PlateTruth((0.0, 0.0, 8.0, 8.0), iscrowd=True)


def boxes(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array(rows, np.float32).reshape(-1, 5)


def test_overlaps_and_shares_by_hand() -> None:
    found = boxes((10, 10, 50, 20, 1), (30, 10, 70, 20, 1), (90, 90, 95, 95, 1))
    assert overlaps(found, ends_of(PLATE.bbox)).tolist() == pytest.approx([1, 200 / 600, 0])
    assert inside(PLATE.outline, (10, 10, 30, 20)) == pytest.approx(0.5)
    turned = np.array([[0, 5], [5, 0], [10, 5], [5, 10]], float)
    assert inside(turned, (0, 0, 5, 10)) == pytest.approx(0.5) and inside(turned, (20, 0, 30, 10)) == 0


def test_which_plates_are_found() -> None:
    near = boxes((12, 10, 50, 20, 0.9), (70, 50, 76, 54, 0.8))  # 0.95 and 0.6 of the two plates
    assert found_plates(near, [PLATE, CROWD, SMALL]).tolist() == [True, True]
    assert found_plates(near[:1], [PLATE, CROWD, SMALL]).tolist() == [True, False]
    assert found_plates(boxes(), [PLATE]).tolist() == [False] and found_plates(near, []).shape == (0,)


def finds(least: float = 0.0) -> Finds:
    found = [boxes((10, 10, 50, 20, 0.9), (70, 50, 75, 52, 0.3)), boxes((14, 10, 54, 20, 0.5), (0, 0, 5, 5, 0.4))]
    return Finds("tiny", found, [[PLATE, SMALL], [PLATE]], [np.array([40.0, 10.0]), np.array([40.0])], least)


def test_recall_by_size_and_confidence() -> None:
    assert finds().recall()["recall"] == pytest.approx(2 / 3) and finds().recall()["plates"] == 3
    assert finds().large()["recall"] == 1 and finds(0.6).large()["recall"] == 0.5
    assert finds().large()["interval"] == pytest.approx((0.025**0.5, 1))  # both of two: exact
    assert finds().recall(high=24)["recall"] == 0 and finds().recall(100)["recall"] is None
    value, interval = finds().precision()
    assert 0 < value < 1 and interval[0] <= value <= interval[1]
    assert 0 < finds().strict() < value  # the second box is off by a tenth of its width


def test_plates_that_their_box_cuts() -> None:
    share, interval, found = finds().cut()  # (14 to 54) holds nine tenths of a plate from 10 to 50
    assert share == 0.5 and interval == (0, 1) and found == 2
    assert finds(0.95).cut() is None


def test_the_confidence_lets_as_many_false_boxes_pass_as_asked() -> None:
    wrong = [boxes((80, 80, 90, 90, 0.9), (80, 80, 90, 90, 0.7)), boxes((80, 80, 90, 90, 0.6), (10, 10, 50, 20, 0.1))]
    told = Finds("tiny", wrong, [[PLATE], [PLATE]], [np.array([40.0])] * 2)
    for false, passed in ((1.0, 2), (0.5, 1), (0.0, 0)):
        least = choose_least(told, false)
        assert sum((each[:, 4] >= least).sum() for each in (wrong[0], wrong[1][:1])) == passed
    assert choose_least(told, 2.0) == 0.0
    crowded = Finds("tiny", [boxes((0, 0, 8, 8, 0.9))], [[CROWD]], [np.array([])])
    assert choose_least(crowded, 0.0) == 0.0  # what is to be ignored is no fault


def test_a_split_is_looked_at_in_its_own_size() -> None:
    rgb = Image.fromarray(np.zeros((60, 80, 3), np.uint8))
    rows = split(row(0, rgb, [[10.0, 10.0, 40.0, 10.0]]), row(1, rgb, []))
    sizes = []

    def find(picture: np.ndarray, confidence: float) -> np.ndarray:
        sizes.append(picture.shape)
        return boxes((10, 10, 50, 20, 0.8))

    told = judged("tiny", find, rows, rows)
    assert sizes == [(60, 80, 3)] * 4 and told.widths[0].tolist() == [320] and not len(told.widths[1])
    assert told.least == 0.0 and told.large() == {"plates": 1, "recall": 1.0, "interval": (pytest.approx(0.025), 1.0)}
    assert len(look("tiny", find, pictures_of(rows)).found) == 2


def test_large_scenes_have_their_size_and_their_plates() -> None:
    (rgb, plates), *_ = large_scenes(1, (320, 180))
    assert rgb.shape == (180, 320, 3) and all(plate.corners.shape == (4, 2) for plate in plates)


def test_a_detector_is_loaded_from_its_file_and_others_are_refused(tmp_path: Path) -> None:
    torch.manual_seed(0)
    path = tmp_path / "ssdlite.safetensors"
    save_checkpoint(path, detector("ssdlite", 96), {"model": "ssdlite", "options": {"side": 96}})
    assert frame_call(path)().shape[1] == 5
    other = tmp_path / "corners.safetensors"
    options = {"channels": [4, 4, 4, 4], "neck": 4}
    save_checkpoint(other, build("small_landmarks", **options), {"model": "small_landmarks", "options": options})
    with pytest.raises(PlatesError, match=r"corners\.safetensors: holds small_landmarks, no detector"):
        finder(other)


def test_without_a_file_it_is_the_shipped_networks_regions() -> None:
    rgb = np.full((120, 160, 3), 90, np.uint8)
    assert finder(None)(rgb, 0.001).shape[1] == 5
