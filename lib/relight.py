"""Other light, colour, sharpness, noise and compression: what a camera and the weather do to the same street."""

import cv2
import numpy as np


def change_light(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Other light, colour, sharpness, noise and compression, each now and then; uint8 ``(H, W, 3)`` to the same."""
    gain = np.exp(rng.normal(0, 0.25)) * np.exp(rng.normal(0, 0.08, 3))
    gamma, offset = np.exp(rng.normal(0, 0.25)), rng.normal(0, 0.06)
    levels = (np.arange(256) / 255.0) ** gamma
    table = ((levels[:, None] * gain + offset) * 255).clip(0, 255).astype(np.uint8)
    crop = cv2.LUT(crop, table.reshape(256, 1, 3))
    kind = rng.random(6)
    if kind[0] < 0.4:
        grey = cv2.cvtColor(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        share = 1.0 if kind[0] < 0.1 else rng.uniform(-0.4, 0.8)
        crop = cv2.addWeighted(crop, 1 - share, grey, share, 0)
    if kind[1] < 0.15:
        crop = cv2.GaussianBlur(crop, (0, 0), rng.uniform(0.4, 1.8))
    elif kind[1] < 0.22:  # motion
        length = int(rng.integers(3, 10))
        kernel = np.zeros((length, length), np.float32)
        cv2.line(kernel, *(tuple(int(v) for v in rng.integers(0, length, 2)) for _ in range(2)), 1.0)
        crop = cv2.filter2D(crop, -1, kernel / kernel.sum())
    if kind[2] < 0.15:
        side = crop.shape[0]
        small = cv2.resize(crop, None, fx=(f := rng.uniform(0.35, 0.8)), fy=f, interpolation=cv2.INTER_AREA)
        crop = cv2.resize(small, (side, side), interpolation=cv2.INTER_LINEAR)
    if kind[3] < 0.2:
        noise = rng.standard_normal(crop.shape[:2], np.float32)[..., None] * rng.uniform(2, 14)
        crop = (crop + noise).clip(0, 255).astype(np.uint8)
    if kind[4] < 0.15:
        quality = int(rng.integers(20, 80))
        crop = cv2.imdecode(cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)
    if kind[5] < 0.1:  # a shadow's edge or a lamp's cone: half of the crop darker
        (a, b), angle = rng.uniform(0, crop.shape[0], 2), rng.uniform(0, 2 * np.pi)
        rows, columns = np.ogrid[: crop.shape[0], : crop.shape[1]]
        beyond = (columns - a) * np.cos(angle) + (rows - b) * np.sin(angle) > 0
        crop = np.where(beyond[..., None], (crop * rng.uniform(0.3, 0.8)).astype(np.uint8), crop)
    return np.ascontiguousarray(crop)
