"""The encoder E: a picture to the edit layer's featuremap r.

Fed with RGB and a mask of the pixels it must not trust, so that one network serves plain inversion
(mask empty) and inversion of a picture with a hole.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganpaint_engine.generator import pixel_norm

GRID = 8
FINE = 32
"""Side of the small picture whose pixels also reach r directly, 4×4 of them to each cell."""


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(8, channels)


class Down(nn.Module):
    """Halve the size: 4×4 conv of stride 2, norm, LeakyReLU, 3×3 conv, norm, LeakyReLU."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(c_in, c_out, 4, stride=2, padding=1, bias=False)
        self.norm1 = _norm(c_out)
        self.conv = nn.Conv2d(c_out, c_out, 3, padding=1, bias=False)
        self.norm2 = _norm(c_out)

    def forward(self, x: Tensor) -> Tensor:
        x = F.leaky_relu(self.norm1(self.reduce(x)), 0.2)
        return F.leaky_relu(self.norm2(self.conv(x)), 0.2)


class Residual(nn.Module):
    """A dilated residual block at 8×8, so that every cell sees the whole picture."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation)
        self.norm = _norm(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(F.leaky_relu(self.norm(self.conv1(x)), 0.2))


class Encoder(nn.Module):
    """E: N×3×R×R in [-1, 1] (and N×1×R×R mask in [0, 1]) to ``r``, N×C×8×8.

    ``widths`` are the channels after each halving; R = 8·2^len(widths).
    The output passes LeakyReLU and PixelNorm: G's next layer begins with PixelNorm, so the length
    of each cell's vector carries nothing, and fixing it makes activations comparable. For a G whose
    next layer does not (``lengths``), as StyleGAN2's, it is left as it is.
    """

    def __init__(self, widths: list[int], edit_channels: int, lengths: bool = False) -> None:
        super().__init__()
        self.lengths = lengths
        if lengths:
            self.register_buffer("keeps_lengths", torch.ones(1))  # tells it in the weights' file
        self.widths = list(widths)
        self.resolution = GRID * 2 ** len(widths)
        steps = zip([4, *widths[:-1]], widths, strict=True)
        self.down = nn.ModuleList(Down(c_in, c_out) for c_in, c_out in steps)
        self.colour = nn.Conv2d(4 * (FINE // GRID) ** 2, widths[-1], 1)
        self.context = nn.ModuleList(Residual(widths[-1], d) for d in (1, 2))
        self.out = nn.Conv2d(widths[-1], edit_channels, 1)

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Tensor]) -> Encoder:
        """Build E with the sizes of the tensors in ``state`` and load them."""
        count = len({k.split(".")[1] for k in state if k.startswith("down.")})
        widths = [state[f"down.{i}.reduce.weight"].shape[0] for i in range(count)]
        encoder = cls(widths, state["out.weight"].shape[0], "keeps_lengths" in state)
        encoder.load_state_dict(dict(state))
        return encoder

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        mask = torch.zeros_like(x[:, :1]) if mask is None else mask
        features = torch.cat([x * (1 - mask), mask], dim=1)
        # Normalised features forget how bright and how colourful the picture is; pixels do not.
        fine = F.pixel_unshuffle(F.adaptive_avg_pool2d(features, FINE), FINE // GRID)
        for block in self.down:
            features = block(features)
        features = features + self.colour(fine)
        for block in self.context:
            features = block(features)
        r = F.leaky_relu(self.out(features), 0.2)
        return r if self.lengths else pixel_norm(r)
