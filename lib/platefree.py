"""Pictures without a plate, and how often a method conceals something in them all the same."""

from collections.abc import Iterator, Sequence

import numpy as np
from datasets import Dataset

from lib import scenes
from lib.bootstrap import ratio_interval
from lib.conceal import Concealer
from lib.data import SCENE_SIZE, SEED, plates_of
from lib.unlabelled import unlabelled

FREE_SEED = 10 * SEED + 9  # no split of the scenes has it
BARE_SEED = 10 * SEED + 7  # nor this one: scenes without a plate to learn from
TRIES = 20  # places in a photograph before it is passed over


def free_scenes(count: int, seed: int = FREE_SEED) -> Iterator[np.ndarray]:
    """Rendered scenes without any plate: streets, signs, fronts and lettering, uint8 ``(480, 640, 3)``."""
    for index in range(count):
        yield scenes.render(seed, index, SCENE_SIZE, kind="plate_free").image


def free_crops(split: Dataset, count: int, share: float = 0.5, seed: int = 0) -> list[np.ndarray]:
    """Parts of photographs that no plate reaches into, in the photographs' own pixels.

    Neither a labelled one nor one of `lib.unlabelled`, nor what may be one.

    Args:
        split: of `lib.data.load_plates`; its pictures are gone through in a seeded order.
        count: how many crops at most, one a picture.
        share: their sides, as a share of the photograph's.

    Returns:
        uint8 ``(h, w, 3)`` each. Plates that nobody labelled and nobody found may be in them.
    """
    rng, crops = np.random.default_rng(seed), []
    for index in rng.permutation(len(split)).tolist():
        row = split[index]
        width, height = row["width"], row["height"]
        w, h = max(1, int(width * share)), max(1, int(height * share))
        labelled = np.array([plate.bbox for plate in plates_of(row)]).reshape(-1, 4)
        boxes = np.concatenate([labelled, *unlabelled(row["file_name"])])
        x, y = rng.integers(0, width - w + 1, TRIES), rng.integers(0, height - h + 1, TRIES)
        apart = (
            (boxes[:, 0] >= x[:, None] + w)
            | (boxes[:, 0] + boxes[:, 2] <= x[:, None])
            | (boxes[:, 1] >= y[:, None] + h)
            | (boxes[:, 1] + boxes[:, 3] <= y[:, None])
        ).all(1)
        if apart.any():
            at = int(apart.argmax())
            rgb = np.asarray(row["image"].convert("RGB"))
            crops.append(np.ascontiguousarray(rgb[y[at] : y[at] + h, x[at] : x[at] + w]))
            if len(crops) == count:
                break
    return crops


def false_alarms(concealer: Concealer, pictures: Sequence[np.ndarray]) -> dict[str, float | int | tuple | None]:
    """In how many of ``pictures``, none of which has a plate, a concealer conceals something.

    Returns:
        ``pictures``; ``alarmed``, the share of them with a concealed region, its ``interval`` (95 %, bootstrap over
        pictures); ``area``, the share of all their pixels that is concealed.
    """
    covered = [concealer.mask_from(concealer.probability(rgb)) for rgb in pictures]
    alarmed = np.array([mask.any() for mask in covered], float)
    return {
        "pictures": len(covered),
        "alarmed": float(alarmed.mean()),
        "interval": ratio_interval(alarmed, np.ones(len(alarmed))),
        "area": sum(int(mask.sum()) for mask in covered) / sum(mask.size for mask in covered),
    }
