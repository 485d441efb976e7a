"""The audit behind notebook 01 on labels whose answers are known, and its figures drawn from them."""

import io
import re
from typing import Any

import numpy as np
import pytest
import torch
from datasets import DatasetDict
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from lib import audit
from lib.bootstrap import ratio_interval
from lib.data import mask_of
from lib.duplicates import difference_hashes
from lib.pictures import Pictures
from lib.plots import data as draw
from lib.plots import style
from lib.settings import PlatesError
from tests import tiny
from tests.tiny import split

SQUARE = [10.0, 10.0, 20.0, 10.0, 20.0, 20.0, 10.0, 20.0]
DIAMOND = [20.0, 10.0, 30.0, 20.0, 20.0, 30.0, 10.0, 20.0]  # the square turned by 45 degrees: half of its box


def row(number: int, boxes: list, corners: list | None = None, source: str = "here", **more: Any) -> dict[str, Any]:
    """One picture of noise, 80 x 40, with these boxes."""
    noise = np.random.default_rng(number).integers(0, 256, (40, 80, 3), np.uint8)
    known = {"corners": corners} if corners else {}
    return tiny.row(number, Image.fromarray(noise), boxes, **known, **more) | {"source": source}


@pytest.fixture
def plates() -> DatasetDict:
    """Three pictures to learn from, with one, none and two plates, and one to test on whose second box is a crowd."""
    return DatasetDict(
        train=split(
            row(0, [[10, 10, 20, 20]], [DIAMOND]),
            row(1, [], source="there"),
            row(2, [[0, 0, 2, 1], [10, 10, 10, 10]], [[], SQUARE], source="there"),
        ),
        test=split(row(3, [[0, 0, 40, 40], [40, 0, 40, 40]], iscrowd=[False, True])),
    )


def test_labels(plates: DatasetDict) -> None:
    found = audit.labels(plates)
    assert found["split"].tolist() == ["train"] * 3 + ["test"]
    assert found["source"].tolist() == ["here", "there", "there", "here"]
    assert found["picture"].tolist() == [0, 2, 2, 3]
    assert found["scaled_width"].tolist() == [160, 16, 80, 320]  # 80 pixels become 640
    np.testing.assert_allclose(found["tilt"], [45, np.nan, 0, np.nan])
    np.testing.assert_allclose(found["beside"], [0.5, np.nan, 0, np.nan], atol=1e-12)


def test_labels_of_no_plate() -> None:
    found = audit.labels(DatasetDict(train=split(row(0, []))))
    assert {name: len(column) for name, column in found.items()} == dict.fromkeys(found, 0) and "tilt" in found


@given(st.floats(-60, 60), st.floats(0.2, 1), st.floats(2, 6))
def test_geometry_of_a_turned_rectangle(degrees: float, size: float, ratio: float) -> None:
    half = size * np.array([(-ratio, -1), (ratio, -1), (ratio, 1), (-ratio, 1)])
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    tilt, beside = audit.geometry(half @ np.array([(c, s), (-s, c)]) + 20, (40, 40))
    hull = (ratio * c + abs(s)) * (ratio * abs(s) + c)  # the formula that the figure draws
    assert tilt == pytest.approx(abs(degrees), abs=1e-6)
    assert beside == pytest.approx(1 - ratio / hull, abs=1e-9)


def test_geometry_of_a_plate_that_leaves_the_picture_is_unknown() -> None:
    corners = np.array(DIAMOND).reshape(4, 2)
    assert np.isnan(audit.geometry(corners, (80, 29))).all()
    assert not np.isnan(audit.geometry(corners, (30, 30))).any()


def test_frequency(plates: DatasetDict) -> None:
    prior, shares = audit.frequency(plates["train"], side=40)  # 80 x 40 squeezed: widths halve
    assert prior[15, 7] == pytest.approx(2 / 3) and prior[25, 7] == pytest.approx(1 / 3) and prior[35, 7] == 0
    np.testing.assert_allclose(shares, [10 * 20 / 1600, 0, (5 * 10 + 1) / 1600])
    assert prior.mean() == pytest.approx(shares.mean())
    truth, shares = audit.frequency(plates["test"], side=40)
    assert shares.tolist() == [0.5] and truth[:, :20].all() and not truth[:, 20:].any()  # the crowd is no plate


def test_frequency_agrees_with_the_masks_of_the_data(plates: DatasetDict) -> None:
    one = row(0, [[3.4, 5.5, 20.2, 20.1], [20, 10, 15.7, 25], [30, 30, 0.2, 0.2]])
    one |= {"width": 40, "image": one["image"].crop((0, 0, 40, 40))}
    prior, shares = audit.frequency(split(one), side=40)
    np.testing.assert_array_equal(prior > 0, mask_of(one))
    assert shares[0] == mask_of(one).mean() and prior[30, 30] == 1  # a speck leaves a trace


def test_painting_by_location() -> None:
    prior, truth = np.array([[0.5, 0.1], [0.4, 0.0]]), np.array([[0.4, 0.4], [0.0, 0.2]])
    assert audit.paint(prior, truth, 0) == (pytest.approx(0.75), 0)
    a, a1 = audit.paint(prior, truth, 0.5)  # the left column: right with .4 and 0, the right one with .6 and .8
    assert a == pytest.approx((0.4 + 0.0 + 0.6 + 0.8) / 4) and a1 == pytest.approx(0.4)
    assert audit.paint(prior, truth, 1) == (pytest.approx(0.25), pytest.approx(1))
    assert np.isnan(audit.paint(prior, 0 * truth, 0.5)[1])


def test_interval() -> None:
    random = np.random.default_rng(0)
    top, below = random.binomial(1, 0.3, 2000), np.ones(2000, int)
    low, high = ratio_interval(top, below)
    half = 1.96 * np.sqrt(0.21 / 2000)  # the normal approximation
    assert low == pytest.approx(top.mean() - half, abs=0.003) and high == pytest.approx(top.mean() + half, abs=0.003)
    assert ratio_interval(np.ones(5), np.ones(5)) == (1, 1)
    clustered = ratio_interval(np.repeat(top[:100], 2) * 0 + np.tile([4, 0], 100), np.tile([4, 4], 100))
    assert clustered[0] < 0.5 < clustered[1]


def test_mirrored_hashes_are_those_of_mirrored_pictures() -> None:
    random = np.random.default_rng(0)
    pictures = []
    for _ in range(12):  # 9 x 8 blocks of 16 pixels, all of them of different brightness
        blocks = random.permutation(72).reshape(8, 9).astype(np.uint8) * 3
        pictures.append(Image.fromarray(np.kron(blocks, np.ones((16, 16), np.uint8))).convert("RGB"))
    rows = [row(i, []) | {"image": picture} for i, picture in enumerate(pictures)]
    turned = [row(i, []) | {"image": ImageOps.mirror(picture)} for i, picture in enumerate(pictures)]
    hashes = difference_hashes(split(*rows))
    np.testing.assert_array_equal(audit.mirrored(hashes), difference_hashes(split(*turned)))
    np.testing.assert_array_equal(audit.mirrored(audit.mirrored(hashes)), hashes)
    assert (audit.mirrored(hashes) != hashes).all()


def test_fates() -> None:
    before = torch.tensor(
        [[[0.2, 0.2, 0.4, 0.3], [0.6, 0.6, 0.9, 0.8], [0.5, 0.1, 0.6, 0.2]], [[0.0, 0.5, 0.2, 0.6]] * 3]
    )
    before[1, 1:] = 0  # padding
    after = torch.tensor(
        [[[0.3, 0.3, 0.7, 0.5], [0.8, 0.7, 1.0, 0.9], [1.0, 0.0, 1.0, 0.1]], [[0.0, 0.4, 0.3, 0.5]] * 3]
    )
    assert audit.fates(before, after).tolist() == [[0, 1, 2], [0, -1, -1]]  # one was at the picture's own border


def test_crops_of_plates() -> None:
    pictures = tiny.pictures(6)
    found = audit.crop_plates(pictures, draws=3)
    assert found["fate"].shape == found["width"].shape == (3, 6, 1) and found["share"].shape == (3, 6)
    np.testing.assert_allclose(found["whole_width"], 160)  # half of the picture
    gone, whole = found["fate"] == 2, found["fate"] == 0
    assert gone.any() and whole.any() and (found["width"][gone] == 0).all()
    assert (found["width"][whole] >= 159).all()  # a crop only ever enlarges
    assert ((found["share"] == 0) == gone[..., 0]).all()
    again = audit.crop_plates(pictures, draws=3)
    assert all(np.array_equal(found[name], again[name]) for name in found)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list:
    """The figures that are shown, kept open to be looked at; what they return is checked for being a picture."""
    figures, show = [], style.show

    def keep(figure: Any, data: str, *more: Any, **options: Any) -> Any:
        figures.append(figure)
        shown = show(figure, data, *more, **options)
        with Image.open(io.BytesIO(shown.data)) as picture:
            assert picture.format.lower() == shown.format and picture.width > 500
            assert len(shown.data) < 200_000
        return shown

    monkeypatch.setattr(style, "show", keep)
    return figures


def words(figure: Any) -> str:
    return " ".join(text.get_text() for text in figure.findobj(match=lambda one: hasattr(one, "get_text")))


def polygons(place: Any) -> list[list[list[float]]]:
    """Corners of the coloured outlines, not of their dark seams."""
    return [patch.get_xy()[:4].tolist() for patch in place.patches[1::2]]


def test_samples_show_every_source_and_all_boxes(plates: DatasetDict, drawn: list) -> None:
    draw.samples(plates["train"], "tiny, 3 pictures")
    assert [place.get_title() for place in drawn[0].axes[:3]] == ["here", "there", "there"]
    assert [len(polygons(place)) for place in drawn[0].axes[:3]] == [1, 0, 2]
    assert polygons(drawn[0].axes[0]) == [[[10, 10], [30, 10], [30, 30], [10, 30]]]
    assert "data: tiny, 3 pictures" in words(drawn[0])


def test_plates_per_frame_adds_up(drawn: list) -> None:
    draw.plates_per_frame({"train": np.array([1, 1, 2, 9]), "test": np.array([0, 1])}, "tiny")
    train, test = ([bar.get_height() for bar in bars] for bars in drawn[0].axes[0].containers)
    assert train == [0, 50, 25, 0, 0, 0, 25] and test == [50, 50, 0, 0, 0, 0, 0]


def test_sizes_counts_small_plates_by_source(plates: DatasetDict, drawn: list) -> None:
    draw.sizes(audit.labels(plates), "tiny")
    left, right = drawn[0].axes
    assert sum(bar.get_height() for bar in left.patches) == 4
    assert "0 % of 2" in words(right) and "50 % of 2" in words(right)


def test_places_shows_the_prior_and_the_mean(plates: DatasetDict, drawn: list) -> None:
    prior, shares = audit.frequency(plates["train"], side=40)
    draw.places(prior, shares, "tiny")
    np.testing.assert_allclose(drawn[0].axes[0].images[0].get_array(), 100 * prior)
    assert f"mean here: {100 * shares.mean():.1f} %" in words(drawn[0])
    assert sum(bar.get_height() for bar in drawn[0].axes[1].patches) == 3  # the picture without a plate too


def test_nearest_keeps_the_far_ones_in_the_last_bar(drawn: list) -> None:
    draw.nearest(np.array([0, 5, 5, 40]), np.array([24, 24, 30, 12]), "tiny")
    as_is, mirrored = ([bar.get_height() for bar in bars] for bars in drawn[0].axes[0].containers)
    assert (as_is[0], as_is[5], as_is[24]) == (25, 50, 25) and (mirrored[12], mirrored[24]) == (25, 75)


def test_tilts_has_a_point_for_each_known_plate(plates: DatasetDict, drawn: list) -> None:
    draw.tilts(audit.labels(plates), "tiny")
    place = drawn[0].axes[0]
    np.testing.assert_allclose(place.collections[0].get_offsets(), [(45, 50), (0, 0)], atol=1e-9)
    turned = {line.get_label(): np.interp(45, *line.get_data()) for line in place.lines}
    assert turned["12 x 6 in (US), only turned"] == pytest.approx(100 * (1 - 2 / 4.5))


def test_box_and_corners_draws_the_emptiest_box_of_each_picture(plates: DatasetDict, drawn: list) -> None:
    draw.box_and_corners(plates["train"], "tiny")
    place = drawn[0].axes[0]  # the square fills its box: there is nothing to show of it
    assert len(drawn[0].axes[0].images) == 1 and not any(other.images for other in drawn[0].axes[1:])
    box, corners = polygons(place)
    assert box == [[10, 10], [30, 10], [30, 30], [10, 30]] and corners == np.reshape(DIAMOND, (4, 2)).tolist()
    assert place.get_title() == "50 % not plate"


def test_crops_are_those_of_training(drawn: list) -> None:
    pictures = tiny.pictures(2)
    draw.crops(pictures, "tiny", count=3)
    assert [place.get_title() for place in drawn[0].axes] == ["full frame", "crop 1", "crop 2", "crop 3"] * 2
    for number, place in enumerate(drawn[0].axes):
        shown = place.images[0].get_array()
        assert shown.shape == (320, 320, 3)
        magenta = (shown[..., 0] > 200) & (shown[..., 1] < 60)
        if not polygons(place):
            assert not magenta[4:-4, 4:-4].any()  # what is no longer labelled is no longer there
        elif number % 4 == 0:
            (left, top), (right, bottom) = polygons(place)[0][0], polygons(place)[0][2]
            assert magenta.mean() == pytest.approx((right - left) * (bottom - top), abs=0.01)


def test_input_widths(drawn: list) -> None:
    fate = {"large": np.array([0, 0, 1, 2]), "small": np.array([], int)}
    draw.input_widths(np.array([12.0, 100.0]), np.array([200.0]), fate, "tiny")
    left, right = drawn[0].axes
    assert [bars[0].get_width() for bars in right.containers] == [50, 25, 25]
    assert all(bars[1].get_width() == 0 for bars in right.containers)
    assert re.search(r"block 1.*block 2.*block 3", words(left))


def test_an_empty_split_has_no_pictures_to_crop() -> None:
    with pytest.raises(PlatesError, match="no picture"):
        Pictures.from_dataset(split(row(0, [])).select([]))
