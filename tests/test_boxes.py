"""Boxes as maps of probabilities and as average precision, counted by hand and against COCO's own code."""

import contextlib
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from lib.boxes import GREY, BoxSegmenter, average_precision, boxes_of, find_boxes, letterbox, paint, shrink
from lib.regions import PlateTruth, rasterise


def truth(x: float, y: float, w: float, h: float, crowd: bool = False) -> PlateTruth:
    return PlateTruth((x, y, w, h), iscrowd=crowd)


def test_a_wide_picture_is_padded_above_and_below() -> None:
    square, scale, left, top = letterbox(np.full((40, 80, 3), 7, np.uint8), 64)
    assert (scale, left, top) == (0.8, 0, 16)
    assert (square[16:48] == 7).all() and (square[:16] == GREY).all() and (square[48:] == GREY).all()


def test_a_small_picture_is_enlarged_into_the_square_and_never_by_shrink() -> None:
    picture = np.full((10, 20, 3), 7, np.uint8)
    square, scale, left, top = letterbox(picture, 64)
    assert (scale, left, top) == (3.2, 0, 16) and (square[16:48] == 7).all()
    assert shrink(picture, 64)[0].shape == (10, 20, 3) and shrink(picture, 64)[1] == 1.0
    assert shrink(picture, 10)[0].shape == (5, 10, 3) and shrink(picture, 10)[1] == 0.5


def test_a_networks_boxes_come_back_in_pixels_of_the_picture() -> None:
    """A picture of 80x40 in a square of 64: scale .8, 16 rows of padding above."""
    raw = np.zeros((1, 5, 4), np.float32)
    raw[0, :, 0] = (32, 32, 16, 8, 0.9)  # 24..40 x 28..36 in the square: 30..50 x 15..25 in the picture
    raw[0, :, 1] = (32, 32, 16, 9, 0.8)  # the same plate, less sure
    raw[0, :, 2] = (0, 18, 8, 8, 0.5)  # over the left and the top border
    raw[0, :, 3] = (50, 32, 4, 4, 0.05)  # not sure enough
    given_: list[np.ndarray] = []
    found = find_boxes(lambda x: given_.append(x) or raw, np.zeros((40, 80, 3), np.uint8), 64, 0.1)
    assert given_[0].shape == (1, 3, 64, 64) and given_[0].dtype == np.float32
    assert given_[0].max() == pytest.approx(GREY / 255)
    np.testing.assert_allclose(found, [(30, 15, 50, 25, 0.9), (0, 0, 5, 7.5, 0.5)], rtol=1e-6)


def test_a_network_that_finds_nothing_gives_no_box() -> None:
    found = find_boxes(lambda x: np.zeros((1, 5, 7), np.float32), np.zeros((40, 80, 3), np.uint8), 64)
    assert found.shape == (0, 5)
    assert (paint(found, (40, 80)) == 1).all()


def test_a_pixel_has_the_confidence_of_its_surest_box() -> None:
    boxes = np.array([(0, 0, 4, 2, 0.9), (2, 0, 6, 2, 0.25), (2, 0, 3, 1, 0.5)], np.float32)
    background = paint(boxes, (3, 8))
    np.testing.assert_allclose(background[0], [0.1, 0.1, 0.1, 0.1, 0.75, 0.75, 1, 1], rtol=1e-6)
    assert (background[2] == 1).all() and background.dtype == np.float32


edge = st.floats(-5, 25, allow_nan=False, width=32)


@given(edge, edge, st.floats(0, 20, width=32), st.floats(0, 20, width=32))
def test_a_box_holds_the_pixels_that_a_label_of_its_size_holds(x: float, y: float, w: float, h: float) -> None:
    plate = PlateTruth((float(x), float(y), float(w), float(h)))
    region, wanted = rasterise(plate.box, (16, 20)), np.zeros((16, 20), bool)
    if region is not None:
        wanted[region.window] |= region.inside
    painted = paint(np.array([(x, y, float(x) + float(w), float(y) + float(h), 0.5)]), (16, 20)) < 1
    assert (painted == wanted).all()


def test_a_detector_takes_a_networks_place_and_remembers_its_boxes() -> None:
    one = BoxSegmenter(lambda rgb, least: np.array([(0, 0, 1, 1, 0.7)], np.float32), "one")
    assert one.last is None
    background = one(np.zeros((2, 3, 3), np.uint8))
    assert background[0, 0] == pytest.approx(0.3) and background.sum() == pytest.approx(5.3)
    assert one.last is not None and len(one.last) == 1


def test_a_region_becomes_a_box_with_its_mean_probability() -> None:
    background = np.ones((10, 20), np.float32)
    background[2:4, 3:7] = 0.2
    background[8, 15] = 0.1
    np.testing.assert_allclose(boxes_of(background, 0.5), [(15, 8, 16, 9, 0.9), (3, 2, 7, 4, 0.8)], rtol=1e-6)
    assert boxes_of(background, 0.05).shape == (0, 5)


def test_a_box_ends_where_the_region_falls_below_a_share_of_its_peak() -> None:
    background = np.ones((10, 20), np.float32)
    background[2:6, 3:13] = 0.7  # P(plate) .3: what a network is unsure of round a plate
    background[3:5, 5:11] = 0.4  # .6
    background[3, 6:8] = 0.2  # .8, the peak
    for edge, box in ((0.0, (3, 2, 13, 6)), (0.37, (3, 2, 13, 6)), (0.7, (5, 3, 11, 5)), (1.0, (6, 3, 8, 4))):
        np.testing.assert_allclose(boxes_of(background, 0.8, np.min, edge), [(*box, 0.8)], rtol=1e-6)
    background[8, 15] = 0.75  # a faint region is judged by its own peak
    np.testing.assert_allclose(boxes_of(background, 0.8, np.min, 0.9)[1], (15, 8, 16, 9, 0.25), rtol=1e-6)


def test_average_precision_by_hand() -> None:
    """Three plates; found in order: right, wrong, right. Precision 1 up to recall 1/3, then 2/3 up to 2/3."""
    boxes = [np.array([(0, 0, 10, 10, 0.9), (50, 50, 60, 60, 0.8)]), np.array([(0, 0, 10, 9, 0.7)]), np.zeros((0, 5))]
    plates = [[truth(0, 0, 10, 10)], [truth(0, 0, 10, 10)], [truth(0, 0, 10, 10)]]
    value, (low, high) = average_precision(boxes, plates)
    assert value == pytest.approx((34 * 1 + 33 * 2 / 3) / 101)
    assert low <= value <= high


def test_a_second_box_on_one_plate_is_wrong_and_one_in_a_crowd_is_not() -> None:
    twice = [np.array([(0, 0, 10, 10, 0.9), (0, 0, 10, 10, 0.8)])]
    assert average_precision(twice, [[truth(0, 0, 10, 10)]])[0] == 1.0  # the second comes after all is found
    early = [np.array([(0, 0, 10, 10, 0.9), (0, 0, 10, 10, 0.8), (30, 0, 40, 10, 0.7)])]
    two = [[truth(0, 0, 10, 10), truth(30, 0, 10, 10)]]
    assert average_precision(early, two)[0] == pytest.approx((51 + 50 * 2 / 3) / 101)
    crowded = [np.array([(50, 50, 60, 60, 0.95), (0, 0, 10, 10, 0.9)])]
    assert average_precision(crowded, [[truth(0, 0, 10, 10), truth(40, 40, 40, 40, crowd=True)]])[0] == 1.0
    assert average_precision(crowded, [[truth(0, 0, 10, 10)]])[0] == 0.5


def test_without_a_plate_there_is_no_precision_and_without_a_find_it_is_zero() -> None:
    assert average_precision([np.zeros((0, 5))], [[]]) is None
    assert average_precision([np.zeros((0, 5))], [[truth(0, 0, 9, 9)]]) == (0.0, (0.0, 0.0))


def test_average_precision_is_cocos() -> None:
    random = np.random.default_rng(3)
    found, plates, images, annotations, results = [], [], [], [], []
    for picture in range(1, 41):
        own = [
            truth(*random.uniform(0, 60, 2), *random.uniform(8, 30, 2), crowd=random.random() < 0.1) for _ in range(3)
        ]
        moved = [np.array(p.bbox) + random.normal(0, 1.5, 4) for p in own if random.random() < 0.8]
        moved += [np.array((*random.uniform(0, 60, 2), *random.uniform(8, 30, 2))) for _ in range(1)]
        sure = random.permutation(1000)[: len(moved)] / 1000 + picture * 1e-5  # no ties
        found.append(np.array([(x, y, x + w, y + h, s) for (x, y, w, h), s in zip(moved, sure, strict=True)]))
        plates.append(own)
        images.append({"id": picture, "width": 100, "height": 100})
        for p in own:
            number = len(annotations) + 1
            told = {
                "id": number,
                "image_id": picture,
                "category_id": 1,
                "bbox": list(p.bbox),
                "iscrowd": int(p.iscrowd),
            }
            annotations.append(told | {"area": p.bbox[2] * p.bbox[3]})
        for (x, y, w, h), s in zip(moved, sure, strict=True):
            results.append({"image_id": picture, "category_id": 1, "bbox": [x, y, w, h], "score": float(s)})
    with contextlib.redirect_stdout(io.StringIO()):
        labelled = COCO()
        labelled.dataset = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "plate"}]}
        labelled.dataset["info"] = {}
        labelled.createIndex()
        judge = COCOeval(labelled, labelled.loadRes(results), "bbox")
        judge.params.iouThrs = np.array([0.5])
        judge.evaluate()
        judge.accumulate()
    wanted = judge.eval["precision"][0, :, 0, 0, -1].mean()
    assert 0.2 < wanted < 0.95
    assert average_precision(found, plates)[0] == pytest.approx(wanted, abs=1e-9)
