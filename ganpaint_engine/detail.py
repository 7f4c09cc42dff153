"""Detail finer than the window: what a small window cannot show of leaves and grass.

New content drawn by a window of R px is smooth in a photo of many more. Natural textures have about
the same contrast in each octave of size; so noise of one strength in every octave between the
window's pixels and the photo's stands for what is missing. How strong: as the same concept
elsewhere in this photo has it, or, where it is nowhere else, as the model's own pictures have it.
"""

from __future__ import annotations

import itertools
import math

import cv2
import numpy as np

from ganpaint_engine.encoder import GRID
from ganpaint_engine.layers import top

STRONGEST = 16.0
"""Most contrast laid on an octave, standard deviation in levels of 255."""

FEWEST_CELLS = 3
"""Of a concept in a photo, for its detail to be taken from there."""
MOST_CELLS = 16
"""Looked at: more would not change the median."""


def _sizes(side: int, resolution: int) -> list[int]:
    """Sides of ever larger pictures, from the window's to the photo's."""
    sizes = [resolution]
    while sizes[-1] < side:
        sizes.append(min(2 * sizes[-1], side))
    return sizes


def octaves(side: int, resolution: int) -> int:
    """How many octaves lie between pictures of ``resolution`` and of ``side`` px."""
    return len(_sizes(side, resolution)) - 1


def _up(picture: np.ndarray, side: int) -> np.ndarray:
    return cv2.resize(picture, (side, side), interpolation=cv2.INTER_CUBIC)


def contrast(photo: np.ndarray, donors: np.ndarray, resolution: int) -> list[float] | None:
    """Strength of each octave beyond the window's pixels in the cells ``donors`` of a photo.

    photo: S×S×3 uint8 or uint16. donors: 8×8 bools. Returns standard deviations in levels of 255,
    the coarsest octave first: the median over cells, so that one edge does not count. None if
    there are fewer than FEWEST_CELLS.
    """
    if donors.sum() < FEWEST_CELLS:
        return None
    edges = np.linspace(0, len(photo), GRID + 1).round().astype(int)
    sizes = [max(n // GRID, 1) for n in _sizes(len(photo), resolution)]
    found = []
    places = np.argwhere(donors)
    for y, x in places[:: max(len(places) // MOST_CELLS, 1)]:
        cell = photo[edges[y] : edges[y + 1], edges[x] : edges[x + 1]].astype(np.float32)
        grey = cell.mean(2) * np.float32(255 / top(photo))
        pictures = [cv2.resize(grey, (n, n), interpolation=cv2.INTER_AREA) for n in sizes]
        found.append(
            [
                float(np.std(fine - _up(coarse, len(fine))))
                for coarse, fine in itertools.pairwise(pictures)
            ]
        )
    return [min(float(v), STRONGEST) for v in np.median(found, axis=0)]


def noise(
    shape: tuple[int, int], side: int, resolution: int, levels: list[float] | float, seed: int
) -> np.ndarray:
    """Detail for a part of an S×S window, h×w, in levels of 255: each octave at its own (or all at
    one), grey. ``side`` is S."""
    rng = np.random.default_rng(seed)
    (height, width), sizes = shape, _sizes(side, resolution)
    out = np.zeros(shape, np.float32)
    for k, n in enumerate(sizes[1:]):
        level = levels if isinstance(levels, float) else levels[k]
        if not level:
            continue
        size = tuple(max(math.ceil(v * n / side), 4) for v in (width, height))
        half = tuple(max(math.ceil(v * sizes[k] / side), 2) for v in (width, height))
        drawn = rng.standard_normal(size[::-1], dtype=np.float32)
        coarse = cv2.resize(drawn, half, interpolation=cv2.INTER_AREA)
        drawn -= cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)
        band = cv2.resize(drawn, (width, height), interpolation=cv2.INTER_CUBIC)
        out += band * np.float32(level / max(float(band.std()), 1e-6))
    return out


def texture(y: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Where detail belongs in new content: R×R in [0, 1].

    y: the window's picture, R×R×3. new: R×R, the influence of the edit. Leaves vary both along and
    across, an edge only across, and sky or a wall not at all: so what counts is the smaller
    eigenvalue of the gradients' covariance (Shi and Tomasi, *Good Features to Track*, 1994),
    against what is usual in the new content.
    """
    varies = np.sqrt(np.maximum(cv2.cornerMinEigenVal(y.mean(2), 5, ksize=3), 0))
    inner = new > 0.9
    if not inner.any():
        return np.zeros_like(varies)
    usual = max(float(np.quantile(varies[inner], 0.75)), 1e-6)
    rough = np.clip(cv2.GaussianBlur(varies, (0, 0), 1.0) / (0.75 * usual), 0, 1)
    return rough * np.clip(2 * new - 1, 0, 1)  # none where the photo shows through


def typical(pictures: list[np.ndarray], places: list[np.ndarray]) -> float:
    """Contrast of a concept's finest octave in a model's own pictures, levels of 255.

    pictures: H×W×3 uint8, the larger the better. places: H×W bools, where the concept is. 0 where
    there is too little of it.
    """
    found = []
    for picture, place in zip(pictures, places, strict=True):
        inner = cv2.erode(place.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        if inner.sum() < 100:
            continue
        grey = picture.astype(np.float32).mean(2)
        height, width = grey.shape
        half = cv2.resize(grey, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        band = grey - cv2.resize(half, (width, height), interpolation=cv2.INTER_CUBIC)
        found.append(float(band[inner].std()))
    return round(min(float(np.median(found)), STRONGEST), 1) if found else 0.0
