"""lib.settings: what the environment may hold, and what it means."""

from pathlib import Path

import pytest

from lib.settings import PlatesError, parse_data, seed_everything, settings


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PLATES_DATA", "PLATES_FAST", "PLATES_PUBLISH", "CI"):
        monkeypatch.delenv(name, raising=False)


def test_defaults() -> None:
    now = settings()
    assert (now.data, now.fast, now.publish, now.profile) == (None, True, False, "fast")


@pytest.mark.parametrize(("ci", "data"), [("true", "scenes"), ("True", "scenes"), ("", None), ("false", None)])
def test_ci_means_the_scenes_where_nothing_is_said(monkeypatch: pytest.MonkeyPatch, ci: str, data: str | None) -> None:
    monkeypatch.setenv("CI", ci)
    assert settings().data == data


def test_what_is_given_is_obeyed_under_ci(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CI", "true")
    monkeypatch.setenv("PLATES_DATA", "hub")
    assert settings().data == "hub"
    monkeypatch.setenv("PLATES_DATA", str(tmp_path))
    assert settings().data == tmp_path.resolve()


@pytest.mark.parametrize("value", ["hubb", "Scenes", "no/such/folder"])
def test_unknown_data_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("PLATES_DATA", value)
    with pytest.raises(PlatesError, match=f"PLATES_DATA='{value}' is neither .* name a folder"):
        settings()


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "plates.zip").write_bytes(b"")
    with pytest.raises(PlatesError, match="nor a folder"):
        parse_data(str(tmp_path / "plates.zip"))


def test_relative_means_where_the_command_was_typed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "typed").mkdir()
    monkeypatch.chdir(tmp_path / "typed")
    assert parse_data("../photos") == (tmp_path / "photos").resolve()


def test_home_is_expanded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    assert parse_data("~/photos") == (tmp_path / "photos").resolve()


@pytest.mark.parametrize("name", ["PLATES_FAST", "PLATES_PUBLISH"])
def test_switches(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    field = name.removeprefix("PLATES_").lower()
    for value, expected in (("0", False), ("1", True), (" 1 ", True)):
        monkeypatch.setenv(name, value)
        assert getattr(settings(), field) is expected
    monkeypatch.setenv(name, "yes")
    with pytest.raises(PlatesError, match=f"{name}='yes'.* use {name}=0 or {name}=1"):
        settings()


def test_the_full_profile_has_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLATES_FAST", "0")
    assert settings().profile == "full"


def test_a_seed_repeats_all_three_generators() -> None:
    import random

    import numpy as np
    import torch

    def draw(seed: int) -> tuple[float, float, float]:
        seed_everything(seed)
        return random.random(), float(np.random.rand()), float(torch.rand(()))

    assert draw(7) == draw(7)
    assert all(a != b for a, b in zip(draw(7), draw(8), strict=True))
