"""The thumbnails of a model's named looks, for editors to choose by."""

from __future__ import annotations

import logging
import math
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from ganpaint_engine.model_package import ModelInfo, find_model
from ganpaint_engine.pictures import formats
from ganpaint_engine.service.protocol_messages import MAX_LOOK_SIDE, MAX_LOOKS

log = logging.getLogger(__name__)

_MAX_PIXELS = 1 << 20  # of a file; a package can come from anywhere
_MAX_BYTES = 1 << 20  # of all looks of a model: a client may ask again without reading


class Look(NamedTuple):
    """A thumbnail: ``width`` x ``height`` pixels of 8-bit sRGB in ``rgb``, rows from the top."""

    concept: str
    variant: str
    width: int
    height: int
    rgb: bytes


def of_model(name: str) -> tuple[Look, ...]:
    """The looks of a model that have a thumbnail. Read once; raises UnknownModel, DamagedModel."""
    info = find_model(name)
    return _read(info.path, tuple(_thumbnails(info)))


def _thumbnails(info: ModelInfo) -> list[tuple[str, str, str, str]]:
    """Concept, look, file and its hash. Only files that the card hashes: no path elsewhere."""
    files = info.card["files"]
    found = [
        (str(entry["name"]), str(look["name"]), file, str(files[file]))
        for entry in info.card["concepts"]
        for look in entry.get("variants", ())
        if (file := look.get("thumbnail")) in files
    ]
    return found[:MAX_LOOKS]


@lru_cache(maxsize=8)
def _read(folder: Path, named: tuple[tuple[str, str, str, str], ...]) -> tuple[Look, ...]:
    looks = []
    side = min(MAX_LOOK_SIDE, math.isqrt(_MAX_BYTES // 3 // max(1, len(named))))
    for concept, variant, file, _ in named:
        try:
            looks.append(_decoded(concept, variant, folder / Path(file).name, side))
        except Exception as error:  # Pillow's decoders raise whatever they like
            log.warning("The thumbnail %s cannot be read: %s", folder / file, error)
    return tuple(looks)


def _decoded(concept: str, variant: str, path: Path, side: int) -> Look:
    with Image.open(path, formats=formats()) as image:
        if image.width * image.height > _MAX_PIXELS:
            raise ValueError(f"{image.width}x{image.height} pixels are no thumbnail")
        small = image.convert("RGB")
    small.thumbnail((side, side))
    return Look(concept, variant, *small.size, small.tobytes())
