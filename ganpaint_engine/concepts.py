"""Concepts: their units i_c, their activation p_c, and the edit formula.

    r_e = (1 - α_c) ⊙ r + α_c ⊙ (s · p_c),    α_c = i_c ⊗ U

U is the stroke on the edit layer's 8×8 grid. To add a concept, p_c is its conditional mean. To
remove it, p_c is zero on the concept's own units and the context elsewhere: what the cells around
the stroke hold, carried inwards.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Concept:
    """A concept of a model, as dissection found it.

    name: what people call it, such as ``"tree"``.
    units: the concept's own units, strongest first: indices into C.
    rivals: units of what it displaces, that are silent where the concept is.
    p: C values, mean activation of every unit over the concept's cells.
    variants: V×C, the same for clusters of the concept's looks.
    """

    name: str
    units: Tensor
    rivals: Tensor
    p: Tensor
    variants: Tensor

    def appearance(self, seed: int) -> Tensor:
        """p_c of the look that ``seed`` picks; seed 0 is the mean look. C values."""
        return self.p if seed == 0 else self.variants[(seed - 1) % len(self.variants)]


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


def add(r: Tensor, stroke: Tensor, concept: Concept, s: float = 1.0, seed: int = 0) -> Tensor:
    """r_e with ``concept`` put under ``stroke`` (U, N×1×8×8 in [0, 1])."""
    units = torch.cat([concept.units, concept.rivals])
    alpha = indicator(units, r.shape[1]).view(1, -1, 1, 1) * stroke * min(s, 1.0)
    return edit(r, alpha, concept.appearance(seed).view(1, -1, 1, 1), max(s, 1.0))


def remove(r: Tensor, stroke: Tensor, concept: Concept, s: float = 1.0) -> Tensor:
    """r_e with ``concept`` taken away under ``stroke``: its units to zero, the rest to context."""
    own = indicator(concept.units, r.shape[1]).view(1, -1, 1, 1)
    return edit(r, stroke * min(s, 1.0), context(r, stroke) * (1 - own))
