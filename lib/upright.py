"""A picture as it is stored: its size and orientation from its header, and where its labels lie once it is upright."""

import io
import re
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.ExifTags import Base

from lib.settings import PlatesError

# Where a stored point (x, y) of a W x H picture lies once the EXIF orientation is applied (Exif 2.32, tag 0x0112).
_UPRIGHT = {
    2: lambda x, y, w, h: (w - x, y),
    3: lambda x, y, w, h: (w - x, h - y),
    4: lambda x, y, w, h: (x, h - y),
    5: lambda x, y, w, h: (y, x),
    6: lambda x, y, w, h: (h - y, x),
    7: lambda x, y, w, h: (h - y, w - x),
    8: lambda x, y, w, h: (y, w - x),
}


def probe(path: Path) -> tuple[tuple[int, int], int, bytes | None]:
    """Stored size, EXIF orientation and, for 16-bit greys that Pillow cannot turn into RGB, the picture as 8-bit PNG.

    Reads headers only, except for what a header cannot tell: a JPEG without its end marker is decoded to see whether
    it is whole, and a PNG may carry its orientation after its pixels.

    Raises:
        PlatesError: it is no picture, damaged, or too large to be read safely.
    """
    try:
        with path.open("rb") as handle:
            image = Image.open(handle)
            size, orientation = image.size, 1
            plain_png = image.format == "PNG" and not re.search(rb"eXIf|adobe.xmp|Raw profile", path.read_bytes())
            if not plain_png:  # which spares decoding them
                orientation = image.getexif().get(Base.Orientation, 1)
            if image.format == "TIFF" and orientation >= 5:
                size = size[::-1]  # Pillow gives that of the upright picture
            if image.format == "JPEG":
                handle.seek(max(0, path.stat().st_size - 65536))
                if b"\xff\xd9" not in handle.read():
                    Image.open(path).load()
            encoded = None
            if image.mode == "I" or image.mode.startswith("I;16"):
                grey = np.asarray(ImageOps.exif_transpose(Image.open(path))).astype(np.int64) >> 8
                buffer = io.BytesIO()
                Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8)).convert("RGB").save(buffer, "PNG")
                encoded = buffer.getvalue()
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PlatesError(f"{path}: has more pixels than can be read safely; scale it down.") from error
    except UnidentifiedImageError as error:
        raise PlatesError(f"{path}: is not a picture; replace it or remove its entry from the annotations.") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise PlatesError(f"{path}: is damaged ({error}); replace it or remove its entry.") from error
    return size, orientation if orientation in _UPRIGHT else 1, encoded


def turn(
    box: list[float], corners: list[float], orientation: int, width: int, height: int
) -> tuple[list[float], list[float]]:
    """Box and corners as they lie once the picture is upright; the corners keep their order of reading.

    Args:
        box: left, top, width, height in stored pixels.
        corners: eight coordinates, or none.
        orientation: as `probe` tells it.
        width, height: of the stored picture.
    """
    if orientation == 1:
        return box, corners
    move = _UPRIGHT[orientation]
    x, y, w, h = box
    (x0, y0), (x1, y1) = move(x, y, width, height), move(x + w, y + h, width, height)
    turned = [move(px, py, width, height) for px, py in zip(corners[::2], corners[1::2], strict=True)]
    return [min(x0, x1), min(y0, y1), abs(x1 - x0), abs(y1 - y0)], [value for point in turned for value in point]
