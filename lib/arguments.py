"""What the command line takes: the arguments of every command, and what is no argument at all."""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

Call = Callable[[argparse.Namespace], int]

# what lib.redact, lib.conceal and lib.models know by these names; those would load PyTorch to show a help text
MODES = ("fill", "blur", "pixelate")
METHODS = ("segment", "detect")
MODELS = (
    "baseline",
    "deep",
    "fullconv",
    "platenet",
    "landmarks",
    "small_landmarks",
    "ssdlite",
    "faster_mobile",
    "faster_resnet50",
)


def parser(calls: Mapping[str, Call]) -> argparse.ArgumentParser:
    """The arguments of every command; ``calls`` has what each is carried out by."""
    ends = "exit codes: 0 done; 1 something could not be done, and was said; 2 unusable arguments; 130 stopped"
    top = argparse.ArgumentParser(prog="python -m lib", description="Licence-plate concealment.", epilog=ends)
    commands = top.add_subparsers(dest="command", required=True)

    one = commands.add_parser("conceal", help="conceal photographs, films and folders of them")
    one.set_defaults(call=calls["conceal"])
    one.add_argument(
        "inputs", nargs="+", type=_path, metavar="IN", help="a picture, a film, or a folder (its structure is kept)"
    )
    one.add_argument("--out", type=_path, required=True, help="folder for the concealed pictures and report.json")
    one.add_argument("--mode", default="fill", choices=MODES, help="default: fill")
    one.add_argument("--report", type=_path, help="write the JSON report here too")
    _method(one)

    one = commands.add_parser("evaluate", help="every metric of a method on a folder in the COCO layout")
    one.set_defaults(call=calls["evaluate"])
    one.add_argument("folder", type=_path, metavar="DIR", help="a folder of splits, or, without --split, one of them")
    one.add_argument("--split", help="train, valid or test; without it DIR itself holds the annotations")
    one.add_argument("--json", type=_path, required=True, help="where to write the metrics")
    _method(one)

    one = commands.add_parser("train", help="train a model on PLATES_DATA; also under torchrun")
    one.set_defaults(call=calls["train"])
    one.add_argument("model", help=f"one of {', '.join(MODELS)}")
    one.add_argument("--name", help="what tables call the run (default: the model's name)")
    one.add_argument(
        "--preset", help="fast, sweep, steps or paper; platenet: fast, full or long (default: as PLATES_FAST says)"
    )
    one.add_argument("--loss", help="cross_entropy, log2 or log3")
    one.add_argument("--weight", type=float, help="the paper's lambda")
    for name, kind in (("epochs", int), ("batch", int), ("learning-rate", float), ("pictures", int), ("seed", int)):
        one.add_argument(f"--{name}", type=kind)
    one.add_argument("--augment", nargs="*", help="photometric, flip, blur, beside crop and zoom")
    one.add_argument("--validation", type=int, help="at most this many validation pictures an epoch")
    one.add_argument(
        "--scenes", type=int, default=0, help="all but the paper's: this many rendered scenes beside the data"
    )
    one.add_argument(
        "--start", type=_path, metavar="FILE", help="platenet: go on from these weights, by the last stage"
    )
    one.add_argument("--ship", action="store_true", help="platenet, landmarks: put the weights into lib/weights")

    one = commands.add_parser("runs", help="make or finish the records behind the notebooks' tables (figures/runs)")
    one.set_defaults(call=calls["runs"])
    one.add_argument(
        "names", nargs="*", metavar="NAME", help="experiments or groups of lib.catalogue, or search (default: all)"
    )
    one.add_argument("--preset", help="fast, sweep, steps or paper (default: paper on a GPU, else steps)")
    one.add_argument("--out", type=_path, help="folder for the records (default: figures/runs)")
    one.add_argument("--replace", action="store_true", help="overwrite records of another recipe or other data")

    one = commands.add_parser(
        "beyond", help="make or finish the records of 11_low_data and 12_ablation (figures/beyond)"
    )
    one.set_defaults(call=calls["beyond"])
    one.add_argument("names", nargs="*", metavar="NAME", help="trials or groups of lib.beyond (default: all)")
    one.add_argument("--out", type=_path, help="folder for the records (default: figures/beyond)")
    one.add_argument("--replace", action="store_true", help="overwrite records of another recipe or other data")

    one = commands.add_parser("serve", help="the REST service for cameras, and its page")
    one.set_defaults(call=calls["serve"])
    one.add_argument("--host", default="127.0.0.1", help="address (default: 127.0.0.1, this machine alone)")
    one.add_argument("--port", type=_port, default=8000, help="default: 8000; 0 for any free one")
    one.add_argument("--token-file", type=_path, metavar="FILE", help="ask for the token in this file")
    one.add_argument("--weights", type=_path, help="a .safetensors file (default: the repository's, else the newest)")
    one.add_argument("--workers", type=_positive, help="frames worked on at a time (default: one a core)")
    one.add_argument("--queue", type=_positive, default=32, help="frames that may wait (default: 32)")
    one.add_argument("--megabytes", type=_positive, default=32, help="most MiB of a frame (default: 32)")
    one.add_argument("--megapixels", type=_positive, default=26, help="most million pixels of a frame (default: 26)")
    one.add_argument("--seconds", type=_positive, default=30, help="for a frame to arrive, and to wait (default: 30)")

    commands.add_parser("bench", help="speeds, side by side, in one run").set_defaults(call=calls["bench"])
    return top


def _positive(text: str) -> int:
    if not text.isdecimal() or not 0 < (number := int(text)) <= 10_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 to 10,000")
    return number


def _path(text: str) -> Path:
    if not text:  # an unset variable of the shell would mean the folder that one stands in
        raise argparse.ArgumentTypeError("is empty; name a file or a folder ('.' for this one)")
    return Path(text)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port from 0 to 65,535")
    return int(text)


def _method(one: argparse.ArgumentParser) -> None:
    ways = {"choices": METHODS, "default": "segment"}
    one.add_argument("--method", **ways, help="pixels (segment, default), or boxes and corners (detect)")
    one.add_argument("--weights", type=_path, help="a .safetensors file (default: the repository's, else the newest)")
    chosen = "; default: what was chosen for the weights, as report.json tells"
    below = "conceal where P(background) is below this, above 0 and up to 1: higher covers more"
    one.add_argument("--threshold", type=float, help=below + chosen)
    one.add_argument("--growth", type=float, help="grow regions by this share of their own height, 0 to 100" + chosen)
    nowhere = "skip regions where P(background) is nowhere below this, above 0 and up to 1; 1 skips none"
    one.add_argument("--sure", type=float, help=nowhere + chosen)
