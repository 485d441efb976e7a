"""lib.files: a file is whole or it is what it was before."""

import json
from pathlib import Path

import pytest

from lib.files import atomic, read_json, write_json
from lib.settings import PlatesError


def test_a_success_replaces(tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder" / "a.txt"
    for text in ("first", "second"):
        with atomic(target) as temporary:
            temporary.write_text(text)
            assert temporary.parent == target.parent and temporary.suffix == ".txt"
        assert target.read_text() == text
    assert [file.name for file in target.parent.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_a_failure_keeps_the_old_file(tmp_path: Path, failure: type[BaseException]) -> None:
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")
    with pytest.raises(failure), atomic(target) as temporary:
        temporary.write_bytes(b"half")
        raise failure
    assert target.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.bin"]


def test_a_failure_of_a_new_file_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), atomic(tmp_path / "a.bin") as temporary:
        temporary.write_bytes(b"half")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_visible_before_the_end(tmp_path: Path) -> None:
    with atomic(tmp_path / "a.bin") as temporary:
        temporary.write_bytes(b"half")
        assert not (tmp_path / "a.bin").exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(PlatesError, match=r"file/a\.txt: cannot be written .*choose a folder"):
        write_json(tmp_path / "file" / "a.txt", {})
    assert (tmp_path / "file").read_text() == "in the way"


def test_json_goes_there_and_back(tmp_path: Path) -> None:
    value = {"text": "Ä 1", "share": 0.5, "nothing": None, "list": [1, 2]}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == value
    assert (tmp_path / "a.json").read_bytes().endswith(b"}\n")


def test_json_that_is_none_is_refused_and_leaves_the_old(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", 1)
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "a.json", float("nan"))
    assert json.loads((tmp_path / "a.json").read_text()) == 1
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(("content", "reason"), [(None, "cannot be read"), ("{", "is not valid JSON")])
def test_unreadable_json_is_named(tmp_path: Path, content: str | None, reason: str) -> None:
    if content is not None:
        (tmp_path / "a.json").write_text(content)
    with pytest.raises(PlatesError, match=rf"a\.json: {reason}"):
        read_json(tmp_path / "a.json")
