"""Figures of `01_data`: samples, plates per frame, sizes and places, leaks, boxes against corners, crops."""

from collections.abc import Mapping

import numpy as np
import torch
from datasets import Dataset
from IPython.display import Image as Shown
from matplotlib.axes import Axes
from matplotlib.patches import Polygon

from lib.audit import FATES, geometry
from lib.bootstrap import ratio_interval
from lib.data import plates_of
from lib.metrics import SMALL
from lib.pictures import Pictures
from lib.plots import style
from lib.regions import corners_of
from lib.transforms import SIDE, Augment, full_frame

BLOCKS = (6, 36, 216)  # input pixels per cell after one, two, three blocks of stride 3 and pool 2
RATIOS = {"520 x 110 mm (EU)": 520 / 110, "12 x 6 in (US)": 2.0}  # a plate's width / height


def _outline(place: Axes, corners: np.ndarray, colour: str, dashed: bool = False) -> None:
    for width, ink in ((3.0, "black"), (1.6, colour)):  # a dark seam keeps the line visible on any paint
        line = "--" if dashed and ink == colour else "-"
        place.add_patch(Polygon(corners, closed=True, fill=False, edgecolor=ink, linewidth=width, linestyle=line))


def samples(split: Dataset, data: str, count: int = 12, name: str = "") -> Shown:
    """A grid of pictures spread over all sources and kinds, with the labelled boxes."""
    facts = list(zip(split["source"], split["kind"], split["light"], strict=True))
    order = sorted(range(len(split)), key=facts.__getitem__)
    count = min(count, len(order))
    chosen = [order[int((k + 0.5) * len(order) / count)] for k in range(count)]
    titles = [", ".join(filter(None, facts[i][1:])).replace("_", " ") or facts[i][0] for i in chosen]
    figure, places = style.panels(len(chosen), 4, width=10, titles=titles)
    for place, row in zip(places, split.select(chosen), strict=True):
        picture = row["image"]
        picture.thumbnail((360, 360))
        place.imshow(picture, extent=(0, row["width"], row["height"], 0), interpolation="antialiased")
        for plate in plates_of(row):
            _outline(place, plate.box, style.YELLOW)
    return style.show(figure, data, name, photographs=True)


def plates_per_frame(counts: Mapping[str, np.ndarray], data: str, most: int = 6, name: str = "") -> Shown:
    """The blog's figure: for each split, the share of pictures with 0, 1, 2 ... plates, the last bar ``most`` or more.

    Args:
        counts: split to int (pictures,), the plates of each picture.
    """
    figure, ((place,),) = style.axes(height=3.0)
    for k, (split, number) in enumerate(counts.items()):
        share = 100 * np.bincount(np.minimum(number, most), minlength=most + 1) / len(number)
        bars = place.bar(np.arange(most + 1) + (k - 1) * 0.28, share, 0.26, label=f"{split} ({len(number):,})")
        place.bar_label(bars, [f"{value:.0f}" if value >= 1 else "" for value in share], fontsize=7)
    place.set(xlabel="plates in the picture", ylabel="share of pictures (%)", xticks=range(most + 1))
    place.set_xticklabels([*map(str, range(most)), f"{most} or more"])
    place.legend(title="split (pictures)", frameon=False)
    return style.show(figure, data, name)


def sizes(found: Mapping[str, np.ndarray], data: str, name: str = "") -> Shown:
    """Histogram of scaled widths with the line of small plates, and the share of small ones by source."""
    figure, ((left, right),) = style.axes(1, 2, width=10, height=3.4)
    widths = found["scaled_width"].clip(min=2)
    left.hist(widths, np.geomspace(2, 640, 40), color=style.BLUE)
    left.axvline(SMALL, color=style.RED)
    left.annotate(f" {SMALL} px", (SMALL, 0.93), xycoords=("data", "axes fraction"), color=style.RED)
    left.set(xscale="log", xlabel="scaled width (pixels, picture's longer side = 640)", ylabel="plates")
    left.set_xticks([2, 5, 10, 20, 50, 100, 200, 500], labels=[2, 5, 10, 20, 50, 100, 200, 500])
    sources = [str(source) for source in np.unique(found["source"])][::-1]
    for k, source in enumerate(sources):
        mine = found["source"] == source
        numbers = np.unique(found["picture"][mine], return_inverse=True)[1]
        below, top = np.bincount(numbers), np.bincount(numbers, weights=found["scaled_width"][mine] < SMALL)
        share, (low, high) = 100 * top.sum() / below.sum(), (100 * end for end in ratio_interval(top, below))
        bars = [[max(share - low, 0)], [max(high - share, 0)]]
        right.barh(k, share, 0.6, xerr=bars, color=style.SKY, ecolor="0.2", capsize=3)
        right.annotate(f"{share:.0f} % of {below.sum():,}", (high, k), (5, 0), textcoords="offset points", va="center")
    right.set(xlabel=f"plates under {SMALL} px (%), 95 % interval", yticks=range(len(sources)), yticklabels=sources)
    right.set(ylim=(-0.8, max(len(sources) - 0.2, 1.8)), xlim=(0, right.get_xlim()[1] * 1.35 + 1))
    return style.show(figure, data, name)


def places(prior: np.ndarray, shares: np.ndarray, data: str, name: str = "") -> Shown:
    """The location prior as a map, and how much of a picture is plate; both as `frequency` gives them."""
    figure, ((left, right),) = style.axes(1, 2, width=10, height=3.6)
    drawn = left.imshow(100 * prior, cmap="cividis", extent=(0, 100, 100, 0))
    left.grid(False)
    left.set(xlabel="across the picture (%)", ylabel="down the picture (%)")
    figure.colorbar(drawn, ax=left, label="pictures with a plate here (%)")
    right.hist((100 * shares).clip(0.01, 100), np.geomspace(0.01, 100, 41), color=style.BLUE)
    mean = 100 * shares.mean()
    right.axvline(mean, color=style.RED, label=f"mean here: {mean:.1f} %")
    right.axvline(6, color=style.BLACK, linestyle="--", label="the paper's crops: about 6 %")  # A = .94 with A1 = 0
    right.set(xscale="log", xlabel="plate pixels in a picture (%)", ylabel="pictures")
    right.set_xticks([0.01, 0.1, 1, 10, 100], labels=["≤ 0.01", "0.1", "1", "10", "100"])
    right.set_ylim(0, 1.3 * right.get_ylim()[1])  # room for the legend
    right.legend(loc="upper left", framealpha=1, edgecolor="white")
    return style.show(figure, data, name)


def nearest(bits: np.ndarray, chance: np.ndarray, data: str, name: str = "") -> Shown:
    """Distance (0..64 bits) from each held-out picture to the nearest training picture, as it is and mirrored."""
    figure, ((place,),) = style.axes(height=3.0)
    for values, colour, words, shift in ((bits, style.BLUE, "as it is", -0.2), (chance, style.ORANGE, "mirrored", 0.2)):
        share = 100 * np.bincount(np.minimum(values, 24), minlength=25) / len(values)
        place.bar(np.arange(25) + shift, share, 0.4, color=colour, label=words)
    place.axvline(4.5, color=style.RED, linestyle="--")
    place.annotate("near-duplicate ", (4.5, 0.92), xycoords=("data", "axes fraction"), ha="right", color=style.RED)
    place.set(xlabel="hash bits that differ from the nearest training picture (of 64; 24: or more)", xlim=(-0.7, 24.7))
    place.set_ylabel("held-out pictures (%)")
    place.legend(title=f"{len(bits):,} pictures", frameon=False, loc="center left")
    return style.show(figure, data, name)


def tilts(found: Mapping[str, np.ndarray], data: str, name: str = "") -> Shown:
    """The share of its box that is not plate, against tilt, beside a plate that is only turned in the picture."""
    figure, ((place,),) = style.axes(height=3.6)
    known = ~np.isnan(found["tilt"])
    tilt, beside = found["tilt"][known], 100 * found["beside"][known]
    place.scatter(tilt, beside, 8, color=style.BLUE, alpha=0.35, linewidths=0, label=f"a plate ({known.sum():,})")
    angle = np.radians(np.linspace(0, 90, 181))
    for (words, ratio), line in zip(RATIOS.items(), ("-", "--"), strict=True):
        hull = (ratio * np.cos(angle) + np.sin(angle)) * (ratio * np.sin(angle) + np.cos(angle))
        place.plot(np.degrees(angle), 100 * (1 - ratio / hull), line, color=style.RED, label=f"{words}, only turned")
    place.set(xlabel="tilt of the plate in the picture (degrees)", ylabel="box that is not plate (%)")
    place.set(xlim=(0, max(45, tilt.max(initial=0) + 1)), ylim=(0, 100))
    place.legend(frameon=False, loc="upper center", ncols=3, fontsize=9)
    return style.show(figure, data, name)


def box_and_corners(split: Dataset, data: str, count: int = 3, name: str = "") -> Shown:
    """The plates that fill least of their box, enlarged: box dashed in yellow, corners in red, as the blog draws them.

    Of plates with known corners in the picture and a scaled width of 60 pixels or more, one a picture.
    """
    found = []
    for i, row in enumerate(split.remove_columns("image")):
        size = row["width"], row["height"]
        each = [(geometry(p.outline, size)[1], p) for p in plates_of(row) if p.corners is not None]
        each = [one for one in each if one[0] > 0 and one[1].bbox[2] * 640 / max(size) >= 60]
        found += [(i, *max(each, key=lambda one: one[0]))] if each else []
    found = sorted(found, key=lambda one: -one[1])[:count]
    figure, axes = style.panels(len(found), count, width=9, titles=[f"{100 * b:.0f} % not plate" for _, b, _ in found])
    for place, (i, _, plate) in zip(axes, found, strict=True):
        place.imshow(split[i]["image"], interpolation="bilinear", extent=(0, split[i]["width"], split[i]["height"], 0))
        x, y, w, h = plate.bbox
        reach = max(0.75 * w, h)  # the panel is 4:3
        place.set(
            xlim=(x + w / 2 - reach, x + w / 2 + reach), ylim=(y + h / 2 + 0.75 * reach, y + h / 2 - 0.75 * reach)
        )
        _outline(place, plate.box, style.YELLOW, dashed=True)
        _outline(place, plate.outline, style.RED)
    return style.show(figure, data, name, photographs=True)


def crops(pictures: Pictures, data: str, count: int = 5, name: str = "") -> Shown:
    """Each picture whole, as the network gets it, and ``count`` of its random crops, with the boxes."""
    index = torch.arange(len(pictures)).repeat_interleave(count)
    cut, _, moved = Augment()(pictures, index, torch.arange(len(index)))
    frames, _ = full_frame(pictures)
    inputs = torch.cat([frames[:, None], cut.unflatten(0, (-1, count))], 1).flatten(0, 1)
    boxes = torch.cat([pictures.boxes[:, None], moved.unflatten(0, (-1, count))], 1).flatten(0, 1)
    titles = ["full frame", *(f"crop {k}" for k in range(1, count + 1))] * len(pictures)
    figure, axes = style.panels(len(inputs), count + 1, width=10, aspect=1.0, titles=titles)
    for place, picture, plates in zip(axes, inputs, boxes, strict=True):
        place.imshow(picture.permute(1, 2, 0).numpy(), extent=(0, 1, 1, 0), interpolation="antialiased")
        for box in plates[(plates[:, 2:] > plates[:, :2]).all(-1)].tolist():
            _outline(place, corners_of(box), style.YELLOW)
    return style.show(figure, data, name, photographs=True)


def input_widths(whole: np.ndarray, crop: np.ndarray, fate: Mapping[str, np.ndarray], data: str) -> Shown:
    """Plate widths in pixels of the network's input, and what the crop did to plates.

    Args:
        whole, crop: widths of plates in the full frame, and of those a random crop shows.
        fate: group of plates to their fates, index into `FATES`.
    """
    figure, ((left, right),) = style.axes(1, 2, width=10, height=3.4)
    bins = np.geomspace(1, SIDE, 36)
    for values, colour, words in ((whole, style.BLUE, "full frame"), (crop, style.ORANGE, "random crop")):
        weights = np.full(len(values), 100 / len(values))
        left.hist(values, bins, weights=weights, histtype="step", linewidth=1.8, color=colour, label=words)
    for number, cell in enumerate(BLOCKS, 1):
        left.axvline(cell, color="0.4", linestyle=":")
        left.annotate(f"block {number} ", (cell, 0.93), xycoords=("data", "axes fraction"), ha="right", color="0.3")
    left.set(xscale="log", xlabel=f"plate width at the {SIDE}-pixel input (pixels)", ylabel="plates (%)")
    left.set_xticks([1, 2, 6, 12, 36, 100, 216], labels=[1, 2, 6, 12, 36, 100, 216])
    left.legend(frameon=False, loc="center left")
    start = np.zeros(len(fate))
    for k, (words, colour) in enumerate(zip(FATES, (style.GREEN, style.YELLOW, style.RED), strict=True)):
        share = np.array([100 * np.mean(each == k) if len(each) else 0 for each in fate.values()])
        bars = right.barh(list(fate), share, 0.6, left=start, color=colour, label=words)
        right.bar_label(bars, [f"{value:.0f}" if value >= 4 else "" for value in share], label_type="center")
        start += share
    right.set(xlabel="plates after the random crop (%)", xlim=(0, 100))
    figure.legend(*right.get_legend_handles_labels(), loc="outside upper right", ncols=3, frameon=False)
    return style.show(figure, data)
