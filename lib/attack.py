"""Reading what was concealed: the attacker knows font, colours, layout, place and method; only the text is unknown.

A blur and a mean are linear in the pixels, so one rendering of each character in each place, concealed alike, spans
every text; Hill et al. 2016 ("On the (In)effectiveness of Mosaicing and Blurring as Tools for Document Redaction") go
through the texts one by one. The attacker also rehearses on plates of his own, and so knows how noise, JPEG and
rounding disturb what is seen. Then he looks for the texts that explain it, all places at once: a strong blur mixes
neighbours.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from lib.scenes.noise import grain
from lib.scenes.plates import BLACK, DIGITS, LETTERS, WHITE, PlateDesign, paint

ALPHABET = LETTERS + DIGITS  # of the plates, 33: neither I nor O nor Q
REGIONS = ("characters", "plate")  # the tightest rectangle that hides all characters, and the plate's whole face
NOISE = 2.0  # standard deviation of the camera's noise, in levels of 255
QUALITY = 92  # of the camera's JPEG
_CELL, _FACE, _PITCH, _GLYPH = 0.075, 0.11, 0.070, 0.054  # metres: a character's and the face's height, step, width
_FINEST = 32  # rows of a character that the attacker looks at: a concealed picture has nothing finer
_HOTTEST = 1e4  # temperature at which the search starts: any character is as good as any other

Colour = tuple[float, float, float]  # linear RGB, 0 to 1
Conceal = Callable[[np.ndarray, np.ndarray], np.ndarray]  # pixels and mask to pixels, as `lib.redact.redact`


@dataclass(frozen=True)
class Target:
    """A plate seen from the front: a character's height in pixels, font, colours (linear RGB), number of places."""

    height: int
    font: str = "DejaVuSans-Bold"
    ground: Colour = WHITE
    ink: Colour = BLACK
    places: int = 7

    @property
    def _unit(self) -> float:
        return self.height / _CELL  # pixels a metre

    @property
    def _width(self) -> int:
        return round((self.places + 0.4) * _PITCH * self._unit)

    def levels(self, text: str) -> np.ndarray:
        """The noiseless picture, float32 (H, W, 3) in levels 0 to 255, with half a character of body round the plate.

        Args:
            text: a character of ALPHABET for each place; a space leaves its place empty.
        """
        wide, cells = self._width / self._unit, []
        for place, char in enumerate(text):
            width = _GLYPH * (0.42 if char == "1" else 1.0)  # as `lib.scenes.plates` lays them out
            middle = wide / 2 + (place - (self.places - 1) / 2) * _PITCH
            cells.append((middle - width / 2, (_FACE - _CELL) / 2, width, _CELL))
        drawn = [(char, cell) for char, cell in zip(text, cells, strict=True) if char != " "]
        ground, ink = np.float32(self.ground), np.float32(self.ink)
        design = PlateDesign(
            "white", "".join(char for char, _ in drawn), (wide, _FACE), tuple(cell for _, cell in drawn), (), self.font,
            ground, ink, 0.6, "", 0.0, 0.0, ground, 3,
        )  # fmt: skip
        face, _ = paint(design, self._width)
        face = cv2.copyMakeBorder(face, *[self.height // 2] * 4, cv2.BORDER_CONSTANT, value=(0.1, 0.1, 0.1))
        return 255 * face ** np.float32(1 / 2.2)

    def renderings(self) -> np.ndarray:
        """The empty plate, then each character of ALPHABET alone in each place, uint16 (1 + 33 places, H, W, 3)."""
        empty = " " * self.places
        alone = [empty[:place] + char + empty[place + 1 :] for place in range(self.places) for char in ALPHABET]
        return np.stack([np.rint(self.levels(text) * 257).astype(np.uint16) for text in (empty, *alone)])

    def mask(self, region: str) -> np.ndarray:
        """(H, W) bool: one of REGIONS."""
        margin, tall = self.height // 2, max(round(_FACE * self._unit), 4)
        mask = np.zeros((tall + 2 * margin, self._width + 2 * margin), bool)
        if region == "plate":
            mask[margin:-margin, margin:-margin] = True
            return mask
        first, last = (self._width / self._unit / 2 + side * (self.places - 1) / 2 * _PITCH for side in (-1, 1))
        left, right = (margin + round((middle - _GLYPH / 2) * self._unit) for middle in (first, last))
        top = margin + round((_FACE - _CELL) / 2 * self._unit)
        mask[top : top + self.height, left : right + round(_GLYPH * self._unit)] = True
        return mask


def photograph(levels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A camera's picture of ``levels`` (H, W, 3), uint8: noise, rounding, JPEG."""
    bank = grain(5)
    height, width = levels.shape[:2]
    top, left = int(random.integers(bank.shape[0] - height + 1)), int(random.integers(bank.shape[1] - width + 1))
    noisy = levels + np.float32(NOISE) * bank[top : top + height, left : left + width]
    encoded = cv2.imencode(".jpg", np.rint(noisy.clip(0, 255)).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
    return cv2.imdecode(encoded, cv2.IMREAD_COLOR)


def weak_blur(sigma: float) -> Conceal:
    """A plain Gaussian of ``sigma`` pixels, however small; `lib.redact.redact` cannot be made weak."""

    def conceal(pixels: np.ndarray, mask: np.ndarray) -> np.ndarray:
        blurred = cv2.GaussianBlur(pixels.astype(np.float32), (0, 0), sigma)
        return np.where(mask[..., None], np.rint(blurred).reshape(pixels.shape), pixels).astype(pixels.dtype)

    return conceal


def weak_mosaic(block: float) -> Conceal:
    """Squares with sides of ``block`` pixels, each its mean colour, from the top left of the mask's box, all of it."""

    def conceal(pixels: np.ndarray, mask: np.ndarray) -> np.ndarray:
        x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
        out, part = pixels.copy(), pixels[y : y + height, x : x + width].astype(np.float64)
        for axis, length in enumerate((height, width)):
            number = np.floor((np.arange(length) + 0.5) / block).astype(int)
            number = np.unique(number, return_inverse=True)[1]  # blocks of under a pixel leave numbers out
            starts = np.flatnonzero(np.diff(number, prepend=-1))
            means = np.add.reduceat(part, starts, axis) / np.expand_dims(np.bincount(number), (1 - axis, 2))
            part = np.take(means, number, axis)
        out[y : y + height, x : x + width] = np.rint(part)
        return out

    return conceal


class Reader:
    """An attacker of one kind of plate, one way to conceal and one region.

    Args:
        target: the plate, but for its text.
        conceal: what was done to it.
        mask: (H, W) bool, where.
        renderings: ``target.renderings()``.
        linear: ``conceal`` without its rounding to coarse steps, which is not linear, where it has one: how it errs
            from this is learned by `rehearse`.
    """

    def __init__(
        self,
        target: Target,
        conceal: Conceal,
        mask: np.ndarray,
        renderings: np.ndarray,
        linear: Conceal | None = None,
    ) -> None:
        self.target, self.conceal, self.mask = target, conceal, mask
        self._box = cv2.boundingRect(mask.view(np.uint8))
        blank, *alone = (self._seen((linear or conceal)(each, mask)) / 257 for each in renderings)
        marks = np.stack(alone).reshape(target.places, len(ALPHABET), -1) - blank  # (places, letters, values)
        means = marks.mean(1, keepdims=True)
        marks -= means
        self._offset = blank + means.sum((0, 1))
        flat = marks.reshape(-1, marks.shape[-1])
        values, vectors = np.linalg.eigh((flat @ flat.T).astype(np.float64))
        told = values > 1e-5 * flat.shape[1]  # less is the 16 bits' own rounding
        self._basis = flat.T @ (vectors[:, told] / np.sqrt(values[told])).astype(np.float32)  # (values, K)
        self._marks = (marks @ self._basis).astype(np.float64)  # (places, letters, K)
        self._bias, self._whiten = np.zeros(told.sum()), np.eye(told.sum())

    def _seen(self, pixels: np.ndarray) -> np.ndarray:
        """The region's colours, float32 (values,), at no more than _FINEST rows a character."""
        x, y, width, height = self._box
        part, shrink = pixels[y : y + height, x : x + width].astype(np.float32), self.target.height / _FINEST
        if shrink > 1:
            part = cv2.resize(part, (round(width / shrink), round(height / shrink)), interpolation=cv2.INTER_AREA)
        return part.ravel()

    def measure(self, photographs: Sequence[np.ndarray]) -> np.ndarray:
        """Conceal frames of one plate, take their mean, and say what it tells of the text.

        Returns:
            float64 (K,): along the directions in which texts differ.
        """
        seen = np.mean([self._seen(self.conceal(each, self.mask)) for each in photographs], 0)
        return ((seen - self._offset) @ self._basis).astype(np.float64)

    def rehearse(self, texts: Sequence[str], measured: np.ndarray) -> None:
        """Learn from plates of known text, ``measured`` (N, K), how measurements err."""
        errors = measured - self._marks[np.arange(self.target.places), numbers(texts)].sum(1)
        if not errors.shape[1]:
            return
        self._bias = errors.mean(0)
        covariance = np.atleast_2d(np.cov(errors.T))
        # drawn towards its diagonal, since few rehearsals know little of many directions (Ledoit and Wolf 2004)
        share = min(1.0, len(covariance) / len(errors))
        covariance = (1 - share) * covariance + (share + 1e-6) * np.diag(np.diag(covariance))
        self._whiten = np.linalg.inv(np.linalg.cholesky(covariance)).T

    def read(self, measured: np.ndarray, random: np.random.Generator, chains: int = 3, sweeps: int = 60) -> list[str]:
        """The texts that plates ``measured``, (N, K), most probably have, character by character.

        Gibbs sampling of two places at a time while the temperature falls to 1 (Geman and Geman 1984), and from then on
        there, where the mean chance of a character in its place is its posterior probability. Where one text explains
        the picture far better than all others, that text is found.
        """
        places, letters = self.target.places, len(ALPHABET)
        if not self._marks.shape[-1]:  # every text looks alike
            drawn = random.integers(0, letters, (len(measured), places))
            return ["".join(ALPHABET[letter] for letter in row) for row in drawn]
        count = len(measured) * chains
        marks = (self._marks @ self._whiten).astype(np.float32)  # in standard deviations
        cross = np.einsum("iak,jbk->ijab", marks, marks, optimize=True)
        half = 0.5 * (marks**2).sum(-1)
        chosen = random.integers(0, letters, (count, places))
        rest = np.repeat((measured - self._bias) @ self._whiten, chains, 0).astype(np.float32)
        rest -= marks[np.arange(places), chosen].sum(1)  # what the text so far leaves unexplained
        votes = np.zeros((count, places, letters), np.float32)
        falling = np.geomspace(_HOTTEST, 1.0, sweeps // 2)
        for temperature in [*falling, *[1.0] * (sweeps - len(falling))]:
            order = random.permutation(places)
            for i, j in zip(order[::2], np.roll(order, -1)[::2], strict=True):
                rest += marks[i, chosen[:, i]] + marks[j, chosen[:, j]]
                one, other = (half[place] - rest @ marks[place].T for place in (i, j))
                chance = cross[i, j] + one[:, :, None] + other[:, None, :]
                chance -= chance.min((1, 2), keepdims=True)
                chance *= np.float32(-1 / temperature)
                np.exp(chance, out=chance)
                summed = chance.reshape(count, -1).cumsum(1)
                pick = (summed < random.random((count, 1), np.float32) * summed[:, -1:]).sum(1)
                chosen[:, i], chosen[:, j] = np.divmod(pick.clip(max=letters**2 - 1), letters)
                rest -= marks[i, chosen[:, i]] + marks[j, chosen[:, j]]
                if temperature == 1:
                    votes[:, i] += chance.sum(2) / summed[:, -1:]
                    votes[:, j] += chance.sum(1) / summed[:, -1:]
        # a chain that got stuck explains less than the others of its plate
        fit = (rest**2).sum(1).reshape(-1, chains)
        weight = np.exp((fit.min(1, keepdims=True) - fit) / 2)
        shares = np.einsum("nc,ncpl->npl", weight, votes.reshape(-1, chains, places, letters))
        return ["".join(ALPHABET[letter] for letter in row) for row in shares.argmax(-1)]


def numbers(texts: Sequence[str]) -> np.ndarray:
    """Texts as indices into ALPHABET, int (N, places)."""
    return np.array([[ALPHABET.index(char) for char in text] for text in texts])
