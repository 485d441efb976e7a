"""The trainings behind the course's tables, by name: Table 1 of the paper, and the ablations around it, as data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lib.recipes import Recipe, recipe
from lib.settings import PlatesError, device

CODE = {"loss": "log2", "weight_inside": True, "reduction": "mean"}  # the loss as the authors' code has it


@dataclass(frozen=True)
class Experiment:
    """One training of the course.

    Attributes:
        name: of the run, and of its record in ``figures/runs``.
        label: what tables and legends call it.
        group: the table or figure that it belongs to.
        changes: to the preset's recipe (`lib.recipes.recipe`).
        preset: the preset; None for the profile's own.
        paper: A and A1 of its row in the paper's Table 1, where it has one.
        tested: whether test pictures are looked at; ablations and searches have only validation.
        conceals: whether an operating point is chosen and coverage measured, which takes minutes.
    """

    name: str
    label: str
    group: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    preset: str | None = None
    paper: tuple[float, float] | None = None
    tested: bool = False
    conceals: bool = False


def _table1() -> list[Experiment]:
    wide = {"model": "deep", "options": {"channels": (64, 128, 1024)}}  # the baseline with a wider end, no other change
    rows: list[tuple[str, str, dict[str, Any], tuple[float, float] | None]] = [
        ("cross-entropy", "512, cross entropy", {"loss": "cross_entropy"}, (0.94, 0.0)),
        ("log2-paper", "512, log², λ = 5, the equation", {"loss": "log2"}, (0.89, 0.93)),
        ("log2-code-3", "512, log², λ = 3", {**CODE, "weight": 3.0}, (0.91, 0.86)),
        ("log2-code", "512, log², λ = 5", CODE, (0.89, 0.93)),
        ("log2-code-8", "512, log², λ = 8", {**CODE, "weight": 8.0}, (0.83, 0.97)),
        ("log3-code", "512, log³, λ = 5", {**CODE, "loss": "log3"}, (0.71, 0.95)),
        ("wide-code", "1024, log², λ = 5", {**CODE, **wide}, (0.91, 0.93)),
        ("wide-code-blur", "1024, log², λ = 5, blur", {**CODE, **wide, "augment": ("blur",)}, (0.91, 0.96)),
        ("fullconv-code", "FullConv, log², λ = 10", {**CODE, "model": "fullconv", "weight": 10.0}, (0.05, 1.0)),
    ]
    conceal = ("log2-code", "wide-code-blur")  # the rows that somebody might want to use
    made = [
        Experiment(name, label, "table1", told, None, paper, True, name in conceal) for name, label, told, paper in rows
    ]
    told = "512, log², λ = 5, seed {}"
    return made + [
        Experiment(f"log2-code-seed-{seed}", told.format(seed), "seeds", {**CODE, "seed": seed}, None, None, True, True)
        for seed in (1, 2)
    ]


def _sweeps() -> list[Experiment]:
    made = []

    def add(group: str, name: str, label: str, seeds: int = 1, **changes: Any) -> None:
        for seed in range(seeds):
            more, told = (f"-seed-{seed}", f", seed {seed}") if seed else ("", "")
            made.append(Experiment(name + more, label + told, group, {**CODE, **changes, "seed": seed}, "sweep"))

    for inside in (False, True):
        place = "inside" if inside else "outside"
        for weight in (1, 2, 3, 5, 8, 10) if inside else (3, 5, 8, 10):  # below, the two are hardly apart
            told = {"weight": float(weight), "weight_inside": inside}
            add("lambda", f"lambda-{place}-{weight}", f"λ = {weight} {place}", **told)
    for inside in (False, True):
        for reduction in ("sum", "mean"):
            place = "inside" if inside else "outside"
            told = {"weight": 5.0, "weight_inside": inside, "reduction": reduction}
            add("form", f"form-{place}-{reduction}", f"λ = 5 {place}, {reduction}", **told)
    for reduction in ("sum", "mean"):
        for clip in ("value", "norm", ""):
            told = {"weight": 5.0, "reduction": reduction, "clip": clip}
            add("clipping", f"clip-{clip or 'none'}-{reduction}", f"{clip or 'no clipping'}, {reduction}", **told)
    for schedule in ("cosine", "constant"):
        add("schedule", f"schedule-{schedule}", f"{schedule} rate", seeds=3, weight=5.0, schedule=schedule)
    for names in ((), ("photometric",), ("flip",), ("blur",)):
        label = names[0] if names else "crop alone"
        add("augment", f"augment-{(names or ('crop',))[0]}", label, seeds=3, weight=5.0, augment=names)
    for hidden in (0, 512):
        label = f"{hidden} hidden units" if hidden else "one linear layer (paper)"
        add("heads", f"head-{hidden}", label, seeds=3, weight=5.0, options={"hidden": hidden} if hidden else {})
    return made


EXPERIMENTS: dict[str, Experiment] = {one.name: one for one in _table1() + _sweeps()}
SEARCHES = {"grid": 12, "random": 8}  # kind to trials; the group "search" of `python -m lib runs`
GROUPS: tuple[str, ...] = tuple(dict.fromkeys(one.group for one in EXPERIMENTS.values()))


def search_recipe() -> Recipe:
    """What the trials of a search change: the sweeps' recipe, shorter."""
    return recipe("sweep", **CODE, epochs=1)


def experiment(name: str) -> Experiment:
    """The experiment of this name.

    Raises:
        PlatesError: there is none.
    """
    if name not in EXPERIMENTS:
        raise PlatesError(f"no experiment is called {name!r}; choose one of {', '.join(EXPERIMENTS)}.")
    return EXPERIMENTS[name]


def wanted(name: str, preset: str | None = None) -> Recipe:
    """The recipe of an experiment: its own preset's, else that of ``preset``, else of the profile."""
    one = experiment(name)
    return recipe(one.preset or preset, **one.changes)


def full_preset() -> str:
    """The preset of numbers that are committed: the paper's on a GPU, its number of steps on a processor."""
    return "steps" if device().type == "cpu" else "paper"


def members(names: list[str]) -> list[Experiment]:
    """The experiments of these names and groups, in the catalogue's order; all of them for an empty list.

    The group ``search`` has none: its trainings are `lib.search`'s trials.

    Raises:
        PlatesError: a name is neither.
    """
    for name in names:
        if name not in (*GROUPS, "search"):
            experiment(name)
    return [one for one in EXPERIMENTS.values() if not names or {one.name, one.group} & set(names)]
