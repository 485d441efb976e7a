"""Town streets and country roads: what is laid around a shot along a road."""

import numpy as np

from lib.scenes import props, riders, textures
from lib.scenes.backdrop import Panel, Plant
from lib.scenes.ground import Area, Ground
from lib.scenes.shot import Shot


def stripe(x0: float, x1: float, z0: float, z1: float, colour: tuple[float, float, float]) -> Area:
    return Area(np.array([[x0, z0], [x1, z0], [x1, z1], [x0, z1]]), colour)


def asphalt(rng: np.random.Generator) -> tuple[float, float, float]:
    tone = rng.uniform(0.05, 0.20)
    return tuple((tone * rng.uniform(0.95, 1.06, 3)).tolist())


def _row_of_houses(shot: Shot, x: float, right: bool, near: float, far: float) -> None:
    rng, z = shot.rng, near
    while z < far:
        face, glow, (wide, tall) = textures.facade(int(rng.integers(textures.FACADES)))
        setback = rng.uniform(0, 0.6) * (1 if right else -1)
        a, b = (z, z + wide) if not right else (z + wide, z)
        top = np.array([[x + setback, tall, a], [x + setback, tall, b], [x + setback, 0, b], [x + setback, 0, a]])
        shot.world.things.append(Panel(top, face, glow))
        z += wide + (rng.uniform(2, 8) if rng.random() < 0.12 else 0)
    light = shot.world.light
    throw = -light.sun[0] / max(light.sun[1], 0.3) * 8
    if (throw < 0) == right:  # the houses' shadow falls into the street
        shot.world.ground.shades.append(np.array([[x, near], [x, far], [x + throw, far], [x + throw, near]]))


def street(shot: Shot) -> None:
    """A town's street: houses, pavements, parked cars, lamp posts, people."""
    rng, world = shot.rng, shot.world
    half, keep_right = rng.uniform(3.3, 6.5), rng.random() < 0.7
    lane = half / 2 if half < 5 else 1.75
    side = 1 if shot.facing_away == keep_right else -1
    centre = shot.x - side * lane
    walk = rng.uniform(1.6, 3.5)
    left, right = min(centre - half - walk, -2.2), max(centre + half + walk, 2.2)
    stone = tuple((np.array([0.30, 0.29, 0.27]) * rng.uniform(0.6, 1.2)).tolist())
    world.ground = Ground(
        stone,
        [stripe(centre - half, centre + half, -5, 160, asphalt(rng))],
        float(rng.uniform(0.12, 0.3)),
        int(rng.integers(8)),
    )
    areas, white = world.ground.areas, (0.62, 0.62, 0.58)
    for kerb in (centre - half, centre + half):
        areas.append(stripe(kerb - 0.07, kerb + 0.07, -5, 160, (0.40, 0.39, 0.37)))
    if rng.random() < 0.25:
        for edge in (-half + 0.4, half - 0.4):
            areas.append(stripe(centre + edge - 0.05, centre + edge + 0.05, -5, 160, (0.6, 0.42, 0.03)))
    if rng.random() < 0.8:
        start = rng.uniform(0, 6)
        areas += [stripe(centre - 0.06, centre + 0.06, z, z + 3, white) for z in np.arange(start - 6, 90, 6)]
    if rng.random() < 0.2:
        z = rng.uniform(4, 25)
        areas += [stripe(x, x + 0.5, z, z + 3, white) for x in np.arange(centre - half + 0.3, centre + half - 0.4, 1.0)]
    for x in (-lane - 0.8, -lane + 0.8, lane - 0.8, lane + 0.8) if rng.random() < 0.6 else ():  # where tyres run
        areas.insert(1, stripe(centre + x - 0.25, centre + x + 0.25, -5, 160, tuple(0.86 * c for c in areas[0].colour)))
    for _ in range(int(rng.integers(0, 5))):  # patches and manholes
        x, z, tone = centre + rng.uniform(-half, half) * 0.8, rng.uniform(2, 25), rng.uniform(0.04, 0.13)
        areas.append(stripe(x, x + rng.uniform(0.4, 2), z, z + rng.uniform(0.5, 6), (tone, tone, tone)))
    world.ground.dapple = float(rng.uniform(0.2, 0.5)) * world.light.hard if rng.random() < 0.3 else 0.0
    leafy = rng.random()
    for x, is_right in ((left, False), (right, True)):
        if rng.random() < 0.85:
            _row_of_houses(shot, x, is_right, rng.uniform(-14, -4), rng.uniform(50, 110))
        else:
            _greens(shot, x, is_right, 60)
    for z in np.arange(rng.uniform(4, 12), 70, rng.uniform(8, 16)):
        if leafy < 0.5:
            x = centre + rng.choice([-1, 1]) * (half + 0.8)
            world.things.append(
                Plant(
                    float(x),
                    float(z),
                    int(rng.choice([0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13])),
                    rng.uniform(0.6, 1.1),
                    bool(rng.random() < 0.5),
                )
            )
    end = rng.uniform(80, 130)
    face, glow, (wide, tall) = textures.facade(int(rng.integers(textures.FACADES)))
    for k in range(-4, 5):
        corners = np.array(
            [[k * wide, tall, end], [(k + 1) * wide, tall, end], [(k + 1) * wide, 0, end], [k * wide, 0, end]]
        )
        world.things.append(Panel(corners + np.array([centre, 0, 0]), face, glow))
        face, glow, (_, tall) = textures.facade(int(rng.integers(textures.FACADES)))
    _traffic(shot, centre, lane, keep_right, half)
    for _ in range(int(rng.choice([0, 1, 2, 4], p=[0.35, 0.3, 0.2, 0.15]))):
        x = centre + rng.choice([-1, 1]) * (half + rng.uniform(0.4, walk - 0.4))
        z = rng.uniform(5, 35)
        if abs(np.arctan2(x, z) - shot.turn) > 0.12 or rng.random() < 0.3:
            world.add(riders.pedestrian(rng), float(x), float(z), float(rng.choice([0, np.pi])), 1.2)
    for _ in range(int(rng.integers(0, 3))):
        x, z = centre + rng.choice([-1, 1]) * (half + 0.5), rng.uniform(6, 40)
        world.add(props.lamp_post(rng) if rng.random() < 0.6 else props.bollard(rng), float(x), float(z))
    signs(shot, centre + half + 0.6, centre - half - 0.6)


def signs(shot: Shot, right: float, left: float) -> None:
    rng = shot.rng
    for _ in range(int(rng.choice([0, 1, 2], p=[0.45, 0.35, 0.2]))):
        x, z = float(rng.choice([left, right])), float(rng.uniform(7, 40))
        kind = str(rng.choice(["limit", "direction", "advert", "blank"], p=[0.4, 0.2, 0.2, 0.2]))
        foot = rng.uniform(1.7, 2.4) if kind != "advert" else 0.4
        shot.world.add(props.pole(rng, foot + 0.3), x, z + 0.05)
        shot.world.things.append(props.sign(rng, x, z, rng.normal(0, 0.1), kind, float(foot)))


def _greens(shot: Shot, x: float, right: bool, far: float) -> None:
    rng = shot.rng
    for z in np.arange(rng.uniform(3, 8), far, rng.uniform(2.5, 6)):
        number = int(rng.choice([3, 7, 11])) if rng.random() < 0.45 else int(rng.choice([0, 1, 2, 4, 6, 8, 9, 10, 13]))
        out = x + (1 if right else -1) * rng.uniform(0.5, 6)
        shot.world.things.append(Plant(float(out), float(z), number, rng.uniform(0.7, 1.3), bool(rng.random() < 0.5)))


def _pace(shot: Shot, x: float, moving: bool) -> float:
    """Metres a second of another vehicle; in the near vehicle's lane all drive alike."""
    main = shot.world.actors[0]
    return main.speed if abs(x - main.x) < 1.6 else float(shot.rng.uniform(1, 5)) * moving


def _traffic(shot: Shot, centre: float, lane: float, keep_right: bool, half: float) -> None:
    rng, world = shot.rng, shot.world
    for _ in range(int(rng.choice([0, 1, 2, 3, 5], p=[0.30, 0.28, 0.20, 0.14, 0.08]))):
        ahead = rng.random() < 0.5
        side = 1 if ahead == keep_right else -1
        x, z = centre + side * lane + rng.normal(0, 0.15), rng.uniform(6, 48)
        moving = True
        if half > 4.4 and rng.random() < 0.6:
            x, moving = centre + side * (half - 1.05), False
        if shot.free(x, z):
            world.add(
                shot.extra(),
                float(x),
                float(z),
                (0.0 if ahead else np.pi) + rng.normal(0, 0.02),
                _pace(shot, x, moving),
            )


def road(shot: Shot) -> None:
    """A country road or motorway: verges, trees, hills, guard rails."""
    rng, world = shot.rng, shot.world
    lanes, keep_right = int(rng.choice([1, 2])), rng.random() < 0.7
    half = 3.6 * lanes
    side = 1 if shot.facing_away == keep_right else -1
    centre = shot.x - side * (half / 2 if lanes == 1 else rng.choice([1.8, 5.4]))
    verge = ((0.07, 0.11, 0.03), (0.16, 0.14, 0.06), (0.22, 0.18, 0.11), (0.6, 0.62, 0.66))[
        rng.choice(4, p=[0.55, 0.2, 0.17, 0.08])
    ]
    world.ground = Ground(
        verge,
        [stripe(centre - half - 0.6, centre + half + 0.6, -5, 400, asphalt(rng))],
        float(rng.uniform(0.12, 0.3)),
        int(rng.integers(8)),
    )
    areas, white = world.ground.areas, (0.60, 0.60, 0.56)
    for edge in (-half, half):
        areas.append(stripe(centre + edge - 0.07, centre + edge + 0.07, -5, 300, white))
    for x in (0.0,) if lanes == 1 else (0.0, -3.6, 3.6):
        areas += [
            stripe(centre + x - 0.06, centre + x + 0.06, z, z + 4, white)
            for z in np.arange(rng.uniform(-8, 0), 140, 10)
        ]
    world.hills = float(rng.uniform(0.03, 0.22))
    for x, is_right in ((centre - half - 2.5, False), (centre + half + 2.5, True)):
        if rng.random() < 0.7:
            _greens(shot, min(x, -3) if not is_right else max(x, 3), is_right, rng.uniform(40, 110))
        if rng.random() < 0.35:
            world.add(props.guard_rail(rng, 60), float(x + (1.2 if not is_right else -1.2)), 6.0)
    _traffic(shot, centre, half / 2 if lanes == 1 else 1.8, keep_right, half)
    signs(shot, centre + half + 1.5, centre - half - 1.5)
