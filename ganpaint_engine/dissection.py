"""Dissection: which units stand for which concept, and how active they are where it is.

Bau et al., *GAN Dissection* (2019): a unit belongs to a concept if its thresholded, upsampled
activation overlaps the concept's segmentation (intersection over union). Nothing is hand-picked:
units, rivals, p_c and variants all come from featuremaps and the segmenter's label maps.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ganpaint_engine.concepts import Concept
from ganpaint_engine.encoder import GRID

QUANTILES = (0.995, 0.99, 0.98, 0.96, 0.93, 0.9, 0.8, 0.7, 0.6)
"""Thresholds tried for each unit: concepts fill from half a per cent to half of a picture."""

OUTLIER = 8.0
"""A unit whose peak is this many times its 99th percentile is an outlier, and no concept's."""


FINE = 16
"""Side of the grid on which activations and label maps are compared."""


def unit_iou(r: Tensor, present: Tensor) -> Tensor:
    """Best IoU over QUANTILES of every unit with every concept. K×C values in [0, 1].

    r: N×C×8×8. present: N×K×S×S in {0, 1}, where each concept is.
    """
    flat = r.transpose(0, 1).flatten(1)
    thresholds = torch.quantile(flat, torch.tensor(QUANTILES, device=r.device), dim=1)
    fine = F.interpolate(present.float(), size=(FINE, FINE), mode="nearest").flatten(2)
    shape = (len(QUANTILES), r.shape[1], present.shape[1])
    inter, active = torch.zeros(shape, device=r.device), torch.zeros(shape[:2], device=r.device)
    for one, where in zip(r.split(1), fine, strict=True):
        big = F.interpolate(one, size=(FINE, FINE), mode="bilinear", align_corners=False)
        on = (big.flatten(2) > thresholds[..., None]).float()
        inter += on @ where.T
        active += on.sum(2)
    union = active[..., None] + fine.sum((0, 2)) - inter
    return (inter / union.clamp(min=1)).amax(0).T


def outliers(r: Tensor) -> Tensor:
    """C bools: units with rare, huge activations (PixelNorm then hushes all others)."""
    flat = r.transpose(0, 1).flatten(1)
    return flat.amax(1) > OUTLIER * torch.quantile(flat, 0.99, dim=1).clamp(min=1e-3)


def _cells(r: Tensor, present: Tensor, share: float) -> Tensor:
    """The activations of the cells that a concept fills by ``share`` or more: M×C."""
    filled = F.adaptive_avg_pool2d(present[:, None].float(), GRID)[:, 0] >= share
    return r.permute(0, 2, 3, 1)[filled]


def _variants(cells: Tensor, count: int) -> Tensor:
    """Centres of ``count`` clusters of M×C activations, the most common look first."""
    count = min(count, len(cells))
    data = cells.cpu().numpy().astype(np.float32)
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 50, 1e-4)
    cv2.setRNGSeed(0)
    _, labels, centres = cv2.kmeans(data, count, None, criteria, 3, cv2.KMEANS_PP_CENTERS)  # type: ignore[call-overload]
    order = np.argsort(-np.bincount(labels.ravel(), minlength=count), kind="stable")
    return torch.from_numpy(centres[order]).to(cells)


def dissect(
    r: Tensor,
    labels: Tensor,
    names: Sequence[str],
    classes: Sequence[str],
    units: int = 8,
    variants: int = 6,
    shares: dict[str, float] | None = None,
) -> tuple[dict[str, Concept], dict[str, float]]:
    """The concepts ``names`` and each one's mean IoU of its units.

    r: N×C×8×8. labels: N×S×S int, the segmenter's classes. classes: their names in order; all of
    them rank units, so that a concept's rivals are known. shares: how much of a cell a concept
    must fill to count for p_c (0.5 unless told; windows never fill one).
    """
    present = {c: labels == k for k, c in enumerate(classes)}
    held = {c: where for c, where in present.items() if where.any()}
    usable = ~outliers(r)
    maps = torch.stack(list(held.values()), dim=1)
    agreed = unit_iou(r, maps) * usable
    iou = dict(zip(held, agreed, strict=True))
    # A unit that is always on has a concept's prevalence for its IoU: only what is above counts.
    chance = maps.float().mean((0, 2, 3))[:, None]
    skill = ((agreed - chance) / (1 - chance)).clamp(min=0)
    # A unit belongs to the concept for which it stands out most, measured by that concept's best
    # unit; by IoU alone the large concepts would claim the units of the small ones.
    owner = (skill / skill.amax(1, keepdim=True).clamp(min=1e-6)).argmax(0)
    own: dict[str, Tensor] = {}
    for k, c in enumerate(held):
        score = torch.where(owner == k, skill[k], torch.zeros_like(skill[k]))
        best = score.topk(units)
        own[c] = best.indices[best.values > 0.5 * best.values[0].clamp(min=1e-6)]
    found, agreement = {}, {}
    for name in (n for n in names if n in own):
        cells = _cells(r, held[name], (shares or {}).get(name, 0.5))
        if len(cells) < 2:
            continue
        rivals = torch.cat([u for c, u in own.items() if c != name])
        found[name] = Concept(name, own[name], rivals, cells.mean(0), _variants(cells, variants))
        agreement[name] = float(iou[name][own[name]].mean())
    return found, agreement
