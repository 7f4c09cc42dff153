"""The image-specific generator G': perturbations δ_i of the head's featuremaps.

    minimise  L_match + λ_reg · L_reg
    L_match = mean of |G'(r_e) - x| · (1 - mask_e),    L_reg = mean over layers of mean δ_i²

x_i becomes x_i ⊙ (1 + δ_i) at the last layer of each resolution after the edit layer. Fitted once
per photo (mask empty) and then, from there, for an edit. The paper's other forms of G' are here to
be compared with that: δ added instead, 1000 steps from δ = 0, and the head's weights fitted (G'_w).
"""

from __future__ import annotations

import copy
from functools import partial

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ganpaint_engine.generator import SplitGenerator
from ganpaint_engine.inversion import Step

Deltas = dict[int, Tensor]
"""δ: layer number i to a tensor of that layer's featuremap, 1×C_i×H_i×W_i."""

LAMBDA_REG = 0.1

ADAPTATIONS = ("delta", "additive", "paper", "weights", "none")
"""How an edit's G' is made, the default first: δ from the photo's on; the same, x_i + δ_i; δ from 0
on in the paper's 1000 steps; the head's weights, G'_w; not at all, G itself."""

WEIGHTS_STEPS = 100
"""Steps of G'_w: as many as a photo's and an edit's δ get together."""


def zero_deltas(generator: SplitGenerator, r: Tensor) -> Deltas:
    """δ = 0, of the right shapes for ``r`` (N×C×8×8)."""
    return {
        i: r.new_zeros(len(r), generator.channels[i], generator.side(i), generator.side(i))
        for i in generator.adapted_layers
    }


def mask_deltas(deltas: Deltas, mask: Tensor) -> Deltas:
    """δ_i ⊙ (1 - mask) at each scale: the photo's own perturbations do not apply to new content.

    ``mask`` N×1×R×R in [0, 1]. It is averaged down, so that δ fades where the mask does.
    """
    return {
        i: delta * (1 - F.adaptive_avg_pool2d(mask, delta.shape[-1])) for i, delta in deltas.items()
    }


def _soften(mask: np.ndarray, size: int) -> np.ndarray:
    """One mask (H×W), dilated by a square and averaged over it twice."""
    grown = cv2.dilate(mask, np.ones((size, size), np.uint8))
    for _ in range(2):
        grown = cv2.blur(grown, (size, size), borderType=cv2.BORDER_REPLICATE)
    return np.where(grown < 1e-6, np.float32(0), grown)  # running sums leave crumbs


def soften(mask: Tensor, grow: int) -> Tensor:
    """mask_e, dilated by ``grow`` window px and smoothed by as much. N×1×R×R in [0, 1]."""
    size = 2 * grow + 1
    if mask.device.type == "cpu":
        # OpenCV's running maxima and sums take a tenth of the time of torch's pooling.
        pictures = [
            _soften(one, size) for one in mask.detach().reshape(-1, *mask.shape[-2:]).numpy()
        ]
        grown = torch.from_numpy(np.stack(pictures)).view(mask.shape)
        return torch.maximum(grown, mask)
    # Columns, then rows: the same as a square, and a fraction of its time.
    grown = F.max_pool2d(mask, (size, 1), 1, (grow, 0))
    grown = F.max_pool2d(grown, (1, size), 1, (0, grow))
    for _ in range(2):
        wide = F.pad(grown, (grow,) * 4, mode="replicate")
        grown = F.avg_pool2d(F.avg_pool2d(wide, (size, 1), 1), (1, size), 1)
    return torch.maximum(grown, mask)


def fit(
    generator: SplitGenerator,
    r: Tensor,
    x: Tensor,
    deltas: Deltas,
    mask: Tensor | None = None,
    steps: int = 50,
    lr: float = 0.1,
    tolerance: float = 0.02,
    decay: float = 0.9,
    betas: tuple[float, float] = (0.9, 0.99),
    additive: bool = False,
    on_step: Step | None = None,
) -> Deltas:
    """Fit δ by Adam from ``deltas`` on. Returns the fitted δ.

    r: N×C×8×8, the featuremap to render (r, or r_e). x: N×3×R×R in [-1, 1], the photo.
    mask: N×1×R×R in [0, 1], where the photo is not to be matched; none means nowhere.
    tolerance: L_match at which to stop early; 0.02 is two and a half steps of 8 bits. Fitting on
    would only make δ large, and large δ ring where the mask cuts them.
    decay: the share of lr that is gone by the last step. additive: δ are added to the featuremaps.
    """
    keep = torch.ones_like(x[:, :1]) if mask is None else 1 - mask
    leaves = {i: delta.detach().clone().requires_grad_(True) for i, delta in deltas.items()}
    optimizer = torch.optim.Adam(leaves.values(), lr=lr, betas=betas)
    for step in range(steps):
        y = generator.linear_head(r, leaves, additive)
        match = ((y - x).abs() * keep).mean()
        if match.item() < tolerance:  # before the step: where r alone fits, one would undo it
            if on_step:
                on_step(1.0)
            break
        reg = torch.stack([d.square().mean() for d in leaves.values()]).mean()
        grads = torch.autograd.grad(match + LAMBDA_REG * reg, list(leaves.values()))
        for leaf, grad in zip(leaves.values(), grads, strict=True):
            leaf.grad = grad
        optimizer.param_groups[0]["lr"] = lr * (1 - decay * step / steps)
        optimizer.step()
        if on_step:
            on_step((step + 1) / steps)
    return {i: leaf.detach() for i, leaf in leaves.items()}


fit_as_paper = partial(fit, steps=1000, lr=0.1, tolerance=0.0, decay=0.0, betas=(0.9, 0.999))
"""``fit`` with the paper's settings."""


def fit_weights(
    generator: SplitGenerator,
    r: Tensor,
    x: Tensor,
    mask: Tensor,
    steps: int = WEIGHTS_STEPS,
    lr: float = 0.01,
    tolerance: float = 0.01,
    on_step: Step | None = None,
) -> SplitGenerator:
    """G'_w: a copy of G whose head's convolutions are fitted by L_match alone, without L_reg.

    r, x, mask, tolerance: as for ``fit``. The generator itself, which all photos share, is not
    changed.
    """
    fitted = copy.deepcopy(generator)
    weights = [weight.requires_grad_(True) for weight in fitted.head_weights]
    optimizer = torch.optim.Adam(weights, lr=lr, betas=(0.9, 0.99))
    for step in range(steps):
        match = ((fitted.linear_head(r) - x).abs() * (1 - mask)).mean()
        if match.item() < tolerance:
            break
        for weight, grad in zip(weights, torch.autograd.grad(match, weights), strict=True):
            weight.grad = grad
        optimizer.param_groups[0]["lr"] = lr * (1 - 0.9 * step / steps)
        optimizer.step()
        if on_step:
            on_step((step + 1) / steps)
    return fitted.requires_grad_(False)
