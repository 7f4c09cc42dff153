"""Photometric variety: what cameras, light and weather do to a picture, for training.

Geometry is left alone, so a featuremap or label map that belongs to the picture still does.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def photometric(x: Tensor, rng: torch.Generator) -> Tensor:
    """Each of N×3×R×R in [-1, 1] seen through another camera, in another light.

    Gamma, contrast, brightness, colour balance, saturation, a gradient of light across the picture,
    sharpness from blurred to oversharp, and noise.
    """
    n, side = len(x), x.shape[-1]

    def draw(low: float, high: float, channels: int = 1) -> Tensor:
        return (torch.rand(n, channels, 1, 1, generator=rng) * (high - low) + low).to(x)

    v = ((x + 1) / 2).clamp(1e-3, 1) ** draw(-0.6, 0.6).exp()
    v = (v - 0.5) * draw(0.6, 1.5) + 0.5 + draw(-0.15, 0.15)
    v = v * (1 + draw(-0.15, 0.15, 3))
    grey = v.mean(1, keepdim=True)
    v = grey + (v - grey) * draw(0.1, 1.6)
    angle, line = draw(0, 6.283), torch.linspace(-1, 1, side).to(x)
    ramp = angle.cos() * line.view(1, 1, 1, -1) + angle.sin() * line.view(1, 1, -1, 1)
    v = v * (1 + draw(-0.3, 0.3) * ramp)
    smooth = F.avg_pool2d(F.pad(v, (1,) * 4, mode="reflect"), 3, 1)
    v = v + (v - smooth) * draw(-1, 1.5)
    noise = torch.randn(v.shape, generator=rng).to(x) * draw(0, 0.06)
    return (v * 2 - 1 + noise).clamp(-1, 1)
