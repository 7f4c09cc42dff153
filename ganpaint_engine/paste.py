"""Paste-back: what the window shows, into the photo at its own resolution.

With X the photo's pixels, y and y_e the window before and after the edit under the same δ (both
scaled up):

    patch = up(y_e) + (1 - I) · (X - up(y)) + I · (carried + grain + T · detail)

I, the influence, is 1 where the edit changed the window's picture and 0 where it left it alone; so
where nothing changed the patch is X itself, with all its detail. New content takes the light of
the photo (*carried*: how much X and up(y) differ around the stroke, smoothly continued under it),
its grain, and, where it is a texture (T), the detail that the window is too small for (``detail``).
The patch is laid over the photo with an alpha that is 0 away from the stroke: there the photo's
pixels stay bit-identical.

Only what the alpha covers is worked on, in strips: a window may be 10,000 px wide. I, T and what is
carried are smooth, and are made at the window's size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from torch import Tensor

from ganpaint_engine import compositing, cutouts, recolour
from ganpaint_engine import detail as finer
from ganpaint_engine.cutouts import Cutout
from ganpaint_engine.encoder import GRID
from ganpaint_engine.layers import Patch, lay_over, top
from ganpaint_engine.recolour import Recolouring
from ganpaint_engine.selection import Selection
from ganpaint_engine.window import Box, Window, bounds, crop, resize, to_array, to_levels

__all__ = ["Patch", "Thing", "lay_over", "paste"]

CARRIED_PX = 64
"""Side of the picture on which the photo's light is continued under the stroke."""

MAX_GRAIN = 8.0
"""Strongest grain laid on new content, standard deviation in levels of 255."""


class Thing(NamedTuple):
    """A new thing in pixels: its cutout; its tone, R×R×3, to be added; how much it weighs, R×R in
    [0, 1]; and whether it has grain and detail of the photo's own already."""

    cutout: Cutout
    tone: np.ndarray
    weight: np.ndarray
    grained: bool = False


_STRIP = 256  # rows worked on at a time
_TILE, _TILES = 64, 150  # side of the squares in which grain is measured, and how many at most


def paste(
    rgb: np.ndarray,
    stroke: Selection,
    window: Window,
    y: Tensor,
    y_e: Tensor,
    seed: int,
    keep_detail: bool = False,
    detail: list[float] | float | None = None,
    composite: str = compositing.RESIDUAL,
    x: Tensor | None = None,
    things: Sequence[Thing | Recolouring] = (),
) -> Patch:
    """The patch for an edit, of the photo's depth.

    rgb: the photo, H×W×3 uint8 or uint16. stroke: the selection. y, y_e: the window's picture
    before and after, under the same δ, 1×3×R×R in [-1, 1]. keep_detail: I is 0 all over, for edits
    after which the things themselves are still there: X + up(y_e) - up(y) keeps every leaf of a
    tree that changes colour. detail: how strong, in levels of 255, in each octave beyond the
    window's pixels. composite: one of compositing.COMPOSITES; the others know neither keep_detail
    nor detail. x: what the window shows of the photo, as y; worked out from the photo if need be.
    things: laid over all that, or changed in it (``cutouts``, ``recolour``), the first one first;
    y_e is then without them.
    """
    frame, cell = _frame(stroke, window), window.side / GRID
    alpha = _faded(feather(stroke.within(*frame), cell), frame, window, stroke.size)
    if composite == compositing.RESIDUAL:
        side = y.shape[-1]
        seen = to_levels(crop(rgb, window), side) if x is None else to_array(x, side)
        before, after = to_array(y, side), to_array(y_e, side)
        strength = influence(before, after) * (not keep_detail)
        covered = Selection(alpha, frame, stroke.size).seen(window, CARRIED_PX)
        known = before + resize(carried(resize(seen - before, CARRIED_PX), covered), side)
        fine = None
        if strength.any():
            fine = _fine(rgb, alpha, frame, window.side, side, detail, seed)
        rough = finer.texture(after, strength) if detail else np.zeros_like(strength)
        small = np.dstack([after - before, known, strength, rough])
        content = _content(rgb, window, frame, small, fine)
        for n, thing in enumerate(things):
            if isinstance(thing, Recolouring):
                if n or strength.any():
                    seen = _seen(rgb, content, window, frame, side)
                _recolour(thing, content, window, frame, seen)
                continue
            if thing.grained:
                _lay(thing, content, window, frame, None)
                continue
            wide = max(cutouts.pixels_across(thing.cutout), side)
            levels = _beyond(detail, window, wide, cutouts.contrast(thing.cutout))
            fine = _fine(rgb, alpha, frame, window.side, wide, levels, seed)
            _lay(thing, content, window, frame, fine)
    else:
        content, alpha = _composited(rgb, window, frame, alpha, y_e, composite)
    return _trimmed(content, alpha, frame)


def _frame(stroke: Selection, window: Window) -> Box:
    """What the patch can cover, photo px: the selection's box and its feather, as far as both the
    window and the photo go."""
    margin, box = math.ceil(2.2 * _reach(window.side / GRID)) + 2, stroke.box
    return Box(
        max(box.x0 - margin, window.x, 0),
        max(box.y0 - margin, window.y, 0),
        min(box.x1 + margin, window.x + window.side, stroke.size[0]),
        min(box.y1 + margin, window.y + window.side, stroke.size[1]),
    )


def _reach(cell: float) -> int:
    return max(round(cell / 3), 1)


def feather(stroke: np.ndarray, cell: float) -> np.ndarray:
    """The patch's alpha: the stroke grown by a third of a cell and faded over another.

    ``stroke`` h×w float32 in [0, 1], ``cell`` the side of a grid cell in photo px. Soft values are
    kept: a half-selected pixel is half changed.
    """
    reach, (height, width) = _reach(cell), stroke.shape
    # Work on a small picture when cells are large: the feather is smooth at the cell's scale.
    scale = min(1.0, 24 / reach)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    small = cv2.resize(stroke, size, interpolation=cv2.INTER_AREA)
    r = max(round(reach * scale), 1)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * r + 1, 2 * r + 1))
    grown = cv2.GaussianBlur(cv2.dilate(small, kernel), (0, 0), r * 0.6)
    small = np.clip((grown - 0.06) / 0.88, 0, 1)
    return np.maximum(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), stroke)


def _faded(alpha: np.ndarray, frame: Box, window: Window, size: tuple[int, int]) -> np.ndarray:
    """The alpha, faded where the window ends inside the photo: there must be no visible square."""
    reach = _reach(window.side / GRID)
    ends = (window.x, window.y, window.x + window.side, window.y + window.side)
    photo = (0, 0, *size)
    for axis in (0, 1):  # columns, rows
        px = np.arange(frame[axis], frame[axis + 2]) + 0.5
        fade = np.ones(len(px), np.float32)
        if ends[axis] > photo[axis]:
            fade = np.minimum(fade, (px - ends[axis]) / reach)
        if ends[axis + 2] < photo[axis + 2]:
            fade = np.minimum(fade, (ends[axis + 2] - px) / reach)
        if (fade < 1).any():
            alpha = alpha * (fade if axis == 0 else fade[:, None])
    return alpha.astype(np.float32, copy=False)


def influence(y: np.ndarray, y_e: np.ndarray) -> np.ndarray:
    """I: R×R in [0, 1] from the change between two R×R×3 pictures in [0, 255]."""
    change = np.abs(y_e - y).max(2)
    change = cv2.GaussianBlur(change, (0, 0), max(len(y) / GRID / 6, 0.5))
    ramp = np.clip((change - 4) / 20, 0, 1)
    return ramp * ramp * (3 - 2 * ramp)


def carried(residual: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """The residual X - y around the stroke, continued smoothly under it.

    residual: 64×64×3, and so is the result. covered: 64×64, the patch's alpha. A membrane, as in
    Poisson blending: each pixel takes the mean of the known ones around it, from as near as there
    are any.
    """
    known = covered <= 1e-4
    weight = known.astype(np.float32)
    out, missing = np.zeros_like(residual), np.ones_like(known)
    for sigma in (2, 4, 8, 16, 32):
        near = cv2.GaussianBlur(weight, (0, 0), sigma)
        mean = cv2.GaussianBlur(residual * weight[..., None], (0, 0), sigma)
        mean = mean / np.maximum(near, 1e-6)[..., None]
        found = missing & (near > 0.1)
        out[found] = mean[found]
        missing &= ~found
    return cv2.GaussianBlur(out, (0, 0), 2)


def grain(rgb: np.ndarray, alpha: np.ndarray, frame: Box) -> float:
    """How strong the finest detail of the photo around the stroke is: a standard deviation in
    levels of 255.

    Only what is finer than 2 px counts, and its median, so that edges of objects do not.
    """
    ring = (alpha > 0) & (alpha < 0.9)
    ring = ring if ring.any() else alpha == 0
    height, width = alpha.shape
    corners = [(y, x) for y in range(0, height, _TILE) for x in range(0, width, _TILE)]
    corners = [c for c in corners if ring[c[0] : c[0] + _TILE, c[1] : c[1] + _TILE].any()]
    values = []
    for y, x in corners[:: max(len(corners) // _TILES, 1)]:
        here = np.s_[y : y + _TILE, x : x + _TILE]
        tile = rgb[frame.y0 : frame.y1, frame.x0 : frame.x1][here].astype(np.float32)
        values.append(np.abs(tile - cv2.GaussianBlur(tile, (0, 0), 1.0))[ring[here]].ravel())
    if not values:
        return 0.0
    return min(1.5 * float(np.median(np.concatenate(values))) * 255 / top(rgb), MAX_GRAIN)


def _fine(
    rgb: np.ndarray,
    alpha: np.ndarray,
    frame: Box,
    side: int,
    resolution: int,
    levels: list[float] | float | None,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Grain and detail for new content, h×w each, in levels of 255."""
    noise = np.random.default_rng(seed).standard_normal(alpha.shape, dtype=np.float32)
    noise *= grain(rgb, alpha, frame)
    if not levels:
        return noise, np.zeros((1, 1), np.float32)
    detailed = finer.noise(alpha.shape, side, resolution, levels, seed)
    detailed *= np.clip(2 * alpha - 1, 0, 1)  # over the photo that shows through it would be specks
    return noise, detailed


def _content(
    rgb: np.ndarray,
    window: Window,
    frame: Box,
    small: np.ndarray,
    fine: tuple[np.ndarray, np.ndarray] | None,
) -> np.ndarray:
    """The patch's colours, h×w×3 of the photo's depth: the formula above, strip by strip.

    small: R×R×8: up(y_e) - up(y), what is known of the photo under the stroke, I and T. fine: grain
    and detail; none where I is 0 all over.
    """
    unit = np.float32(top(rgb) / 255)
    out = np.empty((frame.y1 - frame.y0, frame.x1 - frame.x0, 3), rgb.dtype)
    for start in range(0, len(out), _STRIP):
        rows = slice(start, min(start + _STRIP, len(out)))
        place = Box(frame.x0, frame.y0 + rows.start, frame.x1, frame.y0 + rows.stop)
        photo = rgb[place.y0 : place.y1, place.x0 : place.x1].astype(np.float32) / unit
        change = _enlarged(small[..., :3], window, place)
        if fine is not None:
            noise, detailed = fine
            known = _enlarged(small[..., 3:6], window, place)
            both = np.clip(_enlarged(small[..., 6:], window, place), 0, 1)
            extra = noise[rows] + both[..., 1] * (detailed[rows] if len(detailed) > 1 else 0)
            known += extra[..., None]
            known -= photo
            known *= both[..., :1]
            change += known
        photo += change
        out[rows] = np.clip(np.rint(photo * unit), 0, top(rgb))
    return out


def _beyond(
    levels: list[float] | float | None, window: Window, side: int, most: float
) -> list[float] | float:
    """The levels of those octaves alone that are finer than a picture of ``side`` px, and no
    stronger than ``most``: a door is smoother than a tree."""
    if not isinstance(levels, list):
        return min(levels or 0.0, most)
    left = finer.octaves(window.side, side)
    return [min(level, most) for level in levels[len(levels) - left :]] if left else 0.0


def _lay(
    thing: Thing,
    content: np.ndarray,
    window: Window,
    frame: Box,
    fine: tuple[np.ndarray, np.ndarray] | None,
) -> None:
    """Lay a thing over the patch's colours (h×w×3, changed in place), strip by strip. fine: grain
    and detail to be added to it."""
    unit, side = np.float32(top(content) / 255), len(thing.weight)
    seen = cutouts.drawn(thing.cutout, side, (0, 0, side, side))
    rough = finer.texture(seen[..., :3], seen[..., 3])
    small = np.dstack([thing.tone, thing.weight, rough]).astype(np.float32)
    for start in range(0, len(content), _STRIP):
        rows = slice(start, min(start + _STRIP, len(content)))
        place = Box(frame.x0, frame.y0 + rows.start, frame.x1, frame.y0 + rows.stop)
        x0, y0 = place.x0 - window.x, place.y0 - window.y
        part = (x0, y0, place.x1 - window.x, place.y1 - window.y)
        picture = cutouts.drawn(thing.cutout, window.side, part)
        if not picture[..., 3].any():
            continue
        more = _enlarged(small, window, place)
        colours = picture[..., :3] + more[..., :3]
        if fine is not None:
            noise, detailed = fine
            textured = np.clip(more[..., 4], 0, 1) * detailed[rows] if len(detailed) > 1 else 0
            colours += (noise[rows] + textured)[..., None]
        opacity = picture[..., 3:] * np.clip(more[..., 3:4], 0, 1)
        below = content[rows].astype(np.float32) / unit
        mixed = (below + opacity * (colours - below)) * unit
        content[rows] = np.clip(np.rint(mixed), 0, top(content))


def _seen(
    rgb: np.ndarray, content: np.ndarray, window: Window, frame: Box, side: int
) -> np.ndarray:
    """What the window shows of the photo with the patch's colours in it, side×side×3."""
    whole = crop(rgb, window).copy()
    down = slice(frame.y0 - window.y, frame.y1 - window.y)
    whole[down, frame.x0 - window.x : frame.x1 - window.x] = content
    return to_levels(whole, side)


def _recolour(
    wish: Recolouring, content: np.ndarray, window: Window, frame: Box, seen: np.ndarray
) -> None:
    """Change a thing's colours in the patch's (h×w×3, in place), strip by strip. seen: what the
    window shows before, R×R×3."""
    change = recolour.learned(seen, wish)
    if change is None:
        return
    unit = np.float32(top(content) / 255)
    small = np.dstack([change.word, change.weight]).astype(np.float32)
    margin = 2 * recolour.SMOOTHED
    above = content[:0].copy()  # as it was
    for start in range(0, len(content), _STRIP):
        stop = min(start + _STRIP, len(content))
        below = np.concatenate([above, content[start : stop + margin]]).astype(np.float32) / unit
        top_y = frame.y0 + start - len(above)
        more = _enlarged(small, window, Box(frame.x0, top_y, frame.x1, top_y + len(below)))
        matte = recolour.matte(change, below, more[..., 0], more[..., 1])
        rows = slice(len(above), len(above) + stop - start)
        below, matte = below[rows], matte[rows, :, None]
        above = content[max(stop - margin, start) : stop].copy()
        mixed = (below + matte * (recolour.shifted(change, below) - below)) * unit
        content[start:stop] = np.clip(np.rint(mixed), 0, top(content))


@lru_cache(maxsize=4)
def _rows(resolution: int, side: int) -> np.ndarray:
    """How rows of a picture of R px are scaled to S: weights S×R, those of window.resize."""
    shrink = side < resolution
    kind = cv2.INTER_AREA if shrink else cv2.INTER_CUBIC
    return cv2.resize(np.eye(resolution, dtype=np.float32), (resolution, side), interpolation=kind)


def _enlarged(small: np.ndarray, window: Window, place: Box) -> np.ndarray:
    """A rectangle (photo px) of a window's picture (R×R×C) as window.resize would scale all of it:
    h×w×C."""
    resolution, channels = len(small), small.shape[2]
    weights = _rows(resolution, window.side)[place.y0 - window.y : place.y1 - window.y]
    rows = (weights @ small.reshape(resolution, -1)).reshape(-1, resolution, channels)
    kind = cv2.INTER_AREA if window.side < resolution else cv2.INTER_CUBIC
    wide = cv2.resize(rows, (window.side, len(rows)), interpolation=kind)
    return wide[:, place.x0 - window.x : place.x1 - window.x]


def _composited(
    rgb: np.ndarray, window: Window, frame: Box, alpha: np.ndarray, y_e: Tensor, composite: str
) -> tuple[np.ndarray, np.ndarray]:
    """Colours and alpha by one of the alternatives, which need the whole window."""
    unit = np.float32(top(rgb) / 255)
    across = slice(frame.x0 - window.x, frame.x1 - window.x)
    down = slice(frame.y0 - window.y, frame.y1 - window.y)
    full = np.zeros((window.side, window.side), np.float32)
    full[down, across] = alpha
    photo = crop(rgb, window).astype(np.float32) / unit
    blended = compositing.blend(composite, photo, to_array(y_e, window.side), full)
    content = np.clip(np.rint(blended.content[down, across] * unit), 0, top(rgb))
    return content.astype(rgb.dtype), blended.alpha[down, across]


def _trimmed(content: np.ndarray, alpha: np.ndarray, frame: Box) -> Patch:
    """Cut to what is not wholly transparent."""
    opacity = np.rint(alpha * top(content)).astype(content.dtype)
    box = bounds(opacity) if opacity.any() else Box(0, 0, 1, 1)
    here = np.s_[box.y0 : box.y1, box.x0 : box.x1]
    return Patch(np.dstack([content[here], opacity[here]]), frame.x0 + box.x0, frame.y0 + box.y0)
