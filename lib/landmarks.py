"""The landmark networks: the crop of a plate to its four corners."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from lib.platenet import ConvNorm, Residual

SIDE = 100  # pixels of the square crop (the blog)
START = ((0.15, 0.25), (0.85, 0.25), (0.85, 0.75), (0.15, 0.75))  # where corners are looked for at first


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
    """Ours: `lib.platenet`'s parts down to 7x7, where each place still knows where it is, and one dense layer less.

    Four steps down and three residual blocks have the context that two convolutions lack, with a fifth of the
    parameters.

    Shape: as `Landmarks`.
    """

    side = SIDE

    def __init__(self, channels: tuple[int, int, int, int] = (16, 32, 64, 96), dense: int = 64) -> None:
        super().__init__()
        layers: list[nn.Module] = [ConvNorm(3, channels[0], 2)]
        for before, width in pairwise(channels):
            layers += [ConvNorm(before, width, 2), Residual(width)]
        self.features = nn.Sequential(*layers)
        self.head = _head(channels[-1] * 7 * 7, (dense,))

    def forward(self, crops: Tensor) -> Tensor:
        """Corners ``(B, 4, 2)`` of crops ``(B, 3, 100, 100)``."""
        return self.head(self.features(_centred(crops)).flatten(1)).view(-1, 4, 2)


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
