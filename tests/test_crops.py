"""Crops: plates stay under their outlines, plate-free crops hold none, lots depend on nothing but the seed."""

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from tiny import row, split

from lib.crops import REFERENCE_AREA, Crop, UniformCrop, crop_batches, outline_batches, targets
from lib.gallery import Gallery
from lib.relight import change_light

PLATE = np.array([[[200, 150], [280, 150], [280, 180], [200, 180]]], np.float32)


def street() -> np.ndarray:
    """Green noise of 480x360 with the magenta plate of PLATE."""
    rgb = np.random.default_rng(0).integers(60, 120, (360, 480, 3), np.uint8)
    rgb[150:180, 200:280] = (255, 0, 255)
    return rgb


def test_the_outline_moves_with_the_plate() -> None:
    crop, seen = Crop(light=False, anywhere=0.0), 0
    for seed in range(40):
        pixels, outlines = crop(street(), PLATE, seed)
        assert pixels.shape == (320, 320, 3) and outlines.shape == (1, 4, 2)
        magenta = (pixels[..., 0] > 200) & (pixels[..., 1] < 60)
        share, _ = targets(outlines, (320, 320))
        told = cv2.resize(share, (320, 320), interpolation=cv2.INTER_LINEAR) > 0.5
        both, either = np.count_nonzero(magenta & told), np.count_nonzero(magenta | told)
        seen += both > 0
        assert either == 0 or both / either > 0.75, seed
    assert seen >= 38  # a crop laid on a plate shows it


def test_crops_laid_anywhere_avoid_plates_where_they_can() -> None:
    crop = Crop(light=False, anywhere=1.0)
    far = PLATE + np.array([1000, 800], np.float32)
    rgb = np.zeros((1200, 1600, 3), np.uint8)
    shown = [targets(crop(rgb, far, seed)[1], (320, 320))[0].any() for seed in range(40)]
    assert np.mean(shown) < 0.2  # the plate is in a sixth of such a picture's crops


def test_uniform_crops_do_not_look_where_the_plates_are() -> None:
    plain = {"side": 160, "zoom": (1.0, 1.0), "turn": 0.0, "bend": 0.0, "light": False}
    rgb, crop, avoiding, shown = street(), UniformCrop(**plain), Crop(**plain, anywhere=1.0), []
    for seed in range(60):
        pixels, (moved,) = crop(rgb, PLATE, seed)
        assert np.array_equal(pixels, crop(rgb, PLATE[:0], seed)[0])
        shown.append(((moved.mean(0) > 0) & (moved.mean(0) < 160)).all())
    # At a longer side of 640 the plate's centre, (320, 220), lies farther than 80 from any border of 640x480: a centre
    # drawn within 80 of it shows it, (160 / 640) * (160 / 480) = a twelfth.
    assert 1 <= np.sum(shown) <= 12
    assert sum(targets(crop(rgb, PLATE, seed)[1], (160, 160))[0].any() for seed in range(60)) > sum(
        targets(avoiding(rgb, PLATE, seed)[1], (160, 160))[0].any() for seed in range(60)
    )


def test_a_crop_depends_on_its_seed_alone() -> None:
    crop = Crop()
    first, outlines = crop(street(), PLATE, 7)
    again, same = crop(street(), PLATE, 7)
    assert np.array_equal(first, again) and np.array_equal(outlines, same)
    assert not np.array_equal(first, crop(street(), PLATE, 8)[0])


def test_a_picture_without_plates_and_one_smaller_than_the_crop() -> None:
    pixels, outlines = Crop()(np.zeros((5, 7, 3), np.uint8), np.zeros((0, 4, 2), np.float32), 0)
    assert pixels.shape == (320, 320, 3) and outlines.shape == (0, 4, 2)
    share, weight = targets(outlines, (320, 320))
    assert not share.any() and (weight == 1).all()


def test_targets_by_hand() -> None:
    # 8 x 8 pixels at (4, 8), and so 2 x 2 at (1, 2) of the quarter-size target; 60 % lies in the plate of the last one.
    outline = np.array([[[4, 8], [12, 8], [12, 16], [4, 16]]], np.float32)
    share, weight = targets(outline, (32, 32), small=0.5)
    expected = np.zeros((8, 8), np.float32)
    expected[2:4, 1:3] = 1
    assert share == pytest.approx(expected, abs=0.3)  # OpenCV paints the border's pixels too
    assert share[2:4, 1:3] == pytest.approx(1.0)
    assert weight[2, 1] == pytest.approx(min(6, np.sqrt(REFERENCE_AREA / 64)))
    assert weight[6, 6] == 1


def test_small_plates_weigh_more_up_to_a_limit_and_large_ones_not_less() -> None:
    def lift(side: float, small: float = 0.5) -> float:
        outline = np.array([[[8, 8], [8 + side, 8], [8 + side, 8 + side], [8, 8 + side]]], np.float32)
        return float(targets(outline, (320, 320), small)[1].max())

    assert lift(4) == 6 > lift(30) > lift(50) > lift(200) == 1
    assert lift(30) == pytest.approx(np.sqrt(REFERENCE_AREA / 900), rel=1e-4)
    assert lift(4, small=0) == 1


def test_other_light_keeps_shape_and_kind() -> None:
    shown = {change_light(street(), np.random.default_rng(seed)).tobytes() for seed in range(20)}
    assert len(shown) == 20
    changed = change_light(street(), np.random.default_rng(3))
    assert changed.shape == (360, 480, 3) and changed.dtype == np.uint8


def test_what_is_in_doubt_weighs_nothing_unless_a_plate_is_known_there() -> None:
    plate = np.array([[[40, 40], [80, 40], [80, 56], [40, 56]]], np.float32)
    doubt = np.array([[[60, 40], [120, 40], [120, 56], [60, 56]]], np.float32)
    share, weight = targets(plate, (160, 160), small=0.0, ignored=doubt)
    assert weight[10:14, 21:29].max() == 0  # right of the plate
    assert weight[share > 0].min() == 1 and weight[:9].min() == 1


def test_what_is_in_doubt_moves_with_the_picture() -> None:
    for seed in range(10):
        crop = Crop(light=False)
        pixels, outlines, same, none = crop(street(), PLATE, seed, PLATE, np.zeros((0, 4, 2), np.float32))
        assert np.array_equal(outlines, same) and none.shape == (0, 4, 2)
        assert np.array_equal(pixels, crop(street(), PLATE, seed)[0])


def test_plate_free_crops_come_closer() -> None:
    """A grid of one dark pixel in 20: fewer of them are seen, the closer the crop."""
    rgb = np.full((480, 640, 3), 255, np.uint8)
    rgb[::20, ::20] = 0

    def dots(closer: float) -> float:
        crop = Crop(side=160, anywhere=1.0, closer=closer, zoom=(1.0, 1.0), turn=0.0, bend=0.0, light=False)
        none = np.zeros((0, 4, 2), np.float32)
        return float(np.mean([(255 - crop(rgb, none, seed)[0].astype(float)).sum() / 765 for seed in range(30)]))

    # a dot of one pixel covers zoom^2 pixels, and 1 / zoom^2 as many dots are seen: the ink is the same
    assert dots(1.0) == pytest.approx(64, rel=0.1) and dots(4.0) == pytest.approx(64, rel=0.25)

    def spread(closer: float) -> float:
        crop = Crop(side=160, anywhere=1.0, closer=closer, zoom=(1.0, 1.0), turn=0.0, bend=0.0, light=False)
        far = np.array([[[-400, -400], [-300, -400], [-300, -300], [-400, -300]]], np.float32)
        moved = [crop(rgb, far, seed)[1][0] for seed in range(30)]
        return float(max(np.ptp(each[:, 0]) for each in moved))

    assert spread(1.0) == pytest.approx(100, rel=1e-3) and 200 < spread(4.0) <= 401


def test_batches_are_the_same_on_one_thread_and_many() -> None:
    rows = split(*(row(i, Image.fromarray(street()), [[200, 150, 80, 30]]) for i in range(5)))
    gallery = Gallery.from_dataset(rows)
    one, many = (list(crop_batches(gallery, Crop(side=64), 2, 0, 0, 0.5, threads)) for threads in (1, 3))
    assert len(one) == len(many) == 2
    for left, right in zip(one, many, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(left, right, strict=True))
    boxed = list(outline_batches(gallery, Crop(side=64), 2, 0, 0))
    for (left, _, _), (right, outlines) in zip(one, boxed, strict=True):
        assert torch.equal(left, right) and [each.shape for each in outlines] == [(1, 4, 2)] * 2
    pixels, share, weight = one[0]
    assert pixels.shape == (2, 3, 64, 64) and share.shape == weight.shape == (2, 1, 16, 16)
