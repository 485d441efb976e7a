"""What photographs seldom show: light characters on a dark plate, and night.

Of the thirteen large plates that PlateNet missed on validation six were dark ones, of old cars and of countries that
use them; and one that it saw in no frame of a film hung in the dark. So some crops are of plates turned into their
negative, and some are darkened to between a half and a tenth of their light, with noise over it.
"""

from dataclasses import dataclass

import numpy as np

from lib.crops import Crop
from lib.recipes import refuse
from lib.regions import rasterise

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
ENDS = (5, 95)  # percentiles between which a plate's brightness is mirrored


@dataclass(frozen=True)
class Rare:
    """Draws crops as ``crop`` does, now and then of something rarer.

    Attributes:
        crop: how crops are drawn.
        negative: share of the pictures whose plates are turned into their negatives.
        night: share of the crops that are darkened.
    """

    crop: Crop
    negative: float
    night: float

    def __post_init__(self) -> None:
        checks = ((key, 0 <= getattr(self, key) <= 1, "a share from 0 to 1") for key in ("negative", "night"))
        refuse(self, checks, "gives no crop; use")

    @property
    def side(self) -> int:
        """Side of the square crop in pixels."""
        return self.crop.side

    def __call__(
        self, pixels: np.ndarray, outlines: np.ndarray, seed: int, *others: np.ndarray
    ) -> tuple[np.ndarray, ...]:
        """As `lib.crops.Crop`; where there are ``others``, outlines may be of plates' middles alone: no negatives."""
        rng = np.random.default_rng((seed, 1))  # the crop draws from ``seed`` itself
        if rng.random() < self.negative and not any(len(each) for each in others):
            pixels = negatives(pixels, outlines, rng.uniform())
        crop, *told = self.crop(pixels, outlines, seed, *others)
        return (darkened(crop, rng) if rng.random() < self.night else crop), *told


def negatives(pixels: np.ndarray, outlines: np.ndarray, colour: float = 1.0) -> np.ndarray:
    """Turn plates into their negatives: the brightness of each mirrored within its own range, so that it suits its car.

    Args:
        pixels: uint8 ``(H, W, 3)`` RGB; stays as it is.
        outlines: float ``(K, 4, 2)`` in its pixels.
        colour: what is left of the plate's colour, 0 (grey) to 1.

    Returns:
        uint8 ``(H, W, 3)``, of which no pixel outside the outlines differs.
    """
    made = pixels.copy()
    for outline in outlines:
        region = rasterise(outline, pixels.shape[:2])
        if region is None:
            continue
        window, plate = made[region.window], region.inside
        values = window[plate].astype(np.float32)
        bright = values @ LUMA
        mirrored = np.percentile(bright, ENDS).sum() - bright
        window[plate] = (mirrored[:, None] + colour * (values - bright[:, None])).clip(0, 255).astype(np.uint8)
    return made


def darkened(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A crop, uint8 ``(H, W, 3)`` RGB, as a camera sees it at night: little light, of a lamp's colour, and noise."""
    light = np.exp(rng.uniform(np.log(0.1), np.log(0.5))) * rng.uniform((1.0, 0.8, 0.5), 1.0)
    levels = crop * light.astype(np.float32)
    field = rng.standard_normal(crop.shape[:2], np.float32)[..., None]
    return (levels + rng.uniform(0.5, 5) * field + 0.5).clip(0, 255).astype(np.uint8)
