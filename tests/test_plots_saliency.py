"""Figures, tables and verdicts of 06: which pictures are shown, what is said of known numbers, and every rule."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from PIL import Image
from torch import Tensor, nn

from lib.attribution import PARTS, Specimens, parts_of
from lib.claims import CLAIMS, VERDICTS
from lib.counterfactuals import CONTROL, FOILS, GREY, PLAIN, Belief, believe
from lib.explain import Integrated
from lib.faithfulness import FRACTIONS
from lib.metrics import Accumulator
from lib.models import baseline
from lib.plots import saliency as plots
from lib.plots import saliency_tables as tables
from lib.plots import saliency_verdicts as verdicts
from lib.plots import style
from lib.regions import PlateTruth

SIDE = 64


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(style, "FIGURES", tmp_path / "figures")
    monkeypatch.setenv("PLATES_PUBLISH", "0")
    yield tmp_path / "figures"
    plt.close("all")


class SeesRed(nn.Module):
    """P(plate) is the red channel."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, pictures: Tensor) -> Tensor:
        plate = pictures[:, 0].clamp(1e-4, 1 - 1e-4)
        return torch.stack([(1 - plate).log(), plate.log()], 1)


@pytest.fixture
def specimens() -> Specimens:
    """Six pictures with a plate each, of which the first ones are wholly, the others less and less red."""
    corners = np.array([(16, 24), (46, 24), (46, 40), (16, 40)], float)
    characters = tuple(np.array([(x, 28), (x + 5, 28), (x + 5, 36), (x, 36)], float) for x in (21, 29, 37))
    made = parts_of([PlateTruth((16, 24, 30, 16), corners, characters)], SIDE)
    parts = {name: torch.from_numpy(made[name]).expand(6, -1, -1) for name in PARTS}
    plates = torch.zeros(6, SIDE, SIDE, dtype=torch.bool)
    plates[:, 24:40, 16:46] = True
    pixels = torch.full((6, 3, SIDE, SIDE), 20, dtype=torch.uint8)
    for i, rows in enumerate((16, 16, 16, 8, 4, 0)):
        pixels[i, 0, 24 : 24 + rows, 16:46] = 250
    pixels[1, 0, :10] = 250  # false cover
    return Specimens(pixels, plates, plates, parts, torch.tensor([8.0, 8, 8, 8, 8, 12]))


def drawn(image: object) -> Image.Image:
    return Image.open(BytesIO(image.data))


def test_examples_are_sorted_from_covered_to_missed(specimens: Specimens) -> None:
    found = plots.examples(SeesRed(), specimens, enough=3)
    assert found.threshold == 0.1
    assert found.share.tolist() == pytest.approx([1, 1, 1, 0.5, 0.25, 0])
    assert found.best == [0, 2, 1, 3, 4, 5]  # of those covered, the one with false cover last
    assert found.worst == [5, 4, 3, 0, 1, 2]  # of those missed, the largest characters first
    assert "P(background) < 0.1: of 6 pictures, 3 have" in found.say() and ", 2 by less than half" in found.say()


def test_examples_settle_for_the_laxest_threshold(specimens: Specimens) -> None:
    found = plots.examples(SeesRed(), specimens, enough=4)
    assert found.threshold == plots.THRESHOLDS[-1] and found.best[3] == 3


def test_pictures_are_drawn_with_their_masks_and_maps(specimens: Specimens, folder: Path, monkeypatch) -> None:
    found = plots.examples(SeesRed(), specimens, enough=3)
    maps = torch.rand(2, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    monkeypatch.setenv("PLATES_PUBLISH", "1")
    shown = plots.figure_3(specimens, found, found.best[:2], maps, "made", "06_successes")
    close = plots.close_ups(specimens, [0, 5], {"Saliency": maps, "Grad-CAM": torch.zeros(2, SIDE, SIDE)}, "made")
    other = plots.altered({"a": specimens.pixels[0], "b": specimens.pixels[1]}, "made")
    assert {path.name for path in folder.iterdir()} == {"06_successes.jpg", "06_close_ups.jpg", "06_altered.jpg"}
    for one in (shown, close, other):
        assert drawn(one).format == "JPEG" and drawn(one).width >= 780 and len(one.data) < 200_000


def test_brightness_is_relative_and_an_empty_map_is_dark() -> None:
    one = torch.arange(1000.0).view(10, 100)
    told = plots.brightness(-one)
    assert told.max() == 1 and told[0, 0] == 0 and told[5, 0] == pytest.approx(500 / 994, abs=0.01)
    assert plots.brightness(torch.zeros(4, 4)).max() == 0


def test_a_neighbourhood_is_three_times_the_plate_and_within_the_picture() -> None:
    mask = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    mask[20:30, 0:12] = True
    assert plots.neighbourhood(mask) == (slice(10, 40), slice(0, 24))
    assert plots.neighbourhood(torch.zeros_like(mask)) == (slice(0, SIDE), slice(0, SIDE))


def test_plots_of_the_tests_are_drawn_also_where_something_cannot_be_told(specimens: Specimens) -> None:
    draw = np.random.default_rng(0)
    curves = {
        name: {layer: draw.random(6) for layer in ("trained", "linear 1", "convolution 1")} for name in ("a", "b")
    }
    maps = {"a": torch.rand(6, SIDE, SIDE), "nothing": torch.zeros(6, SIDE, SIDE)}
    result = {test: {name: draw.random((6, len(FRACTIONS))) for name in "abc"} for test in ("deletion", "insertion")}
    rows = {"grey": (-0.1, (-0.2, 0.1)), "none": (None, None)}
    for shown in (
        plots.cascades(curves, 0.3, "made"),
        plots.cascades(curves, None, "made"),
        plots.densities(maps, specimens, SIDE, "made"),
        plots.replacement_curves(result, "made"),
        plots.effects({"one": rows, "two": rows}, "made"),
    ):
        assert drawn(shown).format == "PNG" and len(shown.data) < 100_000


def test_what_nobody_sees_is_said_in_shares() -> None:
    masks = torch.zeros(1, 320, 320, dtype=torch.bool)
    masks[0, 300:304, 0:10] = True  # half of it beyond row 302
    said = tables.sight(baseline(channels=(2, 2, 2), grid=10), masks).data
    assert "| convolution 5x5, stride 3 | 2 x 2 | 194 x 194 pixels | 108 pixels |" in said
    assert "the last 18 rows and columns of 320: 10.9% of the picture, with 50.0% of the plate pixels" in said


def test_tables_say_what_the_numbers_are(specimens: Specimens) -> None:
    maps = {"flat": torch.ones(6, SIDE, SIDE), "plate": specimens.plates.float()}
    said = tables.where_maps_lie(maps, specimens, SIDE, "made").data
    assert "| flat | 1.00 (1.00 to 1.00) |" in said and "| 100% |" in said.splitlines()[3]
    unknown = {**specimens.parts, "characters": torch.zeros_like(specimens.plates)}
    blind = Specimens(specimens.pixels, specimens.masks, specimens.plates, unknown, specimens.heights)
    assert "cannot be told" in tables.where_maps_lie(maps, blind, SIDE, "made").data

    told = Integrated(maps["plate"], torch.tensor([10.0, -10, 10, 10, 10, 10]), torch.full((6,), 0.5))
    lines = tables.convergence({16: told}, "made").data.splitlines()
    assert lines[2] == "| 16 | 10.000 | 0.500 | 5.00% |" and lines[0].count("|") == lines[2].count("|")
    assert "| mid-grey | 6.667 | 17% |" in tables.baselines({"mid-grey": told}, specimens.plates, SIDE, "made").data

    beliefs = {"sharp": believe(SeesRed(), specimens.pixels, specimens.masks)}
    beliefs["dark"] = believe(SeesRed(), specimens.pixels // 2, specimens.masks)
    said = tables.rests_on(beliefs, "made").data
    assert "| 100% |" in said and "| 50% |" in said

    left = {"Saliency": {"trained": np.ones(9), "linear 1": np.full(9, 0.4)}}
    left["Grad-CAM"] = {"linear 1": np.append(np.linspace(-1, 1, 9), np.nan)}
    lines = tables.randomised(left).data.splitlines()
    assert "0.40 (0.40 to 0.40)" in lines[0] and "shows the picture" in lines[0] and "none is sure" in lines[1]
    assert "in 9 of 10 pictures" in lines[1]


def test_areas_are_compared_with_the_blind_rankings() -> None:
    flat = {"map": np.full((5, 13), 0.2), "random": np.full((5, 13), 0.5), "centre": np.full((5, 13), 0.4)}
    said = tables.replacement_areas({"deletion": flat, "insertion": flat}, "made").data.splitlines()
    assert said[2].startswith("| map | 0.200 | -0.30 (-0.30 to -0.30) | -0.20 (-0.20 to -0.20) | 0.200 |")
    assert said[3].startswith("| random | 0.500 | - | 0.10 (0.10 to 0.10) |")


UP, DOWN, OPEN, NONE = (0.1, 0.3), (-0.3, -0.1), (-0.1, 0.1), None


@pytest.mark.parametrize(
    ("contrasts", "gain", "verdict"),
    [
        ((UP, UP), UP, "holds"),
        ((UP, OPEN), UP, "holds in part"),
        ((UP, DOWN), UP, "does not hold"),  # something is brighter
        ((UP, UP), DOWN, "does not hold"),  # training leads away from them
        ((UP, UP), OPEN, "cannot be told here"),
        ((OPEN, OPEN), NONE, "cannot be told here"),
    ],
)
def test_characters_rule(contrasts: tuple, gain: tuple | None, verdict: str) -> None:
    told, why = verdicts.characters_rule(dict(zip(("rim", "ground"), contrasts, strict=True)), gain)
    assert told == verdict and told in VERDICTS and why


@pytest.mark.parametrize(
    ("changes", "beyond", "verdict"),
    [
        ((DOWN, DOWN), (DOWN, DOWN), "holds"),
        ((DOWN, DOWN), (DOWN, OPEN), "holds in part"),
        ((DOWN, DOWN), (OPEN, OPEN), "holds in part"),
        ((DOWN, OPEN), (DOWN, OPEN), "holds in part"),
        ((UP, UP), (OPEN, OPEN), "does not hold"),
        ((UP, OPEN), (OPEN, OPEN), "cannot be told here"),
        ((OPEN, NONE), (OPEN, NONE), "cannot be told here"),
    ],
)
def test_contours_rule(changes: tuple, beyond: tuple, verdict: str) -> None:
    told, why = verdicts.contours_rule(*(dict(zip(("rim", "far"), one, strict=True)) for one in (changes, beyond)))
    assert told == verdict and why


@pytest.mark.parametrize(
    ("share", "excess", "verdict"),
    [
        ((0.01, 0.09), OPEN, "holds"),
        ((0.2, 0.3), DOWN, "holds in part"),
        ((0.2, 0.3), OPEN, "does not hold"),
        ((0.2, 0.3), UP, "does not hold"),
        ((0.05, 0.3), DOWN, "cannot be told here"),
        (NONE, NONE, "cannot be told here"),
    ],
)
def test_colour_map_rule(share: tuple | None, excess: tuple | None, verdict: str) -> None:
    told, why = verdicts.colour_map_rule(share, excess)
    assert told == verdict and why


@pytest.mark.parametrize(
    ("grey", "beyond", "foils", "verdict"),
    [
        (DOWN, DOWN, [OPEN], "holds"),
        (DOWN, OPEN, [OPEN], "holds in part"),
        ((-0.001, 0.001), OPEN, [OPEN, UP], "holds in part"),
        ((-0.001, 0.001), OPEN, [OPEN, OPEN], "does not hold"),
        (UP, UP, [OPEN], "does not hold"),
        (OPEN, OPEN, [OPEN], "cannot be told here"),
        (NONE, NONE, [NONE], "cannot be told here"),
    ],
)
def test_colour_use_rule(grey: tuple | None, beyond: tuple | None, foils: list, verdict: str) -> None:
    told, why = verdicts.colour_use_rule(grey, beyond, foils)
    assert told == verdict and why


def test_entries_hold_what_the_ledger_asks_for(specimens: Specimens) -> None:
    on_characters = specimens.parts["characters"].float() + 0.1
    flat = torch.ones(6, SIDE, SIDE)
    entry = verdicts.characters(on_characters, flat, specimens, SIDE)
    assert entry["verdict"] == "holds" and "rim +0.833 (+0.833 to +0.833)" in entry["ours"]
    assert verdicts.characters(flat, flat, specimens, SIDE)["verdict"] == "cannot be told here"
    moved = verdicts.contours((on_characters, flat), (flat, flat), specimens, SIDE)
    assert moved["verdict"] == "holds" and "rim -0.833" in moved["ours"] and "rim -0.833" in moved["interval"]
    shares = verdicts.colour_salient(np.full(5, 0.3), np.full(5, 0.5))
    assert shares["verdict"] == "holds in part" and "0.30 (0.30 to 0.30)" in shares["ours"]
    assert "-0.200 (-0.200 to -0.200)" in shares["interval"]

    def belief(apart: float) -> Belief:
        return Belief(Accumulator(), np.full(6, apart), np.zeros(6))

    beliefs = {PLAIN: belief(0.5), GREY: belief(0.2), CONTROL: belief(0.45)}
    for name in FOILS:
        beliefs |= {f"plate {name}": belief(0.5), f"plate darkened like {name}": belief(0.5)}
    used = verdicts.colour_used(beliefs)
    assert used["verdict"] == "holds" and "-0.300" in used["ours"] and "-0.250" in used["interval"]
    for told in (entry, moved, shares, used):
        assert set(told) == {"ours", "interval", "verdict", "why"}
    keys = {"saliency-characters", "saliency-contours", "saliency-colour", "colour-used"}
    assert keys <= set(CLAIMS)


def test_differences_have_signs() -> None:
    assert verdicts.signed(0.1234, (0.1, 0.2)) == "+0.123 (+0.100 to +0.200)"
    assert verdicts.signed(None, None) == "cannot be told"
    assert verdicts.signed_each({"a": (-0.1, (-0.2, 0.0))}) == "a -0.100 (-0.200 to +0.000)"


def test_effects_of_colour_are_against_the_pictures_as_they_are(specimens: Specimens) -> None:
    beliefs = {
        PLAIN: believe(SeesRed(), specimens.pixels, specimens.masks),
        "dark": believe(SeesRed(), specimens.pixels // 4, specimens.masks),
    }
    lines = tables.colour_effects(beliefs, "made").data.splitlines()
    assert lines[2].startswith(f"| {PLAIN} |") and "| 0.000 | 0.000 to 0.000 |" in lines[2]
    gained = tables.change("dark", beliefs["dark"], beliefs[PLAIN])
    assert gained["A1 pooled"] == 0 and gained["A1 change"] == pytest.approx(-3.75 / 6)
    assert gained["change"] == pytest.approx(-0.75 * beliefs[PLAIN].separation.mean(), abs=0.02)
