"""Inversion: a picture x to the featuremap r with head(r) ≈ x.

E gives a first r; Adam then refines it. The paper spends 3000 steps on residuals of early layers;
here E answers at the edit layer itself, and a few dozen steps are enough.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from ganpaint_engine.encoder import Encoder
from ganpaint_engine.generator import SplitGenerator

Step = Callable[[float], None]
"""Called with the fraction done, in [0, 1], after every optimisation step; may raise to stop."""


def psnr(a: Tensor, b: Tensor) -> float:
    """Peak signal-to-noise ratio of two pictures in [-1, 1], dB, as shown on 8 bits."""

    def to_uint8(x: Tensor) -> Tensor:
        return ((x + 1) * 127.5).round().clamp(0, 255)

    mse = (to_uint8(a) - to_uint8(b)).square().mean().clamp(min=1e-4)
    return float(10 * torch.log10(255**2 / mse))


def encode(encoder: Encoder, x: Tensor) -> Tensor:
    """r = E(x): N×3×R×R in [-1, 1] to N×C×8×8."""
    with torch.no_grad():
        return encoder(x)


def refine(
    generator: SplitGenerator,
    x: Tensor,
    r: Tensor,
    steps: int = 40,
    lr: float = 0.03,
    stay: float = 0.1,
    on_step: Step | None = None,
) -> Tensor:
    """Adam on r, minimising |head(r) - x| + |head(r) - x|² and staying near E's answer.

    ``stay`` weighs mean (r - E(x))²: an r far from what E gives is one whose units no longer mean
    what dissection found them to mean. Returns the refined r, N×C×8×8.
    """
    start = r.detach()
    r = start.clone().requires_grad_(True)
    optimizer = torch.optim.Adam([r], lr=lr, betas=(0.9, 0.99))
    for i in range(steps):
        y = generator.linear_head(r)
        loss = F.l1_loss(y, x) + F.mse_loss(y, x) + stay * F.mse_loss(r, start)
        (r.grad,) = torch.autograd.grad(loss, r)
        optimizer.param_groups[0]["lr"] = lr * (1 - 0.9 * i / steps)
        optimizer.step()
        if on_step:
            on_step((i + 1) / steps)
    return r.detach()
