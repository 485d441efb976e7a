"""Yards, car parks and petrol stations: what is laid around a shot where cars stand."""

import numpy as np

from lib.scenes import props, textures
from lib.scenes.backdrop import Panel, Plant
from lib.scenes.ground import Area, Ground
from lib.scenes.shot import Shot
from lib.scenes.streets import asphalt, signs, stripe


def wall(shot: Shot, z: float, angle: float, count: int = 5) -> None:
    """House fronts across the view behind the near vehicle."""
    rng = shot.rng
    along = np.array([np.cos(angle), 0, -np.sin(angle)])
    foot = np.array([z * np.sin(shot.turn), 0, z * np.cos(shot.turn)]) - along * rng.uniform(14, 24)
    for _ in range(count):
        face, glow, (wide, tall) = textures.facade(int(rng.integers(textures.FACADES)))
        end = foot + along * wide
        up = np.array([0, tall, 0])
        shot.world.things.append(Panel(np.stack([foot + up, end + up, end, foot]), face, glow))
        foot = end


def yard(shot: Shot) -> None:
    """A drive or yard: the vehicle before a house or a hedge, on paving, gravel or grass."""
    rng, world = shot.rng, shot.world
    base = ((0.24, 0.23, 0.21), (0.30, 0.25, 0.19), (0.10, 0.13, 0.05), (0.22, 0.14, 0.11), (0.16, 0.16, 0.16))[
        rng.integers(5)
    ]
    world.ground = Ground(
        base, [], float(rng.uniform(0.12, 0.28)), int(rng.integers(8)), float(rng.uniform(0, 0.5)) * world.light.hard
    )
    if rng.random() < 0.5:  # slabs
        pitch, line = rng.uniform(0.4, 1.2), tuple((np.array(base) * 0.55).tolist())
        world.ground.areas += [stripe(x, x + 0.025, -2, 30, line) for x in np.arange(-12, 12, pitch)]
        world.ground.areas += [stripe(-12, 12, z, z + 0.025, line) for z in np.arange(-2, 24, pitch)]
    behind = shot.distance + world.actors[0].vehicle.size[0] / 2 + rng.uniform(1.0, 9.0)
    if rng.random() < 0.7:
        wall(shot, behind, shot.turn + rng.normal(0, 0.3))
    else:
        world.hills = float(rng.uniform(0.05, 0.25))
    for _ in range(int(rng.integers(0, 7))):
        angle, far = shot.turn + rng.uniform(-0.7, 0.7), behind * rng.uniform(0.8, 1.5) + 1
        world.things.append(
            Plant(
                float(far * np.sin(angle)),
                float(far * np.cos(angle)),
                int(rng.integers(textures.TREES)),
                rng.uniform(0.4, 1.0),
                bool(rng.random() < 0.5),
            )
        )
    if rng.random() < 0.3:
        x, z = shot.x + rng.choice([-1, 1]) * rng.uniform(2.5, 3.4), shot.z + rng.normal(0, 1)
        if np.hypot(x, z) > 5:
            world.add(shot.extra(), float(x), float(z), world.actors[0].heading + rng.choice([0, np.pi]))


def car_park(shot: Shot) -> None:
    """Bays with cars side by side, a barrier arm, trees or a building behind."""
    rng, world = shot.rng, shot.world
    main = world.actors[0]
    world.ground = Ground(asphalt(rng), [], float(rng.uniform(0.12, 0.3)), int(rng.integers(8)))
    heading, pitch, paint = main.heading, rng.uniform(2.4, 2.8), (0.6, 0.6, 0.56)
    right, ahead = np.array([np.cos(heading), -np.sin(heading)]), np.array([np.sin(heading), np.cos(heading)])
    middle = np.array([main.x, main.z])
    for k in range(-7, 8):
        edge = middle + right * (k + 0.5) * pitch
        corners = np.stack(
            [
                edge - right * 0.05 - ahead * 2.6,
                edge + right * 0.05 - ahead * 2.6,
                edge + right * 0.05 + ahead * 2.6,
                edge - right * 0.05 + ahead * 2.6,
            ]
        )
        world.ground.areas.append(Area(corners, paint))
    full, rows = rng.uniform(0.1, 0.6), int(rng.integers(1, 3))
    for row in range(rows):
        for k in range(-4, 5):
            spot = middle + right * k * pitch + ahead * row * rng.uniform(5.6, 6.2) * (1 if shot.facing_away else -1)
            if (k or row) and rng.random() < full and len(world.actors) < 8 and np.hypot(*spot) > 5 and spot[1] > 1:
                if np.hypot(*spot) < shot.distance and abs(np.arctan2(*spot) - shot.turn) < 0.2:
                    continue
                world.add(
                    shot.extra(),
                    float(spot[0]),
                    float(spot[1]),
                    heading + rng.choice([0, np.pi], p=[0.6, 0.4]) + rng.normal(0, 0.02),
                )
    if rng.random() < 0.55:
        wall(shot, shot.distance + rng.uniform(14, 40), shot.turn + rng.normal(0, 0.2))
    else:
        world.hills = float(rng.uniform(0.04, 0.15))
    for _ in range(int(rng.integers(2, 10))):
        angle, far = shot.turn + rng.uniform(-0.8, 0.8), shot.distance + rng.uniform(8, 30)
        world.things.append(
            Plant(
                float(far * np.sin(angle)),
                float(far * np.cos(angle)),
                int(rng.integers(textures.TREES)),
                rng.uniform(0.5, 1.1),
                bool(rng.random() < 0.5),
            )
        )
    if rng.random() < 0.6:
        far = max(shot.distance * rng.uniform(0.5, 1.6), 3.0)
        x, z = far * np.sin(shot.turn) - rng.uniform(1.5, 4.5), far * np.cos(shot.turn)
        world.add(props.barrier(rng), float(x), float(z), float(rng.normal(0, 0.3)))


def forecourt(shot: Shot) -> None:
    """A petrol station: canopy, pumps, a shop."""
    rng, world = shot.rng, shot.world
    world.ground = Ground((0.26, 0.26, 0.25), [], 0.08, int(rng.integers(8)))
    colour = rng.random(3) ** 1.5 * 0.6
    face = np.empty((24, 240, 3), np.float32)
    face[:], face[8:14] = 0.7, colour
    x0, x1 = shot.x - rng.uniform(5, 9), shot.x + rng.uniform(5, 9)
    z0 = max(shot.z - rng.uniform(0, 3), 4.0)
    high, z1 = rng.uniform(4.2, 5.2), z0 + rng.uniform(8, 12)
    world.things.append(
        Panel(np.array([[x0, high + 0.9, z0], [x1, high + 0.9, z0], [x1, high, z0], [x0, high, z0]]), face, face * 1.2)
    )
    under = np.full((32, 32, 3), 0.45, np.float32)
    under[8::16, 8::16] = 1.0
    world.things.append(
        Panel(np.array([[x0, high, z1], [x1, high, z1], [x1, high, z0], [x0, high, z0]]), under, under * 0.6)
    )
    for x in (x0 + 1.5, x1 - 1.5):
        for z in (z0 + 1.5, z1 - 1):
            world.add(props.pole(rng, high), float(x), float(z))
    for side in (-1, 1):
        x = shot.x + side * rng.uniform(2.2, 2.8)
        if np.hypot(x, shot.z) > 3.5:
            world.add(props.pump(rng), float(x), float(shot.z + rng.normal(0, 0.5)), np.pi / 2)
    wall(shot, shot.distance + rng.uniform(12, 22), shot.turn * 0.5, 4)
    for _ in range(int(rng.integers(0, 3))):
        x, z = shot.x + rng.choice([-1, 1]) * rng.uniform(4.6, 6), shot.z + rng.uniform(-2, 12)
        if shot.free(x, z):
            world.add(shot.extra(), float(x), float(z), float(rng.choice([0, np.pi])))
    signs(shot, x1 + 1, x0 - 1)
