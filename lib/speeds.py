"""Networks side by side: milliseconds a frame on one thread and on several, stages of a photograph, peak memory.

Weights are random, since time does not mind, but for the stages, which are the repository's own. Every network is timed
in turns with the others (`lib.portable.milliseconds`).
"""

import multiprocessing
import re
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.models.detection import ssdlite320_mobilenet_v3_large
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from lib.answers import quantise, runner
from lib.conceal import Concealer
from lib.images import decode, encode
from lib.models import build
from lib.platenet import PlateNet
from lib.portable import Portable, as_portable, milliseconds
from lib.redact import redact
from lib.ultra import installed, untrained

SIDES = (320, 640)


def ssdlite(side: int) -> nn.Module:
    """SSDlite with MobileNetV3, one class beside the background, for squares of ``side``; answers for one picture."""
    model = ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=2, score_thresh=0.9)
    told = model.transform
    model.transform = GeneralizedRCNNTransform(
        side, side, told.image_mean, told.image_std, size_divisible=1, fixed_size=(side, side)
    )
    return model.eval()


def contenders(side: int) -> dict[str, Callable[[], Callable[[], Any]]]:
    """Name to a maker of a call that has a network look at one random square of ``side``.

    PlateNet is timed from pixels to probabilities, the others on float32 pictures; YOLOv5n where ultralytics is there.
    """
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    bytes_, floats = torch.from_numpy(pixels)[None], torch.rand(1, 3, side, side)
    cpu = torch.device("cpu")
    makers: dict[str, Callable[[], Callable[[], Any]]] = {
        "PlateNet, ONNX Runtime, int8": lambda: calling(_int8(pixels), bytes_),
        "PlateNet, ONNX Runtime": lambda: calling(runner(PlateNet().eval(), cpu), bytes_),
        "PlateNet, PyTorch": lambda: calling(runner(PlateNet().eval(), cpu, portable=False), bytes_),
        "SSDlite MobileNetV3, PyTorch": lambda: calling(ssdlite(side), list(floats)),
    }
    if side == 320:  # the paper's network knows no other size
        makers["the paper's, ONNX Runtime"] = lambda: calling(as_portable(build("baseline"), side), floats)
        makers["the paper's, PyTorch"] = lambda: calling(build("baseline").eval(), floats)
    if installed():
        makers["YOLOv5n, ONNX Runtime"] = lambda: calling(as_portable(untrained(), side), floats)
        makers["YOLOv5n, PyTorch"] = lambda: calling(untrained(), floats)
    return makers


def _int8(pixels: np.ndarray) -> nn.Module:
    with TemporaryDirectory() as folder:
        return Portable(quantise(PlateNet().eval(), [pixels], Path(folder) / "int8.onnx", "random"), len(pixels))


def calling(network: nn.Module, given: Tensor | list[Tensor]) -> Callable[[], Any]:
    """``network`` on one picture, without a gradient."""

    def call() -> Any:
        with torch.inference_mode():
            return network(given)

    return call


@contextmanager
def threads(count: int) -> Iterator[None]:
    """PyTorch on ``count`` threads; what is made inside in ONNX Runtime has as many."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def network_times(side: int, count: int, repeats: int = 20) -> dict[str, np.ndarray]:
    """Milliseconds of each contender's call on ``count`` threads, float64 ``(repeats,)`` each, in turns."""
    with threads(count):
        return milliseconds({name: make() for name, make in contenders(side).items()}, repeats)


def stage_times(frame: bytes, count: int, repeats: int = 20) -> dict[str, np.ndarray]:
    """Milliseconds of each stage of concealing an encoded photograph as the repository ships it, and of all of them."""
    with threads(count):
        concealer = Concealer.load()
        picture = decode(frame, "frame")
        background = concealer.probability(picture.rgb)
        mask = concealer.mask_from(background)
        works: dict[str, Callable[[], Any]] = {
            "decode": lambda: decode(frame, "frame"),
            "network": lambda: concealer.probability(picture.rgb),
            "conceal": lambda: redact(picture.pixels, concealer.mask_from(background), "fill"),
            "encode": lambda: encode(picture, redact(picture.pixels, mask, "fill")),
            "all, JPEG to JPEG": lambda: concealer(frame).encode(),
        }
        return milliseconds(works, repeats)


def peak_memory(make: Callable[[], Callable[[], Any]]) -> float:
    """Most memory, MiB, of a process of its own that makes a call and calls it thrice; libraries included.

    Args:
        make: what can be pickled.
    """
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak, (make,))


def contender(name: str, side: int) -> Callable[[], Any]:
    """The call of one of `contenders`."""
    return contenders(side)[name]()


def _peak(make: Callable[[], Callable[[], Any]]) -> float:
    call = make()
    for _ in range(3):
        call()
    status = Path("/proc/self/status")  # getrusage's figure would be the parent's where that is larger
    if status.exists():
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def report(frame: bytes, repeats: int = 20) -> None:
    """Print every time and memory of this module, for an encoded frame."""
    counts = (1, 2)
    for side in SIDES:
        title = f"one picture of {side}x{side}, median ms (10 to 90 %)"
        print(f"\n{title:<52}{'1 thread':<22}{'2 threads':<13}peak MiB")
        taken = [network_times(side, count, repeats) for count in counts]
        for name in taken[0]:
            shown = "   ".join(spread(each[name]) for each in taken)
            print(f"  {name:<36} {shown} {peak_memory(partial(contender, name, side)):10.0f}")
    print(f"\n{'one photograph as shipped, median ms (10 to 90 %)':<52}{'1 thread':<22}2 threads")
    taken = [stage_times(frame, count, repeats) for count in counts]
    for name in taken[0]:
        print(f"  {name:<36} {'   '.join(spread(each[name]) for each in taken)}")
    rates = (1000 / float(np.median(each["all, JPEG to JPEG"])) for each in taken)
    print(f"  {'frames a second':<36} {'   '.join(f'{rate:19.1f}' for rate in rates)}")


def spread(taken: np.ndarray) -> str:
    """Median and 10th to 90th percentile of milliseconds, in 19 characters."""
    low, middle, high = np.quantile(taken, (0.1, 0.5, 0.9))
    return f"{middle:6.1f} ({low:4.1f} to {high:4.1f})"
