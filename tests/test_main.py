"""The command line: what each command leaves behind, its exit code, and what it says when it cannot."""

import hashlib
import json
import math
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import OPTIONS, RECIPE, coco_split, scene

import lib.catalogue
import lib.checkpoints
import lib.conceal
import lib.engine
import lib.folders
import lib.records
import lib.redact
import lib.trainer
import lib.training
from lib import arguments, bench
from lib.__main__ import main
from lib.catalogue import Experiment
from lib.checkpoints import find_weights, load_checkpoint, read_card, save_checkpoint
from lib.coco import ANNOTATIONS
from lib.metrics import METRICS
from lib.models import MODELS, build
from lib.recipes import Recipe
from lib.settings import ROOT, PlatesError

CARD = {
    "name": "tiny", "model": "baseline", "options": OPTIONS, "data": "magenta plates", "epoch": 2,
    "operating_point": {"threshold": 0.3, "growth": 0.2},
}  # fmt: skip
PROMISED = {
    "data", "split", "method", "device", "images", "plates", "threshold", "accuracy", "on_plate_accuracy", "coverage",
    "missed", "false_cover", "stray_cover", "iou", "ms_per_image", "by_width", "by_source",
}  # fmt: skip


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Trainings go here and no weights are shipped; everything runs on one thread of the processor."""
    for module in (lib.checkpoints, lib.training):
        monkeypatch.setattr(module, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(lib.checkpoints, "WEIGHTS", tmp_path / "none")
    for module in (lib.engine, lib.trainer, lib.training):
        monkeypatch.setattr(module, "device", lambda: torch.device("cpu"))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield tmp_path / "runs"
    torch.set_num_threads(threads)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A network that calls the lower half plate, P(background) about .12, and the upper half background, .88."""
    model = build("baseline", **OPTIONS)
    linear = model.head[-1]
    torch.nn.init.zeros_(linear.weight)
    bias = torch.zeros(2, 10, 10)
    bias[0, :5] = bias[1, 5:] = 2
    linear.bias.data = bias.flatten()
    save_checkpoint(tmp_path / "half.safetensors", model, CARD)
    return tmp_path / "half.safetensors"


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """A picture, one in a folder below, and a text file that is named as a picture."""
    folder = tmp_path / "photographs"
    (folder / "trip").mkdir(parents=True)
    for number, name in enumerate(("good.png", "trip/good.png")):
        Image.fromarray(scene(np.random.default_rng(number), 96, 72)[0]).save(folder / name)
    (folder / "bad.jpg").write_text("no picture")
    return folder


def failed(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 1) -> str:
    """The one line that the command says on the standard error when it fails."""
    assert main([str(argument) for argument in arguments]) == code
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert told.startswith("error: ") if code == 1 else told
    return told


# --- conceal -----------------------------------------------------------------------------------------------------


def test_conceal_as_people_type_it(photographs: Path, weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = subprocess.run(
        [sys.executable, "-m", "lib", "conceal", str(photographs), "--out", str(out), "--weights", str(weights)],
        cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "bad.jpg" in done.stdout and "Traceback" not in done.stderr
    assert {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()} == {
        "good.png", "trip/good.png", "report.json",
    }  # fmt: skip
    for name in ("good.png", "trip/good.png"):
        before, after = (np.asarray(Image.open(folder / name)) for folder in (photographs, out))
        assert np.array_equal(after[:20], before[:20])  # above: untouched
        assert len(np.unique(after[45:].reshape(-1, 3), axis=0)) == 1  # below: one colour
    report = json.loads((out / "report.json").read_text())
    assert report["threshold"] == 0.3 and report["growth"] == 0.2


def test_conceal_obeys_threshold_growth_mode_and_report(photographs: Path, weights: Path, tmp_path: Path) -> None:
    picture, out, report = photographs / "good.png", tmp_path / "out", tmp_path / "told.json"
    options = ["--threshold", "0.05", "--growth", "0", "--mode", "blur", "--report", str(report)]
    assert main(["conceal", str(picture), "--out", str(out), "--weights", str(weights), *options]) == 0
    assert np.array_equal(np.asarray(Image.open(out / "good.png")), np.asarray(Image.open(picture)))  # .12 > .05
    told = json.loads(report.read_text())
    assert (told["threshold"], told["growth"], told["mode"]) == (0.05, 0.0, "blur")


def test_conceal_says_which_weights_and_reports_them(
    photographs: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture, out = photographs / "good.png", tmp_path / "out"
    assert main(["conceal", str(picture), "--out", str(out), "--weights", str(weights)]) == 0
    assert f"weights: {weights} (tiny, epoch 2, trained on magenta plates)" in capsys.readouterr().out.splitlines()
    told = json.loads((out / "report.json").read_text())
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()[:12]
    assert (told["weights"], told["weights_sha256"], told["trained_on"]) == ("tiny", digest, "magenta plates")


@pytest.mark.parametrize("command", ["conceal", "evaluate"])
def test_weights_for_which_nobody_chose_a_threshold_need_one(
    command: str, photographs: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, card = load_checkpoint(weights)
    save_checkpoint(weights, model, card | {"operating_point": None})
    places = {"conceal": [photographs / "good.png", "--out"], "evaluate": [coco_split(tmp_path / "s", 1), "--json"]}
    arguments = [command, *places[command], tmp_path / "told.json", "--weights", weights]
    told = failed(capsys, *arguments)
    assert str(weights) in told and "--threshold" in told and "--growth" in told
    assert not (tmp_path / "told.json").exists()
    assert main([str(argument) for argument in [*arguments, "--threshold", "0.3"]]) == 0


def test_conceal_keeps_a_users_json(
    photographs: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = coco_split(tmp_path / "mine", 1) / ANNOTATIONS
    before, rest = mine.read_bytes(), ("--out", tmp_path / "out", "--weights", weights)
    assert str(mine) in failed(capsys, "conceal", photographs, *rest, "--report", mine)
    assert "lies in the input" in failed(capsys, "conceal", photographs, *rest, "--report", photographs / "r.json")
    assert mine.read_bytes() == before and not (tmp_path / "out").exists()


def test_conceal_prints_names_that_are_no_text(photographs: Path, weights: Path, tmp_path: Path) -> None:
    odd = photographs / os.fsdecode(b"caf\xe9.jpg")
    try:
        odd.write_text("no picture")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    done = subprocess.run(
        [sys.executable, "-m", "lib", "conceal", odd, "--out", tmp_path / "out", "--weights", weights],
        cwd=ROOT, capture_output=True, check=False, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip
    assert done.returncode == 1 and b"Traceback" not in done.stderr
    assert b"caf\\udce9.jpg: is no JPEG" in done.stdout


def test_conceal_without_weights_says_how_to_get_some(
    photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = failed(capsys, "conceal", photographs, "--out", tmp_path / "out")
    assert "make run" in told and "python -m lib train" in told and "--weights" in told
    assert not (tmp_path / "out").exists()


# --- evaluate ----------------------------------------------------------------------------------------------------


def evaluated(folder: Path, weights: Path, place: Path, *options: str) -> dict:
    assert main(["evaluate", str(folder), "--weights", str(weights), "--json", str(place), *options]) == 0
    return json.loads(place.read_text())


def test_evaluate_writes_what_was_promised(weights: Path, tmp_path: Path) -> None:
    coco_split(tmp_path / "export" / "test", 6)
    told = evaluated(tmp_path / "export", weights, tmp_path / "told.json", "--split", "test")
    assert told.keys() >= PROMISED
    assert (told["data"], told["split"], told["method"], told["images"], told["plates"]) == (
        "export", "test", "segment", 6, 6,
    )  # fmt: skip
    assert told["threshold"] == 0.3 and told["device"].startswith("cpu") and told["ms_per_image"] > 0
    assert told["by_width"].keys() == {"small", "large"} and told["by_source"].keys() == {"here", "there"}
    for group in (*told["by_width"].values(), *told["by_source"].values()):
        assert group.keys() == {"images", "plates", *METRICS}
    assert told["by_source"]["here"]["images"] == told["by_source"]["there"]["images"] == 3
    assert told["by_width"]["large"]["plates"] == 6 and told["by_width"]["small"]["plates"] == 0
    # Each plate lies in the lower half, 48x18 pixels of 96x72, all of which the network calls plate.
    assert told["coverage"] == 1 and told["missed"] == 0 and told["on_plate_accuracy"] == 1
    assert told["accuracy"] == pytest.approx(0.5 + 48 * 18 / (96 * 72), abs=0.02)
    assert told["iou"] == pytest.approx(48 * 18 / (96 * 36), abs=0.02)


def test_evaluate_takes_the_folder_itself_and_its_name(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = coco_split(tmp_path / "mine", 2)
    assert evaluated(folder, weights, tmp_path / "told.json")["split"] is None
    monkeypatch.chdir(folder)
    assert evaluated(Path("."), weights, tmp_path / "told.json")["data"] == "mine"


def test_evaluate_without_any_plate_tells_the_false_cover(weights: Path, tmp_path: Path) -> None:
    told = evaluated(coco_split(tmp_path / "bare", 2, plates=False), weights, tmp_path / "told.json", "--growth", "0")
    assert told["plates"] == 0 and told["false_cover"] == pytest.approx(0.5, abs=0.06)
    assert all(told[key] is None for key in ("coverage", "missed", "on_plate_accuracy", "exposed"))
    assert told["by_width"]["small"]["coverage"] is None and told["by_source"]["here"]["false_cover"] > 0.4


@pytest.mark.parametrize("option", ["threshold", "growth"])
def test_evaluate_at_another_operating_point(option: str, weights: Path, tmp_path: Path) -> None:
    folder = coco_split(tmp_path / "mine", 1)
    assert evaluated(folder, weights, tmp_path / "told.json", f"--{option}", "0.01")[option] == 0.01


def test_evaluate_names_what_is_missing(weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place, rest = tmp_path / "told.json", ("--weights", weights)
    folder = coco_split(tmp_path / "mine", 1)
    assert "no folder" in failed(capsys, "evaluate", tmp_path / "nowhere", "--json", place, *rest)
    assert "test/" in failed(capsys, "evaluate", folder, "--split", "test", "--json", place, *rest)
    with pytest.raises(SystemExit):
        main(["evaluate", str(folder), "--json", str(place), "--method", "magic"])
    assert "'magic'" in capsys.readouterr().err
    assert "not corners" in failed(capsys, "evaluate", folder, "--json", place, "--method", "detect", *rest)
    assert "make run" in failed(capsys, "evaluate", folder, "--json", place)
    gone = tmp_path / "gone.safetensors"
    assert str(gone) in failed(capsys, "evaluate", folder, "--json", place, "--weights", gone)
    (folder / ANNOTATIONS).unlink()
    assert ANNOTATIONS in failed(capsys, "evaluate", folder, "--json", place, *rest)
    assert not place.exists()


def test_evaluate_never_overwrites_what_is_no_metrics(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = coco_split(tmp_path / "mine", 1)
    before = (folder / ANNOTATIONS).read_bytes()
    (tmp_path / "conceal.json").write_text('{"totals": {}, "files": [], "outputs": []}')  # of another command
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr("lib.data.load_folder", lambda *_: pytest.fail("work was begun"))
    arguments = ("evaluate", folder, "--weights", weights, "--json")
    assert str(folder / ANNOTATIONS) in failed(capsys, *arguments, folder / ANNOTATIONS)
    assert "no earlier report" in failed(capsys, *arguments, tmp_path / "conceal.json")
    assert "cannot be written" in failed(capsys, *arguments, tmp_path / "file" / "told.json")
    assert (folder / ANNOTATIONS).read_bytes() == before


def test_evaluate_says_which_weights_and_reports_them(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = evaluated(coco_split(tmp_path / "mine", 1), weights, tmp_path / "told.json")
    assert f"weights: {weights} (tiny, epoch 2, trained on magenta plates)" in capsys.readouterr().out.splitlines()
    assert told["weights_sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()[:12]
    assert (told["weights"], told["trained_on"]) == ("tiny", "magenta plates")


# --- train -------------------------------------------------------------------------------------------------------


@pytest.fixture
def export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of three splits that PLATES_DATA names."""
    for seed, (split, count) in enumerate({"train": 9, "valid": 4, "test": 2}.items()):
        coco_split(tmp_path / "export" / split, count, seed)
    monkeypatch.setenv("PLATES_DATA", str(tmp_path / "export"))
    monkeypatch.setenv("PLATES_FAST", "1")
    return tmp_path / "export"


def test_train_ends_with_weights_that_conceal(
    export: Path, runs: Path, photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", "baseline", "--name", "mine", "--epochs", "4", "--batch", "4", "--pictures", "8",
               "--seed", "3", "--loss", "log3", "--weight", "2", "--learning-rate", "0.002", "--augment", "flip",
               "--validation", "3"]  # fmt: skip
    assert main(command) == 0
    said = capsys.readouterr().out
    (folder,) = runs.iterdir()
    assert said.startswith("trained mine: ") and str(folder / "best.safetensors") in said and "threshold" in said
    card = read_card(find_weights())
    wanted = {"epochs": 4, "batch": 4, "pictures": 8, "seed": 3, "loss": "log3", "weight": 2.0,
              "learning_rate": 0.002, "augment": ["flip"], "model": "baseline"}  # fmt: skip
    assert card["recipe"].items() >= wanted.items() and card["pictures"] == 8
    assert card["data"] == "COCO folder export, 9/4/2 pictures"
    point = card["operating_point"]
    assert read_card(folder / "last.safetensors")["operating_point"] is None  # it was chosen for the best epoch
    assert json.loads((folder / "best.json").read_text())["operating_point"] == point
    assert {"threshold", "growth", "coverage", "stray_cover"} <= point.keys() and point["images"] == 4

    picture, out = photographs / "good.png", tmp_path / "out"
    assert main(["conceal", str(picture), "--out", str(out)]) == 0
    report = json.loads((out / "report.json").read_text())
    assert (report["threshold"], report["growth"]) == (point["threshold"], point["growth"])
    told = evaluated(export, find_weights(), tmp_path / "told.json", "--split", "test")
    assert told["weights"] == "mine" and told["threshold"] == point["threshold"]
    assert told["on_plate_accuracy"] > 0.3  # it has learnt something in its 8 steps,
    assert main(["conceal", str(picture), "--out", str(out), "--threshold", "0.7"]) == 0
    assert json.loads((out / "report.json").read_text())["files"][0]["plates"] > 0  # which conceals

    capsys.readouterr()
    assert main(command) == 0
    assert capsys.readouterr().out.startswith("loaded mine: ") and len(list(runs.iterdir())) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["resnet"], "model 'resnet' is unknown"),
        (["baseline", "--name", "../x"], "the run's name '../x' is no name for a folder"),
        (["baseline", "--preset", "huge"], "preset 'huge'"),
        (["baseline", "--loss", "focal"], "loss 'focal'"),
        (["baseline", "--augment", "mixup"], "augmentation 'mixup'"),
        (["baseline", "--epochs", "0"], "epochs=0"),
        (["baseline", "--pictures", "0"], "pictures=0"),
        (["baseline", "--validation", "0"], "limit of 0"),
        (["baseline", "--validation", "-1"], "limit of -1"),
        (["baseline", "--weight", "-1"], "lambda"),
        (["baseline", "--weight", "nan"], "lambda"),
        (["baseline", "--learning-rate", "-1"], "learning_rate=-1.0"),
        (["baseline", "--learning-rate", "0"], "learning_rate=0.0"),
        (["baseline", "--learning-rate", "nan"], "learning_rate=nan"),
        (["baseline", "--learning-rate", "inf"], "learning_rate=inf"),
        (["baseline", "--seed", "-1"], "seed=-1"),
        (["baseline", "--seed", str(2**32)], "seed=4294967296"),
    ],
)
def test_train_names_what_it_does_not_know(
    arguments: list[str], words: str, export: Path, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert words in failed(capsys, "train", *arguments)
    assert not runs.exists()


def test_runs_makes_records_finds_them_again_and_refuses_others(
    export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    catalogue = {name: Experiment(name, name, "tiny") for name in ("one", "two")}
    monkeypatch.setattr(lib.catalogue, "EXPERIMENTS", catalogue)
    monkeypatch.setattr(lib.catalogue, "GROUPS", ("tiny",))
    monkeypatch.setattr(lib.records, "EXPERIMENTS", catalogue)
    brief = {name: replace(RECIPE, epochs=1, seed=seed) for seed, name in enumerate(catalogue)}
    monkeypatch.setattr(lib.records, "wanted", lambda name, _: brief[name])
    out = tmp_path / "records"
    assert main(["runs", "tiny", "--preset", "fast", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("one: accuracy ") and "\ntwo: accuracy " in said and "(2 steps)" in said
    assert {path.name for path in out.iterdir()} == {"never-looking.json", "one.json", "two.json"}
    before = {path: path.read_bytes() for path in out.iterdir()}
    brief["two"] = replace(brief["two"], learning_rate=0.5)
    told = failed(capsys, "runs", "tiny", "--preset", "fast", "--out", out)
    assert "two.json is of another recipe" in told and "--replace" in told
    assert {path: path.read_bytes() for path in out.iterdir()} == before
    assert "'three'" in failed(capsys, "runs", "three", "--out", out)


@pytest.mark.parametrize(
    ("name", "refused", "taken"),
    [
        ("weight_decay", [-1e-9, math.nan, math.inf], [0.0, 1.0]),
        ("smallest_crop", [0.0, -0.1, 1.01, math.nan], [1e-3, 1.0]),
        ("clip_at", [0.0, -1.0, math.nan], [1e-3, 1e9]),
        ("weight", [-1e-9, math.nan, math.inf], [None, 0.0, 8]),
        ("seed", [-1, 2**32], [0, 2**32 - 1]),
        ("learning_rate", [0.0, -1.0, math.nan, math.inf], [1e-9, 1.0]),
    ],
)
def test_a_recipe_takes_only_what_can_be_trained_with(name: str, refused: list, taken: list) -> None:
    for value in taken:
        assert getattr(Recipe(**{name: value}), name) == value
    for value in refused:
        with pytest.raises(PlatesError, match=rf"{name}=.*; give "):
            Recipe(**{name: value})


def test_the_checks_leave_a_recipes_digest_alone() -> None:
    assert Recipe().digest("data") == "6186377a", "runs on disk would not be found again"


def test_an_unknown_plates_data_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PLATES_DATA", "nowhere")
    told = failed(capsys, "train", "baseline")
    assert "PLATES_DATA='nowhere'" in told and "'hub'" in told and "'scenes'" in told


# --- the rest ----------------------------------------------------------------------------------------------------


def test_stopping_keeps_what_was_finished_and_says_so(
    photographs: Path,
    weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (photographs / "bad.jpg").unlink()
    real, done = lib.folders._conceal_file, []

    def stopped(*arguments: object) -> None:
        if done:
            raise KeyboardInterrupt
        done.append(real(*arguments))

    monkeypatch.setattr(lib.folders, "_conceal_file", stopped)
    out = tmp_path / "out"
    told = failed(capsys, "conceal", photographs, "--out", out, "--weights", weights, code=130)
    assert told == "stopped; what was finished is kept"
    assert (out / "good.png").exists() and not (out / "trip" / "good.png").exists() and (out / "report.json").exists()


def test_what_stops_a_job_ends_it_like_ctrl_c() -> None:
    script = """
import time
from lib import __main__ as command
def bench(options):
    try:
        print("at work", flush=True)
        time.sleep(60)
    finally:
        print("cleaned", flush=True)
command.bench = bench
raise SystemExit(command.main(["bench"]))
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "at work\n"
        process.terminate()
        out, told = process.communicate(timeout=30)
    assert (process.returncode, out, told) == (130, "cleaned\n", "stopped; what was finished is kept\n")


def test_the_arguments_know_every_model_mode_and_method() -> None:
    assert sorted(arguments.MODELS) == sorted(MODELS)
    assert (lib.redact.MODES, tuple(lib.conceal.METHODS)) == (arguments.MODES, arguments.METHODS)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("conceal", "", "--out", "o"), "argument IN: is empty"),
        (("conceal", "a.jpg", "--out", ""), "argument --out: is empty"),
        (("conceal", "a.jpg", "--out", "o", "--mode", "smear"), "invalid choice: 'smear'"),
        (("serve", "--port", "99999"), "'99999' is no port from 0 to 65,535"),
    ],
)
def test_unusable_arguments_end_with_two(
    command: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(list(command))
    assert caught.value.code == 2 and words in capsys.readouterr().err


def test_a_taken_port_is_told_before_anything_is_loaded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("lib.hosting.load", lambda *_: pytest.fail("networks were loaded"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        told = failed(capsys, "serve", "--port", str(taken.getsockname()[1]))
    assert "cannot be listened on" in told


def test_large_frames_have_room_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr("lib.hosting.load", lambda *_: {})
    monkeypatch.setattr("lib.hosting.serve", lambda _, limits, *__: asked.append(limits))
    assert main(["serve", "--port", "0", "--megabytes", "400"]) == main(["serve", "--port", "0"]) == 0
    large, usual = asked
    assert (large.bytes, large.held) == (400 * 2**20, 800 * 2**20)
    assert (usual.bytes, usual.held) == (32 * 2**20, 256 * 2**20)


def test_bench_is_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    monkeypatch.setattr(bench, "main", lambda: called.append(True))
    assert main(["bench"]) == 0 and called


@pytest.mark.parametrize(
    "arguments", ["", "blur", "conceal", "conceal a.jpg", "evaluate a", "train", "train baseline --epochs x"]
)
def test_unusable_arguments_are_exit_code_2(arguments: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments.split())
    assert caught.value.code == 2 and "usage: python -m lib" in capsys.readouterr().err


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    told = capsys.readouterr().out
    assert caught.value.code == 0 and all(name in told for name in ("conceal", "evaluate", "train", "bench"))
