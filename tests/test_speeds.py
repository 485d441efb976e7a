"""What the speeds time is what they say: real networks of the size named, every stage of a real photograph."""

from functools import partial
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import scene

from lib import speeds
from lib.ultra import installed

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture(scope="module")
def frame() -> bytes:
    buffer = BytesIO()
    Image.fromarray(scene(np.random.default_rng(0), 160, 120)[0]).save(buffer, "JPEG")
    return buffer.getvalue()


def test_every_contender_answers_at_its_size() -> None:
    made = {name: make()() for name, make in speeds.contenders(64).items()}
    assert any(name.startswith("YOLOv5n") for name in made) == installed()
    ours = [f"PlateNet, {way}" for way in ("ONNX Runtime, int8", "ONNX Runtime", "PyTorch")]
    assert {made[name].shape for name in ours} == {(1, 16, 16)}
    assert all(made[name].min() >= 0 and made[name].max() <= 1 for name in ours)
    assert set(made["SSDlite MobileNetV3, PyTorch"][0]) == {"boxes", "scores", "labels"}


def test_the_papers_network_knows_one_size() -> None:
    names = [{name for name in speeds.contenders(side) if "paper" in name} for side in speeds.SIDES]
    assert [len(each) for each in names] == [2, 0]


def test_ssdlite_sees_the_side_it_is_given() -> None:
    seen = []
    model = speeds.ssdlite(96)
    model.backbone.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape))
    speeds.calling(model, [torch.rand(3, 96, 96)])()
    assert seen == [(1, 3, 96, 96)]


def test_stages_are_the_parts_of_the_whole(frame: bytes) -> None:
    taken = speeds.stage_times(frame, 1, repeats=3)
    assert list(taken) == ["decode", "network", "conceal", "encode", "all, JPEG to JPEG"]
    assert all(each.shape == (3,) and (each > 0).all() for each in taken.values())


def test_threads_are_put_back_even_after_an_error() -> None:
    before = torch.get_num_threads()
    with pytest.raises(ZeroDivisionError), speeds.threads(before + 1):
        assert torch.get_num_threads() == before + 1
        raise ZeroDivisionError
    assert torch.get_num_threads() == before


def test_memory_is_of_a_process_of_its_own() -> None:
    held = np.ones(2**28, np.uint8)  # 256 MiB of this process, which are none of the other's
    small, large = (speeds.peak_memory(partial(speeds.contender, "PlateNet, PyTorch", side)) for side in (64, 1600))
    assert 100 < small < large < 4000 and held.all()  # torch alone takes more than the lower bound


def test_a_spread_by_hand() -> None:
    assert speeds.spread(np.arange(11.0)) == "   5.0 ( 1.0 to  9.0)"
