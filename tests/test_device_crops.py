"""Crops made on a device: the very crops that OpenCV makes, but for its rounding; light as drawn; JPEG as libjpeg's."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from test_crops import PLATE, street

from lib.crops import Crop, targets
from lib.device_crops import DeviceCrops, Plans
from lib.device_light import jpeg, kernel, relight, table
from lib.gallery import Gallery
from lib.relight import Light

NONE = np.zeros((0, 4, 2), np.float32)
CPU = torch.device("cpu")
DIM = np.array([[[20, 300], [120, 300], [120, 350], [20, 350]]], np.float32)
SMALL = np.array([[[60, 40], [75, 40], [75, 46], [60, 46]]], np.float32)


@pytest.fixture(scope="module")
def gallery() -> Gallery:
    """A large plate, two plates and a region in doubt, and a smaller picture without any."""
    rng = np.random.default_rng(1)
    wide = cv2.resize(rng.integers(0, 256, (90, 160, 3), np.uint8), (640, 332), interpolation=cv2.INTER_CUBIC)
    small = rng.integers(0, 256, (50, 70, 3), np.uint8)
    outlines = [PLATE, np.concatenate([PLATE, SMALL]), NONE]
    return Gallery([street(), wide, small], outlines, [NONE, DIM, NONE], ["here"] * 3)


def made(gallery: Gallery, crop: Crop, seeds: list[int]) -> tuple[torch.Tensor, ...]:
    """A batch that goes through the gallery, a seed each."""
    order = torch.arange(len(seeds)) % len(gallery)
    plan = Plans(gallery, crop, 0.5, np.arange(len(gallery)), [(order, torch.tensor(seeds))])[0]
    return DeviceCrops(gallery, crop, 0.5, CPU).make(plan)


@pytest.mark.parametrize("crop", [Crop(light=False), Crop(light=False, longest=1400, zoom=(0.1, 2.0), closer=3.0)])
def test_they_are_the_crops_of_opencv(gallery: Gallery, crop: Crop) -> None:
    seeds, shown, halved = list(range(60)), 0, 0
    pictures, shares, weights = made(gallery, crop, seeds)
    assert pictures.shape == (60, 3, 320, 320) and shares.shape == weights.shape == (60, 1, 80, 80)
    for seed in seeds:
        at = seed % len(gallery)
        pixels, outlines, ignored = crop(gallery.pixels[at], gallery.outlines[at], seed, gallery.ignored[at])
        difference = abs(pictures[seed].permute(1, 2, 0).numpy() * 255 - pixels)
        assert np.quantile(difference, 0.95) <= 1.0, seed  # OpenCV rounds, and takes 1/32 of a pixel at a time
        share, weight = targets(outlines, (320, 320), 0.5, ignored)
        told, weighs = shares[seed, 0].numpy(), weights[seed, 0].numpy()
        shown += share.any()
        assert abs(told - share).max() <= 0.26 and abs(told - share).sum() <= 0.02 * share.sum() + 1, seed
        # what OpenCV paints at a quarter of the size ends up to a pixel elsewhere
        rim = cv2.dilate((share > 0).astype(np.uint8), np.ones((3, 3))) - cv2.erode(
            (share > 0).astype(np.uint8), np.ones((3, 3))
        )
        doubt = cv2.morphologyEx((weight == 0).astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3)))
        known = (rim == 0) & (doubt == 0)
        assert np.allclose(weighs[known], weight[known], rtol=0.02), seed
        halved += weight.min() == 0
    assert shown > 20 and halved > 2


def test_a_batch_without_any_plate(gallery: Gallery) -> None:
    _, share, weight = made(gallery.select([2]), Crop(light=False), [1, 2])
    assert not share.any() and (weight == 1).all()


def test_an_epoch_is_the_same_whoever_makes_it(gallery: Gallery) -> None:
    crops, order = DeviceCrops(gallery, Crop(side=96), 0.5, CPU), np.array([0, 1, 2, 0])
    one, two = ([*crops.epoch(2, 7, 3, order)] for _ in range(2))
    assert len(one) == 2
    for first, second in zip(one, two, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
        assert first[0].min() >= 0 and first[0].max() <= 1
    assert not torch.equal(one[0][0], next(crops.epoch(2, 7, 4, order))[0])


PLAIN = Light(np.ones(3), 1.0, 0.0)


@pytest.mark.parametrize(
    ("light", "most"),
    [
        (PLAIN, 0.6),
        (replace(PLAIN, gain=np.array([1.3, 0.9, 0.7]), gamma=1.4, offset=-0.05), 1.1),
        (replace(PLAIN, grey=1.0), 1.1),
        (replace(PLAIN, grey=-0.3), 1.6),
        (replace(PLAIN, blur=1.3), 1.1),
        (replace(PLAIN, motion=np.eye(5, dtype=np.float32) / 5), 1.1),
        (replace(PLAIN, motion=np.eye(4, dtype=np.float32) / 4), 1.1),
        (replace(PLAIN, shadow=(40.0, 60.0, 0.7, 0.5)), 1.1),
    ],
)
def test_light_is_what_opencv_makes_of_it(light: Light, most: float) -> None:
    rgb = cv2.GaussianBlur(street()[100:260, 150:310], (0, 0), 1.0)
    given = torch.from_numpy(rgb).permute(2, 0, 1)[None] / 255
    told = relight(given, table([light]), 0)[0].permute(1, 2, 0).numpy() * 255
    assert abs(told - light(rgb)).max() <= most


def test_shrinking_is_a_blur_of_the_same_spread() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (160, 160, 3), np.uint8)
    light = replace(PLAIN, shrunk=0.5)
    told = relight(torch.from_numpy(rgb).permute(2, 0, 1)[None] / 255, table([light]), 0)[0] * 255
    assert rgb.std() > 70
    assert float(told.std()) == pytest.approx(light(rgb).std(), rel=0.25)  # what is left of noise
    weights = kernel(light)
    places = np.arange(15) - 7
    assert weights.sum() == pytest.approx(1) and (weights.sum(0) * places**2).sum() == pytest.approx(1.0, abs=0.05)


def test_noise_is_as_strong_as_drawn_and_grey() -> None:
    lights = [replace(PLAIN, noise=10.0), PLAIN]
    told = relight(torch.full((2, 3, 320, 320), 0.5), table(lights), 3)
    assert float(told[0].std() * 255) == pytest.approx(10, rel=0.02)
    assert torch.allclose(told[0, 0], told[0, 1]) and torch.allclose(told[1], torch.tensor(0.5))
    assert not torch.equal(told, relight(torch.full((2, 3, 320, 320), 0.5), table(lights), 4))


@pytest.mark.parametrize("quality", [20, 60])
def test_jpeg_loses_what_libjpeg_loses(quality: int) -> None:
    rgb = cv2.GaussianBlur(street()[:320, :320], (0, 0), 1.0)
    given = torch.from_numpy(rgb).permute(2, 0, 1)[None] / 255
    told = jpeg(given, torch.tensor([float(quality)]))[0].permute(1, 2, 0).numpy() * 255
    coded = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    wanted = cv2.imdecode(coded, cv2.IMREAD_COLOR)[..., ::-1].astype(float)
    lost = abs(wanted - rgb).mean()
    assert abs(told - wanted).mean() < 0.25 * lost < abs(told - rgb).mean()


def test_changes_are_each_pictures_own() -> None:
    lights = [PLAIN, replace(PLAIN, blur=1.5), PLAIN, replace(PLAIN, quality=25)]
    given = torch.from_numpy(street()[:320, :320]).permute(2, 0, 1)[None].repeat(4, 1, 1, 1) / 255
    told = relight(given, table(lights), 0)
    for at in (0, 2):
        assert torch.allclose(told[at], given[at])
    for at in (1, 3):
        assert torch.allclose(told[at], relight(given[:1], table([lights[at]]), 0)[0], atol=1e-5)
        assert not torch.allclose(told[at], given[at], atol=0.01)
