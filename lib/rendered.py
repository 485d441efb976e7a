"""Rendered scenes as rows, drawn on all cores; `lib.data` caches them."""

import multiprocessing
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from itertools import islice
from typing import Any

import cv2

from lib import scenes
from lib.coco import OBJECT

_WORTH_A_POOL = 64  # pictures: below that, starting processes costs more than it saves


def row(index: int, seed: int, size: tuple[int, int]) -> dict[str, Any]:
    """Render scene ``index`` and return it with the features of `lib.data`, its picture as its camera's JPEG."""
    scene = scenes.render(seed, index, size)
    objects: dict[str, list] = {name: [] for name in OBJECT}
    for number, plate in enumerate(scene.plates):
        x, y, w, h = (float(value) for value in plate.bbox)
        if w <= 0 or h <= 0:
            continue  # out of the frame
        values = (
            number,
            [x, y, w, h],
            plate.corners.ravel().tolist(),
            w * h,
            False,
            plate.text,
            plate.look,
            float(plate.occluded),
            float(plate.angle),
            [character.corners.ravel().tolist() for character in plate.characters],
            "".join(character.char for character in plate.characters),
        )
        for name, value in zip(OBJECT, values, strict=True):
            objects[name].append(value)
    return {
        "image_id": index,
        "image": {"path": None, "bytes": scenes.encode(scene)},
        "file_name": f"scene_{seed}_{index:05d}.jpg",
        "width": size[0],
        "height": size[1],
        "source": "scenes",
        "license": "MIT",
        "light": scene.light,
        "kind": scene.kind,
        "objects": objects,
    }


def refuse_recursion() -> None:
    """End a worker that is importing a script without ``if __name__ == "__main__":``, before it starts all over.

    Raises:
        RuntimeError: in such a worker; `rows` of its parent then renders without workers.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):  # as multiprocessing itself finds it out
        raise RuntimeError('guard the script\'s main part with `if __name__ == "__main__":`')


def rows(count: int, seed: int, size: tuple[int, int]) -> Iterator[dict[str, Any]]:
    """Rows 0 to ``count`` - 1 in order; the same whether one process renders them or many."""
    draw, done = partial(row, seed=seed, size=size), 0
    workers = min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, 32)
    if workers > 1 and count >= _WORTH_A_POOL and not multiprocessing.current_process().daemon:
        pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_start_worker)
        try:
            for result in pool.map(draw, range(count), chunksize=4):
                yield result
                done += 1
        except BrokenProcessPool:
            pass  # no room for processes, or the unguarded script above: the rest is rendered right here
        finally:
            pool.shutdown(cancel_futures=True)
    yield from map(draw, islice(range(count), done, None))


def _start_worker() -> None:
    """One thread per worker, and an end to it when its parent is killed: it would wait for work for ever."""
    cv2.setNumThreads(1)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()
