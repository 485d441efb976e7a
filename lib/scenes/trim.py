"""What is laid on the front and the rear of a shell: lamps, grille, bumpers, creases, windows' trim."""

import numpy as np

from lib.scenes.bodies import Shell
from lib.scenes.mesh import AMBER, CABIN, CHROME, CLEAR, GRILLE, PAINT, PAINT2, PLASTIC, RED, SEAM, Decals, cross


class End:
    """The front or the rear of a shell while trim is laid on it."""

    def __init__(self, body: Shell, rear: bool) -> None:
        self.body, self.rear = body, rear
        self.outlines: list[list[tuple[float, float]]] = []
        self.material: list[int] = []
        self.tilts: list[float] = []

    def patch(self, outline: list[tuple[float, float]], material: int, tilt: float = 0.0) -> None:
        """A polygon given by (u, height share) corners; long edges follow the curve of the body.

        ``tilt`` turns its normal up (a crease that mirrors the sky) or, negative, down to the road.
        """
        self.tilts.append(tilt)
        points = []
        for (u0, y0), (u1, y1) in zip(outline, [*outline[1:], outline[0]], strict=True):
            count = max(int(abs(u1 - u0) / 0.18), 1)
            points += [(u0 + (u1 - u0) * k / count, y0 + (y1 - y0) * k / count) for k in range(count)]
        self.outlines.append(points)
        self.material.append(material)

    def laid(self) -> Decals:
        """All patches so far, on the body."""
        counts = np.array([len(outline) for outline in self.outlines])
        u, y = np.array([point for outline in self.outlines for point in outline]).T
        starts = np.cumsum(counts) - counts
        centre_u, centre_y = np.add.reduceat(u, starts) / counts, np.add.reduceat(y, starts) / counts
        lift = np.repeat(0.004 + 0.001 * np.arange(len(counts)), counts)
        height = self.body.height
        normals = self.body.end_normal(centre_u, centre_y * height, self.rear)
        normals[:, 1] += self.tilts
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        return Decals(
            self.body.end(u, y * height, self.rear, lift), counts, normals, np.array(self.material, np.uint8),
        )  # fmt: skip

    def strip(self, u0: float, u1: float, y0: float, y1: float, material: int, tilt: float = 0.0) -> None:
        """A rectangle from ``u0`` to ``u1`` and between two height shares."""
        self.patch([(u0, y0), (u1, y0), (u1, y1), (u0, y1)], material, tilt)

    def disc(self, u: float, y: float, radius: float, material: int, squash: float = 1.0) -> None:
        """A disc of a radius in metres, ``squash`` times as high as wide."""
        turn = np.linspace(0, 2 * np.pi, 13)[:-1]
        half = float(self.body.half(0, y * self.body.height))
        self.patch(
            [(u + radius / half * np.cos(t), y + radius * squash / self.body.height * np.sin(t)) for t in turn],
            material,
        )

    def both(self, outline: list[tuple[float, float]], material: int) -> None:
        """A patch and its mirror image."""
        self.patch(outline, material)
        self.patch([(-u, y) for u, y in outline], material)

    def quad(
        self, u: float, y: float, width: float, height: float, lift: float = 0.012, lean: float = 0.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """A flat rectangle (metres) on the surface: its corners for a reader, and its normal."""
        centre = self.body.end(u, y * self.body.height, self.rear, lift + 0.02)
        normal = self.body.end_normal(u, y * self.body.height, self.rear)
        normal[1] = normal[1] * 0.6 + lean
        normal /= np.linalg.norm(normal)
        right = cross(normal, np.array([0.0, 1.0, 0.0]))
        right /= np.linalg.norm(right)
        up = cross(normal, right)
        up *= np.sign(up[1])
        x, y_ = right * width / 2, up * height / 2
        return np.stack([centre - x + y_, centre + x + y_, centre + x - y_, centre - x - y_]), normal


def rear_trim(body: Shell, rng: np.random.Generator, trim: int) -> tuple[End, float, list[np.ndarray]]:
    """Lay out a rear.

    Returns:
        The end, the plate's height share, and the lamps' places in body axes.
    """
    end, boxy = End(body, True), body.style in ("van", "bus", "lorry")
    tail = float(body.y[body.knots["tail"]] / body.height)
    low = 0.37 if not boxy else 0.24
    end.strip(-0.97, 0.97, 0.17 if not boxy else 0.13, low, trim)
    end.strip(-0.97, 0.97, low - 0.006, low + 0.006, SEAM)
    if rng.random() < 0.5 and not boxy:
        end.strip(-0.8, 0.8, 0.165, 0.22, PLASTIC if trim != PLASTIC else SEAM)
    if not boxy:  # creases: below the lid's edge, along the bumper's shoulder
        end.strip(-0.95, 0.95, tail - 0.07, tail - 0.03, PAINT, -rng.uniform(0.2, 0.6))
        end.strip(-0.93, 0.93, low - 0.05, low - 0.01, trim, rng.uniform(0.3, 0.9))
        end.strip(-0.93, 0.93, low - 0.14, low - 0.09, trim, -rng.uniform(0.3, 0.7))
    lamps = []
    if body.style in ("saloon", "hatch", "estate"):
        inner, top, bottom = rng.uniform(0.42, 0.72), tail - 0.015, tail - rng.uniform(0.10, 0.17)
        shapes = [
            (inner, top - rng.uniform(0, 0.04)),
            (1.0, top + 0.01),
            (1.0, bottom),
            (inner + rng.uniform(-0.08, 0.06), bottom),
        ]
        if body.style != "saloon" and rng.random() < 0.5:
            shapes = [(0.72, tail - 0.02), (0.84, tail + 0.18), (1.0, tail + 0.16), (1.0, bottom), (0.70, bottom)]
    elif body.style in ("offroad", "pickup"):
        shapes = [(0.76, 0.42), (0.78, 0.63), (0.99, 0.63), (0.99, 0.42)]
    else:
        high = 0.55 if body.style == "van" else 0.40
        shapes = [(0.86, high - 0.16), (0.86, high), (0.985, high), (0.985, high - 0.16)]
    end.both(shapes, RED)
    middle = np.mean(shapes, axis=0)
    inset = [((u - middle[0]) * 0.5 + middle[0], (y - middle[1]) * 0.36 + middle[1] - 0.012) for u, y in shapes]
    end.both(inset, CLEAR if rng.random() < 0.6 else AMBER)
    for side in (-1, 1):
        lamps.append(body.end(side * middle[0], middle[1] * body.height, True, 0.02))
    if boxy:
        end.strip(-0.004, 0.004, low, 0.94, SEAM)
        plate_y = rng.uniform(0.27, 0.36) if body.style == "van" else rng.uniform(0.15, 0.21)
    else:
        end.strip(-0.78, 0.78, low + 0.01, low + 0.022, SEAM)
        plate_y = (low + tail) / 2 + rng.uniform(-0.02, 0.02) if rng.random() < 0.7 else rng.uniform(0.27, 0.32)
        if rng.random() < 0.75:  # the hollow the plate sits in
            half, deep = rng.uniform(0.34, 0.46), rng.uniform(0.055, 0.085)
            hollow = [
                (-half * 1.05, plate_y - deep),
                (-half * 0.94, plate_y + deep),
                (half * 0.94, plate_y + deep),
                (half * 1.05, plate_y - deep),
            ]
            end.patch(hollow, PLASTIC if rng.random() < 0.25 else PAINT, -0.45)
            end.strip(-half * 0.98, half * 0.98, plate_y - deep, plate_y - deep * 0.6, PAINT, 1.0)
        if rng.random() < 0.5:
            end.strip(-0.40, 0.40, plate_y + 0.055, plate_y + 0.085, CHROME if rng.random() < 0.4 else PAINT2)
        end.disc(0, min(tail - 0.015, plate_y + 0.13), 0.036, CHROME, 0.8)
        for side in (-1, 1) if rng.random() < 0.4 else (rng.choice([-1, 1]),):
            end.disc(side * 0.6, 0.175, 0.04, CHROME, 0.8)
            end.disc(side * 0.6, 0.175, 0.028, SEAM, 0.8)
        for side in (-1, 1):
            end.strip(side * 0.86 - 0.09, side * 0.86 + 0.09, 0.24, 0.26, RED)
    if body.style != "lorry":
        window = (float(body.y[body.knots["boot"]] + body.y[body.knots["rear"]]) / 2) / body.height
        for u in (-0.42, 0.42):  # head restraints behind the glass
            end.disc(u, window - 0.03, 0.12, CABIN, 0.9)
        end.strip(
            -0.13,
            0.13,
            float(body.y[body.knots["rear"]] / body.height) - 0.03,
            float(body.y[body.knots["rear"]] / body.height) - 0.015,
            RED,
        )
        if body.style in ("hatch", "estate", "offroad"):
            end.patch([(0.0, window - 0.10), (0.02, window - 0.11), (0.42, window - 0.06), (0.40, window - 0.05)], SEAM)
    return end, plate_y, lamps


def front_trim(body: Shell, rng: np.random.Generator, trim: int) -> tuple[End, float, list[np.ndarray]]:
    """Lay out a front; returns as ``rear_trim``."""
    end, boxy = End(body, False), body.style in ("van", "bus", "lorry")
    brow = float(body.y[body.knots["bonnet"]] / body.height)
    low = 0.33 if not boxy else 0.22
    end.strip(-0.97, 0.97, 0.16 if not boxy else 0.11, low, trim)
    wide, foot = rng.uniform(0.30, 0.55), low + 0.03
    head = brow - rng.uniform(0.02, 0.05)
    if not boxy:
        end.strip(-0.95, 0.95, low - 0.035, low + 0.01, trim, rng.uniform(0.3, 0.9))
        end.strip(-0.95, 0.95, low - 0.12, low - 0.07, trim, -rng.uniform(0.3, 0.7))
    grille = [(-wide, foot + 0.02), (-wide * rng.uniform(0.8, 1.1), head), (0.0, head)]
    end.patch([*grille, *[(-u, y) for u, y in reversed(grille[:2])]], GRILLE)
    bar = CHROME if rng.random() < 0.6 else PLASTIC
    if rng.random() < 0.75:
        for y in np.linspace(foot + 0.03, head - 0.01, int(rng.integers(2, 6))):
            end.strip(-wide * 0.9, wide * 0.9, y - 0.004, y + 0.004, bar)
    else:
        for u in np.linspace(-wide * 0.8, wide * 0.8, 9):
            end.strip(u - 0.008, u + 0.008, foot + 0.03, head - 0.01, bar)
    end.disc(0, (foot + head) / 2 + 0.03, 0.042, CHROME, 0.9)
    bottom = head - rng.uniform(0.07, 0.13)
    outline = [
        (wide + 0.05, bottom + 0.02),
        (wide + 0.08, head),
        (1.0, head + rng.uniform(0.0, 0.03)),
        (1.0, bottom + rng.uniform(0, 0.03)),
    ]
    if boxy:
        outline = [(0.66, low + 0.02), (0.66, low + 0.09), (0.97, low + 0.09), (0.97, low + 0.02)]
    end.both([((u - 0.75) * 1.06 + 0.75, (y - head) * 1.1 + head + 0.004) for u, y in outline], SEAM)
    end.both(outline, CLEAR)
    middle = np.mean(outline, axis=0)
    lamps = []
    for side in (-1, 1):
        end.disc(side * (middle[0] - 0.05), middle[1], 0.055, CHROME, 0.9)
        end.disc(side * (middle[0] - 0.05), middle[1], 0.035, CLEAR, 0.9)
        lamps.append(body.end(side * middle[0], middle[1] * body.height, False, 0.02))
        if rng.random() < 0.5:
            end.strip(side * 0.9 - 0.06, side * 0.9 + 0.06, middle[1] - 0.02, middle[1] + 0.02, AMBER)
    if not boxy:
        end.patch([(-0.62, 0.18), (-0.55, 0.265), (0.55, 0.265), (0.62, 0.18)], GRILLE)
        for side in (-1, 1):
            end.disc(side * 0.78, 0.23, 0.05, GRILLE, 0.8)
            end.disc(side * 0.78, 0.23, 0.032, CLEAR if rng.random() < 0.7 else GRILLE, 0.8)
    end.strip(-0.86, 0.86, brow + 0.006, brow + 0.014, SEAM)
    base = float(body.y[body.knots["screen"]] / body.height)
    for u in (-0.55, 0.05):  # wipers
        end.patch([(u, base + 0.03), (u + 0.02, base + 0.03), (u + 0.45, base + 0.065), (u + 0.45, base + 0.055)], SEAM)
    if rng.random() < 0.6 and body.style != "lorry":  # a driver
        end.disc(0.42 if rng.random() < 0.3 else -0.42, base + 0.17, 0.13, CABIN, 1.1)
    return end, (low + 0.005 if rng.random() < 0.6 else 0.26) if not boxy else 0.18, lamps
