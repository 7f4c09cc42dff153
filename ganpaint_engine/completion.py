"""Completing a picture from its own parts: each place in a hole is told where else in the picture
its like is.

Coarse to fine, patches that reach into the hole are matched with whole ones from around and vote
for the colours under them, again and again: Wexler, Shechtman and Irani, *Space-Time Completion of
Video* (2007). Of the offsets that come out, a few serve for all of the hole, each for a connected
part: He and Sun, *Statistics of Patch Offsets for Image Completion* (2012), without their graph
cut.

The same input gives the same result whatever else runs, on any number of threads: what is compared
are sums of whole numbers, small enough for float32 to hold them exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from torch import Tensor

SIDES, ROUNDS = (24, 48), (8, 5)
"""Sides in px of the pictures in which patches are matched, and how often at most in each."""
PATCH_PX = 7
HALF = PATCH_PX // 2
EVERY_PX = 2
"""How far apart the matched patches are in all but the coarsest picture."""
SHADE = 4
"""Levels of 255 that count as one when patches are compared."""
FEWEST = 20
"""Patches there must at least be to be taken."""
TRUST = 1.3
"""By how much a vote loses weight with each px into the hole."""
STILL = 0.02
"""Mean change of colours, in levels of 255, at which a picture has settled."""
OFFSETS, REFINED, USED = 40, 8, 0.015
"""Offsets that are tried at full size; of these, how many a pixel further too; and the least share
of the hole that one must serve."""
AGREE_PX = (9, 7)
"""Side of the squares over which colours must agree with those voted for, when offsets are first
tried and when the best of them are."""
NEVER = 600.0
"""Difference of colours, in levels, that stands for a place that nothing may be taken from."""
FINER = 4
"""How much finer the borders between parts are than the picture, where there is a larger one."""
LET_IN_PX, REACH_PX = 0.8, 4
"""Width over which parts from different places are let into each other; and beyond how much of it
nothing is."""
SMOOTH_PX, MOST = 2.0, 24.0
"""Colours are drawn to those voted for on this scale, by at most so many levels."""
ALL_THREE = np.ones((1, 3), np.float32)
"""Sums the differences of three colours."""


@dataclass(frozen=True)
class Completed:
    """picture: S×S×3 uint8, completed. offsets: S×S×2 int64, how many rows and columns away each
    pixel was taken from; 0 outside of the hole."""

    picture: np.ndarray
    offsets: np.ndarray


def complete(
    picture: np.ndarray,
    hole: np.ndarray,
    barred: np.ndarray,
    level: float = 0.0,
    fine: bool = False,
) -> Completed | None:
    """Complete a picture; None where there is too little to take from.

    picture: S×S×3 uint8, ``smeared`` already, S at least the last of SIDES. hole: S×S uint8 in
    {0, 1}, what to complete. barred: likewise, where nothing may be taken from, the hole included.
    level: by how much it counts against a patch to be from higher up or further down, as on a
    building's front. fine: go on from the colours at the hole's edge, instead of from a coarser
    picture: what is large in the hole then comes from beside it.
    """
    voted = offsets = None
    for side, rounds in list(zip(SIDES, ROUNDS, strict=True))[1 if fine else 0 :]:
        small = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
        search = _Search(small, _shrunk(hole, side), _shrunk(barred, side), level)
        if search.enough:
            voted, offsets = search.solve(offsets, rounds)
    if voted is None or offsets is None:
        return None
    return _assembled(picture, hole, barred, voted, offsets)


def patches(barred: np.ndarray) -> int:
    """How many patches there are to take where an S×S mask in {0, 1} does not bar it, in the finest
    picture in which they are matched."""
    return int(_whole(_shrunk(barred, SIDES[-1])).sum())


def smeared(picture: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """A picture (S×S×3 uint8) with the colours at its hole's edge drawn into the hole, which the
    search begins with: Telea, *An Image Inpainting Technique Based on the Fast Marching Method*
    (2004)."""
    return np.asarray(cv2.inpaint(picture, hole, 3, cv2.INPAINT_TELEA))


def _shrunk(mask: np.ndarray, side: int) -> np.ndarray:
    """A mask in {0, 1} at another size, 1 where it was 1 anywhere but for a trace."""
    mean = cv2.resize(mask.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA)
    return (mean > 0.02).astype(np.uint8)


def _grown(mask: np.ndarray) -> np.ndarray:
    """The centres of all patches that a mask is in."""
    return np.asarray(cv2.dilate(mask, np.ones((PATCH_PX, PATCH_PX), np.uint8))) > 0


def _whole(barred: np.ndarray) -> np.ndarray:
    """The centres of all patches that are in the picture, and nowhere in a mask."""
    whole = ~_grown(barred)
    whole[:HALF] = whole[-HALF:] = False
    whole[:, :HALF] = whole[:, -HALF:] = False
    return whole


class _Search:
    """The hole in a picture of one size: patches matched, votes counted.

    A patch is a row of 3·PATCH_PX² numbers. Sources are centres of patches to be taken, targets of
    those that reach into the hole: all of them, or one of EVERY_PX in rows and columns.
    """

    def __init__(
        self, picture: np.ndarray, hole: np.ndarray, barred: np.ndarray, level: float
    ) -> None:
        self.picture, self.hole, self.side = picture.astype(np.float32), hole, len(hole)
        self.every = 1 if self.side == SIDES[0] else EVERY_PX
        self.sources = np.nonzero(_whole(barred))
        wanted = _grown(hole)[:: self.every, :: self.every]
        self.targets = [n * self.every for n in np.nonzero(wanted)]
        inward = cv2.distanceTransform(hole, cv2.DIST_L2, 3)
        self.trust = np.power(TRUST, -inward)[tuple(self.targets)]
        away = self.targets[0][:, None] - self.sources[0][None]
        self.off_level = np.float32(level) * (away * away).astype(np.float32)
        numbers = np.arange(self.side * self.side).reshape(hole.shape)
        self.seen = _patches(np.pad(numbers, HALF, "reflect"), self.targets)
        self.votes, self.voted_for = _votes(hole, self.targets)

    @property
    def enough(self) -> bool:
        """Whether there are patches to take, and a hole to be seen at this size."""
        return len(self.sources[0]) >= FEWEST and bool(self.hole.any())

    def solve(self, offsets: np.ndarray | None, rounds: int) -> tuple[np.ndarray, np.ndarray]:
        """The picture as voted for (side×side×3 float32), and where each place of it has its like
        (side×side×2). offsets: likewise, of a smaller picture."""
        now = self._begun(offsets)
        colours = _patches(np.pad(now, ((HALF, HALF), (HALF, HALF), (0, 0))), self.sources)
        known = _shades(colours).reshape(len(colours), -1)
        distance = torch.from_numpy((known * known).sum(1) + self.off_level)
        factors = torch.from_numpy(-2 * known).T
        for _ in range(rounds):
            match, cost = self._matched(now, factors, distance)
            before, now = now, self._voted(now, colours[match], cost)
            if np.abs(now - before).mean() < STILL:
                break
        return now, self._spread(match)

    def _begun(self, offsets: np.ndarray | None) -> np.ndarray:
        """What the search begins with: the picture, or what is where a smaller one says."""
        if offsets is None:
            return self.picture
        more = cv2.resize(
            offsets.astype(np.float32), (self.side, self.side), interpolation=cv2.INTER_NEAREST
        )
        more = np.rint(more * (self.side / len(offsets))).astype(np.int64)
        return _moved(self.picture, self.hole, more)

    def _matched(
        self, picture: np.ndarray, factors: Tensor, distance: Tensor
    ) -> tuple[np.ndarray, np.ndarray]:
        """For each target the number of the source nearest to it, and how far apart they are."""
        wanted = _shades(picture.reshape(-1, 3)[self.seen]).reshape(len(self.seen), -1)
        # Products of whole numbers, their sums below 2^24: exact, in whatever order.
        gap = torch.addmm(distance, torch.from_numpy(wanted), factors).numpy()
        match = gap.argmin(1)
        cost = np.take_along_axis(gap, match[:, None], 1)[:, 0] + (wanted * wanted).sum(1)
        return match, cost

    def _voted(self, picture: np.ndarray, patches: np.ndarray, cost: np.ndarray) -> np.ndarray:
        """The hole in the mean colours of the patches over it, the better matched weigh more."""
        spread = np.percentile(cost, 75) + 1
        weight = np.repeat(self.trust * np.exp(-cost / (2 * spread)), PATCH_PX**2)[self.votes]
        colours, total = patches.reshape(-1, 3)[self.votes], np.bincount(self.voted_for, weight)
        voted = picture.copy()
        voted[self.hole > 0] = np.rint([
            np.bincount(self.voted_for, weight * colours[:, n]) / np.maximum(total, 1e-9)
            for n in range(3)
        ]).T  # fmt: skip
        return voted

    def _spread(self, match: np.ndarray) -> np.ndarray:
        """The offsets of the targets, given to each pixel of the hole: side×side×2."""
        dense = np.zeros((self.side, self.side, 2), np.int64)
        for axis in (0, 1):
            dense[(*self.targets, axis)] = self.sources[axis][match] - self.targets[axis]
        nearest = np.arange(self.side) // self.every * self.every
        return dense[np.ix_(nearest, nearest)]


def _patches(bordered: np.ndarray, centres: Sequence[np.ndarray]) -> np.ndarray:
    """The patches around some pixels of a picture (S×S or S×S×3), given with HALF more on all
    sides: N×PATCH_PX² (×3)."""
    windows = sliding_window_view(bordered, (PATCH_PX, PATCH_PX), axis=(0, 1))[tuple(centres)]
    if bordered.ndim == 3:
        windows = np.moveaxis(windows, 1, 3)
    return windows.reshape(len(centres[0]), PATCH_PX**2, *bordered.shape[2:])


def _votes(hole: np.ndarray, targets: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Which of all numbers in the targets' patches are of the hole's pixels, and of which."""
    number = np.where(hole > 0, np.cumsum(hole, dtype=np.int64).reshape(hole.shape) - 1, -1)
    number = _patches(np.pad(number, HALF, constant_values=-1), targets).reshape(-1)
    votes = np.flatnonzero(number >= 0)
    return votes, number[votes]


def _shades(patches: np.ndarray) -> np.ndarray:
    """Patches in whole numbers in [-32, 31]."""
    return np.floor(patches / SHADE) - 128 // SHADE


def _moved(picture: np.ndarray, hole: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """A picture (S×S×3) with its hole filled from where the offsets (S×S×2) say."""
    rows, columns = np.nonzero(hole)
    away = offsets[rows, columns]
    filled = picture.copy()
    filled[rows, columns] = picture[
        np.clip(rows + away[:, 0], 0, len(hole) - 1),
        np.clip(columns + away[:, 1], 0, len(hole) - 1),
    ]
    return filled


def _assembled(
    picture: np.ndarray,
    hole: np.ndarray,
    barred: np.ndarray,
    voted: np.ndarray,
    offsets: np.ndarray,
) -> Completed:
    """The hole at full size, from a few offsets, in the colours that were voted for.

    picture: with the hole smeared in, which shows where its edge is let into what is around.
    """
    side, small = len(picture), len(voted)
    places = _shrunk(hole, small) > 0
    found, _, counts = _distinct(offsets[places])
    found = found[np.argsort(-counts, kind="stable")[:OFFSETS]]
    found = np.rint(found * (side / small)).astype(np.int64)
    wished = cv2.resize(voted, (side, side), interpolation=cv2.INTER_CUBIC)
    chosen = _Offsets(picture, hole, barred, wished).chosen(found)
    made = _blended(picture, hole, chosen)
    coarse = cv2.resize(made, (small, small), interpolation=cv2.INTER_AREA)
    away = cv2.resize(voted - coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    away = np.clip(cv2.GaussianBlur(away, (0, 0), SMOOTH_PX), -MOST, MOST)
    made = np.where(hole[..., None] > 0, made + away, made)
    return Completed(np.clip(np.rint(made), 0, 255).astype(np.uint8), chosen)


def _blended(picture: np.ndarray, hole: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """The hole filled from where the offsets say, its parts let into each other and into what is
    around, S×S×3 float32."""
    made, last = picture.astype(np.float32), len(hole) - 1
    near = _box(hole, REACH_PX)
    inside, kinds, label = hole[near], *_parts(offsets[near])
    rows, columns = (n + part.start for n, part in zip(np.nonzero(inside), near, strict=True))
    at = np.flatnonzero(inside)
    total, weights = np.zeros((len(rows), 3), np.float32), np.full((len(rows), 1), 1e-6, np.float32)
    for number, (dy, dx) in enumerate(kinds):
        part = label == number if dy or dx else inside == 0
        weight = cv2.GaussianBlur(part.astype(np.float32), (0, 0), LET_IN_PX).reshape(-1, 1)[at]
        there = np.clip(rows + dy, 0, last), np.clip(columns + dx, 0, last)
        total += weight * picture[there]
        weights += weight
    made[rows, columns] = total / weights
    return made


def _box(hole: np.ndarray, margin: int) -> tuple[slice, slice]:
    """Rows and columns that a hole is in, and ``margin`` more on all sides."""
    lines = np.flatnonzero(hole.any(1)), np.flatnonzero(hole.any(0))
    ends = [(max(int(p[0]) - margin, 0), min(int(p[-1]) + margin + 1, len(hole))) for p in lines]
    return slice(*ends[0]), slice(*ends[1])


def _distinct(offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The offsets that occur among some (N×2), the number of its own for each, and how often each
    occurs. A tenth of the time of ``np.unique`` along an axis."""
    radix = 2 * np.abs(offsets).max() + 1
    key = offsets[:, 0] * radix + offsets[:, 1]
    _, first, number, counts = np.unique(
        key, return_index=True, return_inverse=True, return_counts=True
    )
    return offsets[first], number, counts


def _parts(offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The offsets that occur (N×2), and the number of its own for each pixel, h×w."""
    kinds, number, _ = _distinct(offsets.reshape(-1, 2))
    return kinds, number.reshape(offsets.shape[:2])


def enlarged(offsets: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Offsets (h×w×2) for a larger picture, of ``size`` (w, h) px, as float32, in small px still;
    the borders between parts become lines instead of stairs."""
    kinds, label = _parts(offsets)
    fine = min(offsets.shape[1] * FINER, size[0]), min(offsets.shape[0] * FINER, size[1])
    best = np.full(fine[::-1], -1, np.float32)
    chosen = np.zeros(fine[::-1], np.int32)
    for number in range(len(kinds)):
        share = cv2.resize(
            (label == number).astype(np.float32), fine, interpolation=cv2.INTER_CUBIC
        )
        chosen[share > best] = number
        np.maximum(best, share, out=best)
    whole = cv2.resize(chosen, size, interpolation=cv2.INTER_NEAREST)
    return kinds.astype(np.float32)[whole]


class _Offsets:
    """The choice of offsets for the pixels of a hole, by how they agree with what is wished."""

    def __init__(
        self, picture: np.ndarray, hole: np.ndarray, barred: np.ndarray, wished: np.ndarray
    ) -> None:
        self.side = len(hole)
        self.box = _box(hole, HALF)
        self.inside = hole[self.box] > 0
        self.wished = np.where(hole[..., None] > 0, wished, picture)[self.box].astype(np.float32)
        allowed = np.where(barred[..., None] > 0, NEVER, picture).astype(np.float32)
        # For pixels that no offset serves, at the picture's border.
        _, number = cv2.distanceTransformWithLabels(
            barred, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
        )
        at = np.argwhere(barred == 0)[number[self.box] - 1]
        self.nearest = at - np.moveaxis(np.indices(hole.shape), 0, 2)[self.box]
        # As much around as the farthest offset can reach, none of it to be taken.
        self.around = np.pad(
            *(allowed, ((self.side, self.side), (self.side, self.side), (0, 0))),
            constant_values=NEVER,
        )

    def chosen(self, offsets: np.ndarray) -> np.ndarray:
        """S×S×2 int64, one of the offsets (N×2), or its neighbour, for each pixel of the hole."""
        costs = self._costs(offsets, AGREE_PX[0])
        served = np.bincount(costs.argmin(0)[self.inside], minlength=len(offsets))
        best = np.argsort(-served, kind="stable")[:REFINED]
        around = np.array([(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)])
        near = (offsets[best[served[best] > 0]][:, None] + around).reshape(-1, 2)
        offsets, *_ = _distinct(np.concatenate([near, offsets[served > 0]]))
        offsets = offsets[(np.abs(offsets) < self.side).all(1)]
        costs = self._costs(offsets, AGREE_PX[1])
        served = np.bincount(costs.argmin(0)[self.inside], minlength=len(offsets))
        enough = served >= min(USED * self.inside.sum(), served.max())
        costs, offsets = costs[enough], offsets[enough]
        whole = np.zeros((self.side, self.side, 2), np.int64)
        found = np.where((costs.min(0) < NEVER)[..., None], offsets[costs.argmin(0)], self.nearest)
        whole[self.box] = np.where(self.inside[..., None], found, 0)
        return whole

    def _costs(self, offsets: np.ndarray, square: int) -> np.ndarray:
        """How far each offset (N×2) is from what is wished around each pixel: N×h×w, levels."""
        costs = np.empty((len(offsets), *self.inside.shape), np.float32)
        (top, bottom), (left, right) = ((s.start + self.side, s.stop + self.side) for s in self.box)
        for cost, (dy, dx) in zip(costs, offsets, strict=True):
            there = self.around[top + dy : bottom + dy, left + dx : right + dx]
            gap = cv2.transform(cv2.absdiff(there, self.wished), ALL_THREE)
            gap = np.minimum(gap, NEVER)
            cv2.blur(gap, (square, square), cost, borderType=cv2.BORDER_REPLICATE)
            cost[gap == NEVER] = NEVER
        return costs
