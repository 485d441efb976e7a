"""Frames and sound into a film of the same kind: the same codec, container, time stamps and sound, and nothing beside.

What is not copied cannot leave: titles, places, dates, chapters, attachments, covers, subtitles and other data.
"""

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
from av.error import FFmpegError

from lib.footage import Reader, VideoError, told

_NO_B = {"bf": "0"}  # frames are stored in the order they are shown: no container then has to shift their time
_FINE = {"flags": "+qscale", "global_quality": str(3 * 118)}  # quantiser 3 of 31, in FFmpeg's unit
ENCODERS: dict[str, tuple[str, dict[str, str]]] = {  # by the input's codec; quality before size
    "h264": ("libx264", {"crf": "18", "preset": "veryfast", **_NO_B}),
    "hevc": ("libx265", {"crf": "20", "preset": "superfast", "x265-params": "bframes=0:log-level=error"}),
    "vp8": ("libvpx", {"crf": "8", "b": "20M", "deadline": "realtime", "cpu-used": "6", "auto-alt-ref": "0"}),
    "vp9": ("libvpx-vp9", {"crf": "22", "b": "0", "deadline": "realtime", "cpu-used": "7", "row-mt": "1"}),
    "av1": ("libsvtav1", {"crf": "24", "preset": "10", "svtav1-params": "pred-struct=1"}),
    "mpeg4": ("mpeg4", {**_FINE, **_NO_B}),
    "mpeg1video": ("mpeg1video", {**_FINE, **_NO_B}),
    "mpeg2video": ("mpeg2video", {**_FINE, **_NO_B}),
    "mjpeg": ("mjpeg", {**_FINE, "strict": "unofficial"}),
    "wmv2": ("wmv2", {**_FINE, **_NO_B}),
    "ffv1": ("ffv1", {}),
    "prores": ("prores_ks", {}),
}
_WHOLE_RATE = ("mpeg1video", "mpeg2video", "mpeg4")  # count time in frames, or in at most 65,535 parts of a second
_MUXERS = {".m4v": "mp4"}  # FFmpeg's own choice is for old iPods
_DISK = ("ENOSPC", "EDQUOT", "EFBIG", "EIO", "EROFS", "EACCES", "EPERM", "ENOENT", "ENOTDIR")  # not the film's fault


class Writer:
    """A film in the making; use it as a context manager, and what is there after an error is no film.

    A codec that is not written here becomes H.264 (in WebM VP9). H.264 and H.265 have no odd sizes where colours are
    at half size, so frames with one keep them at full size (4:4:4), and no pixel is cut or added.

    Args:
        path: where; the suffix names the container.
        reader: the film it is made from.

    Raises:
        VideoError: the container does not take the pictures or the sound.
        OSError: the disk does not take them.
    """

    def __init__(self, path: Path, reader: Reader) -> None:
        self.name, self.suffix = reader.name, path.suffix.lower()
        first, source = reader.first, reader.video.codec_context
        other = "vp9" if self.suffix == ".webm" else "h264"
        # not by its name, since decoders have names of their own
        encoder, options = ENCODERS[next((n for n in ENCODERS if av.Codec(n, "r").id == source.codec.id), other)]
        os.environ.setdefault("SVT_LOG", "1")  # errors only; it has no other switch for its chatter
        self.form = _form(encoder, first)
        self.file = None
        try:
            self.file = av.open(str(path), "w", format=_MUXERS.get(self.suffix), options={"fflags": "+bitexact"})
            self.video = self.file.add_stream(encoder, rate=reader.rate, options=options)
            made = self.video.codec_context
            made.width, made.height, made.pix_fmt = first.width, first.height, self.form
            base = reader.video.time_base
            made.time_base = 1 / Fraction(reader.rate) if encoder in _WHOLE_RATE and base.denominator > 65535 else base
            self._describe(reader)
            self.sounds = {s.index: self.file.add_stream_from_template(s) for s in reader.sounds}
            for stream in self.sounds.values():
                stream.metadata.clear()
            self.file.start_encoding()
        except (FFmpegError, ValueError) as error:
            self._abandon()
            raise self._meaning(error) from error

    def _describe(self, reader: Reader) -> None:
        """The shape of the pixels and the meaning of the colours, as they were."""
        first, made = reader.first, self.video.codec_context
        for name in ("color_range", "colorspace", "color_primaries", "color_trc"):
            setattr(made, name, getattr(first, name))
        shape = reader.video.sample_aspect_ratio
        if shape and shape.numerator > 0:
            made.sample_aspect_ratio = 1 / shape if reader.turned else shape
        if made.name == "libx265" and self.file.format.name in ("mp4", "mov"):
            made.codec_tag = "hvc1"  # the other tag, FFmpeg's choice, is not played everywhere

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._abandon()
            return
        try:
            self.file.mux(self.video.encode())
            self.file.close()
        except (FFmpegError, ValueError) as error:
            self._abandon()
            raise self._meaning(error) from error

    def frame(self, frame: av.VideoFrame) -> None:
        """Add a frame, at its own time.

        Raises:
            VideoError, OSError: see the class.
        """
        if frame.format.name != self.form:
            ranges = {"src_color_range": frame.color_range, "dst_color_range": frame.color_range}
            frame = frame.reformat(format=self.form, **ranges)
        self._mux(lambda: self.video.encode(frame))

    def sound(self, packet: av.Packet) -> None:
        """Add a packet of sound as it is.

        Raises:
            VideoError, OSError: see the class.
        """
        packet.stream = self.sounds[packet.stream.index]
        self._mux(lambda: packet)

    def _mux(self, made: Callable[[], av.Packet | list[av.Packet]]) -> None:
        try:
            self.file.mux(made())
        except (FFmpegError, ValueError) as error:
            raise self._meaning(error) from error

    def _meaning(self, error: Exception) -> Exception:
        number = getattr(error, "errno", None)
        if errno.errorcode.get(number) in _DISK:
            return OSError(number, os.strerror(number))
        return VideoError(
            f"{self.name}: its pictures or sound cannot be put into a {self.suffix[1:].upper()} file ({told(error)}); "
            "convert it to MP4 with H.264 and AAC first."
        )

    def _abandon(self) -> None:
        with suppress(Exception):
            if self.file is not None:
                self.file.close()


def _form(encoder: str, frame: av.VideoFrame) -> str:
    """The frame's own form where the encoder takes it, else the nearest that it takes."""
    able = {form.name for form in av.Codec(encoder, "w").video_formats or []}
    own, odd = frame.format.name, frame.width % 2 or frame.height % 2
    wide = own.replace("420p", "444p").replace("422p", "444p")
    if odd and encoder in ("libx264", "libx265"):
        return wide
    return next(form for form in (own, wide, "yuv420p", "yuv422p10le", "yuv444p") if form in able)
