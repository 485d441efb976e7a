"""Cars, vans, buses and lorries as curved surfaces, from a side profile and a few measures.

Body axes: X to the right of somebody who looks the way the vehicle drives, Y up, Z forward; the origin is on the
ground below the middle.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from lib.scenes.mesh import GLASS, PAINT, Mesh, cross, grid, join

# Knots of a profile from the front's underside over the roof to the rear's underside: z as a share of the length
# (0 front, 1 rear), y as a share of the height. The named knots are where bonnet, screen, roof, rear window, boot lid
# and tail begin.
_SALOON = (
    "s.02,.15 .002,.27 0,.42 .015,.53 bonnet.05,.575 .16,.635 screen.27,.675 roof.43,.955 .52,1 .62,.995 "
    "rear.71,.95 boot.86,.72 .95,.70 tail.985,.67 .998,.56 1,.40 .99,.27 .97,.16"
)
_HATCH = (
    "s.02,.15 .002,.27 0,.42 .015,.52 bonnet.05,.565 .14,.62 screen.25,.67 roof.42,.955 .53,1 .75,.985 "
    "rear.885,.925 boot.965,.645 .975,.63 tail.985,.60 .998,.50 1,.36 .99,.26 .97,.16"
)
_ESTATE = (
    "s.02,.15 .002,.27 0,.42 .015,.53 bonnet.045,.575 .15,.635 screen.26,.675 roof.41,.955 .50,1 .78,.985 "
    "rear.91,.94 boot.97,.67 .978,.65 tail.985,.62 .998,.52 1,.36 .99,.26 .97,.16"
)
_OFFROAD = (
    "s.02,.19 .002,.28 0,.42 .01,.54 bonnet.035,.60 .14,.635 screen.26,.66 roof.37,.955 .45,1 .80,.99 "
    "rear.95,.94 boot.98,.63 .985,.62 tail.99,.60 1,.50 1,.38 .99,.28 .97,.20"
)
_PICKUP = (
    "s.02,.20 .002,.30 0,.44 .01,.55 bonnet.035,.60 .14,.635 screen.25,.66 roof.34,.955 .40,1 .50,.99 "
    "rear.555,.95 boot.59,.62 .90,.615 tail.985,.61 1,.55 1,.40 .99,.30 .97,.22"
)
_VAN = (
    "s.02,.12 .002,.20 0,.30 .01,.38 bonnet.03,.42 .09,.47 screen.15,.50 roof.30,.95 .36,.99 .70,1 "
    "rear.975,.97 boot.995,.62 .995,.60 tail.997,.58 1,.44 1,.28 .995,.20 .98,.13"
)
_BUS = (
    "s.01,.10 .001,.16 0,.22 .0,.28 bonnet.002,.31 .004,.33 screen.006,.35 roof.03,.93 .06,1 .70,1 "
    "rear.985,.96 boot.997,.56 .998,.53 tail.999,.50 1,.38 1,.24 .998,.17 .99,.11"
)
_LORRY = (
    "s.01,.14 .001,.20 0,.26 .0,.32 bonnet.002,.35 .004,.37 screen.006,.39 roof.03,.62 .20,.64 .24,1 "
    "rear.996,1 boot.999,.80 .999,.70 tail1,.60 1,.45 1,.32 .999,.28 .998,.24"
)


@dataclass(frozen=True)
class Style:
    """A kind of vehicle: length, width, height in metres (each with its spread) and its profile."""

    profile: str
    size: tuple[float, float, float]
    belt: float  # where side windows begin, share of the height
    roof: float  # width of the roof, share of the width
    bulge: float  # metres by which front and rear curve back at their sides
    wheel: float  # radius, metres
    doors: int = 2


STYLES: dict[str, Style] = {
    "saloon": Style(_SALOON, (4.55, 1.78, 1.44), 0.665, 0.72, 0.24, 0.315),
    "hatch": Style(_HATCH, (3.95, 1.72, 1.50), 0.645, 0.74, 0.22, 0.30),
    "estate": Style(_ESTATE, (4.6, 1.78, 1.48), 0.655, 0.74, 0.20, 0.315),
    "offroad": Style(_OFFROAD, (4.5, 1.86, 1.72), 0.635, 0.80, 0.16, 0.37),
    "pickup": Style(_PICKUP, (5.2, 1.88, 1.80), 0.625, 0.80, 0.12, 0.38),
    "van": Style(_VAN, (5.0, 1.95, 2.25), 0.50, 0.86, 0.09, 0.34),
    "bus": Style(_BUS, (10.5, 2.5, 3.0), 0.40, 0.95, 0.07, 0.48),
    "lorry": Style(_LORRY, (7.5, 2.4, 3.2), 0.45, 0.98, 0.03, 0.48),
}


@dataclass(frozen=True, eq=False)
class Shell:
    """A vehicle's outer surface, and where points on it lie."""

    style: str
    length: float
    width: float
    height: float
    belt: float
    roof: float
    bulge: float
    wheel: float
    z: np.ndarray  # profile, metres, front (+) to rear (-)
    y: np.ndarray
    knots: dict[str, int]

    @cached_property
    def _ends(self) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
        """Heights and lengths of the front's and the rear's profile, by height."""
        halves = []
        for part in (slice(0, self.knots["roof"] + 1), slice(self.knots["rear"], len(self.z))):
            order = np.argsort(self.y[part], kind="stable")
            halves.append((self.y[part][order], self.z[part][order]))
        return halves[0], halves[1]

    def half(self, z: np.ndarray | float, y: np.ndarray | float) -> np.ndarray:
        """Half the width at length ``z`` and height ``y``."""
        low = np.minimum(np.maximum((self.belt - y) / self.belt, 0), 1)
        high = np.minimum(np.maximum((y - self.belt) / (self.height - self.belt), 0), 1)
        plan = 1 - (0.07 if self.bulge > 0.1 else 0.01) * np.abs(np.asarray(z) / (self.length / 2)) ** 4
        return self.width / 2 * plan * (1 - 0.06 * low**2) * (1 - (1 - self.roof) * high)

    def bend(self, z: np.ndarray, u: np.ndarray) -> np.ndarray:
        """``z`` pulled back towards the middle as the ends curve (``u`` -1 left edge to 1 right edge)."""
        end = np.minimum(np.maximum(np.abs(z) / (self.length / 2) * 3 - 2, 0), 1) ** 1.5 + 0.25
        return z - np.sign(z) * self.bulge * end / 1.25 * np.abs(u) ** 2.6

    def end(
        self, u: np.ndarray | float, y: np.ndarray | float, rear: bool, lift: np.ndarray | float = 0.0
    ) -> np.ndarray:
        """Points (..., 3) of the front or rear at ``u`` (-1 to 1 across, as body X) and height ``y``."""
        u, y = np.broadcast_arrays(np.asarray(u, float), np.asarray(y, float))
        points = np.empty((*u.shape, 3))
        flat = np.interp(y, *self._ends[rear])
        points[..., 0], points[..., 1] = u * self.half(flat, y), y
        points[..., 2] = self.bend(flat, u) + (-lift if rear else lift)
        return points

    def end_normal(self, u: np.ndarray | float, y: np.ndarray | float, rear: bool) -> np.ndarray:
        """The outward normals (..., 3) of the front or rear at points."""
        d = 0.02
        u, y = np.asarray(u, float), np.asarray(y, float)
        right, left, high, low = self.end(np.stack([u + d, u - d, u, u]), np.stack([y, y, y + d, y - d]), rear)
        normal = cross(right - left, high - low)
        normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
        return normal * np.where((normal[..., 2:] < 0) == rear, 1, -1)

    def side(self, z: np.ndarray | float, y: np.ndarray | float, right: bool, lift: float = 0.004) -> np.ndarray:
        """Points (..., 3) of a side at length ``z`` and height ``y``."""
        z, y = np.broadcast_arrays(np.asarray(z, float), np.asarray(y, float))
        x = (self.half(z, y) + lift) * (1 if right else -1)
        return np.stack([x, y, z], axis=-1)


def shell(style: str, rng: np.random.Generator) -> Shell:
    """A vehicle of a style with its own measures."""
    kind = STYLES[style]
    length, width, height = (size * rng.uniform(0.94, 1.06) for size in kind.size)
    knots, zs, ys, names = [], [], [], {}
    for word in kind.profile.split():
        name = word.rstrip("0123456789.,")
        z, y = (float(v) for v in word[len(name) :].split(","))
        if name:
            names[name] = len(knots)
        knots.append((z, y))
    warp = rng.normal(0, 0.006, (len(knots), 2))
    knots = np.array(knots) + warp * (0.4 if style in ("bus", "lorry", "van") else 1.0)
    starts = {}
    for number, (here, there) in enumerate(pairwise(knots)):
        for name, knot in names.items():
            if knot == number:
                starts[name] = len(zs)
        for share in (0.0, 0.08, 0.36, 0.64, 0.92) if np.abs(there - here).max() > 0.05 else (0.0, 0.5):
            zs.append(here[0] + share * (there[0] - here[0]))
            ys.append(here[1] + share * (there[1] - here[1]))
    z, y = np.array([*zs, knots[-1, 0]]), np.array([*ys, knots[-1, 1]])
    for _ in range(2):  # round the corners
        z[1:-1] = (z[:-2] + 2 * z[1:-1] + z[2:]) / 4
        y[1:-1] = (y[:-2] + 2 * y[1:-1] + y[2:]) / 4
    return Shell(
        style, length, width, height, kind.belt * height, kind.roof, kind.bulge, kind.wheel * rng.uniform(0.95, 1.05),
        (0.5 - z) * length, y * height, starts,
    )  # fmt: skip


def skin(body: Shell, closed: bool = False) -> Mesh:
    """The painted and glazed surface of a shell; ``closed`` leaves the side windows of the load space out."""
    across = np.array([-1, -0.98, -0.9, -0.7, -0.45, -0.2, 0, 0.2, 0.45, 0.7, 0.9, 0.98, 1])
    z, y = body.z[:, None], body.y[:, None]
    crown = 0.035 * np.abs(across) ** 3 * np.clip((y - 0.5 * body.height) / (0.1 * body.height), 0, 1)
    top = np.stack([across * body.half(z, y), y - crown, body.bend(z + 0 * across, across)], axis=-1)
    middle = np.abs((across[:-1] + across[1:]) / 2) < 0.9
    kinds = np.full((len(body.z) - 1, len(across) - 1), PAINT, np.uint8)
    for start, stop in (("screen", "roof"), ("rear", "boot")):
        a, b = body.knots[start] + 1, body.knots[stop] - 1
        if not (start == "rear" and body.style == "lorry"):
            kinds[a:b, middle] = GLASS
    ribbon = grid(top, kinds, np.array([0, 0.4 * body.height, 0]))

    first, last = body.knots["bonnet"], body.knots["tail"]
    columns = slice(first, last + 1)
    roofline = y[columns, 0] - 0.035
    along = body.bend(body.z[columns], np.ones(1))
    sill = 0.17 * body.height if body.height < 2 else 0.14 * body.height
    below = sill + np.linspace(0, 1, 5)[None] ** 0.9 * (np.minimum(roofline, body.belt) - sill)[:, None]
    rise = np.maximum(roofline - body.belt, 0)[:, None]
    above = np.minimum(roofline, body.belt)[:, None] + np.array([0.08, 0.5, 0.86, 1.0]) * rise
    levels = np.concatenate([below, above], axis=1)
    sides = []
    for right in (False, True):
        points = body.side(along[:, None] + 0 * levels, levels, right, 0.0)
        points[:, -1] = top[columns, -1 if right else 0]
        tips = [
            body.end(1.0 if right else -1.0, np.minimum(levels[k], body.y[columns][k]), rear)
            for k, rear in ((0, False), (-1, True))
        ]
        points = np.concatenate([tips[0][None], points, tips[1][None]])  # round the corners to front and rear
        kinds = np.full((points.shape[0] - 1, points.shape[1] - 1), PAINT, np.uint8)
        tall = (rise[:-1, 0] > 0.3 * rise.max()) & (rise[1:, 0] > 0.3 * rise.max())
        middle_z = (along[:-1] + along[1:]) / 2
        if closed or body.style == "lorry":
            tall &= middle_z > body.length * (0.16 if body.style == "van" else 0.38)
        kinds[1:-1][tall, 5:7] = GLASS
        sides.append(grid(points, kinds, np.array([0, 0.4 * body.height, 0])))
    return join(ribbon, *sides)
