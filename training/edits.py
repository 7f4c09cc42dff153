"""Edit-aware steps: the head learns to make edits look right while the model is trained.

An addition transplants a concept: the cells of r that it fills in another picture of the batch are
put, all units of them, into this picture's r, just as the engine does with its library of
exemplars. What should come out is known: the concept's own pixels there, this picture's pixels
elsewhere. A removal takes the concept's units away and carries the context inwards.

Each class also has a group of units that is asked to be active where the class is and silent where
it is not, so that units are causal: removal and dissection depend on it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ganpaint_engine import concepts
from ganpaint_engine.segmentation import CLASSES
from training.places import PLACES

K = len(CLASSES)
GROUP = 8
ACTIVE = 2.0
"""Mean activation asked of a group in a cell that its class fills."""

# Domes, doors and windows are hard to add and come more often.
ADDED = (
    "tree", "tree", "bush", "grass", "sky", "dome", "dome", "dome", "door", "door", "window",
)  # fmt: skip
REMOVED = ("tree", "dome", "door", "window", "bush")


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
    """A batch of training edits.

    r: r_e, N×C×8×8. stroke: N×1×8×8. names and adding: what was asked of each. fill: the share of
    the stroke's cells that an added concept should have. target N×3×R×R and weight N×1×R×R: what
    each pixel should be and how much that is known.
    """

    r: Tensor
    stroke: Tensor
    names: list[str]
    adding: list[bool]
    fill: list[float]
    target: Tensor
    weight: Tensor


def _rectangle(rng: torch.Generator) -> Tensor:
    stroke = torch.zeros(1, 8, 8)
    h, w = (int(torch.randint(1, 5, (), generator=rng)) for _ in range(2))
    y = int(torch.randint(0, 9 - h, (), generator=rng))
    x = int(torch.randint(0, 9 - w, (), generator=rng))
    stroke[:, y : y + h, x : x + w] = 1
    return stroke


@dataclass(frozen=True)
class Donor:
    """A picture of the batch whose concept is transplanted, moved by some cells."""

    name: str
    number: int
    shift: tuple[int, int]
    stroke: Tensor  # 1×8×8, where it goes
    fill: float

    def moved(self, maps: Tensor) -> Tensor:
        """The donor's part of N×…×S×S ``maps``, moved: …×S×S."""
        cell = maps.shape[-1] // 8
        dy, dx = self.shift
        return maps[self.number].roll((dy * cell, dx * cell), (-2, -1))


def _shift(stroke: Tensor, rng: torch.Generator) -> tuple[int, int]:
    """A small random move that keeps all of the stroke (1×8×8) in the picture."""
    if torch.rand((), generator=rng) < 0.5:
        return 0, 0
    move = []
    for axis in (1, 2):
        filled = torch.nonzero(stroke[0].any(2 - axis)).flatten()
        low, high = -int(filled.min()), 7 - int(filled.max())
        move.append(int(torch.randint(max(low, -2), min(high, 2) + 1, (), generator=rng)))
    return move[0], move[1]


def _donor(shares: Tensor, rng: torch.Generator) -> Donor | None:
    """A random concept in a random picture that has it (shares N×K×8×8)."""
    name = ADDED[int(torch.randint(len(ADDED), (), generator=rng))]
    own = shares[:, CLASSES.index(name)]
    holders = torch.nonzero(own.flatten(1).amax(1) > 0.3).flatten()
    if not len(holders):
        return None
    number = int(holders[int(torch.randint(len(holders), (), generator=rng))])
    stroke = (own[number] > 0.08).float()[None]
    if torch.rand((), generator=rng) < 0.3:
        cut = stroke * _rectangle(rng)
        stroke = cut if (cut * own[number]).amax() > 0.3 else stroke
    shift = _shift(stroke, rng)
    fill = float((own[number] * stroke[0]).sum() / stroke.sum())
    return Donor(name, number, shift, stroke.roll(shift, (1, 2)), fill)


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


def make(
    r: Tensor,
    x: Tensor,
    labels: Tensor,
    shares: Tensor,
    statistics: Statistics,
    rng: torch.Generator,
) -> Edits:
    """An edit for each of the first half of the batch: two additions to one removal.

    r: N×C×8×8; x: N×3×R×R; labels: N×R×R; shares: N×K×8×8. Donors come from the whole batch.
    """
    shares = shares.cpu()  # choosing is a matter of many small questions, each of which would wait
    out = []
    for n in range(len(r) // 2):
        removing = int(torch.randint(3, (), generator=rng)) == 0
        removal = _removal(shares[n], rng) if removing else None
        donor = None if removal else _suitable(shares, n, rng)
        if donor is not None:
            out.append(_add(n, donor, r, x, labels, statistics, rng))
            continue
        name, stroke = removal or ("tree", _rectangle(rng))
        u = stroke[None].to(r)
        one = concepts.remove(r[n : n + 1], u, statistics.concept(name))
        weight = (1 - F.max_pool2d(u, 3, 1, 1)).repeat_interleave(x.shape[-1] // 8, 2)
        weight = weight.repeat_interleave(x.shape[-1] // 8, 3)
        out.append(Edits(one, u, [name], [False], [0.0], x[n : n + 1], weight))
    return _together(out)


def _suitable(shares: Tensor, n: int, rng: torch.Generator, tries: int = 4) -> Donor | None:
    """A donor for picture n, if one is found on what it may stand on there; else any."""
    donor = None
    for _ in range(tries):
        donor = _donor(shares, rng) or donor
        if donor is None:
            continue
        under = [CLASSES.index(c) for c in PLACES[donor.name].under]
        covered = (shares[n, under].sum(0) * donor.stroke[0]).sum() / donor.stroke.sum()
        if covered > 0.6:
            break
    return donor


def _add(
    n: int,
    donor: Donor,
    r: Tensor,
    x: Tensor,
    labels: Tensor,
    statistics: Statistics,
    rng: torch.Generator,
) -> Edits:
    """Transplant ``donor`` into picture n; now and then the concept's mean instead."""
    u = donor.stroke[None].to(r)
    k = CLASSES.index(donor.name)
    size = x.shape[-2:]
    around = F.interpolate(F.max_pool2d(u, 3, 1, 1), size=size, mode="nearest")
    under = F.interpolate(u, size=size, mode="nearest")
    if torch.rand((), generator=rng) < 0.15:
        p = statistics.p[k].view(1, -1, 1, 1)
        edits = (1 - u) * r[n : n + 1] + u * p
        return Edits(edits, u, [donor.name], [True], [donor.fill], x[n : n + 1], 1 - around)
    edits = (1 - u) * r[n : n + 1] + u * donor.moved(r)[None]
    own = (donor.moved(labels) == k)[None, None].float() * under
    target = own * donor.moved(x)[None] + (1 - own) * x[n : n + 1]
    # The concept's pixels count double: there are few. Beside them, light may well change.
    weight = 1 - 0.7 * around + 1.7 * own
    return Edits(edits, u, [donor.name], [True], [donor.fill], target, weight)


def _together(edits: list[Edits]) -> Edits:
    return Edits(
        torch.cat([e.r for e in edits]),
        torch.cat([e.stroke for e in edits]),
        [name for e in edits for name in e.names],
        [adding for e in edits for adding in e.adding],
        [fill for e in edits for fill in e.fill],
        torch.cat([e.target for e in edits]),
        torch.cat([e.weight for e in edits]),
    )


def holes(x: Tensor, first: int, rng: torch.Generator) -> Tensor:
    """Masks N×1×R×R for E: a quarter of the pictures from ``first`` on have a hole to fill."""
    masks = torch.zeros(len(x), 1, 8, 8)
    for n in range(first, len(x)):
        if torch.rand((), generator=rng) < 0.25:
            masks[n] = _rectangle(rng)
    return F.interpolate(masks, size=x.shape[-2:], mode="nearest").to(x)


def transplants(r: Tensor, x: Tensor, rng: torch.Generator) -> Edits:
    """Another picture's r under a random rectangle: what it should look like nobody knows."""
    half = len(r) // 2
    strokes = torch.stack([_rectangle(rng) for _ in range(half)]).to(r)
    mixed = (1 - strokes) * r[:half] + strokes * r[half : 2 * half]
    around = F.interpolate(F.max_pool2d(strokes, 3, 1, 1), size=x.shape[-2:], mode="nearest")
    return Edits(mixed, strokes, [], [], [], x[:half], 1 - around)


def fakes(
    kind: str,
    r: Tensor,
    x: Tensor,
    labels: Tensor,
    shares: Tensor,
    statistics: Statistics,
    rng: torch.Generator,
) -> Edits | None:
    """The fakes of a recipe: ``edits``, ``transplants``, or None for ``none``."""
    if kind == "edits":
        return make(r, x, labels, shares, statistics, rng)
    return transplants(r, x, rng) if kind == "transplants" else None


def semantic_loss(logits: Tensor, edits: Edits) -> Tensor:
    """An added concept must fill its cells as its donor did, a removed one be gone from them."""
    cells = F.adaptive_avg_pool2d(logits.softmax(1), 8)
    losses = []
    for n, name in enumerate(edits.names):
        stroke = edits.stroke[n, 0]
        share = (cells[n, CLASSES.index(name)] * stroke).sum() / stroke.sum()
        done = (share / (0.9 * edits.fill[n])).clamp(max=1) if edits.adding[n] else 1 - share
        losses.append(-(done.clamp(min=1e-4)).log())
    return torch.stack(losses).mean()
