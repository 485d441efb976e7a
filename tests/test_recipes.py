"""Recipes: the paper's defaults, the profiles' sizes, and a digest that tells two runs apart."""

from dataclasses import fields

import pytest
import torch

import lib.recipes
from lib.models import build, parameter_count
from lib.recipes import FAST_OPTIONS, PRESETS, Recipe, preset_name, recipe
from lib.settings import PlatesError


def test_the_defaults_are_the_papers() -> None:
    paper = Recipe()
    assert (paper.epochs, paper.batch, paper.learning_rate, paper.weight_decay) == (100, 512, 1e-3, 1e-4)
    assert (paper.clip, paper.clip_at, paper.loss, paper.weight_inside) == ("value", 0.1, "log2", False)
    assert recipe("paper") == paper and not paper.options and paper.pictures is None


CHANGES = {
    "model": "deep", "options": {"grid": 40}, "loss": "log3", "weight": 3.0, "weight_inside": True,
    "reduction": "mean", "schedule": "constant", "epochs": 99, "batch": 32, "learning_rate": 5e-3, "weight_decay": 0.0,
    "clip": "norm", "clip_at": 0.2, "augment": ("blur",), "smallest_crop": 0.3, "pictures": 100, "seed": 1,
}  # fmt: skip


def test_whatever_decides_how_a_run_ends_changes_its_digest() -> None:
    assert CHANGES.keys() == {field.name for field in fields(Recipe)}
    told = {Recipe(**{key: value}).digest("data") for key, value in CHANGES.items()}
    told |= {Recipe().digest("data"), Recipe().digest("other data")}
    assert len(told) == len(CHANGES) + 2
    assert all(len(digest) == 8 for digest in told)


def test_the_same_recipe_has_the_same_digest_however_it_is_written() -> None:
    one = Recipe(options={"grid": 40, "channels": (1, 2, 3)}, augment=("blur",))
    other = Recipe(options={"channels": [1, 2, 3], "grid": 40}, augment=["blur"])
    assert one.digest("data") == other.digest("data")


def test_profiles_keep_the_papers_loss_and_options_add_up() -> None:
    fast = recipe("fast", model="deep", options={"hidden": 8}, epochs=3)
    assert fast.options == {**FAST_OPTIONS["deep"], "hidden": 8} and fast.epochs == 3 and fast.model == "deep"
    assert recipe("fast", options={"grid": 20}).options["grid"] == 20
    assert recipe("sweep").options == FAST_OPTIONS["baseline"]
    assert FAST_OPTIONS["deep"].keys() == {"grid", "channels"}  # and the next call finds them unchanged
    for preset in PRESETS:
        made = recipe(preset)
        assert (made.loss, made.clip, made.clip_at, made.weight_decay) == ("log2", "value", 0.1, 1e-4)
    for preset in ("steps", "paper"):  # sizes only
        assert (recipe(preset).learning_rate, recipe(preset).smallest_crop) == (1e-3, 0.08)


@pytest.mark.parametrize("model", ["baseline", "deep", "fullconv"])
def test_every_model_has_a_smaller_fast_form_of_its_own_depth(model: str) -> None:
    sizes = []
    for preset in ("fast", "paper"):
        made = recipe(preset, model=model)
        with torch.device("meta"):
            network = build(made.model, **made.options)
        sizes.append(parameter_count(network))
        last = [layer for layer in network.modules() if isinstance(layer, torch.nn.Conv2d)][-1]
        assert last.out_channels == (1024 if model == "deep" else 512)
    assert sizes[0] < sizes[1] / 10


@pytest.mark.parametrize(("fast", "kind", "name"), [("1", "cpu", "fast"), ("1", "cuda", "fast"), ("0", "cpu", "steps"),
                                                   ("0", "cuda", "paper")])  # fmt: skip
def test_the_environment_chooses_the_preset(fast: str, kind: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLATES_FAST", fast)
    monkeypatch.setattr(lib.recipes, "device", lambda: torch.device(kind))
    assert preset_name() == name
    assert recipe() == recipe(name)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"clip": "size"}, ("'size'", "'value'", "'norm'")),
        ({"epochs": 0}, ("epochs=0", "at least 1")),
        ({"batch": -1}, ("batch=-1", "at least 1")),
        ({"pictures": 0}, ("pictures=0", "1 or more")),
        ({"preset": "huge"}, ("'huge'", "fast, sweep, steps, paper")),
    ],
)
def test_what_is_no_recipe_is_named(changes: dict, words: tuple[str, ...]) -> None:
    with pytest.raises(PlatesError) as caught:
        recipe(**{"preset": "fast", **changes})
    assert all(word in str(caught.value) for word in words)
