"""What can be done differently for a photograph: each way as a change to how an edit is made."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.narrow.cases import Case
from ganpaint_engine import (
    adaptation,
    concepts,
    detail,
    exemplars,
    inversion,
    paste,
    removal,
    selection,
    window,
)
from ganpaint_engine.adaptation import Deltas
from ganpaint_engine.compositing import COMPOSITES, RESIDUAL
from ganpaint_engine.concepts import Concept
from ganpaint_engine.encoder import GRID, Encoder
from ganpaint_engine.prior import PHOTO_STEPS, REFINE_STEPS, Prior

EDIT_STEPS, EDIT_TOLERANCE = 40, 0.01


@dataclass(frozen=True)
class Way:
    """How an edit is made; the defaults are those of the engine's r_e and δ.

    engine: the engine's own edit, things in pixels included; of all others the head's drawing
    alone is laid over the photo. steps, stay: of the refinement of r. encoder_steps: E itself is
    trained on the photo for so many. hole: E is told of the stroke. look: p_c is what the photo's
    own cells of the concept look like. tone: how far new cells' units, but the concept's own, are
    moved by the difference between the photo's mean r and the exemplars'. fill: what a thing that
    is removed becomes: what E sees when the stroke is filled from ``around`` (what the engine
    does), the photo's ``nearest`` cells, or an ``exemplar``'s. rim: weight of a perceptual term in
    the stroke's rim for δ. fine:
    which detail new content gets, ``photo`` (what the engine does), ``usual`` or ``none``.
    """

    title: str
    composite: str = RESIDUAL
    steps: int = REFINE_STEPS
    stay: float = 0.1
    encoder_steps: int = 0
    hole: bool = False
    look: bool = False
    tone: float = 0.0
    fill: str = "around"
    rim: float = 0.0
    fine: str = "photo"
    engine: bool = False

    @property
    def opening(self) -> tuple[object, ...]:
        """What the inversion depends on."""
        return self.steps, self.stay, self.encoder_steps, self.hole


WAYS = {
    "base": Way("as the engine does it", engine=True),
    "drawn": Way("what the head draws, alone"),
    **{c: Way(f"composite: {c.replace('_', ' ')}", composite=c) for c in COMPOSITES[1:]},
    "no-detail": Way("without detail in octaves", fine="none"),
    "usual-detail": Way("detail only as the model's pictures have it", fine="usual"),
    "look": Way("appearance taken from the photo itself", look=True),
    "tone": Way("p_c moved halfway to the photo's mean r", tone=0.5),
    "tone-whole": Way("p_c moved to the photo's mean r", tone=1.0),
    "look-tone": Way("the photo's own appearance, and p_c moved", look=True, tone=0.5),
    "tone-poisson": Way("composite: poisson, and p_c moved", "poisson", tone=0.5),
    "exemplar": Way("removed: after an exemplar", fill="exemplar"),
    "exemplar-poisson": Way("composite: poisson, after an exemplar", "poisson", fill="exemplar"),
    "nearest": Way("removed: the photo's nearest cells", fill="nearest"),
    "nearest-poisson": Way("composite: poisson, nearest cells", "poisson", fill="nearest"),
    "rim": Way("perceptual term in the stroke's rim for δ", rim=1.0),
    "hole": Way("E told of the stroke as a hole", hole=True),
    "steps": Way("120 steps of r, held a fifth as strongly", steps=120, stay=0.02),
    "encoder": Way("20 steps of E itself on the photo", encoder_steps=20),
}


@dataclass
class Opened:
    """A case's window, taken into the model one way: x, r, δ, and E's and r's PSNR in dB."""

    x: Tensor
    r: Tensor
    deltas: Deltas
    encoder_db: float
    refined_db: float


@dataclass(frozen=True)
class Made:
    """What came out: the window of the finished photo, S×S×3 uint8; dB of G' outside the stroke."""

    picture: np.ndarray
    opened: Opened
    outside_db: float | None


@dataclass
class Maker:
    """Makes edits of a prior; what ways have in common is worked out once.

    final: whether δ are fitted to each edit, or the photo's δ masked, as for a preview.
    """

    prior: Prior
    final: bool = True
    _opened: dict[tuple[object, ...], Opened] = field(default_factory=dict)
    _drawn: dict[tuple[object, ...], tuple[Tensor, Tensor]] = field(default_factory=dict)

    def forget(self, way: Way) -> None:
        """Leave what is only of a way that is done with."""
        for kept in (self._opened, self._drawn):
            for key in [k for k in kept if k[1:5] == way.opening]:
                del kept[key]

    def place(self, case: Case) -> window.Window:
        """The window of a case."""
        height, width = case.stroke.shape
        return window.window_for(window.bounds(case.stroke), width, height, self.prior.resolution)

    def mask(self, case: Case) -> Tensor:
        """The stroke as the window sees it: 1×1×R×R."""
        cut = window.crop(case.stroke, self.place(case), fill="zero").astype(np.float32) / 255
        return torch.from_numpy(window.resize(cut, self.prior.resolution))[None, None]

    def make(self, number: int, case: Case, way: Way) -> Made:
        """The case, edited that way. ``number``: tells it from the others."""
        place, mask = self.place(case), self.mask(case)
        opened = self._open(number, case, way, mask)
        if way.engine:
            return self._whole(case, opened)
        key = number, *way.opening, way.look, way.tone, way.fill, way.rim
        if key not in self._drawn:
            self._drawn[key] = self._draw(case, way, opened, mask)
        y, y_e = self._drawn[key]
        fine = self._fine(case, way, opened, mask) if case.operation == "add" else None
        stroke = selection.read(case.stroke, *case.stroke.shape[::-1])
        patch = paste.paste(
            case.photo, stroke, place, y, y_e, 0, detail=fine, composite=way.composite
        )
        done = paste.lay_over(case.photo, None, patch)
        mask_e = adaptation.soften(mask, self.prior.resolution // GRID)
        kept = (mask_e == 0).expand_as(y_e)
        outside = inversion.psnr(y_e[kept], opened.x[kept]) if kept.any() else None
        return Made(window.crop(done, place), opened, outside)

    def _whole(self, case: Case, opened: Opened) -> Made:
        """The engine's own edit."""
        wished: dict[str, Any] = {case.operation: case.concept}
        quality = "final" if self.final else "preview"
        session = self.prior.open(case.photo)
        session.inverted(session.place(case.stroke))  # a preview knows no more than E without that
        edit = session.edit(case.stroke, quality=quality, **wished)
        outside = edit.report["psnr"]["outside"]
        return Made(window.crop(edit.array, self.place(case)), opened, outside)

    def _open(self, number: int, case: Case, way: Way, mask: Tensor) -> Opened:
        key = number, *way.opening
        if key not in self._opened:
            prior = self.prior
            x = window.to_tensor(window.crop(case.photo, self.place(case)), prior.resolution)
            encoder = (
                trained_on(prior, x, way.encoder_steps) if way.encoder_steps else prior.encoder
            )
            with torch.no_grad():
                start = encoder(x, (mask > 0).float() if way.hole else None)
            r = inversion.refine(prior.generator, x, start, way.steps, stay=way.stay)
            zero = adaptation.zero_deltas(prior.generator, r)
            deltas = adaptation.fit(prior.generator, r, x, zero, steps=PHOTO_STEPS)
            with torch.no_grad():
                quality = (inversion.psnr(prior.generator.head(one), x) for one in (start, r))
                self._opened[key] = Opened(x, r, deltas, *quality)
        return self._opened[key]

    def _draw(self, case: Case, way: Way, opened: Opened, mask: Tensor) -> tuple[Tensor, Tensor]:
        """y and y_e under the δ of the edit, as ``editing.apply`` does it."""
        generator, r_e = self.prior.generator, self._edited(case, way, opened, mask)
        mask_e = adaptation.soften(mask, self.prior.resolution // GRID)
        deltas = adaptation.mask_deltas(opened.deltas, mask_e)
        if way.rim:
            deltas = fit_with_rim(self.prior, r_e, opened.x, deltas, mask_e, mask, way.rim)
            mask_e = adaptation.soften(mask, self.prior.resolution // GRID // 2)
        elif self.final:
            deltas = adaptation.fit(
                generator, r_e, opened.x, deltas, mask_e, EDIT_STEPS, tolerance=EDIT_TOLERANCE
            )
        deltas = adaptation.mask_deltas(deltas, mask_e)
        with torch.no_grad():
            y, y_e = generator.head(torch.cat([opened.r, r_e]), deltas).split(1)
        return y, y_e

    @torch.no_grad()
    def _edited(self, case: Case, way: Way, opened: Opened, mask: Tensor) -> Tensor:
        """r_e of a case."""
        r = opened.r
        prior, concept = self.prior, self.prior.concept(case.concept)
        u, cover = window.stroke_on_grid(mask), F.adaptive_avg_pool2d(mask, GRID)
        others = torch.ones(1, r.shape[1], 1, 1)
        look = None
        if way.look:
            own = (concepts.presence(r, concept) >= 1).float() * (u == 0)
            if own.sum() >= detail.FEWEST_CELLS:
                look = concepts.mean_over(r, own).flatten()
        if case.operation == "remove":
            r_e = self._without(way, opened, mask, concept)
        else:
            r_e = exemplars.insert(r, u, cover, concept, prior.exemplars, look=look)
            others = 1 - concepts.indicator(concept.units, r.shape[1]).view(1, -1, 1, 1)
        if way.tone and prior.exemplars is not None and (u == 0).any():
            model = prior.exemplars.r.mean((0, 2, 3)).view(1, -1, 1, 1)
            here = concepts.mean_over(r, (u == 0).float())
            r_e = r_e + way.tone * u * others * (here - model)
        return r_e

    def _without(self, way: Way, opened: Opened, mask: Tensor, concept: Concept) -> Tensor:
        """r_e of a removal."""
        u, library = window.stroke_on_grid(mask), self.prior.exemplars
        if way.fill == "around" and library is not None and concept.name in library.names:
            there = concepts.presence(opened.r, concept)
            found = removal.from_around(opened.x, mask, there >= 1, there)
            if found is not None:
                behind = removal.seen(self.prior.encoder, found, opened.x)
                return concepts.edit(opened.r, u, behind)
        own = way.fill != "exemplar"
        return exemplars.take_out(opened.r, u, concept, library, own=own)

    def _fine(
        self, case: Case, way: Way, opened: Opened, mask: Tensor
    ) -> list[float] | float | None:
        """How strong new content's detail is: as ``editing.fine_detail``, but for ``way.fine``."""
        place, concept = self.place(case), self.prior.concept(case.concept)
        usual = self.prior.info.detail(case.concept)
        levels = None
        if way.fine == "photo":
            u = window.stroke_on_grid(mask)
            with torch.no_grad():
                donors = (concepts.presence(opened.r, concept) >= 1) & (u == 0)
            photo = window.crop(case.photo, place)
            levels = detail.contrast(photo, donors[0, 0].numpy(), self.prior.resolution)
            if levels is not None and usual:
                levels = [min(max(level, usual / 2), 2 * usual) for level in levels]
        if way.fine == "none" or (levels is None and not usual):
            return None
        return levels or usual


def trained_on(prior: Prior, x: Tensor, steps: int) -> Encoder:
    """E after ``steps`` on one picture, its mirror image and squares of it."""
    if not steps:
        return prior.encoder
    encoder = copy.deepcopy(prior.encoder).requires_grad_(True)
    optimizer = torch.optim.Adam(encoder.parameters(), lr=3e-4, betas=(0.9, 0.99))
    start, side = prior.encoder(x), x.shape[-1]
    rng = torch.Generator().manual_seed(0)
    for _ in range(steps):
        part = round(side * (0.75 + 0.25 * float(torch.rand((), generator=rng))))
        top, left = (int(torch.randint(side - part + 1, (), generator=rng)) for _ in range(2))
        closer = x[..., top : top + part, left : left + part]
        xs = torch.cat([x, x.flip(3), F.interpolate(closer, size=side, mode="bilinear")])
        r = encoder(xs)
        y = prior.generator.linear_head(r)
        loss = F.l1_loss(y, xs) + F.mse_loss(y, xs) + 0.1 * F.mse_loss(r[:1], start)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return encoder.eval().requires_grad_(False)


def fit_with_rim(
    prior: Prior,
    r_e: Tensor,
    x: Tensor,
    deltas: Deltas,
    mask_e: Tensor,
    mask: Tensor,
    weight: float,
) -> Deltas:
    """δ fitted outside the stroke, and in its rim to E's first features of the photo."""
    rim, keep = (mask_e - mask).clamp(min=0), 1 - mask_e

    def features(picture: Tensor) -> list[Tensor]:
        first = prior.encoder.down[0](torch.cat([picture, torch.zeros_like(picture[:, :1])], 1))
        return [first, prior.encoder.down[1](first)]

    with torch.no_grad():
        wanted = features(x)
    rims = [F.adaptive_avg_pool2d(rim, f.shape[-1]) for f in wanted]
    leaves = {i: delta.clone().requires_grad_(True) for i, delta in deltas.items()}
    optimizer = torch.optim.Adam(leaves.values(), lr=0.1, betas=(0.9, 0.99))
    for step in range(EDIT_STEPS):
        y = prior.generator.linear_head(r_e, leaves)
        match = ((y - x).abs() * keep).mean()
        size = torch.stack([d.square().mean() for d in leaves.values()]).mean()
        unlike = torch.stack(
            [
                ((a - b).abs() * q).sum() / (q.sum() * a.shape[1] + 1)
                for a, b, q in zip(features(y), wanted, rims, strict=True)
            ]
        ).sum()
        loss = match + adaptation.LAMBDA_REG * size + weight * unlike
        for leaf, grad in zip(
            leaves.values(), torch.autograd.grad(loss, list(leaves.values())), strict=True
        ):
            leaf.grad = grad
        optimizer.param_groups[0]["lr"] = 0.1 * (1 - 0.9 * step / EDIT_STEPS)
        optimizer.step()
    return {i: leaf.detach() for i, leaf in leaves.items()}
