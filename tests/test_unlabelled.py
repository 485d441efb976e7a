"""Plates that nobody labelled: what is kept of them, how they are learned from, what a person is to look at."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny import row, split

from lib import unlabelled as module
from lib.gallery import Gallery
from lib.platefree import free_crops
from lib.unlabelled import KEPT, as_outlines, suspects, unlabelled


@pytest.fixture
def found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the tiny picture 0 a plate was found and something doubtful, in picture 1 something doubtful alone."""
    path = tmp_path / "found.json"
    kept = {"plates": {"0.png": [[10, 20, 40, 10]]}, "doubtful": {"0.png": [[60, 40, 10, 10]], "1.png": [[0, 0, 5, 5]]}}
    path.write_text(json.dumps(kept))
    monkeypatch.setattr(module, "KEPT", path)
    module._kept.cache_clear()
    yield
    module._kept.cache_clear()


def test_what_is_kept_are_boxes_and_no_picture_was_found_to_have_more_than_was_looked_at() -> None:
    kept = json.loads(KEPT.read_text())
    boxes = [np.array(each) for kind in ("plates", "doubtful") for each in kept[kind].values()]
    assert all(each.ndim == 2 and each.shape[1] == 4 and (each[:, :2] >= 0).all() for each in boxes)
    assert all((each[:, 2:] > 0).all() for each in boxes)
    assert sum(map(len, boxes)) < sum(kept["looked_at"].values())


@pytest.mark.usefixtures("found")
def test_a_found_plates_middle_is_plate_and_its_rim_is_passed_over() -> None:
    plates, passed_over = as_outlines("0.png")
    assert plates.tolist() == [[[14, 21], [46, 21], [46, 29], [14, 29]]]  # 40x10 round (30, 25): 32x8
    assert passed_over[0].tolist() == [[2, 18], [58, 18], [58, 32], [2, 32]]  # 56x14
    assert passed_over[1].tolist() == [[58, 38], [72, 38], [72, 52], [58, 52]]  # 14x14 round (65, 45)
    assert [len(each) for each in as_outlines("1.png")] == [0, 1]
    assert [each.shape for each in as_outlines("else.png")] == [(0, 4, 2), (0, 4, 2)]
    assert [each.shape for each in unlabelled("else.png")] == [(0, 4), (0, 4)]


@pytest.mark.usefixtures("found")
def test_a_gallery_has_them_when_asked() -> None:
    rows = split(
        row(0, Image.new("RGB", (1280, 96)), [[100.0, 2.0, 40.0, 20.0]]), row(1, Image.new("RGB", (64, 48)), [])
    )
    labelled, more = Gallery.from_dataset(rows), Gallery.from_dataset(rows, found=True)
    assert [len(each) for each in labelled.outlines + labelled.ignored] == [1, 0, 0, 0]
    assert [len(each) for each in more.outlines + more.ignored] == [2, 0, 2, 1]
    assert np.array_equal(more.outlines[0][0], labelled.outlines[0][0])
    assert more.outlines[0][1].tolist() == [[7, 10.5], [23, 10.5], [23, 14.5], [7, 14.5]]  # halved as the picture is
    assert more.fingerprint() != labelled.fingerprint()


@pytest.mark.usefixtures("found")
def test_parts_without_a_plate_have_none_of_them() -> None:
    canvas = np.zeros((48, 64, 3), np.uint8)
    canvas[20:30, 10:50] = 255
    rows = split(*(row(0, Image.fromarray(canvas), []) for _ in range(20)))
    crops = free_crops(rows, 20, share=0.3)
    assert crops and not any(each.any() for each in crops)


def test_suspects_are_sure_regions_beside_every_label() -> None:
    """At half the size: one on the label, one beside it, one that is faint."""
    background = np.ones((48, 64), np.float32)
    background[10:20, 10:30] = 0.1
    background[30:40, 30:50] = 0.9
    background[32:38, 34:46] = 0.2  # its middle: below half way between the least and .95
    background[2:6, 50:60] = 0.6
    rows = split(row(0, Image.new("RGB", (128, 96)), [[18.0, 22.0, 40.0, 16.0]]))
    ((name, box),) = suspects(rows, lambda _: background)
    assert name == "0.png" and box.tolist() == [68, 64, 24, 12]
    assert len(list(suspects(rows, lambda _: background, below=0.7))) == 2
    assert len(list(suspects(split(row(0, Image.new("RGB", (128, 96)), [])), lambda _: background))) == 2
