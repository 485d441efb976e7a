"""What several test modules need."""

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

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
