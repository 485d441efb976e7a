"""How fast the service is beside the bare function: frames a second and the time of each, by 1 and by many clients.

``python -m lib.load`` starts a service of its own and prints a table; the clients run on the same cores.
"""

import argparse
import http.client
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import datasets
import numpy as np

from lib.conceal import Concealer
from lib.data import load_plates
from lib.settings import ROOT, PlatesError, cores

CLIENTS = (1, 2, 8, 32)
FRAMES = 16


def frames(count: int = FRAMES) -> list[bytes]:
    """Rendered scenes of 640x480 as their cameras' JPEG files."""
    split = load_plates("scenes", sizes={"train": count, "validation": 1, "test": 1})["train"]
    return [row["image"]["bytes"] for row in split.cast_column("image", datasets.Image(decode=False))]


@contextmanager
def service(*options: str) -> Iterator[tuple[int, int]]:
    """``python -m lib serve`` in a process of its own, on a free port of the loopback.

    Yields:
        The port and the process's number.

    Raises:
        PlatesError: it did not start within two minutes.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "lib", "serve", "--port", str(port), *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        try:
            end = time.monotonic() + 120
            while not _answers(port):
                if process.poll() is not None or time.monotonic() > end:
                    raise PlatesError(f"the service did not start on port {port}; see what it said above.")
                time.sleep(0.1)
            yield port, process.pid
        finally:
            process.terminate()


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 1):
            return True
    except OSError:
        return False


class Client:
    """One camera or person: a connection that is kept, a frame at a time."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def __call__(self, frame: bytes, query: str = "", **headers: str) -> tuple[int, dict[str, str], bytes]:
        """Send a frame: the answer's status, its headers by lower-case name, and its body."""
        kind = "image/png" if frame[:4] == b"\x89PNG" else "image/jpeg"
        self.connection.request("POST", f"/conceal{query}", frame, {"Content-Type": kind} | headers)
        answer = self.connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()


def timed(
    makers: Sequence[Callable[[], Callable[[bytes], Any]]], sent: Sequence[bytes], seconds: float
) -> tuple[float, np.ndarray]:
    """Frames a second of several workers at once, and each frame's milliseconds, float64 ``(frames,)``.

    Args:
        makers: one a worker: makes, in its thread, what handles a frame.
        sent: frames, in turns; every worker handles some untimed ones first.
        seconds: how long.
    """
    barrier, taken, lock = threading.Barrier(len(makers)), [], threading.Lock()

    def run(number: int) -> float:
        handle, mine, turn = makers[number](), [], number
        for _ in range(3):
            handle(sent[turn % len(sent)])
        barrier.wait()
        start = last = time.perf_counter()
        while last < start + seconds:
            handle(sent[turn % len(sent)])
            now = time.perf_counter()
            mine.append(1000 * (now - last))
            last, turn = now, turn + 1
        with lock:
            taken.extend(mine)
        return len(mine) / (last - start)

    with ThreadPoolExecutor(len(makers)) as pool:
        rate = sum(pool.map(run, range(len(makers))))
    return rate, np.array(taken)


def _asking(port: int) -> Callable[[], Callable[[bytes], Any]]:
    def make() -> Callable[[bytes], Any]:
        client = Client(port)

        def handle(frame: bytes) -> None:
            status, _, body = client(frame)
            if status != 200:
                raise PlatesError(f"the service answered {status}: {body[:200]!r}.")

        return handle

    return make


def measure(seconds: float = 10.0, clients: Sequence[int] = CLIENTS) -> Iterator[tuple[str, int, float, np.ndarray]]:
    """The bare function in as many threads as the service has workers, then the service by each number of clients.

    Yields:
        Name, workers or clients, frames a second, and each frame's milliseconds ``(frames,)``.
    """
    from lib import hosting
    from lib.serving import Limits

    sent, limits = frames(), Limits(workers=cores())
    concealer: Concealer = hosting.load(limits)["segment"]
    for count in sorted({1, limits.workers}):
        yield "bare", count, *timed([lambda: lambda frame: concealer(frame).encode()] * count, sent, seconds)
    with service("--queue", "64") as (port, _):
        for count in clients:
            yield "service", count, *timed([_asking(port)] * count, sent, seconds)
    yield (
        "bare",
        limits.workers,
        *timed([lambda: lambda frame: concealer(frame).encode()] * limits.workers, sent, seconds),
    )


def main() -> None:
    """Print the table."""
    told = "The service's frame rate beside the bare function's; takes about two minutes of all cores."
    argparse.ArgumentParser(prog="python -m lib.load", description=told).parse_args()
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg()) if hasattr(os, "getloadavg") else "unknown"
    print(f"load of the machine before (1, 5, 15 minutes): {load}")
    print("            threads or clients  frames/s   p50 ms   p99 ms  p99/p50")
    for name, count, rate, taken in measure():
        middle, late = np.quantile(taken, (0.5, 0.99))
        print(f"  {name:<10}{count:>18}{rate:>10.1f}{middle:>9.1f}{late:>9.1f}{late / middle:>9.1f}", flush=True)


if __name__ == "__main__":
    main()
