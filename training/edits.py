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

# Domes, doors and windows are hard to add and come twice as often.
ADDED = ("tree", "grass", "sky", "dome", "dome", "door", "door", "window", "window")
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
    """A batch of training edits: r_e N×C×8×8, stroke N×1×8×8, and what was asked of each.

    ``restoring`` marks those whose right answer is known: the concept was taken away where the
    picture has it, and put back.
    """

    r: Tensor
    stroke: Tensor
    names: list[str]
    adding: list[bool]
    restoring: list[bool]


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


def _held(own: Tensor, names: tuple[str, ...], rng: torch.Generator) -> tuple[str, Tensor] | None:
    """A concept that this picture (shares K×8×8) holds, and its cells 1×8×8."""
    held = [n for n in names if own[CLASSES.index(n)].amax() > 0.3]
    if not held:
        return None
    name = held[int(torch.randint(len(held), (), generator=rng))]
    stroke = (own[CLASSES.index(name)] > 0.05).float()[None]
    return (name, stroke) if stroke.mean() < 0.6 else None


def _removal(own: Tensor, rng: torch.Generator) -> tuple[str, Tensor] | None:
    """A concept to remove and its cells, grown by one at times."""
    found = _held(own, REMOVED, rng)
    if found and torch.rand((), generator=rng) < 0.5:
        return found[0], F.max_pool2d(found[1][None], 3, 1, 1)[0]
    return found


def make(r: Tensor, shares: Tensor, statistics: Statistics, rng: torch.Generator) -> Edits:
    """One random edit for each of ``r``: additions, removals and restorations, a third each."""
    out, strokes, names, adding, restoring = [], [], [], [], []
    shares = shares.cpu()  # choosing is a matter of many small questions, each of which would wait
    for n in range(len(r)):
        kind = int(torch.randint(3, (), generator=rng))
        removal = _removal(shares[n], rng) if kind == 0 else None
        restoration = _held(shares[n], ADDED, rng) if kind == 1 else None
        name, stroke = removal or restoration or _addition(shares, rng)
        concept, one, u = statistics.concept(name), r[n : n + 1], stroke[None].to(r)
        if removal or restoration:
            one = concepts.remove(one, u, concept)
        if not removal:
            strength = 0.9 + 0.2 * float(torch.rand((), generator=rng))
            one = concepts.add(one, u, concept, strength)
        out.append(one)
        strokes.append(u)
        names.append(name)
        adding.append(removal is None)
        restoring.append(restoration is not None)
    return Edits(torch.cat(out), torch.cat(strokes), names, adding, restoring)


def holes(x: Tensor, first: int, rng: torch.Generator) -> Tensor:
    """Masks N×1×R×R for E: a quarter of the pictures from ``first`` on have a hole to fill."""
    masks = torch.zeros(len(x), 1, 8, 8)
    for n in range(first, len(x)):
        if torch.rand((), generator=rng) < 0.25:
            masks[n] = _rectangle(rng)
    return F.interpolate(masks, size=x.shape[-2:], mode="nearest").to(x)


def transplant(r: Tensor, rng: torch.Generator) -> Edits:
    """Another picture's r under a random rectangle: what it should look like nobody knows."""
    strokes = torch.stack([_rectangle(rng) for _ in range(len(r))]).to(r)
    mixed = (1 - strokes) * r + strokes * r.roll(1, 0)
    return Edits(mixed, strokes, [], [], [False] * len(r))


def fakes(
    kind: str, r: Tensor, shares: Tensor, statistics: Statistics, rng: torch.Generator
) -> Edits | None:
    """The fakes of a recipe: ``edits``, ``transplants``, or None for ``none``."""
    if kind == "edits":
        return make(r, shares, statistics, rng)
    return transplant(r, rng) if kind == "transplants" else None


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


def known(edits: Edits, resolution: int) -> Tensor:
    """How much each pixel's right answer is known to be the picture itself, N×1×R×R.

    1 away from the stroke, 0 around and under it; but where a concept was taken away and put back
    1 all over, and 5 under the stroke: there an addition can learn what the concept looks like.
    """
    stroke = (edits.stroke > 0).float()
    weight = 1 - F.max_pool2d(stroke, 3, 1, 1)
    restoring = torch.tensor(edits.restoring)
    weight[restoring] = 1 + 4 * stroke[restoring]
    return F.interpolate(weight, size=(resolution, resolution), mode="nearest")
