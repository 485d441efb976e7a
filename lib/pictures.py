"""A split's pictures in memory, decoded once: the slow part of feeding a network.

Every photograph is kept as uint8, squashed to one square, with its boxes; `lib.transforms` crops from there.
"""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import datasets
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from lib.settings import PlatesError

STORED = 448  # a little larger than the network's 320, so that zooming in has pixels to show


@dataclass(frozen=True)
class Pictures:
    """A split in memory.

    Attributes:
        pixels: uint8 ``(N, 3, STORED, STORED)`` RGB, each photograph squashed to a square.
        boxes: float32 ``(N, K, 4)``: left, top, right, bottom of the plates (regions to ignore are none) as
            shares 0..1 of the photograph, padded with boxes of no area.
        aspect: float32 ``(N,)``: width / height of the photograph.
        image_ids: int64 ``(N,)``.
    """

    pixels: Tensor
    boxes: Tensor
    aspect: Tensor
    image_ids: Tensor

    def __len__(self) -> int:
        return len(self.pixels)

    def to(self, device: torch.device) -> "Pictures":
        """The same pictures with pixels and boxes on ``device``."""
        return replace(self, pixels=self.pixels.to(device), boxes=self.boxes.to(device))

    def sample(self, limit: int | None, seed: int) -> "Pictures":
        """At most ``limit`` of the pictures, drawn with ``seed``; all of them for None."""
        if limit is None or limit >= len(self):
            return self
        keep = lots(len(self), limit, seed)
        return Pictures(self.pixels[keep], self.boxes[keep], self.aspect[keep], self.image_ids[keep])

    def fingerprint(self) -> str:
        """Sixteen characters that tell these pictures from others: of ids, shapes, boxes and one pixel in 256."""
        known = self.boxes[..., 2] > self.boxes[..., 0]  # the padding is none of the picture's
        parts = (self.image_ids, self.aspect, known.sum(1), self.boxes[known], self.pixels[..., ::16, ::16])
        told = hashlib.sha256()
        for part in parts:
            told.update(part.contiguous().cpu().numpy())
        return told.hexdigest()[:16]

    @classmethod
    def from_dataset(
        cls, split: datasets.Dataset, limit: int | None = None, seed: int = 0, stored: int = STORED
    ) -> "Pictures":
        """Decode ``split`` once, on all cores.

        Args:
            split: a split of `lib.data.load_plates`.
            limit: keep this many pictures, drawn with ``seed`` since sources follow one another; the same as
                `sample` draws afterwards.
            stored: side in pixels of the stored squares.

        Raises:
            PlatesError: the split has no picture, or a picture cannot be decoded (named).
        """
        if limit is not None and limit < len(split):
            split = split.select(lots(len(split), limit, seed).tolist())
        if len(split) == 0:
            raise PlatesError("the split holds no picture; choose another folder or split.")
        rows = split.remove_columns("image")[:]
        pixels = torch.empty((len(split), 3, stored, stored), dtype=torch.uint8)

        def decode(index: int) -> None:
            pixels[index] = torch.from_numpy(_squash(split, index, rows["file_name"][index], stored))

        with ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow lets go of the interpreter while it works
            list(pool.map(decode, range(len(split))))
        return cls(
            pixels,
            _relative_boxes(rows),
            torch.tensor([w / h for w, h in zip(rows["width"], rows["height"], strict=True)]),
            torch.tensor(rows["image_id"]),
        )


def lots(count: int, limit: int, seed: int) -> Tensor:
    if limit < 1:
        raise PlatesError(f"a limit of {limit} leaves no picture; give 1 or more, or none for all.")
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed))[:limit].sort().values


def _squash(split: datasets.Dataset, index: int, name: str, stored: int) -> np.ndarray:
    try:
        picture: Image.Image = split[index]["image"]
        squashed = picture.convert("RGB").resize((stored, stored), Image.Resampling.BILINEAR, reducing_gap=2.0)
    except (OSError, ValueError, SyntaxError) as error:
        raise PlatesError(f"{name}: cannot be decoded ({error}); replace the file or remove its entry.") from error
    return np.array(squashed).transpose(2, 0, 1)  # a copy: Pillow's own memory is read-only


def _relative_boxes(rows: dict[str, Sequence]) -> Tensor:
    most = max(1, *(len(objects["bbox"]) for objects in rows["objects"]))
    boxes = torch.zeros((len(rows["objects"]), most, 4))
    for i, (objects, width, height) in enumerate(zip(rows["objects"], rows["width"], rows["height"], strict=True)):
        for k, (x, y, w, h) in enumerate(objects["bbox"]):
            if not objects["iscrowd"][k]:
                boxes[i, k] = torch.tensor([x / width, y / height, (x + w) / width, (y + h) / height])
    return boxes
