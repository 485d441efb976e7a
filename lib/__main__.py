"""The command line: ``python -m lib conceal | evaluate | train | runs | beyond | serve | bench``."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lib.settings import PlatesError, cores, someone_watches


def conceal(options: argparse.Namespace) -> int:
    """Conceal files and folders; 1 where a picture or a film could not be read."""
    from lib.conceal import Concealer
    from lib.folders import conceal_files

    concealer = Concealer.load(**point_of(options), mode=options.mode)
    print(concealer.segmenter.say())
    report = conceal_files(options.inputs, options.out, concealer, options.report, someone_watches())
    print(report.text())
    return report.exit_code


def point_of(options: argparse.Namespace) -> dict[str, Any]:
    """What `_method`'s options say, for `lib.conceal.Concealer.load`."""
    return {key: getattr(options, key) for key in ("method", "weights", "threshold", "growth", "sure")}


def evaluate(options: argparse.Namespace) -> int:
    """Every metric of a method on a folder in the COCO layout, as JSON."""
    from lib.conceal import Concealer
    from lib.data import load_folder
    from lib.evaluate import REPORT_KEYS, report
    from lib.evaluate import evaluate as measure
    from lib.files import check_report, write_json

    check_report(options.json, REPORT_KEYS)  # hours of work must not end in a file that cannot be written
    split = load_folder(options.folder, options.split)
    concealer = Concealer.load(**point_of(options))
    print(concealer.segmenter.say())
    measured = measure(split, concealer, someone_watches())
    told = report(measured, concealer, data=options.folder.resolve().name, split=options.split)
    write_json(options.json, told)
    shown = ("images", "plates", "threshold", "accuracy", "on_plate_accuracy", "coverage", "missed", "stray_cover")
    print(", ".join(f"{key} {told[key]}" for key in shown))
    print(f"written to {options.json}")
    return 0


def train(options: argparse.Namespace) -> int:
    """Train one model, in one process or as torchrun's share of several; a segmentation network's point is chosen."""
    from lib import processes
    from lib.trainings import train_named

    processes.join()
    try:
        train_named(options)
    finally:
        processes.leave()
    return 0


def runs(options: argparse.Namespace) -> int:
    """Make the records behind the tables; 1 where one could not be made."""
    from lib.catalogue import SEARCHES, full_preset, members, search_recipe
    from lib.data import load_plates
    from lib.files import read_json, write_json
    from lib.records import RECORDS, Bench, make, make_never_looking, refuse_other
    from lib.search import search

    chosen, preset = members(options.names), options.preset or full_preset()
    pictures, folder, failed = Bench(load_plates()), options.out or RECORDS, 0
    make_never_looking(pictures, folder, options.replace)
    for one in chosen:
        try:
            told = make(one.name, pictures, preset, folder, options.replace)
        except PlatesError as error:  # the others can still be made
            print(f"error: {one.name}: {error}", file=sys.stderr, flush=True)
            failed = 1
            continue
        scored = told.get("metrics", {}).get("validation", {}).get("full_frame", {})
        shown = ", ".join(f"{key} {scored[key]:.3f}" for key in ("accuracy", "on_plate_accuracy") if key in scored)
        print(f"{one.name}: {told['diverged'] or shown} ({told['steps']:,} steps)", flush=True)
    for kind, trials in SEARCHES.items() if not options.names or "search" in options.names else ():
        path, base = folder / f"search-{kind}.json", search_recipe()
        if path.exists() and not options.replace:
            refuse_other(path, read_json(path), {"data": pictures.data, "recipe": json.loads(json.dumps(asdict(base)))})
        write_json(path, search(kind, trials, pictures.train, pictures.validation, pictures.data, base=base))
        print(f"{kind} search: {trials} trials", flush=True)
    return failed


def beyond(options: argparse.Namespace) -> int:
    """Make the records behind `11_low_data` and `12_ablation`; 1 where one could not be made."""
    from lib.beyond import chosen
    from lib.contests import CONTESTS, make_contest
    from lib.data import load_plates

    trials, plates, failed = chosen(options.names), load_plates(), 0
    for one in trials:
        try:
            told = make_contest(one, plates, options.out or CONTESTS, options.replace)
        except PlatesError as error:  # the others can still be made
            print(f"error: {one.name}: {error}", file=sys.stderr, flush=True)
            failed = 1
            continue
        low, high = told["equal_stray"]["interval"]
        shown = f"coverage {told['equal_stray']['coverage']:.3f} ({low:.3f} to {high:.3f}) at 0.5 % stray cover"
        print(f"{one.name}: {shown}, {told['steps']:,} steps in {told['seconds']:.0f} s", flush=True)
    return failed


def serve(options: argparse.Namespace) -> int:
    """Serve frames and the page until somebody stops it."""
    from lib import hosting
    from lib.serving import Limits

    given = {"seconds": options.seconds, "workers": options.workers or cores(), "queue": options.queue}
    limits = Limits(**given, bytes=options.megabytes * 2**20, pixels=options.megapixels * 1_000_000)
    token = hosting.read_token(options.token_file) if options.token_file else None
    concealers = hosting.load(limits, options.weights)
    for each in concealers.values():
        print(each.segmenter.say())
    hosting.serve(concealers, limits, options.host, options.port, token)
    return 0


def bench(_options: argparse.Namespace) -> int:
    """Print the speeds."""
    from lib.bench import main

    main()
    return 0


def parser() -> argparse.ArgumentParser:
    """The arguments of every command."""
    top = argparse.ArgumentParser(prog="python -m lib", description="Licence-plate concealment.")
    commands = top.add_subparsers(dest="command", required=True)

    one = commands.add_parser("conceal", help="conceal photographs, films and folders of them")
    one.set_defaults(call=conceal)
    one.add_argument(
        "inputs", nargs="+", type=Path, metavar="IN", help="a picture, a film, or a folder (its structure is kept)"
    )
    one.add_argument("--out", type=Path, required=True, help="folder for the concealed pictures and report.json")
    one.add_argument("--mode", default="fill", help="fill (default), blur or pixelate")
    one.add_argument("--report", type=Path, help="write the JSON report here too")
    _method(one)

    one = commands.add_parser("evaluate", help="every metric of a method on a folder in the COCO layout")
    one.set_defaults(call=evaluate)
    one.add_argument("folder", type=Path, metavar="DIR")
    one.add_argument("--split", help="train, valid or test; without it DIR itself holds the annotations")
    one.add_argument("--json", type=Path, required=True, help="where to write the metrics")
    _method(one)

    one = commands.add_parser("train", help="train a model on PLATES_DATA; also under torchrun")
    one.set_defaults(call=train)
    one.add_argument(
        "model",
        help="a name of lib.models.MODELS: baseline, platenet, landmarks, ssdlite and others",
    )
    one.add_argument("--name", help="what tables call the run (default: the model's name)")
    one.add_argument("--preset", help="fast, steps or paper; platenet: fast or full (default: as PLATES_FAST says)")
    one.add_argument("--loss", help="cross_entropy, log2 or log3")
    one.add_argument("--weight", type=float, help="the paper's lambda")
    for name, kind in (("epochs", int), ("batch", int), ("learning-rate", float), ("pictures", int), ("seed", int)):
        one.add_argument(f"--{name}", type=kind)
    one.add_argument("--augment", nargs="*", help="photometric, flip, blur, beside crop and zoom")
    one.add_argument("--validation", type=int, help="at most this many validation pictures an epoch")
    one.add_argument(
        "--scenes", type=int, default=0, help="all but the paper's: this many rendered scenes beside the data"
    )
    one.add_argument("--ship", action="store_true", help="platenet, landmarks: put the weights into lib/weights")

    one = commands.add_parser("runs", help="make or finish the records behind the notebooks' tables (figures/runs)")
    one.set_defaults(call=runs)
    one.add_argument(
        "names", nargs="*", metavar="NAME", help="experiments or groups of lib.catalogue, or search (default: all)"
    )
    one.add_argument("--preset", help="fast, steps or paper (default: paper on a GPU, else steps)")
    one.add_argument("--out", type=Path, help="folder for the records (default: figures/runs)")
    one.add_argument("--replace", action="store_true", help="overwrite records of another recipe or other data")

    one = commands.add_parser(
        "beyond", help="make or finish the records of 11_low_data and 12_ablation (figures/beyond)"
    )
    one.set_defaults(call=beyond)
    one.add_argument("names", nargs="*", metavar="NAME", help="trials or groups of lib.beyond (default: all)")
    one.add_argument("--out", type=Path, help="folder for the records (default: figures/beyond)")
    one.add_argument("--replace", action="store_true", help="overwrite records of another recipe or other data")

    one = commands.add_parser("serve", help="the REST service for cameras, and its page")
    one.set_defaults(call=serve)
    one.add_argument("--host", default="127.0.0.1", help="address (default: 127.0.0.1, this machine alone)")
    one.add_argument("--port", type=int, default=8000, help="default: 8000; 0 for any free one")
    one.add_argument("--token-file", type=Path, metavar="FILE", help="ask for the token in this file")
    one.add_argument("--weights", type=Path, help="a .safetensors file (default: the repository's, else the newest)")
    one.add_argument("--workers", type=_positive, help="frames worked on at a time (default: one a core)")
    one.add_argument("--queue", type=_positive, default=32, help="frames that may wait (default: 32)")
    one.add_argument("--megabytes", type=_positive, default=32, help="most MiB of a frame (default: 32)")
    one.add_argument("--megapixels", type=_positive, default=26, help="most million pixels of a frame (default: 26)")
    one.add_argument("--seconds", type=_positive, default=30, help="for a frame to arrive, and to wait (default: 30)")

    commands.add_parser("bench", help="speeds, side by side, in one run").set_defaults(call=bench)
    return top


def _positive(text: str) -> int:
    if not text.isdecimal() or not 0 < (number := int(text)) <= 10_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 to 10,000")
    return number


def _method(one: argparse.ArgumentParser) -> None:
    one.add_argument("--method", default="segment", help="segment (pixels, default) or detect (boxes and corners)")
    one.add_argument("--weights", type=Path, help="a .safetensors file (default: the repository's, else the newest)")
    one.add_argument("--threshold", type=float, help="conceal where P(background) is below this; higher covers more")
    one.add_argument("--growth", type=float, help="grow regions by this share of their own height")
    one.add_argument("--sure", type=float, help="skip regions where P(background) is nowhere below this; 1 skips none")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 done, 1 something could not be done (said on the standard error), 2 unusable arguments."""
    options = parser().parse_args(arguments)
    if hasattr(sys.stdout, "reconfigure"):  # file names need not be text that the terminal can show
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        return options.call(options)
    except PlatesError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; what was finished is kept", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
