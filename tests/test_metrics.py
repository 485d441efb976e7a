"""The metrics against cases counted by hand, and against slow, plain definitions."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.metrics import METRICS, Accumulator, PlateTruth, ThresholdCurve
from lib.regions import clear_near, rasterise


def picture(height: int, width: int, *boxes: tuple[int, int, int, int]) -> np.ndarray:
    """A bool mask (height, width) with these boxes (x, y, w, h) set."""
    mask = np.zeros((height, width), dtype=bool)
    for x, y, w, h in boxes:
        mask[y : y + h, x : x + w] = True
    return mask


def rhombus(cx: float, cy: float, r: float) -> np.ndarray:
    """A square on its corner: the pixels with |x - cx| + |y - cy| < r."""
    return np.array([(cx - r, cy), (cx, cy - r), (cx + r, cy), (cx, cy + r)])


def pixels_of(polygon: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(shape, dtype=bool)
    region = rasterise(polygon, shape)
    if region is not None:
        mask[region.window] |= region.inside
    return mask


def measured(mask: np.ndarray, truths: list[PlateTruth], predicted: np.ndarray | None = None) -> dict:
    accumulator = Accumulator()
    accumulator.add(mask, mask if predicted is None else predicted, truths)
    return accumulator.summary()


# Pixels of a region


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((2, 1, 3, 2), (2, 1, 3, 2)),  # whole pixels
        ((2.5, 1.5, 3, 2), (2, 1, 3, 2)),  # a border on a centre: the left and top one is owned, the other is not
        ((2.51, 1.51, 3, 2), (3, 2, 3, 2)),  # just past the centre
        ((-5, -5, 7, 7), (0, 0, 2, 2)),  # clipped by the border
        ((3.1, 4.2, 0.1, 0.1), (3, 4, 1, 1)),  # smaller than a pixel, no centre inside: the pixel of its middle
        ((0, 3.9, 6, 0.3), (3, 4, 1, 1)),  # a sliver between two rows of centres
    ],
)
def test_a_box_owns_the_pixels_whose_centre_it_holds(box: tuple, expected: tuple) -> None:
    assert np.array_equal(pixels_of(PlateTruth(box).box, (8, 9)), picture(8, 9, expected))


def test_a_region_outside_the_picture_has_no_pixels() -> None:
    assert rasterise(PlateTruth((9, 2, 3, 3)).box, (8, 9)) is None
    assert rasterise(PlateTruth((-4.2, -3.1, 4.2, 3.1)).box, (8, 9)) is None


@pytest.mark.parametrize("turn", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_rhombus_is_the_same_pixels_from_any_corner_and_either_way_round(turn: int, mirrored: bool) -> None:
    corners = np.roll(rhombus(10, 8, 5.2), turn, axis=0)
    y, x = np.mgrid[:16, :20] + 0.5
    expected = np.abs(x - 10) + np.abs(y - 8) < 5.2
    assert np.array_equal(pixels_of(corners[::-1] if mirrored else corners, (16, 20)), expected)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_two_triangles_share_a_picture_without_gap_or_overlap(seed: int) -> None:
    """A convex quadrilateral's pixels are those of its two halves, none of them twice."""
    random = np.random.default_rng(seed)
    angles = np.sort(random.uniform(0, 2 * np.pi, 4))
    quad = random.uniform(4, 20, 2) + 9 * np.stack([np.cos(angles), np.sin(angles)], axis=1)  # on a circle: convex
    halves = [pixels_of(quad[[0, 1, 2]], (24, 24)), pixels_of(quad[[0, 2, 3]], (24, 24))]
    if min(half.sum() for half in halves) > 1:  # neither is the one-pixel stand-in
        assert not (halves[0] & halves[1]).any()
        assert np.array_equal(halves[0] | halves[1], pixels_of(quad, (24, 24)))


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_near_is_half_a_plate_height_in_euclidean_distance(seed: int) -> None:
    """Against the plain definition: the least distance to a thousand points of the outline, or inside."""
    random = np.random.default_rng(seed)
    x, y, w, h = random.uniform(-4, 20), random.uniform(-4, 16), random.uniform(1, 16), random.uniform(1, 10)
    plate = PlateTruth((x, y, w, h), corners=PlateTruth((x, y, w, h)).box + random.uniform(0, h / 4, (4, 2)))
    stray = np.ones((24, 30), dtype=bool)
    clear_near(stray, plate)
    t = np.linspace(0, 1, 2500)[:, None]
    dots = np.concatenate([a + t * (b - a) for a, b in zip(plate.outline, np.roll(plate.outline, -1, 0), strict=True)])
    rows, columns = np.mgrid[:24, :30] + 0.5
    distance = np.min([np.hypot(columns - px, rows - py) for px, py in dots[::10]], axis=0)
    distance[pixels_of(plate.outline, (24, 30))] = 0
    doubtful = np.abs(distance - plate.height / 2) < 0.05  # where the sampling cannot tell
    assert np.array_equal((distance > plate.height / 2)[~doubtful], stray[~doubtful])


# A, A1, IoU


def test_accuracies_counted_by_hand() -> None:
    accumulator = Accumulator()
    box = PlateTruth((2, 2, 4, 2))  # 8 pixels of 100
    accumulator.add(picture(10, 10), picture(10, 10, (4, 2, 4, 2)), [box])  # 4 hits, 4 misses, 4 false
    large = PlateTruth((0, 0, 10, 4))  # 40 pixels of 100
    accumulator.add(picture(10, 10), picture(10, 10, (0, 0, 10, 4)), [large])  # all right
    accumulator.add(picture(10, 10), picture(10, 10, (0, 0, 1, 2)), [])  # no plate, 2 false
    got = accumulator.summary()
    assert (got["images"], got["plates"]) == (3, 2)
    assert got["accuracy"] == pytest.approx((92 + 100 + 98) / 300)
    assert got["on_plate_accuracy"] == pytest.approx((4 / 8 + 40 / 40) / 2)  # the paper's: per picture, then the mean
    assert got["on_plate_accuracy_pooled"] == pytest.approx(44 / 48)  # the authors' code
    assert got["iou"] == pytest.approx((4 + 40) / (12 + 40 + 2))
    assert got["false_cover"] == 0 and got["coverage"] == 0 and got["missed"] == 1  # nothing was concealed


def test_a_batch_counts_as_its_pictures_do() -> None:
    random = np.random.default_rng(0)
    probability = random.random((3, 12, 14)).astype(np.float32)
    probability[0, 0, 0] = 0.5  # p >= .5 is plate
    boxes = [[PlateTruth((2, 3, 5, 2)), PlateTruth((8, 8, 4, 3))], [], [PlateTruth((0, 0, 14, 12))]]
    masks = np.stack([sum((pixels_of(b.box, (12, 14)) for b in row), np.zeros((12, 14), bool)) for row in boxes])
    single, batch = Accumulator(), Accumulator()
    for p, truths in zip(probability, boxes, strict=True):
        single.add(np.zeros((12, 14)), p >= 0.5, truths)
    batch.add_batch(torch.from_numpy(probability), torch.from_numpy(masks))
    whole, got = single.summary(), batch.summary()
    for key in ("images", "accuracy", "on_plate_accuracy", "on_plate_accuracy_pooled", "iou"):
        assert got[key] == whole[key]
    assert batch.pictures[0].hits + batch.pictures[0].predicted > 0
    for key in ("coverage", "missed", "exposed", "false_cover", "stray_cover", "ms_per_image"):
        assert got[key] is None  # a batch conceals nothing
    number = Accumulator()
    number.add_batch(torch.from_numpy(probability), torch.from_numpy(masks).float())
    assert number.pictures == batch.pictures


# Plates


@pytest.mark.parametrize(
    ("columns", "coverage", "missed"),
    [
        (0, 0, 1),
        (9, 0, 1),
        (10, 0, 0),
        (18, 0, 0),
        (19, 1, 0),
        (20, 1, 0),
    ],  # of 20: covered from 95 %, missed under 50 %
)
def test_covered_and_missed_at_their_borders(columns: int, coverage: float, missed: float) -> None:
    got = measured(picture(30, 40, (5, 5, columns, 4)), [PlateTruth((5, 5, 20, 4))])
    assert (got["coverage"], got["missed"]) == (coverage, missed)


def test_a_known_quadrilateral_decides_over_its_box() -> None:
    corners = rhombus(20, 20, 8)
    box = (12, 12, 16, 16)
    exact = pixels_of(corners, (40, 40))
    assert measured(exact, [PlateTruth(box, corners)])["coverage"] == 1
    assert measured(exact, [PlateTruth(box)])["coverage"] == 0
    got = measured(exact, [PlateTruth(box, corners)])
    assert got["on_plate_accuracy"] == pytest.approx(exact.sum() / 256)  # A1 stays with the box, the paper's mask


@pytest.mark.parametrize(("rows", "exposed"), [(8, 1), (9, 0), (10, 0)])
def test_one_readable_character_exposes_a_covered_plate(rows: int, exposed: float) -> None:
    letters = tuple(PlateTruth((2 + 12 * i, 2, 10, 10)).box for i in range(7))
    plate = PlateTruth((0, 0, 88, 14), characters=letters)
    mask = picture(40, 100, (0, 0, 88, 14))
    mask[2 : 12 - rows, 26:36] = False  # the third letter keeps so many of its ten rows
    got = measured(mask, [plate])
    assert got["coverage"] == 1  # at most 20 of 1232 pixels show
    assert got["exposed"] == exposed


def test_exposed_counts_only_plates_whose_characters_are_known() -> None:
    letter = PlateTruth((3, 3, 2, 4)).box
    unknown, known = PlateTruth((20, 2, 10, 6)), PlateTruth((2, 2, 10, 6), characters=(letter,))
    assert measured(picture(20, 40), [unknown])["exposed"] is None
    got = measured(picture(20, 40), [unknown, known])
    assert (got["plates"], got["exposed"]) == (2, 1)
    outside = replace(known, characters=(letter, letter - 50))  # a letter beyond the border cannot be read
    assert measured(picture(20, 40, (2, 2, 10, 6)), [outside])["exposed"] == 0


def test_a_plate_smaller_than_a_pixel_is_that_pixel() -> None:
    far = PlateTruth((7.6, 3.6, 0.3, 0.2))
    assert measured(picture(10, 10, (7, 3, 1, 1)), [far]) | {"ms_per_image": 0} == {
        "images": 1, "plates": 1, "accuracy": 1, "on_plate_accuracy": 1, "on_plate_accuracy_pooled": 1, "coverage": 1,
        "exposed": None, "missed": 0, "false_cover": 0, "stray_cover": 0, "iou": 1, "ms_per_image": 0,
    }  # fmt: skip
    assert measured(picture(10, 10), [far])["missed"] == 1


def test_a_plate_cut_by_the_border_is_its_visible_part() -> None:
    corners = PlateTruth((-6, 2, 10, 4)).box  # 4 of its 10 columns are in the picture
    plate = PlateTruth((0, 2, 4, 4), corners)
    assert measured(picture(10, 10, (0, 2, 4, 4)), [plate])["coverage"] == 1
    assert measured(picture(10, 10, (0, 2, 3, 4)), [plate])["coverage"] == 0  # 75 % of what can be seen


def test_a_plate_outside_its_picture_is_not_counted() -> None:
    got = measured(picture(10, 10), [PlateTruth((30, 2, 10, 4))])
    assert got["plates"] == 0 and got["coverage"] is None and got["accuracy"] == 1


def test_overlapping_plates_share_pixels_but_are_two_plates() -> None:
    one, two = PlateTruth((0, 0, 10, 4)), PlateTruth((5, 0, 10, 4))
    got = measured(picture(20, 20, (0, 0, 10, 4)), [one, two])
    assert (got["plates"], got["coverage"], got["missed"]) == (2, 0.5, 0)  # the second is half covered
    assert got["on_plate_accuracy_pooled"] == pytest.approx(40 / 60)  # the union, no pixel twice
    assert got["false_cover"] == 0


# Cover


def test_a_picture_without_plates_tells_false_cover_alone() -> None:
    got = measured(picture(10, 10, (0, 0, 5, 1)), [])
    expected = {"images": 1, "plates": 0, "accuracy": 0.95, "false_cover": 0.05, "stray_cover": 0.05, "iou": 0.0}
    assert got == dict.fromkeys(METRICS) | expected


def test_an_empty_mask_on_an_empty_picture_has_no_iou() -> None:
    got = measured(picture(10, 10), [])
    assert got["iou"] is None and got["accuracy"] == 1 and got["false_cover"] == 0


def test_a_margin_is_false_cover_but_not_stray() -> None:
    plate = PlateTruth((20, 20, 20, 8))  # reaches 4 pixels around: columns 16 to 43, rows 16 to 31, round corners
    margin = picture(60, 80, (16, 20, 28, 8), (20, 16, 20, 16))
    got = measured(margin, [plate])
    assert got["stray_cover"] == 0
    assert got["false_cover"] == pytest.approx((2 * 4 * 8 + 2 * 4 * 20) / (4800 - 160))
    farther = margin | picture(60, 80, (15, 20, 1, 8), (20, 32, 20, 1), (16, 16, 1, 1))  # one pixel on, and a corner
    assert measured(farther, [plate])["stray_cover"] == pytest.approx((8 + 20 + 1) / 4800)


def test_half_a_plate_height_away_is_still_near() -> None:
    plate = PlateTruth((20, 20, 20, 7))  # the centres of rows 16 and 30 are 3.5 pixels away, half of 7
    stray = np.ones((50, 60), dtype=bool)
    clear_near(stray, plate)
    assert np.flatnonzero(~stray[:, 25]).tolist() == list(range(16, 31))


def test_plate_height_is_the_mean_of_the_quadrilaterals_sides() -> None:
    corners = np.array([(20, 20), (40, 17), (40, 29), (20, 28)])  # left side 8, right side 12
    assert PlateTruth((20, 17, 20, 12), corners).height == 10
    assert PlateTruth((20, 17, 20, 12)).height == 12
    upright = np.roll(PlateTruth((10, 10, 8, 30)).box, 1, axis=0)  # a plate on its side: its height is 8
    assert PlateTruth((10, 10, 8, 30), upright).height == 8


def test_stray_is_far_from_every_plate() -> None:
    near, far = PlateTruth((0, 0, 10, 10)), PlateTruth((40, 0, 10, 10))
    spot = picture(20, 60, (37, 4, 2, 2))  # 27 pixels from one, 1 from the other
    assert measured(spot, [near])["stray_cover"] == pytest.approx(4 / 1200)
    assert measured(spot, [near, far])["stray_cover"] == 0


def test_crowd_regions_are_ignored() -> None:
    crowd, plate = PlateTruth((10, 0, 10, 10), iscrowd=True), PlateTruth((0, 0, 5, 2))
    mask = picture(20, 20, (0, 0, 5, 2), (10, 0, 10, 11))  # the crowd, and a row of margin below it
    got = measured(mask, [crowd, plate])
    assert got["plates"] == 1 and got["coverage"] == 1
    assert got["accuracy"] == pytest.approx((300 - 10) / 300)  # the margin's 10 pixels are wrong, the crowd's ignored
    assert got["false_cover"] == pytest.approx(10 / 290) and got["stray_cover"] == 0
    inside = PlateTruth((12, 2, 4, 2))  # a labelled plate in a crowd still counts
    got = measured(picture(20, 20, (12, 2, 2, 2)), [crowd, inside])  # half of its 8 pixels are found
    assert got["on_plate_accuracy"] == 0.5 and got["accuracy"] == pytest.approx((308 - 4) / 308)
    assert measured(picture(20, 20), [crowd])["coverage"] is None


# Groups, merging, intervals


def filled() -> Accumulator:
    """Three pictures of two sources: a small plate hit, a large plate half hit, both kinds, timed but for the last."""
    accumulator = Accumulator()
    small, large = PlateTruth((0, 0, 23, 5)), PlateTruth((0, 10, 24, 10))
    accumulator.add(*2 * [picture(64, 640, (0, 0, 23, 5))], [small], "a", 7, 0.010)
    accumulator.add(*2 * [picture(64, 640, (0, 10, 12, 10))], [large], "a", 8, 0.030)
    accumulator.add(*2 * [picture(64, 640, (0, 10, 24, 10))], [small, large], "b", 9)
    return accumulator


def test_groups_by_width() -> None:
    groups = filled().by_width()
    small, large = groups["small"], groups["large"]
    assert (small["images"], small["plates"], large["images"], large["plates"]) == (2, 2, 2, 2)
    assert (small["coverage"], small["missed"], large["coverage"], large["missed"]) == (0.5, 0.5, 0.5, 0)
    assert small["on_plate_accuracy"] == pytest.approx((1 + 0) / 2)  # the small plates' own pixels
    assert large["on_plate_accuracy"] == pytest.approx((0.5 + 1) / 2)
    assert small["accuracy"] == pytest.approx((2 * 40960 - 115) / (2 * 40960))  # pictures that hold a small one
    wide = Accumulator()
    wide.add(*2 * [picture(100, 1280)], [PlateTruth((0, 0, 46, 10))])  # scaled to 640 it is 23 wide
    assert wide.by_width()["small"]["plates"] == 1


def test_groups_by_source() -> None:
    groups = filled().by_source()
    assert list(groups) == ["a", "b"]
    assert (groups["a"]["images"], groups["a"]["plates"], groups["a"]["coverage"]) == (2, 2, 0.5)
    assert (groups["b"]["images"], groups["b"]["plates"], groups["b"]["missed"]) == (1, 2, 0.5)
    assert groups["a"]["ms_per_image"] == pytest.approx(20) and groups["b"]["ms_per_image"] is None
    assert filled().summary(width="small", source="b")["coverage"] == 0


def test_a_group_without_plates_is_none_not_nan() -> None:
    accumulator = Accumulator()
    accumulator.add(*2 * [picture(10, 10)], [])
    assert accumulator.by_width()["small"] == {"images": 0, "plates": 0} | dict.fromkeys(METRICS)
    assert Accumulator().summary() == {"images": 0, "plates": 0} | dict.fromkeys(METRICS)
    assert accumulator.interval("coverage") is None


def test_merging_is_as_if_all_pictures_had_come_to_one() -> None:
    parts = [Accumulator(), filled(), Accumulator(), filled()]
    whole = Accumulator()
    for part in parts:
        whole.merge(Accumulator.from_state(json.loads(json.dumps(part.state()))))  # as between processes
    twice = filled()
    twice.merge(filled())
    assert whole.state() == twice.state()
    assert whole.summary() == filled().summary() | {"images": 6, "plates": 8}
    assert whole.by_width()["small"]["coverage"] == filled().by_width()["small"]["coverage"]
    assert [row.image_id for row in whole.pictures] == [7, 8, 9, 7, 8, 9]
    assert [plate.picture for plate in whole.plates] == [0, 1, 2, 2, 3, 4, 5, 5]  # each with its own picture
    assert whole.by_source()["b"] == filled().by_source()["b"] | {"images": 2, "plates": 4}


def test_interval_of_a_binomial_share() -> None:
    accumulator = Accumulator()
    for i in range(200):  # one plate a picture, 60 % covered: the share's standard error is sqrt(.6 * .4 / 200) = .0346
        mask = picture(8, 8, (0, 0, 4, 4)) if i % 5 < 3 else picture(8, 8)
        accumulator.add(mask, mask, [PlateTruth((0, 0, 4, 4))])
    low, high = accumulator.interval("coverage")
    assert low == pytest.approx(0.6 - 1.96 * 0.0346, abs=0.012) and high == pytest.approx(
        0.6 + 1.96 * 0.0346, abs=0.012
    )
    assert accumulator.interval("coverage") == (low, high)
    assert accumulator.interval("coverage", seed=1) != (low, high)
    assert accumulator.interval("coverage", width="large") == (low, high)  # all of them are large
    narrow = accumulator.interval("coverage", level=0.5)
    assert low < narrow[0] < 0.6 < narrow[1] < high


def test_interval_draws_pictures_not_plates() -> None:
    """Ten plates that stand or fall together are one observation: the interval must not shrink."""
    many, one = Accumulator(), Accumulator()
    for i in range(40):
        plates = [PlateTruth((6 * k, 0, 5, 4)) for k in range(10)]
        mask = picture(8, 64, (0, 0, 64, 4)) if i % 2 else picture(8, 64)
        many.add(mask, mask, plates)
        one.add(mask, mask, plates[:1])
    assert many.interval("coverage") == one.interval("coverage")


def test_interval_of_a_rare_thing_skips_resamples_without_any() -> None:
    accumulator = Accumulator()
    accumulator.add(*2 * [picture(8, 8)], [PlateTruth((0, 0, 4, 4))])
    for _ in range(20):
        accumulator.add(*2 * [picture(8, 8)], [])
    assert accumulator.interval("missed") == (1, 1)


@pytest.mark.parametrize(("mask", "predicted"), [((4, 4), (4, 5)), ((4, 4, 1), (4, 4, 1))])
def test_masks_of_the_wrong_shape_are_refused(mask: tuple, predicted: tuple) -> None:
    with pytest.raises(ValueError, match="alike"):
        Accumulator().add(np.zeros(mask), np.zeros(predicted), [])


def test_batches_of_the_wrong_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(B, H, W\)"):
        Accumulator().add_batch(torch.zeros(1, 4, 4), torch.zeros(4, 4))


# The curve


def test_curve_counted_by_hand() -> None:
    curve = ThresholdCurve(bins=4)
    # P(background) is 0, .25, .5 on the plate, .25, .75, 1 on the road
    curve.add(torch.tensor([1, 0.75, 0.5, 0.75, 0.25, 0]), torch.tensor([1, 1, 1, 0, 0, 0]))
    assert curve.thresholds.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert (curve.on_plate_accuracy * 3).round(9).tolist() == [0, 1, 2, 3, 3]
    assert (curve.false_cover * 3).round(9).tolist() == [0, 0, 1, 1, 2]
    assert (curve.accuracy * 6).round(9).tolist() == [3, 4, 4, 5, 4]
    assert curve.at_accuracy(5 / 6) == (0.75, 1)
    assert curve.at_accuracy(0.5) == (1, 1)
    assert curve.at_accuracy(0.9) is None


def test_curve_at_a_half_is_the_accumulators_accuracy() -> None:
    probability, mask = torch.rand(2, 30, 30, generator=torch.Generator().manual_seed(0)), torch.zeros(2, 30, 30)
    mask[:, 5:15, 3:25] = 1
    curve, halves, accumulator = ThresholdCurve(), [ThresholdCurve(), ThresholdCurve()], Accumulator()
    curve.add(probability, mask)
    accumulator.add_batch(probability, mask)
    got = accumulator.summary()
    assert curve.accuracy[512] == pytest.approx(got["accuracy"])
    assert curve.on_plate_accuracy[512] == pytest.approx(got["on_plate_accuracy_pooled"])
    for half, p, m in zip(halves, probability, mask, strict=True):
        half.add(p, m.bool())
    halves[0].merge(halves[1])
    assert np.array_equal(halves[0].counts, curve.counts) and curve.counts.sum() == 1800
    assert (np.diff(curve.on_plate_accuracy) >= 0).all() and (np.diff(curve.false_cover) >= 0).all()


def test_curve_without_plates_cannot_tell() -> None:
    curve = ThresholdCurve()
    curve.add(torch.rand(4, 4), torch.zeros(4, 4))
    assert curve.at_accuracy(0) is None and np.isnan(curve.on_plate_accuracy).all()


@pytest.mark.parametrize("value", [float("nan"), 1.5, -3.0])
def test_curve_refuses_what_is_no_probability(value: float) -> None:
    with pytest.raises(ValueError, match=r"0\.\.1"):
        ThresholdCurve().add(torch.full((2, 2), value), torch.zeros(2, 2))
