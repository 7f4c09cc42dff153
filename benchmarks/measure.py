"""Measurements of a prior: fidelity at each stage, and whether edits do what they say.

Edits are judged by a segmenter that neither training nor dissection has seen, built differently
from the one that they used, and on scenes that were held out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganpaint_engine import adaptation, concepts, inversion
from ganpaint_engine.encoder import GRID
from ganpaint_engine.segmentation import CLASSES
from ganpaint_engine.session import Prior
from ganpaint_engine.window import stroke_on_grid, to_tensor

ENOUGH = 0.01
"""Share of a picture that a concept must cover to be removed from it."""


@dataclass(frozen=True)
class Effect:
    """How an operation changed a concept's share of the cells under the stroke, by the judge."""

    concept: str
    operation: str
    scenes: int
    before: float
    after: float


@torch.no_grad()
def share(judge: nn.Module, picture: Tensor, stroke: Tensor, concept: str) -> float:
    """Share of ``concept`` under ``stroke`` (1×1×R×R in {0, 1}) in a picture 1×3×R×R, 0 to 1."""
    where = judge(picture).argmax(1, keepdim=True) == CLASSES.index(concept)
    return float((where * stroke).sum() / stroke.sum())


def present(labels: np.ndarray, concept: str, resolution: int) -> Tensor:
    """Where a label map (H×W) has ``concept``, 1×1×R×R in {0, 1}."""
    where = torch.from_numpy((labels == CLASSES.index(concept)).astype(np.float32))[None, None]
    return (F.adaptive_max_pool2d(where, resolution) > 0).float()


@torch.no_grad()
def raw_edit(prior: Prior, x: Tensor, stroke: Tensor, concept: str, adding: bool) -> Tensor:
    """G(r_e) without δ and without paste-back: the edit as the prior alone makes it."""
    r = prior.encoder(x)
    u = stroke_on_grid(stroke)
    edit = concepts.add if adding else concepts.remove
    return prior.generator.head(edit(r, u, prior.concept(concept)))


def _places(labels: Sequence[np.ndarray], concept: str, resolution: int) -> list[Tensor]:
    """Strokes where pictures have the concept."""
    maps = [present(one, concept, resolution) for one in labels]
    return [m for m in maps if m.mean() > ENOUGH]


def effects(
    prior: Prior,
    judge: nn.Module,
    pictures: Sequence[np.ndarray],
    labels: Sequence[np.ndarray],
    edit: Callable[[Prior, Tensor, Tensor, str, bool], Tensor] = raw_edit,
    most: int = 40,
) -> list[Effect]:
    """For each concept: remove it where it is, add it where another scene has it and this not.

    pictures: H×W×3 uint8; labels: H×W.
    """
    side = prior.resolution
    found = []
    for name in prior.concepts:
        removals: list[tuple[float, float]] = []
        additions: list[tuple[float, float]] = []
        places = _places(labels, name, side)
        able = prior.operations(name)
        for i, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
            x = to_tensor(picture, side).to(prior.device)
            here = present(label, name, side)
            if "remove" in able and here.mean() > ENOUGH and len(removals) < most:
                y = edit(prior, x, here, name, False)
                removals.append((share(judge, x, here, name), share(judge, y, here, name)))
            there = places[i * 7 % len(places)] if places else here
            free = bool(places) and (there * here).sum() < 0.2 * there.sum()
            if "add" in able and free and len(additions) < most:
                y = edit(prior, x, there, name, True)
                additions.append((share(judge, x, there, name), share(judge, y, there, name)))
        for operation, shares in (("remove", removals), ("add", additions)):
            if shares:
                before, after = np.mean(shares, axis=0)
                found.append(Effect(name, operation, len(shares), float(before), float(after)))
    return found


def fidelity(prior: Prior, pictures: Sequence[np.ndarray]) -> dict[str, float]:
    """Mean PSNR in dB against the window's picture after E, after refinement, after δ."""
    rows = [
        prior.invert(to_tensor(picture, prior.resolution).to(prior.device)).psnr
        for picture in pictures
    ]
    return {stage: round(float(np.mean([row[stage] for row in rows])), 2) for stage in rows[0]}


def preservation(prior: Prior, x: Tensor, stroke: Tensor, concept: str, adding: bool) -> float:
    """PSNR outside the grown stroke of G' after the edit, before paste-back, in dB."""
    inverted = prior.invert(x)
    u = stroke_on_grid(stroke)
    edit = concepts.add if adding else concepts.remove
    r_e = edit(inverted.r, u, prior.concept(concept))
    mask = adaptation.soften(stroke, prior.resolution // GRID)
    deltas = adaptation.mask_deltas(inverted.deltas, mask)
    deltas = adaptation.fit(prior.generator, r_e, x, deltas, mask, steps=40)
    with torch.no_grad():
        y = prior.generator.head(r_e, deltas)
    outside = (mask == 0).expand_as(x)
    return inversion.psnr(y[outside], x[outside])
