"""The paper's masks, crop and augmentations, for whole batches on the model's device.

Torchvision's own kernels crop the stored uint8 squares one after the other: on a processor that measured three
times as fast as one sampling grid for the batch in floating point, and every picture keeps its own window.
A random crop of a stored square, mapped through the photograph's own aspect ratio, is the same crop of
the photograph. Each drawn picture has its own seed, so that a batch does not depend on what was drawn
before it, on the batch size or on the number of processes.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as TF

from lib.pictures import Pictures
from lib.platenet import STRIDE
from lib.settings import PlatesError

SIDE = 320  # the paper's input, pixels
LONGEST = 640  # the longer side that a network of any size is given; scaled widths are told at this side
GREY = 115  # about the mean of photographs' pixels: what pictures are padded with

SMALLEST_CROP = 0.08  # share of the photograph's area: torchvision's default and so the authors'

# The paper's augmentations beside the crop (section 4.2); colour and blur leave the boxes where they are.
AUGMENTATIONS: dict[str, v2.Transform] = {
    "photometric": v2.RandomPhotometricDistort(p=0.3),
    "flip": v2.RandomHorizontalFlip(p=0.3),
    "blur": v2.GaussianBlur(kernel_size=(5, 9), sigma=(0.1, 5.0)),
}


def box_masks(boxes: Tensor, side: int = SIDE) -> Tensor:
    """Paint boxes ``(B, K, 4)`` (shares of the picture) into bool masks ``(B, side, side)``.

    A pixel is plate when its centre lies in a box: the paper's masks (section 3). A plate thinner than a pixel
    may hold no centre and then leaves no trace.
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


def fit(rgb: np.ndarray, longest: int = LONGEST, stride: int = STRIDE) -> tuple[np.ndarray, float]:
    """A picture uint8 ``(H, W, 3)`` with its longer side brought to ``longest``, padded to multiples of ``stride``.

    Grey is added below and to the right; nothing is squashed.

    Returns:
        The picture, and by how much it was scaled.
    """
    rgb, scale = scale_to(rgb, longest)
    down, right = -rgb.shape[0] % stride, -rgb.shape[1] % stride
    return cv2.copyMakeBorder(rgb, 0, down, 0, right, cv2.BORDER_CONSTANT, value=(GREY,) * 3), scale


def scale_to(rgb: np.ndarray, longest: int) -> tuple[np.ndarray, float]:
    """A picture uint8 ``(H, W, 3)`` with its longer side made ``longest`` pixels; and by how much it was scaled."""
    height, width = rgb.shape[:2]
    scale = longest / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return (rgb if scale == 1 else cv2.resize(rgb, size, interpolation=way)), scale
