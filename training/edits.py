"""Edit-aware steps: what makes units causal while the model is trained.

Each class gets a group of units at the edit layer that is asked to be active where the class is and
silent where it is not. Edits then act on groups just as the engine will act on the units that
dissection finds, and the head learns to make them look right.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ganpaint_engine import concepts
from ganpaint_engine.segmentation import CLASSES

K = len(CLASSES)
GROUP = 8
ACTIVE = 2.0
"""Mean activation asked of a group in a cell that its class fills."""

ADDED = ("tree", "grass", "sky", "dome", "door", "window")
REMOVED = ("tree", "dome", "door", "window", "bush")
# How much of a cell the concept must fill for an insertion to count as done.
FILL = {"tree": 0.75, "grass": 0.9, "sky": 0.95, "dome": 0.75, "door": 0.6, "window": 0.4}


def cell_shares(labels: Tensor) -> Tensor:
    """Labels N×R×R to the share of each class in each cell, N×K×8×8, sums to 1."""
    onehot = F.one_hot(labels, K).permute(0, 3, 1, 2).float()
    return F.adaptive_avg_pool2d(onehot, 8)


def groups(r: Tensor) -> Tensor:
    """The grouped units of ``r`` as N×K×GROUP×8×8."""
    return r[:, : K * GROUP].unflatten(1, (K, GROUP))


def group_loss(r: Tensor, shares: Tensor) -> Tensor:
    """Groups follow their class: mean activation ∝ √share, and silence where it is absent."""
    g = groups(r)
    follow = (g.mean(2) - ACTIVE * shares.sqrt()).square()
    silent = g.abs().mean(2) * (shares == 0)
    return (follow + silent).mean()


@dataclass
class Statistics:
    """Running conditional means p_c of all units for all classes, K×C."""

    p: Tensor
    momentum: float = 0.98

    @torch.no_grad()
    def update(self, r: Tensor, shares: Tensor) -> None:
        weight = (shares * (shares > 0.5 * shares.amax(1, keepdim=True))).flatten(2)
        total = weight.sum((0, 2))
        mean = torch.einsum("nks,ncs->kc", weight, r.flatten(2)) / total.clamp(min=1e-6)[:, None]
        seen = (total > 1)[:, None]
        self.p = torch.where(seen, self.momentum * self.p + (1 - self.momentum) * mean, self.p)

    def concept(self, name: str) -> concepts.Concept:
        """The concept as training sees it: its group, and all other groups as rivals."""
        k = CLASSES.index(name)
        own = torch.arange(k * GROUP, (k + 1) * GROUP)
        rivals = torch.tensor([u for u in range(K * GROUP) if u // GROUP != k])
        return concepts.Concept(name, own, rivals, self.p[k], self.p[k][None])


@dataclass
class Edits:
    """A batch of training edits: r_e N×C×8×8, stroke N×1×8×8, and what was asked of each."""

    r: Tensor
    stroke: Tensor
    names: list[str]
    adding: list[bool]


def _rectangle(rng: torch.Generator) -> Tensor:
    stroke = torch.zeros(1, 8, 8)
    h, w = (int(torch.randint(1, 5, (), generator=rng)) for _ in range(2))
    y = int(torch.randint(0, 9 - h, (), generator=rng))
    x = int(torch.randint(0, 9 - w, (), generator=rng))
    stroke[:, y : y + h, x : x + w] = 1
    return stroke


def _plausible(shares: Tensor, k: int, rng: torch.Generator) -> Tensor | None:
    """The place of class k in a random picture of the batch, cut by a rectangle at times."""
    places = (shares[:, k] > 0.3).float()
    holders = torch.nonzero(places.sum((1, 2)) > 0).flatten()
    if not len(holders):
        return None
    pick = holders[int(torch.randint(len(holders), (), generator=rng))]
    stroke = places[pick][None]
    cut = stroke * _rectangle(rng)
    return cut if cut.sum() > 0 else stroke


def _addition(shares: Tensor, rng: torch.Generator) -> tuple[str, Tensor]:
    name = ADDED[int(torch.randint(len(ADDED), (), generator=rng))]
    stroke = _plausible(shares, CLASSES.index(name), rng)
    if stroke is None or torch.rand((), generator=rng) < 0.25:
        stroke = _rectangle(rng)
    return name, stroke


def _removal(own: Tensor, rng: torch.Generator) -> tuple[str, Tensor] | None:
    """A concept that this picture (shares K×8×8) holds, and its cells, grown by one at times."""
    held = [n for n in REMOVED if own[CLASSES.index(n)].amax() > 0.3]
    if not held:
        return None
    name = held[int(torch.randint(len(held), (), generator=rng))]
    stroke = (own[CLASSES.index(name)] > 0.05).float()[None]
    if torch.rand((), generator=rng) < 0.5:
        stroke = F.max_pool2d(stroke[None], 3, 1, 1)[0]
    return (name, stroke) if stroke.mean() < 0.6 else None


def make(r: Tensor, shares: Tensor, statistics: Statistics, rng: torch.Generator) -> Edits:
    """One random edit for each of ``r``: a third of them removals, where there is cause."""
    out, strokes, names, adding = [], [], [], []
    for n in range(len(r)):
        wish = _removal(shares[n], rng) if torch.rand((), generator=rng) < 1 / 3 else None
        add = wish is None
        name, stroke = wish or _addition(shares, rng)
        concept, one = statistics.concept(name), r[n : n + 1]
        strength = 0.8 + 0.4 * float(torch.rand((), generator=rng))
        u = stroke[None]
        out.append(
            concepts.add(one, u, concept, strength) if add else concepts.remove(one, u, concept)
        )
        strokes.append(u)
        names.append(name)
        adding.append(add)
    return Edits(torch.cat(out), torch.cat(strokes), names, adding)


def semantic_loss(logits: Tensor, edits: Edits) -> Tensor:
    """An added concept must fill its cells (up to FILL), a removed one must be gone from them."""
    cells = F.adaptive_avg_pool2d(logits.softmax(1), 8)
    losses = []
    for n, name in enumerate(edits.names):
        stroke = edits.stroke[n, 0]
        share = (cells[n, CLASSES.index(name)] * stroke).sum() / stroke.sum()
        done = (share / FILL.get(name, 1)).clamp(max=1) if edits.adding[n] else 1 - share
        losses.append(-(done.clamp(min=1e-4)).log())
    return torch.stack(losses).mean()


def outside(stroke: Tensor, resolution: int) -> Tensor:
    """1 where an edit under ``stroke`` (N×1×8×8) should change nothing, N×1×R×R."""
    reach = F.max_pool2d((stroke > 0).float(), 3, 1, 1)
    return 1 - F.interpolate(reach, size=(resolution, resolution), mode="nearest")
