"""What the bench counts is what it did; how fast is for people to read."""

from io import BytesIO
from pathlib import Path

import datasets
import numpy as np
import pytest
from PIL import Image
from test_conceal import FindsMagenta
from tiny import pictures, scene

from lib import bench
from lib.conceal import Concealer
from lib.recipes import recipe
from lib.reels import read_film


def jpegs(count: int) -> datasets.Dataset:
    random, files = np.random.default_rng(0), []
    for _ in range(count):
        buffer = BytesIO()
        Image.fromarray(scene(random)[0]).save(buffer, "JPEG")
        files.append({"bytes": buffer.getvalue(), "path": None})
    return datasets.Dataset.from_dict({"image": files}, features=datasets.Features({"image": datasets.Image()}))


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "BATCH", 2)


def test_decoding_each_handles_four_batches_and_opens_each_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    work = bench.decode_each(jpegs(10))
    opened, real = [], Image.open
    monkeypatch.setattr(bench.Image, "open", lambda file: opened.append(file) or real(file))
    assert work() == 8 == len(opened)
    assert work() == 8 and len(opened) == 16  # every time anew


def test_feeding_handles_whole_batches_and_opens_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.Image, "open", lambda file: pytest.fail("decoded in the loop"))
    fed, real = [], bench.to_input
    monkeypatch.setattr(bench, "to_input", lambda pixels: fed.append(tuple(pixels.shape)) or real(pixels))
    assert bench.feed(pictures(5), ("blur",))() == 4
    assert fed == [(2, 3, 320, 320)] * 2


def test_training_steps_are_counted_in_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = recipe("fast", options={"grid": 10, "channels": (2, 2, 2)}, batch=2)
    monkeypatch.setattr(bench, "recipe", lambda preset, **changes: tiny)
    assert bench.train_steps(pictures(5), "fast")() == 4


def test_a_rate_is_pictures_a_second_after_one_call_to_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    now, calls = [100.0], []
    monkeypatch.setattr(bench.time, "monotonic", lambda: now[0])

    def work() -> int:
        calls.append(now[0])
        now[0] += 50.0 if len(calls) == 1 else 0.5
        return 3

    assert bench.rate(work, seconds=2.0) == pytest.approx(6.0)
    assert len(calls) == 5


def test_a_film_is_concealed_frame_by_frame_each_time(tmp_path: Path) -> None:
    work = bench.films(tmp_path, Concealer(FindsMagenta()), size=(96, 64), count=3)
    assert work() == work() == 3 and len(read_film(tmp_path / "concealed.mp4")) == 3
