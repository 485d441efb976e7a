"""The landmark networks: the crop of a plate to its four corners."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lib.platenet import ConvNorm, Residual, each_scale

SIDE = 100  # pixels of the square crop (the blog)
START = ((0.15, 0.25), (0.85, 0.25), (0.85, 0.75), (0.15, 0.75))  # where corners are looked for at first
PLACES = 25  # along each side of what `SmallLandmarks` answers on


class Landmarks(nn.Module):
    """The blog's network: two convolutions, each with ReLU and a pool, two dense layers, eight numbers.

    Source: the blog names the layers, the crop of 100x100 and 3.0 million parameters; kernels of 3x3, 32 and 64
    channels and dense layers of 88 and 64 give 3,005,024. Nearly all of them are in the first dense layer.

    Shape: ``(B, 3, 100, 100)`` float RGB in 0..1 to ``(B, 4, 2)``: x and y of top left, top right, bottom right and
    bottom left as a reader sees the plate, as shares of the crop's sides.
    """

    side = SIDE

    def __init__(self, channels: tuple[int, int] = (32, 64), dense: tuple[int, int] = (88, 64)) -> None:
        super().__init__()
        one, two = channels
        self.features = nn.Sequential(
            nn.Conv2d(3, one, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(one, two, 3), nn.ReLU(), nn.MaxPool2d(2)
        )
        left = ((SIDE - 2) // 2 - 2) // 2
        self.head = _head(two * left * left, dense)

    def forward(self, crops: Tensor) -> Tensor:
        """Corners ``(B, 4, 2)`` of crops ``(B, 3, 100, 100)``."""
        return self.head(self.features(_centred(crops)).flatten(1)).view(-1, 4, 2)


class SmallLandmarks(nn.Module):
    """Ours: `lib.platenet`'s parts, and places that vote where the corners are instead of dense layers.

    Four steps down and three residual blocks have the context that two convolutions lack; a top-down sum carries it
    back to 25x25 places. Each says where it supposes each corner, from itself, and how sure it is; the answer is the
    mean of all, weighed by a softmax of how sure (a soft argmax: Luvizon et al. 2019, *Human pose regression by
    combining indirect part detection and contextual information*), with an offset. A dense layer has to learn every
    place's edges anew; here a corner looks the same wherever it is.

    Shape: as `Landmarks`.
    """

    side = SIDE

    def __init__(self, channels: tuple[int, int, int, int] = (16, 32, 64, 96), neck: int = 32) -> None:
        super().__init__()
        self.stem = ConvNorm(3, channels[0], 2)
        self.stages = nn.ModuleList(
            nn.Sequential(ConvNorm(before, width, 2), Residual(width)) for before, width in pairwise(channels)
        )
        self.lateral = nn.ModuleList(nn.Conv2d(width, neck, 1) for width in channels[1:])
        last = nn.Conv2d(neck, 12, 1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.head = nn.Sequential(ConvNorm(neck, neck), last)
        middles = (torch.arange(PLACES) + 0.5) / PLACES
        self.register_buffer("places", torch.stack(torch.meshgrid(middles, middles, indexing="xy")), persistent=False)

    def votes(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Where each place supposes each corner, ``(B, 4, 2, 625)``, and how sure it is, logits ``(B, 4, 625)``."""
        scales = each_scale(self.stem(_centred(crops)), self.stages)
        summed = self.lateral[-1](scales[-1])
        for scale, lateral in zip(scales[-2::-1], self.lateral[-2::-1], strict=True):
            summed = lateral(scale) + F.interpolate(summed, size=scale.shape[-2:], mode="nearest")
        moved, sure = self.head(summed).flatten(2).split((8, 4), 1)
        return moved.unflatten(1, (4, 2)) + self.places.flatten(1), sure

    def forward(self, crops: Tensor) -> Tensor:
        """Corners ``(B, 4, 2)`` of crops ``(B, 3, 100, 100)``."""
        return weighed(*self.votes(crops))


def weighed(votes: Tensor, sure: Tensor) -> Tensor:
    """The mean of votes ``(B, 4, 2, 625)``, weighed by how sure each is, logits ``(B, 4, 625)``; ``(B, 4, 2)``."""
    return (votes * sure.softmax(2)[:, :, None]).sum(3)


class Votes(nn.Module):
    """`SmallLandmarks.votes` as a module of its own: what processes share in training."""

    def __init__(self, network: SmallLandmarks) -> None:
        super().__init__()
        self.network = network

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """See `SmallLandmarks.votes`."""
        return self.network.votes(crops)


def place_of(corners: Tensor) -> Tensor:
    """Which of the 25x25 places holds each corner, or is nearest to it; int64 ``(B, 4)`` of shares ``(B, 4, 2)``."""
    column, row = (corners.clamp(0, 1) * PLACES).long().clamp(max=PLACES - 1).unbind(2)
    return row * PLACES + column


def _centred(crops: Tensor) -> Tensor:
    return (crops - 0.45) / 0.25  # about the mean and spread of photographs' pixels


def _head(width: int, dense: tuple[int, ...]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for each in dense:
        layers += [nn.Linear(width, each), nn.ReLU()]
        width = each
    last = nn.Linear(width, 8)
    nn.init.zeros_(last.weight)
    with torch.no_grad():
        last.bias.copy_(torch.tensor(START).flatten())
    return nn.Sequential(*layers, last)
