"""The crops of `lib.crops` made where the network trains: the device warps and relights a whole batch at once.

Two cores make some 800 crops a second, a GPU learns from many times as many. What a crop is, its place, its light and
its outlines, is drawn on the processor as in `lib.crops`, from the picture's seed alone; only the pixels, and the
targets, are made on the device. They differ from OpenCV's by its rounding.
"""

import os
from collections.abc import Iterator

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from lib.crops import REFERENCE_AREA, Crop
from lib.device_light import relight, table
from lib.gallery import Gallery
from lib.platenet import COARSE
from lib.relight import Light
from lib.transforms import GREY, batches

RIM = 0.5  # pixels beyond an outline that still are its own, as OpenCV paints them


class Plans(Dataset):
    """What each batch of an epoch is to show, as tensors, drawn by whatever process asks for it.

    Args:
        gallery: the pictures, of which sizes and outlines are looked at.
        crop: how crops are drawn.
        small: for `lib.crops.targets`.
        order: which picture stands at each place of an epoch, int64 ``(N,)``.
        drawn: the epoch's batches, `lib.transforms.batches` of N places.
    """

    def __init__(
        self, gallery: Gallery, crop: Crop, small: float, order: np.ndarray, drawn: list[tuple[Tensor, Tensor]]
    ) -> None:
        self.shapes = [pixels.shape[:2] for pixels in gallery.pixels]
        self.outlines, self.ignored = gallery.outlines, gallery.ignored
        self.crop, self.small, self.order, self.drawn = crop, small, order, drawn
        self.canvas = canvas(gallery)

    def __len__(self) -> int:
        return len(self.drawn)

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        places, seeds = self.drawn[number]
        index = torch.from_numpy(self.order[places.numpy()])
        ways, halved, lights, shapes = [], [], [], []
        for place, (picture, seed) in enumerate(zip(index.tolist(), seeds.tolist(), strict=True)):
            rng = np.random.default_rng(seed)
            matrix = self.crop.place(self.shapes[picture], self.outlines[picture], rng)
            halved.append(np.sqrt(abs(np.linalg.det(matrix[:2, :2]))) < 0.6)  # as `lib.crops` shrinks first
            ways.append(np.array([[2, 0, -1], [0, 2, -1], [0, 0, 1]]) @ self._shares(np.linalg.inv(matrix)))
            shapes += [(place, *each) for each in self._shown(picture, matrix)]
            if self.crop.light:
                lights.append(Light.draw(rng, self.crop.side))
        owner, rank, lift, outline = zip(*shapes, strict=True) if shapes else ((), (), (), ())
        made = {
            "index": index,
            "seed": seeds[:1],
            "halved": torch.tensor(halved),
            "ways": torch.from_numpy(np.array(ways, np.float32)),
            "owner": torch.tensor(owner, dtype=torch.int64),
            "rank": torch.tensor(rank, dtype=torch.int64),
            "lift": torch.tensor(lift, dtype=torch.float32),
            "outline": torch.from_numpy(np.array(outline, np.float32).reshape(-1, 4, 2)),
        }
        return made | (table(lights) if lights else {})

    def _shares(self, way: np.ndarray) -> np.ndarray:
        """A map to a picture's pixels as one to shares of the canvas that it lies on."""
        return np.diag([1 / self.canvas, 1 / self.canvas, 1.0]) @ way

    def _shown(self, picture: int, matrix: np.ndarray) -> Iterator[tuple[int, float, np.ndarray]]:
        """Rank, weight and outline of what can be seen in a crop: what is in doubt, weight 0, then plates by size."""
        parts = []
        for outlines, plate in ((self.ignored[picture], False), (self.outlines[picture], True)):
            if not len(outlines):
                continue
            moved = cv2.perspectiveTransform(outlines.reshape(1, -1, 2), matrix).reshape(-1, 4, 2)
            for each in moved.clip(-1e5, 1e5).astype(np.float32):
                area = cv2.contourArea(each)
                lift = float(np.clip((REFERENCE_AREA / max(area, 1.0)) ** self.small, 1, 6)) if plate else 0.0
                seen = (each.max(0) > -1).all() and (each.min(0) < self.crop.side + 1).all()
                parts += [(plate, -area, lift, each)] if seen else []
        for rank, (_, _, lift, each) in enumerate(sorted(parts, key=lambda part: part[:2])):
            yield rank, lift, each


def canvas(gallery: Gallery) -> int:
    """Side of the square, in pixels and even, that holds any of the pictures."""
    longest = max(max(pixels.shape[:2]) for pixels in gallery.pixels)
    return longest + longest % 2


class DeviceCrops:
    """A gallery in a device's memory, whole and at half its size, and the crops that are made of it.

    Attributes:
        whole, half: uint8 ``(N, 3, S, S)`` and ``(N, 3, S / 2, S / 2)``, each picture at the top left, grey beyond.
    """

    def __init__(self, gallery: Gallery, crop: Crop, small: float, device: torch.device) -> None:
        self.gallery, self.crop, self.small, self.device = gallery, crop, small, device
        side = canvas(gallery)
        self.whole = torch.full((len(gallery), 3, side, side), GREY, dtype=torch.uint8, device=device)
        self.half = self.whole[:, :, : side // 2, : side // 2].clone()
        for number, pixels in enumerate(gallery.pixels):
            told = torch.from_numpy(pixels).to(device).permute(2, 0, 1)
            self.whole[number, :, : told.shape[1], : told.shape[2]] = told
            self.half[number] = F.avg_pool2d(self.whole[number].float(), 2).round().to(torch.uint8)
        x, y = torch.meshgrid(*[torch.arange(crop.side, device=device) + 0.5] * 2, indexing="xy")
        self.centres = torch.stack([x, y, torch.ones_like(x)], -1)

    def epoch(self, batch: int, seed: int, epoch: int, order: np.ndarray) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Float pictures ``(B, 3, S, S)`` in 0..1; `lib.crops.targets`' shares and weights, ``(B, 1, S/4, S/4)``."""
        drawn = list(batches(len(order), batch, seed, epoch))
        plans = Plans(self.gallery, self.crop, self.small, order, drawn)
        workers = 0 if self.device.type == "cpu" else min(8, os.cpu_count() or 1)
        ahead = {"prefetch_factor": 4} if workers else {}
        for plan in DataLoader(plans, batch_size=None, num_workers=workers, worker_init_fn=_alone, **ahead):
            yield self.make(plan)

    def make(self, plan: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """One batch as its plan says."""
        seed = int(plan.pop("seed"))
        looked = {key: plan[key] for key in ("halved", "rank", "soft", "pressed") if key in plan}
        told = {key: value.to(self.device, non_blocking=True) for key, value in plan.items()} | looked
        pictures = self._warped(told)
        if self.crop.light:
            pictures = relight(pictures, told, seed)
        return pictures.contiguous(memory_format=torch.channels_last), *self._targets(told)

    def _warped(self, told: dict[str, Tensor]) -> Tensor:
        side, halved = self.crop.side, told["halved"]
        made = torch.empty((len(halved), 3, side, side), device=self.device)
        for level, chosen in ((self.whole, ~halved), (self.half, halved)):
            if not len(rows := chosen.nonzero()[:, 0].to(self.device)):
                continue
            seen = torch.einsum("hwk,bjk->bhwj", self.centres, told["ways"][rows])
            pixels = level[told["index"][rows]].float() - GREY  # beyond its canvas it samples zeros
            made[rows] = F.grid_sample(pixels, seen[..., :2] / seen[..., 2:], align_corners=False) + GREY
        return made / 255

    def _targets(self, told: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        coarse = self.crop.side // COARSE
        share = torch.zeros((len(told["halved"]), coarse, coarse), device=self.device)
        weight = torch.ones_like(share)
        if not len(told["rank"]):
            return share[:, None], weight[:, None]
        covered = F.avg_pool2d(self._painted(told["outline"])[:, None], COARSE)[:, 0]
        plates = (told["lift"] > 0).float().reshape(-1, 1, 1)
        share = share.index_add(0, told["owner"], covered * plates).clamp(max=1)
        for rank in range(int(told["rank"].max()) + 1):
            rows = (told["rank"] == rank).nonzero()[:, 0].to(self.device)
            owner, lift = told["owner"][rows], told["lift"][rows].reshape(-1, 1, 1)
            weight[owner] = torch.where(covered[rows] > 0, lift, weight[owner])
        return share[:, None], torch.where((share > 0) & (weight == 0), 1.0, weight)[:, None]

    def _painted(self, outlines: Tensor) -> Tensor:
        """Which pixels lie in each quadrilateral ``(P, 4, 2)``, or within `RIM` of it: float32 ``(P, S, S)``."""
        following = outlines.roll(-1, 1)
        along = following - outlines
        area = (outlines[..., 0] * following[..., 1] - outlines[..., 1] * following[..., 0]).sum(1)
        turned = torch.sign(area).reshape(-1, 1, 1) / along.norm(dim=2, keepdim=True).clamp(min=1e-6)
        across = torch.stack([-along[..., 1], along[..., 0]], 2) * turned  # unit vectors that point inwards
        least = torch.full((len(outlines), *self.centres.shape[:2]), float("inf"), device=outlines.device)
        for corner, normal in zip(outlines.unbind(1), across.unbind(1), strict=True):
            beyond = (corner * normal).sum(1).reshape(-1, 1, 1)
            inside = torch.einsum("hwk,pk->phw", self.centres[..., :2], normal) - beyond
            least = torch.minimum(least, inside)
        return (least >= -RIM).float()


def _alone(_: int) -> None:
    cv2.setNumThreads(1)
