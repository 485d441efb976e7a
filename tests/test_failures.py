"""Thresholds, kinds and causes of failure, on plates whose answers are known."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from tiny import split

from lib import failures
from lib.data import plates_of
from lib.metrics import Accumulator
from lib.models import LocationPrior
from lib.plots import threshold_tables as tables
from lib.scenes import LOOKS
from lib.settings import PlatesError
from lib.thresholds import THRESHOLDS, Sweep, needed, sweep, sweep_prior

QUAD = [20.0, 10.0, 40.0, 14.0, 38.0, 24.0, 18.0, 20.0]
LETTERS = [[[22.0, 12.0, 26.0, 13.0, 25.0, 19.0, 21.0, 18.0], [32.0, 14.0, 37.0, 15.0, 36.0, 21.0, 31.0, 20.0]], []]


def picture(number: int, boxes: list, colour: tuple[int, int, int] = (90, 90, 90), **objects: Any) -> dict[str, Any]:
    """A row of `lib.data`, 80 x 60 pixels of one colour, with these boxes."""
    return tiny.row(number, Image.new("RGB", (80, 60), colour), boxes, **objects) | {"image_id": 7 + number}


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    """Four pictures: a quadrilateral with letters beside a box, none, one with a region to ignore, one plate cut."""
    boxes = [[18.0, 10.0, 22.0, 14.0], [50.0, 40.0, 20.0, 8.0]]
    looks = {"look": ["yellow_two_line", "white"], "angle": [50.0, 10.0], "occluded": [0.0, 0.4]}
    return split(
        picture(0, boxes, (200, 30, 20), corners=[QUAD, []], characters=LETTERS, **looks) | {"light": "night"},
        picture(1, []) | {"light": "day"},
        picture(2, [[5.0, 5.0, 30.0, 12.0], [30.0, 5.0, 40.0, 40.0]], iscrowd=[False, True]) | {"light": "day"},
        picture(3, [[70.0, 50.0, 10.0, 10.0]], (220, 220, 220)),
    )


def field(rgb: np.ndarray) -> np.ndarray:
    """A P(background) of smooth waves with plateaus, that depends on the picture: float32 (H, W)."""
    y, x = np.mgrid[: rgb.shape[0], : rgb.shape[1]] / 25.0
    wave = 0.5 + 0.5 * np.sin(x + rgb[0, 0, 0] / 40) * np.cos(y)
    return (np.round(wave * 64) / 64).astype(np.float32)


@pytest.fixture(scope="module")
def swept(dataset: Dataset) -> Sweep:
    return sweep(dataset, field)


def made(count: int = 40, **columns: Any) -> Sweep:
    """One plate a picture, with these columns over ones that are covered at every threshold and nothing else is."""
    steps = len(THRESHOLDS)
    plates = {key: np.zeros(count) for key in ("touched", "half", "covered", "red", "green", "blue")}
    plates |= {key: np.full(count, np.nan) for key in ("hidden", "tilt", "angle", "occluded")}
    plates |= {"picture": np.arange(count), "number": np.zeros(count, int), "width": np.full(count, 80.0)}
    plates["look"] = np.full(count, "white")
    pictures = {"image_id": np.arange(count), "light": np.full(count, "day"), "luminance": np.linspace(0, 1, count)}
    pictures |= {"sharpness": np.linspace(0, 1, count), "pixels": np.full(count, 1000)}
    pictures["background"] = np.full(count, 900)
    none = np.zeros((count, steps), np.int64)
    told = Sweep(plates, pictures, THRESHOLDS, none, none.copy())
    for key, value in columns.items():
        if key == "stray":
            told = replace(told, stray=np.broadcast_to(value, (count, steps)).copy())
        else:
            (plates if key in plates else pictures)[key] = np.array(value)
    return told


def test_needed() -> None:
    background = np.array([[0.4, 0.1], [0.3, 0.2]])
    assert [needed(background, share) for share in (0, 0.25, 0.5, 0.51, 0.95, 1)] == [0.1, 0.1, 0.2, 0.3, 0.4, 0.4]
    assert needed(np.arange(20) / 20, 0.95) == 0.9  # nineteen of twenty


@given(
    arrays(np.float64, st.integers(1, 30), elements=st.sampled_from([0, 0.1, 0.25, 0.5, 0.9, 1])), st.floats(0.01, 1)
)
def test_a_threshold_conceals_the_share_when_it_exceeds_what_is_needed(background: np.ndarray, share: float) -> None:
    for t in (0.05, 0.1, 0.2, 0.25, 0.5, 0.95, 1.0):
        assert ((background < t).mean() >= share - 1e-9) == (needed(background, share) < t)


def test_one_look_says_what_the_metrics_say_at_every_threshold(dataset: Dataset, swept: Sweep) -> None:
    known = ~np.isnan(swept.plates["hidden"])
    assert known.tolist() == [True, False, False, False]
    for t in (0.005, 0.1, 0.25, 0.4, 0.6, 0.75, 0.9, 1.0):
        reference = Accumulator()
        for row in dataset:
            background = field(np.asarray(row["image"]))
            reference.add(background < t, background <= 0.5, plates_of(row))
        told = reference.summary()
        assert swept.coverage(t)[0] == told["coverage"]
        assert swept.plate_share(~swept.covers(t, "half"))[0] == told["missed"]
        assert swept.plate_share(~swept.covers(t, "hidden"), known)[0] == told["exposed"]
        assert swept.cover("stray", t)[0] == told["stray_cover"]
        assert swept.cover("false", t)[0] == told["false_cover"]
        assert swept.coverage(t)[1] == reference.interval("coverage")
        assert swept.cover("stray", t)[1] == reference.interval("stray_cover")
        place = swept.index(t)
        assert swept.coverages()[place] == told["coverage"]
        assert swept.covers_curve("false")[place] == told["false_cover"]
    assert len(set(swept.coverages())) > 3 and len(set(swept.covers_curve("stray"))) > 9  # not all or nothing


def test_what_is_known_of_plates_and_pictures(swept: Sweep) -> None:
    plates, pictures = swept.plates, swept.pictures
    assert plates["picture"].tolist() == [0, 0, 2, 3] and plates["number"].tolist() == [0, 1, 0, 0]
    np.testing.assert_allclose(plates["width"], np.array([22, 20, 30, 10]) * 8)  # 80 pixels become 640
    np.testing.assert_allclose(plates["tilt"], [np.degrees(np.arctan2(4, 20)), np.nan, np.nan, np.nan])
    np.testing.assert_allclose(plates["angle"], [50, 10, np.nan, np.nan])
    np.testing.assert_allclose(plates["occluded"], [0, 0.4, np.nan, np.nan], rtol=1e-6)
    np.testing.assert_allclose([plates[c][0] for c in ("red", "green", "blue")], np.array([200, 30, 20]) / 255)
    assert (plates["touched"] <= plates["half"]).all() and (plates["half"] <= plates["covered"]).all()
    assert pictures["light"].tolist() == ["night", "day", "day", ""] and pictures["image_id"].tolist() == [7, 8, 9, 10]
    assert pictures["pixels"][1] == 4800 and pictures["pixels"][2] == 4800 - 40 * 40 + 5 * 12  # but for the crowd
    assert pictures["luminance"][3] == pytest.approx(220 / 255, abs=1e-3) and pictures["sharpness"].tolist() == [0] * 4


def test_a_group_without_a_case_has_no_share(swept: Sweep) -> None:
    nobody = np.zeros(4, bool)
    assert swept.coverage(0.5, nobody) == (None, None) and swept.picture_share(nobody, nobody) == (None, None)
    assert np.isnan(swept.coverages(nobody)).all() and swept.cover("stray", 0.5, nobody) == (None, None)


def test_the_threshold_for_a_coverage() -> None:
    told = made(4, covered=[0.1, 0.2, 0.3, 1.0])
    assert told.threshold_for(0.25) == 0.105 and told.threshold_for(0.5) == 0.205 and told.threshold_for(0) == 0.005
    assert told.threshold_for(0.75) == 0.305 and told.threshold_for(0.76) is None  # 1 is below no threshold
    with pytest.raises(PlatesError, match=r"threshold 0\.123 was not counted"):
        told.cover("stray", 0.123)


def test_without_a_plate_there_is_nothing_to_judge() -> None:
    with pytest.raises(PlatesError, match="no picture of this split has a plate"):
        sweep(split(picture(0, [])), field)


def test_the_prior_conceals_one_place_at_its_own_thresholds(dataset: Dataset) -> None:
    masks = torch.zeros(1, 320, 320, dtype=torch.bool)
    masks[:, 40:140, 60:180] = True  # three quarters of the first plate's box, seen from the prior's square
    told = sweep_prior(dataset, LocationPrior().update(masks))
    assert (np.diff(told.thresholds) > 0).all() and told.thresholds[-1] == 1
    assert told.coverages()[-1] == 1 and told.coverages()[0] == 0
    low = told.thresholds[1]  # the place alone
    assert told.covers(low).tolist()[1:] == [False, False, False]
    share = told.covers_curve("false")[1]
    assert 0 < share < 0.12


def test_every_look_has_a_colour() -> None:
    assert {failures.family(look) for look in LOOKS} == set(failures.FAMILIES)
    assert [failures.family(one) for one in ("top_band", "slogan_white", "slogan_colour", "dark_two_line", "blue")] == [
        "white",
        "white",
        "other",
        "dark",
        "other",
    ]


@pytest.mark.parametrize(
    ("rgb", "name"),
    [
        ((0.8, 0.8, 0.75), "white"),
        ((0.2, 0.2, 0.2), "dark"),
        ((0.8, 0.6, 0.1), "yellow"),
        ((0.6, 0.1, 0.1), "red"),
        ((0.6, 0.1, 0.3), "red"),
        ((0.1, 0.3, 0.7), "other"),
        ((0.0, 0.0, 0.0), "dark"),
    ],
)
def test_colours_told_by_pixels(rgb: tuple[float, float, float], name: str) -> None:
    assert failures.told_colour(*rgb) == name


def test_colours_are_the_looks_where_those_are_known(swept: Sweep) -> None:
    assert failures.colours(swept).tolist() == ["yellow", "white", "white", "white"]
    assert failures.colours(swept, measured=True).tolist() == ["red", "red", "white", "white"]


@given(st.sampled_from(THRESHOLDS.tolist()))
def test_kinds_are_a_partition_that_only_improves(t: float) -> None:
    random = np.random.default_rng(3)
    reached = np.sort(random.random((60, 3)), axis=1).T
    told = made(60, **dict(zip(("touched", "half", "covered"), reached, strict=True)))
    found = failures.kinds(told, t)
    assert ((found == 0) == (reached[2] < t)).all() and ((found == 3) == (reached[0] >= t)).all()
    assert ((found == 1) == ((reached[1] < t) & (reached[2] >= t))).all()
    if t < 1:
        assert (failures.kinds(told, t + 0.005) <= found).all()


def test_reasons(swept: Sweep) -> None:
    why = failures.reasons(swept)
    assert why["small"].tolist() == [0, 0, 0, 0]
    np.testing.assert_array_equal(why["tilted"], [1, 0, np.nan, np.nan])  # 50 degrees from the camera's direction
    np.testing.assert_array_equal(why["dark"], [1, 1, 0, 0])  # night; the unlabelled picture is the brightest
    assert why["coloured"].tolist() == [1, 0, 0, 0]
    np.testing.assert_array_equal(why["two-line"], [1, 0, np.nan, np.nan])
    np.testing.assert_array_equal(why["occluded"], [0, 1, np.nan, np.nan])


def test_the_darkest_third_is_dark_where_nobody_labelled_the_light() -> None:
    told = made(9, light=[""] * 9, luminance=[5, 4, 3, 2, 1, 6, 7, 8, 9])
    assert failures.reasons(told)["dark"].tolist() == [0, 0, 1, 1, 1, 0, 0, 0, 0]
    assert failures.thirds(np.arange(9)).tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_groups_are_partitions(swept: Sweep) -> None:
    for told in (swept, made(6, width=[10, 23.9, 24, 63, 64, 200], light=[""] * 6)):
        for axis, parts in failures.groups(told).items():
            assert np.sum(list(parts.values()), axis=0).tolist() == [1] * len(told.plates["width"]), axis
    sizes = {name: int(which.sum()) for name, which in failures.groups(told)["scaled width"].items()}
    assert sizes == {"under 24": 2, "24 to 64": 2, "64 to 128": 1, "128 and more": 1}


def test_examples_are_typical_failures_and_each_is_shown_once() -> None:
    covered = [0.9, 0.5, 0.2, 0.95, 0.05, 0.6]
    touched = [0.05, 0.05, 0.05, 0.3, 0.0, 0.3]
    told = made(6, covered=covered, touched=touched, half=covered, width=[80, 80, 80, 80, 80, 10])
    assert failures.examples(told) == [("covered in part", 1), ("not covered", 3), ("small", 5)]
    assert failures.examples(made(6)) == []  # all covered
    three = {"covered": [0.5] * 3, "half": [0.5] * 3, "touched": [0.5] * 3, "light": ["night"] * 3}
    rare = made(3, **three, look=["white", "yellow", "yellow"])
    assert failures.examples(rare) == [("not covered", 0), ("dark", 2), ("coloured", 1)]


def test_threshold_and_kind_rows() -> None:
    told = made(4, touched=[0, 0, 0.3, 0.3], half=[0, 0.15, 0.5, 0.5], covered=[0, 0.3, 0.5, 0.7], stray=[[10]] * 4)
    rows = tables.threshold_rows(told, (0.1, 0.4))
    assert [(row["coverage"], row["missed"], row["exposed"]) for row in rows] == [(0.25, 0.75, None), (0.5, 0.5, None)]
    assert rows[0]["stray cover"] == 0.01 and rows[0]["false cover"] == 0
    (row,) = tables.kind_rows(told, (0.2,))
    assert row == {"threshold": 0.2, "covered": 0.25, "half or more": 0.25, "less than half": 0, "not at all": 0.5}


def test_reason_and_group_rows(swept: Sweep) -> None:
    rows = {row["plates that are"]: row for row in tables.reason_rows({"tiny": swept}, (1.0,), at=1.0)}
    assert {name: row["plates"] for name, row in rows.items()} == {
        "small": 0,
        "tilted": 1,
        "dark": 2,
        "coloured": 1,
        "two-line": 1,
        "occluded": 1,
        "none of these": 2,
        "all": 4,
    }
    assert rows["small"]["t = 1"] is None and rows["all"]["t = 1"] == swept.coverage(1.0)[0]
    unknown = tables.reason_rows({"tiny": made(3, look=[""] * 3)})
    assert "two-line" not in {row["plates that are"] for row in unknown}
    grouped = tables.group_rows({"tiny": swept}, 1.0)
    night = next(row for row in grouped if row["group"] == "night")
    assert night["plates"] == 2 and night["stray cover"] == swept.cover("stray", 1.0, np.array([1, 0, 0, 0], bool))[0]


def test_models_are_compared_at_equal_stray_cover() -> None:
    rising = np.arange(1, len(THRESHOLDS) + 1)  # of 1000 pixels, 1 more at each threshold
    good, bad = made(10, covered=[0.04] * 10, stray=rising), made(10, covered=[0.5] * 10, stray=rising + 20)
    rows = tables.at_equal_stray({"good": good, "bad": bad}, (0.01, 0.11, 0.15))
    assert [list(row.values()) for row in rows] == [["good", 1, 1, 1], ["bad", 0, 0, 1]]


def test_chosen_rows_take_thresholds_from_validation_alone() -> None:
    validation, test = made(4, covered=[0.1, 0.2, 0.3, 1]), made(4, covered=[0.5, 0.2, 0.2, 0.9], stray=[[7]] * 4)
    rows = tables.chosen_rows(validation, test, (0.5, 0.9))
    assert [row["t"] for row in rows] == [0.1, 0.2, 0.205, None]
    assert rows[2]["coverage, validation"] == 0.5 and rows[2]["coverage, test"] == 0.5
    assert rows[2]["stray cover, test"] == 0.007 and rows[3]["coverage, test"] is None


@pytest.mark.parametrize(
    ("share", "interval", "cases", "verdict"),
    [
        (0.9, (0.6, 1.0), 20, "holds"),
        (0.9, (0.6, 1.0), 19, "cannot be told here"),
        (0.1, (0.0, 0.4), 20, "does not hold"),
        (0.6, (0.5, 0.7), 99, "cannot be told here"),
        (None, None, 99, "cannot be told here"),
    ],
)
def test_majority(share: float | None, interval: tuple | None, cases: int, verdict: str) -> None:
    assert tables.majority((share, interval), cases) == verdict


FAILED = {"touched": [0.5] * 40, "half": [0.5] * 40, "covered": [0.5] * 40}
PART = {"touched": [0.05] * 40, "half": [0.15] * 40}


@pytest.mark.parametrize(
    ("key", "columns", "verdict"),
    [
        ("failure-kinds", FAILED, "holds"),
        ("failure-kinds", {"stray": 6}, "does not hold"),  # all covered, and more than the limit besides
        ("failure-kinds", {}, "cannot be told here"),  # no error at all
        ("threshold-balance", {"stray": 5}, "holds"),
        ("threshold-balance", {"stray": 6}, "does not hold"),
        ("threshold-balance", FAILED, "does not hold"),
        ("threshold-balance", {"covered": [0.0, 0.5] * 20}, "cannot be told here"),
        ("threshold-02", FAILED, "cannot be told here"),  # none is covered in part
        ("threshold-noise", {"stray": 6}, "holds"),
        ("threshold-noise", {"stray": 4}, "does not hold"),
        ("threshold-noise", {"stray": 5}, "cannot be told here"),
    ],
)
def test_judgements(key: str, columns: dict[str, Any], verdict: str) -> None:
    assert tables.judge(made(**columns))[key].verdict == verdict


@pytest.mark.parametrize(
    ("covered", "verdict"),
    [(0.15, "holds"), (0.25, "does not hold"), ([0.15] * 5 + [0.25] * 115, "holds in part")],
)
def test_a_slightly_higher_threshold_is_judged_on_blurred_pictures(covered: Any, verdict: str) -> None:
    columns = {"touched": [0.05] * 120, "half": [0.12] * 120, "covered": np.broadcast_to(covered, 120)}
    judged = tables.judge(made(120, **columns))["threshold-02"]
    assert judged.verdict == verdict and "(40)" in judged.ours  # the least sharp third


@pytest.mark.parametrize(
    ("colour", "white", "verdict"),
    [
        (0.5, 0.1, "holds"),
        (0.5, 0.5, "holds in part"),  # all plates need it: not the colour
        (0.1, 0.1, "does not hold"),
        (0.394, 0.1, "does not hold"),  # covered at 0.395 already
        (0.396, 0.1, "holds"),
    ],
)
def test_colour_is_judged_beside_white(colour: float, white: float, verdict: str) -> None:
    told = made(60, covered=[colour] * 30 + [white] * 30, look=["yellow"] * 15 + ["red"] * 15 + ["white"] * 30)
    assert tables.judge(told)["threshold-colour"].verdict == verdict


def test_colour_cannot_be_judged_without_coloured_plates() -> None:
    judged = tables.judge(made(40))["threshold-colour"]
    assert (judged.verdict, judged.ours, judged.interval) == ("cannot be told here", "no case", None)


def test_a_judgement_beside_that_of_the_scenes() -> None:
    own = tables.Judgement("1 %", "holds", "a rule", "0 to 2")
    assert tables.beside(own, None) is own
    told = tables.beside(own, tables.Judgement("9 %", "does not hold", "a rule"))
    assert told.verdict == "holds" and told.why == "a rule; on rendered scenes: does not hold, 9 %"
