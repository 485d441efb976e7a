"""Whole vehicles: a shell with its trim, labels and number plates."""

from dataclasses import dataclass, field, replace

import numpy as np

from lib.scenes import noise
from lib.scenes.bodies import Shell, shell, skin
from lib.scenes.flanks import sides, wheels
from lib.scenes.light import Palette, palette
from lib.scenes.mesh import CHROME, PAINT, PLASTIC, RUBBER, SEAM, Part, box, decals, ellipsoid, join, tube
from lib.scenes.plates import PlateDesign, design
from lib.scenes.trim import End, front_trim, rear_trim


@dataclass(frozen=True, eq=False)
class Mount:
    """A plate on its vehicle: ``corners`` (4, 3) TL, TR, BR, BL for its reader, in body axes; ``lit`` by its lamp."""

    design: PlateDesign
    corners: np.ndarray
    normal: np.ndarray
    holder: float  # metres by which a dark frame stands out around it, 0 none


@dataclass(frozen=True, eq=False)
class Label:
    """Text or a picture on a surface that is no plate: ``corners`` (4, 3), reflectance (h, w, 3), own light."""

    corners: np.ndarray
    normal: np.ndarray
    face: np.ndarray
    glow: float = 0.0


@dataclass(eq=False)
class Vehicle:
    """Something with wheels, in body axes (see ``bodies``)."""

    style: str
    size: tuple[float, float, float]  # length, width, height
    colours: Palette
    parts: list[Part]
    mounts: list[Mount] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)
    rear_lamps: list[np.ndarray] = field(default_factory=list)
    front_lamps: list[np.ndarray] = field(default_factory=list)
    lamps_on: bool = False
    over: list[Part] = field(default_factory=list)  # drawn in front of the plates (tow bars)


def paint_colour(rng: np.random.Generator) -> tuple[np.ndarray, bool]:
    """A car's colour with the odds of the road (white, black, grey, silver first), and whether it is metallic."""
    pick = rng.random()
    if pick < 0.24:
        return np.full(3, rng.uniform(0.55, 0.78)) * (1, 0.99, rng.uniform(0.9, 1)), False
    if pick < 0.44:
        return np.full(3, rng.uniform(0.008, 0.03)), bool(rng.random() < 0.5)
    if pick < 0.72:
        return np.full(3, rng.uniform(0.06, 0.42)) * rng.uniform(0.93, 1.07, 3), True
    bases = ((0.45, 0.02, 0.02), (0.02, 0.06, 0.30), (0.02, 0.09, 0.20), (0.04, 0.16, 0.08), (0.55, 0.36, 0.05),
             (0.25, 0.04, 0.03),
             (0.10, 0.28, 0.45), (0.55, 0.12, 0.01), (0.30, 0.24, 0.15), (0.14, 0.09, 0.06), (0.12, 0.02, 0.12),
             (0.30, 0.42, 0.30))  # fmt: skip
    return np.array(bases[rng.integers(len(bases))]) * rng.uniform(0.6, 1.3), bool(rng.random() < 0.6)


def text_face(text: str, ground: np.ndarray, ink: np.ndarray, rng: np.random.Generator, aspect: float) -> np.ndarray:
    """A sticker or sign with a text, reflectance (h, w, 3)."""
    height = 40
    face = np.empty((height, max(round(height * aspect), 8), 3), np.float32)
    face[:] = ground
    glyph = noise.glyphs(text, str(rng.choice(noise.LABEL_FONTS)))
    wide = min(glyph.shape[1] / glyph.shape[0] * 24, face.shape[1] * 0.88)
    noise.stamp(face, glyph, ((face.shape[1] - wide) / 2, 9, wide, 22), ink)
    return face


def _bolt_on(end: End, y: float, rng: np.random.Generator, plate: PlateDesign, u: float = 0.0) -> Mount:
    corners, normal = end.quad(u, y, *plate.size, lean=float(rng.normal(0.0, 0.05)))
    tilt = rng.normal(0, 0.012)  # nobody bolts a plate on quite straight
    middle = corners.mean(0)
    across, up = (corners[1] - corners[0]) / plate.size[0], (corners[0] - corners[3]) / plate.size[1]
    flat = np.stack([(corners - middle) @ across, (corners - middle) @ up], 1)
    turn = np.array([[np.cos(tilt), np.sin(tilt)], [-np.sin(tilt), np.cos(tilt)]])
    corners = middle + (flat @ turn) @ np.stack([across, up])
    return Mount(plate, corners, normal, float(rng.choice([0.0, 0.012, 0.022], p=[0.45, 0.35, 0.2])))


def build(rng: np.random.Generator, style: str | None = None, plated: bool = True, lamps_on: bool = False) -> Vehicle:
    """A car, van, bus or lorry at random; ``plated`` gives it its number plates."""
    if style is None:
        odds = [0.30, 0.25, 0.12, 0.14, 0.06, 0.08, 0.025, 0.025]
        style = str(rng.choice(["saloon", "hatch", "estate", "offroad", "pickup", "van", "bus", "lorry"], p=odds))
    body = shell(style, rng)
    colour, metallic = paint_colour(rng)
    taxi = style in ("saloon", "estate") and rng.random() < 0.05
    if taxi:
        colour = np.array(((0.80, 0.48, 0.02), (0.62, 0.56, 0.40), (0.01, 0.01, 0.01))[rng.integers(3)])
    colours = palette(
        rng, colour, metallic, float(rng.choice([0.5, 1.6])) if lamps_on else 0.0, 3.0 if lamps_on else 0.0
    )
    reach = body.width / 2 * 0.9
    under = [box((-reach, 0.16, -0.44 * body.length), (reach, 0.32 * body.height, 0.44 * body.length), SEAM)]
    for z in (0.305 * body.length, -0.29 * body.length):
        for side in (-1, 1):
            x = sorted((side * reach * 1.02, side * (reach - 0.2)))
            under.append(box((x[0], 0.0, z - body.wheel * 0.7), (x[1], body.wheel * 1.5, z + body.wheel * 0.7), RUBBER))
    parts: list[Part] = [join(*under)]
    parts.append(skin(body, closed=style == "van" and rng.random() < 0.7))
    trim = PAINT if rng.random() < 0.62 else PLASTIC
    flat: list[tuple[np.ndarray, np.ndarray, int]] = []
    sides(body, flat, rng, trim)
    wheels(body, flat, rng)
    rear, rear_y, rear_lamps = rear_trim(body, rng, trim)
    front, front_y, front_lamps = front_trim(body, rng, trim)
    parts += [decals(flat), rear.laid(), front.laid()]
    mirrors = []
    mirror_y, mirror_z = body.belt + 0.07, float(body.z[body.knots["screen"]]) - 0.35
    for side in (-1, 1):
        x = side * (float(body.half(mirror_z, mirror_y)) + 0.10)
        mirrors.append(
            ellipsoid((x, mirror_y, mirror_z), (0.11, 0.075, 0.07), PAINT if trim == PAINT else PLASTIC, 10, 6, 0.8)
        )
    parts.append(join(*mirrors))
    vehicle = Vehicle(style, (body.length, body.width, body.height), colours, parts)
    vehicle.rear_lamps, vehicle.front_lamps, vehicle.lamps_on = rear_lamps, front_lamps, lamps_on
    if plated:
        first = design(rng)
        aside = float(rng.uniform(-0.3, 0.3)) if rng.random() < 0.06 else 0.0
        vehicle.mounts.append(_bolt_on(rear, rear_y, rng, first, aside))
        if rng.random() < 0.88:  # in some countries fronts are bare
            vehicle.mounts.append(
                _bolt_on(front, front_y, rng, replace(first, dirt=float(rng.beta(1.1, 3.5)), mud=0.0), aside)
            )
    _dress(vehicle, body, rear, front, rear_y, rng, taxi)
    if plated and rng.random() < 0.05:
        ball = body.end(0, (rear_y - 0.04) * body.height, True, 0.16)
        vehicle.over += [
            tube((0, ball[1] - 0.14, ball[2] + 0.2), (0, ball[1] - 0.12, ball[2]), 0.024, SEAM),
            tube((0, ball[1] - 0.13, ball[2]), tuple(ball), 0.02, SEAM),
            ellipsoid(tuple(ball), (0.03, 0.03, 0.03), CHROME, 8, 5),
        ]
    return vehicle


def _dress(
    vehicle: Vehicle, body: Shell, rear: End, front: End, plate_y: float, rng: np.random.Generator, taxi: bool
) -> None:
    """Names, stickers and signs: text that is no number plate."""
    dark, pale = np.full(3, 0.02, np.float32), np.full(3, 0.7, np.float32)
    paint = vehicle.colours.albedo[PAINT]

    def label(
        end: End, text: str, u: float, y: float, height: float, ground: np.ndarray, ink: np.ndarray, glow: float = 0.0
    ) -> None:
        aspect = max(len(text) * 0.62, 1.0) + 0.5
        corners, normal = end.quad(u, y, height * aspect, height)
        vehicle.labels.append(Label(corners, normal, text_face(text, ground, ink, rng, aspect), glow))

    if rng.random() < 0.6 and body.style != "bus":
        ink = np.full(3, 0.5 if paint.mean() < 0.4 else 0.1, np.float32)
        for side in (-1, 1) if rng.random() < 0.5 else (1,):
            label(
                rear,
                str(rng.choice(noise.BADGES)),
                side * rng.uniform(0.45, 0.6),
                min(plate_y + 0.11, 0.6),
                0.06,
                paint,
                ink,
            )
    for _ in range(int(rng.choice([0, 1, 2, 3], p=[0.62, 0.22, 0.1, 0.06]))):
        ground, ink = (rng.random(3).astype(np.float32) ** 2, pale) if rng.random() < 0.5 else (pale, dark)
        height = rng.uniform(0.05, 0.12)
        window = float(body.y[body.knots["boot"]]) / body.height + 0.06
        where = (rng.uniform(-0.6, 0.6), rng.choice([0.24, 0.30, window]))
        if abs(where[1] - plate_y) * body.height > 0.18 or abs(where[0]) > 0.5:
            label(rear, str(rng.choice(noise.STICKERS)), where[0], float(where[1]), height, ground, ink)
    if body.style == "bus":
        shown = f"{rng.integers(1, 200)} {rng.choice(noise.PLACES)}"
        for end in (front, rear):
            label(end, shown, 0.0, 0.905, 0.24, dark, np.array([0.9, 0.55, 0.05], np.float32), 1.2)
    if body.style in ("van", "lorry"):
        ink = np.float32(rng.random(3) ** 2)
        if rng.random() < 0.6:
            label(rear, str(rng.choice(noise.WORDS)), 0.0, 0.72, 0.3, paint, ink)
        if rng.random() < 0.5:
            label(front, str(rng.choice(noise.WORDS)), 0.0, 0.33, 0.14, paint, ink)
    if taxi:
        y = body.height + 0.08
        for z, normal in ((0.1, (0, 0, 1.0)), (-0.05, (0, 0, -1.0))):
            x = 0.22 * (1 if normal[2] > 0 else -1)
            corners = np.array([[x, y + 0.08, z], [-x, y + 0.08, z], [-x, y - 0.08, z], [x, y - 0.08, z]])
            face = text_face("TAXI", np.array([0.85, 0.6, 0.05], np.float32), dark, rng, 2.6)
            vehicle.labels.append(Label(corners, np.array(normal), face, 0.5))
