"""PlateNet as it is shipped: trained on photographs and rendered scenes, its point chosen, its weights put in place."""

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from datasets import DatasetDict

from lib.answers import quantise
from lib.checkpoints import SUMS, load_checkpoint, save_checkpoint
from lib.compact import CompactRecipe, CompactTrainer
from lib.conceal import Concealer
from lib.crops import Crop
from lib.data import describe, load_plates
from lib.engine import Segmenter
from lib.evaluate import FINER, choose_operating_point
from lib.files import atomic, sha256_of
from lib.gallery import Gallery, without_plates
from lib.long_training import LongRecipe, LongTrainer
from lib.look_training import LookRecipe, LookTrainer
from lib.looks import LookCrop, looks
from lib.platefree import BARE_SEED, free_crops, free_scenes
from lib.settings import WEIGHTS, PlatesError, settings, someone_watches
from lib.training import Run, fit_or_load, set_operating_point
from lib.transforms import fit

SCENES = 2000  # rendered scenes beside the photographs: exact outlines, and pictures without any plate
VALIDATION = 160  # pictures at most that are looked at after each epoch; the operating point is chosen on all
PLATE_FREE = 300  # parts of validation photographs without a plate that the operating point is chosen with
ALARMS = 0.2  # the greatest share of these in which something may be concealed
# A point nearer to the limits had .0174 false cover on validation and .0214 on test, where .02 is the limit.
GRID: dict[str, Any] = {**FINER, "growths": (0.0, 0.02, 0.03, 0.04, *FINER["growths"][1:]), "margin": 0.8}
CALIBRATION = 60  # training pictures that the ranges of the int8 form are measured on
SHIPPED = WEIGHTS / "platenet.safetensors"
TOLD = {"start": "begun from", "teacher": "taught by"}  # how a run's data line names another
LARGE = {"stem": (24, 48), "channels": (96, 176, 256), "depth": (2, 3, 3), "neck": 96}  # `PlateNet`'s options

# What the profiles change: how many pictures and passes, and how large the crops are; never how. The last two are for
# a GPU: many times the crops, of the source with the most varied streets twice as many, and a teacher seven times as
# large, which is trained for half as long.
FOR_A_GPU: dict[str, Any] = {"batch": 128, "learning_rate": 4e-3, "often": {"openimages-1800": 2}, "free": 3}
PRESETS: dict[str, CompactRecipe] = {
    "fast": CompactRecipe(epochs=6, pictures=600, batch=16, crop=Crop(side=224)),
    "full": CompactRecipe(epochs=75),
    "long": LongRecipe(epochs=8, **FOR_A_GPU),
    "teacher": LongRecipe(epochs=4, options=LARGE, **FOR_A_GPU),
}
# After it has learned what a plate is: closer, with more that is none, and asked for every cell; and how long.
SECOND: dict[str, Any] = {"presence": 1.0}
SECOND_RATE = 0.75
SECOND_EPOCHS = {CompactRecipe: 0.8, LongRecipe: 3.0}
SECOND_CROP: dict[str, Any] = {"longest": 960, "anywhere": 0.45, "closer": 2.0}
# At last with what a second look is shown in half of each batch, and with what photographs seldom show.
THIRD: dict[str, Any] = {"learning_rate": 1e-3, "presence": 1.0, "negative": 0.2, "night": 0.1}
THIRD_EPOCHS = {CompactRecipe: 0.16, LongRecipe: 2.0}


def compact_recipe(preset: str | None = None, **changes: Any) -> CompactRecipe:
    """The compact network's recipe of a preset (default: as PLATES_FAST says), with ``changes``.

    Raises:
        PlatesError: no preset has that name.
    """
    name = preset or ("fast" if settings().fast else "full")
    if name not in PRESETS:
        raise PlatesError(f"preset {name!r} is unknown; choose one of {', '.join(PRESETS)}.")
    return replace(PRESETS[name], **changes)


def second(recipe: CompactRecipe) -> CompactRecipe:
    """The recipe of the second stage of a training whose first stage was ``recipe``'s."""
    epochs, rate = SECOND_EPOCHS[type(recipe)] * recipe.epochs, SECOND_RATE * recipe.learning_rate
    crop = replace(recipe.crop, **SECOND_CROP)
    return replace(recipe, **SECOND, epochs=max(1, round(epochs)), learning_rate=rate, crop=crop)


def third(recipe: CompactRecipe) -> LookRecipe:
    """The recipe of the third stage of a training whose first stage was ``recipe``'s."""
    own = {each.name: getattr(recipe, each.name) for each in fields(CompactRecipe)}
    crop, epochs = replace(recipe.crop, **SECOND_CROP), max(1, round(THIRD_EPOCHS[type(recipe)] * recipe.epochs))
    look = LookCrop(**{key: getattr(crop, key) for key in ("side", "turn", "bend", "light")})
    more = {"epochs": epochs, "crop": crop, "look": look, "looked": max(1, recipe.batch // 2)}
    return LookRecipe(**(own | THIRD | more))


def train_stages(
    name: str,
    recipe: CompactRecipe,
    plates: DatasetDict,
    scenes: int = 0,
    teacher: Callable[[], Run] | None = None,
    count: int = 3,
) -> list[Run]:
    """Three stages: the first as ``recipe`` says; `second` from there, with half as many scenes again; then `third`.

    Plates of the photographs that nobody labelled (`lib.unlabelled`) are plates to all of them.

    Args:
        teacher: makes or loads the run whose network helps in the second stage, where the recipe is a `LongRecipe`.
        count: how many of the stages, 2 or 3.

    Returns:
        The runs; the last one's network is the one to use.

    Raises:
        PlatesError: see `train_compact`.
    """
    first, more = train_compact(f"{name}-first", recipe, plates, scenes, found=True), scenes + scenes // 2
    taught = teacher() if teacher else None
    run = train_compact(f"{name}-second", second(recipe), plates, more, first, taught, found=True)
    return [first, run, *([train_compact(name, third(recipe), plates, more, run, found=True)] if count > 2 else [])]


def train_compact(
    name: str,
    recipe: CompactRecipe,
    plates: DatasetDict,
    scenes: int = 0,
    start: Run | None = None,
    teacher: Run | None = None,
    found: bool = False,
) -> Run:
    """Fit or load the compact network on a dataset and, beside it, the first ``scenes`` rendered scenes.

    ``start`` is the run whose network goes on learning, None for a new one; ``teacher`` the run whose network has a say
    in what is right, for a `LongRecipe`; ``found`` to learn from the plates too that nobody labelled.

    Returns:
        The run; its data line names both.

    Raises:
        PlatesError: see `lib.training.fit_or_load`.
    """
    told = describe(plates) + (", plates found too" if found else "")
    train = Gallery.from_dataset(plates["train"], found=found).sample(recipe.pictures, recipe.seed)
    if scenes:
        drawn = load_plates("scenes", sizes={"train": scenes, "validation": 1, "test": 1})["train"]
        told, train = f"{told}; {describe(drawn)}", train + Gallery.from_dataset(drawn)
    if isinstance(recipe, LookRecipe):
        recipe = replace(recipe, bare=scenes // 2)
    runs = {key: run for key, run in (("start", start), ("teacher", teacher)) if run is not None}
    for key, run in runs.items():
        shipped_ones = not (run.folder / "last.safetensors").exists()
        told = f"{told}; {TOLD[key]} {run.card['name'] if shipped_ones else run.folder.name}"
    looked_at = VALIDATION if recipe.pictures is None else min(VALIDATION, max(1, recipe.pictures // 10))
    validation = Gallery.from_dataset(plates["validation"]).sample(looked_at, recipe.seed)
    more = {key: run.model for key, run in runs.items()}

    def trainer(recipe: CompactRecipe, train: Gallery, validation: Gallery, test: Gallery | None) -> CompactTrainer:
        if isinstance(recipe, LookRecipe):  # only if it is not found: a first look at every picture takes minutes
            first = Segmenter(start.model, start.card["name"])
            bare = without_plates(free_scenes(recipe.bare, BARE_SEED))
            own = {
                "train_looks": looks(train, first) + looks(bare, first),
                "validation_looks": looks(validation, first),
            }
            return LookTrainer(recipe, train, validation, test, **own, **more)
        kind = LongTrainer if isinstance(recipe, LongRecipe) else CompactTrainer
        return kind(recipe, train, validation, test, **more)

    return fit_or_load(name, replace(recipe, pictures=None), train, validation, told, trainer=trainer)


def choose_point(run: Run, plates: DatasetDict) -> dict[str, Any]:
    """Choose a run's operating point on all of validation, unless it has one, and write it into its checkpoint.

    Returns:
        As `lib.evaluate.choose_operating_point`, and ``again``: what may be a plate is looked at twice
        (`lib.second_look`).
    """
    point = run.card["operating_point"]
    if point is None:
        point = best_point(run, plates)
        set_operating_point(run, point)
    return point


def best_point(run: Run, plates: DatasetDict) -> dict[str, Any]:
    """What `choose_point` chooses."""
    concealer = Concealer(Segmenter(run.model, run.card["name"], again=True), threshold=0.5)
    point = choose_operating_point(
        plates["validation"],
        concealer,
        **GRID,
        limit=None,
        progress=someone_watches(),
        plate_free=free_crops(plates["validation"], PLATE_FREE),
        alarm_limit=ALARMS,
    )
    return {**point, "again": True}


def shipped(path: Path | None = None) -> Run:
    """The shipped network as the run that it is the end of; its card's ``before`` are the cards of earlier stages.

    Raises:
        PlatesError: see `lib.checkpoints.load_checkpoint`.
    """
    path = path or SHIPPED
    return Run(*load_checkpoint(path), path.parent, loaded=True)


def ship(
    run: Run, point: dict[str, float], plates: DatasetDict, path: Path = SHIPPED, before: Sequence[dict[str, Any]] = ()
) -> Path:
    """Put a run's weights in place, in half precision, with a card that holds all but the log of every step.

    ``before`` are the cards of the stages that it began from, which the card is to hold too.
    Beside them their int8 form, ``.onnx``, its ranges measured on training pictures; and the SHA-256 of all weights
    there, compared when they are loaded.

    Raises:
        PlatesError: see `lib.answers.quantise`.
    """
    card, *earlier = ({k: v for k, v in each.items() if k != "log"} for each in (run.card, *before))
    card |= {"epoch": card["best_epoch"], "operating_point": point, "before": earlier}
    save_checkpoint(path, run.model, card, half=True)
    model, _ = load_checkpoint(path)  # as others will: rounded to half precision
    split = plates["train"]
    chosen = np.linspace(0, len(split) - 1, min(CALIBRATION, len(split))).astype(int)
    pictures = (fit(pixels, model.longest)[0] for pixels in Gallery.from_dataset(split.select(chosen)).pixels)
    quantise(model, pictures, path.with_suffix(".onnx"), sha256_of(path))
    write_sums(path.parent)
    return path


def choose_again(plates: DatasetDict, path: Path = SHIPPED) -> dict[str, Any]:
    """Choose the point of the weights in ``path`` anew and write it into the card of the very same weights."""
    run = shipped(path)
    point = best_point(run, plates)
    ship(run, point, plates, path, run.card["before"])
    return point


def write_sums(folder: Path) -> None:
    """Write the SHA-256 of all weights in a folder, which are compared when they are loaded."""
    shipped = sorted(each for each in folder.iterdir() if each.suffix in (".safetensors", ".onnx"))
    with atomic(folder / SUMS) as temporary:
        temporary.write_text("".join(f"{sha256_of(each)}  {each.name}\n" for each in shipped))
