"""Close views of things in large scenes: the exemplars of a package, each with its cutout.

A view is a square of a scene in which one thing (a tree, a dome, a door…) is whole and fills about
as much as a stroke fills of a window. ``r`` and shares are of the view, the cutout is the thing
alone, as sharp as the scene has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from ganpaint_engine import cutouts
from ganpaint_engine.cutouts import Cutout
from ganpaint_engine.encoder import Encoder
from ganpaint_engine.exemplars import Exemplars
from ganpaint_engine.segmentation import CLASSES
from training.data import known_labels, read_scene
from training.edits import cell_shares

FILLS = (0.35, 0.62)
"""Share of a view's side that its thing takes."""
SMALLEST_PX = {"door": 40, "window": 40, "dome": 56, "tree": 60, "bush": 48}
"""Longest side of a thing, in its scene, that is worth keeping."""
RAGGED = {"door": 1.12, "window": 1.15, "dome": 1.22}
"""Most that its outline may be longer than that of its convex hull: else leaves hang before it."""
CUTOUT_PX = 224
SOLID = {"door": 0.75, "window": 0.6, "dome": 0.42, "tree": 0.2, "bush": 0.35}
"""Share of its box that a whole thing fills: of one behind another a part is missing."""
CONVEX = {"door": 0.94, "window": 0.94, "dome": 0.7, "tree": 0.3, "bush": 0.55}
"""Share of its convex hull that it fills."""
CUT = {"door": 1.0, "window": 1.0, "dome": 0.5, "tree": 0.3, "bush": 0.45}
"""Most of its box's left or right border that it may touch: more of it is cut off there."""
SLIM = {"door": (0.25, 0.9), "window": (0.2, 1.6), "dome": (0.4, 2.2), "tree": (0.25, 2.0),
        "bush": (0.5, 5.0)}  # fmt: skip
"""Width over height."""
FRAMED = {"door": 0.07, "window": 0.08}
"""Share of its longer side that its frame takes, which the labels count as wall."""
QUALITY = 80


@dataclass(frozen=True)
class View:
    """R×R×3 uint8, its labels R×R, and the thing in it."""

    name: str
    picture: np.ndarray
    labels: np.ndarray
    cutout: Cutout


def things(labels: np.ndarray, name: str) -> list[np.ndarray]:
    """The whole things of a class in a scene's labels (H×W): H×W bools each, the largest first."""
    mask = (labels == CLASSES.index(name)).astype(np.uint8)
    reach = max(len(labels) // (48 if name in ("tree", "bush") else 160), 1)
    joined = cv2.dilate(mask, np.ones((reach, reach), np.uint8))
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(joined)
    found = []
    for k in sorted(range(1, count), key=lambda k: -stats[k, cv2.CC_STAT_AREA]):
        one = (pieces == k) & (mask > 0)
        if one.any() and _is_whole(one, name):
            found.append(one)
    return found


def _box(mask: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _is_whole(mask: np.ndarray, name: str) -> bool:
    x0, y0, x1, y1 = _box(mask)
    side, (width, height) = len(mask), (x1 - x0, y1 - y0)
    inside = min(x0, y0) > 1 and max(x1, y1) < side - 1
    low, high = SLIM[name]
    large = SMALLEST_PX[name] <= max(width, height) <= 0.95 * side
    if not (inside and large and low <= width / height <= high):
        return False
    part = mask[y0:y1, x0:x1]
    sides = max(part[:, :2].any(1).mean(), part[:, -2:].any(1).mean())
    hull = cv2.contourArea(cv2.convexHull(cv2.findNonZero(part.astype(np.uint8))))
    return bool(
        part.mean() >= SOLID[name] and part.sum() >= CONVEX[name] * hull and sides <= CUT[name]
    )


def framed(mask: np.ndarray, share: float) -> np.ndarray:
    """A thing (H×W bools) with its frame, which does not reach below it."""
    x0, y0, x1, y1 = _box(mask)
    reach = round(share * max(x1 - x0, y1 - y0))
    if not reach:
        return mask
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    grown = cv2.dilate(mask.astype(np.uint8), kernel) > 0
    grown[y1:] = False
    return grown


def cut(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The thing under ``mask`` (H×W) of a picture (H×W×3 uint8): h×w×4 uint8, at most CUTOUT_PX.

    The colours of its rim are those of its inside: the renderer's own rim is half background.
    """
    x0, y0, x1, y1 = _box(mask)
    inner = mask[y0:y1, x0:x1].astype(np.float32)
    rgb = picture[y0:y1, x0:x1].astype(np.float32)
    core = cv2.erode(inner, np.ones((3, 3), np.uint8))
    near = cv2.GaussianBlur(core, (0, 0), 1.5)[..., None]
    spread = cv2.GaussianBlur(rgb * core[..., None], (0, 0), 1.5) / np.maximum(near, 1e-4)
    rim = (core == 0)[..., None] & (near > 0.02)
    rgb = np.where(rim, spread, rgb)
    scale = min(CUTOUT_PX / max(inner.shape), 1.0)
    size = max(round(inner.shape[1] * scale), 1), max(round(inner.shape[0] * scale), 1)
    alpha = cv2.resize(inner, size, interpolation=cv2.INTER_AREA)
    weighed = cv2.resize(rgb * inner[..., None], size, interpolation=cv2.INTER_AREA)
    colours = np.asarray(weighed / np.maximum(alpha, 1e-3)[..., None], np.float32)
    plain = (rgb * inner[..., None]).sum((0, 1)) / inner.sum()
    colours[alpha < 0.02] = plain  # what nobody sees is to take no room
    return np.dstack([np.clip(colours, 0, 255), alpha * 255]).round().astype(np.uint8)


def view_of(
    picture: np.ndarray, labels: np.ndarray, mask: np.ndarray, name: str, side: int, fill: float
) -> View:
    """The square around a thing, of which it fills about ``fill``."""
    x0, y0, x1, y1 = _box(mask)
    whole = len(labels)
    size = int(np.clip(round(max(x1 - x0, y1 - y0) / fill), 1, whole))
    left = int(np.clip(round((x0 + x1 - size) / 2), 0, whole - size))
    upper = int(np.clip(round((y0 + y1 - size) / 2), 0, whole - size))
    here = np.s_[upper : upper + size, left : left + size]
    rgb = cv2.resize(picture[here].astype(np.float32), (side, side), interpolation=cv2.INTER_AREA)
    seen = cv2.resize(labels[here], (side, side), interpolation=cv2.INTER_NEAREST)
    box = ((x0 - left) / size, (y0 - upper) / size, (x1 - left) / size, (y1 - upper) / size)
    around = picture[here][~mask[here]].mean(0)
    return View(name, rgb.round().astype(np.uint8), seen, Cutout(cut(picture, mask), box, around))


def choose(
    folders: list[Path], names: tuple[str, ...], most: int, side: int, seed: int = 0
) -> list[View]:
    """Up to ``most`` views of each class in the scenes of some folders, from as many scenes as can
    be; those of a later folder only where the earlier ones have too few. Raises BadTrainingData."""
    rng = np.random.default_rng(seed)
    found: dict[str, list[tuple[int, int, View]]] = {name: [] for name in names}
    for number, folder in enumerate(folders):
        wanting = [name for name in names if len(found[name]) < most]
        for path in sorted((folder / "labels").glob("*.png")) if wanting else ():
            rgb, label = (np.asarray(image) for image in read_scene(folder, path))
            for name in wanting:
                for rank, mask in enumerate(things(label, name)[:3]):
                    thing = framed(mask, FRAMED.get(name, 0.0))
                    view = view_of(rgb, label, thing, name, side, float(rng.uniform(*FILLS)))
                    found[name].append((number, rank, view))
    # The largest of each scene first, then the second ones.
    return [
        view for name in names for *_, view in sorted(found[name], key=lambda one: one[:2])[:most]
    ]


@torch.no_grad()
def library(views: list[View], encoder: Encoder, names: tuple[str, ...]) -> Exemplars:
    """Exemplars of the views, with cutouts; shares are those of the scenes' own labels."""
    pictures = torch.from_numpy(np.stack([view.picture for view in views]))
    r = torch.cat([
        encoder(part.permute(0, 3, 1, 2).float() / 127.5 - 1) for part in pictures.split(32)
    ])  # fmt: skip
    labels = known_labels(torch.from_numpy(np.stack([view.labels for view in views]))).long()
    shares = cell_shares(labels)[:, [CLASSES.index(n) for n in names]]
    held = torch.stack([_held(view, pictures.shape[1]) for view in views])
    kinds = [names.index(view.name) for view in views]
    packed = cutouts.pack([view.cutout for view in views], held, kinds, QUALITY)
    return Exemplars(r, shares, names, packed)


def _held(view: View, side: int) -> Tensor:
    alpha = cutouts.drawn(view.cutout, side, (0, 0, side, side))[..., 3]
    cell = side // 8
    return torch.from_numpy(alpha.reshape(8, cell, 8, cell).mean((1, 3)))
