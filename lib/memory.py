"""Plates remembered across the frames of one camera: a plate that is missed for a moment stays concealed.

Each region of a frame's mask is followed by where it is expected (Bewley et al. 2016, *Simple online and realtime
tracking*, with boxes' overlap and nearness), and all that was seen of it in the frames around one is laid over that
one, moved along. So a region never shrinks below what was just seen, and a plate found in half is concealed whole.

A network is less sure of a plate in some frames than in others. What alone would be too faint to be concealed is where
a plate is expected a sighting of it (Canny's hysteresis, 1986, along time; Zhang et al. 2022, *ByteTrack*, for boxes);
and who is asked late, as for a film, traces what is new back through what was faint before.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import TypeVar

import numpy as np

from lib.masks import reaching
from lib.settings import PlatesError
from lib.tracks import PACE, Track, match, parts_of

HOLD = 6  # frames for which a region outlives its last sighting

Thing = TypeVar("Thing")


class Memory:
    """What one camera saw in its last frames; not for several cameras, and not for several threads.

    It holds the regions of the last ``hold + ahead`` frames, the faint ones of the last ``ahead``, and nothing else,
    however long the film is.

    Args:
        hold: frames for which a region is concealed after its last sighting, at least 0.
        ahead: frames by which `cover` is asked late, at least 0; see `both_ways`.

    Attributes:
        plates: regions seen so far, each counted once for as long as it is followed.
        shape: of the masks, None before the first.

    Raises:
        PlatesError: a value below 0.
    """

    def __init__(self, hold: int = HOLD, ahead: int = 0) -> None:
        if hold < 0 or ahead < 0:
            raise PlatesError(f"hold {hold} and ahead {ahead} are frames; give 0 or more.")
        self.hold, self.ahead, self.plates = hold, ahead, 0
        self.reset()

    def reset(self) -> None:
        """Forget all: another film, another camera, a cut."""
        self.frame, self.shape = -1, None
        self._tracks: list[Track] = []
        self._pasts: list[Track] = []
        self._still: deque[tuple[int, np.ndarray]] = deque()
        self._faint: deque[tuple[int, list[tuple[np.ndarray, np.ndarray]]]] = deque(maxlen=self.ahead)

    def step(self, mask: np.ndarray, faint: np.ndarray | None = None) -> np.ndarray:
        """The next frame's mask, (H, W) bool, with what is remembered; another size than before forgets all.

        Args:
            mask, faint: see `see`.

        Returns:
            A new (H, W) bool, a superset of ``mask``.

        Raises:
            PlatesError: no such mask.
        """
        self.see(mask, faint)
        return self.cover(self.frame, mask)

    def see(self, mask: np.ndarray, faint: np.ndarray | None = None) -> None:
        """Take in the next frame's mask, (H, W) bool; another size than before forgets all.

        Args:
            mask: what is concealed whatever was seen before.
            faint: (H, W) bool, what is concealed in those of its regions alone that reach to where one is expected.

        Raises:
            PlatesError: no such mask.
        """
        if mask.dtype != np.bool_ or mask.ndim != 2:
            raise PlatesError(f"the mask is {mask.dtype} {mask.shape}; give bool (height, width).")
        if mask.shape != self.shape:
            self.reset()
            self.shape = mask.shape
        self.frame += 1
        oldest = self.frame - self.hold - self.ahead
        for track in self._tracks:
            while len(track.seen) > PACE and track.seen[0].frame < oldest:
                track.seen.popleft()
        self._tracks, self._pasts = (
            [track for track in tracks if track.seen[-1].frame >= oldest] for tracks in (self._tracks, self._pasts)
        )
        while self._still and self._still[0][0] < oldest:
            self._still.popleft()
        if faint is not None:
            mask = mask | reaching(faint, self.cover(self.frame, mask))
            if self.ahead:  # else nobody asks what was before
                self._faint.append((self.frame, parts_of(faint & ~reaching(faint, mask))[0]))
        parts, rest = parts_of(mask)
        if rest is not None:
            self._still.append((self.frame, rest))
        known = match(self._tracks, parts, self.frame)
        for index, (corner, patch) in enumerate(parts):
            if index in known:
                self._tracks[known[index]].add(self.frame, corner, patch)
            else:
                self.plates += 1
                self._tracks.append(Track(self.frame, corner, patch))
                self._trace_back(Track(self.frame, corner, patch))

    def _trace_back(self, track: Track) -> None:
        """Keep what was too faint before, of regions that were nobody's, as the earlier sightings of a new region.

        It is a track of its own, up to this frame: what is faint is ragged and no measure of how the new one moves.
        """
        for frame, parts in reversed(self._faint):
            if frame < self.frame:
                expected = np.zeros(self.shape, bool)
                track.lay(expected, frame, frame, self.frame)
                there = [part for part in parts if (expected[_window(*part)] & part[1]).any()]
                if there:
                    low = np.min([corner for corner, _ in there], axis=0)
                    high = np.max([corner + patch.shape[::-1] for corner, patch in there], axis=0)
                    seen = np.zeros((high - low)[::-1], bool)
                    for corner, patch in there:
                        seen[_window(corner - low, patch)] |= patch
                    track.add(frame, low, seen)
        if len(track.seen) > 1:
            self._pasts.append(track)

    def cover(self, frame: int, mask: np.ndarray) -> np.ndarray:
        """What to conceal in one of the last ``ahead + 1`` frames (the first is 0), given its own mask (H, W) bool.

        Returns:
            A new (H, W) bool, a superset of ``mask``.
        """
        out = mask.copy()
        since, until = frame - self.hold, frame + self.ahead
        for track in (*self._tracks, *(past for past in self._pasts if frame <= past.seen[-1].frame)):
            track.lay(out, frame, since, until)
        for when, rest in self._still:
            if since <= when <= until:
                out |= rest
        return out


def _window(corner: np.ndarray, patch: np.ndarray) -> tuple[slice, slice]:
    """The rows and columns of a patch that begins at ``corner`` (x, y)."""
    (x, y), (height, width) = corner.tolist(), patch.shape
    return slice(y, y + height), slice(x, x + width)


Looked = tuple[Thing, np.ndarray, np.ndarray]


def both_ways(frames: Iterable[Looked], memory: Memory) -> Iterator[tuple[Thing, np.ndarray]]:
    """Every frame with its mask as ``memory`` covers it, remembered forwards and, ``memory.ahead`` late, backwards.

    A plate is concealed between two sightings on the line between them, and so many frames before its first one, with
    whatever faint regions reach there: these were sightings too, if nobody knew.

    Args:
        frames: anything, with its mask and its faint regions (`Memory.see`); ``memory.ahead + 1`` are held at a time.
        memory: a new one.

    Raises:
        PlatesError: no such mask.
    """
    waiting: deque[Looked] = deque()
    for each in frames:
        if memory.shape not in (None, each[1].shape):
            yield from _rest(memory, waiting, 0)
        memory.see(*each[1:])
        waiting.append(each)
        yield from _rest(memory, waiting, memory.ahead)
    yield from _rest(memory, waiting, 0)


def _rest(memory: Memory, waiting: deque[Looked], left: int) -> Iterator[tuple[Thing, np.ndarray]]:
    while len(waiting) > left:
        thing, mask, faint = waiting.popleft()
        covered = memory.cover(memory.frame - len(waiting), mask)
        yield thing, covered | reaching(faint, covered)
