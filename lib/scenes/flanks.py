"""What is laid on the sides of a shell: wheels, doors, handles, the shoulder line."""

import numpy as np

from lib.scenes.bodies import Shell
from lib.scenes.mesh import CHROME, PAINT, PAINT2, RIM, RUBBER, SEAM


def wheels(body: Shell, flat: list[tuple[np.ndarray, np.ndarray, int]], rng: np.random.Generator) -> None:
    """Append arches, tyres, rims and spokes to ``flat``: (corners, normal, material) as ``mesh.decals`` takes them."""
    spokes, turn0 = int(rng.integers(5, 11)), rng.uniform(0, 1)
    turn = np.linspace(0, 2 * np.pi, 19)[:-1]
    for z in (0.305 * body.length, -0.29 * body.length):
        for right in (False, True):
            side = 1.0 if right else -1.0
            normal = np.array([side, 0.0, 0.0])
            x = side * (float(body.half(z, body.wheel)) + 0.006)

            def disc(
                radius: float, material: int, squash: float = 1.0, x: float = x, z: float = z, n: np.ndarray = normal
            ) -> None:
                ring = np.stack(
                    [np.full(18, x), body.wheel + radius * np.sin(turn) * squash, z + radius * np.cos(turn)], 1
                )
                flat.append((ring, n, material))

            disc(body.wheel * 1.17, SEAM)
            disc(body.wheel, RUBBER)
            disc(body.wheel * 0.68, RIM)
            for k in range(spokes):
                a, b = (np.array([k + 0.18, k + 0.82]) / spokes + turn0) * 2 * np.pi
                wedge = np.array([[0.16, (a + b) / 2], [0.60, a], [0.62, (a + b) / 2], [0.60, b]])
                up, along = (
                    body.wheel * (1 + wedge[:, 0] * np.sin(wedge[:, 1])),
                    z + body.wheel * wedge[:, 0] * np.cos(wedge[:, 1]),
                )
                flat.append((np.stack([np.full(4, x), up, along], 1), normal, SEAM))


def sides(body: Shell, flat: list[tuple[np.ndarray, np.ndarray, int]], rng: np.random.Generator, trim: int) -> None:
    """Append sill, doors, handles, pillars and shoulder line to ``flat``; ``trim`` is the bumpers' material."""
    height, seats = body.height, body.style in ("saloon", "hatch", "estate", "offroad", "pickup")
    for right in (False, True):
        normal = np.array([1.0 if right else -1.0, 0.0, 0.0])

        def quad(
            z0: float,
            z1: float,
            y0: float,
            y1: float,
            material: int,
            lean: float = 0.0,
            r: bool = right,
            n: np.ndarray = normal,
        ) -> None:
            z, y = np.array([z0, z1, z1 + lean, z0 + lean]), np.array([y0, y0, y1, y1])
            flat.append((body.side(z, y, r), n, material))

        reach = 0.44 * body.length
        quad(-reach, reach, 0.14 * height, 0.20 * height, trim)
        for y, tilt in ((0.57, 0.5), (0.535, -0.35), (0.26, -0.4)) if seats else ():  # the shoulder line and the sill
            along, up = np.array([-reach, reach, reach, -reach]), np.array([y, y, y + 0.03, y + 0.03]) * height
            flat.append((body.side(along, up, right),
                         np.array([normal[0], tilt, 0]) / np.hypot(1, tilt), PAINT))  # fmt: skip
        if seats:
            for z in (0.21, 0.0, -0.19):
                quad(z * body.length - 0.007, z * body.length + 0.007, 0.22 * height, body.belt, SEAM)
            quad(-0.03, 0.05, body.belt, 0.955 * height, SEAM, -0.04)
            for z in (-0.02, 0.19 if body.style == "pickup" else -0.17):
                quad(
                    z * body.length,
                    z * body.length + 0.2,
                    body.belt - 0.09,
                    body.belt - 0.06,
                    CHROME if rng.random() < 0.3 else SEAM,
                )
            quad(-0.36 * body.length, 0.3 * body.length, body.belt - 0.005, body.belt + 0.02, trim)
        elif body.style == "bus":
            for z in np.arange(-0.42, 0.45, 0.11):
                quad(z * body.length, z * body.length + 0.09, body.belt, 0.93 * height, SEAM)
            quad(-0.49 * body.length, 0.48 * body.length, 0.20 * height, 0.36 * height, PAINT2)
        else:
            quad(0.12 * body.length, 0.13 * body.length, 0.2 * height, 0.9 * height, SEAM)
