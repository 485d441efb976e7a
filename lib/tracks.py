"""Regions of masks followed from frame to frame: which is which, how they move, and where they are in between."""

from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np

SLACK = 0.06  # of its height, by which a region grows for every frame that it is away from a sighting ...
STRAY = 0.25  # ... and of its motion, which may change
MOST = 128  # regions followed in one frame; the others, the smallest, are not
PACE = 4  # sightings that a region's motion is taken from


@dataclass(frozen=True, eq=False)
class Sighting:
    """A region in one frame: its pixels, the corner (x, y) they start at, and where the track's anchor lies there."""

    frame: int
    corner: np.ndarray
    patch: np.ndarray
    anchor: np.ndarray

    @property
    def box(self) -> np.ndarray:
        """(4,): left, top, right, bottom, seen from the anchor."""
        corner = self.corner - self.anchor
        return np.concatenate([corner, corner + self.patch.shape[::-1]])


class Track:
    """One region through the frames."""

    def __init__(self, frame: int, corner: np.ndarray, patch: np.ndarray) -> None:
        self.seen = deque([Sighting(frame, corner, patch, corner.astype(float))])

    def velocity(self, last: bool) -> np.ndarray:
        """Pixels a frame (x, y) at the last, or at the first, sightings; none where there is but one."""
        few = min(PACE, len(self.seen))
        one, other = (self.seen[-few], self.seen[-1]) if last else (self.seen[0], self.seen[few - 1])
        return (other.anchor - one.anchor) / max(other.frame - one.frame, 1)

    def at(self, frame: int) -> np.ndarray:
        """The anchor (x, y): between two sightings on the line, before and after them as it moved there."""
        first, last = self.seen[0], self.seen[-1]
        if frame >= last.frame:
            return last.anchor + (frame - last.frame) * self.velocity(last=True)
        if frame < first.frame:
            return first.anchor - (first.frame - frame) * self.velocity(last=False)
        after = next(index for index, each in enumerate(self.seen) if each.frame > frame)
        one, other = self.seen[after - 1], self.seen[after]
        return one.anchor + (other.anchor - one.anchor) * (frame - one.frame) / (other.frame - one.frame)

    def extent(self) -> np.ndarray:
        """(4,): left, top, right, bottom of all that was seen of it, from the anchor."""
        boxes = np.array([each.box for each in self.seen])
        return np.concatenate([boxes[:, :2].min(0), boxes[:, 2:].max(0)])

    def add(self, frame: int, corner: np.ndarray, patch: np.ndarray) -> None:
        """See it again, at ``corner``, after its last sighting or before its first; part of it or all of it."""
        size, later = np.array(patch.shape[::-1]), frame >= self.seen[0].frame
        sizes = np.array([each.patch.shape[::-1] for each in self.seen])
        whole = (sizes >= 0.8 * sizes.max(0) - 1).all(1)
        before = self.seen[int(np.flatnonzero(whole)[-1 if later else 0])] if whole.any() else None
        if before is not None and (np.abs(size - sizes.max(0)) <= 0.2 * sizes.max(0) + 1).all():
            anchor = before.anchor + (corner + size / 2) - (before.corner + np.array(before.patch.shape[::-1]) / 2)
        else:  # half a plate has another middle: as expected, as far as one of the two can lie within the other
            extent = self.extent()
            ends = np.stack([corner - extent[:2], corner + size - extent[2:]])
            anchor = np.clip(self.at(frame), ends.min(0), ends.max(0))
        (self.seen.append if later else self.seen.appendleft)(Sighting(frame, corner, patch, anchor))

    def lay(self, out: np.ndarray, frame: int, since: int, until: int) -> None:
        """Set in ``out`` (H, W) bool where it is in ``frame``, by its sightings from ``since`` to ``until``."""
        used = [each for each in self.seen if since <= each.frame <= until]
        if not used:
            return
        here = self.at(frame)
        away = min(abs(each.frame - frame) for each in used)
        height = min(max(each.patch.shape[0] for each in used), max(each.patch.shape[1] for each in used))
        speed = float(np.linalg.norm(self.velocity(last=frame >= self.seen[0].frame)))
        margin = int(np.ceil(min(away * (SLACK * height + STRAY * speed), height) + 0.5)) if away else 0
        corners = [np.rint(each.corner - each.anchor + here).astype(int) for each in used]
        low = np.min(corners, axis=0) - margin
        high = np.max([c + each.patch.shape[::-1] for c, each in zip(corners, used, strict=True)], axis=0) + margin
        shape = np.array(out.shape[::-1])
        start, stop = np.clip(low, 0, shape), np.clip(high, 0, shape)
        if (start >= stop).any():
            return  # it has left the frame
        local = np.zeros(high[::-1] - low[::-1], np.uint8)
        for (x, y), each in zip(corners - low, used, strict=True):
            rows, columns = each.patch.shape
            local[y : y + rows, x : x + columns] |= each.patch
        if margin:
            disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * margin + 1, 2 * margin + 1))
            local = cv2.dilate(local, disc)
        (x, y), (right, bottom) = start - low, stop - low
        out[start[1] : stop[1], start[0] : stop[0]] |= local[y:bottom, x:right].view(np.bool_)


def parts_of(mask: np.ndarray) -> tuple[list[tuple[np.ndarray, np.ndarray]], np.ndarray | None]:
    """The 8-connected components as (corner (x, y), pixels), the `MOST` largest; and the others, if any, (H, W)."""
    left, top, width, height = cv2.boundingRect(mask.view(np.uint8))  # plates are a small part of a large picture
    used = np.ascontiguousarray(mask[top : top + height, left : left + width]).view(np.uint8)
    if not used.size:
        return [], None
    _, labels, stats, _ = cv2.connectedComponentsWithStats(used, connectivity=8)
    order = 1 + np.argsort(-stats[1:, cv2.CC_STAT_AREA], kind="stable")
    parts = []
    for index in order[:MOST]:
        x, y, w, h, _ = stats[index].tolist()
        parts.append((np.array([x + left, y + top]), labels[y : y + h, x : x + w] == index))
    if len(order) <= MOST:
        return parts, None
    rest = np.zeros_like(mask)
    rest[top : top + height, left : left + width] = np.isin(labels, order[MOST:])
    return parts, rest


def match(tracks: list[Track], parts: list[tuple[np.ndarray, np.ndarray]], frame: int) -> dict[int, int]:
    """Part to track, each at most once: the most overlapping pairs first, then the nearest within reach."""
    if not tracks or not parts:
        return {}
    extents = np.array([track.extent() + np.tile(track.at(frame), 2) for track in tracks])[:, None]
    boxes = np.array([np.concatenate([corner, corner + patch.shape[::-1]]) for corner, patch in parts])[None]
    away = np.array([frame - track.seen[-1].frame for track in tracks])
    sure = np.array([len(track.seen) > 1 for track in tracks])
    sizes, found = extents[..., 2:] - extents[..., :2], boxes[..., 2:] - boxes[..., :2]
    common = np.minimum(extents[..., 2:], boxes[..., 2:]) - np.maximum(extents[..., :2], boxes[..., :2])
    overlap = np.maximum(common, 0).prod(-1) / np.minimum(sizes.prod(-1), found.prod(-1))
    scale = sizes.max(-1)
    apart = np.linalg.norm((extents[..., :2] + extents[..., 2:] - boxes[..., :2] - boxes[..., 2:]) / 2, axis=-1)
    reach = np.where(sure, 0.75 + 0.15 * away, 1.5 + 0.25 * away)[:, None]
    alike = np.abs(np.log(sizes[..., 1] / found[..., 1])) < np.log(2.5)
    able = (overlap > 0) | (alike & (apart < reach * scale))
    costs = np.where(able, apart / scale - 10 * overlap, np.inf)
    known: dict[int, int] = {}
    used: set[int] = set()
    for flat in np.argsort(costs, axis=None, kind="stable")[: np.count_nonzero(able)].tolist():
        track, part = divmod(flat, len(parts))
        if track not in used and part not in known:
            known[part] = track
            used.add(track)
    return known
