"""The overlap loss against values computed by hand, and what it prefers."""

import math

import pytest
import torch

from lib.overlap import overlap_loss


def odds_of(*p: float) -> torch.Tensor:
    return torch.tensor([math.log(q / (1 - q)) for q in p]).view(1, 1, 1, -1)


def pixels(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32).view(1, 1, 1, -1)


ONES = pixels(1, 1)


def test_by_hand() -> None:
    # One plate pixel at 0.8, one road pixel at 0.4. Entropy: (3 * -ln .8 + -ln .6) / 2, times 10.
    # Overlap: TP .8, FP .4, FN .2: (.8 + 1) / (.8 + .3 * .4 + .7 * .2 + 1).
    expected = 10 * (3 * -math.log(0.8) - math.log(0.6)) / 2 + (1 - 1.8 / (0.8 + 0.12 + 0.14 + 1))
    assert overlap_loss(odds_of(0.8, 0.4), pixels(1, 0), ONES).item() == pytest.approx(expected, rel=1e-5)


def test_a_lifted_plate_counts_more_in_both_terms() -> None:
    # The plate pixel weighs 2: entropy (2 * 3 * -ln .8 + -ln .6) / 2; TP 1.6, FN .4.
    expected = 10 * (6 * -math.log(0.8) - math.log(0.6)) / 2 + (1 - 2.6 / (1.6 + 0.12 + 0.28 + 1))
    assert overlap_loss(odds_of(0.8, 0.4), pixels(1, 0), pixels(2, 1)).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("tversky", [0.0, 1.0, 4.0])
def test_a_better_answer_costs_less(tversky: float) -> None:
    def cost(*p: float) -> float:
        return overlap_loss(odds_of(*p), pixels(1, 0), ONES, tversky=tversky).item()

    assert cost(0.9, 0.1) < cost(0.7, 0.1) < cost(0.7, 0.3) < cost(0.3, 0.7)


def test_a_missed_pixel_costs_more_than_a_falsely_covered_one() -> None:
    missed = overlap_loss(odds_of(0.1, 0.1), pixels(1, 0), ONES)
    false = overlap_loss(odds_of(0.9, 0.9), pixels(1, 0), ONES)
    assert missed > 1.5 * false


def test_without_a_plate_only_false_cover_costs_and_extremes_stay_finite() -> None:
    low, high = (overlap_loss(odds_of(p, p), pixels(0, 0), ONES) for p in (0.01, 0.5))
    assert 0 <= low < high
    odds = torch.full((1, 1, 2, 2), 80.0, requires_grad=True)
    loss = overlap_loss(odds, torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2))
    loss.backward()
    assert loss.isfinite() and odds.grad.isfinite().all()
