"""Inversion: a picture x to the featuremap r with head(r) ≈ x.

E gives a first r; Adam then refines it. The paper goes another way, which is here as well: from E
to z, by optimisation to a better z, then residuals added to the featuremaps of the layers before
the edit layer (3000 steps of them; 50 in its interactive form). Here E answers at the edit layer
itself, and a few dozen steps are enough.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from ganpaint_engine.encoder import Encoder
from ganpaint_engine.features import Features, loss_to
from ganpaint_engine.generator import SplitGenerator, pixel_norm

Step = Callable[[float], None]
"""Called with the fraction done, in [0, 1], after every optimisation step; may raise to stop."""

INVERSIONS: dict[str, tuple[str, ...]] = {
    "r": ("refined",),
    "encoder": (),
    "z": ("z",),
    "layers": ("z", "layers"),
    "all": ("z", "layers", "refined"),
}
"""The stages that follow E, the default first: r itself refined; E alone; z optimised, r = stem(z);
then residuals of the layers before r; all of them. Their names are those of the stages' dB."""

Z_STEPS = LAYERS_STEPS = 100
"""Steps of the stages that the default does without."""

LAMBDA_RESIDUALS = 1.0
"""Weight of the residuals' mean squares: that of the published inversion code."""

SAMPLES = 512
"""Pairs of z and r from which a first z is estimated."""


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
    features: Features | None = None,
    on_step: Step | None = None,
) -> Tensor:
    """Adam on r, minimising L_r + |head(r) - x|² and staying near E's answer.

    ``stay`` weighs mean (r - E(x))²: an r far from what E gives is one whose units no longer mean
    what dissection found them to mean. features: what L_r compares beside pixels. Returns the
    refined r, N×C×8×8.
    """
    start, unlike = r.detach(), loss_to(x, features)
    r = start.clone().requires_grad_(True)

    def loss() -> Tensor:
        y = generator.linear_head(r)
        return unlike(y) + F.mse_loss(y, x) + stay * F.mse_loss(r, start)

    _descend([r], loss, steps, lr, on_step)
    return r.detach()


@torch.no_grad()
def estimate_z(generator: SplitGenerator, r: Tensor, samples: int = SAMPLES) -> Tensor:
    """A first z with stem(z) ≈ r (N×C×8×8): N×Z.

    By least squares from r to z over samples of G (ridge, solved in the samples' kernel), or the
    nearest sample itself, whichever comes closer. Lengths of cells do not count: the head begins
    with PixelNorm.
    """
    draw = torch.Generator().manual_seed(0)
    z = torch.randn(samples, generator.z_channels, generator=draw).to(r)

    def seen(maps: Tensor) -> Tensor:
        return pixel_norm(maps).flatten(1)

    known, wanted = torch.cat([seen(generator.stem(part)) for part in z.split(64)]), seen(r)
    mean = known.mean(0)
    kernel = (known - mean) @ (known - mean).T
    ridge = 0.1 * kernel.diagonal().mean() * torch.eye(samples).to(r)
    fitted = (wanted - mean) @ (known - mean).T @ torch.linalg.solve(kernel + ridge, z)
    candidates = torch.stack([fitted, z[torch.cdist(wanted, known).argmin(1)]])
    far = [(seen(generator.stem(one)) - wanted).square().mean(1) for one in candidates]
    return candidates[torch.stack(far).argmin(0), torch.arange(len(r))]


def fit_z(
    generator: SplitGenerator,
    x: Tensor,
    z: Tensor,
    features: Features | None,
    steps: int = Z_STEPS,
    lr: float = 0.05,
    on_step: Step | None = None,
) -> Tensor:
    """Adam on z (N×Z), minimising L_r of head(stem(z)) and x. Returns the z of the last step."""
    unlike = loss_to(x, features)
    z = z.detach().clone().requires_grad_(True)
    _descend([z], lambda: unlike(generator.linear_head(generator.stem(z))), steps, lr, on_step)
    return z.detach()


def fit_layers(
    generator: SplitGenerator,
    x: Tensor,
    z: Tensor,
    features: Features | None,
    steps: int = LAYERS_STEPS,
    lr: float = 0.1,
    on_step: Step | None = None,
) -> Tensor:
    """Adam on residuals of layers 1 to h-1, added to their featuremaps, with z (N×Z) held.

    minimises L_r + LAMBDA_RESIDUALS · Σ_i mean d_i². Returns r, N×C×8×8.
    """
    unlike = loss_to(x, features)
    residuals = {
        i: z.new_zeros(len(z), generator.channels[i], generator.side(i), generator.side(i))
        for i in range(1, generator.edit_layer)
    }
    leaves = [residual.requires_grad_(True) for residual in residuals.values()]

    def loss() -> Tensor:
        y = generator.linear_head(generator.stem(z, residuals))
        squares = torch.stack([leaf.square().mean() for leaf in leaves])
        return unlike(y) + LAMBDA_RESIDUALS * squares.sum()

    _descend(leaves, loss, steps, lr, on_step)
    with torch.no_grad():
        return generator.stem(z, residuals)


def _descend(
    leaves: list[Tensor],
    loss: Callable[[], Tensor],
    steps: int,
    lr: float,
    on_step: Step | None,
) -> None:
    """Adam in place, at a rate that falls to a tenth."""
    optimizer = torch.optim.Adam(leaves, lr=lr, betas=(0.9, 0.99))
    for step in range(steps):
        for leaf, grad in zip(leaves, torch.autograd.grad(loss(), leaves), strict=True):
            leaf.grad = grad
        optimizer.param_groups[0]["lr"] = lr * (1 - 0.9 * step / steps)
        optimizer.step()
        if on_step:
            on_step((step + 1) / steps)
