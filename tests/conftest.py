"""What several test modules need."""

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

import lib.compact
import lib.engine
import lib.training

GIBIBYTE = 2**30


@pytest.fixture
def thrifty() -> Iterator[None]:
    """Fails a test during which this process came to hold a gibibyte more than before it (seen under Linux)."""
    status, marks = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not marks.exists():
        yield
        return
    marks.write_text("5")  # the peak is counted from here, proc_pid_clear_refs(5)
    before = psutil.Process().memory_info().rss
    yield
    peak = next(1024 * int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    assert peak - before < GIBIBYTE


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Figures as they are when they are shown."""
    made: list[Figure] = []
    closing = plt.close
    monkeypatch.setattr(plt, "close", lambda figure: (made.append(figure), closing(figure)))
    return made


@pytest.fixture
def on_one_thread_of_the_processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """PlateNet is trained the same on any machine, into a folder of the test's own."""
    for module in (lib.engine, lib.compact, lib.training):
        monkeypatch.setattr(module, "device", lambda: torch.device("cpu"))
    monkeypatch.setattr(lib.training, "RUNS", tmp_path / "runs")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
