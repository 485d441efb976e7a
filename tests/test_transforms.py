"""Pictures in memory, and the paper's crop and augmentations: masks and boxes must follow exactly."""

from io import BytesIO

import numpy as np
import pytest
import torch
from datasets import Dataset
from PIL import Image
from tiny import pictures, scene
from torch import Tensor
from torch.nn import functional as F

from lib.data import FEATURES, mask_of
from lib.pictures import Pictures
from lib.settings import PlatesError
from lib.transforms import AUGMENTATIONS, Augment, batches, box_masks, full_frame, random_crops, to_input


def row(rgb: np.ndarray | bytes, boxes: list[list[float]], number: int = 0, crowd: tuple[bool, ...] = ()) -> dict:
    """A row of `lib.data`, from pixels or from a file's bytes."""
    if isinstance(rgb, bytes):
        data, height, width = rgb, 30, 40
    else:
        buffer = BytesIO()
        Image.fromarray(rgb).save(buffer, "PNG")
        data, (height, width) = buffer.getvalue(), rgb.shape[:2]
    objects = {key: [] for key in FEATURES["objects"]}
    objects |= {"bbox": boxes, "iscrowd": list(crowd) or [False] * len(boxes)}
    for key, value in {"corners": [], "characters": [], "text": "", "look": "", "chars": ""}.items():
        objects[key] = [value] * len(boxes)
    for key in ("id", "area", "occluded", "angle"):
        objects[key] = [0] * len(boxes)
    return {
        "image_id": number, "image": {"bytes": data, "path": None}, "file_name": f"{number}.png", "width": width,
        "height": height, "source": "", "license": "", "light": "", "kind": "", "objects": objects,
    }  # fmt: skip


def split_of(*rows: dict) -> Dataset:
    return Dataset.from_list(list(rows), features=FEATURES)


def gradient(stored: int = 128, aspect: float = 1.5) -> Pictures:
    """A picture that is its own map: red is x, green is y, each 0 to 255 over the picture; no plates."""
    ramp = (torch.arange(stored) * 256 // stored).to(torch.uint8)
    pixels = torch.stack([ramp.expand(stored, stored), ramp[:, None].expand(stored, stored)])
    pixels = torch.cat([pixels, torch.zeros(1, stored, stored, dtype=torch.uint8)])
    return Pictures(pixels[None], torch.zeros(1, 1, 4), torch.tensor([aspect]), torch.tensor([0]))


def boxed(box: tuple[int, int, int, int], aspect: float, stored: int = 160) -> Pictures:
    """Black but for a white box (left, top, right, bottom in stored pixels), which is also its truth."""
    left, top, right, bottom = box
    pixels = torch.zeros(1, 3, stored, stored, dtype=torch.uint8)
    pixels[..., top:bottom, left:right] = 255
    return Pictures(pixels, torch.tensor([[box]]) / stored, torch.tensor([aspect]), torch.tensor([0]))


def differs_inside(seen: Tensor, told: Tensor) -> int:
    """Pixels where two masks (H, W) differ, away from the border of ``told`` by more than a pixel."""
    grown = F.max_pool2d(told[None].float(), 3, 1, 1)[0] > 0
    shrunk = F.max_pool2d(1 - told[None].float(), 3, 1, 1)[0] == 0
    return int((seen & ~grown).sum() + (~seen & shrunk).sum())


# --- masks -------------------------------------------------------------------------------------------------------


def test_a_pixel_is_plate_when_its_centre_lies_in_a_box() -> None:
    # Centres of a side of 4 lie at 1/8, 3/8, 5/8 and 7/8; a box holds its left and top edge, not the others.
    boxes = torch.tensor([
        [[1 / 8, 0.0, 3 / 8, 0.2], [0.6, 0.6, 0.9, 1.0]],
        [[0.3, 0.3, 0.3, 0.9], [0.2, 0.2, 0.3, 0.3]],  # no width; between centres
    ])  # fmt: skip
    expected = torch.zeros(2, 4, 4, dtype=torch.bool)
    expected[0, 0, 0] = True
    expected[0, 2:, 2:] = True
    assert torch.equal(box_masks(boxes, 4), expected)


def test_masks_follow_the_same_rule_as_the_whole_course() -> None:
    side, random = 32, np.random.default_rng(0)
    places = [np.sort(random.uniform(0, side, (count, 2, 2)), axis=1) for count in (0, 1, 1, 2, 3, 5, 8)]
    rows = [
        row(np.zeros((side, side, 3), np.uint8), [[*first, *(last - first)] for first, last in boxes], number)
        for number, boxes in enumerate(places)
    ]
    data = split_of(*rows)
    masks = box_masks(Pictures.from_dataset(data, stored=8).boxes, side)
    assert masks.any()
    for mask, one in zip(masks, data, strict=True):
        assert np.array_equal(mask.numpy(), mask_of(one))


# --- the crop ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [(), ("flip",), ("flip", "flip")])
@pytest.mark.parametrize("aspect", [0.6, 1.0, 2.3])
def test_masks_and_boxes_follow_the_crop_exactly(names: tuple[str, ...], aspect: float) -> None:
    augment, picture = Augment(names, side=96), boxed((40, 70, 110, 100), aspect)
    seen_any = 0
    for seed in range(25):
        pixels, masks, boxes = augment(picture, torch.tensor([0]), torch.tensor([seed]))
        seen = pixels[0, 0] > 127
        assert differs_inside(seen, masks[0]) == 0, seed
        assert torch.equal(box_masks(boxes, 96), masks)
        assert ((boxes >= 0) & (boxes <= 1)).all()
        seen_any += bool(masks.any())
    assert seen_any > 15


def test_the_flip_mirrors_picture_mask_and_boxes() -> None:
    picture, index = boxed((20, 70, 60, 100), 1.4), torch.tensor([0])
    mirrored = 0
    for seed in range(30):
        plain = Augment(side=64)(picture, index, torch.tensor([seed]))
        flipped = Augment(("flip",), side=64)(picture, index, torch.tensor([seed]))
        if not plain[1].any() or torch.equal(plain[0], flipped[0]):
            continue
        mirrored += 1
        assert torch.equal(flipped[0], plain[0].flip(-1))
        left, top, right, bottom = plain[2].unbind(-1)
        assert torch.allclose(flipped[2], torch.stack([1 - right, top, 1 - left, bottom], -1))
        assert (flipped[1] != plain[1].flip(-1)).sum() <= 2 * 64  # a centre on the box's edge may change sides
    assert 3 <= mirrored <= 18  # of 30 at the paper's p = .3, where the crop shows something


def test_a_crop_depends_on_its_seed_and_on_nothing_else() -> None:
    split, augment = pictures(4, stored=96), Augment(("photometric", "flip", "blur"), side=64)
    seeds = torch.tensor([11, 12, 13, 14])
    torch.manual_seed(5)
    before = torch.get_rng_state()
    pixels, masks, boxes = augment(split, torch.arange(4), seeds)
    assert torch.equal(torch.get_rng_state(), before)  # and it leaves the global generator alone
    torch.manual_seed(6)
    for number in (2, 0):
        alone = augment(split, torch.tensor([number]), seeds[number : number + 1])
        assert all(torch.equal(a[0], b[number]) for a, b in zip(alone, (pixels, masks, boxes), strict=True))
    again = augment(split, torch.tensor([0]), torch.tensor([99]))
    assert not torch.equal(again[2][0], boxes[0])


@pytest.mark.parametrize("aspect", [0.75, 1.0, 2.0])
def test_no_crop_is_smaller_than_the_smallest(aspect: float) -> None:
    def shares(smallest: float) -> list[float]:
        augment, picture = Augment(side=64, smallest_crop=smallest), gradient(aspect=aspect)
        pixels, _, _ = augment(picture, torch.zeros(60, dtype=torch.long), torch.arange(60))
        spans = pixels[:, :2].flatten(2).float()
        # The share of the ramp between the first and the last pixel's centre, and the half pixels around.
        extent = (spans.amax(2) - spans.amin(2)) / 256 * 64 / 63
        return extent.prod(1).tolist()

    few, half = shares(0.08), shares(0.5)
    assert 0.06 < min(few) < 0.25 and max(few) > 0.55
    assert 0.45 < min(half) < 0.6 and max(half) <= 1.03


def test_the_crop_keeps_torchvisions_aspect_ratios_of_the_photograph() -> None:
    pixels, _, _ = Augment(side=64)(gradient(aspect=1.5), torch.zeros(40, dtype=torch.long), torch.arange(40))
    spans = pixels[:, :2].flatten(2).float()
    extent = spans.amax(2) - spans.amin(2)
    ratio = extent[:, 0] * 1.5 / extent[:, 1]  # of the photograph, not of the square it is stored as
    assert ratio.min() > 0.65 and ratio.max() < 1.55 and ratio.max() / ratio.min() > 1.4


@pytest.mark.parametrize("name", ["photometric", "blur"])
def test_colour_and_blur_leave_boxes_where_they_are(name: str) -> None:
    split, index, seeds = pictures(8, stored=96), torch.arange(8), torch.arange(8)
    plain = Augment(side=64)(split, index, seeds)
    changed = Augment((name,), side=64)(split, index, seeds)
    assert torch.equal(plain[1], changed[1]) and torch.equal(plain[2], changed[2])
    assert not torch.equal(plain[0], changed[0]) and changed[0].dtype == torch.uint8


def test_the_papers_augmentations_have_the_papers_settings() -> None:
    assert AUGMENTATIONS["photometric"].p == AUGMENTATIONS["flip"].p == 0.3
    assert list(AUGMENTATIONS["blur"].kernel_size) == [5, 9] and list(AUGMENTATIONS["blur"].sigma) == [0.1, 5.0]
    with pytest.raises(PlatesError, match=r"'mixup'.*photometric, flip, blur"):
        Augment(("mixup",))


def test_random_crops_are_repeatable() -> None:
    split = pictures(3, stored=64)
    one, same, other = (random_crops(split, seed, side=48) for seed in (4, 4, 5))
    assert one[0].shape == (3, 3, 48, 48) and one[1].shape == (3, 48, 48) and one[1].dtype == torch.bool
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    assert not torch.equal(one[0], other[0])


def test_full_frame_shows_everything() -> None:
    picture = boxed((40, 80, 120, 120), 1.5)
    pixels, masks = full_frame(picture, side=160)
    assert torch.equal(pixels, picture.pixels)
    assert masks[0, 80:120, 40:120].all() and masks.sum() == 80 * 40
    small, masks = full_frame(picture, side=40)
    assert masks[0, 20:30, 10:30].all() and masks.sum() == 20 * 10
    assert small.dtype == torch.uint8 and differs_inside(small[0, 0] > 127, masks[0]) == 0


def test_networks_get_floats_in_0_to_1() -> None:
    pixels = torch.tensor([0, 51, 255], dtype=torch.uint8).repeat(2, 3, 4, 1)
    got = to_input(pixels)
    assert got.dtype == torch.float32 and got.is_contiguous(memory_format=torch.channels_last)
    assert torch.allclose(got[0, 0, 0], torch.tensor([0, 0.2, 1])) and got.shape == pixels.shape
    assert pixels.dtype == torch.uint8 and pixels[0, 0, 0].tolist() == [0, 51, 255]


# --- an epoch's order --------------------------------------------------------------------------------------------


def order(*arguments: object, **options: object) -> list[tuple[list[int], list[int]]]:
    return [(index.tolist(), seeds.tolist()) for index, seeds in batches(*arguments, **options)]


def test_an_epoch_sees_each_picture_once_and_is_a_function_of_its_arguments() -> None:
    torch.manual_seed(1)
    one = order(23, 5, seed=3, epoch=2, drop_last=False)
    torch.manual_seed(2)
    assert order(23, 5, seed=3, epoch=2, drop_last=False) == one
    assert [len(index) for index, _ in one] == [5, 5, 5, 5, 3]
    assert sorted(i for index, _ in one for i in index) == list(range(23))
    drawn = [s for _, seeds in one for s in seeds]
    assert len(set(drawn)) == 23
    assert order(23, 5, seed=3, epoch=2) == one[:4]  # the incomplete batch is dropped
    for other in ({"seed": 4, "epoch": 2}, {"seed": 3, "epoch": 3}):
        assert order(23, 5, **other)[0] != one[0]


def test_a_batch_size_changes_neither_order_nor_crops() -> None:
    flat = [[x for part in order(12, batch, seed=0, epoch=0) for x in part[0]] for batch in (2, 3, 12)]
    assert flat[0] == flat[1] == flat[2]


@pytest.mark.parametrize("drop_last", [True, False])
def test_fewer_pictures_than_a_batch_make_one_batch(drop_last: bool) -> None:
    (index, _seeds), *more = order(3, 8, seed=0, epoch=0, drop_last=drop_last)
    assert sorted(index) == [0, 1, 2] and not more


# --- decoding once -----------------------------------------------------------------------------------------------


def test_a_split_is_decoded_with_its_boxes() -> None:
    rgb = np.zeros((30, 60, 3), np.uint8)
    rgb[:, 30:] = (200, 100, 50)
    data = split_of(
        row(rgb, [[6, 3, 12, 15], [0, 0, 60, 30]], 7, crowd=(False, True)),
        row(np.full((40, 20, 3), 9, np.uint8), [], 3),
    )
    split = Pictures.from_dataset(data, stored=16)
    assert split.pixels.shape == (2, 3, 16, 16) and split.pixels.dtype == torch.uint8
    assert split.pixels[0, :, 4, 14].tolist() == [200, 100, 50] and (split.pixels[0, :, :, :7] == 0).all()
    assert (split.pixels[1] == 9).all()
    assert torch.allclose(split.boxes[0, 0], torch.tensor([0.1, 0.1, 0.3, 0.6]))
    assert not split.boxes[0, 1].any() and not split.boxes[1].any()  # a region to ignore is no plate; padding
    assert split.aspect.tolist() == [2.0, 0.5] and split.image_ids.tolist() == [7, 3]


def test_an_undecodable_picture_is_named() -> None:
    buffer = BytesIO()
    Image.fromarray(scene(np.random.default_rng(0))[0]).save(buffer, "JPEG")
    for broken in (b"a text", buffer.getvalue()[:700]):
        data = split_of(row(np.zeros((30, 40, 3), np.uint8), [], 1), row(broken, [], 2))
        with pytest.raises(PlatesError, match=r"2\.png: cannot be decoded .*replace"):
            Pictures.from_dataset(data, stored=8)


def test_a_split_without_pictures_is_refused() -> None:
    data = split_of(row(np.zeros((4, 4, 3), np.uint8), []))
    with pytest.raises(PlatesError, match="no picture"):
        Pictures.from_dataset(data.select([]))
    with pytest.raises(PlatesError, match="limit of 0"):
        Pictures.from_dataset(data, limit=0)


def test_a_limit_draws_by_its_seed_before_or_after_decoding() -> None:
    data = split_of(*(row(np.full((6, 6, 3), n, np.uint8), [[0, 0, 3, 3]] * (n % 3), n) for n in range(20)))
    whole = Pictures.from_dataset(data, stored=6)
    assert whole.sample(None, 0) is whole and whole.sample(20, 0) is whole
    early, late = Pictures.from_dataset(data, limit=6, seed=3, stored=6), whole.sample(6, 3)
    assert early.image_ids.tolist() == late.image_ids.tolist() == early.pixels[:, 0, 0, 0].tolist()
    assert early.image_ids.tolist() == sorted(set(early.image_ids.tolist())) and len(early) == 6
    assert early.image_ids.tolist() != list(range(6))  # not the first ones: sources follow one another
    assert early.fingerprint() == late.fingerprint()  # also where the padding differs
    assert whole.sample(6, 4).image_ids.tolist() != late.image_ids.tolist()


def test_a_fingerprint_tells_pictures_and_boxes_apart() -> None:
    split = pictures(2, stored=32)
    told = {split.fingerprint()}
    for part in ("pixels", "boxes", "aspect", "image_ids"):
        changed = {key: getattr(split, key).clone() for key in ("pixels", "boxes", "aspect", "image_ids")}
        changed[part].view(-1)[0] += 1
        told.add(Pictures(**changed).fingerprint())
    assert len(told) == 5
    assert pictures(2, stored=32).fingerprint() in told
