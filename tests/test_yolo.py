"""YOLOv5 on tiny pictures: trained, resumed, loaded; offline, out of the way, and not missed where it is not there."""

import io
import json
import os
import subprocess
import sys
import urllib.error
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from datasets import DatasetDict
from PIL import Image

from lib import ultra, yolo, yolo_recipes
from lib.data import load_folder, load_plates
from lib.finds import finder
from lib.labels import draw, fingerprint, write_split
from lib.pictures import Pictures
from lib.settings import ROOT, PlatesError
from lib.yolo import Yolo, train_yolo
from lib.yolo_recipes import YoloRecipe, pretrained, yolo_recipe
from tests.tiny import coco_split

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
TINY = YoloRecipe(side=64, epochs=2, batch=4)
needs = pytest.mark.skipif(not yolo.installed(), reason="ultralytics is not installed")


def plates(folder: Path) -> DatasetDict:
    for split, count in (("train", 6), ("valid", 2), ("test", 1)):
        coco_split(folder / split, count, seed=count)
    return load_plates(folder)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> DatasetDict:
    return plates(tmp_path_factory.mktemp("yolo") / "plates")


@pytest.fixture(scope="module")
def trained(data: DatasetDict, tmp_path_factory: pytest.TempPathFactory) -> Yolo:
    return train_yolo(data, TINY, tmp_path_factory.mktemp("runs"))


@needs
def test_a_run_says_what_it_was(trained: Yolo) -> None:
    card = trained.card
    assert (card["pictures"], card["steps"], len(trained.history)) == (4, 2, 2)  # whole batches alone
    assert card["recipe"]["start"] == "scratch" and card["parameters"] == 2_508_659
    assert trained.say().startswith(
        "trained yolov5nu from scratch: 2.5 M parameters, 4 pictures at 64 px, 2 steps of 4"
    )
    assert {"train/box_loss", "val/dfl_loss", "metrics/mAP50(B)"} <= set(trained.history[0])
    json.dumps(card, allow_nan=False)


@needs
def test_a_run_leaves_its_weights_and_card_and_no_picture(trained: Yolo) -> None:
    runs = trained.folder.parent
    assert {path.name for path in runs.iterdir()} == {trained.folder.name, "ultralytics"}
    assert {path.name for path in trained.folder.iterdir()} == {"card.json", "run"}
    assert not [path for path in runs.rglob("*") if path.suffix in (".jpg", ".png", ".txt")]


@needs
def test_a_finished_run_is_loaded_and_answers_alike(trained: Yolo, data: DatasetDict) -> None:
    threads, vision = torch.get_num_threads(), cv2.getNumThreads()
    found = train_yolo(data, TINY, trained.folder.parent)
    assert found.loaded and not trained.loaded and found.card == trained.card
    assert (torch.get_num_threads(), cv2.getNumThreads()) == (threads, vision)
    assert not {"YOLO_OFFLINE", "YOLO_CONFIG_DIR", "ULTRALYTICS_API_KEY"} & set(os.environ)
    x = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(found.network(x), trained.network(x))
    assert found.network(x).shape == (1, 5, 8 * 8 + 4 * 4 + 2 * 2)


@needs
def test_a_finder_is_made_of_a_runs_folder(trained: Yolo, data: DatasetDict, tmp_path: Path) -> None:
    """As `08_detect_and_corners` compares it with other detectors; what is no finished run is refused."""
    rgb = np.asarray(data["test"][0]["image"].convert("RGB"))
    np.testing.assert_array_equal(finder(trained.folder)(rgb, 0.001), trained.boxes(rgb))
    with pytest.raises(PlatesError, match=r"card\.json"):
        finder(tmp_path)


@needs
def test_boxes_are_in_the_picture(trained: Yolo, data: DatasetDict) -> None:
    boxes = trained.boxes(np.asarray(data["test"][0]["image"]), 0.0)
    assert boxes.dtype == np.float32 and boxes.shape[1] == 5 and len(boxes)
    assert (boxes[:, :4] >= 0).all() and (boxes[:, [0, 2]] <= 96).all() and (boxes[:, [1, 3]] <= 72).all()
    assert (boxes[:, 4] >= 0).all() and (boxes[:, 4] <= 1).all() and (np.diff(boxes[:, 4]) <= 0).all()


@needs
def test_a_killed_run_goes_on_after_its_last_whole_epoch(
    data: DatasetDict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ultralytics.engine.trainer import BaseTrainer

    saved, began = [], []
    real, epoch = BaseTrainer.save_model, BaseTrainer._model_train

    def save(trainer: BaseTrainer) -> bool:
        done = real(trainer)
        saved.append(trainer.epoch)
        if len(saved) == 1:
            raise KeyboardInterrupt
        return done

    monkeypatch.setattr(BaseTrainer, "save_model", save)
    monkeypatch.setattr(BaseTrainer, "_model_train", lambda trainer: began.append(trainer.epoch) or epoch(trainer))
    with pytest.raises(KeyboardInterrupt):
        train_yolo(data, TINY, tmp_path)
    (folder,) = tmp_path.glob("yolov5nu-*")
    assert not (folder / "card.json").exists() and (folder / "pictures").exists()
    made = train_yolo(data, TINY, tmp_path)
    assert began == [0, 1] == saved and not made.loaded and [row["epoch"] for row in made.history] == [1, 2]


@needs
def test_it_starts_from_weights_that_lie_there(
    data: DatasetDict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights as ultralytics publishes them: 80 classes, of which the head's last layer does not fit."""
    with ultra.quiet(tmp_path) as ultralytics:
        torch.manual_seed(7)
        known = ultralytics.YOLO("yolov5n.yaml")
        known.save(tmp_path / "yolov5nu.pt")
    monkeypatch.setattr(yolo, "pretrained", lambda model: pretrained(model, tmp_path))
    made = train_yolo(data, YoloRecipe(start="COCO", side=64, epochs=1, batch=4, learning_rate=1e-9), tmp_path / "runs")
    own = next(iter(made.network.model.model[0].parameters()))
    fused = known.model.float().fuse(verbose=False)
    torch.testing.assert_close(own, next(iter(fused.model[0].parameters())), atol=2e-2, rtol=0.05)
    assert made.say().startswith("trained yolov5nu from COCO")
    monkeypatch.setattr(yolo, "pretrained", lambda model: None)
    with pytest.raises(PlatesError, match="the COCO weights of yolov5n cannot be had; use start='scratch'"):
        train_yolo(data, YoloRecipe(start="COCO", side=64, epochs=2, batch=4), tmp_path / "runs")


@needs
def test_no_module_imports_it_by_itself_and_it_asks_no_network_and_writes_nothing_elsewhere(tmp_path: Path) -> None:
    """In a process of its own: no home to speak of, an account that it could send to, and sockets that refuse."""
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    plates(tmp_path / "plates")
    program = """
import socket, sys
from pathlib import Path
asked = []
class Refusing(socket.socket):
    def connect(self, address): asked.append(address); raise OSError("refused")
def lookup(*told, **more): asked.append(told); raise OSError("refused")
socket.socket, socket.getaddrinfo = Refusing, lookup
import importlib, pkgutil, torch
import lib
torch.set_num_threads(2)
for module in pkgutil.walk_packages(lib.__path__, "lib."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
from lib.data import load_plates
from lib.yolo import train_yolo
from lib.yolo_recipes import YoloRecipe
assert not [name for name in sys.modules if name.split(".")[0] in ("ultralytics", "onnxruntime")]
made = train_yolo(load_plates(sys.argv[1]), YoloRecipe(side=32, epochs=1, batch=2, pictures=2), Path(sys.argv[2]))
assert "ultralytics" in sys.modules
from lib.portable import as_portable
x = torch.rand(1, 3, 32, 32)
with torch.inference_mode():
    torch.testing.assert_close(as_portable(made.network, 32)(x), made.network(x), atol=1e-3, rtol=1e-3)
import cv2
from PIL import Image
for function in (Image.open, cv2.imread, cv2.imwrite, torch.save):
    assert "ultralytics" not in (function.__module__ or ""), function
print("asked", asked, "threads", torch.get_num_threads(), made.card["device"])
"""
    variables = {
        **os.environ,
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / "config"),
        "MPLCONFIGDIR": str(tmp_path / "matplotlib"),
        "HF_HOME": str(tmp_path / "hub"),
        "ULTRALYTICS_API_KEY": "ul_" + "0" * 40,
        "PYTHONPATH": str(ROOT),
        "OMP_WAIT_POLICY": "PASSIVE",  # two threads that wait for a taken core otherwise spin
        "TMPDIR": str(tmp_path),
    }
    for name in ("OMP_NUM_THREADS", "PYTEST_CURRENT_TEST"):
        variables.pop(name, None)
    runs = tmp_path / "runs"
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "plates", runs],
        cwd=work, env=variables, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "asked [] threads 2 cpu" in done.stdout and "2 threads" in done.stdout
    assert [*home.rglob("*")] == [] and [*work.rglob("*")] == []
    assert len(list(runs.glob("yolov5nu-*/card.json"))) == 1


def test_without_it_there_is_a_sentence(data: DatasetDict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ultra.importlib.util, "find_spec", lambda name: None)
    assert not yolo.installed()
    with pytest.raises(PlatesError, match="ultralytics is not installed, so there is no YOLOv5; run `pip install"):
        train_yolo(data, TINY, tmp_path)
    assert [*tmp_path.iterdir()] == []


def test_the_pin_in_the_sentence_is_the_pin() -> None:
    pin = next(
        line.split()[0] for line in (ROOT / "requirements.txt").read_text().splitlines() if "ultralytics==" in line
    )
    assert pin in (ROOT / "lib" / "yolo.py").read_text()


def test_a_checkpoint_that_cannot_be_used_is_none(tmp_path: Path) -> None:
    last = tmp_path / "last.pt"
    assert yolo._state(last, 3) is None
    last.write_bytes(b"half a file")
    assert yolo._state(last, 3) is None
    for held, wanted in (
        ({"optimizer": {"state": 1}, "epoch": 1}, "unfinished"),
        ({"optimizer": {"state": 1}, "epoch": 2}, "finished"),
        ({"optimizer": None, "epoch": -1}, "finished"),
    ):
        torch.save(held, last)
        assert yolo._state(last, 3) == wanted


def test_seconds_of_all_sessions_are_added() -> None:
    assert yolo._seconds([10.0, 21.0, 4.0, 9.0]) == 30.0
    assert yolo._seconds([5.0]) == 5.0


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"start": "somewhere"}, "start='somewhere' is unknown"),
        ({"side": 100}, "side=100 is no multiple of 32"),
        ({"batch": 0}, "must be 1 or more"),
        ({"pictures": 0}, "must be 1 or more"),
    ],
)
def test_a_recipe_that_cannot_be_trained_is_refused(changes: dict, told: str) -> None:
    with pytest.raises(PlatesError, match=told):
        YoloRecipe(**changes)


def test_the_full_profile_takes_our_networks_steps_and_a_processor_half_the_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(yolo_recipes, "pretrained", lambda model: asked.append(model))
    monkeypatch.setattr(yolo_recipes, "device", lambda: torch.device("cpu"))
    monkeypatch.setenv("PLATES_FAST", "1")
    assert yolo_recipe().start == "scratch" and asked == []  # the fast profile asks nobody
    assert yolo_recipe(side=64).side == 64
    monkeypatch.setenv("PLATES_FAST", "0")
    monkeypatch.setattr("lib.recipes.device", lambda: torch.device("cpu"))
    assert yolo_recipe() == YoloRecipe("yolov5n", "scratch", 320, 4, 16) and asked == ["yolov5n"]
    monkeypatch.setattr(yolo_recipes, "pretrained", lambda model: Path("found"))
    assert yolo_recipe().start == "COCO"
    for module in ("lib.yolo_recipes", "lib.recipes"):
        monkeypatch.setattr(f"{module}.device", lambda: torch.device("cuda"))
    large = yolo_recipe(start="scratch")
    assert (large.model, large.epochs, large.batch) == ("yolov5m", 100, 512)


def answer(content: bytes) -> io.BytesIO:
    return io.BytesIO(content)


def test_weights_are_fetched_once_and_only_archives_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    request = SimpleNamespace(content=b"<html>log in</html>")

    def open_(url: str, timeout: float) -> io.BytesIO:
        asked.append(url)
        return answer(request.content)

    monkeypatch.setattr(yolo_recipes.urllib.request, "urlopen", open_)
    assert pretrained("yolov5n", tmp_path) is None and [*tmp_path.iterdir()] == []
    request.content = b"PK\x03\x04 weights"
    path = pretrained("yolov5n", tmp_path)
    assert path == tmp_path / "yolov5nu.pt" and path.read_bytes() == request.content and len(asked) == 2
    assert pretrained("yolov5n", tmp_path) == path and len(asked) == 2


def test_without_a_network_there_are_no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(url: str, timeout: float) -> io.BytesIO:
        raise urllib.error.URLError("no route")

    monkeypatch.setattr(yolo_recipes.urllib.request, "urlopen", refuse)
    assert pretrained("yolov5n", tmp_path) is None and [*tmp_path.iterdir()] == []


def test_pictures_and_boxes_are_written_as_yolo_reads_them(tmp_path: Path) -> None:
    split = coco_split(tmp_path / "split", 2)
    told = json.loads((split / "_annotations.coco.json").read_text())
    told["annotations"][0]["bbox"] = [24, 18, 48, 9]
    told["annotations"].append({"id": 9, "image_id": 0, "category_id": 7, "bbox": [0, 0, 9, 9], "iscrowd": 1})
    (split / "_annotations.coco.json").write_text(json.dumps(told))
    write_split(load_folder(split), tmp_path / "out", 48)
    assert sorted(path.name for path in (tmp_path / "out" / "images").iterdir()) == ["000000.jpg", "000001.jpg"]
    assert Image.open(tmp_path / "out" / "images" / "000000.jpg").size == (48, 36)
    assert (tmp_path / "out" / "labels" / "000000.txt").read_text() == "0 0.500000 0.312500 0.500000 0.125000\n"


def test_a_picture_without_a_plate_has_an_empty_list(tmp_path: Path) -> None:
    write_split(load_folder(coco_split(tmp_path / "none", 1, plates=False)), tmp_path / "out", 64)
    assert (tmp_path / "out" / "labels" / "000000.txt").read_text() == ""


def test_the_pictures_drawn_are_those_of_our_own_networks(data: DatasetDict) -> None:
    ours = Pictures.from_dataset(data["train"]).sample(4, seed=3).image_ids.tolist()
    assert draw(data["train"], YoloRecipe(batch=2, pictures=4, seed=3))["image_id"] == ours
    assert len(draw(data["train"], YoloRecipe(batch=4, pictures=5))) == 4
    with pytest.raises(PlatesError, match="6 training pictures make no batch of 8"):
        draw(data["train"], YoloRecipe(batch=8))


def test_other_pixels_or_boxes_have_another_fingerprint(tmp_path: Path) -> None:
    one, same, other = (
        load_folder(coco_split(tmp_path / name, 2, seed)) for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert fingerprint(one) == fingerprint(same) != fingerprint(other)


@needs
def test_an_untrained_one_has_one_class_and_can_be_exported(tmp_path: Path) -> None:
    network = ultra.untrained(folder=tmp_path)
    with torch.inference_mode():
        answer = network(torch.rand(1, 3, 64, 64))
    assert answer.shape == (1, 5, 8 * 8 + 4 * 4 + 2 * 2)  # x, y, width, height, confidence at three strides
    assert 2.0e6 < sum(weights.numel() for weights in network.parameters()) < 2.7e6
