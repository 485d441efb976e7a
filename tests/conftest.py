"""What several test modules need."""

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

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
