"""Moving rectangles whose sightings are dropped: what is remembered must cover where they really are."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lib.memory import Memory, both_ways
from lib.settings import PlatesError
from lib.tracks import MOST, parts_of

SIZE = (120, 200)


def box(x: float, y: float, width: float = 30, height: float = 10) -> np.ndarray:
    """(120, 200) bool: a rectangle, as far as it lies inside."""
    mask = np.zeros(SIZE, bool)
    left, top = max(round(x), 0), max(round(y), 0)
    mask[top : max(round(y + height), 0), left : max(round(x + width), 0)] = True
    return mask


def drive(frames: int = 24, dx: float = 4.0, dy: float = 1.0, swell: float = 0.0) -> list[np.ndarray]:
    """A plate that moves and grows evenly, frame by frame."""
    return [box(10 + dx * t, 30 + dy * t, 30 * (1 + swell * t), 10 * (1 + swell * t)) for t in range(frames)]


def dropped(truth: list[np.ndarray], *missing: int) -> list[np.ndarray]:
    return [np.zeros_like(mask) if frame in missing else mask for frame, mask in enumerate(truth)]


def forwards(seen: list[np.ndarray], hold: int = 6, faint: list[np.ndarray] | None = None) -> list[np.ndarray]:
    memory = Memory(hold)
    return [memory.step(*masks) for masks in zip(seen, faint or seen, strict=True)]


def film(
    seen: list[np.ndarray], hold: int = 6, ahead: int = 6, faint: list[np.ndarray] | None = None
) -> list[np.ndarray]:
    told = list(both_ways(zip(range(len(seen)), seen, faint or seen, strict=True), Memory(hold, ahead)))
    assert [number for number, _ in told] == list(range(len(seen)))
    return [mask for _, mask in told]


def bare(truth: list[np.ndarray], covered: list[np.ndarray]) -> list[int]:
    """Pixels of the plate left uncovered in each frame."""
    return [int((mask & ~cover).sum()) for mask, cover in zip(truth, covered, strict=True)]


@pytest.mark.parametrize("motion", [(4.0, 1.0), (0.0, 0.0), (-1.5, 0.7), (12.0, 0.0), (2.0, 3.3)])
@pytest.mark.parametrize("swell", [0.0, 0.02])
def test_a_moving_plate_stays_covered_while_it_is_missed(motion: tuple[float, float], swell: float) -> None:
    truth = drive(14, *motion, swell)
    seen = dropped(truth, 5, 6, 7, 10, 11, 12, 13)
    assert bare(truth, seen)[5:8] == [int(mask.sum()) for mask in truth[5:8]]
    assert bare(truth, forwards(seen)) == [0] * 14
    assert bare(truth, film(seen)) == [0] * 14


@pytest.mark.parametrize("way", [forwards, film])
def test_a_plate_that_is_faint_after_it_was_seen_stays_covered(way: Callable[..., list[np.ndarray]]) -> None:
    truth = drive(30)
    seen = dropped(truth, *range(4, 30))
    assert bare(truth, way(seen))[-10:] == [int(mask.sum()) for mask in truth[-10:]], "forgotten without a sighting"
    assert bare(truth, way(seen, faint=truth)) == [0] * 30


def test_a_faint_region_where_no_plate_is_expected_is_none() -> None:
    truth, lamp = drive(12), box(150, 90)
    faint = [mask | lamp for mask in truth]
    for covered in (*forwards(truth, faint=faint), *film(truth, faint=faint)):
        assert not covered[lamp].any()
    nothing = [np.zeros(SIZE, bool)] * 12
    assert not any(mask.any() for mask in (*forwards(nothing, faint=faint), *film(nothing, faint=faint)))


def test_a_film_covers_what_is_faint_before_the_first_sighting() -> None:
    truth = drive(12, 3.0, 0.0)
    seen = [np.zeros(SIZE, bool)] * 5 + [box(25 + 3 * t, 30, 12) for t in range(5, 12)]  # then sure of a part of it
    assert sum(bare(truth, film(seen))[:5]) > 0
    assert bare(truth, film(seen, faint=truth)) == [0] * 12
    assert bare(truth, forwards(seen, faint=truth))[:5] == [int(mask.sum()) for mask in truth[:5]], "not yet known"


def test_what_was_whole_while_it_was_faint_is_covered_whole_when_half_of_it_is_seen() -> None:
    truth = drive(6, dx=9.0, dy=0.0)
    half = box(10 + 9 * 5 + 15, 30, 15)
    seen = [*dropped(truth[:5], *range(5)), half]
    assert bare(truth, film(seen, faint=[*truth[:5], half])) == [0] * 6
    assert bare(truth, film(seen, faint=[*dropped(truth[:4], *range(4)), truth[4], half])) == [0] * 6  # one is enough
    assert min(bare(truth, film(seen, faint=seen))[4:]) > 0


def test_a_new_plate_does_not_take_another_ones_place_for_its_own_past() -> None:
    """One stands, and a second comes into sight beside it: the first one's path is not continued by the second."""
    one, other = [box(40, 50)] * 12, dropped([box(72, 50)] * 12, *range(7))
    seen = [first | second for first, second in zip(one, other, strict=True)]
    for both, first, second in zip(film(seen), film(one), film(other), strict=True):
        assert (both == first | second).all()


def test_what_is_remembered_fades_after_so_many_frames_and_not_before() -> None:
    truth = drive(20, 2.0, 0.0)
    covered = forwards(dropped(truth, *range(4, 20)), hold=5)
    assert bare(truth, covered)[:9] == [0] * 9 and not any(mask.any() for mask in covered[9:])


def test_what_is_remembered_is_no_larger_than_it_must_be() -> None:
    truth = drive(12, 4.0, 1.0)
    covered = forwards(dropped(truth, 6, 7, 8))
    assert all(np.array_equal(mask, truth[frame]) for frame, mask in enumerate(covered) if frame not in (6, 7, 8))
    sizes = [mask.sum() / truth[0].sum() for mask in covered[6:9]]
    assert sizes == sorted(sizes) and 1 < sizes[0] < 2 and sizes[2] < 4


def test_a_film_is_looked_ahead_so_a_plate_is_covered_before_it_is_seen() -> None:
    truth = drive(24, 3.0, 0.5)
    seen = dropped(truth, *range(8), *range(16, 24))
    covered = film(seen, hold=6, ahead=5)
    assert bare(truth, covered)[4:22] == [0] * 18  # of frame 3 one sighting is known, and no motion
    assert covered[3].any() and not covered[2].any() and not covered[22].any()
    assert bare(truth, forwards(seen))[7] == truth[7].sum()  # that is what looking ahead is for


def test_between_two_sightings_a_plate_is_covered_on_the_line_between_them() -> None:
    """Seen once, missed for four frames and seen elsewhere: only the second sighting tells how it moved."""
    truth = drive(6, 5.0, 2.0)
    seen = dropped(truth, 1, 2, 3, 4)
    assert bare(truth, film(seen)) == [0] * 6
    assert bare(truth, forwards(seen))[4] > 0


def test_a_plate_found_in_half_stays_whole() -> None:
    truth = drive(12, 3.0, 0.0)
    seen = [mask.copy() for mask in truth]
    for frame in (4, 5, 8):
        seen[frame][:, : round(10 + 3.0 * frame) + 15] = False  # its left half is lost
    seen[9][:, round(10 + 3.0 * 9) + 12 :] = False  # and then its right one
    assert bare(truth, seen)[4] == 150
    assert bare(truth, forwards(seen)) == bare(truth, film(seen)) == [0] * 12


def test_two_plates_that_cross_are_both_covered() -> None:
    there, back = drive(30, 5.0, 0.0), [box(160 - 5.0 * t, 50) for t in range(30)]
    truth = [one | other for one, other in zip(there, back, strict=True)]
    seen = [a | b for a, b in zip(dropped(there, 8, 9, 20, 21), dropped(back, 14, 15, 16, 21, 22), strict=True)]
    assert bare(truth, forwards(seen)) == bare(truth, film(seen)) == [0] * 30


def test_what_leaves_the_frame_is_followed_to_its_border() -> None:
    truth = [box(150 + 6 * t, 60 + 3 * t) for t in range(12)]
    seen = dropped(truth, *range(6, 12))
    assert truth[8].any() and not truth[10].any()
    assert bare(truth, forwards(seen)) == bare(truth, film(seen)) == [0] * 12


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    masks=st.lists(hnp.arrays(np.bool_, (9, 14)), min_size=1, max_size=8),
    hold=st.integers(0, 4),
    ahead=st.integers(0, 4),
)
def test_nothing_that_was_found_is_ever_uncovered(masks: list[np.ndarray], hold: int, ahead: int) -> None:
    copies = [mask.copy() for mask in masks]
    for covered in (forwards(masks, hold), film(masks, hold, ahead)):
        for mask, cover in zip(masks, covered, strict=True):
            assert cover.dtype == np.bool_ and cover.shape == mask.shape and cover is not mask and cover[mask].all()
    assert all(np.array_equal(mask, copy) for mask, copy in zip(masks, copies, strict=True))
    assert not any(cover.any() for cover in film([np.zeros((5, 6), bool)] * 4, hold, ahead))


def test_without_hold_nothing_is_added() -> None:
    truth = dropped(drive(8), 3, 4)
    assert all(np.array_equal(a, b) for a, b in zip(forwards(truth, 0), truth, strict=True))


def test_another_size_forgets_and_loses_no_frame() -> None:
    first, second = [box(20, 20)] * 3, [np.zeros((60, 80), bool)] * 3
    assert not any(mask.any() for mask in forwards(first + second)[3:])
    covered = film(first + second)
    assert [mask.shape for mask in covered] == [SIZE] * 3 + [(60, 80)] * 3 and not covered[3].any()


def test_plates_are_counted_once_while_they_are_followed() -> None:
    memory = Memory()
    for mask in dropped(drive(20), 5, 6):
        memory.step(mask | box(150, 100))
    assert memory.plates == 2
    memory.reset()
    assert not memory.step(np.zeros(SIZE, bool)).any()


def test_memory_is_bounded_in_frames_and_in_regions() -> None:
    random, memory = np.random.default_rng(0), Memory(3, 2)
    kept = []
    for _ in range(18):
        specks = np.zeros((200, 300), bool)
        specks[::4, ::4] = random.random((50, 75)) < 0.3  # a thousand regions, others in every frame
        memory.see(specks)
        assert memory.cover(memory.frame, specks)[specks].all()
        kept.append(sum(len(track.seen) for track in memory._tracks) + len(memory._still))
    assert max(kept[9:]) <= max(kept[:9]) * 1.5 < MOST * (3 + 2 + 1) * 4


def test_regions_beyond_the_limit_stay_where_they_were() -> None:
    specks = np.zeros((100, 200), bool)
    specks[::2, ::2] = True
    parts, rest = parts_of(specks)
    assert len(parts) == MOST and rest is not None and rest.sum() == specks.sum() - MOST
    memory = Memory(2)
    memory.step(specks)
    assert memory.step(np.zeros_like(specks))[specks].all()


@pytest.mark.parametrize("mask", [np.zeros((4, 5), np.uint8), np.zeros((4, 5, 1), bool), np.zeros(4, bool)])
def test_other_masks_are_refused(mask: np.ndarray) -> None:
    with pytest.raises(PlatesError, match="give bool"):
        Memory().step(mask)


@pytest.mark.parametrize("frames", [(-1, 0), (3, -2)])
def test_frames_below_none_are_refused(frames: tuple[int, int]) -> None:
    with pytest.raises(PlatesError, match="0 or more"):
        Memory(*frames)
