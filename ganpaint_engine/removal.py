"""What a stroke is filled with from around it: what stands where a thing was, or more of the grass
and sky that the photo has.

The hole is completed in a small picture of the window from its own parts, in several ways. E sees
them; r_e is what it sees in the likeliest. For the new pixels the photo's own are taken from where
each part came from, with all their detail and grain.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ganpaint_engine import completion, concepts
from ganpaint_engine.concepts import Concept
from ganpaint_engine.cutouts import Cutout
from ganpaint_engine.encoder import GRID, Encoder
from ganpaint_engine.layers import eight_bits
from ganpaint_engine.window import resize, to_array

TOUCHED = 0.02
"""Share of a window pixel that the stroke must cover for it to be part of the hole."""
LARGEST = 0.5
"""Share of the window that can be filled from around; beyond it little is around."""
ENOUGH = 0.06
"""Least share of the window that must hold a concept for a place to be filled with it."""
LEFT = 0.3
"""Least share of the window that must be left to fill from for the thing's likes to be barred."""
SOLVED_PX = 96
"""Side of the picture in which the hole is filled. A preview has to wait for it."""
LEVEL = 30.0
"""How much being from another height counts, as in ``completion.complete``."""
WAYS = ((False, 0.0, True), (True, LEVEL, True), (False, 0.0, False))
"""How it is filled: whether from the thing's likes too; and ``level`` and ``fine`` as in
``completion.complete``."""
HELD, STEPS = 0.3, 0.7
"""Weights of the concept's presence in a filling and of the step at its edge."""
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
    {0, 1}), the picture filled, and how far away each pixel was taken from (S×S×2, small px)."""

    small: np.ndarray
    hole: np.ndarray
    made: np.ndarray
    offsets: np.ndarray


Fillings = dict[bytes, list[tuple[Filled, Tensor]]]
"""What strokes of a window were filled with, and r of that, the likeliest first; by what tells one
stroke, and what it was for, from another."""


def fillings(x: Tensor, mask: Tensor, likes: Tensor, only: bool = False) -> list[Filled]:
    """The window's picture with the stroke filled by parts of the rest, in several ways.

    x: 1×3×R×R in [-1, 1]. mask: the stroke, 1×1×R×R in [0, 1]. likes: 1×1×8×8 bools, the cells that
    hold the concept: the place of a tree should not be filled with another one. only: instead, it
    should be filled with them, and nothing else. Nothing where the stroke covers
    nothing, or more than LARGEST of the window, or where there are too few to be filled with.
    """
    hole = _hole(mask, SOLVED_PX)
    if not hole.any() or hole.mean() > LARGEST:
        return []
    cells = (likes[0, 0] != only).cpu().numpy().astype(np.uint8)
    barred = hole | np.asarray(cv2.resize(cells, hole.shape, interpolation=cv2.INTER_NEAREST))
    if only and 1 - barred.mean() < ENOUGH:
        return []
    bound = only or 1 - barred.mean() >= LEFT
    small = np.clip(np.rint(to_array(x, SOLVED_PX)), 0, 255).astype(np.uint8)
    found = []
    for free, level, fine in WAYS:
        if (free and not only) or (bound and not free):
            done = completion.complete(small, hole, hole if free else barred, level, fine)
            if done is not None:
                found.append(Filled(small, hole, done.picture, done.offsets))
    if not found and not only:  # little is around: smeared in is better than nothing
        smeared = cv2.inpaint(small, hole, 3, cv2.INPAINT_TELEA)
        found.append(Filled(small, hole, np.asarray(smeared), np.zeros((*hole.shape, 2), np.int64)))
    return found


def _hole(mask: Tensor, side: int) -> np.ndarray:
    """The pixels to be filled, S×S uint8 in {0, 1}."""
    stroke = resize(mask[0, 0].float().cpu().numpy(), side)
    hole = (stroke > TOUCHED).astype(np.uint8)
    # The pixels beside the stroke still have something of what is to go.
    return np.asarray(cv2.dilate(hole, np.ones((3, 3), np.uint8)))


def from_around(
    encoder: Encoder,
    things: Sequence[Concept],
    x: Tensor,
    mask: Tensor,
    likes: Tensor,
    seed: int = 0,
    only: bool = False,
    kept: Fillings | None = None,
) -> tuple[Filled, Tensor] | None:
    """The likeliest filling by what E sees (``seed`` 0; 1 the next), and its r, 1×C×8×8.

    things: what should not be under the stroke then (``only``: the one that should). kept: what was
    found before for this x; it grows. Else as for ``fillings``; None where there are none.
    """
    kept = {} if kept is None else kept
    key = mask.cpu().numpy().tobytes() + likes.cpu().numpy().tobytes()
    names = ",".join(thing.name for thing in things)
    key = hashlib.blake2b(key + names.encode() + bytes([only])).digest()
    if key not in kept:
        if len(kept) >= KEPT:
            kept.clear()
        kept[key] = _ranked(encoder, things, fillings(x, mask, likes, only), mask, only)
    found = kept[key]
    return found[seed % len(found)] if found else None


@torch.no_grad()
def _ranked(
    encoder: Encoder,
    things: Sequence[Concept],
    found: list[Filled],
    mask: Tensor,
    only: bool,
) -> list[tuple[Filled, Tensor]]:
    """Fillings with their r, the likeliest first: those in which E sees no things under the stroke
    (``only``: the one), and without a step at their edge."""
    if not found:
        return []
    side = mask.shape[-1]
    pictures = np.stack([resize(one.made.astype(np.float32), side) for one in found])
    r = encoder(torch.from_numpy(pictures).permute(0, 3, 1, 2).to(mask) / 127.5 - 1)
    u = F.adaptive_max_pool2d(mask, GRID)
    there = torch.stack([concepts.presence(r, thing) for thing in things]).amax(0)
    held = (there * u).sum((1, 2, 3)) / u.sum()
    held = 1 - held if only else held
    steps = torch.tensor([_roughness(one) for one in found]).to(held)
    order = (HELD * held + STEPS * steps).argsort(stable=True).tolist()
    return [(found[n], r[n : n + 1]) for n in order]


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


def _step(found: Filled) -> tuple[np.ndarray, np.ndarray]:
    """How much brighter it is outside of the hole's edge than inside, S×S×3; and the edge, S×S."""
    inside = found.hole.astype(np.float32)
    sides = []
    for weight, picture in ((inside, found.made), (1 - inside, found.small)):
        near = cv2.GaussianBlur(weight, (0, 0), SEAM_PX)[..., None]
        mean = cv2.GaussianBlur(picture * weight[..., None], (0, 0), SEAM_PX)
        sides.append(mean / np.maximum(near, 1e-3))
    edge = inside - cv2.erode(inside, np.ones((3, 3), np.uint8))
    return np.asarray(sides[1] - sides[0]), edge


def _roughness(found: Filled) -> float:
    """The mean step at the hole's edge, in the units of [-1, 1]."""
    step, edge = _step(found)
    return float((np.abs(step).mean(2) * edge).sum() / max(edge.sum(), 1.0) / 127.5)


def _evened(found: Filled) -> np.ndarray:
    """What to add to the filling for its colours to meet the photo's at the hole's edge: S×S×3.

    The step across the edge, continued smoothly into the hole. A large one is no seam but a thing
    that ends there.
    """
    step, edge = _step(found)
    edge = edge * (np.abs(step).max(2) < MOST_SEAM).astype(np.float32)
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
