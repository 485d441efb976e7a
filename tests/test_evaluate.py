"""A method on a folder: figures counted by hand, the JSON's keys, and the choice of the operating point."""

import json
import time
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from datasets import Dataset
from PIL import Image

from lib.conceal import Concealer, grow
from lib.data import FEATURES
from lib.evaluate import REPORT_KEYS, choose_operating_point, evaluate, report
from lib.metrics import METRICS
from lib.settings import PlatesError

PROMISED = {
    "data", "split", "method", "device", "images", "plates", "threshold", "accuracy", "on_plate_accuracy", "coverage",
    "missed", "false_cover", "stray_cover", "iou", "ms_per_image", "by_width", "by_source",
}  # fmt: skip


class Lookup:
    """A stand-in network that reads P(background) off the red channel (0 to 200 for 0 to 1), and its concealer."""

    method = "lookup"

    def __init__(self, threshold: float = 0.5, growth: float = 0.0) -> None:
        self.threshold, self.growth, self.sure = threshold, growth, 1.0
        self.segmenter = SimpleNamespace(name="red", device=torch.device("cpu"))
        self.calls = 0

    def probability(self, rgb: np.ndarray, name: str = "picture") -> np.ndarray:
        self.calls += 1
        return (rgb[..., 0] / 200).clip(0, 1).astype(np.float32)

    def mask_from(self, background: np.ndarray) -> np.ndarray:
        return grow(background < self.threshold, self.growth)


def row(
    image_id: int,
    blobs: dict[tuple[int, int, int, int], float],
    boxes: list[tuple[float, float, float, float]],
    size: tuple[int, int] = (160, 120),
    source: str = "made",
    **objects: list,
) -> dict:
    """A picture whose P(background) is 1 but for the blobs (x, y, w, h), with these boxes as its truth."""
    red = np.full((size[1], size[0]), 200, np.uint8)
    for (x, y, w, h), background in blobs.items():
        red[y : y + h, x : x + w] = round(200 * background)
    pixels = np.stack([red, np.zeros_like(red), np.zeros_like(red)], axis=2)
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    known = {
        "id": list(range(len(boxes))), "bbox": [list(box) for box in boxes], "corners": [[] for _ in boxes],
        "area": [box[2] * box[3] for box in boxes], "iscrowd": [False] * len(boxes), "text": [""] * len(boxes),
        "look": [""] * len(boxes), "occluded": [-1.0] * len(boxes), "angle": [-1.0] * len(boxes),
        "characters": [[] for _ in boxes], "chars": [""] * len(boxes),
    }  # fmt: skip
    return {
        "image_id": image_id, "image": {"bytes": buffer.getvalue(), "path": None}, "file_name": f"{image_id}.png",
        "width": size[0], "height": size[1], "source": source, "license": "", "light": "", "kind": "",
        "objects": known | objects,
    }  # fmt: skip


def split_of(*rows: dict) -> Dataset:
    return Dataset.from_list(list(rows), features=FEATURES)


@pytest.fixture()
def split() -> Dataset:
    """A large plate found, a far one not, a picture without plates, a plate with a known quadrilateral; two sources."""
    box = (20, 20, 40, 20)
    quad = [24.0, 20.0, 60.0, 20.0, 56.0, 40.0, 20.0, 40.0]
    letters = [[[26.0, 22.0, 36.0, 22.0, 36.0, 38.0, 26.0, 38.0]]]
    return split_of(
        row(3, {box: 0.1}, [box, (100, 100, 4, 2)], source="a"),
        row(4, {(150, 110, 2, 2): 0.2}, [], source="a"),
        row(5, {(20, 20, 18, 20): 0.4}, [box], source="b", corners=[quad], characters=letters, chars=["K"]),
    )


def test_figures_counted_by_hand(split: Dataset) -> None:
    told = report(evaluate(split, Lookup(), progress=False), Lookup(), data="made", split="test")
    pixels = 3 * 160 * 120
    assert (told["images"], told["plates"]) == (3, 3)
    assert told["coverage"] == pytest.approx(1 / 3)
    assert told["missed"] == pytest.approx(2 / 3)  # of the quadrilateral, too, less than half is concealed
    assert told["exposed"] == 0  # its one letter lies in the concealed part
    assert told["accuracy"] == pytest.approx(1 - (8 + 4 + 22 * 20) / pixels)
    assert told["on_plate_accuracy"] == pytest.approx((800 / 808 + 360 / 800) / 2)
    assert told["on_plate_accuracy_pooled"] == pytest.approx((800 + 360) / 1608)
    assert told["false_cover"] == pytest.approx(4 / (pixels - 1608))
    assert told["stray_cover"] == pytest.approx(4 / pixels)
    assert told["iou"] == pytest.approx(1160 / (1160 + 448 + 4))
    assert told["by_width"]["small"]["plates"] == 1 and told["by_width"]["small"]["missed"] == 1  # 4 * 640 / 160 = 16
    assert told["by_width"]["large"]["plates"] == 2 and told["by_width"]["large"]["coverage"] == 0.5
    assert told["by_source"]["a"]["plates"] == 2 and told["by_source"]["b"]["plates"] == 1


def test_the_json_has_the_promised_keys_and_survives_writing(split: Dataset) -> None:
    concealer = Lookup(0.3, 0.25)
    told = report(evaluate(split, concealer, progress=False), concealer, data="made", split=None)
    assert set(told) >= PROMISED and json.loads(json.dumps(told, allow_nan=False)) == told
    assert (told["data"], told["split"], told["method"], told["weights"]) == ("made", None, "lookup", "red")
    assert (told["threshold"], told["growth"]) == (0.3, 0.25) and told["device"].startswith("cpu")
    for group in [*told["by_width"].values(), *told["by_source"].values()]:
        assert set(group) == {"images", "plates", *METRICS}
    assert told["weights_sha256"] is told["trained_on"] is None  # a network without a file
    assert set(told) >= REPORT_KEYS  # by which a later run knows its own
    low, high = told["intervals"]["coverage"]
    assert low <= told["coverage"] <= high


def test_the_json_tells_which_weights_were_measured(split: Dataset) -> None:
    concealer = Lookup()
    concealer.segmenter.weights_sha256, concealer.segmenter.trained_on = "0123456789ab", "red plates"
    told = report(evaluate(split, concealer, progress=False), concealer, data="made", split=None)
    assert (told["weights"], told["weights_sha256"], told["trained_on"]) == ("red", "0123456789ab", "red plates")


def test_threshold_moves_the_mask_and_never_the_accuracy(split: Dataset) -> None:
    shy, bold = (evaluate(split, Lookup(t), progress=False).summary() for t in (0.05, 0.5))
    assert shy["accuracy"] == bold["accuracy"] and shy["on_plate_accuracy"] == bold["on_plate_accuracy"]
    assert shy["coverage"] == 0 and shy["false_cover"] == 0 and bold["coverage"] > 0


def test_a_folder_without_any_plate_tells_false_cover_alone() -> None:
    split = split_of(row(0, {(0, 0, 16, 12): 0.1}, []), row(1, {}, []))
    told = report(evaluate(split, Lookup(), progress=False), Lookup(), data="made", split="test")
    assert told["plates"] == 0 and told["false_cover"] == pytest.approx(192 / 38400)
    for key in ("coverage", "missed", "exposed", "on_plate_accuracy", "on_plate_accuracy_pooled"):
        assert told[key] is None and told["intervals"][key] is None
    assert told["by_width"]["small"]["coverage"] is None
    with pytest.raises(PlatesError, match="No picture of the sample has a plate"):
        choose_operating_point(split, Lookup(), progress=False)


def test_crowd_regions_are_ignored() -> None:
    box = (20, 20, 40, 20)
    split = split_of(row(0, {box: 0.1}, [box], iscrowd=[True]))
    got = evaluate(split, Lookup(), progress=False).summary()
    assert got["plates"] == 0 and got["accuracy"] == 1 and got["stray_cover"] == 0


def test_only_network_and_mask_are_timed_and_the_first_picture_warms_up(
    split: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([10.0, 10.5, 20.0, 20.1, 30.0, 30.3])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    concealer = Lookup()
    got = evaluate(split, concealer, progress=False).summary()
    assert got["ms_per_image"] == pytest.approx(300) and concealer.calls == 4


def test_files_by_path_are_read_and_missing_ones_named(tmp_path: Path, split: Dataset) -> None:
    rows = [dict(one) for one in split.cast_column("image", FEATURES["image"].__class__(decode=False))]
    for one in rows:
        (tmp_path / one["file_name"]).write_bytes(one["image"]["bytes"])
        one["image"] = {"bytes": None, "path": str(tmp_path / one["file_name"])}
    by_path = split_of(*rows)
    assert evaluate(by_path, Lookup(), progress=False).plates == evaluate(split, Lookup(), progress=False).plates
    (tmp_path / "4.png").unlink()
    with pytest.raises(PlatesError, match=r"4\.png: cannot be read"):
        evaluate(by_path, Lookup(), progress=False)


def test_grey_pictures_are_measured(split: Dataset) -> None:
    buffer = BytesIO()
    grey = np.full((120, 160), 200, np.uint8)
    grey[20:40, 20:60] = 20
    Image.fromarray(grey).save(buffer, "PNG")
    one = row(0, {}, [(20, 20, 40, 20)]) | {"image": {"bytes": buffer.getvalue(), "path": None}}
    assert evaluate(split_of(one), Lookup(), progress=False).summary()["coverage"] == 1


def test_a_picture_of_another_size_than_annotated_is_named() -> None:
    wrong = row(8, {}, [(20, 20, 40, 20)]) | {"width": 161}
    with pytest.raises(PlatesError, match=r"8\.png: is 160x120 pixels and its annotation says 161x120"):
        evaluate(split_of(wrong), Lookup(), progress=False)


def red_channel(rgb: np.ndarray) -> np.ndarray:
    """The same stand-in as a bare network for the real concealer."""
    return (rgb[..., 0] / 200).clip(0, 1).astype(np.float32)


red_channel.name, red_channel.threshold, red_channel.growth = "red", 0.5, 0.0


def test_the_real_concealer_is_measured_by_the_mask_it_conceals_with(split: Dataset) -> None:
    concealer = Concealer(red_channel, threshold=0.5, growth=0.3)
    told = report(evaluate(split, concealer, progress=False), concealer, data="made", split="test")
    assert (told["method"], told["weights"], told["growth"]) == ("segment", "red", 0.3)
    rgb = np.asarray(split[2]["image"])
    mask = concealer(rgb).mask
    truth = np.zeros_like(mask)
    truth[20:40, 20:60] = True
    assert told["by_source"]["b"]["false_cover"] == pytest.approx((mask & ~truth).sum() / (~truth).sum())
    point = choose_operating_point(split, concealer, stray_limit=0.1, false_limit=0.1, progress=False)
    assert point["coverage"] >= told["coverage"] and concealer.growth == 0.3


def test_a_network_that_fails_is_named_with_its_picture(split: Dataset) -> None:
    def broken(rgb: np.ndarray) -> np.ndarray:
        return np.full(rgb.shape[:2], np.nan, np.float32)

    concealer = Concealer(broken, threshold=0.5, growth=0.0)
    with pytest.raises(PlatesError, match=r"3\.png"):
        evaluate(split, concealer, progress=False)


# The operating point


def plates_at(*background: float) -> Dataset:
    """Pictures with a plate each, of which the network finds all but a border of 2 pixels, as sure as this."""
    found = {i: {(62, 52, 36, 16): p, (0, 0, 8, 8): 0.45} for i, p in enumerate(background)}  # and a road sign at .45
    return split_of(*(row(i, blobs, [(60, 50, 40, 20)]) for i, blobs in found.items()))


def test_the_point_covers_most_within_the_limits() -> None:
    split = plates_at(0.1, 0.25, 0.35, 0.6)
    # The sign is 64 of 19,200 pixels, .0033: over nine tenths of a limit of .003, so thresholds past .45 are out.
    point = choose_operating_point(split, Lookup(0.5), stray_limit=0.003, progress=False)
    assert point["threshold"] == 0.4 and point["feasible"]
    assert point["coverage"] == 0.75 and point["growth"] >= 0.1  # the border needs growing
    assert point["stray_cover"] == 0 and (point["images"], point["plates"]) == (4, 4)
    # With room for the sign all four are covered.
    assert choose_operating_point(split, Lookup(0.5), stray_limit=0.05, progress=False)["coverage"] == 1


def test_the_margin_is_nine_tenths_of_a_limit() -> None:
    split = plates_at(0.6)
    stray = 64 / 19200
    fixed = {"thresholds": (0.4, 0.7), "growths": (0.0,), "progress": False}
    assert choose_operating_point(split, Lookup(), stray_limit=stray / 0.91, **fixed)["threshold"] == 0.4
    assert choose_operating_point(split, Lookup(), stray_limit=stray / 0.89, **fixed)["threshold"] == 0.7


def test_false_cover_limits_too() -> None:
    split = plates_at(0.1)
    tight = choose_operating_point(split, Lookup(), stray_limit=1, false_limit=0.003, progress=False)
    assert tight["threshold"] < 0.45 and tight["false_cover"] <= 0.0027


def test_bisection_finds_what_trying_every_point_finds() -> None:
    random = np.random.default_rng(3)
    rows = []
    for i in range(6):  # plates and signs of any certainty
        blobs = {(60, 50, 40, 20): random.random()}
        blobs |= {tuple(int(v) for v in (*random.integers(0, 40, 2), 6, 5)): random.random() for _ in range(4)}
        rows.append(row(i, blobs, [(60, 50, 40, 20)]))
    split, thresholds, growths = split_of(*rows), (0.1, 0.3, 0.5, 0.7, 0.9), (0.0, 0.3)
    chosen = choose_operating_point(
        split, Lookup(), 0.006, 0.02, thresholds=thresholds, growths=growths, progress=False
    )
    every = [
        evaluate(split, Lookup(t, g), progress=False).summary() for t in thresholds for g in growths
    ]  # the plain way, in full size
    within = [s for s in every if s["stray_cover"] <= 0.0054 and s["false_cover"] <= 0.018]
    assert 0 < len(within) < len(every)
    assert chosen["feasible"] and chosen["coverage"] == max(s["coverage"] for s in within)


def test_of_equal_coverage_the_point_with_fewer_missed_plates_wins() -> None:
    split = split_of(row(0, {(60, 50, 28, 20): 0.3}, [(60, 50, 40, 20)]))  # 70 % found, nothing else
    point = choose_operating_point(split, Lookup(), thresholds=(0.1, 0.4), growths=(0.0, 0.1), progress=False)
    assert (point["threshold"], point["growth"], point["coverage"], point["missed"]) == (0.4, 0.0, 0, 0)
    shy = choose_operating_point(split, Lookup(), 0.5, 0.0, thresholds=(0.1, 0.4), growths=(0.1, 0.0), progress=False)
    assert (shy["growth"], shy["missed"]) == (0.0, 0)  # growing crosses a limit of no false cover at all


def test_of_points_that_cover_and_miss_alike_the_one_that_conceals_least_beside_plates_wins() -> None:
    split = split_of(row(0, {(60, 50, 40, 20): 0.3}, [(60, 50, 40, 20)]))  # found exactly
    limits = {"stray_limit": 0.5, "false_limit": 0.5, "thresholds": (0.4,), "progress": False}
    point = choose_operating_point(split, Lookup(), **limits, growths=(0.3, 0.1, 0.2))
    assert (point["growth"], point["coverage"]) == (0.1, 1.0)


def test_how_sure_a_region_has_to_be_is_chosen_on_plate_free_pictures() -> None:
    """Of ten pictures without a plate one holds something at .02, three more at .08; the others nothing."""
    alone = [np.full((8, 8, 3), 200, np.uint8) for _ in range(10)]
    for picture, background in zip(alone, (0.02, 0.08, 0.08, 0.08), strict=False):
        picture[2:4, 2:4, 0] = round(200 * background)
    split = plates_at(0.01, 0.04)

    def choose(limit: float) -> tuple[float, float]:
        point = choose_operating_point(split, Lookup(), progress=False, plate_free=alone, alarm_limit=limit)
        return point["sure"], point["alarms"]

    assert choose(1.0) == (1.0, 0.4)
    assert choose(0.2) == (0.07, 0.1)  # .08 is not sure enough, .07 leaves one of ten, below .9 of .2
    assert choose(0.0) == (0.02, 0.0)  # a region has to fall below it, so that .02 itself is out
    assert "alarms" not in choose_operating_point(split, Lookup(), progress=False)


def test_when_every_point_is_over_the_limits_the_least_stray_one_is_said_to_be_so() -> None:
    split = split_of(row(0, {(0, 0, 80, 40): 0.01, (60, 50, 40, 20): 0.3}, [(60, 50, 40, 20)]))
    point = choose_operating_point(split, Lookup(), progress=False)
    assert point["feasible"] is False and (point["threshold"], point["growth"]) == (0.02, 0.0)
    assert point["stray_cover"] > 0.005


def test_the_callers_concealer_keeps_its_point_and_each_picture_is_predicted_once() -> None:
    concealer = Lookup(0.123, 0.4)
    choose_operating_point(plates_at(0.1, 0.2, 0.3), concealer, limit=2, progress=False)
    assert (concealer.threshold, concealer.growth, concealer.calls) == (0.123, 0.4, 2)


def test_large_pictures_are_compared_at_640_with_their_truth() -> None:
    split = split_of(row(0, {(1200, 800, 320, 160): 0.1}, [(1200, 800, 320, 160)], size=(2560, 1280)))
    point = choose_operating_point(split, Lookup(), progress=False)
    assert point["coverage"] == 1 and point["stray_cover"] == 0 and point["false_cover"] == 0
    json.dumps(point)  # a checkpoint's card keeps it
