"""What the trials of `lib.beyond` covered on test, one JSON file each in ``figures/beyond``.

Each is trained, its growth chosen on validation, and looked at on test once at all thresholds; the figure compared is
the coverage where the stray cover is 0.5 % (`lib.rivals`), since thresholds of different methods do not compare.
"""

import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict

from lib.beyond import TRIALS, Trial
from lib.boxes import BoxSegmenter
from lib.compact import CompactRecipe
from lib.conceal import Concealer
from lib.data import describe
from lib.engine import Segmenter
from lib.evaluate import FINER
from lib.files import write_json
from lib.labels import fingerprint
from lib.metrics import SMALL, Accumulator
from lib.pictures import Pictures, lots
from lib.records import read_record, refuse_other
from lib.rivals import Rival, compete, coverage
from lib.settings import FIGURES, PlatesError
from lib.shipping import VALIDATION, train_compact
from lib.training import fit_or_load
from lib.yolo import train_yolo
from lib.yolo_recipes import YoloRecipe

CONTESTS = FIGURES / "beyond"


def make_contest(trial: Trial, plates: DatasetDict, folder: Path = CONTESTS, replace: bool = False) -> dict[str, Any]:
    """The record of a trial on these pictures: found, or trained (resuming where it was stopped) and measured.

    Args:
        replace: whether a record of another recipe or other data may be overwritten.

    Raises:
        PlatesError: a record of this name has another recipe or other data, the data lack the source that is to be
            left out, or the training failed.
    """
    splits, test = splits_of(trial, plates)
    parts = {"train": splits["train"], "validation": splits["validation"], "test": test}
    identity: dict[str, Any] = {"recipe": trial.told(), "steps": trial.steps, "scenes": trial.scenes}
    identity = json.loads(json.dumps(identity | {key: fingerprint(part) for key, part in parts.items()}))
    path = folder / f"{trial.name}.json"
    if path.exists():
        found = load_contest(trial.name, folder)
        if found["identity"] == identity:
            return found
        if not replace:
            refuse_other(path, found, {"identity": identity})
    told = {"name": trial.name, "label": trial.label, "group": trial.group, "identity": identity}
    told |= {"command": f"python -m lib beyond {trial.name}"}
    twins = (load_contest(name, folder) for name in TRIALS if name != trial.name and (folder / f"{name}.json").exists())
    twin = next((each for each in twins if each["identity"] == identity), None)
    if twin is not None:  # two figures share a training
        write_json(path, twin | told)
        return load_contest(trial.name, folder)
    segmenter, card = train_trial(trial, splits, len(plates["train"]))
    rival = compete(trial.label, Concealer(segmenter, 0.5), splits["validation"], test, **FINER)
    told |= {"data": describe(plates), "photographs": len(splits["train"]), "scenes": trial.scenes}
    told |= {"without": trial.without, "seed": trial.recipe.seed}
    told |= {key: card[key] for key in ("steps", "seconds", "device", "parameters", "versions")}
    write_json(path, told | {"history": losses(card["history"])} | measured(rival))
    return load_contest(trial.name, folder)


def splits_of(trial: Trial, plates: DatasetDict) -> tuple[DatasetDict, Dataset]:
    """The photographs that a trial trains and chooses on, and those that it is tested on.

    Raises:
        PlatesError: the data lack the source that is to be left out.
    """
    train, validation, test = (plates[split] for split in ("train", "validation", "test"))
    if trial.without:
        train, validation, test = (
            split.select([i for i, source in enumerate(split["source"]) if (source == trial.without) == tested])
            for split, tested in ((train, False), (validation, False), (test, True))
        )
        if not len(test):
            known = ", ".join(sorted(set(plates["test"]["source"])))
            raise PlatesError(f"the test pictures have no source {trial.without!r}; choose one of {known}.")
    if trial.pictures is not None:
        few = lots(len(train), trial.pictures, trial.recipe.seed).tolist() if trial.pictures else []
        train = train.select(few)
    return DatasetDict(train=train, validation=validation.select(_some(len(validation)))), test


def _some(count: int) -> list[int]:
    return lots(count, min(count, VALIDATION), 0).tolist()


def train_trial(trial: Trial, splits: DatasetDict, full: int) -> tuple[Callable[..., Any], dict[str, Any]]:
    """Train a trial's network, or load it; few pictures are gone through as often as ``full`` would make steps.

    Returns:
        The network as something that `lib.conceal.Concealer` takes, and its run's card.
    """
    train, validation = splits["train"], splits["validation"]
    if 0 < len(train) < full // 2:  # an epoch ends with a look at validation, which must not come after every step
        train = train.select(list(range(len(train))) * (full // len(train)))
    recipe = trial.sized(len(train) + trial.scenes)
    if isinstance(recipe, YoloRecipe):
        yolo = train_yolo(DatasetDict(train=train, validation=validation), recipe)
        return BoxSegmenter(yolo.boxes, trial.name), yolo.card
    if isinstance(recipe, CompactRecipe):
        run = train_compact(trial.name, recipe, DatasetDict(train=train, validation=validation), trial.scenes)
    else:
        pictures = [Pictures.from_dataset(part) for part in (train, validation)]
        run = fit_or_load(trial.name, recipe, *pictures, describe(splits))
    return Segmenter(run.model, trial.name), run.card


def losses(history: Iterable[Mapping[str, float]]) -> list[dict[str, float]]:
    """The loss in training and on validation after each epoch; of a detector the sum of its terms, as it descends."""
    kept = []
    for row in history:
        if "train/box_loss" in row:
            both = ((name, sum(row[key] for key in row if key.startswith(part))) for name, part in YOLO_LOSSES.items())
            kept.append({"epoch": int(row["epoch"])} | {name: round(value, 5) for name, value in both})
        elif "loss" in row:  # not before the first step
            kept.append({key: row[key] for key in ("epoch", "loss", "validation_loss")})
    return kept


YOLO_LOSSES = {"loss": "train/", "validation_loss": "val/"}


def measured(rival: Rival) -> dict[str, Any]:
    """A method's curve of coverage against stray cover on test, and what is read from it, with 95 % intervals."""
    told: dict[str, Any] = {"point": rival.point, "curve": []}
    for threshold, held in rival.sweep.items():
        summary = held.summary()
        kept = {key: summary[key] for key in ("coverage", "missed", "stray_cover", "false_cover")}
        told["curve"].append({"threshold": threshold, **kept})
    at_point = rival.chosen.summary()
    told["at_point"] = {key: at_point[key] for key in (*COUNTED, *SCORES)}
    told["intervals"] = {key: rival.chosen.interval(key) for key in SCORES}
    told["equal_stray"] = dict(zip(("coverage", "interval"), coverage(rival), strict=True))
    told["equal_stray_large"] = dict(zip(("coverage", "interval"), coverage(only_large(rival)), strict=True))
    told["by_source"] = rival.chosen.by_source()
    told["equal_stray_by_source"] = {}
    for source, row in told["by_source"].items():
        if row["plates"]:
            share, interval = coverage(only_source(rival, source))
            told["equal_stray_by_source"][source] = {"plates": row["plates"], "coverage": share, "interval": interval}
    return told


COUNTED = ("images", "plates")
SCORES = ("coverage", "missed", "stray_cover", "false_cover", "accuracy", "on_plate_accuracy")


def only_large(rival: Rival) -> Rival:
    """The same measurements of the plates of scaled width 24 and more alone; stray cover stays that of all."""
    sweep = {}
    for threshold, held in rival.sweep.items():
        sweep[threshold] = kept = Accumulator()
        kept.pictures, kept.plates = held.pictures, [row for row in held.plates if row.width >= SMALL]
    return dataclasses.replace(rival, sweep=sweep)


def only_source(rival: Rival, source: str) -> Rival:
    """The same measurements of the pictures of one source alone."""
    sweep = {}
    for threshold, held in rival.sweep.items():
        sweep[threshold] = kept = Accumulator()
        own = {i: number for number, i in enumerate(i for i, row in enumerate(held.pictures) if row.source == source)}
        kept.pictures = [held.pictures[i] for i in own]
        kept.plates = [row._replace(picture=own[row.picture]) for row in held.plates if row.picture in own]
    return dataclasses.replace(rival, sweep=sweep)


def load_contest(name: str, folder: Path = CONTESTS) -> dict[str, Any]:
    """One record.

    Raises:
        PlatesError: it has not been made, or its file is damaged.
    """
    return read_record(folder, name, {"identity", "equal_stray"}, "beyond")


def load_contests(group: str, folder: Path = CONTESTS) -> list[dict[str, Any]]:
    """The records of a group that have been made, in the order of `lib.beyond.TRIALS`."""
    names: Iterable[str] = (name for name, one in TRIALS.items() if one.group == group)
    return [load_contest(name, folder) for name in names if (folder / f"{name}.json").exists()]
