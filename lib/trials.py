"""One point of a search: trained, scored on whole validation pictures, and the rules that choose among trials."""

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lib.checkpoints import load_checkpoint, read_card
from lib.engine import describe_device
from lib.experiments import Frames, never_looking, paired_gain, score
from lib.loop import Diverged
from lib.losses import LOSSES
from lib.metrics import Accumulator
from lib.pictures import Pictures
from lib.recipes import Recipe
from lib.settings import PlatesError, device
from lib.training import fit
from lib.transforms import full_frame, to_input

AT_ACCURACY = 0.95  # the A at which all trials, and the location prior, are compared


Trial = Mapping[str, Any]  # as `lib.search.search` returns it


class Judge:
    """The scores of a model on whole validation pictures, with those of the location prior to compare with."""

    def __init__(self, train: Pictures, validation: Pictures) -> None:
        self.frames: Frames = full_frame(validation)
        self.truth = self.frames[1].flatten(1).sum(1).numpy().astype(float)
        if not self.truth.any():
            raise PlatesError("the validation pictures hold no plate to search by; give labelled pictures.")
        _, self.prior_reaches, self.prior = self._scores(never_looking(train)["location prior"])

    def _scores(self, model: nn.Module) -> tuple[Accumulator, float | None, Accumulator]:
        """Counts at one half; pooled A1 at `AT_ACCURACY`, and counts there (of no plate where it is not reached)."""
        half = score("", model, self.frames)
        threshold, reached = half.curve.at_accuracy(AT_ACCURACY) or (0.0, None)
        return half.pixels, reached, score("", model, self.frames, threshold).pixels

    @torch.inference_mode()
    def __call__(self, model: nn.Module) -> dict[str, Any]:
        """A trial's numbers; ``hits``: plate pixels found at `AT_ACCURACY`, one number a picture."""
        half, reached, moved = self._scores(model)
        gain, interval = paired_gain(moved, self.prior)
        where, criterion, entropy = next(model.parameters()).device, LOSSES["cross_entropy"](), 0.0
        for pixels, masks in zip(*(part.split(32) for part in self.frames), strict=True):
            entropy += criterion(model(to_input(pixels.to(where))), masks.to(where)).item() * len(pixels)
        summary = half.summary()
        return {
            "A": summary["accuracy"],
            "A1": summary["on_plate_accuracy"],
            "A1 pooled": summary["on_plate_accuracy_pooled"],
            "cross_entropy": entropy / len(self.truth),
            "at_accuracy_095": reached,
            "gain": gain,
            "interval": interval and list(interval),
            "hits": [row.hits for row in moved.pictures],
        }


def train_point(
    point: Mapping[str, Any], base: Recipe, train: Pictures, validation: Pictures, data: str, folder: Path, judge: Judge
) -> dict[str, Any]:
    """Train ``base`` with the changes ``point`` and score it; ``folder`` is deleted once the numbers are known.

    Returns:
        What ``judge`` says, ``device``, ``seconds``, ``steps``, ``best_epoch``, and ``failed``: None, or the sentence
        of a run that diverged, whose scores are absent.

    Raises:
        PlatesError: what `lib.training.fit` raises, but for `Diverged`.
    """
    started = time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)  # what an interrupted trial has left
    told: dict[str, Any] = {"device": describe_device(device()), "failed": None}
    try:
        fit(folder.name, replace(base, **point), train, validation, data, folder)
        model, card = load_checkpoint(folder / "best.safetensors")
        steps = read_card(folder / "last.safetensors")["steps"]
        told |= judge(model.to(device())) | {"best_epoch": card["best_epoch"], "steps": steps}
    except Diverged as error:
        told |= {"failed": str(error), "steps": len(error.steps["loss"])}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return told | {"seconds": round(time.monotonic() - started, 1)}


def simplest(trials: Sequence[Trial]) -> Trial:
    """The trial to take by the paper's tie rule: of those that the data do not tell from the best, the simplest.

    A trial ties with the best when the 95 % interval of the best's lead over it holds 0 (``behind_best``). Of these the
    lowest λ is the simplest (the paper's example), then the least weight decay, the largest clipping value, the
    largest batch (fewest steps), and the higher value. What a trial does not change counts as 0.

    Raises:
        PlatesError: no trial was completed.
    """
    tied = [trial for trial in completed(trials) if trial["behind_best"][0] <= 0]

    def complexity(trial: Trial) -> tuple[float, ...]:
        get = trial["params"].get
        return (get("weight", 0), get("weight_decay", 0), -get("clip_at", 0), -get("batch", 0), -value(trial))

    return min(tied, key=complexity)


def highest_accuracy(trials: Sequence[Trial]) -> Trial:
    """The trial with the highest A at one half, equal ones told apart by cross entropy: the paper's own criterion.

    Raises:
        PlatesError: no trial was completed.
    """
    return max(completed(trials), key=lambda trial: (trial["A"], -trial["cross_entropy"]))


def completed(trials: Sequence[Trial]) -> list[Trial]:
    """The trials that did not diverge.

    Raises:
        PlatesError: there is none.
    """
    kept = [trial for trial in trials if trial["state"] == "complete"]
    if not kept:
        raise PlatesError(f"none of the search's {len(trials)} trials was completed; search lower learning rates.")
    return kept


def value(trial: Trial) -> float:
    """What a completed trial is ranked by: its pooled A1 at A = 0.95, and 0 where it does not reach that A."""
    return trial["at_accuracy_095"] or 0.0
