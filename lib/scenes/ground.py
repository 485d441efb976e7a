"""The ground: what is painted on it, its roughness, air and wetness, in perspective."""

from dataclasses import dataclass, field
from functools import lru_cache

import cv2
import numpy as np

from lib.scenes import noise
from lib.scenes.canvas import Canvas

FARTHEST = 390.0  # metres
_LINEAR = ((np.arange(256) / 255.0) ** 2.2).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Area:
    """A polygon (N, 2) of ground coordinates X, Z in a colour; coordinates are metres."""

    outline: np.ndarray
    colour: tuple[float, float, float]


@dataclass(eq=False)
class Ground:
    """The ground's colour, what is painted on it and how rough it is."""

    colour: tuple[float, float, float]
    areas: list[Area] = field(default_factory=list)
    rough: float = 0.12
    texture: int = 0
    dapple: float = 0.0  # shadows of leaves
    shades: list[np.ndarray] = field(default_factory=list)  # polygons (N, 2) X, Z in the shadow of something tall


@lru_cache(maxsize=8)
def _tiles(number: int) -> tuple[np.ndarray, np.ndarray]:
    fine = noise.fractal(100 + number, 512, 64, 4, 0.95) * 0.7 + 0.3 * noise.fractal(110 + number, 512, 8, 5)
    return np.ascontiguousarray(fine), noise.fractal(120 + number, 256, 6, 6, 0.6)


def _sum(row: np.ndarray, width: int, first: int, height: int) -> np.ndarray:
    """A linear form (3,) of the homogeneous pixel centres of rows ``first`` and below, float32 (height, width)."""
    across = ((np.arange(width) + 0.5) * row[0]).astype(np.float32)
    return across + ((np.arange(first, first + height) + 0.5) * row[1] + row[2]).astype(np.float32)[:, None]


def _laid(bank: np.ndarray, per_metre: float, x: np.ndarray, z: np.ndarray) -> np.ndarray:
    """A bank of noise laid on the ground, as seen at ground coordinates ``x`` and ``z``."""
    scale, shift = np.float32(per_metre), np.float32(2000)
    return cv2.remap(bank, x * scale + shift, z * scale + shift, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)


def lay(canvas: Canvas, plan: Ground) -> None:
    """Paint the ground below the horizon: areas and markings in perspective, texture, haze, wetness."""
    camera, light = canvas.camera, canvas.light
    height, width = canvas.image.shape[:2]
    matrix = camera.ground_map()
    slope = _sum(matrix[2], width, 0, height)
    rows = np.flatnonzero(slope.min(1) < -1e-4)
    if not len(rows):
        return
    top = int(rows[0])
    slope = slope[top:]
    # Ground coordinates of every pixel; those at and above the horizon are held at FARTHEST and drawn over later.
    share = 1 / np.minimum(slope, np.float32(-camera.position[1] / FARTHEST))
    x = np.clip(_sum(matrix[0], width, top, height - top) * share, -FARTHEST, FARTHEST)
    z = np.clip(_sum(matrix[1], width, top, height - top) * share, -FARTHEST, FARTHEST)
    encoded = np.empty((height - top, width, 3), np.uint8)
    encoded[:] = np.rint(np.clip(np.array(plan.colour), 0, 1) ** (1 / 2.2) * 255)
    for area in plan.areas:
        outline = camera.polygon(np.stack([area.outline[:, 0], np.zeros(len(area.outline)), area.outline[:, 1]], 1))
        if len(outline):
            shade = np.rint(np.clip(np.array(area.colour), 0, 1) ** (1 / 2.2) * 255).tolist()
            fixed = np.rint(np.clip(outline - (0.5, top + 0.5), -60_000, 60_000) * 16).astype(np.int32)
            cv2.fillPoly(encoded, [fixed], shade, cv2.LINE_AA, 4)
    # What changes slowly is worked out at half the size: distance, air, wetness, stains.
    far = share[::2, ::2] * np.float32(-camera.position[1])  # metres, nearly
    near = np.minimum(1, np.float32(0.012 * camera.focal) / far)  # texture finer than a pixel averages out
    fine_bank, stain_bank = _tiles(plan.texture % 8)
    stains = _laid(stain_bank, 6.0, x[::2, ::2], z[::2, ::2])
    gain = 1 + stains * np.sqrt(near) * np.float32(0.5 * plan.rough)
    if plan.dapple:
        gain *= 1 - np.float32(plan.dapple) * np.minimum(np.maximum(stains * 2 + 0.4, 0), 1)
    falls, horizon = light.on(np.array([0.0, 1.0, 0.0])).astype(np.float32), light.horizon.astype(np.float32)
    if light.lamp:
        gain *= 1 + np.float32(light.lamp * 0.5 / falls.mean()) / (1 + (far / 9) ** 2)
    veil = np.exp(far * np.float32(-light.haze / 100))  # clear air first, then what the air and the wet add
    gain *= veil
    added = 1 - veil
    if light.wet:
        seen = np.maximum(1 - np.float32(camera.position[1]) / far, 0) ** 5
        pool = np.minimum(np.maximum(0.6 + 0.5 * stains, 0.25), 1)
        gain *= np.float32(1 - 0.35 * light.wet)
        added += seen * pool * np.float32(light.wet * 0.7)
    size = (width, height - top)
    relief = _laid(fine_bank, 40.0, x, z)
    relief *= cv2.resize(near * np.float32(0.9 * plan.rough), size)
    relief += 1
    np.maximum(relief, 0.25, out=relief)
    relief *= cv2.resize(gain, size)
    colour = cv2.LUT(encoded, _LINEAR[None, :, None] * falls)
    colour *= noise.triple(relief)
    colour += cv2.resize(added[..., None] * horizon, size)
    part = slope[: max(np.count_nonzero(slope.max(1) > -0.5 / camera.focal), 1)]
    cover = noise.triple(np.minimum(np.maximum(part * np.float32(-camera.focal) + 0.5, 0), 1))
    sky = canvas.image[top : top + len(part)] * (1 - cover)
    canvas.image[top:] = colour
    canvas.image[top : top + len(part)] *= cover
    canvas.image[top : top + len(part)] += sky
    for shade in plan.shades:
        canvas.shadow(np.insert(shade, 1, 0.0, axis=1), 0.62 * light.hard * (light.name == "day"), 1.2)
