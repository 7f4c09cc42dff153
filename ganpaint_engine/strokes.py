"""Pictures on which a person painted where a thing is.

A folder of strokes may hold any of these, mixed:

- ``house.jpg`` and ``house.mask.png`` (also ``-mask``, ``_mask``): white is painted;
- ``pictures/house.jpg`` and ``masks/house.png``;
- ``house.jpg`` and ``house.png``, where one of the two is a greyscale picture: that is the mask;
- ``house.ora``: an OpenRaster file, as GIMP and Krita export it. The lowest layer is the picture;
  what is painted on the layers above it, in any colour, is the mask.
"""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np
from PIL import Image

from ganpaint_engine import pictures
from ganpaint_engine.errors import (
    BadRequest,
    CorruptImage,
    EmptyMask,
    MaskSizeMismatch,
    StrokesUnusable,
)
from ganpaint_engine.sizes import MAX_PIXELS
from ganpaint_engine.window import as_photo, check_size

FEWEST = 3
"""Painted pictures that a concept needs."""

_MASK_NAME = re.compile(r"^(?P<stem>.+)[._-]mask$", re.IGNORECASE)


class Painted(NamedTuple):
    """A picture and what was painted on it: H×W×3 uint8, sRGB, and H×W uint8, 0..255."""

    name: str
    rgb: np.ndarray
    mask: np.ndarray


def read(folder: Path) -> list[Painted]:
    """All painted pictures of a folder, in the order of their names.

    Raises StrokesUnusable (no folder, no pairs, too few, two masks for a picture), EmptyMask,
    MaskSizeMismatch, CorruptImage, PhotoTooSmall, PhotoTooLarge: each names the file.
    """
    if not folder.is_dir():
        raise BadRequest(f"There is no folder {folder}.")
    pairs = _pairs(folder)
    layered = sorted(p for p in folder.iterdir() if p.suffix.lower() == ".ora")
    if not pairs and not layered:
        raise StrokesUnusable(
            f"{folder} holds no picture with a mask: put house.mask.png beside house.jpg, white "
            "where the thing is, or export house.ora with the strokes on a layer of their own."
        )
    painted = [_checked(name, *_files(photo, mask)) for name, photo, mask in pairs]
    painted += [_checked(path.name, *_layers(path)) for path in layered]
    if len(painted) < FEWEST:
        raise StrokesUnusable(
            f"{folder} holds {len(painted)} painted pictures; {FEWEST} are the least, ten do well.",
            found=len(painted),
            needed=FEWEST,
        )
    return painted


def _pictures(folder: Path) -> list[Path]:
    known = Image.registered_extensions()
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.is_file() and p.suffix.lower() in known)


def _pairs(folder: Path) -> list[tuple[str, Path, Path]]:
    """Name, picture and mask of each pair of files."""
    files = _pictures(folder)
    masks = {m["stem"]: p for p in files if (m := _MASK_NAME.match(p.stem))}
    photos: dict[str, list[Path]] = {}
    for path in [*(f for f in files if f not in masks.values()), *_pictures(folder / "pictures")]:
        photos.setdefault(path.stem, []).append(path)
    masks |= {p.stem: p for p in _pictures(folder / "masks")}
    pairs = []
    for stem, paths in photos.items():
        if stem in masks:
            if len(paths) > 1:
                raise StrokesUnusable(
                    f"{stem}: several pictures share the mask {masks[stem].name}."
                )
            pairs.append((paths[0].name, paths[0], masks[stem]))
        elif len(paths) == 2:
            grey = [p for p in paths if _is_grey(p)]
            if len(grey) == 1:
                photo = paths[0] if paths[1] == grey[0] else paths[1]
                pairs.append((photo.name, photo, grey[0]))
    return pairs


def _is_grey(path: Path) -> bool:
    """Whether a file is stored as a greyscale picture, as masks are."""
    try:
        with Image.open(path, formats=pictures.formats()) as image:
            return image.mode in ("1", "L", "LA")
    except (OSError, SyntaxError, ValueError):
        return False


def _files(photo: Path, mask: Path) -> tuple[np.ndarray, np.ndarray]:
    return as_photo(pictures.read_photo(photo))[0], np.asarray(pictures.read_mask(mask))


def _layers(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Picture and mask of an OpenRaster file. Raises CorruptImage, StrokesUnusable."""
    try:
        with zipfile.ZipFile(path) as archive:
            stack = ElementTree.fromstring(_unpacked(archive, "stack.xml"))
            width, height = int(stack.attrib["w"]), int(stack.attrib["h"])
            check_size(width, height)
            layers = [
                _layer(archive, element.attrib, (width, height))
                for element in stack.iter("layer")
                if element.attrib.get("visibility", "visible") == "visible"
            ]
    except (
        *(OSError, KeyError, ValueError, SyntaxError),
        *(zipfile.BadZipFile, Image.DecompressionBombError),
    ) as error:
        raise CorruptImage(f"{path} cannot be read as an OpenRaster file: {error}.") from error
    if len(layers) < 2:
        raise StrokesUnusable(f"{path.name} has one layer: paint the strokes on a layer above it.")
    *strokes, photo = layers  # the file lists them from the top
    alphas = [np.asarray(layer.getchannel("A")) for layer in strokes]
    return as_photo(photo)[0], np.maximum.reduce(alphas)


def _unpacked(archive: zipfile.ZipFile, name: str) -> bytes:
    """A file of the archive. Raises ValueError for one that no layer needs to be."""
    if archive.getinfo(name).file_size > 4 * MAX_PIXELS:
        raise ValueError(f"{name} in it is larger than any layer")
    return archive.read(name)


def _layer(
    archive: zipfile.ZipFile, attributes: dict[str, str], size: tuple[int, int]
) -> Image.Image:
    """A layer on a transparent picture of the whole size, RGBA."""
    packed = io.BytesIO(_unpacked(archive, attributes["src"]))
    with Image.open(packed, formats=pictures.formats()) as image:
        check_size(max(image.width, 64), max(image.height, 64))
        whole = Image.new("RGBA", size, (0, 0, 0, 0))
        corner = (int(attributes.get("x", "0")), int(attributes.get("y", "0")))
        whole.paste(image.convert("RGBA"), corner)
    return whole


def _checked(name: str, rgb: np.ndarray, mask: np.ndarray) -> Painted:
    if rgb.shape[:2] != mask.shape:
        raise MaskSizeMismatch(
            f"{name} is {rgb.shape[1]}x{rgb.shape[0]} px, its mask "
            f"{mask.shape[1]}x{mask.shape[0]}.",
            file=name,
        )
    if mask.max() < 128:
        raise EmptyMask(f"Nothing is painted on {name}.", file=name)
    if mask.min() >= 128:
        raise StrokesUnusable(
            f"All of {name} is painted: what is not the thing must be seen as well.", file=name
        )
    return Painted(name, rgb, mask)
