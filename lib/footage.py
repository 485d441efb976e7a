"""A film's frames, upright, and its sound, packet by packet. In doubt it is refused.

A packet that is damaged, a frame that the decoder is not sure of, a second stream of pictures or an end that comes
before the one the file names: none of it is left out in silence, since what is left out has not been looked at.
"""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError
from av.sidedata.sidedata import Type

from lib.settings import PlatesError

DEMUXERS = "mov,mp4,matroska,webm,avi,mpegts,mpeg,asf"  # no playlists, which name other files and addresses
MAX_PIXELS = 8192 * 4320  # of one frame
_ONE = 1 << 16  # in a display matrix
_TURNS = {(a, 0, 0, d) for a in (-1, 1) for d in (-1, 1)} | {(0, b, c, 0) for b in (-1, 1) for c in (-1, 1)}
_COLOURS = ("color_range", "colorspace", "color_primaries", "color_trc")


class VideoError(PlatesError):
    """A film that cannot be read whole, is over a limit, or cannot be written."""


def told(error: Exception) -> str:
    """FFmpeg's words for what went wrong, without the names of files."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def planes_of(frame: av.VideoFrame) -> list[np.ndarray]:
    """The planes of a frame as writable views (h, w), uint8 or uint16, without the padding of their rows."""
    kind = np.uint16 if max(part.bits for part in frame.format.components) > 8 else np.uint8
    return [np.frombuffer(plane, kind).reshape(plane.height, -1)[:, : plane.width] for plane in frame.planes]


class Reader:
    """A film, to be read once: iterate over its frames and its packets of sound.

    Attributes:
        name: what errors call it.
        video: its one stream of pictures; covers and thumbnails are not counted and not read.
        sounds: its streams of sound.
        rate: frames a second as the file says it; what counts are the frames' time stamps.
        first: the first frame, as iterating gives it.
        turned: whether its width as shown is the height of what is stored.
        length: how many frames it should have, for a progress bar; None where the file does not say.

    Raises:
        VideoError: no film, no pictures in it, more than one stream of them, over a limit, or damaged from the start.
    """

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._open()
        try:
            self.first = next(each for each in self if isinstance(each, av.VideoFrame))
        finally:
            self.file.close()
        self._open()

    def _open(self) -> None:
        self._shape, self._end = None, 0.0
        try:
            self.file = av.open(self.name, options={"format_whitelist": DEMUXERS, "protocol_whitelist": "file"})
        except (FFmpegError, OSError, ValueError) as error:
            raise VideoError(
                f"{self.name}: is no film that can be read ({told(error)}); get a whole copy, or convert it to MP4."
            ) from error
        try:
            self._choose()
        except BaseException:
            self.file.close()
            raise

    def _choose(self) -> None:
        aside = av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails
        videos = [stream for stream in self.file.streams.video if not stream.disposition & aside]
        if not videos:
            raise VideoError(f"{self.name}: holds no moving pictures; name a film, or a photograph as JPEG or PNG.")
        if len(videos) > 1:
            raise VideoError(f"{self.name}: holds {len(videos)} streams of pictures; save each as a film of its own.")
        self.video, self.sounds = videos[0], list(self.file.streams.audio)
        context = self.video.codec_context
        if context is None or any(sound.codec_context is None for sound in self.sounds):
            raise VideoError(f"{self.name}: is in a code that is not known; convert it to MP4 with H.264 and AAC.")
        if context.width * context.height > MAX_PIXELS:
            size = f"{context.width:,} x {context.height:,}"
            raise VideoError(f"{self.name}: has frames of {size}, over {MAX_PIXELS:,} pixels; scale it down.")
        context.options = {"err_detect": "explode", "max_pixels": str(MAX_PIXELS)}
        context.thread_type = "AUTO"
        self.rate = self.video.average_rate or self.video.guessed_rate or Fraction(25)
        seconds = (self.file.duration or 0) / av.time_base
        self.length = self.video.frames or round(seconds * self.rate) or None

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def __iter__(self) -> Iterator[av.VideoFrame | av.Packet]:
        """Frames and packets of sound in the file's order.

        A frame is new memory, upright, in planes of luma and two of chroma, with its time and the meaning of its
        colours; nothing that hides beside frames (captions, a camera's notes) is brought along.

        Raises:
            VideoError: something is damaged, size or turn change, time stands still, or the end comes too early.
        """
        last = None
        try:
            for packet in self.file.demux(self.video, *self.sounds):
                if packet.is_corrupt:
                    raise self._damaged("a packet is cut short")
                seen = packet.stream.index == self.video.index
                if packet.pts is not None:
                    lasts = packet.duration * packet.time_base or (1 / self.rate if seen else 0)
                    self._end = max(self._end, float(packet.pts * packet.time_base + lasts))
                if not seen:
                    if packet.size:
                        yield packet
                    continue
                for frame in packet.decode():
                    frame.pts = frame.dts if frame.pts is None else frame.pts
                    if frame.is_corrupt:
                        raise self._damaged("a frame cannot be decoded whole")
                    if frame.pts is None or (last is not None and frame.pts <= last):
                        raise self._damaged("a frame has no time of its own")
                    last = frame.pts
                    yield self._upright(frame)
        except FFmpegError as error:
            raise self._damaged(told(error)) from error
        if last is None:
            raise self._damaged("it has no frame")
        self._check_end()

    def _upright(self, frame: av.VideoFrame) -> av.VideoFrame:
        turn = _turn(frame)
        if turn not in _TURNS:
            raise VideoError(f"{self.name}: is shown at an angle that is no quarter turn; save it upright.")
        a, b, c, d = turn
        self.turned = a == 0
        shape = (frame.width, frame.height, frame.format.name, turn)
        self._shape = self._shape or shape
        if shape != self._shape:
            raise VideoError(f"{self.name}: its frames change their size or turn on the way; cut it there in two.")
        colours = {name: getattr(frame, name) for name in _COLOURS}
        made = frame.reformat(format=_planar(frame, self.turned))
        planes = [plane.T if self.turned else plane for plane in planes_of(made)]
        across, down = (c, b) if self.turned else (a, d)
        out = av.VideoFrame(*planes[0].shape[::-1], made.format.name)
        for plane, target in zip(planes, planes_of(out), strict=True):
            target[:] = plane[::down, ::across]
        out.pts, out.time_base = frame.pts, frame.time_base
        for name, value in colours.items():
            setattr(out, name, value)
        return out

    def _damaged(self, what: str) -> VideoError:
        return VideoError(f"{self.name}: is damaged near second {self._end:.1f} ({what}); get a whole copy of it.")

    def _check_end(self) -> None:
        """Notice what is missing at the end; not the last two frames, nor what was stored before later ones."""
        video, file = self.video, self.file
        if video.duration is not None:
            due = float((video.duration + (video.start_time or 0)) * video.time_base)
        else:
            due = ((file.duration or 0) + (file.start_time or 0)) / av.time_base
        if self._end < due - max(0.1, 2 / float(self.rate)):
            raise VideoError(f"{self.name}: ends at second {self._end:.1f} of {due:.1f}; get a whole copy of it.")


def _turn(frame: av.VideoFrame) -> tuple[int, ...] | None:
    """(a, b, c, d) of a display matrix, in whole turns: (x, y) is shown at (a x + c y, b x + d y); None of others."""
    data = next((each for each in frame.side_data if each.type == Type.DISPLAYMATRIX), None)
    if data is None:
        return 1, 0, 0, 1
    matrix = np.frombuffer(bytes(data), np.int32)[[0, 1, 3, 4]] / _ONE
    whole = np.rint(matrix).astype(int)
    return tuple(whole.tolist()) if np.abs(matrix - whole).max() < 0.01 else None


def _planar(frame: av.VideoFrame, turned: bool) -> str:
    """The form that loses least: 8 or 10 bits, chroma as coarse as it is; where it is turned, as coarse both ways."""
    name, form = frame.format.name.replace("yuvj", "yuv"), frame.format
    depth = "10le" if max(part.bits for part in form.components) > 8 else ""
    kind = next((kind for kind in ("420p", "422p") if name.startswith((f"yuv{kind}", f"yuva{kind}"))), "444p")
    if name.startswith(("nv12", "nv21", "p010", "gray")):
        kind = "420p"
    return f"yuv{'444p' if turned and kind == '422p' else kind}{depth}"
