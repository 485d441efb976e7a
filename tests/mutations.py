"""What mutated input has in common: how much of it, what is done to it, and what it may cost.

`make mutate` is the long run: PLATES_EXAMPLES=20000 each for the decoder, the service and the film reader.
"""

import os
from datetime import timedelta

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

EXAMPLES = int(os.environ.get("PLATES_EXAMPLES", 0))  # 0: a few, always the same

Cuts = list[tuple[float, bytes]]
CUTS = st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=6)), max_size=5)
DROP = st.one_of(st.just(0.0), st.floats(0, 0.3))


def examples(few: int, share: int = 1) -> settings:
    """Hypothesis' settings: ``few`` examples, or PLATES_EXAMPLES / ``share`` new ones of at most five seconds each."""
    return settings(
        max_examples=max(10, EXAMPLES // share) if EXAMPLES else few,
        deadline=timedelta(seconds=5) if EXAMPLES else None,
        derandomize=not EXAMPLES,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )


def mutated(data: bytes, cuts: Cuts, drop: float) -> bytes:
    """``data`` with other bytes at some shares of its length, and without the share ``drop`` at its end."""
    out = bytearray(data)
    for at, patch in cuts:
        start = min(int(at * len(out)), len(out) - 1)
        out[start : start + len(patch)] = patch
    return bytes(out[: len(out) - int(drop * len(out))])
