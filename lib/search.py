"""Grid and random search on validation (the paper's 4.3) that can be stopped at any moment, and the paper's tie rule.

Optuna draws the points and keeps the journal. All points are drawn before the first is trained, from the seed alone,
and a trial enters the journal when it is done, as one line: what was interrupted is trained again, the rest is not.
"""

import os
from collections.abc import Sequence
from dataclasses import asdict
from hashlib import sha256
from json import dumps
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import torch
import torchvision
from filelock import FileLock, Timeout
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import TrialState, create_trial

from lib.bootstrap import ratio_interval
from lib.files import read_json
from lib.pictures import Pictures
from lib.recipes import Recipe, recipe
from lib.settings import BUILD, FIGURES, PlatesError
from lib.trials import AT_ACCURACY, Judge, completed, highest_accuracy, simplest, train_point, value

__all__ = ["GRID", "SPACE", "completed", "highest_accuracy", "points", "search", "short_recipe", "simplest", "value"]

# The paper's ranges, by the names of `Recipe`'s fields; it names none for the batch and for the clipping value.
SPACE: dict[str, BaseDistribution] = {
    "learning_rate": FloatDistribution(1e-5, 1e-2, log=True),
    "weight_decay": FloatDistribution(1e-6, 1e-3, log=True),
    "weight": IntDistribution(1, 10),
    "batch": CategoricalDistribution((8, 16, 32, 64)),
    "clip_at": FloatDistribution(1e-3, 1.0, log=True),
}
# The two that the paper's final values are given for, on their own scales, with these values among them.
GRID: dict[str, Sequence[float]] = {"learning_rate": (1e-5, 1e-4, 1e-3, 1e-2), "weight_decay": (1e-6, 1e-4, 1e-3)}


def short_recipe(**changes: Any) -> Recipe:
    """What a trial trains unless told otherwise: the fast network and the authors' loss, 5 epochs of 800 pictures."""
    told = {"loss": "log2", "weight_inside": True, "reduction": "mean", "epochs": 5, "pictures": 800}
    return recipe("fast", **{**told, **changes})


def points(kind: str, trials: int, seed: int) -> list[dict[str, Any]]:
    """The first ``trials`` points of a search: the same ones however many are asked for, in a seeded order.

    Args:
        kind: ``"grid"``, the product of `GRID`'s values, or ``"random"``, draws from `SPACE`.

    Raises:
        PlatesError: the kind is unknown, or there is no such number of points.
    """
    if kind not in ("grid", "random"):
        raise PlatesError(f"search {kind!r} is unknown; choose 'grid' or 'random'.")
    most = int(np.prod([len(values) for values in GRID.values()])) if kind == "grid" else 10_000
    if not 1 <= trials <= most:
        raise PlatesError(f"a {kind} search has 1 to {most:,} trials, not {trials}; choose a number of these.")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    grid = kind == "grid"
    sampler = optuna.samplers.GridSampler(GRID, seed) if grid else optuna.samplers.RandomSampler(seed)
    study = optuna.create_study(sampler=sampler)
    space = {name: SPACE[name] for name in GRID} if grid else SPACE
    return [study.ask(space).params for _ in range(trials)]


def search(
    kind: str,
    trials: int,
    train: Pictures,
    validation: Pictures,
    data: str,
    folder: Path | None = None,
    base: Recipe | None = None,
) -> dict[str, Any]:
    """Train and score every point of a search that is not in its journal yet.

    All trials start from the same weights and see as many pictures, so a larger batch means fewer steps at the same
    cost. A trial's value is its *pooled A1 at A = 0.95* on whole validation pictures: a model's threshold is moved to
    where A is just 0.95. At one half neither A nor A1 would do, since predicting nothing wins the one and predicting
    everything the other. A trial whose loss runs away is recorded as ``"diverged"``. Checkpoints are deleted.

    Args:
        kind: ``"grid"`` or ``"random"``, as in `points`.
        trials: how many points; a finished search goes on when more are asked for.
        train, validation: the pictures; ``base.pictures`` of the former are drawn, all of the latter are scored.
        data: one line that names the data (`lib.data.describe`).
        folder: where ``search-KIND.journal`` is kept; None: a folder of this recipe and data under ``build/``.
        base: what the points change; None: `short_recipe`.

    Returns:
        Fit for JSON: ``kind, recipe, seed, data, device, versions, space, at_accuracy, pictures,
        validation_pictures, prior_at_accuracy_095, trials``. A trial: ``number, state, params, A, A1, A1 pooled,
        cross_entropy`` (nats a pixel), ``at_accuracy_095`` (None where no threshold reaches that A, and valued 0),
        ``gain`` over the location prior at this A and its 95 % ``interval``, ``behind_best``, ``seconds, steps,
        best_epoch, failed``. ``behind_best`` is the 95 % interval of how far the best trial is ahead, by a bootstrap
        over pictures that draws the same pictures for both; `simplest` uses it.

    Raises:
        PlatesError: the folder holds a search of another recipe or data or cannot be used, or another process is at
            this search; and what `lib.training.fit` raises, but for `Diverged`.
    """
    planned = points(kind, trials, (base := base or short_recipe()).seed)
    train = train.sample(base.pictures, base.seed)
    fixed = {"kind": kind, "recipe": asdict(base), "data": data}
    prints = [train.fingerprint(), validation.fingerprint()]
    identity = sha256(dumps([fixed, prints, AT_ACCURACY, str(GRID if kind == "grid" else SPACE)]).encode()).hexdigest()
    folder = folder or BUILD / "searches" / identity[:8]
    lock = _locked(folder, kind)
    try:
        study = _study(folder / f"search-{kind}.journal", identity)
        done = {trial.user_attrs["number"] for trial in study.trials}
        judge = Judge(train, validation)
        for number, point in enumerate(planned):
            if number not in done:
                told = train_point(point, base, train, validation, data, folder / f"trial-{number:03}", judge)
                study.add_trial(_entry(number, point, told))
        kept = [trial for trial in study.trials if trial.user_attrs["number"] < trials]
    finally:
        lock.release()
    return {
        **fixed,
        "seed": base.seed,
        "device": ", ".join(sorted({trial.user_attrs["device"] for trial in kept})),
        "versions": {"torch": torch.__version__, "torchvision": torchvision.__version__, "optuna": optuna.__version__},
        "space": {name: list(values) for name, values in GRID.items()} if kind == "grid" else _ranges(),
        "at_accuracy": AT_ACCURACY,
        "pictures": len(train),
        "validation_pictures": len(validation),
        "prior_at_accuracy_095": judge.prior_reaches,
        "trials": _rows(kept, judge.truth),
    }


def load_searches(folder: Path = FIGURES / "runs") -> list[dict[str, Any]]:
    """The searches that ``python -m lib runs search`` has kept there: grid, then random, those that exist.

    Raises:
        PlatesError: a file is damaged.
    """
    found = []
    for kind in ("grid", "random"):
        path = folder / f"search-{kind}.json"
        if path.exists():
            told = read_json(path)
            if not isinstance(told, dict) or told.get("kind") != kind or not isinstance(told.get("trials"), list):
                raise PlatesError(f"{path.name} is no whole record of a search; delete it and make it again.")
            found.append(told)
    return found


def _entry(number: int, point: dict[str, Any], told: dict[str, Any]) -> optuna.trial.FrozenTrial:
    """A finished trial as the journal keeps it."""
    failed = told["failed"] is not None
    return create_trial(
        state=TrialState.FAIL if failed else TrialState.COMPLETE,
        value=None if failed else told["at_accuracy_095"] or 0.0,
        params=point,
        distributions={name: SPACE[name] for name in point},
        user_attrs={"number": number, **told},
    )


def _rows(kept: Sequence[optuna.trial.FrozenTrial], truth: np.ndarray) -> list[dict[str, Any]]:
    """The journal's trials as `search` returns them, in the order of their numbers."""
    best = max((trial for trial in kept if trial.value is not None), key=lambda trial: trial.value, default=None)
    rows = []
    for trial in sorted(kept, key=lambda trial: trial.user_attrs["number"]):
        told = trial.user_attrs
        row = {"number": told["number"], "state": "diverged" if trial.value is None else "complete"}
        row |= {"params": trial.params, **{key: told.get(key) for key in NUMBERS}, "behind_best": None}
        if best is not None and trial.value is not None:
            lead = np.subtract(best.user_attrs["hits"], told["hits"], dtype=float)
            row["behind_best"] = list(ratio_interval(lead, truth))
        rows.append(row)
    return rows


NUMBERS = ("A", "A1", "A1 pooled", "cross_entropy", "at_accuracy_095", "gain", "interval", "seconds", "steps")
NUMBERS += ("best_epoch", "failed")


def _ranges() -> dict[str, list[Any]]:
    """The ends of `SPACE`'s ranges, or its choices."""
    return {
        name: list(one.choices) if isinstance(one, CategoricalDistribution) else [one.low, one.high]
        for name, one in SPACE.items()
    }


def _locked(folder: Path, kind: str) -> FileLock:
    """Take the folder for this process alone.

    Raises:
        PlatesError: another process has it, or it cannot be written to.
    """
    lock = FileLock(folder / f"search-{kind}.lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise PlatesError(f"{folder}: another process is at this search; wait until it has ended.") from error
    except OSError as error:
        raise PlatesError(f"{folder}: cannot be searched in ({error.strerror}); choose another folder.") from error
    return lock


def _study(journal: Path, identity: str) -> optuna.Study:
    """Open a search's journal, or begin one; the caller holds its lock.

    Raises:
        PlatesError: it is another search's journal, or none.
    """
    _mend(journal)
    backend = JournalFileBackend(str(journal), JournalFileOpenLock(str(journal)))
    try:
        storage = optuna.storages.JournalStorage(backend)
        study = optuna.create_study(storage=storage, study_name="search", direction="maximize", load_if_exists=True)
    except Exception as error:  # the journal's parser raises whatever a damaged line makes it raise
        raise PlatesError(f"{journal}: is no journal of a search; delete it to search anew.") from error
    if study.user_attrs.setdefault("identity", identity) != identity:
        raise PlatesError(f"{journal}: is of a search with another recipe, data or space; delete it or choose another.")
    study.set_user_attr("identity", identity)
    return study


def _mend(journal: Path) -> None:
    """Remove what a killed process leaves: half a line at the end, and the lock around the writing of one."""
    journal.with_name(journal.name + ".lock").unlink(missing_ok=True)
    if journal.exists():
        with journal.open("rb+") as handle:
            os.truncate(handle.fileno(), handle.read().rfind(b"\n") + 1)
