"""A network as an ONNX file run by ONNX Runtime, in the place of the PyTorch one; and times of both in one run."""

import os
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lib.files import atomic
from lib.settings import PlatesError

REST = 0.03  # seconds: the threads of PyTorch and of ONNX Runtime stop spinning before


def runtime() -> ModuleType:
    """ONNX Runtime, kept from reporting its use to its makers: its official builds do, unless told before they load.

    They would also leave an identifier of the machine in the user's cache folder (its Privacy.md, 1.31).
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    return onnxruntime


class Portable(nn.Module):
    """A network that ONNX Runtime runs on the processor, called like the PyTorch network it was made from.

    Args:
        path: an ONNX file with one input and one output, as `export` writes.
        side: pixels of the square that it takes.
        threads: of ONNX Runtime; None for as many as PyTorch has.

    Raises:
        PlatesError: the file is missing, or ONNX Runtime cannot use it.
    """

    def __init__(self, path: Path, side: int, threads: int | None = None) -> None:
        super().__init__()
        self.side = side
        self.device_mark = nn.Parameter(torch.empty(0), requires_grad=False)  # for those who ask where a network is
        onnxruntime = runtime()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or torch.get_num_threads()
        # threads that wait by spinning take the cores from whatever else is at work: a film took twice as long
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3  # errors
        try:
            self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its exceptions are of no public class
            raise PlatesError(f"{path}: ONNX Runtime cannot load it ({error}); export it again.") from error
        self.given = self.session.get_inputs()[0].name
        self.notes: dict[str, str] = self.session.get_modelmeta().custom_metadata_map

    def forward(self, x: Tensor) -> Tensor:
        """The network's answer to a batch of one, of the type that it was exported with."""
        return torch.from_numpy(self.session.run(None, {self.given: np.ascontiguousarray(x.numpy())})[0])


def started(make: Callable[[], Portable], otherwise: nn.Module) -> nn.Module:
    """What ``make`` makes; where ONNX Runtime is missing or does not start, a warning says so and PyTorch answers."""
    try:
        return make()
    except (ImportError, OSError, RuntimeError, PlatesError) as error:
        told = " ".join(str(error).split())
        warnings.warn(
            f"ONNX Runtime cannot be used ({told}); PyTorch takes its place, slower. "
            "Install the packages of requirements.txt to mend it.",
            stacklevel=4,
        )
        return otherwise


def export(network: nn.Module, example: Tensor, path: Path, varying: Sequence[int] = ()) -> Path:
    """Write ``network``, which takes what ``example`` is one of, as an ONNX file; returns its path.

    The network is left as it was, on its device and in its mode. The axes ``varying`` may have other lengths later.

    Raises:
        PlatesError: the folder cannot be written to.
    """
    where, training = next(network.parameters()).device, network.training
    try:
        with warnings.catch_warnings(), atomic(path) as temporary:
            warnings.simplefilter("ignore")  # the tracing exporter, which needs no further package, calls itself old
            torch.onnx.export(
                network.eval().cpu(),
                (example,),
                str(temporary),
                dynamo=False,
                opset_version=17,
                input_names=["pictures"],
                dynamic_axes={"pictures": {axis: f"axis {axis}" for axis in varying}} if varying else None,
            )
    finally:
        network.to(where).train(training)
    return path


def as_portable(network: nn.Module, side: int, varying: Sequence[int] = ()) -> Portable:
    """``network``, which takes float32 ``(1, 3, side, side)``, in ONNX Runtime; the axes ``varying`` may be longer.

    By way of a file that is gone afterwards (the paper's takes 430 MB).
    """
    with TemporaryDirectory() as folder:
        return Portable(export(network, torch.zeros(1, 3, side, side), Path(folder) / "network.onnx", varying), side)


def milliseconds(works: Mapping[str, Callable[[], Any]], repeats: int = 20) -> dict[str, np.ndarray]:
    """How long each of ``works`` takes, in turns, so that a busy moment of the machine meets all of them.

    Every timed call comes after a rest and an untimed one of the same work: the threads of the library before it spin
    for a while, and on two cores that made ONNX Runtime after PyTorch twice as slow as by itself.

    Args:
        works: what to call by name; two turns pass untimed, since networks warm up.
        repeats: timed calls of each.

    Returns:
        Name to milliseconds of each call, float64 ``(repeats,)``.
    """
    taken: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(-2, repeats):
        for name, work in works.items():
            time.sleep(REST)
            work()
            start = time.perf_counter()
            work()
            if turn >= 0:
                taken[name].append(1000 * (time.perf_counter() - start))
    return {name: np.array(times) for name, times in taken.items()}
