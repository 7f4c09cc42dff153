"""Kernel inception distance: how far generated pictures are from real ones, in some features.

Bińkowski et al., *Demystifying MMD GANs* (2018): the squared maximum mean discrepancy under the
kernel k(a, b) = (a·b / d + 1)³, unbiased. Here the features are the judge's, averaged over the
picture: no network trained on photographs can be shipped, so these figures compare models of this
project with each other and with the distance between two halves of the real set, and with nothing
published.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ganpaint_engine.segmentation import DilatedSegmenter


@torch.no_grad()
def features(judge: DilatedSegmenter, pictures: Tensor, batch: int = 64) -> Tensor:
    """Mean and deviation of the judge's last featuremap over quarters: N×(8·width).

    pictures: N×3×R×R in [-1, 1].
    """
    found = []
    for x in pictures.split(batch):
        cells = judge.features(x)[-1].unflatten(2, (2, -1)).unflatten(4, (2, -1))
        found.append(torch.cat([cells.mean((3, 5)), cells.std((3, 5))], 1).flatten(1))
    return torch.cat(found)


def kid(a: Tensor, b: Tensor) -> float:
    """The unbiased squared MMD between features ``a`` M×D and ``b`` N×D; 0 for one distribution.

    Features are centred and scaled by the means and deviations of ``b``, the real ones.
    """
    mean, scale = b.mean(0), b.std(0).clamp(min=1e-6)
    a, b = (a - mean) / scale, (b - mean) / scale

    def kernel(p: Tensor, q: Tensor) -> Tensor:
        return (p @ q.T / p.shape[1] + 1) ** 3

    def within(p: Tensor) -> Tensor:
        k = kernel(p, p)
        return (k.sum() - k.diagonal().sum()) / (len(p) * (len(p) - 1))

    return float(within(a) + within(b) - 2 * kernel(a, b).mean())
