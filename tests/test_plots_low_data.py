"""Figures and tables of `11_low_data` from made-up records: that they show what they are given."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from IPython.display import Image
from matplotlib.figure import Figure
from shown import text
from tiny import coco_split

from lib.beyond import METHODS, twins
from lib.data import load_plates
from lib.plots import low_data as plots
from lib.plots import low_data_tables as tables

PAPER, OWN, _, YOLO = METHODS.values()


def record(name: str, label: str, coverage: float, **more: Any) -> dict[str, Any]:
    told = {"coverage": coverage, "interval": [coverage - 0.05, coverage + 0.05]}
    made = {
        "name": name,
        "label": label,
        "equal_stray": told,
        "equal_stray_large": told,
        "photographs": 50,
        "scenes": 0,
    }
    made["history"] = [
        {"epoch": 1, "loss": 0.9, "validation_loss": 0.8},
        {"epoch": 2, "loss": 0.3, "validation_loss": 0.5},
    ]
    return made | {"seed": 0, "steps": 492, "seconds": 120.0, "data": "tiny", "device": "cpu"} | more


def lines(figure: Figure, panel: int = 0) -> dict[str, list[float]]:
    """The named lines of a panel: heights."""
    named = (line for line in figure.axes[panel].lines if not line.get_label().startswith("_"))
    return {line.get_label(): list(line.get_ydata()) for line in named}


def test_a_line_goes_through_the_mean_of_the_seeds(drawn: list[Figure]) -> None:
    made = [record("a", PAPER, 0.1), record("b", PAPER, 0.3, seed=1), record("c", PAPER, 0.5, photographs=200)]
    assert isinstance(plots.low_data([*made, record("d", OWN, 0.4)], "tiny"), Image)
    assert lines(drawn[0]) == {PAPER: pytest.approx([0.2, 0.5]), OWN: pytest.approx([0.4])}
    assert [tick.get_text() for tick in drawn[0].axes[0].get_xticklabels()] == ["50", "200"]


def test_losses_are_those_after_the_last_step(drawn: list[Figure]) -> None:
    assert isinstance(plots.remembering([record("a", PAPER, 0.1), record("b", OWN, 0.2)], "tiny"), Image)
    assert [one.get_title() for one in drawn[0].axes] == [PAPER, OWN]
    assert lines(drawn[0]) == {"training crops": [0.3], "validation": [0.5]}


def test_a_table_by_count_by_hand() -> None:
    made = [record("a", PAPER, 0.1), record("b", PAPER, 0.3, seed=1), record("c", OWN, 0.5, photographs=3946)]
    rows = text(tables.by_count(made))
    assert rows[0] == [PAPER, "0.200 (0.050 to 0.350, 2 seeds)", "-"]
    assert rows[1] == [OWN, "-", "0.500 (0.450 to 0.550)"]


def test_findings_tell_the_best_and_who_is_apart() -> None:
    made = [record("a", PAPER, 0.1), record("b", OWN, 0.3), record("c", YOLO, 0.35)]
    made.append(record("d", OWN, 0.6, photographs=200))
    told = tables.findings(made).data.split("\n")
    assert told[:3] == [
        f"- {PAPER}: 0.100 with 50 photographs.",
        f"- {OWN}: 0.300 with 50 photographs, 0.600 with 200 photographs.",
        f"- {YOLO}: 0.350 with 50 photographs.",
    ]
    # 0.30 to 0.40: 0.25 to 0.35 touches it, 0.05 to 0.15 does not
    assert told[3:] == [
        f"- With 50 photographs {YOLO} covers most; apart from it: {PAPER}.",
        f"- With 200 photographs {OWN} covers most; none is apart from it.",
    ]


def test_a_longer_training_stands_beside_its_twin(drawn: list[Figure]) -> None:
    def steps(count: int) -> dict[str, Any]:
        return {"steps": count + 8, "identity": {"steps": count}}

    short = [record(name, OWN, 0.1 * n, photographs=n, **steps(492)) for n, name in ((2, "few"), (5, "all"))]
    long = [record("few, long", OWN, 0.3, photographs=2, **steps(1968)), record("x", YOLO, 0.3, **steps(1968))]
    assert twins(short, long) == [(short[0], long[0])]
    (row,) = text(tables.longer(short, long))
    assert row == [OWN, "2", "0.200 (0.150 to 0.250)", "0.30, 0.50", "0.300 (0.250 to 0.350)", "0.30, 0.50"]
    assert isinstance(plots.longer(short, long, "tiny"), Image)
    assert [one.get_title() for one in drawn[0].axes] == [OWN]
    assert lines(drawn[0]) == {"2 photographs": pytest.approx([0.2, 0.3])}


def test_a_draw_by_hand(tmp_path: Path) -> None:
    for split, count in (("train", 4), ("valid", 2), ("test", 2)):
        coco_split(tmp_path / split, count, seed=count)
    split = load_plates(tmp_path)["train"]
    (row,) = text(tables.draws({"seed 0": split}, "tiny"))
    plates = int(np.sum([len(objects["bbox"]) for objects in split["objects"]]))
    assert row == ["seed 0", "4", str(plates), "here 2, there 2"]
