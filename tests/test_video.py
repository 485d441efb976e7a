"""Real films, made here in many containers, concealed by a network that knows magenta; and what must not happen."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av
import cv2
import numpy as np
import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from mutations import CUTS, DROP, Cuts, examples, mutated

from lib.__main__ import main
from lib.conceal import Concealer
from lib.folders import conceal_files
from lib.footage import Reader, VideoError, planes_of
from lib.redact import FILL, MODES
from lib.settings import PlatesError
from lib.video import conceal_video, paint, pixels_of

ROOT = Path(__file__).resolve().parent.parent
SIZE = (96, 64)
FRAMES = 14
CANARY = "who-took-this"


class FindsMagenta:
    """A segmenter by colour, as it looks after a codec: P(background) is 0 on magenta, 1 elsewhere."""

    name, threshold, growth = "magenta", 0.5, 0.15

    def __call__(self, rgb: np.ndarray) -> np.ndarray:
        red, green, blue = (rgb[:, :, i].astype(int) for i in range(3))
        return np.where((red - green > 60) & (blue - green > 60), 0.0, 1.0).astype(np.float32)


class Blinks(FindsMagenta):
    """It does not see the frames that are named, counted from 0 and known by where `scene` puts the plate."""

    def __init__(self, *missed: int, fails: int | None = None, error: type[BaseException] = RuntimeError) -> None:
        self.missed, self.fails, self.error = missed, fails, error

    def __call__(self, rgb: np.ndarray) -> np.ndarray:
        background = super().__call__(rgb)
        frame = round((np.nonzero(background < 0.5)[1].mean() - 22.5) / 2)
        if frame == self.fails:
            raise self.error("out of memory")
        return background if frame not in self.missed else np.ones_like(background)


def test_the_stand_in_knows_its_frames() -> None:
    assert [bool((Blinks(3)(scene(number)) < 0.5).any()) for number in range(FRAMES)] == [n != 3 for n in range(FRAMES)]


def scene(number: int, size: tuple[int, int] = SIZE, plate: tuple[int, int, int] = (255, 0, 255)) -> np.ndarray:
    """Green, brighter to the right, with a plate of 30 x 10 that moves by two pixels a frame."""
    rgb = np.zeros((size[1], size[0], 3), np.uint8)
    rgb[..., 1] = np.linspace(90, 220, size[0])
    rgb[12:22, 8 + 2 * number : 38 + 2 * number] = plate
    return rgb


def film(
    path: Path,
    codec: str = "libx264",
    form: str = "yuv420p",
    sound: str | None = None,
    size: tuple[int, int] = SIZE,
    stamps: list[int] | None = None,
    base: Fraction = Fraction(1, 12),
    frames: int = FRAMES,
    plate: tuple[int, int, int] = (255, 0, 255),
    add: Callable[[Any, Any], None] = lambda file, video: None,
    options: dict[str, str] | None = None,
    muxing: dict[str, str] | None = None,
) -> Path:
    """Write a film; ``add`` is called with the file and its stream of pictures before anything is encoded."""
    with av.open(str(path), "w", options=muxing or {}) as file:
        video = file.add_stream(codec, rate=12, options={"x265-params": "log-level=none"} | (options or {}))
        video.width, video.height = size
        video.pix_fmt = form
        video.codec_context.time_base = base
        heard = file.add_stream(sound, rate=48000, layout="mono") if sound else None
        add(file, video)
        for number, stamp in enumerate(stamps or range(frames)):
            frame = av.VideoFrame.from_ndarray(scene(number, size, plate), "rgb24")
            frame.pts, frame.time_base = stamp, base
            file.mux(video.encode(frame))
        file.mux(video.encode())
        if heard:
            noise = np.random.default_rng(0).normal(0, 0.1, (1, 48000)).astype(np.float32)
            tone = av.AudioFrame.from_ndarray(noise, "fltp", "mono")
            tone.rate, tone.pts = 48000, 0
            context = heard.codec_context
            resampler = av.AudioResampler(context.format, "mono", 48000, context.frame_size or 1024)
            for part in (*resampler.resample(tone), *resampler.resample(None)):
                file.mux(heard.encode(part))
            file.mux(heard.encode())
    return path


def frames_of(path: Path) -> list[av.VideoFrame]:
    with av.open(str(path)) as file:
        return list(file.decode(video=0))


def rgb_of(path: Path) -> list[np.ndarray]:
    return [frame.to_ndarray(format="rgb24") for frame in frames_of(path)]


def times(path: Path) -> list[Fraction]:
    return [frame.pts * frame.time_base for frame in frames_of(path)]


def sound_of(path: Path) -> list[tuple[Fraction, bytes]]:
    with av.open(str(path)) as file:
        return [(packet.pts * packet.time_base, bytes(packet)) for packet in file.demux(audio=0) if packet.size]


def magenta(rgb: np.ndarray) -> int:
    return int((FindsMagenta()(rgb) < 0.5).sum())


def conceal(path: Path, out: Path, segmenter: Any = None, mode: str = "fill") -> Any:
    return conceal_video(path, out, Concealer(segmenter or FindsMagenta(), mode=mode), progress=False)


def only(folder: Path, *names: str) -> bool:
    """Whether nothing but these lies in a folder, hidden files and temporary ones included."""
    return sorted(each.name for each in folder.iterdir()) == sorted(names)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


KINDS = {
    "a.mp4": ("libx264", "yuv420p", "aac"),
    "deep.mp4": ("libx265", "yuv420p10le", "aac"),
    "a.mov": ("libx264", "yuv422p", "pcm_s16le"),
    "a.m4v": ("libx264", "yuv420p", "aac"),
    "a.mkv": ("ffv1", "bgr0", "flac"),
    "a.webm": ("libvpx-vp9", "yuv420p", "libopus"),
    "old.webm": ("libvpx", "yuv420p", "libopus"),
    "a.avi": ("mpeg4", "yuv420p", "libmp3lame"),
    "jpeg.avi": ("mjpeg", "yuvj420p", "pcm_s16le"),
    "a.wmv": ("wmv2", "yuv420p", None),
    "a.mts": ("libx264", "yuv420p", "aac"),
    "a.3gp": ("libx264", "yuv420p", "aac"),
    "silent.mp4": ("libx264", "yuv420p", None),
}


@pytest.mark.parametrize("name", KINDS)
def test_size_length_times_and_sound_stay_and_the_plate_goes(name: str, tmp_path: Path, out: Path) -> None:
    codec, form, sound = KINDS[name]
    source = film(tmp_path / name, codec, form, sound)
    before = source.read_bytes()
    told = conceal(source, out / name)
    was, made = rgb_of(source), rgb_of(out / name)
    assert [magenta(rgb) > 100 for rgb in was] == [True] * FRAMES
    assert [magenta(rgb) for rgb in made] == [0] * FRAMES
    assert times(out / name) == times(source) and made[0].shape == was[0].shape
    assert sound is None or (sound_of(out / name) == sound_of(source) and len(sound_of(source)) > 3)
    assert max(np.abs(a.astype(int) - b)[40:].mean() for a, b in zip(was, made, strict=True)) < 3
    with av.open(str(source)) as first, av.open(str(out / name)) as second:
        pictures = [file.streams.video[0] for file in (first, second)]
        assert second.format.name == first.format.name and len(second.streams) == len(first.streams)
        assert pictures[0].codec_context.codec.id == pictures[1].codec_context.codec.id
        assert pictures[0].average_rate == pictures[1].average_rate
    assert told.frames == FRAMES and told.plates >= 1 and 0.04 < told.area < 0.2
    assert source.read_bytes() == before and only(out, name)


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_conceals_and_touches_nothing_else(mode: str) -> None:
    frame = av.VideoFrame.from_ndarray(scene(0), "rgb24").reformat(format="yuv420p")
    before, mask = [plane.copy() for plane in planes_of(frame)], np.zeros((64, 96), bool)
    mask[11:23, 7:40] = True
    paint(frame, mask, mode)
    luma, *chroma = planes_of(frame)
    assert np.array_equal(luma[~mask], before[0][~mask])
    blocks = mask.reshape(32, 2, 48, 2).any((1, 3))
    for plane, old in zip(chroma, before[1:], strict=True):
        assert np.array_equal(plane[~blocks], old[~blocks])
    if mode == "fill":
        assert np.abs(frame.to_ndarray(format="rgb24")[mask].astype(int) - round(FILL * 255)).max() <= 2
    else:
        assert np.ptp(luma[mask].astype(int)) < 60 and (luma[mask] != before[0][mask]).any()


def test_a_plate_that_is_missed_for_some_frames_is_never_shown(tmp_path: Path, out: Path) -> None:
    source = film(tmp_path / "a.mkv", "ffv1", "yuv444p")
    conceal(source, out / "a.mkv", Blinks(0, 1, 4, 5, 6, 10, 12, 13))
    assert [magenta(rgb) for rgb in rgb_of(out / "a.mkv")] == [0] * FRAMES


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_uneven_times_stay_as_they_are(name: str, tmp_path: Path, out: Path) -> None:
    stamps = [40, 73, 140, 141, 300, 333, 366, 500, 900, 933, 966, 1000, 1500, 1533]
    source = film(tmp_path / name, stamps=stamps, base=Fraction(1, 1000), sound="aac", options={"bf": "2"})
    told = conceal(source, out / name)
    assert told.frames == 14 and times(out / name) == times(source)
    assert [round(b - a, 3) for a, b in pairwise(times(source))] == [Fraction(b - a, 1000) for a, b in pairwise(stamps)]
    assert sound_of(out / name) == sound_of(source)


TURNS = {  # a display matrix's a, b, c, d, and what it does to the pixels
    "left": ((0, -1, 1, 0), lambda rgb: np.rot90(rgb)),
    "right": ((0, 1, -1, 0), lambda rgb: np.rot90(rgb, -1)),
    "over": ((-1, 0, 0, -1), lambda rgb: np.rot90(rgb, 2)),
    "mirrored": ((-1, 0, 0, 1), np.fliplr),
    "transposed": ((0, 1, 1, 0), lambda rgb: np.swapaxes(rgb, 0, 1)),
}


@pytest.mark.parametrize("turn", TURNS)
def test_a_turn_is_applied_before_the_network_looks(turn: str, tmp_path: Path, out: Path) -> None:
    (a, b, c, d), turned = TURNS[turn]
    matrix = [a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30]

    def add(_: Any, video: Any) -> None:
        video.set_display_matrix(matrix)
        video.codec_context.sample_aspect_ratio = Fraction(4, 3)

    source = film(tmp_path / "a.mp4", add=add, frames=3)
    shapes: list[tuple[int, ...]] = []

    class Looks(FindsMagenta):
        def __call__(self, rgb: np.ndarray) -> np.ndarray:
            shapes.append(rgb.shape)
            return super().__call__(rgb)

    conceal(source, out / "a.mp4", Looks())
    for was, frame in zip(rgb_of(source), frames_of(out / "a.mp4"), strict=True):
        rgb = frame.to_ndarray(format="rgb24")
        assert frame.rotation == 0 and magenta(rgb) == 0 and shapes[0] == rgb.shape
        changed = np.abs(turned(was).astype(int) - rgb).max(2) > 40
        assert 300 < changed.sum() < 700 and changed[FindsMagenta()(turned(was)) < 0.5].all()
    with av.open(str(out / "a.mp4")) as file:
        assert file.streams.video[0].sample_aspect_ratio == (Fraction(4, 3) if a else Fraction(3, 4))


def test_a_turn_that_is_no_quarter_is_refused(tmp_path: Path, out: Path) -> None:
    source = film(tmp_path / "a.mp4", add=lambda _, video: video.set_display_rotation(30), frames=2)
    with pytest.raises(VideoError, match=r"a\.mp4: is shown at an angle"):
        conceal(source, out / "a.mp4")


@pytest.mark.parametrize(("name", "codec", "form"), [("a.avi", "mpeg4", "yuv420p"), ("a.mkv", "libx264", "yuv444p"),
                                                     ("a.webm", "libvpx-vp9", "yuv420p")])  # fmt: skip
def test_odd_sizes_keep_every_pixel(name: str, codec: str, form: str, tmp_path: Path, out: Path) -> None:
    source = film(tmp_path / name, codec, form, size=(97, 61), frames=3)
    conceal(source, out / name)
    assert [rgb.shape for rgb in rgb_of(out / name)] == [(61, 97, 3)] * 3
    assert not any(magenta(rgb) for rgb in rgb_of(out / name))


def test_an_odd_size_of_another_codec_becomes_full_colour_h264(tmp_path: Path, out: Path) -> None:
    source = film(tmp_path / "a.avi", "huffyuv", "rgb24", size=(97, 61), frames=3)
    conceal(source, out / "a.avi")
    (frame, *_), made = frames_of(out / "a.avi"), rgb_of(out / "a.avi")
    assert frame.format.name == "yuv444p" and made[0].shape == (61, 97, 3) and not any(map(magenta, made))


def test_the_meaning_of_colours_and_the_shape_of_pixels_stay(tmp_path: Path, out: Path) -> None:
    def add(_: Any, video: Any) -> None:
        video.codec_context.colorspace, video.codec_context.color_range = 1, 2  # BT.709, full range
        video.codec_context.sample_aspect_ratio = Fraction(4, 3)

    source = film(tmp_path / "a.mp4", add=add, frames=2)
    conceal(source, out / "a.mp4")
    with av.open(str(out / "a.mp4")) as file:
        assert file.streams.video[0].sample_aspect_ratio == Fraction(4, 3)
        frame = next(file.decode(video=0))
    assert (frame.colorspace, frame.color_range) == (1, 2)
    filled = planes_of(frame)[0][14:20, 12:36]
    assert np.abs(filled.astype(int) - round(FILL * 255)).max() <= 2  # full range: luma is the grey itself


def with_metadata(file: Any, video: Any) -> None:
    file.metadata.update({key: f"{CANARY}-{key}" for key in ("title", "comment", "location", "artist", "encoder")})
    video.metadata.update({"title": CANARY, "handler_name": CANARY})
    file.set_chapters([{"id": 1, "start": 0, "end": 1, "time_base": Fraction(1), "metadata": {"title": CANARY}}])
    if file.format.name == "matroska":
        file.add_attachment(f"{CANARY}.txt", "text/plain", CANARY.encode())


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.avi"])
def test_metadata_does_not_leave(name: str, tmp_path: Path, out: Path) -> None:
    codec = "mpeg4" if name == "a.avi" else "libx264"
    source = film(tmp_path / name, codec, sound="aac", add=with_metadata)
    assert source.read_bytes().count(CANARY.encode()) > 1
    conceal(source, out / name)
    assert CANARY.encode() not in (out / name).read_bytes()
    with av.open(str(out / name)) as file:
        assert [stream.type for stream in file.streams] == ["video", "audio"] and not file.chapters()
        assert "creation_time" not in file.metadata


def test_what_hides_beside_frames_and_covers_does_not_leave(tmp_path: Path, out: Path) -> None:
    def cover(file: Any, _: Any) -> None:
        stream = file.add_stream("mjpeg", rate=1)
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuvj420p"
        stream.disposition = av.stream.Disposition.attached_pic
        covers.append(stream)

    covers: list[Any] = []
    source = tmp_path / "a.mp4"
    with av.open(str(source), "w") as file:
        video = file.add_stream("libx264", rate=12, options={"udu_sei": "1"})
        video.width, video.height = SIZE
        video.pix_fmt = "yuv420p"
        cover(file, video)
        for number in range(3):
            frame = av.VideoFrame.from_ndarray(scene(number), "rgb24")
            frame.pts = number
            file.mux(video.encode(frame))
            if not number:
                still = frame.reformat(format="yuvj420p")
                still.pts = 0
                file.mux(covers[0].encode(still))
        file.mux(video.encode())
        file.mux(covers[0].encode())
    with av.open(str(source)) as file:
        assert [bool(each.disposition & av.stream.Disposition.attached_pic) for each in file.streams] == [False, True]
    assert conceal(source, out / "a.mp4").frames == 3
    with av.open(str(out / "a.mp4")) as file:
        assert len(file.streams) == 1
    assert not any(map(magenta, rgb_of(out / "a.mp4")))


def test_fill_leaves_nothing_of_what_was_there(tmp_path: Path, out: Path) -> None:
    class Knows(FindsMagenta):
        growth = 0.0

        def __call__(self, rgb: np.ndarray) -> np.ndarray:
            background = np.ones(rgb.shape[:2], np.float32)
            background[10:24, 6:70] = 0
            return background

    made = []
    for name, plate in (("a.mkv", (255, 0, 255)), ("b.mkv", (10, 200, 30))):
        source = film(tmp_path / name, "ffv1", "yuv420p", plate=plate, sound="flac")
        conceal(source, out / name, Knows())
        made.append((out / name).read_bytes())
    assert made[0] == made[1]


# --- what cannot be read -----------------------------------------------------------------------------------------


def refused(source: Path, out: Path, words: str) -> None:
    """Nothing is written, and an output of before stays as it was."""
    target = out / source.name
    with pytest.raises(VideoError, match=words) as caught:
        conceal(source, target)
    assert str(caught.value).startswith(str(source)) and only(out)
    target.write_text("of before")
    with pytest.raises(VideoError):
        conceal(source, target)
    assert target.read_text() == "of before" and only(out, source.name)
    target.unlink()


@pytest.mark.parametrize("data", [b"", b"no film at all\n" * 50, bytes(range(256)) * 40, b"\0" * 5000])
def test_what_is_no_film_is_refused(data: bytes, tmp_path: Path, out: Path) -> None:
    source = tmp_path / "a.mp4"
    source.write_bytes(data)
    refused(source, out, "is no film that can be read")


def test_playlists_are_not_followed(tmp_path: Path, out: Path) -> None:
    other, source = film(tmp_path / "b.mts"), tmp_path / "a.mp4"
    source.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1,\n{other.name}\n#EXT-X-ENDLIST\n")
    refused(source, out, "is no film that can be read")
    source.write_text(f"ffconcat version 1.0\nfile {other.name}\n")
    refused(source, out, "is no film that can be read")


def test_sound_alone_is_refused(tmp_path: Path, out: Path) -> None:
    source = tmp_path / "a.mkv"
    with av.open(str(source), "w") as file:
        heard = file.add_stream("flac", rate=48000, layout="mono")
        tone = av.AudioFrame.from_ndarray(np.zeros((1, 4608), np.int16), "s16", "mono")
        tone.rate, tone.pts = 48000, 0
        file.mux(heard.encode(tone))
        file.mux(heard.encode())
    refused(source, out, "holds no moving pictures")


def test_a_second_stream_of_pictures_is_refused(tmp_path: Path, out: Path) -> None:
    source = tmp_path / "a.mkv"
    with av.open(str(source), "w") as file:
        videos = [file.add_stream("libx264", rate=12) for _ in range(2)]
        for video in videos:
            video.width, video.height = SIZE
            video.pix_fmt = "yuv420p"
        for video in videos:
            file.mux(video.encode(av.VideoFrame.from_ndarray(scene(0), "rgb24")))
            file.mux(video.encode())
    refused(source, out, "2 streams of pictures")


@pytest.mark.parametrize("name", ["end.mp4", "front.mp4", "a.mkv", "a.avi"])
@pytest.mark.parametrize("kept", [0.2, 0.5, 0.7])
def test_a_film_cut_short_is_refused(name: str, kept: float, tmp_path: Path, out: Path) -> None:
    muxing = {"movflags": "faststart"} if name == "front.mp4" else {}
    codec = "mpeg4" if name == "a.avi" else "libx264"
    whole = film(tmp_path / f"whole-{name}", codec, sound="aac", muxing=muxing).read_bytes()
    (tmp_path / name).write_bytes(whole[: int(kept * len(whole))])
    refused(tmp_path / name, out, "is no film|is damaged|ends at second")


def packet_places(path: Path) -> list[tuple[int, int]]:
    with av.open(str(path)) as file:
        return [(packet.pos, packet.size) for packet in file.demux(video=0) if packet.size]


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("a.mkv", "libx265"), ("a.avi", "mpeg4"),
                                             ("a.webm", "libvpx-vp9")])  # fmt: skip
def test_a_broken_packet_in_the_middle_stops_everything(name: str, codec: str, tmp_path: Path, out: Path) -> None:
    source = film(tmp_path / name, codec, options={"g": "4"})
    data, (start, size) = bytearray(source.read_bytes()), packet_places(source)[8]
    at = data.find(bytes(data[start : start + size])) if name != "a.mkv" else start
    noise = np.random.default_rng(1).integers(0, 256, size, np.uint8).tobytes()
    data[at + 8 : at + size] = noise[8:]
    source.write_bytes(bytes(data))
    refused(source, out, "is damaged near second")


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("healthy")
    kinds = {"a.mp4": "libx264", "a.mkv": "libx264", "a.avi": "mpeg4", "a.ts": "mpeg2video"}
    told: dict[str, Any] = {"sound": "aac", "frames": 4, "size": (64, 48)}
    return {name: film(folder / name, codec, options={"g": "2"}, **told).read_bytes() for name, codec in kinds.items()}


@examples(60)
@given(name=st.sampled_from(["a.mp4", "a.mkv", "a.avi", "a.ts"]), cuts=CUTS, drop=DROP)
def test_mutated_films_are_concealed_or_refused(
    thrifty: None, healthy: dict[str, bytes], name: str, cuts: Cuts, drop: float
) -> None:
    with TemporaryDirectory() as folder:
        source, target = Path(folder) / name, Path(folder) / f"b{Path(name).suffix}"
        source.write_bytes(mutated(healthy[name], cuts, drop))
        try:
            told = conceal(source, target)
        except PlatesError:
            event("refused")
            assert only(source.parent, name)
        else:
            event("concealed")
            with Reader(source) as reader:  # what was mutated may have been pixels: these are to be concealed, if any
                seen = [pixels_of(each) for each in reader if isinstance(each, av.VideoFrame)]
            made = [pixels_of(each) for each in frames_of(target)]
            assert len(seen) == len(made) == told.frames
            for before, after in zip(seen, made, strict=True):  # a codec lets colours run over a border, not further
                inner = cv2.erode((FindsMagenta()(before) < 0.5).astype(np.uint8), np.ones((5, 5)), borderValue=0)
                assert not (FindsMagenta()(after) < 0.5)[inner.view(np.bool_)].any()
            assert only(source.parent, name, target.name)


# --- what goes wrong on the way ----------------------------------------------------------------------------------


def test_sound_that_the_container_cannot_hold_is_said(tmp_path: Path, out: Path) -> None:
    source = film(tmp_path / "a.mkv", sound="flac")
    with pytest.raises(VideoError, match=r"a\.mkv: its pictures or sound cannot be put into a WEBM file"):
        conceal(source, out / "a.webm")
    assert only(out)


def test_a_network_that_fails_on_the_way_leaves_nothing(tmp_path: Path, out: Path) -> None:
    source = film(tmp_path / "a.mp4", sound="aac")
    with pytest.raises(PlatesError, match="the network failed"):
        conceal(source, out / "a.mp4", Blinks(fails=11))
    with pytest.raises(KeyboardInterrupt):
        conceal(source, out / "a.mp4", Blinks(fails=9, error=KeyboardInterrupt))
    assert only(out)


def test_the_original_is_never_the_target(tmp_path: Path) -> None:
    source = film(tmp_path / "a.mp4", frames=2)
    (tmp_path / "b.mp4").hardlink_to(source)
    for target in (source, tmp_path / "b.mp4"):
        with pytest.raises(VideoError, match="is the original"):
            conceal(source, target)


SCRIPT = r"""
import os, sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_video import Blinks, conceal
import resource, signal
{before}
class Slow(Blinks):
    def __call__(self, rgb):
        time.sleep({pause})
        os.write(1, b"frame\n")  # whole, from any thread: print writes a line and its end apart
        return super().__call__(rgb)
conceal(Path({source!r}), Path({target!r}), Slow())
"""


def started(source: Path, target: Path, before: str = "", pause: float = 0.0) -> subprocess.Popen[str]:
    script = SCRIPT.format(
        tests=str(ROOT / "tests"), source=str(source), target=str(target), before=before, pause=pause
    )
    return subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_a_kill_in_the_middle_leaves_nothing_under_the_films_name(tmp_path: Path, out: Path) -> None:
    source = film(tmp_path / "a.mp4", sound="aac")
    with started(source, out / "a.mp4", pause=0.2) as process:
        for _ in range(10):
            assert process.stdout.readline() == "frame\n"
        process.kill()
    assert process.returncode == -signal.SIGKILL and not (out / "a.mp4").exists()
    assert all(each.name.startswith(".") for each in out.iterdir())


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path, out: Path) -> None:
    """A limit on the size of files stands in for the disk: the same call fails, by another number."""
    source = film(tmp_path / "a.mkv", "ffv1", "yuv444p", sound="flac")
    limit = "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))"
    with started(source, out / "a.mkv", before=limit) as process:
        _, said = process.communicate()
    assert process.returncode == 1 and only(out)
    assert f"PlatesError: {out / 'a.mkv'}: cannot be written (File too large)" in said


# --- among pictures, and from the command line -------------------------------------------------------------------


def test_films_among_pictures_and_folders(tmp_path: Path, out: Path) -> None:
    folder = tmp_path / "in"
    (folder / "trip").mkdir(parents=True)
    film(folder / "trip" / "A.MP4", sound="aac", frames=5)
    (folder / "bad.mov").write_text("no film")
    from PIL import Image

    Image.fromarray(scene(0)).save(folder / "c.png")
    report = conceal_files([folder], out, Concealer(FindsMagenta()), progress=False)
    assert report.exit_code == 1 and [entry.file for entry in report.failures] == ["bad.mov"]
    told = {entry["file"]: entry for entry in report.as_dict()["files"]}
    assert told["trip/A.MP4"]["frames"] == 5 and told["c.png"]["frames"] == 0
    assert told["trip/A.MP4"]["plates"] == told["c.png"]["plates"] == 1 and told["trip/A.MP4"]["seconds"] > 0
    assert 0.04 < told["trip/A.MP4"]["area"] < 0.1 and told["trip/A.MP4"]["output"] == "trip/A.MP4"
    assert not any(map(magenta, rgb_of(out / "trip" / "A.MP4"))) and only(out, "report.json", "trip", "c.png")
    (folder / "trip" / "A.MP4").write_text("no film any more")
    assert conceal_files([folder], out, Concealer(FindsMagenta()), progress=False).exit_code == 1
    assert not (out / "trip" / "A.MP4").exists()  # no stale film passes for a result


def test_the_command_conceals_a_film(tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = film(tmp_path / "a.mp4", sound="aac", frames=3)
    assert main(["conceal", str(source), "--out", str(out)]) == 0
    assert "1 of 1 files written" in capsys.readouterr().out
    assert len(frames_of(out / "a.mp4")) == 3 and sound_of(out / "a.mp4") == sound_of(source)


def test_reading_holds_no_more_than_it_must(tmp_path: Path) -> None:
    with Reader(film(tmp_path / "a.mp4", sound="aac")) as reader:
        each: Iterator[Any] = iter(reader)
        first = next(item for item in each if isinstance(item, av.VideoFrame))
        assert np.array_equal(planes_of(first)[0], planes_of(reader.first)[0]) and reader.length == FRAMES
        assert not first.side_data or len(list(first.side_data)) == 0
