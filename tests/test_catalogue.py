"""The catalogue: every training can be built, says what the paper says, and shares runs where figures share them."""

import pytest
import torch

from lib.catalogue import EXPERIMENTS, GROUPS, Experiment, full_preset, members, wanted
from lib.models import build
from lib.settings import PlatesError
from lib.trainer import make_loss

TABLE_1 = {(0.94, 0.0), (0.91, 0.86), (0.89, 0.93), (0.83, 0.97), (0.71, 0.95), (0.91, 0.93), (0.91, 0.96), (0.05, 1.0)}


def test_every_row_of_table_1_but_yolos_has_a_training() -> None:
    assert {one.paper for one in members(["table1"])} == TABLE_1


@pytest.mark.parametrize("preset", ["fast", "steps"])
def test_every_experiment_can_be_built(preset: str) -> None:
    for name in EXPERIMENTS:
        recipe = wanted(name, preset)
        make_loss(recipe)
        with torch.device("meta"):
            build(recipe.model, **recipe.options)


def test_the_sweeps_keep_their_size_and_table_1_takes_the_presets() -> None:
    assert wanted("lambda-inside-5", "paper") == wanted("lambda-inside-5", "fast")
    assert wanted("log2-code", "paper").epochs == 100 and wanted("log2-code", "steps").epochs == 8


def test_a_figures_runs_are_one_where_they_are_the_same_training() -> None:
    assert wanted("lambda-inside-5") == wanted("form-inside-mean") == wanted("clip-value-mean")
    assert wanted("augment-crop-seed-1") == wanted("schedule-cosine-seed-1") == wanted("head-0-seed-1")
    assert wanted("lambda-outside-5") != wanted("lambda-inside-5")


def test_only_what_is_named_differs_between_two_rows() -> None:
    wide, base = wanted("wide-code", "steps"), wanted("log2-code", "steps")
    with torch.device("meta"):
        network = build(wide.model, **wide.options)
    blocks = [layer.out_channels for layer in network.features if hasattr(layer, "out_channels")]
    assert blocks == [64, 128, 1024] and (wide.loss, wide.seed, wide.epochs) == (base.loss, base.seed, base.epochs)
    assert wanted("wide-code-blur", "steps").augment == ("blur",)


def test_members_are_named_by_run_or_group() -> None:
    assert [one.name for one in members(["log2-code", "seeds"])] == [
        "log2-code", "log2-code-seed-1", "log2-code-seed-2",
    ]  # fmt: skip
    assert members([]) == list(EXPERIMENTS.values()) and all(isinstance(one, Experiment) for one in members([]))
    assert {one.group for one in members([])} == set(GROUPS)
    assert members(["search"]) == []
    with pytest.raises(PlatesError, match="'log9'"):
        members(["log9"])
    with pytest.raises(PlatesError, match="'log9'"):
        wanted("log9")


@pytest.mark.parametrize(("kind", "preset"), [("cpu", "steps"), ("cuda", "paper"), ("mps", "paper")])
def test_a_processor_takes_the_papers_steps_a_gpu_its_epochs(
    kind: str, preset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lib.catalogue.device", lambda: torch.device(kind))
    assert full_preset() == preset
