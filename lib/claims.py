"""The ledger: every claim of the paper and the blog that can be tested, what was measured here, and the verdict.

The sentences are data here; the notebooks settle them from their own numbers, so that a verdict can never outlive the
run that it rests on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from IPython.display import Markdown

from lib.files import atomic, locked, read_json, write_json
from lib.plots.tables import table
from lib.settings import BUILD, FIGURES, ROOT, PlatesError, settings

VERDICTS = ("holds", "holds in part", "does not hold", "cannot be told here")
MARKS = ("<!-- ledger, by make publish -->", "<!-- end of the ledger -->")
FIELDS = ("claim", "paper", "ours", "interval", "data", "verdict", "where", "why")


@dataclass(frozen=True)
class Claim:
    """A sentence of the paper or the blog in our words, and its figure there (A / A1 for the rows of Table 1)."""

    sentence: str
    paper: str


CLAIMS: dict[str, Claim] = {
    "table1-cross-entropy": Claim("Table 1: 512 channels, cross entropy", ".94 / 0"),
    "table1-log2-3": Claim("Table 1: 512 channels, log², λ = 3", ".91 / .86"),
    "table1-log2-5": Claim("Table 1: 512 channels, log², λ = 5", ".89 / .93"),
    "table1-log2-8": Claim("Table 1: 512 channels, log², λ = 8", ".83 / .97"),
    "table1-log3-5": Claim("Table 1: 512 channels, log³, λ = 5", ".71 / .95"),
    "table1-wide": Claim("Table 1: 1024 channels, log², λ = 5", ".91 / .93"),
    "table1-wide-blur": Claim("Table 1: 1024 channels, log², λ = 5, Gaussian blur (the best model)", ".91 / .96"),
    "table1-fullconv": Claim("Table 1: FullConv, log², λ = 10", ".05 / 1"),
    "table1-yolo": Claim("Table 1: YOLOv5, pre-trained", ".98 / .99"),
    "heads": Claim("4: shallower and deeper prediction heads bring not much improvement", "not much"),
    "collapse": Claim("4.1: cross entropy predicts background for every pixel with probability 1", "probability 1"),
    "equation": Claim("4.1: the loss as printed, λ = 5 outside the square, mends the collapse", "A1 = .93"),
    "lambda-5": Claim("4.1, 4.3: λ = 5 balances background and plate", "λ = 5 of 1 to 10"),
    "early-plate": Claim("4.1: early checkpoints predict most pixels plate, then the model differentiates", "said"),
    "instability": Claim("4.1: now and then a gradient greatly increases the loss", "said"),
    "clipping": Claim("4.1: clipping every parameter's gradient at 0.1 addresses the instability", "0.1"),
    "cosine": Claim("4.1: a cosine schedule encourages convergence", "said"),
    "convergence": Claim("4.1: the training loss converges at 80 to 90 of 100 epochs", "80 to 90 %"),
    "photometric": Claim("4.2: photometric distortion reduces the accuracy", "reduces"),
    "flip": Claim("4.2: the horizontal flip reduces the accuracy", "reduces"),
    "blur": Claim("4.2: Gaussian blur improves the model", "+.03 A1"),
    "colour-used": Claim("4.2: colour is valuable, and the best model uses it", "said"),
    "search-rate": Claim("4.3: learning rate 1e-3 and weight decay 1e-4 are best", "1e-3, 1e-4"),
    "batch-highest": Claim("4.3: the largest batch that the GPU bears", "512"),
    "yolo-gap": Claim("5: the best A1 is just slightly lower than YOLOv5's", ".96 against .99"),
    "yolo-data": Claim("Abstract, 5: trained on less than 1 % of YOLO's data", "< 1 %"),
    "yolo-nearly": Claim("Abstract, 6: performs nearly as well as the state of the art", "nearly"),
    "overfitting": Claim("5: no over-fitting, the loss curves of train and test are quite similar", "similar"),
    "saliency-characters": Claim("5.1: the characters of the plate are brightest in the maps", "brightest"),
    "saliency-contours": Claim("5.1: of blurry plates the surroundings and edges count more", "more"),
    "saliency-colour": Claim("5.1: colour is not salient", "not salient"),
    "failure-kinds": Claim("5.2: most failures cover only part of a plate, or none of it", "most"),
    "threshold-balance": Claim("5.2: a threshold of 0.1 mostly covers the plate and nothing else", "0.1"),
    "threshold-02": Claim("5.2: 0.2 covers the whole plate of a low-quality picture", "0.2"),
    "threshold-colour": Claim("5.2: yellow and red plates need 0.4 or more", "0.4"),
    "threshold-noise": Claim("5.2: 0.4 and more covers parts of the car that are no plate", "said"),
    "blog-trade": Claim("Blog: SSD MobileNet is a lot faster than Faster R-CNN, and less accurate", "said"),
    "blog-gain": Claim("Blog: the landmark network improves what SSD alone conceals", "said"),
    "blog-cost": Claim("Blog: the landmark network has a tiny effect on the speed", "3 ms a plate"),
    "blog-shape": Claim("Blog: corners are much finer than boxes where the view is turned", "said"),
    "blog-expand": Claim("Blog: an expanded box gives the landmark network what it needs", "said"),
    "blog-cut": Claim("Blog: SSD's box sometimes does not cover the whole plate", "sometimes"),
    "blog-cameras": Claim("Blog: the system works equally well on all cameras", "equally well"),
    "blog-engine": Claim("Blog: an engine built for the processor is significantly faster than a stock one", "said"),
    "blog-scale": Claim("Blog: fast enough for many cameras that send a frame every few seconds", "said"),
}


def ledger_path() -> Path:
    """Where verdicts go: ``figures/claims.json`` when publishing, else a copy of one's own in ``build/``."""
    return (FIGURES if settings().publish else BUILD) / "claims.json"


def ledger() -> list[dict[str, Any]]:
    """All entries, in the order of `CLAIMS`: one's own where there is one, else the published.

    Raises:
        PlatesError: the file is damaged.
    """
    settled: dict[str, dict[str, Any]] = {}
    for path in (FIGURES / "claims.json", ledger_path()):
        if path.exists():
            entries = read_json(path)
            known = isinstance(entries, list) and all(isinstance(e, dict) and set(e) == set(FIELDS) for e in entries)
            if not known:
                raise PlatesError(f"{path.name}: is no ledger of claims; delete it and run the notebooks again.")
            settled |= {entry["claim"]: entry for entry in entries}
    return [settled[one.sentence] for one in CLAIMS.values() if one.sentence in settled]


def settle(
    key: str, *, ours: str, verdict: str, why: str, data: str, where: str, interval: str | None = None
) -> dict[str, Any]:
    """Enter a verdict, replacing the claim's former one.

    Args:
        key: of `CLAIMS`.
        ours: the figure measured here.
        verdict: one of `VERDICTS`, computed from the numbers.
        why: the reason in a clause or two.
        data: data and recipe that ``ours`` is from.
        where: notebook and section.
        interval: 95 %, as words; None where none applies.

    Raises:
        PlatesError: no claim has this key, or the verdict is none.
    """
    if key not in CLAIMS or verdict not in VERDICTS:
        raise PlatesError(f"claim {key!r} or verdict {verdict!r} is unknown; see lib.claims.CLAIMS and VERDICTS.")
    claim = CLAIMS[key]
    entry = {"claim": claim.sentence, "paper": claim.paper, "ours": ours, "interval": interval, "data": data}
    entry |= {"verdict": verdict, "where": where, "why": why}
    with locked(BUILD / "claims.lock"):  # two notebooks may settle at once
        settled = {old["claim"]: old for old in ledger()} | {claim.sentence: entry}
        order = [one.sentence for one in CLAIMS.values()]
        write_json(ledger_path(), [settled[sentence] for sentence in order if sentence in settled])
    return entry


def show(keys: Sequence[str] | None = None) -> Markdown:
    """The ledger, or the entries of ``keys``, as a table; each row names its data."""
    wanted = {CLAIMS[key].sentence for key in keys or CLAIMS}
    rows = [entry for entry in ledger() if entry["claim"] in wanted]
    if not rows:
        return Markdown("*No claim has been settled yet: run the notebooks 03 to 08.*")
    columns = ("claim", "paper", "ours", "interval", "verdict", "why", "where", "data")
    return table([{key: row[key] for key in columns} for row in rows])


def readme_table() -> str:
    """The published ledger as the README shows it: claim, the paper's figure, ours, the verdict."""
    path = FIGURES / "claims.json"
    rows = read_json(path) if path.exists() else []
    if not rows:
        return "*not published yet*"
    short = [
        {key: row[key] for key in ("claim", "paper", "ours", "verdict")} | {"notebook": row["where"].split(",")[0]}
        for row in rows
    ]
    return table(short).data


def write_readme(readme: Path = ROOT / "README.md") -> bool:
    """Put `readme_table` between the README's two marks; returns whether that changed it.

    Raises:
        PlatesError: the marks are missing.
    """
    text = readme.read_text(encoding="utf-8")
    before, start, rest = text.partition(MARKS[0])
    _, end, after = rest.partition(MARKS[1])
    if not start or not end:
        raise PlatesError(f"{readme.name}: the marks {MARKS[0]} and {MARKS[1]} are missing; put them back.")
    made = f"{before}{start}\n\n{readme_table()}\n\n{end}{after}"
    if made != text:
        with atomic(readme) as temporary:
            temporary.write_text(made, encoding="utf-8")
    return made != text


if __name__ == "__main__":
    print("README.md: the ledger is", "written anew" if write_readme() else "as it was")
