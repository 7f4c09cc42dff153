"""Cases: a picture to edit, the stroke, and what is right under it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from benchmarks.compare_methods.render import ELEMENTS, WITH, without
from ganpaint_engine.segmentation import CLASSES
from training.renderer.sets import SceneSet, stem

DIFFERS = 20
"""Levels of 255 by which a pixel must change to belong to an element's shadow."""
LEAST, MOST = 0.004, 0.35
"""Shares of the picture between which a stroke lies."""
LEAST_VIEW = 96
"""Side of the smallest square that is looked at, px."""


@dataclass(frozen=True)
class Case:
    """One edit to make.

    picture: H×W×3 uint8, to be edited. stroke: H×W bool. truth: H×W×3 uint8, right under the
    stroke; None where nobody knows. scene: cases of one scene are never split between what a
    detector learns from and what it is tried on.
    """

    name: str
    scene: str
    concept: str
    operation: str
    picture: np.ndarray
    stroke: np.ndarray
    truth: np.ndarray | None

    @property
    def kind(self) -> str:
        return f"{self.operation} {self.concept}"

    def view(self, times: float) -> tuple[slice, slice]:
        """A square within the picture around the stroke, ``times`` its longer side wide."""
        shape = self.stroke.shape
        lines = np.flatnonzero(self.stroke.any(1)), np.flatnonzero(self.stroke.any(0))
        side = min(max(round(times * (1 + max(int(np.ptp(p)) for p in lines))), LEAST_VIEW), *shape)
        starts = [
            int(np.clip((p[0] + p[-1] + 1 - side) // 2, 0, most - side))
            for p, most in zip(lines, shape, strict=True)
        ]
        return slice(starts[0], starts[0] + side), slice(starts[1], starts[1] + side)


def _grow(mask: np.ndarray, px: int) -> np.ndarray:
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * px + 1, 2 * px + 1))
    grown: np.ndarray = cv2.dilate(mask.astype(np.uint8), kernel) > 0
    return grown


def _largest(mask: np.ndarray) -> np.ndarray:
    """The largest connected part."""
    count, parts, facts, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    if count < 2:
        return np.zeros_like(mask)
    largest: np.ndarray = parts == 1 + int(facts[1:, cv2.CC_STAT_AREA].argmax())
    return largest


def strokes(
    full: np.ndarray, less: np.ndarray, full_labels: np.ndarray, less_labels: np.ndarray, label: int
) -> tuple[np.ndarray, np.ndarray]:
    """Strokes to add and to remove an element, as a retoucher would select it. H×W bool each.

    full, less: the scene with and without it, H×W×3 uint8. The largest connected part of the
    element with a narrow margin; for a removal also what changes beside it, its shadow.
    """
    side = len(full)
    element = _largest((full_labels == label) & (less_labels != label))
    change = cv2.GaussianBlur(full.astype(np.float32) - less, (0, 0), side / 256)
    differs = np.abs(change).max(2) > DIFFERS
    reach = _grow(element, round(side * 0.06))
    margin = max(1, round(side * 0.008))
    near = _largest(element | (differs & reach & (full_labels != label)))
    return _grow(element, margin), _grow(near if (near & element).any() else element, 2 * margin)


def read(folder: Path) -> list[Case]:
    """The cases of a rendered set of pairs, additions and removals. Raises RendererError."""
    scenes = SceneSet.read(folder)

    def load(name: str) -> tuple[np.ndarray, np.ndarray]:
        picture, labels = scenes.files(name)
        return np.asarray(Image.open(picture).convert("RGB")), np.asarray(Image.open(labels))

    cases = []
    for seed in sorted({record["seed"] for record in scenes.records.values()}):
        for element, concept in ELEMENTS.items():
            job = without(seed, element)
            full_name = stem(seed, WITH)
            if not (scenes.has(job.name) and scenes.has(full_name)):
                continue
            full, full_labels = load(full_name)
            less, less_labels = load(job.name)
            label = CLASSES.index(concept)
            under = strokes(full, less, full_labels, less_labels, label)
            cases += list(_both(seed, concept, full, less, *under))
    return cases


def _both(
    seed: int,
    concept: str,
    full: np.ndarray,
    less: np.ndarray,
    adding: np.ndarray,
    removing: np.ndarray,
) -> Iterator[Case]:
    """The two cases of a pair whose strokes are neither tiny nor most of the picture."""
    for operation, picture, stroke, truth in (
        ("add", less, adding, full),
        ("remove", full, removing, less),
    ):
        if LEAST <= stroke.mean() <= MOST:
            name = f"{seed:06d}-{operation}-{concept}"
            yield Case(name, str(seed), concept, operation, picture, stroke, truth)


def some(cases: list[Case], each: int | None, kinds: list[str] | None = None) -> list[Case]:
    """The cases of ``kinds`` (None: of all), of each the first ``each`` (None: all of them)."""
    kept: dict[str, int] = {}
    found = []
    for case in cases:
        kept[case.kind] = kept.get(case.kind, 0) + 1
        if (kinds is None or case.kind in kinds) and (each is None or kept[case.kind] <= each):
            found.append(case)
    return found
