"""The attack on concealed plates: that it reads what can be read, that ours cannot, and what its numbers mean."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from lib import redact as shipped
from lib.attack import ALPHABET, REGIONS, Target, numbers, photograph, weak_blur, weak_mosaic
from lib.attack_records import BOUND, HEIGHTS, load, recipe
from lib.attack_trials import CHANCE, LOOKS, Way, ceiling, controls, examples, lit, measure, shipped_ways
from lib.bootstrap import share_interval
from lib.files import write_json
from lib.settings import PlatesError


@pytest.mark.parametrize("height", [8, 33])
def test_one_rendering_of_each_character_spans_every_text(height: int) -> None:
    target = Target(height, *LOOKS[1])
    empty = target.levels(" " * 7)
    text = "W1A8KR0"
    marks = [target.levels(" " * i + char + " " * (6 - i)) - empty for i, char in enumerate(text)]
    assert np.abs(target.levels(text) - empty - sum(marks)).max() < 0.01
    assert max(np.abs(mark).max() for mark in marks) > 30


@pytest.mark.parametrize("places", [2, 7])
@pytest.mark.parametrize("height", [8, 33])
def test_regions_hide_all_of_every_character(height: int, places: int) -> None:
    target = Target(height, places=places)
    drawn = np.abs(target.levels("W" * places) - target.levels(" " * places)).max(2) > 8
    tight, plate = (target.mask(region) for region in REGIONS)
    lit_edge = cv2.dilate(tight.view(np.uint8), np.ones((3, 3), np.uint8)).view(bool)  # pressed characters have one
    assert drawn[tight].any() and not (drawn & ~lit_edge).any() and not (tight & ~plate).any()
    assert np.flatnonzero(tight.any(1)).size == height


def test_a_photograph_is_noisy_and_no_two_are_alike() -> None:
    levels, random = Target(16).levels("ABC1234"), np.random.default_rng(0)
    one, other = (photograph(levels, random).astype(float) for _ in range(2))
    assert 1 < (one - levels).std() < 5 and 1 < (one - other).std() < 8


def test_weak_ways_by_hand() -> None:
    pixels = np.arange(20, dtype=np.uint8).reshape(4, 5, 1)
    mask = np.ones((4, 5), bool)
    mask[:, 0] = False
    out = weak_mosaic(2)(pixels, mask)[..., 0]
    assert out.tolist() == [[0, 4, 4, 6, 6], [5, 4, 4, 6, 6], [10, 14, 14, 16, 16], [15, 14, 14, 16, 16]]
    assert np.array_equal(weak_mosaic(0.7)(pixels, mask), pixels)
    assert np.array_equal(weak_blur(0.05)(pixels, mask), pixels)
    blurred = weak_blur(2.0)(pixels * 10, mask)
    assert np.ptp(blurred[:, 1:]) < np.ptp(pixels[:, 1:] * 10) and np.array_equal(blurred[:, 0], pixels[:, 0] * 10)


MEASURED = [*controls((0.25, 0.5)), Way("gaussian", strength=0.75), Way("gaussian", strength=2.0), *shipped_ways()]


@pytest.fixture(scope="module")
def cells() -> dict[Way, dict]:
    """All of MEASURED on the same 280 characters of two looks."""
    measured = measure(MEASURED, 12, plates=20, rehearsals=50, looks=LOOKS[::3])
    assert {cell["characters"] for cell in measured} == {280}
    return dict(zip(MEASURED, measured, strict=True))


@pytest.mark.parametrize("way", MEASURED[:4], ids=lambda way: f"{way.mode} {way.strength}")
def test_the_attack_reads_a_weak_blur(way: Way, cells: dict[Way, dict]) -> None:
    """The positive control: without it, an attack that never works would pass for a safe blur."""
    assert cells[way]["recovered"] >= 0.9


def test_neighbours_that_a_strong_blur_mixes_are_told_apart(cells: dict[Way, dict]) -> None:
    """At a sigma of .75 heights a character's blur reaches over its neighbours."""
    assert cells[MEASURED[4]]["recovered"] >= 0.8


def test_a_gaussian_of_two_heights_is_no_safe_blur(cells: dict[Way, dict]) -> None:
    """Why `redact` rounds to coarse steps."""
    assert cells[MEASURED[5]]["interval"][0] > CHANCE


@pytest.mark.parametrize("way", MEASURED[6:], ids=lambda way: f"{way.mode} {way.region}")
def test_the_attack_reads_nothing_from_ours(way: Way, cells: dict[Way, dict]) -> None:
    """Chance is 1 of 33: who guesses is right for more than 28 of 280 less than once in ten million times."""
    assert cells[way]["recovered"] <= 0.1


def test_whoever_sees_fill_can_only_guess() -> None:
    target, random = Target(12), np.random.default_rng(0)
    reader = Way("fill", "plate").reader(target)
    assert reader.measure([photograph(target.levels("ABC1234"), random)]).shape == (0,)
    got = numbers(reader.read(np.zeros((500, 0)), random))
    assert got.shape == (500, 7) and 0.7 / 33 < (got == 5).mean() < 1.3 / 33
    plain, other = (photograph(target.levels(text), np.random.default_rng(1)) for text in ("ABC1234", "WWWWWWW"))
    mask = target.mask("plate")
    other[~mask] = plain[~mask]
    assert not np.array_equal(plain, other)
    assert np.array_equal(reader.conceal(plain, mask), reader.conceal(other, mask))


def test_frames_are_averaged() -> None:
    target, text = Target(16), "KLM0987"
    reader = Way("gaussian", "characters", 1.0).reader(target)
    shots = [photograph(target.levels(text), np.random.default_rng(seed)) for seed in range(16)]
    alone = np.stack([reader.measure([each]) for each in shots])
    early, late = reader.measure(shots[:8]), reader.measure(shots[8:])
    assert np.allclose(early, alone[:8].mean(0), atol=0.01)
    assert np.linalg.norm(early - late) < 0.6 * np.linalg.norm(alone[:8] - alone[8:], axis=1).mean()


def test_a_steady_error_is_learned_from_rehearsals() -> None:
    target, random = Target(16), np.random.default_rng(0)
    reader = Way("gaussian", "characters", 0.25).reader(target)
    texts = ["".join(row) for row in random.choice(list(ALPHABET), (45, 7))]
    measured = np.stack([reader.measure([photograph(target.levels(text), random)]) for text in texts]) + 300
    reader.rehearse(texts[:40], measured[:40])
    assert reader.read(measured[40:], random) == texts[40:]


def test_exact_intervals() -> None:
    assert share_interval(10, 100) == pytest.approx((0.0490, 0.1762), abs=1e-4)  # Clopper and Pearson's table
    assert share_interval(0, 100, 0.99) == (0.0, pytest.approx(1 - 0.005**0.01))
    assert share_interval(100, 100, 0.99) == (pytest.approx(0.005**0.01), 1.0)


def test_the_same_seed_gives_the_same_cells() -> None:
    ways = [Way("pixelate", "plate"), Way("mosaic", "characters", 1.0)]
    one, again = (measure(ways, 8, plates=2, rehearsals=12, places=2, looks=LOOKS[:2]) for _ in range(2))
    assert one == again and [cell["mode"] for cell in one] == ["pixelate", "mosaic"]
    assert {cell["characters"] for cell in one} == {2 * 2 * 2}


def test_nobody_exceeds_the_ceiling_and_only_coarse_steps_lower_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert CHANCE * 0.8 < ceiling(16, texts=20_000) <= BOUND
    monkeypatch.setattr(shipped, "STEP", 1e-5)  # each character has a share of ink of its own
    assert ceiling(16, places=1, texts=4_000) > 0.9
    monkeypatch.setattr(shipped, "STEP", 10.0)
    assert ceiling(16, places=1, texts=20_000) == pytest.approx(CHANCE, abs=0.005)


def test_light_darkens_ground_and_ink_alike() -> None:
    target = lit(16, LOOKS[0], 0.5)
    assert target.ground == pytest.approx([0.39, 0.395, 0.39]) and target.ink == pytest.approx([0.0075, 0.0075, 0.01])


def test_examples_show_what_they_say() -> None:
    made = examples(height=16, looks=LOOKS[:2])
    assert len(made) == 2 and all(each.read == each.text for each in made)
    for each in made:
        photographed, blurred, *ours = each.pictures.values()
        assert not np.array_equal(photographed, blurred) and len(ours) == len(shipped.MODES)
        assert all(len(np.unique(one[16:24, 60:70].reshape(-1, 3), axis=0)) == 1 for one in ours)


def test_the_committed_record_keeps_the_promise() -> None:
    told = load()
    plain = [cell for cell in told["cells"] if cell["places"] == 7]
    weak = [cell for cell in plain if cell["strength"] is not None and cell["strength"] <= 0.5]
    assert len(weak) == 4 and all(cell["recovered"] > 0.9 for cell in weak)
    ours = [cell for cell in plain if cell["strength"] is None]
    assert all(cell["characters"] >= 2000 and cell["interval"][1] <= BOUND for cell in ours)
    assert {(c["mode"], c["region"], c["height"]) for c in ours if c["frames"] == 1} == {
        (mode, region, height) for mode in shipped.MODES for region in REGIONS for height in HEIGHTS
    }
    assert any(cell["frames"] == 25 for cell in ours)
    for cell in told["cells"]:
        assert cell["recovered"] == cell["right"] / cell["characters"]
        assert cell["interval"] == pytest.approx(share_interval(cell["right"], cell["characters"], 0.99))
    assert all(bound["recovered"] <= BOUND for bound in told["ceilings"] if bound["places"] > 1)
    known = {(bound["region"], bound["height"], bound["places"]): bound["recovered"] for bound in told["ceilings"]}
    assert known.keys() >= {(region, height, 7) for region in REGIONS for height in HEIGHTS}
    for cell in told["cells"]:  # the same plates, so but for luck an attack stays below what nobody can exceed
        if cell["mode"] in shipped.MODES and cell["frames"] == 1:
            assert cell["interval"][0] <= known[cell["region"], cell["height"], cell["places"]]


@pytest.mark.parametrize("content", [[], {"recipe": {**recipe(), "noise": 99}, "cells": []}])
def test_a_record_of_another_recipe_is_refused(tmp_path: Path, content: object) -> None:
    write_json(tmp_path / "attack.json", content)
    with pytest.raises(PlatesError, match=r"attack\.json is of another recipe.*lib\.attack_records"):
        load(tmp_path / "attack.json")
