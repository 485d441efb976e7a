"""One look for all figures: colours that colour-blind readers tell apart, and the data named in each."""

import io
import textwrap
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from IPython.display import Image as Shown
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from lib.files import atomic
from lib.settings import FIGURES, settings

# Okabe and Ito's palette, made for all common kinds of colour vision.
BLUE, ORANGE, GREEN, RED, PURPLE, SKY, YELLOW, BLACK = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#F0E442", "#000000",
)  # fmt: skip
CYCLE = (BLUE, RED, GREEN, ORANGE, PURPLE, SKY)
DPI = 100

RC = {
    "figure.dpi": DPI,
    "font.size": 10,
    "axes.prop_cycle": mpl.cycler(color=CYCLE),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
}


def axes(rows: int = 1, columns: int = 1, width: float = 8.0, height: float = 3.2) -> tuple[Figure, np.ndarray]:
    """A figure of ``width`` x ``height`` inches and its axes, always ``(rows, columns)``."""
    with mpl.rc_context(RC):
        figure, made = plt.subplots(rows, columns, figsize=(width, height), squeeze=False, layout="constrained")
    return figure, made


def panels(
    count: int, columns: int, width: float = 8.0, aspect: float = 0.75, titles: Sequence[str] = ()
) -> tuple[Figure, list[Axes]]:
    """Axes without ticks for ``count`` pictures whose height is ``aspect`` times their width."""
    rows = -(-count // columns)
    title_room = 0.25 * rows if titles else 0.0
    figure, made = axes(rows, columns, width, width / columns * aspect * rows + title_room)
    for number, one in enumerate(made.flat):
        one.set_axis_off()
        if number < len(titles):
            one.set_title(titles[number], fontsize=9)
    return figure, list(made.flat)[:count]


def show(figure: Figure, data: str, name: str = "", photographs: bool = False) -> Shown:
    """Finish a figure: name its data below it, give it to the notebook, close it.

    Args:
        data: `lib.data.describe`'s words, and what else the reader has to know.
        name: file name without suffix; under PLATES_PUBLISH=1 the figure is also written to ``figures/``.
        photographs: a grid of pictures, which JPEG stores in a seventh of PNG's size.
    """
    told = textwrap.fill(f"data: {data}", int(18 * figure.get_figwidth()))  # a longer line would shrink the figure
    figure.text(0.995, -0.01, told, ha="right", va="top", fontsize=7, color="0.35")
    buffer, kind = io.BytesIO(), "jpeg" if photographs else "png"
    figure.savefig(buffer, format="png", dpi=DPI, bbox_inches="tight", metadata={"Software": None})
    plt.close(figure)
    picture = Image.open(buffer).convert("RGB")
    packed = io.BytesIO()
    if photographs:
        picture.save(packed, "JPEG", quality=80, optimize=True)
    else:  # a plot has few colours: a palette halves the file
        picture.quantize(128, dither=Image.Dither.NONE).save(packed, "PNG", optimize=True)
    if name and settings().publish:
        write_figure(packed.getvalue(), FIGURES / f"{name}.{'jpg' if photographs else 'png'}")
    return Shown(packed.getvalue(), format=kind, width=picture.width)


def write_figure(data: bytes, path: Path) -> None:
    """Write a figure's bytes, atomically."""
    with atomic(path) as temporary:
        temporary.write_bytes(data)


def span(one: Axes, at: float, value: float, interval: Sequence[float] | None, colour: str, mark: str = "o") -> None:
    """A value and its interval on a horizontal line at height ``at``."""
    if interval is not None:
        one.plot(interval, (at, at), "-", color=colour, linewidth=2, alpha=0.7)
    one.plot(value, at, mark, color=colour, markersize=6)
