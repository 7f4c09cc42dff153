"""The gap: how well a model does on a folder of photographs.

For each photo: reconstruction after E, after refinement of r, after δ; which of the 8×8 cells the
prior cannot express; what edits under plausible strokes do, by a judge that the model never saw;
and how much the edited G' changes outside the stroke, before paste-back. The judge was itself
trained on rendered scenes: on photographs its shares are an estimate.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganpaint_engine import inversion, measurement, window
from ganpaint_engine.editing import Edit
from ganpaint_engine.encoder import GRID
from ganpaint_engine.prior import Inversion, OnStep, Prior
from ganpaint_engine.segmentation import CLASSES
from ganpaint_engine.session import PhotoSession

STAGES = {"encoder": "E", "refined": "E + r", "adapted": "E + r + δ"}
ENOUGH = 0.02
"""Share of a picture that a concept must cover for its removal to be tried."""

# Where a concept is put that nothing is known about, as (left, top, right, bottom) in shares of the
# picture. What stands on the ground at either side or in the middle; what lies; what is above.
STANDING = ((0.04, 0.45, 0.30, 0.92), (0.70, 0.45, 0.96, 0.92), (0.36, 0.45, 0.64, 0.92))
LYING = ((0.04, 0.76, 0.96, 0.97),)
ABOVE = ((0.05, 0.04, 0.60, 0.36), (0.40, 0.04, 0.95, 0.36))
PLACES = {"grass": LYING, "path": LYING, "sky": ABOVE, "hill": ABOVE, "dome": ABOVE}


@dataclass(frozen=True)
class Trial:
    """One edit: the concept's share under the stroke by the judge (None if it does not know the
    concept), and the PSNR of the raw G' outside the grown stroke, dB."""

    concept: str
    operation: str
    before: float | None
    after: float | None
    outside_db: float | None


@dataclass
class Measured:
    """One photo. ``stages``: l1 in levels of 255, psnr in dB and ssim of each stage.

    ``cells``: 8×8, mean error of the refined inversion in each cell, levels of 255. ``unfamiliar``:
    see ``familiarity``; ``warnings``: what the engine says before an edit.
    """

    file: str
    size: tuple[int, int]
    stages: dict[str, dict[str, float]]
    cells: list[list[float]]
    unfamiliar: float
    warnings: list[str]
    trials: list[Trial] = field(default_factory=list)


def stage_pictures(prior: Prior, inverted: Inversion, r: Tensor) -> dict[str, Tensor]:
    """The window's picture after each stage, 1×3×R×R; ``r`` is E's answer before refinement."""
    with torch.no_grad():
        return {
            "encoder": prior.generator.head(r),
            "refined": prior.generator.head(inverted.r),
            "adapted": prior.generator.head(inverted.r, inverted.deltas),
        }


def quality(y: Tensor, x: Tensor) -> dict[str, float]:
    """L1 in levels of 255, PSNR in dB and SSIM of a picture ``y`` against ``x``."""
    return {
        "l1": round(float((y - x).abs().mean()) * 127.5, 2),
        "psnr": round(inversion.psnr(y, x), 2),
        "ssim": round(measurement.ssim(y, x), 3),
    }


def cell_errors(y: Tensor, x: Tensor) -> Tensor:
    """The invertibility map: 8×8, mean |y - x| of each cell in levels of 255."""
    return F.adaptive_avg_pool2d((y - x).abs().mean(1, keepdim=True), GRID)[0, 0] * 127.5


def heat_map(rgb: np.ndarray, cells: Tensor, most: float = 40.0) -> np.ndarray:
    """The photo, H×W×3 uint8, under its cells' errors: clear where 0, red where ``most``."""
    height, width = rgb.shape[:2]
    side = min(height, width)
    heat = np.clip(cells.cpu().numpy() / most, 0, 1).astype(np.float32)
    heat = np.clip(cv2.resize(heat, (side, side), interpolation=cv2.INTER_CUBIC), 0, 1)
    colour = cv2.applyColorMap((heat * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    out = cv2.cvtColor(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    top, left = (height - side) // 2, (width - side) // 2
    place = out[top : top + side, left : left + side]
    weight = (0.25 + 0.6 * heat)[..., None]
    place[:] = (place * (1 - weight) + colour * weight).astype(np.uint8)
    return out


def _ellipse(shape: tuple[int, ...], box: tuple[float, float, float, float]) -> np.ndarray:
    height, width = shape
    mask = np.zeros(shape, np.uint8)
    x0, y0, x1, y1 = box
    centre = (round((x0 + x1) / 2 * width), round((y0 + y1) / 2 * height))
    axes = (max(round((x1 - x0) / 2 * width), 1), max(round((y1 - y0) / 2 * height), 1))
    cv2.ellipse(mask, centre, axes, 0, 0, 360, 255, -1)
    return mask


def place_to_add(seen: np.ndarray, concept: str) -> np.ndarray:
    """A stroke H×W uint8 where ``concept`` could stand, and is least so far.

    seen: H×W in [0, 1], how sure a segmenter is of the concept.
    """
    boxes = PLACES.get(concept, STANDING)
    strokes = [_ellipse(seen.shape, box) for box in boxes]
    return min(strokes, key=lambda s: float(seen[s > 0].mean()))


def place_to_remove(seen: np.ndarray) -> np.ndarray | None:
    """The largest connected place of a concept, H×W uint8; None if it fills under ENOUGH."""
    count, parts, facts, _ = cv2.connectedComponentsWithStats((seen > 0.5).astype(np.uint8))
    if count < 2:
        return None
    largest = 1 + int(facts[1:, cv2.CC_STAT_AREA].argmax())
    if facts[largest, cv2.CC_STAT_AREA] < ENOUGH * seen.size:
        return None
    return cv2.dilate((parts == largest).astype(np.uint8) * 255, np.ones((5, 5), np.uint8))


class Judge:
    """A segmenter that says how much of a region shows a concept."""

    def __init__(self, net: nn.Module, resolution: int, device: torch.device) -> None:
        self.net, self.resolution, self.device = net.to(device).eval(), resolution, device

    @torch.no_grad()
    def seen(self, rgb: np.ndarray, concept: str) -> np.ndarray | None:
        """H×W in [0, 1]; None for a concept that the judge does not know.

        The picture is looked at as a whole, its shorter side at the judge's own size.
        """
        if concept not in CLASSES:
            return None
        height, width = rgb.shape[:2]
        scale = self.resolution / min(height, width)
        size = [max(round(v * scale / 8), 1) * 8 for v in (height, width)]
        small = cv2.resize(rgb, (size[1], size[0]), interpolation=cv2.INTER_AREA)
        x = torch.from_numpy(small).permute(2, 0, 1)[None].float().to(self.device) / 127.5 - 1
        shares = self.net(x).softmax(1)[0, CLASSES.index(concept)].cpu().numpy()
        return cv2.resize(shares, (width, height), interpolation=cv2.INTER_LINEAR)

    def share(self, rgb: np.ndarray, stroke: np.ndarray, concept: str) -> float | None:
        """Share of ``concept`` under ``stroke`` (H×W uint8), in the window that an edit sees."""
        if concept not in CLASSES:
            return None
        height, width = stroke.shape
        place = window.window_for(window.bounds(stroke), width, height, self.resolution)
        x = window.to_tensor(window.crop(rgb, place), self.resolution).to(self.device)
        mask = window.resize(window.crop(stroke, place, fill="zero"), self.resolution) > 127
        small = torch.from_numpy(mask.astype(np.float32))[None, None].to(self.device)
        return round(measurement.share(self.net, x, small, concept), 3)


def try_edits(
    photo: PhotoSession,
    rgb: np.ndarray,
    judge: Judge,
    on_step: OnStep,
    quality: str,
    concepts: Sequence[str] = (),
) -> Iterator[tuple[Trial, np.ndarray, Edit]]:
    """Every operation of the model that has a plausible place in this photo.

    concepts: these alone; all of the model's where none is named.
    """
    prior = photo.prior
    names = concepts or prior.concepts
    wishes = [(c, o) for c in names for o in prior.operations(c) if o in ("add", "remove")]
    for i, (concept, operation) in enumerate(wishes):
        on_step(i / len(wishes), f"{operation} {concept}")
        seen = judge.seen(rgb, concept)
        if operation == "add":
            known = np.zeros(rgb.shape[:2], np.float32) if seen is None else seen
            stroke: np.ndarray | None = place_to_add(known, concept)
        else:
            stroke = None if seen is None else place_to_remove(seen)
        if stroke is None:
            continue
        photo.inverted(photo.place(stroke))  # a preview knows no more than E without that
        choice = {operation: concept, "quality": quality}
        edit = photo.edit(stroke, **choice)  # type: ignore[arg-type]
        after = np.asarray(edit.image.convert("RGB"))
        trial = Trial(
            concept,
            operation,
            judge.share(rgb, stroke, concept),
            judge.share(after, stroke, concept),
            edit.report["psnr"].get("outside"),
        )
        yield trial, stroke, edit


def summary(measured: list[Measured]) -> dict[str, Any]:
    """Means over photos: of each stage, and of each operation."""
    stages = {
        stage: {
            key: round(float(np.mean([m.stages[stage][key] for m in measured])), 3)
            for key in ("l1", "psnr", "ssim")
        }
        for stage in STAGES
    }
    trials = [t for m in measured for t in m.trials]
    edits = []
    for concept, operation in dict.fromkeys((t.concept, t.operation) for t in trials):
        rows = [t for t in trials if (t.concept, t.operation) == (concept, operation)]
        edits.append({"concept": concept, "operation": operation, "photos": len(rows)})
        for key in ("before", "after", "outside_db"):
            values = [v for t in rows if (v := getattr(t, key)) is not None]
            edits[-1][key] = round(float(np.mean(values)), 3) if values else None
    return {"photos": len(measured), "stages": stages, "edits": edits}


def as_json(measured: list[Measured]) -> list[dict[str, Any]]:
    """The photos' measurements as plain values."""
    return [asdict(m) for m in measured]
