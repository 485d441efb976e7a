"""Where maps lie: a plate whose parts are counted by hand, and maps whose shares follow."""

from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset
from PIL import Image
from torch import Tensor

from lib.attribution import (
    PARTS,
    brightest,
    character_height,
    contrast,
    density,
    density_gain,
    distances,
    edges,
    mean_interval,
    parts_of,
    shares,
    specimens,
)
from lib.data import FEATURES
from lib.regions import PlateTruth
from lib.settings import PlatesError


def quad(x: float, y: float, w: float, h: float) -> np.ndarray:
    return np.array([(x, y), (x + w, y), (x + w, y + h), (x, y + h)], float)


def plate(x: float = 20, y: float = 40, w: float = 40, h: float = 20) -> PlateTruth:
    """A plate with two characters of 8x10 pixels, five pixels below its upper edge."""
    characters = (quad(x + 8, y + 5, 8, 10), quad(x + 24, y + 5, 8, 10))
    return PlateTruth((x, y, w, h), quad(x, y, w, h), characters)


def test_distances_from_an_outline() -> None:
    away = distances(quad(2, 2, 4, 4), (8, 8))
    assert away[2, 2] == pytest.approx(0.5)  # its centre is half a pixel inside of two sides
    assert away[3, 3] == pytest.approx(1.5)
    assert away[0, 3] == pytest.approx(1.5)  # outside, straight above
    assert away[0, 0] == pytest.approx(np.hypot(1.5, 1.5))  # outside, from the corner


def test_the_parts_share_out_the_picture() -> None:
    parts = parts_of([plate()], 100)
    assert tuple(parts) == PARTS
    assert (sum(part.astype(int) for part in parts.values()) == 1).all()
    assert parts["characters"].sum() == 2 * 80
    # The rim reaches .15 x 20 = 3 pixels to both sides: 46 x 26 around the plate less four corners cut round, less
    # the 34 x 14 inside; the characters begin 5 pixels in.
    corners = sum(np.hypot(i + 0.5, j + 0.5) > 3 for i in range(3) for j in range(3))
    assert parts["rim"].sum() == 46 * 26 - 4 * corners - 34 * 14
    assert parts["ground"].sum() == 34 * 14 - 160
    assert parts["surroundings"][40 - 10, 40] and not parts["surroundings"][40 - 21, 40]
    assert parts["elsewhere"][0, 0] and not parts["elsewhere"][40:60, 20:60].any()


def test_a_plate_without_known_characters_has_none() -> None:
    parts = parts_of([PlateTruth((20, 40, 40, 20))], 100)
    assert not parts["characters"].any()
    assert parts["ground"].sum() == 34 * 14
    assert character_height(PlateTruth((0, 0, 4, 4))) == 0
    assert character_height(plate()) == 10


def test_a_far_plate_has_a_rim_of_a_pixel_at_least_and_two_plates_make_one_union() -> None:
    parts = parts_of([PlateTruth((80, 20, 4, 2)), plate()], 100)
    assert parts["rim"][20, 80] and parts["rim"][19, 80] and parts["characters"].sum() == 160
    assert (sum(part.astype(int) for part in parts.values()) == 1).all()


@pytest.fixture
def part() -> Tensor:
    made = torch.zeros(4, 10, 10, dtype=torch.bool)
    made[:, 2:4, 2:7] = True  # 10 of 100 pixels
    return made


def test_a_map_that_knows_nothing_has_density_one_and_one_that_knows_all_the_inverse_of_the_area(part: Tensor) -> None:
    assert density(torch.full((4, 10, 10), -3.0), part, 10) == (pytest.approx(1.0), pytest.approx((1.0, 1.0)))
    value, interval = density(part.float(), part, 10)
    assert value == pytest.approx(10) and interval == pytest.approx((10, 10))
    assert density(part.float(), ~part, 10)[0] == 0


def test_what_the_network_does_not_see_counts_nowhere(part: Tensor) -> None:
    maps = torch.zeros(4, 10, 10)
    maps[:, :5, :5] = 1.0
    share, area = shares(maps, part, 5)
    assert share == pytest.approx([6 / 25] * 4) and area == pytest.approx([6 / 25] * 4)


def test_an_empty_map_counts_nowhere_and_a_part_without_area_cannot_be_told(part: Tensor) -> None:
    maps = part.float()
    maps[1:] = 0
    assert density(maps, part, 10)[0] == pytest.approx(10)
    assert density(torch.zeros(4, 10, 10), part, 10) == (None, None)
    assert density(maps, torch.zeros_like(part), 10) == (None, None)


def test_gain_is_the_difference_of_the_densities(part: Tensor) -> None:
    draw = torch.Generator().manual_seed(0)
    one, other = (torch.rand((4, 10, 10), generator=draw) + weight * part for weight in (2.0, 0.5))
    gain, interval = density_gain(one, other, part, 10)
    assert gain == pytest.approx(density(one, part, 10)[0] - density(other, part, 10)[0])
    assert interval[0] <= gain <= interval[1] and interval[0] > 0


def test_contrast_runs_from_minus_one_to_one(part: Tensor) -> None:
    maps = torch.zeros(4, 10, 10)
    maps[0][part[0]] = 1.0
    maps[1][~part[1]] = 1.0
    maps[2] = 2.0
    told = contrast(maps, part, ~part, 10)
    assert told[:3] == pytest.approx([1, -1, 0]) and np.isnan(told[3])
    maps[3] = 1.0 + 2.0 * part[3]  # three times as bright
    assert contrast(maps, part, ~part, 10)[3] == pytest.approx(0.5)
    assert np.isnan(contrast(maps, part, torch.zeros_like(part), 10)).all()


def test_means_leave_out_what_cannot_be_told() -> None:
    value, (low, high) = mean_interval(np.array([1.0, 2.0, 3.0, np.nan]))
    assert value == 2 and low < 2 < high
    assert mean_interval(np.full(3, np.nan)) == (None, None)


def test_the_brightest_pixel(part: Tensor) -> None:
    maps = torch.rand(4, 10, 10, generator=torch.Generator().manual_seed(0))
    maps[0, 2, 2], maps[1, 9, 9], maps[2, 3, 6], maps[3, 0, 0] = 2.0, 2.0, -2.0, 2.0
    assert brightest(maps, part, 10).tolist() == [1, 0, 1, 0]
    assert brightest(maps, part, 9)[1] == part[1, :9, :9].flatten()[maps[1, :9, :9].argmax()]


def test_edges_lie_on_edges() -> None:
    flat = torch.full((1, 3, 6, 6), 77, dtype=torch.uint8)
    assert edges(flat).abs().max() == 0
    flat[..., 3:] = 177
    told = edges(flat)
    assert told.shape == (1, 6, 6)
    assert torch.equal(told[0, 2], torch.tensor([0.0, 0.0, 400.0, 400.0, 0.0, 0.0]))


def split(folder: Path, plates: list[PlateTruth | None], occluded: float = 0.0) -> Dataset:
    """PNG pictures of 128x96 pixels with one plate each (or none); the picture's red value is its number."""
    rows = []
    for number, truth in enumerate(plates):
        path = folder / f"{number}.png"
        Image.fromarray(np.full((96, 128, 3), (number, 90, 90), np.uint8)).save(path)
        some = [] if truth is None else [truth]
        objects = {
            "id": [0 for _ in some],
            "bbox": [list(one.bbox) for one in some],
            "corners": [[] if one.corners is None else one.corners.ravel().tolist() for one in some],
            "area": [1.0 for _ in some],
            "iscrowd": [one.iscrowd for one in some],
            "text": ["" for _ in some],
            "look": ["" for _ in some],
            "occluded": [occluded for _ in some],
            "angle": [-1.0 for _ in some],
            "characters": [[one.ravel().tolist() for one in truth.characters] for truth in some],
            "chars": ["" for _ in some],
        }
        rows.append({"image_id": number, "image": str(path), "file_name": path.name, "width": 128, "height": 96})
        rows[-1] |= {"source": "made", "license": "MIT", "light": "", "kind": "", "objects": objects}
    return Dataset.from_dict({key: [row[key] for row in rows] for key in FEATURES}, features=FEATURES)


def test_specimens_are_pictures_with_plates_in_the_networks_square(tmp_path: Path) -> None:
    made = specimens(split(tmp_path, [plate(), None, PlateTruth((10, 10, 30, 30)), plate(60, 60)]), side=96)
    assert len(made) == 3
    assert made.pixels.shape == (3, 3, 96, 96) and made.pixels[:, 0, 5, 5].tolist() == [0, 2, 3]
    assert made.heights.tolist() == [10, 0, 10]  # heights keep their length where only the width is squashed
    assert made.masks[0].sum() == 30 * 20  # 40 pixels of 128 are 30 of 96
    assert torch.equal(made.masks, made.plates)  # upright plates fill their boxes
    total = sum(made.parts[name].int() for name in PARTS)
    assert (total == 1).all()
    assert [int(made.parts["characters"][i].sum()) for i in range(3)] == [2 * 6 * 10, 0, 2 * 6 * 10]
    second = made.take([2, 0])
    assert second.heights.tolist() == [10, 10] and torch.equal(second.parts["rim"][1], made.parts["rim"][0])
    black = made.shown_as(torch.zeros_like(made.pixels))
    assert black.pixels.max() == 0 and black.masks is made.masks


def test_specimens_whose_characters_are_asked_about_have_to_be_readable(tmp_path: Path) -> None:
    rows = split(tmp_path, [plate(), PlateTruth((10, 10, 30, 30)), plate(60, 60)])
    assert specimens(rows, least=9.5, side=96).heights.tolist() == [10, 10]
    for none in (
        lambda: specimens(rows, least=11, side=96),
        lambda: specimens(split(tmp_path, [plate()], occluded=0.5), least=5, side=96),
        lambda: specimens(split(tmp_path, [PlateTruth((1, 1, 9, 9), iscrowd=True), None]), side=96),
    ):
        with pytest.raises(PlatesError, match="no picture has a plate whose characters"):
            none()


def test_a_limit_takes_evenly_spaced_pictures(tmp_path: Path) -> None:
    rows = split(tmp_path, [plate()] * 9)
    assert specimens(rows, 3, side=96).pixels[:, 0, 0, 0].tolist() == [0, 4, 8]
    assert len(specimens(rows, 50, side=96)) == 9
