"""The load generator and the soak: they count, they see what is wrong, and they leave a service as they found it."""

import os
import time
from collections.abc import Iterator

import httpx
import numpy as np
import pytest
from test_conceal import FindsMagenta, saved, street
from test_service import counter, until

from lib.conceal import Concealer
from lib.hosting import running
from lib.load import Client, timed
from lib.serving import Limits
from lib.soak import Score, Soak

LIMITS = Limits(seconds=0.5, queue=2)


class Blind(FindsMagenta):
    """Misses the plate."""

    def __call__(self, rgb: np.ndarray) -> np.ndarray:
        return np.ones(rgb.shape[:2], np.float32)


@pytest.fixture(params=[FindsMagenta, Blind], ids=["seeing", "blind"])
def service(request: pytest.FixtureRequest) -> Iterator[str]:
    with running({"segment": Concealer(request.param())}, LIMITS) as url:
        yield url


def test_a_soak_sees_what_is_wrong_and_nothing_else(service: str, request: pytest.FixtureRequest) -> None:
    sent = [saved(street(), "PNG"), saved(street(), "JPEG", quality=95)]
    score, concealer = Score(), Concealer(FindsMagenta())
    Soak(int(service.rsplit(":", 1)[1]), {frame: concealer(frame) for frame in sent}, score).run(10, 3, os.getpid())
    kinds = {what.split()[0] for what in score.seen}
    assert kinds == {"honest", "camera", "rubbish", "hung", "slow"} and len(score.memory) >= 2
    if "blind" in request.node.name:
        assert any(wrong.startswith("honest 200") for wrong in score.wrong)
        assert any(wrong.startswith("camera 200") for wrong in score.wrong)
    else:
        assert score.wrong == []
    with httpx.Client(base_url=service) as client:
        until(lambda: counter(client, "plates_queue_depth") == 0 == counter(client, "plates_held_bytes"))


def test_a_client_and_its_times() -> None:
    with running({"segment": Concealer(FindsMagenta())}, LIMITS) as url:
        status, headers, body = Client(int(url.rsplit(":", 1)[1]))(saved(street(), "PNG"))
    assert status == 200 and headers["x-plates"] == "1" and body.startswith(b"\x89PNG")
    handled: list[bytes] = []

    def make():
        def handle(frame: bytes) -> None:
            time.sleep(0.01)
            handled.append(frame)

        return handle

    rate, taken = timed([make, make], [b"a", b"b", b"c"], 0.3)
    assert len(handled) == len(taken) + 2 * 3 and set(handled) == {b"a", b"b", b"c"}
    assert taken.min() >= 10 and 0 < rate <= 200
