"""Figures and tables of `09_conceal_and_serve`, made-up numbers and small pictures: they show what they are given."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from IPython.display import Image
from shown import text

from lib.attack_trials import Example
from lib.bootstrap import share_interval
from lib.conceal import Concealer
from lib.images import Picture, encode
from lib.plots import attack, serving
from lib.reels import STEPS, five_steps, read_film, write_film
from lib.settings import PlatesError


def cell(mode: str, right: int, strength: float | None = None, region: str = "characters", **more: Any) -> dict:
    shape = {"height": 16, "frames": 1, "places": 7, "characters": 2000}
    told = {"mode": mode, "region": region, "strength": strength, "right": right, "recovered": right / 2000}
    return told | shape | {"interval": list(share_interval(right, 2000, 0.99))} | more


CELLS = [
    *(cell(kind, right, strength) for kind in ("gaussian", "mosaic") for strength, right in ((0.25, 2000), (1.0, 900))),
    *(cell(mode, 60, region=region) for mode in ("fill", "blur", "pixelate") for region in ("characters", "plate")),
    cell("blur", 72, frames=25),
    cell("pixelate", 90, places=2),
]


def test_the_worst_cell_of_each_attack_is_told() -> None:
    bounds = [{"places": 7, "recovered": 0.04}, {"places": 7, "recovered": 0.045}, {"places": 2, "recovered": 0.05}]
    rows = text(attack.summary({"cells": CELLS, "ceilings": bounds, "date": "2026-01-31"}))
    assert [row[0] for row in rows] == [
        "weak, up to half a height", "fill, 7 characters", "blur, 7 characters", "pixelate, 7 characters",
        "blur, 25 frames averaged", "blur or pixelate, 2 or 3 characters",
        "nobody can exceed, 7 characters", "nobody can exceed, 2 characters",
    ]  # fmt: skip
    assert [row[3] for row in rows] == ["1.000", "0.030", "0.030", "0.030", "0.036", "0.045", "0.045", "0.050"]
    assert [row[1] for row in rows] == ["2", "2", "2", "2", "1", "1", "2", "1"]
    assert rows[1][4] == "0.021 to 0.041"  # exact, 60 of 2,000


def test_cells_are_listed_as_they_are() -> None:
    rows = text(attack.listed(CELLS[:5]))
    assert [row[:4] for row in rows[::4]] == [
        ["gaussian", "0.25 H", "2,000", "1.000"],
        ["fill", "as shipped", "2,000", "0.030"],
    ]


def test_figures_are_figures() -> None:
    one = np.full((30, 90, 3), 90, np.uint8)
    steps = dict(zip(STEPS, (one, np.zeros((30, 90)), np.zeros((30, 90), bool), one, one), strict=True))
    names = ("as photographed", "Gaussian", "fill", "blur", "pixelate")
    made = [Example("ABC1234", dict.fromkeys(names, one), "ABC1234")] * 2
    times = {
        "decode": np.array([1.0, 2.0]),
        "network": np.array([8.0, 9.0]),
        "all, JPEG to JPEG": np.array([10.0, 9.0]),
    }
    drawn = [
        attack.strengths(CELLS, "tiny"),
        attack.examples(made, "tiny"),
        serving.five_steps(steps, "tiny"),
        serving.side_by_side({"segment": [one, one], "detect": [one, one]}, "tiny"),
        serving.stages({1: times, 2: times}, "tiny"),
        serving.film([one, one], [one, one], "tiny"),
        serving.stacked({"one frame": one, "mean of 2": one}, "tiny"),
    ]
    assert all(isinstance(each, Image) and len(each.data) > 1000 for each in drawn)


def test_tables_of_cameras_and_films() -> None:
    rows = [("bare", 1, 88.64, np.arange(1.0, 102.0)), ("service", 8, 70.0, np.full(50, 110.0))]
    assert text(serving.cameras(rows, "tiny")) == [
        ["the function alone, in threads", "1", "88.600", "51.000", "100"],
        ["the service, asked by clients", "8", "70.000", "110", "110"],
    ]
    one = {"plate_frames": 200, "exposed_per_thousand": 5.0, "interval": [1.0, 9.0], "longest_run": 2, "area": 0.01}
    none = one | {"plate_frames": 0, "exposed_per_thousand": None, "interval": None}
    told = text(serving.exposures({"network alone": one, "remembered": none}, "tiny"))
    assert told[0] == ["network alone", "200", "5.000", "1.000 to 9.000", "2", "0.010"]
    assert told[1][2:4] == ["-", "-"]


class LeftHalf:
    """A segmenter that is sure of the left half."""

    name, threshold, growth = "left", 0.5, 0.0

    def __call__(self, rgb: np.ndarray) -> np.ndarray:
        background = np.ones(rgb.shape[:2], np.float32)
        background[:, : rgb.shape[1] // 2] = 0
        return background


def test_five_steps_are_those_of_the_concealer() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 40, 3), np.uint8)
    frame, concealer = encode(Picture("PNG", pixels), pixels), Concealer(LeftHalf())
    steps = five_steps(frame, concealer)
    decoded, believed, mask, concealed, out = (steps[name] for name in STEPS)
    assert np.array_equal(decoded, pixels) and np.array_equal(out, concealed)
    assert np.array_equal(believed, mask) and mask[:, :20].all() and not mask[:, 20:].any()
    assert np.array_equal(out, concealer(pixels).image)


def test_a_film_is_written_and_read(tmp_path: Path) -> None:
    frames = [np.full((32, 48, 3), level, np.uint8) for level in (30, 120, 210)]
    assert write_film(tmp_path / "a.mp4", iter(frames)) == 3
    read = read_film(tmp_path / "a.mp4")
    assert [each.shape for each in read] == [(32, 48, 3)] * 3
    assert [float(each.mean()) for each in read] == pytest.approx([30, 120, 210], abs=4)
    (tmp_path / "file").touch()
    with pytest.raises(PlatesError, match="cannot be written"):
        write_film(tmp_path / "file" / "b.mp4", frames)


def test_red_lies_on_the_plate_alone() -> None:
    rgb, share = np.full((8, 8, 3), 100, np.uint8), np.zeros((2, 2), np.float32)
    share[0, 0] = 1
    red = serving.laid_over(rgb, share)
    assert (red[:4, :4, 0] > 150).all() and (red[4:] == 100).all() and (red[:4, 4:] == 100).all()
