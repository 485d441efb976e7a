"""Plates exposed in films of a few painted frames, counted by hand."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from lib.conceal import Concealer
from lib.exposure import WAYS, Exposure, exposure, summary
from lib.scenes import Character, Plate, Scene, clip

LEFT, TOP = 20, 30


def plate(text: str = "AB1", left: float = LEFT, width: float = 60, top: float = TOP) -> Plate:
    """A plate 20 high whose characters fill its thirds."""
    third = width / len(text)
    corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], np.float32) * (third, 20) + (left, top)
    characters = tuple(Character(c, corners + np.float32([i * third, 0])) for i, c in enumerate(text))
    outline = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], np.float32) * (width, 20) + np.float32([left, top])
    return Plate(text, outline, (left, top, width, 20), characters, "", 0.0, 0.0, "day")


def covering(left: int, right: int, rows: int = 20) -> np.ndarray:
    mask = np.zeros((120, 320), bool)
    mask[TOP : TOP + rows, left:right] = True
    return mask


@pytest.mark.parametrize(
    ("mask", "exposed"),
    [
        (covering(20, 80), 0),
        (covering(22, 78), 0),  # 18 of 20 columns of the first and the last character: 90 %
        (covering(23, 80), 1),
        (covering(20, 80, rows=17), 1),
        (covering(0, 0), 1),
    ],
)
def test_a_plate_is_exposed_by_its_barest_character(mask: np.ndarray, exposed: int) -> None:
    told = Exposure()
    told.add(mask, [plate()])
    assert told.counts == (exposed, 1) and told.longest == exposed


def test_far_plates_and_characters_outside_do_not_count() -> None:
    told = Exposure()
    told.add(covering(0, 0), [plate("FAR", width=11)])  # 22 where the frame is 640
    assert told.counts == (0, 0)
    told.add(covering(0, 0), [plate("FAR", width=12), plate("OUT", left=400)])
    assert told.counts == (1, 1)
    told.add(covering(0, 40), [plate("HALF", left=-20)])  # only its last thirds are in the frame
    assert told.counts == (1, 2)


def test_what_something_hides_need_not_be_concealed() -> None:
    cover = np.ones((20, 60), np.float32)
    cover[:, :30] = 0  # a post before the first character and half of the second
    shown = replace(plate(), cover=cover, place=(LEFT, TOP))
    for mask, exposed in ((covering(50, 80), 0), (covering(52, 80), 1), (covering(20, 50), 1)):
        told = Exposure()
        told.add(mask, [shown])
        assert told.counts == (exposed, 1)
    cover[:, :56] = 0  # a fifth of the last one shows
    told = Exposure()
    told.add(covering(0, 0), [shown])
    assert told.counts == (0, 0)


def test_the_longest_run_is_of_one_plate_without_a_gap() -> None:
    told, bare, whole = Exposure(), covering(0, 0), covering(20, 80)
    for mask in (bare, bare, whole, bare, bare, bare):
        told.add(mask, [plate()])
    assert told.counts == (5, 6) and told.longest == 3
    told.add(bare, [])  # out of sight for a frame
    told.add(bare, [plate()])
    assert told.counts == (6, 7) and told.longest == 3
    told = Exposure()
    for number in range(6):
        told.add(bare, [plate("AA" if number % 2 else "BB")])
    assert told.longest == 1


class Blinks:
    """Sees the plate, white on black, but not in the frames that are named."""

    name, threshold, growth = "white", 0.5, 0.0

    def __init__(self, *missed: int) -> None:
        self.missed, self.calls = missed, 0

    def __call__(self, rgb: np.ndarray) -> np.ndarray:
        self.calls += 1
        seen = (rgb[..., 0] > 128) & (self.calls - 1 not in self.missed)
        return np.where(seen, 0.0, 1.0).astype(np.float32)


def drive(frames: int) -> Iterator[Scene]:
    for number in range(frames):
        rgb = np.zeros((120, 320, 3), np.uint8)
        shown = plate(left=LEFT + 3 * number)
        rgb[TOP : TOP + 20, LEFT + 3 * number : LEFT + 3 * number + 60] = 255
        yield Scene(rgb, (shown,), "street", "day", 0, 0)


def test_remembering_by_hand() -> None:
    told = exposure(drive(12), Concealer(Blinks(0, 1, 5, 6, 11)), hold=3)
    assert [told[way].counts for way in WAYS] == [(5, 12), (2, 12), (0, 12)]
    assert [told[way].longest for way in WAYS] == [2, 2, 0]
    areas = [sum(told[way].area) for way in WAYS]
    assert areas == sorted(areas) and areas[0] == pytest.approx(7 * 1200 / (120 * 320))
    both = summary([told[WAYS[0]], told[WAYS[2]]])
    assert both["exposed_per_thousand"] == pytest.approx(5000 / 24) and both["longest_run"] == 2
    assert (both["clips"], both["plates"], both["plate_frames"]) == (2, 2, 24)
    assert both["interval"] == [0, pytest.approx(5000 / 12)]
    assert summary([Exposure()])["exposed_per_thousand"] is None and summary([])["area"] is None


def test_on_rendered_clips_knowing_the_truth_leaves_nothing_exposed() -> None:
    frames = list(clip(3, 1, frames=3, size=(320, 180)))

    class Knows(Blinks):
        def __call__(self, rgb: np.ndarray) -> np.ndarray:
            scene = next(scene for scene in frames if scene.image is rgb)
            background = np.ones(rgb.shape[:2], np.float32)
            for each in scene.plates:
                low, high = np.floor(each.corners.min(0)).astype(int), np.ceil(each.corners.max(0)).astype(int)
                background[max(low[1], 0) : max(high[1], 0), max(low[0], 0) : max(high[0], 0)] = 0
            return background

    told, blind = exposure(frames, Concealer(Knows())), exposure(frames, Concealer(Blinks(0, 1, 2)))
    for way in WAYS:
        assert told[way].counts[0] == 0 < told[way].counts[1]
        assert blind[way].counts[0] == blind[way].counts[1] and blind[way].longest == 3
