"""Altered pictures, each changed in one respect and in no other; what networks of known taste believe of them."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lib.attribution import PARTS, Specimens
from lib.counterfactuals import (
    CONTROL,
    FOILS,
    GREY,
    LUMA,
    PLAIN,
    believe,
    blurred,
    colour_share,
    colour_test,
    grey,
    neutral,
    permuted,
    recoloured,
    tinted,
    uneven_light,
    without_plates,
)

SIDE = 64


class Taste(nn.Module):
    """Plate where the picture's colours times ``weights`` exceed ``least``."""

    def __init__(self, weights: tuple[float, float, float], least: float = 0.0, scale: float = 40.0) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.tensor(weights).view(1, 3, 1, 1))
        self.least, self.scale = least, scale

    def forward(self, pictures: Tensor) -> Tensor:
        plate = ((pictures * self.weights).sum(1) - self.least) * self.scale
        return torch.stack([-plate, plate], 1)


@pytest.fixture
def pixels() -> Tensor:
    """Two dim coloured noises with a magenta plate each."""
    draw = torch.Generator().manual_seed(0)
    made = torch.randint(60, 140, (2, 3, SIDE, SIDE), generator=draw, dtype=torch.uint8)
    made[:, :, 20:30, 10:40] = torch.tensor([200, 40, 200], dtype=torch.uint8).view(3, 1, 1)
    return made


@pytest.fixture
def masks() -> Tensor:
    made = torch.zeros(2, SIDE, SIDE, dtype=torch.bool)
    made[:, 20:30, 10:40] = True
    return made


@pytest.fixture
def specimens(pixels: Tensor, masks: Tensor) -> Specimens:
    parts = {name: masks if name == "ground" else torch.zeros_like(masks) for name in PARTS}
    return Specimens(pixels, masks, masks, parts, torch.zeros(2))


def test_grey_keeps_the_luma_and_nothing_else(pixels: Tensor) -> None:
    told = grey(pixels)
    assert torch.equal(told[:, 0], told[:, 1]) and torch.equal(told[:, 0], told[:, 2])
    luma = (pixels * torch.tensor(LUMA).view(1, 3, 1, 1)).sum(1)
    assert (told[:, 0] - luma).abs().max() <= 0.5001
    assert torch.equal(grey(told), told)


def test_permuting_moves_colours_round_and_leaves_greys(pixels: Tensor) -> None:
    told = permuted(pixels)
    assert told[0, :, 25, 20].tolist() == [40, 200, 200]
    assert torch.equal(permuted(permuted(told)), pixels)
    assert torch.equal(permuted(grey(pixels)), grey(pixels))


def test_uneven_light_is_as_large_as_what_grey_takes_and_keeps_colours(pixels: Tensor) -> None:
    told = uneven_light(pixels, 0).float()
    moved = told - pixels.float()
    inside = ((told > 0) & (told < 255)).all(1, keepdim=True)  # clipping is the exception
    assert inside.float().mean() > 0.9
    spread = (moved - moved.mean(1, keepdim=True)) * inside
    assert spread.abs().max() <= 1  # all channels alike, but for rounding
    size, wanted = (one.square().mean((1, 2, 3)).sqrt() for one in (moved, (pixels.float() - grey(pixels).float())))
    assert torch.allclose(size, wanted, rtol=0.06)
    assert torch.equal(told, uneven_light(pixels, 0).float()) and not torch.equal(told, uneven_light(pixels, 1).float())
    assert torch.equal(uneven_light(torch.full_like(pixels, 90), 0), torch.full_like(pixels, 90))


def test_foils_lie_on_the_plates_alone_and_their_greys_are_as_dark(pixels: Tensor, masks: Tensor) -> None:
    white = pixels.clone()
    white[:, :, 20:30, 10:40] = 255
    for foil in FOILS.values():
        told, control = tinted(white, masks, foil), tinted(white, masks, neutral(foil))
        assert torch.equal(told.masked_fill(masks.unsqueeze(1), 0), white.masked_fill(masks.unsqueeze(1), 0))
        assert told[0, :, 25, 20].tolist() == [round(255 * part) for part in foil]
        assert len(set(control[0, :, 25, 20].tolist())) == 1
        lumas = [(one[0, :, 25, 20] * torch.tensor(LUMA)).sum().item() for one in (told, control)]
        assert lumas[0] == pytest.approx(lumas[1], abs=1)


def test_each_picture_has_its_own_blur(pixels: Tensor) -> None:
    told = blurred(pixels, torch.tensor([0.0, 3.0]))
    assert torch.equal(told[0], pixels[0])
    assert told[1].float().std() < 0.8 * pixels[1].float().std()
    assert told.float().mean().item() == pytest.approx(pixels.float().mean().item(), abs=1)
    assert torch.equal(blurred(pixels, 3.0)[1], told[1])


def test_a_painted_over_plate_is_gone_and_all_else_is_there(pixels: Tensor, masks: Tensor) -> None:
    told = without_plates(pixels, masks, margin=2)
    far = torch.ones(SIDE, SIDE, dtype=torch.bool)
    far[18:32, 8:42] = False
    assert torch.equal(told[..., far], pixels[..., far])
    assert (told[:, 0, 20:30, 10:40].float() - told[:, 1, 20:30, 10:40].float()).abs().mean() < 40  # it was 160
    assert torch.equal(without_plates(pixels, torch.zeros_like(masks)), pixels)


def test_belief_on_and_off_the_plates(pixels: Tensor, masks: Tensor) -> None:
    told = believe(Taste((1.0, 0.0, 0.0), least=0.66), pixels, masks)  # red over .66: the plates, at .78
    assert told.on == pytest.approx([1, 1], abs=1e-3) and told.off.max() < 1e-3
    assert told.separation == pytest.approx([1, 1], abs=1e-3)
    assert told.pixels.summary()["accuracy"] == 1
    masks[1] = False
    told = believe(Taste((0.0, 0.0, 0.0)), pixels, masks)
    assert told.on[0] == told.off[0] == 0.5 and np.isnan(told.on[1]) and np.isnan(told.separation[1])


def test_who_goes_by_colour_loses_it_and_who_goes_by_lightness_does_not(specimens: Specimens) -> None:
    magenta = colour_test(Taste((1.0, -1.0, 0.0), least=0.4), specimens, 0)
    assert magenta[PLAIN].separation.min() > 0.99
    assert magenta[GREY].separation.max() < 0.01
    assert magenta[CONTROL].separation.min() > 0.9  # light is uneven, differences of channels are not
    assert magenta["plate yellow"].separation.min() > magenta["plate darkened like blue"].separation.max()
    blind = colour_test(Taste(LUMA, least=0.2, scale=4.0), specimens, 0)
    assert np.abs(blind[GREY].separation - blind[PLAIN].separation).max() < 0.01


def test_versions_come_one_at_a_time_under_their_names(pixels: Tensor, masks: Tensor) -> None:
    names = [name for name, _ in recoloured(pixels, masks, 0)]
    assert names[:4] == [PLAIN, GREY, CONTROL, "channels permuted"] and len(names) == len(set(names)) == 10
    assert {f"plate {foil}" for foil in FOILS} < set(names)


def test_colours_share_of_the_attribution(specimens: Specimens) -> None:
    assert colour_share(Taste((1.0, -1.0, 0.0)), specimens) == pytest.approx([1, 1], abs=1e-3)
    assert colour_share(Taste(LUMA), specimens).max() < 0.02  # what rounding to whole greys leaves
    both = colour_share(Taste((1.0, 0.0, 0.0)), specimens)
    assert ((both > 0.5) & (both < 0.99)).all()
    nothing = colour_share(Taste((0.0, 0.0, 0.0)), specimens)
    assert np.isnan(nothing).all()
