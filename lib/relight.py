"""Other light, colour, sharpness, noise and compression: what a camera and the weather do to the same street.

What is to change is drawn first, as numbers, and then done: here by OpenCV, in `lib.device_light` by the device.
"""

from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np


@dataclass(frozen=True)
class Light:
    """What is to change in one picture.

    Attributes:
        gain: of red, green and blue, float64 ``(3,)``.
        gamma, offset: a level v in 0..1 becomes ``v ** gamma * gain + offset``.
        grey: how far it goes to its own grey, 1 wholly; below 0 away from it; None for not at all.
        blur: standard deviation in pixels, 0 for none.
        motion: float32 ``(n, n)`` that adds up to 1, along which it is smeared; None for none.
        shrunk: share of its sides that it is brought to, and back; 1 for neither.
        noise: standard deviation in levels of 255, 0 for none.
        field: float32 ``(H, W)``, the noise before it is scaled; None where nobody asked for it.
        quality: of the JPEG that it was, 0 for none.
        shadow: a point x, y of its edge, the direction across in radians, and what is left of the light; None for none.
    """

    gain: np.ndarray
    gamma: float
    offset: float
    grey: float | None = None
    blur: float = 0.0
    motion: np.ndarray | None = None
    shrunk: float = 1.0
    noise: float = 0.0
    field: np.ndarray | None = None
    quality: int = 0
    shadow: tuple[float, float, float, float] | None = None

    @classmethod
    def draw(cls, rng: np.random.Generator, side: int, shape: tuple[int, int] | None = None) -> Self:
        """Draw each now and then, for a picture ``side`` pixels high; with the noise's field if ``shape`` is given."""
        told: dict[str, object] = {"gain": np.exp(rng.normal(0, 0.25)) * np.exp(rng.normal(0, 0.08, 3))}
        told |= {"gamma": np.exp(rng.normal(0, 0.25)), "offset": rng.normal(0, 0.06)}
        kind = rng.random(6)
        if kind[0] < 0.4:
            told["grey"] = 1.0 if kind[0] < 0.1 else rng.uniform(-0.4, 0.8)
        if kind[1] < 0.15:
            told["blur"] = rng.uniform(0.4, 1.8)
        elif kind[1] < 0.22:
            length = int(rng.integers(3, 10))
            kernel = np.zeros((length, length), np.float32)
            cv2.line(kernel, *(tuple(int(v) for v in rng.integers(0, length, 2)) for _ in range(2)), 1.0)
            told["motion"] = kernel / kernel.sum()
        if kind[2] < 0.15:
            told["shrunk"] = rng.uniform(0.35, 0.8)
        if kind[3] < 0.2:
            told["field"] = None if shape is None else rng.standard_normal(shape, np.float32)
            told["noise"] = rng.uniform(2, 14)
        if kind[4] < 0.15:
            told["quality"] = int(rng.integers(20, 80))
        if kind[5] < 0.1:  # a shadow's edge or a lamp's cone: half of the picture darker
            (a, b), angle = rng.uniform(0, side, 2), rng.uniform(0, 2 * np.pi)
            told["shadow"] = (a, b, angle, rng.uniform(0.3, 0.8))
        return cls(**told)

    def __call__(self, crop: np.ndarray) -> np.ndarray:
        """What a picture uint8 ``(H, W, 3)`` becomes, the same shape; noise has to be drawn with its ``field``."""
        levels = (np.arange(256) / 255.0) ** self.gamma
        table = ((levels[:, None] * self.gain + self.offset) * 255).clip(0, 255).astype(np.uint8)
        crop = cv2.LUT(crop, table.reshape(256, 1, 3))
        if self.grey is not None:
            grey = cv2.cvtColor(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
            crop = cv2.addWeighted(crop, 1 - self.grey, grey, self.grey, 0)
        if self.blur:
            crop = cv2.GaussianBlur(crop, (0, 0), self.blur)
        elif self.motion is not None:
            crop = cv2.filter2D(crop, -1, self.motion)
        if self.shrunk < 1:
            small = cv2.resize(crop, None, fx=self.shrunk, fy=self.shrunk, interpolation=cv2.INTER_AREA)
            crop = cv2.resize(small, crop.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        if self.noise:
            crop = (crop + self.field[..., None] * self.noise).clip(0, 255).astype(np.uint8)
        if self.quality:
            told = cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, self.quality])[1]
            crop = cv2.imdecode(told, cv2.IMREAD_COLOR)
        if self.shadow is not None:
            a, b, angle, left = self.shadow
            rows, columns = np.ogrid[: crop.shape[0], : crop.shape[1]]
            beyond = (columns - a) * np.cos(angle) + (rows - b) * np.sin(angle) > 0
            crop = np.where(beyond[..., None], (crop * left).astype(np.uint8), crop)
        return np.ascontiguousarray(crop)


def change_light(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Other light, colour, sharpness, noise and compression, each now and then; uint8 ``(H, W, 3)`` to the same."""
    return Light.draw(rng, crop.shape[0], crop.shape[:2])(crop)
