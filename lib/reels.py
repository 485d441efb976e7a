"""What `09_conceal_and_serve` shows: a frame through the blog's five steps, and a rendered clip as a film."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from lib.conceal import Concealer
from lib.files import atomic
from lib.images import decode, encode
from lib.redact import redact

STEPS = ("1 decoded", "2 the network's answer", "3 regions", "4 concealed", "5 encoded")


def five_steps(frame: bytes, concealer: Concealer) -> dict[str, np.ndarray]:
    """STEPS to what each gives for an encoded frame, uint8 (H, W, 3); P(plate), float (H, W), of the second; and the
    third's mask, (H, W) bool.

    Raises:
        PlatesError: no usable picture, or the network failed.
    """
    picture = decode(frame, "the frame")
    background = concealer.probability(picture.rgb)
    mask = concealer.mask_from(background)
    pixels = redact(picture.pixels, mask, concealer.mode)
    out = decode(encode(picture, pixels), "the answer").rgb
    return dict(zip(STEPS, (picture.rgb, 1 - background, mask, pixels, out), strict=True))


def write_film(path: Path, frames: Iterable[np.ndarray], rate: int = 12) -> int:
    """Write frames, uint8 (H, W, 3) RGB of even sides, as H.264, ``rate`` a second; returns how many they were.

    Raises:
        PlatesError: the file cannot be written.
    """
    count, stream = 0, None
    with atomic(path) as temporary, av.open(str(temporary), "w") as file:
        for rgb in frames:
            count += 1
            if stream is None:
                stream = file.add_stream("libx264", rate=Fraction(rate), options={"crf": "18", "preset": "veryfast"})
                stream.height, stream.width = rgb.shape[:2]
                stream.pix_fmt = "yuv420p"
            file.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), "rgb24")))
        if stream is not None:
            file.mux(stream.encode())
    return count


def read_film(path: Path) -> list[np.ndarray]:
    """Every frame of a film, uint8 (H, W, 3) RGB."""
    with av.open(str(path)) as file:
        return [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
