"""Models scored side by side on the same whole pictures, beside the models that never look; pictures to show."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset, DatasetDict, Image
from torch import Tensor, nn

from lib.bootstrap import ratio_interval
from lib.conceal import Concealer
from lib.curves import ThresholdCurve
from lib.data import FAST_SIZES, describe, load_plates
from lib.files import atomic
from lib.metrics import Accumulator
from lib.models import AllBackground, LocationPrior
from lib.pictures import Pictures
from lib.recipes import Recipe
from lib.settings import settings
from lib.transforms import Augment, box_masks, to_input

Frames = tuple[Tensor, Tensor]  # uint8 pictures (N, 3, S, S) and bool masks (N, S, S)


@dataclass(frozen=True)
class Score:
    """One model on one set of pictures: its pixels at p = 0.5, and its curve over all thresholds."""

    name: str
    pixels: Accumulator
    curve: ThresholdCurve


@torch.inference_mode()
def score(name: str, model: nn.Module, frames: Frames, threshold: float = 0.5) -> Score:
    """Score ``model`` on whole pictures.

    Args:
        threshold: predict plate where P(background) < threshold; 0.5 is the paper's rounding.
    """
    made = Score(name, Accumulator(), ThresholdCurve())
    where = next(iter(model.state_dict().values()), torch.zeros(())).device
    for pixels, masks in zip(*(part.split(32) for part in frames), strict=True):
        plate = model(to_input(pixels.to(where))).float().softmax(1)[:, 1].cpu()
        made.curve.add(plate, masks)
        moved = plate if threshold == 0.5 else (1 - plate < threshold).float()
        made.pixels.add_batch(moved, masks)
    return made


def never_looking(train: Pictures) -> dict[str, nn.Module]:
    """The two models that every table of A and A1 needs: all-background, and the location prior of ``train``."""
    prior = LocationPrior()
    for boxes in train.boxes.split(256):
        prior.update(box_masks(boxes))
    return {"all-background": AllBackground(), "location prior": prior}


def compare(models: dict[str, nn.Module], prior: nn.Module, frames: Frames) -> list[dict[str, Any]]:
    """A table row for each model: A and A1 at p = 0.5 with 95 % intervals, and A1 against the prior's at equal A.

    A alone rewards predicting nothing and A1 alone predicting everything, so the fair question is which A1
    a model reaches at the A that the location prior, moved to another threshold, reaches too.

    Returns:
        Dictionaries for `lib.plots.tables.table`; ``gain (pooled)`` is A1 minus the prior's, both pooled, with its
        interval by a bootstrap over pictures that draws the same pictures for both.
    """
    reference, rows = score("location prior", prior, frames), []
    for name, model in models.items():
        own = score(name, model, frames)
        got = own.pixels.summary()
        row = {
            "model": name,
            "A": got["accuracy"],
            "A1": got["on_plate_accuracy"],
            "A1 95 %": own.pixels.interval("on_plate_accuracy"),
            "A1 pooled": got["on_plate_accuracy_pooled"],
        }
        fair = against_prior(own, reference, prior, frames)
        row |= {"prior's A1 pooled at this A": fair["prior"], "gain (pooled)": fair["gain"]}
        rows.append(row | {"gain 95 %": fair["gain_interval"]})
    return rows


def against_prior(own: Score, reference: Score, prior: nn.Module, frames: Frames) -> dict[str, Any]:
    """What looking buys: ``gain``, pooled A1 minus the location prior's (``prior``) at the same A, and its interval.

    Args:
        reference: the score of ``prior`` on ``frames``, which gives the threshold of the same A.

    Returns:
        All None where no threshold brings the prior to that A.
    """
    reached = reference.curve.at_accuracy(own.pixels.summary()["accuracy"])
    if reached is None:
        return {"prior": None, "gain": None, "gain_interval": None}
    gain, interval = paired_gain(own.pixels, score("moved prior", prior, frames, reached[0]).pixels)
    return {"prior": reached[1], "gain": gain, "gain_interval": interval}


def at_accuracies(scores: Sequence[Score], accuracies: Sequence[float]) -> list[dict[str, Any]]:
    """A table row for each score: the pooled A1 that it reaches at each A, None where it does not reach that A."""
    rows = []
    for one in scores:
        reached = {a: one.curve.at_accuracy(a) for a in accuracies}
        rows.append({"model": one.name} | {f"A1 at A = {a:.2f}": point and point[1] for a, point in reached.items()})
    return rows


def paired_gain(one: Accumulator, other: Accumulator) -> tuple[float, tuple[float, float] | None]:
    """Pooled A1 of ``one`` minus that of ``other`` on the same pictures, and its 95 % bootstrap interval."""
    truth, hits = (np.array([getattr(row, key) for row in one.pictures], float) for key in ("plate_pixels", "hits"))
    more = hits - np.array([row.hits for row in other.pictures], float)
    return float(more.sum() / truth.sum()), ratio_interval(more, truth)


def crop_share(train: Pictures, recipe: Recipe, count: int = 400) -> float:
    """Share of plate pixels in ``count`` training crops of this recipe, drawn with its seed."""
    drawn = train.sample(count, recipe.seed)
    seeds = torch.arange(len(drawn)) + recipe.seed
    augment = Augment(smallest_crop=recipe.smallest_crop)
    return float(augment(drawn, torch.arange(len(drawn)), seeds)[1].float().mean())


@dataclass(frozen=True)
class Shown:
    """Pictures that a page may show: uint8 ``(H, W, 3)`` each, the data they are of, and its one-line name."""

    pictures: list[np.ndarray]
    plates: DatasetDict
    origin: str


def shown_pictures(plates: DatasetDict, count: int) -> Shown:
    """The ``count`` validation pictures with the largest plates; under PLATES_PUBLISH=1 of the rendered scenes instead.

    Large plates are the easiest case, and a page that shows them has to say so. A page that others read
    shows no photograph of a car whose owner nobody asked.
    """
    if settings().publish and set(plates["validation"]["source"]) != {"scenes"}:
        plates = load_plates("scenes", sizes=FAST_SIZES)
    boxes = plates["validation"].select_columns(["width", "height", "objects"])
    share = [sum(w * h for *_, w, h in r["objects"]["bbox"]) / (r["width"] * r["height"]) for r in boxes]
    largest = plates["validation"].select(np.argsort(share)[::-1][:count].tolist())
    pictures = [np.asarray(row["image"].convert("RGB")) for row in largest]
    return Shown(pictures, plates, describe(plates))


def conceal_rows(rows: Dataset, concealer: Concealer, folder: Path) -> int:
    """Conceal the pictures of ``rows`` into ``folder``, each in its own format under its own name; returns how many.

    Raises:
        PlatesError: a picture cannot be concealed; nothing is written for it.
    """
    for row, name in zip(rows.cast_column("image", Image(decode=False)), rows["file_name"], strict=True):
        stored = row["image"]
        data = stored["bytes"] or Path(stored["path"]).read_bytes()
        concealed = concealer(data, name).encode()
        with atomic(folder / Path(name).name) as temporary:
            temporary.write_bytes(concealed)
    return len(rows)
