"""Searches on tiny data: what is drawn, what is kept, what a kill leaves, and which trial the tie rule takes."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from filelock import FileLock
from tiny import RECIPE, pictures
from torch import Tensor, nn

from lib import search as module
from lib import trials
from lib.files import write_json
from lib.losses import LOSSES
from lib.pictures import Pictures
from lib.recipes import Recipe
from lib.search import GRID, SPACE, load_searches, points, search, short_recipe
from lib.settings import PlatesError
from lib.trials import Judge, highest_accuracy, simplest, value

BASE = replace(RECIPE, epochs=1)


@pytest.fixture(scope="module")
def splits() -> tuple[Pictures, Pictures]:
    return pictures(8), pictures(4, seed=1)


def run(splits: tuple[Pictures, Pictures], folder: Path, count: int = 3, kind: str = "random", **more: Any) -> dict:
    return search(kind, count, *splits, "tiny", folder, **{"base": BASE, **more})


def test_the_grid_is_every_combination_once_and_holds_the_papers_choice() -> None:
    drawn = points("grid", 12, 0)
    assert len({tuple(sorted(point.items())) for point in drawn}) == 12
    assert {point["learning_rate"] for point in drawn} == set(GRID["learning_rate"])
    assert {"learning_rate": 1e-3, "weight_decay": 1e-4} in drawn


def test_random_points_lie_in_the_papers_ranges_and_make_recipes() -> None:
    drawn = points("random", 200, 0)
    for name, one in SPACE.items():
        assert all(one._contains(one.to_internal_repr(point[name])) for point in drawn)
    rates = np.log10([point["learning_rate"] for point in drawn])
    assert -5 <= rates.min() < -4.5 and -2.5 < rates.max() <= -2  # evenly in the logarithm
    assert {point["weight"] for point in drawn} == set(range(1, 11))
    assert replace(BASE, **drawn[0]).weight == drawn[0]["weight"]


@pytest.mark.parametrize("kind", ["grid", "random"])
def test_a_longer_search_begins_with_the_shorter_one(kind: str) -> None:
    assert points(kind, 3, 5) == points(kind, 7, 5)[:3]
    assert points(kind, 3, 5) != points(kind, 3, 6)


@pytest.mark.parametrize(("kind", "count", "told"), [("all", 1, "'grid' or 'random'"), ("grid", 13, "1 to 12 trials")])
def test_an_impossible_search_is_refused(kind: str, count: int, told: str) -> None:
    with pytest.raises(PlatesError, match=told):
        points(kind, count, 0)


def test_the_result_is_json_with_every_number(splits: tuple[Pictures, Pictures], tmp_path: Path) -> None:
    result = run(splits, tmp_path)
    write_json(tmp_path / "out.json", result)  # refuses NaN
    assert [trial["number"] for trial in result["trials"]] == [0, 1, 2]
    assert (result["pictures"], result["validation_pictures"], result["seed"]) == (8, 4, 0)
    for trial, point in zip(result["trials"], points("random", 3, 0), strict=True):
        assert trial["state"] == "complete" and trial["params"] == point
        assert 0 <= trial["A"] <= 1 and 0 <= trial["A1 pooled"] <= 1 and trial["cross_entropy"] > 0
        assert trial["steps"] == 8 // min(point["batch"], 8)
        assert trial["behind_best"][0] <= trial["behind_best"][1]
    assert not list(tmp_path.glob("trial-*"))  # no checkpoint stays
    assert json.loads((tmp_path / "out.json").read_text())["recipe"]["epochs"] == 1


def test_a_search_goes_on_where_it_was_stopped(
    splits: tuple[Pictures, Pictures], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed within trial 1, and the journal's last line torn: trial 0 is kept, the result is the uninterrupted one."""
    whole = run(splits, tmp_path / "whole", 3)
    trained: list[str] = []

    def interrupted(name: str, *rest: Any) -> None:
        trained.append(name)
        if trained == ["trial-000", "trial-001"]:
            (tmp_path / "cut" / "trial-001").mkdir()
            (tmp_path / "cut" / "trial-001" / "resume.pt").write_bytes(b"half a checkpoint")
            raise KeyboardInterrupt
        fit(name, *rest)

    fit = trials.fit
    monkeypatch.setattr(trials, "fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(splits, tmp_path / "cut", 3)
    journal = tmp_path / "cut" / "search-random.journal"
    with journal.open("a") as handle:
        handle.write('{"op_code":4,"work')
    journal.with_name(journal.name + ".lock").touch()  # Optuna's own, left by a killed writer
    resumed = run(splits, tmp_path / "cut", 3)
    assert trained == ["trial-000", "trial-001", "trial-001", "trial-002"]
    assert without_seconds(resumed) == without_seconds(whole)
    assert run(splits, tmp_path / "cut", 3) == resumed and len(trained) == 4  # nothing left to do


def without_seconds(result: dict[str, Any]) -> dict[str, Any]:
    return {**result, "trials": [{**trial, "seconds": None} for trial in result["trials"]]}


def test_a_diverged_trial_is_recorded_and_not_repeated(
    splits: tuple[Pictures, Pictures], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rate of 1e4 blows the network up within an epoch of eight steps: the real loop raises, the search goes on."""
    monkeypatch.setattr(module, "points", lambda *_: [{"learning_rate": 1e-2}, {"learning_rate": 1e4}])
    monkeypatch.setitem(SPACE, "learning_rate", module.FloatDistribution(1e-5, 1e5, log=True))
    base = replace(BASE, batch=1)
    result = run(splits, tmp_path, 2, base=base)
    good, bad = result["trials"]
    assert (good["state"], bad["state"]) == ("complete", "diverged")
    assert "lower learning_rate" in bad["failed"] and bad["A"] is None and bad["steps"] < good["steps"]
    assert simplest(result["trials"])["number"] == 0
    monkeypatch.setattr(trials, "fit", lambda *_: pytest.fail("trained again"))
    assert run(splits, tmp_path, 2, base=base) == result


@pytest.mark.parametrize("change", [{"base": replace(BASE, seed=1)}, {"data": "another"}, {"validation": None}])
def test_a_journal_of_another_search_is_refused(
    splits: tuple[Pictures, Pictures], tmp_path: Path, change: dict[str, Any]
) -> None:
    run(splits, tmp_path, 1)
    asked: dict[str, Any] = {"train": splits[0], "validation": splits[1], "data": "tiny", "base": BASE} | change
    asked["validation"] = asked["validation"] or pictures(4, seed=2)
    with pytest.raises(PlatesError, match=r"search-random\.journal: is of a search with another recipe, data or space"):
        search("random", 1, folder=tmp_path, **asked)


def test_a_damaged_journal_and_a_busy_folder_are_said(splits: tuple[Pictures, Pictures], tmp_path: Path) -> None:
    (tmp_path / "search-random.journal").write_text("no journal\nat all\n")
    with pytest.raises(PlatesError, match="is no journal of a search; delete it"):
        run(splits, tmp_path, 1)
    with FileLock(tmp_path / "search-grid.lock"), pytest.raises(PlatesError, match="another process is at this search"):
        run(splits, tmp_path, 1, kind="grid")
    (tmp_path / "file").touch()
    with pytest.raises(PlatesError, match="cannot be searched in"):
        run(splits, tmp_path / "file", 1)


def test_validation_without_a_plate_cannot_be_searched_on(splits: tuple[Pictures, Pictures], tmp_path: Path) -> None:
    empty = replace(splits[1], boxes=torch.zeros_like(splits[1].boxes))
    with pytest.raises(PlatesError, match="hold no plate to search by"):
        search("random", 1, splits[0], empty, "tiny", tmp_path, BASE)


class Constant(nn.Module):
    """P(plate) = p everywhere but in the left half, where it is 1 - p."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.logit = nn.Parameter(torch.tensor(p).logit())

    def forward(self, x: Tensor) -> Tensor:
        plate = self.logit * torch.where(torch.arange(x.shape[-1]) < x.shape[-1] // 2, -1, 1).expand(x.shape[-2:])
        return torch.stack([torch.zeros_like(plate), plate]).expand(len(x), -1, -1, -1)


def halves(right: bool) -> Pictures:
    """Two pictures; in the second, 1/32 of the pixels are plate, at one side."""
    left = 0.75 if right else 0.25
    boxes = torch.tensor([[[0.0] * 4], [[left, 0.0, left + 1 / 16, 0.5]]])
    return Pictures(torch.zeros(2, 3, 320, 320, dtype=torch.uint8), boxes, torch.ones(2), torch.arange(2))


def test_a_judge_says_what_can_be_worked_out_by_hand() -> None:
    """Right half: P(plate) .8. All plates are there, and so they rank before the whole left half."""
    judge = Judge(halves(right=True), halves(right=True))
    told = judge(Constant(0.8))
    share = 1 / 64  # of the pixels of both pictures
    assert judge.truth.tolist() == [0, 320 * 320 / 32]
    assert told["A"] == pytest.approx(0.5 + share) and told["A1 pooled"] == 1
    # Plates cost -log .8, so does the left half; the rest of the right half costs -log .2.
    wanted = -(0.5 + share) * np.log(0.8) - (0.5 - share) * np.log(0.2)
    assert told["cross_entropy"] == pytest.approx(wanted, rel=1e-5)
    # No threshold between nothing (A = 1 - 1/64) and the right half (A = .52): at A >= .95 nothing is predicted.
    assert told["at_accuracy_095"] == 0 and told["hits"] == [0, 0]
    # The prior has seen the very places: 2/4 against 1/4, found at A = 1.
    assert judge.prior_reaches == 1 and told["gain"] == -1 and told["interval"] == [-1, -1]


def trial(number: int, worth: float | None, behind: float, **params: float) -> dict[str, Any]:
    return {
        "number": number,
        "state": "complete",
        "params": params,
        "A": 0.9 + number / 100,
        "cross_entropy": 0.1,
        "at_accuracy_095": worth,
        "behind_best": [behind, behind + 0.1],
    }


def test_the_tie_rule_takes_the_simplest_of_those_the_data_do_not_tell_from_the_best() -> None:
    best, tied = trial(0, 0.5, 0.0, weight=8), trial(1, 0.45, -0.02, weight=3)
    worse = trial(2, 0.3, 0.1, weight=1)  # simpler, but behind the best with certainty
    diverged = {"number": 3, "state": "diverged", "params": {"weight": 1}, "behind_best": None}
    assert simplest([best, worse, diverged])["number"] == 0
    assert simplest([best, tied, worse, diverged])["number"] == 1


@pytest.mark.parametrize(
    "simpler",
    [
        {"weight": 2},
        {"weight_decay": 1e-6},
        {"clip_at": 1.0},
        {"batch": 64},
    ],
)
def test_equal_lambdas_go_by_decay_clipping_and_batch(simpler: dict[str, float]) -> None:
    plain = {"weight": 5, "weight_decay": 1e-4, "clip_at": 0.1, "batch": 16}
    pair = [trial(0, 0.5, 0.0, **plain), trial(1, 0.5, 0.0, **{**plain, **simpler})]
    assert simplest(pair)["number"] == 1
    assert simplest([trial(0, 0.5, 0.0, **plain), trial(1, 0.4, 0.0, **plain)])["number"] == 0  # else the higher value


def test_the_papers_criterion_is_a_then_cross_entropy() -> None:
    first, second = trial(0, 0.5, 0.0), {**trial(1, None, 0.2), "A": 0.9, "cross_entropy": 0.05}
    assert highest_accuracy([first, second])["number"] == 1
    assert value(second) == 0
    with pytest.raises(PlatesError, match="none of the search's 1 trials was completed"):
        simplest([{"number": 0, "state": "diverged"}])


def test_a_trial_is_short_and_of_the_authors_loss() -> None:
    base = short_recipe(seed=3)
    assert isinstance(base, Recipe) and (base.loss, base.weight_inside, base.reduction) == ("log2", True, "mean")
    assert base.epochs * base.pictures // base.batch == 250 and base.seed == 3
    assert base.loss in LOSSES


def test_searches_that_were_kept_are_loaded_and_damaged_ones_named(tmp_path: Path) -> None:
    assert load_searches(tmp_path) == []
    write_json(tmp_path / "search-random.json", {"kind": "random", "trials": []})
    assert [one["kind"] for one in load_searches(tmp_path)] == ["random"]
    write_json(tmp_path / "search-grid.json", {"kind": "random"})
    with pytest.raises(PlatesError, match=r"search-grid\.json is no whole record of a search"):
        load_searches(tmp_path)
