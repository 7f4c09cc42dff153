"""Concepts: their units i_c, their activation p_c, and the edit formula.

    r_e = (1 - α_c) ⊙ r + α_c ⊙ (s · p_c),    α_c = i_c ⊗ U

U is the stroke on the edit layer's 8×8 grid. To add a concept, p_c is its conditional mean, or the
mean of one of its looks. To remove it, p_c is zero on the concept's own units and the context
elsewhere: what the cells around the stroke hold, carried inwards. To change its appearance, the
cells that hold it are shifted from the look they have to another:

    r_e = r + α_c ⊙ s·(p_look - p_here),    α_c = U ⊗ presence
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ganpaint_engine.errors import UnknownVariant


class Level(NamedTuple):
    """How hard a named strength drives a concept: how many units, to which of their activations.

    quantile: of each unit's activations where the concept is; None means their mean.
    """

    units: int
    quantile: float | None


LEVELS = {"low": Level(4, None), "medium": Level(10, 0.75), "high": Level(20, 0.99)}
"""The published edits use 4, 10 and 15 to 20 units, and means or 99th percentiles."""

INDICES = ("units", "rivals", "ranking")
"""The tensors of a concept that hold numbers of units."""

PRESENT = 0.5
"""Where a concept's own units are half as active as its mean, it is wholly there."""


@dataclass(frozen=True)
class Concept:
    """A concept of a model, as dissection found it.

    name: what people call it, such as ``"tree"``.
    units: the concept's own units, strongest first: indices into C.
    rivals: units of what it displaces, that are silent where the concept is.
    p: C values, mean activation of every unit over the concept's cells.
    variants: V×C, the same for clusters of the concept's looks.
    looks: what the variants are called; numbers from 1 where dissection gave no names.
    ranking: up to 20 units that agree with the concept, best first; its own units where empty.
    levels: 3×C, p_c at the strengths LEVELS; p at each of them where empty.
    """

    name: str
    units: Tensor
    rivals: Tensor
    p: Tensor
    variants: Tensor
    looks: tuple[str, ...] = ()
    ranking: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.long))
    levels: Tensor = field(default_factory=lambda: torch.zeros(0, 0))

    @property
    def variant_names(self) -> tuple[str, ...]:
        """The names that ``look`` knows, in the order of the seeds 1, 2, 3…"""
        return self.looks or tuple(str(i + 1) for i in range(len(self.variants)))

    def look(self, name: str) -> Tensor:
        """p_c of the variant called ``name``: C values. Raises UnknownVariant."""
        if name not in self.variant_names:
            raise UnknownVariant(
                f"The concept {self.name} has no variant {name!r}. It has: "
                f"{', '.join(self.variant_names) or 'none'}.",
                concept=self.name,
                variant=name,
            )
        return self.variants[self.variant_names.index(name)]

    def appearance(self, seed: int) -> Tensor:
        """p_c of the look that ``seed`` picks; seed 0 is the mean look. C values."""
        if seed == 0 or not len(self.variants):
            return self.p
        return self.variants[(seed - 1) % len(self.variants)]

    def at(self, level: str) -> Concept:
        """The concept with the units and the p_c of one of LEVELS."""
        units = (self.ranking if len(self.ranking) else self.units)[: LEVELS[level].units]
        p = self.levels[list(LEVELS).index(level)] if len(self.levels) else self.p
        rivals = self.rivals[~torch.isin(self.rivals, units)]
        return replace(self, units=units, rivals=rivals, p=p)

    def to(self, device: torch.device) -> Concept:
        """A copy on ``device``, its indices as int64."""
        moved: dict[str, Any] = {
            key: value.to(device, torch.long if key in INDICES else torch.float32)
            for key, value in vars(self).items()
            if isinstance(value, Tensor)
        }
        return replace(self, **moved)


def indicator(units: Tensor, channels: int) -> Tensor:
    """i_c: C values, 1 on ``units`` and 0 elsewhere."""
    i_c = torch.zeros(channels, device=units.device)
    i_c[units] = 1
    return i_c


def edit(r: Tensor, alpha: Tensor, p: Tensor, s: float = 1.0) -> Tensor:
    """The edit formula. ``r`` N×C×8×8, ``alpha`` and ``p`` broadcast to it; returns r_e."""
    return (1 - alpha) * r + alpha * (s * p)


def compose(alpha1: Tensor, alpha2: Tensor) -> Tensor:
    """The weight of two edits in a row: α = 1 - (1 - α₁)(1 - α₂)."""
    return 1 - (1 - alpha1) * (1 - alpha2)


@torch.no_grad()
def context(r: Tensor, stroke: Tensor, iterations: int = 16) -> Tensor:
    """Carry the activations around the stroke into it: a harmonic fill of the 8×8 grid.

    ``r`` N×C×8×8, ``stroke`` U N×1×8×8 (cells above 0 are filled). Cells outside keep their
    values; a stroke over the whole grid has no context, and the mean of ``r`` is taken.
    """
    hole = (stroke > 0).to(r.dtype)
    known = 1 - hole
    total = known.sum((2, 3), keepdim=True)
    mean = torch.where(
        total > 0, (r * known).sum((2, 3), keepdim=True) / total.clamp(min=1), r.mean((2, 3), True)
    )
    x = r * known + mean * hole
    for _ in range(iterations):
        padded = F.pad(x, (1, 1, 1, 1), mode="replicate")
        neighbours = padded[..., :-2, 1:-1] + padded[..., 2:, 1:-1]
        neighbours = neighbours + padded[..., 1:-1, :-2] + padded[..., 1:-1, 2:]
        x = r * known + neighbours / 4 * hole
    return x


def presence(r: Tensor, concept: Concept) -> Tensor:
    """How much each cell holds the concept, by its own units: N×1×8×8 in [0, 1]."""
    own = concept.units
    usual = concept.p[own].mean().clamp(min=1e-6)
    return (r[:, own].mean(1, keepdim=True) / (PRESENT * usual)).clamp(0, 1)


def mean_over(r: Tensor, weight: Tensor) -> Tensor:
    """The mean activation of the cells that ``weight`` (N×1×8×8) counts: N×C×1×1."""
    total = weight.sum((2, 3), keepdim=True)
    return (r * weight).sum((2, 3), keepdim=True) / total.clamp(min=1e-6)


def add(
    r: Tensor, stroke: Tensor, concept: Concept, s: float = 1.0, look: Tensor | None = None
) -> Tensor:
    """r_e with ``concept`` put under ``stroke`` (U, N×1×8×8 in [0, 1]).

    ``look``: p_c, C values; the concept's mean unless told. Its own units are never less active
    than in the mean: they make it the thing that it is, the other units give it its look.
    """
    units = torch.cat([concept.units, concept.rivals])
    alpha = indicator(units, r.shape[1]).view(1, -1, 1, 1) * stroke * min(s, 1.0)
    p = concept.p
    if look is not None:
        own = indicator(concept.units, r.shape[1]) > 0
        p = torch.where(own, torch.maximum(p, look), look)
    return edit(r, alpha, p.view(1, -1, 1, 1), max(s, 1.0))


def remove(r: Tensor, stroke: Tensor, concept: Concept, s: float = 1.0) -> Tensor:
    """r_e with ``concept`` taken away under ``stroke``: its units to zero, the rest to context."""
    own = indicator(concept.units, r.shape[1]).view(1, -1, 1, 1)
    return edit(r, stroke * min(s, 1.0), context(r, stroke) * (1 - own))


def restyle(r: Tensor, stroke: Tensor, concept: Concept, look: Tensor, s: float = 1.0) -> Tensor:
    """r_e with the concept that is under ``stroke`` made to look like ``look`` (p_c, C values).

    All units move by what the two looks differ in, and only in cells that hold the concept; what
    differs from cell to cell (its outline, light and shade) stays.
    """
    alpha = stroke * presence(r, concept)
    shift = look.view(1, -1, 1, 1) - mean_over(r, alpha)
    return r + alpha * min(s, 1.0) * (max(s, 1.0) * shift)
