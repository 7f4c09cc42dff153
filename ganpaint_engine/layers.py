"""A patch and how it lies over the photo. Without torch: a client of an engine does it too."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Patch(NamedTuple):
    """New pixels: h×w×4 uint8 or uint16, straight alpha; and their left top corner, photo px."""

    rgba: np.ndarray
    x: int
    y: int


def top(array: np.ndarray) -> int:
    """The value of white in a picture of uint8 or uint16."""
    return int(np.iinfo(array.dtype).max)


def eight_bits(array: np.ndarray) -> np.ndarray:
    """A picture of uint8 or uint16 as uint8: rounded."""
    if array.dtype == np.uint8:
        return array
    return ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)


def lay_over(rgb: np.ndarray, alpha: np.ndarray | None, patch: Patch) -> np.ndarray:
    """The photo (H×W×3, with H×W alpha or None) with the patch over it: H×W×3 or 4.

    Photo, alpha and patch are all of uint8 or all of uint16, and so is the result. Where the patch
    is transparent the photo's values are kept exactly.
    """
    height, width = patch.rgba.shape[:2]
    rows, columns = slice(patch.y, patch.y + height), slice(patch.x, patch.x + width)
    white = np.uint32(top(rgb))
    if alpha is None:
        out = rgb.copy()
    else:
        out = np.empty((*rgb.shape[:2], 4), rgb.dtype)
        out[..., :3], out[..., 3] = rgb, alpha
        opacity = out[rows, columns, 3]
        np.maximum(opacity, patch.rgba[..., 3], out=opacity)
    a = patch.rgba[..., 3:].astype(np.uint32)
    # 65535² and half of 65535 are just within 32 bits.
    mixed = patch.rgba[..., :3] * a + out[rows, columns, :3] * (white - a)
    out[rows, columns, :3] = (mixed + white // 2) // white
    return out
