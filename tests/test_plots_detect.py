"""Figures and tables of `08_detect_and_corners` say what they were given."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from test_finds import finds

from lib.metrics import Accumulator, PlateTruth
from lib.plots import detect as plots
from lib.plots import detect_tables as tables
from lib.rivals import Rival
from lib.slant import Turned, by_angle

TIMES = {"tiny": np.array([4.0, 5.0, 6.0]), "other": np.array([40.0, 50.0])}
ERRORS = {"scenes": {"the box's own corners": np.array([0.08, 0.1]), "ours": np.array([0.02, 0.04])}}


def measured(covered: bool = True) -> Accumulator:
    held = Accumulator()
    for number in range(4):
        mask = np.zeros((48, 64), bool)
        if covered or number % 2:
            mask[10:20, 10:40] = True
        held.add(mask, mask, [PlateTruth((10.0, 10.0, 30.0, 10.0))], "here", number)
    return held


def rival(name: str, covered: bool = True) -> Rival:
    held = measured(covered)
    return Rival(name, {"threshold": 0.5, "growth": 0.1}, {0.5: held}, None)


def turned() -> Turned:
    yes = np.array([True, True, True])
    background = {"quadrilateral": np.array([10.0, 20.0, 5.0]), "box": np.array([20.0, 80.0, 9.0])}
    return Turned(
        np.array([0, 1, 2]), np.array([5.0, 40.0, 70.0]), np.full(3, 100.0), background, {k: yes for k in background}
    )


def test_every_figure_is_drawn_whole() -> None:
    history = [{"epoch": 0, "validation_loss": 3.0}, {"epoch": 1, "loss": 2.0, "validation_loss": 2.5}]
    rgb = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)
    quad = np.array([[42, 44], [78, 41], [78, 56], [42, 59]], float)
    curve = [{"expand": factor, "coverage": 0.8} for factor in (1.0, 1.3)]
    drawn = [
        plots.trainings({"one": history, "two": history}, "scenes"),
        plots.accuracy_against_time([finds()], TIMES, "scenes"),
        plots.corner_errors(ERRORS, "scenes"),
        plots.boxes_and_corners([rgb] * 3, [np.array([40, 40, 80, 60, 0.9])] * 3, [quad] * 3, "scenes"),
        plots.by_view(by_angle(turned()), "scenes"),
        plots.expansion({0.5: curve, 0.8: curve}, {"edge": 0.5, "expand": 1.3}, "scenes"),
    ]
    for shown in drawn:
        picture = Image.open(BytesIO(shown.data))
        assert picture.width > 400 and len(np.unique(np.asarray(picture.convert("L")))) > 8


def test_the_boxes_are_yellow_and_the_corners_red() -> None:
    grey = np.full((120, 160, 3), 128, np.uint8)
    quad = np.array([[42, 44], [78, 41], [78, 56], [42, 59]], float)
    shown = plots.boxes_and_corners([grey] * 3, [np.array([40, 40, 80, 60])] * 3, [quad] * 3, "scenes")
    rgb = np.asarray(Image.open(BytesIO(shown.data)).convert("RGB")).astype(int)
    yellow = (rgb[..., 0] > 200) & (rgb[..., 1] > 190) & (rgb[..., 2] < 120)
    red = (rgb[..., 0] > 180) & (rgb[..., 1] < 120) & (rgb[..., 2] < 60)
    assert yellow.sum() > 300 and red.sum() > 300


def test_tables_hold_the_numbers() -> None:
    costs = {"tiny": {"parameters": 2_500_000, "ms": TIMES["tiny"], "MiB": 400.0}}
    told = tables.detectors([finds()], costs, "scenes").data
    assert "2.5 M" in told and "recall, large (2)" in told and "| 5.000 | 400 |" in told
    far = tables.large_frames([finds()], TIMES, (16, 80, np.inf), 1920, "scenes").data
    assert "16 to 80 px (1)" in far and "80 px and more (2)" in far  # widths of 640: 10 of 640 is 30 of 1920
    price = {"ours": {"parameters": 600_000, "one": TIMES["tiny"], "sixteen": TIMES["tiny"] / 16}}
    corners = tables.corners(ERRORS, price).data
    assert "600,000" in corners and "3.0%" in corners and "9.0%" in corners
    machine = tables.machine({"detect": np.array([50.0])}, cores=2).data
    assert "| 60 |" in machine and "0.500 to 1.500" in machine  # 3000 / 50 cameras; 2 cores of 5 to 15 W for 50 ms


def test_pictures_with_known_corners_are_a_part_of_their_own() -> None:
    parts = tables.parted(measured(), {0, 2})
    assert {key: len(each.pictures) for key, each in parts.items()} == {"corners": 2, "boxes": 2}
    assert [row.picture for row in parts["boxes"].plates] == [0, 1]
    assert list(tables.parted(measured(), set())) == ["boxes"]
    half = tables.parted(measured(covered=False), {1, 3})
    assert half["corners"].summary()["coverage"] == 1 and half["boxes"].summary()["coverage"] == 0
    assert "| corners | 2 | 1.000 |" in tables.known_and_boxed({"detect": half}, "scenes").data


@pytest.mark.parametrize("covered", [True, False])
def test_findings_have_a_row_for_each_question(covered: bool) -> None:
    told = tables.findings([finds()], ERRORS, [rival("detect", covered)], TIMES).data
    assert told.count("\n|") == 2 + 1 + 2 + 1 + 2 - 1 and "large plates found by tiny" in told
