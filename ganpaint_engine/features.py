"""Networks whose features tell how alike two pictures look, for the loss of inversion.

    L_r = |x - G(z)| + λ Σ_i 1/M_i |F_i(x) - F_i(G(z))|

F is VGG-16 where its weights were fetched (``ganpaint features pull vgg16``), as in the paper, or
else the segmenter that comes with the bundled model. Nothing is fetched here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganpaint_engine import paths, segmentation
from ganpaint_engine.errors import BadRequest, FeaturesMissing
from ganpaint_engine.published import catalogue, weight_files

KINDS = ("auto", "vgg16", "bundled", "none")
"""Which features a loss compares: ``auto`` is VGG-16 where it is here, else the bundled ones."""

RELU_4_2 = 20
"""Index in VGG-16 of the layer whose features the published inversion code compares."""

LAMBDA_VGG = 1.0
"""λ for VGG-16: that of the published inversion code."""

LAMBDA_BUNDLED = 0.1
"""λ for the bundled features: the largest of those tried at which no PSNR is lost."""


class Features(NamedTuple):
    """A loaded F: pictures N×3×R×R in [-1, 1] to its featuremaps, and the weight of their loss."""

    name: str
    maps: Callable[[Tensor], list[Tensor]]
    weight: float


class _Vgg16(nn.Module):
    """VGG-16 (Simonyan and Zisserman, 2014) up to relu4_2, fed as the published code feeds it."""

    def __init__(self, state: dict[str, Tensor]) -> None:
        from torchvision.models.vgg import cfgs, make_layers  # without its large classifier

        super().__init__()
        self.features = make_layers(cfgs["D"])[: RELU_4_2 + 1]
        self.features.load_state_dict(
            {k: state[f"features.{k}"] for k in self.features.state_dict()}
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        return [self.features(x)]


def vgg16_file() -> Path:
    """Where VGG-16's weights lie once they were fetched."""
    return paths.features_dir() / catalogue.find("vgg16", catalogue.FEATURES).file


def load(kind: str = "auto", device: torch.device | str = "cpu") -> Features | None:
    """One of KINDS; None for ``none``. Raises BadRequest, FeaturesMissing, DamagedWeights."""
    if kind not in KINDS:
        raise BadRequest(f"Features are one of {', '.join(KINDS)}, not {kind!r}.")
    if kind == "auto":
        kind = "vgg16" if vgg16_file().is_file() else "bundled"
    if kind == "none":
        return None
    if kind == "vgg16":
        net, weight = _read_vgg16(), LAMBDA_VGG
    else:
        loaded = segmentation.load(paths.segmenter_file()).net
        assert isinstance(loaded, segmentation.UNetSegmenter)
        net, weight = _Maps(loaded), LAMBDA_BUNDLED
    return Features(kind, net.to(device).eval().requires_grad_(False), weight)


class _Maps(nn.Module):
    def __init__(self, segmenter: segmentation.UNetSegmenter) -> None:
        super().__init__()
        self.segmenter = segmenter

    def forward(self, x: Tensor) -> list[Tensor]:
        return self.segmenter.features(x)


def _read_vgg16() -> nn.Module:
    path = vgg16_file()
    if not path.is_file():
        raise FeaturesMissing(
            "The weights of VGG-16 are not here. Fetch them with: ganpaint features pull vgg16"
        )
    try:
        return _Vgg16(dict(weight_files.read(path)))
    except (KeyError, RuntimeError) as error:
        raise FeaturesMissing(f"{path} does not hold the weights of VGG-16: {error}.") from error


def loss_to(x: Tensor, features: Features | None) -> Callable[[Tensor], Tensor]:
    """L_r of pictures against x (N×3×R×R in [-1, 1]): x's features are worked out once."""
    with torch.no_grad():
        wanted = [] if features is None else features.maps(x)

    def loss(y: Tensor) -> Tensor:
        total = F.l1_loss(y, x)
        if features is not None:
            for got, want in zip(features.maps(y), wanted, strict=True):
                total = total + features.weight * F.l1_loss(got, want)
        return total

    return loss
