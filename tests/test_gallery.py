"""Pictures in their own shape with their plates' outlines."""

import numpy as np
import pytest
from PIL import Image
from tiny import pictures, row, split

from lib.gallery import Gallery
from lib.settings import PlatesError


def image(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8))


def test_large_pictures_shrink_with_their_outlines_and_small_ones_stay() -> None:
    corners = [10.0, 20.0, 50.0, 22.0, 50.0, 40.0, 10.0, 38.0]
    gallery = Gallery.from_dataset(
        split(
            row(0, image(1280, 960), [[100.0, 200.0, 40.0, 20.0]]),
            row(1, image(64, 48), [[10.0, 20.0, 40.0, 20.0]], corners=[corners]),
        )
    )
    assert [each.shape for each in gallery.pixels] == [(480, 640, 3), (48, 64, 3)]
    assert gallery.outlines[0].tolist() == [[[50, 100], [70, 100], [70, 110], [50, 110]]]  # a box, halved
    assert gallery.outlines[1].reshape(-1).tolist() == corners
    assert np.array_equal(gallery.pixels[1], np.array(image(64, 48)))


def test_regions_to_ignore_are_no_plates_and_pictures_without_plates_kept() -> None:
    gallery = Gallery.from_dataset(split(row(0, image(64, 48), [[1.0, 1.0, 9.0, 9.0]], iscrowd=[True])))
    assert len(gallery) == 1 and gallery.outlines[0].shape == (0, 4, 2)
    assert gallery.ignored[0].tolist() == [[[1, 1], [10, 1], [10, 10], [1, 10]]]
    bare = Gallery(gallery.pixels, gallery.outlines, gallery.outlines, gallery.sources)
    assert bare.fingerprint() != gallery.fingerprint()


def test_sampling_draws_what_pictures_draws_and_the_fingerprint_tells() -> None:
    gallery = Gallery.from_dataset(split(*(row(i, image(64 + i, 48), [[1.0, 2.0, 9.0, 5.0]]) for i in range(9))))
    drawn = gallery.sample(4, seed=3)
    assert [each.shape[1] - 64 for each in drawn.pixels] == pictures(9, stored=8).sample(4, seed=3).image_ids.tolist()
    assert gallery.sample(None, 0) is gallery is gallery.sample(9, 0)
    assert drawn.fingerprint() != gallery.fingerprint() == (drawn + gallery).select(range(4, 13)).fingerprint()


def test_a_damaged_picture_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = split(row(0, image(64, 48), [[1.0, 1.0, 9.0, 9.0]]))

    def damaged(*_: object) -> None:
        raise OSError("truncated")

    monkeypatch.setattr(Image.Image, "convert", damaged)
    with pytest.raises(PlatesError, match=r"0\.png: cannot be decoded \(truncated\)"):
        Gallery.from_dataset(rows)
