"""Small segmenters: one ranks units in dissection, a differently built one judges edits.

Both take N×3×R×R in [-1, 1] and return logits N×K×R×R over ``CLASSES``. They look at pictures at
64 px, whatever the model's resolution: larger ones are averaged, and the logits scaled up again.
"""

from __future__ import annotations

import itertools
import json
import pickle
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganpaint_engine import paths
from ganpaint_engine.errors import BadRequest, DamagedModel

CLASSES = (
    "sky", "grass", "tree", "wall", "roof", "dome", "door", "window", "path", "hill", "bush",
)  # fmt: skip

SIDE = 64
"""Side in px at which both segmenters look at a picture."""


def shrink(x: Tensor) -> Tensor:
    """Average pictures N×3×R×R that are larger than SIDE down to it."""
    return F.adaptive_avg_pool2d(x, SIDE) if x.shape[-1] > SIDE else x


def _enlarge(logits: Tensor, x: Tensor) -> Tensor:
    """Logits at the size of the pictures ``x``."""
    if logits.shape[-2:] == x.shape[-2:]:
        return logits
    return F.interpolate(logits, size=x.shape[-2:], mode="bilinear", align_corners=False)


def _conv(c_in: int, c_out: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(c_in, c_out, 3, stride, padding=dilation, dilation=dilation, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(c_out), nn.ReLU(inplace=True))


class UNetSegmenter(nn.Module):
    """A U-Net with three halvings: the segmenter that dissection and training see."""

    def __init__(self, width: int = 16, classes: int = len(CLASSES)) -> None:
        super().__init__()
        w = [width, 2 * width, 4 * width, 4 * width]
        self.enter = _conv(3, w[0])
        self.down = nn.ModuleList(_conv(a, b, stride=2) for a, b in itertools.pairwise(w))
        self.middle = _conv(w[3], w[3], dilation=2)
        self.up = nn.ModuleList(
            _conv(w[i + 1] + w[i], w[i]) if i else _conv(w[1] + w[0], w[0]) for i in (2, 1, 0)
        )
        self.out = nn.Conv2d(w[0], classes, 1)

    def features(self, x: Tensor) -> list[Tensor]:
        """The featuremaps at SIDE and its halves: also what the perceptual loss compares."""
        x = self.enter(shrink(x))
        maps = [x]
        for block in self.down:
            x = block(x)
            maps.append(x)
        return maps

    def forward(self, x: Tensor) -> Tensor:
        *skips, y = self.features(x)
        y = self.middle(y)
        for block, skip in zip(self.up, reversed(skips), strict=True):
            y = block(torch.cat([F.interpolate(y, size=skip.shape[-2:]), skip], dim=1))
        return _enlarge(self.out(y), x)


class DilatedSegmenter(nn.Module):
    """The judge: no skips and no U, dilated convolutions at a quarter of the size."""

    def __init__(self, width: int = 64, classes: int = len(CLASSES)) -> None:
        super().__init__()
        self.enter = nn.Sequential(_conv(3, width // 2, stride=2), _conv(width // 2, width))
        self.body = nn.ModuleList(_conv(width, width, dilation=d) for d in (1, 2, 4, 8, 1))
        self.out = nn.Conv2d(width, classes, 1)

    def features(self, x: Tensor) -> list[Tensor]:
        """The featuremaps at a quarter of SIDE, one after each block."""
        maps = [self.enter(shrink(x))]
        for block in self.body:
            maps.append(maps[-1] + block(maps[-1]))
        return maps

    def forward(self, x: Tensor) -> Tensor:
        return _enlarge(self.out(self.features(x)[-1]), x)


def load_judge(path: Path | None = None) -> DilatedSegmenter:
    """The segmenter that judges edits, in eval mode: the one that is shipped, or another."""
    from safetensors.torch import load_file

    judge = DilatedSegmenter()
    state = load_file(path or paths.judge_file())
    judge.load_state_dict({k: v.float() for k, v in state.items()}, strict=False)
    return judge.eval()


class Segmenter(NamedTuple):
    """A loaded segmenter, in eval mode, and what it calls the classes of its logits."""

    net: nn.Module
    classes: tuple[str, ...]

    @torch.no_grad()
    def labels(self, x: Tensor, batch: int = 16) -> Tensor:
        """The class of every pixel of N×3×R×R in [-1, 1]: N×R×R int64."""
        return torch.cat([self.net(part).argmax(1) for part in x.split(batch)])


def load(path: Path) -> Segmenter:
    """A segmenter from a file: safetensors, or what ``training.train_segmenter`` writes.

    The kind and the sizes are read off the tensors; the names of the classes are those of the
    safetensors' metadata (``classes``, a JSON list), else CLASSES. Raises BadRequest (no such
    file), DamagedModel.
    """
    if not path.is_file():
        raise BadRequest(f"There is no segmenter {path}.")
    try:
        state, classes = _read(path)
        kind = DilatedSegmenter if "body.0.0.weight" in state else UNetSegmenter
        entry = state["enter.1.0.weight" if kind is DilatedSegmenter else "enter.0.weight"]
        count = state["out.weight"].shape[0]
        net = kind(entry.shape[0], count)
        net.load_state_dict(state, strict=False)
        names = tuple(classes or CLASSES[:count])
        if len(names) != count or not state.keys() >= dict(net.named_parameters()).keys():
            raise ValueError("its tensors are not those of a segmenter of that many classes")
    except (OSError, KeyError, IndexError, AttributeError, RuntimeError, ValueError) as error:
        raise DamagedModel(f"{path} is no segmenter: {error}.", file=path.name) from error
    return Segmenter(net.eval().requires_grad_(False), names)


def to_bytes(segmenter: Segmenter) -> bytes:
    """The file of a segmenter, as a model package holds it: fp16."""
    from safetensors.torch import save

    state = {
        k: (v.half() if v.is_floating_point() else v).cpu().contiguous()
        for k, v in segmenter.net.state_dict().items()
    }
    return save(state, {"classes": json.dumps(segmenter.classes)})


def _read(path: Path) -> tuple[dict[str, Tensor], list[str]]:
    """The tensors of a file as float32 (integers kept), and the classes that it names."""
    from safetensors import SafetensorError, safe_open

    state: dict[str, Any]
    classes: list[str] = []
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, "pt") as file:
                state = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
                classes = json.loads((file.metadata() or {}).get("classes", "[]"))
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)["state"]
    except (SafetensorError, pickle.UnpicklingError, TypeError) as error:
        raise ValueError(str(error)) from error
    return {k: t.float() if t.is_floating_point() else t for k, t in state.items()}, classes
