"""What a model believes of pictures that were altered in one respect: grey, recoloured, blurred, without their plates.

A saliency map says where small changes would matter; these make the change and look.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lib.attribution import Specimens
from lib.explain import integrated_gradients
from lib.metrics import Accumulator
from lib.transforms import to_input

# A coloured foil over the plate: what it lets through of red, green and blue.
FOILS = {"yellow": (1.0, 0.85, 0.1), "red": (0.85, 0.1, 0.1), "blue": (0.15, 0.35, 1.0)}
PLAIN, GREY, CONTROL = "as they are", "grey", "uneven light (control)"  # of `recoloured`
PART = 64  # pictures in floating point at a time: 80 MB
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


def grey(pixels: Tensor) -> Tensor:
    """The pictures without their colour: uint8 ``(N, 3, S, S)``, BT.601 luma, rounded, in all three channels."""
    weights = torch.tensor(LUMA).view(1, 3, 1, 1)  # torchvision's own rounds down, which darkens every picture
    made = [(some * weights).sum(1, keepdim=True).round().to(torch.uint8) for some in pixels.split(PART)]
    return torch.cat(made).expand(-1, 3, -1, -1).contiguous()


def permuted(pixels: Tensor) -> Tensor:
    """The pictures with their channels moved round: red shows green, green blue, blue red. Greys stay as they are."""
    return pixels[:, [1, 2, 0]]


def uneven_light(pixels: Tensor, seed: int) -> Tensor:
    """A control for `grey`: the pictures under light as uneven as what `grey` takes away is large, colours kept.

    Smooth random patches (a value for each 16x16 pixels) are added to all three channels alike, scaled so that each
    picture changes by the same root mean square as `grey` changes it, before rounding and clipping to 0..255.
    """
    side, draw = pixels.shape[-1], torch.Generator().manual_seed(seed)
    patches = torch.randn((len(pixels), 1, side // 16, side // 16), generator=draw)
    made = []
    for some, few in zip(pixels.split(PART), patches.split(PART), strict=True):
        rms = (some.float() - grey(some)).square().mean((1, 2, 3), keepdim=True).sqrt()
        light = F.interpolate(few, size=(side, side), mode="bilinear", align_corners=False)
        light = light - light.mean((2, 3), keepdim=True)
        light = light * rms / light.square().mean((1, 2, 3), keepdim=True).sqrt()
        made.append((some + light).round().clamp(0, 255).to(torch.uint8))
    return torch.cat(made)


def tinted(pixels: Tensor, plates: Tensor, foil: tuple[float, float, float]) -> Tensor:
    """The pictures with a coloured foil over their plates: each channel of these pixels times ``foil`` (0..1 each).

    Args:
        pixels: uint8 ``(N, 3, S, S)``.
        plates: bool ``(N, S, S)``.
    """
    weights, made = torch.tensor(foil).view(1, 3, 1, 1), []
    for some, plate in zip(pixels.split(PART), plates.split(PART), strict=True):
        through = (some * weights).round().to(torch.uint8)
        made.append(torch.where(plate.unsqueeze(1), through, some))
    return torch.cat(made)


def neutral(foil: tuple[float, float, float]) -> tuple[float, float, float]:
    """The grey foil that darkens a white plate as much as ``foil`` does (equal luma): the control for its colour."""
    luma = sum(weight * part for weight, part in zip(LUMA, foil, strict=True))
    return (luma, luma, luma)


def blurred(pixels: Tensor, sigmas: Tensor | float) -> Tensor:
    """The pictures under a Gaussian blur.

    Args:
        sigmas: standard deviation in pixels, one for all or ``(N,)``; 0 leaves a picture as it is.
    """
    sigmas = torch.as_tensor(sigmas, dtype=torch.float32).expand(len(pixels))
    made = []
    for one, sigma in zip(pixels.permute(0, 2, 3, 1).numpy(), sigmas.tolist(), strict=True):
        soft = cv2.GaussianBlur(one, (0, 0), sigma) if sigma > 0 else one
        made.append(torch.from_numpy(np.ascontiguousarray(soft)))
    return torch.stack(made).permute(0, 3, 1, 2).contiguous()


def without_plates(pixels: Tensor, masks: Tensor, margin: int = 3) -> Tensor:
    """The pictures with their plates painted over from what is around them (Telea's inpainting).

    Args:
        masks: bool ``(N, S, S)``, the plates; grown by ``margin`` pixels, so that no rim is left.
    """
    kernel, made = np.ones((2 * margin + 1, 2 * margin + 1), np.uint8), []
    for one, mask in zip(pixels.permute(0, 2, 3, 1).numpy(), masks.numpy(), strict=True):
        gone = cv2.dilate(mask.astype(np.uint8), kernel)
        made.append(torch.from_numpy(cv2.inpaint(np.ascontiguousarray(one), gone, 3, cv2.INPAINT_TELEA)))
    return torch.stack(made).permute(0, 3, 1, 2).contiguous()


@dataclass(frozen=True)
class Belief:
    """What a model says of some pictures.

    Attributes:
        pixels: its predictions at P(plate) = 0.5, from which A and A1 follow.
        on, off: mean P(plate) of each picture's plate pixels and of its others, float64 ``(N,)``; NaN where the picture
            has none.
    """

    pixels: Accumulator
    on: np.ndarray
    off: np.ndarray

    @property
    def separation(self) -> np.ndarray:
        """``on`` minus ``off``, ``(N,)`` (Tjur 2009): 0 where plates are believed in no more than the rest.

        Unlike A1 it does not rise when the network says "plate" more often everywhere.
        """
        return self.on - self.off


@torch.inference_mode()
def believe(model: nn.Module, pixels: Tensor, masks: Tensor, batch: int = 32) -> Belief:
    """Ask ``model`` about pictures, uint8 ``(N, 3, S, S)``, whose plates are ``masks``, bool ``(N, S, S)``."""
    where, counted = next(model.parameters()).device, Accumulator()
    on, off = [], []
    for some, mask in zip(pixels.split(batch), masks.split(batch), strict=True):
        plate = model(to_input(some.to(where))).float().softmax(1)[:, 1].cpu()
        counted.add_batch(plate, mask)
        for kept, values in ((mask, on), (~mask, off)):
            values.append((plate * kept).double().sum((1, 2)) / kept.sum((1, 2)))  # 0 / 0 is NaN
    return Belief(counted, torch.cat(on).numpy(), torch.cat(off).numpy())


def recoloured(pixels: Tensor, plates: Tensor, seed: int) -> Iterator[tuple[str, Tensor]]:
    """The versions of some pictures that the course's colour tests compare, by name, made one at a time.

    Args:
        pixels: uint8 ``(N, 3, S, S)``.
        plates: bool ``(N, S, S)``, the plates' outlines: where foils lie.
        seed: of the uneven light.
    """
    yield PLAIN, pixels
    yield GREY, grey(pixels)
    yield CONTROL, uneven_light(pixels, seed)
    yield "channels permuted", permuted(pixels)
    for name, foil in FOILS.items():
        yield f"plate {name}", tinted(pixels, plates, foil)
        yield f"plate darkened like {name}", tinted(pixels, plates, neutral(foil))


def colour_test(model: nn.Module, specimens: Specimens, seed: int) -> dict[str, Belief]:
    """What ``model`` believes of every version (`recoloured`) of some pictures, by the version's name."""
    versions = recoloured(specimens.pixels, specimens.plates, seed)
    return {name: believe(model, altered, specimens.masks) for name, altered in versions}


def colour_share(model: nn.Module, specimens: Specimens) -> np.ndarray:
    """Share of the attribution on the plates that is due to colour, by Integrated Gradients in two legs.

    The first leg leads from a flat grey of each picture's mean luma to the grey picture, the second from there to the
    coloured one, so that together they account for all the evidence that the picture adds to the flat grey.

    Returns:
        float64 ``(N,)`` in 0..1: the second leg's absolute attribution on the plate over that of both legs; NaN where
        neither has any.
    """
    colourless = grey(specimens.pixels)
    means = colourless.double().mean((1, 2, 3), keepdim=True)
    flat = means.round().to(torch.uint8).expand_as(colourless).contiguous()
    legs = []
    for pixels, start in ((colourless, flat), (specimens.pixels, colourless)):
        maps = integrated_gradients(model, pixels, specimens.masks, start).maps
        legs.append((maps.abs() * specimens.plates).double().sum((1, 2)))
    light, colour = legs
    return (colour / (light + colour)).numpy()  # 0 / 0 is NaN
