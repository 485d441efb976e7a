"""A folder of pictures with one `_annotations.coco.json`, read into rows and checked; `lib.data` makes tables of them.

The layout is that of Roboflow's COCO export (https://cocodataset.org/#format-data, "object detection" and "keypoints").
"""

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lib.files import Entries, entries, read_json, whole
from lib.settings import PlatesError
from lib.upright import probe, turn

ANNOTATIONS = "_annotations.coco.json"
SPLITS = {"train": ("train",), "validation": ("valid", "validation", "val"), "test": ("test",)}  # ours to folder names
# What is known of a plate, a list each; `lib.data.FEATURES` has the types.
OBJECT = ("id", "bbox", "corners", "area", "iscrowd", "text", "look", "occluded", "angle", "characters", "chars")
_PLATE = re.compile(r"plate|licen[cs]e|registration", re.IGNORECASE)


def split_folder(folder: Path, split: str) -> Path:
    """The sub-folder that holds ``split``; ``valid``, ``validation`` and ``val`` are one split.

    Raises:
        PlatesError: there is no such sub-folder.
    """
    names = next((names for ours, names in SPLITS.items() if split == ours or split in names), (split,))
    for name in names:
        if (folder / name).is_dir():
            return folder / name
    raise PlatesError(
        f"{folder}: has no folder {names[0]}/; put that split there, with its pictures and {ANNOTATIONS}."
    )


def read_folder(folder: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """Read one split: rows with the features of `lib.data`, and a sentence for each kind of thing that was mended.

    Boxes are in pixels of the picture as it decodes, that is after its EXIF orientation. Labels were made on the
    stored, unrotated pixels where the JSON's size says so, and where both sizes are alike: those are turned along.

    Raises:
        PlatesError: a picture, an annotation or the JSON itself is missing, damaged or contradicts another.
    """
    file = folder / ANNOTATIONS
    if not file.is_file():
        split = next((each.parent.name for each in sorted(folder.glob(f"*/{ANNOTATIONS}"))), None)
        how = f"name one of its splits (--split {split})" if split else "export the data set in the COCO format"
        raise PlatesError(f"{folder}: holds no {ANNOTATIONS}; {how}.")
    coco = read_json(file)
    if not isinstance(coco, dict) or not isinstance(coco.get("images"), list):
        raise PlatesError(f"{file}: has no list `images`, so it is not COCO; export the data set in the COCO format.")
    images, annotations, licenses = (entries(coco, key, file) for key in ("images", "annotations", "licenses"))
    plate_ids, ignored = _plate_categories(annotations, entries(coco, "categories", file), file)
    named = {entry["id"]: entry.get("name", "") for _, entry in licenses if isinstance(entry.get("id"), int)}
    mended = {
        "box(es) without area dropped": 0,
        "box(es) wholly outside their picture dropped": 0,
        "box(es) clipped to their picture": 0,
        f"annotation(s) that are no plates ignored ({', '.join(ignored)})": 0,
    }
    no_area, gone, clipped, other = mended
    rows: dict[int, dict[str, Any]] = {}
    turns: dict[int, tuple[int, int, int]] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        for where, entry in images:
            key = whole(entry, "id", where)
            if key in rows:
                raise PlatesError(f"{file}: two images have the id {key}; give each its own.")
            rows[key], turns[key] = _picture(key, entry, folder, where, named)

    for where, annotation in annotations:
        key = whole(annotation, "image_id", where)
        if key not in rows:
            raise PlatesError(f"{where} names image {key}, which is not in `images`; remove it or add the image.")
        if whole(annotation, "category_id", where) not in plate_ids:
            mended[other] += 1
            continue
        box, corners, area = _shape(annotation, where)
        box, corners = turn(box, corners, *turns[key])
        x, y, w, h = box
        if w <= 0 or h <= 0:
            mended[no_area] += 1
            continue
        row = rows[key]
        left, top, right, bottom = max(x, 0.0), max(y, 0.0), min(x + w, row["width"]), min(y + h, row["height"])
        if right <= left or bottom <= top:
            mended[gone] += 1
            continue
        outside = max(left - x, top - y, x + w - right, y + h - bottom) > 0.01  # less is rounding to two decimals
        mended[clipped] += outside
        numbered = isinstance(annotation.get("id"), int | float)
        plate = {
            "id": whole(annotation, "id", where) if numbered else len(row["objects"]["id"]),
            "bbox": [left, top, right - left, bottom - top],
            "corners": corners,
            "area": (right - left) * (bottom - top) if outside else area or w * h,
            "iscrowd": bool(annotation.get("iscrowd", 0)),
            "text": _text(annotation.get("text")),
            "look": _text(annotation.get("look")),
            "occluded": -1.0,
            "angle": -1.0,
            "characters": [],
            "chars": "",
        }
        for name, value in plate.items():
            row["objects"][name].append(value)
    return list(rows.values()), [f"{count:,} {what}" for what, count in mended.items() if count]


def _text(value: Any) -> str:
    """As tables hold it: UTF-8, without the lone surrogates that JSON can spell."""
    return str(value or "").encode("utf-8", "replace").decode()


def _plate_categories(annotations: Entries, categories: Entries, file: Path) -> tuple[set[int], list[str]]:
    """Ids of the categories that are plates, by name, and the names of the used ones that are not."""
    used = {whole(annotation, "category_id", where) for where, annotation in annotations}
    names = {whole(category, "id", where): _text(category.get("name")) for where, category in categories}
    for key in used - names.keys():
        raise PlatesError(f"{file}: category_id {key!r} is not in `categories`; add it there with its name.")
    # Roboflow's category 0 is the group of the others, which name it, and has no annotations
    groups = {_text(category.get("supercategory")) for where, category in categories if whole(category, "id", where)}
    group = 0 not in used and names.get(0) in groups
    plates = {key for key, name in names.items() if _PLATE.search(name) and not (key == 0 and group)}
    if not plates and len(used) == 1:
        plates = used  # a single class needs no telling name: it is what the data set is about
    if used and not plates:
        known = ", ".join(sorted(names[key] for key in used))
        raise PlatesError(f"{file}: none of the categories ({known}) is a plate by its name; call that one 'plate'.")
    return plates, sorted(names[key] for key in used - plates)


def _picture(
    key: int, entry: Mapping[str, Any], folder: Path, where: str, licenses: Mapping[int, Any]
) -> tuple[dict[str, Any], tuple[int, int, int]]:
    """One picture's row, still without plates, and how its labels turn: orientation (1: not), stored width, height."""
    name, declared = entry.get("file_name"), (whole(entry, "width", where), whole(entry, "height", where))
    try:
        if not name:
            raise ValueError("empty")
        path = folder / name
        str(path.absolute()).encode()  # tables hold it as UTF-8
        inside, there = path.resolve().is_relative_to(folder.resolve()), path.is_file()
    except (OSError, TypeError, ValueError) as error:  # no text, too long, or with a NUL or a lone surrogate
        raise PlatesError(
            f"{where} has the file_name {name!r:.40}, which no file can have; mend or remove it."
        ) from error
    if not inside:
        raise PlatesError(f"{where} has the file_name {name!r}, which leads out of the folder; name pictures in it.")
    if not there:
        raise PlatesError(f"{path}: is named in {ANNOTATIONS} but is not there; restore it or remove its entry.")
    stored, orientation, encoded = probe(path)
    upright = stored[::-1] if orientation >= 5 else stored
    if declared not in (stored, upright):
        raise PlatesError(
            f"{path}: is {stored[0]}x{stored[1]} pixels but {ANNOTATIONS} says {declared[0]}x{declared[1]}, "
            "so its boxes cannot be placed; export picture and annotations together."
        )
    license_ = entry.get("license", "")
    row = {
        "image_id": key,
        "image": {"path": None if encoded else str(path.absolute()), "bytes": encoded},
        "file_name": name,
        "width": upright[0],
        "height": upright[1],
        "source": _text(entry.get("source")) or "unknown",
        "license": _text(licenses.get(license_) if isinstance(license_, int) else license_),
        "light": _text(entry.get("light")),
        "kind": _text(entry.get("kind")),
        "objects": {name: [] for name in OBJECT},
    }
    return row, (orientation if declared == stored else 1, *stored)


def _shape(annotation: Mapping[str, Any], where: str) -> tuple[list[float], list[float], float]:
    """The box (x, y, w, h), the eight coordinates of four visible key points if there are such, the area or 0."""
    try:
        box, area = [float(value) for value in annotation["bbox"]], float(annotation.get("area") or 0)
        points = np.array(annotation.get("keypoints") or [], float)
    except (KeyError, TypeError, ValueError, OverflowError):
        box, area, points = [], 0.0, np.empty(0)
    # NaN compares false; far beyond any picture lie numbers that 32 bits do not hold
    if len(box) != 4 or not all(abs(value) < 1e9 for value in (*box, area, *points.flat)):
        raise PlatesError(f"{where} has no bbox of four numbers, or no usable area or keypoints; mend or remove it.")
    if points.size != 12 or not (points.reshape(4, 3)[:, 2] > 0).all():
        return box, [], area
    return box, points.reshape(4, 3)[:, :2].ravel().tolist(), area
