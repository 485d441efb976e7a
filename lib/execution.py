"""Notebooks executed: each in a kernel of its own, one after the other or side by side, into copies."""

import multiprocessing
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from lib.files import atomic
from lib.settings import BUILD, ROOT, PlatesError, settings
from lib.stamps import read


@dataclass(frozen=True)
class Execution:
    """One executed notebook: the executed copy, wall-clock minutes, peak resident bytes of kernel and children."""

    path: Path
    minutes: float
    peak: int


@contextmanager
def _peak_memory() -> Iterator[list[int]]:
    """Sample ten times a second the summed resident size of this process's descendants; element 0 is the peak so far.

    Pages shared by several workers count once for each, so the figure is an upper bound.
    """
    import psutil

    peak, done = [0], threading.Event()

    def resident(process: psutil.Process) -> int:
        try:
            return process.memory_info().rss
        except psutil.Error:  # it has just ended
            return 0

    def sample() -> None:
        while not done.wait(0.1):
            peak[0] = max(peak[0], sum(map(resident, psutil.Process().children(recursive=True))))

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()


def environment() -> dict[str, str]:
    """This process's environment for a kernel or server: the repository importable, PLATES_DATA absolute.

    Raises:
        PlatesError: a setting holds something it cannot hold.
    """
    variables = dict(os.environ)
    variables["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    variables.pop("MPLBACKEND", None)  # it would keep figures out of the notebooks
    if isinstance(data := settings().data, Path):  # a kernel starts elsewhere than where the command was typed
        variables["PLATES_DATA"] = str(data)
    return variables


def write(notebook: NotebookNode, path: Path) -> None:
    """Write a notebook, atomically."""
    with atomic(path) as temporary:
        nbformat.write(notebook, temporary)


def _execute(path: Path, copy: Path, variables: Mapping[str, str]) -> Execution:
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    notebook = read(path)
    for cell in notebook.cells:  # a failed run must not show an earlier run's outputs below the error
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    begun: list[int] = []
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=None,
        record_timing=False,
        extra_arguments=["--IPKernelApp.log_level=ERROR"],  # a warning on each start that local sockets are plain
        coalesce_streams=True,  # how a stream is cut into messages differs from run to run
        resources={"metadata": {"path": str(path.resolve().parent)}},
        on_cell_execute=lambda cell, cell_index: begun.append(cell_index),
    )
    start = time.monotonic()
    with _peak_memory() as peak:
        try:
            client.execute(env=dict(variables))
        except CellExecutionError as error:
            reason = f"{error.ename}: {error.evalue.strip().splitlines()[0] if error.evalue.strip() else 'no message'}"
            raise PlatesError(
                f"{path}: code cell {len(begun)} failed with {reason} (all of it is in {copy}); mend it and run again."
            ) from error
        # nbclient's for a kernel that died, and for Ctrl-C, whose two clean-ups may meet in either of two places
        except (RuntimeError, AssertionError, AttributeError) as error:
            raise PlatesError(
                f"{path}: the kernel died in code cell {len(begun)}; if nobody stopped it, free memory and run again."
            ) from error
        finally:
            write(notebook, copy)
    return Execution(copy, (time.monotonic() - start) / 60, peak[0])


def apart(path: Path) -> bool:
    """Whether a notebook needs nothing that another one trains, or little."""
    return path.name.startswith(("08", "09", "10", "11", "12"))


def side_by_side(paths: Sequence[Path]) -> list[Path]:
    """Notebooks in an order in which two at once seldom wait: between those that go on from one another, others."""
    rows = zip_longest((path for path in paths if not apart(path)), filter(apart, paths))
    return [path for row in rows for path in row if path is not None]


def _executed(jobs: Sequence[tuple[Path, Path, dict[str, str]]], at_once: int) -> Iterator[Execution]:
    if at_once == 1:
        yield from (_execute(*job) for job in jobs)
        return
    with ProcessPoolExecutor(at_once, multiprocessing.get_context("spawn")) as pool:
        try:
            yield from (each.result() for each in as_completed([pool.submit(_execute, *job) for job in jobs]))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for other in multiprocessing.active_children():
                other.kill()  # nbclient would outlive a SIGTERM; the kernel sees that nobody is left, and ends
                other.join()
            raise


def run(
    paths: Sequence[Path],
    out: Path = BUILD / "notebooks",
    variables: Mapping[str, str] | None = None,
    at_once: int = 1,
) -> list[Execution]:
    """Execute notebooks in order, each in its own kernel and folder, writing executed copies into ``out``.

    Prints a table (notebook, minutes, peak memory), then where concealed photographs lie if any were written.

    Args:
        variables: environment variables for the kernels, over :func:`environment`.
        at_once: how many are executed side by side, in the order of :func:`side_by_side` then. What two of them need is
            made by one, and the other waits (`lib.processes.alone`).

    Returns:
        In the order in which they ended.

    Raises:
        PlatesError: a cell failed or a kernel died; the copy in ``out`` then ends with the error.
    """
    os.environ.setdefault(
        "JUPYTER_PREFER_ENV_PATH", "1"
    )  # this Python's kernel, not one of the user's by the same name
    kernel = {**environment(), **(variables or {})}
    if at_once > 1:
        kernel.setdefault("OMP_WAIT_POLICY", "passive")  # threads that wait by spinning take the other one's core
        paths = side_by_side(paths)
    begun, width = time.time(), max([len(path.name) for path in paths] + [8])
    print(f"{'notebook':{width}}  minutes  peak memory", flush=True)
    done = []
    for one in _executed([(path, out / path.name, kernel) for path in paths], at_once):
        done.append(one)
        print(f"{one.path.name:{width}}  {one.minutes:7.2f}  {one.peak / 2**30:7.2f} GiB", flush=True)
    print(f"{'together':{width}}  {(time.time() - begun) / 60:7.2f}\nExecuted notebooks: {out}")
    folder = BUILD / "concealed"
    files = [file for file in folder.rglob("*") if file.is_file() and file.suffix != ".json"]
    if fresh := sum(file.stat().st_mtime >= int(begun) for file in files):
        print(f"Concealed photographs: {folder} ({fresh} of this run)")
    return done
