"""Table 1's rows, differences over seeds and the rules of the verdicts, by hand."""

import json
from pathlib import Path
from typing import Any

import pytest
from IPython.display import Image

from lib import claims
from lib.plots import deeper
from lib.table1 import (
    ablation,
    beside_the_paper,
    converged,
    course,
    coverage,
    difference,
    effect,
    fairly,
    families,
    never_looking,
    source,
    verdict,
)
from lib.table1_verdicts import AUGMENTATIONS, ROWS, settle_all


def scored(a: float, a1: float, at: float | None = 0.4, room: float = 0.01) -> dict[str, Any]:
    spans = {"accuracy": [a - room, a + room], "on_plate_accuracy": [a1 - room, a1 + room]}
    groups = [{"above": 0.0, "up_to": 0.01, "pictures": 3, "accuracy": a, "on_plate_accuracy": a1}]
    groups += [{"above": 0.01, "up_to": 1.0, "pictures": 0, "accuracy": None, "on_plate_accuracy": None}]
    return {
        "accuracy": a, "on_plate_accuracy": a1, "on_plate_accuracy_pooled": a1, "predicted_plate": 0.0,
        "intervals": spans | {"on_plate_accuracy_pooled": [a1, a1]}, "at_accuracy": {"0.90": at, "0.95": at},
        "gain": 0.1, "gain_interval": [0.05, 0.15], "by_share": groups,
    }  # fmt: skip


def record(name: str, label: str = "", seed: int = 0, at: float | None = 0.4, **changes: Any) -> dict[str, Any]:
    told = scored(0.9, 0.8, at)
    history = [
        {"epoch": 0, "validation_loss": 3.0, "validation_predicted_plate": 0.5, "validation_on_plate_accuracy": 0.5}
    ]
    for epoch, loss in enumerate((2.0, 1.2, 1.03, 1.0), 1):
        row = {"epoch": epoch, "loss": loss, "on_plate_accuracy": 0.7, "validation_loss": 2 * loss}
        row |= {"validation_predicted_plate": 0.4 / epoch, "validation_on_plate_accuracy": 0.6}
        history.append(row | ({"test_loss": loss * 1.05, "test_on_plate_accuracy": 0.6} if epoch % 2 == 0 else {}))
    return {
        "name": name, "label": label or name, "paper": [0.91, 0.86], "seed": seed, "data": "tiny", "preset": "steps",
        "recipe": {"epochs": 4, "batch": 2}, "steps": 8, "pictures": 4, "device": "cpu", "history": history,
        "metrics": {split: dict.fromkeys(("full_frame", "random_crop"), told) for split in ("validation", "test")},
        "diverged": None, "epochs": 4,
        "curve": {"threshold": [0.0, 0.5, 1.0], "false_cover": [0.0, 0.1, 0.7]},
    } | changes  # fmt: skip


NAMED = {0: "one linear layer (paper)", 512: "512 hidden units"}


def seeded(label: str, values: tuple[float, ...]) -> list[dict[str, Any]]:
    told = [label, *(f"{label}, seed {seed}" for seed in range(1, len(values)))]
    return [record(f"{label}-{seed}", told[seed], seed, at) for seed, at in enumerate(values)]


HEADS = seeded(NAMED[0], (0.3, 0.4, 0.5)) + seeded(NAMED[512], (0.31, 0.42, 0.51))
STARTS = {"crop alone": 0.3, "photometric": 0.2, "flip": 0.35, "blur": 0.31}
AUGMENT = [one for label, at in STARTS.items() for one in seeded(label, (at, at + 0.1, at + 0.2))]
BLIND = {"data": "tiny", "models": {"all-background": {"test": {"random_crop": scored(0.96, 0.0)}}},
         "plate_share": {"test random_crop": 0.04}}  # fmt: skip


@pytest.mark.parametrize(
    ("paper", "told"),
    [((0.9, 0.8), "holds"), ((0.93, 0.77), "holds"), ((0.94, 0.8), "holds in part"), ((0.9, 0.5), "holds in part"),
     ((0.95, 0.2), "does not hold")],
)  # fmt: skip
def test_a_row_holds_within_two_hundredths_of_our_intervals(paper: tuple[float, float], told: str) -> None:
    assert verdict(paper, scored(0.9, 0.8)) == told


def test_rows_stand_beside_the_papers() -> None:
    row = beside_the_paper([record("a", "512, λ = 3")])[0]
    assert (row["model"], row["paper A"], row["paper A1"], row["A"], row["A1"]) == ("512, λ = 3", 0.91, 0.86, 0.9, 0.8)
    assert row["A 95 %"] == (0.89, 0.91) and row["verdict"] == "holds in part"
    assert fairly([record("a")], "test", "full_frame")[0]["A1 at A = .95"] == 0.4
    assert never_looking(BLIND, "test", "random_crop")[0]["A"] == 0.96
    assert "8 steps, seeds 0, 2, cpu" in source(record("a"), record("b") | {"seed": 2}, record("c"))
    assert source(record("a")) == "tiny; steps recipe: 4 epochs of 4 pictures, batch 2, 8 steps, seed 0, cpu"


def test_differences_are_paired_by_seed() -> None:
    base, wide = families(HEADS).values()
    more, (low, high) = difference(wide, base)  # +.01, +.02, +.01
    assert more == pytest.approx(0.04 / 3)
    half = 4.302653 * (0.0057735 / 3**0.5)  # t(.975, 2) times the standard error
    assert (low, high) == pytest.approx((more - half, more + half), abs=1e-6)
    assert difference(wide[:1], base[:1]) == (pytest.approx(0.01), None)
    with pytest.raises(ValueError, match="paired"):
        difference(wide[:1], base[1:2])
    assert [row["difference"] for row in ablation(HEADS, NAMED[0])] == [None, pytest.approx(0.04 / 3)]
    short = ablation([*HEADS[:2], *HEADS[4:]], NAMED[0])[1]  # one seed is common to both
    assert short["difference"] == pytest.approx(0.02) and short["95 %"] is None
    assert [row["difference"] for row in ablation(HEADS[3:], NAMED[0])] == [None]
    assert [row["seeds"] for row in ablation([HEADS[0], record("x", "wild", diverged="ran away")], NAMED[0])] == [1]
    assert ablation([record("never", at=None)], "never")[0]["mean"] == 0  # a model that never reaches that A


@pytest.mark.parametrize(
    ("claimed", "interval", "told"),
    [("improves", (0.01, 0.02), "holds"), ("improves", (-0.02, -0.01), "does not hold"),
     ("improves", (-0.01, 0.01), "cannot be told here"), ("reduces", (-0.02, -0.01), "holds"),
     ("reduces", (0.01, 0.02), "does not hold"), ("no gain", (-0.05, 0.02), "holds"),
     ("no gain", (0.03, 0.04), "does not hold"), ("no gain", (0.0, 0.1), "cannot be told here"),
     ("blue", None, "cannot be told here")],
)  # fmt: skip
def test_an_interval_that_leaves_it_open_cannot_tell(claimed: str, interval: Any, told: str) -> None:
    assert effect(claimed, interval) == told


def test_a_run_has_converged_when_it_stays_close_to_its_end() -> None:
    assert converged([{"loss": x} for x in (2.0, 1.2, 1.03, 1.0)]) == 0.75  # room .05: the third is within it
    assert converged([{"loss": x} for x in (2.0, 1.03, 1.2, 1.0)]) == 1.0  # it came close, and left again
    assert converged([{"loss": x} for x in (1.0, 1.0)]) == 0.5
    with pytest.raises(ValueError, match="two epochs"):
        converged([{"epoch": 0}, {"loss": 1.0}])


def test_the_last_quarter_and_coverage() -> None:
    row = course([record("a")])[0]
    assert row["change"] == pytest.approx(2.0 - 2.06) and row["loss, test crops"] == pytest.approx(1.05)
    point = {"threshold": 0.1, "growth": 0.2}
    found = {"plates": 9, "coverage": 0.2, "missed": 0.7, "stray_cover": 0.004, "false_cover": 0.01}
    kept = record("b", coverage={"point": point, "test": found, "interval": [0.1, 0.3]})
    assert [row["covered"] for row in coverage([record("a"), kept])] == [0.2]
    assert coverage([kept])[0]["95 %"] == (0.1, 0.3)


def test_every_claim_of_table_1_is_settled_by_its_own_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "BUILD", tmp_path)
    monkeypatch.setattr(claims, "FIGURES", tmp_path)
    runs = [record(name) for name in ROWS if name != "fullconv-code"] + [record("log2-paper")]
    found = {entry["claim"]: entry for entry in settle_all(runs, HEADS, AUGMENT)}
    told = {key: found[claims.CLAIMS[key].sentence] for key in [*ROWS.values(), "collapse", "equation", "heads"]}
    told |= {key: found[claims.CLAIMS[key].sentence] for key in ("convergence", "overfitting", *dict(AUGMENTATIONS))}
    assert told["table1-log2-3"]["verdict"] == "holds in part" and told["table1-log2-3"]["ours"] == "0.90 / 0.80"
    assert (
        told["table1-fullconv"]["verdict"] == "cannot be told here"
        and "fullconv-code" in told["table1-fullconv"]["why"]
    )
    assert told["collapse"]["verdict"] == "holds in part" and "70%" in told["collapse"]["why"]
    assert told["equation"]["verdict"] == "holds" and told["convergence"]["verdict"] == "holds"
    assert told["overfitting"]["ours"].endswith("1.05, 1.05, 1.05") and told["overfitting"]["verdict"] == "holds"
    verdicts = [told[key]["verdict"] for key in ("photometric", "flip", "blur", "heads")]
    assert verdicts == [
        "holds",
        "does not hold",
        "holds",
        "cannot be told here",
    ]  # photometric -.1, flip +.05, blur +.01
    assert len(json.loads((tmp_path / "claims.json").read_text())) == len(found) == 16


def test_what_has_not_been_run_or_ran_away_is_told_as_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "BUILD", tmp_path)
    monkeypatch.setattr(claims, "FIGURES", tmp_path)
    wild = {"name": "log2-code", "label": "512", "diverged": "ran away", "history": [], "seed": 0}
    found = settle_all([wild], [], AUGMENT[:2])
    assert len(found) == 16 and {entry["verdict"] for entry in found} == {"cannot be told here"}


def test_no_sooner_than_its_interval_says_is_the_collapse_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "BUILD", tmp_path)
    monkeypatch.setattr(claims, "FIGURES", tmp_path)
    for a1, told in ((0.4, "does not hold"), (0.495, "cannot be told here"), (0.6, "holds")):
        run = record("log2-paper", metrics={"test": {"random_crop": scored(0.9, a1)}})
        entries = {entry["claim"]: entry for entry in settle_all([run], [], [])}
        assert entries[claims.CLAIMS["equation"].sentence]["verdict"] == told


def test_figures_are_drawn_and_small() -> None:
    from lib.models import build

    runs = [record(f"r{i}") for i in range(3)]
    drawn = [
        deeper.plane(runs, BLIND, "test", "random_crop"),
        deeper.predicted_share(runs, 0.04),
        deeper.over_seeds({"heads": HEADS}, "heads"),
        deeper.loss_curves(runs),
        deeper.by_share(runs, "test", "random_crop"),
        deeper.network(build("baseline", grid=40, channels=(4, 8, 16)), "small"),
    ]
    assert all(isinstance(one, Image) and len(one.data) < 200_000 for one in drawn)
