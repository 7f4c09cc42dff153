"""Figures about one finished edit: how far it is from the truth, and whether its edge shows."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ganpaint_engine.segmentation import SIDE, DilatedSegmenter

SCALES = (1, 2, 4)
"""Sides at which pictures are compared by features, in multiples of the judge's."""
BAND = 0.012
"""Half the width of the band along a stroke's edge, in shares of the picture's side."""


def l1(picture: np.ndarray, truth: np.ndarray, stroke: np.ndarray) -> float:
    """Mean |picture - truth| under the stroke, levels of 255. H×W×3 uint8 each; H×W bool."""
    return float(np.abs(picture.astype(np.float32) - truth)[stroke].mean())


def outside_db(picture: np.ndarray, photo: np.ndarray, kept: np.ndarray) -> float:
    """PSNR in dB where ``kept`` (H×W bool); at most 88, where all pixels are the same."""
    square = (picture.astype(np.float32) - photo)[kept] ** 2
    return float(10 * np.log10(255**2 / max(float(square.mean()), 1e-4)))


@torch.no_grad()
def _features(judge: DilatedSegmenter, x: Tensor) -> list[Tensor]:
    """The judge's featuremaps of pictures N×3×SIDE×SIDE, each cell's vector of length 1."""
    maps = []
    for block in judge.enter:
        x = block(x)
        maps.append(x)
    for block in judge.body:
        x = x + block(x)
        maps.append(x)
    return [F.normalize(m, dim=1) for m in maps]


def _tiles(square: np.ndarray, scale: int) -> Tensor:
    """A square picture at scale·SIDE px, cut into scale² tiles: N×C×SIDE×SIDE."""
    side = scale * SIDE
    small = cv2.resize(square.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA)
    x = torch.from_numpy(small if small.ndim == 3 else small[..., None])
    x = x.unflatten(0, (scale, SIDE)).unflatten(2, (scale, SIDE))
    return x.permute(0, 2, 4, 1, 3).flatten(0, 1)


def perceptual(
    judge: DilatedSegmenter, picture: np.ndarray, truth: np.ndarray, stroke: np.ndarray
) -> float:
    """Distance under the stroke in the features of ``judge``, × 100; 0 for the same picture.

    Zhang et al., *The Unreasonable Effectiveness of Deep Features* (2018): squared differences of
    featuremaps of unit vectors, averaged over the stroke and over layers, without learned weights.
    Square pictures H×H×3 uint8 are looked at as a whole at SIDE px, and in tiles at twice and four
    times that. The judge is a segmenter of rendered scenes that no edit was optimised for.
    """
    found = []
    for scale in SCALES:
        a, b = (_tiles(p, scale) / 127.5 - 1 for p in (picture, truth))
        weight = _tiles(stroke.astype(np.float32), scale)
        for p, q in zip(_features(judge, a), _features(judge, b), strict=True):
            w = F.adaptive_avg_pool2d(weight, p.shape[-1])
            distance = (p - q).square().sum(1, keepdim=True)
            found.append(float((distance * w).sum() / w.sum()))
    return 100 * float(np.mean(found))


def edge_band(stroke: np.ndarray) -> np.ndarray:
    """The pixels within BAND of a stroke's edge, H×W bool."""
    px = max(1, round(BAND * max(stroke.shape)))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * px + 1, 2 * px + 1))
    mask = stroke.astype(np.uint8)
    # Beyond the picture there is no edge: erosion must not eat in from there.
    return (cv2.dilate(mask, kernel) > 0) & (cv2.erode(mask, kernel, borderValue=1) == 0)


def gradient_energy(picture: np.ndarray, where: np.ndarray) -> float:
    """Mean squared gradient of luma (Sobel, levels of 255 a pixel) where H×W bool is set."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    gx, gy = cv2.Sobel(grey, cv2.CV_32F, 1, 0) / 8, cv2.Sobel(grey, cv2.CV_32F, 0, 1) / 8
    return float((gx * gx + gy * gy)[where].mean())


def seam(picture: np.ndarray, right: np.ndarray, stroke: np.ndarray) -> float:
    """Gradient energy along the stroke's edge, against that of the right picture; 1 is right.

    A visible edge has more, a smeared one less. Both get half a level² so that a plain sky, which
    has none, can be compared with.
    """
    band = edge_band(stroke)
    return (gradient_energy(picture, band) + 0.5) / (gradient_energy(right, band) + 0.5)
