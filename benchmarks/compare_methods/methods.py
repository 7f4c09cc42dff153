"""The methods that are compared, each as a function of an opened photo and a case."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import cv2
import numpy as np

from benchmarks.compare_methods.pairs import Case
from ganpaint_engine.prior import Prior
from ganpaint_engine.session import PhotoSession

INPAINT_PX = 3
"""Radius that OpenCV's inpainting looks around a pixel."""


class Output(NamedTuple):
    """image: H×W×3 uint8. outside_db: PSNR of the raw output where the photo was to be kept, before
    paste-back; None for a method that has no such output: it copies the photo there."""

    image: np.ndarray
    outside_db: float | None


@dataclass(frozen=True)
class Made:
    """A finished edit. seconds: of this process's own computing, without opening the photo."""

    output: Output
    seconds: float


class Opened:
    """A case's picture, opened: with the inversion of the window that the edit is made in."""

    def __init__(self, prior: Prior, case: Case) -> None:
        self.case = case
        self.mask = case.stroke.astype(np.uint8) * 255
        started = time.process_time()
        self.session: PhotoSession = prior.open(case.picture)
        self.psnr = self.session.inverted(self.session.place(self.mask)).psnr
        self.seconds = time.process_time() - started


Method = Callable[[Opened], Output]


def make(method: Method, opened: Opened) -> Made:
    """Run a method and take its time."""
    started = time.process_time()
    output = method(opened)
    return Made(output, time.process_time() - started)


def _edit(opened: Opened, **settings: str) -> Output:
    """A final edit. settings: of the session's ``edit``."""
    choice = {opened.case.operation: opened.case.concept} | settings
    edit = opened.session.edit(opened.mask, **choice)  # type: ignore[arg-type]
    copied = settings.get("composite", "alpha") not in ("alpha", "residual")
    outside = None if copied else edit.report["psnr"]["outside"]
    return Output(np.asarray(edit.image.convert("RGB")), outside)


def _inpaint(opened: Opened, way: int) -> Output:
    rgb = np.ascontiguousarray(opened.case.picture)
    return Output(cv2.inpaint(rgb, opened.mask, INPAINT_PX, way), None)


def _nothing(opened: Opened) -> Output:
    return Output(opened.case.picture, None)


OURS = "ours"

METHODS: dict[str, Method] = {
    OURS: _edit,
    "G' alone": partial(_edit, composite="alpha"),
    "colour transfer": partial(_edit, adaptation="none", composite="color_transfer"),
    "Poisson": partial(_edit, adaptation="none", composite="poisson"),
    "Laplacian": partial(_edit, adaptation="none", composite="laplacian"),
    "unadapted G": partial(_edit, adaptation="none", composite="alpha"),
    "G'_w": partial(_edit, adaptation="weights", composite="alpha"),
    "paper's 1000 steps": partial(_edit, adaptation="paper", composite="alpha"),
    "Telea": partial(_inpaint, way=cv2.INPAINT_TELEA),
    "Navier-Stokes": partial(_inpaint, way=cv2.INPAINT_NS),
    "nothing done": _nothing,
}
"""Ours is a final edit as a user gets it; G' alone is what the adapted head draws of it, without
cutouts and the photo's own pixels. As in the paper, the three composites blend G(r_e), the
unadapted prior's picture, into the photo; the others are laid over it with the stroke's feather.
What is gained over doing nothing is what a method is worth.

Telea, *An Image Inpainting Technique Based on the Fast Marching Method* (2004); Bertalmío et al.,
*Navier-Stokes, Fluid Dynamics, and Image and Video Inpainting* (2001)."""

SLOW = ("paper's 1000 steps",)
"""Methods that are made when they are asked for by name."""

ONLY = {"Telea": "remove", "Navier-Stokes": "remove"}
"""Methods for one operation alone."""
