"""From a planned world to a picture with its truth."""

from collections.abc import Iterator

import cv2
import numpy as np

from lib.scenes import backdrop, ground, lens, noise, sky
from lib.scenes.actors import act
from lib.scenes.canvas import Canvas, Track
from lib.scenes.layouts import draw_world
from lib.scenes.truth import Character, Plate, Scene, hull_box
from lib.scenes.world import Actor, World, moved

MOST_HIDDEN = 0.85  # a plate hidden further is painted over: nothing readable is unlabelled


def _finish(canvas: Canvas, tracks: list[Track]) -> list[Track]:
    """Keep the plates that can be told; paint over what is left of the others."""
    kept = []
    for track in tracks:
        box = hull_box(track.corners, *canvas.camera.size)
        if track.occluded <= MOST_HIDDEN and box[2] >= 2 and box[3] >= 1:
            kept.append(track)
        elif track.cover.sum() > 0:
            height, width = track.cover.shape
            target = canvas.image[track.y0 : track.y0 + height, track.x0 : track.x0 + width]
            tone = cv2.blur(target, (2 * (width // 2) + 1, 2 * (height // 2) + 1))
            target += np.minimum(cv2.dilate(track.cover, np.ones((3, 3))), 1)[..., None] * (tone.mean((0, 1)) - target)
    return kept


def picture(world: World, seed: int, index: int, frame: int = 0, marker: bool = False) -> Scene:
    """Paint a world; ``marker`` paints plates in pure magenta without the lens, for tests of the truth."""
    width, height = world.camera.size
    canvas = Canvas(world.camera, world.light, np.zeros((height, width, 3), np.float32))
    rng = noise.generator(1, seed, index)
    sky.fill(canvas, rng, world.hills)
    ground.lay(canvas, world.ground)
    depths = []
    for thing in (*world.things, *world.actors):
        points = thing.corners if isinstance(thing, backdrop.Panel) else np.array([[thing.x, 0.5, thing.z]])
        depths.append((float(canvas.camera.view(points)[:, 2].max()), thing))
    blurred = False
    for depth, thing in sorted(depths, key=lambda pair: -pair[0]):
        nearest = isinstance(thing, Actor) and thing.key == 0
        if not blurred and (nearest or depth < world.focus * 1.25 + 2):
            lens.defocus(canvas.image, world.bokeh)
            blurred = True
        if isinstance(thing, Actor):
            if depth < 400:
                act(canvas, thing, marker)
        elif isinstance(thing, backdrop.Plant):
            backdrop.plant(canvas, thing)
        else:
            backdrop.panel(canvas, thing)
    tracks = _finish(canvas, canvas.tracks)
    truth = []
    for track in sorted(tracks, key=lambda t: t.key) if frame else tracks:
        characters = tuple(
            Character(char, cell.astype(np.float32)) for char, cell in zip(track.design.text, track.cells, strict=True)
        )
        truth.append(
            Plate(
                track.design.text, track.corners.astype(np.float32), hull_box(track.corners, width, height), characters,
                track.design.look, track.occluded, track.angle, world.light.name, track.cover, (track.x0, track.y0),
            )
        )  # fmt: skip
    if marker:
        image = np.rint(np.clip(canvas.image, 0, 1) * 255).astype(np.uint8)
    else:
        image = lens.expose(canvas.image, world.lens, noise.generator(2, seed, index, frame))
    return Scene(image, tuple(truth), world.kind, world.light.name, seed, index, world.quality)


def render(seed: int, index: int, size: tuple[int, int] = (640, 480), kind: str | None = None) -> Scene:
    """Draw the scene of a seed and an index: the same on every machine.

    Args:
        seed, index: non-negative integers; other scenes for other pairs.
        size: width and height in pixels.
        kind: a name out of ``KINDS``; None draws it, about 15 % without any plate.

    Raises:
        PlatesError: an unknown kind.
    """
    return picture(draw_world(seed, index, size, kind), seed, index)


def clip(
    seed: int, index: int, frames: int = 48, size: tuple[int, int] = (640, 360), fps: float = 12
) -> Iterator[Scene]:
    """A short film: the camera and the vehicles move through one world; truth for every frame.

    A vehicle keeps its plate's text through all frames, and plates keep their order among each other; one that
    leaves the frame or is hidden is missing from that frame's truth.
    """
    world = draw_world(seed, index, size, None, film=True)
    for frame in range(frames):
        yield picture(moved(world, frame / fps), seed, index, frame + 1)
