"""Tables of `10_beyond`, computed from its runs and records."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from datasets import DatasetDict, concatenate_datasets
from IPython.display import Markdown
from torch import nn

from lib.data import plates_of
from lib.metrics import SMALL
from lib.platenet import PlateNet
from lib.plots.tables import table
from lib.rivals import STRAY, Rival, coverage
from lib.unlabelled import unlabelled

LIMITS = {"coverage": 0.90, "missed": 0.06, "coverage, large": 0.96, "missed, large": 0.02}
WATTS = (5.0, 15.0)  # a core at work, from a laptop's to a server's: assumed where no meter can be read
GRAMS_A_KWH = 475.0  # CO2, the world's electricity in 2018 (IEA, Global Energy & CO2 Status Report 2019)


@torch.no_grad()
def anatomy(network: PlateNet, side: int = 640) -> Markdown:
    """Each part of the network: what it hands on, its parameters, its multiply-adds, how far it sees."""
    rows: list[dict[str, Any]] = []
    reach = _Reach()

    def count(part: nn.Module, name: str, shape: tuple[int, ...], work: int) -> None:
        own = sum(p.numel() for p in part.parameters())
        _, channels, height, width = shape
        told = {"part": name, "hands on": f"{channels} x {height} x {width}", "parameters": own}
        rows.append(told | {"million multiply-adds": work / 1e6, "sees, px": reach.side})

    x = torch.zeros(1, 3, side, side)
    for part, name in ((network.stem, "stem: two convolutions"), *_stages(network)):
        done = _work(part, x)
        x = part(x)
        reach.through(part)
        count(part, name, tuple(x.shape), done)
    places = zip(network.lateral, (8, 16, 32), strict=True)
    scales = [torch.zeros(1, layer.in_channels, side // step, side // step) for layer, step in places]
    done = sum(_work(layer, given) for layer, given in zip(network.lateral, scales, strict=True))
    summed = network.lateral[0](scales[0])
    count(network.lateral, "top-down sum", tuple(summed.shape), done)
    reach.stride = 8
    reach.through(network.head)
    answers = (1, 1, side // 4, side // 4)
    count(network.head, "head, 2x2 answers at each place", answers, _work(network.head, summed))
    sums = {key: sum(row[key] for row in rows) for key in ("parameters", "million multiply-adds")}
    rows.append({"part": "all", "hands on": "", **sums, "sees, px": reach.side})
    return table(rows, f"from lib.platenet; a picture of {side}x{side}; normalisation folds into the convolutions")


def _stages(network: PlateNet) -> list[tuple[nn.Module, str]]:
    return [
        (stage, f"scale 1/{8 * 2**number}: a step down, {len(stage) - 1} residual blocks")
        for number, stage in enumerate(network.stages)
    ]


def _work(part: nn.Module, x: torch.Tensor) -> int:
    """Multiply-adds of the convolutions in ``part`` on ``x``."""
    counted = []

    def note(layer: nn.Conv2d, _: Any, out: torch.Tensor) -> None:
        counted.append(out.numel() * layer.in_channels * layer.kernel_size[0] ** 2)

    hooks = [m.register_forward_hook(note) for m in part.modules() if isinstance(m, nn.Conv2d)]
    part(x)
    for hook in hooks:
        hook.remove()
    return sum(counted)


class _Reach:
    """Side of the square of the picture that one value depends on, as layers are passed."""

    def __init__(self) -> None:
        self.side, self.stride = 1, 1

    def through(self, part: nn.Module) -> None:
        for layer in part.modules():
            if isinstance(layer, nn.Conv2d):
                self.side += (layer.kernel_size[0] - 1) * self.stride
                self.stride *= layer.stride[0]


def found(plates: DatasetDict, data: str) -> Markdown:
    """Per source, all splits together: plates with a label, those found beside them, and what may be some."""
    counts: dict[str, Counter[str]] = {}
    for row in concatenate_datasets([split.remove_columns("image") for split in plates.values()]):
        more, doubtful = map(len, unlabelled(row["file_name"]))
        labelled = sum(not plate.iscrowd for plate in plates_of(row))
        own = counts.setdefault(row["source"], Counter())
        own.update({"photographs": 1, "labelled": labelled, "found beside them": more, "perhaps": doubtful})
    rows = [{"source": source, **counts[source]} for source in sorted(counts)]
    rows.append({"source": "all", **{key: sum(row[key] for row in rows) for key in rows[0] if key != "source"}})
    return table(rows, f"plates; found by lib.unlabelled; {data}")


def sized(rivals: Sequence[Rival], data: str) -> Markdown:
    """Coverage and missed plates at the operating point, of all plates and of those of scaled width 24 and more."""
    rows = []
    for rival in rivals:
        every, large = rival.chosen.summary(), rival.chosen.summary(width="large")
        row = {"method": rival.name, "coverage": every["coverage"], "95 %": rival.chosen.interval("coverage")}
        row |= {"missed": every["missed"], "missed: 95 %": rival.chosen.interval("missed")}
        row |= {"large: coverage": large["coverage"], "large: 95 %": rival.chosen.interval("coverage", width="large")}
        row |= {"large: missed": large["missed"]}
        rows.append(row | {key.replace("_", " "): f"{every[key]:.4f}" for key in ("stray_cover", "false_cover")})
    plates, large = (rivals[0].chosen.summary(width=width)["plates"] for width in (None, "large"))
    told = f"{plates:,} plates, {large:,} of scaled width {SMALL} and more; thresholds and growths chosen on validation"
    return table(rows, f"{told}; {data}")


def alarms(told: Mapping[str, Mapping[str, Mapping[str, Any]]], data: str) -> Markdown:
    """Method to kind of plate-free picture to `lib.platefree.false_alarms`."""
    rows = []
    for method, kinds in told.items():
        for kind, got in kinds.items():
            row = {"method": method, "pictures without a plate": kind, "pictures": got["pictures"]}
            rows.append(row | {"with a region": got["alarmed"], "95 %": got["interval"], "area": got["area"]})
    return table(rows, f"with a region: share of the pictures in which anything is concealed; {data}")


def cost(cards: Sequence[Mapping[str, Any]], cores: int) -> Markdown:
    """What trainings took, and all of them: seconds, energy, and CO2 from what is assumed of a core."""
    took = [(card["name"], card["steps"] * card["recipe"]["batch"], card["seconds"]) for card in cards]
    took.append(("all", *(sum(each[part] for each in took) for part in (1, 2))))
    rows = []
    for name, crops, seconds in took:
        kwh = [seconds * cores * watts / 3.6e6 for watts in WATTS]
        row = {"training": name, "crops": crops, "minutes": seconds / 60, "kWh": tuple(round(each, 4) for each in kwh)}
        rows.append(row | {"g CO2": tuple(each * GRAMS_A_KWH for each in kwh)})
    source = f"energy assumed, not metered: {WATTS[0]:g} to {WATTS[1]:g} W a core"
    return table(rows, f"{cards[0]['device']}; {source}; {GRAMS_A_KWH:g} g CO2 a kWh (IEA, world, 2018)")


def findings(rivals: Sequence[Rival], free: Mapping[str, Mapping[str, Any]]) -> Markdown:
    """The main numbers: equal stray cover, and what the first method does at its operating point."""
    ours, lines = rivals[0], []
    for rival in rivals:
        value, (low, high) = coverage(rival)
        lines.append(f"- {rival.name}: coverage {value:.3f} ({low:.3f} to {high:.3f}) at {STRAY:.1%} stray cover.")
    every, large = ours.chosen.summary(), ours.chosen.summary(width="large")
    got = {"coverage": every["coverage"], "missed": every["missed"]}
    got |= {"coverage, large": large["coverage"], "missed, large": large["missed"]}
    for key, limit in LIMITS.items():
        if got[key] is not None:
            reached = got[key] >= limit if key.startswith("coverage") else got[key] <= limit
            wanted = f"{'at least' if key.startswith('coverage') else 'at most'} {limit:.2f}"
            told = "reached" if reached else "not reached"
            lines.append(f"- {ours.name}, {key}: {got[key]:.3f}; the goal of {wanted} is {told}.")
    for kind, counted in free.items():
        share, pictures = counted["alarmed"], counted["pictures"]
        lines.append(f"- Something is concealed in {share:.1%} of {pictures} {kind}.")
    return Markdown("\n".join(lines))
