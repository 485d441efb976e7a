"""The losses against values computed by hand, their gradients, and what an empty mask means."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from lib.losses import LOSSES, REDUCTIONS, PlateLoss, loss_and_gradient
from lib.settings import PlatesError


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def logits_of(plate: list[float], dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """Logits (1, 2, 1, W) whose softmax gives these P(plate)."""
    p = torch.tensor(plate, dtype=dtype)
    return torch.stack([torch.log(1 - p), torch.log(p)]).reshape(1, 2, 1, len(plate)) + 3.7  # a shift changes nothing


PLATE_AND_ROAD = torch.tensor([[[True, False]]])  # (1, 1, 2): the left pixel is plate


@pytest.mark.parametrize(
    ("power", "inside", "expected"),
    [
        # P(plate) is 1/e on the plate, so -log p = 1 there, and 1 - 1/e^2 on the road, so -log(1 - p) = 2 there.
        (1, False, 5 * 1 + 2),
        (2, False, 5 * 1 + 2),
        (2, True, 25 * 1 + 2),
        (3, True, 125 * 1 + 2),
    ],
)
def test_unit_costs(power: int, inside: bool, expected: float) -> None:
    logits = logits_of([math.exp(-1), 1 - math.exp(-2)])
    loss = PlateLoss(power, 5, weight_inside=inside)(logits, PLATE_AND_ROAD)
    assert loss.item() == pytest.approx(expected)


@pytest.mark.parametrize(("power", "expected"), [(1, 3 * 2 + 1), (2, 3 * 4 + 1), (3, 3 * 8 + 1)])
def test_powers(power: int, expected: float) -> None:
    logits = logits_of([math.exp(-2), 1 - math.exp(-1)])  # the plate costs 2, the road 1
    assert PlateLoss(power, 3)(logits, PLATE_AND_ROAD).item() == pytest.approx(expected)


def test_the_papers_equation_term_by_term() -> None:
    logits, mask = torch.randn(1, 2, 4, 5), torch.rand(1, 4, 5) > 0.6
    p = logits.softmax(1)[0]
    expected = sum(
        5 * math.log(p[1, i, j]) ** 2 if mask[0, i, j] else -math.log(p[0, i, j]) for i in range(4) for j in range(5)
    )
    assert LOSSES["log2"]()(logits, mask).item() == pytest.approx(expected, rel=1e-5)


def test_reductions_divide_by_pixels_and_average_pictures() -> None:
    one = logits_of([math.exp(-1), 1 - math.exp(-2)])  # sum 5 + 2 = 7
    two = logits_of([math.exp(-2), 1 - math.exp(-1)])  # sum 20 + 1 = 21
    batch, masks = torch.cat([one, two]), PLATE_AND_ROAD.repeat(2, 1, 1)
    values = {name: PlateLoss(2, 5, reduction=name)(batch, masks).item() for name in REDUCTIONS}
    assert values == pytest.approx({"sum": 14, "pixels": 7, "mean": 3.5})


def test_cross_entropy_is_torchs_average_over_pixels() -> None:
    logits, mask = torch.randn(3, 2, 6, 7), torch.rand(3, 6, 7) > 0.9
    loss = LOSSES["cross_entropy"]()
    assert loss.weight == 1
    assert loss(logits, mask).item() == pytest.approx(functional.cross_entropy(logits, mask.long()).item(), rel=1e-5)


@pytest.mark.parametrize(("power", "outside"), [(2, 9), (3, 27)])
def test_three_inside_is_nine_or_twenty_seven_outside(power: int, outside: float) -> None:
    logits, mask = torch.randn(2, 2, 5, 5), torch.rand(2, 5, 5) > 0.5
    inside = PlateLoss(power, 3, weight_inside=True)(logits, mask)
    assert inside.item() == pytest.approx(PlateLoss(power, outside)(logits, mask).item(), rel=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_empty_and_full_masks_have_one_term(name: str) -> None:
    logits = logits_of([math.exp(-1), math.exp(-1)])
    loss = LOSSES[name](weight=4, reduction="sum")
    road = -math.log(1 - math.exp(-1))
    assert loss(logits, torch.zeros(1, 1, 2)).item() == pytest.approx(2 * road)
    assert loss(logits, torch.ones(1, 1, 2, dtype=torch.bool)).item() == pytest.approx(2 * 4)
    assert loss(logits, torch.full((1, 1, 2), 0.5)).item() == pytest.approx(road + 4)  # half a pixel of plate


@pytest.mark.parametrize("power", [1, 2, 3])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_gradcheck(power: int, reduction: str) -> None:
    torch.manual_seed(power)
    logits = (4 * torch.randn(2, 2, 3, 3, dtype=torch.float64)).requires_grad_()
    mask = torch.rand(2, 3, 3) > 0.5
    loss = PlateLoss(power, 5, weight_inside=True, reduction=reduction)
    assert torch.autograd.gradcheck(lambda x: loss(x, mask), (logits,))


@pytest.mark.parametrize("power", [1, 2, 3])
@pytest.mark.parametrize("plate_is_right", [True, False])
def test_extreme_logits_stay_finite(power: int, plate_is_right: bool) -> None:
    logits = torch.tensor([1e4, -1e4] if plate_is_right else [-1e4, 1e4]).reshape(1, 2, 1, 1).repeat(1, 1, 1, 2)
    logits.requires_grad_()
    loss = PlateLoss(power)(logits, PLATE_AND_ROAD)
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(logits.grad).all()
    # the wrong one of the two pixels is pushed, the right one is not
    wrong = logits.grad[0, 1, 0, 0 if plate_is_right else 1].abs()
    right = logits.grad[0, 1, 0, 1 if plate_is_right else 0].abs()
    assert wrong >= 1 - 1e-6 and right == 0


def test_half_precision_is_widened_before_the_logarithm() -> None:
    exact = torch.tensor([8.0, -8.0]).reshape(1, 2, 1, 1)
    mask = torch.ones(1, 1, 1, dtype=torch.bool)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = PlateLoss(3, 5)(exact.bfloat16(), mask)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(5 * 16**3, rel=1e-4)  # bfloat16 would keep two to three digits


@pytest.mark.parametrize("power", [1, 2, 3])
def test_gradient_at_p_near_zero(power: int) -> None:
    p, weight = 1e-6, 5.0
    logits = logits_of([p]).requires_grad_()
    PlateLoss(power, weight)(logits, torch.ones(1, 1, 1)).backward()
    got = -logits.grad[0, 1, 0, 0].item()
    by_hand = {
        1: weight * (1 - p),  # bounded by the weight
        2: 2 * weight * abs(math.log(p)) * (1 - p),
        3: 3 * weight * math.log(p) ** 2 * (1 - p),
    }[power]
    assert got == pytest.approx(by_hand, rel=1e-6)
    loss, gradient = loss_and_gradient(power, weight, np.array([p, 1.0]))
    assert gradient == pytest.approx([by_hand, 0])
    assert loss == pytest.approx([weight * (-math.log(p)) ** power, 0])


@pytest.mark.parametrize("name", LOSSES)
def test_a_better_prediction_scores_better(name: str) -> None:
    mask = torch.zeros(1, 8, 8, dtype=torch.bool)
    mask[:, 2:5, 1:7] = True
    sign = torch.stack([~mask, mask], dim=1).float() * 2 - 1
    losses = [LOSSES[name]()(confidence * sign, mask).item() for confidence in (-3.0, -1.0, 0.0, 1.0, 3.0, 30.0)]
    assert losses == sorted(losses, reverse=True) and len(set(losses)) == len(losses)
    assert losses[-1] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [({"power": 4}, "4"), ({"weight": -1}, "-1"), ({"weight": math.nan}, "nan"), ({"reduction": "none"}, "none")],
)
def test_settings_it_cannot_have_are_named(arguments: dict, named: str) -> None:
    with pytest.raises(PlatesError, match=named):
        PlateLoss(**arguments)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("power", [1, 2, 3])
def test_a_logit_for_a_square_of_pixels_costs_what_its_pixels_would(power: int, reduction: str) -> None:
    coarse = torch.randn(2, 2, 3, 5, dtype=torch.float64, requires_grad=True)
    mask = torch.rand(2, 12, 20) < 0.2
    loss = PlateLoss(power, 5, reduction=reduction)
    fine = loss(coarse.repeat_interleave(4, 2).repeat_interleave(4, 3), mask)
    torch.testing.assert_close(loss(coarse, mask), fine)
    (wanted,), (got,) = (torch.autograd.grad(one, coarse) for one in (fine, loss(coarse, mask)))
    torch.testing.assert_close(got, wanted)


@pytest.mark.parametrize(
    ("logits", "mask"),
    [
        ((1, 2, 4, 4), (1, 1, 4, 4)),
        ((1, 1, 4, 4), (1, 4, 4)),
        ((2, 2, 4, 4), (1, 4, 4)),
        ((1, 2, 4, 4), (1, 4, 1)),
        ((1, 2, 3, 3), (1, 4, 4)),  # no whole number of pixels to a logit
        ((1, 2, 2, 2), (1, 4, 2)),
        ((1, 2, 8, 8), (1, 4, 4)),
        ((1, 2, 0, 0), (1, 4, 4)),
    ],
)
def test_shapes_never_broadcast(logits: tuple, mask: tuple) -> None:
    with pytest.raises(ValueError, match=r"\(B, 2, H, W\)"):
        PlateLoss()(torch.zeros(logits), torch.zeros(mask))


def test_repr_names_the_form() -> None:
    assert "power=2, weight=5 (outside), reduction=sum" in repr(LOSSES["log2"]())
