"""Speeds side by side, in one run on one machine, on rendered scenes."""

import io
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import datasets
import torch
from PIL import Image
from torchvision.transforms import v2

from lib import speeds
from lib.conceal import Concealer
from lib.data import load_plates
from lib.engine import describe_device
from lib.pictures import Pictures
from lib.recipes import recipe
from lib.reels import write_film
from lib.scenes import clip
from lib.settings import device
from lib.trainer import Trainer
from lib.transforms import AUGMENTATIONS, SIDE, Augment, batches, to_input
from lib.video import conceal_video

BATCH = 32


def rate(work: Callable[[], int], seconds: float = 4.0) -> float:
    """Pictures a second of ``work``, which handles some and says how many; one call warms up."""
    work()
    started, done = time.monotonic(), 0
    while time.monotonic() - started < seconds:
        done += work()
    return done / (time.monotonic() - started)


def decode_each(split: datasets.Dataset) -> Callable[[], int]:
    """The usual way, and the authors': decode, crop and scale every picture whenever it is wanted."""
    to_float = v2.Compose([v2.ToImage(), v2.RandomResizedCrop(SIDE), v2.ToDtype(torch.float32, scale=True)])
    encoded = split.cast_column("image", datasets.Image(decode=False))[: 4 * BATCH]["image"]

    def work() -> int:
        for start in range(0, len(encoded), BATCH):
            opened = (Image.open(io.BytesIO(each["bytes"])) for each in encoded[start : start + BATCH])
            torch.stack([to_float(picture.convert("RGB")) for picture in opened])
        return len(encoded)

    return work


def feed(pictures: Pictures, names: tuple[str, ...]) -> Callable[[], int]:
    """Our way: pictures decoded once, cropped as uint8 tensors, whole batches with their masks."""
    augment = Augment(names)

    def work() -> int:
        done = 0
        for index, seeds in batches(len(pictures), BATCH, seed=0, epoch=0):
            pixels, _masks, _boxes = augment(pictures, index, seeds)
            done += len(to_input(pixels))
        return done

    return work


def train_steps(pictures: Pictures, preset: str) -> Callable[[], int]:
    """Whole optimiser steps of the baseline, feeding included."""
    trainer = Trainer(recipe(preset, batch=BATCH), pictures, pictures.sample(BATCH, seed=0))

    def work() -> int:
        done = 0
        for pixels, masks in trainer.batches():
            trainer.take_step(pixels, masks)
            done += len(pixels)
        return done

    return work


def films(
    folder: Path, concealer: Concealer, size: tuple[int, int] = (1280, 720), count: int = 48
) -> Callable[[], int]:
    """A rendered clip in ``folder`` as a file, concealed as a film is: decoded, looked at, remembered and encoded."""
    source = folder / "clip.mp4"
    write_film(source, (one.image for one in clip(seed=3, index=0, frames=count, size=size)))
    return lambda: conceal_video(source, folder / "concealed.mp4", concealer, progress=False).frames


def main() -> None:
    """Print every figure with the machine it was measured on."""
    split = load_plates("scenes", sizes={"train": 8 * BATCH, "validation": BATCH, "test": BATCH})["train"]
    pictures = Pictures.from_dataset(split)
    print(f"{describe_device(device())}, torch {torch.__version__}, rendered scenes of 640x480\n")
    print(f"feeding {SIDE}x{SIDE} pictures alone                 pictures/s")
    print(f"  decode and transform each, crop            {rate(decode_each(split)):8.0f}")
    on_device = pictures.to(device())
    for names in ((), *((name,) for name in AUGMENTATIONS)):
        print(f"  decoded once, {' + '.join(('crop', *names)):<28} {rate(feed(on_device, names)):8.0f}")
    print("training the baseline, feeding included")
    for preset in ("fast", "steps"):
        grid = recipe(preset).options.get("grid", SIDE)
        print(f"  {preset + f' ({grid}x{grid} predictions)':<42} {rate(train_steps(pictures, preset), 8.0):8.1f}")
    speeds.report(split.cast_column("image", datasets.Image(decode=False))[0]["image"]["bytes"])
    with TemporaryDirectory() as folder:
        made = rate(films(Path(folder), Concealer.load()), 8.0)
    print(f"\na film of 1280x720, H.264 in and out              frames/s\n  all cores{made:45.1f}")
