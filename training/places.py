"""Plausible strokes for additions: a tree stands on the ground, a dome on a roof, a door in a wall.

A stroke is the shape that the concept has in another scene, moved to where this scene's labels
have what must be under it, below it and above it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ganpaint_engine.segmentation import CLASSES

SMALLEST, LARGEST = 0.01, 0.2
"""Shares of the picture that a stroke may cover."""
RIM = 0.06
"""Height of the strips below and above a stroke that are looked at, of the picture's side."""


@dataclass(frozen=True)
class Place:
    """Which labels a concept may be put on, and which must lie below and above it."""

    under: tuple[str, ...]
    below: tuple[str, ...] = CLASSES
    above: tuple[str, ...] = CLASSES
    share: float = 0.75


PLACES = {
    "tree": Place(("sky", "grass", "path", "hill", "wall", "roof"), below=("grass", "path")),
    "bush": Place(("grass", "path", "wall", "hill"), below=("grass", "path")),
    "dome": Place(("sky", "roof"), below=("roof", "wall"), above=("sky",), share=0.6),
    "door": Place(("wall", "window"), below=("grass", "path", "bush"), above=("wall", "window")),
    "window": Place(("wall",), below=("wall",), above=("wall",)),
    "grass": Place(("path", "hill", "bush"), below=("path", "hill", "bush", "grass")),
    "sky": Place(("tree", "hill", "roof"), above=("sky", "tree")),
}


def cut_out(labels: np.ndarray, concept: str) -> Tensor | None:
    """The concept's largest piece, as a person would paint it: without holes, in its bounding box.

    labels: H×W. 1×1×h×w in {0, 1}; None if it is too small or too large.
    """
    mask = (labels == CLASSES.index(concept)).astype(np.uint8)
    brush = np.ones((round(labels.shape[0] / 24),) * 2, np.uint8)
    closed = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, brush, borderValue=0)
    _, pieces, sizes, _ = cv2.connectedComponentsWithStats(closed)
    if len(sizes) < 2:
        return None
    mask = pieces == 1 + int(sizes[1:, cv2.CC_STAT_AREA].argmax())
    if not SMALLEST <= mask.mean() <= LARGEST:
        return None
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    box = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return torch.from_numpy(box.astype(np.float32))[None, None]


def _holds(labels: Tensor, names: tuple[str, ...]) -> Tensor:
    wanted = torch.tensor([CLASSES.index(n) for n in names])
    return torch.isin(labels, wanted).float()[None, None]


def _strip(shape: Tensor, rim: int, down: bool) -> Tensor:
    """What a shape newly covers when it moves by ``rim``, in a canvas ``rim`` higher."""
    here = F.pad(shape, (0, 0, 0, rim) if down else (0, 0, rim, 0))
    moved = F.pad(shape, (0, 0, rim, 0) if down else (0, 0, 0, rim))
    return (moved - here).clamp(min=0)


def plausible(labels: np.ndarray, shape: Tensor, concept: str) -> Tensor | None:
    """The best place for ``shape`` (1×1×h×w) in a scene with ``labels`` (R×R): 1×1×R×R or None."""
    place, scene = PLACES[concept], torch.from_numpy(labels.astype(np.int64))
    side, rim = labels.shape[0], max(1, round(RIM * labels.shape[0]))
    height, width = shape.shape[-2:]
    if height + 2 * rim > side or width > side:
        return None
    scores = []
    for names, kernel, top in (
        (place.under, shape, rim),
        (place.below, _strip(shape, rim, True), rim),
        (place.above, _strip(shape, rim, False), 0),
    ):
        found = F.conv2d(_holds(scene, names), kernel / kernel.sum().clamp(min=1))
        # All three are indexed by where the shape's upper edge lies, less one strip.
        scores.append(found[0, 0, top : top + side - height - 2 * rim + 1])
    worst = torch.stack([s / place.share for s in scores]).amin(0)
    if worst.max() < 1:
        return None
    y, x = divmod(int(worst.argmax()), worst.shape[1])
    stroke = torch.zeros(1, 1, side, side)
    stroke[..., y + rim : y + rim + height, x : x + width] = shape
    return stroke


def strokes_for(
    labels: list[np.ndarray], concept: str, most: int, tried: int = 8
) -> list[tuple[int, Tensor]]:
    """Up to ``most`` pairs of a scene's number and a plausible stroke that is not there yet."""
    if concept not in PLACES:
        return []
    shapes = [s for one in labels if (s := cut_out(one, concept)) is not None]
    found: list[tuple[int, Tensor]] = []
    for i, scene in enumerate(labels):
        here = torch.from_numpy(scene == CLASSES.index(concept))
        for k in range(min(tried, len(shapes))):
            stroke = plausible(scene, shapes[(i * 7 + k) % len(shapes)], concept)
            if stroke is not None and (stroke[0, 0] * here).sum() < 0.1 * stroke.sum():
                found.append((i, stroke))
                break
        if len(found) == most:
            break
    return found
