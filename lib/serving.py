"""Work of many at once on few cores: a bounded queue in front of worker threads, refusals, and what is counted.

The library's work is done outside of Python's lock (ONNX Runtime, OpenCV, Pillow), so threads are enough and the
networks are loaded once. One thread a frame and as many frames at a time as there are cores: several threads on one
frame wait for each other.
"""

import math
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from lib.frames import MOST_PIXELS
from lib.settings import PlatesError

T = TypeVar("T")
_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)  # seconds


class Refusal(PlatesError):
    """A request that is not served.

    Attributes:
        status: of HTTP, 4xx, 500 or 503.
        reason: a word for the counter of refusals.
        headers: to send along.
    """

    def __init__(self, status: int, reason: str, told: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(told)
        self.status, self.reason, self.headers = status, reason, headers or {}


@dataclass(frozen=True)
class Limits:
    """What one request may take, and all of them together.

    Attributes:
        bytes: of a frame.
        pixels: of a frame.
        seconds: for a frame to arrive, and again for it to wait for a worker.
        workers: frames worked on at a time.
        queue: frames that may wait for a worker.
        held: bytes of all frames that are in hand, arriving ones included.
        streams: cameras connected at a time.
        frame: bytes of a stream's frame; each stream may hold two of them, one that arrives and one that is worked on.
    """

    bytes: int = 32 * 2**20
    pixels: int = MOST_PIXELS
    seconds: float = 30.0
    workers: int = 2
    queue: int = 32
    held: int = 256 * 2**20
    streams: int = 32
    frame: int = 4 * 2**20


class Meters:
    """What Prometheus is told; nothing of any frame's content."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        made = {"namespace": "plates", "registry": self.registry}
        self.stages = Histogram("stage_seconds", "Seconds by stage of a frame.", ("stage",), buckets=_BUCKETS, **made)
        self.frames = Counter("frames", "Frames concealed or looked at.", ("route",), **made)
        self.plates = Counter("concealed", "Plates concealed.", **made)
        self.refusals = Counter("refusals", "Requests not served, by reason.", ("reason",), **made)
        self.depth = Gauge("queue_depth", "Frames waiting for a worker or worked on.", **made)
        self.held = Gauge("held_bytes", "Bytes of frames in hand.", **made)
        self.streams = Gauge("streams", "Cameras connected.", **made)


class Pool:
    """Worker threads behind a queue that refuses rather than grows.

    Args:
        limits: its ``workers``, ``queue`` and ``seconds`` count here.
        meters: told about depth and waiting.
    """

    def __init__(self, limits: Limits, meters: Meters) -> None:
        self.limits, self.meters = limits, meters
        self._executor = ThreadPoolExecutor(limits.workers, thread_name_prefix="frame")
        self._lock = threading.Lock()
        self._inside = 0
        self._usual = 0.1  # seconds a frame takes, smoothed

    def submit(self, work: Callable[[], T]) -> "Future[T]":
        """Queue ``work``; cancelling the future takes it out again where no worker has begun.

        Raises:
            Refusal: the queue is full. The future raises one too, where no worker was free in time.
        """
        with self._lock:
            if self._inside >= self.limits.workers + self.limits.queue:
                raise self._busy("full", f"{self._inside} frames are in hand, as many as may be")
            self._inside += 1
            self.meters.depth.set(self._inside)
        asked = time.monotonic()

        def begin() -> T:
            start = time.monotonic()
            self.meters.stages.labels("queue").observe(start - asked)
            if start - asked > self.limits.seconds:
                raise self._busy("overdue", f"no worker was free for {self.limits.seconds:g} seconds")
            try:
                return work()
            finally:
                self._usual += 0.1 * (time.monotonic() - start - self._usual)

        future = self._executor.submit(begin)
        future.add_done_callback(self._leave)
        return future

    def _leave(self, _future: "Future[T]") -> None:
        with self._lock:
            self._inside -= 1
            self.meters.depth.set(self._inside)

    def _busy(self, reason: str, told: str) -> Refusal:
        wait = max(1, math.ceil(self._inside * self._usual / self.limits.workers))
        told = f"the service is busy ({told}); try again in {wait} s."
        return Refusal(503, reason, told, {"Retry-After": str(wait)})

    def close(self) -> None:
        """Finish what is being worked on, drop what waits."""
        self._executor.shutdown(cancel_futures=True)


class Purse:
    """Bytes of frames that all requests may hold together; for one event loop alone."""

    def __init__(self, limits: Limits, meters: Meters) -> None:
        self.limits, self.meters, self.held = limits, meters, 0

    @contextmanager
    def opened(self) -> Iterator[Callable[[int], None]]:
        """Yield what a request calls with every count of bytes that it takes; they are given back at the end.

        That call raises `Refusal` where all requests together hold too many.
        """
        mine = 0

        def take(count: int) -> None:
            nonlocal mine
            if self.held + count > self.limits.held:
                told = "the service is busy (its memory for frames is full); try again in 2 s."
                raise Refusal(503, "memory", told, {"Retry-After": "2"})
            mine += count
            self.held += count
            self.meters.held.set(self.held)

        try:
            yield take
        finally:
            self.held -= mine
            self.meters.held.set(self.held)
