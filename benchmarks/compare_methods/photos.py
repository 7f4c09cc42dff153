"""Cases on photographs. What a judge sees there is removed; and it is inpainted away, and then
added again: there the photograph is the truth."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from benchmarks.compare_methods.pairs import LEAST, MOST, Case
from ganpaint_engine import gap
from ganpaint_engine.photo_folder import PhotoFolder
from ganpaint_engine.prior import Prior
from ganpaint_engine.segmentation import load_judge

LONGEST = 1024
"""Longer side of the photographs, px: larger ones are scaled down."""
INPAINTED_AT = 256
"""Side at which a concept is inpainted away: in more pixels OpenCV draws streaks."""


def _scaled(rgb: np.ndarray, longest: int) -> np.ndarray:
    factor = longest / max(rgb.shape[:2])
    if factor >= 1:
        return rgb
    size = (round(rgb.shape[1] * factor), round(rgb.shape[0] * factor))
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)


def taken_away(rgb: np.ndarray, stroke: np.ndarray) -> np.ndarray:
    """The photo (H×W×3 uint8) without what is under the stroke (H×W bool), roughly inpainted."""
    small = _scaled(rgb, INPAINTED_AT)
    size = small.shape[1::-1]
    mask = cv2.resize(stroke.astype(np.uint8), size, interpolation=cv2.INTER_AREA)
    grown = cv2.dilate(mask, np.ones((5, 5), np.uint8))
    filled = cv2.resize(
        cv2.inpaint(np.ascontiguousarray(small), grown, 5, cv2.INPAINT_TELEA),
        rgb.shape[1::-1], interpolation=cv2.INTER_CUBIC,
    )  # fmt: skip
    alpha = cv2.GaussianBlur(stroke.astype(np.float32), (0, 0), 1)[..., None]
    mixed: np.ndarray = np.rint(filled * alpha + rgb * (1 - alpha)).astype(np.uint8)
    return mixed


def read(folder: Path, prior: Prior) -> list[Case]:
    """Every operation of the model with what the judge sees in the photographs of a folder."""
    judge = gap.Judge(load_judge(), prior.resolution, prior.device)
    found: list[Case] = []
    for path, image in PhotoFolder.open(folder):
        rgb = np.asarray(image.convert("RGB"))
        found += _cases(path.stem, _scaled(rgb, LONGEST), prior, judge)
    return found


def _cases(name: str, rgb: np.ndarray, prior: Prior, judge: gap.Judge) -> Iterator[Case]:
    for concept in prior.concepts:
        seen = judge.seen(rgb, concept)
        stroke = None if seen is None else gap.place_to_remove(seen)
        if stroke is None or not LEAST <= (stroke > 0).mean() <= MOST:
            continue
        where, able = stroke > 0, prior.operations(concept)
        if "remove" in able:
            yield Case(f"{name}-remove-{concept}", name, concept, "remove", rgb, where, None)
        if "add" in able:
            without = taken_away(rgb, where)
            yield Case(f"{name}-add-{concept}", name, concept, "add", without, where, rgb)
