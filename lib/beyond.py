"""The trainings of `11_low_data` and `12_ablation`, by name and as data: little data, single choices, sources left out.

All take the same number of optimiser steps (`STEPS`), whatever the method and however few the pictures; those that ask
what a longer training would bring take a multiple of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from lib.catalogue import CODE
from lib.compact import CompactRecipe
from lib.crops import Crop, UniformCrop
from lib.recipes import Recipe
from lib.settings import PlatesError
from lib.shipping import SCENES, SECOND, SECOND_CROP
from lib.yolo_recipes import YoloRecipe

STEPS = 492  # four passes over 3,946 pictures in batches of 32
COUNTS = (50, 200, 1000, None)  # training photographs; None for all
SEEDS = {50: (0, 1, 2), 200: (0, 1, 2)}  # where a draw of few pictures decides much; elsewhere one
SOURCES = ("openimages-1800", "open-lpr", "darkplate-bc", "experiment-plates-quads", "vietnam-b")
LONGER = 4  # times the steps, where a longer training is tried
METHODS = {"paper": "the paper's network", "platenet": "PlateNet", "scenes": "PlateNet with scenes", "yolo": "YOLOv5n"}

SIDE = 224  # px, of PlateNet's crops: half the work of the 320 that it is shipped with, plates of the same sizes
CROP = Crop(side=SIDE)
PLAIN = UniformCrop(side=SIDE, turn=0.0, bend=0.0, light=False)


@dataclass(frozen=True)
class Trial:
    """One training of `11_low_data` or `12_ablation`.

    Attributes:
        name: of the run, and of its record.
        label: what tables call it.
        group: the table or figure it belongs to: ``choices``, ``low-data``, ``longer``, ``sources`` or ``scenes-only``.
        recipe: a `lib.recipes.Recipe`, `lib.compact.CompactRecipe` or `lib.yolo_recipes.YoloRecipe`, which names the
            method; its epochs follow from ``steps``.
        pictures: how many training photographs, drawn with the recipe's seed; None for all, 0 for none.
        scenes: how many rendered scenes beside them.
        without: a source that training and validation leave out and that alone is tested; None for no such.
        times: of `STEPS` that it takes.
    """

    name: str
    label: str
    group: str
    recipe: Recipe | CompactRecipe | YoloRecipe
    pictures: int | None = None
    scenes: int = 0
    without: str | None = None
    times: int = 1

    @property
    def steps(self) -> int:
        """Optimiser steps that it takes, to the nearest epoch."""
        return self.times * STEPS

    def sized(self, pictures: int) -> Recipe | CompactRecipe | YoloRecipe:
        """The recipe with as many epochs of ``pictures`` pictures as come nearest to its steps."""
        each = max(1, pictures // self.recipe.batch)
        return replace(self.recipe, epochs=max(1, round(self.steps / each)))

    def told(self) -> dict[str, Any]:
        """The recipe for a record, with the kind of recipe it is."""
        return {"kind": type(self.recipe).__name__, **asdict(self.recipe)}


def _choices() -> list[Trial]:
    """From the paper's baseline to the compact network, one choice more in each row."""
    code: dict[str, Any] = {**CODE, "weight": 5.0, "batch": 32}
    now = CompactRecipe(crop=PLAIN, plate=1.0, tversky=0.0, small=0.0, average=0.0)
    made = [
        Trial("choice-paper", "the paper's network, loss and crops", "choices", Recipe(**code)),
        Trial("choice-network", "PlateNet in its place", "choices", Recipe(**code, model="platenet")),
        Trial("choice-entropy", "PlateNet's plain way of training, cross entropy", "choices", now),
    ]
    more: list[tuple[str, str, dict[str, Any]]] = [
        ("overlap", "+ plates weighed, overlap term", {"plate": CompactRecipe.plate, "tversky": CompactRecipe.tversky}),
        ("crops", "+ most crops laid on plates, turned, bent", {"crop": replace(CROP, light=False)}),
        ("light", "+ other light, noise, compression", {"crop": CROP}),
        ("small", "+ small plates lifted", {"small": CompactRecipe.small}),
        ("average", "+ weights averaged", {"average": CompactRecipe.average}),
    ]
    for name, label, change in more:
        now = replace(now, **change)
        made.append(Trial(f"choice-{name}", label, "choices", now))
    made.append(Trial("choice-scenes", f"+ {SCENES:,} rendered scenes", "choices", now, None, SCENES))
    for name, label, change in (
        ("presence", "+ every cell asked", {"presence": SECOND["presence"]}),
        (
            "larger",
            f"+ larger, {SECOND_CROP['longest']} px, other crops closer",
            {"crop": replace(CROP, **SECOND_CROP)},
        ),
    ):
        now = replace(now, **change)
        made.append(Trial(f"choice-{name}", label, "choices", now, None, SCENES))
    return made


def _low_data() -> list[Trial]:
    made = []
    for count in COUNTS:
        for seed in SEEDS.get(count, (0,)) if count else (0,):
            for method, label in METHODS.items():
                recipes: dict[str, Recipe | CompactRecipe | YoloRecipe] = {
                    "paper": Recipe(**CODE, weight=5.0, batch=32, seed=seed),
                    "platenet": CompactRecipe(crop=CROP, seed=seed),
                    "scenes": CompactRecipe(crop=CROP, seed=seed),
                    "yolo": YoloRecipe(batch=16, seed=seed),
                }
                name = f"low-{method}-{count or 'all'}" + (f"-seed-{seed}" if seed else "")
                scenes = SCENES if method == "scenes" else 0
                made.append(Trial(name, label, "low-data", recipes[method], count, scenes))
    return made


def _longer() -> list[Trial]:
    """The ends of the figure of little data for longer: whether fifty photographs still do as well as all."""
    ends = [one for one in _low_data() if one.name.endswith(("-50", "-all"))]
    methods = ("low-platenet-", "low-scenes-")
    return [
        replace(one, name=one.name.replace("low", "long"), group="longer", times=LONGER)
        for one in ends
        if one.name.startswith(methods)
    ]


def _sources() -> list[Trial]:
    made = [Trial(f"without-{name}", name, "sources", CompactRecipe(crop=CROP), None, SCENES, name) for name in SOURCES]
    return [*made, Trial("scenes-only", "scenes alone", "scenes-only", CompactRecipe(crop=CROP), 0, SCENES)]


TRIALS: dict[str, Trial] = {one.name: one for one in (*_choices(), *_low_data(), *_longer(), *_sources())}
TRIAL_GROUPS: tuple[str, ...] = tuple(dict.fromkeys(one.group for one in TRIALS.values()))


def chosen(names: list[str]) -> list[Trial]:
    """The trials of these names and groups, in order; all of them for an empty list.

    Raises:
        PlatesError: a name is neither.
    """
    for name in names:
        if name not in TRIALS and name not in TRIAL_GROUPS:
            raise PlatesError(f"no trial or group is called {name!r}; groups are {', '.join(TRIAL_GROUPS)}.")
    return [one for one in TRIALS.values() if not names or {one.name, one.group} & set(names)]


def grouped(records: Sequence[Mapping[str, Any]]) -> dict[str, dict[int, list[Mapping[str, Any]]]]:
    """A method of `METHODS` to a number of photographs to its records of `lib.contests`, a seed each; none is empty."""
    told: dict[str, dict[int, list[Mapping[str, Any]]]] = {}
    order = [*METHODS.values()]
    for record in sorted(records, key=lambda one: (order.index(one["label"]), one["photographs"])):
        told.setdefault(record["label"], {}).setdefault(record["photographs"], []).append(record)
    return told


def twins(
    short: Sequence[Mapping[str, Any]], long: Sequence[Mapping[str, Any]]
) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Records of ``short`` with those of ``long`` of the same method, number of photographs and seed, by method."""
    known = {(one["label"], one["photographs"], one["seed"]): one for one in short}
    order = [*METHODS.values()]
    pairs = [(known[key], one) for one in long if (key := (one["label"], one["photographs"], one["seed"])) in known]
    return sorted(pairs, key=lambda pair: (order.index(pair[0]["label"]), pair[0]["photographs"]))
