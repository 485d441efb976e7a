"""What decides how a training ends, as data: the paper's recipe and the sizes that the profiles change."""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from lib.losses import LOSSES
from lib.models import MODELS
from lib.settings import PlatesError, device, settings
from lib.transforms import AUGMENTATIONS, SMALLEST_CROP


@dataclass(frozen=True)
class Recipe:
    """All that decides how a run ends, beside its data. The defaults are the paper's (sections 4 to 4.3).

    Attributes:
        model, options: for `lib.models.build`.
        loss: a name of `lib.losses.LOSSES`.
        weight, weight_inside, reduction: for that loss; None keeps its own.
        epochs, batch: passes over the data; pictures a step, over all processes together.
        learning_rate, weight_decay: of AdamW.
        schedule: ``"cosine"``, along which the rate falls to 0 (paper), or ``"constant"``.
        clip, clip_at: gradients clipped by ``"value"`` (paper), ``"norm"`` (the authors' code) or ``""``.
        augment: names of `lib.transforms.AUGMENTATIONS`, on top of crop and zoom.
        smallest_crop: least share of a photograph that a crop shows.
        pictures: at most this many training pictures; None for all.
        seed: of weights, order and crops.
    """

    model: str = "baseline"
    options: Mapping[str, Any] = field(default_factory=dict)
    loss: str = "log2"
    weight: float | None = None
    weight_inside: bool = False
    reduction: str | None = None
    epochs: int = 100
    batch: int = 512
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    schedule: str = "cosine"
    clip: str = "value"
    clip_at: float = 0.1
    augment: tuple[str, ...] = ()
    smallest_crop: float = SMALLEST_CROP
    pictures: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        names = [("model", self.model, MODELS), ("loss", self.loss, LOSSES)]
        for kind, name, known in (*names, *(("augmentation", each, AUGMENTATIONS) for each in self.augment)):
            if name not in known:  # told before pictures are read
                raise PlatesError(f"{kind} {name!r} is unknown; choose one of {', '.join(sorted(known))}.")
        if self.clip not in ("value", "norm", ""):
            raise PlatesError(f"clip={self.clip!r} is unknown; use 'value', 'norm' or '' for none.")
        if self.schedule not in ("cosine", "constant"):
            raise PlatesError(f"schedule={self.schedule!r} is unknown; use 'cosine' (the paper's) or 'constant'.")
        if min(self.epochs, self.batch) < 1:
            raise PlatesError(f"epochs={self.epochs} and batch={self.batch} must both be at least 1.")
        if self.pictures is not None and self.pictures < 1:
            raise PlatesError(f"pictures={self.pictures} leaves nothing to train on; give 1 or more, or None for all.")
        weight = 0.0 if self.weight is None else self.weight
        checks = (
            ("learning_rate", 0 < self.learning_rate < float("inf"), "a finite number above 0"),
            ("weight_decay", 0 <= self.weight_decay < float("inf"), "a finite number of at least 0"),
            ("weight", 0 <= weight < float("inf"), "a finite number of at least 0 for the paper's lambda"),
            ("clip_at", self.clip_at > 0, "a number above 0"),
            ("smallest_crop", 0 < self.smallest_crop <= 1, "a share above 0 and up to 1"),
            ("seed", 0 <= self.seed < 2**32, "a whole number from 0 to 4294967295"),  # NumPy's range
        )
        refuse(self, checks)

    def digest(self, data: str) -> str:
        """Eight characters that differ whenever the recipe or the data differ."""
        return digest_of(self, data)


def digest_of(recipe: Any, data: str) -> str:
    """Eight characters that differ whenever a recipe, any dataclass, or its data differ."""
    told = json.dumps([asdict(recipe), data], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:8]


def half_cosine(step: int, total: int) -> float:
    """A share of the learning rate, from 1 at step 0 to 0 at ``total``, along half a cosine."""
    return 0.5 * (1 + math.cos(math.pi * step / total))


def rise_and_fall(step: int, total: int) -> float:
    """A share of the learning rate: a straight rise over the first twentieth of all steps, then half a cosine to 0."""
    rise = max(1, total // 20)
    return min(1.0, (step + 1) / rise) * half_cosine(max(0, step - rise), max(1, total - rise))


Check = tuple[str, bool, str]  # a field, whether its value is usable, and what would be


def refuse(one: Any, checks: Iterable[Check], told: str = "cannot be trained with; give") -> None:
    """Raise for the first unusable value. Checks are written so that NaN, which compares false, is refused.

    Raises:
        PlatesError: names the field, its value and the remedy.
    """
    for name, usable, range_ in checks:
        if not usable:
            raise PlatesError(f"{name}={getattr(one, name)} {told} {range_}.")


def checks_of(recipe: Any) -> list[Check]:
    """What every recipe's optimiser and sizes have to be; batches are normalised, so that they hold at least two.

    Raises:
        PlatesError: an unknown way of clipping.
    """
    if recipe.clip not in ("value", "norm", ""):
        raise PlatesError(f"clip={recipe.clip!r} is unknown; use 'value', 'norm' or '' for none.")
    return [
        ("epochs", recipe.epochs >= 1, "1 or more"),
        ("batch", recipe.batch >= 2, "2 or more, since batch normalisation compares"),
        ("learning_rate", 0 < recipe.learning_rate < math.inf, "a finite number above 0"),
        ("weight_decay", 0 <= recipe.weight_decay < math.inf, "a finite number of at least 0"),
        ("clip_at", recipe.clip_at > 0, "a number above 0"),
        ("pictures", recipe.pictures is None or recipe.pictures >= 1, "1 or more, or None for all"),
    ]


# What the profiles change: sizes and step lengths, never code paths. The fast profile shrinks the network and takes
# many small steps, with the smaller learning rate and the gentler crops that so few pictures need; `steps` takes 8
# epochs in batches that a processor can bear, about the paper's 1,200 steps on a set of its size; `sweep` is a quarter
# of these with the fast profile's network, for comparisons that need many runs (photographs bear the paper's rate).
PRESETS: dict[str, dict[str, Any]] = {
    "fast": {"epochs": 20, "batch": 16, "learning_rate": 5e-4, "pictures": 800, "smallest_crop": 0.5},
    "sweep": {"epochs": 2, "batch": 32},
    "steps": {"epochs": 8, "batch": 32},
    "paper": {},
}

# The networks of these two: fewer channels, and a prediction for each 8x8 square, which shrinks the last layer.
FAST_OPTIONS: dict[str, dict[str, Any]] = {
    "baseline": {"grid": 40, "channels": (32, 64, 512)},
    "deep": {"grid": 40, "channels": (64, 128, 1024)},
    "fullconv": {"grid": 40, "channels": (16, 32, 64, 512)},
}


def preset_name() -> str:
    """The preset that the environment asks for: ``fast``, or ``paper`` on a GPU, or ``steps`` on a processor."""
    if settings().fast:
        return "fast"
    return "steps" if device().type == "cpu" else "paper"


def recipe(preset: str | None = None, **changes: Any) -> Recipe:
    """The recipe of ``preset`` (default: `preset_name`), with ``changes`` to it; ``options`` add to the preset's.

    Raises:
        PlatesError: no preset has that name.
    """
    name = preset or preset_name()
    if name not in PRESETS:
        raise PlatesError(f"preset {name!r} is unknown; choose one of {', '.join(PRESETS)}.")
    own = FAST_OPTIONS.get(changes.get("model", Recipe.model), {}) if name in ("fast", "sweep") else {}
    return Recipe(**{**PRESETS[name], **changes, "options": {**own, **changes.get("options", {})}})
