"""Saliency maps: linear networks whose maps are known, captum's promises on a real one, the encoder's geometry."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from lib.explain import (
    BASELINES,
    EXPLAINERS,
    PlateEvidence,
    convolutions,
    explain,
    grad_cam,
    gradients,
    integrated_gradients,
    receptive_fields,
    saliency,
    seen_side,
)
from lib.models import baseline, fullconv
from lib.settings import PlatesError
from lib.transforms import to_input

SIDE = 24


class Linear(nn.Module):
    """Plate logit of a pixel: its colours times ``weights``; background logit: minus that."""

    def __init__(self, weights: tuple[float, float, float]) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.tensor(weights).view(1, 3, 1, 1))

    def forward(self, pictures: Tensor) -> Tensor:
        plate = (pictures * self.weights).sum(1)
        return torch.stack([-plate, plate], 1)


@pytest.fixture
def pixels() -> Tensor:
    return torch.randint(0, 256, (3, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


@pytest.fixture
def masks() -> Tensor:
    made = torch.zeros(3, SIDE, SIDE, dtype=torch.bool)
    made[0, 4:8, 4:12] = made[1, 10:14, 2:10] = True
    return made  # the third picture has no plate


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(0)
    return baseline(channels=(4, 4, 8), grid=10).eval()


@pytest.fixture(scope="module")
def large() -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(1)
    mask = torch.zeros(2, 320, 320, dtype=torch.bool)
    mask[:, 100:140, 60:160] = True
    return torch.randint(0, 256, (2, 3, 320, 320), generator=draw, dtype=torch.uint8), mask


def test_evidence_is_the_difference_of_logits_summed_inside_the_mask(masks: Tensor) -> None:
    picture = torch.full((3, 3, SIDE, SIDE), 0.5)
    told = PlateEvidence(Linear((1.0, 2.0, 3.0)))(picture, masks)
    assert told.tolist() == [32 * 2 * 3.0, 32 * 2 * 3.0, 0.0]  # 32 pixels, twice 0.5 * (1 + 2 + 3)


def test_gradient_of_a_linear_network_is_its_weights_on_the_plate_and_nothing_elsewhere(
    pixels: Tensor, masks: Tensor
) -> None:
    model = Linear((1.0, -4.0, 3.0))
    told = gradients(model, pixels, masks)
    expected = masks.unsqueeze(1) * torch.tensor([2.0, -8.0, 6.0]).view(1, 3, 1, 1)
    assert torch.allclose(told, expected)
    assert torch.equal(saliency(model, pixels, masks), 8.0 * masks)
    assert model.weights.grad is None  # explaining leaves the network as it was


def test_integrated_gradients_of_a_linear_network_are_exact_and_hang_on_the_baseline(
    pixels: Tensor, masks: Tensor
) -> None:
    model, weights = Linear((1.0, -4.0, 3.0)), torch.tensor([2.0, -8.0, 6.0]).view(1, 3, 1, 1)
    for name, make in BASELINES.items():
        told = integrated_gradients(model, pixels, masks, name, steps=3)
        x = to_input(pixels)
        assert torch.allclose(told.maps, ((x - make(x)) * weights).sum(1) * masks, atol=1e-4), name
        assert torch.allclose(told.maps.sum((1, 2)), told.moved, atol=1e-2)
        assert told.delta.abs().max() < 1e-2
    same = integrated_gradients(model, pixels, masks, pixels)
    assert same.maps.abs().max() == 0 and same.moved.abs().max() == 0


def test_pictures_can_be_the_baseline_batch_by_batch(
    network: nn.Module, large: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    start = large[0].flip(0)
    whole = integrated_gradients(network, *large, start, steps=4)
    monkeypatch.setattr("lib.explain.BATCH", 1)
    singly = integrated_gradients(network, *large, start, steps=4)
    assert torch.allclose(whole.maps, singly.maps, atol=1e-5)


def test_a_network_s_map_adds_up_to_its_evidence_the_better_the_more_steps(
    network: nn.Module, large: tuple[Tensor, Tensor]
) -> None:
    pixels, masks = large
    network = copy.deepcopy(network)
    for bias in (p for p in network.parameters() if p.ndim == 1):  # without any, one step from grey is exact
        nn.init.uniform_(bias, -1, 1, generator=torch.Generator().manual_seed(0))
    evidence = PlateEvidence(network)
    with torch.no_grad():
        gained = evidence(to_input(pixels), masks) - evidence(torch.full_like(to_input(pixels), 0.45), masks)
    coarse, fine = (integrated_gradients(network, pixels, masks, steps=steps) for steps in (1, 24))
    assert torch.allclose(fine.moved, gained, rtol=1e-4)
    assert torch.allclose(fine.maps.sum((1, 2)) - fine.moved, fine.delta, atol=1e-3 * gained.abs().max().item())
    assert (fine.delta.abs() < 0.05 * gained.abs()).all()
    assert fine.delta.abs().sum() < coarse.delta.abs().sum()


def test_maps_do_not_depend_on_the_batch(network: nn.Module, large: tuple[Tensor, Tensor]) -> None:
    assert torch.allclose(saliency(network, *large, batch=1), saliency(network, *large, batch=2), atol=1e-6)
    assert torch.allclose(grad_cam(network, *large, batch=1), grad_cam(network, *large, batch=2), atol=1e-6)


def test_grad_cam_weighs_the_channels_by_their_mean_gradients(network: nn.Module, large: tuple[Tensor, Tensor]) -> None:
    pixels, masks = large
    for layer in (-1, 1):
        kept: list[Tensor] = []
        hook = convolutions(network)[layer].register_forward_hook(lambda _m, _i, out, k=kept: k.append(out))
        total = PlateEvidence(network)(to_input(pixels), masks).sum()
        hook.remove()
        (slope,) = torch.autograd.grad(total, kept[0])
        cells = (slope.mean((2, 3), keepdim=True) * kept[0]).sum(1, keepdim=True).relu()
        expected = nn.functional.interpolate(cells, size=(320, 320), mode="bilinear", align_corners=False)[:, 0]
        told = grad_cam(network, pixels, masks, layer=layer)
        assert torch.allclose(told, expected, atol=1e-5)
        assert told.min() >= 0


def test_what_cannot_be_explained_is_said(pixels: Tensor, masks: Tensor) -> None:
    model = Linear((1.0, 1.0, 1.0))
    with pytest.raises(PlatesError, match="Linear has no convolutions"):
        grad_cam(model, pixels, masks)
    with pytest.raises(PlatesError, match="baseline 'pink' is unknown; choose one of mid-grey, black"):
        integrated_gradients(model, pixels, masks, "pink")
    with pytest.raises(PlatesError, match="steps=0"):
        integrated_gradients(model, pixels, masks, steps=0)


def test_every_method_gives_a_map_for_each_picture(network: nn.Module, large: tuple[Tensor, Tensor]) -> None:
    maps = explain(network, *large)
    assert list(maps) == list(EXPLAINERS) == ["Saliency", "Integrated Gradients", "Grad-CAM"]
    assert {one.shape for one in maps.values()} == {(2, 320, 320)}
    assert all(one.isfinite().all() and one.abs().sum() > 0 for one in maps.values())


def test_geometry_of_the_papers_encoder(network: nn.Module) -> None:
    rows = receptive_fields(network)
    assert [row["cells"] for row in rows] == [106, 53, 17, 8, 2, 1]
    assert [row["sees"] for row in rows] == [5, 8, 32, 50, 194, 302]
    assert [row["step"] for row in rows] == [3, 6, 18, 36, 108, 216]
    assert [row["used"] for row in rows] == [100, 50, 16, 8, 2, 1]  # 17 cells, of which the pooling uses 16


@pytest.mark.parametrize(("make", "channels", "side"), [(baseline, (4, 4, 8), 302), (fullconv, (4, 4, 4, 8), 248)])
def test_nothing_is_salient_beyond_what_the_encoder_sees(
    make: Callable[..., nn.Module], channels: tuple[int, ...], side: int, large: tuple[Tensor, Tensor]
) -> None:
    torch.manual_seed(0)
    model = make(channels=channels, grid=10).eval()
    assert seen_side(model) == side
    maps = sum(saliency(model, large[0].roll(shift, 0), large[1]) for shift in range(2)).sum(0)
    assert maps[side:].abs().sum() == 0 and maps[:, side:].abs().sum() == 0
    assert maps[side - 12 : side].sum() > 0 and maps[:, side - 12 : side].sum() > 0
