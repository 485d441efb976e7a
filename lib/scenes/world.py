"""A planned world: who and what stands where, before it is painted."""

from dataclasses import dataclass, field, replace

import numpy as np

from lib.scenes.backdrop import Panel, Plant
from lib.scenes.camera import Camera
from lib.scenes.ground import Ground
from lib.scenes.lens import Lens
from lib.scenes.light import Light
from lib.scenes.vehicles import Vehicle


@dataclass(eq=False)
class Actor:
    """A vehicle, a person or a prop standing or moving somewhere: metres, radians, metres a second."""

    vehicle: Vehicle
    x: float
    z: float
    heading: float
    key: int = 0
    speed: float = 0.0


@dataclass(eq=False)
class World:
    """Everything a picture is painted from; nothing in it is random any more except the sensor's noise."""

    kind: str
    camera: Camera
    light: Light
    lens: Lens
    ground: Ground
    things: list[Panel | Plant] = field(default_factory=list)
    actors: list[Actor] = field(default_factory=list)
    hills: float = 0.0
    focus: float = 10.0
    bokeh: float = 0.0
    quality: int = 85
    drift: tuple[float, float, float] = (0.0, 0.0, 0.0)  # the camera's metres a second along X, Z and radians a second

    def add(self, vehicle: Vehicle, x: float, z: float, heading: float = 0.0, speed: float = 0.0) -> None:
        """Put something into the world."""
        self.actors.append(Actor(vehicle, x, z, heading, len(self.actors), speed))


def moved(world: World, seconds: float) -> World:
    """The same world a while later."""
    dx, dz, turn = world.drift
    camera = world.camera
    x, y, z = camera.position
    sway = 0.01 * np.sin(5.1 * seconds), 0.004 * np.sin(7.3 * seconds)
    camera = replace(
        camera,
        position=(x + dx * seconds, y + sway[0], z + dz * seconds),
        yaw=camera.yaw + turn * seconds,
        pitch=camera.pitch + sway[1],
    )
    actors = [
        replace(a, x=a.x + np.sin(a.heading) * a.speed * seconds, z=a.z + np.cos(a.heading) * a.speed * seconds)
        for a in world.actors
    ]
    gone = np.hypot(actors[0].x - camera.position[0], actors[0].z - camera.position[2]) - np.hypot(
        world.actors[0].x - world.camera.position[0], world.actors[0].z - world.camera.position[2]
    )
    return replace(world, camera=camera, actors=actors, focus=world.focus + float(gone))
