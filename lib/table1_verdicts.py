"""The verdicts of `04_deeper` on the paper's claims, from stored records, by the rules of `lib.table1`."""

from collections.abc import Mapping, Sequence
from typing import Any

from lib.claims import settle
from lib.table1 import Record, ablation, converged, effect, source, usable, value, verdict, words

ROWS = {
    "cross-entropy": "table1-cross-entropy",
    "log2-code-3": "table1-log2-3",
    "log2-code": "table1-log2-5",
    "log2-code-8": "table1-log2-8",
    "log3-code": "table1-log3-5",
    "wide-code": "table1-wide",
    "wide-code-blur": "table1-wide-blur",
    "fullconv-code": "table1-fullconv",
}
ALIKE = 1.1  # a test loss up to this many times the training loss counts as quite similar
CERTAIN = 63 / 64  # P(background) from which "probability 1" is granted
HEADS = ("512 hidden units", "one linear layer (paper)")  # labels of lib.catalogue
AUGMENTATIONS = (("photometric", "reduces"), ("flip", "reduces"), ("blur", "improves"))
LATE = (0.75, 0.95)  # the paper's 80 to 90 of 100 epochs, as widely as few epochs can tell


def settle_all(runs: Sequence[Record], heads: Sequence[Record], augment: Sequence[Record]) -> list[dict[str, Any]]:
    """Settle the claims of Table 1 and of the paper's sections 4, 4.1, 4.2 and 5 that `04_deeper` tests.

    Args:
        runs, heads, augment: `lib.records.load_group` of "table1", "heads" and "augment". A row that is not among
            them is settled as one that cannot be told.

    Returns:
        The ledger's entries.
    """
    by_name = {run["name"]: run for run in usable(runs)}
    settled = [_row(by_name.get(name), name, key) for name, key in ROWS.items()]
    settled += [told(by_name) for told in (_collapse, _equation, _convergence, _overfitting)]
    settled += [_ablation("heads", heads, HEADS[0], HEADS[1], "no gain", "section 5")]
    return settled + [_ablation(name, augment, name, "crop alone", told, "section 6") for name, told in AUGMENTATIONS]


def _not_run(key: str, name: str, section: str) -> dict[str, Any]:
    why = f"its training has not been run at this size, or ran away; `python -m lib runs {name}` makes it"
    where = f"04_deeper, {section}"
    return settle(key, ours="not run", verdict="cannot be told here", why=why, data="none", where=where)


def _row(run: Record | None, name: str, key: str) -> dict[str, Any]:
    if run is None:
        return _not_run(key, name, "section 2")
    where = "04_deeper, section 2"
    crop, whole = (run["metrics"]["test"][protocol] for protocol in ("random_crop", "full_frame"))
    ours, interval = words(crop)
    why = f"random crops; on whole pictures {words(whole)[0]}; validation's pooled A1 at A = .95 {value(run):.2f}"
    return settle(
        key, ours=ours, interval=interval, verdict=verdict(run["paper"], crop), why=why, data=source(run), where=where
    )


def _collapse(runs: Mapping[str, Record]) -> dict[str, Any]:
    if (run := runs.get("cross-entropy")) is None:
        return _not_run("collapse", "cross-entropy", "section 2")
    predicted = run["metrics"]["validation"]["full_frame"]["predicted_plate"]
    place = next(i for i, t in enumerate(run["curve"]["threshold"]) if t >= CERTAIN)
    unsure = run["curve"]["false_cover"][place]  # share of background pixels with P(background) below CERTAIN
    told = "does not hold" if predicted > 1e-3 else "holds" if unsure < 0.01 else "holds in part"
    return settle(
        "collapse",
        ours=f"{predicted:.4%} of pixels predicted plate",
        verdict=told,
        why=f"nothing is predicted plate, but {unsure:.0%} of background pixels have P(background) < {CERTAIN:.3f}",
        data=source(run),
        where="04_deeper, section 2",
    )


def _equation(runs: Mapping[str, Record]) -> dict[str, Any]:
    if (run := runs.get("log2-paper")) is None:
        return _not_run("equation", "log2-paper", "section 3")
    crop = run["metrics"]["test"]["random_crop"]
    low, high = crop["intervals"]["on_plate_accuracy"]
    ours, interval = words(crop)
    told = "holds" if low >= 0.5 else "does not hold" if high < 0.5 else "cannot be told here"
    why = "mended means an A1 of one half at least"
    if told == "does not hold":
        why += (
            "; λ = 5 outside the square is too small for these plate shares (02, resting points), inside it acts as 25"
        )
    where = "04_deeper, section 3"
    return settle("equation", ours=ours, interval=interval, verdict=told, why=why, data=source(run), where=where)


def _weighted(runs: Mapping[str, Record]) -> list[Record]:
    return [runs[name] for name in ("log2-code-3", "log2-code", "log2-code-8") if name in runs]


def _convergence(runs: Mapping[str, Record]) -> dict[str, Any]:
    if not (kept := _weighted(runs)):
        return _not_run("convergence", "log2-code", "section 7")
    shares = [converged(run["history"]) for run in kept]
    within = [LATE[0] <= share <= LATE[1] for share in shares]
    return settle(
        "convergence",
        ours="after " + ", ".join(f"{share:.0%}" for share in shares) + " of the epochs (λ = 3, 5, 8)",
        verdict="holds" if all(within) else "cannot be told here" if any(within) else "does not hold",
        why="from then on the training loss stays within 5 % of its whole fall; a cosine schedule ends any run so, and "
        f"{kept[0]['epochs']} epochs tell it to {1 / kept[0]['epochs']:.0%} of the run",
        data=source(kept[0]),
        where="04_deeper, section 7",
    )


def _overfitting(runs: Mapping[str, Record]) -> dict[str, Any]:
    kept = [run for run in _weighted(runs) if "test_loss" in run["history"][-1]]
    if not kept:
        return _not_run("overfitting", "log2-code", "section 7")
    last = [run["history"][-1] for run in kept]
    ratios = [row["test_loss"] / row["loss"] for row in last]
    gaps = [row["on_plate_accuracy"] - row["test_on_plate_accuracy"] for row in last]
    alike = sum(ratio <= ALIKE for ratio in ratios)
    return settle(
        "overfitting",
        ours="test loss / training loss " + ", ".join(f"{ratio:.2f}" for ratio in ratios),
        verdict="holds" if alike == len(ratios) else "holds in part" if alike else "does not hold",
        why=f"similar means at most {ALIKE} times; A1 on training crops is "
        + ", ".join(f"{gap:+.2f}" for gap in gaps)
        + " from test crops: the network hardly fits its own training pictures better than others",
        data=source(kept[0]),
        where="04_deeper, section 7",
    )


def _ablation(key: str, records: Sequence[Record], name: str, base: str, claimed: str, section: str) -> dict[str, Any]:
    row = next((row for row in ablation(records, base) if row["variant"] == name), None)
    if row is None or row["difference"] is None:
        return _not_run(key, key if key == "heads" else f"augment-{name}", section)
    span = row["95 %"]
    meaning = " (no gain means below 0.02)" if claimed == "no gain" else ""
    return settle(
        key,
        ours=f"{row['difference']:+.3f}",
        interval=span and f"{span[0]:+.3f} to {span[1]:+.3f}",
        verdict=effect(claimed, span),
        why=f"pooled A1 at A = .95 against {base}, {row['seeds']} seeds, t interval{meaning}",
        data=source(records[0]),
        where=f"04_deeper, {section}",
    )
