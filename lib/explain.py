"""Saliency of a segmentation model: which pixels of a picture move the logits of its plates (captum).

One number is explained: the plate evidence, the sum over the pixels of a fixed mask (the true boxes) of the plate's
logit minus the background's. Logits and not probabilities, since a softmax near 0 or 1 has no gradient left; a fixed
mask, since a predicted one may be empty and moves with the picture.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lib import processes
from lib.settings import PlatesError
from lib.transforms import to_input

STEPS = 16  # of Integrated Gradients: these small networks then miss their evidence by well under a tenth
BATCH = 8  # pictures at a time: activations and gradients of more cost memory and win no time


class PlateEvidence(nn.Module):
    """``model`` with one number a picture: plate logit minus background logit, summed inside a mask.

    Shape: pictures ``(B, 3, S, S)`` float and masks ``(B, S, S)`` bool to ``(B,)``.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pictures: Tensor, masks: Tensor) -> Tensor:
        """The evidence ``(B,)``; 0 where a mask is empty."""
        logits = self.model(pictures)
        return ((logits[:, 1] - logits[:, 0]) * masks).sum((1, 2))


class Integrated(NamedTuple):
    """What `integrated_gradients` gives.

    Attributes:
        maps: float32 ``(N, S, S)``, each pixel's signed share of ``moved``, its three colours summed.
        moved: float32 ``(N,)``, evidence of the picture minus evidence of its baseline.
        delta: float32 ``(N,)``, the maps' sum minus ``moved``: what the sum of finitely many steps gets wrong.
    """

    maps: Tensor
    moved: Tensor
    delta: Tensor


# Where Integrated Gradients starts from: pictures (B, 3, S, S), float in 0..1, to others of the same shape.
BASELINES: dict[str, Callable[[Tensor], Tensor]] = {
    "mid-grey": lambda pictures: torch.full_like(pictures, 0.45),  # what the network itself takes for 0
    "black": torch.zeros_like,
    "own mean colour": lambda pictures: pictures.mean((2, 3), keepdim=True).expand_as(pictures).clone(),
    "white": torch.ones_like,
}


def saliency(model: nn.Module, pixels: Tensor, masks: Tensor, batch: int = BATCH) -> Tensor:
    """The gradient's size at each pixel (Simonyan et al. 2014), the paper's maps: the largest of its three colours.

    Args:
        pixels: uint8 ``(N, 3, S, S)``.
        masks: bool ``(N, S, S)``, whose logits are summed.
        batch: pictures at a time; the maps do not depend on it.

    Returns:
        float32 ``(N, S, S)`` of at least 0, on the processor.
    """
    return _slopes(model, pixels, masks, batch, lambda slope: slope.abs().amax(1))


def gradients(model: nn.Module, pixels: Tensor, masks: Tensor, batch: int = BATCH) -> Tensor:
    """The evidence's gradient itself, signed, float32 ``(N, 3, S, S)``; arguments as for `saliency`."""
    return _slopes(model, pixels, masks, batch, lambda slope: slope)


def _slopes(model: nn.Module, pixels: Tensor, masks: Tensor, batch: int, reduce: Callable[[Tensor], Tensor]) -> Tensor:
    from captum.attr import Saliency

    method = Saliency(PlateEvidence(model.eval()))

    def attribute(inputs: Tensor, mask: Tensor) -> Tensor:
        return reduce(method.attribute(inputs.requires_grad_(), abs=False, additional_forward_args=(mask,)))

    return _gather(model, pixels, masks, batch, attribute)


def integrated_gradients(
    model: nn.Module,
    pixels: Tensor,
    masks: Tensor,
    baseline: str | Tensor = "mid-grey",
    steps: int = STEPS,
) -> Integrated:
    """Integrated Gradients (Sundararajan et al. 2017) along the straight line from a baseline to the picture.

    Complete: but for ``delta`` the map sums to what the picture's evidence exceeds the baseline's by. What the map
    shows therefore depends on the baseline; pixels that equal it get exactly 0.

    Args:
        pixels, masks: as for `saliency`.
        baseline: a name of `BASELINES`, or pictures to start from, uint8 ``(N, 3, S, S)``.
        steps: points of the line whose gradients are averaged (Gauss-Legendre quadrature).

    Raises:
        PlatesError: no baseline has that name, or ``steps`` is not 1 or more.
    """
    from captum.attr import IntegratedGradients

    if isinstance(baseline, str) and baseline not in BASELINES:
        raise PlatesError(f"baseline {baseline!r} is unknown; choose one of {', '.join(BASELINES)}.")
    if steps < 1:
        raise PlatesError(f"steps={steps} averages no gradient; give 1 or more.")
    evidence = PlateEvidence(model.eval())
    method, batch = IntegratedGradients(evidence), max(1, 4 * BATCH // steps)
    starts = baseline.split(batch) if isinstance(baseline, Tensor) else None
    maps, moved, delta = [], [], []
    for number, (inputs, mask) in enumerate(_batches(model, pixels, masks, batch)):
        start = BASELINES[baseline](inputs) if starts is None else to_input(starts[number].to(inputs.device))
        told, error = method.attribute(
            inputs, start, additional_forward_args=(mask,), n_steps=steps, return_convergence_delta=True
        )
        maps.append(told.detach().sum(1).float().cpu())
        delta.append(error.detach().float().cpu())
        with torch.no_grad():
            moved.append((evidence(inputs, mask) - evidence(start, mask)).float().cpu())
    return Integrated(torch.cat(maps), torch.cat(moved), torch.cat(delta))


def convolutions(model: nn.Module) -> list[nn.Conv2d]:
    """The convolutions of a `lib.models.SegmentationCNN`, first to last.

    Raises:
        PlatesError: the model has none in ``features``, so there is no layer for `grad_cam`.
    """
    found = [layer for layer in getattr(model, "features", nn.Module()).modules() if isinstance(layer, nn.Conv2d)]
    if not found:
        raise PlatesError(f"{type(model).__name__} has no convolutions in `features`; explain a network of lib.models.")
    return found


def grad_cam(model: nn.Module, pixels: Tensor, masks: Tensor, layer: int = -1, batch: int = BATCH) -> Tensor:
    """Grad-CAM (Selvaraju et al. 2017) of one convolution: its channels, weighted by their mean gradients, above 0.

    Args:
        pixels, masks, batch: as for `saliency`.
        layer: index into `convolutions`; the last is the usual choice.

    Returns:
        float32 ``(N, S, S)`` of at least 0: the layer's few cells, stretched bilinearly over the picture.
    """
    from captum.attr import LayerGradCam

    side = pixels.shape[-1]
    method = LayerGradCam(PlateEvidence(model.eval()), convolutions(model)[layer])

    def attribute(inputs: Tensor, mask: Tensor) -> Tensor:
        cells = method.attribute(inputs, additional_forward_args=(mask,), relu_attributions=True)
        return F.interpolate(cells, size=(side, side), mode="bilinear", align_corners=False)

    return _gather(model, pixels, masks, batch, attribute)[:, 0]


# The three methods that the course compares, each from a model, pictures and masks to maps (N, S, S).
EXPLAINERS: dict[str, Callable[[nn.Module, Tensor, Tensor], Tensor]] = {
    "Saliency": saliency,
    "Integrated Gradients": lambda model, pixels, masks: integrated_gradients(model, pixels, masks).maps,
    "Grad-CAM": grad_cam,
}


def explain(model: nn.Module, pixels: Tensor, masks: Tensor) -> dict[str, Tensor]:
    """The maps of every method of `EXPLAINERS`, by its name."""
    return {name: method(model, pixels, masks) for name, method in EXPLAINERS.items()}


def receptive_fields(model: nn.Module) -> list[dict[str, Any]]:
    """How much of the picture each convolution and pooling of the encoder sees, worked out from its geometry.

    Returns:
        A dictionary for each layer: ``layer``; ``cells``, the side of its output; ``used``, how many of these the
        next layers look at (a stride may leave the last ones over); ``sees``, the side in pixels of the square behind
        one cell; ``step``, the pixels from one cell to the next.
    """
    rows, cells, sees, step = [], model.side, 1, 1
    layers = [layer for layer in model.features if isinstance(layer, nn.Conv2d | nn.MaxPool2d)]
    for layer in layers:
        kernel, stride = _side(layer.kernel_size), _side(layer.stride)
        cells = (cells - kernel) // stride + 1
        sees, step = sees + (kernel - 1) * step, step * stride
        name = "convolution" if isinstance(layer, nn.Conv2d) else "pooling"
        rows.append({"layer": f"{name} {kernel}x{kernel}, stride {stride}", "cells": cells, "sees": sees, "step": step})
    used = cells
    for row, layer in zip(reversed(rows), reversed(layers), strict=True):
        row["used"] = used
        used = (used - 1) * _side(layer.stride) + _side(layer.kernel_size)
    return rows


def seen_side(model: nn.Module) -> int:
    """Side in pixels of the square, from the top left, that the encoder looks at: beyond it a map is 0 everywhere."""
    last = receptive_fields(model)[-1]
    return (last["used"] - 1) * last["step"] + last["sees"]


def _side(size: int | tuple[int, ...]) -> int:
    return size if isinstance(size, int) else size[0]


def _batches(model: nn.Module, pixels: Tensor, masks: Tensor, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
    processes.keep_memory()  # activations come and go by the hundred megabytes
    where = next(model.parameters()).device
    for some, mask in zip(pixels.split(batch), masks.split(batch), strict=True):
        yield to_input(some.to(where)), mask.to(where)


def _gather(
    model: nn.Module, pixels: Tensor, masks: Tensor, batch: int, attribute: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    return torch.cat([attribute(*both).detach().float().cpu() for both in _batches(model, pixels, masks, batch)])
