"""The verdicts of `04_deeper` on the paper's claims, from stored records, by the rules of `lib.table1`."""

from collections.abc import Mapping, Sequence
from typing import Any

from lib.claims import settle
from lib.table1 import Record, ablation, converged, effect, source, value, verdict, words

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
LATE = (0.75, 0.95)  # the paper's 80 to 90 of 100 epochs, as widely as few epochs can tell


def settle_all(runs: Sequence[Record], heads: Sequence[Record], augment: Sequence[Record]) -> list[dict[str, Any]]:
    """Settle the claims of Table 1 and of the paper's sections 4, 4.1, 4.2 and 5 that `04_deeper` tests.

    Args:
        runs, heads, augment: `lib.records.load_group` of "table1", "heads" and "augment". A row that is not among
            them is settled as one that cannot be told.

    Returns:
        The ledger's entries.
    """
    by_name = {run["name"]: run for run in runs}
    settled = [_row(by_name.get(name), name, key) for name, key in ROWS.items()]
    settled += [told(by_name) for told in (_collapse, _equation, _convergence, _overfitting)]
    return settled + _heads(heads) + [_augmentation(augment, *claim) for claim in AUGMENTATIONS]


def _row(run: Record | None, name: str, key: str) -> dict[str, Any]:
    where = "04_deeper, section 2"
    if run is None:
        why = f"its training has not been run at this size; `python -m lib runs {name}` does"
        return settle(key, ours="not run", verdict="cannot be told here", why=why, data="none", where=where)
    crop, whole = (run["metrics"]["test"][protocol] for protocol in ("random_crop", "full_frame"))
    ours, interval = words(crop)
    why = f"random crops; on whole pictures {words(whole)[0]}, and at A = .95 a pooled A1 of {value(run):.2f}"
    return settle(
        key, ours=ours, interval=interval, verdict=verdict(run["paper"], crop), why=why, data=source(run), where=where
    )


def _collapse(runs: Mapping[str, Record]) -> dict[str, Any]:
    run = runs["cross-entropy"]
    predicted = run["metrics"]["validation"]["full_frame"]["predicted_plate"]
    place = next(i for i, t in enumerate(run["curve"]["threshold"]) if t >= CERTAIN)
    unsure = run["curve"]["false_cover"][place]  # share of background pixels with P(background) below CERTAIN
    told = "does not hold" if predicted > 1e-3 else "holds" if unsure < 0.01 else "holds in part"
    return settle(
        "collapse",
        ours=f"{predicted:.4%} of pixels predicted plate",
        verdict=told,
        why=f"nothing is predicted plate, but {unsure:.0%} of background pixels have P(background) < {CERTAIN:.2f}",
        data=source(run),
        where="04_deeper, section 2",
    )


def _equation(runs: Mapping[str, Record]) -> dict[str, Any]:
    run = runs["log2-paper"]
    crop = run["metrics"]["test"]["random_crop"]
    ours, interval = words(crop)
    return settle(
        "equation",
        ours=ours,
        interval=interval,
        verdict="holds" if crop["intervals"]["on_plate_accuracy"][1] >= 0.5 else "does not hold",
        why="outside the square λ = 5 is too small for these plate shares (02, resting points); inside, it acts as 25",
        data=source(run),
        where="04_deeper, section 3",
    )


def _convergence(runs: Mapping[str, Record]) -> dict[str, Any]:
    run = runs["log2-code"]
    share = converged(run["history"])
    return settle(
        "convergence",
        ours=f"after {share:.0%} of the epochs",
        verdict="holds" if LATE[0] <= share <= LATE[1] else "does not hold",
        why="from then on the training loss stays within 5 % of its whole fall; a cosine schedule ends any run so",
        data=source(run),
        where="04_deeper, section 7",
    )


def _overfitting(runs: Mapping[str, Record]) -> dict[str, Any]:
    kept = [runs[name] for name in ("log2-code-3", "log2-code", "log2-code-8") if name in runs]
    ratios = [run["history"][-1]["test_loss"] / run["history"][-1]["loss"] for run in kept]
    alike = sum(ratio <= ALIKE for ratio in ratios)
    return settle(
        "overfitting",
        ours="test loss / training loss " + ", ".join(f"{ratio:.2f}" for ratio in ratios),
        verdict="holds" if alike == len(ratios) else "holds in part" if alike else "does not hold",
        why="the curves are alike because the network fits neither: A1 on its own training crops is no higher",
        data=source(kept[0]),
        where="04_deeper, section 7",
    )


def _heads(heads: Sequence[Record]) -> list[dict[str, Any]]:
    rows = ablation(heads)[1:]
    told = [effect("no gain", row["95 %"]) for row in rows]
    worst = next((v for v in ("does not hold", "cannot be told here") if v in told), "holds")
    shown = "; ".join(f"{row['variant']} {row['difference']:+.3f}" for row in rows)
    spans = "; ".join(f"{row['95 %'][0]:+.3f} to {row['95 %'][1]:+.3f}" for row in rows if row["95 %"])
    why = "pooled A1 at A = .95 against one linear layer, over seeds; no gain means below 0.02"
    where = "04_deeper, section 5"
    return [settle("heads", ours=shown, interval=spans, verdict=worst, why=why, data=source(heads[0]), where=where)]


AUGMENTATIONS = (("photometric", "reduces"), ("flip", "reduces"), ("blur", "improves"))


def _augmentation(augment: Sequence[Record], name: str, claimed: str) -> dict[str, Any]:
    row = next(row for row in ablation(augment) if row["variant"] == name)
    low, high = row["95 %"] or (float("nan"),) * 2
    return settle(
        name,
        ours=f"{row['difference']:+.3f}",
        interval=f"{low:+.3f} to {high:+.3f}",
        verdict=effect(claimed, row["95 %"]),
        why=f"pooled A1 at A = .95 against crop alone, {row['seeds']} seeds, t interval",
        data=source(augment[0]),
        where="04_deeper, section 6",
    )
