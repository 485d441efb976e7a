"""The command line: ``python -m lib conceal | evaluate | train | runs | beyond | serve | bench``."""

import argparse
import json
import signal
import sys
import threading
from dataclasses import asdict
from typing import Any

from lib.arguments import parser
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
    from lib.recipes import recipe
    from lib.records import RECORDS, Bench, make, make_never_looking, refuse_other
    from lib.search import search

    chosen, preset = members(options.names), options.preset or full_preset()
    recipe(preset)  # an unknown one is told before anything is read
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
    most = options.megabytes * 2**20
    limits = Limits(**given, bytes=most, held=max(Limits.held, 2 * most), pixels=options.megapixels * 1_000_000)
    token = hosting.read_token(options.token_file) if options.token_file else None
    with hosting.listen(options.host, options.port):
        pass  # an address that cannot be had is told before networks are loaded
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


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 done, 1 something could not be done (said on the standard error), 2 unusable arguments."""
    calls = {each.__name__: each for each in (conceal, evaluate, train, runs, beyond, serve, bench)}
    options = parser(calls).parse_args(arguments)
    if threading.current_thread() is threading.main_thread():  # what stops a service or a job ends it like Ctrl-C
        signal.signal(signal.SIGTERM, signal.default_int_handler)
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
