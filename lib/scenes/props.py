"""Street furniture: lamp posts, barrier arms, pumps, bollards, guard rails, signs on poles."""

from itertools import pairwise

import numpy as np

from lib.scenes import textures
from lib.scenes.backdrop import Panel
from lib.scenes.light import Palette, palette
from lib.scenes.mesh import CHROME, CLEAR, GRILLE, PAINT, PAINT2, PLASTIC, RED, RIM, Part, box, ellipsoid, join, tube
from lib.scenes.vehicles import Vehicle


def _prop(parts: list[Part], colours: Palette, size: tuple[float, float, float]) -> Vehicle:
    return Vehicle("prop", size, colours, parts)


def barrier(rng: np.random.Generator) -> Vehicle:
    """A car park's white barrier arm, along X from its post at the origin, plain or with red ends of stripes."""
    colours = palette(rng, np.full(3, rng.uniform(0.6, 0.75)), False, 0.0, 0.0)
    reach, high, pieces = rng.uniform(2.6, 4.2), rng.uniform(0.85, 1.05), 8
    striped = rng.random() < 0.55
    edges = np.linspace(0.1, reach, pieces + 1)
    rise = rng.uniform(0.0, 0.04) if rng.random() < 0.8 else 0.5
    arm = [
        box((a, high - 0.05, -0.02), (b, high + 0.05, 0.02), RED if striped and k % 2 else PAINT)
        for k, (a, b) in enumerate(pairwise(edges))
    ]
    mesh = join(*arm)
    mesh.quads[..., 1] += mesh.quads[..., 0] * rise
    return _prop([box((-0.2, 0, -0.18), (0.15, high + 0.12, 0.18), PAINT2), mesh], colours, (0.3, 0.4, 1.1))


def lamp_post(rng: np.random.Generator) -> Vehicle:
    """A street lamp; it shines at dusk and at night."""
    colours = palette(rng, np.full(3, rng.uniform(0.03, 0.3)), False, 0.0, 0.0)
    high, reach = rng.uniform(5, 8), rng.uniform(0.5, 1.6) * rng.choice([-1, 1])
    parts = [tube((0, 0, 0), (0, high, 0), 0.09, PAINT, 0.05), tube((0, high, 0), (reach, high + 0.25, 0), 0.04, PAINT),
             ellipsoid((reach, high + 0.2, 0), (0.3, 0.08, 0.13), CLEAR, 8, 5)]  # fmt: skip
    lamp = _prop([join(*parts)], colours, (0.2, 0.2, 1.5))
    lamp.front_lamps = [np.array([reach, high + 0.1, 0.0])]
    return lamp


def pole(rng: np.random.Generator, high: float = 2.6) -> Vehicle:
    """A bare metal post."""
    return _prop(
        [tube((0, 0, 0), (0, high, 0), rng.uniform(0.03, 0.09), RIM)],
        palette(rng, np.full(3, 0.3), False, 0, 0),
        (0.1, 0.1, 0.4),
    )


def bollard(rng: np.random.Generator) -> Vehicle:
    """A low post, metal or concrete."""
    colours = palette(rng, np.full(3, rng.choice([0.02, 0.25, 0.4])), False, 0, 0)
    return _prop(
        [join(tube((0, 0, 0), (0, 0.85, 0), 0.09, PAINT), ellipsoid((0, 0.85, 0), (0.09, 0.06, 0.09), PAINT, 8, 5))],
        colours,
        (0.2, 0.2, 0.6),
    )


def pump(rng: np.random.Generator) -> Vehicle:
    """A fuel pump on its island."""
    colours = palette(rng, rng.random(3) ** 1.4 * 0.6, False, 0, 0)
    parts = [box((-1.3, 0, -0.5), (1.3, 0.14, 0.5), RIM), box((-0.4, 0.14, -0.25), (0.4, 1.7, 0.25), PAINT),
             box((-0.32, 0.9, -0.27), (0.32, 1.4, 0.27), GRILLE), box((-0.4, 1.7, -0.25), (0.4, 1.95, 0.25), PAINT2),
             tube((0.42, 1.0, -0.1), (0.46, 0.4, -0.1), 0.025, PLASTIC),
             tube((-1.1, 0.14, 0), (-1.1, 0.9, 0), 0.06, CHROME)]  # fmt: skip
    return _prop([join(*parts)], colours, (1.2, 2.6, 1.5))


def guard_rail(rng: np.random.Generator, length: float) -> Vehicle:
    """A steel rail along Z on posts."""
    parts = [box((-0.04, 0.45, a), (0.04, 0.75, a + 4.0), RIM) for a in np.arange(0, length, 4.0)]
    parts += [box((-0.05, 0, a), (0.05, 0.6, a + 0.12), RIM) for a in np.arange(0, length, 4.0)]
    return _prop([join(*parts)], palette(rng, np.full(3, 0.3), False, 0, 0), (0.1, 0.1, 0.3))


def sign(rng: np.random.Generator, x: float, z: float, heading: float, kind: str, foot: float) -> Panel:
    """A sign that looks back along its heading, its lower edge ``foot`` metres up."""
    face, (wide, tall) = textures.poster(rng, kind)
    right = np.array([np.cos(heading), 0, -np.sin(heading)]) * wide / 2
    low, high = np.array([x, foot, z]), np.array([x, foot + tall, z])
    return Panel(np.stack([high - right, high + right, low + right, low - right]), face, face * 0.15)
