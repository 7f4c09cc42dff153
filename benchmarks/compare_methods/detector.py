"""A detector that learns to tell a method's patches from untouched ones, and how often it can.

Crops at the same places of the edited and of the untouched picture, on the stroke's edge and within
it. A small network learns on half of the scenes; on the other half its mean answer for an edit's
crops ranks the edit. AUC: how often an edited picture ranks above an untouched one; 0.5 means that
nothing was found, 1 that every edit was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.compare_methods.measures import edge_band

CROP = 48
"""Side of a crop, px."""
CROPS = 8
"""Crops of each picture."""
STEPS, BATCH = 120, 32


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


class Detector(nn.Module):
    """N×3×CROP×CROP uint8 to N logits. It sees colours, and what is finer than 2 px by itself."""

    def __init__(self) -> None:
        super().__init__()

        def conv(c_in: int, c_out: int, stride: int) -> nn.Sequential:
            layer = nn.Conv2d(c_in, c_out, 3, stride, 1)
            return nn.Sequential(layer, nn.GroupNorm(4, c_out), nn.ReLU())

        self.body = nn.Sequential(conv(6, 12, 1), conv(12, 24, 2), conv(24, 32, 2), conv(32, 48, 2))
        self.out = nn.Linear(96, 1)
        self.to(memory_format=torch.channels_last)

    def forward(self, crops: Tensor) -> Tensor:
        x = crops.float() / 127.5 - 1
        fine = x - F.avg_pool2d(F.pad(x, (1,) * 4, mode="reflect"), 3, 1)
        y = self.body(torch.cat([x, 8 * fine], 1))
        answer: Tensor = self.out(torch.cat([y.mean((2, 3)), y.amax((2, 3))], 1))[:, 0]
        return answer


def _train(pairs: Sequence[Pair], seed: int, steps: int) -> Detector:
    torch.manual_seed(seed)
    draw = torch.Generator().manual_seed(seed)
    net = Detector()
    crops = torch.cat([p.edited for p in pairs] + [p.untouched for p in pairs])
    half = len(crops) // 2
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=0.01)
    for step in range(steps):
        # An edited crop and the untouched one of the same place: the subject tells nothing.
        pick = torch.randint(half, (BATCH // 2,), generator=draw)
        x = crops[torch.cat([pick, pick + half])]
        x = x.flip(3) if torch.rand(1, generator=draw) < 0.5 else x
        target = (torch.arange(len(x)) < len(pick)).float()
        loss = F.binary_cross_entropy_with_logits(net(x), target)
        grads = torch.autograd.grad(loss, list(net.parameters()))
        for p, g in zip(net.parameters(), grads, strict=True):
            p.grad = g
        optimizer.param_groups[0]["lr"] = 3e-3 * (1 - 0.95 * step / steps)
        optimizer.step()
    return net.eval()


def auc(edited: Tensor, untouched: Tensor) -> float:
    """How often a value of ``edited`` is above one of ``untouched``; ties count half."""
    above = edited[:, None] - untouched[None]
    return float(((above > 0).float() + 0.5 * (above == 0)).mean())


def detect(pairs: Sequence[Pair], seeds: int = 5, steps: int = STEPS) -> list[float]:
    """AUC on the scenes that a detector did not learn from, for each of ``seeds`` ways to halve.

    The halves are the same for every method that was tried on the same scenes. Empty where there
    are fewer than four scenes.
    """
    scenes = sorted({p.scene for p in pairs})
    if len(scenes) < 4:
        return []
    found = []
    for seed in range(seeds):
        order = np.random.default_rng(seed).permutation(len(scenes))
        learnt = {scenes[i] for i in order[: len(scenes) // 2]}
        net = _train([p for p in pairs if p.scene in learnt], seed, steps)
        tried = [p for p in pairs if p.scene not in learnt]
        with torch.no_grad():
            answers = [torch.stack([net(p.edited).mean(), net(p.untouched).mean()]) for p in tried]
        both = torch.stack(answers)
        found.append(auc(both[:, 0], both[:, 1]))
    return found
