"""The sky: its colours, clouds, and a far line of hills, woods or roofs."""

from functools import lru_cache

import cv2
import numpy as np

from lib.scenes import noise
from lib.scenes.canvas import Canvas


@lru_cache(maxsize=8)
def _skyline(number: int) -> np.ndarray:
    rng = noise.generator(13, number)
    line = np.zeros(513)
    for octave in range(2, 9):
        knots = rng.normal(0, 0.75**octave, (1 << octave) + 1)
        line += np.interp(np.linspace(0, 1, 513), np.linspace(0, 1, len(knots)), knots)
    return line / line.std()


def fill(canvas: Canvas, rng: np.random.Generator, hills: float) -> None:
    """Fill the picture with sky, clouds, and a far line of hills, woods or roofs."""
    height, width = canvas.image.shape[:2]
    camera, light = canvas.camera, canvas.light
    step = 4
    rays = np.stack(camera.rays(0, 0, -(-width // step), -(-height // step), step), axis=-1)
    up = np.clip(rays[..., 1:2], 0, 1)
    colour = light.horizon + (light.zenith - light.horizon) * (1 - np.exp(-7 * up))
    if light.clouds > 0.15 and light.name != "night":
        bank = noise.fractal(int(rng.integers(130, 136)), 512, 3, 7, 0.58)
        reach = 0.30 / (up[..., 0] + 0.12)
        turn = rng.uniform(0, 400, 2)
        u, v = rays[..., 0] * reach * 110 + turn[0], rays[..., 2] * reach * 110 + turn[1]
        cloud = cv2.remap(
            bank, u.astype(np.float32), v.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
        )
        share = np.clip((cloud + 2.6 * light.clouds - 1.6) * 0.7, 0, 1)[..., None]
        white = light.horizon.mean() * np.array([1.25, 1.22, 1.2]) + light.sun_colour * 0.18
        colour = colour + share * (0.9 if light.hard else 0.45) * (white * (0.85 - 0.18 * cloud[..., None]) - colour)
    glare = np.clip(rays @ light.sun.astype(np.float32), 0, 1)[..., None]
    colour = colour + light.sun_colour * (0.35 * glare**8 + 2.0 * glare**200) * (light.name != "night")
    if hills > 0:
        line = np.interp(
            np.arctan2(rays[..., 0], rays[..., 2]), np.linspace(-np.pi, np.pi, 513), _skyline(int(rng.integers(6)))
        )
        far = np.clip((hills * (0.55 + 0.16 * line) - rays[..., 1]) * 110 + 0.5, 0, 1)[..., None]
        tone = np.array(((0.06, 0.09, 0.045), (0.10, 0.11, 0.11), (0.09, 0.08, 0.06))[rng.integers(3)]) * (
            light.sky + light.sun_colour * 0.5
        )
        tone = tone + (light.horizon - tone) * min(0.35 + light.haze, 0.85)
        rough = cv2.resize(
            noise.crop(noise.fractal(4, 512, 32, 5, 0.95), rng, 300, 400), (rays.shape[1], rays.shape[0])
        )[..., None]
        colour = colour + far * (tone * (1 + 0.14 * rough) - colour)
    cv2.resize(colour.astype(np.float32), (width, height), dst=canvas.image, interpolation=cv2.INTER_LINEAR)
