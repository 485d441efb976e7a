"""Many clients at once for minutes: honest ones, slow ones, ones that hang up, ones that send rubbish; all is checked.

``python -m lib.soak --minutes 10 --clients 64`` starts a service of its own, prints what happened, and fails where an
answer was wrong.
"""

import argparse
import json
import random
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from io import BytesIO

import numpy as np
import psutil
from PIL import Image
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from lib.conceal import Concealed
from lib.load import Client, frames, service
from lib.redact import FILL
from lib.settings import cores

SLOW = 0.2  # seconds between the bytes of a slow client
SECONDS = 10  # that the service is told to wait for a frame


@dataclass
class Score:
    """What the clients saw.

    Attributes:
        seen: how often, by kind of client and status.
        wrong: what should not have been, in words.
        memory: the service's resident memory in MiB, once a second.
    """

    seen: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, what: str, right: bool = True, told: str = "") -> None:
        """Count something seen; note it where it was not right."""
        with self.lock:
            self.seen[what] += 1
            if not right:
                self.wrong.append(f"{what} {told}")


class Soak:
    """Clients of one service.

    Args:
        port: where it is on the loopback.
        known: frames, and what the bare function makes of each.
        score: is told what is seen.
    """

    def __init__(self, port: int, known: Mapping[bytes, Concealed], score: Score) -> None:
        self.port, self.known, self.score = port, known, score
        self.expected = {frame: concealed.encode() for frame, concealed in known.items()}
        self.over = threading.Event()

    def honest(self, chance: random.Random) -> None:
        """Frames, each of which must come back as the bare function conceals it; who is told to wait does."""
        client = Client(self.port)
        while not self.over.is_set():
            frame = chance.choice(list(self.known))
            status, headers, body = client(frame)
            if status == 503:
                self.score.count("honest 503", "retry-after" in headers and "error" in json.loads(body))
                self.over.wait(min(int(headers.get("retry-after", 1)), 2) * chance.uniform(0.5, 1))
            else:
                self.score.count(f"honest {status}", status == 200 and body == self.expected[frame], str(body[:80]))

    def rubbish(self, chance: random.Random) -> None:
        """What is no whole picture, and must be refused with a sentence."""
        while not self.over.wait(0.05):
            client = Client(self.port)  # the service may end such a connection
            frame = chance.choice(list(self.known))
            kind = chance.choice(("noise", "cut", "plates", "option"))
            query = {"plates": "?plates=[]", "option": "?strength=0"}.get(kind, "")
            sent = {"noise": chance.randbytes(chance.randrange(1, 99_999)), "cut": frame[: len(frame) // 2]}
            status, _, body = client(sent.get(kind, frame), query)
            right = status in (413, 415, 422, 503) and list(json.loads(body)) == ["error"]
            self.score.count(f"rubbish {status}", right, str(body[:80]))

    def hanging_up(self, chance: random.Random) -> None:
        """Frames whose sender is gone before the answer, or before the frame is whole."""
        while not self.over.wait(0.05):
            frame = chance.choice(list(self.known))
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 10) as connection:
                connection.sendall(self._head(frame) + frame[: chance.choice((100, len(frame) // 2, len(frame)))])
                time.sleep(chance.uniform(0, 0.2))
            self.score.count("hung up")

    def slow(self, chance: random.Random) -> None:
        """A byte at a time, until the service has had enough: 408, and never a picture."""
        while not self.over.is_set():
            frame = chance.choice(list(self.known))
            answer = b""
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 10) as connection:
                connection.sendall(self._head(frame))
                connection.settimeout(SLOW)
                for byte in frame:
                    if self.over.is_set():
                        return
                    connection.sendall(bytes((byte,)))
                    with suppress(TimeoutError):
                        answer = connection.recv(4096)
                        break
            status = answer[9:12].decode("ascii", "replace")
            self.score.count(f"slow {status}", status in ("408", "503"), str(answer[:80]))

    def camera(self, chance: random.Random) -> None:
        """A stream: as many answers as frames, and no plate that the bare function conceals may show in any."""
        while not self.over.is_set():
            with suppress(WebSocketException, OSError), self._connect() as stream:
                for _ in range(chance.randrange(5, 50)):
                    frame = chance.choice(list(self.known))
                    stream.send(frame)
                    answer = stream.recv(timeout=120)
                    if isinstance(answer, str):
                        self.score.count("camera error", "busy" in answer, answer)
                        self.over.wait(1)
                        continue
                    pixels = np.asarray(Image.open(BytesIO(answer)).convert("RGB")).astype(int)
                    mask = self.known[frame].mask
                    off = np.abs(pixels[mask] - round(255 * FILL)).mean()
                    self.score.count("camera 200", answer != frame and off < 12, f"{off:.1f} levels off")
                    if self.over.is_set():
                        return

    def _connect(self):
        return connect(f"ws://127.0.0.1:{self.port}/stream", compression=None, open_timeout=60, ping_interval=None)

    def _head(self, frame: bytes) -> bytes:
        kind = "png" if frame[:4] == b"\x89PNG" else "jpeg"
        told = (
            f"POST /conceal HTTP/1.1\r\nHost: x\r\nContent-Type: image/{kind}\r\nContent-Length: {len(frame)}\r\n\r\n"
        )
        return told.encode()

    def run(self, clients: int, seconds: float, process: int) -> None:
        """Half of the clients honest, the others of every kind; the service's memory is noted every second."""
        others = (self.camera, self.rubbish, self.hanging_up, self.slow)
        works = [self.honest if at % 2 else others[at // 2 % len(others)] for at in range(clients)]
        threads = [threading.Thread(target=self._guard, args=(work, at)) for at, work in enumerate(works)]
        for thread in threads:
            thread.start()
        watched, end = psutil.Process(process), time.monotonic() + seconds
        while time.monotonic() < end:
            self.score.memory.append(watched.memory_info().rss / 2**20)
            time.sleep(1)
        self.over.set()
        for thread in threads:
            thread.join(150)
            if thread.is_alive():
                self.score.wrong.append("a client still waits for an answer")

    def _guard(self, work: Callable[[random.Random], None], number: int) -> None:
        chance = random.Random(number)
        while not self.over.is_set():
            try:
                work(chance)
            except Exception as error:  # a client must not end unseen
                self.score.count(f"{work.__name__} {type(error).__name__}", False, str(error))
                time.sleep(0.1)


def soak(clients: int, seconds: float) -> Score:
    """Run a service and its clients for so long."""
    from lib import hosting
    from lib.serving import Limits

    limits = Limits(workers=cores())
    concealer = hosting.load(limits)["segment"]
    # a frame in which nothing is concealed may come back as the very same bytes, and says nothing about any answer
    sent = [frame for frame in frames(8) if concealer(frame).mask.any()]
    for frame in sent[:2]:
        buffer = BytesIO()
        Image.open(BytesIO(frame)).save(buffer, "PNG")
        sent.append(buffer.getvalue())
    score = Score()
    known = {frame: concealer(frame) for frame in sent}
    with service("--seconds", str(SECONDS)) as (port, process):
        Soak(port, known, score).run(clients, seconds, process)
        status, _, body = Client(port)(sent[0])  # it still does what it should
        score.count(f"last {status}", body == known[sent[0]].encode())
    return score


def main() -> int:
    """Print what happened; 1 where something was wrong."""
    given = argparse.ArgumentParser(prog="python -m lib.soak", description="Soak the service.")
    given.add_argument("--minutes", type=float, default=10)
    given.add_argument("--clients", type=int, default=64)
    options = given.parse_args()
    score = soak(options.clients, 60 * options.minutes)
    for what, count in sorted(score.seen.items()):
        print(f"  {what:<24}{count:>8,}")
    quarter = max(1, len(score.memory) // 4)
    first, last = (np.median(part) for part in (score.memory[quarter : 2 * quarter], score.memory[-quarter:]))
    print(
        f"memory of the service, MiB: second quarter {first:.0f}, last quarter {last:.0f}, peak {max(score.memory):.0f}"
    )
    print(f"wrong: {len(score.wrong)}" + "".join(f"\n  {each}" for each in score.wrong[:20]))
    return int(bool(score.wrong))


if __name__ == "__main__":
    sys.exit(main())
