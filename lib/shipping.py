"""PlateNet as it is shipped: trained on photographs and rendered scenes, its point chosen, its weights put in place."""

from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from datasets import DatasetDict

from lib.compact import CompactRecipe, CompactTrainer
from lib.conceal import Concealer
from lib.data import describe, load_plates
from lib.engine import SUMS, Segmenter, save_checkpoint
from lib.evaluate import FINER, choose_operating_point
from lib.files import atomic
from lib.gallery import Gallery
from lib.settings import WEIGHTS, PlatesError, settings, someone_watches
from lib.training import Run, fit_or_load, set_operating_point

SCENES = 2000  # rendered scenes beside the photographs: exact outlines, and pictures without any plate
VALIDATION = 160  # pictures that are looked at after each epoch; the operating point is chosen on all
SHIPPED = WEIGHTS / "platenet.safetensors"

# What the profiles change: how many pictures and passes, never how.
PRESETS: dict[str, dict[str, Any]] = {
    "fast": {"epochs": 12, "pictures": 800, "batch": 16},
    "full": {"epochs": 75},
}


def compact_recipe(preset: str | None = None, **changes: Any) -> CompactRecipe:
    """The compact network's recipe of a preset (default: as PLATES_FAST says), with ``changes``.

    Raises:
        PlatesError: no preset has that name.
    """
    name = preset or ("fast" if settings().fast else "full")
    if name not in PRESETS:
        raise PlatesError(f"preset {name!r} is unknown; choose one of {', '.join(PRESETS)}.")
    return replace(CompactRecipe(), **(PRESETS[name] | changes))


def train_compact(name: str, recipe: CompactRecipe, plates: DatasetDict, scenes: int = 0) -> Run:
    """Fit or load the compact network on a dataset and, beside it, the first ``scenes`` rendered scenes.

    Returns:
        The run; its data line names both.

    Raises:
        PlatesError: see `lib.training.fit_or_load`.
    """
    told, train = describe(plates), Gallery.from_dataset(plates["train"]).sample(recipe.pictures, recipe.seed)
    if scenes:
        drawn = load_plates("scenes", sizes={"train": scenes, "validation": 1, "test": 1})["train"]
        told, train = f"{told}; {describe(drawn)}", train + Gallery.from_dataset(drawn)
    validation = Gallery.from_dataset(plates["validation"]).sample(VALIDATION, recipe.seed)
    return fit_or_load(name, replace(recipe, pictures=None), train, validation, told, trainer=CompactTrainer)


def choose_point(run: Run, plates: DatasetDict) -> dict[str, float]:
    """Choose a run's operating point on all of validation, unless it has one, and write it into its checkpoint."""
    point = run.card["operating_point"]
    if point is None:
        concealer = Concealer(Segmenter(run.model, run.card["name"]), threshold=0.5)
        point = choose_operating_point(plates["validation"], concealer, **FINER, limit=None, progress=someone_watches())
        set_operating_point(run, point)
    return point


def ship(run: Run, point: dict[str, float], path: Path = SHIPPED) -> Path:
    """Put a run's weights in place, in half precision, with a card that holds all but the log of every step.

    The SHA-256 of all weights there are listed beside them, and compared when they are loaded.
    """
    card = {key: value for key, value in run.card.items() if key != "log"}
    save_checkpoint(path, run.model, {**card, "operating_point": point}, half=True)
    shipped = sorted(path.parent.glob("*.safetensors"))
    with atomic(path.parent / SUMS) as temporary:
        temporary.write_text("".join(f"{sha256(each.read_bytes()).hexdigest()}  {each.name}\n" for each in shipped))
    return path
