"""Attacks on concealed plates of many looks and lights: the share that is read, and the share that nobody can exceed.

Weak blurs are attacked beside the modes of `lib.redact`: an attack that never reads anything would call all safe.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from lib import redact as shipped
from lib.attack import ALPHABET, REGIONS, Colour, Reader, Target, numbers, photograph, weak_blur, weak_mosaic
from lib.bootstrap import share_interval
from lib.masks import components
from lib.scenes.noise import PLATE_FONTS
from lib.scenes.plates import BLACK, DEEP_RED, NIGHT_BLUE, PALE_BLUE, WHITE, YELLOW

CHANCE = 1 / len(ALPHABET)
Look = tuple[str, Colour, Colour]  # a font, the plate's ground and its ink
LOOKS: tuple[Look, ...] = tuple(
    zip(
        PLATE_FONTS, (WHITE, YELLOW, BLACK, DEEP_RED, PALE_BLUE), (BLACK, BLACK, WHITE, YELLOW, NIGHT_BLUE), strict=True
    )
)
LIGHT = (0.25, 1.0)  # shares of full light, drawn for each look: where a colour's steps lie must not be luck
WEAK = {"gaussian": weak_blur, "mosaic": weak_mosaic}


@dataclass(frozen=True)
class Way:
    """A way to conceal: a mode of `lib.redact` at its least strength, or a weak one; and the region it is laid on.

    Attributes:
        strength: of a weak one, its sigma or block in character heights; None for the modes of `lib.redact`.
    """

    mode: str
    region: str = "characters"
    strength: float | None = None

    def reader(self, target: Target, renderings: np.ndarray | None = None) -> Reader:
        """An attacker of this way on such plates, ``renderings`` being the target's where they are at hand."""
        mask, renderings = target.mask(self.region), target.renderings() if renderings is None else renderings
        if self.strength is not None:
            return Reader(target, WEAK[self.mode](self.strength * target.height), mask, renderings)
        conceal = partial(shipped.redact, mode=self.mode)
        return Reader(target, conceal, mask, renderings, None if self.mode == "fill" else _unrounded)


def _unrounded(pixels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """What `blur` and `pixelate` know of a region before they round it to coarse steps."""
    out = pixels.copy()
    for part in components(mask):
        window = out[part.rows, part.columns]
        window[part.mask] = np.rint(shipped.slab_means(window, part)[part.mask])
    return out


def lit(height: int, look: Look, light: float, places: int = 7) -> Target:
    """A plate of one of LOOKS in a share of full light."""
    font, ground, ink = look
    ground, ink = (tuple(light * value for value in colour) for colour in (ground, ink))
    return Target(height, font, ground, ink, places)


def measure(
    ways: Sequence[Way],
    height: int,
    plates: int = 60,
    rehearsals: int = 60,
    frames: int = 1,
    places: int = 7,
    seed: int = 0,
    looks: Sequence[Look] = LOOKS,
) -> list[dict[str, Any]]:
    """Attack every way on the same photographs.

    Args:
        ways: what to attack.
        height: of a character, in pixels.
        plates: to be read of each look, each with a text drawn uniformly from ALPHABET.
        rehearsals: plates of known text for the attacker, of each look.
        frames: pictures of each plate, which differ in their noise; the attacker takes the mean of what was concealed.
        places: characters a plate.
        seed: of texts, lights and noise.
        looks: of the plates.

    Returns:
        For each way its description, ``characters``, how many were read ``right``, and the 99 % ``interval`` of the
        share.
    """
    right = dict.fromkeys(ways, 0)
    for number, look in enumerate(looks):
        random = np.random.default_rng((seed, height, frames, places, number))
        target = lit(height, look, random.uniform(*LIGHT), places)
        drawn = random.integers(0, len(ALPHABET), (rehearsals + plates, places))
        texts = ["".join(ALPHABET[letter] for letter in row) for row in drawn]
        renderings, measured = target.renderings(), {way: [] for way in ways}
        readers = {way: way.reader(target, renderings) for way in ways}
        for text in texts:
            levels = target.levels(text)
            photographs = [photograph(levels, random) for _ in range(frames)]
            for way, reader in readers.items():
                measured[way].append(reader.measure(photographs))
        for way, reader in readers.items():
            told = np.stack(measured[way])
            reader.rehearse(texts[:rehearsals], told[:rehearsals])
            right[way] += int((numbers(reader.read(told[rehearsals:], random)) == drawn[rehearsals:]).sum())
    count = plates * places * len(looks)
    shape = {"height": height, "frames": frames, "places": places, "characters": count}
    return [
        {"mode": way.mode, "region": way.region, "strength": way.strength}
        | shape
        | {"right": hits, "recovered": hits / count, "interval": share_interval(hits, count, 0.99)}
        for way, hits in right.items()
    ]


def ceiling(
    height: int,
    region: str = "characters",
    places: int = 7,
    texts: int = 100_000,
    seed: int = 0,
    looks: Sequence[Look] = LOOKS,
) -> float:
    """The share of characters that nobody can exceed who sees `blur` or `pixelate` of noiseless plates.

    Both show a few rounded colours and nothing else, so the best that can be done is to know, for each outcome, which
    character is the most frequent in each place (Bayes' rule): counted on half of the texts, tried on the others.

    Looks and lights are those of `measure` with one frame and the same seed.
    """
    right, tried = 0, 0
    for number, look in enumerate(looks):
        random = np.random.default_rng((seed, height, 1, places, number))
        target = lit(height, look, random.uniform(*LIGHT), places)
        blank, *alone = (_slab_colours(each, target.mask(region)) / 257 for each in target.renderings())
        marks = np.stack(alone).reshape(places, len(ALPHABET), -1) - blank
        drawn = random.integers(0, len(ALPHABET), (texts, places))
        colours = blank + marks[np.arange(places), drawn].sum(1)
        _, outcome = np.unique(np.rint(colours / (255 * shipped.STEP)), axis=0, return_inverse=True)
        known, asked = slice(0, texts // 2), slice(texts // 2, None)
        for place in range(places):
            pairs = outcome[known] * len(ALPHABET) + drawn[known, place]
            counts = np.bincount(pairs, minlength=(outcome.max() + 1) * len(ALPHABET)).reshape(-1, len(ALPHABET))
            right += int((counts.argmax(1)[outcome[asked]] == drawn[asked, place]).sum())
            tried += texts - texts // 2
    return right / tried


def _slab_colours(pixels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """A region's mean colours, float64 (3 * slabs,), before they are rounded; its long side lies level."""
    part = next(iter(components(mask)))
    means = shipped.slab_means(pixels[part.rows, part.columns], part)
    count = max(int(part.length / (shipped.BLOCK * part.height)), 1)
    middles = ((np.arange(count) + 0.5) / count * part.mask.shape[1]).astype(int)
    return means[part.mask.shape[0] // 2, middles].astype(np.float64).ravel()


def controls(strengths: Sequence[float]) -> list[Way]:
    """Both weak ways at these strengths, on the tightest region."""
    return [Way(kind, "characters", strength) for kind in WEAK for strength in strengths]


def shipped_ways(regions: Sequence[str] = REGIONS) -> list[Way]:
    """Every mode of `lib.redact` on these regions."""
    return [Way(mode, region) for mode in shipped.MODES for region in regions]


@dataclass(frozen=True, eq=False)
class Example:
    """One plate: its ``text``, pictures uint8 (H, W, 3) by name, and what was read from the weakly blurred one."""

    text: str
    pictures: dict[str, np.ndarray]
    read: str


def examples(height: int = 32, sigma: float = 0.5, seed: int = 1, looks: Sequence[Look] = LOOKS) -> list[Example]:
    """A plate of each look as photographed, under a Gaussian of ``sigma`` character heights, and in every mode."""
    made, way = [], Way("gaussian", "characters", sigma)
    for look in looks:
        random, target = np.random.default_rng((seed, len(made))), lit(height, look, 0.8)
        texts = ["".join(random.choice(list(ALPHABET), target.places)) for _ in range(41)]
        reader = way.reader(target)
        seen = [photograph(target.levels(text), random) for text in texts]
        measured = np.stack([reader.measure([each]) for each in seen])
        reader.rehearse(texts[1:], measured[1:])
        pictures = {"as photographed": seen[0], f"Gaussian, {sigma:g} H": reader.conceal(seen[0], reader.mask)}
        pictures |= {mode: shipped.redact(seen[0], target.mask("plate"), mode) for mode in shipped.MODES}
        made.append(Example(texts[0], pictures, reader.read(measured[:1], random)[0]))
    return made
