"""The kinds of scenes, and the plan of a scene from its seed and index."""

from collections.abc import Callable

import numpy as np

from lib.scenes import noise, props, riders
from lib.scenes.backdrop import Plant
from lib.scenes.lots import car_park, forecourt, yard
from lib.scenes.shot import Shot, frame
from lib.scenes.streets import road, street
from lib.scenes.world import World
from lib.settings import PlatesError


def _in_the_way(shot: Shot) -> None:
    """Now and then something between the camera and the near vehicle's plate."""
    rng, world = shot.rng, shot.world
    if rng.random() > 0.2 or world.focus < 2.0:
        return
    far = world.focus * rng.uniform(0.45, 0.9)
    aside = rng.uniform(-0.45, 0.45)
    x, z = far * np.sin(shot.turn) + aside, far * np.cos(shot.turn)
    pick = rng.random()
    if pick < 0.45 and far > 1.6:
        world.add(riders.pedestrian(rng), float(x), float(z), float(rng.uniform(-np.pi, np.pi)), 0.6)
    elif pick < 0.7:
        world.add(props.pole(rng, 3.0) if rng.random() < 0.6 else props.bollard(rng), float(x), float(z))
    elif pick < 0.8 and far > 3.0:
        world.things.append(
            Plant(float(x + rng.choice([-1, 1]) * 1.2), float(z), int(rng.choice([3, 7, 11])), 0.35, False)
        )
    elif far > 6.0:
        world.add(
            shot.extra(),
            float(x + rng.choice([-1, 1]) * 1.1),
            float(z),
            float(rng.choice([0, np.pi]) + rng.normal(0, 0.1)),
        )


_LAYOUTS: dict[str, Callable[[Shot], None]] = {
    "street": street, "road": road, "car_park": car_park, "yard": yard, "forecourt": forecourt,
}  # fmt: skip


KINDS: tuple[str, ...] = (*_LAYOUTS, "plate_free")


def draw_world(seed: int, index: int, size: tuple[int, int], kind: str | None, film: bool = False) -> World:
    """Plan the scene of a seed and an index.

    Raises:
        PlatesError: an unknown kind.
    """
    rng = noise.generator(0, seed, index)
    drawn = str(rng.choice(KINDS, p=[0.32, 0.17, 0.15, 0.16, 0.05, 0.15]))
    layout = str(rng.choice(list(_LAYOUTS), p=[0.5, 0.14, 0.14, 0.14, 0.08]))
    kind = kind or (drawn if not film or drawn == "road" else "street")
    if kind not in KINDS:
        raise PlatesError(f"kind={kind!r} is no kind of scene; choose one of {', '.join(KINDS)}.")
    shot = frame(rng, size, kind, film)
    _LAYOUTS[layout if kind == "plate_free" else kind](shot)
    if not film:
        _in_the_way(shot)
    return shot.world
