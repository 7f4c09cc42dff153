"""A detector that learns to tell a method's patches from untouched ones, and how often it can.

Crops at the same places of the edited and of the untouched picture, on the stroke's edge and within
it. A logistic regression on fixed features learns on half of the scenes; on the other half its mean
answer for an edit's crops ranks the edit. AUC: how often an edited picture ranks above an untouched
one; 0.5 means that nothing was found, 1 that every edit was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.compare_methods.measures import edge_band
from ganpaint_engine.segmentation import SIDE, DilatedSegmenter

CROP = 48
"""Side of a crop, px."""
CROPS = 8
"""Crops of each picture."""
OCTAVES = 4
"""Octaves of detail whose strength the detector sees."""
HELD = 0.01
"""Weight of the squared weights in the detector's loss."""


@dataclass(frozen=True)
class Pair:
    """Crops of an edited picture and of the untouched one at the same places: CROPS×3×CROP×CROP
    each, uint8."""

    scene: str
    edited: Tensor
    untouched: Tensor


def cut(
    scene: str, edited: np.ndarray, untouched: np.ndarray, stroke: np.ndarray, seed: int = 0
) -> Pair:
    """The crops of an edit: half centred on the stroke's edge, half anywhere under it.

    edited, untouched: H×W×3 uint8, no side under CROP. stroke: H×W bool.
    """
    rng = np.random.default_rng(seed)
    band = edge_band(stroke)
    half = CROPS // 2
    places = [
        spots[rng.integers(len(spots), size=half)]
        for spots in (np.argwhere(band if band.any() else stroke), np.argwhere(stroke))
    ]
    corners = np.concatenate(places) - CROP // 2
    corners = corners.clip(0, np.array(stroke.shape) - CROP)

    def crops(picture: np.ndarray) -> Tensor:
        found = [picture[y : y + CROP, x : x + CROP] for y, x in corners]
        return torch.from_numpy(np.stack(found)).permute(0, 3, 1, 2)

    return Pair(scene, crops(edited), crops(untouched))


@torch.no_grad()
def features(judge: DilatedSegmenter, crops: Tensor) -> Tensor:
    """What the detector sees of crops N×3×CROP×CROP uint8: N×F.

    Colours; of each octave of detail how strong it is and how far its largest values stand out; how
    alike neighbours are in the finest one, and channels; and a segmenter's featuremaps, by their
    means and deviations.
    """
    x = crops.float() / 127.5 - 1
    found = [x.mean((2, 3)), x.std((2, 3)).add(1e-3).log()]
    coarse = x
    for octave in range(OCTAVES):
        smooth = F.avg_pool2d(F.pad(coarse, (1,) * 4, mode="reflect"), 3, 1)
        band = coarse - smooth
        spread = band.std((2, 3)) + 1e-3
        found += [spread.log(), (band.abs().amax((2, 3)) / spread).log1p()]
        if octave == 0:
            across = (band[..., 1:] * band[..., :-1]).mean((2, 3)) / spread**2
            down = (band[:, :, 1:] * band[:, :, :-1]).mean((2, 3)) / spread**2
            colours = (band * band.roll(1, 1)).mean((2, 3)) / (spread * spread.roll(1, 1))
            found += [across, down, colours]
        coarse = F.avg_pool2d(smooth, 2)
    seen = F.interpolate(x, size=SIDE, mode="bilinear", align_corners=False)
    for block in judge.enter:
        seen = block(seen)
        found += [seen.mean((2, 3)), seen.std((2, 3))]
    for block in judge.body:
        seen = seen + block(seen)
    found += [seen.mean((2, 3)), seen.std((2, 3))]
    return torch.cat(found, 1)


def learn(edited: Tensor, untouched: Tensor) -> Callable[[Tensor], Tensor]:
    """A logistic regression that tells rows of N×F from those of M×F; features to logits.

    Features are scaled by their deviations, and weights held small.
    """
    both = torch.cat([edited, untouched])
    mean, scale = both.mean(0), both.std(0) + 1e-3
    rows = (both - mean) / scale
    target = (torch.arange(len(rows)) < len(edited)).float()
    weights = torch.zeros(rows.shape[1], requires_grad=True)
    bias = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights, bias], max_iter=60, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = F.binary_cross_entropy_with_logits(rows @ weights + bias, target)
        value = value + HELD * weights.square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    w, b = weights.detach(), bias.detach()
    return lambda seen: (seen - mean) / scale @ w + b


def auc(edited: Tensor, untouched: Tensor) -> float:
    """How often a value of ``edited`` is above one of ``untouched``; ties count half."""
    above = edited[:, None] - untouched[None]
    return float(((above > 0).float() + 0.5 * (above == 0)).mean())


def detect(judge: DilatedSegmenter, pairs: Sequence[Pair], seeds: int = 10) -> list[float]:
    """AUC on the scenes that a detector did not learn from, for each of ``seeds`` ways to halve.

    The halves are the same for every method that was tried on the same scenes. Empty where there
    are fewer than four scenes.
    """
    scenes = sorted({p.scene for p in pairs})
    if len(scenes) < 4:
        return []
    seen = [(p.scene, features(judge, p.edited), features(judge, p.untouched)) for p in pairs]
    found = []
    for seed in range(seeds):
        order = np.random.default_rng(seed).permutation(len(scenes))
        learnt = {scenes[i] for i in order[: len(scenes) // 2]}
        answer = learn(
            torch.cat([e for scene, e, _ in seen if scene in learnt]),
            torch.cat([u for scene, _, u in seen if scene in learnt]),
        )
        tried = [
            (answer(e).mean(), answer(u).mean()) for scene, e, u in seen if scene not in learnt
        ]
        edited, untouched = (torch.stack(values) for values in zip(*tried, strict=True))
        found.append(auc(edited, untouched))
    return found
