"""Train the prior: generator, encoder and critics together.

    python -m training.train scenes128.npz --segmenter unet.pt --out run --minutes 90

Three kinds of fakes teach the head: reconstructions head(E(x)), edits head(r_e) and samples G(z).
The stem learns apart, against a critic of featuremaps, to make r like E does. Time-boxed by
``--minutes``; run again with more minutes it goes on where it stopped. A sheet of pictures and the
weights are written every few minutes.
"""

from __future__ import annotations

import argparse
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganpaint_engine.encoder import Encoder
from ganpaint_engine.generator import Generator, pixel_norm
from ganpaint_engine.model_package import ENCODER, GENERATOR, ModelInfo, find_model, load_tensors
from ganpaint_engine.segmentation import UNetSegmenter
from training import edits as edits_module
from training.data import Scenes
from training.discriminators import (
    FeaturemapCritic,
    PictureCritic,
    critic_loss,
    generator_loss,
    gradient_penalty,
)
from training.edits import Edits, Statistics
from training.sheets import write_sheet

LEARNING_RATES = 8e-3, 2e-3
"""Of G and of E. G's weights have unit variance (equalised learning rates): with 2e-3 they hardly
move in the few thousand steps that a CPU can give."""


@dataclass(frozen=True)
class Widths:
    """Sizes of the networks at one resolution."""

    generator: tuple[int, ...]
    encoder: tuple[int, ...]
    critic: tuple[int, ...]


SIZES = {
    64: Widths((128, 192, 192, 192, 192, 96, 96, 64, 64, 32, 32), (32, 64, 128), (32, 64, 96, 160)),
    128: Widths(
        (128, 192, 192, 192, 192, 96, 96, 64, 64, 32, 32, 24, 24),
        (24, 32, 64, 128),
        (24, 32, 64, 96, 160),
    ),
}


class Prior(nn.Module):
    """What is shipped in the end: G and E."""

    def __init__(self, size: Widths) -> None:
        super().__init__()
        self.generator = Generator(list(size.generator))
        self.encoder = Encoder(list(size.encoder), self.generator.edit_channels)


class Networks(Prior):
    """The prior and its critics."""

    def __init__(self, size: Widths) -> None:
        super().__init__(size)
        self.critic = PictureCritic(list(size.critic))
        self.map_critic = FeaturemapCritic(self.generator.edit_channels)


def grow(nets: Prior, package: ModelInfo) -> None:
    """Start ``nets`` from a model package of the same or half the resolution.

    Twice as large a G has two more layers at its end, twice as large an E one more halving at its
    beginning: those stay as they were initialised, as does what differs in width.
    """
    old = load_tensors(package, GENERATOR)
    nets.generator.load_state_dict(_fitting(nets.generator, old), strict=False)
    old = load_tensors(package, ENCODER)
    more = len(nets.encoder.widths) - len({k.split(".")[1] for k in old if k.startswith("down.")})
    moved = {
        re.sub(r"^down\.(\d+)", lambda m: f"down.{int(m[1]) + more}", name): tensor
        for name, tensor in old.items()
    }
    nets.encoder.load_state_dict(_fitting(nets.encoder, moved), strict=False)


def _fitting(net: nn.Module, state: dict[str, Tensor]) -> dict[str, Tensor]:
    own = net.state_dict()
    return {k: v for k, v in state.items() if k in own and own[k].shape == v.shape}


@dataclass(frozen=True)
class Weights:
    """Weights of the losses."""

    l1: float = 8.0
    perceptual: float = 2.0
    group: float = 1.0
    semantic: float = 0.3
    beyond: float = 10.0
    keep: float = 6.0
    adversarial: float = 1.0
    penalty: float = 0.5
    penalty_every: int = 16


class Trainer:
    """All networks, their optimisers, and one training step. Everything in ``state`` resumes."""

    def __init__(
        self,
        resolution: int,
        segmenter: UNetSegmenter,
        device: torch.device,
        seed: int,
        start: ModelInfo | None = None,
        critic_every: int = 2,
    ) -> None:
        torch.manual_seed(seed)
        self.critic_every = critic_every
        size = SIZES[resolution]
        self.resolution, self.device, self.weights = resolution, device, Weights()
        self.rng = torch.Generator().manual_seed(seed)
        self.nets = Networks(size)
        if start is not None:
            grow(self.nets, start)
        self.nets.to(device)
        self.nets.to(memory_format=torch.channels_last)
        self.ema = Prior(size).to(device)
        self.ema.load_state_dict(self.nets.state_dict(), strict=False)
        self.segmenter = segmenter.to(device).requires_grad_(False)
        self.segmenter.to(memory_format=torch.channels_last)
        self.statistics = Statistics(
            torch.zeros(edits_module.K, self.nets.generator.edit_channels, device=device)
        )
        self.g_optimizer = torch.optim.Adam(
            [
                {"params": self.nets.generator.parameters(), "lr": LEARNING_RATES[0]},
                {"params": self.nets.encoder.parameters(), "lr": LEARNING_RATES[1]},
            ],
            betas=(0.5, 0.99),
        )
        self.d_optimizer = torch.optim.Adam(
            [*self.nets.critic.parameters(), *self.nets.map_critic.parameters()],
            lr=5e-4,
            betas=(0.0, 0.99),
        )
        self.step = 0
        self.seconds = 0.0

    def state(self) -> dict[str, Any]:
        """Everything needed to go on."""
        return {
            "nets": self.nets.state_dict(),
            "ema": self.ema.state_dict(),
            "p": self.statistics.p,
            "g_optimizer": self.g_optimizer.state_dict(),
            "d_optimizer": self.d_optimizer.state_dict(),
            "rng": self.rng.get_state(),
            "step": self.step,
            "seconds": self.seconds,
            "resolution": self.resolution,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Undo of ``state``."""
        self.nets.load_state_dict(state["nets"])
        self.ema.load_state_dict(state["ema"])
        self.statistics.p = state["p"]
        self.g_optimizer.load_state_dict(state["g_optimizer"])
        self.d_optimizer.load_state_dict(state["d_optimizer"])
        self.rng.set_state(state["rng"])
        self.step, self.seconds = state["step"], state["seconds"]

    def train_step(self, x: Tensor, labels: Tensor, adversarial: bool) -> dict[str, float]:
        """One step on real pictures ``x`` (N×3×R×R) with ``labels`` (N×R×R)."""
        shares = edits_module.cell_shares(labels)
        generator, encoder = self.nets.generator, self.nets.encoder
        half = len(x) // 2
        r = encoder(x, edits_module.holes(x, half, self.rng))
        self.statistics.update(r, shares)
        edits = edits_module.make(r[:half], shares[:half], self.statistics, self.rng)
        sampled = pixel_norm(generator.stem(self._z(half)))
        pictures = generator.linear_head(torch.cat([r, edits.r]))
        rebuilt, edited = pictures[: len(x)], pictures[len(x) :]
        losses = self._reconstruction(x, rebuilt) | self._edits(x[:half], edited, edits)
        losses["group"] = self.weights.group * edits_module.group_loss(r, shares)
        critic, map_critic = self.nets.critic, self.nets.map_critic
        losses["stem"] = 0.3 * generator_loss(map_critic(r[half:].detach()), map_critic(sampled))
        fake = torch.cat([rebuilt[half:], edited])
        if adversarial:
            losses["adversarial"] = self.weights.adversarial * generator_loss(
                critic(x), critic(fake)
            )
        self.g_optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        self.g_optimizer.step()
        losses |= self._critics(x, fake.detach(), r.detach()[half:], sampled.detach(), adversarial)
        self._average()
        self.step += 1
        return {name: float(loss.detach()) for name, loss in losses.items()}

    def _z(self, n: int) -> Tensor:
        z = torch.randn(n, self.nets.generator.channels[0], generator=self.rng)
        return z.to(self.device)

    def _reconstruction(self, x: Tensor, rebuilt: Tensor) -> dict[str, Tensor]:
        with torch.no_grad():
            wanted = self.segmenter.features(x)
        got = self.segmenter.features(rebuilt)
        pairs = list(zip(wanted, got, strict=True))[:3]
        perceptual = torch.stack([F.l1_loss(b, a) / a.abs().mean() for a, b in pairs]).mean()
        return {
            "l1": self.weights.l1 * F.l1_loss(rebuilt, x),
            "perceptual": self.weights.perceptual * perceptual,
        }

    def _edits(self, x: Tensor, edited: Tensor, edits: Edits) -> dict[str, Tensor]:
        keep = edits_module.known(edits, self.resolution)
        kept = ((edited - x).abs() * keep).sum() / (keep.sum() * 3).clamp(min=1)
        # The segmenter sees what a screen would show: colours beyond it would only fool it.
        semantic = edits_module.semantic_loss(self.segmenter(edited.clamp(-1, 1)), edits)
        beyond = F.relu(edited.abs() - 1).mean()
        return {
            "keep": self.weights.keep * kept,
            "semantic": self.weights.semantic * semantic,
            "beyond": self.weights.beyond * beyond,
        }

    def _critics(
        self, x: Tensor, fake: Tensor, r: Tensor, sampled: Tensor, adversarial: bool
    ) -> dict[str, Tensor]:
        critic, map_critic = self.nets.critic, self.nets.map_critic
        losses = {"map_critic": critic_loss(map_critic(r), map_critic(sampled))}
        if adversarial:
            x, fake = _vary(x, fake, self.rng)
            losses["critic"] = critic_loss(critic(x), critic(fake))
        if self.step % self.weights.penalty_every == 0:
            factor = self.weights.penalty * self.weights.penalty_every / self.critic_every
            pairs = [(map_critic, r, sampled)] + ([(critic, x, fake)] if adversarial else [])
            for net, real, made in pairs:
                both = gradient_penalty(net, real) + gradient_penalty(net, made)
                losses[f"penalty{len(losses)}"] = factor * both
        self.d_optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        self.d_optimizer.step()
        return losses

    @torch.no_grad()
    def _average(self, decay: float = 0.995) -> None:
        decay = min(decay, (self.step + 1) / (self.step + 10))
        newest = dict(self.nets.named_parameters())
        for name, average in self.ema.named_parameters():
            average.lerp_(newest[name], 1 - decay)


def _vary(x: Tensor, fake: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """The same kind of shift, flip and brightness for what the critic sees, real and fake."""

    def one(v: Tensor) -> Tensor:
        dy, dx = (int(torch.randint(-4, 5, (), generator=rng)) for _ in range(2))
        v = F.pad(v, (4, 4, 4, 4), mode="reflect")
        size = v.shape[-1] - 8
        v = v[..., 4 + dy : 4 + dy + size, 4 + dx : 4 + dx + size]
        if torch.rand((), generator=rng) < 0.5:
            v = v.flip(3)
        return v + (torch.rand(len(v), 1, 1, 1, generator=rng).to(v) - 0.5) * 0.2

    return one(x), one(fake)


def load_segmenter(path: Path) -> UNetSegmenter:
    """The segmenter that ``training.train_segmenter --kind unet`` wrote, in eval mode."""
    net = UNetSegmenter()
    net.load_state_dict(torch.load(path, weights_only=True)["state"])
    return net.eval()


def run(trainer: Trainer, scenes: Scenes, args: argparse.Namespace) -> None:
    """Train until ``args.minutes`` in all have been spent."""
    out: Path = args.out
    held = Scenes.load(args.scenes, args.resolution, True)
    last = time.monotonic()
    saved, shown = trainer.seconds, trainer.seconds
    while trainer.seconds < args.minutes * 60:
        x, labels = scenes.batch(args.batch, trainer.rng)
        x = x.to(trainer.device, memory_format=torch.channels_last)
        warm = trainer.seconds > args.warm_up * 60
        adversarial = warm and trainer.step % trainer.critic_every == 0
        remaining = 1 - trainer.seconds / (args.minutes * 60)
        for group, base in zip(trainer.g_optimizer.param_groups, LEARNING_RATES, strict=True):
            group["lr"] = args.rate * base * min(1.0, 0.1 + 3 * remaining)
        losses = trainer.train_step(x, labels.to(trainer.device), adversarial)
        now = time.monotonic()
        trainer.seconds, last = trainer.seconds + now - last, now
        if trainer.step % 20 == 0:
            text = "  ".join(f"{k} {v:.3f}" for k, v in losses.items())
            print(f"{trainer.seconds / 60:6.1f} min  step {trainer.step}  {text}", flush=True)
        if trainer.seconds - saved > 180:
            saved = trainer.seconds
            save(trainer, out)
        if trainer.seconds - shown > args.sheet_minutes * 60:
            shown = trainer.seconds
            write_sheet(
                trainer.ema.generator,
                trainer.ema.encoder,
                trainer.statistics,
                held,
                out / f"sheet{trainer.step:06d}.png",
            )
    save(trainer, out)
    write_sheet(
        trainer.ema.generator, trainer.ema.encoder, trainer.statistics, held, out / "sheet.png"
    )


def save(trainer: Trainer, out: Path) -> None:
    """Write the checkpoint so that a kill at any moment leaves a whole one."""
    torch.save(trainer.state(), out / "checkpoint.new")
    (out / "checkpoint.new").replace(out / "checkpoint.pt")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenes", type=Path)
    parser.add_argument("--segmenter", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--resolution", type=int, choices=sorted(SIZES), default=64)
    parser.add_argument("--minutes", type=float, default=60, help="in all, over every run")
    parser.add_argument("--warm-up", type=float, default=10, help="minutes before the critic")
    parser.add_argument("--sheet-minutes", type=float, default=5)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rate", type=float, default=1.0, help="factor of the learning rates")
    parser.add_argument(
        "--critic-every", type=int, default=2, help="steps: the critic costs as much as all else"
    )
    parser.add_argument("--start", help="a model to start from, of this or half the resolution")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    start = find_model(args.start) if args.start else None
    segmenter = load_segmenter(args.segmenter)
    trainer = Trainer(args.resolution, segmenter, device, args.seed, start, args.critic_every)
    if (args.out / "checkpoint.pt").exists():
        trainer.load(torch.load(args.out / "checkpoint.pt", map_location=device))
        print(f"going on at step {trainer.step}, {trainer.seconds / 60:.1f} min")
    run(trainer, Scenes.load(args.scenes, args.resolution, False), args)


if __name__ == "__main__":
    main()
