"""Where saliency maps lie: their share on a plate's characters, rim and surroundings, against the share of area."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor
from torch.nn import functional as F

from lib.bootstrap import ratio_interval
from lib.data import plates_of
from lib.pictures import Pictures
from lib.regions import PlateTruth, rasterise
from lib.settings import PlatesError
from lib.transforms import SIDE, full_frame

PARTS = ("characters", "ground", "rim", "surroundings", "elsewhere")
BAND = 0.15  # half the rim's width, in plate heights
HIDDEN = 0.1  # a plate of which more than this does not show is not asked about its characters

Interval = tuple[float, float] | None


@dataclass(frozen=True)
class Specimens:
    """Pictures whose plates are known in parts.

    Attributes:
        pixels: uint8 ``(N, 3, S, S)``, whole pictures squashed to the network's square.
        masks: bool ``(N, S, S)``, the plates' boxes: what is explained.
        plates: bool ``(N, S, S)``, the plates' outlines (their boxes where no corners are known).
        parts: each of `PARTS` to bool ``(N, S, S)``. They share out the picture, each pixel once.
        heights: float32 ``(N,)``, mean character height of the largest plate, pixels of the square; 0 if unknown.
    """

    pixels: Tensor
    masks: Tensor
    plates: Tensor
    parts: Mapping[str, Tensor]
    heights: Tensor

    def __len__(self) -> int:
        return len(self.pixels)

    def take(self, index: Sequence[int] | Tensor) -> "Specimens":
        """Those of these indices, in that order."""
        kept = torch.as_tensor(index)
        parts = {name: part[kept] for name, part in self.parts.items()}
        return Specimens(self.pixels[kept], self.masks[kept], self.plates[kept], parts, self.heights[kept])

    def shown_as(self, pixels: Tensor) -> "Specimens":
        """The same plates in altered pictures, uint8 of the same shape."""
        return replace(self, pixels=pixels)


def specimens(split: Dataset, count: int | None = None, least: float = 0.0, side: int = SIDE) -> Specimens:
    """Pictures of ``split`` with a plate, in the split's order.

    Args:
        count: take this many, evenly spaced since sources follow one another; None for all.
        least: mean height, in pixels of the square, that the largest plate's characters must have; more than 0 leaves
            out plates whose characters are unknown, and those of which more than a tenth does not show.

    Raises:
        PlatesError: no picture qualifies.
    """
    chosen, truths, heights = [], [], []
    for number, row in enumerate(split.select_columns(["width", "height", "objects"])):
        scaled = [plate.scaled(side / row["width"], side / row["height"]) for plate in plates_of(row)]
        known = [plate for plate in scaled if not plate.iscrowd]
        if not known:
            continue
        at = max(range(len(scaled)), key=lambda i, s=scaled: 0 if s[i].iscrowd else s[i].bbox[2] * s[i].bbox[3])
        height = character_height(scaled[at])
        if least and (height < least or row["objects"]["occluded"][at] > HIDDEN):
            continue
        chosen.append(number)
        truths.append(known)
        heights.append(height)
    if not chosen:
        raise PlatesError(
            "no picture has a plate whose characters are known and large enough; use the rendered scenes, or ask for "
            "a smaller `least`."
        )
    kept = np.linspace(0, len(chosen) - 1, min(count or len(chosen), len(chosen))).round().astype(int)
    chosen, truths, heights = ([one[i] for i in kept] for one in (chosen, truths, heights))
    pixels, masks = full_frame(Pictures.from_dataset(split.select(chosen)), side)
    made = [parts_of(plates, side) for plates in truths]
    parts = {name: torch.from_numpy(np.stack([one[name] for one in made])) for name in PARTS}
    outlines = torch.from_numpy(np.stack([_union([plate.outline for plate in plates], side) for plates in truths]))
    return Specimens(pixels, masks, outlines, parts, torch.tensor(heights, dtype=torch.float32))


def character_height(plate: PlateTruth) -> float:
    """Mean length of the characters' left sides, in the plate's pixels; 0 where they are unknown."""
    return float(np.mean([np.hypot(*(quad[3] - quad[0])) for quad in plate.characters])) if plate.characters else 0.0


def parts_of(plates: Sequence[PlateTruth], side: int) -> dict[str, np.ndarray]:
    """Share out a square among `PARTS`, bool ``(side, side)`` each, every pixel once.

    Characters are the quadrilaterals around each character; the rim is what lies within `BAND` plate heights (at
    least one pixel) of the outline on either side of it; the ground is the rest of the plate; the surroundings are
    what lies within one plate height of it; elsewhere is the rest. The first that claims a pixel has it.

    Args:
        plates: in pixels of the square.
    """
    shape = (side, side)
    claims = {name: np.zeros(shape, bool) for name in PARTS}
    claims["elsewhere"][:] = True
    for plate in plates:
        distance = distances(plate.outline, shape)
        claims["characters"] |= _union(plate.characters, side)
        claims["ground"] |= _union([plate.outline], side)
        claims["rim"] |= distance <= max(1.0, BAND * plate.height)
        claims["surroundings"] |= distance <= plate.height
    taken = np.zeros(shape, bool)
    for name in ("characters", "rim", "ground", "surroundings", "elsewhere"):
        claims[name] &= ~taken
        taken |= claims[name]
    return claims


def distances(outline: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Distance of each pixel's centre, float64 ``shape``, from the nearest side of a polygon ``(N, 2)``."""
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    nearest = np.full(shape, np.inf)
    for (ax, ay), (bx, by) in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        length = max((bx - ax) ** 2 + (by - ay) ** 2, 1e-12)
        along = np.clip(((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length, 0, 1)
        nearest = np.minimum(nearest, np.hypot(x - ax - along * (bx - ax), y - ay - along * (by - ay)))
    return nearest


def _union(polygons: Sequence[np.ndarray], side: int) -> np.ndarray:
    mask = np.zeros((side, side), bool)
    for polygon in polygons:
        region = rasterise(polygon, mask.shape)
        if region is not None:
            mask[region.window] |= region.inside
    return mask


def shares(maps: Tensor, part: Tensor, seen: int) -> tuple[np.ndarray, np.ndarray]:
    """Each picture's share of its map, and of the area, on a part; both float64 ``(N,)``.

    Args:
        maps: ``(N, S, S)``; their absolute values count. An empty map has share 0 and area 0, so that it counts
            nowhere.
        part: bool ``(N, S, S)``.
        seen: side of the square that the network sees (`lib.explain.seen_side`); the rest counts nowhere.
    """
    size, inside = maps[:, :seen, :seen].abs(), part[:, :seen, :seen]
    total = size.sum((1, 2), dtype=torch.float64)
    some = total > 0
    share = torch.where(some, (size * inside).sum((1, 2), dtype=torch.float64) / total.clamp_min(1e-300), 0.0)
    area = torch.where(some, inside.sum((1, 2)).double() / seen**2, 0.0)
    return share.numpy(), area.numpy()


def density(maps: Tensor, part: Tensor, seen: int) -> tuple[float | None, Interval]:
    """A part's share of the maps over its share of the area: 1 is what a map that knows nothing of plates gives.

    Returns:
        The ratio of the two means over pictures and its 95 % bootstrap interval; None where the part has no area.
    """
    share, area = shares(maps, part, seen)
    interval = ratio_interval(share, area)
    return (None if interval is None else float(share.sum() / area.sum())), interval


def density_gain(maps: Tensor, others: Tensor, part: Tensor, seen: int) -> tuple[float | None, Interval]:
    """By how much a part's `density` in ``maps`` exceeds that in other maps of the same pictures, with its interval."""
    (share, area), (other, _) = (shares(one, part, seen) for one in (maps, others))
    interval = ratio_interval(share - other, area)
    return (None if interval is None else float((share - other).sum() / area.sum())), interval


def contrast(maps: Tensor, one: Tensor, other: Tensor, seen: int) -> np.ndarray:
    """How much brighter than another a part is in each picture: (a - b) / (a + b) of their means per pixel.

    Returns:
        float64 ``(N,)`` from -1 (all on ``other``) over 0 (equally bright) to 1; NaN where it cannot be told.
    """
    values = []
    for part in (one, other):
        share, area = shares(maps, part, seen)
        values.append(np.divide(share, area, out=np.full_like(share, np.nan), where=area > 0))
    a, b = values
    return np.divide(a - b, a + b, out=np.full_like(a, np.nan), where=(a + b) > 0)


def mean_interval(values: np.ndarray) -> tuple[float | None, Interval]:
    """Mean over pictures of what can be told (not NaN), and its 95 % bootstrap interval; None where nothing can."""
    told = ~np.isnan(values)
    interval = ratio_interval(np.nan_to_num(values), told.astype(float))
    return (None if interval is None else float(values[told].mean())), interval


def brightest(maps: Tensor, part: Tensor, seen: int) -> np.ndarray:
    """Whether each map's brightest pixel lies on ``part`` (the pointing game, Zhang et al. 2016), 0 or 1, ``(N,)``."""
    at = maps[:, :seen, :seen].abs().flatten(1).argmax(1, keepdim=True)
    return part[:, :seen, :seen].flatten(1).gather(1, at)[:, 0].double().numpy()


def edges(pixels: Tensor) -> Tensor:
    """Sobel's gradient size of the grey picture, float32 ``(N, S, S)``: a map that no network was asked for."""
    grey = F.pad(pixels.float().mean(1, keepdim=True), (1, 1, 1, 1), mode="replicate")
    kernel = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])
    both = F.conv2d(grey, torch.stack([kernel, kernel.T]).unsqueeze(1))
    return both.square().sum(1).sqrt()
