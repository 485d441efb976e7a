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


def grid(*rows: list[float]) -> torch.Tensor:
    """``(1, 1, 8, 16)``: two cells of 8 x 8, the given values in the first pixels of the first row of each."""
    made = torch.full((1, 1, 8, 16), rows[0][0])
    for cell, values in enumerate(rows[1:]):
        made[0, 0, 0, 8 * cell : 8 * cell + len(values)] = torch.tensor(values)
    return made


def test_cells_by_hand() -> None:
    # Odds -9 but for 1.5 where plate is (left) and -0.5 in the right cell: greatest 1.5 with plate, -0.5 without.
    odds, share = grid([-9.0], [1.5, 0.2], [-0.5]), grid([0.0], [1.0, 1.0], [0.0])
    ones = torch.ones_like(odds)
    told = overlap_loss(odds, share, ones, presence=1.0) - overlap_loss(odds, share, ones)
    p, wrong = 1 / (1 + math.exp(-1.5)), 1 / (1 + math.exp(0.5))
    assert told.item() == pytest.approx(10 * (-math.log(p) + (1 - (1 - wrong) ** 0.7) / 0.7) / 2, rel=1e-4)


def test_a_cell_in_doubt_is_not_asked() -> None:
    odds, share = grid([-9.0], [1.5], [3.0]), grid([0.0], [1.0], [0.0])
    weight = grid([1.0], [1.0], [0.0])  # the sure pixel on the right, of which nobody says what it is
    kept = overlap_loss(odds, share, weight, presence=1.0) - overlap_loss(odds, share, weight)
    assert kept.item() == pytest.approx(10 * math.log(1 + math.exp(-1.5)) / 2, rel=1e-4)
    bare = overlap_loss(odds, share, weight)
    assert bare < overlap_loss(odds, share, torch.ones_like(odds))


def test_a_speck_pulls_and_certainty_does_not() -> None:
    """The gradient of a wrong answer grows, then goes: who is sure may know of a plate that nobody labelled."""

    def pull(odds: float) -> float:
        z = grid([-9.0], [odds]).requires_grad_()
        zero = torch.zeros_like(z)
        (overlap_loss(z, zero, zero + 1, presence=1.0) - overlap_loss(z, zero, zero + 1)).backward()
        return z.grad[0, 0, 0, 0].item()

    assert 0 < pull(-4.0) < pull(0.0) and pull(6.0) < 0.1 * pull(0.0)
