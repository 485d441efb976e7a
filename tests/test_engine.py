"""Checkpoints that are whole or named, the search for weights, and a network as a function of a photograph."""

import hashlib
import json
import os
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tiny import OPTIONS

import lib.checkpoints
import lib.engine
from lib.checkpoints import find_weights, load_checkpoint, read_card
from lib.checkpoints import save_checkpoint as save
from lib.engine import Segmenter, describe_device, fast_precision
from lib.models import build
from lib.settings import WEIGHTS, PlatesError

CARD = {"name": "tiny", "model": "baseline", "options": OPTIONS, "operating_point": {"threshold": 0.3, "growth": 0.2}}


@pytest.fixture(autouse=True)
def on_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lib.engine, "device", lambda: torch.device("cpu"))


@pytest.fixture
def model() -> torch.nn.Module:
    torch.manual_seed(0)
    return build("baseline", **OPTIONS)


@pytest.fixture
def checkpoint(tmp_path: Path, model: torch.nn.Module) -> Path:
    save(tmp_path / "best.safetensors", model, CARD)
    return tmp_path / "best.safetensors"


def test_a_checkpoint_comes_back_whole(checkpoint: Path, model: torch.nn.Module) -> None:
    got, card = load_checkpoint(checkpoint)
    assert not got.training and next(got.parameters()).device.type == "cpu"
    assert all(torch.equal(a, b) for a, b in zip(got.state_dict().values(), model.state_dict().values(), strict=True))
    told = json.loads(json.dumps(CARD))  # channels are a list in JSON
    assert card == read_card(checkpoint) == told == json.loads(checkpoint.with_suffix(".json").read_text())
    assert sorted(path.name for path in checkpoint.parent.iterdir()) == ["best.json", "best.safetensors"]


def test_a_checkpoint_that_cannot_be_written_leaves_the_old_one(
    checkpoint: Path, model: torch.nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = checkpoint.read_bytes()

    def full(_weights: object, path: Path, **_options: object) -> None:
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(lib.checkpoints, "save_file", full)
    with pytest.raises(PlatesError, match=r"best\.safetensors: cannot be written \(No space left"):
        save(checkpoint, model, CARD)
    assert checkpoint.read_bytes() == before
    assert len(list(checkpoint.parent.iterdir())) == 2


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def beheaded(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5])


def foreign(path: Path) -> None:
    save_file({"weight": torch.zeros(2)}, path)


def no_object(path: Path) -> None:
    save_file({"weight": torch.zeros(2)}, path, metadata={"card": "[]"})


def no_json(path: Path) -> None:
    save_file({"weight": torch.zeros(2)}, path, metadata={"card": "{"})


def other_sizes(path: Path) -> None:
    save(path, build("baseline", grid=10, channels=(4, 4, 6)), CARD)


def other_layers(path: Path) -> None:
    save(path, build("baseline", hidden=3, **OPTIONS), CARD)


def unknown_model(path: Path) -> None:
    save(path, build("baseline", **OPTIONS), CARD | {"model": "resnet"})


def unknown_option(path: Path) -> None:
    save(path, build("baseline", **OPTIONS), CARD | {"options": {"depth": 3}})


def no_options(path: Path) -> None:
    save(path, build("baseline", **OPTIONS), CARD | {"options": None})


def no_model(path: Path) -> None:
    save(path, build("baseline", **OPTIONS), {"name": "tiny"})


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (Path.unlink, "there is no such weights file"),
        (truncated, "not a whole checkpoint"),
        (beheaded, "not a whole checkpoint"),
        (foreign, "not a whole checkpoint"),
        (no_object, "not a whole checkpoint"),
        (no_json, "not a whole checkpoint"),
        (other_sizes, "do not fit its model"),
        (other_layers, "do not fit its model"),
        (unknown_model, "'resnet'"),
        (unknown_option, "depth"),
        (no_options, "do not fit its model"),
        (no_model, "do not fit its model"),
    ],
)
def test_unusable_weights_are_named_with_a_remedy(damage: object, words: str, checkpoint: Path) -> None:
    damage(checkpoint)
    with pytest.raises(PlatesError) as caught:
        Segmenter.load(checkpoint)
    told = str(caught.value)
    assert told.startswith(f"{checkpoint}: ") and words in told and "--weights" in told
    assert "\n" not in told


def test_weights_that_find_no_pixels_are_refused() -> None:
    with pytest.raises(PlatesError, match=r"holds small_landmarks, which finds boxes or corners.*--method detect"):
        Segmenter.load(WEIGHTS / "corners.safetensors")


def test_nobody_is_told_to_remove_a_file_of_his_own(tmp_path: Path) -> None:
    photograph = tmp_path / "car.jpg"
    photograph.write_bytes(b"\xff\xd8 a photograph of mine")
    with pytest.raises(
        PlatesError, match=r"car\.jpg: is not a whole checkpoint.*; name a \.safetensors file"
    ) as caught:
        Segmenter.load(photograph)
    assert "remove it" not in str(caught.value)


# --- which weights -----------------------------------------------------------------------------------------------


@pytest.fixture
def shelves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Empty folders for shipped and for trained weights."""
    shipped, runs = tmp_path / "weights", tmp_path / "runs"
    monkeypatch.setattr(lib.checkpoints, "WEIGHTS", shipped)
    monkeypatch.setattr(lib.checkpoints, "RUNS", runs)
    return shipped, runs


def test_weights_are_looked_for_in_order(shelves: tuple[Path, Path], model: torch.nn.Module, tmp_path: Path) -> None:
    shipped, runs = shelves
    with pytest.raises(PlatesError, match=r"make run.*lib train.*--weights"):
        find_weights()
    paths = {name: runs / name / "best.safetensors" for name in ("older", "newer", "newest")}
    for age, (name, path) in enumerate(paths.items()):
        save(path, model, CARD | ({"operating_point": None} if name == "newest" else {}))
        os.utime(path, (1000 + age, 1000 + age))
    save(runs / "newer" / "last.safetensors", model, CARD)  # newer still, but not the best
    assert find_weights() == paths["newer"]  # nobody has chosen the newest's threshold
    os.utime(paths["older"], (2000, 2000))
    assert find_weights() == paths["older"]
    save(shipped / "compact.safetensors", model, CARD | {"name": "shipped"})
    assert find_weights() == shipped / "compact.safetensors"
    assert Segmenter.load().name == "shipped"
    given = tmp_path / "mine.safetensors"
    assert find_weights(given) == given


def test_without_any_operating_point_there_are_no_weights(shelves: tuple[Path, Path], model: torch.nn.Module) -> None:
    save(shelves[1] / "run" / "best.safetensors", model, CARD | {"operating_point": None})
    with pytest.raises(PlatesError, match="no trained weights"):
        find_weights()


def test_a_damaged_run_is_named_and_not_passed_over(shelves: tuple[Path, Path], model: torch.nn.Module) -> None:
    path = shelves[1] / "run" / "best.safetensors"
    save(path, model, CARD)
    truncated(path)
    with pytest.raises(PlatesError, match="remove it") as caught:
        find_weights()
    assert str(path) in str(caught.value)


def test_a_segmenter_has_its_weights_operating_point(checkpoint: Path, model: torch.nn.Module) -> None:
    segmenter = Segmenter.load(checkpoint)
    assert (segmenter.name, segmenter.threshold, segmenter.growth, segmenter.side) == ("tiny", 0.3, 0.2, 320)
    save(checkpoint, model, CARD | {"operating_point": None})
    assert Segmenter.load(checkpoint).threshold is None  # nobody has chosen it


def test_a_segmenter_knows_its_weights_wherever_their_file_lies(
    tmp_path: Path, model: torch.nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lib.engine, "ROOT", tmp_path / "repository")
    inside, outside = tmp_path / "repository" / "lib" / "a.safetensors", tmp_path / "b.safetensors"
    save(inside, model, CARD | {"data": "magenta plates", "epoch": 3})
    outside.write_bytes(inside.read_bytes())
    here, there = Segmenter.load(inside), Segmenter.load(outside)
    digest = hashlib.sha256(outside.read_bytes()).hexdigest()[:12]
    for one in (here, there):
        assert (one.name, one.weights_sha256, one.trained_on, one.epoch) == ("tiny", digest, "magenta plates", 3)
    assert here.say() == "weights: lib/a.safetensors (tiny, epoch 3, trained on magenta plates)"
    assert there.say() == f"weights: {outside} (tiny, epoch 3, trained on magenta plates)"
    save(outside, model, CARD)
    other = Segmenter.load(outside)
    assert other.weights_sha256 != digest and (other.trained_on, other.epoch) == (None, None)
    made = Segmenter(model, "made")
    assert made.file is made.weights_sha256 is made.trained_on is None and made.say() == "weights: made, in memory"


# --- photographs -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 500), (500, 7), (480, 640), (320, 320), (1200, 900)])
def test_any_size_gives_the_model_run_by_hand(height: int, width: int, model: torch.nn.Module) -> None:
    rgb = np.random.default_rng(height).integers(0, 256, (height, width, 3), np.uint8)
    background = Segmenter(model, "tiny")(rgb)
    assert background.shape == (height, width) and background.dtype == np.float32
    assert background.min() >= 0 and background.max() <= 1

    square = cv2.resize(rgb, (320, 320), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    with torch.no_grad():
        logits = model(torch.tensor(square.transpose(2, 0, 1)[None]))[0].double().numpy()
    by_hand = 1 / (1 + np.exp(logits[1] - logits[0]))
    if (height, width) == (320, 320):
        assert np.allclose(background, by_hand, atol=1e-5)
    stretched = cv2.resize(by_hand.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    assert np.allclose(background, stretched, atol=1e-5)


def test_channel_0_is_background_and_places_stay_in_place(model: torch.nn.Module) -> None:
    linear = model.head[-1]
    torch.nn.init.zeros_(linear.weight)
    bias = torch.zeros(2, 10, 10)
    bias[0, 2, 7] = 3  # third row, eighth column of the grid is background
    linear.bias.data = bias.flatten()
    background = Segmenter(model, "tiny")(np.zeros((200, 400, 3), np.uint8))
    assert background[50, 300] == pytest.approx(1 / (1 + np.exp(-3)), abs=1e-5)
    assert background[50, 100] == pytest.approx(0.5) and background[150, 300] == pytest.approx(0.5)


def test_the_picture_is_left_alone_and_views_serve(model: torch.nn.Module) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    rgb.setflags(write=False)
    segmenter = Segmenter(model.train(), "tiny")
    assert not model.training
    assert np.array_equal(segmenter(rgb[:, ::-1]), segmenter(rgb[:, ::-1].copy()))


# --- devices -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("native", "kind", "expected"),
    [(True, "cpu", torch.bfloat16), (False, "cpu", torch.float32), (True, "cuda", torch.bfloat16),
     (False, "cuda", torch.float32), (True, "mps", torch.float32)],
)  # fmt: skip
def test_bfloat16_only_where_it_is_native(
    native: bool, kind: str, expected: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: native)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *_: native)
    assert fast_precision(torch.device(kind)) == expected


def test_the_processor_is_described_with_its_threads() -> None:
    assert describe_device(torch.device("cpu")).startswith("cpu (")
    assert f"{torch.get_num_threads()} threads" in describe_device(torch.device("cpu"))


@pytest.fixture
def compact() -> torch.nn.Module:
    torch.manual_seed(0)
    return build("platenet", stem=(4, 6), channels=(8, 8, 8), depth=(1, 1, 1), neck=8)


@pytest.mark.parametrize("shape", [(1, 1), (16, 16), (480, 640), (641, 37), (3000, 4000)])
def test_any_size_in_onnx_runtime_equals_pytorch(compact: torch.nn.Module, shape: tuple[int, int]) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    fast, plain = Segmenter(compact, "compact"), Segmenter(compact, "compact", portable=False)
    one, other = fast(rgb), plain(rgb)
    assert one.shape == other.shape == shape and one.dtype == np.float32
    assert np.abs(one - other).max() < 1e-5
    assert type(fast.answer).__name__ == "Portable" and type(plain.answer).__name__ == "Answer"


def test_nothing_is_squashed_and_the_padding_is_cut_off(compact: torch.nn.Module) -> None:
    """A picture of 640 x 480 goes in as it is; its answer is `forward`'s own."""
    compact.eval()
    rgb = np.random.default_rng(1).integers(0, 256, (480, 640, 3), np.uint8)
    with torch.inference_mode():
        x = torch.from_numpy(rgb).permute(2, 0, 1)[None] / 255
        coarse = compact.coarse(x)[0, 0].neg().sigmoid().numpy()
    expected = cv2.resize(coarse, (640, 480), interpolation=cv2.INTER_LINEAR)
    assert np.abs(Segmenter(compact, "compact")(rgb) - expected).max() < 1e-5


def test_without_onnx_runtime_pytorch_answers_and_it_is_said(
    compact: torch.nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    rgb = np.random.default_rng(2).integers(0, 256, (48, 64, 3), np.uint8)
    expected = Segmenter(compact, "compact")(rgb)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)  # as if it were not installed
    with pytest.warns(UserWarning, match="ONNX Runtime cannot be used .* PyTorch takes its place"):
        segmenter = Segmenter(compact, "compact")
    assert np.abs(segmenter(rgb) - expected).max() < 1e-5


def test_half_precision_is_widened_and_close(compact: torch.nn.Module, tmp_path: Path) -> None:
    options = {"stem": (4, 6), "channels": (8, 8, 8), "depth": (1, 1, 1), "neck": 8}
    card = {"name": "half", "model": "platenet", "options": options, "operating_point": None}
    save(tmp_path / "half.safetensors", compact, card, half=True)
    got, _ = load_checkpoint(tmp_path / "half.safetensors")
    for name, tensor in got.state_dict().items():
        assert tensor.dtype == compact.state_dict()[name].dtype
        assert torch.allclose(tensor, compact.state_dict()[name], rtol=1e-3, atol=1e-4)
