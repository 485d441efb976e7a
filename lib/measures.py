"""What every record is measured on: both protocols, both splits, beside the models that never look."""

from functools import cached_property
from itertools import pairwise
from typing import Any

from datasets import DatasetDict
from torch import nn

from lib.data import describe
from lib.experiments import Frames, Score, against_prior, never_looking, score
from lib.metrics import Accumulator
from lib.models import LocationPrior
from lib.pictures import Pictures
from lib.recipes import Recipe
from lib.transforms import full_frame, random_crops

CROPS_SEED = 0  # of the random-crop protocol: the same crops for every model
TOLD = ("accuracy", "on_plate_accuracy", "on_plate_accuracy_pooled")
SHARES = (0.0, 0.01, 0.03, 0.06, 0.12, 1.0)  # of plate pixels in a picture


class Bench:
    """The pictures that records are made from, decoded and cropped once.

    Args:
        plates: with splits train, validation and test.
    """

    def __init__(self, plates: DatasetDict) -> None:
        self.plates, self.data = plates, describe(plates)
        self.train, self.validation, self.test = (
            Pictures.from_dataset(plates[split]) for split in ("train", "validation", "test")
        )

    @cached_property
    def frames(self) -> dict[tuple[str, str], Frames]:
        """Pictures and masks of (split, protocol)."""
        made = {}
        for split in ("validation", "test"):
            pictures = getattr(self, split)
            made[split, "full_frame"] = full_frame(pictures)
            made[split, "random_crop"] = random_crops(pictures, CROPS_SEED)
        return made

    @cached_property
    def never_looking(self) -> dict[str, dict[str, nn.Module]]:
        """All-background and the location prior, for each protocol: crops have their plates elsewhere."""
        cropped = LocationPrior().update(random_crops(self.train.sample(2000, CROPS_SEED), CROPS_SEED)[1])
        whole = never_looking(self.train)
        return {"full_frame": whole, "random_crop": {**whole, "location prior": cropped}}

    @cached_property
    def references(self) -> dict[tuple[str, str], Score]:
        """The location prior's score for (split, protocol)."""
        return {
            key: score("location prior", self.never_looking[key[1]]["location prior"], frames)
            for key, frames in self.frames.items()
        }

    def metrics(self, models: dict[str, nn.Module], tested: bool = True) -> dict[str, dict[str, dict[str, Any]]]:
        """Split to protocol to what a model scores there; ``models`` gives the model for each protocol."""
        made: dict[str, dict[str, dict[str, Any]]] = {}
        for (split, protocol), frames in self.frames.items():
            if split == "test" and not tested:
                continue
            prior = self.never_looking[protocol]["location prior"]
            own = score("model", models[protocol], frames)
            summary, pictures = own.pixels.summary(), own.pixels.pictures
            told: dict[str, Any] = {key: summary[key] for key in TOLD}
            told["predicted_plate"] = sum(row.predicted for row in pictures) / sum(row.pixels for row in pictures)
            told["intervals"] = {key: own.pixels.interval(key) for key in TOLD}
            reached = {f"{a:.2f}": own.curve.at_accuracy(a) for a in (0.90, 0.95)}
            told["at_accuracy"] = {key: point and point[1] for key, point in reached.items()}
            told["by_share"] = by_share(own.pixels)
            told |= against_prior(own, self.references[split, protocol], prior, frames)
            made.setdefault(split, {})[protocol] = told
        return made

    def curve(self, model: nn.Module) -> dict[str, list[float]]:
        """A, A1 and false cover of whole validation pictures at 65 thresholds."""
        curve = score("model", model, self.frames["validation", "full_frame"]).curve
        kept = slice(None, None, 16)
        parts = (curve.thresholds, curve.accuracy, curve.on_plate_accuracy, curve.false_cover)
        names = ("threshold", "accuracy", "on_plate_accuracy", "false_cover")
        return {name: [round(float(x), 5) for x in part[kept]] for name, part in zip(names, parts, strict=True)}

    def identity(self, recipe: Recipe) -> str:
        """Tells records of another recipe or other pictures apart, as `fit_or_load` tells runs."""
        return recipe.digest(f"{self.data} {' '.join(self.fingerprints)}")

    @cached_property
    def fingerprints(self) -> list[str]:
        """Of the training, validation and test pictures: a corrected label makes other records."""
        return [pictures.fingerprint() for pictures in (self.train, self.validation, self.test)]


def by_share(pixels: Accumulator) -> list[dict[str, Any]]:
    """A and A1 (the mean over pictures) of pictures grouped by their share of plate pixels; none without a plate."""
    told = []
    for low, high in pairwise(SHARES):
        group = Accumulator()
        group.pictures = [row for row in pixels.pictures if low < row.plate_pixels / row.pixels <= high]
        summary = group.summary()
        told.append(
            {"above": low, "up_to": high, "pictures": len(group.pictures)} | {key: summary[key] for key in TOLD}
        )
    return told
