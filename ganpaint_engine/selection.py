"""The person's selection: read from a mask, grown or shrunk, feathered; kept as its box alone.

Everything here is in photo px. A photo may have 100 megapixels, a selection rarely: what is outside
its bounding box is 0 and takes no memory.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from ganpaint_engine.errors import BadRequest, EmptyMask, MaskSizeMismatch
from ganpaint_engine.window import Box, Window, bounds, overlaps

MOST_GROWN, MOST_FEATHERED = 500, 500
"""Bounds of ``grow`` (either way) and ``feather``, photo px."""

_LEVELS = 16
"""How many soft values are told apart when a soft selection grows or shrinks."""
_COARSE = 16
"""σ in px above which a feather is worked out on a smaller picture: it is smooth there."""


@dataclass(frozen=True)
class Selection:
    """A soft selection of a photo.

    values: h×w float32 in [0, 1], the pixels of ``box``; outside it nothing is selected.
    size: the photo's width and height, px.
    """

    values: np.ndarray
    box: Box
    size: tuple[int, int]

    def within(self, x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
        """The selection's values in a rectangle of the photo's plane: (y1-y0)×(x1-x0)."""
        out = np.zeros((y1 - y0, x1 - x0), np.float32)
        left, top = max(x0, self.box.x0), max(y0, self.box.y0)
        right, bottom = min(x1, self.box.x1), min(y1, self.box.y1)
        if left < right and top < bottom:
            rows = slice(top - self.box.y0, bottom - self.box.y0)
            columns = slice(left - self.box.x0, right - self.box.x0)
            out[top - y0 : bottom - y0, left - x0 : right - x0] = self.values[rows, columns]
        return out

    def seen(self, window: Window, resolution: int) -> np.ndarray:
        """The selection as a window sees it: R×R, each pixel the mean over its part of the photo.

        Works on the box alone, by the exact overlap of rows and columns.
        """
        across = overlaps(self.box.x0 - window.x, self.box.x1 - window.x, window.side, resolution)
        down = overlaps(self.box.y0 - window.y, self.box.y1 - window.y, window.side, resolution)
        return np.clip(down @ self.values @ across.T, 0, 1)


def read(
    mask: Image.Image | np.ndarray, width: int, height: int, grow: int = 0, feather: float = 0.0
) -> Selection:
    """A PIL "L" image or H×W array as the selection of a width×height photo; soft values are kept.

    uint8 counts 0..255, bool and floats 0..1. grow: px by which its edge moves outwards, -500 to
    500; less than 0 shrinks it. feather: σ of a blur of its edge, px, 0 to 500; after growing.
    Raises MaskSizeMismatch, EmptyMask, BadRequest.
    """
    if not isinstance(grow, int) or not -MOST_GROWN <= grow <= MOST_GROWN:
        raise BadRequest(f"Grow is a whole number of px from -500 to 500, not {grow!r}.")
    if not (math.isfinite(feather) and 0 <= feather <= MOST_FEATHERED):
        raise BadRequest(f"Feather is a number of px from 0 to 500, not {feather!r}.")
    array = np.asarray(mask.convert("L") if isinstance(mask, Image.Image) else mask)
    if array.ndim != 2:
        raise BadRequest(f"A mask is an array of HxW, not of {array.ndim} dimensions.")
    if array.shape != (height, width):
        raise MaskSizeMismatch(
            f"The mask is {array.shape[1]}x{array.shape[0]} px, the photo {width}x{height}.",
        )
    if array.dtype != np.uint8 and array.dtype.kind not in "bf":
        raise BadRequest(f"A mask is of uint8, bool or float, not {array.dtype}.")
    selection = _boxed(array)
    if grow:
        selection = _grown(selection, grow)
    if feather:
        selection = _feathered(selection, feather)
    return selection


def _boxed(array: np.ndarray) -> Selection:
    """The box of an H×W array's non-zero values, as float32 in [0, 1]. Raises EmptyMask."""
    height, width = array.shape
    kept = array if array.dtype.kind != "f" else np.nan_to_num(array) > 1 / 510
    if not kept.any():
        raise EmptyMask("Nothing is selected: paint or select the region to edit first.")
    box = bounds(kept)
    values = array[box.y0 : box.y1, box.x0 : box.x1].astype(np.float32)
    if array.dtype == np.uint8:
        values /= 255
    return Selection(np.clip(np.nan_to_num(values), 0, 1), box, (width, height))


def _padded(selection: Selection, margin: int) -> Selection:
    """The same selection with a box larger on all sides, as far as the photo goes."""
    box, (width, height) = selection.box, selection.size
    wide = Box(
        max(box.x0 - margin, 0),
        max(box.y0 - margin, 0),
        min(box.x1 + margin, width),
        min(box.y1 + margin, height),
    )
    return Selection(selection.within(*wide), wide, selection.size)


def _grown(selection: Selection, px: int) -> Selection:
    """The selection with its edge moved by ``px``: each of its level sets, by its distance.

    The photo's border is no edge: what is selected up to there shrinks away from it no more than
    it grows beyond it.
    """
    wide = _padded(selection, px + 1 if px > 0 else 1)
    values = wide.values
    hard = not ((values > 0) & (values < 1)).any()
    out = np.zeros_like(values)
    for k in range(1, 2 if hard else _LEVELS + 1):
        level = 1.0 if hard else k / _LEVELS
        outside = values < level
        if px > 0:
            if outside.all():
                break
            reach = px + 1 - _distance(outside)
        else:
            reach = _distance(~outside) + px if outside.any() else np.ones_like(values)
        np.maximum(out, level * np.clip(reach, 0, 1), out=out)
    if not (out > 1 / 510).any():
        raise EmptyMask(f"Nothing is left of the selection when it shrinks by {-px} px.")
    box = bounds(out > 1 / 510)
    inner = out[box.y0 : box.y1, box.x0 : box.x1].copy()
    return Selection(inner, _moved(box, wide.box), selection.size)


def _distance(inside: np.ndarray) -> np.ndarray:
    """Of every pixel to the nearest one that is not ``inside``, px."""
    return cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)


def _moved(box: Box, origin: Box) -> Box:
    x, y = origin.x0, origin.y0
    return Box(box.x0 + x, box.y0 + y, box.x1 + x, box.y1 + y)


def _feathered(selection: Selection, sigma: float) -> Selection:
    """Blurred; a selection that reaches the photo's border does not fade there."""
    wide = _padded(selection, math.ceil(3 * sigma))
    height, width = wide.values.shape
    scale = min(1.0, _COARSE / sigma)
    small = wide.values
    if scale < 1:
        size = (max(round(width * scale), 1), max(round(height * scale), 1))
        small = cv2.resize(small, size, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma * scale, borderType=cv2.BORDER_REPLICATE)
    if scale < 1:
        small = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    return Selection(np.clip(small, 0, 1), wide.box, selection.size)
