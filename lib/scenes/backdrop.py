"""House fronts, signs and trees: upright pictures that stand behind and among the vehicles."""

from dataclasses import dataclass

import cv2
import numpy as np

from lib.scenes import textures
from lib.scenes.camera import Camera
from lib.scenes.canvas import Canvas


@dataclass(frozen=True, eq=False)
class Panel:
    """An upright picture: ``corners`` (4, 3) TL, TR, BR, BL; ``glow`` its own light at night, or None."""

    corners: np.ndarray
    face: np.ndarray
    glow: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Plant:
    """A tree or bush of ``textures.tree(number)`` standing at (x, z), scaled."""

    x: float
    z: float
    number: int
    scale: float
    flip: bool


def _outside(canvas: Canvas, pixels: np.ndarray) -> bool:
    height, width = canvas.image.shape[:2]
    low, high = pixels.min(0), pixels.max(0)
    return bool(high[0] < 0 or high[1] < 0 or low[0] > width or low[1] > height)


def _ahead(camera: Camera, item: Panel) -> tuple[np.ndarray | None, np.ndarray, np.ndarray | None]:
    """The part of a panel at least 0.6 m ahead, cut along its width in whole texture columns."""
    depth = camera.view(item.corners)[:, 2]
    left, right, least = min(depth[0], depth[3]), min(depth[1], depth[2]), 0.6
    if max(left, right) <= least:
        return None, item.face, item.glow
    if min(left, right) > least:
        return item.corners, item.face, item.glow
    columns = item.face.shape[1]
    share = (least - left) / (right - left)
    cut = int(np.clip(np.ceil(share * columns) if left < right else np.floor(share * columns), 1, columns - 1))
    kept = slice(cut, columns) if left < right else slice(0, cut)
    share = cut / columns
    a, b, c, d = item.corners
    upper, lower = a + (b - a) * share, d + (c - d) * share
    corners = np.stack([upper, b, c, lower] if left < right else [a, upper, lower, d])
    if camera.view(corners)[:, 2].min() < 0.3:
        return None, item.face, item.glow
    return corners, item.face[:, kept], None if item.glow is None else item.glow[:, kept]


def panel(canvas: Canvas, item: Panel) -> None:
    """Paint an upright picture; skipped where it reaches behind the camera (cut to what is ahead)."""
    camera, light = canvas.camera, canvas.light
    corners, face, glow = _ahead(camera, item)
    if corners is None:
        return
    pixels, depth = camera.project(corners)
    if _outside(canvas, pixels):
        return
    extent = max(np.ptp(np.clip(pixels[:, 0], -200, 1500)), np.ptp(np.clip(pixels[:, 1], -200, 1500)))
    shrink = max(face.shape[:2]) / max(extent, 4)
    across, down = corners[1] - corners[0], corners[3] - corners[0]
    normal = np.cross(across, down)
    normal /= np.linalg.norm(normal)
    normal *= -np.sign(normal @ (corners.mean(0) - camera.position))
    if shrink > 1.5:
        size = (max(round(face.shape[1] / shrink), 2), max(round(face.shape[0] / shrink), 2))
        face = cv2.resize(face, size, interpolation=cv2.INTER_AREA)
        glow = glow if glow is None else cv2.resize(glow, size, interpolation=cv2.INTER_AREA)
    lit = face * light.on(normal).astype(np.float32)
    if glow is not None and light.name != "day":
        lit += glow * np.float32(0.6 if light.name == "night" else 0.25)
    patch = canvas.warp(lit, pixels)
    if patch is not None:
        colour, cover, x0, y0 = patch
        clear = np.float32(np.exp(-light.haze * float(np.clip(np.median(depth), 0, 300)) / 100))
        colour = colour * clear + cover[..., None] * ((1 - clear) * light.horizon).astype(np.float32)
        canvas.blend(colour, cover, x0, y0)


def plant(canvas: Canvas, item: Plant) -> None:
    """Paint a tree or bush as a picture that faces the camera, with its shade on the ground."""
    face, cover, (wide, tall) = textures.tree(item.number)
    wide, tall = wide * item.scale, tall * item.scale
    camera, light = canvas.camera, canvas.light
    pixels, depth = camera.project(np.array([[item.x, 0, item.z], [item.x, tall, item.z]]))
    if depth.min() < 1.5:
        return
    ring = np.linspace(0, 2 * np.pi, 10)[:-1]
    disc = np.stack([item.x + 0.45 * wide * np.cos(ring), 0 * ring, item.z + 0.45 * wide * np.sin(ring)], 1)
    canvas.shadow(disc, 0.3, camera.focal / depth[0] * 0.3)
    if light.hard > 0.2 and light.name == "day":
        throw = -light.sun[[0, 2]] / max(light.sun[1], 0.3) * tall * 0.6
        canvas.shadow(disc + np.array([throw[0], 0, throw[1]]), 0.5 * light.hard, camera.focal / depth[0] * 0.15)
    up = pixels[1] - pixels[0]
    side = np.array([-up[1], up[0]]) * wide / tall / 2
    corners = np.stack([pixels[1] - side, pixels[1] + side, pixels[0] + side, pixels[0] - side])
    if item.flip:
        face, cover = face[:, ::-1], cover[:, ::-1]
    if _outside(canvas, corners):
        return
    size = float(np.abs(up).max())
    if size < 180:
        to = (max(round(2 * abs(side).max() * 1.3), 3), max(round(size * 1.3), 3))
        face, cover = (
            cv2.resize(face, to, interpolation=cv2.INTER_AREA),
            cv2.resize(cover, to, interpolation=cv2.INTER_AREA),
        )
    lit = face * (light.sky * 0.9 + light.sun_colour * 0.75 + light.ground * 0.3).astype(np.float32)
    patch = canvas.warp(np.ascontiguousarray(canvas.haze(lit, float(depth[0]))), corners, np.ascontiguousarray(cover))
    if patch is not None:
        canvas.blend(*patch)
