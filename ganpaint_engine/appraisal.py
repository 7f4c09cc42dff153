"""Whether edits do what they say: what a segmenter sees under the stroke, before and after.

All on G(r) and G(r_e), without δ and paste-back: the edit as the prior alone makes it. The judge
should not be the segmenter that ranked the units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ganpaint_engine import appearance, concepts, exemplars
from ganpaint_engine.appearance import Look
from ganpaint_engine.concepts import Concept
from ganpaint_engine.encoder import GRID
from ganpaint_engine.exemplars import Exemplars
from ganpaint_engine.generator import SplitGenerator
from ganpaint_engine.segmentation import Segmenter

ENOUGH = 0.01
"""Share of a picture that a concept must cover to be counted."""

MUST_GO, MUST_COME = 0.5, 0.3
"""The gates, in share of what is under the stroke: how much must be gone, or have come."""

SEEN = 0.1
"""Share of the stroke below which G does not show the concept: then nothing can be taken away."""

MUST_STAY, MUST_MOVE = 0.5, 0.25
"""The gate of a change of look: how much of the concept must still be there, and how much of the
way to the look's colour it must have gone."""


@dataclass(frozen=True)
class Effect:
    """What an operation did to a concept's share under the stroke, by the judge.

    moved: how much of the way to the wished look's colour it went, in CIELAB's a*b* plane; none
    for operations without a look.
    """

    operation: str
    scenes: int
    share_before: float
    share_after: float
    moved: float | None = None

    @property
    def passes(self) -> bool:
        """Whether the operation is to be offered."""
        seen = self.share_before >= SEEN
        match self.operation:
            case "remove":
                return seen and self.share_after <= (1 - MUST_GO) * self.share_before
            case "add":
                return self.share_after - self.share_before >= MUST_COME
            case _:
                stays = self.share_after >= MUST_STAY * self.share_before
                return seen and stays and (self.moved or 0) >= MUST_MOVE

    def plain(self) -> dict[str, Any]:
        """As the card holds it."""
        values = {k: v for k, v in asdict(self).items() if k != "operation" and v is not None}
        return {k: round(v, 3) for k, v in values.items()}


class Bench:
    """Pictures to measure on: r of N pictures, and where the judge sees what in them.

    r: N×C×8×8. labels: N×R×R, the judge's classes of the pictures themselves.
    """

    def __init__(
        self,
        generator: SplitGenerator,
        judge: Segmenter,
        r: Tensor,
        labels: Tensor,
        library: Exemplars | None = None,
        most: int = 24,
    ) -> None:
        self.generator, self.judge, self.r, self.labels = generator, judge, r, labels
        self.library, self.most = library, most

    def present(self, name: str) -> Tensor:
        """Where the judge sees a concept: N×R×R in {0, 1}; all 0 for classes it has not."""
        if name not in self.judge.classes:
            return torch.zeros_like(self.labels, dtype=torch.float)
        return (self.labels == self.judge.classes.index(name)).float()

    @torch.no_grad()
    def draw(self, r: Tensor) -> Tensor:
        """G's pictures of r, a few at a time: N×3×R×R in [-1, 1]."""
        return torch.cat([self.generator.head(part) for part in r.split(8)])

    def share(self, y: Tensor, stroke: Tensor, name: str) -> float:
        """Mean share of a concept under strokes (N×R×R) in pictures (N×3×R×R)."""
        seen = (self.judge.labels(y) == self.judge.classes.index(name)).float()
        return float(((seen * stroke).sum((1, 2)) / stroke.sum((1, 2))).mean())

    def removal(self, concept: Concept) -> Effect | None:
        """Take the concept away where it is."""
        where = self.present(concept.name)
        pick = torch.nonzero(where.mean((1, 2)) > ENOUGH).flatten()[: self.most]
        if not len(pick):
            return None
        r, stroke = self.r[pick], where[pick]
        r_e = [
            exemplars.take_out(one, on_grid(under), concept, self.library)
            for one, under in zip(r.split(1), stroke.split(1), strict=True)
        ]
        return self._effect("remove", concept, r, torch.cat(r_e), stroke)

    def addition(self, concept: Concept) -> Effect | None:
        """Put the concept where another picture has it and this one has not."""
        where = self.present(concept.name)
        places = where[where.mean((1, 2)) > ENOUGH]
        pairs = [
            (i, stroke)
            for i in range(len(where))
            if len(places)
            and (where[i] * (stroke := places[i * 7 % len(places)])).sum() < 0.2 * stroke.sum()
        ][: self.most]
        if not pairs:
            return None
        r, stroke = self.r[[i for i, _ in pairs]], torch.stack([one for _, one in pairs])
        r_e = [
            inserted(one, under, concept, self.library)
            for one, under in zip(r.split(1), stroke.split(1), strict=True)
        ]
        return self._effect("add", concept, r, torch.cat(r_e), stroke)

    def change(self, concept: Concept, look: Look) -> Effect | None:
        """Give the concept a look where it has another."""
        where = self.present(concept.name)
        pick = torch.nonzero(where.mean((1, 2)) > ENOUGH).flatten()
        if not len(pick):
            return None
        before = self._chroma(self.draw(self.r[pick]), where[pick])
        goal = torch.from_numpy(appearance.to_lab(torch.tensor(look.rgb).numpy())[1:])
        named = [appearance.name_of(concept.name, rgb) for rgb in self._colours(pick, where)]
        other = [i for i, name in enumerate(named) if name != look.name][: self.most]
        if not other:
            return None
        r, stroke, start = self.r[pick[other]], where[pick[other]], before[other]
        r_e = concepts.restyle(r, on_grid(stroke), concept, look.p)
        effect = self._effect("restyle", concept, r, r_e, stroke)
        way = goal - start
        gone = ((self._chroma(self.draw(r_e), stroke) - start) * way).sum(1)
        moved = float((gone / way.square().sum(1).clamp(min=1)).mean())
        return Effect("restyle", effect.scenes, effect.share_before, effect.share_after, moved)

    def _colours(self, pick: Tensor, where: Tensor) -> Sequence[Any]:
        return appearance.mean_colours(self.draw(self.r[pick]), where[pick])  # type: ignore[return-value]

    def _chroma(self, y: Tensor, stroke: Tensor) -> Tensor:
        """a* and b* of the mean colour under the strokes: N×2."""
        return torch.from_numpy(appearance.to_lab(appearance.mean_colours(y, stroke))[:, 1:])

    def _effect(
        self, operation: str, concept: Concept, r: Tensor, r_e: Tensor, stroke: Tensor
    ) -> Effect:
        shares = (self.share(self.draw(one), stroke, concept.name) for one in (r, r_e))
        return Effect(operation, len(r), *shares)


def inserted(r: Tensor, stroke: Tensor, concept: Concept, library: Exemplars | None) -> Tensor:
    """r_e of a picture (1×C×8×8) with a concept put under a stroke (1×R×R), as an edit does it."""
    cover = F.adaptive_avg_pool2d(stroke[:, None], GRID)
    return exemplars.insert(r, on_grid(stroke), cover, concept, library)


def on_grid(stroke: Tensor) -> Tensor:
    """U: N×R×R to N×1×8×8, any touched cell on."""
    return F.adaptive_max_pool2d(stroke[:, None], GRID)


def change_of_looks(effects: Sequence[Effect]) -> Effect | None:
    """The mean of one concept's changes of look."""
    if not effects:
        return None
    n = len(effects)
    return Effect(
        "restyle",
        sum(e.scenes for e in effects),
        sum(e.share_before for e in effects) / n,
        sum(e.share_after for e in effects) / n,
        sum(e.moved or 0 for e in effects) / n,
    )
