"""A model whose right answers are known: colours in, units on, the same colours out.

Unit k of the encoder is active where the picture's cell has the colour COLOURS[k], and the
generator draws that colour where unit k is active. A segmenter of the same making says sky, grass
or tree; green and orange are both trees: two looks.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from ganpaint_engine import model_package
from ganpaint_engine.encoder import Encoder
from ganpaint_engine.generator import Generator
from ganpaint_engine.segmentation import DilatedSegmenter, UNetSegmenter

COLOURS = {
    "sky": (120, 160, 255),
    "grass": (180, 200, 120),
    "summer": (60, 110, 40),
    "autumn": (190, 100, 30),
}
CLASSES = ("sky", "grass", "tree")
SKY, GRASS, SUMMER, AUTUMN = range(4)
UNITS = 16


def values() -> torch.Tensor:
    """COLOURS as 4×3 in [-1, 1]."""
    return torch.tensor(list(COLOURS.values())) / 127.5 - 1


def detectors() -> tuple[torch.Tensor, torch.Tensor]:
    """Weights 4×3 and biases 4: linear in the colour, 1.5 for their own one, negative for others.

    From |c - own|² without its |c|²; the bias lies half-way to the colour that comes next.
    """
    own = values()
    weight, bias = 2 * own, -own.square().sum(1)
    score = weight @ own.T + bias[:, None]
    top, second = score.diagonal(), (score - 99 * torch.eye(4)).amax(1)
    gain = 3 / (top - second)
    return weight * gain[:, None], (bias - (top + second) / 2) * gain


def encoder() -> Encoder:
    """32 px: units 0..3 see their colours; the network's deep path is silent."""
    net = Encoder([8, 16], UNITS)
    with torch.no_grad():
        for p in net.parameters():
            p.zero_()
        # A cell holds 4×4 pixels of 4 channels: its mean colour reaches the middle's channels 0..2.
        for channel in range(3):
            net.colour.weight[channel, 16 * channel : 16 * channel + 16] = 1 / 16
        weight, bias = detectors()
        net.out.weight[:4, :3, 0, 0], net.out.bias[:4] = weight, bias
    return net


def generator() -> Generator:
    """Draws each unit's colour: every layer hands its channels on, the last one mixes RGB."""
    net = Generator([8, *[UNITS] * 8])
    with torch.no_grad():
        for i in range(1, net.depth + 1):
            block = net.layer(i)
            block.conv.weight.zero_()
            middle = block.conv.weight.shape[-1] // 2
            for c in range(min(block.conv.weight.shape[:2])):
                block.conv.weight[c, c, middle, middle] = 1 / block.wscale.scale
        out = net.get_submodule(net.output_name)
        out.conv.weight.zero_()
        # PixelNorm makes the one active unit about √C: its share of the colour is 1.
        gain = 1 / UNITS**0.5 / out.wscale.scale
        out.conv.weight[:, :4, 0, 0] = values().T * gain * 1.1
    return net


def segmenter() -> UNetSegmenter:
    """Looks at each pixel by itself: its features are ``detectors``."""
    net = _silent(UNetSegmenter(classes=len(CLASSES)))
    last = net.up[2]
    with torch.no_grad():
        net.enter[0].weight[:4, :, 1, 1], net.enter[1].bias[:4] = detectors()
        skip = last[0].weight.shape[1] - 16
        for k in range(4):
            last[0].weight[k, skip + k, 1, 1] = 1
    return _answers(net)


def judge() -> DilatedSegmenter:
    """As ``segmenter``, of the other kind."""
    net = _silent(DilatedSegmenter(classes=len(CLASSES)))
    with torch.no_grad():
        net.enter[0][0].weight[:4, :, 1, 1], net.enter[0][1].bias[:4] = detectors()
        for k in range(4):
            net.enter[1][0].weight[k, k, 1, 1] = 1
    return _answers(net)


def _silent(net: nn.Module) -> nn.Module:
    """All weights 0, but the scales of its norms."""
    with torch.no_grad():
        for name, p in net.named_parameters():
            if not (p.ndim == 1 and name.endswith("weight")):
                p.zero_()
    return net.eval()


def _answers(net: nn.Module) -> nn.Module:
    with torch.no_grad():
        for k, c in enumerate((0, 1, 2, 2)):
            net.out.weight[c, k, 0, 0] = 1
    return net


def save_segmenter(net: nn.Module, path: Path) -> Path:
    """The file of a segmenter, as a package holds it."""
    state = {k: v.contiguous() for k, v in net.state_dict().items()}
    save_file(state, path, {"classes": json.dumps(CLASSES)})
    return path


def scene(rng: np.random.Generator, side: int = 96, autumn: bool | None = None) -> np.ndarray:
    """Sky above, grass below, one tree of either look. side×side×3 uint8."""
    cell = side // 8
    rgb = np.zeros((side, side, 3))
    horizon = cell * int(rng.integers(4, 6))
    rgb[:horizon], rgb[horizon:] = COLOURS["sky"], COLOURS["grass"]
    x, y = (cell * int(v) for v in (rng.integers(0, 6), rng.integers(2, 4)))
    fallen = bool(rng.random() < 0.4) if autumn is None else autumn
    rgb[y : y + 3 * cell, x : x + 2 * cell] = COLOURS["autumn" if fallen else "summer"]
    return np.clip(rgb + rng.normal(0, 3, rgb.shape), 0, 255).astype(np.uint8)


def scenes(folder: Path, count: int) -> None:
    """PNG files of ``count`` scenes."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        Image.fromarray(scene(rng)).save(folder / f"{i:03}.png")


def package(folder: Path) -> Path:
    """The model as a package without concepts."""
    g, e = generator(), encoder()
    card = {
        "name": folder.name,
        "version": "0.0.1",
        "terms": "none: planted",
        "resolution": g.resolution,
        "edit_layer": {"number": 4, "grid": 8, "units": UNITS},
        "channels": g.channels,
        "concepts": [],
    }
    model_package.save(folder, card, g.state_dict(), e.state_dict(), {})
    return folder
