"""Pictures as uint8 tensors, and the paper's crop and augmentations on the model's device.

Decoding is the slow part, so it happens once: `Pictures` holds every photograph as uint8, squashed to
one square, with its boxes. A random crop of the square, mapped through the photograph's own aspect
ratio, is the same crop of the photograph. Each drawn picture has its own seed, so that a batch does
not depend on what was drawn before it, on the batch size or on the number of processes.
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import datasets
import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as TF

from lib.settings import PlatesError

SIDE = 320  # the paper's input, pixels
STORED = 448  # stored a little larger than SIDE, so that zooming in has pixels to show

SMALLEST_CROP = 0.08  # share of the photograph's area: torchvision's default and so the authors'

# The paper's augmentations beside the crop (section 4.2); colour and blur leave the boxes where they are.
AUGMENTATIONS: dict[str, v2.Transform] = {
    "photometric": v2.RandomPhotometricDistort(p=0.3),
    "flip": v2.RandomHorizontalFlip(p=0.3),
    "blur": v2.GaussianBlur(kernel_size=(5, 9), sigma=(0.1, 5.0)),
}


@dataclass(frozen=True)
class Pictures:
    """A split in memory.

    Attributes:
        pixels: uint8 ``(N, 3, STORED, STORED)`` RGB, each photograph squashed to a square.
        boxes: float32 ``(N, K, 4)``: left, top, right, bottom as shares 0..1 of the photograph,
            padded with boxes of no area.
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
        keep = torch.randperm(len(self), generator=torch.Generator().manual_seed(seed))[:limit].sort().values
        return Pictures(self.pixels[keep], self.boxes[keep], self.aspect[keep], self.image_ids[keep])

    @classmethod
    def from_dataset(
        cls, split: datasets.Dataset, limit: int | None = None, seed: int = 0, stored: int = STORED
    ) -> "Pictures":
        """Decode ``split`` once, on all cores.

        Args:
            split: a split of `lib.data.load_plates`.
            limit: keep this many pictures, drawn with ``seed`` so that every source is among them.
            stored: side in pixels of the stored squares.

        Raises:
            PlatesError: the split has no picture, or a picture cannot be decoded (named).
        """
        if limit is not None and limit < len(split):
            order = np.random.default_rng(seed).permutation(len(split))[:limit]
            split = split.select(sorted(order.tolist()))
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


def _squash(split: datasets.Dataset, index: int, name: str, stored: int) -> np.ndarray:
    try:
        picture: Image.Image = split[index]["image"]
        squashed = picture.convert("RGB").resize((stored, stored), Image.Resampling.BILINEAR, reducing_gap=2.0)
    except (OSError, ValueError, SyntaxError) as error:
        raise PlatesError(f"{name}: cannot be decoded ({error}); replace the file or remove its entry.") from error
    return np.asarray(squashed).transpose(2, 0, 1)


def _relative_boxes(rows: dict[str, Sequence]) -> Tensor:
    most = max(1, *(len(objects["bbox"]) for objects in rows["objects"]))
    boxes = torch.zeros((len(rows["objects"]), most, 4))
    for i, (objects, width, height) in enumerate(zip(rows["objects"], rows["width"], rows["height"], strict=True)):
        for k, (x, y, w, h) in enumerate(objects["bbox"]):
            boxes[i, k] = torch.tensor([x / width, y / height, (x + w) / width, (y + h) / height])
    return boxes


def box_masks(boxes: Tensor, side: int = SIDE) -> Tensor:
    """Paint boxes ``(B, K, 4)`` (shares of the picture) into bool masks ``(B, side, side)``.

    A pixel is plate when its centre lies in a box: the paper's masks (section 3).
    """
    centres = (torch.arange(side, device=boxes.device) + 0.5) / side
    left, top, right, bottom = (edge.unsqueeze(-1) for edge in boxes.unbind(-1))  # (B, K, 1) each
    across = (centres >= left) & (centres < right)  # (B, K, side)
    down = (centres >= top) & (centres < bottom)
    return torch.einsum("bky,bkx->byx", down.float(), across.float()) > 0


def full_frame(pictures: Pictures, side: int = SIDE) -> tuple[Tensor, Tensor]:
    """Every picture whole: uint8 ``(N, 3, side, side)`` and bool masks ``(N, side, side)``.

    The full-frame protocol: what a user's photograph goes through, without any drawing of lots.
    """
    pixels = torch.cat([TF.resize(p, [side, side], antialias=True) for p in pictures.pixels.split(64)])
    return pixels, box_masks(pictures.boxes, side)


@dataclass(frozen=True)
class Augment:
    """The paper's random crop and zoom, then the augmentations asked for, on a whole batch.

    Attributes:
        names: any of `AUGMENTATIONS`; the paper's final choice is ``("blur",)``, its baseline ``()``.
        side: side in pixels of what comes out.
        smallest_crop: least share of the photograph's area that a crop shows, in (0, 1].

    Raises:
        PlatesError: a name is unknown.
    """

    names: tuple[str, ...] = ()
    side: int = SIDE
    smallest_crop: float = SMALLEST_CROP

    def __post_init__(self) -> None:
        for name in self.names:
            if name not in AUGMENTATIONS:
                raise PlatesError(f"augmentation {name!r} is unknown; choose from {', '.join(AUGMENTATIONS)}.")

    def __call__(self, pictures: Pictures, index: Tensor, seeds: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Draw one crop of each picture ``index``, with its own seed.

        Args:
            index: int64 ``(B,)`` into ``pictures``.
            seeds: int64 ``(B,)``, one for each picture.

        Returns:
            uint8 pictures ``(B, 3, side, side)``, bool masks ``(B, side, side)`` and the boxes
            ``(B, K, 4)`` as shares of the crop, clipped to it.
        """
        drawn, boxes = [], []
        with torch.random.fork_rng(devices=[]):  # torchvision draws from the global generator
            for i, seed in zip(index.tolist(), seeds.tolist(), strict=True):
                torch.default_generator.manual_seed(seed)
                pixels, moved = self._draw(pictures.pixels[i], pictures.boxes[i], float(pictures.aspect[i]))
                drawn.append(pixels)
                boxes.append(moved)
        moved_boxes = torch.stack(boxes)
        return torch.stack(drawn), box_masks(moved_boxes, self.side), moved_boxes

    def _draw(self, pixels: Tensor, boxes: Tensor, aspect: float) -> tuple[Tensor, Tensor]:
        stored = pixels.shape[-1]
        top, left, height, width = _crop_window(stored, aspect, self.smallest_crop)
        pixels = TF.resized_crop(pixels, top, left, height, width, [self.side, self.side], antialias=True)
        origin = boxes.new_tensor([left, top, left, top])
        extent = boxes.new_tensor([width, height, width, height])
        boxes = ((boxes * stored - origin) / extent).clamp(0, 1)
        for name in self.names:
            if name == "flip":
                if torch.rand(()) < AUGMENTATIONS["flip"].p:
                    pixels, boxes = pixels.flip(-1), _mirrored(boxes)
            else:
                pixels = AUGMENTATIONS[name](pixels)
        return pixels, boxes


def _crop_window(stored: int, aspect: float, smallest: float) -> tuple[int, int, int, int]:
    """Torchvision's crop of a photograph of this aspect: top, left, height, width in stored pixels."""
    shape = torch.empty(0, device="meta").new_empty((3, stored, max(1, round(stored * aspect))))
    window = v2.RandomResizedCrop(SIDE, scale=(smallest, 1.0)).make_params([shape])
    squash = stored / shape.shape[-1]
    left = min(round(window["left"] * squash), stored - 1)
    width = max(1, min(round(window["width"] * squash), stored - left))
    return window["top"], left, window["height"], width


def _mirrored(boxes: Tensor) -> Tensor:
    left, top, right, bottom = boxes.unbind(-1)
    return torch.stack([1 - right, top, 1 - left, bottom], -1)


def batches(count: int, batch: int, seed: int, epoch: int, drop_last: bool = True) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch's order: pairs of int64 picture indices and seeds, ``(batch,)`` each.

    A function of its arguments alone, so that a resumed run sees what the uninterrupted one saw.
    Fewer pictures than ``batch`` make one batch of all of them.
    """
    draw = torch.Generator().manual_seed(hash((seed, epoch)) % 2**63)
    order = torch.randperm(count, generator=draw)
    seeds = torch.randint(2**62, (count,), generator=draw)
    stop = count - count % batch if drop_last and count >= batch else count
    for start in range(0, stop, batch):
        yield order[start : start + batch][: stop - start], seeds[start : start + batch][: stop - start]


def random_crops(pictures: Pictures, seed: int, side: int = SIDE) -> tuple[Tensor, Tensor]:
    """One seeded crop of every picture: the authors' test protocol, made repeatable.

    Returns:
        uint8 pictures ``(N, 3, side, side)`` and bool masks ``(N, side, side)``.
    """
    seeds = torch.randint(2**62, (len(pictures),), generator=torch.Generator().manual_seed(seed))
    pixels, masks, _ = Augment(side=side)(pictures, torch.arange(len(pictures)), seeds)
    return pixels, masks


def to_input(pixels: Tensor) -> Tensor:
    """uint8 pictures to what the networks take: float in 0..1, channels last in memory."""
    return pixels.to(dtype=torch.float32, memory_format=torch.channels_last).div_(255)
