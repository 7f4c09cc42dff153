"""Squares of a folder's photos, with labels: what ``ganpaint train`` learns from.

Every photo gives squares of itself: all of it, and closer ones where photos are few. Labels are
read from PNGs of the photos' names, or guessed by a segmenter; a guess also stands in where a label
map says nothing that a model can know.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ganpaint_engine import model_dissection, window
from ganpaint_engine.errors import BadTrainingData
from ganpaint_engine.photo_folder import PhotoFolder, Problem
from ganpaint_engine.pictures import formats
from ganpaint_engine.prior import OnStep
from ganpaint_engine.segmentation import CLASSES, Segmenter

LEAST = 20
"""Photos under which nothing can be learned but these photos themselves."""

WINDOWS = 1200
"""Squares wanted at least, all photos together; a photo gives MOST_EACH at most."""
MOST_EACH = 8
HELD_OUT_EVERY = 10

NAMES = "classes.txt"
"""Beside label maps: the names of their values, one a line, 0 first."""

GUESS, WRONG = 255, 254
"""In a lookup: the segmenter is asked, or no label map may hold that value. 255 also says in a
label map that a pixel has no label."""


@dataclass
class Photographs:
    """Squares of a folder's photos: N×3×R×R uint8 and labels N×R×R uint8, and which are held out.

    photos: how many pictures they are of. problems: what was left out.
    """

    pictures: Tensor
    labels: Tensor
    held: Tensor
    photos: int
    problems: list[Problem]


def class_lookup(folder: Path) -> np.ndarray:
    """What each value of the folder's label maps is among CLASSES: 256 values, uint8.

    By the names in NAMES, or, where that is not there, in the order of the scene renderer's labels.
    The value 255, and a name that models do not know, is GUESS; a value without a name is WRONG.
    Raises BadTrainingData.
    """
    from training.data import FINER
    from training.renderer.labels import LABELS

    file, names = folder / NAMES, list(LABELS)
    if not folder.is_dir():
        raise BadTrainingData(f"There is no folder of label maps {folder}.")
    if file.exists():
        try:
            names = [line.strip().lower() for line in file.read_text("utf-8").splitlines()]
        except (OSError, UnicodeDecodeError) as error:
            raise BadTrainingData(f"{file} cannot be read: {error}.") from error
        if not any(name in CLASSES or name in FINER for name in names) or len(names) > WRONG:
            raise BadTrainingData(
                f"{file} is to name the values of the label maps, one a line; at least one of: "
                f"{', '.join(LABELS)}."
            )
    lookup = np.full(256, WRONG, np.uint8)
    for value, name in enumerate(names):
        known = FINER.get(name, name)
        lookup[value] = CLASSES.index(known) if known in CLASSES else GUESS
    lookup[255] = GUESS
    return lookup


def squares(width: int, height: int, count: int, seed: int) -> list[window.Window]:
    """``count`` squares of a photo or a few more: first what covers all of it, then closer ones."""
    side = min(width, height)
    steps = max(math.ceil(max(width, height) / side - 0.1), 1)
    places = []
    for i in range(steps):
        shift = round(i * (max(width, height) - side) / max(steps - 1, 1)) if steps > 1 else None
        if shift is None:
            places.append(window.whole_window(width, height))
        else:
            places.append(window.Window(*((shift, 0) if width > height else (0, shift)), side))
    rng = np.random.default_rng(seed)
    while len(places) < count:
        closer = max(round(side * rng.uniform(0.45, 0.9)), 1)
        x, y = rng.integers(0, width - closer + 1), rng.integers(0, height - closer + 1)
        places.append(window.Window(int(x), int(y), closer))
    return places


def read(
    photos: Path, label_maps: Path | None, side: int, segmenter: Segmenter, on_step: OnStep
) -> Photographs:
    """All usable photos of a folder as squares of ``side`` px.

    label_maps: a folder of PNGs of the photos' names and sizes, one byte a pixel, see
    ``class_lookup``. Raises BadRequest, TooFewPhotos, BadTrainingData (a label map that does not
    fit its photo).
    """
    folder = PhotoFolder.open(photos)
    lookup = None if label_maps is None else class_lookup(label_maps)
    each = min(max(WINDOWS // max(len(folder), 1), 1), MOST_EACH)
    pictures, labels, held, count = [], [], [], 0
    for path, image in folder:
        on_step(count / max(len(folder), 1), "read photos")
        rgb, known = np.asarray(image), None
        if label_maps is not None and lookup is not None:
            known = _label_map(label_maps / f"{path.stem}.png", path.name, image.size, lookup)
        for place in squares(*image.size, each, count):
            small = window.resize(np.ascontiguousarray(window.crop(rgb, place)), side)
            pictures.append(torch.from_numpy(small).permute(2, 0, 1))
            if known is not None:
                labels.append(_shrunk(window.crop(known, place), side))
            held.append(count % HELD_OUT_EVERY == 0)
        count += 1
    folder.require(count, LEAST)
    x = torch.stack(pictures)
    found = torch.stack(labels) if labels else torch.full((len(x), side, side), GUESS).byte()
    _guess(found, segmenter, x, on_step)
    return Photographs(x, found, torch.tensor(held), count, folder.problems)


def _label_map(path: Path, photo: str, size: tuple[int, int], lookup: np.ndarray) -> np.ndarray:
    """A photo's labels as CLASSES or GUESS, H×W uint8."""
    try:
        with Image.open(path, formats=formats()) as image:
            fits = image.mode in ("L", "P") and image.size == size
            values = np.asarray(image) if fits else None
    except OSError as error:
        raise BadTrainingData(f"{photo} has no label map {path}: {error}.") from error
    if values is None:
        raise BadTrainingData(
            f"{path} is to have one byte a pixel and {size[0]}x{size[1]} px, as its photo."
        )
    found = lookup[values]
    if (found == WRONG).any():
        value = int(values[found == WRONG][0])
        raise BadTrainingData(
            f"{path} holds the value {value}, which has no name: give all names in {NAMES} beside "
            "it, one a line; 255 is for pixels without a label."
        )
    return found


def _shrunk(labels: np.ndarray, side: int) -> Tensor:
    small = Image.fromarray(np.ascontiguousarray(labels)).resize(
        (side, side), Image.Resampling.NEAREST
    )
    return torch.from_numpy(np.array(small))


def _guess(labels: Tensor, segmenter: Segmenter, x: Tensor, on_step: OnStep) -> None:
    """Replace GUESS in labels N×R×R by what the segmenter sees in x, N×3×R×R uint8."""
    for i in range(0, len(x), 32):
        on_step(i / len(x), "guess labels")
        part = labels[i : i + 32]
        if (part == GUESS).any():
            seen = segmenter.labels(model_dissection.to_float(x[i : i + 32])).to(torch.uint8)
            part[:] = torch.where(part == GUESS, seen, part)
