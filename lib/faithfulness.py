"""Whether saliency maps are about the model: random weights, deletion and insertion, rank correlation."""

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lib.explain import explain, seen_side
from lib.transforms import to_input

CELL = 8  # pixels; single pixels taken away at random are a noise that no network was trained on
FRACTIONS = np.linspace(0, 1, 13) ** 2  # dense at first, where most happens
MID_GREY = 115  # of 255: what the networks of lib.models take for 0


def cascade(model: nn.Module, seed: int) -> Iterator[tuple[str, nn.Module]]:
    """The network with ever more of its layers' weights drawn anew, from the last down (Adebayo et al. 2018).

    Weights are drawn as before training (Xavier uniform, biases 0). One copy is altered in place: use each network
    before asking for the next.

    Yields:
        ``"trained"`` and the network as it is, then for each layer its name and the network random from there on.
    """
    copy = deepcopy(model).eval()
    yield "trained", copy
    draw = torch.Generator().manual_seed(seed)
    layers = [layer for layer in copy.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    names, counts = [], {"convolution": 0, "linear": 0}
    for layer in layers:
        kind = "convolution" if isinstance(layer, nn.Conv2d) else "linear"
        counts[kind] += 1
        names.append(f"{kind} {counts[kind]}")
    for name, layer in zip(reversed(names), reversed(layers), strict=True):
        with torch.no_grad():
            layer.weight.copy_(nn.init.xavier_uniform_(torch.empty(layer.weight.shape), generator=draw))
            if layer.bias is not None:
                layer.bias.zero_()
        yield name, copy


def random_twin(model: nn.Module, seed: int) -> nn.Module:
    """The same network with all its weights as before a training."""
    *_, (_, network) = cascade(model, seed)
    return network


def randomisation(
    model: nn.Module, pixels: Tensor, masks: Tensor, seed: int
) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, Tensor]]:
    """How much of each method's map is left as ever more layers are random: rank correlations with the trained map.

    Args:
        pixels, masks: as for `lib.explain.saliency`.
        seed: of the random weights.

    Returns:
        Method to layer (as `cascade` names it) to a correlation for each picture; and the trained network's maps.
    """
    seen, curves, trained = seen_side(model), {}, {}
    for layer, network in cascade(model, seed):
        maps = explain(network, pixels, masks)
        trained = trained or maps
        for name, one in maps.items():
            curves.setdefault(name, {})[layer] = rank_correlation(one, trained[name], seen)
    return curves, trained


def ranks(values: Tensor) -> Tensor:
    """Ranks from 0 within each row of ``(N, K)``, float64; equal values share their mean rank."""
    made = []
    for row in values.double().numpy():
        _, place, counts = np.unique(row, return_inverse=True, return_counts=True)
        made.append((np.cumsum(counts) - (counts + 1) / 2)[place])
    return torch.from_numpy(np.stack(made))


def rank_correlation(maps: Tensor, others: Tensor, seen: int) -> np.ndarray:
    """Spearman's correlation of the absolute values of two maps of each picture, pixel by pixel.

    Args:
        maps, others: ``(N, S, S)``.
        seen: side of the square that the network sees; beyond it both are 0, which would pass for agreement.

    Returns:
        float64 ``(N,)`` in -1..1; NaN where a map is constant.
    """
    both = [ranks(one[:, :seen, :seen].abs().flatten(1)) for one in (maps, others)]
    a, b = (one - one.mean(1, keepdim=True) for one in both)
    below = (a.square().sum(1) * b.square().sum(1)).sqrt()
    return torch.where(below > 0, (a * b).sum(1) / below, torch.nan).numpy()


def ranking(maps: Tensor, cell: int = CELL) -> Tensor:
    """The place of each square of ``cell`` pixels in its picture's order, the largest mean absolute value first.

    Args:
        maps: ``(N, S, S)``, S a multiple of ``cell``.

    Returns:
        int64 ``(N, S / cell, S / cell)``, 0 for the first.
    """
    cells = F.avg_pool2d(maps.abs().unsqueeze(1).double(), cell)[:, 0]
    order = cells.flatten(1).argsort(dim=1, descending=True, stable=True)
    return order.argsort(dim=1).view(cells.shape)


def blind_maps(masks: Tensor, seed: int) -> dict[str, Tensor]:
    """Three maps that no network made, to hold others against, float32 ``(N, S, S)`` each.

    ``random``: noise with a value for each square of `CELL` pixels; ``centre``: nearer to the middle is more;
    ``the plate itself``: nearer to the plates' pixels is more.

    Args:
        masks: bool ``(N, S, S)``, the plates.
    """
    side = masks.shape[-1]
    draw = torch.Generator().manual_seed(seed)
    noise = torch.rand((len(masks), side // CELL, side // CELL), generator=draw)
    middle = torch.arange(side) + 0.5 - side / 2
    far = (middle[:, None].square() + middle[None, :].square()).sqrt()
    return {
        "random": noise.repeat_interleave(CELL, 1).repeat_interleave(CELL, 2),
        "centre": (1 - far / side).expand(len(masks), -1, -1),
        "the plate itself": torch.stack([_nearness(mask) for mask in masks]),
    }


def _nearness(mask: Tensor) -> Tensor:
    if not mask.any():  # no pixel is nearer than another
        return torch.zeros(mask.shape)
    away = cv2.distanceTransform((~mask).numpy().astype(np.uint8), cv2.DIST_L2, 5)
    return torch.from_numpy(1 / (1 + away)).float()


@torch.inference_mode()
def belief(model: nn.Module, pixels: Tensor, masks: Tensor, batch: int = 32) -> np.ndarray:
    """Mean P(plate) within each picture's mask, float64 ``(N,)``; 0 where a mask is empty."""
    where = next(model.parameters()).device
    values = []
    for some, mask in zip(pixels.split(batch), masks.split(batch), strict=True):
        plate = model(to_input(some.to(where))).float().softmax(1)[:, 1].cpu()
        values.append((plate * mask).double().sum((1, 2)) / mask.sum((1, 2)).clamp_min(1))
    return torch.cat(values).numpy()


def replaced(
    model: nn.Module, pixels: Tensor, masks: Tensor, places: Tensor, fill: Tensor, insert: bool = False
) -> np.ndarray:
    """Deletion or insertion curves (Petsiuk et al. 2018): the belief as ever more squares are replaced.

    Args:
        pixels: uint8 ``(N, 3, S, S)``.
        masks: bool ``(N, S, S)``, within which P(plate) is averaged.
        places: from `ranking`; the first squares go first.
        fill: uint8 of the shape of ``pixels``: what replaces them.
        insert: start from ``fill`` and put the picture's own squares in instead.

    Returns:
        float64 ``(N, len(FRACTIONS))``.
    """
    cell = pixels.shape[-1] // places.shape[-1]
    start, end = (fill, pixels) if insert else (pixels, fill)
    curves = []
    for fraction in FRACTIONS:
        gone = places < round(fraction * places[0].numel())
        gone = gone.repeat_interleave(cell, 1).repeat_interleave(cell, 2).unsqueeze(1)
        curves.append(belief(model, torch.where(gone, end, start), masks))
    return np.stack(curves, 1)


def area_under(curves: np.ndarray) -> np.ndarray:
    """Area under each curve over the share of squares replaced, ``(N,)`` in 0..1."""
    return np.trapezoid(curves, FRACTIONS, axis=1)


def replacement_test(
    model: nn.Module,
    pixels: Tensor,
    masks: Tensor,
    maps: Mapping[str, Tensor],
    soften: Callable[[Tensor], Tensor],
) -> dict[str, dict[str, np.ndarray]]:
    """Deletion (to mid-grey) and insertion (into a blurred picture) curves of each map.

    Args:
        maps: names to maps ``(N, S, S)``.
        soften: makes the blurred pictures that insertion starts from.

    Returns:
        ``"deletion"`` and ``"insertion"``, each from the maps' names to curves ``(N, len(FRACTIONS))``.
    """
    grey, soft = torch.full_like(pixels, MID_GREY), soften(pixels)
    places = {name: ranking(one) for name, one in maps.items()}
    return {
        "deletion": {name: replaced(model, pixels, masks, at, grey) for name, at in places.items()},
        "insertion": {name: replaced(model, pixels, masks, at, soft, True) for name, at in places.items()},
    }
