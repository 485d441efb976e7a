"""Figures, sentences and rules of `03_weighted_loss`, on records whose every number is made by hand."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image as Picture

from lib import claims as ledger
from lib.losses import LOSSES, resting_point
from lib.plots import search_tables, weighted
from lib.plots import weighted_claims as claims
from lib.plots import weighted_verdicts as numbers
from lib.settings import PlatesError
from lib.thresholds import Sweep


def record(name: str = "one", **told: Any) -> dict[str, Any]:
    """A record as `lib.records` makes it: a calm run that finds .6 of the plate at a false cover of .1."""
    recipe = {"loss": "log2", "weight": 5.0, "weight_inside": True, "reduction": "mean", "batch": 4}
    recipe |= {"schedule": "cosine", "clip": "value"} | {key: told.pop(key) for key in list(told) if key in recipe_keys}
    pooled, false = told.pop("pooled", 0.6), told.pop("false", 0.1)
    curve = {"threshold": [0.0, 0.5, 1.0], "false_cover": [0.0, false, 1.0], "on_plate_accuracy": [0.0, pooled, 1.0]}
    curve["accuracy"] = [0.95, 0.95 * (1 - false) + 0.05 * pooled, 0.05]
    scores = {"accuracy": curve["accuracy"][1], "on_plate_accuracy": pooled, "on_plate_accuracy_pooled": pooled}
    scores |= {"at_accuracy": {"0.95": pooled / 2}, "gain_interval": [0.1, 0.2]}
    made = {"name": name, "label": name, "data": "made up", "preset": "sweep", "seed": 0, "epochs": 2, "pictures": 8}
    made |= {"recipe": recipe, "diverged": None, "device": "cpu", "curve": curve, "history": history(0.1, 0.1)}
    made |= {"metrics": {"validation": {"full_frame": scores}}, "log": log([1.0] * 40)}
    return made | told


recipe_keys = ("loss", "weight", "weight_inside", "reduction", "schedule", "clip")


def log(loss: list[float]) -> dict[str, list[float]]:
    return {"loss": loss, "gradient_norm": [0.2] * len(loss)}


def history(*predicted: float, loss: float = 1.0) -> list[dict[str, Any]]:
    """Epoch 0, where an untrained network covers half, then one epoch for each share predicted plate."""
    rows = []
    for epoch, share in enumerate((0.5, *predicted)):
        row = {"epoch": epoch, "step": 2 * epoch, "validation_predicted_plate": share, "validation_loss": loss}
        row |= {"validation_on_plate_accuracy_pooled": share, "loss": loss, "learning_rate": 1e-3}
        rows.append(row if epoch else {key: row[key] for key in row if key not in ("loss", "learning_rate")})
    return rows


def diverged(name: str, **told: Any) -> dict[str, Any]:
    """As `lib.records` keeps a run that ran away: no scores, no device, and the log up to there."""
    made = record(name, **told) | {"diverged": "the loss is nan at step 3", "history": [], "log": log([1.0, 9.0])}
    return {key: made[key] for key in made if key not in ("metrics", "curve", "device", "pictures")}


def spiky(name: str, spikes: int, **told: Any) -> dict[str, Any]:
    """Forty calm steps, then spikes to three times their loss, ten steps apart."""
    return record(name, log=log([1.0] * 40 + ([3.0] + [1.0] * 9) * spikes), **told)


@pytest.mark.parametrize(("power", "factor"), [(1, 1.0), (2, 5.0), (2, 25.0), (3, 125.0)])
def test_half_of_the_pull_is_the_plates_where_a_network_rests(power: int, factor: float) -> None:
    share = 0.04
    p = np.array(resting_point(power, factor, share))
    assert numbers.gradient_share(power, factor, p, share) == pytest.approx(0.5, abs=1e-6)


def test_gradient_share_by_hand() -> None:
    # Cross entropy at p = 1/2: each pixel pulls with 1/2, so the plate's part is its share of the pixels.
    assert numbers.gradient_share(1, 1.0, np.array(0.5), 0.03) == pytest.approx(0.03)
    # log², factor 10, share 1/2, p = 1/2: 10 * 2 * ln 2 * 1/2 against 1/2.
    pull = 20 * np.log(2)
    assert numbers.gradient_share(2, 10.0, np.array(0.5), 0.5) == pytest.approx(pull / (pull + 1))


@pytest.mark.parametrize("power", [1, 2, 3])
def test_the_balancing_factor_rests_at_one_half(power: int) -> None:
    assert resting_point(power, numbers.balancing_factor(power, 0.03), 0.03) == pytest.approx(0.5, abs=1e-6)


def test_inside_the_square_lambda_acts_squared() -> None:
    assert numbers.factor(record(weight=5.0, weight_inside=True)) == 25
    assert numbers.factor(record(weight=5.0, weight_inside=False)) == 5
    assert numbers.factor(record(weight=None, weight_inside=False)) == 5  # the loss's own
    assert numbers.factor(record(loss="log3", weight=2.0)) == 8


def test_a_jump_is_twice_the_median_of_the_twenty_steps_before() -> None:
    loss = [1.0] * 20 + [2.0, 2.1, 1.0]
    ratios = numbers.jumps(loss)
    assert np.isnan(ratios[:20]).all()
    assert ratios[20:].tolist() == [2.0, 2.1, 1.0]  # the median stays 1
    assert numbers.count_jumps(record(log=log(loss))) == 1  # more than twice, not twice
    assert numbers.count_jumps(diverged("x")) == 1
    assert len(numbers.jumps([])) == 0


def test_records_say_their_data_recipe_and_device() -> None:
    told = numbers.told_records([record("a"), record("b"), diverged("c")])
    assert told == "made up; sweep recipe, 2 epochs of 8, batch 4; cpu"
    with pytest.raises(PlatesError, match="no record of this group; make them with `python -m lib runs`"):
        numbers.told_records([])


def test_forms_hold_one_thing_fixed() -> None:
    pooled = {("outside", "sum"): 0.1, ("outside", "mean"): 0.2, ("inside", "sum"): 0.5, ("inside", "mean"): 0.9}
    made = [record(f"form-{place}-{how}", pooled=value) for (place, how), value in pooled.items()]
    said = numbers.forms(made).data
    assert "λ inside instead of λ outside: +0.40 (+0.20) with sums and +0.70 (+0.35) with means" in said
    assert "means instead of sums: +0.10 (+0.05) with λ outside and +0.40 (+0.20) with λ inside" in said
    assert "Cannot be told" in numbers.forms(made[:3]).data
    assert "Cannot be told" in numbers.forms([*made[:3], diverged("form-inside-mean")]).data


def test_runs_that_took_the_same_way_are_told_by_their_losses() -> None:
    """A sum is a mean times a constant: relative to the first step it is the same run."""
    mean = [1.0, 0.8, 0.6, 0.5]
    free = record("free", clip="", log=log(mean))
    scaled = record("scaled", clip="", reduction="sum", log=log([1000 * x for x in mean]))
    other = record("other", reduction="sum", log=log([1.0, 1.0, 1.0, 1.0]))
    said = numbers.same_path([free, scaled, other]).data
    assert "scaled: alike (0.0% apart)" in said and "other: another way" in said
    assert "Cannot be told" in numbers.same_path([other]).data


def test_tables_leave_out_what_a_diverged_run_cannot_say() -> None:
    pair = [record("calm", weight=3.0), diverged("wild")]
    (calm, wild) = numbers.scores_table(pair).data.splitlines()[2:4]
    assert calm.startswith("| calm | 9 | 0.885 | 0.600 | 0.600 | 0.100 | 0.300 | 0.100 to 0.200 |")
    assert wild == "| wild | 25 | - | - | - | - | - | - |"
    (calm, wild) = numbers.clipping_table(pair).data.splitlines()[2:4]
    assert calm == "| calm | 40 | 0.2 | 0.2 | 100% | 0 | x 1.00 | 0.600 | 0.300 |"
    assert wild == "| wild | 2 | 0.2 | 0.2 | 100% | 1 | - | - | - |"


def test_starts_put_the_resting_point_beside_what_is_covered() -> None:
    told = numbers.starts({"x": history(0.9, 0.4)}, {"x": LOSSES["cross_entropy"]()}, 0.03).data
    assert "| x | 0.030 | 0.900 | 0.900 | 0.400 |" in told


# The rules behind the verdicts: each is driven to every verdict that it can give.


def lambda_records(nearest: dict[bool, float]) -> list[dict[str, Any]]:
    """For both forms λ = 3, 5 and 8, of which one is balanced (.9 and .9 right) and the others are not (.5 and .9)."""
    return [
        record(weight=weight, weight_inside=inside, pooled=0.9 if weight == balanced else 0.5, false=0.1)
        for inside, balanced in nearest.items()
        for weight in (3.0, 5.0, 8.0)
    ]


@pytest.mark.parametrize(
    ("nearest", "verdict"),
    [
        ({False: 5.0, True: 5.0}, "holds"),
        ({False: 8.0, True: 5.0}, "holds in part"),
        ({False: 8.0, True: 3.0}, "does not hold"),
        ({True: 5.0}, "cannot be told here"),
    ],
)
def test_lambda_five_balances_where_it_is_closest_to_balance(nearest: dict[bool, float], verdict: str) -> None:
    told = claims.lambda_five([*lambda_records(nearest), diverged("gone", weight=5.0)])
    assert told["verdict"] == verdict
    assert ("outside" in told["ours"]) == (False in nearest)


@pytest.mark.parametrize(
    ("runs", "verdict"),
    [
        ([(0.8, 0.3), (0.6, 0.1)], "holds"),
        ([(0.8, 0.3), (0.2, 0.1)], "holds in part"),
        ([(0.8, 0.7)], "holds in part"),  # mostly plate, and it stays so
        ([(0.2, 0.9)], "does not hold"),  # only at the end; the untrained half does not count
        ([], "cannot be told here"),
    ],
)
def test_early_checkpoints_predict_mostly_plate(runs: list[tuple[float, ...]], verdict: str) -> None:
    made = [record(history=history(*shares)) for shares in runs] or [diverged("gone")]
    assert claims.early_plate(made)["verdict"] == verdict


@pytest.mark.parametrize(
    ("free", "clipped", "unstable", "mended"),
    [
        ((4, 4), (1, 2), "holds", "holds"),
        ((4, 4), (1, 3), "holds", "holds in part"),
        ((4, 0), (3, 0), "holds", "does not hold"),
        ((0, 2), (5, 0), "holds", "holds"),  # only the means had something to address
        ((0, 0), (0, 1), "cannot be told here", "cannot be told here"),
    ],
)
def test_instability_and_clipping(free: tuple[int, int], clipped: tuple[int, int], unstable: str, mended: str) -> None:
    made = [spiky("n", count, clip="norm") for count in (0, 0)]
    for clip, counts in (("", free), ("value", clipped)):
        made += [
            spiky("x", count, clip=clip, reduction=how) for how, count in zip(("sum", "mean"), counts, strict=True)
        ]
    assert claims.instability(made)["verdict"] == unstable
    assert claims.clipping(made)["verdict"] == mended


def test_a_run_that_ran_away_is_unstable_and_no_jump_has_a_bound() -> None:
    wild = [diverged("a", clip=""), record("b", clip="value")]
    assert claims.instability(wild)["verdict"] == claims.clipping(wild)["verdict"] == "holds"
    still_wild = [diverged("a", clip=""), diverged("b", clip="value")]
    assert claims.clipping(still_wild)["verdict"] == "does not hold"
    calm = claims.instability([record(clip="", log=log([1.0] * 300))])
    assert "280 steps, so fewer than 1.1% of them" in calm["why"]
    assert claims.instability([record()])["verdict"] == "cannot be told here"


@pytest.mark.parametrize(
    ("constant", "verdict"),
    [
        ([1.10, 1.11, 1.09], "holds"),
        ([0.90, 0.89, 0.91], "does not hold"),
        ([1.30, 1.01, 1.01], "holds in part"),
        ([1.30, 0.90, 1.01], "cannot be told here"),
        ([1.10], "cannot be told here"),
    ],
)
def test_the_cosine_is_compared_seed_by_seed(constant: list[float], verdict: str) -> None:
    made = []
    for seed, loss in enumerate(constant):
        made.append(record(seed=seed, history=history(0.1, loss=1.0)))
        made.append(record(seed=seed, schedule="constant", history=history(0.1, loss=loss)))
    made.append(record(seed=7))  # without a partner
    told = claims.cosine(made)
    assert told["verdict"] == verdict
    if verdict == "holds":
        # Differences .10, .11, .09: mean .1, deviation .01, times 4.303 / sqrt(3).
        assert told["ours"] == "+0.100 with a constant rate" and told["interval"] == "0.075 to 0.125"


def trial(number: int, worth: float, behind: float, **params: float) -> dict[str, Any]:
    made = {"number": number, "state": "complete", "params": params, "A": 0.5, "A1": 0.5, "A1 pooled": 0.5}
    made |= {"cross_entropy": 0.1, "at_accuracy_095": worth, "gain": 0.0, "interval": [-0.1, 0.1], "steps": 5}
    return made | {"behind_best": [behind, behind + 0.1], "seconds": 1.0, "failed": None}


def lost(number: int, **params: float) -> dict[str, Any]:
    return trial(number, 0, 0, **params) | {"state": "diverged", "behind_best": None, "at_accuracy_095": None}


def result(kind: str, *trials: dict[str, Any]) -> dict[str, Any]:
    return {
        "kind": kind,
        "trials": list(trials),
        "recipe": {"epochs": 1},
        "pictures": 8,
        "validation_pictures": 4,
        "data": "made up",
        "device": "cpu",
        "prior_at_accuracy_095": 0.2,
    }


PAPERS, OTHER = {"learning_rate": 1e-3, "weight_decay": 1e-4}, {"learning_rate": 1e-4, "weight_decay": 1e-4}


@pytest.mark.parametrize(
    ("grid", "verdict"),
    [
        (result("grid", trial(0, 0.5, 0.0, **PAPERS), trial(1, 0.1, 0.2, **OTHER)), "holds"),
        (result("grid", trial(0, 0.5, -0.1, **PAPERS), trial(1, 0.6, 0.0, **OTHER)), "holds in part"),
        (result("grid", trial(0, 0.5, 0.1, **PAPERS), trial(1, 0.6, 0.0, **OTHER)), "does not hold"),
        (result("grid", lost(0, **PAPERS), trial(1, 0.6, 0.0, **OTHER)), "does not hold"),
        (result("grid", trial(1, 0.6, 0.0, **OTHER)), "cannot be told here"),
        (None, "cannot be told here"),
    ],
)
def test_the_papers_rate_and_decay(grid: dict[str, Any] | None, verdict: str) -> None:
    assert claims.search_rate(grid)["verdict"] == verdict


@pytest.mark.parametrize(
    ("random", "verdict"),
    [
        (result("random", trial(0, 0.5, 0.0, batch=8), trial(1, 0.1, 0.2, batch=64)), "does not hold"),
        (result("random", trial(0, 0.5, 0.0, batch=8), trial(1, 0.45, -0.1, batch=64)), "cannot be told here"),
        (result("random", trial(0, 0.5, 0.0, batch=64), lost(1, batch=128)), "cannot be told here"),
        (result("random", lost(1, batch=128)), "cannot be told here"),
        (None, "cannot be told here"),
    ],
)
def test_the_largest_batch_can_lose_but_never_win_here(random: dict[str, Any] | None, verdict: str) -> None:
    assert claims.batch_highest(random)["verdict"] == verdict


def test_every_verdict_fits_the_ledger(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "BUILD", tmp_path)
    monkeypatch.setattr(ledger, "FIGURES", tmp_path / "none")
    one = [record()]
    told = {"lambda-5": claims.lambda_five(one), "early-plate": claims.early_plate(one)}
    told |= {"instability": claims.instability(one), "clipping": claims.clipping(one), "cosine": claims.cosine(one)}
    told |= {"search-rate": claims.search_rate(None), "batch-highest": claims.batch_highest(None)}
    for key, arguments in told.items():
        assert ledger.settle(key, **arguments, where="03_weighted_loss")["verdict"] in ledger.VERDICTS
    assert len(ledger.ledger()) == len(told)


def test_search_tables_rank_and_choose() -> None:
    one = result("random", trial(0, 0.3, 0.1, weight=1), trial(1, 0.5, 0.0, weight=8), trial(2, 0.4, -0.1, weight=3))
    one["trials"] += [lost(3, learning_rate=1e-2)]
    rows = search_tables.trials_table(one).data.splitlines()[2:6]
    assert [row.split(" | ")[0] for row in rows] == ["| 1", "| 2", "| 0", "| 3"]
    assert "1 diverged" in search_tables.told_search(one)
    chosen = search_tables.choices_table([one]).data.splitlines()[2:5]
    assert [row.split(" | ")[:2] for row in chosen[:2]] == [["| random, best", "1"], ["| random, simplest tie", "2"]]
    assert search_tables.told_values({"batch": 16, "learning_rate": 1e-3}) == "rate 0.001, batch 16"


def test_every_figure_is_drawn_small_and_legible() -> None:
    """800 to 1000 pixels wide, under 200 KB, with runs missing or diverged as they come."""
    losses = {"cross entropy": LOSSES["cross_entropy"](), "log²": LOSSES["log2"]()}
    lambdas = [record(weight=float(w), weight_inside=i) for w in (1, 5) for i in (False, True)] + [diverged("x")]
    ways = [record(clip=clip, reduction=how) for clip in ("value", "norm") for how in ("sum", "mean")]
    rates = [record(schedule=name, seed=seed) for name in ("cosine", "constant") for seed in (0, 1)]
    points = {"learning_rate": 1e-3, "weight_decay": 1e-4, "weight": 5, "batch": 16, "clip_at": 0.1}
    searches = [
        result("grid", trial(0, 0.3, 0.0, **PAPERS), lost(1, **OTHER)),
        result("random", trial(0, 0.3, 0.0, **points), trial(1, 0.1, 0.2, **{**points, "batch": 64})),
    ]
    plates = {"picture": np.array([0]), "covered": np.array([0.4])}
    counted = {"background": np.array([100]), "pixels": np.array([110])}
    thresholds = np.array([0.25, 0.5, 1.0])
    sweep = Sweep(plates, counted, thresholds, np.array([[10, 20, 100]]), np.zeros((1, 3), int))
    runs = {"a": history(0.9, 0.4)}
    for made in (
        weighted.gradient_shares(losses, 0.03, "none"),
        weighted.lambdas(lambdas),
        weighted.clippings([*ways, diverged("x", clip="")]),
        weighted.schedules(rates),
        weighted.live_runs(runs, {"a": log([1.0] * 4)}, "made up"),
        weighted.coverages({"a": sweep}, "made up"),
        weighted.searched(searches),
    ):
        picture = Picture.open(io.BytesIO(made.data))
        assert 500 <= picture.width <= 1000 and len(made.data) < 200_000
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 5  # something is drawn
    with pytest.raises(PlatesError, match="holds no search"):
        weighted.searched([])
