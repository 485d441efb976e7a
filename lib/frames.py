"""One encoded frame to a concealed one in the same format, stage by stage; or with the plates that somebody drew.

What a service takes from strangers is less than what the library reads: JPEG, PNG and WebP, and pictures that leave
room for others in memory. The whole of it fails closed: what it cannot do to the end, it raises.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import Protocol

import cv2
import numpy as np
from PIL import Image

from lib.conceal import Concealer
from lib.images import PictureError, decode, encode
from lib.masks import quadrilaterals
from lib.redact import redact
from lib.regions import rasterise
from lib.settings import PlatesError

MEDIA = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
MOST_PIXELS = 26_000_000  # 24 megapixels and a little
MOST_PLATES = 100  # drawn by hand, in one picture
STAGES = ("decode", "network", "conceal", "encode")


class KindError(PictureError):
    """Bytes that are none of MEDIA."""


class SizeError(PictureError):
    """A picture with too many pixels."""


class DrawnError(PlatesError):
    """Plates drawn by hand that cannot be concealed."""


class Remembers(Protocol):
    """What the service needs of `lib.memory.Memory`."""

    def step(self, mask: np.ndarray, faint: np.ndarray | None = None) -> np.ndarray:
        """The next frame's mask (H, W) bool, and what it would be were all regions sure, to a superset of it."""


@dataclass(frozen=True, eq=False)
class Frame:
    """A concealed frame.

    Attributes:
        format: one of MEDIA.
        size: width and height in pixels, upright.
        plates: (4, 2) float each, in picture pixels: as found or as drawn.
        area: share of the pixels that is concealed, 0 to 1.
        data: encoded in ``format``; empty where no picture was asked for.
        seconds: by stage, of STAGES.
    """

    format: str
    size: tuple[int, int]
    plates: Sequence[np.ndarray]
    area: float
    data: bytes = b""
    seconds: Mapping[str, float] = field(default_factory=dict)


def kind_of(data: bytes) -> str:
    """The format of an encoded picture by its first bytes, whatever anybody calls it: one of MEDIA.

    Raises:
        KindError: none of these.
    """
    if data[:3] == b"\xff\xd8\xff":
        return "JPEG"
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return "PNG"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    raise KindError("the frame is no JPEG, PNG or WebP picture whatever its name says; convert it to one of these.")


def check_size(data: bytes, kind: str, most: int = MOST_PIXELS) -> None:
    """Refuse by the header alone what has more than ``most`` pixels.

    Raises:
        SizeError: it has.
        PictureError: the header cannot be read.
    """
    try:
        with Image.open(BytesIO(data), formats=(kind,)) as image:
            width, height = image.size
    except Image.DecompressionBombError as error:
        raise SizeError(f"the frame has over {most:,} pixels, the limit; scale it down.") from error
    except Exception as error:  # decoders of hostile bytes raise nearly anything
        raise PictureError("the frame is damaged or cut short; get a whole copy of it.") from error
    if width * height > most:
        raise SizeError(f"the frame has {width * height:,} pixels, the limit is {most:,}; scale it down.")


def drawn(plates: Sequence[Sequence[Sequence[float]]], shape: tuple[int, int]) -> np.ndarray:
    """The mask (H, W) bool of plates drawn by hand: what `lib.regions` says lies in the hull of each one's corners.

    The hull, since corners in another order must not leave a gap. A hundred plates cost little more than one.

    Args:
        plates: four corners (x, y) each, in picture pixels, where pixel i spans [i, i + 1).
        shape: (H, W).

    Raises:
        DrawnError: no plate, over MOST_PLATES, no finite number, or one that does not lie in the picture.
    """
    if not 0 < len(plates) <= MOST_PLATES:
        told = f"holds {len(plates)} plates" if len(plates) else "is empty"
        raise DrawnError(f"the list of plates {told}, so no picture is returned; draw 1 to {MOST_PLATES} plates.")
    height, width = shape
    steps = np.zeros((height, width + 1), np.int8)  # +1 where a row enters a plate, -1 where it leaves it
    for number, plate in enumerate(plates):
        corners = np.asarray(plate, np.float64)
        if corners.shape != (4, 2) or not (np.abs(corners) <= 1e6).all():
            raise DrawnError(f"plates[{number}] is no list of four corners [x, y]; give numbers in picture pixels.")
        hull = cv2.convexHull(corners.astype(np.float32))
        hull = corners if hull is None else hull[:, 0].astype(np.float64)  # None: OpenCV 5, of four equal points
        if _add_spans(steps, hull):
            continue
        region = rasterise(hull, shape)  # too thin to hold the middle of a pixel
        if region is None:
            raise DrawnError(f"plates[{number}] lies outside of the picture of {width} x {height}; draw it inside.")
        steps[region.window[0], region.window[1].start] += 1
        steps[region.window[0], region.window[1].stop] -= 1
    return np.cumsum(steps, axis=1, dtype=np.int8)[:, :-1] > 0


def _add_spans(steps: np.ndarray, hull: np.ndarray) -> bool:
    """Add the rows of a convex polygon (N, 2) to ``steps``, int8 (H, W + 1); False where it holds no pixel's middle."""
    middles = np.arange(len(steps)) + 0.5
    left, right = np.full(len(steps), np.inf), np.full(len(steps), -np.inf)
    for (ax, ay), (bx, by) in zip(hull, np.roll(hull, -1, axis=0), strict=True):
        if ay != by:  # a horizontal side crosses no row of middles
            crossed = (ay <= middles) != (by <= middles)
            at = ax + (middles - ay) * ((bx - ax) / (by - ay))
            left, right = np.where(crossed, np.minimum(left, at), left), np.where(crossed, np.maximum(right, at), right)
    rows = np.flatnonzero(left < right)
    most = steps.shape[1] - 1
    first, stop = (np.clip(np.ceil(side[rows] - 0.5), 0, most).astype(int) for side in (left, right))
    rows, first, stop = rows[first < stop], first[first < stop], stop[first < stop]
    steps[rows, first] += 1
    steps[rows, stop] -= 1
    return len(rows) > 0


def conceal_frame(
    data: bytes,
    concealer: Concealer,
    plates: Sequence[Sequence[Sequence[float]]] | None = None,
    memory: Remembers | None = None,
    picture: bool = True,
    most: int = MOST_PIXELS,
) -> Frame:
    """Conceal one encoded frame.

    Args:
        data: a JPEG, PNG or WebP file.
        concealer: its network, threshold and mode.
        plates: conceal exactly these (see `drawn`) and ask no network.
        memory: of the camera whose next frame this is; its regions are concealed too.
        picture: False: only say where the plates are.
        most: pixels that a frame may have.

    Raises:
        PictureError: no usable picture; KindError, SizeError where that is why.
        DrawnError: unusable ``plates``.
        PlatesError: the network failed.
    """
    seconds: dict[str, float] = {}

    @contextmanager
    def stage(name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        seconds[name] = time.perf_counter() - start

    with stage("decode"):
        kind = kind_of(data)
        check_size(data, kind, most)
        source = decode(data, "the frame")
        rgb = source.rgb
    if plates is None:
        with stage("network"):
            background = concealer.probability(rgb, "the frame")
    with stage("conceal"):
        mask = concealer.mask_from(background) if plates is None else drawn(plates, rgb.shape[:2])
        if memory is not None:
            faint = concealer.mask_from(background, unsure=True) if plates is None else None
            mask = mask | memory.step(mask, faint)
        found = quadrilaterals(mask) if plates is None else [np.asarray(plate, np.float64) for plate in plates]
        pixels = redact(source.pixels, mask, concealer.mode) if picture else None
    encoded = b""
    if pixels is not None:
        with stage("encode"):
            encoded = encode(source, pixels)
    height, width = mask.shape
    return Frame(kind, (width, height), found, float(mask.mean()), encoded, seconds)
