"""Figures and tables of `12_ablation` from made-up records: that they show what they are given."""

from typing import Any

from IPython.display import Image
from matplotlib.figure import Figure
from shown import text

from lib.plots import ablation


def told(coverage: float) -> dict[str, Any]:
    return {"plates": 12, "coverage": coverage, "interval": [coverage - 0.05, coverage + 0.05]}


def record(label: str, coverage: float, sources: dict[str, float] | None = None, **more: Any) -> dict[str, Any]:
    made = {"label": label, "photographs": 40, "steps": 492, "seconds": 600.0, "data": "tiny", "device": "cpu"}
    made |= {"equal_stray": told(coverage), "equal_stray_large": told(coverage + 0.1)}
    made["at_point"] = {"plates": 24}
    made["history"] = [{"epoch": epoch, "loss": 0.9, "validation_loss": 1 - epoch / 4} for epoch in (1, 2)]
    return made | {"equal_stray_by_source": {name: told(value) for name, value in (sources or {}).items()}} | more


CHOICES = [record("paper", 0.1), record("+ one", 0.3), record("+ two", 0.32), record("+ three", 0.2)]
KNOWN = record("all", 0.5, {"here": 0.6, "there": 0.7})
SCENES = record("scenes", 0.2, {"here": 0.3, "there": 0.65})
WITHOUT = [
    record("here", 0.55, {"here": 0.55}, without="here", photographs=30),
    record("there", 0.4, {"there": 0.4}, without="there", photographs=10),
]


def marks(figure: Figure) -> list[tuple[float, float]]:
    """Value and height of each mark, rounded."""
    lines = (line.get_xydata() for line in figure.axes[0].lines)
    return [(round(float(x), 3), round(float(y), 3)) for points in lines if len(points) == 1 for x, y in points]


def test_choices_are_drawn_where_they_are(drawn: list[Figure]) -> None:
    assert isinstance(ablation.choices(CHOICES[:2], "tiny"), Image)
    assert marks(drawn[0]) == [(0.1, -0.12), (0.2, 0.12), (0.3, 0.88), (0.4, 1.12)]
    assert [tick.get_text() for tick in drawn[0].axes[0].get_yticklabels()] == ["paper", "+ one"]


def test_each_source_is_drawn_thrice(drawn: list[Figure]) -> None:
    assert isinstance(ablation.sources(WITHOUT, KNOWN, SCENES, "tiny"), Image)
    wanted = [(0.6, -0.2), (0.7, 0.8), (0.55, 0.0), (0.4, 1.0), (0.3, 0.2), (0.65, 1.2)]
    assert marks(drawn[0]) == wanted
    assert [t.get_text() for t in drawn[0].axes[0].get_yticklabels()] == ["here\n12 plates", "there\n12 plates"]


def test_tables_by_hand() -> None:
    assert text(ablation.choices_table(CHOICES))[1] == [
        "+ one", "0.300", "0.250 to 0.350", "+0.200", "0.400", "0.500", "492", "10",
    ]  # fmt: skip
    assert (
        text(ablation.choices_table(CHOICES))[0][3] == "-" and text(ablation.choices_table(CHOICES))[3][3] == "-0.120"
    )
    assert text(ablation.sources_table(WITHOUT, KNOWN, SCENES))[1] == [
        "there", "12", "10", "0.700 (0.650 to 0.750)", "0.400 (0.350 to 0.450)", "0.650 (0.600 to 0.700)",
    ]  # fmt: skip
    last = text(ablation.sources_table(WITHOUT, KNOWN, SCENES))[-1]
    assert last == ["all", "24", "-", "0.500 (0.450 to 0.550)", "-", "0.200 (0.150 to 0.250)"]


def test_an_interval_without_width_tells_nothing() -> None:
    assert ablation.below(told(0.3), told(0.5)) and not ablation.below(told(0.45), told(0.5))
    assert not ablation.below(told(0.3), {"interval": [1.0, 1.0]})


def test_findings_tell_what_stands_apart() -> None:
    assert ablation.findings(CHOICES, WITHOUT, KNOWN, SCENES).data.split("\n") == [
        "- More than the row above, intervals apart: + one.",
        "- Less than the row above, intervals apart: + three.",
        "- Not to be told from the row above: + two.",
        "- Never seen, covered less than when trained on, intervals apart: there.",
        "- Scenes alone, covered less than when trained on, intervals apart: here.",
        "- Not compared, since an interval without width tells nothing: none.",
    ]


def test_findings_name_the_source_that_cannot_be_compared() -> None:
    sure = {"plates": 9, "coverage": 1.0, "interval": [1.0, 1.0]}
    known = KNOWN | {"equal_stray_by_source": {"here": sure, "there": told(0.7)}}
    lines = ablation.findings(CHOICES, WITHOUT, known, SCENES).data.split("\n")
    assert lines[-2:] == [
        "- Scenes alone, covered less than when trained on, intervals apart: none.",
        "- Not compared, since an interval without width tells nothing: here.",
    ]
