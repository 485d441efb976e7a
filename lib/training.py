"""One training loop for every model: fit or load, checkpoint, resume, one process or several."""

import math
import platform
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import Tensor, nn
from tqdm import tqdm

from lib import processes
from lib.engine import load_checkpoint, read_card, save_checkpoint
from lib.files import atomic
from lib.losses import LOSSES, PlateLoss
from lib.metrics import Accumulator
from lib.models import build, parameter_count
from lib.recipes import Recipe
from lib.settings import RUNS, PlatesError, device, seed_everything, someone_watches
from lib.transforms import Augment, Pictures, batches, full_frame, to_input

CHECKPOINT_SECONDS = 60.0  # with its optimiser the paper's network weighs 1.3 GB, so not after every short epoch
DIVERGED = 100.0  # times the loss of the first step; the paper's passing instabilities stay below


@dataclass(frozen=True)
class Run:
    """A finished training.

    Attributes:
        model: the weights of the epoch whose validation loss was lowest, in evaluation mode.
        card: recipe, data, device, versions, seconds and history, as in the checkpoint.
        folder: where ``best`` and ``last`` lie.
        loaded: whether the run was found rather than made.
    """

    model: nn.Module
    card: dict[str, Any]
    folder: Path
    loaded: bool

    @property
    def history(self) -> list[dict[str, float]]:
        """One dictionary an epoch, epoch 0 being the untrained network."""
        return self.card["history"]

    def say(self) -> str:
        """One line for a notebook: loaded or trained, from what, how long."""
        made = "loaded" if self.loaded else "trained"
        return (
            f"{made} {self.card['name']}: {self.card['parameters'] / 1e6:.1f} M parameters, "
            f"{self.card['steps']:,} steps in {self.card['seconds'] / 60:.1f} min on {self.card['device']}, "
            f"best epoch {self.card['best_epoch']} of {self.card['recipe']['epochs']}"
        )


def fit_or_load(name: str, recipe: Recipe, train: Pictures, validation: Pictures, data: str) -> Run:
    """Load the run that has this name, recipe and data, or train it (resuming where it was stopped).

    Args:
        name: what tables call the run.
        train, validation: the pictures; ``recipe.pictures`` is obeyed here, by a seeded draw.
        data: one line that names the data (`lib.data.describe`), part of the run's identity.

    Raises:
        PlatesError: the loss diverged, or a checkpoint cannot be read or written.
    """
    folder = RUNS / f"{name}-{recipe.digest(data)}"
    best, last = folder / "best.safetensors", folder / "last.safetensors"
    loaded = last.exists() and read_card(last)["finished"]
    if not loaded:
        fit(name, recipe, train, validation, data, folder)
    model, card = load_checkpoint(best)
    whole = read_card(last) | {"operating_point": card["operating_point"]}
    return Run(model.to(device()), whole, folder, loaded)


def set_operating_point(run: Run, point: dict[str, float]) -> None:
    """Write the threshold and growth chosen on validation into the run's best checkpoint."""
    path = run.folder / "best.safetensors"
    model, card = load_checkpoint(path)
    save_checkpoint(path, model, {**card, "operating_point": point})


def fit(name: str, recipe: Recipe, train: Pictures, validation: Pictures, data: str, folder: Path) -> None:
    """Train into ``folder``: ``best`` and ``last`` (safetensors and JSON), and until the end ``resume.pt``.

    Killed at any moment, the next call goes on from the last checkpoint; on a processor it ends with the
    very weights of the uninterrupted run. Under torchrun every process takes its share of each batch.

    Raises:
        PlatesError: the loss is not a number any more or grew a hundredfold; the folder cannot be written to.
    """
    trainer = Trainer(recipe, train, validation)
    card = {
        "name": name,
        "model": recipe.model,
        "options": dict(recipe.options),
        "recipe": asdict(recipe),
        "data": data,
        "pictures": len(trainer.train),
        "parameters": parameter_count(trainer.model),
        "device": describe_device(trainer.device),
        "precision": str(trainer.precision).removeprefix("torch."),
        "processes": processes.world(),
        "versions": {"torch": torch.__version__, "torchvision": torchvision.__version__},
        "operating_point": None,
    }
    resume, saved = folder / "resume.pt", time.monotonic()
    if resume.exists():
        trainer.restore(resume)
    steps = recipe.epochs * trainer.steps_per_epoch
    bar = tqdm(total=steps, initial=trainer.step, desc=name, disable=processes.rank() > 0 or not someone_watches())
    if not trainer.history:
        trainer.history.append({"epoch": 0, "step": 0, "seconds": 0.0} | trainer.validate())
    while trainer.epoch < recipe.epochs:
        improved = trainer.run_epoch(bar)
        done = trainer.epoch == recipe.epochs
        if processes.rank() == 0:
            card |= {"steps": trainer.step, "seconds": trainer.seconds, "epoch": trainer.epoch}
            card |= {"best_epoch": trainer.best_epoch, "finished": done, "history": trainer.history}
            if improved:
                save_checkpoint(folder / "best.safetensors", trainer.model, card)
            if done or time.monotonic() - saved > CHECKPOINT_SECONDS:
                trainer.save(resume)
                saved = time.monotonic()
            if done:  # `last` goes first: while it is unfinished or absent, the run counts as unfinished
                save_checkpoint(folder / "last.safetensors", trainer.model, card)
                resume.unlink()
    bar.close()
    processes.wait()


class Trainer:
    """The state of one training and its steps; `fit` adds the files.

    Attributes:
        model, optimiser, history, epoch, step, seconds, best_loss, best_epoch: what a checkpoint keeps.
    """

    def __init__(self, recipe: Recipe, train: Pictures, validation: Pictures) -> None:
        seed_everything(recipe.seed)
        self.recipe, self.device = recipe, device()
        self.precision = fast_precision(self.device)
        self.train = train.sample(recipe.pictures, recipe.seed).to(self.device)
        self.validation = full_frame(validation.to(self.device))
        self.augment = Augment(tuple(recipe.augment), smallest_crop=recipe.smallest_crop)
        self.criterion = make_loss(recipe)
        self.model = build(recipe.model, **recipe.options).to(self.device, memory_format=torch.channels_last)
        self.optimiser = torch.optim.AdamW(
            self.model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
        )
        self.parallel = processes.parallel(self.model)
        self.batch = min(recipe.batch, len(self.train))
        if self.batch % processes.world():
            raise PlatesError(
                f"batch={self.batch} is no multiple of the {processes.world()} processes; choose one that is."
            )
        self.steps_per_epoch = len(self.train) // self.batch
        self.history: list[dict[str, float]] = []
        self.epoch = self.step = self.best_epoch = 0
        self.seconds, self.best_loss, self.first_loss = 0.0, math.inf, math.nan

    def run_epoch(self, bar: tqdm) -> bool:
        """One pass over the training pictures and the validation after it; returns whether that was the best."""
        started, accumulator, losses, norms = time.monotonic(), Accumulator(), [], []
        self.model.train()
        for pixels, masks in self.batches():
            loss, norm, plate = self.take_step(pixels, masks)
            accumulator.add_batch(plate, masks)
            losses.append(loss)
            norms.append(norm)
            bar.update()
        self.epoch += 1
        for state in processes.gather(accumulator.state())[1:]:
            accumulator.merge(Accumulator.from_state(state))
        row = {"epoch": self.epoch, "step": self.step, "learning_rate": self.rate(self.step)}
        row |= {"loss": sum(losses) / len(losses)}
        row |= {"gradient_norm": sum(norms) / len(norms), "gradient_norm_max": max(norms)}
        row |= pixel_scores(accumulator) | self.validate()
        self.seconds += time.monotonic() - started
        self.history.append(row | {"seconds": self.seconds})
        better = row["validation_loss"] < self.best_loss
        if better:
            self.best_loss, self.best_epoch = row["validation_loss"], self.epoch
        bar.set_postfix(A=f"{row['validation_accuracy']:.3f}", A1=f"{row['validation_on_plate_accuracy'] or 0:.3f}")
        return better

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """This process's share of the epoch: float pictures ``(B, 3, S, S)`` and bool masks ``(B, S, S)``."""
        rank, world = processes.rank(), processes.world()
        for index, seeds in batches(len(self.train), self.batch, self.recipe.seed, self.epoch):
            pixels, masks, _ = self.augment(self.train, index[rank::world], seeds[rank::world])
            yield to_input(pixels), masks

    def take_step(self, pictures: Tensor, masks: Tensor) -> tuple[float, float, Tensor]:
        """One step; returns the loss, the gradient's norm before clipping and P(plate) ``(B, S, S)``."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate(self.step)
        with torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32):
            logits = self.parallel(pictures)
        loss = self.criterion(logits, masks)
        told = processes.mean(loss).item()
        self._check(told)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = self._clip()
        self.optimiser.step()
        self.step += 1
        return told, norm, logits.detach().float().softmax(1)[:, 1]

    def _clip(self) -> float:
        parameters = list(self.model.parameters())
        norm = torch.nn.utils.get_total_norm([p.grad for p in parameters])
        if self.recipe.clip == "norm":
            torch.nn.utils.clip_grads_with_norm_(parameters, self.recipe.clip_at, norm)
        elif self.recipe.clip == "value":
            torch.nn.utils.clip_grad_value_(parameters, self.recipe.clip_at)
        return norm.item()

    def _check(self, loss: float) -> None:
        self.first_loss = loss if math.isnan(self.first_loss) else self.first_loss
        if not math.isfinite(loss) or loss > DIVERGED * self.first_loss:
            raise PlatesError(
                f"the loss went from {self.first_loss:.3g} to {loss:.3g} at step {self.step:,}; "
                f"lower learning_rate (now {self.recipe.learning_rate:g}) or clip the gradient "
                f"(now clip={self.recipe.clip!r} at {self.recipe.clip_at:g})."
            )

    def rate(self, step: int) -> float:
        """The learning rate of ``step``: half a cosine from the recipe's rate to 0."""
        total = self.recipe.epochs * self.steps_per_epoch
        return self.recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * step / total))

    @torch.inference_mode()
    def validate(self) -> dict[str, float]:
        """Loss, A and both forms of A1 on the whole validation pictures, as ``validation_*``."""
        self.model.eval()
        accumulator, total = Accumulator(), 0.0
        for pixels, masks in zip(*(part.split(32) for part in self.validation), strict=True):
            with torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32):
                logits = self.model(to_input(pixels))
            total += self.criterion(logits, masks).item() * len(pixels)
            accumulator.add_batch(logits.float().softmax(1)[:, 1], masks)
        scores = {"loss": total / len(self.validation[0])} | pixel_scores(accumulator)
        return {f"validation_{key}": value for key, value in scores.items()}

    def save(self, path: Path) -> None:
        """Write everything that the next epoch depends on."""
        kept = {key: getattr(self, key) for key in KEPT}
        state = {"model": self.model.state_dict(), "optimiser": self.optimiser.state_dict(), "kept": kept}
        with atomic(path) as temporary:
            torch.save(state, temporary)

    def restore(self, path: Path) -> None:
        """Take up what `save` wrote.

        Raises:
            PlatesError: the file cannot be read.
        """
        try:
            state = torch.load(path, map_location=self.device, weights_only=True)
        except Exception as error:  # torch raises many kinds for a damaged file
            raise PlatesError(f"{path}: cannot be resumed from ({error}); delete it to train anew.") from error
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        for key in KEPT:
            setattr(self, key, state["kept"][key])


KEPT = ("history", "epoch", "step", "seconds", "best_loss", "best_epoch", "first_loss")


def make_loss(recipe: Recipe) -> PlateLoss:
    """The loss that a recipe names.

    Raises:
        PlatesError: no loss has that name.
    """
    if recipe.loss not in LOSSES:
        raise PlatesError(f"loss {recipe.loss!r} is unknown; choose one of {', '.join(LOSSES)}.")
    given = {"weight": recipe.weight, "weight_inside": recipe.weight_inside, "reduction": recipe.reduction}
    return LOSSES[recipe.loss](**{key: value for key, value in given.items() if value is not None})


def pixel_scores(accumulator: Accumulator) -> dict[str, float]:
    """A and both forms of A1 of an accumulator."""
    summary = accumulator.summary()
    return {key: summary[key] for key in ("accuracy", "on_plate_accuracy", "on_plate_accuracy_pooled")}


def fast_precision(where: torch.device) -> torch.dtype:
    """bfloat16 where the device computes in it natively, else float32."""
    if where.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    native = where.type == "cpu" and torch.cpu._is_avx512_bf16_supported()  # emulated, bfloat16 is the slower one
    return torch.bfloat16 if native else torch.float32


def describe_device(where: torch.device) -> str:
    """The device as tables name it: the GPU's name, or the processor with its threads."""
    if where.type == "cuda":
        return torch.cuda.get_device_name(where)
    return f"{where.type} ({platform.machine()}, {torch.get_num_threads()} threads)"
