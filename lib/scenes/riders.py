"""Motorbikes with and without riders, and people on foot, out of ellipsoids and tubes."""

import numpy as np

from lib.scenes import mesh
from lib.scenes.light import palette
from lib.scenes.mesh import (
    AMBER,
    CHROME,
    CLEAR,
    CLOTH,
    GLASS,
    HELMET,
    PAINT,
    PLASTIC,
    RED,
    RIM,
    RUBBER,
    SEAM,
    SKIN,
    TROUSERS,
    Part,
    ellipsoid,
    tube,
)  # fmt: skip
from lib.scenes.plates import PlateDesign, design
from lib.scenes.vehicles import Mount, Vehicle, paint_colour


def _wheel(z: float, radius: float, width: float) -> list[Part]:
    turn = np.linspace(0, 2 * np.pi, 19)[:-1]
    parts: list[Part] = [ellipsoid((0, radius, z), (width, radius, radius), RUBBER, 14, 9, 0.8)]
    for side in (-1.0, 1.0):
        for share, material in ((0.72, RIM), (0.6, SEAM), (0.25, CHROME)):
            ring = np.stack(
                [np.full(18, side * width), radius * (1 + share * np.sin(turn)), z + radius * share * np.cos(turn)], 1
            )
            parts.append(mesh.decals([(ring, np.array([side, 0.0, 0.0]), material)]))
    return parts


def _plate(centre: tuple, rng: np.random.Generator, rear: bool, plate: PlateDesign, lean: float) -> Mount:
    side = 1.0 if rear else -1.0
    normal = np.array([0, np.sin(lean), -side * np.cos(lean)])
    up = np.array([0, np.cos(lean), side * np.sin(lean)])
    right, middle = np.array([side, 0, 0]), np.array(centre)
    x, y = right * plate.size[0] / 2, up * plate.size[1] / 2
    corners = np.stack([middle - x + y, middle + x + y, middle + x - y, middle - x - y])
    return Mount(plate, corners, normal, float(rng.choice([0.0, 0.006])))


def motorbike(
    rng: np.random.Generator, plated: bool = True, lamps_on: bool = False, rider: bool | None = None
) -> Vehicle:
    """A scooter or motorbike at random, with a plate behind and, where that is the custom, one in front."""
    colour, metallic = paint_colour(rng)
    colours = palette(rng, colour, metallic, 1.4 if lamps_on else 0.0, 3.0 if lamps_on else 0.0)
    radius, base, scooter = rng.uniform(0.24, 0.31), rng.uniform(1.2, 1.4), rng.random() < 0.5
    front, rear, seat = base / 2, -base / 2, rng.uniform(0.74, 0.84)
    parts: list[Part] = [*_wheel(front, radius, 0.055), *_wheel(rear, radius, 0.075)]
    parts += [tube((s * 0.10, radius, front), (s * 0.12, 0.95, front - 0.28), 0.022, CHROME) for s in (-1, 1)]
    parts += [
        ellipsoid((0, radius * 1.5, front - 0.02), (0.075, radius * 0.75, radius * 1.05), PAINT, 10, 6),
        ellipsoid((0, 0.48, -0.02), (0.15, 0.24, 0.42), PLASTIC, 10, 6, 0.8),
        tube((0.16, 0.30, rear - 0.12), (0.15, 0.34, 0.1), 0.05, CHROME if rng.random() < 0.6 else SEAM),
        ellipsoid((0, 0.72, 0.16), (0.17, 0.15, 0.30), PAINT, 12, 7),
        ellipsoid((0, 0.62, rear + 0.12), (0.16 if scooter else 0.12, 0.16, 0.36), PAINT, 12, 7, 0.8),
        ellipsoid((0, seat, rear + 0.28), (0.14, 0.055, 0.42), RUBBER, 12, 6, 0.8),
    ]
    if scooter:
        parts += [ellipsoid((0, 0.62, front - 0.20), (0.24, 0.34, 0.08), PAINT, 12, 8, 0.8)]
    tail_y = rng.uniform(0.60, 0.70)
    lamp = ellipsoid((0, tail_y, rear - 0.22), (0.10, 0.05, 0.05), RED, 10, 6)
    head = ellipsoid((0, 0.93, front - 0.17), (0.10, 0.10, 0.08), CLEAR, 12, 8)
    parts += [
        tube((0, tail_y - 0.03, rear - 0.05), (0, tail_y - 0.22, rear - 0.24), 0.035, PLASTIC),
        lamp, ellipsoid((0, 0.93, front - 0.24), (0.13, 0.13, 0.10), PAINT, 12, 8), head,
        tube((-0.34, 1.0, front - 0.40), (0.34, 1.0, front - 0.40), 0.018, SEAM),
    ]  # fmt: skip
    for side in (-1, 1):
        parts += [
            ellipsoid((side * 0.17, tail_y - 0.03, rear - 0.18), (0.03, 0.025, 0.03), AMBER, 8, 5),
            ellipsoid((side * 0.18, 0.90, front - 0.22), (0.03, 0.025, 0.03), AMBER, 8, 5),
            tube((side * 0.28, 1.0, front - 0.38), (side * 0.34, 1.2, front - 0.36), 0.008, SEAM),
            ellipsoid((side * 0.34, 1.22, front - 0.36), (0.07, 0.045, 0.015), PLASTIC, 8, 5),
        ]
    if rng.random() < 0.72 if rider is None else rider:
        y = seat + 0.05
        parts += [tube((s * 0.12, y, -0.2), (s * 0.22, y - 0.12, 0.22), 0.085, TROUSERS, 0.07) for s in (-1, 1)]
        parts += [tube((s * 0.22, y - 0.12, 0.22), (s * 0.17, 0.33, 0.05), 0.065, TROUSERS, 0.05) for s in (-1, 1)]
        parts += [ellipsoid((0, y + 0.30, -0.16), (0.22, 0.34, 0.15), CLOTH, 12, 8, 0.8)]
        parts += [tube((s * 0.22, y + 0.50, -0.14), (s * 0.32, y + 0.24, 0.08), 0.06, CLOTH) for s in (-1, 1)]
        parts += [tube((s * 0.32, y + 0.24, 0.08), (s * 0.31, 1.02, front - 0.42), 0.045, CLOTH) for s in (-1, 1)]
        parts += [
            ellipsoid((0, y + 0.80, -0.10), (0.135, 0.16, 0.155), HELMET, 14, 9),
            ellipsoid((0, y + 0.80, -0.02), (0.11, 0.06, 0.09), GLASS, 10, 6),
        ]
    solids = [p for p in parts if isinstance(p, mesh.Mesh)]
    flat = [p for p in parts if isinstance(p, mesh.Decals)]
    vehicle = Vehicle("motorbike", (base + 0.7, 0.7, 1.6), colours, [*flat, mesh.join(*solids)], lamps_on=lamps_on)
    vehicle.rear_lamps, vehicle.front_lamps = [np.array([0, tail_y, rear - 0.27])], [np.array([0, 0.93, front - 0.09])]
    if plated:
        plate = design(rng, motorbike=True)
        vehicle.mounts.append(_plate((0, tail_y - 0.17, rear - 0.27), rng, True, plate, rng.uniform(0.1, 0.5)))
        if rng.random() < 0.35:
            vehicle.mounts.append(_plate((0, 0.73, front - 0.06), rng, False, plate, rng.uniform(-0.1, 0.25)))
    return vehicle


def pedestrian(rng: np.random.Generator) -> Vehicle:
    """Somebody on foot, in mid-step, looking along Z."""
    colours = palette(rng, rng.random(3) * 0.5, False, 0.0, 0.0)
    tall, stride = rng.uniform(0.93, 1.06), rng.uniform(-0.28, 0.28)
    parts = []
    for side in (-1, 1):
        knee = (side * 0.10, 0.48, side * stride * 0.5)
        parts += [
            tube((side * 0.09, 0.90, 0), knee, 0.085, TROUSERS, 0.065),
            tube(knee, (side * 0.10, 0.07, side * stride - 0.03), 0.06, TROUSERS, 0.045),
            ellipsoid((side * 0.10, 0.05, side * stride + 0.03), (0.05, 0.05, 0.13), RUBBER, 8, 5),
            tube((side * 0.21, 1.40, 0), (side * 0.26, 1.12, -side * stride * 0.4), 0.055, CLOTH, 0.045),
            tube(
                (side * 0.26, 1.12, -side * stride * 0.4),
                (side * 0.25, 0.88, -side * stride * 0.8 + 0.05),
                0.042,
                CLOTH,
                0.035,
            ),
            ellipsoid((side * 0.25, 0.85, -side * stride * 0.8 + 0.06), (0.035, 0.05, 0.04), SKIN, 7, 5),
        ]
    parts += [
        ellipsoid((0, 1.18, 0), (0.19, 0.33, 0.12), CLOTH, 12, 9),
        ellipsoid((0, 1.52, 0), (0.05, 0.08, 0.05), SKIN, 8, 5),
        ellipsoid((0, 1.64, 0.01), (0.085, 0.115, 0.10), SKIN, 12, 8),
        ellipsoid((0, 1.68, -0.02), (0.092, 0.095, 0.105), RUBBER if rng.random() < 0.6 else HELMET, 12, 8),
    ]
    body = mesh.join(*parts)
    return Vehicle("pedestrian", (0.5, 0.5, 1.75), colours, [mesh.Mesh(body.quads * tall, body.normals, body.material)])
