"""A network in ONNX Runtime answers as in PyTorch, and calls are timed in turns."""

from pathlib import Path

import numpy as np
import pytest
import torch

from lib import portable
from lib.engine import Segmenter
from lib.models import build
from lib.portable import Portable, as_portable, export, milliseconds
from lib.settings import PlatesError


def test_it_answers_as_the_network_it_was_made_from(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = build("baseline", grid=10, channels=(4, 4, 8)).to(memory_format=torch.channels_last)
    network.train()
    path = export(network, torch.zeros(1, 3, network.side, network.side), tmp_path / "net" / "baseline.onnx")
    assert network.training and [file.name for file in path.parent.iterdir()] == ["baseline.onnx"]
    x = torch.rand(1, 3, network.side, network.side)
    with torch.inference_mode():
        wanted = network.eval()(x)
    torch.testing.assert_close(Portable(path, network.side, threads=1)(x), wanted, atol=1e-4, rtol=1e-4)


def test_it_takes_the_place_of_the_network_in_a_segmenter() -> None:
    torch.manual_seed(0)
    network, random = build("baseline", grid=10, channels=(4, 4, 8)), np.random.default_rng(0)
    picture = random.integers(0, 255, (48, 64, 3), np.uint8)
    other = Segmenter(as_portable(network, network.side), "portable")
    np.testing.assert_allclose(other(picture), Segmenter(network, "torch")(picture), atol=1e-4)


@pytest.mark.parametrize("content", [None, b"no network"])
def test_a_file_that_is_none_is_said(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "damaged.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(PlatesError, match=r"damaged\.onnx: ONNX Runtime cannot load it"):
        Portable(path, 320)


def test_calls_are_timed_in_turns_each_after_an_untimed_one(monkeypatch: pytest.MonkeyPatch) -> None:
    now, called = [0.0], []
    monkeypatch.setattr(portable.time, "perf_counter", lambda: now[0])

    def work(name: str, seconds: float) -> None:
        called.append(name)
        second = called[-2:-1] == [name]  # the call before was of the same work: its threads are awake
        now[0] += seconds * (10 if len(called) <= 8 or not second else 1)

    taken = milliseconds({"a": lambda: work("a", 0.002), "b": lambda: work("b", 0.03)}, repeats=3)
    assert called == ["a", "a", "b", "b"] * 5
    np.testing.assert_allclose(taken["a"], [2, 2, 2])
    np.testing.assert_allclose(taken["b"], [30, 30, 30])
