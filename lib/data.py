"""One call, one `datasets.DatasetDict`: from the Hub, a folder in the COCO layout or the rendered scenes."""

import warnings
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, DatasetDict, DatasetInfo, Features, Image, List, Value
from datasets.arrow_writer import ArrowWriter

from lib import hub, rendered, scenes
from lib.coco import ANNOTATIONS, SPLITS, read_folder, split_folder
from lib.files import atomic, locked
from lib.regions import PlateTruth, rasterise
from lib.settings import CACHE, HUB_DATASET, PlatesError, parse_data, settings

SEED = 1  # of the rendered scenes; each split has its own seed made from it
SCENE_SIZE = (640, 480)
FAST_SIZES = {"train": 800, "validation": 160, "test": 160}
FULL_SIZES = {"train": 4000, "validation": 640, "test": 800}
FEATURES = Features(
    {
        "image_id": Value("int64"),
        "image": Image(mode="RGB"),  # grey, CMYK, palette and transparent pictures decode to RGB too, upright
        "file_name": Value("string"),
        "width": Value("int32"),
        "height": Value("int32"),
        "source": Value("string"),
        "license": Value("string"),
        "light": Value("string"),
        "kind": Value("string"),
        "objects": {
            "id": List(Value("int64")),
            "bbox": List(List(Value("float32"), length=4)),
            "corners": List(List(Value("float32"))),
            "area": List(Value("float32")),
            "iscrowd": List(Value("bool")),
            "text": List(Value("string")),
            "look": List(Value("string")),
            "occluded": List(Value("float32")),
            "angle": List(Value("float32")),
            "characters": List(List(List(Value("float32")))),
            "chars": List(Value("string")),
        },
    }
)


def load_plates(source: str | Path | None = None, *, sizes: Mapping[str, int] | None = None) -> DatasetDict:
    """Load the plates as ``train``, ``validation`` and ``test``, whatever their origin, with `FEATURES`.

    Boxes are (x, y, w, h) and corners x, y of top left, top right, bottom right, bottom left in the plate's reading
    order, all in pixels of the decoded picture. Unknown is ``''``, an empty list, or -1 for ``occluded`` (share 0..1)
    and ``angle`` (degrees).

    Args:
        source: ``"hub"``, ``"scenes"`` or a folder in the COCO layout; None asks `settings`, and where that leaves it
            open the Hub is meant, with the scenes as its stand-in when it cannot be reached.
        sizes: pictures per split to render, for the scenes only; a split not named keeps the profile's size.

    Raises:
        PlatesError: the data named cannot be had, or is not what it should be.
    """
    wanted = settings().data if source is None else parse_data(str(source))
    if wanted == "scenes":
        return _scenes(sizes, "")
    if wanted in ("hub", None):
        try:
            folder = hub.fetch(CACHE)
        except hub.HubUnreachable as error:
            if wanted == "hub":
                raise
            warnings.warn(f"RENDERED SCENES INSTEAD OF PHOTOGRAPHS: {error}", stacklevel=2)
            return _scenes(sizes, " (the Hub could not be reached)")
        return DatasetDict({split: _hub_split(folder, split) for split in SPLITS})
    if (wanted / ANNOTATIONS).is_file():
        raise PlatesError(
            f"{wanted}: is a single split; name the folder above it, which holds train/, valid/ and test/."
        )
    return DatasetDict({split: load_folder(wanted, split) for split in SPLITS})


def load_folder(folder: str | Path, split: str | None = None) -> Dataset:
    """Load one split of a folder in the COCO layout; without ``split``, ``folder`` itself holds the annotation file.

    Boxes without area are dropped, boxes that leave their picture clipped; both are counted in a warning and in
    `summary`. Pictures are read from their files when a row is used, so the folder has to stay.

    Raises:
        PlatesError: the folder, a picture or an annotation is missing or damaged.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise PlatesError(f"{folder}: is no folder; name one in the COCO layout.")
    rows, notes = read_folder(split_folder(folder, split) if split else folder)
    return _table(rows, f"COCO folder {folder.resolve().name}", notes, folder / (split or ""))


def _hub_split(folder: Path, split: str) -> Dataset:
    rows, notes = read_folder(split_folder(folder, split))
    for row in rows:
        # The export names no sources, but PlateGen's rendered plates can be told by their file names.
        row["source"] = "PlateGen" if "PlateGen" in row["file_name"] else "photographs"
        row["license"] = "CC BY 4.0"
    return _table(rows, f"Hugging Face Hub {HUB_DATASET}", notes, f"{HUB_DATASET} {split}")


def _table(rows: list[dict[str, Any]], name: str, notes: list[str], place: object) -> Dataset:
    if notes:
        warnings.warn(f"{place}: {', '.join(notes)}.", stacklevel=3)
    columns = {key: [row[key] for row in rows] for key in FEATURES}
    # The first line names the data in tables; what was mended follows it and shows in `summary`.
    return Dataset.from_dict(columns, features=FEATURES, info=DatasetInfo("\n".join([name, *notes]), features=FEATURES))


def _scenes(sizes: Mapping[str, int] | None, remark: str) -> DatasetDict:
    rendered.refuse_recursion()  # before the lock, which the parent holds
    counts = (FAST_SIZES if settings().fast else FULL_SIZES) | dict(sizes or {})
    for split, count in counts.items():
        if split not in SPLITS or count < 1:
            raise PlatesError(
                f"sizes: {split}={count} cannot be rendered; name {', '.join(SPLITS)}, each with 1 or more."
            )
    found = DatasetDict()
    for number, split in enumerate(SPLITS):
        found[split] = _rendered_split(split, 10 * SEED + number, counts[split])
        found[split].info.description = f"rendered scenes, seed {SEED}{remark}"
    return found


def _rendered_split(split: str, seed: int, count: int) -> Dataset:
    """The first ``count`` scenes of a split, from the cache (a larger file serves too) or else rendered and kept."""
    key = f"scenes-v{scenes.VERSION}-{split}-seed{seed}-{SCENE_SIZE[0]}x{SCENE_SIZE[1]}"
    with locked(CACHE / f".{key}.lock"):  # processes of one run wait for the first instead of rendering too
        kept = sorted(int(file.stem.rpartition("-")[2]) for file in CACHE.glob(f"{key}-*.arrow"))
        enough = next((n for n in kept if n >= count), None)
        if enough is None:
            for stale in CACHE.glob(f".{key}-*.part.arrow"):
                stale.unlink()  # of a run that was killed
            with atomic(CACHE / f"{key}-{count}.arrow") as temporary:
                writer = ArrowWriter(path=str(temporary), features=FEATURES, writer_batch_size=100)
                for row in rendered.rows(count, seed, SCENE_SIZE):
                    writer.write(row)
                writer.finalize()
                writer.stream.close()
            enough = count
    table = Dataset.from_file(str(CACHE / f"{key}-{enough}.arrow"))
    return table if enough == count else table.select(range(count))


def describe(data: Dataset | DatasetDict) -> str:
    """Name the data in one line, as tables and figures do: ``"rendered scenes, seed 1, 800/160/160 pictures"``."""
    splits = list(data.values()) if isinstance(data, dict) else [data]
    name = (splits[0].info.description or "unnamed data").split("\n")[0]
    return f"{name}, {'/'.join(f'{len(split):,}' for split in splits)} pictures"


def plates_of(row: Mapping[str, Any]) -> list[PlateTruth]:
    """One row's plates as `lib.metrics` takes them, in pixels of the decoded picture; unknown corners are None."""
    objects = row["objects"]
    return [
        PlateTruth(
            bbox=tuple(float(value) for value in box),
            corners=np.array(corners, np.float32).reshape(4, 2) if len(corners) else None,
            characters=tuple(np.array(quad, np.float32).reshape(4, 2) for quad in characters),
            iscrowd=bool(crowd),
        )
        for box, corners, characters, crowd in zip(
            objects["bbox"], objects["corners"], objects["characters"], objects["iscrowd"], strict=True
        )
    ]


def mask_of(row: Mapping[str, Any], corners: bool = False) -> np.ndarray:
    """Which pixels are plate, by the rule of `lib.regions` (its centre lies inside): bool (height, width).

    Args:
        corners: draw the quadrilateral where it is known, instead of the box (the paper's masks, section 3).
            Regions to ignore (``iscrowd``) are not plates.
    """
    mask = np.zeros((row["height"], row["width"]), bool)
    for plate in plates_of(row):
        region = None if plate.iscrowd else rasterise(plate.outline if corners else plate.box, mask.shape)
        if region is not None:
            mask[region.window] |= region.inside
    return mask


def summary(data: DatasetDict) -> list[dict[str, Any]]:
    """Counts per split: pictures, plates, plates with corners, pictures without a plate, pictures per source, notes."""
    table = []
    for split, part in data.items():
        plain = part.select_columns(["source", "objects"])
        corners = [row["corners"] for row in plain["objects"]]
        table.append(
            {
                "split": split,
                "pictures": len(part),
                "plates": sum(map(len, corners)),
                "with_corners": sum(len(quad) > 0 for plates in corners for quad in plates),
                "without_plates": sum(not plates for plates in corners),
                "sources": dict(Counter(plain["source"]).most_common()),
                "notes": (part.info.description or "").split("\n")[1:],
            }
        )
    return table
