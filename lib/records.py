"""What the catalogue's trainings scored, one JSON file each in ``figures/runs``: the numbers behind the tables.

``python -m lib runs`` makes them; the notebooks read them, so that nobody types a number and nobody has to repeat
hours of training to read a table. A record names its data, recipe, device and seed, and is written only when whole.
"""

from collections.abc import Iterable
from dataclasses import asdict
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

from datasets import DatasetDict
from torch import nn

from lib.catalogue import EXPERIMENTS, Experiment, experiment, wanted
from lib.conceal import Concealer
from lib.data import describe
from lib.engine import Segmenter
from lib.evaluate import choose_operating_point, evaluate
from lib.experiments import Frames, Score, against_prior, never_looking, score
from lib.files import read_json, write_json
from lib.metrics import Accumulator
from lib.models import LocationPrior
from lib.pictures import Pictures
from lib.recipes import Recipe
from lib.settings import FIGURES, PlatesError
from lib.trainer import Diverged
from lib.training import Run, fit_or_load, set_operating_point
from lib.transforms import full_frame, random_crops

RECORDS = FIGURES / "runs"
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
        return recipe.digest(f"{self.data} {self.train.fingerprint()} {self.validation.fingerprint()}")


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


def make(name: str, bench: Bench, preset: str, folder: Path = RECORDS, replace: bool = False) -> dict[str, Any]:
    """The record of an experiment on these pictures: found, or trained (resuming where it was stopped) and scored.

    Args:
        preset: the size of experiments that do not name their own.
        replace: whether a record of another recipe or other data may be overwritten.

    Raises:
        PlatesError: a record of this name has another recipe or other data, or cannot be read.
    """
    one, recipe = experiment(name), wanted(name, preset)
    identity, path = bench.identity(recipe), folder / f"{name}.json"
    if path.exists():
        found = load(name, folder)
        if found["identity"] == identity:
            return found
        if not replace:
            raise PlatesError(
                f"{path.name} is a record of another recipe or other data ({found['data']}, {found['preset']}); "
                "give --replace to overwrite it, or --out for another folder."
            )
    told = {"name": name, "label": one.label, "group": one.group, "paper": one.paper, "identity": identity}
    told |= {"data": bench.data, "recipe": asdict(recipe), "preset": one.preset or preset, "seed": recipe.seed}
    told |= {"epochs": recipe.epochs, "command": f"python -m lib runs {name} --preset {preset}"}
    twin = _twin(identity, name, folder)
    if twin is not None:  # a figure's run that another figure's group has trained under its own name
        told = twin | {key: told[key] for key in ("name", "label", "group", "paper", "command")}
    else:
        told |= _train_and_score(one, recipe, bench)
    write_json(path, told)
    return load(name, folder)


def _twin(identity: str, name: str, folder: Path) -> dict[str, Any] | None:
    for path in sorted(folder.glob("*.json")):
        if path.stem in EXPERIMENTS and path.stem != name and load(path.stem, folder)["identity"] == identity:
            return load(path.stem, folder)
    return None


def _train_and_score(one: Experiment, recipe: Recipe, bench: Bench) -> dict[str, Any]:
    try:
        run = fit_or_load(
            one.name, recipe, bench.train, bench.validation, bench.data, bench.test if one.tested else None
        )
    except Diverged as error:  # an outcome, not a failure: section 4.1 of the paper reports instability
        return {"diverged": str(error), "log": error.steps, "history": [], "steps": len(error.steps["loss"])}
    kept = ("parameters", "pictures", "device", "precision", "versions", "steps", "seconds", "best_epoch", "history")
    told = {key: run.card[key] for key in kept} | {"log": run.steps, "diverged": None}
    told |= {"metrics": bench.metrics(dict.fromkeys(("full_frame", "random_crop"), run.model), one.tested)}
    told |= {"curve": bench.curve(run.model)}
    return told | ({"coverage": _coverage(run, bench)} if one.conceals else {})


def _coverage(run: Run, bench: Bench) -> dict[str, Any]:
    """The operating point of validation, and what it covers on test: one look."""
    concealer = Concealer(Segmenter(run.model, run.card["name"]))
    point = choose_operating_point(bench.plates["validation"], concealer, progress=False)
    set_operating_point(run, point)
    at = Concealer(concealer.segmenter, point["threshold"], point["growth"])
    measured = evaluate(bench.plates["test"], at, progress=False)
    summary = measured.summary()
    told = {key: summary[key] for key in ("plates", "coverage", "missed", "stray_cover", "false_cover")}
    return {"point": point, "test": told, "interval": measured.interval("coverage")}


def make_never_looking(bench: Bench, folder: Path = RECORDS, replace: bool = False) -> dict[str, Any]:
    """The record of the two models that never look, beside which every A and A1 is read."""
    path = folder / "never-looking.json"
    told: dict[str, Any] = {"data": bench.data, "models": {}}
    if path.exists() and not replace and read_json(path).get("data") == bench.data:
        return read_json(path)
    for name in ("all-background", "location prior"):
        told["models"][name] = bench.metrics({key: models[name] for key, models in bench.never_looking.items()})
    told["plate_share"] = {f"{s} {p}": float(masks.float().mean()) for (s, p), (_, masks) in bench.frames.items()}
    write_json(path, told)
    return read_json(path)


def read_never_looking(folder: Path = RECORDS) -> dict[str, Any]:
    """What `make_never_looking` wrote: data, ``models`` by name, and each split and protocol's ``plate_share``.

    Raises:
        PlatesError: it has not been made, or its file is damaged.
    """
    return read_json(folder / "never-looking.json")


def load(name: str, folder: Path = RECORDS) -> dict[str, Any]:
    """One record.

    Raises:
        PlatesError: it has not been made, or its file is damaged.
    """
    path = folder / f"{name}.json"
    if not path.exists():
        raise PlatesError(f"{path.name}: no such record; `python -m lib runs {name}` makes it.")
    found = read_json(path)
    if not isinstance(found, dict) or found.get("name") != name or not {"identity", "recipe", "log"} <= found.keys():
        raise PlatesError(f"{path.name} is no whole record of {name}; delete it and run `python -m lib runs {name}`.")
    return found


def load_group(group: str, folder: Path = RECORDS) -> list[dict[str, Any]]:
    """The records of a group that have been made, in the catalogue's order."""
    names: Iterable[str] = (name for name, one in EXPERIMENTS.items() if one.group == group)
    return [load(name, folder) for name in names if (folder / f"{name}.json").exists()]
