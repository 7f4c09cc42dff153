"""StyleGAN2's G in the widespread PyTorch layout, split at an 8×8 layer like ProGAN's.

Karras et al., *Analyzing and Improving the Image Quality of StyleGAN* (2020): mapping z → w, a
constant 4×4 input, modulated and demodulated convolutions, one noise picture per layer, and an RGB
skip that grows with the picture. Submodules are named as in the published state dicts; only the
leading 1 of the shape of their convolutions' weights is left out.

Layers are counted from 1: ``conv1`` (4×4), then ``convs.0``, ``convs.1`` (8×8), ``convs.2``… Where
a featuremap r is edited there is no z to take a style from: the head then runs with one style held
fixed (``latent_avg``, the mean w) and with the noise buffers. ``G(z)`` uses z's own style.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganpaint_engine.generator import SplitGenerator, perturbed, pixel_norm

EDIT_LAYER = 3
"""h: ``convs.1``, the last layer of 8×8."""

EDIT_LAYERS = (2, 3)
"""The layers whose featuremap is 8×8."""

MAPPING_RATE = 0.01  # the mapping network's weights and biases are stored divided by it
BLUR = (1.0, 3.0, 3.0, 1.0)


def blur_kernel() -> Tensor:
    """The 4×4 low-pass filter, ×4 to make up for the zeros that upsampling puts in."""
    k = torch.tensor(BLUR)
    return k[:, None] * k[None] / k.sum() ** 2 * 4


def filtered(x: Tensor, kernel: Tensor, before: int, after: int) -> Tensor:
    """Convolve every channel with ``kernel`` after padding by zeros. NCHW to NCHW."""
    x = F.pad(x, (before, after, before, after))
    weight = kernel.flip(0, 1).to(x.dtype)[None, None].expand(x.shape[1], 1, -1, -1)
    return F.conv2d(x, weight, groups=x.shape[1])


def upsampled(x: Tensor, kernel: Tensor) -> Tensor:
    """Twice the size: zeros in between, then the low-pass filter."""
    n, c, h, w = x.shape
    spread = x.new_zeros(n, c, h, 2, w, 2)
    spread[:, :, :, 0, :, 0] = x
    return filtered(spread.view(n, c, 2 * h, 2 * w), kernel, 2, 1)


def scaled_leaky_relu(x: Tensor) -> Tensor:
    """LeakyReLU(0.2) times √2, which keeps the variance."""
    return F.leaky_relu(x, 0.2) * math.sqrt(2)


class EqualLinear(nn.Module):
    """y = x Wᵀ·rate/√C_in + b·rate, the equalised learning rate."""

    def __init__(self, c_in: int, c_out: int, rate: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(c_out, c_in) / rate)
        self.bias = nn.Parameter(torch.zeros(c_out))
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        scale = self.rate / math.sqrt(self.weight.shape[1])
        return F.linear(x, self.weight * scale, self.bias * self.rate)


class Kernel(nn.Module):
    """Holds a filter where the layout has one."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernel", blur_kernel())


class ModulatedConv(nn.Module):
    """A convolution whose input channels are scaled by the style (section 2.2 of the paper).

    Demodulation divides each output channel by the norm of its modulated weights. With ``up`` the
    convolution is transposed, of stride 2, and followed by the low-pass filter.
    """

    def __init__(
        self, c_in: int, c_out: int, k: int, style: int, demodulate: bool = True, up: bool = False
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(c_out, c_in, k, k))
        self.modulation = EqualLinear(style, c_in)
        nn.init.ones_(self.modulation.bias)
        self.demodulate = demodulate
        self.up = up
        if up:
            self.blur = Kernel()

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        s = self.modulation(w)
        weight = self.weight / math.sqrt(self.weight[0].numel())
        x = x * s[:, :, None, None]
        if self.up:
            x = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
            x = filtered(x, self.blur.kernel, 1, 1)
        else:
            x = F.conv2d(x, weight, padding=weight.shape[-1] // 2)
        if self.demodulate:
            norm = F.linear(s.square(), weight.square().sum((2, 3)))
            x = x * torch.rsqrt(norm + 1e-8)[:, :, None, None]
        return x


class Noise(nn.Module):
    """How strongly a layer takes its noise picture."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))


class Bias(nn.Module):
    """The bias before the activation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))


class StyledConv(nn.Module):
    """One layer of G: modulated conv → noise → bias → scaled LeakyReLU."""

    def __init__(self, c_in: int, c_out: int, style: int, up: bool) -> None:
        super().__init__()
        self.conv = ModulatedConv(c_in, c_out, 3, style, up=up)
        self.noise = Noise()
        self.activate = Bias(c_out)

    def forward(self, x: Tensor, w: Tensor, noise: Tensor) -> Tensor:
        x = self.conv(x, w) + self.noise.weight * noise
        return scaled_leaky_relu(x + self.activate.bias.view(1, -1, 1, 1))


class ToRGB(nn.Module):
    """Features to RGB by a 1×1 modulated conv, added to the enlarged RGB of the size before."""

    def __init__(self, c_in: int, style: int, up: bool = True) -> None:
        super().__init__()
        self.conv = ModulatedConv(c_in, 3, 1, style, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))
        if up:
            self.upsample = Kernel()

    def forward(self, x: Tensor, w: Tensor, skip: Tensor | None = None) -> Tensor:
        y: Tensor = self.conv(x, w) + self.bias
        return y if skip is None else y + upsampled(skip, self.upsample.kernel)


class ConstantInput(nn.Module):
    """The learned 4×4 featuremap that G starts from."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.input = nn.Parameter(torch.randn(1, channels, 4, 4))


class StyleGAN2(SplitGenerator):
    """G: z (N×Z, standard normal) to RGB (N×3×R×R, sRGB values in [-1, 1]).

    channels: width of the constant input, then of layers 1..n, n = 2·log₂R - 3. mapping: widths of
    z and of the mapping network's layers; the last is that of w. The noise buffers are held fixed.
    """

    latent_avg: Tensor

    def __init__(
        self, channels: list[int], mapping: list[int], edit_layer: int = EDIT_LAYER
    ) -> None:
        super().__init__()
        self.z_channels, style = mapping[0], mapping[-1]
        self.channels = list(channels)
        self.depth = len(channels) - 1
        self.edit_layer = edit_layer
        self.resolution = self.side(self.depth)
        mapped = [EqualLinear(a, b, MAPPING_RATE) for a, b in itertools.pairwise(mapping)]
        self.style = nn.Sequential(nn.Identity(), *mapped)  # number 0 is PixelNorm, without weights
        self.input = ConstantInput(channels[0])
        self.conv1 = StyledConv(channels[0], channels[1], style, up=False)
        self.to_rgb1 = ToRGB(channels[1], style, up=False)
        self.convs = nn.ModuleList(
            StyledConv(channels[i - 1], channels[i], style, up=i % 2 == 0)
            for i in range(2, self.depth + 1)
        )
        self.to_rgbs = nn.ModuleList(ToRGB(channels[i], style) for i in range(3, self.depth + 1, 2))
        self.noises = nn.Module()
        for i in range(1, self.depth + 1):
            side = self.side(i)
            self.noises.register_buffer(f"noise_{i - 1}", torch.zeros(1, 1, side, side))
        self.register_buffer("latent_avg", torch.zeros(style))

    @classmethod
    def from_state_dict(
        cls, state: Mapping[str, Tensor], edit_layer: int = EDIT_LAYER
    ) -> StyleGAN2:
        """Build G with the sizes of the tensors in ``state`` and load them.

        Raises KeyError if layers are missing, RuntimeError if their sizes do not fit together.
        """
        convs = sum(k.startswith("convs.") and k.endswith(".conv.weight") for k in state)
        mapped = sum(k.startswith("style.") and k.endswith(".weight") for k in state)
        if convs < 2 or convs % 2 or mapped < 1:
            raise KeyError(f"found {convs} layers after the first, and {mapped} of the mapping")
        names = ["conv1", *(f"convs.{i}" for i in range(convs))]
        channels = [state["input.input"].shape[1]]
        channels += [state[f"{name}.conv.weight"].shape[0] for name in names]
        mapping = [state["style.1.weight"].shape[1]]
        mapping += [state[f"style.{i}.weight"].shape[0] for i in range(1, mapped + 1)]
        generator = cls(channels, mapping, edit_layer)
        generator.load_state_dict(dict(state))
        return generator

    def side(self, i: int) -> int:
        return 4 * 2 ** (i // 2)

    def mapped(self, z: Tensor) -> Tensor:
        """w: z (N×Z) normalised and taken through the mapping network. N×W."""
        w = pixel_norm(z.reshape(len(z), -1))
        for layer in list(self.style)[1:]:
            w = scaled_leaky_relu(layer(w))
        return w

    def _layer(self, i: int, x: Tensor, w: Tensor) -> Tensor:
        noise = self.noises.get_buffer(f"noise_{i - 1}")
        layer = self.conv1 if i == 1 else self.convs[i - 2]
        y: Tensor = layer(x, w, noise)
        return y

    def _begin(self, w: Tensor) -> tuple[Tensor, Tensor]:
        """Layer 1's featuremap and its RGB: all that comes before the first enlargement."""
        x = self._layer(1, self.input.input.expand(len(w), -1, -1, -1), w)
        return x, self.to_rgb1(x, w)

    def _stem(
        self, w: Tensor, residuals: Mapping[int, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """r, and the RGB skip of 4×4 that runs past it."""
        x, skip = self._begin(w)
        for i in range(1, self.edit_layer + 1):
            if i > 1:
                x = self._layer(i, x, w)
            if residuals is not None and i in residuals:
                x = x + residuals[i]
        return x, skip

    def _head(
        self,
        r: Tensor,
        skip: Tensor,
        w: Tensor,
        deltas: Mapping[int, Tensor] | None = None,
        additive: bool = False,
    ) -> Tensor:
        x = r
        for i in range(self.edit_layer, self.depth + 1):
            if i > self.edit_layer:
                x = self._layer(i, x, w)
                if deltas is not None and i in deltas:
                    x = perturbed(x, deltas[i], additive)
            if i % 2 == 1:
                skip = self.to_rgbs[(i - 3) // 2](x, w, skip)
        return skip

    def stem(self, z: Tensor, residuals: Mapping[int, Tensor] | None = None) -> Tensor:
        """Layers 1..h with z's own style: z (N×Z) to ``r`` (N×C×8×8)."""
        return self._stem(self.mapped(z), residuals)[0]

    @property
    def head_weights(self) -> list[nn.Parameter]:
        after = range(self.edit_layer + 1, self.depth + 1)
        names = [f"convs.{i - 2}" for i in after]
        names += [f"to_rgbs.{(i - 3) // 2}" for i in after if i % 2 == 1]
        return [self.get_parameter(f"{name}.conv.weight") for name in names]

    def linear_head(
        self, r: Tensor, deltas: Mapping[int, Tensor] | None = None, additive: bool = False
    ) -> Tensor:
        """Layers h+1..n with the mean style, before clamping: ``r`` to N×3×R×R."""
        w = self.latent_avg.expand(len(r), -1)
        _, skip = self._begin(w[:1])
        return self._head(r, skip.expand(len(r), -1, -1, -1), w, deltas, additive)

    def linear(self, z: Tensor) -> Tensor:
        """G(z) before clamping, as the layout defines it: N×Z to N×3×R×R."""
        w = self.mapped(z)
        r, skip = self._stem(w)
        return self._head(r, skip, w)

    def forward(self, z: Tensor) -> Tensor:
        """G(z) with z's own style: N×Z to N×3×R×R in [-1, 1]."""
        return self.linear(z).clamp(-1, 1)
