"""Light on things: sun, sky, street lamps, and what shiny surfaces mirror of them. All colours are linear RGB."""

from dataclasses import dataclass

import cv2
import numpy as np

from lib.scenes import noise
from lib.scenes.camera import Camera
from lib.scenes.mesh import (
    AMBER,
    CABIN,
    CHROME,
    CLEAR,
    CLOTH,
    GLASS,
    GRILLE,
    HELMET,
    MATERIALS,
    PAINT,
    PAINT2,
    PLASTIC,
    RED,
    RIM,
    RUBBER,
    SEAM,
    SKIN,
    TROUSERS,
    Buffer,
)  # fmt: skip

ENV = 96  # cells across one hemisphere of the mirrored surroundings


@dataclass(frozen=True, eq=False)
class Light:
    """The light of a scene.

    Attributes:
        name: ``"day"``, ``"dusk"`` or ``"night"``.
        sun: unit vector towards the sun (or the main lamp); ``sun_colour`` its strength, 0 when overcast.
        sky, ground: ambient light from above and from below.
        lamp: light that comes from the camera's own direction (flash, headlights).
        around: float32 (ENV, 2 ENV, 3), what mirrors see: the upper hemisphere, then the lower one, each as a disc.
        zenith, horizon: colours of the sky as painted.
        haze: share of the air's colour per 100 m.
        hard: how sharp shadows are, 0 overcast to 1 sunny.
    """

    name: str
    sun: np.ndarray
    sun_colour: np.ndarray
    sky: np.ndarray
    ground: np.ndarray
    lamp: float
    around: np.ndarray
    zenith: np.ndarray
    horizon: np.ndarray
    haze: float
    hard: float
    clouds: float
    wet: float

    def on(self, normal: np.ndarray, facing: float = 0.0) -> np.ndarray:
        """Light (3,) that falls on a matt surface with a unit normal; ``facing`` is its cosine to the camera."""
        up = 0.5 + 0.5 * float(normal[1])
        direct = max(float(normal @ self.sun), 0.0)
        return self.ground + (self.sky - self.ground) * up + self.sun_colour * direct + self.lamp * max(facing, 0.0)


def draw_light(rng: np.random.Generator, name: str | None = None) -> Light:
    """A day, a dusk or a night at random."""
    name = name or str(rng.choice(["day", "dusk", "night"], p=[0.74, 0.12, 0.14]))
    azimuth, height = rng.uniform(0, 2 * np.pi), rng.uniform(0.35, 1.2)
    hard, clouds, wet, lamp = float(rng.random() ** 0.45), float(rng.random()) * 0.85, 0.0, 0.0
    if name == "day":
        blue = np.array([0.16, 0.32, 0.72]) * rng.uniform(0.7, 1.1)
        grey = np.full(3, rng.uniform(0.55, 0.85))
        if rng.random() < 0.30:
            hard, clouds, wet = 0.0, 1.0, float(rng.choice([0, 0.6], p=[0.65, 0.35]))
        zenith = blue + (grey - blue) * (0.9 if hard == 0 else 0.35 * clouds)
        horizon = zenith * 0.5 + (np.array([0.30, 0.35, 0.40]) if hard else np.array([0.46, 0.48, 0.50])) * rng.uniform(
            0.75, 1.3
        )
        sky = zenith * 0.40 + (0.13 if hard else 0.34)
        sun = np.array([2.5, 2.25, 1.85]) * hard * rng.uniform(0.8, 1.3)
        ground, haze = (sky + sun * 0.30) * 0.28, rng.uniform(0.1, 0.6) ** 2.2
    elif name == "dusk":
        warm = np.array([1.0, 0.55, 0.30]) * rng.uniform(0.6, 1.2)
        zenith = np.array([0.10, 0.14, 0.30]) * rng.uniform(0.7, 1.3)
        horizon, height, hard = warm * 0.75, rng.uniform(0.06, 0.25), hard * 0.6
        sky = zenith * 0.6 + np.array([0.16, 0.15, 0.17])
        sun, ground, haze = warm * hard, sky * 0.3, rng.uniform(0.1, 0.5)
        wet = float(rng.choice([0, 0.7], p=[0.75, 0.25]))
    else:
        tint = np.array([1.0, 0.72, 0.38]) if rng.random() < 0.6 else np.array([0.80, 0.92, 1.0])
        zenith, horizon = np.array([0.004, 0.005, 0.010]), tint * rng.uniform(0.008, 0.03)
        height, hard = rng.uniform(0.9, 1.4), 0.35
        sky, sun = tint * rng.uniform(0.025, 0.08), tint * rng.uniform(0.03, 0.16)
        ground, haze, lamp = sky * 0.35, 0.15, float(rng.choice([0.0, 0.25, 0.7]))
        wet = float(rng.choice([0, 0.9], p=[0.6, 0.4]))
    towards = np.array([np.cos(azimuth) * np.cos(height), np.sin(height), np.sin(azimuth) * np.cos(height)])
    around = _surroundings(rng, towards, sun, zenith, horizon, ground, name)
    return Light(name, towards, sun, sky, ground, lamp, around, zenith, horizon, float(haze), hard, clouds, wet)


def _surroundings(rng: np.random.Generator, sun: np.ndarray, sun_colour: np.ndarray, zenith: np.ndarray,
                  horizon: np.ndarray, ground: np.ndarray, name: str) -> np.ndarray:  # fmt: skip
    """What a mirror ball at the scene's centre shows (two stereographic discs, see ``_mirrored``)."""
    axis = (np.arange(ENV) + 0.5) / ENV * 2 - 1
    x, z = np.meshgrid(axis, axis)
    square = x * x + z * z
    up = np.clip((1 - square) / (1 + square), 0, 1)
    direction = np.stack([2 * x / (1 + square), up, 2 * z / (1 + square)], -1)
    cloud = noise.crop(noise.fractal(int(rng.integers(6)), 256), rng, ENV, ENV)[..., None]
    upper = horizon + (zenith - horizon) * up[..., None] ** 0.55
    upper = upper * (1 + 0.18 * cloud)
    glare = np.clip(direction @ sun, 0, 1)[..., None]
    upper = upper + sun_colour * (14.0 * glare**220 + 0.35 * glare**12)
    turn = np.arctan2(z, x) / (2 * np.pi) % 1
    skyline = np.interp(turn.ravel(), np.linspace(0, 1, 33), np.resize(rng.uniform(0.05, 0.50, 32), 33))
    solid = np.clip((skyline.reshape(ENV, ENV) - up) * 14 + 0.5, 0, 1)[..., None]
    wall = (ground * 0.45 + horizon * 0.05) * (0.75 + 0.3 * cloud)
    upper = upper + solid * (wall - upper)
    if name == "night":
        for _ in range(14):
            spot = rng.uniform(-0.8, 0.8, 2)
            upper = upper + np.exp(-((x - spot[0]) ** 2 + (z - spot[1]) ** 2) * 900)[..., None] * np.array(
                [1, 0.8, 0.5]
            )
    lower = ground * (0.12 + 1.05 * (1 - up[..., None])) * (1 + 0.12 * cloud)  # darkest in its own shadow
    return np.concatenate([upper, lower], axis=1).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Palette:
    """Per material: ``albedo`` (M, 3), mirror share face-on and at grazing angles (M, 2), own light (M, 3)."""

    albedo: np.ndarray
    mirror: np.ndarray
    glow: np.ndarray


_BASE = {  # albedo, mirror face-on, mirror grazing
    GLASS: ((0.008, 0.010, 0.011), 0.07, 0.75), PLASTIC: ((0.028, 0.028, 0.030), 0.02, 0.25),
    CHROME: ((0.10, 0.10, 0.10), 0.62, 0.95), RED: ((0.36, 0.006, 0.010), 0.06, 0.6),
    CLEAR: ((0.42, 0.44, 0.46), 0.16, 0.8), AMBER: ((0.55, 0.16, 0.01), 0.06, 0.6),
    RUBBER: ((0.014, 0.014, 0.015), 0.01, 0.12), RIM: ((0.22, 0.23, 0.24), 0.20, 0.5),
    GRILLE: ((0.010, 0.010, 0.011), 0.03, 0.3), SEAM: ((0.006, 0.006, 0.006), 0.0, 0.05),
    SKIN: ((0.42, 0.24, 0.16), 0.01, 0.1), CABIN: ((0.022, 0.021, 0.021), 0.06, 0.7),
}  # fmt: skip


def palette(rng: np.random.Generator, paint: np.ndarray, metallic: bool, rear_on: float, front_on: float) -> Palette:
    """The materials of one object: its paint, and how bright its lamps burn."""
    albedo, mirror, glow = np.zeros((MATERIALS, 3)), np.zeros((MATERIALS, 2)), np.zeros((MATERIALS, 3))
    for material, (colour, face_on, grazing) in _BASE.items():
        albedo[material], mirror[material] = colour, (face_on, grazing)
    albedo[PAINT], mirror[PAINT] = paint, (0.13 if metallic else 0.075, 0.85)
    albedo[PAINT2], mirror[PAINT2] = paint * 0.5 + rng.random(3) * 0.3, (0.05, 0.6)
    albedo[SKIN] *= rng.uniform(0.25, 1.3)
    for cloth in (CLOTH, TROUSERS, HELMET):
        colour = rng.random(3) ** 2.2 * 0.6 + 0.01
        albedo[cloth] = colour + rng.uniform(0.3, 1) * (colour.mean() - colour)
    mirror[HELMET] = (0.05, 0.6)
    glow[RED] = np.array([1.0, 0.03, 0.02]) * rear_on
    glow[CLEAR] = np.array([1.0, 0.95, 0.82]) * front_on
    return Palette(albedo.astype(np.float32), mirror.astype(np.float32), glow.astype(np.float32))


def _mirrored(light: Light, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """What lies in each direction (planes of unit vectors): stereographic look-up in ``light.around``."""
    scale = np.float32(ENV / 2 * 0.985) / (1 + np.abs(y))
    u = x * scale
    u += np.float32(ENV / 2 - 0.5) + np.float32(ENV) * (y < 0)
    scale *= z
    scale += np.float32(ENV / 2 - 0.5)
    return cv2.remap(light.around, u, scale, cv2.INTER_LINEAR)


def shade(buffer: Buffer, camera: Camera, light: Light, colours: Palette) -> tuple[np.ndarray, np.ndarray]:
    """Light a buffer: float32 colour (h, w, 3) and coverage (h, w), both still in the buffer's cells.

    Matt reflection of sky, ground and sun, plus a mirror image of the surroundings whose share grows towards grazing
    angles (Schlick's approximation, with the fourth power).
    """
    height, width = buffer.cells.shape[:2]
    material = np.ascontiguousarray(buffer.cells[..., 3])
    solid = (material > 0).astype(np.float32)
    normal = buffer.cells[..., :3].astype(np.float32)
    normal -= 128
    normal[material == 0] = 0
    size = int(np.clip(buffer.spread, 2, 24)) | 1
    normal = cv2.blur(cv2.blur(normal, (size, size)), (size, size))  # faces become a smooth surface
    x, y, z = cv2.split(normal)  # planes: NumPy is slow on a last axis of three
    length = 1 / np.maximum(np.sqrt(x * x + y * y + z * z), 1e-3)
    x, y, z = x * length, y * length, z * length
    rx, ry, rz = camera.rays(buffer.x0, buffer.y0, width, height, buffer.step)
    facing = np.minimum(np.maximum(-(rx * x + ry * y + rz * z), 0.02), 1)
    twice = 2 * facing
    seen = cv2.split(_mirrored(light, rx + twice * x, ry + twice * y, rz + twice * z))
    grazing = (1 - facing) ** 2
    grazing *= grazing
    share = np.take(colours.mirror[:, 0], material)
    share += np.take(colours.mirror[:, 1] - colours.mirror[:, 0], material) * grazing
    up = y * 0.5
    up += 0.5
    sx, sy, sz = light.sun.astype(np.float32)
    direct = np.maximum(x * sx + y * sy + z * sz, 0)
    planes = []
    for channel in range(3):
        fall = up * np.float32(light.sky[channel] - light.ground[channel])
        fall += np.float32(light.ground[channel])
        fall += direct * np.float32(light.sun_colour[channel])
        if light.lamp:
            fall += facing * np.float32(light.lamp)
        fall *= np.take(colours.albedo[:, channel], material)
        if colours.glow.any():
            fall += np.take(colours.glow[:, channel], material)
        fall += seen[channel] * share
        planes.append(fall)
    return cv2.merge(planes), solid
