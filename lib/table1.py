"""The paper's Table 1 and its ablations beside ours: rows, differences over seeds, and the rules of the verdicts."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lib.bootstrap import seeds_interval

NEAR = 0.02  # how far outside our interval a figure of the paper may lie and still count as the same
Record = Mapping[str, Any]


def figures(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of every table of A and A1, from one split and protocol of a record."""
    spans = {key: span and tuple(span) for key, span in metrics["intervals"].items()}
    return {
        "A": metrics["accuracy"],
        "A 95 %": spans["accuracy"],
        "A1": metrics["on_plate_accuracy"],
        "A1 95 %": spans["on_plate_accuracy"],
        "A1 pooled": metrics["on_plate_accuracy_pooled"],
    }


def beside_the_paper(records: Sequence[Record], split: str = "test", protocol: str = "random_crop") -> list[dict]:
    """Table 1: a row for each record, the paper's A and A1 first, ours with intervals, and the verdict."""
    rows = []
    for record in records:
        metrics = record["metrics"][split][protocol]
        told = {"model": record["label"], "paper A": record["paper"][0], "paper A1": record["paper"][1]}
        shown = figures(metrics)
        shown.pop("A1 pooled")
        rows.append(told | shown | {"verdict": verdict(record["paper"], metrics)})
    return rows


def never_looking(record: Record, split: str, protocol: str) -> list[dict[str, Any]]:
    """The rows of the two models that never look, for the same tables."""
    return [{"model": name} | figures(told[split][protocol]) for name, told in record["models"].items()]


def fairly(records: Sequence[Record], split: str, protocol: str) -> list[dict[str, Any]]:
    """Rows that predicting more or less cannot win: A1 at fixed A, and what looking adds to the location prior."""
    rows = []
    for record in records:
        told = record["metrics"][split][protocol]
        row = {"model": record["label"], "A": told["accuracy"], "A1": told["on_plate_accuracy"]}
        row |= {f"A1 at A = {a[1:]}": told["at_accuracy"][a] for a in ("0.90", "0.95")}
        interval = told["gain_interval"]
        rows.append(row | {"gain": told["gain"], "gain 95 %": interval and tuple(interval)})
    return rows


def verdict(paper: Sequence[float], metrics: Mapping[str, Any]) -> str:
    """Whether A and A1 of the paper lie within `NEAR` of our 95 % intervals: both, one or neither of them."""
    spans = (metrics["intervals"]["accuracy"], metrics["intervals"]["on_plate_accuracy"])
    met = sum(low - NEAR <= told <= high + NEAR for told, (low, high) in zip(paper, spans, strict=True))
    return {2: "holds", 1: "holds in part", 0: "does not hold"}[met]


def words(metrics: Mapping[str, Any]) -> tuple[str, str]:
    """A and A1 as the ledger writes them, and both intervals."""
    a, a1 = ([metrics[key], *metrics["intervals"][key]] for key in ("accuracy", "on_plate_accuracy"))
    return f"{a[0]:.2f} / {a1[0]:.2f}", f"{a[1]:.2f} to {a[2]:.2f} / {a1[1]:.2f} to {a1[2]:.2f}"


def source(record: Record, *more: Record) -> str:
    """Data and recipe of a record in one line, as tables name them; ``more`` are other seeds of the recipe."""
    told, seeds = record["recipe"], sorted({each["seed"] for each in (record, *more)})
    named = f"seed{'s' if more and len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"
    pictures = f"{record.get('pictures', 0):,} pictures, " if record.get("pictures") else ""
    where = f", {record['device']}" if record.get("device") else ""
    return (
        f"{record['data']}; {record['preset']} recipe: {told['epochs']} epochs of {pictures}batch {told['batch']}, "
        f"{record['steps']:,} steps, {named}{where}"
    )


def value(record: Record, accuracy: str = "0.95") -> float:
    """What ablations are compared by: pooled A1 at A = .95 on whole validation pictures, 0 where A is not reached."""
    return record["metrics"]["validation"]["full_frame"]["at_accuracy"][accuracy] or 0.0


def families(records: Sequence[Record]) -> dict[str, list[Record]]:
    """Records by label without its seed, in their order."""
    made: dict[str, list[Record]] = {}
    for record in records:
        made.setdefault(record["label"].split(", seed")[0], []).append(record)
    return made


def difference(one: Sequence[Record], base: Sequence[Record]) -> tuple[float, tuple[float, float] | None]:
    """The mean of `value` minus that of ``base``, seed by seed, and its 95 % t interval over the seeds.

    Raises:
        ValueError: the two were not run with the same seeds.
    """
    seeds = [[record["seed"] for record in group] for group in (one, base)]
    if seeds[0] != seeds[1]:
        raise ValueError(f"seeds {seeds[0]} and {seeds[1]} cannot be paired")
    more = [value(a) - value(b) for a, b in zip(one, base, strict=True)]
    return float(np.mean(more)), seeds_interval(more)


def effect(claimed: str, interval: tuple[float, float] | None) -> str:
    """The verdict on a claim that a change ``"improves"``, ``"reduces"``, or brings ``"no gain"`` above `NEAR`.

    An interval that leaves the question open, or none at all, cannot tell.
    """
    if interval is None:
        return "cannot be told here"
    low, high = interval
    if claimed == "no gain":
        return "holds" if high <= NEAR else "does not hold" if low > NEAR else "cannot be told here"
    low, high = (low, high) if claimed == "improves" else (-high, -low)
    return "holds" if low > 0 else "does not hold" if high < 0 else "cannot be told here"


def converged(history: Sequence[Mapping[str, float]], within: float = 0.05) -> float:
    """The share of the run after which the training loss stays within ``within`` of its whole fall from its last value.

    Raises:
        ValueError: fewer than two trained epochs.
    """
    losses = np.array([row["loss"] for row in history if "loss" in row])
    if len(losses) < 2:
        raise ValueError("a run of fewer than two epochs has no course to judge")
    room = within * abs(losses[0] - losses[-1])
    away = np.flatnonzero(np.abs(losses - losses[-1]) > room)
    return float((away[-1] + 2 if len(away) else 1) / len(losses))


def coverage(records: Sequence[Record]) -> list[dict[str, Any]]:
    """Rows of what the operating point chosen on validation covers on test, of the records that have one."""
    return [
        {
            "model": record["label"],
            "threshold": told["point"]["threshold"],
            "growth": told["point"]["growth"],
            "plates": told["test"]["plates"],
            "covered": told["test"]["coverage"],
            "95 %": told["interval"] and tuple(told["interval"]),
            "missed": told["test"]["missed"],
            "stray cover": told["test"]["stray_cover"],
        }
        for record in records
        if (told := record.get("coverage"))
    ]


def usable(records: Sequence[Record]) -> list[Record]:
    """The records with scores: a training that ran away has none."""
    return [record for record in records if record["diverged"] is None]


def ablation(records: Sequence[Record], base: str) -> list[dict[str, Any]]:
    """A row for each family of records: the mean of `value`, and the paired difference to the family called ``base``.

    Families are compared on the seeds that both have; without any, or without the base, there is no difference.
    """
    groups = families(usable(records))
    reference = groups.get(base, [])
    rows = []
    for label, members in groups.items():
        row = {"variant": label, "seeds": len(members), "mean": float(np.mean([value(record) for record in members]))}
        shared = {one["seed"] for one in members} & {one["seed"] for one in reference}
        pair = [[one for one in group if one["seed"] in shared] for group in (members, reference)]
        more, interval = difference(*pair) if shared and label != base else (None, None)
        rows.append(row | {"difference": more, "95 %": interval})
    return rows


def course(records: Sequence[Record]) -> list[dict[str, Any]]:
    """How A and A1 moved in the last quarter of each run, and how far training crops are from test crops at its end."""
    rows = []
    for record in records:
        told = [row for row in record["history"] if row.get("validation_loss") is not None and row["epoch"] > 0]
        late, last = told[max(0, round(len(told) * 0.75) - 1)], told[-1]
        rows.append(
            {
                "model": record["label"],
                "loss, training crops": last["loss"],
                "loss, test crops": last.get("test_loss"),
                "A1, training crops": last["on_plate_accuracy"],
                "A1, test crops": last.get("test_on_plate_accuracy"),
                "validation loss at three quarters": late["validation_loss"],
                "at the end": last["validation_loss"],
                "change": last["validation_loss"] - late["validation_loss"],
            }
        )
    return rows
