"""Painting vehicles, people and props, with their plates, labels, lamps and shadows."""

import cv2
import numpy as np

from lib.scenes import mesh, plates
from lib.scenes.camera import place
from lib.scenes.canvas import Canvas, Track
from lib.scenes.world import Actor

LEAST_WIDTH = 5.0  # pixels; a narrower plate is left off its vehicle: nobody could read it


def _turned(parts: list[mesh.Part], actor: Actor) -> list[mesh.Part]:
    """Body parts in world coordinates."""
    turned: list[mesh.Part] = []
    for part in parts:
        normals, points = (
            place(part.normals, 0, 0, actor.heading),
            place(mesh.corners_of(part), actor.x, actor.z, actor.heading),
        )
        if isinstance(part, mesh.Mesh):
            turned.append(mesh.Mesh(points.reshape(-1, 4, 3), normals, part.material, part.ordered))
        else:
            turned.append(mesh.Decals(points, part.counts, normals, part.material))
    return turned


def _shadows(canvas: Canvas, actor: Actor) -> None:
    length, width, height = actor.vehicle.size
    a, b = 0.5 * length, 0.5 * width
    foot = np.array([[-b, 0, -a], [b, 0, -a], [b, 0, a], [-b, 0, a]])
    corners = place(foot, actor.x, actor.z, actor.heading)
    depth = max(float(canvas.camera.view(corners)[:, 2].mean()), 1.0)
    metre = canvas.camera.focal / depth
    light = canvas.light
    if light.hard > 0.1 and light.name != "night":
        throw = -light.sun[[0, 2]] / max(light.sun[1], 0.25) * height * 0.8
        roof = place(foot * (0.8, 1, 0.7), actor.x + throw[0], actor.z + throw[1], actor.heading)
        ring = cv2.convexHull(np.concatenate([corners, roof])[:, [0, 2]].astype(np.float32))[:, 0]
        outline = np.stack([ring[:, 0], 0 * ring[:, 0], ring[:, 1]], 1)
        canvas.shadow(outline, 0.55 * light.hard, max(metre * 0.04, 0.6))
    canvas.shadow(place(foot * (1.06, 1, 1.02), actor.x, actor.z, actor.heading), 0.62, metre * 0.14)
    canvas.shadow(place(foot * (0.9, 1, 0.92), actor.x, actor.z, actor.heading), 0.75, metre * 0.06)


def _plate(canvas: Canvas, actor: Actor, number: int, marker: bool) -> None:
    """Paint one plate of an actor and keep track of it."""
    mount, light = actor.vehicle.mounts[number], canvas.light
    design = mount.design
    corners = place(mount.corners, actor.x, actor.z, actor.heading)
    normal = place(mount.normal[None], 0, 0, actor.heading)[0]
    towards = np.array(canvas.camera.position) - corners.mean(0)
    towards /= np.linalg.norm(towards)
    facing = float(normal @ towards)
    if facing < 0.06 or canvas.camera.view(corners)[:, 2].min() < 0.15:
        return
    pixels, _ = canvas.camera.project(corners)
    wide = max(np.linalg.norm(pixels[1] - pixels[0]), np.linalg.norm(pixels[2] - pixels[3]))
    if wide < LEAST_WIDTH or np.ptp(pixels[:, 0]) < LEAST_WIDTH:
        return
    face, shows = plates.paint(design, int(np.clip(wide * 1.25, 40, 1000)))
    falls = light.on(normal, facing)
    lit = face * falls.astype(np.float32)
    if light.lamp:  # plates throw a lamp's light back to where it came from
        lit += face * np.float32(0.6 * light.lamp)
    rear = mount.normal[2] < 0
    if actor.vehicle.lamps_on and rear and light.name != "day":
        lit += face * np.linspace(0.30, 0.08, len(face), dtype=np.float32)[:, None, None]
    lit += (0.04 * light.horizon).astype(np.float32)
    if marker:
        lit[:] = shows[..., None] * np.float32([1.0, 0.0, 1.0])
    depth = float(canvas.camera.view(corners.mean(0)[None])[0, 2])
    if mount.holder:
        grown = corners.mean(0) + (corners - corners.mean(0)) * (
            1 + 2 * mount.holder / np.array([*design.size, 1]).min() * 0.5
        )
        frame = np.full((4, 8, 3), 0.015, np.float32) * falls.astype(np.float32)
        patch = canvas.warp(canvas.haze(frame, depth), canvas.camera.project(grown)[0])
        if patch is not None:
            canvas.blend(*patch)
    patch = canvas.warp(lit if marker else canvas.haze(lit, depth), pixels, fine=True)
    if patch is None:
        return
    canvas.blend(*patch)
    cover = patch[1].copy()
    if design.mud:  # what lies behind mud does not show
        cover *= canvas.warp(np.repeat(shows[..., None], 3, 2), pixels, fine=True)[0][..., 0] / np.maximum(cover, 1e-6)
    across, down = corners[1] - corners[0], corners[3] - corners[0]
    boxes = np.array(design.cells) / (*design.size, *design.size)
    unit = np.stack(
        [
            boxes[:, :2],
            boxes[:, :2] + boxes[:, 2:] * (1, 0),
            boxes[:, :2] + boxes[:, 2:],
            boxes[:, :2] + boxes[:, 2:] * (0, 1),
        ],
        1,
    )
    cells, _ = canvas.camera.project(corners[0] + unit[..., :1] * across + unit[..., 1:] * down)
    area = 0.5 * abs(float(np.sum(pixels[:, 0] * np.roll(pixels[:, 1], -1) - pixels[:, 1] * np.roll(pixels[:, 0], -1))))
    angle = float(np.degrees(np.arccos(np.clip(facing, -1, 1))))
    canvas.tracks.append(Track(design, pixels, cells, cover, *patch[2:], area, angle, actor.key * 2 + number))


def _labels(canvas: Canvas, actor: Actor) -> None:
    for label in actor.vehicle.labels:
        corners = place(label.corners, actor.x, actor.z, actor.heading)
        normal = place(label.normal[None], 0, 0, actor.heading)[0]
        if (corners.mean(0) - canvas.camera.position) @ normal > -0.05 or canvas.camera.view(corners)[:, 2].min() < 0.2:
            continue
        pixels, depth = canvas.camera.project(corners)
        wide = float(np.ptp(pixels[:, 0]))
        if wide < 3:
            continue
        face = label.face * (canvas.light.on(normal) + label.glow).astype(np.float32)
        if wide < face.shape[1] * 0.8:
            face = cv2.resize(
                face,
                (max(round(wide * 1.2), 2), max(round(face.shape[0] * wide * 1.2 / face.shape[1]), 2)),
                interpolation=cv2.INTER_AREA,
            )
        patch = canvas.warp(canvas.haze(face, float(depth.mean())), pixels)
        if patch is not None:
            canvas.blend(*patch)


def _lamps(canvas: Canvas, actor: Actor) -> None:
    light = canvas.light
    if not actor.vehicle.lamps_on:
        return
    strength = {"day": 0.25, "dusk": 0.8, "night": 1.6}[light.name]
    for lamps, sign, colour, radius in (
        (actor.vehicle.rear_lamps, -1, (1.0, 0.05, 0.03), 0.22), (actor.vehicle.front_lamps, 1, (1.0, 0.93, 0.78), 0.40)
    ):  # fmt: skip
        for lamp in lamps:
            point = place(lamp[None], actor.x, actor.z, actor.heading)[0]
            axis = place(np.array([[0, 0, sign]]), 0, 0, actor.heading)[0]
            towards = np.array(canvas.camera.position) - point
            facing = float(axis @ towards / np.linalg.norm(towards))
            if facing > 0.1:
                canvas.glow(point, np.array(colour) * strength * facing * (1 if sign < 0 else 2.2), radius)


def act(canvas: Canvas, actor: Actor, marker: bool) -> None:
    vehicle = actor.vehicle
    _shadows(canvas, actor)
    canvas.solid(_turned(vehicle.parts, actor), vehicle.colours, 0.5 * canvas.light.wet)
    _labels(canvas, actor)
    for number in range(len(vehicle.mounts)):
        _plate(canvas, actor, number, marker)
    if vehicle.over:
        over = _turned(vehicle.over, actor)
        behind = place(np.array([[0, 0, -1.0]]), 0, 0, actor.heading)[0]
        if behind @ (np.array([actor.x, 0, actor.z]) - canvas.camera.position) < 0:
            canvas.solid(over, vehicle.colours)
    _lamps(canvas, actor)
