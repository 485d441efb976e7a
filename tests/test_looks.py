"""What second looks are shown: every region, plate or not, at one size, with its plates where they are."""

import numpy as np
import pytest
from test_crops import PLATE, street

from lib.crops import targets
from lib.gallery import Gallery
from lib.looks import FIELD, LookCrop, looks
from lib.second_look import closer
from lib.transforms import GREY

NONE = np.zeros((0, 4, 2), np.float32)
SIGN = (20, 300, 60, 320)  # left, top, right, bottom of what a first look takes for a plate


def first(picture: np.ndarray) -> np.ndarray:
    """Sure of magenta, faintly of a blue sign; all else is background."""
    background = np.ones(picture.shape[:2], np.float32)
    background[(picture[..., 0] > 200) & (picture[..., 1] < 60)] = 0.1
    background[(picture[..., 2] > 200) & (picture[..., 0] < 60)] = 0.85
    return background


@pytest.fixture
def gallery() -> Gallery:
    with_sign = street()
    with_sign[SIGN[1] : SIGN[3], SIGN[0] : SIGN[2]] = (0, 0, 255)
    bare = np.full((100, 120, 3), 90, np.uint8)
    return Gallery([with_sign, bare], [PLATE, NONE], [NONE, NONE], ["a", "b"])


def test_every_region_is_kept_with_what_is_round_it(gallery: Gallery) -> None:
    found = looks(gallery, first)
    assert len(found) == 2 and found.sources == ["a", "a"]  # the plate first, then the sign; the bare picture has none
    plate, sign = found.pixels
    # 80x30 pixels become 96 wide: 1.2 times as large, so that 480 pixels of a second look are 400 of the picture
    assert plate.shape == (400, 400, 3)
    assert np.allclose(found.outlines[0], PLATE - np.array([240 - 200, 165 - 200]))
    inside = np.zeros((400, 400), bool)
    inside[185:215, 160:240] = True
    assert (plate[inside] == (255, 0, 255)).all() and (plate[:35] == GREY).all()  # above the picture
    # 40x20 pixels, seen as 96 by 48: 2.4 times
    assert sign.shape == (200, 200, 3) and (sign[90:110, 80:120] == (0, 0, 255)).all()
    assert (sign[:, :60] == GREY).all() and (sign[150:] == GREY).all()
    assert np.allclose(found.outlines[1], PLATE - np.array([40 - 100, 310 - 100]))


def test_a_region_larger_than_its_second_look_is_shrunk() -> None:
    rgb = np.full((600, 900, 3), 90, np.uint8)
    rgb[200:400, 100:700] = (255, 0, 255)
    outline = np.array([[[100, 200], [700, 200], [700, 400], [100, 400]]], np.float32)
    found = looks(Gallery([rgb], [outline], [outline + 5], ["a"]), first)
    assert found.pixels[0].shape == (FIELD, FIELD, 3)
    low, high = found.outlines[0][0][[0, 2]]  # 600 pixels become 96
    assert np.allclose(high - low, (96, 32), atol=0.1) and np.allclose((low + high) / 2, FIELD / 2, atol=0.2)
    assert np.allclose(found.ignored[0] - found.outlines[0], 0.8, atol=0.01)
    assert (found.pixels[0][226:254, 194:286] == (255, 0, 255)).all()


def test_crops_of_a_region_are_laid_like_a_second_look(gallery: Gallery) -> None:
    found = looks(gallery, first)
    same = LookCrop(turn=0.0, bend=0.0, light=False, zoom=(1.0, 1.0), aside=0.0)
    for number, box in enumerate([(200, 150, 280, 180), SIGN]):
        pixels, outlines = same(found.pixels[number], found.outlines[number], 3)
        seen, _ = closer(gallery.pixels[0], np.array(box, float))
        either = [pixels[32:288], pixels[32:288, ::-1]]  # a look is 256 high; a crop may be mirrored
        assert min(np.mean(abs(each.astype(float) - seen)) for each in either) < 4, number
        share, _ = targets(outlines, (320, 320))
        assert (share[36:44, 32:48] > 0.9).any() == (number == 0)


def test_crops_of_a_region_move_it_a_little(gallery: Gallery) -> None:
    found, middles, widths = looks(gallery, first), [], []
    for seed in range(200):
        _, (outline,) = LookCrop(light=False)(found.pixels[0], found.outlines[0], seed)
        middles.append(outline.mean(0))
        widths.append(np.ptp(outline[:, 0]))
    middles = np.array(middles)
    assert abs(middles - 160).max() < 90 and middles.std(0).min() > 12
    assert 60 < min(widths) < 85 and 110 < max(widths) < 160
