"""The paper's alternatives to its method, as final blends: the window's picture into the photo.

Each takes the photo's pixels X and the edited picture up(y_e), both at the photo's resolution, and
the patch's alpha, and returns what is laid over the photo, with which alpha. They do not see y:
what the model gets wrong about the photo is theirs to hide. ``residual``, the default, is in
``paste``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from ganpaint_engine.encoder import GRID
from ganpaint_engine.window import bounds

RESIDUAL = "residual"

STATISTICS_PX = 128
"""Side of the pictures whose colours are compared: detail that up(y_e) lacks does not count."""

SOLVED_PX = 512
"""Side of the largest picture on which Poisson's equation is solved; what it adds is smooth."""

_ERODED = 3
"""OpenCV's seamlessClone takes gradients from the source only this many px inside the mask."""


class Blended(NamedTuple):
    """content: S×S×3 in levels of 255, not clipped. alpha: S×S in [0, 1], 0 where it was 0."""

    content: np.ndarray
    alpha: np.ndarray


def alpha_blend(photo: np.ndarray, after: np.ndarray, alpha: np.ndarray) -> Blended:
    """The edited picture itself."""
    return Blended(after, alpha)


def color_transfer(photo: np.ndarray, after: np.ndarray, alpha: np.ndarray) -> Blended:
    """The edited picture in the photo's colours: mean and deviation of each CIELAB channel.

    Reinhard et al., *Color Transfer between Images* (2001). Taken where nothing is laid over the
    photo, so that new things do not count; from the whole window where there is next to none.
    """
    size = (min(STATISTICS_PX, len(alpha)),) * 2
    around = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA) == 0
    if around.mean() < 0.01:
        around[:] = True
    theirs, ours = (
        _to_lab(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))[around]
        for picture in (photo, after)
    )
    gain = theirs.std(0) / np.maximum(ours.std(0), 0.1)
    lab = (_to_lab(after) - ours.mean(0)) * np.clip(gain, 1 / 3, 3) + theirs.mean(0)
    return Blended(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB) * np.float32(255), alpha)


def poisson(photo: np.ndarray, after: np.ndarray, alpha: np.ndarray) -> Blended:
    """The edited picture's gradients, with the photo's values around them.

    Pérez et al., *Poisson Image Editing* (2003), by OpenCV's seamlessClone. Photo and edit are
    mirrored at the window's border: nothing is known beyond it, and seamlessClone cannot reach it.
    A patch that covers the window has no values around it and stays as it is.
    """
    side = len(alpha)
    solved = min(side, SOLVED_PX)
    pad = solved // 4

    def prepared(picture: np.ndarray) -> np.ndarray:
        small = cv2.resize(picture, (solved,) * 2, interpolation=cv2.INTER_AREA)
        return cv2.copyMakeBorder(small, pad, pad, pad, pad, cv2.BORDER_REFLECT_101)

    mask = (prepared(alpha) > 0).astype(np.uint8) * 255
    if mask.all():
        return Blended(after, alpha)
    grown = np.ones((2 * _ERODED + 1,) * 2, np.uint8)
    mask = cv2.dilate(mask, grown).astype(np.uint8)
    mask[:2] = mask[-2:] = mask[:, :2] = mask[:, -2:] = 0
    # seamlessClone lays the mask's bounding box, not the picture, around the point it is given.
    x, y, width, height = cv2.boundingRect(mask)
    middle = (x + width // 2, y + height // 2)
    target, source = (_to_uint8(prepared(picture)) for picture in (photo, after))
    cloned = cv2.seamlessClone(source, target, mask, middle, cv2.NORMAL_CLONE)
    added = (cloned.astype(np.float32) - source)[pad:-pad, pad:-pad]
    return Blended(after + cv2.resize(added, (side, side), interpolation=cv2.INTER_LINEAR), alpha)


def laplacian(photo: np.ndarray, after: np.ndarray, alpha: np.ndarray) -> Blended:
    """Each octave of detail blended over a distance of its own size.

    Burt and Adelson, *A Multiresolution Spline* (1983). The coarsest pixel is half a grid cell. The
    alpha is in the blend already: what is returned only ends it where the patch ends.
    """
    levels = max(round(math.log2(len(alpha) / GRID)) - 1, 1)
    margin = 1 << levels
    box = bounds(alpha)
    rows = slice(max(box.y0 - margin, 0), box.y1 + margin)
    columns = slice(max(box.x0 - margin, 0), box.x1 + margin)
    weights = _gaussian_pyramid(alpha[rows, columns], levels)
    bands = [
        theirs + weight[..., None] * (ours - theirs)
        for theirs, ours, weight in zip(
            _laplacian_pyramid(photo[rows, columns], levels),
            _laplacian_pyramid(after[rows, columns], levels),
            weights,
            strict=True,
        )
    ]
    blended = bands.pop()
    for band in reversed(bands):
        blended = band + cv2.pyrUp(blended, dstsize=band.shape[1::-1])
    content = photo.copy()
    content[rows, columns] = blended
    return Blended(content, np.clip(alpha * 4, 0, 1))


BLENDS: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], Blended]] = {
    "alpha": alpha_blend,
    "color_transfer": color_transfer,
    "poisson": poisson,
    "laplacian": laplacian,
}

COMPOSITES = (RESIDUAL, *BLENDS)
"""The final blends that an edit can be made with, the default first."""


def blend(composite: str, photo: np.ndarray, after: np.ndarray, alpha: np.ndarray) -> Blended:
    """One of BLENDS. photo, after: S×S×3 float32 in levels of 255, sRGB. alpha: S×S in [0, 1]."""
    return BLENDS[composite](photo, np.clip(after, 0, 255), alpha)


def _to_lab(rgb: np.ndarray) -> np.ndarray:
    """S×S×3 sRGB in levels of 255 to CIELAB: 0 to 100, and about -127 to 127."""
    return cv2.cvtColor(rgb / np.float32(255), cv2.COLOR_RGB2LAB)


def _to_uint8(picture: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def _gaussian_pyramid(picture: np.ndarray, levels: int) -> list[np.ndarray]:
    """The picture and ``levels`` halvings of it."""
    pyramid = [picture]
    for _ in range(levels):
        pyramid.append(cv2.pyrDown(pyramid[-1]))
    return pyramid


def _laplacian_pyramid(picture: np.ndarray, levels: int) -> list[np.ndarray]:
    """The octaves of a picture, the finest first, and what is left of it."""
    pyramid = _gaussian_pyramid(picture, levels)
    for i in range(levels):
        pyramid[i] = pyramid[i] - cv2.pyrUp(pyramid[i + 1], dstsize=pyramid[i].shape[1::-1])
    return pyramid
