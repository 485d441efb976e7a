"""The shell of the course: pins, make targets, CI, and the commands that the README names."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from lib.settings import ROOT

REQUIREMENTS = (ROOT / "requirements.txt").read_text().splitlines()
LINES = [line for line in REQUIREMENTS if line.strip() and not line.startswith("#")]
TARGETS = ("run", "test", "full", "publish", "lab", "lint")


def make(*arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Runs make without what an outer make has exported to this process."""
    variables = {
        name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "PLATES_"))
    }
    return subprocess.run(["make", *arguments], cwd=folder, env=variables, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.split("=")[0])
def test_requirement_is_pinned_and_says_who_needs_it(line: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]+==\d+(\.\d+)+ +# (every notebook|\d\d|make \w+).*", line)


def test_no_requirement_is_named_twice() -> None:
    names = [re.split("==", line)[0].lower().replace("_", "-") for line in LINES]
    assert len(set(names)) == len(names)
    assert "opencv-python-headless" not in names


def test_the_pins_are_what_these_tests_run_on() -> None:
    from importlib.metadata import version

    pins = dict(line.split("#")[0].strip().split("==") for line in LINES)
    assert {name: version(name) for name in pins} == pins


def test_what_lib_imports_is_pinned() -> None:
    """Libraries that only come along with others may leave with them."""
    modules = {"PIL": "pillow", "cv2": "opencv_python", "IPython": "ipykernel"}  # where the names differ
    pinned = {line.split("==")[0].replace("-", "_") for line in LINES}
    statement = re.compile(r"^ *(?:import|from(?= [\w.]+ import)) (\w+)", re.MULTILINE)
    found = {name for file in (ROOT / "lib").rglob("*.py") for name in statement.findall(file.read_text())}
    assert {"torch", "numpy", "lib"} <= found
    theirs = {name for name in found if name not in sys.stdlib_module_names and name != "lib"}
    assert {name for name in theirs if modules.get(name, name) not in pinned} == set()


@pytest.mark.parametrize("target", TARGETS)
def test_each_target_makes_the_environment_first(target: str) -> None:
    planned = make("-n", target)
    assert planned.returncode == 0, planned.stderr
    assert planned.stdout.index("installed.txt") < planned.stdout.index(".venv/bin/")


def test_test_is_one_pytest_on_the_scenes() -> None:
    planned = make("-n", "test", "PLATES_DATA=hub").stdout
    (line,) = [line for line in planned.splitlines() if "pytest" in line]
    assert line.startswith("PLATES_DATA=scenes PLATES_FAST=1 ")
    assert "pytest tests notebooks -n 2 --dist loadfile --no-loadscope-reorder --nbval-lax" in line
    assert "--nbval-current-env --nbval-cell-timeout=900" in line


def test_full_and_publish_choose_the_recipe() -> None:
    assert "PLATES_FAST=0 .venv/bin/python -m lib.notebooks run" in make("-n", "full").stdout
    assert "PLATES_FAST=${PLATES_FAST:-0} .venv/bin/python -m lib.notebooks publish" in make("-n", "publish").stdout
    assert "PLATES_FAST" not in make("-n", "run").stdout


def test_help_is_the_default_and_lists_every_target() -> None:
    listed = make().stdout
    assert all(f"make {target} " in listed for target in (*TARGETS, ".venv", "clean"))


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The Makefile with a Python of ours, whose pip fails as long as a file named `broken` is there."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "requirements.txt").write_text("torch==1\n")
    fake = tmp_path / "python"
    fake.write_text(
        "#!/bin/sh\n"
        'echo "$@" >> log\n'
        'case "$*" in\n'
        '  "-m venv"*) rm -rf .venv; mkdir -p .venv/bin; cp python .venv/bin/python;;\n'
        '  "-m pip"*) test ! -e broken;;\n'
        "esac\n"
    )
    fake.chmod(0o755)
    return tmp_path


def test_an_interrupted_install_is_done_again_and_a_finished_one_is_not(clone: Path) -> None:
    (clone / "broken").touch()
    assert make(".venv", "PYTHON=./python", folder=clone).returncode != 0
    assert not (clone / ".venv" / "installed.txt").exists()
    (clone / "broken").unlink()
    assert make(".venv", "PYTHON=./python", folder=clone).returncode == 0
    assert (clone / ".venv" / "installed.txt").read_text() == "torch==1\n"
    log = (clone / "log").read_text()
    assert log.count("-m venv --clear .venv") == 2
    assert make(".venv", "PYTHON=./python", folder=clone).returncode == 0
    assert (clone / "log").read_text() == log  # nothing was started: quick
    (clone / "requirements.txt").write_text("torch==2\n")
    (clone / "broken").touch()
    assert make(".venv", "PYTHON=./python", folder=clone).returncode != 0
    assert not (clone / ".venv" / "installed.txt").exists()


def test_an_old_python_is_refused_in_a_sentence(clone: Path) -> None:
    (clone / "python").write_text("#!/bin/sh\nexit 1\n")
    made = make("run", "PYTHON=./python", folder=clone)
    assert made.returncode != 0 and not (clone / ".venv").exists()
    assert "./python is missing or older than Python 3.11; install 3.11 or newer" in made.stderr


def test_ci_runs_what_people_run() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
    text = script.read_text()
    assert "set -euo pipefail" in text
    assert re.search(r"make lint\n.*make test\n", text)
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    job = workflow["jobs"]["check"]
    assert {"run": "bash .ci/run"} in job["steps"]
    assert job["strategy"]["matrix"]["python"] == ["3.11", "3.13"]


@pytest.mark.parametrize("beside", [True, False])
def test_ci_uses_the_photographs_that_lie_beside(tmp_path: Path, beside: bool) -> None:
    """.ci/run with a make that only writes down what it was asked: which data, which notebooks, and no stdin."""
    repository = tmp_path / "main"
    (repository / ".ci").mkdir(parents=True)
    shutil.copy(ROOT / ".ci" / "run", repository / ".ci")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "make").write_text('#!/bin/sh\necho "asked: $* on ${PLATES_DATA:-nothing} $(wc -c)"\n')
    (tmp_path / "bin" / "make").chmod(0o755)
    if beside:
        (tmp_path / "shared" / "data" / "plates").mkdir(parents=True)
    variables = {**os.environ, "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}", "CI": "true"}
    variables.pop("PLATES_DATA", None)
    done = subprocess.run(
        [repository / ".ci" / "run"], cwd="/", env=variables, input="typed", capture_output=True, text=True, check=True
    )
    asked = re.findall(r"^asked: (.*?) *0$", done.stdout, re.MULTILINE)
    assert asked[:3] == [f"{target} on nothing" for target in (".venv", "lint", "test")]
    wanted = [f"{what} on ../shared/data/plates" for what in ("run NOTEBOOKS=notebooks/01_data.ipynb", "weights")]
    assert asked[3:] == wanted * beside
    assert ("no real photographs beside the repository: skipped" in done.stdout) != beside


def test_ci_stops_at_the_first_failure(tmp_path: Path) -> None:
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci")
    (tmp_path / "Makefile").write_text(".venv lint:\n\t@true\ntest:\n\t@exit 3\nrun:\n\t@echo went on\n")
    done = subprocess.run([tmp_path / ".ci" / "run"], capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "went on" not in done.stdout


def test_license_names_the_agpl_and_who_imports_it() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert text.startswith("MIT License\n") and "AGPL-3.0" in text
    importers = [
        file for file in (ROOT / "lib").rglob("*.py") if re.search(r"(import|from) ultralytics", file.read_text())
    ]
    assert len(importers) <= 1


def test_project_and_ruff_agree_on_python() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["requires-python"] == ">=3.11"
    assert project["tool"]["ruff"]["target-version"] == "py311"


@pytest.mark.skipif(not (ROOT / "README.md").exists(), reason="no README yet")
def test_readme_commands_exist() -> None:
    text = (ROOT / "README.md").read_text()
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"\bmake (\.?[a-z]+)", "\n".join(re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL))))
    assert {"run", "test"} <= targets
    assert {target for target in targets if not re.search(rf"^{re.escape(target)}:", makefile, re.MULTILINE)} == set()
    modules = set(re.findall(r"python -m (lib[.\w]*)", text))
    assert {name for name in modules if not list(ROOT.glob(name.replace(".", "/") + "*"))} == set()
