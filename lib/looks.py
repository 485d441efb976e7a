"""What a second look is shown, as pictures to learn from: the regions that a first look takes for plates, or nearly.

A second look (`lib.second_look`) brings every region to one size, a far plate ten times larger than it is, and what it
is shown are plates and whatever else the first look was not sure about. Crops of photographs are neither: a network
that has learned from those alone has hardly seen what it is asked then. Learning from one's own mistakes is an old
habit of detectors (Sung and Poggio 1998, *Example-based learning for view-based human face detection*, section 4.2).
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from lib.crops import Crop
from lib.gallery import Gallery
from lib.second_look import aim, candidates
from lib.transforms import GREY

FAINT = 0.9  # regions are shown whose least P(background) is below it: fainter ones too than are looked at again
FIELD = 480  # pixels at a second look's scale along the square that is kept of a region: one and a half looks


@dataclass(frozen=True)
class LookCrop(Crop):
    """Crops of what `looks` keeps, as a second look lays them, a little to the side, larger or smaller.

    ``anywhere`` and ``closer`` say nothing.

    Attributes:
        aside: how far from the region's middle, in pixels along either axis, at most.
    """

    longest: int = FIELD
    zoom: tuple[float, float] = (0.75, 1.3)
    aside: float = 40.0

    def _lay(self, shape: tuple[int, int], outlines: np.ndarray, rng: np.random.Generator) -> tuple[float, np.ndarray]:
        own = self.longest / max(shape)
        zoom = own * np.exp(rng.uniform(*np.log(self.zoom)))
        return zoom, np.array(shape[::-1]) / 2 + rng.uniform(-self.aside, self.aside, 2) / own


def looks(gallery: Gallery, first: Callable[[np.ndarray], np.ndarray]) -> Gallery:
    """Every region of the pictures that a first look may take for a plate, each with what is round it.

    Args:
        gallery: pictures with their plates.
        first: from a picture, uint8 ``(H, W, 3)``, to P(background) of one look, float ``(H, W)``.

    Returns:
        Squares of up to `FIELD` pixels, the region in the middle, grey beyond the picture; plates and regions in doubt
        as they lie in them.
    """
    pixels, outlines, ignored, sources = [], [], [], []
    for number, picture in enumerate(gallery.pixels):
        for region in candidates(first(picture), FAINT):
            (left, right), (top, bottom) = ((part.start, part.stop) for part in (region.columns, region.rows))
            square, origin, scale = _square(picture, np.array([left, top, right, bottom], float))
            pixels.append(square)
            for told, known in ((outlines, gallery.outlines), (ignored, gallery.ignored)):
                told.append(((known[number] - origin) * scale).astype(np.float32))
            sources.append(gallery.sources[number])
    return Gallery(pixels, outlines, ignored, sources)


def _square(picture: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """A square round a box, where its corner lies in the picture, and how many of its pixels one of those became."""
    middle, scale = aim(box)
    half = max(1, round(FIELD / scale / 2))
    low = np.round(middle).astype(int) - half
    around = np.maximum([-low, low + 2 * half - picture.shape[1::-1]], 0)  # what of it is beyond the picture
    (left, top), (right, bottom) = low + around[0], low + 2 * half - around[1]
    border = {"borderType": cv2.BORDER_CONSTANT, "value": (GREY,) * 3}
    edges = [int(each) for each in (around[0][1], around[1][1], around[0][0], around[1][0])]
    square = cv2.copyMakeBorder(picture[top:bottom, left:right], *edges, **border)
    if scale < 1:
        square = cv2.resize(square, (FIELD, FIELD), interpolation=cv2.INTER_AREA)
    return square, low.astype(float), len(square) / (2 * half)
