"""Checkpoints on disk: weights with the card that tells of them, which are used, and whether they are whole."""

import json
from pathlib import Path
from typing import Any

import safetensors
from safetensors.torch import load_file, save_file
from torch import nn

from lib.files import atomic, sha256_of, write_json
from lib.models import build
from lib.settings import RUNS, WEIGHTS, PlatesError

SUMS = "SHA256SUMS"  # in the weights' folder, as `sha256sum` writes it: what was shipped is what is loaded
HOW_TO_SHIP_WEIGHTS = (
    "get the file again (`git checkout lib/weights`) or make it: `PLATES_FAST=0 python -m lib train platenet --scenes "
    "2000 --ship`"
)
HOW_TO_GET_WEIGHTS = "run `make run` or `python -m lib train baseline`, or name a file with --weights"


def save_checkpoint(path: Path, model: nn.Module, card: dict[str, Any], half: bool = False) -> None:
    """Write the weights with ``card`` inside the file, and the card again beside it as JSON for people.

    Args:
        path: ends in ``.safetensors``.
        half: in half precision (float16), half the size; they are widened again when loaded.
        card: JSON-able; holds ``model`` and ``options`` for `lib.models.build`, and what else describes the run.

    Raises:
        PlatesError: the folder cannot be written to.
    """
    weights = {name: tensor.detach().contiguous().cpu() for name, tensor in model.state_dict().items()}
    if half:
        weights = {name: each.half() if each.is_floating_point() else each for name, each in weights.items()}
    write_json(path.with_suffix(".json"), card)  # first, so that no weights ever lie without it
    with atomic(path) as temporary:
        save_file(weights, temporary, metadata={"card": json.dumps(card)})


def read_card(path: Path) -> dict[str, Any]:
    """The card inside a checkpoint, without reading its weights.

    Raises:
        PlatesError: the file is missing, truncated, or not a checkpoint of this project.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            card = json.loads((file.metadata() or {})["card"])
        if not isinstance(card, dict):
            raise ValueError("its card is no JSON object")
        return card
    except FileNotFoundError as error:
        raise PlatesError(f"{path}: there is no such weights file; {HOW_TO_GET_WEIGHTS}.") from error
    except (OSError, KeyError, ValueError, safetensors.SafetensorError) as error:
        raise PlatesError(f"{path}: is not a whole checkpoint of ours ({error}); {_remedy(path)}.") from error


def _remedy(path: Path) -> str:
    where = Path(path).resolve()
    if where.is_relative_to(RUNS.resolve()):
        return f"remove it, then {HOW_TO_GET_WEIGHTS}"
    if where.is_relative_to(WEIGHTS.resolve()):
        return f"get it again (`git checkout lib/weights`), or {HOW_TO_GET_WEIGHTS}"
    return "name a .safetensors file that this course wrote, or leave --weights out"  # it may be somebody's photograph


def load_checkpoint(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """The model of a checkpoint, in evaluation mode on the processor, and its card.

    Raises:
        PlatesError: see `read_card`; also where weights and card disagree.
    """
    card = read_card(path)
    try:
        model = build(card["model"], **card["options"])
        model.load_state_dict(load_file(path))
    except (KeyError, TypeError, RuntimeError, safetensors.SafetensorError, PlatesError) as error:
        told = " ".join(str(error).split())  # torch lists what does not fit on lines of their own
        raise PlatesError(f"{path}: its weights do not fit its model ({told}); {_remedy(path)}.") from error
    if not model.side:
        model.longest = card.get("recipe", {}).get("crop", {}).get("longest", model.longest)
    return model.eval(), card


def find_weights(path: Path | None = None) -> Path:
    """``path`` if given, else the repository's own weights, else the newest that a notebook trained.

    Of trained runs only those with an operating point count: a network nobody has chosen a threshold
    for conceals nothing that anybody could rely on.

    Raises:
        PlatesError: there are none; says how to get some.
    """
    if path is not None:
        return Path(path)
    shipped = sorted(WEIGHTS.glob("*.safetensors"))
    trained = sorted(RUNS.glob("*/best.safetensors"), key=lambda p: p.stat().st_mtime, reverse=True)
    for candidate in [*shipped, *trained]:
        if read_card(candidate).get("operating_point"):
            return candidate
    raise PlatesError(f"no trained weights were found; {HOW_TO_GET_WEIGHTS}.")


def checked(path: Path) -> str:
    """A weights file's SHA-256, compared with the one listed beside it where there is a list.

    Raises:
        PlatesError: the file cannot be read, is not listed, or is not the one that was shipped.
    """
    try:
        told = sha256_of(path)
        sums = path.parent / SUMS
        listed = sums.read_text(errors="replace").splitlines() if sums.exists() else [f"{told}  {path.name}"]
    except OSError as error:
        raise PlatesError(f"{path}: cannot be read ({error.strerror}); {HOW_TO_SHIP_WEIGHTS}.") from error
    if f"{told}  {path.name}" not in listed:
        raise PlatesError(f"{path}: is not the file that was shipped (SHA-256 {told[:12]}); {HOW_TO_SHIP_WEIGHTS}.")
    return told
