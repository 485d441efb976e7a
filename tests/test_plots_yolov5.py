"""The figures and tables of notebook 05, from rivals whose numbers are known."""

import io

import numpy as np
import pytest
from PIL import Image
from torch import nn

from lib.claims import CLAIMS, VERDICTS
from lib.classic import Classic
from lib.curves import ThresholdCurve
from lib.experiments import Score
from lib.metrics import Accumulator
from lib.plots import yolov5 as plots
from lib.plots import yolov5_tables as tables
from lib.rivals import Rival
from lib.yolo import Yolo
from tests.test_rivals import frames, held, on_crops, red


def rival(name: str, steps: dict[float, Accumulator]) -> Rival:
    return Rival(name, {"threshold": 0.5, "growth": 0.1, "feasible": True}, steps, (0.25, (0.125, 0.5)))


@pytest.fixture(scope="module")
def rivals() -> dict[str, Rival]:
    poor = {0.1: held([0, 0], [0, 0]), 0.5: held([1, 0], [20, 20]), 0.9: held([2, 2], [300, 300])}
    good = {0.1: held([1, 0], [0, 0]), 0.5: held([2, 2], [2, 2]), 0.9: held([2, 2], [30, 30])}
    return {"ours": rival("log², code (ours)", poor), "yolo": rival("yolov5nu", good)}


@pytest.fixture(scope="module")
def crops() -> dict[str, Score]:
    return {"ours": on_crops("ours", red(0.4), frames()), "yolo": on_crops("yolo", red(0.8), frames())}


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Yolo:
    class SPPF(nn.Conv2d): ...

    class Detect(nn.Linear): ...

    inner = nn.Module()
    inner.model = nn.Sequential(nn.Conv2d(1, 1, 1), SPPF(1, 1, 1), nn.Conv2d(1, 2, 1), Detect(3, 1))
    outer = nn.Module()
    outer.model = inner
    card = {"recipe": {"model": "yolov5n", "start": "scratch", "side": 320}, "steps": 984}
    return Yolo(outer, card, tmp_path_factory.mktemp("run"), False)


def opened(shown) -> Image.Image:
    assert len(shown.data) < 200_000
    return Image.open(io.BytesIO(shown.data))


HISTORY = [
    {"epoch": float(n)}
    | {f"{split}/{loss}": 5.0 / n for split in ("train", "val") for loss in plots.LOSSES}
    | {f"metrics/{key}": 0.1 * n for key in ("mAP50(B)", "recall(B)", "precision(B)")}
    for n in (1, 2, 3)
]


def test_figures_are_drawn_small_enough(rivals: dict[str, Rival]) -> None:
    assert opened(plots.training(HISTORY, "made")).format == "PNG"
    assert opened(plots.coverage_curves(rivals.values(), "made")).width <= 900
    assert opened(plots.times({"a, PyTorch": np.array([1.0, 2.0]), "a, ONNX Runtime": np.array([1.0, 1.5])}, "made"))


def test_the_curve_is_drawn_as_it_is_read(rivals: dict[str, Rival], monkeypatch: pytest.MonkeyPatch) -> None:
    """On the symlog axis a straight line between thresholds would not be the line that is read off."""
    kept = []
    monkeypatch.setattr(plots, "show", lambda figure, data, name, **more: kept.append(figure))
    plots.coverage_curves(rivals.values(), "made")
    line = kept[0].axes[0].lines[0]
    x, y = line.get_xdata(), line.get_ydata()
    assert np.interp(0.01, x, y) == pytest.approx(rivals["ours"].coverage_at(0.01)[0])
    assert len(x) > 30 and (np.diff(x) >= 0).all()


def test_pictures_are_drawn_in_rows_of_methods() -> None:
    images = [np.full((30, 40, 3), value, np.uint8) for value in (10, 240)]
    assert opened(plots.concealed({"one": images, "other": images[::-1]}, "made")).format == "JPEG"


def test_the_classical_steps_are_drawn() -> None:
    finder = Classic(np.r_[np.zeros(7), -1.0], np.zeros(7), np.ones(7), 10, 1)
    picture = np.full((60, 80, 3), 60, np.uint8)
    picture[20:30, 20:55] = 250
    assert opened(plots.classical_steps(picture, finder, "made")).format == "JPEG"


def test_tables_hold_the_numbers(rivals: dict[str, Rival], crops: dict[str, Score]) -> None:
    told = tables.scores(rivals, crops, "made").data
    assert "| yolov5nu | 0.900 | 0.500 | 0.500 to 0.500 |" in told and "| 0.250 | 0.125 to 0.500 |" in told
    assert (
        "| yolov5nu | 0.500 | 0.100 | yes | 1.000 | 0.000 | 0.002 |"
        in tables.operating_points(rivals.values(), "").data
    )
    equal = tables.equal_stray([*rivals.values()], "made").data
    assert "yolov5nu covers more by" in equal and "| log², code (ours) | 0.062 |" in equal and "| 0.938 |" in equal
    assert "| yolov5nu | 1.000 | 1.000 to 1.000 | - | - |" in equal


def test_findings_set_the_papers_figures_beside_ours(rivals: dict[str, Rival], crops: dict[str, Score]) -> None:
    taken = {"log², code (ours), PyTorch": np.array([2.0, 4.0, 30.0]), "yolov5nu, PyTorch": np.array([9.0])}
    told = tables.findings(rivals, crops, taken).data
    assert "| yolov5nu | .98 / .99 | 0.90 / 0.50 | 1.00 (1.00 to 1.00) | 9 |" in told
    assert "| log², code (ours) | .91 / .96 (its best) | 0.80 / 0.00 | 0.06" in told and told.count("| 4 |") == 1


def test_parts_are_counted_from_the_network(detector: Yolo) -> None:
    told = tables.parts(detector).data
    assert "| backbone (CSPDarknet) | 2 | Conv2d, SPPF | 4 | 33% |" in told
    assert "| neck (PANet) | 1 | Conv2d | 4 | 33% |" in told and "| head | 1 | Detect | 4 | 33% |" in told


def test_shares_of_coco_are_divided_here() -> None:
    told = tables.data_shares().data
    assert "| pictures | 6,176 | 118,287 | 5.2% |" in told and "| boxes | about 6,408 | 860,001 | 0.7% |" in told


def test_evidence_and_times() -> None:
    finder = Classic(np.arange(8.0), np.ones(7), np.ones(7), 1234, 5)
    told = tables.evidence(finder, "made").data
    assert "| edges | 0.000 | 1.000 |" in told and "| characters | 6.000 |" in told and "1,234 boxes" in told
    assert "| a | 2.000 | 1.200 to 2.800 | 3 |" in tables.time_table({"a": np.array([1.0, 2.0, 3.0])}, "here").data


def test_each_claim_gets_a_verdict_from_the_numbers(
    rivals: dict[str, Rival], crops: dict[str, Score], detector: Yolo
) -> None:
    told = tables.claims(rivals, crops, detector, "made")
    assert set(told) == {"table1-yolo", "yolo-gap", "yolo-data", "yolo-nearly"} <= set(CLAIMS)
    assert all(
        entry["verdict"] in VERDICTS and entry["where"].startswith("05_yolov5, section") for entry in told.values()
    )
    assert told["table1-yolo"]["ours"] == "0.90 / 0.50" and told["table1-yolo"]["verdict"] == "cannot be told here"
    assert told["yolo-gap"]["ours"] == "A1 +0.50 for YOLOv5 at p ≥ 0.5; +0.00 at equal A"
    assert told["yolo-nearly"]["verdict"] == "does not hold" and told["yolo-nearly"]["ours"].startswith(
        "coverage +0.94"
    )
    assert told["yolo-data"]["verdict"] == "does not hold" and told["yolo-data"]["ours"].startswith("5.2%")


def test_without_a_detector_or_a_plate_only_the_arithmetic_is_settled(
    rivals: dict[str, Rival], crops: dict[str, Score], detector: Yolo
) -> None:
    assert set(tables.claims({"ours": rivals["ours"]}, {"ours": crops["ours"]}, None, "made")) == {"yolo-data"}
    empty = Score("none", Accumulator(), ThresholdCurve())
    assert set(tables.claims(rivals, {"ours": empty, "yolo": empty}, detector, "made")) == {"yolo-data"}
