"""Exemplars: how concepts look in pictures the model knows, cell by cell.

One p_c for all cells draws the same thing in each of them: a tree without crown and trunk. So p_c
is a map here, taken from the featuremap of a picture that has the concept in the stroke's shape and
in surroundings like the photo's:

    r_e = (1 - α) ⊙ r + α ⊙ p_c(y, x),    α = U where the exemplar or the stroke holds the concept

All units are set, as the exemplar's go together. Which exemplar is asked for by ``seed``: 0 is the
one that fits best, 1 the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ganpaint_engine import concepts
from ganpaint_engine.concepts import Concept
from ganpaint_engine.cutouts import Cutouts
from ganpaint_engine.encoder import GRID

LOOKED_AT = 64
"""Placements with the best shape whose surroundings are compared."""
OFFERED = 12
"""Seeds go round among so many exemplars."""
HOLDS = 0.1
"""Share of a cell above which an exemplar's cell belongs to the concept."""
ENOUGH = 0.4
"""Of the stroke's share of its cells, that an exemplar has to have there."""
GONE = 3.0
"""Weight of a removed concept's share, against the squared difference of surroundings."""
BEYOND, AROUND, LOOK, USUAL, MOVED = 0.5, 0.05, 0.3, 0.1, 0.004
"""Weights against the squared difference of shares: of the concept's going on beyond the stroke, of
the surroundings' difference, of that from a wished look or else from the usual one, and of a cell's
move up or down."""


class Match(NamedTuple):
    """An exemplar for a stroke: p_c as a map, 1×C×8×8; the cells it is meant for, 1×1×8×8; its
    number in the library; and how far it is moved, in (rows, columns) of the grid."""

    p: Tensor
    meant: Tensor
    number: int
    shift: tuple[int, int]


@dataclass(frozen=True)
class Exemplars:
    """Featuremaps of pictures, and where each concept is in them.

    r: N×C×8×8. shares: N×K×8×8, the concepts' share of each cell in [0, 1]. names: of the K.
    cutouts: what the exemplars look like; each was then chosen for one concept.
    """

    r: Tensor
    shares: Tensor
    names: tuple[str, ...]
    cutouts: Cutouts | None = None

    def to(self, device: torch.device) -> Exemplars:
        """A copy on ``device``."""
        pixels = self.cutouts.to(device) if self.cutouts is not None else None
        return Exemplars(self.r.to(device), self.shares.to(device), self.names, pixels)

    def only(self, names: tuple[str, ...]) -> Exemplars:
        """The same pictures, for these concepts alone; without their cutouts."""
        return Exemplars(self.r, self.shares[:, [self.names.index(n) for n in names]], names)

    def things(self, name: str) -> int:
        """How many cutouts there are of a concept."""
        if self.cutouts is None or name not in self.names:
            return 0
        return int((self.cutouts.kinds == self.names.index(name)).sum())

    def _of(self, name: str) -> tuple[Tensor, Tensor]:
        """The exemplars of a concept: their numbers, and its share of their cells, M×8×8."""
        k = self.names.index(name)
        if self.cutouts is not None:
            own = torch.nonzero(self.cutouts.kinds == k).flatten()
            if len(own):
                return own, self.cutouts.held[own]
        return torch.arange(len(self.r), device=self.r.device), self.shares[:, k]

    @torch.no_grad()
    def find(
        self, r: Tensor, cover: Tensor, concept: Concept, seed: int = 0, look: Tensor | None = None
    ) -> Match | None:
        """The exemplar for a stroke; None if nothing fits.

        r: 1×C×8×8, the photo's. cover: 1×1×8×8, the stroke's share of each cell. look: a p_c (C
        values) that the exemplar should be near.
        """
        if concept.name not in self.names:
            return None
        own, share = self._of(concept.name)
        maps = self.r[own]
        ys, xs = torch.nonzero(cover[0, 0] > 0, as_tuple=True)
        shifts = _shifts(ys, xs)
        wanted = cover[0, 0, ys, xs]
        shape = _shapes(share, cover, shifts)
        wish = (USUAL, concept.p) if look is None else (LOOK, look)
        shape = shape + wish[0] * _unlike(maps, share, wish[1])
        costs, order = shape.flatten().topk(min(LOOKED_AT, shape.numel()), largest=False)
        moved = torch.tensor(shifts, device=share.device)[order // len(share)]
        costs = costs + AROUND * _strange(maps, r, cover, order % len(share), moved)
        ranked = [
            (cost, place % len(share), shifts[place // len(share)])
            for cost, place in zip(costs.tolist(), order.tolist(), strict=True)
        ]
        best: dict[int, tuple[int, int]] = {}
        for _, n, shift in sorted(ranked):
            best.setdefault(n, shift)
        chosen = [
            (n, shift)
            for n, shift in best.items()
            if share[n, ys + shift[0], xs + shift[1]].mean() >= ENOUGH * wanted.mean()
        ][:OFFERED]
        if not chosen and self.cutouts is None:
            return None
        chosen = chosen or list(best.items())[:1]  # a cutout is made to fit
        n, (dy, dx) = chosen[seed % len(chosen)]
        there = share[n, ys + dy, xs + dx]
        p = (concept.p if look is None else look).view(1, -1, 1, 1).repeat(1, 1, GRID, GRID)
        held = there >= HOLDS
        p[0][:, ys[held], xs[held]] = maps[n][:, (ys + dy)[held], (xs + dx)[held]]
        meant = torch.zeros_like(cover)
        meant[0, 0, ys, xs] = (held | (wanted >= 0.5)).float()
        return Match(p, meant, int(own[n]), (-dy, -dx))

    @torch.no_grad()
    def without(self, r: Tensor, on: Tensor, name: str, seed: int = 0) -> Tensor:
        """r with the cells ``on`` (1×1×8×8 in {0, 1}) as in the exemplar that fits around them.

        Of those that hardly have the concept there, moved sideways and by one row at most.
        """
        share = self.shares[:, self.names.index(name)]
        ys, xs = torch.nonzero(on[0, 0], as_tuple=True)
        edge_y, edge_x = torch.nonzero((F.max_pool2d(on, 3, 1, 1) - on)[0, 0], as_tuple=True)
        gap = self._gaps(r[0][:, edge_y, edge_x])
        edge = torch.arange(len(edge_y), device=r.device)
        ranked = []
        for dy, dx in (shift for shift in _shifts(ys, xs) if abs(shift[0]) <= 1):
            y, x = edge_y + dy, edge_x + dx
            inside = (y >= 0) & (y < GRID) & (x >= 0) & (x < GRID)
            there = gap[:, edge[inside], y[inside], x[inside]]
            unlike = there.mean(1) if inside.any() else share.new_ones(len(share))
            cost = unlike + GONE * share[:, ys + dy, xs + dx].mean(1)
            ranked += [(float(c), n, dy, dx) for n, c in enumerate(cost.tolist())]
        best: dict[int, tuple[int, int]] = {}
        for _, n, dy, dx in sorted(ranked):
            best.setdefault(n, (dy, dx))
        n, (dy, dx) = list(best.items())[seed % min(OFFERED, len(best))]
        filled = r.clone()
        filled[0][:, ys, xs] = self.r[n][:, ys + dy, xs + dx]
        return filled

    def _gaps(self, here: Tensor) -> Tensor:
        """Mean squared difference of E cells (C×E) from every cell of every exemplar: N×E×8×8.

        As |a|² + |b|² - 2 a·b, once for all shifts: it was half of a preview's time.
        """
        cells = self.r.flatten(2)
        squares = cells.square().sum(1)[:, None] + here.square().sum(0)[:, None]
        gap = (squares - 2 * here.T @ cells) / len(here)
        return gap.unflatten(2, (GRID, GRID))


def _shapes(share: Tensor, cover: Tensor, shifts: list[tuple[int, int]]) -> Tensor:
    """How the concept's shape at each place differs from the stroke's: S×N.

    It should also end where the stroke ends: of a thing that is cut off one sees the cut.
    """
    on = (cover > 0).float()
    ys, xs = torch.nonzero(on[0, 0], as_tuple=True)
    edge_y, edge_x = torch.nonzero((F.max_pool2d(on, 3, 1, 1) - on)[0, 0], as_tuple=True)
    wide = F.pad(share, (GRID,) * 4)
    wanted = cover[0, 0, ys, xs]
    dy, dx = torch.tensor(shifts, device=share.device).T[..., None]
    cost = _difference(share[:, ys + dy, xs + dx], wanted) + MOVED * dy[:, 0].abs()
    beyond = wide[:, edge_y + dy + GRID, edge_x + dx + GRID]
    return (cost + BEYOND * beyond.square().sum(-1) / len(ys)).T


def _unlike(maps: Tensor, share: Tensor, look: Tensor) -> Tensor:
    """How far each exemplar's concept is from a look, 1 on average: N values."""
    weight = share[:, None]
    mean = (maps * weight).sum((2, 3)) / weight.sum((2, 3)).clamp(min=1e-6)
    distance = (mean - look).square().mean(1)
    return distance / distance.mean().clamp(min=1e-6)


def _strange(maps: Tensor, r: Tensor, cover: Tensor, n: Tensor, shift: Tensor) -> Tensor:
    """How the cells around the stroke differ from those around it in exemplars: P values.

    n: P exemplars' numbers. shift: P×2, how far each is moved. 1 where nothing is around.
    """
    on = (cover > 0).float()
    ys, xs = torch.nonzero((F.max_pool2d(on, 3, 1, 1) - on)[0, 0] > 0, as_tuple=True)
    y, x = ys + shift[:, :1], xs + shift[:, 1:]
    inside = ((y >= 0) & (y < GRID) & (x >= 0) & (x < GRID)).float()
    there = maps[n[:, None], :, y.clamp(0, GRID - 1), x.clamp(0, GRID - 1)]
    gap = (there - r[0][:, ys, xs].T).square().mean(-1)
    count = inside.sum(1)
    return torch.where(count > 0, (gap * inside).sum(1) / count.clamp(min=1), 1.0)


def _shifts(ys: Tensor, xs: Tensor) -> list[tuple[int, int]]:
    """All moves (dy, dx) that keep the cells in the grid."""
    rows = range(-int(ys.min()), GRID - int(ys.max()))
    columns = range(-int(xs.min()), GRID - int(xs.max()))
    return [(dy, dx) for dy in rows for dx in columns]


def _difference(there: Tensor, wanted: Tensor) -> Tensor:
    """Of shares …×M from wanted M: squared, what is missing counting twice. … values."""
    gap = wanted - there
    return (gap.square() * torch.where(gap > 0, 2.0, 1.0)).mean(-1)


@torch.no_grad()
def insert(
    r: Tensor,
    stroke: Tensor,
    cover: Tensor,
    concept: Concept,
    library: Exemplars | None,
    s: float = 1.0,
    seed: int = 0,
    look: Tensor | None = None,
    least: Tensor | None = None,
) -> Tensor:
    """r_e with ``concept`` put under a stroke: after an exemplar, or as its p_c where none fits.

    stroke: U, 1×1×8×8. cover: the stroke's share of each cell. s: up to 1 the weight of the edit;
    beyond it drives the concept's own units harder. least: C values that its own units reach at
    least, for the named strengths.
    """
    found = library.find(r, cover, concept, seed, look) if library is not None else None
    return followed(r, stroke, concept, found, s, look, least)


@torch.no_grad()
def followed(
    r: Tensor,
    stroke: Tensor,
    concept: Concept,
    match: Match | None,
    s: float = 1.0,
    look: Tensor | None = None,
    least: Tensor | None = None,
) -> Tensor:
    """``insert`` with the exemplar that was found, or without one."""
    if match is None:
        return concepts.add(r, stroke, concept, s, look)
    p, meant = match.p, match.meant
    own = concepts.indicator(concept.units, r.shape[1]).view(1, -1, 1, 1)
    if least is not None:
        p = torch.where(own > 0, torch.maximum(p, least.view(1, -1, 1, 1)), p)
    driven = p * (1 + (max(s, 1.0) - 1) * own)
    return concepts.edit(r, stroke * meant * min(s, 1.0), driven)


@torch.no_grad()
def take_out(
    r: Tensor,
    stroke: Tensor,
    concept: Concept,
    library: Exemplars | None,
    s: float = 1.0,
    seed: int = 0,
    own: bool = False,
) -> Tensor:
    """r_e without ``concept`` under a stroke (U, 1×1×8×8): what an exemplar has there instead.

    Cells of real pictures, and not a mixture of the cells around: of mixtures the head makes noise.
    For a concept that the library does not know, or if ``own`` is wished, the nearest cells are
    copied. Without a library as ``concepts.remove``.
    """
    if library is None:
        return concepts.remove(r, stroke, concept, s)
    if concept.name in library.names and not own:
        p = library.without(r, (stroke > 0).float(), concept.name, seed)
    else:
        p = nearest(r, stroke, concept)
    return concepts.edit(r, stroke * min(s, 1.0), p)


def nearest(r: Tensor, stroke: Tensor, concept: Concept) -> Tensor:
    """Every cell under the stroke as the nearest one beside it, rather in its row: 1×C×8×8.

    Cells that hold the concept are taken last. A stroke over the whole grid has none beside it.
    """
    hole = stroke[0, 0] > 0
    ys, xs = torch.nonzero(~hole, as_tuple=True)
    if not len(ys):
        return concepts.context(r, stroke)
    held = concepts.presence(r, concept)[0, 0][ys, xs]
    filled = r.clone()
    for y, x in torch.nonzero(hole).tolist():
        cost = (xs - x).abs() + 3.0 * (ys - y).abs() + 4 * held
        j = int(cost.argmin())
        filled[0, :, y, x] = r[0, :, ys[j], xs[j]]
    return filled


def choose(r: Tensor, shares: Tensor, names: tuple[str, ...], count: int) -> Exemplars:
    """A library of about ``count`` of the pictures, in which every concept is seen in all sizes.

    r: N×C×8×8. shares: N×K×8×8.
    """
    picked: dict[int, None] = {}
    for k in range(len(names)):
        own = shares[:, k]
        clear = own.flatten(1).amax(1)
        candidates = torch.nonzero(clear > 0.6 * clear.max().clamp(min=1e-6)).flatten()
        by_size = candidates[own[candidates].mean((1, 2)).argsort(stable=True)]
        share = max(1, count // len(names))
        step = max(1.0, len(by_size) / share)
        for i in range(min(share, len(by_size))):
            picked[int(by_size[int(i * step)])] = None
    rows = torch.tensor(sorted(picked), dtype=torch.long)
    return Exemplars(r[rows], shares[rows], names)
