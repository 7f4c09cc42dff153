"""Detail finer than the window: what a small window cannot show of leaves and grass.

New content drawn by a window of R px is smooth in a photo of many more. Natural textures have about
the same contrast in each octave of size; so noise of one strength in every octave between the
window's pixels and the photo's stands for what is missing. How strong: as the same concept
elsewhere in this photo has it, or, where it is nowhere else, as the model's own pictures have it.
"""

from __future__ import annotations

import itertools

import cv2
import numpy as np

from ganpaint_engine.encoder import GRID

STRONGEST = 16.0
"""Most contrast laid on an octave, standard deviation in levels of 255."""

FEWEST_CELLS = 3
"""Of a concept in a photo, for its detail to be taken from there."""


def _sizes(side: int, resolution: int) -> list[int]:
    """Sides of ever larger pictures, from the window's to the photo's."""
    sizes = [resolution]
    while sizes[-1] < side:
        sizes.append(min(2 * sizes[-1], side))
    return sizes


def _up(picture: np.ndarray, side: int) -> np.ndarray:
    return cv2.resize(picture, (side, side), interpolation=cv2.INTER_CUBIC)


def contrast(photo: np.ndarray, donors: np.ndarray, resolution: int) -> list[float] | None:
    """Strength of each octave beyond the window's pixels in the cells ``donors`` of a photo.

    photo: S×S×3 in [0, 255]. donors: 8×8 bools. Returns standard deviations in levels of 255, the
    coarsest octave first: the median over cells, so that one edge does not count. None if there
    are fewer than FEWEST_CELLS.
    """
    if donors.sum() < FEWEST_CELLS:
        return None
    grey = photo.mean(2)
    pictures = [
        cv2.resize(grey, (n, n), interpolation=cv2.INTER_AREA)
        for n in _sizes(photo.shape[0], resolution)
    ]
    levels = []
    for coarse, fine in itertools.pairwise(pictures):
        band = fine - _up(coarse, fine.shape[0])
        cells = cv2.resize(band * band, (GRID, GRID), interpolation=cv2.INTER_AREA)
        levels.append(min(float(np.median(np.sqrt(cells[donors]))), STRONGEST))
    return levels


def noise(side: int, resolution: int, levels: list[float] | float, seed: int) -> np.ndarray:
    """Detail for an S×S window, S×S×1: each octave at its level (or all at one), grey."""
    rng = np.random.default_rng(seed)
    out = np.zeros((side, side), np.float32)
    sizes = _sizes(side, resolution)
    for k, n in enumerate(sizes[1:]):
        level = levels if isinstance(levels, float) else levels[k]
        drawn = rng.standard_normal((n, n), dtype=np.float32)
        coarse = cv2.resize(drawn, (sizes[k],) * 2, interpolation=cv2.INTER_AREA)
        band = _up(drawn - _up(coarse, n), side)
        out += band * (level / max(float(band.std()), 1e-6))
    return out[..., None]


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
