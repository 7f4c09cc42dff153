"""What a stroke is filled with from around it: what stands where a thing was, or more of the grass
and sky that the photo has.

The hole is completed in a small picture of the window from its own parts, in several ways. r_e is
what E sees in the likeliest. For the new pixels the photo's own are taken from where each part came
from, with all their detail and grain.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from ganpaint_engine import completion, recolour
from ganpaint_engine.cutouts import Cutout
from ganpaint_engine.encoder import Encoder
from ganpaint_engine.layers import eight_bits
from ganpaint_engine.window import resize, to_array

TOUCHED = 0.02
"""Share of a window pixel that the stroke must cover for it to be part of the hole."""
LARGEST = 0.5
"""Share of the window that can be filled from around; beyond it little is around."""
ENOUGH = 0.06
"""Least share of the window that must hold a concept for a place to be filled with it."""
LEAST_SURE, LEAST_SOME, SEEN = (0.75,), (0.85, 0.8, 0.75, 0.7), 0.3
"""What a pixel of more of the concept must have: so much of the likeliness that the surest colours
have to be its own, in cells of which E is sure, and else where it sees some of it, the first of
these that leaves enough; and so much of it seen by E there."""
PLENTY = 40
"""Patches of it that are enough."""
SPECK_PX = 1.0
"""σ within which pixels are taken together for that."""
LEFT = 0.3
"""Least share of the window that must be left to fill from for the thing's likes to be barred."""
SOLVED_PX = 96
"""Side of the picture in which the hole is filled. A preview has to wait for it."""
LEVEL = 30.0
"""How much being from another height counts, as in ``completion.complete``."""


class Way(NamedTuple):
    """How a hole is filled. free: also from the thing's likes. level, fine: as in
    ``completion.complete``."""

    free: bool
    level: float
    fine: bool


BARRED = Way(False, 0.0, True), Way(False, 0.0, False)
"""Without the thing's likes, where enough else is left."""
FREE = (Way(True, LEVEL, True),)
WAYS = BARRED[0], *FREE, BARRED[1]
"""All, in the order in which they are tried."""
AT_ONCE = 2
"""Ways that are tried for the likeliest; the others are for further seeds, and a preview does not
wait for them."""
HELD = 0.2
"""What it counts against a filling to be wholly of what is unwanted, as a step of so much of the
range [-1, 1] all along its edge."""
SEAM_PX, MOST_SEAM = 2.0, 28.0
"""Width over which colours at the hole's edge are compared, and most that is evened out there, in
levels of 255."""
KEPT = 8
"""Strokes whose fillings are kept for a window."""
NATIVE_PX = 2048
"""Longest side of a filling; a larger one is made so large and scaled up."""


@dataclass(frozen=True)
class Filled:
    """A filling in small: a picture of the window (S×S×3 uint8), the hole in it (S×S uint8 in
    {0, 1}), the picture filled, how far away each pixel was taken from (S×S×2, small px), and the
    pixels that it has to go together with where they touch it (S×S uint8 in {0, 1})."""

    small: np.ndarray
    hole: np.ndarray
    made: np.ndarray
    offsets: np.ndarray
    around: np.ndarray

    @cached_property
    def edge(self) -> np.ndarray:
        """The hole's pixels that touch what is around, S×S float32 in {0, 1}."""
        near = cv2.dilate(self.around, np.ones((3, 3), np.uint8))
        return np.asarray(self.hole & near, np.float32)

    @cached_property
    def step(self) -> np.ndarray:
        """How much brighter it is outside of the hole's edge than inside, S×S×3 float32."""
        sides = []
        for where, picture in ((self.hole, self.made), (self.around, self.small)):
            weight = where.astype(np.float32)
            near = cv2.GaussianBlur(weight, (0, 0), SEAM_PX)[..., None]
            mean = cv2.GaussianBlur(picture * weight[..., None], (0, 0), SEAM_PX)
            sides.append(mean / np.maximum(near, 1e-3))
        return np.asarray(sides[1] - sides[0])

    @property
    def roughness(self) -> float:
        """The mean step at the hole's edge, in the units of [-1, 1]."""
        total = (np.abs(self.step).mean(2) * self.edge).sum()
        return float(total / max(self.edge.sum(), 1.0) / 127.5)


class Place:
    """A stroke in a window, and what it is filled with.

    x: the window, 1×3×R×R in [-1, 1]. mask: the stroke, 1×1×R×R in [0, 1]. likes:
    1×1×8×8, how much cells hold of the concept: the place of a tree should not be filled with
    another one. only: instead, it should be filled with them, and nothing else.
    """

    def __init__(self, x: Tensor, mask: Tensor, likes: Tensor, only: bool = False) -> None:
        self.hole, self.only = _hole(mask, SOLVED_PX), only
        self.found: list[Filled] = []
        """What was found so far."""
        small = np.clip(np.rint(to_array(x, SOLVED_PX)), 0, 255).astype(np.uint8)
        self.small = small
        presence = likes[0, 0].float().cpu().numpy()
        self.barred = self.hole | (self._others(presence) if only else self._likes(presence))
        self.left = self._ways()
        if self.left:
            self.smeared = completion.smeared(small, self.barred if only else self.hole)

    def _likes(self, presence: np.ndarray) -> np.ndarray:
        """The pixels of cells that are the concept's wholly, S×S uint8 in {0, 1}."""
        cells, size = (presence >= 1).astype(np.uint8), self.hole.shape
        return np.asarray(cv2.resize(cells, size, interpolation=cv2.INTER_NEAREST))

    def _others(self, presence: np.ndarray) -> np.ndarray:
        """The pixels that are not the concept's, S×S uint8 in {0, 1}: by E, and by their colours,
        for a cell at the sky's edge holds what stands before it, too.

        Taken is what E is sure of, where that is enough, else also what it sees some of.
        """
        sure = self._likes(presence).astype(np.float32)
        some = cv2.resize(presence, self.hole.shape, interpolation=cv2.INTER_LINEAR)
        others = self.hole
        for there, shares in ((sure, LEAST_SURE), (some, LEAST_SOME)):
            likely = self._likeliness(there) * (there > SEEN)
            for least in shares:
                own = (likely > least).astype(np.uint8)
                # What is at its edge is mixed with what is beside it.
                others = np.asarray(1 - cv2.erode(own, np.ones((3, 3), np.uint8)), np.uint8)
                if completion.patches(others) >= PLENTY:
                    return others
        return others

    def _likeliness(self, there: np.ndarray) -> np.ndarray:
        """How likely pixels outside of the hole are the concept's by their colours, S×S; 1: as the
        surest are. there: where the concept is, S×S in [0, 1]."""
        known = self.hole == 0
        likely = recolour.belonging(self.small, there, 1 - self.hole)
        likely = cv2.GaussianBlur(likely, (0, 0), SPECK_PX)
        surest = np.percentile(likely[known], 100 * (1 - ENOUGH)) if known.any() else 1.0
        return np.asarray(likely * known / max(float(surest), 1e-6))

    def _ways(self) -> list[Way]:
        """The ways it can be filled in: none where the stroke covers nothing, or more than LARGEST
        of the window, or where there is too little to be filled with."""
        left = 1 - float(self.barred.mean())
        if not self.hole.any() or self.hole.mean() > LARGEST or (self.only and left < ENOUGH):
            return []
        if self.only:
            return list(BARRED)
        return list(WAYS if left >= LEFT else FREE)

    def fill(self, count: int = len(WAYS)) -> list[Filled]:
        """Try ways until so many fillings are found, or all were tried; all that were found."""
        tried = self.left
        while self.left and len(self.found) < count:
            way, *self.left = self.left
            barred = self.hole if way.free else self.barred
            done = completion.complete(self.smeared, self.hole, barred, way.level, way.fine)
            if done is not None:
                self._keep(done.picture, done.offsets)
        if tried and not self.found and not self.only:
            # Little is around: smeared in is better than nothing.
            self._keep(self.smeared, np.zeros((*self.hole.shape, 2), np.int64))
        return self.found

    def _keep(self, made: np.ndarray, offsets: np.ndarray) -> None:
        made = np.where(self.hole[..., None] > 0, made, self.small)
        around = 1 - (self.barred if self.only else self.hole)
        self.found.append(Filled(self.small, self.hole, made, offsets, around))


Fillings = dict[bytes, Place]
"""Strokes of a window, their likeliest filling first; by what tells one stroke, and what it was
for, from another."""


def _hole(mask: Tensor, side: int) -> np.ndarray:
    """The pixels to be filled, S×S uint8 in {0, 1}."""
    stroke = resize(mask[0, 0].float().cpu().numpy(), side)
    hole = (stroke > TOUCHED).astype(np.uint8)
    # The pixels beside the stroke still have something of what is to go.
    return np.asarray(cv2.dilate(hole, np.ones((3, 3), np.uint8)))


def from_around(
    x: Tensor,
    mask: Tensor,
    likes: Tensor,
    there: Tensor,
    seed: int = 0,
    only: bool = False,
    kept: Fillings | None = None,
) -> Filled | None:
    """The likeliest filling (``seed`` 0; 1 the next); None where there is none.

    there: 1×1×8×8 in [0, 1], how much each cell of the window holds of what should not be under the
    stroke then (``only``: of what should). kept: what was found before for this x; it grows. Else
    as for ``Place``.
    """
    kept = {} if kept is None else kept
    told = (mask, likes, there)
    key = hashlib.blake2b(b"".join(one.cpu().numpy().tobytes() for one in told) + bytes([only]))
    place = kept.get(key.digest())
    if place is None:
        if len(kept) >= KEPT:
            kept.clear()
        place = kept[key.digest()] = Place(x, mask, likes, only)
        cells = there[0, 0].float().cpu().numpy()
        place.fill(AT_ONCE).sort(key=lambda one: _unlikeliness(one, 1 - cells if only else cells))
    found = place.fill(seed + 1)
    return found[seed % len(found)] if found else None


def seen(encoder: Encoder, found: Filled, like: Tensor) -> Tensor:
    """r of a filling, 1×C×8×8: what E sees in it. like: the window, 1×3×R×R."""
    picture = resize(found.made.astype(np.float32), like.shape[-1])
    with torch.no_grad():
        return encoder(torch.from_numpy(picture).permute(2, 0, 1)[None].to(like) / 127.5 - 1)


def _unlikeliness(found: Filled, unwanted: np.ndarray) -> float:
    """How much of a filling was taken from cells that hold what is unwanted (8×8 in [0, 1]), and
    the step at its edge."""
    side = len(found.hole)
    rows, columns = np.nonzero(found.hole)
    away = found.offsets[rows, columns]
    there = np.clip(rows + away[:, 0], 0, side - 1), np.clip(columns + away[:, 1], 0, side - 1)
    held = cv2.resize(unwanted, (side, side), interpolation=cv2.INTER_LINEAR)[there].mean()
    return HELD * float(held) + found.roughness


def filling(photo: np.ndarray, found: Filled) -> Cutout:
    """What is to be laid over the hole, of the photo's own pixels.

    photo: the window's, S×S×3 uint8 or uint16.
    """
    hole, side = found.hole, len(found.hole)
    rows, columns = np.flatnonzero(hole.any(1)), np.flatnonzero(hole.any(0))
    y0, x0 = max(int(rows[0]) - 2, 0), max(int(columns[0]) - 2, 0)
    y1, x1 = min(int(rows[-1]) + 3, side), min(int(columns[-1]) + 3, side)
    here = np.s_[y0:y1, x0:x1]
    scale = min(len(photo) / side, NATIVE_PX / max(y1 - y0, x1 - x0))
    size = max(round((x1 - x0) * scale), 1), max(round((y1 - y0) * scale), 1)
    even = (found.made + _evened(found))[here].astype(np.float32)
    picture = cv2.resize(even, size, interpolation=cv2.INTER_CUBIC)
    if len(photo) > side:
        picture += _detail(photo, found, (y0, x0, y1, x1), size)
    opacity = cv2.GaussianBlur(hole.astype(np.float32), (0, 0), 0.8)[here]
    alpha = cv2.resize(opacity, size, interpolation=cv2.INTER_LINEAR) * 255
    rgba = np.dstack([np.clip(picture, 0, 255), np.clip(alpha, 0, 255)])
    box = (x0 / side, y0 / side, x1 / side, y1 / side)
    return Cutout(rgba.round().astype(np.uint8), box, np.full(3, 128.0))


def _evened(found: Filled) -> np.ndarray:
    """What to add to the filling for its colours to meet the photo's at the hole's edge: S×S×3.

    The step across the edge, continued smoothly into the hole. A large one is no seam but a thing
    that ends there.
    """
    step = found.step
    edge = found.edge * (np.abs(step).max(2) < MOST_SEAM).astype(np.float32)
    total, weight = np.zeros(step.shape, np.float32), np.full(edge.shape, 1e-6, np.float32)
    for sigma in (2.0, 4.0, 8.0, 16.0):  # nearer places weigh more
        total += np.float32(1 / sigma) * cv2.GaussianBlur(step * edge[..., None], (0, 0), sigma)
        weight += np.float32(1 / sigma) * cv2.GaussianBlur(edge, (0, 0), sigma)
    return np.asarray(total / weight[..., None] * found.hole[..., None])


def _detail(
    photo: np.ndarray, found: Filled, box: tuple[int, int, int, int], size: tuple[int, int]
) -> np.ndarray:
    """What the photo has beyond the small picture, where each part of the filling came from:
    h×w×3, for the ``box`` (y0, x0, y1, x1 in small px) at ``size`` (w, h)."""
    y0, x0, y1, x1 = box
    scale = size[0] / (x1 - x0), size[1] / (y1 - y0)
    unit = len(photo) / len(found.small)
    columns, rows = np.meshgrid(
        (np.arange(size[0], dtype=np.float32) + 0.5) / scale[0] + x0,
        (np.arange(size[1], dtype=np.float32) + 0.5) / scale[1] + y0,
    )
    away = completion.enlarged(found.offsets[y0:y1, x0:x1], size)
    rows, columns, border = rows + away[..., 0], columns + away[..., 1], cv2.BORDER_REFLECT_101
    fine = cv2.remap(
        photo, columns * unit - 0.5, rows * unit - 0.5, cv2.INTER_LINEAR, borderMode=border
    )
    coarse = cv2.remap(
        *(found.small.astype(np.float32), columns - 0.5, rows - 0.5, cv2.INTER_CUBIC),
        borderMode=border,
    )
    return np.asarray(eight_bits(fine).astype(np.float32) - coarse)
