"""The near vehicle and the camera that frames it, so that plates are as wide as on real photographs."""

from dataclasses import dataclass

import numpy as np

from lib.scenes import lens, riders, vehicles
from lib.scenes.camera import Camera
from lib.scenes.ground import Ground
from lib.scenes.light import draw_light
from lib.scenes.vehicles import Vehicle
from lib.scenes.world import World

# Scaled widths of the plates on the real photographs of the course, by share: the near vehicle's plate follows them.
_SHARES = (0.0, 0.01, 0.10, 0.25, 0.50, 0.75, 0.90, 0.99, 1.0)


_WIDTHS = (7, 11, 30, 56, 100, 138, 220, 590, 640)


@dataclass(eq=False)
class Shot:
    """The near vehicle and how it is framed, before the surroundings are laid around it."""

    world: World
    rng: np.random.Generator
    x: float
    z: float
    turn: float  # direction of the view at the near vehicle, radians
    facing_away: bool  # its rear is seen
    distance: float
    plated: bool

    def extra(self, **kwargs: object) -> Vehicle:
        """Another vehicle of this scene."""
        lit = self.world.light.name != "day" and self.rng.random() < 0.8
        if self.rng.random() < 0.08:
            return riders.motorbike(self.rng, self.plated, lit)
        return vehicles.build(self.rng, plated=self.plated, lamps_on=lit, **kwargs)

    def free(self, x: float, z: float, gap: float = 1.2) -> bool:
        """Whether a car at (x, z) neither touches another nor the camera nor stands between camera and main one."""
        for actor in self.world.actors:
            if abs(actor.x - x) < 1.1 + gap and abs(actor.z - z) < 4.6 + gap:
                return False
        place = np.hypot(x, z)
        if place < 4.5:
            return False
        off = abs(np.arctan2(x, z) - np.arctan2(self.x, self.z)) * place
        return not (place < self.distance and off < 1.8 and self.rng.random() < 0.9)


def frame(rng: np.random.Generator, size: tuple[int, int], kind: str, film: bool) -> Shot:
    """Draw light, lens, the near vehicle and the camera that frames it."""
    width, height = size
    light = draw_light(rng)
    plated = kind != "plate_free"
    lit = (light.name != "day" and rng.random() < 0.85) or rng.random() < 0.06
    bike = rng.random() < 0.09
    vehicle = riders.motorbike(rng, plated, lit) if bike else vehicles.build(rng, plated=plated, lamps_on=lit)
    away = bool(rng.random() < 0.6) or (plated and len(vehicle.mounts) < 2)
    wanted = float(np.exp(np.interp(rng.random(), _SHARES, np.log(_WIDTHS)))) * width / 640
    if film:
        wanted = float(np.clip(wanted, 20 * width / 640, 70 * width / 640))
    focal = width * float(np.exp(rng.uniform(np.log(0.75), np.log(1.9))))
    if wanted > 0.3 * width:
        focal = width * rng.uniform(0.8, 1.3)
    if plated:
        mount = vehicle.mounts[0 if away else 1]
        plate_wide, plate_y = mount.design.size[0], float(mount.corners[:, 1].mean())
    else:
        plate_wide, plate_y = 0.45, 0.6
    yaw = (
        float(np.clip(rng.normal(0, 0.36), -0.85, 0.85))
        if kind not in ("road",)
        else float(np.clip(rng.normal(0, 0.2), -0.5, 0.5))
    )
    distance = max(focal * plate_wide * np.cos(yaw) / wanted, 0.75)
    if not plated:
        distance = max(distance, 4.5)
    high = float(rng.uniform(1.0, 1.75)) if rng.random() < 0.85 else float(rng.uniform(1.8, 3.2))
    if distance < 2.5:
        high = float(np.clip(plate_y + rng.uniform(-0.15, 0.75), 0.3, 1.7))
    row = float(np.clip(rng.normal(0.60, 0.11), 0.3, 0.85))
    column = float(np.clip(rng.normal(0.5, 0.16), 0.12, 0.88))
    pitch = float(np.arctan2(plate_y - high, distance) + np.arctan((row - 0.5) * height / focal))
    roll = float(rng.normal(0, 0.015)) if rng.random() < 0.8 else float(rng.normal(0, 0.09))
    camera = Camera(size, focal, (0.0, high, 0.0), yaw, pitch, roll)
    azimuth = yaw + np.arctan((column - 0.5) * width / focal)
    reach = vehicle.size[0] / 2
    x, z = distance * np.sin(azimuth), distance * np.cos(azimuth)
    world = World(kind, camera, light, lens.draw_lens(rng, light.name), Ground((0.2, 0.2, 0.2)))
    world.focus = distance
    world.quality = int(rng.integers(55, 93))
    far_open = rng.random()
    world.bokeh = float(rng.uniform(1.0, 5.0) * width / 640) if far_open < 0.35 and distance < 9 else 0.0
    speed = 0.0
    if film:  # driven ahead of the camera, or towards it without reaching it within some six seconds
        speed = float(rng.uniform(2, 9)) if away else float(np.clip((distance - 3.5) / 6, 0, rng.uniform(0.5, 4)))
    heading = 0.0 if away else np.pi
    heading += float(rng.normal(0, 0.03))
    if kind in ("yard", "car_park", "forecourt"):
        heading += float(np.clip(rng.normal(0, 0.25), -0.7, 0.7))
    if kind == "plate_free" and rng.random() < 0.6:
        heading += np.pi / 2
    # The plate, not the vehicle's middle, stands at the wanted distance.
    centre_x = x + np.sin(heading) * reach * (1 if away else -1)
    centre_z = z + np.cos(heading) * reach * (1 if away else -1)
    world.add(vehicle, float(centre_x), float(centre_z), float(heading), speed)
    if film:
        follows = max(speed + float(rng.normal(0, 0.6)), 0.0) if away else 0.0
        world.drift = (
            float(rng.normal(0, 0.08)),
            min(follows, speed + (distance - 3.5) / 8),
            float(rng.normal(0, 0.012)),
        )
    return Shot(
        world, rng, float(centre_x), float(centre_z), float(azimuth), away, float(np.hypot(centre_x, centre_z)), plated
    )
