"""Number plates: their looks, their random texts and their paint."""

from dataclasses import dataclass

import cv2
import numpy as np

from lib.scenes import noise

LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ"
DIGITS = "0123456789"


@dataclass(frozen=True)
class Look:
    """A family of plates: metres, linear RGB and the order of letters (L) and digits (D); ``|`` starts a line."""

    size: tuple[float, float]
    ground: tuple[tuple[float, float, float], ...]
    ink: tuple[tuple[float, float, float], ...]
    formats: tuple[str, ...]
    band: str = ""  # "blue" at the left end, "both" ends, "top" across, "" none
    slogan: bool = False


WHITE, YELLOW, BLACK = (0.78, 0.79, 0.78), (0.82, 0.56, 0.03), (0.015, 0.015, 0.02)
OFF_WHITE, SILVER, AMBER = (0.66, 0.67, 0.62), (0.55, 0.57, 0.58), (0.80, 0.42, 0.02)
DEEP_RED, GREEN, BLUE, NIGHT_BLUE = (0.42, 0.012, 0.015), (0.01, 0.18, 0.06), (0.02, 0.08, 0.42), (0.01, 0.03, 0.14)
PALE_BLUE, PALE_GREEN, CREAM = (0.45, 0.62, 0.78), (0.42, 0.68, 0.45), (0.75, 0.68, 0.48)

_LONG = (
    "LL DDD LL",
    "L LL DDDD",
    "LLL DDDD",
    "DDD LLL",
    "DDDD LLL",
    "LL DD LLL",
    "LL DD LL DDDD",
    "DD LL DD",
    "L DDDDD",
)
_LINES = ("LL DD|LL DDDD", "LLL|DDDD", "DD L|DDD DD", "LL DD|LLL", "DDD|LLL", "LLL DD|DDDD")
_SHORT = ("LLL DDDD", "DLLL DDD", "LLL DDD", "DDD LLL", "LL DDDDD", "LDD LLL")

_PLATES: dict[str, Look] = {
    "white": Look((0.50, 0.11), (WHITE, OFF_WHITE), (BLACK, NIGHT_BLUE), _LONG),
    "white_blue_band": Look((0.52, 0.11), (WHITE,), (BLACK,), _LONG, band="blue"),
    "white_two_bands": Look((0.52, 0.11), (WHITE,), (BLACK, DEEP_RED), _LONG, band="both"),
    "white_two_line": Look((0.33, 0.20), (WHITE, OFF_WHITE), (BLACK, GREEN), _LINES),
    "white_square": Look((0.20, 0.17), (WHITE, OFF_WHITE), (BLACK,), _LINES),
    "yellow": Look((0.51, 0.11), (YELLOW, AMBER), (BLACK,), _LONG),
    "yellow_blue_band": Look((0.52, 0.11), (YELLOW,), (BLACK,), _LONG, band="blue"),
    "yellow_two_line": Look((0.32, 0.20), (YELLOW, AMBER), (BLACK,), _LINES),
    "dark": Look((0.46, 0.11), (BLACK, (0.03, 0.03, 0.035)), (WHITE, SILVER, YELLOW), _LONG),
    "dark_two_line": Look((0.29, 0.19), (BLACK, NIGHT_BLUE), (WHITE, SILVER), _LINES),
    "red": Look((0.50, 0.11), (DEEP_RED, (0.55, 0.02, 0.02)), (WHITE, BLACK, YELLOW), _LONG),
    "green": Look((0.44, 0.14), (GREEN, PALE_GREEN, (0.02, 0.30, 0.12)), (WHITE, BLACK), _SHORT),
    "blue": Look((0.44, 0.13), (BLUE, NIGHT_BLUE), (WHITE,), _SHORT),
    "slogan_white": Look(
        (0.305, 0.152), (WHITE, OFF_WHITE, CREAM), (NIGHT_BLUE, DEEP_RED, BLACK, GREEN), _SHORT, "", True
    ),
    "slogan_colour": Look(
        (0.305, 0.152), (PALE_BLUE, YELLOW, PALE_GREEN, AMBER, BLUE), (BLACK, NIGHT_BLUE, WHITE), _SHORT, "", True
    ),
    "top_band": Look((0.40, 0.13), (WHITE,), (BLACK, BLUE), _SHORT, band="top"),
}
LOOKS: tuple[str, ...] = tuple(_PLATES)
_LONG_ODDS = np.array([12, 12, 5, 7, 3, 9, 7, 4, 6, 2, 4, 4, 2, 9, 7, 5], float)
_BIKE_LOOKS = ("white_two_line", "white_square", "yellow_two_line", "dark_two_line", "slogan_white", "white_square")
_SLOGANS = ("SUNNY COAST", "LAKE COUNTRY", "THE QUIET STATE", "RIVER LAND", "FIRST LIGHT", "HIGH PLAINS", "ISLAND")


@dataclass(frozen=True, eq=False)
class PlateDesign:
    """A plate as it is bolted on: look, text, layout in metres and wear.

    ``cells`` holds x, y, w, h of each character in metres from the plate's top left corner.
    """

    look: str
    text: str
    size: tuple[float, float]
    cells: tuple[tuple[float, float, float, float], ...]
    marks: tuple[tuple[float, float, float, float], ...]  # hyphens and dots between groups
    font: str
    ground: np.ndarray
    ink: np.ndarray
    border: float  # 0 none, else opacity of the line along the edge
    slogan: str
    dirt: float  # 0 clean to 1 caked
    mud: float  # share of the plate behind opaque mud or snow, roughly
    mud_colour: np.ndarray
    seed: int


def _layout(
    pattern: str, size: tuple[float, float], left: float, right: float, top: float, low: float, rng: np.random.Generator
) -> tuple[str, list[tuple[float, float, float, float]], list[tuple[float, float, float, float]]]:
    """Text, character cells and separator marks, in metres, for one pattern inside the plate's margins."""
    text, cells, marks = "", [], []
    rows = pattern.split("|")
    tall = (size[1] - top - low) / len(rows)
    dashed = rng.random() < 0.35
    fill = rng.uniform(0.76, 0.90)
    for number, row in enumerate(rows):
        units = [1.0 if c in "LD" else 0.42 for c in row]
        pitch = (size[0] - left - right) / (sum(units) + 0.25)
        glyph = min(pitch * 0.84, tall * fill * 0.72)
        pitch = min(pitch, glyph * 1.32)
        x = left + (size[0] - left - right - pitch * sum(units)) / 2
        y = top + tall * number + tall * (1 - fill) / 2
        for kind, unit in zip(row, units, strict=True):
            if kind in "LD":
                char = str(rng.choice(list(LETTERS if kind == "L" else DIGITS)))
                wide = glyph * (0.42 if char in "I1" else 1.0)
                cells.append((x + (pitch - wide) / 2, y, wide, tall * fill))
                text += char
            elif dashed:
                marks.append((x + pitch * unit * 0.2, y + tall * fill * 0.45, pitch * unit * 0.6, tall * fill * 0.1))
            x += pitch * unit
    return text, cells, marks


def design(rng: np.random.Generator, motorbike: bool = False, look: str | None = None) -> PlateDesign:
    """Draw a plate at random: never a real registration, only the manner of one."""
    if look is None:
        look = str(rng.choice(_BIKE_LOOKS)) if motorbike else str(rng.choice(LOOKS, p=_LONG_ODDS / _LONG_ODDS.sum()))
    kind = _PLATES[look]
    scale = 0.72 if motorbike and kind.size[0] > 0.25 else rng.uniform(0.93, 1.06)
    size = (kind.size[0] * scale, kind.size[1] * scale)
    edge = 0.055 * size[1]
    left = edge + (0.045 * scale if kind.band in ("blue", "both") else 0)
    right = edge + (0.045 * scale if kind.band == "both" else 0)
    top, low = edge, edge
    if kind.band == "top":
        top += 0.2 * size[1]
    if kind.slogan:
        top, low = 0.22 * size[1], 0.13 * size[1]
    text, cells, marks = _layout(str(rng.choice(kind.formats)), size, left, right, top, low, rng)
    ground = np.array(kind.ground[rng.integers(len(kind.ground))], np.float32)
    ink = np.array(kind.ink[rng.integers(len(kind.ink))], np.float32)
    if abs(float(ground.mean() - ink.mean())) < 0.08:  # dark ink on a dark ground could not be read by anyone
        ink = np.array(WHITE, np.float32)
    dirt = float(rng.beta(1.1, 3.5)) if rng.random() < 0.7 else 0.0
    mud = float(rng.uniform(0.05, 0.6)) if rng.random() < 0.07 else 0.0
    return PlateDesign(
        look, text, size, tuple(cells), tuple(marks),
        str(rng.choice(noise.PLATE_FONTS, p=[0.45, 0.25, 0.14, 0.1, 0.06])),
        ground * np.float32(rng.uniform(0.82, 1.0)), ink, float(rng.choice([0.0, 0.6, 0.95])),
        str(rng.choice(_SLOGANS)) if kind.slogan else "", dirt, mud,
        np.array((0.75, 0.78, 0.82) if rng.random() < 0.35 else (0.13, 0.09, 0.06), np.float32),
        int(rng.integers(1 << 30)),
    )  # fmt: skip


def paint(plate: PlateDesign, width: int) -> tuple[np.ndarray, np.ndarray]:
    """The plate's face, ``width`` pixels wide.

    Returns:
        Reflectance, float32 (h, w, 3), linear RGB; and float32 (h, w), 1 where the face shows, 0 behind mud or snow.
    """
    rng = noise.generator(9, plate.seed)
    kind = _PLATES[plate.look]
    unit = width / plate.size[0]  # pixels per metre
    height = max(round(plate.size[1] * unit), 4)
    face = np.empty((height, width, 3), np.float32)
    face[:] = plate.ground
    if kind.slogan and rng.random() < 0.6:  # a landscape in faint colours behind the characters
        tint = np.array([rng.uniform(0.3, 0.9) for _ in range(3)], np.float32)
        shade = np.linspace(1, 0, height, dtype=np.float32)[:, None, None] ** 2 * 0.45
        face += shade * (tint * plate.ground.max() - face)
    band = round(0.045 * unit * plate.size[0] / 0.52) if kind.band in ("blue", "both") else 0
    if band:
        for slot in (slice(0, band), slice(width - band, width))[: 1 + (kind.band == "both")]:
            face[:, slot] = (0.01, 0.05, 0.36)
        nation = noise.glyphs(str(rng.choice(list("DFNIEPSAB"))), "DejaVuSans-Bold")
        noise.stamp(face, nation, (0.25 * band, 0.62 * height, 0.5 * band, 0.22 * height), np.float32(0.8))
        cv2.circle(face, (band // 2, round(0.3 * height)), max(band // 4, 1), (0.7, 0.55, 0.05), max(band // 12, 1))
    if kind.band == "top":
        face[: round(0.2 * height)] = (0.015, 0.05, 0.32) if rng.random() < 0.7 else (0.02, 0.2, 0.06)
        label = noise.glyphs(str(rng.choice(_SLOGANS)), "DejaVuSans-Bold")
        noise.stamp(face, label, (0.3 * width, 0.04 * height, 0.4 * width, 0.12 * height), np.float32(0.8))
    if plate.slogan:
        colour = np.array((0.5, 0.03, 0.03) if rng.random() < 0.5 else plate.ink, np.float32)
        label = noise.glyphs(plate.slogan, str(rng.choice(noise.LABEL_FONTS)))
        noise.stamp(face, label, (0.2 * width, 0.045 * height, 0.6 * width, 0.13 * height), colour)
        if rng.random() < 0.6:  # a registration sticker in the corner
            face[round(0.05 * height) : round(0.19 * height), round(0.05 * width) : round(0.15 * width)] = rng.random(3)
    ink = np.zeros((height, width, 1), np.float32)
    for char, (x, y, w, h) in zip(plate.text, plate.cells, strict=True):
        noise.stamp(ink, noise.glyphs(char, plate.font), (x * unit, y * unit, w * unit, h * unit), np.float32(1))
    for x, y, w, h in plate.marks:
        x0, y0 = round(x * unit), round(y * unit)
        ink[y0 : y0 + max(round(h * unit), 1), x0 : x0 + max(round(w * unit), 1)] = 1
    face += ink * (plate.ink - face)
    if plate.border:
        inset, line = max(round(0.03 * height), 0), max(round(0.025 * height), 1)
        lined = face.copy()
        cv2.rectangle(lined, (inset, inset), (width - 1 - inset, height - 1 - inset), plate.ink.tolist(), line)
        face += np.float32(plate.border) * (lined - face)
    if height >= 24:  # pressed characters catch the light on their upper edges; bolts do, too
        relief = ink[..., 0] - cv2.warpAffine(
            ink[..., 0], np.float32([[1, 0, 1], [0, 1, max(height // 40, 1)]]), (width, height)
        )
        face += (0.10 * relief)[..., None]
        for side in (0.14, 0.86) if rng.random() < 0.7 else (0.5,):
            spot = (round(side * width), round((0.1 if plate.slogan else 0.5) * height))
            if plate.slogan or rng.random() < 0.25:
                cv2.circle(face, spot, max(height // 22, 1), (0.25, 0.25, 0.25), -1, cv2.LINE_AA)
    visible = np.ones((height, width), np.float32)
    if plate.dirt or plate.mud:
        patch = cv2.resize(noise.crop(noise.fractal(40 + plate.seed % 4), rng, 160, 320), (width, height))
        below = np.linspace(-0.6, 0.9, height, dtype=np.float32)[:, None]
        if plate.dirt:
            film = np.clip(plate.dirt * (0.45 + 0.25 * patch + 0.35 * below), 0, 0.85)[..., None]
            face += film * (np.float32([0.20, 0.17, 0.13]) - face)
        if plate.mud:
            level = np.quantile(patch + below, 1 - plate.mud)
            visible -= np.clip((patch + below - level) * 4 + 0.5, 0, 1)
            face += (1 - visible)[..., None] * (plate.mud_colour * (1 + 0.12 * patch[..., None]) - face)
    return np.clip(face, 0.005, 1), visible
