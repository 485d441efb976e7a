"""What needs real photographs: `make weights` runs it on those of PLATES_DATA, and CI where they lie beside it."""

import pytest

from lib.checkpoints import read_card
from lib.conceal import Concealer
from lib.data import load_plates
from lib.evaluate import evaluate
from lib.settings import WEIGHTS


def test_the_weights_do_on_validation_what_their_card_says() -> None:
    """Processors round 8-bit arithmetic differently: a few plates, and a fifth of a percent of pixels, may differ."""
    told = evaluate(load_plates()["validation"], Concealer.load(), progress=False).summary()
    card = read_card(WEIGHTS / "platenet.safetensors")["operating_point"]
    assert (told["images"], told["plates"]) == (card["images"], card["plates"])
    for key, apart in {"coverage": 0.02, "missed": 0.02, "stray_cover": 0.002, "false_cover": 0.002}.items():
        assert told[key] == pytest.approx(card[key], abs=apart), key
