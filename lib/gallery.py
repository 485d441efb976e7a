"""Pictures in memory in their own shape, with their plates' outlines: what `lib.crops` cuts from.

`lib.pictures` squashes to one square, as the paper does; a network that takes any size need not see squashed plates.
"""

import hashlib
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import datasets
import numpy as np
from PIL import Image

from lib.data import plates_of
from lib.pictures import lots
from lib.settings import PlatesError
from lib.transforms import LONGEST
from lib.unlabelled import as_outlines


@dataclass(frozen=True)
class Gallery:
    """Pictures of one or several splits.

    Attributes:
        pixels: uint8 ``(H, W, 3)`` RGB each, the longer side at most `lib.transforms.LONGEST`.
        outlines: float32 ``(K, 4, 2)`` each: the plates' quadrilaterals where known, else their boxes, in pixels of
            the stored picture.
        ignored: float32 ``(K, 4, 2)`` each: regions of which nobody says whether they are plates.
        sources: where each is from.
    """

    pixels: list[np.ndarray]
    outlines: list[np.ndarray]
    ignored: list[np.ndarray]
    sources: list[str]

    def __len__(self) -> int:
        return len(self.pixels)

    def __add__(self, other: "Gallery") -> "Gallery":
        return Gallery(*(one + two for one, two in zip(self._parts(), other._parts(), strict=True)))

    def _parts(self) -> tuple[list, ...]:
        return self.pixels, self.outlines, self.ignored, self.sources

    def select(self, keep: Sequence[int]) -> "Gallery":
        """Some of the pictures."""
        return Gallery(*([part[i] for i in keep] for part in self._parts()))

    def sample(self, limit: int | None, seed: int) -> "Gallery":
        """At most ``limit`` of the pictures, the very ones that `lib.pictures.Pictures.sample` draws."""
        return self if limit is None or limit >= len(self) else self.select(lots(len(self), limit, seed).tolist())

    def fingerprint(self) -> str:
        """Sixteen characters that tell these pictures from others: of shapes, outlines and one pixel in 256."""
        told = hashlib.sha256()
        for pixels, *outlines in zip(self.pixels, self.outlines, self.ignored, strict=True):
            told.update(np.array(pixels.shape).tobytes() + pixels[::16, ::16].tobytes())
            told.update(b"".join(each.tobytes() for each in outlines))
        return told.hexdigest()[:16]

    @classmethod
    def from_dataset(cls, split: datasets.Dataset, longest: int = LONGEST, found: bool = False) -> "Gallery":
        """Decode a split of `lib.data.load_plates` once, on all cores.

        Args:
            split: its pictures and labels.
            longest: the longer side of the pictures kept is at most this many pixels.
            found: with the plates too that nobody labelled (`lib.unlabelled`).

        Raises:
            PlatesError: a picture cannot be decoded (named).
        """
        rows = split.remove_columns("image")

        def decode(index: int) -> tuple[np.ndarray, ...]:
            row = rows[index]
            scale = min(1.0, longest / max(row["width"], row["height"]))
            size = (max(1, round(row["width"] * scale)), max(1, round(row["height"] * scale)))
            try:
                picture: Image.Image = split[index]["image"].convert("RGB")
                pixels = np.array(picture if scale == 1 else picture.resize(size, Image.Resampling.BILINEAR))
            except (OSError, ValueError, SyntaxError) as error:
                told = f"{row['file_name']}: cannot be decoded ({error}); replace the file or remove its entry."
                raise PlatesError(told) from error
            stretch = (size[0] / row["width"], size[1] / row["height"])
            told = plates_of(row)
            outlines = [[each.outline for each in told if each.iscrowd == group] for group in (False, True)]
            if found:
                outlines = [
                    [*known, *more] for known, more in zip(outlines, as_outlines(row["file_name"]), strict=True)
                ]
            stretched = ([outline * stretch for outline in part] for part in outlines)
            return pixels, *(np.array(part, dtype=np.float32).reshape(-1, 4, 2) for part in stretched)

        with ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow lets go of the interpreter while it works
            decoded = list(pool.map(decode, range(len(split))))
        return cls(*([each[part] for each in decoded] for part in range(3)), list(rows["source"]))


def without_plates(pictures: Iterable[np.ndarray], source: str = "scenes") -> Gallery:
    """Pictures, uint8 ``(H, W, 3)``, that have no plate."""
    pixels = list(pictures)
    none = [np.zeros((0, 4, 2), np.float32)] * len(pixels)
    return Gallery(pixels, none, none, [source] * len(pixels))
