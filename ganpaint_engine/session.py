"""A prior and its photo sessions: open a photo once, edit it many times."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ganpaint_engine import adaptation, inversion, model_package, paste, window
from ganpaint_engine import concepts as concept_edits
from ganpaint_engine.adaptation import Deltas
from ganpaint_engine.concepts import Concept
from ganpaint_engine.encoder import GRID, Encoder
from ganpaint_engine.errors import (
    BadRequest,
    DamagedModel,
    OutOfMemory,
    UnknownConcept,
    UnsupportedOperation,
)
from ganpaint_engine.generator import Generator

OnStep = Callable[[float, str], None]
"""Called with (fraction in [0, 1], stage) after every step; an exception from it stops the work."""

REFINE_STEPS = 40
PHOTO_STEPS = 60
EDIT_STEPS = 40
EDIT_TOLERANCE = 0.01  # closer than the photo was fitted: there is less left to fit
QUALITIES = ("preview", "final")
FAR_DB = 18.0
"""Below this PSNR of the refined inversion the report warns: the window's layout itself is lost.
Above it says little about how well an edit will match: photographs can be inverted as well as the
model's own scenes and still not take its trees; see docs/models.md."""


def _silent(fraction: float, stage: str) -> None:
    """The callback of those who do not ask for progress."""


@dataclass(frozen=True)
class Inversion:
    """A window of a photo, taken into the model.

    x: 1×3×R×R in [-1, 1]. r: 1×C×8×8. deltas: δ fitted to the photo.
    psnr: dB against x after each stage: ``encoder``, ``refined``, ``adapted``.
    """

    x: Tensor
    r: Tensor
    deltas: Deltas
    psnr: dict[str, float]


@dataclass(frozen=True)
class Edit:
    """What an edit made.

    image: the photo with the edit, at the photo's size. patch: RGBA, straight alpha, and offset:
    where it lies in the photo, (x, y) px. name: what to call the layer. report: how it was made,
    enough to make it again, and what was measured; plain values that JSON can hold.
    """

    name: str
    image: Image.Image
    patch: Image.Image
    offset: tuple[int, int]
    report: dict[str, Any]


class Prior:
    """A loaded model: generator, encoder and concepts on one device."""

    def __init__(
        self,
        info: model_package.ModelInfo,
        generator: Generator,
        encoder: Encoder,
        found: dict[str, Concept],
        device: torch.device,
    ) -> None:
        self.info = info
        self.device = device
        self.generator = generator
        self.encoder = encoder
        for net in (generator, encoder):
            net.to(device).eval().requires_grad_(False)
            net.to(memory_format=torch.channels_last)
        self._concepts = {
            name: Concept(
                name, *(t.to(device) for t in (c.units.long(), c.rivals.long(), c.p, c.variants))
            )
            for name, c in found.items()
        }

    @property
    def name(self) -> str:
        return self.info.name

    @property
    def version(self) -> str:
        return self.info.version

    @property
    def resolution(self) -> int:
        """Side of the model's window, px."""
        return self.generator.resolution

    @property
    def concepts(self) -> list[str]:
        """Names of the concepts this model can add and remove."""
        return list(self._concepts)

    def concept(self, name: str) -> Concept:
        """The units and p_c of a concept. Raises UnknownConcept."""
        try:
            return self._concepts[name]
        except (KeyError, TypeError):
            raise UnknownConcept(
                f"The model {self.name} has no concept {name!r}. It has: "
                f"{', '.join(self.concepts)}.",
                concept=str(name),
            ) from None

    def operations(self, concept: str) -> list[str]:
        """Which of ``add`` and ``remove`` the model's card says it can do with a concept."""
        entries = {e["name"]: e for e in self.info.card["concepts"]}
        return list(entries.get(concept, {}).get("operations", ("add", "remove")))

    def open(self, image: Image.Image | np.ndarray, on_step: OnStep | None = None) -> PhotoSession:
        """Invert a photo: a PIL image or H×W×3|4 uint8, sRGB.

        Raises PhotoTooSmall (a side under 64 px), PhotoTooLarge (over 100 MP), BadRequest.
        """
        return PhotoSession(self, image, on_step or _silent)

    def invert(self, x: Tensor, on_step: OnStep = _silent) -> Inversion:
        """E, then refinement of r, then δ. x: 1×3×R×R in [-1, 1] on the prior's device."""
        r = inversion.encode(self.encoder, x)
        quality = {"encoder": inversion.psnr(self._render(r), x)}
        on_step(0.02, "encode")
        r = inversion.refine(
            self.generator, x, r, REFINE_STEPS, on_step=lambda f: on_step(0.02 + 0.38 * f, "refine")
        )
        quality["refined"] = inversion.psnr(self._render(r), x)
        deltas = adaptation.fit(
            self.generator,
            r,
            x,
            adaptation.zero_deltas(self.generator, r),
            steps=PHOTO_STEPS,
            on_step=lambda f: on_step(0.4 + 0.6 * f, "adapt to photo"),
        )
        quality["adapted"] = inversion.psnr(self._render(r, deltas), x)
        return Inversion(x, r, deltas, {k: round(v, 2) for k, v in quality.items()})

    @torch.no_grad()
    def _render(self, r: Tensor, deltas: Deltas | None = None) -> Tensor:
        return self.generator.head(r, deltas)


class PhotoSession:
    """A photo that was opened: its inversions are kept, so that further edits are fast."""

    KEPT = 4

    def __init__(self, prior: Prior, image: Image.Image | np.ndarray, on_step: OnStep) -> None:
        self.prior = prior
        self._rgb, self._alpha = window.as_photo(image)
        self._inversions: OrderedDict[window.Window, Inversion] = OrderedDict()
        whole = window.whole_window(*self.size)
        self.psnr = self._inverted(whole, on_step).psnr

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, px."""
        return self._rgb.shape[1], self._rgb.shape[0]

    def _inverted(self, place: window.Window, on_step: OnStep) -> Inversion:
        """The inversion of a window, made at its first use."""
        if place not in self._inversions:
            x = window.to_tensor(window.crop(self._rgb, place), self.prior.resolution)
            x = x.to(self.prior.device)
            try:
                self._inversions[place] = self.prior.invert(x, on_step)
            except torch.OutOfMemoryError as error:
                raise OutOfMemory(f"Not enough memory on {self.prior.device}: {error}") from error
            while len(self._inversions) > self.KEPT:
                self._inversions.popitem(last=False)
        self._inversions.move_to_end(place)
        return self._inversions[place]

    def edit(
        self,
        mask: Image.Image | np.ndarray,
        *,
        add: str | None = None,
        remove: str | None = None,
        strength: float = 1.0,
        seed: int = 0,
        quality: str = "final",
        on_step: OnStep | None = None,
    ) -> Edit:
        """Add or remove a concept under the stroke.

        mask: PIL "L" or H×W of the photo's size; soft values are kept. strength: s, 0 to 2; up to
        1 it weighs the edit (α), beyond it drives the units harder. seed: picks the look; 0 is the
        mean one. quality: ``preview`` masks the photo's own δ, ``final`` also adapts them to the
        edit. Raises EmptyMask, MaskSizeMismatch, UnknownConcept,
        UnsupportedOperation, BadRequest.
        """
        started = time.monotonic()
        on_step = on_step or _silent
        name, concept = self._wish(add, remove, strength, seed, quality)
        stroke = window.as_mask(mask, *self.size)
        place = window.window_for(window.bounds(stroke), *self.size, self.prior.resolution)
        inverted = self._inverted(place, lambda f, stage: on_step(0.5 * f, stage))
        opened = time.monotonic()
        try:
            y, y_e = self._apply(inverted, stroke, place, concept, add is not None,
                              strength, seed, quality, on_step)  # fmt: skip
        except torch.OutOfMemoryError as error:
            raise OutOfMemory(f"Not enough memory on {self.prior.device}: {error}") from error
        patch = paste.paste(self._rgb, stroke, place, y, y_e, seed)
        image = Image.fromarray(paste.lay_over(self._rgb, self._alpha, patch))
        on_step(1.0, "done")
        report = {
            "model": self.prior.name,
            "model_version": self.prior.version,
            "model_sha256": self.prior.info.card["files"][model_package.GENERATOR],
            "concept": concept.name,
            "operation": "add" if add is not None else "remove",
            "strength": float(strength),
            "seed": int(seed),
            "quality": quality,
            "window": list(place),
            "psnr": inverted.psnr,
            "warnings": self._warnings(inverted),
            "seconds": {
                "invert": round(opened - started, 3),
                "edit": round(time.monotonic() - opened, 3),
            },
            "device": str(self.prior.device),
        }
        return Edit(name, image, Image.fromarray(patch.rgba), (patch.x, patch.y), report)

    def _wish(
        self, add: str | None, remove: str | None, strength: float, seed: int, quality: str
    ) -> tuple[str, Concept]:
        """Check the wish; the layer's name and the concept."""
        if (add is None) == (remove is None):
            raise BadRequest("Say either what to add or what to remove.")
        if quality not in QUALITIES:
            raise BadRequest(f"Quality is one of {', '.join(QUALITIES)}, not {quality!r}.")
        if not 0 < strength <= 2:
            raise BadRequest(f"Strength is above 0 and at most 2, not {strength}.")
        if seed < 0:
            raise BadRequest(f"A seed is 0 or more, not {seed}.")
        operation = "remove" if add is None else "add"
        concept = self.prior.concept(add if add is not None else str(remove))
        able = self.prior.operations(concept.name)
        if operation not in able:
            raise UnsupportedOperation(
                f"The model {self.prior.name} cannot {operation} {concept.name}: it failed when "
                f"that was measured. It can: {', '.join(able)} {concept.name}.",
                concept=concept.name,
                operation=operation,
            )
        return f"{operation.capitalize()} {concept.name}", concept

    def _apply(
        self,
        inverted: Inversion,
        stroke: np.ndarray,
        place: window.Window,
        concept: Concept,
        adding: bool,
        strength: float,
        seed: int,
        quality: str,
        on_step: OnStep,
    ) -> tuple[Tensor, Tensor]:
        """The window's picture before and after the edit, under the δ of the edit.

        The δ are the photo's, masked; for a final edit they are then fitted to it. That y is drawn
        with the same δ leaves the edit alone as the difference of the two.
        """
        prior = self.prior
        resolution = prior.resolution
        small = window.resize(window.crop(stroke, place, fill="zero"), resolution)
        mask = torch.from_numpy(small)[None, None].to(prior.device)
        u = window.stroke_on_grid(mask)
        with torch.no_grad():
            if adding:
                r_e = concept_edits.add(inverted.r, u, concept, strength, seed)
            else:
                r_e = concept_edits.remove(inverted.r, u, concept, strength)
            # A cell's edit reaches beyond the cell: within one cell the photo is not to be matched.
            mask_e = adaptation.soften(mask, grow=resolution // GRID)
            deltas = adaptation.mask_deltas(inverted.deltas, mask_e)
        on_step(0.55, "edit")
        if quality == "final":
            deltas = adaptation.fit(
                prior.generator,
                r_e,
                inverted.x,
                deltas,
                mask_e,
                steps=EDIT_STEPS,
                tolerance=EDIT_TOLERANCE,
                on_step=lambda f: on_step(0.55 + 0.4 * f, "adapt to edit"),
            )
            # Adam moves δ under the mask as well, by what leaks through at its edge: that brought
            # the removed object back.
            deltas = adaptation.mask_deltas(deltas, mask_e)
        with torch.no_grad():
            y, y_e = prior.generator.head(torch.cat([inverted.r, r_e]), deltas).split(1)
        return y, y_e

    def _warnings(self, inverted: Inversion) -> list[str]:
        """What the person should know about the result."""
        fit = inverted.psnr["refined"]
        if fit >= FAR_DB:
            return []
        return [
            f"This photo is far from the pictures that {self.prior.name} knows "
            f"(reconstruction {fit:.1f} dB): expect new content not to match it well."
        ]


def load_model(name: str | Path = "churches", device: str = "auto") -> Prior:
    """Load a bundled or installed model by name, or a package in a folder.

    device: ``auto`` (the GPU if there is one), ``cpu``, ``cuda``… Every file is compared with its
    hash first. Raises UnknownModel, DamagedModel, BadRequest (no such device).
    """
    info = model_package.find_model(name)
    model_package.verify(info)
    try:
        generator = Generator.from_state_dict(
            model_package.load_tensors(info, model_package.GENERATOR)
        )
        encoder = Encoder.from_state_dict(model_package.load_tensors(info, model_package.ENCODER))
    except (KeyError, IndexError, RuntimeError) as error:
        raise DamagedModel(f"The weights of model {info.name} do not fit: {error}.") from error
    found = model_package.load_concepts(info)
    return Prior(info, generator, encoder, found, _device(device))


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise BadRequest(f"There is no device {name!r} here: {error}.") from error
    return device
