"""The paper's networks, two models that never look at the picture, and all networks by name.

Every segmentation model maps pictures ``(B, 3, S, S)``, float RGB in 0..1, to logits ``(B, 2, S, S)``:
channel 0 is background, channel 1 is plate; softmax over dimension 1 gives probabilities.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lib.detectors import KINDS, detector
from lib.landmarks import Landmarks, SmallLandmarks
from lib.platenet import PlateNet
from lib.settings import PlatesError


@dataclass(frozen=True)
class Block:
    """One conv-relu-pool step; ``pool=1`` and ``relu=False`` leave those parts out."""

    channels: int
    kernel: int = 5
    stride: int = 3
    pool: int = 2
    relu: bool = True

    def output_side(self, side: int) -> int:
        """Side in pixels of what comes out of a square of ``side`` pixels (no padding)."""
        return ((side - self.kernel) // self.stride + 1) // self.pool


class SegmentationCNN(nn.Module):
    """Conv-relu-pool blocks down to one vector, then one linear layer up to every pixel's two logits.

    Source: Sarin and Wei, *Low-Data Deep Learning for License Plate Blurring*, section 4 and Figure 2.
    The paper names only the last block's channels (512 or 1024); the others are those of the authors'
    code (64, 128 and 128, 512).

    Args:
        blocks: the conv-relu-pool sequence.
        side: side S of the square input in pixels; the paper's is 320.
        grid: side of the square of predictions; the paper's is S itself. A smaller grid, which must
            divide S, predicts one pair of logits for each (S / grid)² square of pixels: the fast
            profile's way of shrinking the linear layer, where nearly all parameters sit. ``cell`` is S / grid.
        hidden: width of one more linear layer with ReLU before the last; 0, the paper's choice, for none.
        xavier: ``"all"`` initialises every layer with Xavier uniform (paper), ``"first"`` only the
            first convolution (the authors' code).
        centred: whether pixels are first moved from 0..1 to around 0, to (x - 0.45) / 0.25. The paper does
            not say; with the same steps the network learns several times as much when they are.

    Raises:
        PlatesError: ``side`` is too small for the blocks, ``grid`` does not divide it, or an unknown ``xavier``.

    Shape: ``(B, 3, S, S)`` float in 0..1 to ``(B, 2, S, S)`` logits.
    """

    def __init__(
        self,
        blocks: tuple[Block, ...],
        side: int = 320,
        grid: int | None = None,
        hidden: int = 0,
        xavier: str = "all",
        centred: bool = True,
    ) -> None:
        super().__init__()
        self.side, self.grid, self.centred = side, grid or side, centred
        if self.grid < 1 or side % self.grid:
            raise PlatesError(f"grid={grid} does not divide side={side}; choose a divisor of the input's side.")
        self.cell = side // self.grid
        if xavier not in ("all", "first"):
            raise PlatesError(f"xavier={xavier!r} is unknown; use 'all' (the paper) or 'first' (the authors' code).")
        layers: list[nn.Module] = []
        channels, left = 3, side
        for block in blocks:
            layers.append(nn.Conv2d(channels, block.channels, block.kernel, block.stride))
            layers += [nn.ReLU()] if block.relu else []
            layers += [nn.MaxPool2d(block.pool)] if block.pool > 1 else []
            channels, left = block.channels, block.output_side(left)
            if left < 1:
                raise PlatesError(f"side={side} leaves no pixel after {len(blocks)} blocks; the paper's side is 320.")
        self.features = nn.Sequential(*layers)
        width = channels * left * left
        head: list[nn.Module] = [nn.Linear(width, hidden), nn.ReLU()] if hidden else []
        self.head = nn.Sequential(*head, nn.Linear(hidden or width, 2 * self.grid * self.grid))
        self._initialise(xavier)

    def _initialise(self, xavier: str) -> None:
        learnable = [m for m in self.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
        for module in learnable if xavier == "all" else learnable[:1]:
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits ``(B, 2, S, S)`` of pictures ``(B, 3, S, S)``."""
        if self.centred:
            pictures = (pictures - 0.45) / 0.25  # about the mean and spread of photographs' pixels
        embedding = self.features(pictures).flatten(1)  # (B, 512) in the paper's geometry
        logits = self.head(embedding).view(-1, 2, self.grid, self.grid)
        if self.grid == self.side:
            return logits
        return F.interpolate(logits, size=(self.side, self.side), mode="nearest")


def baseline(channels: tuple[int, int, int] = (64, 128, 512), **options: Any) -> SegmentationCNN:
    """The paper's baseline: three blocks of 5x5 convolutions of stride 3, 106,911,104 parameters.

    ``options`` here and below are `SegmentationCNN`'s: side, grid, hidden, xavier, centred.
    """
    return SegmentationCNN(tuple(Block(c) for c in channels), **options)


def deep(channels: tuple[int, int, int] = (128, 512, 1024), **options: Any) -> SegmentationCNN:
    """The paper's 1024-channel network: 224,676,864 parameters with the authors' channels."""
    return baseline(channels, **options)


def fullconv(channels: tuple[int, int, int, int] = (64, 128, 256, 512), **options: Any) -> SegmentationCNN:
    """The paper's FullConv: four blocks down to 1x1, in the geometry of the authors' code.

    Three of the paper's blocks already reach 1x1 at 320 pixels, so a fourth fits only as the authors
    built it: the first stride is 1, the third pool 3, the fourth convolution 2x2 without ReLU or pool.
    """
    a, b, c, d = channels
    blocks = (Block(a, stride=1), Block(b), Block(c, pool=3), Block(d, kernel=2, stride=1, pool=1, relu=False))
    return SegmentationCNN(blocks, **options)


MODELS: dict[str, Callable[..., nn.Module]] = {
    "baseline": baseline,
    "deep": deep,
    "fullconv": fullconv,
    "platenet": PlateNet,
    "landmarks": Landmarks,
    "small_landmarks": SmallLandmarks,
    **{kind: partial(detector, kind) for kind in KINDS},
}


def build(name: str, **options: object) -> nn.Module:
    """Make the model ``name`` of `MODELS`.

    Raises:
        PlatesError: no model has that name, or the model does not know an option.
    """
    if name not in MODELS:
        raise PlatesError(f"model {name!r} is unknown; choose one of {', '.join(sorted(MODELS))}.")
    try:
        return MODELS[name](**options)
    except (TypeError, ValueError) as error:  # an unknown name, or too many or few channels
        raise PlatesError(f"model {name!r} does not take these options: {error}; see lib.models.") from error


def parameter_count(model: nn.Module) -> int:
    """Number of learnable numbers in ``model``."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


class LocationPrior(nn.Module):
    """A model that never looks: how often each pixel was plate in the training masks, whatever the picture.

    Every table of A and A1 has its row, since a network that only learnt where plates usually are
    scores the same. Logits are the logarithms of the frequencies, with one pseudo-count for each class.

    Shape: ``(B, 3, S, S)`` to ``(B, 2, S, S)``; only the batch size of the input is used.
    """

    def __init__(self, side: int = 320) -> None:
        super().__init__()
        self.register_buffer("plates", torch.zeros(side, side, dtype=torch.float64))
        self.register_buffer("pictures", torch.zeros((), dtype=torch.float64))

    def update(self, masks: Tensor) -> "LocationPrior":
        """Count training masks ``(B, S, S)``, bool or 0/1; returns itself."""
        self.plates += masks.to(self.plates).sum(0)
        self.pictures += len(masks)
        return self

    def forward(self, pictures: Tensor) -> Tensor:
        """The same logits ``(B, 2, S, S)`` for every picture."""
        plate = (self.plates + 1) / (self.pictures + 2)
        logits = torch.stack([(1 - plate).log(), plate.log()]).float()
        return logits.expand(len(pictures), -1, -1, -1)


class AllBackground(nn.Module):
    """The other model that never looks: every pixel is background (the paper's first result, A = 1 - plate share)."""

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits ``(B, 2, H, W)`` of +20 for background and -20 for plate."""
        batch, _, height, width = pictures.shape
        return torch.tensor([20.0, -20.0], device=pictures.device).view(1, 2, 1, 1).expand(batch, 2, height, width)
