"""Tables and verdicts of `05_yolov5`, computed from its runs, so that they are true of any data."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from IPython.display import Markdown

from lib.classic import MEASURED, Classic
from lib.experiments import Score
from lib.plots.tables import table
from lib.rivals import (
    SLIGHTLY,
    STRAY,
    Interval,
    Rival,
    accuracy_gap,
    coverage,
    gap,
    gap_at_equal_a,
    gap_verdict,
    nearly_verdict,
    row_verdict,
    share_verdict,
)
from lib.yolo import Yolo

PAPER = (0.98, 0.99)  # Table 1, YOLO: A and A1
PAPER_PICTURES, PAPER_BOXES = 6176, 9155  # its training pictures; boxes of all 8,823 pictures (the data set's page)
COCO_PICTURES, COCO_BOXES = 118_287, 860_001  # instances_train2017.json: images, annotations
WHERE = "05_yolov5, section {}"


def evidence(finder: Classic, data: str) -> Markdown:
    """What the finder's regression makes of each measurement, per standard deviation."""
    rows = [
        {"measurement": name, "weight": float(weight), "mean": float(mean)}
        for name, weight, mean in zip(MEASURED, finder.weights, finder.mean, strict=False)
    ]
    told = f"{finder.boxes_seen:,} boxes proposed in training pictures, {finder.plates_seen:,} of them plates; {data}"
    return table(rows, told)


def parts(yolo: Yolo) -> Markdown:
    """YOLOv5's three parts: how many layers and parameters each has, from the network itself."""
    layers = list(yolo.network.model.model)
    names = [type(layer).__name__ for layer in layers]
    end = names.index("SPPF") + 1  # the backbone's last layer
    groups = {"backbone (CSPDarknet)": layers[:end], "neck (PANet)": layers[end:-1], "head": layers[-1:]}
    total, rows = sum(p.numel() for p in yolo.network.parameters()), []
    for name, group in groups.items():
        own = sum(p.numel() for layer in group for p in layer.parameters())
        kinds = ", ".join(dict.fromkeys(type(layer).__name__ for layer in group))
        rows.append({"part": name, "layers": len(group), "of": kinds, "parameters": own, "share": f"{own / total:.0%}"})
    return table(rows, f"{yolo.name}, batch normalisation folded into the convolutions: {total:,} parameters")


def scores(rivals: Mapping[str, Rival], crops: Mapping[str, Score], data: str) -> Markdown:
    """A and A1 at p >= 0.5 by both protocols, and the average precision of the boxes."""
    rows = []
    for key, rival in rivals.items():
        whole, crop = rival.chosen.summary(), crops[key].pixels
        precision = rival.precision
        rows.append(
            {
                "method": rival.name,
                "A, crops": crop.summary()["accuracy"],
                "A1, crops": crop.summary()["on_plate_accuracy"],
                "A1 95 %": crop.interval("on_plate_accuracy"),
                "A, whole": whole["accuracy"],
                "A1, whole": whole["on_plate_accuracy"],
                "mAP@0.5": precision and precision[0],
                "mAP 95 %": precision and precision[1],
            }
        )
    told = "test pictures, p ≥ 0.5; crops: the authors' random crops, one a picture; whole: pictures in their own size"
    return table(rows, f"{told}; {data}")


def operating_points(rivals: Iterable[Rival], data: str) -> Markdown:
    """What was chosen on validation, and the one look at test there."""
    rows = []
    for rival in rivals:
        got = rival.chosen.summary()
        told = {"method": rival.name, "threshold": rival.point["threshold"], "growth": rival.point["growth"]}
        told |= {"within the limits": bool(rival.point["feasible"])}
        told |= {key.replace("_", " "): got[key] for key in ("coverage", "missed", "stray_cover", "false_cover")}
        rows.append(told)
    return table(
        rows, f"chosen on validation; the rest: {got['images']:,} test pictures, {got['plates']:,} plates; {data}"
    )


def equal_stray(rivals: Sequence[Rival], data: str) -> Markdown:
    """Coverage at equal stray cover, and the last method's minus each other's on the same draws of pictures."""
    best, rows = rivals[-1], []
    for rival in rivals:
        value, interval = coverage(rival)
        more = None if rival is best else gap(best, rival)
        rows.append(
            {
                "method": rival.name,
                f"coverage at {STRAY:.1%} stray cover": value,
                "95 %": interval,
                f"{best.name} covers more by": more and more[0],
                "95 % of that": more and more[1],
            }
        )
    return table(rows, f"read off the curves; bootstrap over {best.pictures:,} test pictures; {data}")


def time_table(taken: Mapping[str, np.ndarray], machine: str) -> Markdown:
    """Median and spread of each method's milliseconds."""
    rows = []
    for name, values in taken.items():
        low, middle, high = (float(x) for x in np.quantile(values, (0.1, 0.5, 0.9)))
        rows.append({"method": name, "ms a picture": middle, "10 % to 90 %": (low, high), "repeats": len(values)})
    return table(rows, machine)


def data_shares() -> Markdown:
    """The paper's training set as a share of COCO's, counted in pictures and in boxes."""
    boxes = PAPER_BOXES * PAPER_PICTURES / 8823
    counted = {"pictures": ("", PAPER_PICTURES, COCO_PICTURES), "boxes": ("about ", boxes, COCO_BOXES)}
    rows = [
        {"counted in": what, "the paper": f"{about}{own:,.0f}", "COCO train2017": whole, "share": f"{own / whole:.1%}"}
        for what, (about, own, whole) in counted.items()
    ]
    return table(
        rows, "boxes: the training pictures' part of the set's 9,155; COCO: of all 80 classes, no plate among them"
    )


def claims(
    rivals: Mapping[str, Rival], crops: Mapping[str, Score], yolo: Yolo | None, data: str
) -> dict[str, dict[str, Any]]:
    """The ledger's entries of this notebook: key to what `lib.claims.settle` takes, verdicts by `lib.rivals`'s rules.

    Args:
        rivals, crops: ``"ours"`` and, where there is a YOLOv5, ``"yolo"``.
    """
    share = PAPER_PICTURES / COCO_PICTURES
    told: dict[str, dict[str, Any]] = {
        "yolo-data": {
            "ours": f"{share:.1%} of COCO's training pictures",
            "verdict": share_verdict(share),
            "why": "arithmetic on published counts; only counted in boxes is it under 1 %, and COCO has no plates, so "
            "that a YOLOv5 which finds them was trained on more",
            "data": "the paper's section 3 and COCO train2017",
            "where": WHERE.format(8),
        }
    }
    if yolo is None:
        return told
    source = f"{data}; {yolo.name} from {yolo.card['recipe']['start']}, {yolo.card['steps']:,} steps"
    own, ours = crops["yolo"].pixels, crops["ours"].pixels
    a, a1 = (own.interval(key) for key in ("accuracy", "on_plate_accuracy"))
    if a is None or a1 is None:
        return told  # no plate in any crop: nothing can be said
    summary, equal = own.summary(), gap_at_equal_a(crops["yolo"], crops["ours"])
    able = yolo.card["recipe"]["start"] == "COCO"
    at_half, at_half_interval = accuracy_gap(own, ours)
    more, more_interval = gap(rivals["yolo"], rivals["ours"])
    told["table1-yolo"] = {
        "ours": f"{summary['accuracy']:.2f} / {summary['on_plate_accuracy']:.2f}",
        "interval": f"{_words(a)} / {_words(a1)}",
        "verdict": row_verdict(a, a1, PAPER, able),
        "why": "random crops; "
        + ("pre-trained on COCO, as the paper's" if able else "from nothing: no pre-trained weights here"),
        "data": source,
        "where": WHERE.format(4),
    }
    fair = "out of our reach" if equal is None else f"{equal:+.2f}"
    told["yolo-gap"] = {
        "ours": f"A1 {at_half:+.2f} for YOLOv5 at p ≥ 0.5; {fair} at equal A",
        "interval": _words(at_half_interval),
        "verdict": gap_verdict(at_half_interval, equal, summary["on_plate_accuracy"]),
        "why": f"slightly means {SLIGHTLY:.2f} at most; A1 at one half is bought with A, so it is held equal too",
        "data": source,
        "where": WHERE.format(4),
    }
    told["yolo-nearly"] = {
        "ours": f"coverage {more:+.2f} for YOLOv5 at {STRAY:.1%} stray cover",
        "interval": _words(more_interval),
        "verdict": nearly_verdict(more_interval, summary["on_plate_accuracy"]),
        "why": f"nearly means {SLIGHTLY:.2f} at most; what counts is covered plates at equal stray cover",
        "data": source,
        "where": WHERE.format(5),
    }
    return told


def findings(rivals: Mapping[str, Rival], crops: Mapping[str, Score], taken: Mapping[str, np.ndarray]) -> Markdown:
    """Each method in one row: the paper's two figures, what is covered, and how long a picture takes."""
    paper = {"ours": ".91 / .96 (its best)", "yolo": ".98 / .99"}
    rows = []
    for key, rival in rivals.items():
        crop, (value, interval) = crops[key].pixels.summary(), coverage(rival)
        times = [float(np.median(values)) for name, values in taken.items() if name.startswith(rival.name)]
        rows.append(
            {
                "method": rival.name,
                "paper, A / A1": paper.get(key, "not measured"),
                "here, A / A1": f"{_share(crop['accuracy'])} / {_share(crop['on_plate_accuracy'])}",
                f"covered at {STRAY:.1%} stray": f"{value:.2f} ({_words(interval)})",
                "ms a picture": f"{times[0]:.0f}",
            }
        )
    return table(rows, "test pictures; A and A1: random crops, p ≥ 0.5; ms: PyTorch or OpenCV, whole picture")


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _words(interval: Interval) -> str:
    return f"{interval[0]:.2f} to {interval[1]:.2f}"
