"""``python -m lib train``: which recipe, data and trainer belong to the name of a model."""

import argparse
from dataclasses import replace
from functools import reduce
from operator import add
from typing import Any

from datasets import DatasetDict

from lib import processes
from lib.conceal import Concealer
from lib.corner_training import CornerRecipe, CornerTrainer, known_corners
from lib.crops import Crop
from lib.data import describe, load_plates
from lib.detect import SCENES, choose_detect, ship_corners
from lib.detection import DetectorRecipe, DetectorTrainer
from lib.detectors import KINDS
from lib.engine import Segmenter
from lib.evaluate import choose_operating_point
from lib.gallery import Gallery
from lib.pictures import Pictures
from lib.recipes import recipe
from lib.settings import PlatesError, settings, someone_watches
from lib.shipping import (
    VALIDATION,
    choose_point,
    compact_recipe,
    ship,
    shipped,
    third,
    train_compact,
    train_stages,
)
from lib.training import Run, fit_or_load, set_operating_point

GIVEN = ("epochs", "batch", "learning_rate", "pictures", "seed")
PAPER_ONLY = ("loss", "weight", "augment", "validation")
LANDMARKS = ("landmarks", "small_landmarks")
# Of detectors: small crops show more plates for the same work, and with this longer side, with which whole pictures are
# looked at too, half of the photographs' plates are 39 to 97 pixels wide.
DETECTOR_CROP = Crop(side=192, longest=448)
# What a processor has time for beside the recipes' own, detectors most of an hour. In the fast profile less (`FAST`).
OWN: dict[str, dict[str, Any]] = {
    "ssdlite": {"epochs": 9, "batch": 16},
    "faster_mobile": {"epochs": 2, "batch": 8, "learning_rate": 4e-4},  # 1e-3 runs away now and then
    "landmarks": {"epochs": 10},
    # more and wilder boxes than the blog's: regions are boxed loosely, by up to half a plate's height
    "small_landmarks": {
        "epochs": 75,
        "batch": 32,
        "learning_rate": 2e-3,
        "beta": 0.005,
        "jitter": 0.1,
        "expand": (1.15, 1.7),
    },
}
BESIDE = {"ssdlite": 0, "faster_mobile": 0, "landmarks": 4000, "small_landmarks": 4000}  # rendered scenes
OFTEN = {"small_landmarks": 4}  # times that a photograph is seen for each scene: there are few whose corners are known
FAST = {"epochs": 1, "pictures": 32}


def train_named(options: argparse.Namespace) -> None:
    """Train the model that ``options`` name, print what came of it, and where its weights lie.

    Raises:
        PlatesError: an option that this model does not have, or see `lib.training.fit_or_load`.
    """
    if options.ship and options.model not in ("platenet", *LANDMARKS):
        raise PlatesError(f"--ship is for platenet and the landmarks; {options.model} is not what conceals.")
    if options.start and options.model != "platenet":
        raise PlatesError(f"--start is for platenet; {options.model} is always trained from nothing.")
    own = options.model == "platenet" or options.model in LANDMARKS or options.model in KINDS
    for key in PAPER_ONLY if own else ():
        if getattr(options, key) is not None:
            raise PlatesError(f"--{key} is for the paper's networks; {options.model} has its own recipe.")
    if options.model == "platenet":
        _platenet(options)
    elif own:
        plates = load_plates()
        run = train_part(options.model, plates, options.scenes, options.name, **_changes(options))
        _told(run)
        if options.ship and processes.rank() == 0:
            scenes = load_plates("scenes", sizes={"train": 1, "validation": SCENES, "test": 1})["validation"]
            point = choose_detect(run.model.cpu(), plates, scenes)
            print(", ".join(f"{key} {value}" for key, value in point.items() if key != "curve"))
            print(f"weights in {ship_corners(run, point)}")
    else:
        _of_the_paper(options)


def _changes(options: argparse.Namespace, *more: str) -> dict[str, Any]:
    return {key: getattr(options, key) for key in (*GIVEN, *more) if getattr(options, key) is not None}


def _told(run: Run) -> None:
    if processes.rank() == 0:
        print(run.say())
        print(f"weights in {run.folder / 'best.safetensors'}")


def train_part(model: str, plates: DatasetDict, scenes: int = 0, name: str | None = None, **changes: Any) -> Run:
    """Fit or load one of the blog's two networks: a detector of boxes, or the landmark network for their corners.

    Args:
        model: a name of `lib.detectors.KINDS`, or ``landmarks`` or ``small_landmarks``.
        plates: `lib.data.load_plates`; landmarks learn from those plates alone whose corners it knows.
        scenes: how many rendered scenes beside them.
        name: what tables call the run; None for the model's.
        changes: of the recipe.

    Raises:
        PlatesError: see `lib.training.fit_or_load`.
    """
    told, splits = describe(plates), [plates["train"]]
    if scenes:
        drawn = load_plates("scenes", sizes={"train": scenes, "validation": 1, "test": 1})["train"]
        told, splits = f"{told}; {describe(drawn)}", [*splits, drawn]
    gather = known_corners if model in LANDMARKS else Gallery.from_dataset
    if model in LANDMARKS:
        wanted: CornerRecipe | DetectorRecipe = CornerRecipe(model)
    else:
        # torchvision's loss of SSD weighs background against the plates of the same crop: without one it is 0
        crop = replace(DETECTOR_CROP, anywhere=0.0) if model == "ssdlite" else DETECTOR_CROP
        wanted = DetectorRecipe(model, {"side": crop.side}, crop=crop)
    wanted = replace(wanted, **(OWN.get(model, {}) | (FAST if settings().fast else {}) | changes))
    train = [gather(split) for split in splits]
    train[0] = train[0].sample(wanted.pictures, wanted.seed)
    if scenes and model in OFTEN:
        told = f"{OFTEN[model]} times {told}"
        train[0] = reduce(add, [train[0]] * OFTEN[model])
    looked_at = min(VALIDATION, max(1, (wanted.pictures or len(plates["train"])) // 6))
    validation = gather(plates["validation"]).sample(looked_at, wanted.seed)
    trainer = CornerTrainer if model in LANDMARKS else DetectorTrainer
    both = train[0] if len(train) == 1 else train[0] + train[1]
    return fit_or_load(name or model, replace(wanted, pictures=None), both, validation, told, trainer=trainer)


def _platenet(options: argparse.Namespace) -> None:
    wanted = compact_recipe(options.preset, **_changes(options))  # what is wrong in it is told before pictures are read
    plates, name = load_plates(), options.name or "platenet"
    large = compact_recipe("teacher", **_changes(options)) if options.preset == "long" else None
    teacher = large and (lambda: train_stages(f"{name}-teacher", large, plates, options.scenes, count=2)[1])
    if options.start:
        start = shipped(options.start)
        *before, run = start, train_compact(name, third(wanted), plates, options.scenes * 3 // 2, start, found=True)
    else:
        *before, run = train_stages(name, wanted, plates, options.scenes, teacher)
    if processes.rank() == 0:
        print(run.say())
        point = choose_point(run, plates)
        print(", ".join(f"{key} {value}" for key, value in point.items()))
        cards = [card for each in before for card in (*each.card.get("before", []), each.card)]
        best = run.folder / "best.safetensors"
        print(f"weights in {ship(run, point, plates, before=cards) if options.ship else best}")


def _of_the_paper(options: argparse.Namespace) -> None:
    changes = _changes(options, "loss", "weight", "augment")
    wanted = recipe(options.preset, model=options.model, **changes)
    plates = load_plates()
    train = Pictures.from_dataset(plates["train"], wanted.pictures, wanted.seed)
    validation = Pictures.from_dataset(plates["validation"], options.validation)
    run = fit_or_load(options.name or options.model, wanted, train, validation, describe(plates))
    if processes.rank() == 0:
        print(run.say())
        concealer = Concealer(Segmenter(run.model, run.card["name"]))
        point = choose_operating_point(plates["validation"], concealer, progress=someone_watches())
        set_operating_point(run, point)
        print(", ".join(f"{key} {value}" for key, value in point.items()))
        print(f"weights in {run.folder / 'best.safetensors'}")
