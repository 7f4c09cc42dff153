"""The published layouts: which names and shapes a generator's weights have.

A file is taken only if every name and every shape is what its layout says, with the sizes read
from the tensors. Sources: GAN Dissection's converted ProGAN weights, their predecessor
(``features.{i}``, ``output``), and StyleGAN2's widespread PyTorch state dict.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ganpaint_engine import stylegan2
from ganpaint_engine.errors import BadRequest, DamagedWeights, UnknownWeights

PROGGAN, STYLEGAN2 = "proggan", "stylegan2"
FORMATS = ("auto", PROGGAN, STYLEGAN2)

MIN_SIDE, MAX_SIDE = 8, 1024
MAX_CHANNELS = 4096
MAX_WEIGHTS = 2**28
"""All numbers of a file together; the largest published generators have 2²⁵."""
MEAN_STYLE_DRAWS = 4096

State = dict[str, Tensor]
Shapes = dict[str, tuple[int, ...]]


@dataclass
class Weights:
    """Weights of a known architecture under the names this package uses.

    notes: what had to be done or assumed, for the card.
    """

    architecture: str
    state: State
    notes: list[str] = field(default_factory=list)


def recognise(content: Mapping[str, Any], wanted: str = "auto") -> Weights:
    """The weights in a file's content, checked name by name.

    wanted: one of FORMATS; ``auto`` decides by the names. Raises UnknownWeights, which says what is
    missing, unexpected or of the wrong shape; DamagedWeights for values that are not finite;
    BadRequest for another format.
    """
    if wanted not in FORMATS:
        raise BadRequest(f"The format is one of {', '.join(FORMATS)}, not {wanted!r}.")
    state, mean_style = _unwrapped(content)
    architecture = _architecture(state)
    if architecture is None or wanted not in ("auto", architecture):
        raise UnknownWeights(
            f"These are no {wanted if wanted != 'auto' else 'ProGAN or StyleGAN2'} weights in a "
            f"layout that is known. The first names in the file: {_some(list(state))}."
        )
    _check_values(state)
    return _proggan(state) if architecture == PROGGAN else _stylegan2(state, mean_style)


def _architecture(state: State) -> str | None:
    if "layer1.conv.weight" in state or "features.0.conv.weight" in state:
        return PROGGAN
    if "style.1.weight" in state or "conv1.conv.weight" in state:
        return STYLEGAN2
    return None


def _unwrapped(content: Mapping[str, Any]) -> tuple[State, Tensor | None]:
    """The state dict itself, and StyleGAN2's ``latent_avg``, which may lie beside it."""
    inner: Mapping[str, Any] = content
    for wrapper in ("state_dict", "g_ema"):
        if isinstance(inner.get(wrapper), Mapping):
            inner = inner[wrapper]
        elif any(str(name).startswith(f"{wrapper}.") for name in inner):
            # safetensors are flat: a wrapper becomes the names' beginning.
            inner = {
                str(name).removeprefix(f"{wrapper}."): value
                for name, value in inner.items()
                if str(name).startswith(f"{wrapper}.")
            }
    strange = [k for k, v in inner.items() if not (isinstance(k, str) and isinstance(v, Tensor))]
    if strange or not inner:
        raise UnknownWeights(
            f"No state dict was found: {_some(strange)} is not the name of a tensor."
            if strange
            else "The file holds no weights."
        )
    state: State = dict(inner)
    beside = state.pop("latent_avg", None)
    if beside is None:
        beside = content.get("latent_avg")
    return state, beside if isinstance(beside, Tensor) else None


def _check_values(state: State) -> None:
    if sum(t.numel() for t in state.values()) > MAX_WEIGHTS:
        raise UnknownWeights("These weights are larger than any published generator's.")
    for name, tensor in state.items():
        if not tensor.is_floating_point() or tensor.layout != torch.strided:
            raise UnknownWeights(f"{name} holds no real numbers but {tensor.dtype}.")
        if not bool(torch.isfinite(tensor).all()):
            raise DamagedWeights(f"{name} holds values that are not numbers (NaN or infinity).")


def _check_shapes(state: State, expected: Shapes, optional: Shapes | None = None) -> None:
    """Raise UnknownWeights unless ``state`` has exactly these names and shapes."""
    shapes = {**expected, **(optional or {})}
    missing = [name for name in expected if name not in state]
    extra = [name for name in state if name not in shapes]
    wrong = [
        f"{name} is {_size(t.shape)} where {_size(shapes[name])} fits"
        for name, t in state.items()
        if name in shapes and tuple(t.shape) != shapes[name]
    ]
    faults = [f"lacks {_some(missing)}"] if missing else []
    faults += [f"has the unknown {_some(extra)}"] if extra else []
    faults += [_some(wrong)] if wrong else []
    if faults:
        raise UnknownWeights("Almost a known layout, but not quite: it " + "; ".join(faults) + ".")


def _dimensions(state: State, name: str, count: int) -> tuple[int, ...]:
    """The shape of a tensor that tells sizes. Raises UnknownWeights if it cannot be one."""
    if name not in state:
        raise UnknownWeights(f"Almost a known layout, but not quite: it lacks {name}.")
    shape = tuple(state[name].shape)
    if len(shape) != count or not all(1 <= n <= MAX_CHANNELS for n in shape):
        raise UnknownWeights(f"{name} cannot be {_size(shape)}.")
    return shape


def _check_side(side: int) -> None:
    if not MIN_SIDE <= side <= MAX_SIDE:
        raise UnknownWeights(
            f"A generator of {side} px; those of {MIN_SIDE} to {MAX_SIDE} px are known."
        )


# -- ProGAN --------------------------------------------------------------------------------------


def _proggan(found: State) -> Weights:
    state = _renamed(found)
    count = sum(re.fullmatch(r"layer\d+\.conv\.weight", name) is not None for name in state)
    if count % 2:
        raise UnknownWeights(f"{count} layers: ProGAN has two for each size, an even number.")
    side = 4 * 2 ** (count // 2 - 1)
    _check_side(side)
    shapes = [_dimensions(state, f"layer{i}.conv.weight", 4) for i in range(1, count + 1)]
    channels = [shapes[0][1], *(shape[0] for shape in shapes)]
    output = f"output_{side}x{side}"
    expected: Shapes = {}
    scales: Shapes = {}
    for i in range(1, count + 2):
        name, c_out, k = (f"layer{i}", channels[i], 3) if i <= count else (output, 3, 1)
        k = 4 if i == 1 else k
        expected[f"{name}.conv.weight"] = (c_out, channels[i - 1], k, k)
        expected[f"{name}.wscale.b"] = (c_out,)
        scales[f"{name}.wscale.scale"] = (1,)
    _check_shapes(state, expected, scales)
    notes = (
        ["The layout is the older one (features, output)."] if found.keys() != state.keys() else []
    )
    return Weights(PROGGAN, *_with_scales_folded(state, notes))


def _renamed(found: State) -> State:
    """The older layout's names in the newer one's; others are left as they are."""
    if "features.0.conv.weight" not in found:
        return dict(found)
    count = sum(re.fullmatch(r"features\.\d+\.conv\.weight", name) is not None for name in found)
    side = int(4 * 2 ** (count // 2 - 1))

    def new(name: str) -> str:
        name = re.sub(r"^features\.(\d+)\.", lambda m: f"layer{int(m.group(1)) + 1}.", name)
        return re.sub(r"^output\.", f"output_{side}x{side}.", name)

    renamed = {new(name): tensor for name, tensor in found.items()}
    if len(renamed) < len(found):
        raise UnknownWeights("The file mixes the names of two layouts (features.0 and layer1).")
    return renamed


def _with_scales_folded(state: State, notes: list[str]) -> tuple[State, list[str]]:
    """Files that store each layer's scale (``wscale.scale``) have it multiplied into the weights.

    The layers multiply by the scale that follows from the shapes: gain/k/√C_in.
    """
    kept = {name: t for name, t in state.items() if not name.endswith(".wscale.scale")}
    for name in state.keys() - kept.keys():
        weight = f"{name.removesuffix('wscale.scale')}conv.weight"
        _, c_in, k, _ = state[weight].shape
        gain = 1.0 if name.startswith("output_") else math.sqrt(2)
        ratio = float(state[name]) / (gain / k / math.sqrt(c_in))
        dtype = torch.promote_types(state[weight].dtype, torch.float32)
        kept[weight] = (state[weight].double() * ratio).to(dtype)
    if len(kept) < len(state):
        notes = [*notes, "The file's own scales are multiplied into the weights."]
    return kept, notes


# -- StyleGAN2 -----------------------------------------------------------------------------------


def _stylegan2(state: State, mean_style: Tensor | None) -> Weights:
    convs = sum(re.fullmatch(r"convs\.\d+\.conv\.weight", name) is not None for name in state)
    mapped = sum(re.fullmatch(r"style\.\d+\.weight", name) is not None for name in state)
    if convs % 2 or mapped < 1:
        raise UnknownWeights(
            f"{convs} layers after the first, {mapped} of the mapping: StyleGAN2 has an even "
            "number of the first, and at least one of the second."
        )
    _check_side(4 * 2 ** (convs // 2))
    expected = _stylegan2_shapes(state, convs, mapped)
    kernels: Shapes = dict.fromkeys(_kernel_names(convs), (4, 4))
    noises = {
        f"noises.noise_{i}": (1, 1, 4 * 2 ** ((i + 1) // 2), 4 * 2 ** ((i + 1) // 2))
        for i in range(convs + 1)
    }
    has_noises = any(name.startswith("noises.") for name in state)
    _check_shapes(state, {**expected, **(noises if has_noises else {})}, kernels)
    state = {k: t[0] if k.endswith(".conv.weight") else t for k, t in state.items()}
    notes = ["Edits run with the mean style and with the noise buffers held fixed."]
    state = {**{name: stylegan2.blur_kernel() for name in kernels}, **state}
    if not has_noises:
        draw = torch.Generator().manual_seed(0)
        state |= {name: torch.randn(shape, generator=draw) for name, shape in noises.items()}
        notes.append("The file has no noise buffers: they are drawn with seed 0.")
    return Weights(STYLEGAN2, *_with_mean_style(state, mean_style, notes))


def _kernel_names(convs: int) -> list[str]:
    return [f"convs.{i}.conv.blur.kernel" for i in range(0, convs, 2)] + [
        f"to_rgbs.{i}.upsample.kernel" for i in range(convs // 2)
    ]


def _stylegan2_shapes(state: State, convs: int, mapped: int) -> Shapes:
    """The names and shapes that follow from the widths of the layers."""
    widths = [_dimensions(state, "style.1.weight", 2)[1]]
    widths += [_dimensions(state, f"style.{i}.weight", 2)[0] for i in range(1, mapped + 1)]
    style = widths[-1]
    layers = ["conv1", *(f"convs.{i}" for i in range(convs))]
    channels = [_dimensions(state, "input.input", 4)[1]]
    channels += [_dimensions(state, f"{name}.conv.weight", 5)[1] for name in layers]
    shapes: Shapes = {"input.input": (1, channels[0], 4, 4)}
    for i in range(1, mapped + 1):
        shapes[f"style.{i}.weight"] = (widths[i], widths[i - 1])
        shapes[f"style.{i}.bias"] = (widths[i],)

    def modulated(name: str, c_in: int, c_out: int, k: int) -> None:
        shapes[f"{name}.conv.weight"] = (1, c_out, c_in, k, k)
        shapes[f"{name}.conv.modulation.weight"] = (c_in, style)
        shapes[f"{name}.conv.modulation.bias"] = (c_in,)

    for i, name in enumerate(layers, 1):
        modulated(name, channels[i - 1], channels[i], 3)
        shapes[f"{name}.noise.weight"] = (1,)
        shapes[f"{name}.activate.bias"] = (channels[i],)
    for i, name in enumerate(["to_rgb1", *(f"to_rgbs.{i}" for i in range(convs // 2))]):
        modulated(name, channels[2 * i + 1], 3, 1)
        shapes[f"{name}.bias"] = (1, 3, 1, 1)
    return shapes


def _with_mean_style(
    state: State, mean_style: Tensor | None, notes: list[str]
) -> tuple[State, list[str]]:
    """``latent_avg`` from the file, or the mean of w over MEAN_STYLE_DRAWS draws of z."""
    width = max(int(n.split(".")[1]) for n in state if n.startswith("style."))
    size = len(state[f"style.{width}.bias"])
    if mean_style is not None:
        if mean_style.numel() != size or not mean_style.is_floating_point():
            raise UnknownWeights(f"latent_avg is {_size(mean_style.shape)} where {size} fits.")
        _check_values({"latent_avg": mean_style})
        return {**state, "latent_avg": mean_style.reshape(-1)}, notes
    floats = {name: t.float() for name, t in state.items()}
    blank = {**floats, "latent_avg": torch.zeros(size)}
    generator = stylegan2.StyleGAN2.from_state_dict(blank)
    z = torch.randn(
        MEAN_STYLE_DRAWS, generator.z_channels, generator=torch.Generator().manual_seed(0)
    )
    with torch.no_grad():
        mean = generator.mapped(z).mean(0)
    notes.append(f"The file has no mean style: it is taken over {MEAN_STYLE_DRAWS} draws.")
    return {**state, "latent_avg": mean}, notes


# -- texts ---------------------------------------------------------------------------------------


def _some(names: list[Any], shown: int = 3) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(str(name)[:100] for name in names[:shown]) + more


def _size(shape: Any) -> str:
    return "×".join(str(n) for n in shape) or "a single number"
