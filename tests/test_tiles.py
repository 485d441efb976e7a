"""Large frames in tiles: every pixel is in one, far plates are found in their own size, cut finds give way to whole."""

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.boxes import LEAST
from lib.tiles import SHARED, TILE, Tiled, tiles


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 4000), st.integers(1, 4000))
def test_tiles_hold_every_pixel_and_share_enough(height: int, width: int) -> None:
    laid = list(tiles(height, width))
    for low, high, length in ((0, 2, width), (1, 3, height)):
        cuts = sorted({(each[low], each[high]) for each in laid})
        assert cuts[0][0] == 0 and cuts[-1][1] == length
        assert all(end - start == min(length, TILE) for start, end in cuts)
        assert all(before[1] - after[0] >= SHARED for before, after in pairwise(cuts))


def test_a_full_hd_frame_by_hand() -> None:
    across, down = [(0, 960), (480, 1440), (960, 1920)], [(0, 960), (120, 1080)]
    assert list(tiles(1080, 1920)) == [(x0, y0, x1, y1) for y0, y1 in down for x0, x1 in across]
    assert list(tiles(480, 640)) == [(0, 0, 640, 480)]


class White:
    """Finds the one white rectangle of a picture, unless thinner than ``least`` pixels at 960; notes its calls."""

    def __init__(self, least: float = 8.0) -> None:
        self.least, self.sizes = least, []

    def __call__(self, rgb: np.ndarray, confidence: float) -> np.ndarray:
        self.sizes.append(rgb.shape[:2])
        rows, columns = np.nonzero(rgb[..., 0] == 255)
        if not len(rows):
            return np.zeros((0, 5), np.float32)
        box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        small = (box[3] - box[1]) * min(1.0, TILE / max(rgb.shape[:2])) < self.least
        return np.zeros((0, 5), np.float32) if small else np.array([[*box, 0.9]], np.float32)


def frame(left: int, top: int, right: int, bottom: int, size: tuple[int, int] = (1080, 1920)) -> np.ndarray:
    rgb = np.zeros((*size, 3), np.uint8)
    rgb[top:bottom, left:right] = 255
    return rgb


def test_a_far_plate_of_a_large_frame_is_found_in_its_tile() -> None:
    far = frame(1500, 700, 1524, 708)
    assert len(White()(far, LEAST)) == 0
    assert Tiled(White())(far).tolist() == [[1500, 700, 1524, 708, np.float32(0.9)]]


def test_a_find_that_a_tile_cuts_gives_way_to_the_whole_one() -> None:
    across = frame(940, 300, 1000, 330)  # the first tile ends at 960; the second holds all of it
    assert Tiled(White())(across)[:, :4].tolist() == [[940, 300, 1000, 330]]
    vast = frame(100, 100, 1800, 400)  # no tile holds it, the whole frame does
    assert Tiled(White())(vast)[:, :4].tolist() == [[100, 100, 1800, 400]]


def test_half_a_find_is_kept_where_nobody_has_the_whole() -> None:
    class Blind(White):
        def __call__(self, rgb: np.ndarray, confidence: float) -> np.ndarray:
            found = super().__call__(rgb, confidence)
            return found if rgb.shape[1] <= TILE and found.size and found[0, 0] > 900 else found[:0]

    assert Tiled(Blind())(frame(940, 300, 1000, 330))[:, :4].tolist() == [[940, 300, 960, 330]]


def test_small_frames_are_looked_at_once_and_vast_ones_scaled_first() -> None:
    once = White()
    Tiled(once)(frame(10, 10, 60, 40, (480, 640)))
    assert once.sizes == [(480, 640)]
    many = White()
    found = Tiled(many, most=1920)(frame(3000, 1400, 3100, 1440, (2160, 3840)))
    assert max(max(size) for size in many.sizes) == 1920 and len(many.sizes) == 7
    assert np.abs(found[0, :4] - (3000, 1400, 3100, 1440)).max() <= 2
    assert Tiled(White())(np.zeros((1200, 1200, 3), np.uint8)).shape == (0, 5)
