"""Does P(plate) mean what it says? Reliability curves, calibration error, and what the loss makes of a probability.

A loss that weighs the plate moves the best answer. Where a share s of equal-looking pixels is plate, cross entropy is
least at p = s, and the weighted losses are least at another p: the point at which both pulls balance, as in
`lib.losses.resting_point`. So a network that had learnt everything would still say p and mean s.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lib.bootstrap import ratio_interval
from lib.losses import loss_and_gradient
from lib.pictures import Pictures
from lib.recipes import Recipe
from lib.transforms import Augment, to_input

FINE = 1024  # steps of P(plate) in which pixels are counted
BINS = 20  # of the curves drawn from them
Reading = Callable[[np.ndarray], np.ndarray]  # from P(plate) as the network says it to P(plate) as it is meant


def meant_share(power: int, factor: float, p: np.ndarray | float) -> np.ndarray:
    """The share of plate among equal-looking pixels for which ``p`` is the answer that costs least.

    The inverse of `lib.losses.resting_point`, in closed form: the pulls ``s * |dL/dz|`` up and ``(1 - s) * p`` down
    balance at ``s = p / (p + |dL/dz|)``. For cross entropy it is ``p`` itself.

    Args:
        power, factor: as `lib.losses.PlateLoss`, whose ``factor`` is lambda, or lambda**k when it stands inside.
        p: P(plate), any shape, 0..1.

    Returns:
        float64, shaped as ``p``, rising from 0 to 1.
    """
    p = np.asarray(p, dtype=np.float64)
    inner = np.clip(p, 1e-12, 1 - 1e-12)  # at both ends a limit: 0 / 0
    pull = loss_and_gradient(power, factor, inner)[1]
    return np.where(p <= 0, 0.0, np.where(p >= 1, 1.0, inner / (inner + pull)))


@dataclass(frozen=True, eq=False)
class Reliability:
    """Pixels by what was predicted for them.

    Attributes:
        counts: int64 (N, 2, FINE): pixels of each picture that are background and plate, by P(plate) in equal steps.
    """

    counts: np.ndarray

    def bins(self, reading: Reading | None = None, bins: int = BINS) -> list[dict[str, Any]]:
        """The reliability curve: one dictionary for each of ``bins`` equal bins of P(plate) that holds a pixel.

        Args:
            reading: what to make of the network's P(plate) first, such as `meant_share`; None: as it says.

        Returns:
            ``predicted`` (mean P(plate)), ``share`` (of plate among these pixels), ``interval`` (95 %, bootstrap over
            pictures) and ``pixels`` (share of all pixels that the bin holds).
        """
        predicted, place = self._read(reading, bins)
        rows = []
        for number in np.unique(place):
            inside = self.counts[:, :, place == number]
            total, plate = inside.sum(axis=(1, 2)).astype(float), inside[:, 1].sum(axis=1).astype(float)
            if total.any():
                mean = float((inside.sum(axis=(0, 1)) * predicted[place == number]).sum() / total.sum())
                told = {"predicted": mean, "share": float(plate.sum() / total.sum())}
                rows.append(
                    told | {"interval": ratio_interval(plate, total), "pixels": total.sum() / self.counts.sum()}
                )
        return rows

    def error(self, reading: Reading | None = None, bins: int = BINS) -> float:
        """Expected calibration error, 0..1: the mean over pixels of how far their bin's prediction is from its share.

        Naeini et al. 2015; Guo et al. 2017, "On Calibration of Modern Neural Networks".
        """
        predicted, place = self._read(reading, bins)
        pixels, plate = self.counts.sum(axis=(0, 1)), self.counts[:, 1].sum(axis=0)
        apart = np.bincount(place, predicted * pixels - plate, minlength=bins)
        return float(np.abs(apart).sum() / max(pixels.sum(), 1))

    def _read(self, reading: Reading | None, bins: int) -> tuple[np.ndarray, np.ndarray]:
        said = (np.arange(FINE) + 0.5) / FINE
        predicted = said if reading is None else np.asarray(reading(said), dtype=np.float64)
        return predicted, np.clip((predicted * bins).astype(int), 0, bins - 1)


@torch.inference_mode()
def reliability(model: nn.Module, pixels: Tensor, masks: Tensor) -> Reliability:
    """Count the pixels of every picture by P(plate).

    Args:
        pixels: uint8 (N, 3, S, S), whole pictures (`lib.transforms.full_frame`) or crops.
        masks: bool (N, S, S), what is plate: the boxes, as in training.
    """
    where = next(iter(model.state_dict().values()), torch.zeros(())).device
    counts = []
    for batch, truth in zip(pixels.split(32), masks.split(32), strict=True):
        plate = model(to_input(batch.to(where))).float().softmax(1)[:, 1].cpu()
        place = (plate * FINE).long().clamp_(max=FINE - 1) + FINE * truth.long()
        counts += [torch.bincount(one.flatten(), minlength=2 * FINE).view(2, FINE) for one in place]
    return Reliability(torch.stack(counts).numpy())


def crops_like_training(pictures: Pictures, recipe: Recipe) -> tuple[Tensor, Tensor]:
    """One seeded crop of every picture, with the sizes and augmentations of ``recipe``: what the loss was minimised on.

    Returns:
        uint8 pictures (N, 3, S, S) and bool masks (N, S, S).
    """
    index = torch.arange(len(pictures))
    augment = Augment(recipe.augment, smallest_crop=recipe.smallest_crop)
    pixels, masks, _ = augment(pictures, index, index + recipe.seed)
    return pixels, masks
