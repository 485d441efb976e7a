"""Tests of maps: random weights, rank correlation, deletion and insertion on a network whose belief is known."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lib.faithfulness import (
    FRACTIONS,
    area_under,
    belief,
    blind_maps,
    cascade,
    random_twin,
    randomisation,
    rank_correlation,
    ranking,
    ranks,
    replaced,
    replacement_test,
)
from lib.models import baseline

SIDE = 64


class SeesRed(nn.Module):
    """Plate everywhere, with the probability that the share of red pixels in the picture gives."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, pictures: Tensor) -> Tensor:
        plate = (pictures[:, :1] > 0.9).float().mean((2, 3), keepdim=True).clamp(1e-6, 1 - 1e-6)
        return torch.cat([(1 - plate).log(), plate.log()], 1).expand(-1, -1, *pictures.shape[2:])


@pytest.fixture
def pixels() -> Tensor:
    made = torch.zeros(2, 3, SIDE, SIDE, dtype=torch.uint8)
    made[:, 0, :16] = 255  # the upper quarter is red
    return made


@pytest.fixture
def masks() -> Tensor:
    made = torch.zeros(2, SIDE, SIDE, dtype=torch.bool)
    made[:, :16, :32] = True
    return made


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(0)
    return baseline(channels=(4, 4, 8), grid=10).eval()


def test_ranks_share_the_mean_among_equals() -> None:
    assert ranks(torch.tensor([[3.0, 1.0, 1.0, 7.0]])).tolist() == [[2.0, 0.5, 0.5, 3.0]]


def test_rank_correlation_asks_for_the_order_alone() -> None:
    maps = torch.rand(2, 8, 8, generator=torch.Generator().manual_seed(0))
    assert rank_correlation(maps, maps.exp() * -1, 8) == pytest.approx([1, 1])  # sizes, whatever their sign
    assert rank_correlation(maps, 1 - maps, 8) == pytest.approx([-1, -1])
    noise = torch.rand(1, 200, 200, generator=torch.Generator().manual_seed(1))
    assert abs(rank_correlation(noise, noise.flip(1), 200)[0]) < 0.03
    assert np.isnan(rank_correlation(maps, torch.ones(2, 8, 8), 8)).all()


def test_rank_correlation_leaves_out_what_nobody_sees() -> None:
    maps = torch.rand(1, 20, 20, generator=torch.Generator().manual_seed(0))
    other = torch.rand(1, 20, 20, generator=torch.Generator().manual_seed(1))
    alone = rank_correlation(maps[:, :10, :10], other[:, :10, :10], 10)
    both = torch.zeros(2, 20, 20)
    both[0, :10, :10], both[1, :10, :10] = maps[0, :10, :10], other[0, :10, :10]
    assert rank_correlation(both[:1], both[1:], 10) == pytest.approx(alone)
    assert rank_correlation(both[:1], both[1:], 20)[0] > 0.5  # the shared zeros pass for agreement


def test_the_cascade_draws_anew_from_the_last_layer_down_and_leaves_the_network_alone(network: nn.Module) -> None:
    before = {name: value.clone() for name, value in network.state_dict().items()}
    changed, names = [], []
    for name, copy in cascade(network, 3):
        names.append(name)
        now = copy.state_dict()
        changed.append({key.rsplit(".", 1)[0] for key in now if not torch.equal(now[key], before[key])})
    assert names == ["trained", "linear 1", "convolution 3", "convolution 2", "convolution 1"]
    assert changed == [
        set(),
        {"head.0"},
        {"head.0", "features.6"},
        {"head.0", "features.6", "features.3"},
        {"head.0", "features.6", "features.3", "features.0"},
    ]
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_random_twins_have_biases_of_zero_weights_of_xaviers_size_and_a_seed(network: nn.Module) -> None:
    one, same, other = (random_twin(network, seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["head.0.weight"], other["head.0.weight"])
    assert one["features.0.bias"].abs().max() == 0
    rows, columns = one["head.0.weight"].shape
    assert one["head.0.weight"].abs().max() <= (6 / (rows + columns)) ** 0.5
    assert one["head.0.weight"].std().item() == pytest.approx((2 / (rows + columns)) ** 0.5, rel=0.1)


def test_randomisation_starts_at_one_and_falls(network: nn.Module) -> None:
    draw = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (2, 3, 320, 320), generator=draw, dtype=torch.uint8)
    masks = torch.zeros(2, 320, 320, dtype=torch.bool)
    masks[:, 100:140, 60:160] = True
    curves, trained = randomisation(network, pixels, masks, 1)
    assert list(curves) == list(trained) == ["Saliency", "Integrated Gradients", "Grad-CAM"]
    for name, layers in curves.items():
        values = list(layers.values())
        assert values[0] == pytest.approx([1, 1]), name
        assert len(values) == 5 and not any((one > 0.99).any() for one in values[1:])  # NaN: a map without anything


def test_squares_are_ranked_by_their_mean_size() -> None:
    maps = torch.zeros(1, 16, 16)
    maps[0, :8, 8:] = -3.0
    maps[0, 8:, :8] = 1.0
    maps[0, 0, 0] = 100.0  # one bright pixel of 64: a mean of 1.6
    assert ranking(maps).tolist() == [[[1, 0], [2, 3]]]


def test_belief_is_the_mean_probability_within_the_mask(pixels: Tensor, masks: Tensor) -> None:
    assert belief(SeesRed(), pixels, masks) == pytest.approx([0.25, 0.25])
    assert belief(SeesRed(), pixels, torch.zeros_like(masks)).tolist() == [0, 0]


def test_deletion_and_insertion_run_between_picture_and_filling(pixels: Tensor, masks: Tensor) -> None:
    grey = torch.full_like(pixels, 115)
    red = torch.zeros(2, SIDE, SIDE)
    red[:, :16] = 1.0
    good, bad = ranking(red), ranking(1 - red)
    gone = replaced(SeesRed(), pixels, masks, good, grey)
    assert gone.shape == (2, len(FRACTIONS))
    assert gone[:, 0] == pytest.approx([0.25, 0.25]) and gone[:, -1] == pytest.approx([0, 0], abs=1e-5)
    assert gone[0] == pytest.approx(np.maximum(0.25 - np.round(FRACTIONS * 64) / 64, 0), abs=1e-5)
    assert (area_under(gone) < area_under(replaced(SeesRed(), pixels, masks, bad, grey))).all()
    put = replaced(SeesRed(), pixels, masks, good, grey, insert=True)
    assert put[0] == pytest.approx(np.minimum(np.round(FRACTIONS * 64) / 64, 0.25), abs=1e-5)


def test_areas_under_known_curves() -> None:
    assert area_under(np.stack([np.full(13, 0.5), 1 - FRACTIONS])) == pytest.approx([0.5, 0.5])


def test_blind_maps_never_look(masks: Tensor) -> None:
    masks[1] = False
    maps = blind_maps(masks, 0)
    assert {one.shape for one in maps.values()} == {masks.shape}
    assert maps["centre"][0].argmax() in (31 * 64 + 31, 31 * 64 + 32, 32 * 64 + 31, 32 * 64 + 32)
    near = maps["the plate itself"]
    assert (near[0][masks[0]] == 1).all() and near[0][~masks[0]].max() <= 0.5 and near[0, 63, 63] < near[0, 20, 0]
    assert near[1].abs().max() == 0
    assert torch.equal(maps["random"][0, :8, :8], maps["random"][0, :1, :1].expand(8, 8))
    assert torch.equal(maps["random"], blind_maps(masks, 0)["random"])
    assert not torch.equal(maps["random"], blind_maps(masks, 1)["random"])


def test_both_tests_have_a_curve_for_each_map(pixels: Tensor, masks: Tensor) -> None:
    maps = {"red": (pixels[:, 0] > 0).float(), **blind_maps(masks, 0)}
    told = replacement_test(SeesRed(), pixels, masks, maps, torch.zeros_like)
    assert list(told) == ["deletion", "insertion"] and list(told["insertion"]) == list(maps)
    best = min(maps, key=lambda name: area_under(told["deletion"][name]).mean())
    assert best == "red" == max(maps, key=lambda name: area_under(told["insertion"][name]).mean())
