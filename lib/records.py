"""What the catalogue's trainings scored, one JSON file each in ``figures/runs``: the numbers behind the tables.

``python -m lib runs`` makes them; the notebooks read them, so that nobody types a number and nobody has to repeat
hours of training to read a table. A record names its data, recipe, device and seed, and is written only when whole.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lib.catalogue import EXPERIMENTS, Experiment, experiment, wanted
from lib.conceal import Concealer
from lib.engine import Segmenter
from lib.evaluate import choose_operating_point, evaluate
from lib.files import read_json, write_json
from lib.loop import Diverged
from lib.measures import Bench
from lib.recipes import Recipe
from lib.settings import FIGURES, PlatesError
from lib.training import Run, fit_or_load, set_operating_point

RECORDS = FIGURES / "runs"


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
            refuse_other(path, found, {"identity": identity})
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
    for other, one in EXPERIMENTS.items():
        scored = all(getattr(one, key) >= getattr(experiment(name), key) for key in ("tested", "conceals"))
        with suppress(PlatesError):  # a missing or damaged record of another name is no twin
            if other != name and scored and (found := load(other, folder))["identity"] == identity:
                return found
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
    point = choose_operating_point(bench.plates["validation"], concealer, limit=None, progress=False)
    set_operating_point(run, point)
    at = Concealer(concealer.segmenter, point["threshold"], point["growth"])
    measured = evaluate(bench.plates["test"], at, progress=False)
    summary = measured.summary()
    told = {key: summary[key] for key in ("plates", "coverage", "missed", "stray_cover", "false_cover")}
    return {"point": point, "test": told, "interval": measured.interval("coverage")}


def refuse_other(path: Path, found: Any, wanted: Mapping[str, Any]) -> None:
    """Keep a stored file of another recipe or other data from being taken for this one's, or overwritten.

    Raises:
        PlatesError: ``found``, the file's content, differs from ``wanted`` in one of its keys.
    """
    known = found if isinstance(found, dict) else {}
    if any(known.get(key) != value for key, value in wanted.items()):
        raise PlatesError(
            f"{path.name} is of another recipe or other data ({known.get('data', 'not told')}); "
            "give --out for another folder, PLATES_DATA for the data it is of, or --replace to overwrite it."
        )


def make_never_looking(bench: Bench, folder: Path = RECORDS, replace: bool = False) -> dict[str, Any]:
    """The record of the two models that never look, beside which every A and A1 is read."""
    path = folder / "never-looking.json"
    told: dict[str, Any] = {"data": bench.data, "pictures": bench.fingerprints, "models": {}}
    if path.exists() and not replace:
        found = read_json(path)
        refuse_other(path, found, {key: told[key] for key in ("data", "pictures")})
        return found
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
    return read_record(folder, name, {"identity", "recipe", "log"}, "runs")


def read_record(folder: Path, name: str, needed: set[str], command: str) -> dict[str, Any]:
    """The record ``name`` of a folder, which ``python -m lib COMMAND NAME`` makes and which has the keys ``needed``.

    Raises:
        PlatesError: it has not been made, or its file is damaged.
    """
    path, remedy = folder / f"{name}.json", f"`python -m lib {command} {name}`"
    if not path.exists():
        raise PlatesError(f"{path.name}: no such record; {remedy} makes it.")
    found = read_json(path)
    if not isinstance(found, dict) or found.get("name") != name or not needed <= found.keys():
        raise PlatesError(f"{path.name} is no whole record of {name}; delete it and run {remedy}.")
    return found


def load_group(group: str, folder: Path = RECORDS) -> list[dict[str, Any]]:
    """The records of a group that have been made, in the catalogue's order.

    Raises:
        PlatesError: one is damaged, or they are of different data or presets and so stand in no table together.
    """
    names: Iterable[str] = (name for name, one in EXPERIMENTS.items() if one.group == group)
    found = [load(name, folder) for name in names if (folder / f"{name}.json").exists()]
    if len(kinds := sorted({f"{one['data']} with the {one['preset']} recipe" for one in found})) > 1:
        raise PlatesError(
            f"the records of {group} are of {' and of '.join(kinds)}; make them alike: "
            f"`python -m lib runs {group} --replace`."
        )
    return found
