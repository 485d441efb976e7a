"""A segmentation network as a function from a photograph to P(background), with what belongs to it."""

import platform
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import nn

from lib.answers import MARK, runner
from lib.checkpoints import HOW_TO_SHIP_WEIGHTS, checked, find_weights, load_checkpoint, read_card
from lib.detectors import KINDS
from lib.second_look import look_again
from lib.settings import ROOT, PlatesError, device
from lib.transforms import fit, to_input


class Segmenter:
    """A segmentation network with its operating point: photograph in, P(background) out.

    Attributes:
        name: what reports call it.
        threshold: pixels with P(background) below it are to be concealed; None where nobody has chosen it.
        growth: by how much of its own height each concealed region is to be grown.
        sure: regions count in which P(background) somewhere falls below it; 1 for all.
        again: whether what may be a plate is looked at once more, closer (`lib.second_look`); for networks of any size.
        file: the weights file, and from it, wherever it lies:
        weights_sha256: the first 12 digits of the file's SHA-256,
        trained_on: the line that names the training data,
        epoch: after which epoch the weights were taken. All four are None without a file.
    """

    file: Path | None = None
    weights_sha256: str | None = None
    trained_on: str | None = None
    epoch: int | None = None

    def __init__(
        self,
        model: nn.Module,
        name: str,
        threshold: float | None = 0.5,
        growth: float = 0.0,
        sure: float = 1.0,
        longest: int | None = None,
        portable: bool = True,
        small: Path | None = None,
        again: bool = False,
    ) -> None:
        self.model = model.eval().to(memory_format=torch.channels_last)
        self.name, self.threshold, self.growth, self.sure = name, threshold, growth, sure
        self.side, self.again = model.side, again
        self.device = next(model.parameters()).device
        if not self.side:
            self.longest = longest or model.longest
            self.answer = runner(model, self.device, portable, small)

    @classmethod
    def load(cls, path: Path | None = None) -> "Segmenter":
        """Load ``path``, or what `find_weights` finds, onto `lib.settings.device`.

        Raises:
            PlatesError: no weights, or not usable ones.
        """
        found = find_weights(path)
        read_card(found)  # what is missing or no checkpoint at all is told as that
        told = checked(found)
        model, card = load_checkpoint(found)
        if "landmarks" in card["model"] or card["model"] in KINDS:
            raise PlatesError(
                f"{found}: holds {card['model']}, which finds boxes or corners and no pixels; "
                "name a segmentation network's weights, or use --method detect without --weights."
            )
        point = card.get("operating_point") or {}
        name = card.get("name", found.stem)
        small = found.with_suffix(".onnx") if found.with_suffix(".onnx").exists() else None
        if small:
            checked(small)
        told_point = (point.get("threshold"), point.get("growth", 0.0), point.get("sure", 1.0))
        made = cls(model.to(device()), name, *told_point, small=small, again=point.get("again", False))
        if small and getattr(made.answer, "notes", {MARK: told}).get(MARK) != told:
            raise PlatesError(f"{small}: was made of other weights than {found.name}; {HOW_TO_SHIP_WEIGHTS}.")
        made.file, made.trained_on, made.epoch = found, card.get("data"), card.get("epoch")
        made.weights_sha256 = told[:12]
        return made

    def say(self) -> str:
        """One line for people: which file (as the repository knows it), its name, and what it was trained on."""
        return told_weights(self)

    @torch.inference_mode()
    def __call__(self, rgb: np.ndarray) -> np.ndarray:
        """P(background), float32 ``(H, W)`` in 0..1, of a photograph, uint8 ``(H, W, 3)`` RGB.

        The full-frame protocol: the whole picture is squashed to the network's square, or, for a network of any
        size, brought to ``longest``; the probabilities are stretched back.
        """
        height, width = rgb.shape[:2]
        if not self.side:
            picture, scale = fit(rgb, self.longest)
            background = cv2.resize(self._quarter(picture), picture.shape[1::-1], interpolation=cv2.INTER_LINEAR)
            background = background[: max(1, round(height * scale)), : max(1, round(width * scale))]
            if self.again:
                background = look_again(rgb, background, self._quarter)
            return cv2.resize(background, (width, height), interpolation=cv2.INTER_LINEAR)
        square = cv2.resize(rgb, (self.side, self.side), interpolation=cv2.INTER_AREA)
        pictures = torch.from_numpy(square).permute(2, 0, 1).unsqueeze(0).to(self.device)
        background = self.model(to_input(pictures)).softmax(1)[0, 0].float().cpu().numpy()
        return cv2.resize(background, (width, height), interpolation=cv2.INTER_LINEAR)

    def _quarter(self, picture: np.ndarray) -> np.ndarray:
        return self.answer(torch.from_numpy(picture)[None].to(self.device))[0].cpu().numpy()


def told_weights(one: Any) -> str:
    """One line for people about what has a `Segmenter`'s ``file``, ``name`` and ``trained_on``."""
    if one.file is None:
        return f"weights: {one.name}, in memory"
    file = one.file.resolve()
    place = file.relative_to(ROOT) if file.is_relative_to(ROOT) else one.file
    epoch = "" if getattr(one, "epoch", None) is None else f"epoch {one.epoch}, "
    return f"weights: {place} ({one.name}, {epoch}trained on {one.trained_on or 'data it does not name'})"


def fast_precision(where: torch.device) -> torch.dtype:
    """bfloat16 where the device computes in it natively, else float32."""
    if where.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    native = where.type == "cpu" and torch.cpu._is_avx512_bf16_supported()  # emulated, bfloat16 is the slower one
    return torch.bfloat16 if native else torch.float32


def describe_device(where: torch.device) -> str:
    """The device as tables name it: the GPU's name, or the processor with its threads."""
    if where.type == "cuda":
        return torch.cuda.get_device_name(where)
    return f"{where.type} ({platform.machine()}, {torch.get_num_threads()} threads)"
