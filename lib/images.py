"""Untrusted bytes to pixels and back: limits, orientation, colours, formats, and not a byte of metadata.

What a decoder shows is all that is ever written again: ``encode`` starts from a bare array, so EXIF with its
thumbnail, XMP, IPTC, ICC profiles, comments, text and whatever follows the end of the picture cannot survive.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO

import cv2
import numpy as np
from PIL import Image, ImageCms, ImageFile, JpegImagePlugin

from lib.colour import grey_to_srgb, on_white, srgb_transform, view8
from lib.jpeg import JpegSettings, settings_of
from lib.settings import PlatesError

MAX_BYTES = 384 * 2**20  # an uncompressed picture of MAX_PIXELS fits
MAX_PIXELS = 120_000_000  # 360 MB of RGB: 12,000 x 9,000, which the largest cameras take
MAX_SIDE = 20_000  # longer pictures come from stitching or attacks, and plates vanish when they are scaled to a network
# Pillow warns of a decompression bomb from 89 million pixels on; the limits above are what counts here.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")
WEBP_QUALITY = 90  # WebP does not say how it was made; this one loses little and grows little

_TURN: dict[int, Callable[[np.ndarray], np.ndarray]] = {  # EXIF 2.32, tag 0x0112, by value
    2: np.fliplr,
    3: lambda pixels: np.rot90(pixels, 2),
    4: np.flipud,
    5: lambda pixels: np.swapaxes(pixels, 0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: np.rot90(np.swapaxes(pixels, 0, 1), 2),
    8: lambda pixels: np.rot90(pixels, 1),
}


class PictureError(PlatesError):
    """A picture that cannot be read, is over a limit, or cannot be written."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture and what writing it in its own format takes.

    Attributes:
        format: one of FORMATS.
        pixels: (H, W) grey or (H, W, 3) sRGB, uint8 or uint16, upright, opaque.
        jpeg: JPEG: how the file was made.
        lossless: WebP: whether the file was.
    """

    format: str
    pixels: np.ndarray
    jpeg: JpegSettings | None = None
    lossless: bool = True

    @property
    def rgb(self) -> np.ndarray:
        """(H, W, 3) uint8 RGB for a network."""
        return view8(self.pixels)


def decode(data: bytes, name: str) -> Picture:
    """Read one picture.

    Limits are checked on the header, before a pixel is decoded. EXIF orientation is applied. Colours of an ICC
    profile and CMYK become sRGB; palettes become RGB; grey stays grey and 1-bit becomes grey. 16 bits stay 16,
    except where a profile other than sRGB forces colour through the 8-bit colour engine. Transparent pictures are
    laid on white, since a plate could hide under alpha; opaque pixels do not change. The preview or gain-map
    pictures that phones append to a JPEG (MPO) are left behind with the metadata.

    Args:
        data: the file's bytes.
        name: what errors call the picture.

    Raises:
        PictureError: no picture, truncated, over a limit, several frames, or an unsupported kind of pixel.
    """
    if len(data) > MAX_BYTES:
        raise PictureError(f"{name}: has {len(data):,} bytes, the limit is {MAX_BYTES:,}; save it smaller.")
    ImageFile.LOAD_TRUNCATED_IMAGES = False  # another library in this process may have allowed half pictures
    try:
        with Image.open(BytesIO(data), formats=FORMATS) as image:
            _check(image, name)
            return _read(image, data, name)
    except PictureError:
        raise
    except Image.UnidentifiedImageError as error:
        raise PictureError(
            f"{name}: is no JPEG, PNG, WebP, BMP or TIFF picture whatever its name says; convert it to one of these."
        ) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PictureError(f"{name}: has over {MAX_PIXELS:,} pixels, the limit; scale it down.") from error
    except Exception as error:  # decoders of hostile bytes raise nearly anything, and none of it may pass
        reason = " ".join(str(error).split()) or type(error).__name__
        raise PictureError(f"{name}: is damaged or cut short ({reason}); get a whole copy of it.") from error


def _check(image: Image.Image, name: str) -> None:
    """Refuse by the header alone what is too large or has later frames that would leave unseen."""
    width, height = image.size
    if max(width, height) > MAX_SIDE:
        raise PictureError(
            f"{name}: is {width:,} x {height:,} pixels and no side may exceed {MAX_SIDE:,}; cut it into parts."
        )
    if width * height > MAX_PIXELS:
        raise PictureError(
            f"{name}: has {width * height:,} pixels, the limit is {MAX_PIXELS:,}; scale it down or cut it into parts."
        )
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":
        raise PictureError(f"{name}: holds {frames} frames or pages; save each as a picture of its own.")


def _read(image: Image.Image, data: bytes, name: str) -> Picture:
    # Pillow brings 16-bit colour down to 8, OpenCV does not; Pillow still loads it, to reject what is truncated.
    depth = data[24] if image.format == "PNG" else max(getattr(image, "tag_v2", {}).get(258, (8,)))
    image.load()
    orientation = _orientation(image)
    if depth == 16 and image.mode in ("RGB", "RGBA", "I;16", "I;16B", "I;16L"):
        pixels = _deep_pixels(data, image, name)
    else:
        pixels = _pixels(image, name)
    pixels = np.ascontiguousarray(_TURN.get(orientation, np.asarray)(pixels))
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        return Picture("JPEG", pixels, settings_of(image, orientation, grey=pixels.ndim == 2))
    return Picture(image.format or "", pixels, lossless=image.format != "WEBP" or not _webp_is_lossy(data))


def _orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 when absent, unknown or unreadable: then the picture leaves as the network saw it."""
    try:
        value = image.getexif().get(0x0112, 1)
    except Exception:
        return 1
    return value if value in _TURN else 1


def pixels_of(image: Image.Image, name: str = "picture") -> np.ndarray:
    """A Pillow image as (H, W) or (H, W, 3) pixels: upright, sRGB, laid on white, uint8 (uint16 for 16-bit grey).

    Raises:
        PictureError: over a limit, or a kind of pixel that is not supported (32-bit, floating point, LAB ...).
    """
    _check(image, name)
    image.load()
    return np.ascontiguousarray(_TURN.get(_orientation(image), np.asarray)(_pixels(image, name)))


def _pixels(image: Image.Image, name: str) -> np.ndarray:
    profile, alpha = image.info.get("icc_profile"), None
    if image.has_transparency_data and image.mode not in ("I", "F"):
        image = image.convert("LA" if image.mode in ("1", "L", "LA", "La") else "RGBA")
        alpha = np.asarray(image.getchannel("A"))
        image = image.convert(image.mode.removesuffix("A"))  # keeps the colours, drops only the channel
    if image.mode in ("1", "P", "RGBX", "YCbCr"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    if image.mode == "L" or image.mode.startswith("I;16"):
        pixels = np.asarray(image)
        pixels = grey_to_srgb(pixels.astype(np.uint8 if image.mode == "L" else np.uint16), profile)
    elif image.mode in ("RGB", "CMYK"):
        transform = srgb_transform(profile, image.mode)
        if transform is not None:
            image = ImageCms.applyTransform(image, transform)
        pixels = np.array(image if image.mode == "RGB" else image.convert("RGB"))
    else:
        raise PictureError(f"{name}: has pixels of the kind {image.mode!r}; save it as RGB or grey of 8 or 16 bits.")
    return pixels if alpha is None else on_white(pixels, alpha)


def _deep_pixels(data: bytes, image: Image.Image, name: str) -> np.ndarray:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16 or (pixels.ndim == 3 and pixels.shape[2] not in (3, 4)):
        raise PictureError(f"{name}: has 16-bit pixels of an unsupported kind; save it as 16-bit RGB or grey.")
    profile, alpha = image.info.get("icc_profile"), None
    if pixels.ndim == 3:
        if pixels.shape[2] == 4:
            alpha = pixels[:, :, 3]
        grey = image.format == "PNG" and data[25] in (0, 4)  # colour types grey, grey with alpha
        pixels = pixels[:, :, 0] if grey else pixels[:, :, 2::-1]
    if pixels.ndim == 2:
        pixels = grey_to_srgb(pixels, profile)
    elif srgb_transform(profile, "RGB") is not None:
        return _pixels(image, name)  # the colour engine takes 8 bits
    return pixels if alpha is None else on_white(pixels, alpha)


def _webp_is_lossy(data: bytes) -> bool:
    """Whether a RIFF container's chunks include lossy ``VP8 `` (WebP container specification)."""
    at = 12
    while at + 8 <= len(data):
        if data[at : at + 4] == b"VP8 ":
            return True
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8 + size + size % 2
    return False


def encode(picture: Picture, pixels: np.ndarray) -> bytes:
    """Write pixels in the picture's own format, with nothing beside them.

    PNG, BMP, TIFF (deflate) and WebP that was lossless come back exactly. JPEG keeps its quantisation tables, its
    subsampling and whether it is progressive, as far as turning it allows (`lib.jpeg`).

    Args:
        picture: as decoded.
        pixels: shape and dtype of ``picture.pixels``.

    Raises:
        PictureError: other shape or dtype, or the encoder failed.
    """
    if pixels.shape != picture.pixels.shape or pixels.dtype != picture.pixels.dtype:
        raise PictureError(
            f"pixels are {pixels.dtype} {pixels.shape}, the picture is {picture.pixels.dtype} {picture.pixels.shape}; "
            "pass pixels made from this picture."
        )
    try:
        if pixels.dtype == np.uint16:
            done, data = cv2.imencode(f".{picture.format.lower()}", pixels[..., ::-1] if pixels.ndim == 3 else pixels)
            if not done:
                raise OSError("OpenCV gave no reason")
            return data.tobytes()
        options: dict[str, object] = {}
        if picture.jpeg is not None:
            options = picture.jpeg.options()
        elif picture.format == "WEBP":
            options = {"lossless": picture.lossless, "quality": 60 if picture.lossless else WEBP_QUALITY}
        elif picture.format == "TIFF":
            options = {"compression": "tiff_adobe_deflate"}
        buffer = BytesIO()
        Image.fromarray(pixels).save(buffer, picture.format, **options)
        return buffer.getvalue()
    except Exception as error:
        raise PictureError(
            f"the picture cannot be written as {picture.format} ({error}); convert it to PNG."
        ) from error
