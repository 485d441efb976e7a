"""The ledger of the paper's claims."""

from pathlib import Path

import pytest

from lib import claims
from lib.files import read_json
from lib.settings import FIGURES, ROOT, PlatesError

ENTRY = {"ours": "0.91", "verdict": "holds", "why": "tested", "data": "scenes", "where": "07_thresholds, section 2"}


@pytest.fixture(autouse=True)
def shelves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(claims, "BUILD", tmp_path / "build")
    monkeypatch.setattr(claims, "FIGURES", tmp_path / "figures")
    return tmp_path


def test_a_claim_is_settled_once_and_in_the_papers_order(shelves: Path) -> None:
    assert claims.ledger() == [] and "No claim" in claims.show().data
    claims.settle("threshold-02", **ENTRY)
    claims.settle("collapse", **ENTRY)
    claims.settle("threshold-02", **{**ENTRY, "verdict": "does not hold"}, interval="0.2 to 0.3")
    found = read_json(shelves / "build" / "claims.json")
    assert [set(one) == set(claims.FIELDS) for one in found] == [True, True]
    assert [one["claim"][:3] for one in found] == ["4.1", "5.2"]
    assert (found[1]["verdict"], found[1]["interval"], found[0]["interval"]) == ("does not hold", "0.2 to 0.3", None)
    assert "0.2 to 0.3" in claims.show(["threshold-02"]).data and "4.1" not in claims.show(["threshold-02"]).data


def test_a_students_run_leaves_the_published_ledger_alone(shelves: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLATES_PUBLISH", "1")
    claims.settle("collapse", **ENTRY)
    published = (shelves / "figures" / "claims.json").read_bytes()
    monkeypatch.setenv("PLATES_PUBLISH", "0")
    claims.settle("collapse", **{**ENTRY, "ours": "0.5"})
    claims.settle("blur", **ENTRY)
    assert (shelves / "figures" / "claims.json").read_bytes() == published
    assert [one["ours"] for one in claims.ledger()] == ["0.5", "0.91"]
    assert "0.91" in claims.readme_table() and "0.5" not in claims.readme_table()


@pytest.mark.parametrize("change", [{"key": "magic"}, {"verdict": "maybe"}])
def test_what_is_no_claim_or_no_verdict_is_refused(change: dict) -> None:
    with pytest.raises(PlatesError, match=next(iter(change.values()))):
        claims.settle(**{"key": "collapse", **ENTRY, **change})


@pytest.mark.parametrize("told", ["{}", "[1]", '[{"claim": 1}]', "[", ""])
def test_a_damaged_ledger_is_named_and_kept(told: str, shelves: Path) -> None:
    path = shelves / "build" / "claims.json"
    path.parent.mkdir()
    path.write_text(told)
    with pytest.raises(PlatesError, match=r"claims\.json"):
        claims.settle("collapse", **ENTRY)
    assert path.read_text() == told


def test_the_readme_gets_the_ledger_between_its_marks(shelves: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLATES_PUBLISH", "1")
    readme = shelves / "README.md"
    readme.write_text(f"before\n{claims.MARKS[0]}\nold\n{claims.MARKS[1]}\nafter\n")
    assert claims.write_readme(readme) and "not published yet" in readme.read_text()
    claims.settle("collapse", **ENTRY)
    assert claims.write_readme(readme) and not claims.write_readme(readme)
    text = readme.read_text()
    assert (
        text.startswith("before\n")
        and text.endswith("\nafter\n")
        and "| 0.91 | holds |" in text
        and "\nold\n" not in text
    )
    readme.write_text("nothing")
    with pytest.raises(PlatesError, match=r"README\.md.*marks"):
        claims.write_readme(readme)


def test_the_published_ledger_settles_every_claim_and_the_readme_shows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "FIGURES", FIGURES)
    found = read_json(FIGURES / "claims.json")
    assert {one["claim"] for one in found} == {one.sentence for one in claims.CLAIMS.values()}
    assert all(one["verdict"] in claims.VERDICTS and one["why"] and one["where"] for one in found)
    notebooks = {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert {one["where"].split(",")[0] for one in found} <= notebooks
    assert claims.readme_table() in (ROOT / "README.md").read_text()
