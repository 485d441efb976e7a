"""What is known of a rendered picture: its plates, their corners, their characters."""

from dataclasses import dataclass, field

import cv2
import numpy as np

VERSION = 1  # bump when pictures change: caches of rendered scenes are keyed by it


@dataclass(frozen=True, eq=False)
class Character:
    """One character of a plate.

    Attributes:
        char: a capital letter or a digit.
        corners: float32 (4, 2), pixels of the picture; top left, top right, bottom right, bottom left as a reader
            of the plate sees them. May lie partly outside the picture.
    """

    char: str
    corners: np.ndarray


@dataclass(frozen=True, eq=False)
class Plate:
    """One number plate.

    Coordinates are continuous: (0, 0) is the outer corner of the first pixel, (width, height) that of the last.

    Attributes:
        text: its characters in reading order, without blanks and hyphens; as long as ``characters``.
        corners: float32 (4, 2), top left, top right, bottom right, bottom left in the plate's own reading order; may
            lie outside the picture.
        bbox: x, y, width, height in pixels: the corners' axis-aligned hull clipped to the frame.
        characters: every character's place.
        look: a name out of ``LOOKS``.
        occluded: share of the plate's area that does not show (behind something, or outside the frame), 0 to 1.
        angle: degrees between the direction to the camera and the plate's normal, 0 to 90.
        light: ``"day"``, ``"dusk"`` or ``"night"``.
        cover: float32 (h, w), the share of each pixel that shows the plate and nothing before it, from ``place`` on
            (x, y); None where that is not known.
    """

    text: str
    corners: np.ndarray
    bbox: tuple[float, float, float, float]
    characters: tuple[Character, ...]
    look: str
    occluded: float
    angle: float
    light: str
    cover: np.ndarray | None = None
    place: tuple[int, int] = (0, 0)


@dataclass(frozen=True, eq=False)
class Scene:
    """One rendered picture and the truth about it.

    Attributes:
        image: uint8 (H, W, 3), RGB.
        plates: from the farthest to the nearest vehicle; in a clip a plate keeps its place in that order.
        kind: a name out of ``KINDS``.
        light: ``"day"``, ``"dusk"`` or ``"night"``.
        seed, index: what the scene was drawn from.
        quality: the JPEG quality drawn for it, 55 to 92.
    """

    image: np.ndarray
    plates: tuple[Plate, ...]
    kind: str
    light: str
    seed: int
    index: int
    quality: int = field(default=85)


def encode(scene: Scene) -> bytes:
    """JPEG bytes of a scene at the quality that was drawn for it (4:2:0 subsampling, no metadata)."""
    done, data = cv2.imencode(
        ".jpg", cv2.cvtColor(scene.image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, scene.quality]
    )
    if not done:
        raise RuntimeError(f"scene {scene.seed}/{scene.index} could not be encoded as JPEG.")
    return data.tobytes()


def hull_box(corners: np.ndarray, width: int, height: int) -> tuple[float, float, float, float]:
    """The axis-aligned hull (x, y, width, height) of (N, 2) corners, clipped to a frame; zero-sized when outside."""
    low = np.clip(corners.min(0), 0, (width, height))
    high = np.clip(corners.max(0), 0, (width, height))
    return float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1])
