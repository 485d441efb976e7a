"""The picture while it is painted, far things first, and what of each plate still shows."""

from dataclasses import dataclass, field

import cv2
import numpy as np

from lib.scenes import mesh
from lib.scenes.camera import Camera
from lib.scenes.light import Light, Palette, shade
from lib.scenes.noise import triple
from lib.scenes.plates import PlateDesign


@dataclass(eq=False)
class Track:
    """A painted plate: where it lies, and per pixel which share of the pixel shows it (``cover`` at x0, y0)."""

    design: PlateDesign
    corners: np.ndarray
    cells: np.ndarray  # (N, 4, 2): the characters' corners
    cover: np.ndarray
    x0: int
    y0: int
    area: float
    angle: float
    key: int

    @property
    def occluded(self) -> float:
        """Share of the plate's area that does not show."""
        return float(np.clip(1 - self.cover.sum() / max(self.area, 1e-6), 0, 1))


@dataclass(eq=False)
class Canvas:
    """Linear light, float32 (H, W, 3), seen by a camera, under a light."""

    camera: Camera
    light: Light
    image: np.ndarray
    tracks: list[Track] = field(default_factory=list)

    def haze(self, colour: np.ndarray, depth: float) -> np.ndarray:
        """A colour as it looks through ``depth`` metres of air."""
        clear = np.float32(np.exp(-self.light.haze * depth / 100))
        return colour * clear + (self.light.horizon * (1 - clear)).astype(np.float32)

    def blend(self, colour: np.ndarray, cover: np.ndarray, x0: int, y0: int) -> None:
        """Lay a patch (colour premultiplied by its coverage) over the picture, hiding plates below it."""
        height, width = cover.shape
        left, top = max(-x0, 0), max(-y0, 0)
        right, bottom = min(width, self.image.shape[1] - x0), min(height, self.image.shape[0] - y0)
        if right <= left or bottom <= top:
            return
        cover = cover[top:bottom, left:right]
        x0, y0 = x0 + left, y0 + top
        target = self.image[y0 : y0 + bottom - top, x0 : x0 + right - left]
        target *= triple(1 - cover)
        target += colour[top:bottom, left:right]
        for track in self.tracks:
            tall, wide = track.cover.shape
            ya, yb = max(y0, track.y0), min(y0 + bottom - top, track.y0 + tall)
            xa, xb = max(x0, track.x0), min(x0 + right - left, track.x0 + wide)
            if ya < yb and xa < xb:
                track.cover[ya - track.y0 : yb - track.y0, xa - track.x0 : xb - track.x0] *= (
                    1 - cover[ya - y0 : yb - y0, xa - x0 : xb - x0]
                )

    def solid(self, parts: list[mesh.Part], colours: Palette, mirror: float = 0.0) -> None:
        """Draw world-space parts, lit; ``mirror`` is the strength of their image in a wet ground."""
        buffer = mesh.draw(parts, self.camera)
        if buffer is None:
            return
        colour, cover = shade(buffer, self.camera, self.light, colours)
        colour = self.haze(colour, float(np.median(self.camera.view(mesh.corners_of(parts[-1]))[:, 2])))
        colour *= triple(cover)
        if buffer.step > 0.7:  # cells no finer than pixels: soften the stairs
            colour, cover = cv2.GaussianBlur(colour, (5, 5), 0.8), cv2.GaussianBlur(cover, (5, 5), 0.8)
        size = (round(cover.shape[1] * buffer.step), round(cover.shape[0] * buffer.step))
        how = cv2.INTER_AREA if buffer.step < 1 else cv2.INTER_LINEAR
        colour, cover = cv2.resize(colour, size, interpolation=how), cv2.resize(cover, size, interpolation=how)
        if mirror:
            tall = size[1]
            image = cv2.blur(colour[::-1], (3, max(tall // 9, 3))) * np.float32(mirror)
            fade = cv2.blur(cover[::-1], (3, max(tall // 9, 3))) * np.float32(mirror)
            self.blend(image * 0.7, fade, buffer.x0, buffer.y0 + tall - max(tall // 20, 1))
        self.blend(colour, cover, buffer.x0, buffer.y0)

    def warp(
        self, face: np.ndarray, corners: np.ndarray, cover: np.ndarray | None = None, fine: bool = False
    ) -> tuple[np.ndarray, np.ndarray, int, int] | None:
        """Lay a flat picture on a quadrilateral (4, 2) of the frame.

        ``fine`` samples small ones three by three in each pixel.

        Returns:
            Premultiplied colour, coverage and the place of the patch; None outside the frame.
        """
        height, width = self.image.shape[:2]
        low = np.floor(np.clip(corners.min(0) - 1, 0, (width, height))).astype(int)
        high = np.ceil(np.clip(corners.max(0) + 1, 0, (width, height))).astype(int)
        wide, tall = (high - low).tolist()
        if wide < 1 or tall < 1:
            return None
        fine = 3 if fine and wide * tall < 20_000 else 1
        h, w = face.shape[:2]
        frame = np.float32([[-0.5, -0.5], [w - 0.5, -0.5], [w - 0.5, h - 0.5], [-0.5, h - 0.5]])
        target = ((corners - low) * fine - 0.5).astype(np.float32)
        matrix = cv2.getPerspectiveTransform(frame, target)
        size = (wide * fine, tall * fine)
        colour = cv2.warpPerspective(face, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        mask = np.zeros((size[1], size[0]), np.uint8)
        cv2.fillPoly(
            mask,
            [np.rint(np.clip(target, -1e5, 1e5) * 64).astype(np.int32)],
            255,
            cv2.LINE_AA if fine == 1 else cv2.LINE_8,
            6,
        )
        alpha = mask * np.float32(1 / 255)
        if cover is not None:
            alpha *= cv2.warpPerspective(cover, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        colour *= triple(alpha)
        if fine > 1:
            colour, alpha = (cv2.resize(a, (wide, tall), interpolation=cv2.INTER_AREA) for a in (colour, alpha))
        return colour, alpha, int(low[0]), int(low[1])

    def shadow(self, outline: np.ndarray, strength: float, softness: float) -> None:
        """Darken the ground inside a world polygon (N, 3); ``softness`` in pixels."""
        polygon = self.camera.polygon(outline)
        if len(polygon) < 3 or strength <= 0:
            return
        height, width = self.image.shape[:2]
        pad = 3 * softness + 2
        low = np.floor(np.clip(polygon.min(0) - pad, 0, (width, height))).astype(int)
        high = np.ceil(np.clip(polygon.max(0) + pad, 0, (width, height))).astype(int)
        wide, tall = (high - low).tolist()
        if wide < 2 or tall < 2:
            return
        shrink = 1 if wide * tall < 10_000 else 4
        mask = np.zeros((tall // shrink + 1, wide // shrink + 1), np.uint8)
        cv2.fillPoly(
            mask, [np.rint(np.clip((polygon - low) / shrink, -1e5, 1e5) * 16).astype(np.int32)], 255, cv2.LINE_AA, 4
        )
        soft = cv2.GaussianBlur(mask, (0, 0), max(softness / shrink, 0.6)).astype(np.float32)
        soft = cv2.resize(soft, (wide, tall), interpolation=cv2.INTER_LINEAR) * np.float32(strength / 255)
        self.image[low[1] : high[1], low[0] : high[0]] *= triple(1 - soft)

    def glow(self, point: np.ndarray, colour: np.ndarray, radius: float) -> None:
        """Add a lamp's glare around a world point; ``radius`` in metres."""
        spot, depth = self.camera.project(np.asarray(point)[None])
        if depth[0] < 0.3:
            return
        reach = float(np.clip(radius * self.camera.focal / depth[0], 1.5, 160))
        x, y = spot[0]
        height, width = self.image.shape[:2]
        x0, x1 = int(max(x - 3 * reach, 0)), int(min(x + 3 * reach + 1, width))
        y0, y1 = int(max(y - 3 * reach, 0)), int(min(y + 3 * reach + 1, height))
        if x1 <= x0 or y1 <= y0:
            return
        dx = (np.arange(x0, x1, dtype=np.float32) + 0.5 - np.float32(x)) / np.float32(reach)
        dy = (np.arange(y0, y1, dtype=np.float32) + 0.5 - np.float32(y)) / np.float32(reach)
        square = dx[None] ** 2 + dy[:, None] ** 2
        fall = (
            np.exp(-6 * square) + 0.10 * np.exp(-square) + 0.05 * np.exp(-40 * dy[:, None] ** 2 - 0.8 * dx[None] ** 2)
        )
        self.image[y0:y1, x0:x1] += triple(fall) * np.asarray(colour, np.float32)
