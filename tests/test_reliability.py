"""What a probability means: the loss's own answer, counted pixels, and calibration errors worked out by hand."""

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from lib.losses import LOSSES, PlateLoss, resting_point
from lib.plots import calibration_tables as tables
from lib.recipes import Recipe
from lib.reliability import FINE, Reliability, crops_like_training, meant_share, reliability
from lib.transforms import random_crops
from tests import tiny
from tests.test_failures import made

CODE = PlateLoss(power=2, weight=5, weight_inside=True)


@given(st.sampled_from([1, 2, 3]), st.floats(0.5, 100), st.floats(0.001, 0.999))
def test_meant_share_undoes_the_resting_point(power: int, factor: float, share: float) -> None:
    p = resting_point(power, factor, share)
    slope = share * (1 - share) / max(p * (1 - p), 1e-9)  # the bisection leaves 1e-9 of p, more of s where it is steep
    assert float(meant_share(power, factor, p)) == pytest.approx(share, abs=1e-6 + 1e-7 * slope * factor)


def test_meant_share_by_hand() -> None:
    assert meant_share(1, 1.0, np.array([0.0, 0.3, 1.0])).tolist() == pytest.approx(
        [0, 0.3, 1]
    )  # cross entropy: itself
    half = 0.5 / (0.5 + 25 * 2 * np.log(2) * 0.5)
    assert float(meant_share(2, CODE.factor, 0.5)) == pytest.approx(half) and half == pytest.approx(
        1 / 35.657, rel=1e-4
    )
    rising = meant_share(2, 25.0, np.linspace(0, 1, 501))
    assert (np.diff(rising) > 0).all() and rising[0] == 0 and rising[-1] == 1


@pytest.mark.parametrize("loss", [LOSSES["cross_entropy"](), LOSSES["log2"](), CODE, LOSSES["log3"](weight=2)])
@pytest.mark.parametrize("plates", [1, 10, 40])
def test_the_loss_itself_is_least_at_the_answer_that_means_the_share(loss: PlateLoss, plates: int) -> None:
    """Not the formula again: the training loss of 100 equal pixels, tried at every answer."""
    mask = (torch.arange(100) < plates).view(1, 10, 10)
    answers = torch.linspace(0.001, 0.999, 999, dtype=torch.float64)
    costs = [
        loss(torch.stack([torch.zeros(10, 10), torch.full((10, 10), float(z))])[None].double(), mask)
        for z in answers.logit()
    ]
    best = float(answers[int(torch.stack(costs).argmin())])
    around = meant_share(loss.power, loss.factor, np.array([best - 0.001, best + 0.001]))
    assert around[0] <= plates / 100 <= around[1]


class Said(nn.Module):
    """Says the red channel as P(plate)."""

    def forward(self, pictures: Tensor) -> Tensor:
        plate = pictures[:, 0].clamp(1e-4, 1 - 1e-4)
        return torch.stack([torch.zeros_like(plate), plate.logit()], dim=1)


def test_pixels_are_counted_where_they_were_predicted() -> None:
    pixels = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    pixels[0, 0, 0] = 204  # 0.8
    pixels[1, 0] = 255
    masks = torch.zeros(2, 4, 4, dtype=torch.bool)
    masks[0, 0, 0] = masks[1] = True
    counts = reliability(Said(), pixels, masks).counts
    assert counts.shape == (2, 2, FINE) and counts.sum(axis=(1, 2)).tolist() == [16, 16]
    assert counts[0, 0, 0] == 12 and counts[1, 1, FINE - 1] == 16
    place = int(0.8 * FINE)
    assert counts[0, 0, place - 1 : place + 2].sum() == 3 and counts[0, 1, place - 1 : place + 2].sum() == 1


def test_the_last_batch_counts_too() -> None:
    pixels, masks = torch.zeros(37, 3, 4, 4, dtype=torch.uint8), torch.zeros(37, 4, 4, dtype=torch.bool)
    assert reliability(Said(), pixels, masks).counts.sum() == 37 * 16


def counted(*pixels: tuple[float, int, int], pictures: int = 1) -> Reliability:
    """In every picture: of (P(plate), background pixels, plate pixels)."""
    counts = np.zeros((pictures, 2, FINE), np.int64)
    for p, background, plate in pixels:
        counts[:, :, int(p * FINE)] += (background, plate)
    return Reliability(counts)


def test_error_and_bins_by_hand() -> None:
    told = counted((0.1, 80, 0), (0.7, 10, 10), pictures=3)
    rows = told.bins(bins=10)
    assert [round(row["predicted"], 3) for row in rows] == [0.1, 0.7]
    assert [row["share"] for row in rows] == [0, 0.5] and [row["pixels"] for row in rows] == [0.8, 0.2]
    assert rows[1]["interval"] == (0.5, 0.5)  # three equal pictures
    assert told.error(bins=10) == pytest.approx(0.8 * 0.1 + 0.2 * 0.2, abs=1e-3)
    assert told.error(lambda p: np.full_like(p, 0.1)) == pytest.approx(0, abs=1e-9)  # the plate share of every pixel
    assert (
        Reliability(np.zeros((1, 2, FINE), np.int64)).error() == 0 and Reliability(np.zeros((1, 2, FINE))).bins() == []
    )


def test_the_interval_of_a_bin_is_over_pictures() -> None:
    counts = np.concatenate([counted((0.7, 10, 0)).counts, counted((0.7, 0, 10)).counts] * 10)
    (row,) = Reliability(counts).bins()
    low, high = row["interval"]
    assert row["share"] == 0.5 and 0.2 < low < 0.4 and 0.6 < high < 0.8


@pytest.mark.parametrize("power", [1, 2, 3])
def test_a_network_that_knows_everything_is_calibrated_only_as_the_loss_means_it(power: int) -> None:
    """Pixels of known local shares, answered as the loss wants them answered."""
    loss = PlateLoss(power=power, weight=5 if power > 1 else 1)
    shares = np.array([0.001, 0.01, 0.05, 0.1, 0.3, 0.6, 0.9])
    answers = [(resting_point(loss.power, loss.factor, s), round(1e4 * (1 - s)), round(1e4 * s)) for s in shares]
    told, reading = counted(*answers), partial(meant_share, loss.power, loss.factor)
    assert told.error(reading, bins=FINE) < 0.004
    assert (told.error(bins=FINE) > 0.1) == (power > 1)
    text = tables.calibration({"these": told}, reading, "the loss").data
    assert ("explains the larger part" in text) == (power > 1)  # nothing to explain where p is the share itself


def test_crops_are_those_of_training_and_the_same_again() -> None:
    pictures = tiny.pictures(3)
    whole = crops_like_training(pictures, Recipe(smallest_crop=1.0))
    assert whole[0].shape == (3, 3, 320, 320) and whole[0].dtype == torch.uint8 and whole[1].dtype == torch.bool
    one, again = (crops_like_training(pictures, Recipe(seed=1)) for _ in range(2))
    assert torch.equal(one[0], again[0]) and torch.equal(one[1], again[1])
    assert not torch.equal(one[0], crops_like_training(pictures, Recipe(seed=2))[0])
    assert one[0].shape == random_crops(pictures, 0)[0].shape
    blurred = crops_like_training(pictures, Recipe(seed=1, augment=("blur",)))
    assert torch.equal(blurred[1], one[1]) and not torch.equal(blurred[0], one[0])


def test_what_thresholds_ask_for() -> None:
    rows = tables.meaning_rows({"cross entropy": LOSSES["cross_entropy"](), "code": CODE}, (0.1, 0.5))
    assert rows[0]["P(plate) above"] == 0.9 and rows[0]["cross entropy"] == pytest.approx(0.9)
    assert rows[0]["code"] == pytest.approx(0.631, abs=1e-3) and rows[0]["background per plate pixel"] == "0.6"
    assert rows[1]["code"] == pytest.approx(1 / 35.657, rel=1e-4) and rows[1]["background per plate pixel"] == "34.7"


def test_agreement_of_told_and_known_colours() -> None:
    look = ["white"] * 4 + ["yellow"] * 2 + [""] * 2
    red, blue = [0.8] * 3 + [0.9] * 5, [0.8] * 3 + [0.1] * 5  # the last five look yellow
    told = made(8, look=look, red=red, green=np.array([0.8] * 3 + [0.6] * 5), blue=blue)
    rows = {row["colour"]: row for row in tables.agreement(told)}
    assert rows["white"]["plates"] == 4 and rows["white"]["told by their pixels"] == 0.75
    assert rows["yellow"]["told by their pixels"] == 1 and rows["yellow"]["of those told so, right"] == pytest.approx(
        2 / 3
    )
    assert rows["red"]["told by their pixels"] is None and rows["red"]["of those told so, right"] is None


def test_findings_are_of_the_measurements() -> None:
    validation, test = made(4, covered=[0.1, 0.25, 0.5, 1]), made(4, covered=[0.3] * 4, stray=[[20]] * 4)
    reading = partial(meant_share, 1, 1.0)
    text = tables.findings(validation, test, counted((0.7, 10, 10)), reading).data
    assert "| plates covered at 0.2, test | not measured | 0.00 (0.00 to 0.00) |" in text
    assert "| plates covered at 0.4, test | not measured | 1.00 (1.00 to 1.00) |" in text
    assert "| threshold for a coverage of 50%, validation | not asked | 0.255 |" in text
    assert "| stray cover with it, test | not asked | 2.0% (2.0% to 2.0%) |" in text
    assert "0.200 as it says, 0.200 as the loss means it" in text
    never = tables.findings(made(4, covered=[1.0] * 4), test, counted((0.7, 10, 10)), reading).data
    assert "threshold for a coverage" not in never
