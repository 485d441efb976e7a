"""The compact network: its size counted by hand, pictures of any size, and one answer in two forms."""

import pytest
import torch

from lib.models import build, parameter_count
from lib.platenet import COARSE, STRIDE, Coarse, PlateNet


@pytest.fixture
def network() -> PlateNet:
    torch.manual_seed(0)
    return PlateNet().eval()


def test_parameters_counted_by_hand() -> None:
    def conv(a: int, b: int) -> int:
        return 9 * a * b + 2 * b  # no bias; a scale and an offset for each channel of the normalisation

    expected = conv(3, 16) + conv(16, 32)
    before = 32
    for width in (48, 80, 112):
        expected += conv(before, width) + 2 * 2 * conv(width, width)  # the way down, and two blocks of two
        expected += width * 48 + 48  # to the top-down sum
        before = width
    expected += conv(48, 48) + 48 * 4 + 4
    assert parameter_count(build("platenet")) == expected == 934_180
    assert expected <= 1_000_000


@pytest.mark.parametrize(("height", "width"), [(1, 1), (16, 16), (37, 53), (64, 96), (33, 320)])
def test_any_size_has_logits_of_its_own_size(network: PlateNet, height: int, width: int) -> None:
    with torch.inference_mode():
        logits = network(torch.rand(2, 3, height, width))
    assert logits.shape == (2, 2, height, width) and logits.isfinite().all()


def test_the_logits_are_the_coarse_answer_stretched(network: PlateNet) -> None:
    pictures = torch.rand(1, 3, 2 * STRIDE, 3 * STRIDE)
    with torch.inference_mode():
        odds, logits = network.coarse(pictures), network(pictures)
        assert torch.equal(odds, Coarse(network)(pictures))
    assert odds.shape == (1, 1, 2 * STRIDE // COARSE, 3 * STRIDE // COARSE)
    stretched = logits[:, 1] - logits[:, 0]
    # the corner of a bilinear stretch is its corner pixel, and no value is beyond those it lies between
    assert torch.allclose(stretched[..., 0, 0], odds[..., 0, 0].squeeze(1), atol=1e-6)
    assert stretched.max() <= odds.max() + 1e-6 and stretched.min() >= odds.min() - 1e-6


def test_at_first_little_is_plate(network: PlateNet) -> None:
    with torch.inference_mode():
        plate = network(torch.rand(2, 3, 64, 64)).softmax(1)[:, 1]
    assert 0 < plate.mean() < 0.1  # near the share of plate pixels, not one half


def test_a_shifted_picture_has_a_shifted_answer(network: PlateNet) -> None:
    """No layer knows where it is: this far from the borders, only the picture matters."""
    torch.manual_seed(1)
    scene = torch.rand(1, 3, 512, 512)
    moved = torch.roll(scene, STRIDE, dims=3)
    shallow = PlateNet(depth=(0, 0, 0)).eval()  # sees a hundred pixels around, so that the middle sees no border
    with torch.inference_mode():
        here, there = shallow(scene), shallow(moved)
    assert torch.allclose(here[..., 240:272, 208:240], there[..., 240:272, 240:272], atol=1e-5)
