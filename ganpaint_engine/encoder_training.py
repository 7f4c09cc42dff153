"""Train E for a generator that was only imported: on the generator's own samples, no data needed.

    minimise  |head(E(x)) - x| + perceptual + |E(x) - r|²,    x = head(r),  r = stem(z)

Half of each batch is varied photometrically, so that E meets more than one camera; there r is not
known and only the picture counts. The perceptual term compares Laplacian pyramids (Bojanowski et
al., 2018), for no network comes with a published generator. A quarter of the rest has a hole.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ganpaint_engine import inversion
from ganpaint_engine.augmentation import photometric
from ganpaint_engine.encoder import GRID, Encoder
from ganpaint_engine.generator import Generator, SplitGenerator, pixel_norm

RATE = 2e-3
L1, PYRAMID, INVERSE = 8.0, 2.0, 1.0
HOLES = 0.25
DECAY = 0.99
HELD = 16
"""Samples that E never trains on: the PSNR over time is theirs."""


def widths_for(resolution: int, edit_channels: int) -> list[int]:
    """Channels of E after each halving: doubling up to the last, from 16 on."""
    count = (resolution // GRID).bit_length() - 1
    top = 128 if edit_channels <= 256 else 256
    return [max(top >> (count - 1 - i), 16) for i in range(count)]


def encoder_for(generator: SplitGenerator) -> Encoder:
    """A new E for G. Only ProGAN's next layer begins with PixelNorm."""
    widths = widths_for(generator.resolution, generator.edit_channels)
    return Encoder(widths, generator.edit_channels, lengths=not isinstance(generator, Generator))


def pyramid_loss(y: Tensor, x: Tensor) -> Tensor:
    """Mean |difference| over the octaves of two pictures N×3×R×R, each counting alike."""
    losses = []
    while y.shape[-1] > GRID:
        small_y, small_x = F.avg_pool2d(y, 2), F.avg_pool2d(x, 2)
        band_y = y - F.interpolate(small_y, scale_factor=2)
        band_x = x - F.interpolate(small_x, scale_factor=2)
        losses.append((band_y - band_x).abs().mean() / (band_x.abs().mean() + 0.01))
        y, x = small_y, small_x
    return torch.stack(losses).mean()


@dataclass
class EncoderTrainer:
    """E, its optimiser, and one step. ``state`` resumes all of it.

    curve: (minutes, dB) pairs: E's PSNR on the held samples over time.
    """

    generator: SplitGenerator
    device: torch.device
    batch: int = 8
    step: int = 0
    seconds: float = 0.0
    curve: list[tuple[float, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        torch.manual_seed(0)
        self.encoder = encoder_for(self.generator).to(self.device)
        self.average = encoder_for(self.generator).to(self.device)
        self.average.load_state_dict(self.encoder.state_dict())
        self.average.eval().requires_grad_(False)
        self.optimizer = torch.optim.Adam(self.encoder.parameters(), lr=RATE, betas=(0.9, 0.99))
        self.held = self.draw(HELD, torch.Generator().manual_seed(1))[0]

    @torch.no_grad()
    def draw(self, count: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Samples x (N×3×R×R in [-1, 1]) and their r, as E answers them."""
        z = torch.randn(count, self.generator.z_channels, generator=rng).to(self.device)
        r = self.generator.stem(z)
        x = self.generator.head(r)
        return x, r if self.encoder.lengths else pixel_norm(r)

    def train_step(self) -> float:
        """One step; the loss. The random numbers are those of the step's number."""
        rng = torch.Generator().manual_seed(1000 + self.step)
        x, r = self.draw(self.batch, rng)
        half = self.batch // 2
        x = torch.cat([x[:half], photometric(x[half:], rng)])
        masks = (torch.rand(len(x), 1, 8, 8, generator=rng) < 0.15).to(x)
        masks *= (torch.rand(len(x), 1, 1, 1, generator=rng) < HOLES).to(x)
        found = self.encoder(x, F.interpolate(masks, size=x.shape[-2:]))
        y = self.generator.linear_head(found)
        scale = r.square().mean().clamp(min=1e-6)
        loss = (
            L1 * F.l1_loss(y, x)
            + PYRAMID * pyramid_loss(y, x)
            + INVERSE * F.mse_loss(found[:half], r[:half]) / scale
        )
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self._average()
        self.step += 1
        return float(loss.detach())

    @torch.no_grad()
    def _average(self) -> None:
        decay = min(DECAY, (self.step + 1) / (self.step + 10))
        for average, newest in zip(
            self.average.parameters(), self.encoder.parameters(), strict=True
        ):
            average.lerp_(newest, 1 - decay)

    def measure(self) -> float:
        """E's PSNR on the held samples, dB; entered in the curve."""
        with torch.no_grad():
            y = self.generator.head(self.average(self.held))
        decibels = round(inversion.psnr(y, self.held), 2)
        self.curve.append((round(self.seconds / 60, 2), decibels))
        return decibels

    def run(
        self, seconds: float, on_step: Callable[[float, str], None], save: Callable[[], None]
    ) -> None:
        """Train until ``seconds`` in all have been spent; ``save`` is called every minute."""
        saved = shown = self.seconds
        if not self.curve:
            self.measure()
        while self.seconds < seconds:
            start = time.monotonic()
            done = self.seconds / seconds
            for group in self.optimizer.param_groups:
                group["lr"] = RATE * min(1.0, self.step / 20 + 0.05, 0.05 + 2 * (1 - done))
            self.train_step()
            self.seconds += time.monotonic() - start
            if self.seconds - shown > seconds / 12:
                shown = self.seconds
                self.measure()
            if self.seconds - saved > 60:
                saved = self.seconds
                save()
            on_step(min(self.seconds / seconds, 1.0), f"train E: {self.curve[-1][1]:.1f} dB")
        self.measure()
        save()

    def state(self) -> dict[str, Any]:
        """Everything needed to go on."""
        return {
            "encoder": self.encoder.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "curve": self.curve,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Undo of ``state``. Raises KeyError, RuntimeError, ValueError if it is of another E."""
        self.encoder.load_state_dict(state["encoder"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.seconds = state["step"], state["seconds"]
        self.curve = [tuple(point) for point in state["curve"]]
