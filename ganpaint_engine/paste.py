"""Paste-back: what the window shows, into the photo at its own resolution.

With X the photo's pixels, y and y_e the window before and after the edit under the same δ (both
scaled up):

    patch = up(y_e) + (1 - I) · (X - up(y)) + I · (carried + grain + detail)

I, the influence, is 1 where the edit changed the window's picture and 0 where it left it alone; so
where nothing changed the patch is X itself, with all its detail. New content takes the light of
the photo (*carried*: how much X and up(y) differ around the stroke, smoothly continued under it),
its grain, and the detail that the window is too small for (``detail``). The patch is laid over the
photo with an alpha that is 0 away from the stroke: there the photo's pixels stay bit-identical.
"""

from __future__ import annotations

import cv2
import numpy as np
from torch import Tensor

from ganpaint_engine import compositing
from ganpaint_engine.encoder import GRID
from ganpaint_engine.layers import Patch, lay_over
from ganpaint_engine.selection import Selection
from ganpaint_engine.window import Box, Window, bounds, crop, to_array

__all__ = ["Patch", "lay_over", "paste"]

CARRIED_PX = 64
"""Side of the picture on which the photo's light is continued under the stroke."""

MAX_GRAIN = 8.0
"""Strongest grain laid on new content, standard deviation in levels of 255."""


def feather(stroke: np.ndarray, cell: float) -> np.ndarray:
    """The patch's alpha: the stroke grown by a third of a cell and faded over another.

    ``stroke`` S×S float32 in [0, 1], ``cell`` the side of a grid cell in photo px. Soft values are
    kept: a half-selected pixel is half changed.
    """
    reach = max(round(cell / 3), 1)
    # Work on a small picture when cells are large: the feather is smooth at the cell's scale.
    scale = min(1.0, 24 / reach)
    side = stroke.shape[0]
    small = cv2.resize(stroke, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    r = max(round(reach * scale), 1)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * r + 1, 2 * r + 1))
    grown = cv2.GaussianBlur(cv2.dilate(small, kernel), (0, 0), r * 0.6)
    alpha = cv2.resize(grown, (side, side), interpolation=cv2.INTER_LINEAR)
    ramp = np.clip((alpha - 0.06) / 0.88, 0, 1)
    return np.maximum(ramp, stroke)


def influence(y: np.ndarray, y_e: np.ndarray, cell: float) -> np.ndarray:
    """I: S×S in [0, 1] from the change between two S×S×3 pictures in [0, 255]."""
    change = np.abs(y_e - y).max(2)
    change = cv2.GaussianBlur(change, (0, 0), max(cell / 6, 0.5))
    ramp = np.clip((change - 4) / 20, 0, 1)
    return ramp * ramp * (3 - 2 * ramp)


def carried(residual: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """The residual X - up(y) around the stroke, continued smoothly under it. S×S×3 both ways.

    A membrane, as in Poisson blending: each pixel takes the mean of the known ones around it, from
    as near as there are any. Worked out at CARRIED_PX, for it is smooth.
    """
    side = alpha.shape[0]
    small = cv2.resize(residual, (CARRIED_PX,) * 2, interpolation=cv2.INTER_AREA)
    known = cv2.resize(alpha, (CARRIED_PX,) * 2, interpolation=cv2.INTER_AREA) <= 0
    weight = known.astype(np.float32)
    out, missing = np.zeros_like(small), np.ones_like(known)
    for sigma in (2, 4, 8, 16, 32):
        near = cv2.GaussianBlur(weight, (0, 0), sigma)
        mean = cv2.GaussianBlur(small * weight[..., None], (0, 0), sigma)
        mean = mean / np.maximum(near, 1e-6)[..., None]
        found = missing & (near > 0.1)
        out[found] = mean[found]
        missing &= ~found
    return cv2.resize(
        cv2.GaussianBlur(out, (0, 0), 2), (side, side), interpolation=cv2.INTER_LINEAR
    )


def grain(photo: np.ndarray, alpha: np.ndarray, seed: int) -> np.ndarray:
    """Noise, S×S×1, as strong as the finest detail of the photo around the stroke.

    Only what is finer than 2 px counts, and its median, so that edges of objects do not.
    """
    fine = photo - cv2.GaussianBlur(photo, (0, 0), 1.0)
    ring = (alpha > 0) & (alpha < 0.9)
    values = np.abs(fine[ring if ring.any() else alpha == 0])
    sigma = min(1.5 * float(np.median(values)), MAX_GRAIN) if values.size else 0.0
    noise = np.random.default_rng(seed).standard_normal((*alpha.shape, 1), dtype=np.float32)
    return noise * sigma


def paste(
    rgb: np.ndarray,
    stroke: Selection,
    window: Window,
    y: Tensor,
    y_e: Tensor,
    seed: int,
    keep_detail: bool = False,
    detail: np.ndarray | None = None,
    composite: str = compositing.RESIDUAL,
) -> Patch:
    """The patch for an edit.

    rgb: the photo, H×W×3 uint8. stroke: the selection. y, y_e: the window's picture before
    and after, under the same δ, 1×3×R×R in [-1, 1]. keep_detail: I is 0 all over, for edits after
    which the things themselves are still there: X + up(y_e) - up(y) keeps every leaf of a tree that
    changes colour. detail: laid on new content, side×side×1 in levels of 255. composite: one of
    compositing.COMPOSITES; the others know neither keep_detail nor detail.
    """
    side, cell = window.side, window.side / GRID
    photo = crop(rgb, window).astype(np.float32)
    before, after = to_array(y, side), to_array(y_e, side)
    x0, y0 = window.x, window.y
    alpha = feather(stroke.within(x0, y0, x0 + side, y0 + side), cell)
    if composite == compositing.RESIDUAL:
        strength = influence(before, after, cell)[..., None] * (not keep_detail)
        residual = photo - before
        content = after + (1 - strength) * residual
        fine = grain(photo, alpha, seed) + (0 if detail is None else detail)
        content += strength * (carried(residual, alpha) + fine)
    else:
        content, alpha = compositing.blend(composite, photo, after, alpha)
    rgba = np.dstack([content, alpha * 255])
    rgba = np.clip(np.rint(rgba), 0, 255).astype(np.uint8)
    return _trim(rgba, window, rgb.shape[1], rgb.shape[0])


def _trim(rgba: np.ndarray, window: Window, width: int, height: int) -> Patch:
    """Cut a window's S×S×4 to what is inside the photo and not wholly transparent."""
    x0, y0 = max(-window.x, 0), max(-window.y, 0)
    x1, y1 = min(width - window.x, window.side), min(height - window.y, window.side)
    rgba = rgba[y0:y1, x0:x1]
    box = bounds(rgba[..., 3]) if rgba[..., 3].any() else Box(0, 0, 1, 1)
    cut = np.ascontiguousarray(rgba[box.y0 : box.y1, box.x0 : box.x1])
    return Patch(cut, window.x + x0 + box.x0, window.y + y0 + box.y0)
