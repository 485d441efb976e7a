"""One training loop for every model: fit or load, checkpoint, resume, one process or several."""

import time
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import nn
from tqdm import tqdm

from lib import processes
from lib.checkpoints import load_checkpoint, read_card, save_checkpoint
from lib.engine import describe_device
from lib.loop import Loop
from lib.models import parameter_count
from lib.pictures import Pictures
from lib.recipes import Recipe
from lib.settings import RUNS, PlatesError, device, someone_watches
from lib.trainer import Trainer

CHECKPOINT_SECONDS = 60.0  # with its optimiser the paper's network weighs 1.3 GB, so not after every short epoch


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

    @property
    def steps(self) -> dict[str, list[float]]:
        """``loss`` of every optimiser step and ``gradient_norm`` before clipping."""
        return self.card["log"]

    def at(self, epoch: int) -> nn.Module:
        """The network as it was after ``epoch``, one of `fit_or_load`'s ``keep``, in evaluation mode."""
        return load_checkpoint(kept(self.folder, epoch))[0].to(device())

    def say(self) -> str:
        """One line for a notebook: loaded or trained, from what, how long."""
        made = "loaded" if self.loaded else "trained"
        return (
            f"{made} {self.card['name']}: {self.card['parameters'] / 1e6:.1f} M parameters, "
            f"{self.card['steps']:,} steps in {self.card['seconds'] / 60:.1f} min on {self.card['device']}, "
            f"best epoch {self.card['best_epoch']} of {self.card['recipe']['epochs']}"
        )


def kept(folder: Path, epoch: int) -> Path:
    """Where a run's weights of one epoch lie."""
    return folder / f"epoch-{epoch:03}.safetensors"


def fit_or_load(
    name: str,
    recipe: Recipe,
    train: Pictures,
    validation: Pictures,
    data: str,
    test: Pictures | None = None,
    keep: Collection[int] = (),
    trainer: Callable[..., Loop] = Trainer,
) -> Run:
    """Load the run that has this name, recipe and data, or train it (resuming where it was stopped).

    While another process, such as another notebook's, trains that very run, this one waits for it.

    Args:
        name: what tables call the run.
        train, validation: the pictures; ``recipe.pictures`` is obeyed here, by a seeded draw.
        data: one line that names the data (`lib.data.describe`). It is part of the run's identity, and so are the
            pictures and boxes themselves: another folder of the same name and size is another run.
        test: pictures whose scores are logged now and then (`Trainer`) and choose nothing.
        keep: epochs, 1 and up, whose weights are kept for `Run.at`; a run found without them is trained anew.
        trainer: what takes the steps. `lib.compact.CompactTrainer` has a recipe of its own, and takes
            `lib.gallery.Gallery` where `Pictures` is said here.

    Raises:
        PlatesError: the loss diverged, or a checkpoint cannot be read or written.
    """
    if Path(name).name != name:
        raise PlatesError(f"the run's name {name!r} is no name for a folder; leave out its slashes.")
    train = train.sample(recipe.pictures, recipe.seed)
    folder = RUNS / f"{name}-{recipe.digest(f'{data} {train.fingerprint()} {validation.fingerprint()}')}"
    best, last = folder / "best.safetensors", folder / "last.safetensors"
    wanted = (best, last, *(kept(folder, epoch) for epoch in keep))
    with processes.alone(folder.name):
        loaded = all(path.exists() for path in wanted)  # `last` is only written when all is done
        if loaded:
            (folder / "resume.pt").unlink(missing_ok=True)  # left where a run was killed at its very end
        else:
            last.unlink(missing_ok=True)  # finished, but without an epoch that is now asked for: unfinished again
            fit(name, recipe, train, validation, data, folder, test, keep, trainer)
    model, card = load_checkpoint(best)
    whole = read_card(last) | {"operating_point": card["operating_point"]}
    return Run(model.to(device()), whole, folder, loaded)


def set_operating_point(run: Run, point: dict[str, float]) -> None:
    """Write the threshold and growth chosen on validation into the run's best checkpoint, whose weights they suit."""
    path = run.folder / "best.safetensors"
    model, card = load_checkpoint(path)
    save_checkpoint(path, model, {**card, "operating_point": point})


def fit(
    name: str,
    recipe: Recipe,
    train: Pictures,
    validation: Pictures,
    data: str,
    folder: Path,
    test: Pictures | None = None,
    keep: Collection[int] = (),
    trainer: Callable[..., Loop] = Trainer,
) -> None:
    """Train into ``folder``: ``best`` and ``last`` (safetensors and JSON), and until the end ``resume.pt``.

    Killed at any moment, the next call goes on from the last checkpoint; on a processor it ends with the
    very weights of the uninterrupted run. Under torchrun every process takes its share of each batch.

    Raises:
        PlatesError: the loss is not a number any more or grew a hundredfold; the folder cannot be written to.
    """
    trainer = trainer(recipe, train, validation, test)
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
    if processes.rank() == 0:
        for stale in folder.glob(".*.part.*"):
            stale.unlink()  # of a run that was killed while it wrote
    if resume.exists():
        trainer.restore(resume)
    steps = recipe.epochs * trainer.steps_per_epoch
    bar = tqdm(total=steps, initial=trainer.step, desc=name, disable=processes.rank() > 0 or not someone_watches())
    if not trainer.history:
        trainer.history.append(
            {"epoch": 0, "step": 0, "seconds": 0.0} | trainer.measure("validation", trainer.validation)
        )
    while trainer.epoch < recipe.epochs:
        improved = trainer.run_epoch(bar)
        if processes.rank() == 0:
            if improved:
                save_checkpoint(folder / "best.safetensors", trainer.model, card | trainer.progress())
            if trainer.epoch in keep:
                save_checkpoint(kept(folder, trainer.epoch), trainer.model, card | trainer.progress())
            if time.monotonic() - saved > CHECKPOINT_SECONDS:
                trainer.save(resume)
                saved = time.monotonic()
    bar.close()
    if processes.rank() == 0:  # before `resume` goes: while `last` is absent, the run counts as unfinished
        save_checkpoint(folder / "last.safetensors", trainer.model, card | trainer.progress())
        resume.unlink(missing_ok=True)
    del trainer
    processes.keep_memory(False)
    processes.wait()
