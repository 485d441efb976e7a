"""Plates that nobody labelled: where PlateNet pointed to one beside every label, and a look at the place agreed.

Several sources of the photographs label the main plate alone. A network that learns that the others are none is taught
to pass over plates, and one that finds them all the same is called wrong. Looking at what a trained network and the
labels do not agree on is the cheapest way to find wrong ones (Northcutt et al. 2021, *Confident Learning*).

`suspects` tells what was looked at; what came of it is `unlabelled.json`: pictures' file names, and boxes in their
pixels, ``plates`` and ``doubtful`` ones. Whatever else was looked at is no plate.
"""

import json
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
from datasets import Dataset

from lib.data import plates_of
from lib.masks import components
from lib.regions import corners_of, rasterise

KEPT = Path(__file__).with_suffix(".json")
TOUCHES = 0.02  # share of a label's area: a region that has more of it points to that label
LOOSE = 0.95  # a region is where P(background) is below it
INSIDE, AROUND = 0.8, 1.4  # of a found box's sides: within the one all is plate, between them nobody says


@cache
def _kept() -> dict[str, dict[str, list[list[float]]]]:
    return json.loads(KEPT.read_text())


def unlabelled(file_name: str) -> tuple[np.ndarray, np.ndarray]:
    """Boxes of a picture's plates that nobody labelled, and of what may be some; float ``(K, 4)``: x, y, w, h each."""
    return tuple(np.array(_kept()[kind].get(file_name, []), float).reshape(-1, 4) for kind in ("plates", "doubtful"))


def as_outlines(file_name: str) -> tuple[np.ndarray, np.ndarray]:
    """A picture's found plates to learn from, ``(K, 4, 2)``: what surely is plate, and where nobody says what is.

    The boxes are a network's: their middle is plate, their rim and what is doubtful are passed over.
    """
    plates, doubtful = unlabelled(file_name)
    return _resized(plates, INSIDE), _resized(np.concatenate([plates, doubtful]), AROUND)


def _resized(boxes: np.ndarray, by: float) -> np.ndarray:
    """Outlines ``(K, 4, 2)`` of boxes, larger or smaller about their middle."""
    outlines = np.array([corners_of((x, y, x + w, y + h)) for x, y, w, h in boxes]).reshape(-1, 4, 2)
    middle = outlines.mean(axis=1, keepdims=True)
    return middle + by * (outlines - middle)


def suspects(
    split: Dataset, look: Callable[[np.ndarray], np.ndarray], below: float = 0.5
) -> Iterator[tuple[str, np.ndarray]]:
    """Regions that a network takes for plates and that touch no label: what is to be looked at.

    Args:
        split: of `lib.data.load_plates`.
        look: from a picture, uint8 ``(H, W, 3)``, to P(background), float ``(h, w)``, such as
            `lib.engine.Segmenter`'s.
        below: regions whose least P(background) is under it.

    Yields:
        File name, and box in the picture's pixels: x, y, w, h.
    """
    for row in split:
        rgb = np.asarray(row["image"].convert("RGB"))
        background = look(rgb)
        shape, stretch = background.shape, np.array(rgb.shape[1::-1]) / background.shape[1::-1]
        labels = [rasterise(plate.scaled(*1 / stretch).box, shape) for plate in plates_of(row)]
        for region in components(background < LOOSE):
            values = background[region.rows, region.columns]
            least = values[region.mask].min()
            mask = np.zeros(shape, bool)
            mask[region.rows, region.columns] = region.mask
            if least < below and not any(label.share(mask) > TOUCHES for label in labels if label is not None):
                y, x = np.nonzero(region.mask & (values <= (least + LOOSE) / 2))
                low = np.array([region.columns.start + x.min(), region.rows.start + y.min()])
                size = [np.ptp(x) + 1, np.ptp(y) + 1]
                yield row["file_name"], np.concatenate([low * stretch, size * stretch])
