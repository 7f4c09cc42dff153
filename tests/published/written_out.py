"""Random weights in each published layout, and G(z) written out from the layout's formulas.

Nothing of the package is used here: these are what it is compared with. Computed in float64 unless
told otherwise.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

State = dict[str, Tensor]


def normal(draw: torch.Generator, *shape: int, spread: float = 1.0) -> Tensor:
    return torch.randn(shape, generator=draw) * spread


# -- ProGAN --------------------------------------------------------------------------------------


def proggan(channels: list[int], seed: int = 0) -> State:
    """``channels``: Z, then the width of every layer's output."""
    draw = torch.Generator().manual_seed(seed)
    depth = len(channels) - 1
    side = 2 ** (depth // 2 + 1)
    state: State = {}
    for i in range(1, depth + 1):
        k = 4 if i == 1 else 3
        state[f"layer{i}.conv.weight"] = normal(draw, channels[i], channels[i - 1], k, k)
        state[f"layer{i}.wscale.b"] = normal(draw, channels[i], spread=0.3)
    state[f"output_{side}x{side}.conv.weight"] = normal(draw, 3, channels[-1], 1, 1, spread=0.5)
    state[f"output_{side}x{side}.wscale.b"] = normal(draw, 3, spread=0.1)
    return state


def as_older(state: State) -> State:
    """The same weights in the older layout."""
    older = {}
    for name, tensor in state.items():
        first, _, rest = name.partition(".")
        number = first.removeprefix("layer")
        place = "output" if first.startswith("output") else f"features.{int(number) - 1}"
        older[f"{place}.{rest}"] = tensor
    return older


def older_scales(state: State, seed: int = 0) -> State:
    """``wscale.scale`` of every layer of the older layout: numbers near those of the formula."""
    draw = torch.Generator().manual_seed(seed)
    scales = {}
    for name, w in state.items():
        if name.endswith("conv.weight"):
            gain = 1.0 if name.startswith("output") else math.sqrt(2)
            scale = gain / math.sqrt(w[0].numel()) * (1 + 0.1 * float(normal(draw, 1)))
            scales[name.replace("conv.weight", "wscale.scale")] = torch.tensor([scale])
    return scales


def proggan_of_z(
    older: State, z: Tensor, scales: State | None = None, dtype: torch.dtype = torch.float64
) -> Tensor:
    """G(z) from the older layout's names, clamped to [-1, 1]."""
    x = z.to(dtype)[:, :, None, None]
    depth = sum(name.startswith("features.") and "conv" in name for name in older)
    for i in range(depth + 1):
        name = f"features.{i}" if i < depth else "output"
        x = x / (x.pow(2).mean(1, keepdim=True) + 1e-8).sqrt()
        if 0 < i < depth and i % 2 == 0:
            x = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
        w = older[f"{name}.conv.weight"].to(dtype)
        scale = (math.sqrt(2) if i < depth else 1) / math.sqrt(w[0].numel())
        if scales is not None:
            scale = float(scales[f"{name}.wscale.scale"])
        x = F.conv2d(x, w, padding=3 if i == 0 else w.shape[-1] // 2) * scale
        x = x + older[f"{name}.wscale.b"].to(dtype)[None, :, None, None]
        if i < depth:
            x = torch.maximum(x, 0.2 * x)
    return x.clamp(-1, 1)


# -- StyleGAN2 -----------------------------------------------------------------------------------


def stylegan2(channels: list[int], mapping: list[int], seed: int = 0) -> State:
    """``channels``: of the constant, then of every layer. ``mapping``: widths of z … w."""
    draw = torch.Generator().manual_seed(seed)
    style, state = mapping[-1], {}
    for i in range(1, len(mapping)):
        state[f"style.{i}.weight"] = normal(draw, mapping[i], mapping[i - 1], spread=100)
        state[f"style.{i}.bias"] = normal(draw, mapping[i], spread=10)
    state["input.input"] = normal(draw, 1, channels[0], 4, 4)
    depth = len(channels) - 1
    kernel = torch.tensor([1.0, 3.0, 3.0, 1.0])
    kernel = 4 * kernel[:, None] * kernel[None] / 64

    def modulated(name: str, c_in: int, c_out: int, k: int) -> None:
        state[f"{name}.conv.weight"] = normal(
            draw, 1, c_out, c_in, k, k, spread=0.3 if k == 1 else 1
        )
        state[f"{name}.conv.modulation.weight"] = normal(draw, c_in, style, spread=0.5)
        state[f"{name}.conv.modulation.bias"] = 1 + normal(draw, c_in, spread=0.1)

    for i in range(1, depth + 1):
        name = "conv1" if i == 1 else f"convs.{i - 2}"
        modulated(name, channels[i - 1], channels[i], 3)
        if i % 2 == 0:
            state[f"{name}.conv.blur.kernel"] = kernel.clone()
        state[f"{name}.noise.weight"] = normal(draw, 1, spread=0.3)
        state[f"{name}.activate.bias"] = normal(draw, channels[i], spread=0.3)
        side = 2 ** (i // 2 + 2)
        state[f"noises.noise_{i - 1}"] = normal(draw, 1, 1, side, side)
        if i % 2 == 1:
            name = "to_rgb1" if i == 1 else f"to_rgbs.{(i - 3) // 2}"
            modulated(name, channels[i], 3, 1)
            state[f"{name}.bias"] = normal(draw, 1, 3, 1, 1, spread=0.1)
            if i > 1:
                state[f"{name}.upsample.kernel"] = kernel.clone()
    return state


def stuffed(x: Tensor) -> Tensor:
    """Zeros between the pixels, and after the last of each row and column."""
    out = x.new_zeros(*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3])
    out[:, :, ::2, ::2] = x
    return out


def smoothed(x: Tensor, kernel: Tensor, before: int, after: int) -> Tensor:
    """Convolution with the 4×4 kernel, as a sum of shifted pictures."""
    x = F.pad(x, (before, after, before, after))
    h, w = x.shape[2] - 3, x.shape[3] - 3
    total = x.new_zeros(*x.shape[:2], h, w)
    for i in range(4):
        for j in range(4):
            total += kernel.double()[3 - i, 3 - j] * x[:, :, i : i + h, j : j + w]
    return total


def modulated_conv(state: State, name: str, x: Tensor, w: Tensor, demodulate: bool) -> Tensor:
    """Weights modulated sample by sample, as the paper writes it."""
    weight = state[f"{name}.conv.weight"].double()[0]
    a = state[f"{name}.conv.modulation.weight"].double()
    s = w @ a.T / math.sqrt(a.shape[1]) + state[f"{name}.conv.modulation.bias"].double()
    kernel = state.get(f"{name}.conv.blur.kernel")
    rows = []
    for one, style in zip(x.split(1), s, strict=True):
        k = weight / math.sqrt(weight[0].numel()) * style[None, :, None, None]
        if demodulate:
            k = k / (k.pow(2).sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        if kernel is not None:
            # A transposed convolution of stride 2 is one with the flipped kernel between zeros.
            spread = stuffed(one)[:, :, :-1, :-1]
            y = smoothed(F.conv2d(spread, k.flip(2, 3), padding=2), kernel, 1, 1)
        else:
            y = F.conv2d(one, k, padding=k.shape[-1] // 2)
        rows.append(y)
    return torch.cat(rows)


def mean_style(state: State, z: Tensor) -> Tensor:
    """w of every z."""
    w = z.double() / (z.double().pow(2).mean(1, keepdim=True) + 1e-8).sqrt()
    for i in range(1, 1 + sum(n.startswith("style.") and "weight" in n for n in state)):
        a, b = state[f"style.{i}.weight"].double(), state[f"style.{i}.bias"].double()
        w = w @ a.T * 0.01 / math.sqrt(a.shape[1]) + 0.01 * b
        w = torch.maximum(w, 0.2 * w) * math.sqrt(2)
    return w


def stylegan2_of_w(state: State, w: Tensor) -> Tensor:
    """G from the style on, not clamped."""
    x = state["input.input"].double().repeat(len(w), 1, 1, 1)
    depth = sum(n.startswith("noises.") for n in state)
    rgb = None
    for i in range(1, depth + 1):
        name = "conv1" if i == 1 else f"convs.{i - 2}"
        x = modulated_conv(state, name, x, w, demodulate=True)
        noise = state[f"noises.noise_{i - 1}"].double()
        x = x + state[f"{name}.noise.weight"].double() * noise
        x = x + state[f"{name}.activate.bias"].double()[None, :, None, None]
        x = torch.maximum(x, 0.2 * x) * math.sqrt(2)
        if i % 2 == 1:
            name = "to_rgb1" if i == 1 else f"to_rgbs.{(i - 3) // 2}"
            y = modulated_conv(state, name, x, w, demodulate=False) + state[f"{name}.bias"].double()
            if rgb is not None:
                y = y + smoothed(stuffed(rgb), state[f"{name}.upsample.kernel"], 2, 1)
            rgb = y
    assert rgb is not None
    return rgb


def stylegan2_of_z(state: State, z: Tensor) -> Tensor:
    """G(z), not clamped."""
    return stylegan2_of_w(state, mean_style(state, z))
