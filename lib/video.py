"""A film in, the concealed film out: every frame looked at, plates remembered across frames, the sound copied."""

import math
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
from tqdm import tqdm

from lib.conceal import Concealer
from lib.encoders import Writer
from lib.files import atomic
from lib.footage import Reader, VideoError, planes_of
from lib.memory import Memory, both_ways
from lib.redact import redact
from lib.settings import cores

REMEMBERED = 0.5  # seconds for which a plate is remembered, forwards and backwards ...
FEWEST, MOST = 4, 15  # ... but at least and at most this many frames: what is looked ahead is held in memory


@dataclass(frozen=True)
class Filmed:
    """What was done to a film.

    Attributes:
        frames: how many it has.
        plates: regions concealed, each counted once for as long as it is followed.
        area: mean share of a frame that was concealed.
    """

    frames: int
    plates: int
    area: float


def conceal_video(path: Path, target: Path, concealer: Concealer, progress: bool = True) -> Filmed:
    """Conceal a film into a new file, whole or not at all.

    Size as shown, number of frames, their time stamps and the sound stay; a turn that a phone notes is applied; all
    metadata is dropped. What is not concealed is encoded from the input's own luma and chroma. A plate is
    concealed for REMEMBERED before its first sighting, after its last and between two. See `lib.footage` for what is
    refused and `lib.encoders` for what is written. Memory does not grow with the film's length.

    Args:
        path: MP4, MOV, MKV, WebM, AVI, MPEG, WMV or MPEG-TS; it is not changed.
        target: where to write, in the container that its suffix names; replaced if it exists.
        concealer: what conceals.
        progress: show a bar on the standard error.

    Raises:
        VideoError: a film that cannot be read whole, or cannot be put into the container.
        PlatesError: the network failed, or the disk does not take it. Nothing is at ``target`` then but what was.
    """
    path, target = Path(path), Path(target)
    if target.exists() and target.samefile(path):
        raise VideoError(f"{target}: is the original; choose another name.")
    with Reader(path) as film:
        hold = min(max(math.ceil(REMEMBERED * film.rate), FEWEST), MOST)
        bar = tqdm(total=film.length, unit="frame", desc=path.name, leave=False, disable=not progress)
        frames, area = 0, 0.0
        with bar, atomic(target) as temporary, Writer(temporary, film) as out:
            memory = Memory(hold, ahead=hold)
            for frame, mask in both_ways(_looked(film, out, concealer), memory):
                paint(frame, mask, concealer.mode)
                out.frame(frame)
                frames, area = frames + 1, area + float(mask.mean())
                bar.update()
    return Filmed(frames, memory.plates, area / frames)


def _looked(film: Reader, out: Writer, concealer: Concealer) -> Iterator[tuple[av.VideoFrame, np.ndarray, np.ndarray]]:
    """Each frame with what the network alone would conceal in it, surely and if all regions count; the sound goes by.

    As many frames are looked at a time as there are cores, while earlier ones are encoded.
    """
    waiting: deque[tuple[av.VideoFrame, Future[list[np.ndarray]]]] = deque()

    def look(frame: av.VideoFrame) -> list[np.ndarray]:
        background = concealer.probability(pixels_of(frame), film.name)
        return [concealer.mask_from(background, unsure) for unsure in (False, True)]

    with ThreadPoolExecutor(cores(), thread_name_prefix="frame") as pool:
        for each in film:
            if isinstance(each, av.Packet):
                out.sound(each)
                continue
            waiting.append((each, pool.submit(look, each)))
            if len(waiting) > cores():
                frame, masks = waiting.popleft()
                yield frame, *masks.result()
        for frame, masks in waiting:
            yield frame, *masks.result()


def pixels_of(frame: av.VideoFrame) -> np.ndarray:
    """A frame as (H, W, 3) uint8 RGB."""
    return frame.to_ndarray(format="rgb24", src_color_range=frame.color_range)


def paint(frame: av.VideoFrame, mask: np.ndarray, mode: str) -> None:
    """Conceal in a frame's own planes what lies under a mask; a chroma sample counts if it touches the mask.

    Nothing else of the frame changes. ``fill`` reads none of its pixels; see `lib.redact.redact` for the modes.

    Args:
        frame: planes of luma and chroma, as `lib.footage.Reader` gives it; it is changed.
        mask: (H, W) bool.
        mode: one of `lib.redact.MODES`.
    """
    left, top, width, height = cv2.boundingRect(mask.view(np.uint8))
    if not width:
        return
    top, left = top & ~1, left & ~1  # whole samples of chroma, each two pixels at most
    box = slice(top, top + height + 2), slice(left, left + width + 2)
    part = mask[box]
    rgb = np.zeros((*part.shape, 3), np.uint8) if mode == "fill" else pixels_of(frame)[box]
    made = av.VideoFrame.from_ndarray(redact(rgb, part, mode), "rgb24")
    made = made.reformat(format=frame.format.name, dst_colorspace=frame.colorspace, dst_color_range=frame.color_range)
    for plane, new in zip(planes_of(frame), planes_of(made), strict=True):
        down, across = (-(-whole // own) for whole, own in zip(mask.shape, plane.shape, strict=True))
        under = np.zeros(new.shape, bool)
        for y in range(down):
            for x in range(across):
                some = part[y::down, x::across]
                under[: some.shape[0], : some.shape[1]] |= some
        rows, columns = top // down, left // across
        here = plane[rows : rows + new.shape[0], columns : columns + new.shape[1]]
        here[under] = new[under]
