"""Pictures and boxes in the layout that YOLO reads: a folder of pictures, and a text file of boxes for each."""

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import torch
from datasets import Dataset, Image

from lib.boxes import shrink
from lib.data import plates_of
from lib.settings import PlatesError
from lib.yolo_recipes import YoloRecipe


def draw(split: Dataset, wanted: YoloRecipe) -> Dataset:
    """The training pictures of a recipe: of those that `Pictures.sample` draws for our networks, whole batches.

    Raises:
        PlatesError: they are fewer than a batch.
    """
    count = min(wanted.pictures or len(split), len(split)) // wanted.batch * wanted.batch
    if count == 0:
        raise PlatesError(f"{len(split)} training pictures make no batch of {wanted.batch}; give more, or batch=1.")
    lots = torch.randperm(len(split), generator=torch.Generator().manual_seed(wanted.seed))
    return split.select(lots[:count].sort().values.tolist())


def fingerprint(split: Dataset) -> str:
    """Sixteen characters that tell these pictures and boxes from others."""
    told = hashlib.sha256()
    for row in split.cast_column("image", Image(decode=False)):
        told.update(row["image"]["bytes"] or Path(row["image"]["path"]).read_bytes())
        told.update(json.dumps([row["objects"]["bbox"], row["objects"]["iscrowd"]]).encode())
    return told.hexdigest()[:16]


def write_split(split: Dataset, folder: Path, side: int) -> None:
    """A split as ultralytics reads it: JPEGs of at most ``side`` pixels, and a text file of relative boxes for each."""
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True, exist_ok=True)

    def write(number: int) -> None:
        row = split[number]
        rgb, _ = shrink(np.asarray(row["image"].convert("RGB")), side)  # as in use: `lib.boxes.letterbox`
        cv2.imwrite(str(folder / "images" / f"{number:06}.jpg"), rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
        lines = []
        for x, y, w, h in (truth.bbox for truth in plates_of(row) if not truth.iscrowd):
            across, down = (x + w / 2) / row["width"], (y + h / 2) / row["height"]
            lines.append(f"0 {across:.6f} {down:.6f} {w / row['width']:.6f} {h / row['height']:.6f}\n")
        (folder / "labels" / f"{number:06}.txt").write_text("".join(lines))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(write, range(len(split))))
