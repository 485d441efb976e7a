"""Figures and tables of `09_conceal_and_serve` beside the attack's: five steps, both methods, times, cameras, films."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from IPython.display import Image, Markdown

from lib.plots.style import CYCLE, axes, panels, show
from lib.plots.tables import table

RED_SHARE = 0.55  # of the red laid over what is to be concealed


def laid_over(rgb: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Red over a picture uint8 ``(H, W, 3)`` where ``share``, 0..1 of any size, says so."""
    amount = RED_SHARE * cv2.resize(share.astype(np.float32), rgb.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    return (rgb * (1 - amount[..., None]) + np.array([220, 30, 0]) * amount[..., None]).astype(np.uint8)


def five_steps(steps: Mapping[str, np.ndarray], data: str) -> Image:
    """One frame through the five steps of `lib.reels.five_steps`; the last is what leaves."""
    first = next(iter(steps.values()))
    figure, made = panels(len(steps), 3, 9.0, first.shape[0] / first.shape[1], titles=list(steps))
    for place, picture in zip(made, steps.values(), strict=True):
        if picture.dtype == np.bool_:
            picture = laid_over(first, picture)
        place.imshow(picture, cmap="magma", vmin=0, vmax=1 if picture.ndim == 2 else None)
    return show(figure, data, "09_steps", photographs=True)


def side_by_side(out: Mapping[str, Sequence[np.ndarray]], data: str) -> Image:
    """A row a method, a column a frame: what leaves."""
    first = next(iter(out.values()))
    titles = [f"{name}" if not number else "" for name, made in out.items() for number in range(len(made))]
    figure, made = panels(len(titles), len(first), 9.0, first[0].shape[0] / first[0].shape[1], titles=titles)
    for place, picture in zip(made, (each for row in out.values() for each in row), strict=True):
        place.imshow(picture)
    return show(figure, data, "09_methods", photographs=True)


def stages(taken: Mapping[int, Mapping[str, np.ndarray]], data: str) -> Image:
    """Median milliseconds of each stage, stacked, a bar for each number of threads.

    Args:
        taken: threads to stage to milliseconds; the stage that begins with ``all`` is their sum as measured at once.
    """
    figure, made = axes(width=8.5, height=0.9 + 0.55 * len(taken))
    one = made[0, 0]
    for number, times in enumerate(taken.values()):
        start = 0.0
        own = {name: float(np.median(ms)) for name, ms in times.items() if not name.startswith("all")}
        for (name, ms), colour in zip(own.items(), CYCLE, strict=False):
            one.barh(number, ms, left=start, color=colour, edgecolor="white", label=name if not number else None)
            start += ms
        whole = next(float(np.median(ms)) for name, ms in times.items() if name.startswith("all"))
        one.plot(whole, number, "k|", ms=18, mew=2, label="all at once" if not number else None)
        one.annotate(f"  {1000 / whole:.0f} frames a second", (max(whole, start), number), va="center", fontsize=8)
    one.set_yticks(range(len(taken)), [f"{count} thread{'s' if count > 1 else ''}" for count in taken])
    one.set(xlabel="milliseconds of a frame, medians")
    one.margins(x=0.35)  # room for what is said behind the bars
    one.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return show(figure, data, "09_stages")


def cameras(rows: Iterable[tuple[str, int, float, np.ndarray]], data: str) -> Markdown:
    """Frames a second of the bare function and of the service; rows of `lib.load.measure`."""
    names = {"bare": "the function alone, in threads", "service": "the service, asked by clients"}
    told = []
    for kind, count, rate, taken in rows:
        middle, late = np.quantile(taken, (0.5, 0.99))
        told.append({"what": names.get(kind, kind), "at a time": count, "frames a second": round(rate, 1)})
        told[-1] |= {"median, ms": round(middle, 1), "99th percentile, ms": round(late, 1)}
    return table(told, data)


def film(before: Sequence[np.ndarray], after: Sequence[np.ndarray], data: str) -> Image:
    """Frames of a film above the same frames of the concealed one."""
    titles = [f"{row}, {number + 1} of {len(before)}" for row in ("before", "after") for number in range(len(before))]
    figure, made = panels(2 * len(before), len(before), 9.0, before[0].shape[0] / before[0].shape[1], titles=titles)
    for place, picture in zip(made, [*before, *after], strict=True):
        place.imshow(picture)
    return show(figure, data, "09_film", photographs=True)


def stacked(pictures: Mapping[str, np.ndarray], data: str) -> Image:
    """A plate as from the front, a title to what is seen of it, each uint8 ``(h, w, 3)``."""
    first = next(iter(pictures.values()))
    figure, made = panels(len(pictures), len(pictures), 9.0, first.shape[0] / first.shape[1], titles=list(pictures))
    for place, picture in zip(made, pictures.values(), strict=True):
        place.imshow(picture)
    return show(figure, data, "09_stacked", photographs=True)


def exposures(told: Mapping[str, Mapping[str, Any]], data: str) -> Markdown:
    """Exposed plate-frames by way of remembering; summaries of `lib.exposure.summary`."""
    rows = []
    for way, one in told.items():
        rows.append({"way": way, "plate-frames": one["plate_frames"]})
        rows[-1] |= {"exposed in a thousand": one["exposed_per_thousand"], "95 %": _pair(one["interval"])}
        rows[-1] |= {"longest run, frames": one["longest_run"], "share concealed": one["area"]}
    return table(rows, data)


def _pair(interval: Sequence[float] | None) -> tuple[float, float] | None:
    return None if interval is None else (interval[0], interval[1])
