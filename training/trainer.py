"""One training step, and everything that must be kept to go on later.

Three kinds of fakes teach the head: reconstructions head(E(x)), edits head(r_e) and samples G(z).
The stem learns apart, against a critic of featuremaps, to make r like E does. ``Recipe`` holds the
other ways that were tried; docs/models.md has what they gave.
"""

from __future__ import annotations

import contextlib
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ganpaint_engine.errors import OtherCheckpoint
from ganpaint_engine.generator import pixel_norm
from ganpaint_engine.model_package import ModelInfo
from ganpaint_engine.segmentation import UNetSegmenter
from training import distributed
from training import edits as edits_module
from training.discriminators import critic_loss, generator_loss, gradient_penalty
from training.distributed import Workers
from training.edits import Edits, Statistics
from training.networks import SIZES, Networks, Prior, grow

LEARNING_RATES = 8e-3, 2e-3
"""Of G and of E. G's weights have unit variance (equalised learning rates): with 2e-3 they hardly
move in the few thousand steps that a CPU can give."""
DECAY = 0.995
"""Of the averaged weights, which are the ones that are shipped."""


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


@dataclass(frozen=True)
class Recipe:
    """What is trained, and how.

    fakes: what the critic sees beside reconstructions: ``edits`` of concepts, ``transplants`` of
    another picture's r under a random mask, or ``none``. joint: G and E together; otherwise G
    learns from its samples alone and E to invert it. critic_every: the critic costs as much as all
    else, so a CPU may leave it out of some steps. bf16: matrix work in bfloat16.
    """

    resolution: int = 64
    fakes: str = "edits"
    joint: bool = True
    critic_every: int = 2
    bf16: bool = False
    seed: int = 0
    weights: Weights = field(default_factory=Weights)


@dataclass
class _Step:
    """What the first half of a step leaves for the critics."""

    losses: dict[str, Tensor]
    fake: Tensor
    r: Tensor
    sampled: Tensor


class Trainer:
    """All networks, their optimisers, and one training step. Everything in ``state`` resumes."""

    def __init__(
        self,
        recipe: Recipe,
        segmenter: UNetSegmenter,
        workers: Workers,
        start: ModelInfo | None = None,
    ) -> None:
        torch.manual_seed(recipe.seed)
        size = SIZES[recipe.resolution]
        self.recipe, self.weights, self.workers = recipe, recipe.weights, workers
        self.device = workers.device
        self.nets = Networks(size)
        if start is not None:
            grow(self.nets, start)
        self.nets.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        distributed.spread(workers, self.nets)
        self.ema = Prior(size).to(self.device)
        self.ema.load_state_dict(self.nets.state_dict(), strict=False)
        self.segmenter = segmenter.to(self.device).requires_grad_(False)
        self.segmenter.to(memory_format=torch.channels_last)
        self.statistics = Statistics(
            torch.zeros(edits_module.K, self.nets.generator.edit_channels, device=self.device)
        )
        self.prior_optimizer = torch.optim.Adam(
            [
                {"params": self.nets.generator.parameters(), "lr": LEARNING_RATES[0]},
                {"params": self.nets.encoder.parameters(), "lr": LEARNING_RATES[1]},
            ],
            betas=(0.5, 0.99),
        )
        critics = [*self.nets.critic.parameters(), *self.nets.map_critic.parameters()]
        self.critic_optimizer = torch.optim.Adam(critics, lr=5e-4, betas=(0.0, 0.99))
        self.step = 0
        self.seconds = 0.0

    def state(self) -> dict[str, Any]:
        """Everything needed to go on."""
        return {
            "recipe": asdict(self.recipe),
            "nets": self.nets.state_dict(),
            "ema": self.ema.state_dict(),
            "p": self.statistics.p,
            "prior_optimizer": self.prior_optimizer.state_dict(),
            "critic_optimizer": self.critic_optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Undo of ``state``. Raises OtherCheckpoint if it was made by another recipe."""
        ours, theirs = asdict(self.recipe), state.get("recipe", {})
        other = [k for k in ours if k != "weights" and ours[k] != theirs.get(k)]
        if other:
            raise OtherCheckpoint(
                "The checkpoint was made with "
                + ", ".join(f"{k} {theirs.get(k)} (asked for now: {ours[k]})" for k in other)
                + ". Go on with the same settings, or train into another folder."
            )
        try:
            self.nets.load_state_dict(state["nets"])
            self.ema.load_state_dict(state["ema"])
        except RuntimeError as error:
            raise OtherCheckpoint(f"The checkpoint's networks are not these: {error}") from error
        self.statistics.p = state["p"].to(self.device)
        self.prior_optimizer.load_state_dict(state["prior_optimizer"])
        self.critic_optimizer.load_state_dict(state["critic_optimizer"])
        self.step, self.seconds = state["step"], state["seconds"]

    def rng(self) -> torch.Generator:
        """The random numbers of this step and process: the same after an interruption."""
        seed = (self.recipe.seed * 1_000_003 + self.step) * 1009 + self.workers.rank
        return torch.Generator().manual_seed(seed)

    def train_step(
        self, x: Tensor, labels: Tensor, rng: torch.Generator, adversarial: bool
    ) -> dict[str, float]:
        """One step on real pictures ``x`` (N×3×R×R) with ``labels`` (N×R×R)."""
        with self._precision():
            done = (self._joint if self.recipe.joint else self._separate)(
                x, labels, rng, adversarial
            )
        self.prior_optimizer.zero_grad()
        torch.stack(list(done.losses.values())).sum().backward()
        self._update(self.prior_optimizer)
        losses = done.losses | self._critics(x, done, rng, adversarial)
        self._average()
        self.step += 1
        return {name: float(loss.detach()) for name, loss in losses.items()}

    def _precision(self) -> contextlib.AbstractContextManager[Any]:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.bf16)

    def _update(self, optimizer: torch.optim.Optimizer) -> None:
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        distributed.average_gradients(self.workers, parameters)
        optimizer.step()

    def _joint(self, x: Tensor, labels: Tensor, rng: torch.Generator, adversarial: bool) -> _Step:
        """G and E together: reconstructions, edits, and the stem after E's featuremaps."""
        generator, encoder, half = self.nets.generator, self.nets.encoder, len(x) // 2
        shares = edits_module.cell_shares(labels)
        r = encoder(x, edits_module.holes(x, half, rng)).float()
        self.statistics.update(r, shares)
        self.statistics.p = distributed.average(self.workers, self.statistics.p)
        edits = edits_module.fakes(self.recipe.fakes, r, x, labels, shares, self.statistics, rng)
        sampled = pixel_norm(generator.stem(self._z(half, rng)))
        wanted = torch.cat([r, edits.r]) if edits else r
        pictures = generator.linear_head(wanted).float()
        rebuilt, edited = pictures[: len(x)], pictures[len(x) :]
        losses = self._reconstruction(x, rebuilt)
        if edits:
            losses |= self._edits(edited, edits)
        losses["group"] = self.weights.group * edits_module.group_loss(r, shares)
        map_critic = self.nets.map_critic
        losses["stem"] = 0.3 * generator_loss(map_critic(r[half:].detach()), map_critic(sampled))
        fake = torch.cat([rebuilt[half:], edited]) if edits else rebuilt
        if adversarial:
            losses["adversarial"] = self._adversarial(x, fake)
        return _Step(losses, fake, r[half:].detach(), sampled)

    def _separate(
        self, x: Tensor, labels: Tensor, rng: torch.Generator, adversarial: bool
    ) -> _Step:
        """G from its samples alone; E learns to invert a G that its losses leave as it is."""
        generator, encoder = self.nets.generator, self.nets.encoder
        r_z = pixel_norm(generator.stem(self._z(len(x), rng)))
        fake = generator.linear_head(r_z).float()
        losses = {"stem": 0 * r_z.sum()}
        if adversarial:
            losses["adversarial"] = self._adversarial(x, fake)
        frozen = [p.requires_grad_(False) for p in generator.parameters()]
        both = torch.cat([x, fake.detach().clamp(-1, 1)])
        r = encoder(both).float()
        losses |= self._reconstruction(both, generator.linear_head(r).float())
        losses["inverse"] = self.weights.group * F.mse_loss(r[len(x) :], r_z.detach())
        for parameter in frozen:
            parameter.requires_grad_(True)
        self.statistics.update(r[: len(x)], edits_module.cell_shares(labels))
        half = len(x) // 2
        return _Step(losses, fake, r[:half].detach(), r_z[:half])

    def _z(self, n: int, rng: torch.Generator) -> Tensor:
        return torch.randn(n, self.nets.generator.channels[0], generator=rng).to(self.device)

    def _adversarial(self, x: Tensor, fake: Tensor) -> Tensor:
        critic = self.nets.critic
        return self.weights.adversarial * generator_loss(critic(x), critic(fake))

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

    def _edits(self, edited: Tensor, edits: Edits) -> dict[str, Tensor]:
        distance = (edited - edits.target).abs() * edits.weight
        kept = distance.sum() / (edits.weight.sum() * 3).clamp(min=1)
        losses = {
            "keep": self.weights.keep * kept,
            "beyond": self.weights.beyond * F.relu(edited.abs() - 1).mean(),
        }
        if edits.names:
            # The segmenter sees what a screen would show: colours beyond it would only fool it.
            logits = self.segmenter(edited.clamp(-1, 1)).float()
            losses["semantic"] = self.weights.semantic * edits_module.semantic_loss(logits, edits)
        return losses

    def _critics(
        self, x: Tensor, done: _Step, rng: torch.Generator, adversarial: bool
    ) -> dict[str, Tensor]:
        critic, map_critic = self.nets.critic, self.nets.map_critic
        fake, sampled = done.fake.detach(), done.sampled.detach()
        with self._precision():
            losses = {"map_critic": critic_loss(map_critic(done.r), map_critic(sampled))}
            if adversarial:
                x, fake = _vary(x, fake, rng)
                losses["critic"] = critic_loss(critic(x), critic(fake))
        if self.step % self.weights.penalty_every == 0:
            factor = self.weights.penalty * self.weights.penalty_every / self.recipe.critic_every
            pairs = [(map_critic, done.r, sampled)] + ([(critic, x, fake)] if adversarial else [])
            for net, real, made in pairs:
                both = gradient_penalty(net, real) + gradient_penalty(net, made)
                losses[f"penalty{len(losses)}"] = factor * both
        self.critic_optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        self._update(self.critic_optimizer)
        return losses

    @torch.no_grad()
    def _average(self) -> None:
        decay = min(DECAY, (self.step + 1) / (self.step + 10))
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
