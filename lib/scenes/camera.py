"""A pinhole camera over a flat ground.

World axes: X right, Y up, Z forward, metres, the ground at Y = 0. Picture coordinates are continuous pixels:
(0, 0) is the outer corner of the first pixel. OpenCV's drawing functions take pixel centres, so they get half a
pixel less.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

NEAR = 0.08  # metres; nothing nearer is drawn


@dataclass(frozen=True)
class Camera:
    """Where the camera stands and looks.

    Attributes:
        size: picture width and height in pixels.
        focal: focal length in pixels.
        position: x, y, z in metres.
        yaw, pitch, roll: radians; yaw turns right, pitch looks up, roll tilts clockwise.
    """

    size: tuple[int, int]
    focal: float
    position: tuple[float, float, float]
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0

    @cached_property
    def axes(self) -> np.ndarray:
        """(3, 3): the rows are the world directions of picture right, picture down and forward."""
        sy, cy, sp, cp = np.sin(self.yaw), np.cos(self.yaw), np.sin(self.pitch), np.cos(self.pitch)
        forward = np.array([sy * cp, sp, cy * cp])
        right = np.array([cy, 0.0, -sy])
        down = np.array([sy * sp, -cp, cy * sp])
        sr, cr = np.sin(self.roll), np.cos(self.roll)
        return np.stack([cr * right - sr * down, sr * right + cr * down, forward])

    def view(self, points: np.ndarray) -> np.ndarray:
        """World points (..., 3) in camera coordinates: right, down, depth."""
        return (np.asarray(points, np.float64) - self.position) @ self.axes.T

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """World points (..., 3) to picture pixels (..., 2) and depths (...) in metres."""
        seen = self.view(points)
        depth = np.maximum(seen[..., 2], 1e-6)
        centre = np.array(self.size) / 2
        return seen[..., :2] / depth[..., None] * self.focal + centre, seen[..., 2]

    def polygon(self, points: np.ndarray) -> np.ndarray:
        """Project a planar world polygon (N, 3), cut at the near plane; (M, 2) pixels, M = 0 when behind."""
        seen = self.view(points)
        kept = []
        for here, there in zip(seen, np.roll(seen, -1, axis=0), strict=True):
            if here[2] >= NEAR:
                kept.append(here)
            if (here[2] >= NEAR) != (there[2] >= NEAR):
                kept.append(here + (there - here) * (NEAR - here[2]) / (there[2] - here[2]))
        if len(kept) < 3:
            return np.empty((0, 2))
        flat = np.array(kept)
        return flat[:, :2] / flat[:, 2:] * self.focal + np.array(self.size) / 2

    def rays(self, x0: float, y0: float, width: int, height: int, step: float) -> tuple[np.ndarray, ...]:
        """Unit directions through the centres of a grid of cells of ``step`` pixels: X, Y, Z planes (height, width)."""
        right = ((x0 + (np.arange(width) + 0.5) * step - self.size[0] / 2) / self.focal).astype(np.float32)[None]
        down = ((y0 + (np.arange(height) + 0.5) * step - self.size[1] / 2) / self.focal).astype(np.float32)[:, None]
        axes = self.axes.astype(np.float32)
        length = 1 / np.sqrt(right * right + (down * down + 1))
        return tuple((right * axes[0, k] + (down * axes[1, k] + axes[2, k])) * length for k in range(3))

    def ground_map(self) -> np.ndarray:
        """(3, 3) homography from picture pixels to ground coordinates (X, Z), homogeneous; valid below the horizon."""
        # A pixel's ray p + t d meets Y = 0 at t = -p_y / d_y: X = p_x - p_y d_x / d_y, Z likewise.
        to_ray = self.axes.T @ np.array(
            [
                [1 / self.focal, 0, -self.size[0] / 2 / self.focal],
                [0, 1 / self.focal, -self.size[1] / 2 / self.focal],
                [0, 0, 1],
            ]
        )
        x, y, z = self.position
        return np.stack([x * to_ray[1] - y * to_ray[0], z * to_ray[1] - y * to_ray[2], to_ray[1]])


def place(points: np.ndarray, x: float, z: float, heading: float, y: float = 0.0) -> np.ndarray:
    """Turn body points (..., 3) by a heading about the vertical (0 looks along +Z) and move them to (x, y, z)."""
    s, c = np.sin(heading), np.cos(heading)
    out = np.empty(points.shape)
    out[..., 0] = points[..., 0] * c + points[..., 2] * s + x
    out[..., 1] = points[..., 1] + y
    out[..., 2] = points[..., 2] * c - points[..., 0] * s + z
    return out
