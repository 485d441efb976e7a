"""The figures of notebook 07: drawn from rendered scenes, small enough, and written under their own names."""

import io
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st
from IPython.display import Image as Shown
from matplotlib import pyplot as plt
from PIL import Image

from lib import rendered
from lib.failures import examples
from lib.models import LocationPrior
from lib.plots import style
from lib.plots import thresholds as plots
from lib.reliability import FINE, Reliability, meant_share
from lib.thresholds import Sweep, sweep, sweep_prior
from tests.test_failures import split

LARGEST = 200_000  # bytes of a figure: the course's rule


def network(rgb: np.ndarray) -> np.ndarray:
    """Bright pixels are plate, dark ones are not: a P(background) with something of everything."""
    return (1 - rgb.mean(axis=2) / 255).astype(np.float32)


@pytest.fixture(scope="module")
def scenes() -> Dataset:
    return split(*(rendered.row(index, 11, (320, 240)) for index in range(8)))


@pytest.fixture(scope="module")
def seen(scenes: Dataset) -> Sweep:
    return sweep(scenes, network)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(style, "FIGURES", tmp_path)
    monkeypatch.setenv("PLATES_PUBLISH", "1")
    return tmp_path


def checked(shown: Shown, folder: Path, name: str) -> Image.Image:
    """The picture, after what holds for all: a file of its name, under the limit, legible width, nothing left open."""
    assert (folder / name).read_bytes() == shown.data and [path.name for path in folder.iterdir()] == [name]
    assert len(shown.data) < LARGEST and not plt.get_fignums()
    picture = Image.open(io.BytesIO(shown.data))
    assert 700 <= picture.width <= 1000
    return picture


def test_trade_offs(scenes: Dataset, seen: Sweep, folder: Path) -> None:
    masks = torch.zeros(4, 320, 320, dtype=torch.bool)
    masks[:, 150:250, 60:260] = True
    prior = sweep_prior(scenes, LocationPrior().update(masks))
    checked(plots.trade_offs(seen, prior, "scenes"), folder, "07_trade_offs.png")


def test_kinds_and_groups_have_a_part_for_each_data_set(seen: Sweep, folder: Path) -> None:
    one = checked(plots.by_group({"scenes": seen}, "scenes"), folder, "07_groups.png")
    two = checked(plots.by_group({"scenes": seen, "again": seen}, "both"), folder, "07_groups.png")
    assert two.height > 1.8 * one.height
    (folder / "07_groups.png").unlink()
    checked(plots.kinds({"scenes": seen, "again": seen}, "both"), folder, "07_kinds.png")


def test_each_threshold_shows_what_it_conceals_in_red(scenes: Dataset, seen: Sweep, folder: Path) -> None:
    cases = examples(seen)
    assert len(cases) >= 3  # or the test shows nothing
    picture = checked(plots.failures(scenes, seen, network, cases, "scenes"), folder, "07_failures.jpg")
    pixels = np.asarray(picture.convert("RGB")).astype(int)
    red = (pixels[..., 0] > 120) & (pixels[..., 0] > 1.8 * pixels[..., 1])
    columns = [part.mean() for part in np.array_split(red, 6, axis=1)]
    assert columns[0] < 0.1 and columns[-1] > columns[-2] > columns[-3]  # the picture; then more and more


def test_what_is_red_is_below_the_threshold(scenes: Dataset, seen: Sweep, folder: Path) -> None:
    case = [("any", 0)]
    nothing, everything = (
        np.asarray(Image.open(io.BytesIO(plots.failures(scenes, seen, one, case, "").data)).convert("RGB")).astype(int)
        for one in (lambda rgb: np.ones(rgb.shape[:2]), lambda rgb: np.zeros(rgb.shape[:2]))
    )
    right = np.s_[40:-40, nothing.shape[1] // 6 + 10 :]
    more = (everything - nothing)[right]
    assert more[..., 0].mean() > 20 and more[..., 1].mean() < -10


@given(
    st.tuples(st.floats(0, 300), st.floats(0, 220), st.floats(1, 320), st.floats(1, 240)),
    st.sampled_from([(240, 320), (240, 240), (100, 640), (48, 48)]),
)
def test_a_closeup_lies_in_the_picture_and_has_one_form(box: tuple, shape: tuple[int, int]) -> None:
    rows, columns = plots.closeup(box, shape)
    assert 0 <= rows.start < rows.stop <= shape[0] and 0 <= columns.start < columns.stop <= shape[1]
    high, wide = rows.stop - rows.start, columns.stop - columns.start
    assert abs(high - 0.75 * wide) <= 1.75  # whole pixels


def test_a_closeup_shows_the_whole_plate_where_the_picture_has_room() -> None:
    rows, columns = plots.closeup((100, 100, 40, 10), (480, 640))
    assert columns.start <= 60 and columns.stop >= 180 and columns.stop - columns.start == 120
    assert rows.start < 100 and rows.stop > 110


def test_reliability(folder: Path) -> None:
    counts = np.zeros((5, 2, FINE), np.int64)
    counts[:, 0, ::40] = 90
    counts[:, 1, ::40] = np.arange(5)[:, None] * 3  # one picture has no plate
    measured = {"random crops": Reliability(counts), "whole pictures": Reliability(counts[:4])}
    reading = partial(meant_share, 2, 25.0)
    checked(plots.reliability(measured, reading, "what the loss leads to", "made"), folder, "07_reliability.png")
