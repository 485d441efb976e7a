"""What every figure shares: its data named in it, its size, and where it is written."""

from io import BytesIO
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt
from PIL import Image

from lib.plots import style
from lib.settings import PlatesError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(style, "FIGURES", tmp_path / "figures")
    monkeypatch.setenv("PLATES_PUBLISH", "0")
    yield tmp_path / "figures"
    plt.close("all")


def test_axes_are_always_a_grid_and_leave_matplotlib_as_it_was() -> None:
    before = dict(mpl.rcParams)
    figure, made = style.axes(2, 3, width=6, height=4)
    assert made.shape == (2, 3) and style.axes()[1].shape == (1, 1)
    assert figure.get_size_inches().tolist() == [6, 4]
    assert not made[0, 0].spines["top"].get_visible() and made[0, 0].spines["left"].get_visible()
    line = made[0, 0].plot([0, 1])[0]
    assert line.get_color() == style.BLUE
    assert dict(mpl.rcParams) == before


def test_panels_have_titles_no_ticks_and_nothing_to_spare() -> None:
    figure, made = style.panels(5, 3, titles=["a", "b", "c", "d", "e"])
    assert len(made) == 5 and len(figure.axes) == 6
    assert [one.get_title() for one in made] == ["a", "b", "c", "d", "e"]
    assert not any(one.axison for one in figure.axes)
    assert figure.get_size_inches()[0] == 8


def test_the_data_is_written_below_the_figure_and_the_figure_is_closed() -> None:
    figure, made = style.axes()
    made[0, 0].plot([0, 1], [0, 1])
    shown = style.show(figure, "rendered scenes, seed 1")
    assert [text.get_text() for text in figure.texts] == ["data: rendered scenes, seed 1"]
    assert not plt.fignum_exists(figure.number)
    picture = Image.open(BytesIO(shown.data))
    assert picture.format == "PNG" and picture.mode == "P" and picture.width == shown.width
    bare = style.show(style.axes()[0], "")
    assert picture.height > 300 and np.asarray(picture.convert("L")).std() > 1
    assert shown.data != bare.data


def test_the_same_figure_has_the_same_bytes() -> None:
    def drawn() -> bytes:
        figure, made = style.axes()
        made[0, 0].bar([1, 2], [3, 4])
        return style.show(figure, "made").data

    assert drawn() == drawn()


def test_grids_of_photographs_are_jpegs_and_keep_their_colours() -> None:
    y, x = np.mgrid[:120, :160]
    photograph = np.stack([128 + 127 * np.sin(x / 30), y * 2, 255 - x], axis=2).astype(np.uint8)
    colours = []
    for photographs in (False, True):
        figure, made = style.panels(1, 1)
        made[0].imshow(photograph)
        shown = style.show(figure, "waves", photographs=photographs)
        picture = Image.open(BytesIO(shown.data))
        assert picture.format == ("JPEG" if photographs else "PNG")
        colours.append(len(set(picture.convert("RGB").get_flattened_data())))
    assert colours[0] <= 128 and colours[1] > 1000  # a plot's palette would ruin a photograph


def test_a_figure_is_written_only_when_publishing_and_only_with_a_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    style.show(style.axes()[0], "made", name="curve")
    assert not folder.exists()
    monkeypatch.setenv("PLATES_PUBLISH", "1")
    style.show(style.axes()[0], "made")
    assert not folder.exists()
    shown = style.show(style.axes()[0], "made", name="curve")
    grid = style.show(style.axes()[0], "made", name="grid", photographs=True)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "curve.png": shown.data,
        "grid.jpg": grid.data,
    }


def test_a_folder_that_cannot_be_made_is_named(folder: Path) -> None:
    folder.write_text("a file")
    with pytest.raises(PlatesError, match=r"curve\.png: cannot be written"):
        style.write_figure(b"", folder / "curve.png")


def test_the_colours_are_all_different() -> None:
    assert len(set(style.CYCLE)) == len(style.CYCLE)
