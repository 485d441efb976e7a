"""Picture in, concealed picture out, by a network that only knows magenta; folders; and what must not happen."""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

import lib.conceal
import lib.folders
from lib.conceal import Concealer
from lib.folders import conceal_files
from lib.images import PictureError
from lib.masks import fill_holes, grow, quadrilaterals
from lib.outputs import PICTURES, REPORT_KEYS, VIDEOS
from lib.redact import FILL, MODES
from lib.settings import PlatesError

MAGENTA = (255, 0, 255)


class FindsMagenta:
    """A segmenter by colour: P(background) is 0 on saturated magenta, 1 elsewhere."""

    name, threshold, growth = "magenta", 0.5, 0.0

    def __call__(self, rgb: np.ndarray) -> np.ndarray:
        assert rgb.dtype == np.uint8 and rgb.ndim == 3 and rgb.shape[2] == 3
        red, green, blue = (rgb[:, :, i].astype(int) for i in range(3))
        return np.where((red > 180) & (blue > 180) & (green < 90), 0.0, 1.0).astype(np.float32)


class ReadsRed(FindsMagenta):
    """P(background) is the red channel, 0 to 250 for 0 to 1."""

    name, sure = "red", 0.2

    def __call__(self, rgb: np.ndarray) -> np.ndarray:
        return np.minimum(rgb[..., 0].astype(np.float32) / 250, 1)


class FindsDark(FindsMagenta):
    """The same for what has no colour."""

    name = "dark"

    def __call__(self, rgb: np.ndarray) -> np.ndarray:
        return np.where(rgb.max(axis=2) < 60, 0.0, 1.0).astype(np.float32)


def street(plate: tuple[int, int, int] = MAGENTA) -> np.ndarray:
    """(48, 96, 3) soft colours with a plate of 30 x 10 at (20, 16)."""
    knots = np.random.default_rng(0).uniform(100, 250, (4, 6, 3)).astype(np.float32)
    picture = cv2.resize(knots, (96, 48), interpolation=cv2.INTER_CUBIC).clip(80, 255).astype(np.uint8)
    picture[..., 1] = np.maximum(picture[..., 1], 120)  # nothing else is magenta
    picture[16:26, 20:50] = plate
    return picture


def saved(image: Image.Image | np.ndarray, kind: str, **options: object) -> bytes:
    buffer = BytesIO()
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(buffer, kind, **options)
    return buffer.getvalue()


def magenta_left(data: bytes) -> int:
    rgb = np.asarray(Image.open(BytesIO(data)).convert("RGB"))
    return int((FindsMagenta()(rgb) < 0.5).sum())


# --- masks -------------------------------------------------------------------------------------------------------


def test_grow_by_hand() -> None:
    mask = np.zeros((40, 60), bool)
    mask[15:25, 20:40] = True  # height 10
    grown = grow(mask, 0.3)
    assert grown[12:28, 20:40].all() and grown[15:25, 17:43].all()
    assert not grown[11].any() and not grown[:, 16].any() and not grown[28].any() and not grown[:, 43].any()
    assert grown[13, 18] and not grown[12, 17]  # a disc: (2, 2) from the corner is 2.8 away, (3, 3) is 4.2
    assert np.array_equal(grow(mask, 0), mask)
    assert grow(mask, 0.01).sum() == 20 * 10 + 2 * (20 + 10)  # rounded up to one pixel, corners 1.4 away


def test_each_region_grows_by_its_own_height() -> None:
    mask = np.zeros((100, 200), bool)
    mask[10:14, 10:30] = True
    mask[50:70, 100:160] = True
    grown = grow(mask, 0.5)
    assert grown[8:16, 10:30].all() and not grown[7].any()
    assert grown[40:80, 100:160].all() and not grown[39, 60:].any() and not grown[80].any()


def test_a_tilted_region_grows_by_its_short_side() -> None:
    mask = np.zeros((200, 200), np.uint8)
    cv2.fillPoly(mask, [np.rint(cv2.boxPoints(((100, 100), (100, 20), 45))).astype(np.int32)], 1)
    grown = grow(mask.astype(bool), 0.5)
    distance = cv2.distanceTransform(1 - mask, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    assert 9.5 <= distance[grown].max() <= 11.5


@settings(max_examples=60, deadline=None, derandomize=True)
@given(mask=hnp.arrays(np.bool_, st.tuples(st.integers(1, 20), st.integers(1, 20))), growth=st.floats(0, 3))
def test_growing_and_filling_only_add(mask: np.ndarray, growth: float) -> None:
    for more in (grow(mask, growth), fill_holes(mask)):
        assert more.shape == mask.shape and more.dtype == bool and more[mask].all()
    assert not grow(np.zeros_like(mask), growth).any()
    assert grow(mask, growth + 1)[grow(mask, growth)].all()


def test_holes_are_filled_and_bays_are_not() -> None:
    mask = np.zeros((20, 30), bool)
    mask[5:15, 5:25] = True
    whole = mask.copy()
    mask[8:12, 8:20] = False
    assert np.array_equal(fill_holes(mask), whole)
    whole[5:10, 10:12] = False  # open to the outside
    assert np.array_equal(fill_holes(whole), whole)


def test_quadrilaterals_by_hand() -> None:
    mask = np.zeros((60, 80), bool)
    mask[10:20, 30:60] = True
    mask[40:55, 5:8] = True  # standing
    mask[0, 0] = True  # one pixel is a region too
    quads = sorted(quadrilaterals(mask), key=lambda quad: quad[0].tolist())
    expected = [
        [(0, 0), (1, 0), (1, 1), (0, 1)],
        [(5, 40), (8, 40), (8, 55), (5, 55)],
        [(30, 10), (60, 10), (60, 20), (30, 20)],
    ]
    assert quads[0].dtype == np.float32
    np.testing.assert_allclose(quads, expected, atol=1e-4)


def test_a_tilted_quadrilateral_starts_at_its_top_left() -> None:
    mask = np.zeros((200, 200), np.uint8)
    turn = np.deg2rad(20)
    u, v = 50 * np.array([np.cos(turn), np.sin(turn)]), 15 * np.array([-np.sin(turn), np.cos(turn)])
    corners = 100 + np.stack([-u - v, u - v, u + v, v - u])
    cv2.fillPoly(mask, [np.rint(corners).astype(np.int32)], 1)
    np.testing.assert_allclose(quadrilaterals(mask.astype(bool))[0], corners + 0.5, atol=1.6)


# --- one picture -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_a_plate_is_concealed_and_nothing_else(mode: str) -> None:
    picture = street()
    concealed = Concealer(FindsMagenta(), mode=mode)(picture)
    expected = np.zeros((48, 96), bool)
    expected[16:26, 20:50] = True
    assert np.array_equal(concealed.mask, expected)
    assert np.array_equal(concealed.image[~expected], picture[~expected])
    np.testing.assert_allclose(concealed.plates, [[(20, 16), (50, 16), (50, 26), (20, 26)]], atol=1e-4)
    if mode == "fill":
        assert (concealed.image[expected] == round(FILL * 255)).all()


@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=30, deadline=None, derandomize=True)
@given(rgb=hnp.arrays(np.uint8, (12, 17, 3)), seed=st.integers(0, 99), growth=st.floats(0, 1))
def test_outside_the_mask_no_pixel_changes(mode: str, rgb: np.ndarray, seed: int, growth: float) -> None:
    class Random(FindsMagenta):
        def __call__(self, rgb: np.ndarray) -> np.ndarray:
            return np.random.default_rng(seed).random(rgb.shape[:2], np.float32)

    concealed = Concealer(Random(), threshold=0.1, growth=growth, mode=mode)(saved(rgb, "PNG"))
    assert np.array_equal(concealed.image[~concealed.mask], rgb[~concealed.mask])
    assert np.array_equal(np.asarray(Image.open(BytesIO(concealed.encode()))), concealed.image)
    assert concealed.mask[Random()(rgb) < 0.1].all()


@pytest.mark.parametrize("growth", [0.0, 0.1])
def test_a_hole_in_a_found_plate_is_concealed_too(growth: float) -> None:
    picture = street()
    picture[19:23, 24:46] = 0  # the network may lose the characters themselves
    assert Concealer(FindsMagenta(), growth=growth)(picture).mask[16:26, 20:50].all()


def test_raising_the_threshold_covers_more() -> None:
    class Ramp(FindsMagenta):
        def __call__(self, rgb: np.ndarray) -> np.ndarray:
            return np.tile(np.linspace(0, 1, rgb.shape[1], dtype=np.float32), (len(rgb), 1))

    covered = [Concealer(Ramp(), threshold=t)(street()).mask.mean() for t in (0.1, 0.5, 0.9)]
    assert covered == sorted(covered) and covered[1] == 0.5


def test_the_operating_point_is_the_segmenters_unless_given() -> None:
    segmenter = FindsMagenta()
    segmenter.threshold, segmenter.growth = 0.3, 0.25
    assert (Concealer(segmenter).threshold, Concealer(segmenter).growth) == (0.3, 0.25)
    assert (Concealer(segmenter, 0.7, 0.0).threshold, Concealer(segmenter, 0.7, 0.0).growth) == (0.7, 0.0)
    assert Concealer(segmenter)(street()).mask[13:29, 20:50].all()  # 10 high: 3 more on each side


def test_arrays_pillow_images_and_bytes_are_alike() -> None:
    concealer, picture = Concealer(FindsMagenta()), street()
    images = [concealer(given).image for given in (picture, Image.fromarray(picture), saved(picture, "PNG"))]
    assert np.array_equal(images[0], images[1]) and np.array_equal(images[0], images[2])
    with pytest.raises(PlatesError, match="no format"):
        concealer(picture).encode()


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def grey_plate(kind: str = "uint8") -> np.ndarray:
    grey = np.maximum(street()[:, :, 1], 120)
    grey[16:26, 20:50] = 10
    return grey if kind == "uint8" else grey.astype(np.uint16) * 257


def cmyk() -> Image.Image:
    inks = np.zeros((48, 96, 4), np.uint8)
    inks[16:26, 20:50, 1] = 255  # pure magenta ink
    return Image.fromarray(inks, "CMYK")


HIDDEN = np.dstack([street((90, 200, 90)), np.full((48, 96), 255, np.uint8)])
HIDDEN[30:40, 60:90] = (*MAGENTA, 0)  # a plate under no alpha
HIDDEN[16:26, 20:50] = (*MAGENTA, 255)

UNUSUAL: dict[str, tuple[type[FindsMagenta], Callable[[], bytes]]] = {
    "grey.jpg": (FindsDark, lambda: saved(grey_plate(), "JPEG", quality=95)),
    "grey.png": (FindsDark, lambda: saved(grey_plate(), "PNG")),
    "cmyk.jpg": (FindsMagenta, lambda: saved(cmyk(), "JPEG", quality=95)),
    "palette.png": (FindsMagenta, lambda: saved(Image.fromarray(street()).quantize(64), "PNG")),
    "grey16.png": (FindsDark, lambda: saved(grey_plate("uint16"), "PNG")),
    "rgb16.png": (FindsMagenta, lambda: cv2.imencode(".png", street()[..., ::-1].astype(np.uint16) * 257)[1].tobytes()),
    "rgb16.tif": (FindsMagenta, lambda: cv2.imencode(".tif", street()[..., ::-1].astype(np.uint16) * 257)[1].tobytes()),
    "clear.png": (FindsMagenta, lambda: saved(HIDDEN, "PNG")),
    "turned.jpg": (
        FindsMagenta,
        lambda: saved(np.rot90(street()).copy(), "JPEG", quality=95, subsampling=0, exif=turned(6)),
    ),
    "plain.bmp": (FindsMagenta, lambda: saved(street(), "BMP")),
    "lossless.webp": (FindsMagenta, lambda: saved(street(), "WEBP", lossless=True)),
}


@pytest.mark.parametrize("name", UNUSUAL)
def test_unusual_pictures_keep_their_format_and_lose_their_plate(name: str) -> None:
    segmenter, make = UNUSUAL[name]
    data = make()
    concealed = Concealer(segmenter())(data, name)
    written = concealed.encode()
    before, after = Image.open(BytesIO(data)), Image.open(BytesIO(written))
    assert after.format == before.format and after.size == (96, 48)
    assert len(concealed.plates) == 1 and concealed.mask[18:24, 22:48].all()
    assert concealed.mask.mean() < 0.1
    assert "16" in after.mode or magenta_left(written) == 0
    again = Concealer(segmenter())(written, name)
    assert not again.mask.any(), "nothing is left to find"


def test_what_hides_under_alpha_does_not_leave() -> None:
    written = Image.open(BytesIO(Concealer(FindsMagenta())(saved(HIDDEN, "PNG")).encode()))
    assert written.mode == "RGB" and (np.asarray(written)[30:40, 60:90] == 255).all()


# --- failing closed ----------------------------------------------------------------------------------------------


def answer(rgb: np.ndarray, kind: str) -> np.ndarray:
    background = np.ones(rgb.shape[:2], np.float32)
    if kind == "raises":
        raise RuntimeError("out of memory")
    if kind == "one NaN":
        background[3, 4] = np.nan
    if kind == "infinite":
        background[3, 4] = np.inf
    if kind == "logits":
        background -= 9
    return {"smaller": background[::2, ::2], "channels": background[None], "none": None}.get(kind, background)


BROKEN = ("raises", "one NaN", "infinite", "logits", "smaller", "channels", "none")


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_network_lets_no_picture_leave(kind: str, tmp_path: Path) -> None:
    class Broken(FindsMagenta):
        def __call__(self, rgb: np.ndarray) -> np.ndarray:
            return answer(rgb, kind)

    with pytest.raises(PlatesError, match=r"^front\.png: the network .*nothing is returned"):
        Concealer(Broken())(street(), "front.png")
    source = tmp_path / "in" / "front.png"
    source.parent.mkdir()
    source.write_bytes(saved(street(), "PNG"))
    report = conceal_files([source], tmp_path / "out", Concealer(Broken()), progress=False)
    assert report.exit_code == 1 and sorted(p.name for p in (tmp_path / "out").iterdir()) == ["report.json"]


@pytest.mark.parametrize(
    "picture",
    [street().astype(np.float32), street()[:, :, 0], np.dstack([street(), street()]), np.zeros((0, 5, 3), np.uint8)],
)
def test_other_arrays_are_refused(picture: np.ndarray) -> None:
    with pytest.raises(PictureError, match="is an array"):
        Concealer(FindsMagenta())(picture)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"threshold": 1.5}, "threshold 1.5"),
        ({"threshold": float("nan")}, "threshold nan"),
        ({"growth": -0.1}, "growth -0.1"),
        ({"growth": float("inf")}, "growth inf"),
        ({"mode": "smear"}, "fill, blur, pixelate"),
    ],
)
def test_values_out_of_range_are_named(options: dict[str, object], words: str) -> None:
    with pytest.raises(PlatesError, match=words):
        Concealer(FindsMagenta(), **options)


def test_a_network_without_a_chosen_threshold_needs_one() -> None:
    segmenter = FindsMagenta()
    segmenter.threshold = None
    with pytest.raises(
        PlatesError, match=r"^magenta: nobody has chosen a threshold.*give --threshold \(and --growth\)"
    ):
        Concealer(segmenter)
    assert Concealer(segmenter, 0.4).threshold == 0.4 and Concealer(segmenter, 1.0).threshold == 1


def test_an_unknown_method_lists_the_known_ones() -> None:
    with pytest.raises(PlatesError, match=r"method 'guess' is unknown; use one of segment"):
        Concealer.load("guess")


def test_load_passes_weights_and_settings_on(monkeypatch: pytest.MonkeyPatch) -> None:
    class Loaded(FindsMagenta):
        @classmethod
        def load(cls, weights: Path | None) -> "Loaded":
            made = cls()
            made.name = str(weights)
            return made

    monkeypatch.setattr("lib.redact.Loaded", Loaded, raising=False)
    monkeypatch.setitem(lib.conceal.METHODS, "colour", ("lib.redact", "Loaded"))
    concealer = Concealer.load("colour", Path("some.weights"), threshold=0.2, mode="blur")
    assert (concealer.segmenter.name, concealer.threshold, concealer.mode) == ("some.weights", 0.2, "blur")
    assert concealer.method == "colour"


# --- folders -----------------------------------------------------------------------------------------------------


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """A folder with a picture at each of two depths, one without a plate, and files that are no pictures."""
    folder = tmp_path / "photographs"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "a.JPG").write_bytes(saved(street(), "JPEG", quality=95, subsampling=0))
    (folder / "deep" / "er" / "a.png").write_bytes(saved(street(), "PNG"))
    (folder / "deep" / "none.webp").write_bytes(saved(street((90, 200, 90)), "WEBP", lossless=True))
    (folder / "notes.txt").write_text("not a picture")
    (folder / "._a.JPG").write_text("what a Mac leaves on a memory card")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def run(inputs: list[Path], out: Path, segmenter: object = None, **options: object) -> lib.folders.Report:
    return conceal_files(inputs, out, Concealer(segmenter or FindsMagenta()), progress=False, **options)


def refused(inputs: list[Path], out: Path, words: str, **options: object) -> str:
    """Nothing may change anywhere when a plan is refused; gives the sentence."""
    top = Path(os.path.commonpath([*inputs, out]))
    before = contents(top) if top.is_dir() else {}
    with pytest.raises(PlatesError, match=words) as caught:
        run(inputs, out, **options)
    assert (contents(top) if top.is_dir() else {}) == before
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_folder_keeps_its_structure_and_its_originals(photographs: Path, tmp_path: Path) -> None:
    before = contents(photographs)
    report = run([photographs], tmp_path / "out", report=tmp_path / "elsewhere" / "told.json")
    assert report.exit_code == 0 and contents(photographs) == before
    after = contents(tmp_path / "out")
    assert sorted(after) == ["a.JPG", "deep/er/a.png", "deep/none.webp", "report.json"]
    assert magenta_left(after["a.JPG"]) == magenta_left(after["deep/er/a.png"]) == 0
    assert magenta_left(before["a.JPG"]) > 100
    told = json.loads(after["report.json"])
    assert json.loads((tmp_path / "elsewhere" / "told.json").read_text()) == told
    assert told["totals"].pop("seconds") > 0
    assert told["totals"] == {"pictures": 3, "failed": 0, "plates": 2}
    keys = ("method", "mode", "threshold", "growth", "weights", "weights_sha256", "trained_on", "hidden")
    assert [told[key] for key in keys] == ["segment", "fill", 0.5, 0.0, "magenta", None, None, 1]
    assert told.keys() >= REPORT_KEYS
    entry = {e["file"]: e for e in told["files"]}["deep/er/a.png"]
    assert entry.pop("seconds") > 0
    assert entry == {
        "file": "deep/er/a.png",
        "output": "deep/er/a.png",
        "frames": 0,
        "plates": 1,
        "quadrilaterals": [[[20.0, 16.0], [50.0, 16.0], [50.0, 26.0], [20.0, 26.0]]],
        "area": round(300 / (48 * 96), 6),
        "error": None,
    }
    assert report.text().splitlines() == [
        "3 of 3 pictures written, 2 plates concealed (fill)",
        "nothing found, look at them first: deep/none.webp",
        "ignored, since by their names no picture or film: 1 (1 .txt)",
        "skipped, since hidden: 1 pictures or folders; name them to have them concealed",
    ]


def test_a_picture_mended_by_hand_is_not_written_over(photographs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run([photographs], out)
    run([photographs], out)  # its own outputs it may replace
    with open(out / "a.JPG", "ab") as file:
        file.write(b"somebody painted here")
    refused([photographs], out, r"out/a\.JPG: was changed since this tool wrote it.*; move it away, or choose another")
    (out / "a.JPG").unlink()
    assert run([photographs], out).exit_code == 0


def test_after_a_run_that_was_cut_off_its_outputs_may_be_replaced(photographs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run([photographs], out)
    told = json.loads((out / "report.json").read_text())
    assert told["sha256"] == {name: hashlib.sha256((out / name).read_bytes()).hexdigest() for name in told["outputs"]}
    for known in ({}, {name: None for name in told["outputs"]}, None):  # not yet told, or by an earlier version
        (out / "report.json").write_text(json.dumps(told | {"sha256": known}))
        (out / "a.JPG").write_bytes(b"written, but the report was not")
        assert run([photographs], out).exit_code == 0


def test_a_jpeg_by_its_rarer_names_is_concealed(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.jfif", "b.JPE"):
        (folder / name).write_bytes(saved(street(), "JPEG", quality=95))
    report = run([folder], tmp_path / "out")
    assert report.exit_code == 0 and sorted(entry.output for entry in report.files) == ["a.jfif", "b.JPE"]


def test_what_cannot_be_read_is_reported_and_not_written(photographs: Path, tmp_path: Path) -> None:
    whole = saved(np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8), "JPEG")
    (photographs / "text.jpg").write_text("I am not a picture")
    (photographs / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (photographs / "empty.png").write_bytes(b"")
    (photographs / "wide.png").write_bytes(saved(Image.new("L", (30_000, 4)), "PNG"))
    (photographs / "gone.png").symlink_to(photographs / "nowhere.png")
    os.mkfifo(photographs / "pipe.png")
    report = run([photographs], tmp_path / "out")
    assert report.exit_code == 1
    assert sorted(contents(tmp_path / "out")) == ["a.JPG", "deep/er/a.png", "deep/none.webp", "report.json"]
    told = json.loads((tmp_path / "out" / "report.json").read_text())
    errors = {entry["file"]: entry["error"] for entry in told["files"] if entry["error"]}
    assert sorted(errors) == ["cut.jpg", "empty.png", "gone.png", "pipe.png", "text.jpg", "wide.png"]
    assert "whole copy" in errors["cut.jpg"] and "whatever its name says" in errors["text.jpg"]
    assert "30,000 x 4" in errors["wide.png"] and "cannot be read" in errors["gone.png"]
    assert told["totals"]["failed"] == 6 and len(report.failures) == 6
    assert report.text().count("not written: ") == 6
    assert not list((tmp_path / "out").rglob("*.part*"))


def test_running_again_replaces_only_its_own_and_removes_what_went_stale(photographs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run([photographs], out)
    (photographs / "a.JPG").write_text("damaged since")
    (photographs / "deep" / "er" / "a.png").write_bytes(saved(street((90, 200, 90)), "PNG"))
    report = run([photographs], out)
    assert report.exit_code == 1 and not (out / "a.JPG").exists(), "a stale result would pass for a new one"
    assert np.array_equal(np.asarray(Image.open(out / "deep/er/a.png")), street((90, 200, 90)))
    # what another folder's run wrote stays this tool's own
    other = tmp_path / "other"
    other.mkdir()
    (other / "b.png").write_bytes(saved(street(), "PNG"))
    run([other], out)
    assert run([photographs / "deep"], tmp_path / "out2").exit_code == 0
    assert run([photographs], out).exit_code == 1 and (out / "b.png").exists()


def test_strangers_files_are_never_overwritten(photographs: Path, tmp_path: Path) -> None:
    out = tmp_path / "backup"
    (out / "deep" / "er").mkdir(parents=True)
    (out / "deep" / "er" / "a.png").write_bytes(b"the only other copy")
    refused([photographs], out, "was not written by this tool")
    (out / "deep" / "er" / "a.png").unlink()
    (out / "report.json").write_text('{"totals": "of somebody else"}')
    refused([photographs], out, "no report of this tool")


def test_an_interrupted_run_says_so_and_can_be_repeated(photographs: Path, tmp_path: Path) -> None:
    class Interrupted(FindsMagenta):
        seen = 0

        def __call__(self, rgb: np.ndarray) -> np.ndarray:
            self.seen += 1
            if self.seen == 2:
                raise KeyboardInterrupt
            return super().__call__(rgb)

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        run([photographs], out, Interrupted())
    told = json.loads((out / "report.json").read_text())
    assert [entry["error"] for entry in told["files"]] == [None, "not reached", "not reached"]
    assert sorted(contents(out)) == ["a.JPG", "report.json"]
    assert run([photographs], out).exit_code == 0


def test_originals_cannot_be_outputs(photographs: Path, tmp_path: Path) -> None:
    refused([photographs], photographs, "lies in the input")
    refused([photographs], photographs / "deep" / "new", "lies in the input")
    (tmp_path / "link").symlink_to(photographs, target_is_directory=True)
    refused([photographs], tmp_path / "link", "lies in the input")
    refused([photographs / "a.JPG"], photographs, "one of the originals")
    hard = tmp_path / "hard"
    hard.mkdir()
    os.link(photographs / "a.JPG", hard / "a.JPG")
    refused([photographs], hard, "one of the originals")
    soft = tmp_path / "soft"
    soft.mkdir()
    (soft / "a.JPG").symlink_to(photographs / "a.JPG")
    refused([photographs], soft, "one of the originals")
    # even an earlier report that claims the name makes no original ours
    (soft / "report.json").write_text('{"outputs": ["a.JPG"]}')
    refused([photographs], soft, "one of the originals")


def test_two_pictures_for_one_output(photographs: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.JPG").write_bytes(saved(street(), "JPEG"))
    message = refused([photographs, other], tmp_path / "out", "would both become a.JPG")
    assert str(photographs / "a.JPG") in message and str(other / "a.JPG") in message
    report = run([photographs, photographs / "a.JPG"], tmp_path / "out")  # the same picture named twice is no clash
    assert len(report.files) == 3 and report.exit_code == 0


def test_inputs_that_are_not_there(photographs: Path, tmp_path: Path) -> None:
    refused([tmp_path / "missing.jpg"], tmp_path / "out", "no such file or folder")
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "notes.txt").write_text("no picture")
    refused([photographs, empty], tmp_path / "out", "holds no picture")
    with pytest.raises(PlatesError, match="no input was named"):
        run([], tmp_path / "out")
    (tmp_path / "report.json").write_bytes(saved(street(), "PNG"))
    refused([tmp_path / "report.json"], tmp_path / "out", "name of the report")


def test_a_report_goes_only_where_nothing_is_lost(photographs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    refused([photographs], out, "end it in .json", report=photographs / "a.JPG")
    refused([photographs], out, "lies in the input", report=photographs / "deep" / "new.json")
    (tmp_path / "mine.json").write_text('{"images": [], "annotations": [], "categories": []}')
    refused([photographs], out, "no earlier report", report=tmp_path / "mine.json")
    (photographs / "odd.json").write_bytes(saved(street(), "PNG"))
    refused([photographs / "odd.json"], out, "no earlier report", report=photographs / "odd.json")
    refused([photographs / "odd.json"], out, "where a concealed picture goes", report=out / "odd.json")
    refused([photographs], out, "cannot be written", report=tmp_path / "mine.json" / "told.json")
    assert not (out / "report.json").exists(), "all of it before any work"
    for _ in range(2):  # the second time it replaces its own
        assert run([photographs], out, report=tmp_path / "told.json").exit_code == 0
    assert run([photographs], out, report=out / "report.json").exit_code == 0


def test_a_report_elsewhere_that_fails_leaves_the_first_one_true(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, copy = tmp_path / "out", tmp_path / "told.json"
    real, order = lib.folders.Report.write, []

    def write(self: lib.folders.Report, path: Path) -> None:
        order.append(path)
        if path == copy:
            raise PlatesError("no space")
        real(self, path)

    monkeypatch.setattr(lib.folders.Report, "write", write)
    with pytest.raises(PlatesError, match="no space"):
        run([photographs], out, report=copy)
    assert order == [out / "report.json", out / "report.json", copy]
    assert json.loads((out / "report.json").read_text())["totals"]["failed"] == 0


def test_names_that_are_no_text_are_concealed_and_reported(tmp_path: Path) -> None:
    folder, out, name = tmp_path / "in", tmp_path / "out", os.fsdecode(b"caf\xe9.png")
    folder.mkdir()
    try:
        (folder / name).write_bytes(saved(street(), "PNG"))
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    (folder / os.fsdecode(b"\xff.jpg")).write_text("damaged")
    for _ in range(2):  # the second run knows the output as its own
        report = run([folder], out)
        assert report.exit_code == 1 and [entry.output for entry in report.files if not entry.error] == [name]
        assert magenta_left((out / name).read_bytes()) == 0
    assert json.loads((out / "report.json").read_text(encoding="utf-8"))["outputs"] == [name]


def test_kinds_that_are_not_read_fail_and_other_files_are_ignored(photographs: Path, tmp_path: Path) -> None:
    kinds = [f"x{suffix}" for suffix in (*PICTURES, *VIDEOS)]
    for name in kinds:
        (photographs / name.upper()).write_bytes(saved(street(), "PNG"))  # whatever is in them
    (photographs / "letter.odt").write_text("no picture")
    out = tmp_path / "out"
    report = run([photographs], out)
    assert report.exit_code == 1 and {e.file.lower(): e.output for e in report.failures} == dict.fromkeys(kinds)
    errors = {entry.file: entry.error for entry in report.failures}
    assert "HEIC pictures are not read; convert it" in errors["X.HEIC"] and "is no film" in errors["X.MP4"]
    assert sorted(contents(out)) == ["a.JPG", "deep/er/a.png", "deep/none.webp", "report.json"]
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / "b.dng").write_bytes(saved(street(), "TIFF"))  # a raw photograph opens as its own thumbnail
    assert run([alone], tmp_path / "out2").exit_code == run([alone / "b.dng"], tmp_path / "out3").exit_code == 1
    assert list(contents(tmp_path / "out2")) == list(contents(tmp_path / "out3")) == ["report.json"]


def test_hidden_files_and_folders_are_skipped_unless_named(photographs: Path, tmp_path: Path) -> None:
    hidden = photographs / "deep" / ".thumbnails"
    (hidden / "more").mkdir(parents=True)
    (hidden / "more" / "b.png").write_bytes(saved(street(), "PNG"))
    (photographs / ".DS_Store").write_text("no picture")
    report = run([photographs], tmp_path / "out")
    assert [e.file for e in report.files] == ["a.JPG", "deep/er/a.png", "deep/none.webp"] and report.hidden == 2
    named = run([hidden, photographs / "._a.JPG"], tmp_path / "out2")
    assert [e.file for e in named.files] == ["more/b.png", "._a.JPG"] and named.hidden == 0 and named.exit_code == 1
    assert "hidden" not in run([hidden], tmp_path / "out3").text()


def test_linked_folders_are_reported_and_linked_pictures_concealed(photographs: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "b.png").write_bytes(saved(street(), "PNG"))
    (photographs / "trip").symlink_to(other, target_is_directory=True)
    (photographs / "deep" / "round").symlink_to(photographs, target_is_directory=True)
    (photographs / "c.png").symlink_to(other / "b.png")
    report = run([photographs], tmp_path / "out")
    assert [entry.file for entry in report.failures] == ["deep/round", "trip"] and report.exit_code == 1
    assert all("link to a folder" in entry.error and "name that folder" in entry.error for entry in report.failures)
    assert sorted(contents(tmp_path / "out")) == ["a.JPG", "c.png", "deep/er/a.png", "deep/none.webp", "report.json"]
    assert (photographs / "trip").is_symlink() and (other / "b.png").exists()
    assert run([photographs / "trip"], tmp_path / "out2").exit_code == 0  # which it says to do


@contextmanager
def as_an_ordinary_user() -> Iterator[None]:
    """Root may write anywhere, so tests that run as root step down for a moment."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def test_a_read_only_output_is_one_sentence_and_nothing_is_lost() -> None:
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to other users
        top = Path(name)
        top.chmod(0o755)
        source, locked = top / "a.png", top / "locked"
        source.write_bytes(saved(street(), "PNG"))
        source.chmod(0o644)
        locked.mkdir(mode=0o555)
        before = contents(top)
        for out in (locked, locked / "new"):
            with as_an_ordinary_user(), pytest.raises(PlatesError, match=r"cannot be written \(Permission denied\)"):
                run([source], out)
        assert contents(top) == before and not list(locked.iterdir())


def test_an_output_that_is_or_lies_below_a_file(photographs: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    refused([photographs], tmp_path / "file", "is a file")
    refused([photographs], tmp_path / "file" / "out", "cannot be written")


def test_a_full_disk_leaves_no_half_picture(photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = Path.write_bytes

    def full(self: Path, data: bytes) -> int:
        if self.suffix == ".png":
            write(self, data[:50])
            raise OSError(28, "No space left on device")
        return write(self, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    report = run([photographs], tmp_path / "out")
    assert report.exit_code == 1 and "No space left" in report.failures[0].error
    assert sorted(contents(tmp_path / "out")) == ["a.JPG", "deep/none.webp", "report.json"]


def test_a_region_counts_where_it_is_sure_somewhere_and_then_whole() -> None:
    rgb = np.full((20, 60, 3), 250, np.uint8)
    rgb[4:10, 4:20, 0] = 100  # a region at .4 with one pixel at .16
    rgb[6, 9, 0] = 40
    rgb[4:10, 30:46, 0] = 60  # another at .24, nowhere below .2
    first, second = np.zeros((2, 20, 60), bool)
    first[4:10, 4:20] = second[4:10, 30:46] = True
    assert np.array_equal(Concealer(ReadsRed())(rgb).mask, first)  # the segmenter's own .2
    assert np.array_equal(Concealer(ReadsRed(), sure=1.0)(rgb).mask, first | second)
    assert np.array_equal(Concealer(ReadsRed(), sure=0.25)(rgb).mask, first | second)
    assert Concealer(FindsMagenta()).sure == 1.0
    for value in (0.0, 1.5, -0.1, float("nan")):  # 0 would let every picture out as it is
        with pytest.raises(PlatesError, match=rf"sure {value:g} is not above 0 and up to 1; leave it out"):
            Concealer(ReadsRed(), sure=value)
        with pytest.raises(PlatesError, match=rf"threshold {value:g} is not above 0 and up to 1; leave it out"):
            Concealer(ReadsRed(), threshold=value)
