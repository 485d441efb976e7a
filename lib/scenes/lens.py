"""From linear light to a photograph: exposure, lens, sensor, tone."""

from dataclasses import dataclass

import cv2
import numpy as np

from lib.scenes import noise


@dataclass(frozen=True)
class Lens:
    """How the photograph was taken.

    Attributes:
        target: mean square root of the light that the camera's meter aims at. exposure: multiplies that.
        balance: red, green and blue gains.
        blur: defocus, standard deviation in pixels. shake: length and direction (radians) of motion blur in pixels.
        noise: standard deviation of the sensor's noise at mid grey, 0 to 0.1. vignette: loss of light in the corners.
        contrast: steepness of the tone curve. saturation: 1 leaves colours as they are. bloom: glare of bright spots.
    """

    target: float
    exposure: float
    balance: tuple[float, float, float]
    blur: float
    shake: tuple[float, float]
    noise: float
    vignette: float
    contrast: float
    saturation: float
    bloom: float
    black: float


def draw_lens(rng: np.random.Generator, light: str) -> Lens:
    """A camera and its settings at random, poorer in poor light."""
    dark = {"day": 0.0, "dusk": 0.5, "night": 1.0}[light]
    tint = rng.normal(0, 0.04 + 0.03 * dark, 3)
    return Lens(
        target={"day": 0.50, "dusk": 0.40, "night": 0.26}[light],
        exposure=float(np.exp(rng.normal(0, 0.22 + 0.1 * dark))),
        balance=(float(1 + tint[0]), float(1 + 0.3 * tint[1]), float(1 + tint[2])),
        blur=float(rng.choice([0.35, 0.6, 0.9, 1.6, 2.6], p=[0.42, 0.28, 0.17, 0.09, 0.04])),
        shake=(float(rng.uniform(3, 12)) if rng.random() < 0.07 + 0.12 * dark else 0.0, float(rng.uniform(0, np.pi))),
        noise=float(rng.gamma(2.0, 0.006) * (1 + 1.2 * dark)),
        vignette=float(rng.beta(1.3, 3) * 0.7),
        contrast=float(rng.uniform(1.1, 1.9)),
        saturation=float(rng.normal(1.18, 0.22) if rng.random() > 0.03 else 0.0),
        bloom=float(rng.uniform(0.02, 0.10) * (1 + 1.5 * dark)),
        black=float(max(rng.normal(0.0, 0.025), 0)),
    )


def defocus(image: np.ndarray, radius: float) -> None:
    """Blur the picture so far (what lies behind the subject) in place, with a disc as a lens does."""
    if radius < 0.7:
        return
    size = 2 * int(np.ceil(radius)) + 1
    axis = np.arange(size) - size // 2
    disc = np.clip(radius + 0.5 - np.hypot(axis[None], axis[:, None]), 0, 1).astype(np.float32)
    if radius > 3:
        small = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        defocus(small, radius / 2)
        cv2.resize(small, image.shape[1::-1], dst=image, interpolation=cv2.INTER_LINEAR)
        return
    image[:] = cv2.filter2D(image, -1, disc / disc.sum())


def _curve(lens: Lens) -> np.ndarray:
    """The tone curve: square root of linear light, 0 to 2, in 4096 steps, to 0..255: a shoulder, then sRGB's gamma."""
    light = np.linspace(0, np.sqrt(6), 4096) ** 2
    shouldered = light * (1 + light / 5.5) / (1 + light * 0.62)
    tone = np.clip(shouldered, 0, 1) ** (1 / 2.2)
    steep = tone + (lens.contrast - 1) * 0.9 * (tone - 0.45) * tone * (1 - tone) * 2.2
    return np.rint(np.clip(lens.black + (1 - lens.black) * steep, 0, 1) * 255).astype(np.uint8)


def expose(image: np.ndarray, lens: Lens, rng: np.random.Generator) -> np.ndarray:
    """Linear light (H, W, 3) to uint8 RGB. Geometry stays as it is."""
    height, width = image.shape[:2]
    if lens.bloom:
        small = cv2.resize(image, (width // 8, height // 8), interpolation=cv2.INTER_AREA)
        bright = cv2.GaussianBlur(np.maximum(small - 0.7, 0), (0, 0), max(width / 200, 1))
        image = image + cv2.resize(bright, (width, height), interpolation=cv2.INTER_LINEAR) * np.float32(lens.bloom * 4)
    if lens.shake[0]:
        length, turn = lens.shake
        kernel = np.zeros((15, 15), np.float32)
        ends = [(7.5 + s * length / 2 * np.cos(turn) - 0.5, 7.5 + s * length / 2 * np.sin(turn) - 0.5) for s in (-1, 1)]
        fixed = [tuple(round(v * 16) for v in end) for end in ends]
        stroke = np.zeros((15, 15), np.uint8)
        cv2.line(stroke, fixed[0], fixed[1], 255, 1, cv2.LINE_AA, 4)
        kernel = (stroke + stroke[::-1, ::-1].astype(np.float32)) / 2
        image = cv2.filter2D(image, -1, kernel / kernel.sum())
    if lens.blur > 0.3:
        image = cv2.GaussianBlur(image, (0, 0), lens.blur * width / 640)
    tiny = cv2.resize(image, (32, 24), interpolation=cv2.INTER_AREA)
    seen = float(np.mean(np.clip(tiny.mean(-1), 0, 2) ** 0.5))  # the camera's automatic exposure
    metered = (lens.target / max(seen, 0.02)) ** (2 * 0.85)
    x = (np.arange(width, dtype=np.float32) / width - 0.5) ** 2
    y = (np.arange(height, dtype=np.float32) / height - 0.5) ** 2
    gain = np.float32(lens.exposure * min(metered, 6.0)) * (
        1 - np.float32(lens.vignette * 1.6) * (x[None] + y[:, None])
    )
    image = image * cv2.merge([gain * np.float32(balance) for balance in lens.balance])
    np.minimum(np.maximum(image, 0, out=image), 6, out=image)
    np.sqrt(image, out=image)
    rich = max(lens.saturation, 0.0)
    image = cv2.transform(image, np.float32(rich * np.eye(3) + (1 - rich) * np.array([0.3, 0.59, 0.11])))
    sample = noise.crop(noise.grain(0), rng, height, width)
    image += sample * np.float32(lens.noise)
    image *= np.float32(4095 / np.sqrt(6))
    return np.take(_curve(lens), image.astype(np.int32), mode="clip")
