"""Measurements of a prior: fidelity at each stage, and whether edits do what they say.

Edits are judged by a segmenter that neither training nor dissection has seen, built differently
from the one that they used, and on scenes that were held out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganpaint_engine import adaptation, exemplars, inversion
from ganpaint_engine.encoder import GRID
from ganpaint_engine.measurement import share
from ganpaint_engine.prior import Prior
from ganpaint_engine.segmentation import CLASSES
from ganpaint_engine.window import stroke_on_grid, to_tensor
from training import places

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


def present(labels: np.ndarray, concept: str, resolution: int) -> Tensor:
    """Where a label map (H×W) has ``concept``, 1×1×R×R in {0, 1}."""
    where = torch.from_numpy((labels == CLASSES.index(concept)).astype(np.float32))[None, None]
    return (F.adaptive_max_pool2d(where, resolution) > 0).float()


@torch.no_grad()
def raw_edit(prior: Prior, x: Tensor, stroke: Tensor, concept: str, adding: bool) -> Tensor:
    """G(r_e) without δ and without paste-back: the edit as the prior alone makes it."""
    r = prior.encoder(x)
    return prior.generator.head(edited(prior, r, stroke, concept, adding))


def edited(prior: Prior, r: Tensor, stroke: Tensor, concept: str, adding: bool) -> Tensor:
    """r_e, for a stroke 1×1×R×R."""
    u, what = stroke_on_grid(stroke), prior.concept(concept)
    if not adding:
        return exemplars.take_out(r, u, what, prior.exemplars)
    cover = F.adaptive_avg_pool2d(stroke, GRID)
    return exemplars.insert(r, u, cover, what, prior.exemplars)


EditFunction = Callable[[Prior, Tensor, Tensor, str, bool], Tensor]
"""(prior, picture, stroke, concept, adding) to the edited picture, as ``raw_edit``."""


def removals(labels: Sequence[np.ndarray], concept: str, side: int) -> list[tuple[int, Tensor]]:
    """Pairs of a scene's number and the stroke (1×1×R×R) over all of the concept in it."""
    maps = ((i, present(one, concept, side)) for i, one in enumerate(labels))
    return [(i, stroke) for i, stroke in maps if stroke.mean() > ENOUGH]


def additions(labels: Sequence[np.ndarray], concept: str, side: int) -> list[tuple[int, Tensor]]:
    """Pairs of a scene's number and a stroke (1×1×R×R) where the concept could stand."""
    small = [cv2.resize(one, (side, side), interpolation=cv2.INTER_NEAREST) for one in labels]
    return places.strokes_for(small, concept, len(labels))


def effects(
    prior: Prior,
    judge: nn.Module,
    pictures: Sequence[np.ndarray],
    labels: Sequence[np.ndarray],
    edit: EditFunction = raw_edit,
    most: int = 40,
) -> list[Effect]:
    """For each concept: remove it where it is, add it where it plausibly could be.

    pictures: H×W×3 uint8; labels: H×W.
    """
    side, found = prior.resolution, []
    for name in prior.concepts:
        for operation, strokes in (("remove", removals), ("add", additions)):
            if operation not in prior.operations(name):
                continue
            shares = []
            for i, stroke in strokes(labels, name, side)[:most]:
                x = to_tensor(pictures[i], side).to(prior.device)
                y = edit(prior, x, stroke, name, operation == "add")
                shares.append((share(judge, x, stroke, name), share(judge, y, stroke, name)))
            if shares:
                before, after = np.mean(shares, axis=0)
                found.append(Effect(name, operation, len(shares), float(before), float(after)))
    return found


@torch.no_grad()
def outside(
    prior: Prior,
    judge: nn.Module,
    pictures: Sequence[np.ndarray],
    labels: Sequence[np.ndarray],
    most: int = 10,
) -> float:
    """Share of pixels beyond the grown stroke whose label an edit leaves, by the judge, 0 to 1.

    Of the raw G(r_e) against G(r), without δ; mean over all concepts' removals and additions.
    """
    side, kept = prior.resolution, []
    for name in prior.concepts:
        for adding, strokes in ((False, removals), (True, additions)):
            for i, stroke in strokes(labels, name, side)[:most]:
                x = to_tensor(pictures[i], side).to(prior.device)
                y = prior.generator.head(prior.encoder(x))
                y_e = raw_edit(prior, x, stroke, name, adding)
                grown = F.max_pool2d(stroke, 2 * (side // GRID) + 1, 1, side // GRID)
                same = (judge(y).argmax(1) == judge(y_e).argmax(1))[:, None]
                far = grown == 0
                if far.any():
                    kept.append(float(same[far].float().mean()))
    return float(np.mean(kept)) if kept else 1.0


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
    r_e = edited(prior, inverted.r, stroke, concept, adding)
    mask = adaptation.soften(stroke, prior.resolution // GRID)
    deltas = adaptation.mask_deltas(inverted.deltas, mask)
    deltas = adaptation.fit(prior.generator, r_e, x, deltas, mask, steps=40)
    with torch.no_grad():
        y = prior.generator.head(r_e, deltas)
    outside = (mask == 0).expand_as(x)
    return inversion.psnr(y[outside], x[outside])
