"""Films whose truth is known frame by frame: how often a plate shows, for how long, and what remembering is worth.

A plate-frame is one plate in one frame. It is exposed where any character is concealed by less than 90 % (as in
`lib.metrics`) of what shows of it: one frame of a film is enough to be read. What a car in front hides, or the border
of the frame cuts off, is nobody's to conceal, and a character of which less than a quarter shows is not counted.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lib.bootstrap import ratio_interval
from lib.evaluate import Concealing
from lib.memory import HOLD, Memory, both_ways
from lib.metrics import HIDDEN, SMALL
from lib.regions import rasterise
from lib.scenes import Plate, Scene

SHOWN = 0.25  # share of a character's pixels in the frame that has to show
WAYS = ("network alone", "remembered forwards", "remembered both ways")


@dataclass
class Exposure:
    """What was left to be read in one clip.

    Attributes:
        plates: each plate's text to its frames in order: (frame, whether it is exposed).
        area: share of each frame that was concealed.
    """

    plates: dict[str, list[tuple[int, bool]]] = field(default_factory=dict)
    area: list[float] = field(default_factory=list)

    def add(self, mask: np.ndarray, plates: Sequence[Plate], narrowest: float = SMALL) -> None:
        """Add the next frame.

        Args:
            mask: (H, W) bool, what is concealed.
            plates: those that can be seen in it.
            narrowest: plates of a smaller scaled width are not counted.
        """
        frame = len(self.area)
        self.area.append(float(mask.mean()))
        for plate in plates:
            if plate.bbox[2] * 640 / max(mask.shape) < narrowest:
                continue
            shares = list(_concealed(mask, plate))
            if shares:
                self.plates.setdefault(plate.text, []).append((frame, bool(min(shares) < HIDDEN)))

    @property
    def counts(self) -> tuple[int, int]:
        """Exposed plate-frames, and all."""
        told = [exposed for frames in self.plates.values() for _, exposed in frames]
        return sum(told), len(told)

    @property
    def longest(self) -> int:
        """Most frames in a row, none missing between, in which one plate is exposed."""
        longest = 0
        for frames in self.plates.values():
            run, last = 0, None
            for frame, exposed in frames:
                run = (run + 1 if run and last == frame - 1 else 1) if exposed else 0
                longest, last = max(longest, run), frame
        return longest


def _concealed(mask: np.ndarray, plate: Plate) -> Iterator[float]:
    """The share concealed of what shows of each character that can be seen."""
    shown = np.ones(mask.shape)
    if plate.cover is not None:
        (x, y), (height, width) = plate.place, plate.cover.shape
        shown[:] = 0
        shown[y : y + height, x : x + width] = plate.cover
    for character in plate.characters:
        region = rasterise(character.corners, mask.shape)
        if region is None:
            continue  # out of the frame
        seen = shown[region.window][region.inside]
        if seen.mean() >= SHOWN:
            yield seen[mask[region.window][region.inside]].sum() / seen.sum()


def exposure(clip: Iterable[Scene], concealer: Concealing, hold: int = HOLD) -> dict[str, Exposure]:
    """Each of WAYS to what it leaves exposed in a clip, such as `lib.scenes.clip` draws.

    Args:
        clip: frames in order.
        concealer: has ``probability`` and ``mask_from``.
        hold: frames for which a plate is remembered, forwards and, in a film, backwards.

    Raises:
        PlatesError: the network failed.
    """
    told = {way: Exposure() for way in WAYS}
    memory = Memory(hold)

    def looked() -> Iterator[tuple[tuple[Plate, ...], np.ndarray, np.ndarray]]:
        for scene in clip:
            background = concealer.probability(scene.image)
            mask, faint = (concealer.mask_from(background, unsure) for unsure in (False, True))
            told[WAYS[0]].add(mask, scene.plates)
            told[WAYS[1]].add(memory.step(mask, faint), scene.plates)
            yield scene.plates, mask, faint

    for plates, mask in both_ways(looked(), Memory(hold, hold)):
        told[WAYS[2]].add(mask, plates)
    return told


def summary(clips: Sequence[Exposure]) -> dict[str, Any]:
    """Of one way on several clips: exposed plate-frames in a thousand with their interval, and the longest run.

    Returns:
        ``clips``, ``plates``, ``plate_frames``, ``exposed_per_thousand`` and its 95 % ``interval`` (bootstrap over
        clips; None for both where no plate was seen), ``longest_run`` in frames, ``area``, the mean share concealed.
    """
    exposed, seen = np.array([clip.counts for clip in clips], dtype=float).reshape(-1, 2).T
    interval, areas = ratio_interval(exposed, seen), [share for clip in clips for share in clip.area]
    return {
        "clips": len(clips),
        "plates": sum(len(clip.plates) for clip in clips),
        "plate_frames": int(seen.sum()),
        "exposed_per_thousand": float(1000 * exposed.sum() / seen.sum()) if seen.any() else None,
        "interval": interval and [1000 * end for end in interval],
        "longest_run": max((clip.longest for clip in clips), default=0),
        "area": float(np.mean(areas)) if areas else None,
    }
