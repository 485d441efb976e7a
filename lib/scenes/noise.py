"""Banks of noise, glyphs and short labels, made once per process from fixed seeds."""

from functools import lru_cache
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"  # never a font of the machine's own
PLATE_FONTS = ("DejaVuSans-Bold", "DejaVuSansMono-Bold", "DejaVuSans", "DejaVuSansMono", "cmss10")
LABEL_FONTS = ("DejaVuSans-Bold", "DejaVuSerif-Bold", "DejaVuSans-BoldOblique", "STIXGeneralBol", "DejaVuSans")


def generator(*key: int) -> np.random.Generator:
    """The PCG64 generator of a key of non-negative integers."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(key)))


@lru_cache(maxsize=128)
def fractal(seed: int, size: int = 512, coarsest: int = 4, octaves: int = 6, roughness: float = 0.55) -> np.ndarray:
    """Multi-octave value noise, float32 (size, size), mean 0 and standard deviation 1; read-only."""
    rng = generator(7, seed)
    total = np.zeros((size, size), np.float32)
    for octave in range(octaves):
        cells = coarsest << octave
        if cells > size:
            break
        grid = rng.standard_normal((cells, cells), np.float32)
        total += roughness**octave * cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC)
    total = (total - total.mean()) / total.std()
    total.flags.writeable = False
    return total


@lru_cache(maxsize=4)
def grain(seed: int) -> np.ndarray:
    """White Gaussian noise with a little colour, float32 (768, 1024, 3); crops of it serve as sensor noise."""
    rng = generator(8, seed)
    shared = rng.standard_normal((768, 1024, 1), np.float32)
    noise = 0.75 * shared + 0.65 * rng.standard_normal((768, 1024, 3), np.float32)
    noise.flags.writeable = False
    return noise


def triple(plane: np.ndarray) -> np.ndarray:
    """A plane (h, w) as three equal channels; several times quicker than broadcasting over a last axis of three."""
    return cv2.merge([plane, plane, plane])


def crop(bank: np.ndarray, rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A (height, width, ...) cut out of a bank at a random place, enlarged first when the bank is too small."""
    need = max(height / bank.shape[0], width / bank.shape[1])
    if need > 1:
        bank = cv2.resize(bank, None, fx=need + 0.01, fy=need + 0.01, interpolation=cv2.INTER_LINEAR)
    top = int(rng.integers(bank.shape[0] - height + 1))
    left = int(rng.integers(bank.shape[1] - width + 1))
    return bank[top : top + height, left : left + width]


@lru_cache(maxsize=32)
def _font(name: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(FONTS / f"{name}.ttf"), size, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=512)
def glyphs(text: str, font: str, size: int = 72) -> np.ndarray:
    """A text's coverage, uint8 (h, w), cropped to its ink; read-only."""
    face = _font(font, size)
    left, top, right, bottom = face.getbbox(text)
    picture = Image.new("L", (right - left + 4, bottom - top + 4))
    ImageDraw.Draw(picture).text((2 - left, 2 - top), text, 255, face)
    ink = np.asarray(picture)
    rows, columns = np.flatnonzero(ink.max(1) > 40), np.flatnonzero(ink.max(0) > 40)
    ink = np.ascontiguousarray(ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    ink.flags.writeable = False
    return ink


def stamp(target: np.ndarray, ink: np.ndarray, box: tuple[float, float, float, float], colour: np.ndarray) -> None:
    """Blend ``ink`` (uint8 coverage), resized to ``box`` (x, y, w, h), into float32 ``target`` (H, W, C) in place."""
    x, y, w, h = (round(v) for v in box)
    x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + w, target.shape[1]), min(y + h, target.shape[0])
    if w < 1 or h < 1 or x1 <= x0 or y1 <= y0:
        return
    shrinks = w < ink.shape[1]
    cover = cv2.resize(ink, (w, h), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    cover = (cover[y0 - y : y1 - y, x0 - x : x1 - x] * np.float32(1 / 255))[..., None]
    target[y0:y1, x0:x1] += cover * (colour - target[y0:y1, x0:x1])


WORDS = tuple(
    [
        "CAFE",
        "BAKERY",
        "BOOKS",
        "HOTEL",
        "MARKET",
        "FLOWERS",
        "PHARMACY",
        "GARAGE",
        "BAR",
        "BANK",
        "DELI",
        "PIZZA",
        "TAILOR",
        "OPTIK",
        "TOYS",
        "MUSIC",
        "SHOES",
        "BARBER",
        "CINEMA",
        "KIOSK",
        "SALON",
        "GRILL",
        "FRESH",
        "FISH",
        "BIKES",
        "PAINT",
        "TOOLS",
        "TRAVEL",
        "SUSHI",
        "TEA",
        "RADIO",
        "SALE",
        "OPEN",
        "24H",
        "COFFEE",
        "DINER",
        "ARTS",
    ]
)
BADGES = tuple(
    [
        "VELA",
        "ORION",
        "LUMO",
        "TARN",
        "KESTREL",
        "NOVA",
        "RIVO",
        "ALTO",
        "MIRA",
        "SOLO",
        "CORDA",
        "PICO",
        "1.6",
        "GTX",
        "TDI",
        "4x4",
        "XL",
        "HYBRID",
        "TURBO",
    ]
)
STICKERS = tuple(
    [
        "BABY ON BOARD",
        "I LOVE CATS",
        "HONK",
        "SURF",
        "NO FEAR",
        "L",
        "VOTE",
        "WASH ME",
        "POWERED BY TEA",
        "KEEP CALM",
        "MY OTHER CAR",
        "PEACE",
    ]
)
PLACES = tuple(
    ["CENTRE", "STATION", "HARBOUR", "AIRPORT", "NORTH", "MUSEUM", "OLD", "TOWN", "UNIVERSITY", "PARK", "RIVERSIDE"]
)
