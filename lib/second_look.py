"""A closer look at each region that a segmentation network takes for a plate, or nearly, with the very same network.

How large a plate appears decides how well it is found. Where the first look is at all of a picture, the second brings
each region to one size, with what is round it, and both have their say. Several scales of a picture are often averaged
(Simonyan and Zisserman 2015, *Very deep convolutional networks for large-scale image recognition*, section 4.2); here
the second is for those places alone where there is something to be told.
"""

from collections.abc import Callable
from operator import itemgetter

import cv2
import numpy as np

from lib.crops import for_opencv
from lib.masks import Component, components
from lib.platenet import COARSE
from lib.transforms import GREY

LOOSE = 0.96  # a region is where P(background) is below it ...
WORTH = 0.8  # ... and looked at again if P(background) somewhere is below this: fainter ones are hardly ever plates
SIZE = (320, 256)  # pixels, width and height, of what is looked at: multiples of `lib.platenet.STRIDE`
WIDE = 96.0  # pixels: how wide a region is in it, or twice as high
LEAST = (6.0, 3.0)  # pixels of the picture: a region is taken for at least this wide and high
MOST = 40  # regions of a picture that are looked at again, the surest; all others keep what was said of them
SAY = 2.0  # how much the second look counts beside the first: the network was trained for it (`lib.looks`)
ODDS = 1e-4  # probabilities are kept this far from 0 and 1, so that no look alone decides


def log_odds(probability: np.ndarray) -> np.ndarray:
    """Natural logarithm of p / (1 - p), of p kept within `ODDS` of 0 and 1."""
    kept = np.clip(probability, ODDS, 1 - ODDS)
    return np.log(kept / (1 - kept))


def candidates(background: np.ndarray, worth: float = WORTH) -> list[Component]:
    """Regions of P(background) ``(h, w)`` that may be plates, somewhere below ``worth``; `MOST`, the surest first."""
    told = [(float(background[r.rows, r.columns][r.mask].min()), r) for r in components(background < LOOSE)]
    return [region for _, region in sorted((each for each in told if each[0] < worth), key=itemgetter(0))[:MOST]]


def aim(box: np.ndarray) -> tuple[np.ndarray, float]:
    """The middle of a box (left, top, right, bottom), and how many times larger a second look shows it."""
    sides = np.maximum(box[2:] - box[:2], LEAST)
    return (box[:2] + box[2:]) / 2, WIDE / max(sides[0], 2 * sides[1])


def closer(rgb: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What is round a box in a picture, uint8 ``(H, W, 3)``, at the size of a second look; grey beyond the border.

    Args:
        box: left, top, right, bottom in pixels.

    Returns:
        uint8 ``(256, 320, 3)``, and how the picture's pixels lie in it, float64 ``(2, 2)``: for x and y the scale, and
        where the picture's 0 is.
    """
    middle, scale = aim(box)
    origin = np.array(SIZE) / 2 - middle * scale
    low = np.floor(np.maximum(-origin / scale, 0)).astype(int)  # the part of the picture that is seen
    high = np.ceil(np.minimum((np.array(SIZE) - origin) / scale, rgb.shape[1::-1])).astype(int)
    part = rgb[low[1] : high[1], low[0] : high[0]]
    if scale < 1:  # shrunk by areas first, so that no pixel is skipped
        size = np.maximum(np.round((high - low) * scale), 1).astype(int)
        part = cv2.resize(part, size.tolist(), interpolation=cv2.INTER_AREA)
    stretch = scale * (high - low) / part.shape[1::-1]
    border = {"borderMode": cv2.BORDER_CONSTANT, "borderValue": (GREY,) * 3}
    crop = cv2.warpAffine(part, _moved(stretch, origin + low * scale), SIZE, flags=cv2.INTER_LINEAR, **border)
    return crop, np.stack([np.full(2, scale), origin], axis=1)


def _moved(scale: np.ndarray, origin: np.ndarray) -> np.ndarray:
    matrix = np.diag([*scale, 1.0])
    matrix[:2, 2] = origin
    return for_opencv(matrix)[:2]


def look_again(rgb: np.ndarray, background: np.ndarray, answer: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """P(background), float32 ``(h, w)``, after a closer look at each region that may be a plate.

    In the pixels of a region it is the mean of both looks' log odds, the second counted `SAY` times; in all others
    what it was.

    Args:
        rgb: the picture, uint8 ``(H, W, 3)``.
        background: P(background) of the first look, float32 ``(h, w)``, of the picture or a copy of another size.
        answer: from uint8 ``(256, 320, 3)`` to P(background) at a quarter of the size.
    """
    stretch = np.array([big / small for big, small in zip(rgb.shape[1::-1], background.shape[::-1], strict=True)])
    worth = candidates(background)
    after = background.copy() if worth else background
    for region in worth:
        (top, bottom), (left, right) = ((part.start, part.stop) for part in (region.rows, region.columns))
        box = np.array([left, top, right, bottom]) * np.tile(stretch, 2)
        crop, into = closer(rgb, box)
        seen = log_odds(answer(crop))
        scale, origin = into.T / COARSE  # from the region's box in this copy to the answer
        matrix = _moved(stretch * scale, np.array([left, top]) * stretch * scale + origin)
        how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        size = (right - left, bottom - top)
        second = cv2.warpAffine(seen, matrix, size, flags=how, borderMode=cv2.BORDER_REPLICATE)[region.mask]
        first = log_odds(background[region.rows, region.columns][region.mask])
        after[region.rows, region.columns][region.mask] = 1 / (1 + np.exp(-(first + SAY * second) / (1 + SAY)))
    return after
