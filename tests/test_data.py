"""Plates from a folder and from the rendered scenes: what is read, mended, refused and cached."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from lib import data, duplicates, rendered, scenes
from lib.coco import ANNOTATIONS
from lib.settings import ROOT, PlatesError


def annotation(number: int, image: int, box: list, **more) -> dict:
    return {"id": number, "image_id": image, "category_id": 7, "bbox": box, "iscrowd": 0, **more}


@pytest.fixture
def folder(tmp_path):
    """A folder with three splits of two pictures, 40x30, whose categories start at 7 below an unused super-category."""
    generator = np.random.default_rng(0)
    for split in ("train", "valid", "test"):
        place = tmp_path / "export" / split
        place.mkdir(parents=True)
        images = []
        for number in range(2):
            name = f"{split}{number}.png"
            Image.fromarray(generator.integers(0, 256, (30, 40, 3), np.uint8)).save(place / name)
            images.append({"id": number + 5, "file_name": name, "width": 40, "height": 30, "license": 1})
        coco = {
            "licenses": [{"id": 1, "name": "CC BY 4.0"}],
            "categories": [{"id": 0, "name": "plates"}, {"id": 7, "name": "License_Plate"}],
            "images": images,
            "annotations": [annotation(3, 5, [10, 12, 8, 4], keypoints=[10, 13, 2, 18, 12, 2, 18, 15, 2, 10, 16, 2])],
        }
        (place / ANNOTATIONS).write_text(json.dumps(coco))
    return tmp_path / "export"


def change(folder: Path, split: str = "train", **values) -> None:
    """Change the split's JSON: a value of None removes the key, a function maps the old value to the new."""
    file = folder / split / ANNOTATIONS
    coco = json.loads(file.read_text())
    for key, value in values.items():
        if value is None:
            del coco[key]
        else:
            coco[key] = value(coco[key]) if callable(value) else value
    file.write_text(json.dumps(coco))


# A folder in the COCO layout


def test_folder_becomes_three_splits(folder):
    plates = data.load_plates(folder)
    assert list(plates) == ["train", "validation", "test"]
    assert all(part.features == data.FEATURES for part in plates.values())
    assert data.describe(plates) == "COCO folder export, 2/2/2 pictures"
    assert data.describe(plates["test"]) == "COCO folder export, 2 pictures"
    row = plates["train"][0]
    assert (row["image_id"], row["file_name"], row["license"], row["source"]) == (
        5,
        "train0.png",
        "CC BY 4.0",
        "unknown",
    )
    assert np.array_equal(np.asarray(row["image"]), np.asarray(Image.open(folder / "train" / "train0.png")))
    (plate,) = data.plates_of(row)
    assert plate.bbox == (10, 12, 8, 4) and not plate.iscrowd and plate.characters == ()
    assert plate.corners.tolist() == [[10, 13], [18, 12], [18, 15], [10, 16]]
    assert row["objects"]["occluded"] == [-1] and row["objects"]["text"] == [""]
    assert data.plates_of(plates["train"][1]) == []  # a picture without plates stays


@pytest.mark.parametrize("name", ["valid", "validation", "val"])
def test_names_of_the_validation_split(folder, name):
    (folder / "valid").rename(folder / name)
    assert len(data.load_plates(folder)["validation"]) == 2
    assert len(data.load_folder(folder, "valid")) == 2


def test_single_folder_needs_no_split(folder):
    assert data.load_folder(folder / "test")["file_name"] == ["test0.png", "test1.png"]
    with pytest.raises(PlatesError, match="is a single split"):
        data.load_plates(folder / "test")


def test_folder_named_by_the_environment(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    monkeypatch.setenv("PLATES_DATA", "export")
    assert len(data.load_plates()["test"]) == 2


def test_changed_folder_is_read_anew(folder):
    assert data.summary(data.load_plates(folder))[0]["plates"] == 1
    change(folder, annotations=[])
    assert data.summary(data.load_plates(folder))[0]["plates"] == 0


def test_summary_counts(folder):
    assert data.summary(data.load_plates(folder))[1] == {
        "split": "validation",
        "pictures": 2,
        "plates": 1,
        "with_corners": 1,
        "without_plates": 1,
        "sources": {"unknown": 2},
        "notes": [],
    }


def test_boxes_without_area_are_dropped_and_boxes_outside_clipped(folder):
    boxes = [[5, 5, 0, 4], [5, 5, 3, -2], [-4, 20, 10, 20], [50, 5, 4, 4], [30, 10, 10.004, 5]]
    change(folder, annotations=[annotation(i, 6, box) for i, box in enumerate(boxes)])
    told = r"2 box\(es\) without area dropped, 1 box\(es\) wholly outside their picture dropped, 1 box\(es\) clipped"
    with pytest.warns(UserWarning, match=told):
        part = data.load_folder(folder, "train")
    objects = part[1]["objects"]
    assert objects["bbox"] == [[0, 20, 6, 10], [30, 10, 10, 5]]
    assert objects["id"] == [2, 4] and objects["area"] == pytest.approx([60, 50.02])


def test_folder_without_any_plate(folder):
    for split in ("train", "valid", "test"):
        change(folder, split, annotations=[])
    assert [row["plates"] for row in data.summary(data.load_plates(folder))] == [0, 0, 0]


def test_crowds_are_kept_and_are_no_plates_in_masks(folder):
    change(folder, annotations=[annotation(0, 5, [0, 0, 9, 9], iscrowd=1)])
    row = data.load_folder(folder, "train")[0]
    assert data.plates_of(row)[0].iscrowd and not data.mask_of(row).any()


def test_other_categories_are_ignored_and_counted(folder):
    change(
        folder,
        categories=[{"id": 1, "name": "car"}, {"id": 7, "name": "number-plate"}],
        annotations=lambda old: [*old, {**annotation(9, 5, [0, 0, 40, 30]), "category_id": 1}],
    )
    with pytest.warns(UserWarning, match=r"1 annotation\(s\) that are no plates ignored \(car\)"):
        part = data.load_folder(folder, "train")
    assert part[0]["objects"]["id"] == [3]


def test_only_category_may_have_any_name(folder):
    change(folder, categories=[{"id": 7, "name": "0"}])
    assert data.load_folder(folder, "train")[0]["objects"]["id"] == [3]


def only_cars(folder: Path, *categories: dict) -> None:
    """The split's one annotation is of category 7, a car; these categories are declared."""
    change(folder, categories=list(categories), annotations=lambda old: [{**old[0], "category_id": 7}])


def test_a_split_with_nothing_but_cars_has_no_plates(folder):
    only_cars(folder, {"id": 0, "name": "license-plate"}, {"id": 7, "name": "car"})
    with pytest.warns(UserWarning, match=r"1 annotation\(s\) that are no plates ignored \(car\)"):
        part = data.load_folder(folder, "train")
    assert [len(objects["id"]) for objects in part["objects"]] == [0, 0]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"name": "vehicle-plates", "supercategory": "none"}, {"name": "0", "supercategory": "vehicle-plates"}),
        ({"name": "things", "supercategory": "none"}, {"name": "car", "supercategory": "things"}),
    ],
)
def test_roboflows_group_of_categories_is_no_category(folder, first, second):
    only_cars(folder, {"id": 0, **first}, {"id": 7, **second})
    assert data.load_folder(folder, "train")[0]["objects"]["id"] == [3]


def test_a_category_that_is_its_own_group_is_declared(folder):
    names = ({"id": 0, "name": "plate", "supercategory": "plate"}, {"id": 7, "name": "car", "supercategory": "car"})
    only_cars(folder, *names)
    with pytest.warns(UserWarning, match="no plates ignored"):
        assert data.load_folder(folder, "train")[0]["objects"]["id"] == []


HUGE = 2**63
# what stands in the JSON, and the entry that the sentence must name
DAMAGED = {
    "annotation of text": ({"annotations": ["box"]}, r"annotations\[0\] is 'box'"),
    "annotation of a list": ({"annotations": [annotation(1, 5, [1, 1, 2, 2]), [1]]}, r"annotations\[1\] is \[1\]"),
    "annotations as an object": ({"annotations": {"0": {}}}, "`annotations` is no list"),
    "image of text": ({"images": ["train0.png"]}, r"images\[0\] is 'train0.png'"),
    "categories of text": ({"categories": ["plate"]}, r"categories\[0\] is 'plate'"),
    "category without an id": ({"categories": [{"name": "plate"}]}, r"categories\[0\] lacks a usable id"),
    "category id of a list": ({"categories": [{"id": [7], "name": "plate"}]}, r"categories\[0\] lacks a usable id"),
    "licenses of text": ({"licenses": ["MIT"]}, r"licenses\[0\] is 'MIT'"),
    "area": ({"annotations": [annotation(1, 5, [1, 1, 2, 2], area="big")]}, r"annotations\[0\] .*area"),
    "endless area": ({"annotations": [annotation(1, 5, [1, 1, 2, 2], area=float("inf"))]}, r"annotations\[0\] .*area"),
    "far keypoint": (
        {"annotations": [annotation(1, 5, [1, 1, 2, 2], keypoints=[1e300, *[2] * 11])]},
        r"annotations\[0\] .*keypoints",
    ),
    "keypoints": ({"annotations": [annotation(1, 5, [1, 1, 2, 2], keypoints=[[1], [2, 3]])]}, r"annotations\[0\] "),
    "long number in a box": ({"annotations": [annotation(1, 5, [1, 1, 2, 10**400])]}, r"annotations\[0\] has no bbox"),
    "category_id": (
        {"annotations": [annotation(1, 5, [1, 1, 2, 2]) | {"category_id": [7]}]},
        r"annotations\[0\] lacks a usable category_id \(\[7\]\)",
    ),
    "image_id": ({"annotations": [annotation(1, [5], [1, 1, 2, 2])]}, r"annotations\[0\] lacks a usable image_id"),
    "huge id": ({"annotations": [annotation(HUGE, 5, [1, 1, 2, 2])]}, r"annotations\[0\] lacks a usable id \(9223"),
    "endless id": ({"annotations": [annotation(float("inf"), 5, [1, 1, 2, 2])]}, r"annotations\[0\] lacks a usable id"),
}
IMAGES = {
    "huge image id": ({"id": HUGE}, "a usable id"),
    "endless image id": ({"id": float("inf")}, "a usable id"),
    "endless width": ({"width": float("inf")}, "a usable width"),
    "long name": ({"file_name": "a" * 400}, "file_name 'aaa"),
    "NUL": ({"file_name": "a\0.png"}, "which no file can have"),
    "lone surrogate": ({"file_name": "a\udcff.png"}, "which no file can have"),
    "no name": ({"file_name": ""}, "which no file can have"),
    "number as a name": ({"file_name": 4}, "which no file can have"),
}


@pytest.mark.parametrize("name", [*DAMAGED, *IMAGES])
def test_damaged_json_names_the_file_and_the_entry(folder, name):
    if name in DAMAGED:
        values, sentence = DAMAGED[name]
        change(folder, **values)
    else:
        values, sentence = IMAGES[name]
        change(folder, annotations=[], images=lambda old: [old[0], {**old[1], **values}])
        sentence = rf"images\[1\] .*{sentence}"
    with pytest.raises(PlatesError, match=sentence) as caught:
        data.load_folder(folder, "train")
    told = str(caught.value)
    assert told.startswith(str(folder / "train" / ANNOTATIONS)) and "\n" not in told and len(told) < 400


def test_ids_and_texts_that_tables_can_hold_are_kept(folder):
    change(
        folder,
        licenses=[{"id": 1, "name": "caf\udcff"}, {"id": [2]}],
        annotations=[annotation(HUGE - 1, 5.0, [1, 1, 2, 2], text="A\ud800"), annotation("x", 5, [1, 1, 2, 2])],
    )
    row = data.load_folder(folder, "train")[0]
    assert row["objects"]["id"] == [HUGE - 1, 1] and row["objects"]["text"] == ["A?", ""] and row["license"] == "caf?"


BROKEN = {
    "no split": (lambda f: shutil.rmtree(f / "valid"), r"has no folder valid/"),
    "no annotations": (lambda f: (f / "train" / ANNOTATIONS).unlink(), f"train: holds no {ANNOTATIONS}"),
    "not JSON": (lambda f: (f / "train" / ANNOTATIONS).write_text("{"), "is not valid JSON"),
    "no images": (lambda f: change(f, images=None), "has no list `images`"),
    "missing picture": (lambda f: (f / "train" / "train1.png").unlink(), r"train1\.png: is named in .* not there"),
    "text as picture": (lambda f: (f / "train" / "train1.png").write_text("hello"), r"train1\.png: is not a picture"),
    "another size": (
        lambda f: Image.new("RGB", (41, 30)).save(f / "train" / "train1.png"),
        r"train1\.png: is 41x30 pixels but .* says 40x30",
    ),
    "outside name": (
        lambda f: change(f, images=lambda old: [old[0], {**old[1], "file_name": "../valid/valid1.png"}]),
        "leads out of the folder",
    ),
    "image without a size": (lambda f: change(f, images=[{"id": 5, "file_name": "train0.png"}]), "lacks a usable"),
    "same id twice": (lambda f: change(f, images=lambda old: [old[0], old[0]]), "two images have the id 5"),
    "unknown image": (
        lambda f: change(f, annotations=[annotation(4, 99, [0, 0, 1, 1])]),
        r"annotations\[0\] names image 99",
    ),
    "unknown category": (lambda f: change(f, categories=[]), "category_id 7 is not in `categories`"),
    "no plate category": (
        lambda f: change(
            f,
            categories=[{"id": 7, "name": "car"}, {"id": 8, "name": "van"}],
            annotations=lambda old: [*old, {**old[0], "category_id": 8}],
        ),
        r"none of the categories \(car, van\)",
    ),
    "no box": (lambda f: change(f, annotations=[annotation(4, 5, [1, 2, 3])]), r"annotations\[0\] has no bbox"),
    "NaN": (
        lambda f: change(f, annotations=[annotation(4, 5, [1, 2, 3, float("nan")])]),
        r"annotations\[0\] has no bbox",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_folder_is_named_in_one_sentence(folder, name):
    breaks, sentence = BROKEN[name]
    breaks(folder)
    with pytest.raises(PlatesError, match=sentence) as caught:
        data.load_plates(folder)
    assert str(folder) in str(caught.value) and "\n" not in str(caught.value)


def test_unknown_source():
    with pytest.raises(PlatesError, match="neither 'hub' nor 'scenes' nor a folder"):
        data.load_plates("no such place")


def put(folder: Path, image: Image.Image, name: str, box=(2, 1, 4, 3), size=None, points=(), **save) -> dict:
    """Make ``image`` the train split's only picture, labelled in ``size``, and return the row that is read."""
    image.save(folder / "train" / name, **save)
    width, height = size or image.size
    change(
        folder,
        images=[{"id": 5, "file_name": name, "width": width, "height": height}],
        annotations=[annotation(0, 5, list(box), keypoints=[v for x, y in points for v in (x, y, 2)])],
    )
    return data.load_folder(folder, "train")[0]


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "RGBA", "LA", "1"])
def test_every_mode_decodes_to_rgb(folder, mode):
    row = put(folder, Image.new("RGB", (16, 12), (255, 255, 255)).convert(mode), "a.tif" if mode == "CMYK" else "a.png")
    assert row["image"].mode == "RGB" and np.asarray(row["image"]).min() >= 254


def test_sixteen_bit_grey_keeps_its_greys(folder):
    grey = np.linspace(0, 65535, 16 * 12).reshape(12, 16).astype(np.uint16)
    row = put(folder, Image.fromarray(grey), "a.png")
    assert row["image"].mode == "RGB" and np.array_equal(np.asarray(row["image"])[..., 1], grey >> 8)


def test_truncated_jpeg_is_named(folder):
    noise = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
    put(folder, Image.fromarray(noise), "a.jpg")
    file = folder / "train" / "a.jpg"
    file.write_bytes(file.read_bytes()[: file.stat().st_size * 3 // 4])
    with pytest.raises(PlatesError, match=r"a\.jpg: is damaged"):
        data.load_folder(folder, "train")


def test_huge_picture_is_refused(folder):
    with pytest.raises(PlatesError, match=r"a\.png: has more pixels than can be read safely"):
        put(folder, Image.new("1", (30_000, 3_500)), "a.png")


@pytest.mark.parametrize("format_", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_follow_the_exif_orientation(folder, orientation, format_):
    stored = np.zeros((24, 32, 3), np.uint8)
    stored[8:16, 4:20] = 255
    points = [(4, 8), (20, 8), (20, 16), (4, 16)]
    exif = Image.Exif()
    exif[0x0112] = orientation
    lossless = {} if format_ in ("png", "tif") else {"quality": 100}
    row = put(folder, Image.fromarray(stored), f"a.{format_}", (4, 8, 16, 8), None, points, exif=exif, **lossless)
    assert (row["width"], row["height"]) == row["image"].size == ((24, 32) if orientation >= 5 else (32, 24))
    white = np.asarray(row["image"])[..., 0] > 127
    assert np.array_equal(data.mask_of(row), white) and np.array_equal(data.mask_of(row, corners=True), white)


def test_boxes_of_an_upright_size_stay(folder):
    exif = Image.Exif()
    exif[0x0112] = 6
    row = put(folder, Image.new("RGB", (16, 12)), "a.jpg", (1, 2, 3, 4), (12, 16), exif=exif)
    assert (row["width"], row["height"]) == (12, 16) and row["objects"]["bbox"] == [[1, 2, 3, 4]]


def test_mask_holds_the_pixels_whose_centres_are_inside(folder):
    row = put(folder, Image.new("RGB", (8, 6)), "a.png", (1.5, 1.6, 3, 2), points=[(1, 1), (5, 1), (5, 3), (1, 5)])
    box = np.zeros((6, 8), bool)
    box[2:4, 1:4] = True  # centres 2.5, 3.5 in [1.6, 3.6) and 1.5, 2.5, 3.5 in [1.5, 4.5)
    assert np.array_equal(data.mask_of(row), box)
    # The lower side falls from (1, 5) to (5, 3): y = 5.5 - x / 2, so 4.75, 4.25, 3.75, 3.25 at the centres of 1 to 4.
    assert data.mask_of(row, corners=True).sum(0).tolist() == [0, 4, 3, 3, 2, 0, 0, 0]


# Leaks


def test_duplicates_are_found_across_splits(folder):
    smooth = Image.fromarray(np.random.default_rng(5).integers(0, 256, (6, 8, 3), np.uint8)).resize((40, 30))
    smooth.save(folder / "train" / "train1.png")
    smooth.point(lambda value: value * 0.9).save(folder / "test" / "test0.png")
    (pair,) = duplicates.duplicates(data.load_plates(folder))
    assert (pair.first, pair.second) == (("train", 1), ("test", 0)) and pair.distance <= 4


def test_difference_hash_by_hand(folder):
    rising = np.tile(np.linspace(0, 240, 9), (8, 1)).astype(np.uint8)
    rising[0] = rising[0, ::-1]
    put(folder, Image.fromarray(rising), "a.png")
    (value,) = duplicates.difference_hashes(data.load_folder(folder, "train"))
    assert value == 2**56 - 1  # the first row's eight bits, the highest, are 0


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("car-7_jpg.rf.0123abcd.jpg", "car-7"),
        ("a_b_png.rf.ff00.jpg", "a_b"),
        ("sub/x_jpeg.rf.1.jpg", "x"),
        ("plain_jpg.jpg", "plain_jpg"),
    ],
)
def test_source_stem(name, stem):
    assert duplicates.source_stem(name) == stem


def test_shared_sources_and_named_share():
    table = {
        "train": {"file_name": ["a_jpg.rf.1.jpg", "PlateGen_b_jpg.rf.2.jpg"]},
        "test": {"file_name": ["a_jpg.rf.3.jpg"]},
    }
    assert duplicates.shared_sources(table) == {("train", "test"): {"a"}}
    splits = data.DatasetDict({name: data.Dataset.from_dict(columns) for name, columns in table.items()})
    assert duplicates.named_share(splits["train"]) == 0.5


# Rendered scenes


def fake_render(seed, index, size=(640, 480), kind=None):
    """A scene by the contract of `lib.scenes`, quick to draw: a grey that tells seed and index, one plate."""
    quad = np.array([[10, 10], [50, 12], [50, 24], [10, 22]], np.float32)
    character = scenes.Character("A", quad / 2)
    plate = scenes.Plate(
        text="AA",
        corners=quad,
        bbox=(10.0, 10.0, 40.0, 14.0),
        characters=(character, character),
        look="white",
        occluded=0.25,
        angle=30.0,
        light="day",
    )
    gone = dataclasses.replace(plate, bbox=(0.0, 0.0, 0.0, 5.0))
    image = np.full((size[1], size[0], 3), (seed * 7 + index) % 256, np.uint8)
    return scenes.Scene(image, (plate, gone), "street", "dusk", seed, index)


@pytest.fixture
def rendering(tmp_path, monkeypatch):
    """The fake renderer, an empty cache, and the list of what was rendered."""
    calls = []

    def render(seed, index, size=(640, 480), kind=None):
        calls.append((seed, index))
        return fake_render(seed, index, size)

    monkeypatch.setattr(scenes, "render", render)
    monkeypatch.setattr(scenes, "VERSION", "test")
    monkeypatch.setattr(data, "CACHE", tmp_path)
    monkeypatch.setenv("PLATES_FAST", "1")
    return calls


SIZES = {"train": 4, "validation": 2, "test": 2}


def test_scenes_carry_their_whole_truth(rendering):
    plates = data.load_plates("scenes", sizes=SIZES)
    assert data.describe(plates) == "rendered scenes, seed 1, 4/2/2 pictures"
    assert all(part.features == data.FEATURES for part in plates.values())
    row = plates["train"][3]
    assert (row["image_id"], row["width"], row["height"], row["kind"], row["light"]) == (3, 640, 480, "street", "dusk")
    assert abs(int(np.asarray(row["image"])[0, 0, 0]) - (10 * 7 + 3)) <= 1
    quad = [10, 10, 50, 12, 50, 24, 10, 22]
    assert row["objects"] == {
        "id": [0],
        "bbox": [[10, 10, 40, 14]],
        "corners": [quad],
        "area": [560],
        "iscrowd": [False],
        "text": ["AA"],
        "look": ["white"],
        "occluded": [0.25],
        "angle": [30],
        "characters": [[[v / 2 for v in quad]] * 2],
        "chars": ["AA"],
    }
    assert len(data.plates_of(row)[0].characters) == 2
    assert len({seed for seed, _ in rendering}) == 3  # no split repeats another's pictures


def test_scenes_are_cached_and_a_larger_split_serves_a_smaller_request(rendering, monkeypatch):
    first = data.load_plates("scenes", sizes=SIZES)
    rendering.clear()
    again = data.load_plates("scenes", sizes={**SIZES, "train": 3})
    assert rendering == []
    assert again["train"]["file_name"] == first["train"]["file_name"][:3]
    assert data.describe(again) == "rendered scenes, seed 1, 3/2/2 pictures"
    monkeypatch.setattr(scenes, "VERSION", "newer")
    data.load_plates("scenes", sizes=SIZES)
    assert len(rendering) == 8  # other pictures, other cache


def test_profile_gives_the_sizes(rendering, monkeypatch):
    monkeypatch.setattr(data, "FAST_SIZES", {"train": 2, "validation": 1, "test": 1})
    monkeypatch.setattr(data, "FULL_SIZES", {"train": 3, "validation": 1, "test": 1})
    assert len(data.load_plates("scenes")["train"]) == 2
    monkeypatch.setenv("PLATES_FAST", "0")
    assert len(data.load_plates("scenes")["train"]) == 3


def test_sizes_that_make_no_sense(rendering):
    for sizes in ({"train": 0}, {"valid": 5}):
        with pytest.raises(PlatesError, match="cannot be rendered"):
            data.load_plates("scenes", sizes=sizes)


def test_a_render_that_fails_leaves_nothing(rendering, monkeypatch, tmp_path):
    def fail(seed, index, size, kind=None):
        if index == 2:
            raise ValueError("no such car")
        return fake_render(seed, index, size)

    with monkeypatch.context() as patch:
        patch.setattr(scenes, "render", fail)
        with pytest.raises(ValueError, match="no such car"):
            data.load_plates("scenes", sizes=SIZES)
    assert not list(tmp_path.glob("scenes-*.arrow")) and not list(tmp_path.glob(".*.arrow"))
    assert len(data.load_plates("scenes", sizes=SIZES)["train"]) == 4


def test_a_cache_that_cannot_be_written(rendering, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setattr(data, "CACHE", tmp_path / "file" / "cache")
    with pytest.raises(PlatesError, match=r"cache: cannot be written"):
        data.load_plates("scenes", sizes=SIZES)


def test_a_worker_that_may_have_no_children_renders_by_itself(rendering, monkeypatch):
    monkeypatch.setattr(rendered, "_WORTH_A_POOL", 1)
    monkeypatch.setattr(rendered.multiprocessing, "current_process", lambda: SimpleNamespace(daemon=True))
    assert [row["image_id"] for row in rendered.rows(3, 10, (64, 48))] == [0, 1, 2]
    assert rendering == [(10, 0), (10, 1), (10, 2)]  # in this very process


SCRIPT = """
import os, sys, time
from pathlib import Path
from lib import data, rendered, scenes
from test_data import fake_render

folder, pause, guarded = Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3] == "guarded"

def render(seed, index, size=(640, 480), kind=None):
    (folder / f"worker-{os.getpid()}").touch()
    time.sleep(pause)
    return fake_render(seed, index, size)

scenes.render, scenes.VERSION, data.CACHE = render, "test", folder / "cache"
rendered._WORTH_A_POOL = 4
data.SCENE_SIZE = (64, 48)
if __name__ == "__main__" or not guarded:
    print(data.load_plates("scenes", sizes={"train": 40, "validation": 1, "test": 1})["train"]["file_name"][-1])
"""


def script(folder: Path, pause: float = 0, guard: str = "guarded") -> subprocess.Popen:
    """A process that loads scenes with a pool; its workers import the script and so render with the fake too."""
    file = folder / "script.py"
    file.write_text(SCRIPT)
    path = os.pathsep.join([str(ROOT), str(Path(__file__).parent)])
    return subprocess.Popen(
        [sys.executable, str(file), str(folder), str(pause), guard],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen) -> str:
    """The last line that the process prints, within a minute."""
    try:
        output, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0, errors
    return output.strip().split("\n")[-1]


def wait_for(condition) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "waited for a minute"
        time.sleep(0.05)


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists() or os.cpu_count() == 1, reason="needs Linux and two cores")
def test_a_killed_render_leaves_nothing_half_written(tmp_path, rendering, monkeypatch):
    process = script(tmp_path, pause=0.2)
    wait_for(lambda: len(list(tmp_path.glob("worker-*"))) >= 2)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not list((tmp_path / "cache").glob("scenes-*.arrow"))
    workers = [int(file.name.partition("-")[2]) for file in tmp_path.glob("worker-*")]
    wait_for(lambda: not any(map(lives, workers)))  # they would wait for their parent for ever
    monkeypatch.setattr(data, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(data, "SCENE_SIZE", (64, 48))
    assert len(data.load_plates("scenes", sizes={"train": 40, "validation": 1, "test": 1})["train"]) == 40
    assert not list((tmp_path / "cache").glob(".*.arrow"))


def test_a_script_without_a_main_guard_still_gets_its_scenes(tmp_path):
    assert finish(script(tmp_path, guard="bare")) == "scene_10_00039.jpg"


def test_real_scenes_are_the_same_from_one_process_or_many(monkeypatch):
    size = (320, 240)
    alone = list(rendered.rows(4, 10, size))
    monkeypatch.setattr(rendered, "_WORTH_A_POOL", 1)
    assert list(rendered.rows(4, 10, size)) == alone
    assert any(row["objects"]["id"] for row in alone)
    for row in alone:
        assert set(row) == set(data.FEATURES) and set(row["objects"]) == set(data.FEATURES["objects"])
        for (x, y, w, h), quad, text in zip(*(row["objects"][k] for k in ("bbox", "corners", "text")), strict=True):
            assert min(x, y) >= 0 and x + w <= size[0] and y + h <= size[1]
            inner = np.clip(np.reshape(quad, (4, 2)), 0, size)
            assert [x, y, x + w, y + h] == pytest.approx([*inner.min(0), *inner.max(0)], abs=1.01) and text
