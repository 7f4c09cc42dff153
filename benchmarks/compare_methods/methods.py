"""The methods that are compared, each as a function of an opened photo and a case."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from benchmarks import measure
from benchmarks.compare_methods.pairs import Case
from ganpaint_engine import adaptation, inversion, paste, window
from ganpaint_engine.encoder import GRID
from ganpaint_engine.prior import Inversion, Prior
from ganpaint_engine.session import PhotoSession

INPAINT_PX = 3
"""Radius that OpenCV's inpainting looks around a pixel."""


@dataclass(frozen=True)
class Made:
    """A finished edit. image: H×W×3 uint8. seconds: of this process's own computing, without
    opening the photo. outside_db: PSNR of the raw output where the photo was to be kept, before
    paste-back; None for a method that has none: it copies the photo there."""

    image: np.ndarray
    seconds: float
    outside_db: float | None


class Opened:
    """A case's picture, opened, with what several methods need of it."""

    def __init__(self, prior: Prior, case: Case) -> None:
        self.prior, self.case = prior, case
        self.mask = case.stroke.astype(np.uint8) * 255
        started = time.process_time()
        self.session: PhotoSession = prior.open(case.picture)
        self.place = self.session.place(self.mask)
        self.inverted: Inversion = self.session.inverted(self.place)
        self.seconds = time.process_time() - started
        """What opening took."""

    @property
    def stroke(self) -> Tensor:
        """The stroke in the model's window, 1×1×R×R."""
        seen = window.crop(self.case.stroke.astype(np.float32), self.place, fill="zero")
        return torch.from_numpy(window.resize(seen, self.prior.resolution))[None, None]

    @property
    def mask_e(self) -> Tensor:
        """Where the photo is not to be matched, 1×1×R×R."""
        return adaptation.soften(self.stroke, self.prior.resolution // GRID)

    def edited(self) -> Tensor:
        """r_e, 1×C×8×8."""
        adding = self.case.operation == "add"
        return measure.edited(self.prior, self.inverted.r, self.stroke, self.case.concept, adding)

    def outside_db(self, y: Tensor) -> float | None:
        """PSNR of the window's picture ``y`` where the photo is to be kept, as edits report it."""
        kept = (self.mask_e == 0).expand_as(y)
        return round(inversion.psnr(y[kept], self.inverted.x[kept]), 2) if kept.any() else None


Method = Callable[[Opened], tuple[np.ndarray, float | None]]
"""An opened case to the edited picture and its raw PSNR outside the stroke."""


def make(method: Method, opened: Opened) -> Made:
    """Run a method and take its time."""
    started = time.process_time()
    image, outside_db = method(opened)
    return Made(image, time.process_time() - started, outside_db)


def ours(opened: Opened) -> tuple[np.ndarray, float | None]:
    """A final edit, as a user gets it."""
    choice = {opened.case.operation: opened.case.concept}
    edit = opened.session.edit(opened.mask, **choice)  # type: ignore[arg-type]
    return np.asarray(edit.image.convert("RGB")), edit.report["psnr"]["outside"]


def untouched(opened: Opened) -> tuple[np.ndarray, float | None]:
    """Nothing is done: what is gained over it is what a method is worth."""
    return opened.case.picture, None


def _inpaint(opened: Opened, way: int) -> tuple[np.ndarray, float | None]:
    bgr = np.ascontiguousarray(opened.case.picture)
    return cv2.inpaint(bgr, opened.mask, INPAINT_PX, way), None


def telea(opened: Opened) -> tuple[np.ndarray, float | None]:
    """Telea, *An Image Inpainting Technique Based on the Fast Marching Method* (2004)."""
    return _inpaint(opened, cv2.INPAINT_TELEA)


def navier_stokes(opened: Opened) -> tuple[np.ndarray, float | None]:
    """Bertalmío et al., *Navier-Stokes, Fluid Dynamics, and Image and Video Inpainting* (2001)."""
    return _inpaint(opened, cv2.INPAINT_NS)


def _laid(opened: Opened, y: Tensor) -> np.ndarray:
    """The window's picture ``y`` over the photo, with the feather of a finished edit."""
    place, photo = opened.place, opened.case.picture
    seen = window.crop(opened.case.stroke.astype(np.float32), place, fill="zero")
    alpha = paste.feather(seen, place.side / GRID)
    patch = np.clip(np.rint(window.to_array(y, place.side)), 0, 255)
    rgba = np.dstack([patch, alpha * 255]).astype(np.uint8)
    x0, y0 = max(place.x, 0), max(place.y, 0)
    x1 = min(place.x + place.side, photo.shape[1])
    y1 = min(place.y + place.side, photo.shape[0])
    inside = rgba[y0 - place.y : y1 - place.y, x0 - place.x : x1 - place.x]
    return paste.lay_over(photo, None, paste.Patch(inside, x0, y0))


@torch.no_grad()
def unadapted(opened: Opened) -> tuple[np.ndarray, float | None]:
    """G(r_e): the prior's own picture."""
    y = opened.prior.generator.head(opened.edited())
    return _laid(opened, y), opened.outside_db(y)
