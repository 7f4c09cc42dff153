"""Figures about pictures: how like two are, and how much of a region shows a concept."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganpaint_engine.segmentation import CLASSES


@torch.no_grad()
def ssim(a: Tensor, b: Tensor) -> float:
    """Structural similarity of two pictures N×3×R×R in [-1, 1], on their luma, at most 1.

    Wang et al., *Image Quality Assessment* (2004): Gaussian window of 11 px and 1.5 px deviation.
    """
    luma = torch.tensor([0.299, 0.587, 0.114], device=a.device).view(1, 3, 1, 1)
    a, b = (((v.clamp(-1, 1) + 1) * luma).sum(1, keepdim=True) for v in (a, b))
    line = torch.exp(-torch.arange(-5.0, 6.0, device=a.device).square() / (2 * 1.5**2))
    kernel = torch.outer(line, line)[None, None] / line.sum() ** 2

    def mean(v: Tensor) -> Tensor:
        return F.conv2d(v, kernel)

    mean_a, mean_b = mean(a), mean(b)
    var_a, var_b = mean(a * a) - mean_a**2, mean(b * b) - mean_b**2
    cov = mean(a * b) - mean_a * mean_b
    c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2
    top = (2 * mean_a * mean_b + c1) * (2 * cov + c2)
    return float((top / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))).mean())


@torch.no_grad()
def share(judge: nn.Module, picture: Tensor, stroke: Tensor, concept: str) -> float:
    """Share of ``concept`` under ``stroke`` (1×1×R×R in {0, 1}) in a picture 1×3×R×R, 0 to 1."""
    where = judge(picture).argmax(1, keepdim=True) == CLASSES.index(concept)
    return float((where * stroke).sum() / stroke.sum())
