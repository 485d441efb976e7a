"""Every committed notebook; lib.execution, lib.notebooks and lib.stamps on good and bad ones, with real kernels."""

import base64
import multiprocessing
import os
import shlex
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import lib.execution
import lib.notebooks
from lib.execution import environment, run, side_by_side
from lib.notebooks import NOTEBOOKS, announce, main, publish
from lib.settings import ROOT, PlatesError
from lib.stamps import MAX_BYTES, STAMP, check, stamp

SETTINGS = 'from lib.notebooks import announce\n\nannounce(recipe="two steps", data="rendered scenes, seed 1")'
FACTS = {
    "data": "rendered scenes, seed 1",
    "recipe": "two steps",
    "profile": "fast",
    "publish": True,
    "device": "cpu, 1 threads",
    "versions": {"python": "3.11.7"},
}
PNG = base64.b64encode(bytes(range(64))).decode()


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_committed_notebook(path: Path) -> None:
    assert check(path) == []


def write(path: Path, *code: str, settings: str = SETTINGS) -> Path:
    """A notebook of the right form with the settings cell and these code cells, never run."""
    cells = [new_markdown_cell("# A title"), new_code_cell(settings)]
    for source in code:
        cells += [new_markdown_cell("Look."), new_code_cell(source)]
    cells += [new_markdown_cell(f"## {heading}\n\nWords.") for heading in ("Findings", "Limits", "Exercises")]
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
    nbformat.write(new_notebook(cells=cells), path)
    return path


@pytest.fixture
def stamped(tmp_path: Path) -> Callable[..., Path]:
    """Makes a stamped notebook without a kernel, with further outputs of its second code cell."""

    def make(*outputs: nbformat.NotebookNode, facts: dict = FACTS) -> Path:
        path = write(tmp_path / "stamped.ipynb", "1 + 1")
        notebook = nbformat.read(path, 4)
        settings, sums = (cell for cell in notebook.cells if cell.cell_type == "code")
        settings.update(execution_count=1, outputs=[new_output("display_data", data={STAMP: facts})])
        sums.update(execution_count=2, outputs=list(outputs))
        stamp(notebook, "2026-01-31")
        nbformat.write(notebook, path)
        return path

    return make


def edit(path: Path, change: Callable[[nbformat.NotebookNode], object]) -> Path:
    notebook = nbformat.read(path, 4)
    change(notebook)
    nbformat.write(notebook, path)
    return path


def test_a_stamped_notebook_passes(stamped: Callable[..., Path]) -> None:
    path = stamped(
        new_output("stream", name="stdout", text="see https://example.org/home/ann/ and ../shared/data/plates\n"),
        new_output("display_data", data={"image/png": PNG, "text/plain": "<Figure size 640x480>"}),
    )
    assert check(path) == []
    notebook = nbformat.read(path, 4)
    assert notebook.metadata.plates.date == "2026-01-31" and notebook.metadata.plates.recipe == "two steps"
    assert STAMP not in path.read_text()


def test_a_notebook_that_was_never_published_is_rejected(tmp_path: Path) -> None:
    complaints = check(write(tmp_path / "new.ipynb"))
    assert ["the stamp lacks" in one or "execution counts" in one for one in complaints] == [True, True]


@pytest.mark.parametrize(
    ("output", "complaint"),
    [
        (new_output("error", ename="ValueError", evalue="no", traceback=[]), "code cell 2 ends in ValueError"),
        (new_output("stream", name="stdout", text=f"line\n{ROOT}/lib\n"), "shows the path"),
        (new_output("stream", name="stderr", text="a 'C:\\Users\\ann\\plates' b"), "shows the path"),
        (new_output("display_data", data={"text/plain": "a\n/home/ann/plates"}), "shows the path /home/ann/"),
        (new_output("display_data", data={"text/html": "<a href='file:///Users/ann/x'>"}), "shows the path"),
        (new_output("display_data", data={"application/json": {"at": "/tmp/x"}}), "shows the path /tmp"),
        (new_output("display_data", data={"text/plain": "x" * MAX_BYTES}), "fewer or smaller figures"),
    ],
)
def test_outputs_that_must_not_be_committed(
    stamped: Callable[..., Path], output: nbformat.NotebookNode, complaint: str
) -> None:
    (found,) = check(stamped(output))
    assert complaint in found


@pytest.mark.parametrize(
    "data", [{"image/png": PNG}, {"image/svg+xml": "<svg/>"}, {"text/html": f"<img src='data:image/png;base64,{PNG}'>"}]
)
def test_pictures_need_the_publish_switch(stamped: Callable[..., Path], data: dict[str, str]) -> None:
    output = new_output("display_data", data=data)
    assert check(stamped(output)) == []
    (found,) = check(stamped(output, facts={**FACTS, "publish": False}))
    assert "a picture that make publish did not write" in found


def test_outputs_saved_over_a_stamp_are_rejected(stamped: Callable[..., Path]) -> None:
    path = stamped(new_output("display_data", data={"image/png": PNG}))
    other = base64.b64encode(b"a real plate").decode()
    edit(path, lambda notebook: notebook.cells[3].outputs[0].data.update({"image/png": other}))
    assert check(path) == ["the outputs are not those that were stamped: run make publish"]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda nb: nb.cells.pop(0), "the first cell is not the title"),
        (lambda nb: nb.cells[0].update(source="A title"), "the first cell is not the title"),
        (lambda nb: nb.cells[-1].update(source="## Exercise"), "no heading Exercises"),
        (lambda nb: nb.cells[3].update(source=SETTINGS), "not exactly one settings cell that calls announce(...)"),
        (lambda nb: nb.cells[3].update(source="1\n" * 40 + "1"), "code cell 2 has 41 lines, over 40"),
        (lambda nb: nb.cells[2].update(source=f"see {ROOT}/lib"), "names the path"),
        (lambda nb: nb.cells[2].update(attachments={"a.png": {"image/png": PNG}}), "a picture pasted in"),
        (lambda nb: nb.cells[2].update(source="![](data:image/png;base64,AAAA)"), "a picture pasted in"),
        (lambda nb: nb.cells[3].update(execution_count=3), "execution counts are [1, 3], not 1 to 2"),
        (lambda nb: nb.metadata.plates.pop("recipe"), "the stamp lacks recipe"),
        (lambda nb: nb.metadata.pop("plates"), "the stamp lacks data, date, device, digest"),
    ],
)
def test_form_that_must_not_be_committed(
    stamped: Callable[..., Path], change: Callable[[nbformat.NotebookNode], object], complaint: str
) -> None:
    (found,) = check(edit(stamped(), change))
    assert complaint in found


def test_more_code_than_prose_is_rejected(stamped: Callable[..., Path]) -> None:
    def add(notebook: nbformat.NotebookNode) -> None:
        notebook.cells += [new_code_cell("1", execution_count=3 + number) for number in range(4)]

    assert check(edit(stamped(), add)) == ["5 markdown cells for 6 code cells"]


@pytest.mark.parametrize("content", ["", "[]", '{"cells": 1}', "not JSON"])
def test_what_is_no_notebook_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "bad.ipynb").write_text(content)
    with pytest.raises(PlatesError, match=r"bad\.ipynb: is not a notebook"):
        check(tmp_path / "bad.ipynb")


def test_announce_prints_aligned_facts(capsys: pytest.CaptureFixture[str]) -> None:
    announce(recipe="two steps", data="rendered scenes, seed 1")
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["data     rendered scenes, seed 1", "recipe   two steps"]
    assert [line[:9].strip() for line in lines] == ["data", "recipe", "profile", "device", "versions"]


def test_a_relative_folder_is_made_absolute_for_kernels(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PLATES_DATA", "photos")
    assert environment()["PLATES_DATA"] == str((tmp_path / "photos").resolve())
    monkeypatch.setenv("PLATES_DATA", "hub")
    assert environment()["PLATES_DATA"] == "hub"


def test_run_executes_elsewhere_and_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(lib.execution, "BUILD", tmp_path / "build")
    old = tmp_path / "build" / "concealed" / "old.png"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"")
    os.utime(old, (1e9, 1e9))
    path = write(
        tmp_path / "one.ipynb",
        "import os, time\nheld = bytearray(os.urandom(2**20)) * 300\ntime.sleep(1)\nprint(os.getcwd(), len(held))",
        "open('build/concealed/new.png', 'w').close(); open('build/concealed/report.json', 'w').close()",
        settings="import lib",
    )
    before = path.read_bytes()
    (done,) = run([path], tmp_path / "out")
    assert path.read_bytes() == before
    notebook = nbformat.read(done.path, 4)
    assert done.path == tmp_path / "out" / "one.ipynb"
    assert notebook.cells[3].outputs[0].text == f"{tmp_path.resolve()} {300 * 2**20}\n"
    assert 300 * 2**20 < done.peak < 8 * 2**30 and 0 < done.minutes < 5
    out = capsys.readouterr().out
    assert "one.ipynb" in out and "GiB" in out
    assert f"Concealed photographs: {old.parent} (1 of this run)" in out


def test_a_failing_cell_is_named_and_the_partial_copy_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(
        tmp_path / "bad.ipynb", "print('so far')", "raise ValueError('no plates\\nat all')", "later", settings="1"
    )

    def stale(notebook: nbformat.NotebookNode) -> None:
        notebook.cells[7].update(execution_count=4, outputs=[new_output("stream", text="an earlier run's")])

    edit(path, stale)
    with pytest.raises(PlatesError, match=r"bad\.ipynb: code cell 3 failed with ValueError: no plates \(all of it"):
        run([path, tmp_path / "never.ipynb"], tmp_path / "out")
    kept = nbformat.read(tmp_path / "out" / "bad.ipynb", 4)
    assert [output.output_type for cell in kept.cells[3:8:2] for output in cell.outputs] == ["stream", "error"]
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["bad.ipynb"]


def test_two_at_once_are_executed_side_by_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wait = (
        "import os, time\nopen({own!r}, 'w').close()\nend = time.time() + 60\n"
        "while not os.path.exists({other!r}):\n    assert time.time() < end\n    time.sleep(.1)"
    )
    names = ("a", "b")
    paths = [
        write(tmp_path / f"{own}.ipynb", wait.format(own=own, other=other), settings="1")
        for own, other in (names, names[::-1])
    ]
    done = run(paths, tmp_path / "out", at_once=2)
    assert {one.path.name for one in done} == {"a.ipynb", "b.ipynb"} and all(one.peak > 0 for one in done)
    assert capsys.readouterr().out.count("GiB") == 2


@pytest.mark.parametrize("target", ["run", "full", "publish"])
def test_the_makefile_names_notebooks_as_the_command_reads_them(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []
    for name in ("run", "publish"):
        monkeypatch.setattr(lib.notebooks, name, lambda paths, **_: asked.extend(paths))
    said = ["make", "-n", target, "NOTEBOOKS=notebooks/01_data.ipynb notebooks/02_baseline.ipynb"]
    lines = subprocess.run(said, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    (line,) = [line for line in lines if "-m lib.notebooks" in line]
    assert main(shlex.split(line.partition("-m lib.notebooks")[2])) == 0
    assert [path.name for path in asked] == ["01_data.ipynb", "02_baseline.ipynb"]


def test_of_two_at_once_the_other_ends_when_one_fails(tmp_path: Path) -> None:
    begun = "while not os.path.exists('pid'): pass"
    bad = write(tmp_path / "bad.ipynb", f"import os\n{begun}\nraise ValueError('no plates')", settings="1")
    told = "import os, time\nwith open('part', 'w') as file: file.write(str(os.getpid()))\nos.rename('part', 'pid')"
    endless = write(tmp_path / "endless.ipynb", f"{told}\ntime.sleep(600)", settings="1")
    with pytest.raises(PlatesError, match=r"bad\.ipynb: code cell 2 failed with ValueError: no plates"):
        run([endless, bad, tmp_path / "never.ipynb"], tmp_path / "out", at_once=2)
    end = time.monotonic() + 60
    while multiprocessing.active_children() and time.monotonic() < end:  # a dead one is reaped by either of two threads
        time.sleep(0.1)
    assert not multiprocessing.active_children()
    with suppress(psutil.NoSuchProcess):
        psutil.Process(int((tmp_path / "pid").read_text())).wait(60)


def test_those_that_need_nothing_of_others_come_between() -> None:
    names = ["01_a", "02_b", "03_c", "08_d", "09_e"]
    assert [path.name for path in side_by_side([Path(name) for name in names])] == [
        "01_a", "08_d", "02_b", "09_e", "03_c",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "end",
    ["os._exit(9)", "import signal, time\nos.kill(os.getppid(), signal.SIGINT)\ntime.sleep(60)"],
    ids=["died", "Ctrl-C"],
)
def test_a_kernel_that_ends_is_told(tmp_path: Path, end: str) -> None:
    path = write(tmp_path / "dead.ipynb", f"import os\n{end}", settings="1")
    with pytest.raises(PlatesError, match="the kernel died in code cell 2"):
        run([path], tmp_path / "out")


def test_main_turns_errors_into_one_line_and_exit_code_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(tmp_path / "none.ipynb")]) == 1
    assert capsys.readouterr().err.startswith(f"error: {tmp_path}/none.ipynb: cannot be read")


def test_publish_writes_once_and_then_leaves_an_empty_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lib.notebooks, "BUILD", tmp_path / "build")
    monkeypatch.setenv("PLATES_PUBLISH", "0")
    drawn = "import matplotlib.pyplot as plt\n\nplt.figure(figsize=(1, 1)).add_subplot().plot([1, 2]);\nprint('drawn')"
    path = write(tmp_path / "one.ipynb", drawn)
    edit(path, lambda notebook: notebook.metadata.update(plates={"date": "2026-01-31"}))
    assert publish([path], today="2026-02-01") == [path]
    first = path.read_bytes()
    assert check(path) == []
    facts = nbformat.read(path, 4).metadata.plates
    assert (facts.recipe, facts.publish, facts.profile, facts.date) == ("two steps", True, "fast", "2026-02-01")
    assert b"image/png" in first and b"iopub" not in first
    assert publish([path], today="2026-02-02") == []
    assert path.read_bytes() == first


def test_publish_replaces_nothing_unless_all_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lib.notebooks, "BUILD", tmp_path / "build")
    quick = f"# as announce(...) does, without torch\ndisplay({{{STAMP!r}: {FACTS}}}, raw=True)"
    good = write(tmp_path / "good.ipynb", settings=quick)
    bad = write(tmp_path / "bad.ipynb", "import lib\nlib.__path__[0]", settings=quick)
    before = good.read_bytes(), bad.read_bytes()
    with pytest.raises(PlatesError, match=r"Nothing was published.*\n.*bad\.ipynb: code cell 2 shows the path"):
        publish([good, bad])
    assert (good.read_bytes(), bad.read_bytes()) == before


def test_publish_refuses_bad_form_before_it_runs_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lib.notebooks, "run", lambda *arguments: pytest.fail("it ran"))
    path = edit(write(tmp_path / "one.ipynb"), lambda notebook: notebook.cells.pop())
    with pytest.raises(PlatesError, match="no heading Exercises"):
        publish([path])
