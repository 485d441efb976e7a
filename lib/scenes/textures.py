"""Flat pictures that the backdrop is hung with: house fronts, foliage, signs. Linear RGB, made once per process."""

from functools import lru_cache

import cv2
import numpy as np

from lib.scenes import noise

FACADES, TREES, PER_METRE = 28, 14, 30


def _windows(
    face: np.ndarray, rng: np.random.Generator, top: int, bottom: int, lit: np.ndarray, night_face: np.ndarray
) -> None:
    """A storey's row of windows between two heights."""
    width = face.shape[1]
    count, share = int(rng.integers(2, 6)), rng.uniform(0.42, 0.75)
    pitch, tall = width / count, (bottom - top)
    frame = np.float32(rng.choice([0.75, 0.35, 0.06]))
    for k in range(count):
        x0, x1 = round((k + 0.5 - share / 2) * pitch), round((k + 0.5 + share / 2) * pitch)
        y0, y1 = round(top + 0.16 * tall), round(top + 0.80 * tall)
        face[y0 - 2 : y1 + 3, x0 - 2 : x1 + 2] = frame
        glass = np.linspace(0.30, 0.05, y1 - y0, dtype=np.float32)[:, None, None] * np.float32([0.75, 0.88, 1.0])
        glass = glass * rng.uniform(0.25, 1.9) + 0.03 * cv2.resize(noise.fractal(3, 64), (x1 - x0, y1 - y0))[..., None]
        face[y0:y1, x0:x1] = np.clip(glass, 0.01, 1)
        if rng.random() < 0.35:  # curtains
            edge = max((x1 - x0) // 4, 1)
            face[y0:y1, x0 : x0 + edge] = face[y0:y1, x1 - edge : x1] = rng.uniform(0.2, 0.5)
        face[y0:y1, (x0 + x1) // 2 - 1 : (x0 + x1) // 2 + 1] = frame
        face[y1 + 2 : y1 + 5, x0 - 3 : x1 + 3] *= 1.25
        face[y1 + 5 : y1 + 8, x0 - 3 : x1 + 3] *= 0.6
        if rng.random() < lit:
            night_face[y0:y1, x0:x1] = np.float32([1.0, 0.72, 0.38]) * rng.uniform(0.15, 0.7)


def _shop(face: np.ndarray, rng: np.random.Generator, top: int, night_face: np.ndarray) -> None:
    """A ground floor with a shop: fascia with a name, display window, door."""
    height, width = face.shape[:2]
    sign = round(top + 0.16 * (height - top))
    colour = (rng.random(3) ** 1.6 * 0.6 + 0.01).astype(np.float32)
    colour += np.float32(rng.uniform(0.2, 0.8)) * (colour.mean() - colour)  # paint fades
    ink = np.float32(0.75) if colour.mean() < 0.3 else np.float32(0.03)
    face[top:sign] = colour
    word = noise.glyphs(str(rng.choice(noise.WORDS)), str(rng.choice(noise.LABEL_FONTS)))
    tall = 0.55 * (sign - top)
    wide = min(word.shape[1] / word.shape[0] * tall, 0.8 * width)
    noise.stamp(face, word, ((width - wide) / 2, top + 0.22 * (sign - top), wide, tall), ink * np.ones(3, np.float32))
    window = slice(sign + 4, round(height * 0.95))
    depth = np.linspace(0.22, 0.05, window.stop - window.start, dtype=np.float32)[:, None, None]
    face[sign:, :] = rng.uniform(0.02, 0.4)
    face[window, 8 : round(0.68 * width)] = depth * rng.uniform(0.5, 1.4, 3)
    for _ in range(int(rng.integers(3, 9))):  # goods and posters
        x, y = int(rng.integers(10, 0.6 * width)), int(rng.integers(window.start + 4, window.stop - 14))
        face[y : y + int(rng.integers(6, 24)), x : x + int(rng.integers(5, 22))] = rng.random(3) * 0.45
    door = slice(round(0.74 * width), round(0.92 * width))
    face[window, door] = depth * rng.uniform(0.3, 0.9, 3)
    glow = rng.uniform(0.15, 0.8)
    night_face[window, 8 : round(0.68 * width)] = face[window, 8 : round(0.68 * width)] * 2.5 * glow + 0.2 * glow
    night_face[top:sign] = face[top:sign] * glow
    if rng.random() < 0.35:  # an awning
        stripes = (np.arange(width) // 12 % 2).astype(np.float32)[None, :, None]
        face[sign : sign + 22] = colour + stripes * (0.6 - colour) * rng.random()
        face[sign + 22 : sign + 34] *= 0.5


@lru_cache(maxsize=FACADES)
def facade(number: int) -> tuple[np.ndarray, np.ndarray, tuple[float, float]]:
    """A house front: reflectance and own light at night, float32 (h, w, 3), and its width and height in metres."""
    rng = noise.generator(11, number)
    storeys, across = int(rng.integers(2, 6)), float(rng.uniform(6, 12))
    storey = float(rng.uniform(2.7, 3.5))
    width, height = round(across * PER_METRE), round(storeys * storey * PER_METRE)
    bases = ((0.33, 0.13, 0.08), (0.50, 0.44, 0.33), (0.42, 0.40, 0.38), (0.55, 0.50, 0.42),
             (0.30, 0.20, 0.14), (0.58, 0.42, 0.22),
             (0.36, 0.42, 0.46), (0.62, 0.60, 0.56), (0.22, 0.22, 0.23), (0.50, 0.28, 0.20))  # fmt: skip
    base = np.array(bases[rng.integers(len(bases))], np.float32) * np.float32(rng.uniform(0.8, 1.3))
    patch = cv2.resize(noise.crop(noise.fractal(20 + number % 5), rng, 400, 400), (width, height))
    fine = cv2.resize(noise.crop(noise.fractal(30, 512, 64, 4, 0.9), rng, 300, 300), (width, height))
    face = base * (1 + 0.07 * patch + 0.06 * fine)[..., None]
    if base[0] > 1.8 * base[2] and rng.random() < 0.8:  # bricks
        rows, columns = np.mgrid[0:height, 0:width]
        joint = (rows % 3 == 0) | ((columns + rows // 3 % 2 * 4) % 8 == 0)
        face += (0.28 * joint.astype(np.float32) * 0.5)[..., None] * (0.42 - face)
    light = np.zeros_like(face)
    modern = rng.random() < 0.25
    ground_floor = round(height - (storey + 0.3) * PER_METRE)
    for k in range(storeys - 1):
        top = round(k * (ground_floor / max(storeys - 1, 1)))
        bottom = round((k + 1) * (ground_floor / max(storeys - 1, 1)))
        if modern:
            glass = np.linspace(0.35, 0.08, bottom - top, dtype=np.float32)[:, None, None] * np.float32([0.6, 0.8, 1.0])
            face[top + 12 : bottom] = glass[12:] * (1 + 0.2 * patch[top + 12 : bottom, :, None])
            face[top + 12 : bottom, :: round(1.3 * PER_METRE)] = 0.1
        else:
            _windows(face, rng, top, bottom, np.float32(0.35), light)
    if rng.random() < 0.62:
        _shop(face, rng, ground_floor, light)
    else:
        _windows(face, rng, ground_floor, round(height - 0.6 * PER_METRE), np.float32(0.35), light)
        door = slice(round(0.06 * width), round(0.06 * width) + round(1.1 * PER_METRE))
        face[height - round(2.2 * PER_METRE) :, door] = (rng.random(3) ** 2 * 0.4).astype(np.float32)
        number_sign = noise.glyphs(str(rng.integers(1, 99)), "DejaVuSans-Bold")
        noise.stamp(face, number_sign, (door.stop + 4, height - 1.7 * PER_METRE, 9, 9), np.full(3, 0.7, np.float32))
    face[:8] = base * 0.45  # cornice
    if not modern and rng.random() < 0.65:  # a roof above the cornice
        deep = round(rng.uniform(1.2, 2.6) * PER_METRE)
        tiles = np.array(
            ((0.24, 0.08, 0.045), (0.10, 0.10, 0.11), (0.16, 0.10, 0.07), (0.30, 0.13, 0.07))[rng.integers(4)],
            np.float32,
        )
        roof = np.empty((deep, width, 3), np.float32)
        roof[:] = tiles * np.linspace(1.15, 0.85, deep, dtype=np.float32)[:, None, None]
        roof *= (1 + 0.12 * cv2.resize(patch, (width, deep)))[..., None]
        roof[::5] *= 0.72
        for _ in range(int(rng.integers(0, 4))):
            x = int(rng.integers(6, width - 30))
            roof[deep // 3 : deep - 6, x : x + 22], roof[deep // 3 + 3 : deep - 9, x + 3 : x + 19] = (
                0.6,
                (0.10, 0.13, 0.16),
            )
        face, light = np.concatenate([roof, face]), np.concatenate([np.zeros_like(roof), light])
        storeys_high = storeys * storey + deep / PER_METRE
    else:
        storeys_high = storeys * storey
    height = len(face)
    streaks = cv2.resize(noise.fractal(25, 128)[:2], (width, height))[..., None]
    face *= (1 + 0.05 * streaks) * np.linspace(1.03, 0.86, height, dtype=np.float32)[:, None, None]
    return np.clip(face, 0.008, 0.95), light, (across, storeys_high)


@lru_cache(maxsize=TREES)
def tree(number: int) -> tuple[np.ndarray, np.ndarray, tuple[float, float]]:
    """Foliage on a trunk or a bush: reflectance (h, w, 3), coverage (h, w), width and height in metres."""
    rng = noise.generator(12, number)
    bush, bare = number % 4 == 3, number % 7 == 5
    size = 256
    axis = np.linspace(-1, 1, size, dtype=np.float32)
    x, y = np.meshgrid(axis, axis)
    lump = noise.fractal(50 + number, size, 4, 6, 0.72)
    if bush:
        reach = 1.15 - np.abs(x) ** 3 * 0.5 - np.maximum(-y, -0.2) * 1.25
        tall, wide = rng.uniform(1.2, 2.6), rng.uniform(2.5, 5)
    else:
        centre = -0.30
        reach = 1.0 - np.sqrt((x / 0.86) ** 2 + ((y - centre) / 0.64) ** 2)
        tall, wide = rng.uniform(5, 10), rng.uniform(4, 7)
    cover = np.clip((reach + 0.26 * lump - (0.10 if not bush else 0.12)) * 12, 0, 1)
    holes = noise.fractal(70 + number, size, 16, 5, 0.85)
    cover *= np.clip((holes + (0.2 if bare else 1.35)) * 4, 0, 1)
    hue = np.array(
        ((0.055, 0.11, 0.025), (0.08, 0.12, 0.02), (0.04, 0.085, 0.035), (0.20, 0.11, 0.02), (0.10, 0.13, 0.05))[
            rng.integers(5)
        ]
    )
    sunlit = 0.75 - 0.55 * y + 0.55 * lump + 0.45 * noise.fractal(90 + number, size, 24, 4, 0.9)
    face = hue.astype(np.float32) * np.clip(sunlit, 0.18, 2.6)[..., None]
    if not bush:
        trunk = (np.abs(x + 0.02 * lump) < 0.035 + 0.02 * np.maximum(y, 0)) & (y > -0.1)
        bark = trunk & (cover < 0.6)
        face[bark] = np.float32([0.09, 0.07, 0.055]) * np.clip(1 + 0.3 * lump[bark], 0.3, 2)[:, None]
        cover = np.maximum(cover, trunk.astype(np.float32))
    return face.astype(np.float32), cover.astype(np.float32), (wide, tall)


def poster(rng: np.random.Generator, kind: str) -> tuple[np.ndarray, tuple[float, float]]:
    """A sign that is no plate: reflectance (h, w, 3), and its width and height in metres."""
    words = noise.WORDS if kind != "direction" else noise.PLACES
    if kind == "limit":
        face = np.full((96, 96, 3), 0.7, np.float32)
        cv2.circle(face, (48, 48), 44, (0.5, 0.01, 0.01), 9, cv2.LINE_AA)
        ink = noise.glyphs(str(rng.integers(2, 13) * 10), "DejaVuSans-Bold")
        noise.stamp(face, ink, (24, 30, 48, 36), np.full(3, 0.02, np.float32))
        return face, (0.6, 0.6)
    if kind == "direction":
        ground = np.array(
            ((0.01, 0.06, 0.32), (0.01, 0.17, 0.06), (0.75, 0.75, 0.75), (0.75, 0.5, 0.02))[rng.integers(4)], np.float32
        )
        size = (2.2, 0.9)
    elif kind == "blank":
        ground, size = np.full(3, rng.uniform(0.6, 0.8), np.float32), (rng.uniform(0.4, 0.9), rng.uniform(0.12, 0.5))
    else:
        ground, size = (rng.random(3) ** 1.5 * 0.7).astype(np.float32), (1.3, 1.9)
    face = np.empty((round(size[1] * 70), round(size[0] * 70), 3), np.float32)
    face[:] = ground
    ink = np.full(3, 0.75 if ground.mean() < 0.3 else 0.02, np.float32)
    rows = {"direction": 2, "blank": 0}.get(kind, 3)
    for k in range(rows):
        text = f"{rng.choice(words)} {rng.integers(1, 90)}" if rng.random() < 0.5 else str(rng.choice(words))
        glyph, tall = noise.glyphs(text, str(rng.choice(noise.LABEL_FONTS))), face.shape[0] * 0.5 / rows
        wide = min(glyph.shape[1] / glyph.shape[0] * tall, face.shape[1] * 0.85)
        noise.stamp(face, glyph, (0.08 * face.shape[1], (k + 0.25) * face.shape[0] / rows, wide, tall), ink)
    if kind == "advert":
        cv2.circle(
            face,
            (int(rng.integers(20, 70)), int(rng.integers(60, 120))),
            int(rng.integers(12, 34)),
            rng.random(3).tolist(),
            -1,
        )
    cv2.rectangle(face, (1, 1), (face.shape[1] - 2, face.shape[0] - 2), ink.tolist(), 2)
    return face, size
