"""Surfaces as quadrilaterals, drawn far to near into a buffer of normals and materials."""

from dataclasses import dataclass

import cv2
import numpy as np

from lib.scenes.camera import NEAR, Camera

# Materials: indices into an object's palette (see light.Palette).
(
    PAINT,
    GLASS,
    PLASTIC,
    CHROME,
    RED,
    CLEAR,
    AMBER,
    RUBBER,
    RIM,
    GRILLE,
    SEAM,
    SKIN,
    CLOTH,
    TROUSERS,
    HELMET,
    CABIN,
    PAINT2,
) = range(1, 18)
MATERIALS = 18


@dataclass(frozen=True, eq=False)
class Mesh:
    """Polygons of four corners: ``quads`` float (F, 4, 3) metres, ``normals`` (F, 3) outward, ``material`` uint8 (F,).

    ``ordered`` faces are drawn as listed instead of far to near.
    """

    quads: np.ndarray
    normals: np.ndarray
    material: np.ndarray
    ordered: bool = False


def grid(points: np.ndarray, material: int | np.ndarray, centre: np.ndarray | None = None) -> Mesh:
    """A Mesh from a grid of points (A, B, 3); normals face away from ``centre`` (default: the points' mean)."""
    quads = np.stack([points[:-1, :-1], points[1:, :-1], points[1:, 1:], points[:-1, 1:]], axis=2).reshape(-1, 4, 3)
    normals = cross(quads[:, 2] - quads[:, 0], quads[:, 3] - quads[:, 1])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    away = quads.mean(1) - (points.reshape(-1, 3).mean(0) if centre is None else centre)
    normals *= np.where((normals * away).sum(1, keepdims=True) < 0, -1, 1)
    kinds = np.broadcast_to(np.asarray(material, np.uint8).reshape(-1), (len(quads),))
    return Mesh(quads, normals, kinds)


def join(*parts: Mesh) -> Mesh:
    """Several meshes as one."""
    return Mesh(
        np.concatenate([p.quads for p in parts]),
        np.concatenate([p.normals for p in parts]),
        np.concatenate([p.material for p in parts]),
        all(p.ordered for p in parts),
    )


def ellipsoid(centre: tuple, radii: tuple, material: int, around: int = 12, rings: int = 7, power: float = 1.0) -> Mesh:
    """An ellipsoid; ``power`` below 1 swells it towards a box (superellipsoid)."""
    phi = np.linspace(-np.pi / 2, np.pi / 2, rings)[:, None]
    theta = np.linspace(0, 2 * np.pi, around + 1)[None]

    def bend(value: np.ndarray) -> np.ndarray:
        return np.sign(value) * np.abs(value) ** power

    unit = np.stack(
        [
            bend(np.cos(phi)) * bend(np.cos(theta)),
            bend(np.sin(phi)) + 0 * theta,
            bend(np.cos(phi)) * bend(np.sin(theta)),
        ],
        -1,
    )
    return grid(unit * radii + centre, material, np.array(centre, float))


def tube(
    start: tuple, end: tuple, radius: float, material: int, end_radius: float | None = None, around: int = 8
) -> Mesh:
    """An open cylinder or cone between two points."""
    a, b = np.array(start, float), np.array(end, float)
    axis = (b - a) / np.linalg.norm(b - a)
    side = np.cross(axis, (0.0, 0.0, 1.0) if abs(axis[2]) < 0.9 else (0.0, 1.0, 0.0))
    side /= np.linalg.norm(side)
    other = np.cross(axis, side)
    turn = np.linspace(0, 2 * np.pi, around + 1)[:, None]
    ring = np.cos(turn) * side + np.sin(turn) * other
    last = radius if end_radius is None else end_radius
    middle = (a + b) / 2
    mesh = grid(np.stack([a + ring * radius, b + ring * last]), material, middle)
    away = mesh.quads.mean(1) - middle
    away -= (away @ axis)[:, None] * axis
    flip = np.where((mesh.normals * away).sum(1, keepdims=True) < 0, -1, 1)
    return Mesh(mesh.quads, mesh.normals * flip, mesh.material)


def box(low: tuple, high: tuple, material: int) -> Mesh:
    """An axis-aligned box."""
    (x0, y0, z0), (x1, y1, z1) = low, high
    corner = np.array([[x0, y0, z0], [x1, y0, z0], [x1, y1, z0], [x0, y1, z0],
                       [x0, y0, z1], [x1, y0, z1], [x1, y1, z1], [x0, y1, z1]], float)  # fmt: skip
    faces = [(0, 1, 2, 3), (4, 5, 6, 7), (0, 1, 5, 4), (3, 2, 6, 7), (0, 3, 7, 4), (1, 2, 6, 5)]
    normals = np.array([[0, 0, -1], [0, 0, 1], [0, -1, 0], [0, 1, 0], [-1, 0, 0], [1, 0, 0]], float)
    return Mesh(corner[np.array(faces)], normals, np.full(6, material, np.uint8))


@dataclass(frozen=True, eq=False)
class Decals:
    """Flat or gently bent polygons that lie on a surface, drawn in order.

    ``points`` (N, 3) holds all corners, ``counts`` (K,) how many each polygon has, ``normals`` is (K, 3) and
    ``material`` (K,).
    """

    points: np.ndarray
    counts: np.ndarray
    normals: np.ndarray
    material: np.ndarray


def decals(polygons: list[tuple[np.ndarray, np.ndarray, int]]) -> Decals:
    """Decals from (corners (N, 3), normal (3,), material)."""
    points, normals, material = zip(*polygons, strict=True)
    return Decals(
        np.concatenate(points), np.array([len(p) for p in points]), np.stack(normals), np.array(material, np.uint8)
    )


Part = Mesh | Decals


def corners_of(part: Part) -> np.ndarray:
    """All corners of a part (N, 3)."""
    return part.quads.reshape(-1, 3) if isinstance(part, Mesh) else part.points


def cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cross product along the last axis; quicker than NumPy's on small arrays."""
    ax, ay, az, bx, by, bz = a[..., 0], a[..., 1], a[..., 2], b[..., 0], b[..., 1], b[..., 2]
    out = np.empty(np.broadcast_shapes(a.shape, b.shape))
    out[..., 0], out[..., 1], out[..., 2] = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
    return out


@dataclass(eq=False)
class Buffer:
    """A piece of the picture: ``cells`` uint8 (h, w, 4), normal x y z (128 is 0) and material (0 is nothing).

    A cell is ``step`` picture pixels wide; the piece starts at picture pixel (x0, y0).
    """

    cells: np.ndarray
    x0: int
    y0: int
    step: float
    spread: float  # a typical face's size in cells, for smoothing the normals


def _shown(normals: np.ndarray, centres: np.ndarray, camera: Camera) -> np.ndarray:
    return ((centres - camera.position) * normals).sum(-1) < 0


def draw(parts: list[Part], camera: Camera, budget: int = 90_000) -> Buffer | None:
    """Draw world-space parts in order (each mesh far to near within itself).

    Args:
        budget: cells spent at most; a big object is drawn coarser than the picture, a small one finer.

    Returns:
        None when nothing of it is in the frame.
    """
    width, height = camera.size
    points = np.concatenate([corners_of(p) for p in parts])
    pixels, depth = camera.project(points)
    ahead = depth > NEAR
    if not ahead.any():
        return None
    low = np.floor(np.clip(pixels[ahead].min(0) - 1, 0, (width, height))).astype(int)
    high = np.ceil(np.clip(pixels[ahead].max(0) + 1, 0, (width, height))).astype(int)
    wide, tall = (high - low).tolist()
    if wide < 2 or tall < 2:
        return None
    step = float(np.clip(np.sqrt(wide * tall / budget), 0.5, 1.5))
    cells = np.zeros((int(np.ceil(tall / step)), int(np.ceil(wide / step)), 4), np.uint8)
    fixed = ((pixels - low) / step - 0.5) * 16  # OpenCV's pixel centres, four fractional bits
    fixed = np.clip(np.rint(fixed), -400_000, 400_000).astype(np.int32)
    at, sizes = 0, []
    for part in parts:
        if isinstance(part, Decals):
            ends = at + np.cumsum(part.counts)
            starts = ends - part.counts
            near = np.minimum.reduceat(depth, starts)
            for k in np.flatnonzero(_shown(part.normals, points[starts], camera) & (near > NEAR)):
                colour = [*np.rint(part.normals[k] * 127 + 128).astype(int).tolist(), int(part.material[k])]
                cv2.fillPoly(cells, [fixed[starts[k] : ends[k]]], colour, cv2.LINE_8, 4)
            at = int(ends[-1])
            continue
        count = len(part.quads)
        mine = fixed[at : at + 4 * count].reshape(count, 4, 2)
        far = depth[at : at + 4 * count].reshape(count, 4)
        at += 4 * count
        keep = np.flatnonzero(_shown(part.normals, part.quads.mean(1), camera) & (far.min(1) > NEAR))
        if not part.ordered:
            keep = keep[np.argsort(-far[keep].mean(1), kind="stable")]
        colours = np.empty((count, 4), int)
        colours[:, :3] = np.rint(part.normals * 127 + 128)
        colours[:, 3] = part.material
        sizes.append(np.abs(mine[keep, 2] - mine[keep, 0]).max(1) if len(keep) else np.zeros(1))
        for face, colour in zip(mine[keep], colours[keep].tolist(), strict=True):
            cv2.fillConvexPoly(cells, face, colour, cv2.LINE_8, 4)
    spread = float(np.median(np.concatenate(sizes)) / 16) if sizes else 2.0
    return Buffer(cells, int(low[0]), int(low[1]), step, spread)
