"""Leaks between splits: near-duplicate pictures by difference hash, and shared sources by file name."""

import io
import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
from datasets import Dataset, DatasetDict
from datasets import Image as ImageFeature
from PIL import Image

_ROBOFLOW = re.compile(r"(?P<source>.+)_(?:jpe?g|png|bmp|webp|tiff?)\.rf\.[0-9A-Za-z]+\.\w+", re.IGNORECASE)


class Pair(NamedTuple):
    """Two pictures of different splits, by split and row, and the number of hash bits in which they differ (0..64)."""

    first: tuple[str, int]
    second: tuple[str, int]
    distance: int


def difference_hashes(data: Dataset) -> np.ndarray:
    """8x8 difference hash of each picture, uint64 (N,): is a pixel of the 9x8 grey thumbnail darker than its right one?

    N. Krawetz, "Kind of Like That" (2013). Large JPEGs are decoded at a fraction of their size, which is enough.
    """
    encoded = data.select_columns("image").cast_column("image", ImageFeature(decode=False))

    def one(index: int) -> int:
        value = encoded[index]["image"]
        with Image.open(io.BytesIO(value["bytes"]) if value["bytes"] is not None else value["path"]) as image:
            image.draft("L", (144, 128))
            grey = np.asarray(image.convert("L").resize((9, 8), Image.Resampling.BOX))
        return int.from_bytes(np.packbits(grey[:, :-1] < grey[:, 1:]).tobytes(), "big")

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow lets go of the interpreter while it decodes
        return np.fromiter(pool.map(one, range(len(data))), np.uint64, len(data))


def duplicates(data: DatasetDict, distance: int = 4) -> list[Pair]:
    """All pairs of pictures from two different splits whose hashes differ in at most ``distance`` bits.

    Candidates, to be looked at: pictures of one camera in one place can be that close without showing the same car.
    """
    hashes = {split: difference_hashes(part) for split, part in data.items()}
    return [pair for a, b in combinations(hashes, 2) for pair in _close(a, hashes[a], b, hashes[b], distance)]


def _close(a: str, first: np.ndarray, b: str, second: np.ndarray, distance: int) -> Iterator[Pair]:
    for start in range(0, len(first), 1024):  # 1024 x N distances at a time, not all of them
        bits = np.bitwise_count(first[start : start + 1024, None] ^ second)
        for i, j in np.argwhere(bits <= distance):
            yield Pair((a, start + int(i)), (b, int(j)), int(bits[i, j]))


def source_stem(file_name: str) -> str:
    """The picture that a file was exported from: Roboflow names files ``<source>_<ext>.rf.<hash>.<ext>``."""
    name = file_name.replace("\\", "/").rpartition("/")[2]
    match = _ROBOFLOW.fullmatch(name)
    return match["source"] if match else Path(name).stem


def shared_sources(data: DatasetDict) -> dict[tuple[str, str], set[str]]:
    """For each two splits, the sources (`source_stem`) with pictures in both: 0 of them is a clean cut."""
    stems = {split: {source_stem(name) for name in part["file_name"]} for split, part in data.items()}
    return {(a, b): stems[a] & stems[b] for a, b in combinations(stems, 2)}


def named_share(data: Dataset, word: str = "PlateGen") -> float:
    """Share of pictures (0..1) whose file name holds ``word``, as the rendered plates of the Hub's set do."""
    return sum(word in name for name in data["file_name"]) / max(len(data), 1)
