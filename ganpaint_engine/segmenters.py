"""Which segmenter finds a model's concepts: the shipped one, a file's, or a larger one at hand.

Nothing is fetched: networks of ``transformers`` and torchvision are used where their weights are
already on this disk.
"""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn import functional as F

from ganpaint_engine import model_package, paths, segmentation
from ganpaint_engine.errors import BadRequest, SegmenterMissing
from ganpaint_engine.model_package import ModelInfo
from ganpaint_engine.segmentation import Segmenter

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's pictures: what torchvision's and most of transformers' networks are fed with."""

PREPROCESSOR = "preprocessor_config.json"
"""Where a folder of transformers says otherwise."""

LOOKED_AT = 256
"""Shorter side in px at which such networks look at a picture; they know little under that."""

TORCHVISION = "torchvision:"


class Photographic(nn.Module):
    """A network for photographs behind the interface of our own: [-1, 1] in, logits out."""

    def __init__(
        self,
        net: nn.Module,
        mean: tuple[float, ...] = MEAN,
        deviation: tuple[float, ...] = DEVIATION,
    ) -> None:
        super().__init__()
        self.net = net
        self.mean, self.deviation = mean, deviation

    def forward(self, x: Tensor) -> Tensor:
        size = x.shape[-2:]
        mean, deviation = (
            torch.tensor(v).to(x).view(1, 3, 1, 1) for v in (self.mean, self.deviation)
        )
        x = (x + 1) / 2
        if min(size) < LOOKED_AT:
            x = F.interpolate(x, scale_factor=LOOKED_AT / min(size), mode="bilinear")
        answer = self.net((x - mean) / deviation)
        # The answers of transformers are dicts as well.
        if not isinstance(answer, Tensor):
            answer = answer.logits if hasattr(answer, "logits") else answer["out"]
        logits: Tensor = answer
        return F.interpolate(logits, size=size, mode="bilinear", align_corners=False)


def find(wanted: str | None, info: ModelInfo | None = None) -> Segmenter:
    """The segmenter that ``wanted`` names; none: the model's own, or else the shipped one.

    wanted: a file (safetensors, or of ``training.train_segmenter``); a folder that transformers
    saved, such as an ADE20K SegFormer's; or ``torchvision:NAME:FILE``. Raises BadRequest,
    SegmenterMissing (its library or weights are not here), DamagedModel.
    """
    if wanted is None:
        own = None if info is None else info.path / model_package.SEGMENTER
        shipped = own if own is not None and own.is_file() else paths.segmenter_file()
        if not shipped.is_file():
            raise SegmenterMissing("No segmenter came with this installation: name one.")
        return segmentation.load(shipped)
    if wanted.startswith(TORCHVISION):
        return _torchvision(wanted.removeprefix(TORCHVISION))
    path = Path(wanted)
    return _transformers(path) if path.is_dir() else segmentation.load(path)


def _transformers(folder: Path) -> Segmenter:
    """A semantic segmentation network in a folder. Nothing outside it is asked."""
    try:
        from transformers import AutoModelForSemanticSegmentation
    except ImportError as error:
        raise SegmenterMissing(
            f"{folder} needs the library transformers: pip install transformers"
        ) from error
    try:
        net = AutoModelForSemanticSegmentation.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False, use_safetensors=True
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise SegmenterMissing(
            f"{folder} holds no network that can be loaded (config.json and model.safetensors): "
            f"{error}"
        ) from error
    names = net.config.id2label
    classes = concept_names(names[i] for i in range(len(names)))
    return _tried(Photographic(net, *_normalisation(folder)), classes, str(folder))


def concept_names(labels: Iterable[str]) -> tuple[str, ...]:
    """What a segmenter's classes are called as concepts: ``Building;edifice`` is ``building``.

    Where two would be called the same, the later ones keep all of their words.
    """
    names: list[str] = []
    for label in labels:
        words = re.sub(r"[^a-z0-9,;/-]+", " ", str(label).lower())
        first = re.split(r"[,;/]", words)[0].strip()
        taken = first in names or not first
        names.append(re.sub(r"[,;/ ]+", " ", words).strip() if taken else first)
    return tuple(names)


def _normalisation(folder: Path) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation that a folder's network was trained with; ImageNet's if it is silent."""
    try:
        told: dict[str, Any] = json.loads((folder / PREPROCESSOR).read_text(encoding="utf-8"))
        mean, deviation = (tuple(map(float, told[k])) for k in ("image_mean", "image_std"))
    except (OSError, ValueError, KeyError, TypeError):
        return MEAN, DEVIATION
    right = len(mean) == len(deviation) == 3 and min(deviation) > 0
    return (mean, deviation) if right else (MEAN, DEVIATION)


def _tried(net: Photographic, classes: tuple[str, ...], told: str) -> Segmenter:
    """A segmenter that has answered once. Raises SegmenterMissing if it cannot."""
    net.eval().requires_grad_(False)
    try:
        with torch.no_grad():
            count = net(torch.zeros(1, 3, LOOKED_AT, LOOKED_AT)).shape[1]
    except (RuntimeError, ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise SegmenterMissing(f"{told} does not segment pictures: {error}.") from error
    if count != len(classes):
        raise SegmenterMissing(f"{told} names {len(classes)} classes and answers with {count}.")
    return Segmenter(net, classes)


def _torchvision(wanted: str) -> Segmenter:
    """``NAME:FILE``: one of torchvision's segmentation networks, with weights from a file."""
    from torchvision.models import get_model, get_model_weights

    name, _, file = wanted.partition(":")
    try:
        weights = get_model_weights(name).DEFAULT
        net = get_model(name, weights=None, weights_backbone=None, aux_loss=None)
    except (ValueError, TypeError) as error:
        raise BadRequest(f"torchvision has no segmentation network {name!r}.") from error
    path = (
        Path(file) if file else Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.url).name
    )
    if not path.is_file():
        raise SegmenterMissing(f"The weights of {name} are not here: {path}.")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        lacks = net.load_state_dict(
            state, strict=False
        ).missing_keys  # more may be there: a side exit
        if lacks:
            raise ValueError(f"it lacks {lacks[0]}")
    except (RuntimeError, OSError, EOFError, ValueError, TypeError, AttributeError) as error:
        raise BadRequest(f"{path} holds no weights of {name}: {error}.") from error
    except pickle.UnpicklingError as error:
        raise BadRequest(f"{path} holds no weights of {name}, or more than weights.") from error
    classes = concept_names(weights.meta["categories"])
    return _tried(Photographic(net), classes, f"torchvision's {name}")
