"""Dissection: which units stand for which concept, and how active they are where it is.

Bau et al., *GAN Dissection* (2019): a unit belongs to a concept if its thresholded, upsampled
activation overlaps the concept's segmentation (intersection over union). Nothing is hand-picked:
units, rivals, p_c and variants all come from featuremaps and the segmenter's label maps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ganpaint_engine import appearance
from ganpaint_engine.concepts import LEVELS, Concept
from ganpaint_engine.encoder import GRID

QUANTILES = (0.995, 0.99, 0.98, 0.96, 0.93, 0.9, 0.8, 0.7, 0.6)
"""Thresholds tried for each unit: concepts fill from half a per cent to half of a picture."""

OUTLIER = 8.0
"""A unit whose peak is this many times its 99th percentile is an outlier, and no concept's."""

OWN = 0.4
"""A concept's own units stand out at least so much of what its best one does: less than half, for
the unit of a rare look agrees with fewer pictures."""

MOST = max(level.units for level in LEVELS.values())
"""How many units a concept's ranking holds at most."""

FINE = 16
"""Side of the grid on which activations and label maps are compared."""


class Agreement(NamedTuple):
    """How well every unit agrees with every concept, K×C values each.

    iou: best intersection over union over QUANTILES, in [0, 1]. threshold: the activation above
    which the unit counts as on for that.
    """

    iou: Tensor
    threshold: Tensor


def agreement(r: Tensor, present: Tensor) -> Agreement:
    """Compare every unit's thresholded activation with where each concept is.

    r: N×C×8×8. present: N×K×S×S in {0, 1}, where each concept is.
    """
    # Below 0 a unit is off (LeakyReLU's slope), however it compares with itself elsewhere.
    thresholds = _quantiles(r, QUANTILES).clamp(min=0)
    fine = F.interpolate(present.float(), size=(FINE, FINE), mode="nearest").flatten(2)
    shape = (len(QUANTILES), r.shape[1], present.shape[1])
    inter, active = torch.zeros(shape, device=r.device), torch.zeros(shape[:2], device=r.device)
    for one, where in zip(r.split(1), fine, strict=True):
        big = F.interpolate(one, size=(FINE, FINE), mode="bilinear", align_corners=False)
        on = (big.flatten(2) > thresholds[..., None]).float()
        inter += on @ where.T
        active += on.sum(2)
    union = active[..., None] + fine.sum((0, 2)) - inter
    best = (inter / union.clamp(min=1)).max(0)
    rows = torch.arange(r.shape[1], device=r.device)
    return Agreement(best.values.T, thresholds[best.indices, rows[:, None]].T)


def _quantiles(r: Tensor, quantiles: Sequence[float]) -> Tensor:
    """Quantiles of every unit's activations: Q×C. torch takes 16 million values at a time."""
    q = torch.tensor(quantiles, device=r.device)
    units = [one.flatten() for one in r.transpose(0, 1)]
    return torch.stack([torch.quantile(one[:16_000_000], q) for one in units], dim=1)


def outliers(r: Tensor) -> Tensor:
    """C bools: units with rare, huge activations (PixelNorm then hushes all others)."""
    return r.amax((0, 2, 3)) > OUTLIER * _quantiles(r, (0.99,))[0].clamp(min=1e-3)


def filled_cells(present: Tensor, share: float | None = None) -> Tensor:
    """Which cells a concept fills: N×S×S in {0, 1} to N×8×8 bools.

    ``share``: how much of a cell it must fill. Unless told, half; less for what never fills a cell,
    such as windows: four fifths of what the fullest tenth of its cells hold.
    """
    filled = F.adaptive_avg_pool2d(present[:, None].float(), GRID)[:, 0]
    if share is None:
        some = filled[filled > 0]
        share = min(0.5, 0.8 * float(torch.quantile(some[:1_000_000], 0.9))) if len(some) else 0.5
    return filled >= share


def levels(cells: Tensor, ranking: Tensor) -> Tensor:
    """p_c at each of LEVELS: M×C activations to 3×C.

    The level's units take its quantile of what they do where the concept is; all others, among them
    its rivals, their mean.
    """
    rows = []
    for level in LEVELS.values():
        p, units = cells.mean(0), ranking[: level.units]
        if level.quantile is not None:
            p[units] = torch.quantile(cells[:, units], level.quantile, dim=0)
        rows.append(p)
    return torch.stack(rows)


def _own_units(skill: Tensor, units: int) -> tuple[list[Tensor], list[Tensor]]:
    """Each concept's own units (at most ``units``), and its ranking (at most MOST). From K×C.

    A unit belongs to the concept for which it stands out most, measured by that concept's best
    unit; by IoU alone the large concepts would claim the units of the small ones.
    """
    owner = (skill / skill.amax(1, keepdim=True).clamp(min=1e-6)).argmax(0)
    own, rankings = [], []
    for k, row in enumerate(skill):
        best = torch.where(owner == k, row, torch.zeros_like(row)).topk(min(MOST, len(row)))
        rankings.append(best.indices[best.values > 0])
        strong = best.values > OWN * best.values[0].clamp(min=1e-6)
        own.append(best.indices[strong][:units])
    return own, rankings


def dissect(
    r: Tensor,
    labels: Tensor,
    names: Sequence[str],
    classes: Sequence[str],
    units: int = 8,
    variants: int = 6,
    shares: dict[str, float] | None = None,
    measured: Agreement | None = None,
) -> tuple[dict[str, Concept], dict[str, float]]:
    """The concepts ``names`` and each one's mean IoU of its units.

    r: N×C×8×8. labels: N×S×S int, the segmenter's classes. classes: their names in order; all of
    them rank units, so that a concept's rivals are known. shares: how much of a cell a concept
    must fill to count for p_c (see ``filled_cells``). measured: ``agreement`` of the classes that
    ``labels`` holds, where that is known already.
    """
    present = {c: labels == k for k, c in enumerate(classes)}
    held = {c: where for c, where in present.items() if where.any()}
    maps = torch.stack(list(held.values()), dim=1)
    measured = measured or agreement(r, maps)
    agreed = measured.iou * ~outliers(r)
    # A unit that is always on has a concept's prevalence for its IoU: only what is above counts.
    chance = maps.float().mean((0, 2, 3))[:, None]
    skill = ((agreed - chance) / (1 - chance)).clamp(min=0)
    own, rankings = (dict(zip(held, found, strict=True)) for found in _own_units(skill, units))
    found, iou = {}, {}
    for k, name in enumerate(held):
        where = filled_cells(held[name], (shares or {}).get(name))
        if name not in names or not len(own[name]) or where.sum() < 2:
            continue
        cells = r.permute(0, 2, 3, 1)[where]
        rivals = torch.cat([u for c, u in own.items() if c != name])
        centres, _ = appearance.clusters(appearance.means(r, where)[0], variants)
        found[name] = Concept(
            name, own[name], rivals, cells.mean(0), centres,
            ranking=rankings[name], levels=levels(cells, rankings[name]),
        )  # fmt: skip
        iou[name] = float(measured.iou[k][own[name]].mean())
    return found, iou
