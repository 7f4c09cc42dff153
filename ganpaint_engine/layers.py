"""A patch and how it lies over the photo. Without torch: a client of an engine does it too."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Patch(NamedTuple):
    """New pixels: h×w×4 uint8, straight alpha, and where their left top corner lies, photo px."""

    rgba: np.ndarray
    x: int
    y: int


def lay_over(rgb: np.ndarray, alpha: np.ndarray | None, patch: Patch) -> np.ndarray:
    """The photo (H×W×3, with H×W alpha or None) with the patch over it: H×W×3 or 4 uint8."""
    height, width = patch.rgba.shape[:2]
    rows, columns = slice(patch.y, patch.y + height), slice(patch.x, patch.x + width)
    out = rgb.copy()
    a = patch.rgba[..., 3:].astype(np.uint32)
    mixed = patch.rgba[..., :3] * a + out[rows, columns] * (255 - a)
    out[rows, columns] = ((mixed + 127) // 255).astype(np.uint8)
    if alpha is None:
        return out
    opacity = alpha.copy()
    opacity[rows, columns] = np.maximum(opacity[rows, columns], patch.rgba[..., 3])
    return np.dstack([out, opacity])
