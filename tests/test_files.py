"""lib.files: a file is whole or it is what it was before."""

import json
import os
import subprocess
import sys
from pathlib import Path
from threading import Timer

import pytest

import lib.files
from lib.files import atomic, check_report, locked, read_json, write_json
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


def test_json_too_deep_to_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[" * 100_000)
    with pytest.raises(PlatesError, match=r"a\.json: is not valid JSON"):
        read_json(tmp_path / "a.json")


def test_names_that_are_no_text_go_there_and_back(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9 \\ \xff.png")
    write_json(tmp_path / "a.json", {name: [name]})
    assert read_json(tmp_path / "a.json") == {name: [name]}
    (tmp_path / "a.json").read_bytes().decode("utf-8")


# --- where a report may go ---------------------------------------------------------------------------------------

KEYS = {"totals", "files"}


def kept(folder: Path) -> list[tuple[str, bytes | None]]:
    return sorted((p.name, p.read_bytes() if p.is_file() else None) for p in folder.rglob("*"))


@pytest.mark.parametrize(
    "content", ['{"images": [], "annotations": []}', '{"totals": {}}', "[]", "", "\udcff\x00", "{"]
)
def test_a_report_never_replaces_what_is_no_report(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    before = kept(tmp_path)
    with pytest.raises(PlatesError, match=r"a\.json: exists and is no earlier report"):
        check_report(tmp_path / "a.json", KEYS)
    assert kept(tmp_path) == before


def test_a_report_replaces_an_earlier_one_and_nothing_is_left_of_the_trial(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"totals": {}, "files": [], "more": 1})
    before = kept(tmp_path)
    check_report(tmp_path / "a.json", KEYS, [tmp_path / "a.json"])  # an input that is a file contains nothing
    assert kept(tmp_path) == before
    check_report(tmp_path / "new" / "a.json", KEYS)
    assert kept(tmp_path / "new") == []


def test_a_report_replaces_no_folder_pipe_or_dangling_link(tmp_path: Path) -> None:
    (tmp_path / "folder.json").mkdir()
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "link.json").symlink_to(tmp_path / "nowhere")
    for name in ("folder", "pipe", "link"):
        with pytest.raises(PlatesError, match=rf"{name}\.json: exists"):
            check_report(tmp_path / f"{name}.json", KEYS)


def test_a_report_does_not_go_into_an_input(tmp_path: Path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "in", target_is_directory=True)
    for place in ("in/a.json", "in/deep/a.json", "link/a.json", "in/../in/a.json"):
        with pytest.raises(PlatesError, match="lies in the input"):
            check_report(tmp_path / place, KEYS, [tmp_path / "other", tmp_path / "in"])
    check_report(tmp_path / "in-not.json", KEYS, [tmp_path / "in"])


def test_a_report_that_could_not_be_written_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for place in (tmp_path / "file" / "a.json", tmp_path / ("a" * 300 + ".json"), Path("/proc/self/a.json")):
        with pytest.raises(PlatesError, match="cannot be written"):
            check_report(place, KEYS)


def test_whoever_waits_is_told_and_goes_on_when_the_other_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(lib.files, "PATIENCE", 0.2)
    path = tmp_path / "new" / "a.lock"
    with locked(path):
        pass
    assert capsys.readouterr().out == ""
    script = f"import filelock\nheld = filelock.FileLock({str(path)!r}).acquire()\nprint('held', flush=True)\ninput()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", script], **pipes) as holder:
        assert holder.stdout.readline() == b"held\n"
        Timer(1.0, holder.kill).start()
        with locked(path):
            assert holder.wait(60) != 0
    assert "waiting for it (a.lock)" in capsys.readouterr().out


def test_a_lock_in_a_place_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PlatesError, match=r"file: cannot be written .*allow it"), locked(tmp_path / "file" / "a.lock"):
        pytest.fail("it was entered")
