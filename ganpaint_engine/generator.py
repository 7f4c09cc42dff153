"""The generator G: ProGAN's topology, split at the edit layer.

Karras et al., *Progressive Growing of GANs* (2018); the split into ``stem`` (layers 1..h) and
``head`` (layers h+1..n) and the perturbations δ_i follow Bau et al., *Semantic Photo Manipulation
with a Generative Image Prior* (2019).
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

EDIT_LAYER = 4
"""h: its output ``r = G_h(z)`` is an 8×8×C featuremap, after LeakyReLU and before PixelNorm."""


class SplitGenerator(nn.Module, ABC):
    """What editing needs of any G: layers 1..n, split at the edit layer h into stem and head.

    z_channels: Z. channels[i]: width of layer i's output, for i from 1 to depth. depth: n.
    resolution: R. edit_layer: h, a layer whose featuremap is 8×8.
    """

    z_channels: int
    channels: list[int]
    depth: int
    resolution: int
    edit_layer: int
    is_local = False
    """Whether a crop of r draws a crop of the picture, but near its border."""

    @abstractmethod
    def side(self, i: int) -> int:
        """Side of layer i's featuremap, px."""

    @abstractmethod
    def stem(self, z: Tensor, residuals: Mapping[int, Tensor] | None = None) -> Tensor:
        """Layers 1..h: z (N×Z) to ``r`` (N×C×8×8).

        ``residuals`` maps the number i of one of these layers to what is added to its featuremap.
        """

    @abstractmethod
    def linear_head(
        self, r: Tensor, deltas: Mapping[int, Tensor] | None = None, additive: bool = False
    ) -> Tensor:
        """As ``head``, before clamping: what losses are taken on, so that gradients survive."""

    def head(
        self, r: Tensor, deltas: Mapping[int, Tensor] | None = None, additive: bool = False
    ) -> Tensor:
        """Layers h+1..n and the output: ``r`` (N×C×8×8) to RGB (N×3×R×R) in [-1, 1].

        ``deltas`` maps a layer's number i to δ_i, of the shape of that layer's featuremap (or one
        that broadcasts): the featuremap becomes x_i ⊙ (1 + δ_i), or x_i + δ_i where ``additive``.
        """
        return self.linear_head(r, deltas, additive).clamp(-1, 1)

    @property
    @abstractmethod
    def head_weights(self) -> list[nn.Parameter]:
        """The convolutions' weights of layers h+1..n and of the output."""

    @property
    def edit_channels(self) -> int:
        """C, the number of units at the edit layer."""
        return self.channels[self.edit_layer]

    @property
    def has_head(self) -> bool:
        """Whether layers follow the edit layer. A G of 8 px has none: it samples, no more."""
        return self.depth > self.edit_layer

    @property
    def adapted_layers(self) -> list[int]:
        """The layers that δ perturbs: the last one of each resolution after the edit layer."""
        after = range(self.edit_layer + 1, self.depth + 1)
        return [i for i in after if i == self.depth or self.side(i + 1) > self.side(i)]


def perturbed(x: Tensor, delta: Tensor, additive: bool) -> Tensor:
    """A featuremap under its δ: x ⊙ (1 + δ), or x + δ."""
    return x + delta if additive else x * (1 + delta)


def pixel_norm(x: Tensor, eps: float = 1e-8) -> Tensor:
    """Scale each pixel's feature vector to unit root mean square. NCHW to NCHW."""
    # Divided by a root, as the published layouts define it: bit by bit the same.
    return x / torch.sqrt(x.square().mean(dim=1, keepdim=True) + eps)


class WScale(nn.Module):
    """The learned bias, and the constant that equalises learning rates (ProGAN, section 4.1)."""

    def __init__(self, channels: int, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.b = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale + self.b.view(1, -1, 1, 1)


class Block(nn.Module):
    """One layer of G: PixelNorm → (nearest ×2) → conv → scale and bias → LeakyReLU(0.2)."""

    def __init__(self, c_in: int, c_out: int, kernel: int, padding: int, upsample: bool) -> None:
        super().__init__()
        self.upsample = upsample
        self.conv = nn.Conv2d(c_in, c_out, kernel, padding=padding, bias=False)
        self.wscale = WScale(c_out, math.sqrt(2) / kernel / math.sqrt(c_in))
        nn.init.normal_(self.conv.weight)

    def forward(self, x: Tensor) -> Tensor:
        x = pixel_norm(x)
        if self.upsample:
            x = F.interpolate(x, scale_factor=2, mode="nearest")
        return F.leaky_relu(self.wscale(self.conv(x)), 0.2)


class Output(nn.Module):
    """PixelNorm → 1×1 conv → scale and bias: features to RGB, linear."""

    def __init__(self, c_in: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c_in, 3, 1, bias=False)
        self.wscale = WScale(3, 1 / math.sqrt(c_in))
        nn.init.normal_(self.conv.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.wscale(self.conv(pixel_norm(x)))


class Generator(SplitGenerator):
    """ProGAN's G: z (N×Z or N×Z×1×1, standard normal) to RGB (N×3×R×R, sRGB values in [-1, 1]).

    ``channels`` are the input widths of layers 1..n and the output width of layer n: n+1 numbers,
    ``channels[0]`` = Z. Layer 1 makes 4×4; layers 3, 5, 7… double the size; so R = 4·2^(n/2-1).
    """

    is_local = True

    def __init__(self, channels: list[int]) -> None:
        super().__init__()
        self.z_channels = channels[0]
        self.channels = list(channels)
        self.depth = len(channels) - 1
        self.edit_layer = EDIT_LAYER
        self.resolution = 4 * 2 ** (self.depth // 2 - 1)
        for i in range(1, self.depth + 1):
            kernel, padding = (4, 3) if i == 1 else (3, 1)
            up = i >= 3 and i % 2 == 1
            block = Block(channels[i - 1], channels[i], kernel, padding, up)
            self.add_module(f"layer{i}", block)
        self.output_name = f"output_{self.resolution}x{self.resolution}"
        self.add_module(self.output_name, Output(channels[-1]))

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Tensor]) -> Generator:
        """Build G with the sizes of the tensors in ``state`` and load them.

        Raises KeyError if layers are missing, RuntimeError if their sizes do not fit together.
        Four layers make 8 px: such a generator can sample, but has no head to edit.
        """
        numbers = [int(m.group(1)) for k in state if (m := re.match(r"layer(\d+)\.conv", k))]
        weights = [state[f"layer{i}.conv.weight"] for i in range(1, max(numbers, default=0) + 1)]
        if len(weights) < EDIT_LAYER or len(weights) % 2:
            raise KeyError(
                f"a generator has {EDIT_LAYER} layers or more, two for each size; "
                f"found {len(weights)}"
            )
        generator = cls([weights[0].shape[1], *(w.shape[0] for w in weights)])
        generator.load_state_dict(dict(state))
        return generator

    def side(self, i: int) -> int:
        return 4 * 2 ** ((i - 1) // 2)

    def layer(self, i: int) -> Block:
        """Layer i, counted from 1."""
        block = self.get_submodule(f"layer{i}")
        assert isinstance(block, Block)
        return block

    def stem(self, z: Tensor, residuals: Mapping[int, Tensor] | None = None) -> Tensor:
        x = z.reshape(z.shape[0], -1, 1, 1)
        for i in range(1, EDIT_LAYER + 1):
            x = self.layer(i)(x)
            if residuals is not None and i in residuals:
                x = x + residuals[i]
        return x

    @property
    def head_weights(self) -> list[nn.Parameter]:
        names = [f"layer{i}" for i in range(EDIT_LAYER + 1, self.depth + 1)]
        return [self.get_parameter(f"{name}.conv.weight") for name in (*names, self.output_name)]

    def linear_head(
        self, r: Tensor, deltas: Mapping[int, Tensor] | None = None, additive: bool = False
    ) -> Tensor:
        x = r
        for i in range(EDIT_LAYER + 1, self.depth + 1):
            x = self.layer(i)(x)
            if deltas is not None and i in deltas:
                x = perturbed(x, deltas[i], additive)
        output: Tensor = self.get_submodule(self.output_name)(x)
        return output

    def forward(self, z: Tensor) -> Tensor:
        """G(z): N×Z to N×3×R×R in [-1, 1]."""
        return self.head(self.stem(z))
