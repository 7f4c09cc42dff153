"""What is measured of an edit on a photograph."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.narrow.cases import Case
from benchmarks.narrow.ways import Made, Maker
from ganpaint_engine import measurement, window
from ganpaint_engine.appearance import to_lab
from ganpaint_engine.segmentation import DilatedSegmenter, UNetSegmenter

SIDE = 256
"""Side in px of the copies of the window on which detail and seam are measured."""


@dataclass(frozen=True)
class Measured:
    """One edit. share: of the concept under the stroke, by the judge. seam: octaves by which the
    gradient along the stroke's edge is off. Against the truth, where it is known: colour, CIELAB
    distance of the means under the stroke; detail, octaves by which its contrast is off; unlike,
    relative distance of a segmenter's features. outside_db: of G' before paste-back.
    """

    share: float
    seam: float
    outside_db: float | None
    encoder_db: float
    refined_db: float
    colour: float | None = None
    detail: float | None = None
    unlike: float | None = None


def measure(
    maker: Maker, judge: DilatedSegmenter, eyes: UNetSegmenter, case: Case, made: Made
) -> Measured:
    """One edit measured: ``judge`` tells shares, ``eyes``'s features how alike pictures look."""
    place, side = maker.place(case), maker.prior.resolution
    truth = window.crop(case.truth, place)
    under = window.crop(case.stroke, place, fill="zero")
    mask = (maker.mask(case) > 0.5).float()
    x = window.to_tensor(made.picture, side)
    found: dict[str, Any] = {
        "share": measurement.share(judge, x, mask, case.concept),
        "seam": abs(seam(made.picture, truth, under)),
        "outside_db": made.outside_db,
        "encoder_db": made.opened.encoder_db,
        "refined_db": made.opened.refined_db,
    }
    if case.known:
        found["colour"] = colour(made.picture, truth, under)
        found["detail"] = abs(contrast(made.picture, truth, under))
        found["unlike"] = unlike(eyes, x, window.to_tensor(truth, side), mask)
    return Measured(**found)


def colour(picture: np.ndarray, truth: np.ndarray, stroke: np.ndarray) -> float:
    """CIELAB distance of the mean colours under the stroke."""
    under = stroke > 127
    means = [to_lab(one[under].reshape(1, -1, 3).astype(np.float32)) for one in (picture, truth)]
    return float(np.linalg.norm(means[0].mean((0, 1)) - means[1].mean((0, 1))))


def _grey(picture: np.ndarray) -> np.ndarray:
    small = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return small.astype(np.float32).mean(2)


def contrast(picture: np.ndarray, truth: np.ndarray, stroke: np.ndarray) -> float:
    """Octaves by which fine detail under the stroke is stronger than in the truth."""
    under = cv2.resize(stroke, (SIDE, SIDE)) > 127
    fine = [g - cv2.GaussianBlur(g, (0, 0), 2) for g in (_grey(picture), _grey(truth))]
    first, second = (float(one[under].std()) + 0.3 for one in fine)
    return float(np.log2(first / second))


def seam(picture: np.ndarray, truth: np.ndarray, stroke: np.ndarray) -> float:
    """Octaves by which gradients along the stroke's edge are stronger than in the truth."""
    under = (cv2.resize(stroke, (SIDE, SIDE)) > 127).astype(np.uint8)
    kernel = np.ones((7, 7), np.uint8)
    band = (cv2.dilate(under, kernel) - cv2.erode(under, kernel)) > 0
    if not band.any():
        return 0.0
    means = []
    for one in (picture, truth):
        grey = _grey(one)
        gradient = np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))
        means.append(float(gradient[band].mean()) + 1)
    return float(np.log2(means[0] / means[1]))


@torch.no_grad()
def unlike(eyes: UNetSegmenter, x: Tensor, truth: Tensor, mask: Tensor) -> float:
    """Relative distance of means and deviations of a segmenter's features under the stroke."""
    found = []
    for a, b in zip(eyes.features(x)[:3], eyes.features(truth)[:3], strict=True):
        weight = F.adaptive_max_pool2d(mask, a.shape[-1])
        means = [(t * weight).sum((2, 3), keepdim=True) / weight.sum() for t in (a, b)]
        spreads = [
            (((t - m).square() * weight).sum((2, 3)) / weight.sum()).sqrt()
            for t, m in zip((a, b), means, strict=True)
        ]
        off = (means[0] - means[1]).abs().mean() + (spreads[0] - spreads[1]).abs().mean()
        found.append(off / (means[1].abs().mean() + spreads[1].mean()))
    return float(torch.stack(found).mean())


def summary(rows: list[Measured]) -> dict[str, float]:
    """Means; those against the truth over the edits where it is known."""
    means = {}
    for key in asdict(rows[0]):
        values = [v for row in rows if (v := getattr(row, key)) is not None]
        if values:
            means[key] = round(float(np.mean(values)), 3)
    return means


CLEARLY = 0.95
"""Ways whose ``unlike`` differs by less than this factor are equally good in that."""


def best(table: dict[str, dict[str, float]], operation: str) -> str:
    """The way whose pictures are least unlike the truth, of those that do the edit.

    An addition must keep nine tenths of the engine's own share of the concept; a removal may leave
    a tenth of the stroke more than the engine does. Of equally good ones the one whose colours are
    nearest; what is not clearly better than the engine's own way is not better.
    """
    own = table["base"]

    def does_it(row: dict[str, float]) -> bool:
        if operation == "add":
            return row["share"] >= 0.9 * own["share"]
        return row["share"] <= own["share"] + 0.1

    able = {name: row for name, row in table.items() if does_it(row) and "unlike" in row}
    if "base" not in able:
        return "base"
    least = min(row["unlike"] for row in able.values())
    if least > CLEARLY * own["unlike"]:
        return "base"
    equal = [name for name, row in able.items() if row["unlike"] <= least / CLEARLY]
    return min(equal, key=lambda name: able[name]["colour"])
