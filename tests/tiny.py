"""Small pictures whose plates are magenta, a network that learns them in seconds, and COCO folders of both."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset, DatasetInfo
from PIL import Image

from lib.coco import ANNOTATIONS
from lib.data import FEATURES
from lib.pictures import Pictures
from lib.recipes import Recipe

OPTIONS = {"grid": 10, "channels": (4, 4, 8)}
RECIPE = Recipe(options=OPTIONS, epochs=3, batch=4, learning_rate=1e-2, smallest_crop=0.25)


def scene(random: np.random.Generator, width: int = 64, height: int = 48) -> tuple[np.ndarray, list[int]]:
    """Green noise, uint8 (height, width, 3), with one magenta plate, and its box (x, y, w, h) in pixels."""
    rgb = random.integers(60, 120, (height, width, 3), np.uint8)
    rgb[..., 1] += 80
    w, h = width // 2, height // 4
    x, y = int(random.integers(0, width - w)), int(random.integers(height // 2, height - h))
    rgb[y : y + h, x : x + w] = (255, 0, 255)
    return rgb, [x, y, w, h]


def pictures(count: int, seed: int = 0, stored: int = 320) -> Pictures:
    """A split in memory, each picture with one plate."""
    random = np.random.default_rng(seed)
    pixels, boxes = [], []
    for _ in range(count):
        rgb, (x, y, w, h) = scene(random)
        square = Image.fromarray(rgb).resize((stored, stored), Image.Resampling.NEAREST)
        pixels.append(torch.from_numpy(np.array(square)).permute(2, 0, 1))
        boxes.append([[x / 64, y / 48, (x + w) / 64, (y + h) / 48]])
    return Pictures(torch.stack(pixels), torch.tensor(boxes), torch.full((count,), 4 / 3), torch.arange(count))


def coco_split(folder: Path, count: int, seed: int = 0, plates: bool = True, size: tuple[int, int] = (96, 72)) -> Path:
    """One split on disk: PNG pictures of two sources with their annotations, or (``plates`` False) without any."""
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    images, annotations = [], []
    for number in range(count):
        rgb, box = scene(random, *size)
        if not plates:
            rgb[..., 0] = rgb[..., 2] = 60
        Image.fromarray(rgb).save(folder / f"{number}.png")
        source = "here" if number % 2 else "there"
        images.append(
            {"id": number, "file_name": f"{number}.png", "width": size[0], "height": size[1], "source": source}
        )
        annotations.append({"id": number, "image_id": number, "category_id": 7, "bbox": box, "iscrowd": 0})
    coco = {
        "images": images,
        "annotations": annotations if plates else [],
        "categories": [{"id": 7, "name": "License_Plate"}],
    }
    (folder / ANNOTATIONS).write_text(json.dumps(coco))
    return folder


def row(number: int, image: Image.Image, boxes: list[list[float]], **objects: Any) -> dict[str, Any]:
    """A row of `lib.data`: a picture with these boxes; ``objects`` replace what else is known of them."""
    count = len(boxes)
    told = {
        "id": list(range(count)),
        "bbox": boxes,
        "corners": [[]] * count,
        "area": [w * h for _, _, w, h in boxes],
        "iscrowd": [False] * count,
        "text": [""] * count,
        "look": [""] * count,
        "occluded": [-1.0] * count,
        "angle": [-1.0] * count,
        "characters": [[]] * count,
        "chars": [""] * count,
    }
    return {
        "image_id": number,
        "image": image,
        "file_name": f"{number}.png",
        "width": image.width,
        "height": image.height,
        "source": "here",
        "license": "",
        "light": "",
        "kind": "",
        "objects": told | objects,
    }


def split(*rows: dict[str, Any]) -> Dataset:
    """A split of `lib.data` in memory."""
    columns = {key: [one[key] for one in rows] for key in FEATURES}
    return Dataset.from_dict(columns, features=FEATURES, info=DatasetInfo("tiny", features=FEATURES))
