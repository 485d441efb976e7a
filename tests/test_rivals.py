"""Coverage at equal stray cover, counted by hand; both protocols; the rules behind the ledger's verdicts."""

import numpy as np
import pytest
import torch
from datasets import Dataset, Image
from PIL import Image as Pillow

from lib.boxes import BoxSegmenter
from lib.conceal import Concealer
from lib.data import load_folder
from lib.metrics import Accumulator, PictureRow, PlateRow
from lib.rivals import (
    STRAY,
    Rival,
    accuracy_gap,
    compete,
    coverage,
    gap,
    gap_at_equal_a,
    gap_verdict,
    nearly_verdict,
    on_crops,
    row_verdict,
    share_verdict,
)
from tests.tiny import coco_split


def held(covered: list[int], stray: list[int]) -> Accumulator:
    """Pictures of 1,000 pixels with two plates each, of which so many are covered, and so many stray pixels."""
    made = Accumulator()
    for number, (count, off) in enumerate(zip(covered, stray, strict=True)):
        made.pictures.append(PictureRow(number, "", 1000, 100, 100, 60, false=off, stray=off))
        made.plates += [PlateRow(number, 50.0, 1.0 if plate < count else 0.94, None, 50, 30) for plate in (0, 1)]
    return made


def rival(steps: dict[float, Accumulator], name: str = "one", threshold: float = 0.5) -> Rival:
    return Rival(name, {"threshold": threshold, "growth": 0.0, "feasible": True}, steps, None)


ONE = rival({0.1: held([0, 0], [0, 0]), 0.5: held([1, 0], [2, 2]), 0.9: held([2, 2], [12, 12])})


def test_coverage_is_read_between_thresholds() -> None:
    """Coverage 0, 1/4, 1 at stray cover 0, .002, .012: at .007 half way between the last two."""
    assert ONE.coverage_at(0.007) == pytest.approx([0.625])
    assert ONE.coverage_at(0.002) == pytest.approx([0.25])
    assert ONE.coverage_at(0.001) == pytest.approx([0.125])


def test_a_careful_method_has_its_highest_coverage_and_a_careless_one_the_line_from_nothing() -> None:
    assert ONE.coverage_at(0.5) == pytest.approx([1.0])
    careless = rival({0.1: held([2, 2], [100, 100]), 0.5: held([2, 2], [200, 200])})
    assert careless.coverage_at(0.005) == pytest.approx([0.05])


def test_weights_count_pictures_as_often_as_they_were_drawn() -> None:
    """The first picture alone: coverage 1/2 at .002, 1 at .012."""
    assert ONE.coverage_at(0.002, np.array([[2.0, 0.0], [0.0, 1.0]])) == pytest.approx([0.5, 0.0])


def test_a_gap_is_paired_and_its_interval_holds_it() -> None:
    other = rival({0.5: held([0, 0], [0, 0])}, "other")
    value, (low, high) = gap(ONE, other, 0.002)
    assert value == 0.25 and (low, high) == (0.0, 0.5)
    assert gap(ONE, ONE) == (0.0, (0.0, 0.0))
    assert coverage(ONE, 0.002) == (0.25, (0.0, 0.5))


def test_pictures_without_a_plate_do_not_break_the_intervals() -> None:
    empty = Accumulator()
    for number in range(3):
        empty.pictures.append(PictureRow(number, "", 1000, 0, 0, 0, false=1, stray=1))
    empty.plates.append(PlateRow(2, 50.0, 1.0, None, 50, 30))
    value, (low, high) = coverage(rival({0.5: empty}), 0.001)
    assert (value, low, high) == (1.0, 1.0, 1.0)


def split(tmp_path, count: int = 4) -> Dataset:
    return load_folder(coco_split(tmp_path / "split", count))


def magenta(rgb: np.ndarray, sure: float = 0.9) -> np.ndarray:
    """The tiny pictures' plate, by its colour."""
    rows, columns = np.nonzero((rgb[..., 0] > 200) & (rgb[..., 1] < 50))
    return np.array([(columns.min(), rows.min(), columns.max() + 1, rows.max() + 1, sure)], np.float32)


def test_competing_measures_what_the_method_does(tmp_path) -> None:
    plates = split(tmp_path)
    perfect = BoxSegmenter(lambda rgb, least: magenta(rgb), "perfect")
    made = compete("perfect", Concealer(perfect), plates, plates)
    got = made.chosen.summary()
    assert made.pictures == 4 and got["coverage"] == got["accuracy"] == got["on_plate_accuracy"] == 1.0
    assert got["stray_cover"] == 0 and made.precision == (1.0, (1.0, 1.0))
    assert made.coverage_at(STRAY) == pytest.approx([1.0])
    assert min(made.sweep) == 0.02 and made.sweep[0.05].summary()["coverage"] == 0  # not that sure
    assert made.sweep[0.05].summary()["on_plate_accuracy"] == 1.0  # at p >= 0.5, whatever the threshold


def test_a_segmenter_gets_boxes_round_its_regions(tmp_path) -> None:
    class Network:
        name, threshold, growth = "colour", 0.5, 0.0

        def __call__(self, rgb: np.ndarray) -> np.ndarray:
            return np.where((rgb[..., 0] > 200) & (rgb[..., 1] < 50), 0.05, 1.0)

    plates = split(tmp_path)
    made = compete("colour", Concealer(Network()), plates, plates)
    assert made.precision == (1.0, (1.0, 1.0)) and made.chosen.summary()["coverage"] == 1.0


def frames(count: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    pixels, masks = torch.zeros(count, 3, 10, 10, dtype=torch.uint8), torch.zeros(count, 10, 10, dtype=torch.bool)
    masks[:, :2] = True
    pixels[:, 0, 0] = 255  # half of each plate is red
    return pixels, masks


def red(sure: float):
    return lambda rgb: np.where(rgb[..., 0] == 255, 1 - sure, 1.0).astype(np.float32)


def test_crops_give_the_papers_two_figures() -> None:
    got = on_crops("red", red(0.8), frames()).pixels.summary()
    assert got["accuracy"] == pytest.approx(0.9) and got["on_plate_accuracy"] == pytest.approx(0.5)
    assert on_crops("shy", red(0.4), frames()).pixels.summary()["on_plate_accuracy"] == 0


def test_a_gap_at_half_is_not_one_at_equal_a() -> None:
    """A shy method that knows as much falls behind at one half, and not where its A is held equal."""
    bold, shy = on_crops("bold", red(0.8), frames()), on_crops("shy", red(0.4), frames())
    value, interval = accuracy_gap(bold.pixels, shy.pixels)
    assert value == pytest.approx(0.5) and interval == pytest.approx((0.5, 0.5))
    assert gap_at_equal_a(bold, shy) == pytest.approx(0.0)
    blind = on_crops("blind", lambda rgb: np.zeros((10, 10), np.float32), frames())  # plate everywhere or nowhere
    assert gap_at_equal_a(bold, blind) is None


@pytest.mark.parametrize(
    ("a", "a1", "able", "wanted"),
    [
        ((0.97, 0.985), (0.98, 0.995), False, "holds"),
        ((0.97, 0.976), (0.9, 0.984), True, "holds in part"),
        ((0.9, 0.92), (0.9, 0.94), True, "does not hold"),
        ((0.97, 0.99), (0.9, 0.94), False, "cannot be told here"),
    ],
)
def test_the_row_of_table_1(a: tuple, a1: tuple, able: bool, wanted: str) -> None:
    assert row_verdict(a, a1, (0.98, 0.99), able) == wanted


@pytest.mark.parametrize(
    ("at_half", "equal", "yolo", "wanted"),
    [
        ((0.01, 0.04), 0.02, 0.99, "holds"),
        ((0.01, 0.06), 0.02, 0.99, "holds in part"),
        ((0.01, 0.04), 0.3, 0.99, "holds in part"),
        ((0.01, 0.04), None, 0.99, "holds in part"),
        ((0.06, 0.09), 0.02, 0.99, "holds in part"),
        ((0.01, 0.09), 0.3, 0.99, "cannot be told here"),
        ((0.06, 0.09), 0.3, 0.99, "does not hold"),
        ((0.06, 0.09), None, 0.5, "does not hold"),
        ((-0.6, -0.3), -0.1, 0.0, "cannot be told here"),
    ],
)
def test_the_gap(at_half: tuple, equal: float | None, yolo: float, wanted: str) -> None:
    assert gap_verdict(at_half, equal, yolo) == wanted


@pytest.mark.parametrize(
    ("difference", "yolo", "wanted"),
    [
        ((0.0, 0.04), 0.99, "holds"),
        ((0.0, 0.09), 0.99, "cannot be told here"),
        ((0.06, 0.09), 0.5, "does not hold"),
        ((-0.2, 0.0), 0.5, "cannot be told here"),
    ],
)
def test_nearly(difference: tuple, yolo: float, wanted: str) -> None:
    assert nearly_verdict(difference, yolo) == wanted


def test_the_share_of_coco() -> None:
    assert share_verdict(6176 / 118_287) == "does not hold"
    assert share_verdict(0.0099) == "holds"


def test_pictures_are_read_upright_and_in_colour(tmp_path) -> None:
    """A picture's pixels reach the method as the network's other callers see them."""
    plates = split(tmp_path, 1)
    seen: list[np.ndarray] = []
    one = BoxSegmenter(lambda rgb, least: seen.append(rgb) or magenta(rgb), "one")
    compete("one", Concealer(one), plates, plates)
    stored = plates.cast_column("image", Image(decode=False))[0]["image"]["path"]
    assert all((rgb == np.asarray(Pillow.open(stored).convert("RGB"))).all() for rgb in seen) and len(seen) == 2
