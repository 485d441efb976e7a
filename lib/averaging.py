"""What somebody sees of a plate who lays the frames of a film over each other: noise differs, the plate does not.

The mean of n frames has the noise of one divided by the square root of n (as astronomers stack exposures). Corners are
taken from the clip's truth; somebody else has to follow the plate, so that this is the most that can be had.
"""

from collections.abc import Iterable

import cv2
import numpy as np

from lib.crops import for_opencv
from lib.scenes import Scene
from lib.settings import PlatesError

FACE = (440, 130)  # pixels, width and height, of a plate seen from the front


def stacked(clip: Iterable[Scene], text: str) -> tuple[np.ndarray, np.ndarray, int]:
    """One plate of a clip as from the front: in its first frame, and the mean of all frames that it is in.

    Args:
        clip: frames in order, such as `lib.scenes.clip` draws.
        text: the plate's.

    Returns:
        float32 ``(130, 440, 3)`` in levels 0 to 255, twice, and the number of frames.

    Raises:
        PlatesError: no frame has that plate.
    """
    width, height = FACE
    front = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    first, total, count = None, np.zeros((height, width, 3)), 0
    for scene in clip:
        for plate in scene.plates:
            if plate.text == text:
                matrix = cv2.getPerspectiveTransform(plate.corners.astype(np.float32), front).astype(np.float64)
                seen = cv2.warpPerspective(scene.image.astype(np.float32), for_opencv(matrix), FACE)
                first = seen if first is None else first
                total, count = total + seen, count + 1
    if first is None:
        raise PlatesError(f"no frame of this clip has the plate {text!r}; name one of its plates.")
    return first, (total / count).astype(np.float32), count


def stretched(levels: np.ndarray) -> np.ndarray:
    """Levels ``(H, W, 3)`` with their 1st percentile made black and their 99th white, uint8: contrast for the eye."""
    low, high = np.percentile(levels, (1, 99))
    return np.rint(np.clip((levels - low) / max(high - low, 1e-6), 0, 1) * 255).astype(np.uint8)
