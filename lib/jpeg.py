"""How a JPEG was made, and how to make another like it, also where the picture was turned meanwhile."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import JpegImagePlugin

FINE_STEP = 4  # quantisation off the old grid adds at most this squared over 12: over 40 dB in RGB
_SUBSAMPLED = ((1, 1), (2, 1), (2, 2))  # by Pillow's number: columns and rows of the picture to one of chroma


@dataclass(frozen=True)
class JpegSettings:
    """What decides how a JPEG encoder rounds.

    Attributes:
        tables: per component, or the last for all further ones, 64 quantisation steps in natural order.
        subsampling: 0 for 4:4:4, 1 for 4:2:2, 2 for 4:2:0.
        progressive: several scans.
    """

    tables: tuple[tuple[int, ...], ...]
    subsampling: int
    progressive: bool

    def options(self) -> dict[str, Any]:
        """For Pillow's ``Image.save``."""
        return {
            "qtables": [list(table) for table in self.tables],
            "subsampling": self.subsampling,
            "progressive": self.progressive,
        }


def settings_of(image: JpegImagePlugin.JpegImageFile, orientation: int, grey: bool) -> JpegSettings:
    """The settings that write an opened JPEG again after it was turned by its EXIF orientation.

    Writing what was just read with the same tables on the same grid changes next to nothing. Turning transposes
    tables, and moves the grid where a mirrored side is no multiple of its blocks: the steps of the
    components concerned are then at most FINE_STEP. 4:2:2 on its side, chroma of which half a sample moved,
    and samplings that Pillow cannot write become 4:4:4.

    Args:
        image: opened; need not be loaded.
        orientation: EXIF's, 1 to 8.
        grey: only the first component will be written.
    """
    sampling = JpegImagePlugin.get_sampling(image)
    across, down = _SUBSAMPLED[max(sampling, 0)]
    sideways = orientation >= 5
    mirrored = [(image.width, across)] if orientation in (2, 3, 7, 8) else []
    mirrored += [(image.height, down)] if orientation in (3, 4, 6, 7) else []
    kept = sampling >= 0 and not (sideways and sampling == 1) and all(side % step == 0 for side, step in mirrored)
    aligned = [all(side % 8 == 0 for side, _ in mirrored)]
    aligned += 2 * [kept and all(side % (8 * step) == 0 for side, step in mirrored)]
    steps = [np.reshape(image.quantization[layer[3]], (8, 8)) for layer in image.layer]
    tables = []
    for component in range(1 if grey else 3):
        table = steps[min(component, len(steps) - 1)]
        table = table.T if sideways else table
        table = table if aligned[component] else np.minimum(table, FINE_STEP)
        tables.append(tuple(table.ravel().tolist()))
    return JpegSettings(tuple(tables), sampling if kept and not grey else 0, bool(image.info.get("progressive")))
