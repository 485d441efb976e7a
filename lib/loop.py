"""One step, one epoch, one validation of any network: the state of a training. `lib.training` adds the files."""

import math
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from lib import processes
from lib.files import atomic
from lib.settings import PlatesError


class Diverged(PlatesError):
    """The loss or its gradient ran away; ``steps`` holds what was logged until then, `Loop.steps`' way."""

    def __init__(self, told: str, steps: dict[str, list[float]]) -> None:
        super().__init__(told)
        self.steps = steps


DIVERGED = 100.0  # times the loss of the first step; the paper's passing instabilities stay below


class Loop(ABC):
    """The state of one training and its steps, in one process or in torchrun's share of several.

    A subclass makes ``recipe``, ``device``, ``precision``, ``train``, ``validation``, ``test`` (None for none),
    ``model``, ``optimiser`` and ``parallel``, then calls `_begin`; and it says how an epoch is gone through.

    Attributes:
        model, optimiser, history, epoch, step, seconds, best_loss, best_epoch: what a checkpoint keeps.
        steps: the loss of every step so far and the gradient's norm before clipping, lists of equal length.
    """

    def _begin(self) -> None:
        """Set what a checkpoint keeps, and how many steps an epoch has."""
        self.batch = min(self.recipe.batch, len(self.train))
        if self.batch % processes.world():
            raise PlatesError(
                f"batch={self.batch} is no multiple of the {processes.world()} processes; choose one that is."
            )
        self.steps_per_epoch = len(self.train) // self.batch
        self.history: list[dict[str, float]] = []
        self.steps: dict[str, list[float]] = {"loss": [], "gradient_norm": []}
        self.epoch = self.step = self.best_epoch = 0
        self.seconds, self.best_loss, self.first_loss = 0.0, math.inf, math.nan

    def run_epoch(self, bar: tqdm) -> bool:
        """One pass over the training pictures and the validation after it; returns whether that was the best."""
        started, first = time.monotonic(), self.step
        self.model.train()
        scores = self.go_through(bar)
        self.epoch += 1
        row = {"epoch": self.epoch, "step": self.step, "learning_rate": self.rate(self.step)}
        losses, norms = (self.steps[key][first:] for key in ("loss", "gradient_norm"))
        row |= {"loss": sum(losses) / len(losses)}
        row |= {"gradient_norm": sum(norms) / len(norms), "gradient_norm_max": max(norms)}
        row |= scores | self.measure("validation", self.validation)
        if self.test is not None and self.epoch % max(2, self.recipe.epochs // 10) == 0:
            row |= self.measure("test", self.test)
        self.seconds += time.monotonic() - started
        self.history.append(row | {"seconds": self.seconds})
        better = row["validation_loss"] < self.best_loss
        if better:
            self.best_loss, self.best_epoch = row["validation_loss"], self.epoch
        shown = {"A": "accuracy", "A1": "on_plate_accuracy", "loss": "loss", "error": "error"}
        told = {name: row.get(f"validation_{key}") for name, key in shown.items()}
        bar.set_postfix({name: f"{value:.3f}" for name, value in told.items() if value is not None})
        return better

    @abstractmethod
    def go_through(self, bar: tqdm) -> dict[str, float]:
        """Take the steps of one epoch; returns what the training pictures themselves told, over all processes."""

    @abstractmethod
    def rate(self, step: int) -> float:
        """The learning rate of ``step``."""

    @abstractmethod
    def measure(self, name: str, pictures: Any) -> dict[str, float]:
        """``NAME_loss`` and other scores of ``pictures``, as ``NAME_*``."""

    def autocast(self) -> torch.autocast:
        """The arithmetic of the forward pass: bfloat16 where the device has it."""
        return torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32)

    def descend(self, loss: Tensor) -> None:
        """Follow the gradient of a step's loss, and log both.

        Raises:
            Diverged: either is not a number any more, or the loss grew a hundredfold.
        """
        told = processes.mean(loss).item()
        self.first_loss = told if math.isnan(self.first_loss) else self.first_loss
        self._check(told, "the loss", DIVERGED * self.first_loss)
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate(self.step)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = self._clip()
        self.optimiser.step()
        self.step += 1
        self.steps["loss"].append(told)
        self.steps["gradient_norm"].append(norm)

    def _clip(self) -> float:
        parameters = [p for group in self.optimiser.param_groups for p in group["params"]]
        norm = torch.nn.utils.get_total_norm([p.grad for p in parameters])
        told = norm.item()
        self._check(told, "the gradient's norm", math.inf)
        if self.recipe.clip == "norm":
            torch.nn.utils.clip_grads_with_norm_(parameters, self.recipe.clip_at, norm)
        elif self.recipe.clip == "value":
            torch.nn.utils.clip_grad_value_(parameters, self.recipe.clip_at)
        return told

    def _check(self, value: float, what: str, limit: float) -> None:
        if not math.isfinite(value) or value > limit:
            raise Diverged(
                f"{what} is {value:.3g} at step {self.step:,} (the first loss was {self.first_loss:.3g}); "
                f"lower learning_rate (now {self.recipe.learning_rate:g}) or clip the gradient "
                f"(now clip={self.recipe.clip!r} at {self.recipe.clip_at:g}).",
                self.steps,
            )

    def progress(self) -> dict[str, Any]:
        """How far the training is, as its card tells it."""
        told = {"steps": self.step, "seconds": self.seconds, "epoch": self.epoch, "best_epoch": self.best_epoch}
        steps = {key: [float(f"{value:.4g}") for value in values] for key, values in self.steps.items()}
        return told | {"finished": self.epoch == self.recipe.epochs, "history": self.history, "log": steps}

    def parts(self) -> dict[str, Any]:
        """What a checkpoint holds the state of, beside `KEPT`."""
        return {"model": self.model, "optimiser": self.optimiser}

    def save(self, path: Path) -> None:
        """Write everything that the next epoch depends on."""
        state: dict[str, Any] = {key: part.state_dict() for key, part in self.parts().items()}
        state["kept"] = {key: getattr(self, key) for key in KEPT}
        with atomic(path) as temporary:
            torch.save(state, temporary)

    def restore(self, path: Path) -> None:
        """Take up what `save` wrote.

        Raises:
            PlatesError: the file cannot be read.
        """
        try:
            state = torch.load(path, map_location=self.device, weights_only=True)
            for key, part in self.parts().items():
                part.load_state_dict(state[key])
            for key in KEPT:
                setattr(self, key, state["kept"][key])
        except Exception as error:  # torch raises many kinds for a damaged or foreign file
            told = str(error).split("\n")[0]  # torch goes on with advice of its own
            raise PlatesError(f"{path}: cannot be resumed from ({told}); delete it to train anew.") from error


KEPT = ("history", "steps", "epoch", "step", "seconds", "best_loss", "best_epoch", "first_loss")
