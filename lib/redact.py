"""Fill, blur or pixelate a region so that it cannot be read.

A blur is undone by rendering every candidate text, blurring it alike and comparing (Hill et al. 2016, "On the
(In)effectiveness of Mosaicing and Blurring as Tools for Document Redaction"). `lib.attack` does it: of a Gaussian of
two region heights, and even of a region's one mean colour told to a 255th, it still reads more than chance. So what
``blur`` and ``pixelate`` take from a region is a mean colour for every few heights, in coarse steps, and nothing else;
an ordinary plate becomes one colour.
Lengths are measured in the region's own height, never in fixed pixels, and have a floor that no argument can lower.
``fill`` is the default: what it leaves holds nothing of what was there, and needs no measurement to say so.
"""

import cv2
import numpy as np

from lib.masks import Component, components
from lib.settings import PlatesError

MODES = ("fill", "blur", "pixelate")
FILL = 0.4  # a grey, as a share of the type's range: less ringing in a JPEG than black beside a white plate
BLOCK = 4.0  # least length of a slab in region heights: it averages the whole height and four characters or more
STEP = 1 / 3  # of a slab's colour, as a share of the type's range: a finer one tells how much ink there was
BLUR_SIGMA = 1.0  # in region heights: how softly one slab passes into the next
_FINE = 16  # rows a blurred region is reduced to: at sigma = 16 of these nothing finer would survive anyway


def redact(pixels: np.ndarray, mask: np.ndarray, mode: str = "fill", strength: float = 1.0) -> np.ndarray:
    """Conceal what lies under a mask; not one pixel outside it changes.

    - ``fill``: one constant grey, whatever was there.
    - ``pixelate``: slabs along the region's long side, each its mean colour in steps of STEP. They are cut evenly, so
      that none is shorter than BLOCK region heights: a narrow rest at the end would give one character away.
    - ``blur``: a Gaussian of BLUR_SIGMA region heights over what ``pixelate`` leaves, so that it tells no more.

    ``blur`` and ``pixelate`` still carry a few bits of what was there; they are for looks.

    Args:
        pixels: (H, W) or (H, W, C), uint8 or uint16.
        mask: (H, W) bool.
        mode: one of MODES.
        strength: factor of at least 1 on the slabs' least length and the sigma.

    Returns:
        A new array like ``pixels``.

    Raises:
        PlatesError: unknown mode, strength below 1, other type or shape.
    """
    if mode not in MODES:
        raise PlatesError(f"mode {mode!r} is unknown; use one of {', '.join(MODES)}.")
    if not 1 <= strength < float("inf"):
        raise PlatesError(f"strength {strength} could leave plates readable; give 1 or more.")
    if pixels.dtype not in (np.uint8, np.uint16) or pixels.ndim not in (2, 3):
        raise PlatesError(f"pixels are {pixels.dtype} {pixels.shape}; give (H, W) or (H, W, C) of uint8 or uint16.")
    if mask.dtype != np.bool_ or mask.shape != pixels.shape[:2]:
        raise PlatesError(f"the mask is {mask.dtype} {mask.shape}; give bool {pixels.shape[:2]} as the picture.")
    out = pixels.copy()
    most = np.iinfo(pixels.dtype).max
    if mode == "fill":
        out[mask] = round(FILL * 255) * (most // 255)
        return out
    for part in components(mask):
        window = out[part.rows, part.columns]
        colours = np.rint(slab_means(window, part, strength) / (STEP * most)) * np.float32(STEP * most)
        if mode == "blur":
            colours = _blur(colours, part, strength)
        window[part.mask] = np.rint(colours[part.mask]).astype(pixels.dtype)
    return out


def slab_means(window: np.ndarray, part: Component, strength: float = 1.0) -> np.ndarray:
    """The mean colour of each slab across a region's long side, before it is rounded; what lies outside counts nowhere.

    Args:
        window: (h, w) or (h, w, C), the pixels of the region's box.
        part: the region.
        strength: factor on BLOCK.

    Returns:
        float32 like ``window``.
    """
    count = max(int(part.length / (BLOCK * strength * part.height)), 1)
    x = (np.arange(part.columns.start, part.columns.stop) + 0.5 - part.center[0]) * part.axis[0] / part.length
    y = (np.arange(part.rows.start, part.rows.stop) + 0.5 - part.center[1]) * part.axis[1] / part.length
    along = np.add.outer(y.astype(np.float32), x.astype(np.float32)) + 0.5  # 0 to 1 along the long side
    slab = np.where(part.mask, np.clip(along * count, 0, count - 1), count).astype(np.int32).ravel()
    pixels = np.maximum(np.bincount(slab, minlength=count + 1), 1)
    channels = window.reshape(slab.size, -1).T
    means = np.stack([np.bincount(slab, channel, count + 1) / pixels for channel in channels], axis=1)
    return means.astype(np.float32)[slab].reshape(window.shape)


def _blur(window: np.ndarray, part: Component, strength: float) -> np.ndarray:
    """Normalised convolution (Knutsson and Westin 1993) of the region with a Gaussian, at reduced size."""
    shrink = max(part.height / _FINE, 1.0)
    height, width = part.mask.shape
    small = (max(round(width / shrink), 1), max(round(height / shrink), 1))
    weight = part.mask.astype(np.float32)
    planes = np.dstack([window.astype(np.float32) * (weight if window.ndim == 2 else weight[:, :, None]), weight])
    sigma = BLUR_SIGMA * strength * part.height / shrink
    # beyond this a wider kernel is flat over the region: the same result for less work
    sigma = min(sigma, 4.0 * max(small))
    planes = cv2.resize(planes, small, interpolation=cv2.INTER_AREA)
    planes = cv2.GaussianBlur(planes.reshape(small[1], small[0], -1), (0, 0), sigma, borderType=cv2.BORDER_CONSTANT)
    colours = planes[:, :, :-1] / np.maximum(planes[:, :, -1:], 1e-12)
    colours = cv2.resize(colours, (width, height), interpolation=cv2.INTER_LINEAR)
    return colours.reshape(window.shape)
