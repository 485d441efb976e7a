"""`lib.relight` for a batch in a device's memory: the same changes, drawn the same way, done to all pictures at once.

Not to the last digit: what OpenCV rounds to whole levels between two steps stays a fraction here, being shrunk and
brought back is a blur of the same spread, and the JPEG is quantised (ITU-T T.81, annexes A, K), not written.
"""

from collections.abc import Sequence
from functools import cache

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from lib.relight import Light

KERNEL = 15  # pixels: three standard deviations of the widest blur on either side
# ITU-T T.81, tables K.1 and K.2: steps of brightness and of colour at quality 50
LUMINANCE = """16 11 10 16 24 40 51 61 12 12 14 19 26 58 60 55 14 13 16 24 40 57 69 56 14 17 22 29 51 87 80 62
18 22 37 56 68 109 103 77 24 35 55 64 81 104 113 92 49 64 78 87 103 121 120 101 72 92 95 98 112 100 103 99"""
CHROMINANCE = """17 18 24 47 99 99 99 99 18 21 26 66 99 99 99 99 24 26 56 99 99 99 99 99 47 66 99 99 99 99 99 99
99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99"""


def table(lights: Sequence[Light]) -> dict[str, Tensor]:
    """What is to change in each picture of a batch, as tensors that a process can hand to another."""
    told = {
        "gain": np.stack([one.gain for one in lights]),
        "gamma": np.array([one.gamma for one in lights]),
        "offset": np.array([one.offset for one in lights]),
        "grey": np.array([one.grey or 0.0 for one in lights]),
        "noise": np.array([one.noise for one in lights]) / 255,
        "shadow": np.array([one.shadow or (0.0, 0.0, 0.0, 1.0) for one in lights]),
    }
    numbers = {key: torch.from_numpy(value.astype(np.float32)) for key, value in told.items()}
    soft = [i for i, one in enumerate(lights) if one.blur or one.motion is not None or one.shrunk < 1]
    kernels = np.array([kernel(lights[i]) for i in soft], np.float32).reshape(-1, KERNEL, KERNEL)
    pressed = [i for i, one in enumerate(lights) if one.quality]
    return numbers | {
        "soft": torch.tensor(soft, dtype=torch.int64),
        "kernels": torch.from_numpy(kernels),
        "pressed": torch.tensor(pressed, dtype=torch.int64),
        "quality": torch.tensor([lights[i].quality for i in pressed], dtype=torch.float32),
    }


def kernel(light: Light) -> np.ndarray:
    """All that is done to a picture's sharpness as one kernel, float32 ``(15, 15)`` that adds up to 1.

    Area pixels 1 / f wide and lines between their centres have together the variance of a Gaussian of .5 / f.
    """
    made = np.zeros((KERNEL, KERNEL), np.float32)
    made[KERNEL // 2, KERNEL // 2] = 1.0
    if light.motion is not None:
        first, size = KERNEL // 2 - len(light.motion) // 2, len(light.motion)
        made[:] = 0
        made[first : first + size, first : first + size] = light.motion
    spread = np.hypot(light.blur, 0.5 / light.shrunk if light.shrunk < 1 else 0.0)
    if spread:
        made = cv2.GaussianBlur(made, (KERNEL, KERNEL), float(spread), borderType=cv2.BORDER_CONSTANT)
    return made / made.sum()


def relight(pictures: Tensor, told: dict[str, Tensor], seed: int) -> Tensor:
    """Change a batch's light as its `table` says.

    Args:
        pictures: float32 ``(B, 3, H, W)`` in 0..1, H and W multiples of 16.
        told: on the pictures' device but for ``soft`` and ``pressed``, which are looked at here.
        seed: of the noise.

    Returns:
        float32 ``(B, 3, H, W)`` in 0..1.
    """
    gain, gamma, offset, grey, noise = (
        told[key].reshape(len(pictures), -1, 1, 1) for key in ("gain", "gamma", "offset", "grey", "noise")
    )
    pictures = (pictures.clamp(0, 1) ** gamma * gain + offset).clamp(0, 1)
    weights = pictures.new_tensor([0.299, 0.587, 0.114]).reshape(1, 3, 1, 1)
    pictures = torch.lerp(pictures, (pictures * weights).sum(1, keepdim=True), grey).clamp(0, 1)
    if len(soft := told["soft"]):
        pictures[soft] = _filtered(pictures[soft], told["kernels"])
    draw = torch.Generator(pictures.device).manual_seed(seed)
    grain = torch.randn(pictures[:, :1].shape, generator=draw, device=pictures.device)
    pictures = (pictures + grain * noise).clamp(0, 1)
    if len(pressed := told["pressed"]):
        pictures[pressed] = jpeg(pictures[pressed], told["quality"])
    x, y, angle, left = (part.reshape(-1, 1, 1, 1) for part in told["shadow"].unbind(1))
    rows = torch.arange(pictures.shape[2], device=pictures.device).reshape(1, 1, -1, 1)
    columns = torch.arange(pictures.shape[3], device=pictures.device).reshape(1, 1, 1, -1)
    beyond = (columns - x) * angle.cos() + (rows - y) * angle.sin() > 0
    return torch.where(beyond, pictures * left, pictures)


def _filtered(pictures: Tensor, kernels: Tensor) -> Tensor:
    count, side = len(pictures), KERNEL // 2
    padded = F.pad(pictures, (side,) * 4, mode="reflect").flatten(0, 1).unsqueeze(0)
    weights = kernels.repeat_interleave(3, 0).unsqueeze(1)
    return F.conv2d(padded, weights, groups=3 * count).reshape(pictures.shape)


def jpeg(pictures: Tensor, quality: Tensor) -> Tensor:
    """Pictures ``(B, 3, H, W)`` in 0..1 as JPEG of this quality, 1 to 100, ``(B,)``, with colour at half the size."""
    y, blue, red = pictures.unbind(1)
    brightness = 0.299 * y + 0.587 * blue + 0.114 * red  # red, green, blue until here
    colours = torch.stack([(red - brightness) / 1.772, (y - brightness) / 1.402], 1)
    scale = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality).reshape(-1, 1, 1, 1)
    steps = [((part.to(pictures) * scale + 50) / 100).floor().clamp(1, 255) / 255 for part in _steps()]
    brightness = _quantised(brightness.unsqueeze(1) - 128 / 255, steps[0]) + 128 / 255
    colours = _quantised(F.avg_pool2d(colours, 2), steps[1])
    colours = F.interpolate(colours, scale_factor=2.0, mode="bilinear", align_corners=False)
    blue, red = colours.split(1, 1)
    green = brightness - (0.114 * 1.772 * blue + 0.299 * 1.402 * red) / 0.587
    return torch.cat([brightness + 1.402 * red, green, brightness + 1.772 * blue], 1).clamp(0, 1)


@cache
def _steps() -> tuple[Tensor, Tensor]:
    """Both tables, float32 ``(1, 1, 8, 8)``."""
    return tuple(
        torch.tensor([float(v) for v in told.split()]).reshape(1, 1, 8, 8) for told in (LUMINANCE, CHROMINANCE)
    )


@cache
def _cosines() -> Tensor:
    """The discrete cosine transform of 8 values, float32 ``(8, 8)`` whose rows are orthonormal (T.81, A.3.3)."""
    places = (torch.arange(8) + 0.5) * torch.pi / 8
    rows = torch.cos(torch.arange(8).reshape(8, 1) * places) / 2
    rows[0] /= 2**0.5
    return rows


def _quantised(planes: Tensor, steps: Tensor) -> Tensor:
    """Planes ``(B, C, H, W)`` with the coefficients of their 8x8 blocks rounded to steps ``(B, 1, 8, 8)``."""
    count, channels, height, width = planes.shape
    turn = _cosines().to(planes)
    blocks = planes.reshape(count, channels, height // 8, 8, width // 8, 8).transpose(3, 4)
    steps = steps.reshape(-1, 1, 1, 1, 8, 8)
    rounded = torch.round(turn @ blocks @ turn.T / steps) * steps
    return (turn.T @ rounded @ turn).transpose(3, 4).reshape(planes.shape)
