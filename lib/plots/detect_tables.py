"""Tables of `08_detect_and_corners`, computed from its runs, so that they are true of any data."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from IPython.display import Markdown

from lib.blog import EVERY, cameras
from lib.bootstrap import ratio_interval
from lib.finds import SCALED, Finds
from lib.metrics import SMALL, Accumulator
from lib.plots.beyond_tables import GRAMS_A_KWH, WATTS
from lib.plots.tables import table
from lib.rivals import STRAY, Rival, coverage

YEAR = 365.25 * 24 * 3600.0  # seconds


def detectors(finds: Sequence[Finds], costs: Mapping[str, Mapping[str, Any]], data: str) -> Markdown:
    """What each detector finds, and what it costs.

    Args:
        costs: name to ``parameters``, ``ms`` (of each call) and ``MiB``.
    """
    rows = []
    for each in finds:
        precision, cost = each.precision(), costs[each.name]
        row = {"boxes by": each.name, "parameters": f"{cost['parameters'] / 1e6:.1f} M"}
        row |= {"mAP@0.5": precision and precision[0], "95 %": precision and precision[1]}
        row |= {"mAP@0.5:0.95": each.strict()}
        for name, told in (("small", each.recall(high=SMALL)), ("large", each.large())):
            row |= {f"recall, {name} ({told['plates']:,})": told["recall"], f"95 %, {name}": told["interval"]}
        row |= {"ms a frame": float(np.median(cost["ms"])), "peak MiB": cost["MiB"]}
        rows.append(row)
    told = "large: scaled width 24 and more; recall: overlap of one half, at the confidence that lets one false box a "
    return table(rows, f"{told}picture pass on validation; frames of 640x480; {data}")


def large_frames(
    finds: Sequence[Finds], times: Mapping[str, np.ndarray], edges: Sequence[float], longest: int, data: str
) -> Markdown:
    """Recall of far plates in large frames by their width in the frame's own pixels, false boxes, and time."""
    rows = []
    for each in finds:
        row: dict[str, Any] = {"a frame is looked at": each.name}
        scale = SCALED / longest
        for low, high in pairwise(edges):
            told = each.recall(low * scale, high * scale)
            name = f"{low:g} to {high:g} px" if np.isfinite(high) else f"{low:g} px and more"
            row |= {f"{name} ({told['plates']})": told["recall"], f"95 %, {low:g}": told["interval"]}
        row["boxes a frame"] = float(np.mean([(boxes[:, 4] >= each.least).sum() for boxes in each.found]))
        row["ms a frame"] = float(np.median(times[each.name]))
        rows.append(row)
    return table(rows, f"recall: overlap of one half; {data}")


def corners(errors: Mapping[str, Mapping[str, np.ndarray]], costs: Mapping[str, Mapping[str, Any]]) -> Markdown:
    """Mean corner error of each network with its interval, on each kind of picture; parameters and time.

    Args:
        errors: kind of pictures to label to errors, one a plate.
        costs: label to ``parameters``, ``one`` and ``sixteen``: ms a plate, alone and in a batch of 16.
    """
    labels = list(dict.fromkeys(label for told in errors.values() for label in told))
    rows = []
    for label in labels:
        cost = costs.get(label, {})
        row: dict[str, Any] = {"corners by": label}
        row["parameters"] = f"{cost['parameters']:,}" if cost else "-"
        for kind, told in errors.items():
            values = told[label]
            row |= {f"{kind} ({len(values):,})": f"{values.mean():.1%}"}
            low, high = ratio_interval(values, np.ones(len(values))) or (np.nan, np.nan)
            row |= {f"95 %, {kind}": f"{low:.1%} to {high:.1%}", f"median, {kind}": f"{np.median(values):.1%}"}
        for key, name in (("one", "ms a plate"), ("sixteen", "ms, of 16")):
            row[name] = float(np.median(cost[key])) if cost else None
        rows.append(row)
    return table(rows, "mean distance of the four corners from the true ones, of the plate's width; ms on one thread")


def known_and_boxed(held: Mapping[str, Mapping[str, Accumulator]], data: str) -> Markdown:
    """Coverage and cost of methods at their points on pictures whose corners are known, and on those with boxes.

    Args:
        held: method to kind of labels to what was measured.
    """
    rows = []
    for name, kinds in held.items():
        for kind, each in kinds.items():
            got = each.summary()
            row = {"method": name, "labels": kind, "plates": got["plates"]}
            row |= {"covered": got["coverage"], "95 %": each.interval("coverage"), "missed": got["missed"]}
            row |= {key.replace("_", " "): got[key] for key in ("stray_cover", "false_cover")}
            rows.append(row | {"95 % of stray": each.interval("stray_cover")})
    return table(rows, f"at the operating points; covered: at least 95 % of the outline; {data}")


def parted(whole: Accumulator, known: set[int]) -> dict[str, Accumulator]:
    """What was measured, parted: pictures whose number is in ``known``, whose corners are known, and the others."""
    parts = {}
    for name, wanted in (("corners", True), ("boxes", False)):
        kept = [number for number, _ in enumerate(whole.pictures) if (number in known) == wanted]
        place = {number: at for at, number in enumerate(kept)}
        part = Accumulator()
        part.pictures = [whole.pictures[number] for number in kept]
        own = (row for row in whole.plates if row.picture in place)
        part.plates = [row._replace(picture=place[row.picture]) for row in own]
        if part.pictures:
            parts[name] = part
    return parts


def machine(times: Mapping[str, np.ndarray], cores: int) -> Markdown:
    """Cameras that one machine serves, each with a frame every three seconds, and the energy that this may take."""
    rows = []
    for name, taken in times.items():
        middle = float(np.median(taken))
        low, high = (watts * cores * middle / 1000 for watts in WATTS)  # joules a frame
        yearly = [joules * YEAR / EVERY / 3.6e6 for joules in (low, high)]  # kWh a camera
        row = {"way": name, "ms a frame": middle, "frames a second": 1000 / middle, "cameras": cameras(middle)}
        row |= {"joules a frame": (low, high), "kWh a camera and year": (yearly[0], yearly[1])}
        rows.append(row | {"kg CO2": tuple(kwh * GRAMS_A_KWH / 1000 for kwh in yearly)})
    told = (
        f"{cores} cores at work, {WATTS[0]:g} to {WATTS[1]:g} W each assumed, not metered; {GRAMS_A_KWH:g} g CO2 a kWh"
    )
    return table(rows, f"a frame every {EVERY:g} s a camera; {told} (IEA, world, 2018)")


def findings(
    finds: Sequence[Finds],
    errors: Mapping[str, Mapping[str, np.ndarray]],
    rivals: Sequence[Rival],
    whole: Mapping[str, np.ndarray],
) -> Markdown:
    """What this page found, a row a question, beside what the blog says."""
    rows = []
    for each in finds:
        told = each.large()
        rows.append(_row(f"large plates found by {each.name}", "not said", told["recall"], told["interval"]))
    for kind, told in errors.items():
        for name, values in told.items():
            interval = ratio_interval(values, np.ones(len(values)))
            rows.append(_row(f"corner error of {name}, {kind}", "not said", float(values.mean()), interval))
    for rival in rivals:
        value, interval = coverage(rival)
        rows.append(_row(f"covered by {rival.name} at {STRAY:.1%} stray cover", "not said", value, interval))
    for name, taken in whole.items():
        low, middle, high = (float(each) for each in np.quantile(taken, (0.1, 0.5, 0.9)))
        rows.append(_row(f"ms a frame, {name}", "every few seconds", middle, (low, high)))
    return table(rows, "intervals: 95 % over pictures or plates; of times 10 to 90 % of the calls")


def _row(question: str, said: str, value: float | None, interval: Any) -> dict[str, Any]:
    return {"what": question, "the blog": said, "here": value, "interval": interval}
