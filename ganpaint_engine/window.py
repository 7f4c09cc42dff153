"""Photo and model window: the only place that knows about sizes and colour.

Three coordinate spaces: *photo* px; *window* px, the model's R×R picture; and the *grid*, the edit
layer's 8×8 cells. Pictures are sRGB throughout: the model was trained on sRGB values.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from ganpaint_engine.encoder import GRID
from ganpaint_engine.errors import BadRequest
from ganpaint_engine.layers import top
from ganpaint_engine.sizes import check_size

CONTEXTS = {"auto": 2.5, "selection": 1.4, "whole": math.inf}
"""How many times the stroke's longer side the window is wide: what is around decides the look.
``whole``: as much of the photo as goes into a square."""

_AT_ONCE, _STRIP = 2048, 256  # px: windows larger than the one are averaged in strips of the other


class Window(NamedTuple):
    """A square of the photo: left, top and side in photo px. It always lies inside the photo's
    reflection-padded plane; only photos narrower than their window need the padding."""

    x: int
    y: int
    side: int


class Box(NamedTuple):
    """A rectangle in photo px: left and top, and the first column and row beyond."""

    x0: int
    y0: int
    x1: int
    y1: int


def as_photo(image: Image.Image | np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """A PIL image or H×W×3|4 array to RGB (H×W×3) and alpha (H×W, or None).

    Arrays are uint8 or uint16 and stay what they are; a PIL image becomes uint8. Transparent
    pixels take the mean colour of the opaque ones. Raises BadRequest, PhotoTooSmall,
    PhotoTooLarge.
    """
    if isinstance(image, Image.Image):
        check_size(*image.size)
        transparent = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
        array = np.asarray(image.convert("RGBA" if transparent else "RGB"))
    else:
        array = image
    depths = (np.uint8, np.uint16)
    if array.dtype not in depths or array.ndim != 3 or array.shape[2] not in (3, 4):
        raise BadRequest("A photo is a PIL image or an array of HxWx3 or HxWx4, uint8 or uint16.")
    check_size(array.shape[1], array.shape[0])
    if array.shape[2] == 3:
        return np.ascontiguousarray(array), None
    rgb, alpha = np.ascontiguousarray(array[..., :3]), np.ascontiguousarray(array[..., 3])
    if alpha.min() == top(alpha):
        return rgb, None
    return _filled(rgb, alpha), alpha


def _filled(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """The photo with the mean colour of what is opaque where it is transparent, so that this does
    not mislead E; in strips."""
    white, total, shown = np.float32(top(alpha)), np.zeros(3), 0.0
    strips = [slice(i, i + 256) for i in range(0, len(rgb), 256)]
    for rows in strips:
        weight = alpha[rows, :, None] / white
        total += (rgb[rows] * weight).sum((0, 1), dtype=np.float64)
        shown += float(weight.sum(dtype=np.float64))
    mean = (total / max(shown, 1.0)).astype(np.float32)
    out = np.empty_like(rgb)
    for rows in strips:
        weight = alpha[rows, :, None] / white
        out[rows] = rgb[rows] * weight + mean * (1 - weight) + np.float32(0.5)
    return out


def bounds(mask: np.ndarray) -> Box:
    """The box of the mask's non-zero pixels (H×W, not empty)."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


def whole_window(width: int, height: int) -> Window:
    """The largest centred square of a photo."""
    side = min(width, height)
    return Window((width - side) // 2, (height - side) // 2, side)


def window_for(box: Box, width: int, height: int, resolution: int, context: str = "auto") -> Window:
    """The window for a stroke: CONTEXTS times its longer side, no smaller than the model's own
    resolution, no larger than the photo's shorter side unless the stroke is longer than that.

    Positions are rounded to an eighth of the side, so that strokes close by share a window. Raises
    BadRequest for a context that is none of CONTEXTS.
    """
    if context not in CONTEXTS:
        raise BadRequest(f"A context is one of {', '.join(CONTEXTS)}, not {context!r}.")
    longer = max(box.x1 - box.x0, box.y1 - box.y0)
    shorter = min(width, height)
    side = max(math.ceil(min(CONTEXTS[context] * longer, shorter)), min(resolution, shorter))
    if side > 0.6 * shorter and context != "selection":
        side = shorter
    side = max(side, longer)
    step = max(side // GRID, 1)

    def place(low: int, high: int, size: int) -> int:
        if side >= size:
            return (size - side) // 2
        start = round(((low + high) / 2 - side / 2) / step) * step
        start = min(max(start, high - side), low)
        return min(max(start, 0), size - side)

    return Window(place(box.x0, box.x1, width), place(box.y0, box.y1, height), side)


def crop(array: np.ndarray, window: Window, fill: str = "reflect") -> np.ndarray:
    """The window's pixels, side×side(×3); beyond the photo they are reflected, or 0."""
    height, width = array.shape[:2]
    x0, y0 = max(window.x, 0), max(window.y, 0)
    x1, y1 = min(window.x + window.side, width), min(window.y + window.side, height)
    inside = array[y0:y1, x0:x1]
    if inside.shape[:2] == (window.side, window.side):
        return inside
    border = cv2.BORDER_REFLECT_101 if fill == "reflect" else cv2.BORDER_CONSTANT
    left, top = x0 - window.x, y0 - window.y
    right, bottom = window.side - left - (x1 - x0), window.side - top - (y1 - y0)
    return cv2.copyMakeBorder(inside, top, bottom, left, right, border, value=0)


def resize(array: np.ndarray, side: int) -> np.ndarray:
    """A square picture to side×side: averaging when shrinking, bicubic when growing."""
    shrink = side < array.shape[0]
    return cv2.resize(
        array, (side, side), interpolation=cv2.INTER_AREA if shrink else cv2.INTER_CUBIC
    )


@lru_cache(maxsize=16)
def overlaps(start: int, stop: int, side: int, resolution: int) -> np.ndarray:
    """How ``side`` px are averaged to ``resolution`` ones: weights R×(stop - start).

    Of the px from start to stop alone, which may lie beyond 0..side: those weigh nothing. A row
    that has all its px sums to 1.
    """
    scale = side / resolution
    low = np.arange(resolution)[:, None] * scale
    px = np.arange(start, stop)[None]
    shared = np.minimum(low + scale, px + 1) - np.maximum(low, px)
    return (np.clip(shared, 0, None) / scale).astype(np.float32)


def to_levels(rgb: np.ndarray, resolution: int) -> np.ndarray:
    """S×S×3 uint8 or uint16 to R×R×3 float32 in [0, 255]; large ones are averaged in strips."""
    side, unit = len(rgb), np.float32(top(rgb) / 255)
    if side <= max(_AT_ONCE, resolution):
        return resize(rgb.astype(np.float32), resolution) / unit
    small = np.zeros((resolution, resolution * 3), np.float32)
    for start in range(0, side, _STRIP):
        stop = min(start + _STRIP, side)
        strip = rgb[start:stop].astype(np.float32)
        across = cv2.resize(strip, (resolution, stop - start), interpolation=cv2.INTER_AREA)
        small += overlaps(start, stop, side, resolution) @ across.reshape(stop - start, -1)
    return small.reshape(resolution, resolution, 3) / unit


def to_tensor(rgb: np.ndarray, resolution: int) -> Tensor:
    """x: S×S×3 uint8 or uint16 to 1×3×R×R in [-1, 1]."""
    return torch.from_numpy(to_levels(rgb, resolution)).permute(2, 0, 1)[None] / 127.5 - 1


def to_array(x: Tensor, side: int) -> np.ndarray:
    """1×3×R×R in [-1, 1] to side×side×3 float32 in [0, 255] (not clipped)."""
    small = (x.detach().float().cpu()[0].permute(1, 2, 0).numpy() + 1) * np.float32(127.5)
    return small if len(small) == side else resize(small, side)


def stroke_on_grid(mask: Tensor) -> Tensor:
    """U: mask_e (1×1×R×R) to the 8×8 grid by adaptive max-pooling: any touched cell is on."""
    return F.adaptive_max_pool2d(mask, GRID)
