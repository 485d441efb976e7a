"""Figures and tables of `10_beyond` from made-up numbers: that they show what they are given."""

import numpy as np
import PIL.Image
import pytest
from datasets import DatasetDict
from IPython.display import Image
from matplotlib.figure import Figure
from shown import text
from tiny import row, split

from lib.metrics import Accumulator, PictureRow, PlateRow
from lib.models import build, parameter_count
from lib.plots import beyond as plots
from lib.plots import beyond_tables as tables
from lib.rivals import Rival


def rival(name: str, concealed: list[float], width: float = 30.0) -> Rival:
    held = Accumulator()
    for number, share in enumerate(concealed):
        held.pictures.append(PictureRow(number, "here", 100, 10, 10, 8, 1, 0))
        held.plates.append(PlateRow(number, width, share, None, 10, 8))
    point = {"threshold": 0.5, "growth": 0.2, "feasible": True}
    return Rival(name, point, {0.5: held}, None)


def test_the_anatomy_adds_up_to_the_network() -> None:
    network = build("platenet").eval()
    rows = text(tables.anatomy(network, side=64))
    counts = [int(row[2].replace(",", "")) for row in rows]
    assert sum(counts[:-1]) == counts[-1] == parameter_count(network)
    assert [row[1] for row in rows[:2]] == ["32 x 16 x 16", "48 x 8 x 8"]
    # the stem's first convolution: 16 channels of 32 x 32, 27 weights each; its second: 32 of 16 x 16, 144 each
    assert float(rows[0][3]) == pytest.approx((16 * 32 * 32 * 27 + 32 * 16 * 16 * 144) / 1e6, abs=1e-3)
    # two 3x3 of strides 2: 3, then 3 + 2 * 2; a step down and four more at an eighth: 7 + 2 * 4 + 4 * 2 * 8
    assert [int(row[4]) for row in rows[:2]] == [7, 79]


def test_figures_are_figures() -> None:
    one = np.full((32, 32, 3), 90, np.uint8)
    share, weight = np.zeros((8, 8), np.float32), np.ones((8, 8), np.float32)
    share[2:4, 2:6] = 1
    history = [{"epoch": 0}] + [
        {"epoch": i, "loss": 2 / i, "validation_loss": 3 / i}
        | {"validation_on_plate_accuracy": 0.5, "validation_on_plate_accuracy_pooled": 0.6}
        for i in (1, 2)
    ]
    group = {"plates": 3, "coverage": 0.5, "interval": (0.2, 0.8)}
    drawn = [
        plots.crops([(one, share, weight), (one, share * 0, weight)], "tiny"),
        plots.training([history, history], "tiny"),
        plots.maps([one], [np.zeros((32, 32))], [one], "tiny"),
        plots.by_trait({"light": {"day": group, "night": group | {"interval": None}}}, "tiny", ""),
    ]
    assert all(isinstance(each, Image) and len(each.data) > 1000 for each in drawn)


def test_a_crops_target_is_outlined_where_it_is(drawn: list[Figure]) -> None:
    rgb, share = np.full((32, 32, 3), 90, np.uint8), np.zeros((8, 8), np.float32)
    share[2:4, 2:6] = 1  # rows 8 to 16, columns 8 to 24 of the crop
    plots.crops([(rgb, share, np.full((8, 8), 2.5)), (rgb, share * 0, np.ones((8, 8)))], "tiny")
    outlined, plain = drawn[0].axes[:2]
    (line,) = outlined.collections
    low, high = line.get_paths()[0].get_extents().get_points()
    assert low.tolist() == pytest.approx([7.5, 7.5]) and high.tolist() == pytest.approx([23.5, 15.5])
    assert (outlined.get_title(), plain.get_title(), len(plain.collections)) == ("lifted 2.5 times", "no plate", 0)


def test_coverage_and_missed_by_hand() -> None:
    (row,) = text(tables.sized([rival("one", [1.0, 0.96, 0.7, 0.2])], "tiny"))
    assert (row[0], row[1], row[3]) == ("one", "0.500", "0.250")
    assert row[5] == "0.500" and row[7] == "0.250"  # all four are large


def test_found_plates_are_counted_by_source(monkeypatch: pytest.MonkeyPatch) -> None:
    more = {"0.png": (np.zeros((2, 4)), np.zeros((1, 4)))}
    monkeypatch.setattr(tables, "unlabelled", lambda name: more.get(name, ((), ())))
    small = PIL.Image.new("RGB", (64, 48))
    box = [1.0, 1.0, 9.0, 9.0]
    own = split(row(0, small, [box, box], iscrowd=[False, True]), row(1, small, []))
    got = text(tables.found(DatasetDict(train=own, test=split(row(2, small, [box]))), "tiny"))
    assert [each[1:] for each in got] == [["3", "2", "2", "1"]] * 2 and got[1][0] == "all"


def test_alarms_are_told_in_full() -> None:
    got = {"pictures": 40, "alarmed": 0.05, "interval": (0.0, 0.125), "area": 0.001}
    (row,) = text(tables.alarms({"PlateNet": {"scenes": got}}, "tiny"))
    assert row == ["PlateNet", "scenes", "40", "0.050", "0.000 to 0.125", "0.001"]


def test_a_cost_by_hand() -> None:
    card = {"name": "one", "seconds": 3600.0, "steps": 100, "recipe": {"batch": 32}, "device": "cpu"}
    row, other, every = text(tables.cost([card, card | {"seconds": 1800.0}], cores=2))
    assert row[1:] == ["3,200", "60.000", "0.010 to 0.030", "4.750 to 14.250"]  # 2 cores * 5 or 15 W for an hour
    assert other[1:3] == ["3,200", "30.000"] and every[1:4] == ["6,400", "90.000", "0.015 to 0.045"]


def test_findings_say_which_goals_are_reached() -> None:
    told = tables.findings([rival("PlateNet", [1.0] * 19 + [0.6])], {"scenes": {"alarmed": 0.1, "pictures": 20}}).data
    assert "coverage: 0.950; the goal of at least 0.90 is reached" in told
    assert "coverage, large: 0.950; the goal of at least 0.96 is not reached" in told
    assert "missed: 0.000; the goal of at most 0.06 is reached" in told
    assert "10.0% of 20 scenes" in told
