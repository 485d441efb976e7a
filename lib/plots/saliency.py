"""Figures of `06_saliency`: maps beside pictures and masks, the tests of the maps, altered pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from IPython.display import Image
from matplotlib.axes import Axes
from torch import Tensor, nn

from lib.attribution import PARTS, Interval, Specimens, density, mean_interval
from lib.faithfulness import FRACTIONS
from lib.plots.style import BLACK, CYCLE, YELLOW, axes, panels, show
from lib.transforms import to_input

THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5)  # on P(background): the paper's first choice, then laxer ones
COVERED, MISSED = 0.95, 0.5
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)))
MARKS = "osD^vP"


@dataclass(frozen=True)
class Examples:
    """How well a network covers each specimen, and which ones to show.

    Attributes:
        threshold: a pixel is concealed where P(background) is below it.
        background: float32 ``(N, S, S)``, P(background) of all specimens.
        share: float32 ``(N,)``, the concealed share of their boxes.
        best: all indices: those covered (95 %) first, the least false cover leading, then by falling share.
        worst: all indices: those missed (under half) first, the largest characters leading, then by rising share.
    """

    threshold: float
    background: Tensor
    share: Tensor
    best: list[int]
    worst: list[int]

    def say(self) -> str:
        """The threshold, and how many specimens it covers and misses."""
        covered, missed = int((self.share >= COVERED).sum()), int((self.share < MISSED).sum())
        return (
            f"concealed where P(background) < {self.threshold:g}: of {len(self.share)} pictures, {covered} have their "
            f"plates covered by 95 % and more, {missed} by less than half"
        )


@torch.inference_mode()
def examples(model: nn.Module, specimens: Specimens, enough: int = 4) -> Examples:
    """Sort specimens at the first of `THRESHOLDS` that covers ``enough`` of them; at the last if none does."""
    where = next(model.parameters()).device
    told = [model(to_input(some.to(where))).float().softmax(1)[:, 0].cpu() for some in specimens.pixels.split(32)]
    background, masks = torch.cat(told), specimens.masks
    pixels = masks.sum((1, 2)).clamp_min(1)
    for threshold in THRESHOLDS:
        concealed = background < threshold
        share = (concealed & masks).sum((1, 2)) / pixels
        if int((share >= COVERED).sum()) >= enough:
            break
    false = (concealed & ~masks).float().mean((1, 2))
    best = np.lexsort((torch.where(share >= COVERED, false, -share), share < COVERED))
    worst = np.lexsort((torch.where(share < MISSED, -specimens.heights, share), share >= MISSED))
    return Examples(threshold, background, share, best.tolist(), worst.tolist())


def figure_3(specimens: Specimens, found: Examples, which: Sequence[int], maps: Tensor, data: str, name: str) -> Image:
    """The paper's Figure 3: a row for each picture with its boxes, its red mask, and its map.

    Args:
        which: indices into ``specimens``.
        maps: float ``(len(which), S, S)``, theirs.
    """
    titles = ("picture, plate outlined", f"red: P(background) < {found.threshold:g}", "saliency map, bright is more")
    figure, made = panels(3 * len(which), 3, titles=titles)
    for number, (index, one) in enumerate(zip(which, maps, strict=True)):
        left, middle, right = made[3 * number : 3 * number + 3]
        picture = specimens.pixels[index].permute(1, 2, 0).numpy()
        red = np.where((found.background[index] < found.threshold).numpy()[..., None], (255, 0, 0), picture)
        for panel, shown in ((left, picture), (middle, (0.4 * picture + 0.6 * red).astype(np.uint8))):
            panel.imshow(shown, aspect="auto")
        right.imshow(brightness(one), cmap="inferno", vmin=0, vmax=1, aspect="auto")
        for panel in (left, right):
            _outline(panel, specimens.masks[index])
    return show(figure, data, name, photographs=True)


def close_ups(specimens: Specimens, which: Sequence[int], maps: Mapping[str, Tensor], data: str) -> Image:
    """The neighbourhood of some plates: the picture with characters and rim outlined, then each method's map.

    Args:
        maps: names to float ``(len(which), S, S)``.
    """
    titles = ("plate; white: characters", *maps)
    figure, made = panels(len(titles) * len(which), len(titles), titles=titles)
    for number, index in enumerate(which):
        row = made[len(titles) * number : len(titles) * (number + 1)]
        window = neighbourhood(specimens.plates[index])
        row[0].imshow(specimens.pixels[index].permute(1, 2, 0).numpy()[window], aspect="auto")
        _outline(row[0], specimens.parts["characters"][index][window], "white")
        for panel, one in zip(row[1:], maps.values(), strict=True):
            panel.imshow(brightness(one[number])[window], cmap="inferno", vmin=0, vmax=1, aspect="auto")
            _outline(panel, specimens.plates[index][window])
    return show(figure, data, "06_close_ups", photographs=True)


def brightness(one: Tensor) -> np.ndarray:
    """A map's absolute values as 0..1, float32 ``(S, S)``: its 99.5th percentile, and all above it, is 1."""
    size = one.abs().float().numpy()
    top = float(np.quantile(size, 0.995))
    return np.clip(size / top, 0, 1) if top > 0 else np.zeros_like(size)


def neighbourhood(mask: Tensor) -> tuple[slice, slice]:
    """A window around a mask, bool ``(S, S)``, three times as wide and high as it, at most the whole picture."""
    window = []
    for axis in (1, 0):
        inside = mask.any(axis).nonzero()[:, 0]
        low, high = (int(inside[0]), int(inside[-1]) + 1) if len(inside) else (0, mask.shape[1 - axis])
        reach = high - low
        window.append(slice(max(0, low - reach), min(mask.shape[1 - axis], high + reach)))
    return window[0], window[1]


def _outline(panel: Axes, mask: Tensor, colour: str = YELLOW) -> None:
    if mask.any() and not mask.all():
        panel.contour(mask.numpy(), levels=[0.5], colors=[colour], linewidths=0.8)


def cascades(curves: Mapping[str, Mapping[str, np.ndarray]], edges: float | None, data: str) -> Image:
    """Rank correlation with the trained network's map as ever more layers are random.

    Args:
        curves: method to layer to correlations of each picture.
        edges: the first method's correlation with an edge detector, as a dotted line.
    """
    figure, made = axes(width=7.5, height=3.4)
    one, layers = made[0, 0], list(next(iter(curves.values())))
    for (name, layer), colour, line, mark in zip(curves.items(), CYCLE, LINES, MARKS, strict=False):
        told = [mean_interval(values) for values in layer.values()]
        _bars(one, range(len(told)), told, color=colour, linestyle=line, marker=mark, label=name)
    one.axhline(0, color=BLACK, linewidth=1)
    if edges is not None:
        one.axhline(edges, color=BLACK, linewidth=1, linestyle=":", label=f"{next(iter(curves))} against edges")
    names = [layers[0], *(f"{layer}\nand above" if i else layer for i, layer in enumerate(layers[1:]))]
    one.set_xticks(range(len(layers)), names, fontsize=8)
    one.set(xlabel="weights drawn anew, from the last layer down", ylabel="rank correlation")
    one.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return show(figure, data, "06_randomised_weights")


def replacement_curves(result: Mapping[str, Mapping[str, np.ndarray]], data: str) -> Image:
    """Belief in the plates as ever more squares are deleted, or inserted; models' maps thick, blind rankings thin."""
    figure, made = axes(1, 2, height=3.6)
    titles = {"deletion": "deletion: lower is better", "insertion": "insertion: higher is better"}
    for panel, (test, curves) in zip(made[0], result.items(), strict=True):
        for (name, values), colour, line, mark in zip(curves.items(), CYCLE, LINES, MARKS, strict=False):
            panel.plot(FRACTIONS, values.mean(0), color=colour, linestyle=line, marker=mark, markersize=3.5, label=name)
        panel.set_xscale("function", functions=(lambda x: np.sqrt(np.maximum(x, 0)), np.square))
        panel.set_xticks([0, 0.05, 0.2, 0.5, 1], ["0", "5 %", "20 %", "50 %", "all"])
        panel.set(xlabel="squares replaced, first by the map", title=titles[test])
    made[0, 0].set_ylabel("mean P(plate) on the plates")
    limits = [panel.get_ylim() for panel in made[0]]
    for panel in made[0]:
        panel.set_ylim(min(low for low, _ in limits), max(high for _, high in limits))
    figure.legend(*made[0, 0].get_legend_handles_labels(), fontsize=8, ncols=3, loc="outside upper center")
    return show(figure, data, "06_deletion_insertion")


def densities(maps: Mapping[str, Tensor], specimens: Specimens, seen: int, data: str) -> Image:
    """How bright each map is on each part of the plates, in times chance, with 95 % intervals."""
    figure, made = axes(width=8.0, height=3.8)
    one = made[0, 0]
    for number, ((name, values), colour, mark) in enumerate(zip(maps.items(), CYCLE, MARKS, strict=False)):
        told = [density(values, specimens.parts[part], seen) for part in PARTS]
        places = np.arange(len(PARTS)) + (number - (len(maps) - 1) / 2) * 0.13
        _bars(one, places, told, color=colour, linestyle="none", marker=mark, label=name)
    one.axhline(1, color=BLACK, linewidth=1)
    one.set(yscale="log", ylabel="share of map / share of area")
    ticks = [tick for tick in (0.5, 0.7, 1, 1.5, 2, 3, 5, 7) if one.get_ylim()[0] <= tick <= one.get_ylim()[1]]
    one.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    one.minorticks_off()
    one.set_xticks(range(len(PARTS)), PARTS)
    one.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return show(figure, data, "06_parts")


def _bars(panel: Axes, places: Sequence[float], told: Sequence[tuple[float | None, Interval]], **look: object) -> None:
    known = [(x, value, interval) for x, (value, interval) in zip(places, told, strict=True) if interval is not None]
    x, y = [one[0] for one in known], np.array([one[1] for one in known])
    low, high = (np.array([one[2][end] for one in known]) for end in (0, 1))
    spread = np.maximum([y - low, high - y], 0) if known else None
    panel.errorbar(x, y, spread, markersize=4, capsize=2, linewidth=1.3, **look)


def altered(versions: Mapping[str, Tensor], data: str) -> Image:
    """One picture in several versions, uint8 ``(3, H, W)`` each."""
    figure, made = panels(len(versions), 4, titles=list(versions))
    for panel, picture in zip(made, versions.values(), strict=True):
        panel.imshow(picture.permute(1, 2, 0).numpy(), aspect="auto")
    return show(figure, data, "06_altered", photographs=True)


def effects(groups: Mapping[str, Mapping[str, tuple[float | None, Interval]]], data: str) -> Image:
    """How much each alteration changes the separation, with 95 % intervals; a group of marks for each data set."""
    names = list(next(iter(groups.values())))
    figure, made = axes(width=8.0, height=0.36 * len(names) + 1.1)
    one = made[0, 0]
    for number, ((group, rows), colour, mark) in enumerate(zip(groups.items(), CYCLE, MARKS, strict=False)):
        for place, name in enumerate(names):
            value, interval = rows[name]
            if interval is None:
                continue
            y = len(names) - 1 - place + (number - (len(groups) - 1) / 2) * -0.25
            spread = [[max(value - interval[0], 0)], [max(interval[1] - value, 0)]]
            label = group if place == 0 else None
            one.errorbar([value], [y], xerr=spread, color=colour, marker=mark, markersize=5, capsize=2, label=label)
    one.axvline(0, color=BLACK, linewidth=1)
    one.set_yticks(range(len(names)), names[::-1])
    one.set_xlabel("change of the separation (mean P(plate) on the plates minus elsewhere)")
    if len(groups) > 1:
        one.legend(fontsize=8)
    return show(figure, data, "06_colour")
