"""Boxes to quadrilaterals to what is concealed."""

import cv2
import numpy as np
import pytest
from test_corners import Says

from lib.conceal import Concealer
from lib.corners import CornerFinder
from lib.quads import QuadSegmenter, RegionBoxes
from lib.regions import rasterise

SHARES = [[0.2, 0.3], [0.8, 0.2], [0.8, 0.7], [0.2, 0.8]]
CROSSED = [[0.2, 0.2], [0.8, 0.8], [0.8, 0.2], [0.2, 0.8]]


def finds(*boxes: tuple[float, ...]) -> object:
    return lambda rgb, confidence: np.array([b for b in boxes if b[4] >= confidence], np.float32).reshape(-1, 5)


def test_boxes_round_regions_are_as_sure_as_their_surest_pixel() -> None:
    background = np.ones((40, 60), np.float32)
    background[10:14, 20:30] = 0.6
    background[11:13, 22:26] = 0.1
    background[30:32, 5:8] = 0.05
    background[0, 0] = 0.85
    picture = np.zeros((40, 60, 3), np.uint8)
    boxes = RegionBoxes(lambda _: background, edge=0.4)(picture)
    np.testing.assert_allclose(boxes, [[5, 30, 8, 32, 0.95], [20, 10, 30, 14, 0.9]], rtol=1e-6)
    np.testing.assert_allclose(RegionBoxes(lambda _: background)(picture)[1], [22, 11, 26, 13, 0.9], rtol=1e-6)
    assert len(RegionBoxes(lambda _: background)(picture, confidence=0.92)) == 1
    assert RegionBoxes(np.ones_like)(np.zeros((4, 4))).shape == (0, 5)


def test_what_is_concealed_is_the_quadrilateral() -> None:
    corners = CornerFinder(Says(SHARES), expand=1.5, portable=False)
    segmenter = QuadSegmenter(finds((40, 40, 80, 60, 0.9)), corners, "tiny")
    rgb = np.zeros((120, 160, 3), np.uint8)
    quad = np.array([[42, 44], [78, 41], [78, 56], [42, 59]], float)  # of the window (30, 35) to (90, 65)
    inside = rasterise(quad, (120, 160))
    expected = np.zeros((120, 160), bool)
    expected[inside.window] = inside.inside
    background = segmenter(rgb)
    assert np.array_equal(background < 1, expected) and background.min() == pytest.approx(0.1)
    assert np.array_equal(Concealer(segmenter, growth=0.0)(rgb).mask, expected)
    assert not Concealer(segmenter, threshold=0.05)(rgb).mask.any()
    grown = Concealer(segmenter, growth=0.5)(rgb).mask
    assert (grown | expected == grown).all() and grown.sum() > 1.5 * expected.sum()


def test_corners_that_are_not_believed_conceal_the_whole_window() -> None:
    corners = CornerFinder(Says(CROSSED), expand=1.5, portable=False)
    mask = Concealer(QuadSegmenter(finds((40, 40, 80, 60, 0.9)), corners, "tiny"))(
        np.zeros((120, 160, 3), np.uint8)
    ).mask
    expected = np.zeros((120, 160), bool)
    expected[35:65, 30:90] = True
    assert np.array_equal(mask, expected)


def test_nothing_found_conceals_nothing_and_the_surer_of_two_counts() -> None:
    corners = CornerFinder(Says(SHARES, SHARES), portable=False)
    rgb = np.zeros((120, 160, 3), np.uint8)
    assert (QuadSegmenter(finds(), corners, "tiny")(rgb) == 1).all()
    both = QuadSegmenter(finds((40, 40, 80, 60, 0.9), (40, 40, 80, 60, 0.3)), corners, "tiny")(rgb)
    assert set(np.unique(both).round(3)) == {np.float32(0.1), 1.0}


def test_boxes_over_the_border_conceal_what_is_in_the_picture() -> None:
    corners = CornerFinder(Says(SHARES, SHARES), expand=1.5, portable=False)
    boxes = ((-20, -10, 20, 10, 0.9), (1000, 1000, 1040, 1020, 0.9))
    rgb = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    concealed = Concealer(QuadSegmenter(finds(*boxes), corners, "tiny"))(rgb)
    assert 0 < concealed.mask.sum() < 400 and np.array_equal(concealed.image[~concealed.mask], rgb[~concealed.mask])
    assert cv2.countNonZero(concealed.mask[30:].astype(np.uint8)) == 0
