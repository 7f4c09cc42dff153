"""The critics of training: one of pictures, one of featuremaps r. Neither is shipped."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def _down(c_in: int, c_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, 4, stride=2, padding=1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(c_out, c_out, 3, padding=1),
        nn.LeakyReLU(0.2),
    )


def _batch_deviation(x: Tensor) -> Tensor:
    """A map of the batch's mean standard deviation (ProGAN, section 3)."""
    deviation = (x.var(0, unbiased=False) + 1e-8).sqrt().mean()
    return torch.cat([x, deviation.expand(len(x), 1, *x.shape[2:])], 1)


class PictureCritic(nn.Module):
    """N×3×R×R to N×65 logits: one for each 8×8 cell and one for the whole picture."""

    def __init__(self, widths: list[int]) -> None:
        super().__init__()
        self.enter = nn.Conv2d(3, widths[0], 3, padding=1)
        self.down = nn.Sequential(*(_down(a, b) for a, b in itertools.pairwise(widths)))
        self.cells = nn.Conv2d(widths[-1], 1, 1)
        self.context = _down(widths[-1] + 1, widths[-1])
        self.whole = nn.Linear(widths[-1] * 16, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.down(F.leaky_relu(self.enter(x), 0.2))
        whole = self.whole(self.context(_batch_deviation(x)).flatten(1))
        return torch.cat([self.cells(x).flatten(1), whole], 1)


class FeaturemapCritic(nn.Module):
    """``r`` N×C×8×8 to N×17 logits: so that stem(z) learns to look like E(x)."""

    def __init__(self, channels: int, width: int = 128) -> None:
        super().__init__()
        self.enter = nn.Conv2d(channels, width, 3, padding=1)
        self.down = _down(width + 1, width)
        self.cells = nn.Conv2d(width, 1, 1)
        self.whole = nn.Linear(width * 16, 1)

    def forward(self, r: Tensor) -> Tensor:
        x = self.down(_batch_deviation(F.leaky_relu(self.enter(r), 0.2)))
        return torch.cat([self.cells(x).flatten(1), self.whole(x.flatten(1))], 1)


def critic_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Relativistic softplus: the critic wants real logits above fake ones. Logits N×K each."""
    return F.softplus(fake - real).mean()


def generator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """The other side of ``critic_loss``."""
    return F.softplus(real.detach() - fake).mean()


def gradient_penalty(critic: nn.Module, x: Tensor) -> Tensor:
    """R1 on real input, R2 on fake: the mean squared norm of the gradient, zero-centred."""
    x = x.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(critic(x).mean(1).sum(), x, create_graph=True)
    return gradient.square().sum((1, 2, 3)).mean()
