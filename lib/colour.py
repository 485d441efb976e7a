"""Colours to sRGB before what explains them is dropped: ICC profiles, tone curves, transparency."""

from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
_SAME_COLOUR = 2  # a profile that moves no colour by more than this is sRGB, and its pixels stay exact


def on_white(pixels: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Pixels (H, W[, 3]) under alpha (H, W) of the same type, over white; exact where alpha is full."""
    full = np.iinfo(pixels.dtype).max
    cover = alpha.astype(np.uint64) if pixels.ndim == 2 else alpha.astype(np.uint64)[:, :, None]
    return ((pixels * cover + full * (full - cover) + full // 2) // full).astype(pixels.dtype)


def srgb_transform(profile: bytes | None, mode: str) -> ImageCms.ImageCmsTransform | None:
    """The transform from a profile to sRGB; None without one, with a broken one, or where it would change nothing."""
    if not profile:
        return None
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
        flags = ImageCms.Flags.BLACKPOINTCOMPENSATION
        transform = ImageCms.buildTransform(source, _SRGB, mode, "RGB", intent, flags)
        if mode == "RGB":
            levels = np.linspace(0, 255, 9).astype(np.uint8)
            colours = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(27, 27, 3)
            seen = np.asarray(ImageCms.applyTransform(Image.fromarray(colours), transform))
            if np.abs(seen.astype(int) - colours).max() <= _SAME_COLOUR:
                return None
    except (ImageCms.PyCMSError, OSError):  # as viewers do: no usable profile means sRGB
        return None
    return transform


def grey_to_srgb(pixels: np.ndarray, profile: bytes | None) -> np.ndarray:
    """Grey (H, W) of either depth through its profile's tone curve, which is sampled at 256 levels."""
    levels = np.arange(256, dtype=np.uint8)
    ramp = Image.fromarray(levels[None])
    transform = srgb_transform(profile, "L")
    if transform is None:  # JPEGs pair grey with RGB profiles
        transform, ramp = srgb_transform(profile, "RGB"), ramp.convert("RGB")
    if transform is None:
        return pixels
    curve = np.asarray(ImageCms.applyTransform(ramp, transform))[0, :, 1].astype(float)
    if np.abs(curve - levels).max() <= _SAME_COLOUR:
        return pixels
    step = np.iinfo(pixels.dtype).max // 255
    table = np.interp(np.arange(256 * step) / step, levels, curve) * step
    return np.rint(table).astype(pixels.dtype)[pixels]


def view8(pixels: np.ndarray) -> np.ndarray:
    """(H, W) or (H, W, 3), uint8 or uint16, as (H, W, 3) uint8; uint8 colour is returned as it is.

    16-bit values are shifted down by what their brightest needs: a 12-bit camera's picture in a 16-bit file would
    otherwise be black to a network, though not to somebody who stretches its contrast.
    """
    if pixels.dtype == np.uint16:
        pixels = (pixels >> max(int(pixels.max()).bit_length() - 8, 0)).astype(np.uint8)
    return pixels if pixels.ndim == 3 else np.repeat(pixels[:, :, None], 3, axis=2)
