"""The rules that settle the blog's statements, on both sides of each boundary."""

import numpy as np
import pytest

from lib.blog import BLOG, at_most_verdict, cameras, equally_verdict, gain_verdict, trade_verdict
from lib.claims import CLAIMS, FIELDS, VERDICTS
from lib.plots import detect_verdicts as verdicts


@pytest.mark.parametrize(
    ("quicker", "gap", "worse", "told"),
    [
        (3.0, (0.01, 0.2), 0.6, "holds"),
        (3.0, (-0.1, 0.1), 0.6, "holds in part"),
        (3.0, (-0.2, -0.1), 0.6, "does not hold"),
        (0.9, (0.1, 0.2), 0.6, "does not hold"),
        (3.0, (0.01, 0.02), 0.1, "cannot be told here"),
    ],
)
def test_faster_and_less_accurate(quicker: float, gap: tuple[float, float], worse: float, told: str) -> None:
    assert trade_verdict(quicker, gap, worse) == told


def test_gains_costs_and_cameras() -> None:
    assert [gain_verdict(gap) for gap in ((0.01, 0.1), (-0.1, 0.1), (-0.2, -0.1))] == [
        "holds",
        "cannot be told here",
        "does not hold",
    ]
    assert at_most_verdict(0.1, 0.1) == "holds" and at_most_verdict(0.11, 0.1) == "does not hold"
    assert cameras(40.0) == 75 and cameras(3001.0) == 0


def source(low: float, value: float, high: float) -> dict:
    return {"coverage": value, "interval": (low, high), "plates": 9}


def test_equally_well_on_all_sources() -> None:
    assert equally_verdict({"a": source(0.9, 0.95, 1.0), "b": source(0.85, 0.88, 0.9)}) == "holds"
    assert equally_verdict({"a": source(0.9, 0.95, 1.0), "b": source(0.5, 0.6, 0.7)}) == "does not hold"
    assert equally_verdict({"a": source(0.8, 0.95, 1.0), "b": source(0.5, 0.6, 0.8)}) == "cannot be told here"


def test_every_statement_has_a_verdict_that_the_ledger_takes() -> None:
    times = {"detect": np.array([40.0]), "plate": np.array([1.0]), "stock": np.array([2.0])}
    same = {"feasible": True, "plates": 9, "missed": 0.1, "false_cover": 0.01}
    rows = [{"expand": factor, "coverage": 0.8 + factor / 10, **same} for factor in (1.0, 1.3)]
    told = {
        "blog-cost": verdicts.cost(times["detect"], np.array([34.0]), times["plate"], 1.2, "here"),
        "blog-expand": verdicts.expand(rows, "scenes"),
        "blog-cut": verdicts.cut(0.2, (0.1, 0.3), 40, "scenes"),
        "blog-cameras": verdicts.equally({"a": source(0.9, 0.95, 1.0), "b": source(0.5, 0.6, 0.7)}, "scenes"),
        "blog-engine": verdicts.engine(times["stock"], times["plate"], "here"),
        "blog-scale": verdicts.scale(times["detect"], "here"),
    }
    assert set(told) < set(BLOG) and all(key in CLAIMS for key in BLOG)
    for entry in told.values():
        assert entry["verdict"] in VERDICTS and set(entry) <= set(FIELDS)
    assert told["blog-cost"]["ours"].startswith("1.00 ms a plate, 3% of a frame with 1.2 plates; the stage")
    assert told["blog-cost"]["verdict"] == "holds in part"  # 15 % for the whole stage
    cheap = verdicts.cost(times["detect"], np.array([39.2]), times["plate"], 1.2, "here")
    assert cheap["verdict"] == "holds" and cheap["ours"].endswith("outlines 2%")
    assert verdicts.cost(times["plate"], np.array([0.9]), times["plate"], 1.0, "here")["verdict"] == "does not hold"
    assert told["blog-cut"]["verdict"] == "holds"
    assert verdicts.cut(1.0, (1.0, 1.0), 3, "scenes")["verdict"] == "cannot be told here"  # three plates say nothing
    assert told["blog-expand"]["ours"].startswith("coverage +0.03 by a factor of 1.3")
    assert told["blog-engine"]["verdict"] == "holds" and told["blog-scale"]["ours"].startswith("75 cameras")
    assert verdicts.equally({"a": source(0.9, 0.95, 1.0)}, "scenes") is None
