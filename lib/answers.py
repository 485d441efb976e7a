"""A network of any size from pixels to P(background), as fast as it can be had here; and its int8 form."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import Tensor, nn

from lib.files import atomic
from lib.platenet import STRIDE, PlateNet
from lib.portable import Portable, export, runtime, started
from lib.settings import PlatesError

MARK = "weights_sha256"  # in an int8 file: of which weights it was made


class Answer(nn.Module):
    """`lib.platenet.PlateNet` from the pixels to the probability, so that one library does all of it.

    PyTorch's threads and ONNX Runtime's wait for work by spinning: on two cores each slows the other down.
    """

    def __init__(self, network: PlateNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, picture: Tensor) -> Tensor:
        """P(background), float32 ``(1, H / 4, W / 4)``, of uint8 RGB ``(1, H, W, 3)``, multiples of `STRIDE`."""
        pixels = picture.permute(0, 3, 1, 2).float() / 255
        return (-self.network.coarse(pixels)[:, 0]).sigmoid()


def runner(model: PlateNet, where: torch.device, portable: bool = True, small: Path | None = None) -> nn.Module:
    """`Answer` in ONNX Runtime on a processor, else in PyTorch.

    Where ONNX Runtime is missing or does not start, a warning says so and PyTorch answers.

    Args:
        model: the network, in evaluation mode.
        where: the device.
        portable: False for PyTorch everywhere.
        small: the network's int8 form, as `quantise` writes it; None for float32.
    """
    answer = Answer(model).eval()
    if portable and where.type == "cpu":
        return started(lambda: Portable(small, STRIDE) if small else _as_portable(answer), answer)
    return answer


def _example() -> Tensor:
    return torch.zeros(1, 2 * STRIDE, 2 * STRIDE, 3, dtype=torch.uint8)


def _as_portable(answer: Answer) -> Portable:
    with TemporaryDirectory() as folder:
        return Portable(export(answer, _example(), Path(folder) / "network.onnx", varying=(1, 2)), STRIDE)


def quantise(model: PlateNet, pictures: Iterable[np.ndarray], path: Path, mark: str) -> Path:
    """Write a network's int8 form: convolutions on whole numbers, twice as fast where the processor has the means.

    Weights have 7 bits, one scale a channel: with 8, processors without VNNI overflow and answer otherwise (ONNX
    Runtime's documentation, *Quantize ONNX models*). Activations have 8, their ranges measured on ``pictures``.

    Args:
        pictures: uint8 ``(H, W, 3)``, multiples of `STRIDE`, such as it will meet.
        path: ends in ``.onnx``.
        mark: the SHA-256 of the weights, kept in the file.

    Raises:
        PlatesError: the packages onnx and onnxruntime are not there, or the folder cannot be written to.
    """
    try:
        runtime()
        import onnx
        from onnxruntime import quantization
    except ImportError as error:
        raise PlatesError(f"{error.name} is missing; install the packages of requirements.txt.") from error

    class Pictures(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self.left: Iterator[np.ndarray] = iter(pictures)

        def get_next(self) -> dict[str, np.ndarray] | None:
            rgb = next(self.left, None)
            return None if rgb is None else {"pictures": rgb[None]}

    with TemporaryDirectory() as folder:
        plain, ready, made = (Path(folder) / f"{name}.onnx" for name in ("plain", "ready", "made"))
        export(Answer(model).eval(), _example(), plain, varying=(1, 2))
        quantization.quant_pre_process(plain, ready, skip_symbolic_shape=True)  # batch normalisation into weights
        quantization.quantize_static(
            ready,
            made,
            Pictures(),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=["Conv", "Add", "Relu", "Resize"],
            per_channel=True,
            reduce_range=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
        )
        graph = onnx.load(made)
        onnx.helper.set_model_props(graph, {MARK: mark})
        with atomic(path) as temporary:
            temporary.write_bytes(graph.SerializeToString())
    return path
