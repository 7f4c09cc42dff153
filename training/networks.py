"""The networks of training at each resolution, and how a larger prior starts from a smaller one."""

from __future__ import annotations

import re
from dataclasses import dataclass

from torch import Tensor, nn

from ganpaint_engine.encoder import Encoder
from ganpaint_engine.generator import Generator
from ganpaint_engine.model_package import ENCODER, GENERATOR, ModelInfo, load_tensors
from training.discriminators import FeaturemapCritic, PictureCritic


@dataclass(frozen=True)
class Widths:
    """Sizes of the networks at one resolution."""

    generator: tuple[int, ...]
    encoder: tuple[int, ...]
    critic: tuple[int, ...]


_STEM = (128, 192, 192, 192, 192)
SIZES = {
    # For tests: everything small.
    32: Widths((32, 128, 128, 128, 128, 32, 32, 16, 16), (16, 32), (16, 32, 32)),
    64: Widths((*_STEM, 96, 96, 64, 64, 32, 32), (32, 64, 128), (32, 64, 96, 160)),
    128: Widths((*_STEM, 96, 96, 64, 64, 32, 32, 24, 24), (24, 32, 64, 128), (24, 32, 64, 96, 160)),
    # For a GPU: half an hour of an H200, and a package of about 45 MB.
    256: Widths(
        (256, 384, 384, 384, 384, 320, 320, 192, 192, 96, 96, 64, 64, 32, 32),
        (32, 64, 96, 192, 256),
        (32, 64, 96, 192, 256, 256),
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
    """Start ``nets`` from a model package of the same or a smaller resolution.

    A larger G has more layers at its end, a larger E more halvings at its beginning: those stay as
    they were initialised, as does what differs in width.
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
