"""Losses that weigh the plate: cross entropy, log squared, log cubed (the paper, section 4.1).

All three are one formula. With ``n = -log p`` of a pixel's right class, a background pixel costs ``n`` and a plate
pixel costs ``weight * n ** power``; powers 1, 2 and 3 are the paper's ``-log``, ``log^2`` and ``-log^3``.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from lib.settings import PlatesError

REDUCTIONS = {"sum": 0, "pixels": 1, "mean": 2}  # how often a picture's sum is divided by its number of pixels


class PlateLoss(nn.Module):
    r"""Cross entropy on the background, an exaggerated loss on the plate.

    .. math:: L(x, y) = \lambda \sum_{y=1} (-\log p_1)^k - \sum_{y=0} \log p_0

    For k = 2 this is the equation of the paper's section 4.1; k = 3 is its :math:`-\log^3` variant.

    Args:
        power: the exponent k; 1 (cross entropy), 2 (log squared) or 3 (log cubed).
        weight: the paper's lambda, at least 0. None means 1 for cross entropy (nothing is weighed) and 5 otherwise.
        weight_inside: False is the paper's form, ``lambda * (-log p)^k``. True is the authors' code's form,
            ``(lambda * -log p)^k``, equal to the paper's with ``lambda ** k``: 3 inside is 9 outside for log squared
            and 27 for log cubed.
        reduction: what a picture's loss is, before the mean over the pictures of the batch.
            ``"sum"``: the sum over its pixels, the paper's equation. ``"pixels"``: that sum divided by H*W, the
            paper's "averaged over all the pixels" for cross entropy. ``"mean"``: divided by 2*H*W, the pixels of
            both channels, as in the authors' code.

    Shape:
        - logits: float (B, 2, H, W), any finite values; channel 0 is background, channel 1 plate. Or a whole fraction
          of that size, (B, 2, H / c, W / c): each then stands for its c x c pixels, and costs what they would.
        - mask: (B, H, W); bool, or a number in 0..1 that is the share of the pixel that is plate.
        - output: scalar, float32 (float64 for float64 logits), at least 0.

    A picture without any plate pixel has the background term only, one that is all plate the plate term only: neither
    term is divided by its own pixel count, so an empty mask is an ordinary picture and never a division by zero.
    Logits are widened to float32 first, also under autocast: in half precision log p would be too coarse to raise to a
    power. ``log_softmax`` keeps log p finite where p itself rounds to 0, so no epsilon is needed (the authors' code
    has ``log(p + 1e-6)``, whose gradient vanishes on the worst pixels).

    Raises:
        PlatesError: power, weight or reduction is none of the above.
        ValueError: the shapes of logits and mask do not fit (in the call).
    """

    def __init__(
        self, power: int = 2, weight: float | None = None, weight_inside: bool = False, reduction: str = "sum"
    ) -> None:
        super().__init__()
        if power not in (1, 2, 3):
            raise PlatesError(f"The loss has no power {power!r}; use 1 (cross entropy), 2 (log2) or 3 (log3).")
        weight = (1.0 if power == 1 else 5.0) if weight is None else float(weight)
        if not 0 <= weight < float("inf"):
            raise PlatesError(f"The loss's weight (lambda) is {weight}; use a finite number of at least 0.")
        if reduction not in REDUCTIONS:
            raise PlatesError(f"The loss has no reduction {reduction!r}; use one of {', '.join(REDUCTIONS)}.")
        self.power, self.weight, self.weight_inside, self.reduction = power, weight, weight_inside, reduction

    @property
    def factor(self) -> float:
        """What a plate pixel's ``(-log p)^k`` is multiplied by: lambda, or lambda**k when it stands inside."""
        return self.weight**self.power if self.weight_inside else self.weight

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        """The loss of a batch; see the class for shapes."""
        cell = mask.shape[-1] // max(logits.shape[-1], 1) if logits.ndim == 4 and logits.shape[1] == 2 else 0
        if cell < 1 or mask.shape != (len(logits), *(cell * side for side in logits.shape[2:])):
            raise ValueError(
                f"logits must be (B, 2, H, W) and mask (B, H, W), not {tuple(logits.shape)}, {tuple(mask.shape)}"
            )
        cost = -torch.log_softmax(logits if logits.dtype == torch.float64 else logits.float(), dim=1)
        plate = avg_pool2d(mask.to(cost.dtype), cell) if cell > 1 else mask.to(cost.dtype)
        picture = cell**2 * (self.factor * plate * cost[:, 1] ** self.power + (1 - plate) * cost[:, 0]).sum(dim=(1, 2))
        height, width = mask.shape[1:]
        divisor = max(REDUCTIONS[self.reduction] * height * width, 1)
        return picture.mean() / divisor

    def extra_repr(self) -> str:
        """The settings, for ``print(loss)``."""
        form = "inside" if self.weight_inside else "outside"
        return f"power={self.power}, weight={self.weight:g} ({form}), reduction={self.reduction}"


# Each name is the paper's form: cross entropy averaged over pixels, the weighted losses summed.
LOSSES: dict[str, Callable[..., PlateLoss]] = {
    "cross_entropy": partial(PlateLoss, power=1, reduction="pixels"),
    "log2": partial(PlateLoss, power=2),
    "log3": partial(PlateLoss, power=3),
}


def loss_and_gradient(power: int, weight: float, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One plate pixel's loss and the size of its gradient, for drawing what the weighted losses change.

    With ``p = sigmoid(z)`` and ``z`` the difference of the two logits, ``L = weight * (-log p)^power`` has
    ``|dL/dz| = weight * power * (-log p)^(power - 1) * (1 - p)``: at most ``weight`` for cross entropy, without bound
    as p -> 0 for the other two, and 0 at p = 1 for all.

    Args:
        power, weight: as for :class:`PlateLoss`, the weight outside.
        p: predicted P(plate), any shape, in (0, 1].

    Returns:
        The loss and the gradient's absolute value with respect to the plate logit, float64, shaped as ``p``.
    """
    p = np.asarray(p, dtype=np.float64)
    cost = -np.log(p)
    return weight * cost**power, weight * power * cost ** (power - 1) * (1 - p)


def resting_point(power: int, factor: float, share: float) -> float:
    """The P(plate) at which a network that tells no pixel from another comes to rest.

    With the same p everywhere, the pull up of the plate pixels balances the pull down of the others where
    ``factor * power * (-log p)^(power - 1) * (1 - p) * share = p * (1 - share)``. For cross entropy that is
    ``p = share`` itself. Below one half, nothing is predicted plate: the collapse of the paper's section 4.1.

    Args:
        power, factor: as `PlateLoss`, whose ``factor`` is lambda, or lambda**k when it stands inside.
        share: plate pixels / pixels, in (0, 1).

    Returns:
        p in (0, 1), found by bisection to 1e-9.
    """
    low, high = 0.0, 1.0
    while high - low > 1e-9:
        p = (low + high) / 2
        up = float(loss_and_gradient(power, factor, np.array(p))[1]) * share
        low, high = (p, high) if up > p * (1 - share) else (low, p)
    return (low + high) / 2
