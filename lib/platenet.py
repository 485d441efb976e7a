"""PlateNet: a segmentation network of less than a million parameters that takes pictures of any size.

Plain 3x3 convolutions in residual blocks (He et al. 2016, section 3.3) shrink the picture over five scales; a top-down
sum carries what the small scales saw back to the fine ones (Lin et al. 2017, *Feature Pyramid Networks*, section 3);
one head at an eighth answers for its 2x2 quarter-size pixels at once (Shi et al. 2016, pixel shuffle). Plain
convolutions, since depthwise ones train slower on a processor than they save.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

STRIDE = 32  # of the smallest scale: what height and width are padded to a multiple of
COARSE = 4  # picture pixels along one pixel of the answer before it is stretched


class ConvNorm(nn.Sequential):
    """A 3x3 convolution, batch normalisation and, unless ``relu=False``, ReLU; (B, C, H, W) to (B, O, H/s, W/s)."""

    def __init__(self, channels: int, out: int, stride: int = 1, relu: bool = True) -> None:
        conv = nn.Conv2d(channels, out, 3, stride, padding=1, bias=False)
        super().__init__(conv, nn.BatchNorm2d(out), *([nn.ReLU()] if relu else []))


class Residual(nn.Module):
    """Two 3x3 convolutions whose sum with their input is what leaves: the block learns what to change."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.change = nn.Sequential(ConvNorm(channels, channels), ConvNorm(channels, channels, relu=False))

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to the same shape."""
        return F.relu(x + self.change(x))


def each_scale(x: Tensor, stages: Iterable[nn.Module]) -> list[Tensor]:
    """What each stage makes of the one before it, ``x`` for the first: the finest scale first."""
    scales = []
    for stage in stages:
        x = stage(x)
        scales.append(x)
    return scales


class PlateNet(nn.Module):
    """The compact network.

    Args:
        stem: channels at a half and a quarter of the picture.
        channels: at an eighth, a sixteenth and a thirty-second.
        depth: residual blocks at each of these.
        neck: channels of the top-down sum and of the head.

    Shape: ``(B, 3, H, W)`` float RGB in 0..1, any H and W from 1, to logits ``(B, 2, H, W)``: background, plate.
    """

    side = None  # takes any size; the paper's networks have theirs here
    longest = 640  # pixels of the longer side that it looks at best; `lib.engine` sets what it was trained with

    def __init__(
        self,
        stem: tuple[int, int] = (16, 32),
        channels: tuple[int, int, int] = (48, 80, 112),
        depth: tuple[int, int, int] = (2, 2, 2),
        neck: int = 48,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(ConvNorm(3, stem[0], 2), ConvNorm(stem[0], stem[1], 2))
        stages, before = [], stem[1]
        for width, blocks in zip(channels, depth, strict=True):
            stages.append(nn.Sequential(ConvNorm(before, width, 2), *(Residual(width) for _ in range(blocks))))
            before = width
        self.stages = nn.ModuleList(stages)
        self.lateral = nn.ModuleList(nn.Conv2d(width, neck, 1) for width in channels)
        self.head = nn.Sequential(ConvNorm(neck, neck), nn.Conv2d(neck, 4, 1))
        nn.init.constant_(self.head[-1].bias, -4.0)  # few pixels are plate: start near their share, not at one half

    def coarse(self, pictures: Tensor) -> Tensor:
        """The log-odds of plate ``(B, 1, H/4, W/4)`` of pictures ``(B, 3, H, W)``, H and W multiples of `STRIDE`."""
        # about the mean and spread of photographs' pixels
        scales = each_scale(self.stem((pictures - 0.45) / 0.25), self.stages)
        summed = self.lateral[-1](scales[-1])
        for scale, lateral in zip(scales[-2::-1], self.lateral[-2::-1], strict=True):
            summed = lateral(scale) + F.interpolate(summed, scale_factor=2.0, mode="nearest")
        return F.pixel_shuffle(self.head(summed), 2)

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits ``(B, 2, H, W)``; the softmax over them is the sigmoid of `coarse`'s log-odds, stretched."""
        height, width = pictures.shape[-2:]
        padded = F.pad(pictures, (0, -width % STRIDE, 0, -height % STRIDE), value=0.45)  # grey, which centres to 0
        odds = F.interpolate(self.coarse(padded), scale_factor=float(COARSE), mode="bilinear", align_corners=False)
        odds = odds[..., :height, :width]
        return torch.cat([-odds / 2, odds / 2], dim=1)


class Coarse(nn.Module):
    """`PlateNet.coarse` as a module of its own: what processes share in training, and what is exported."""

    def __init__(self, network: PlateNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, pictures: Tensor) -> Tensor:
        """Log-odds of plate ``(B, 1, H/4, W/4)`` of pictures ``(B, 3, H, W)``."""
        return self.network.coarse(pictures)
