"""Photo sessions: open a photo once, edit it many times; what is kept of it in between."""

from __future__ import annotations

import dataclasses
import time
from collections import OrderedDict
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from ganpaint_engine import concepts, editing, paste, window, wishes
from ganpaint_engine.editing import Edit
from ganpaint_engine.encoder import GRID
from ganpaint_engine.errors import BadRequest, OutOfMemory
from ganpaint_engine.model_package import GENERATOR
from ganpaint_engine.photo_cache import Computed
from ganpaint_engine.prior import Inversion, OnStep, Prior, silent


class Store(Protocol):
    """Where a session keeps what it computed of a window, and looks for it before it computes."""

    def get(self, place: window.Window) -> Computed | None: ...

    def put(self, place: window.Window, computed: Computed) -> None: ...

    def drop(self, place: window.Window) -> None: ...


class PhotoSession:
    """A photo that was opened: its inversions are kept, so that further edits are fast."""

    KEPT = 4

    def __init__(
        self,
        prior: Prior,
        image: Image.Image | np.ndarray,
        on_step: OnStep,
        store: Store | None = None,
    ) -> None:
        self.prior = prior
        self._store = store
        self._rgb, self._alpha = window.as_photo(image)
        self._inversions: OrderedDict[window.Window, Inversion] = OrderedDict()
        whole = window.whole_window(*self.size)
        first = self.inverted(whole, on_step)
        self.psnr, self.warnings = first.psnr, self._warnings(first)

    @property
    def nbytes(self) -> int:
        """Memory that this photo takes, with its inversions."""
        pixels = self._rgb.nbytes + (0 if self._alpha is None else self._alpha.nbytes)
        return pixels + sum(inverted.nbytes for inverted in self._inversions.values())

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, px."""
        return self._rgb.shape[1], self._rgb.shape[0]

    def place(self, mask: Image.Image | np.ndarray) -> window.Window:
        """The window in which an edit under ``mask`` would be made. Raises as edit does."""
        return self._place(window.as_mask(mask, *self.size))

    def _place(self, stroke: np.ndarray) -> window.Window:
        return window.window_for(window.bounds(stroke), *self.size, self.prior.resolution)

    def has(self, place: window.Window) -> bool:
        """Whether a window's inversion is at hand."""
        return place in self._inversions

    def inverted(self, place: window.Window, on_step: OnStep = silent) -> Inversion:
        """The inversion of a window, made at its first use."""
        if place not in self._inversions:
            x = window.to_tensor(window.crop(self._rgb, place), self.prior.resolution)
            x = x.to(self.prior.device)
            try:
                self._inversions[place] = self._restored(place, x) or self._computed(
                    place, x, on_step
                )
            except torch.OutOfMemoryError as error:
                raise OutOfMemory(f"Not enough memory on {self.prior.device}: {error}") from error
            while len(self._inversions) > self.KEPT:
                self._inversions.popitem(last=False)
        self._inversions.move_to_end(place)
        return self._inversions[place]

    def _computed(self, place: window.Window, x: Tensor, on_step: OnStep) -> Inversion:
        inverted = self.prior.invert(x, on_step)
        if self._store is not None:
            self._store.put(place, inverted.computed)
        return inverted

    def _restored(self, place: window.Window, x: Tensor) -> Inversion | None:
        """What the store has of a window, if it is right."""
        kept = self._store.get(place) if self._store is not None else None
        if self._store is None or kept is None:
            return None
        inverted = self.prior.restore(x, kept)
        if inverted is None:
            self._store.drop(place)
        return inverted

    def edit(
        self,
        mask: Image.Image | np.ndarray,
        *,
        add: str | None = None,
        remove: str | None = None,
        restyle: str | None = None,
        variant: str | None = None,
        like: Image.Image | np.ndarray | None = None,
        like_image: Image.Image | np.ndarray | None = None,
        strength: float | str = 1.0,
        seed: int = 0,
        quality: str = "final",
        composite: str = "residual",
        on_step: OnStep | None = None,
    ) -> Edit:
        """Add, remove or restyle a concept under the stroke.

        mask: PIL "L" or H×W of the photo's size; soft values are kept. restyle: the concept whose
        look changes where it is. variant: the name of a look, for add and restyle. like: instead,
        a mask of a region whose look to take, in this photo or in ``like_image`` (of that one's
        size then). strength: s, 0 to 2; up to 1 it weighs the edit (α), beyond it drives the units
        harder; or ``low``, ``medium``, ``high``: 4, 10 or 20 units, to higher quantiles of their
        activation. seed: picks the look where no variant does; 0 is the mean one. quality:
        ``preview`` masks the photo's own δ, ``final`` also adapts them to the edit. composite: the
        final blend, ``residual``, or one of the paper's alternatives: ``alpha``,
        ``color_transfer``, ``poisson``, ``laplacian``. Raises EmptyMask, MaskSizeMismatch,
        UnknownConcept, UnknownVariant, UnsupportedOperation, BadRequest.
        """
        started = time.monotonic()
        on_step = on_step or silent
        wished = {"add": add, "remove": remove, "restyle": restyle}
        wish = wishes.check(
            self.prior, wished, strength, seed, quality, variant, like is not None, composite
        )
        stroke = window.as_mask(mask, *self.size)
        ahead = 0.0
        if like is not None or like_image is not None:
            ahead = 0.25
            look = self._look_of(like, like_image, lambda f, stage: on_step(ahead * f, stage))
            wish = dataclasses.replace(wish, look=look)
        place = self._place(stroke)
        inverted = self.inverted(place, lambda f, stage: on_step(ahead + (0.5 - ahead) * f, stage))
        opened = time.monotonic()
        seen = self._in_window(stroke, place)
        try:
            y, y_e = editing.apply(self.prior, inverted, seen, wish, on_step)
        except torch.OutOfMemoryError as error:
            raise OutOfMemory(f"Not enough memory on {self.prior.device}: {error}") from error
        fine = None
        if wish.operation == "add":
            around = window.crop(self._rgb, place)
            fine = editing.fine_detail(self.prior, inverted, seen, around, wish)
        keep_detail = wish.operation == "restyle"
        patch = paste.paste(
            self._rgb, stroke, place, y, y_e, seed, keep_detail, fine, wish.composite
        )
        on_step(1.0, "done")
        outside = editing.outside_psnr(self.prior, inverted, seen, y_e)
        report = self._report(wish, place, inverted) | {
            "like": like is not None,
            "psnr": {**inverted.psnr, "outside": outside},
            "seconds": {
                "invert": round(opened - started, 3),
                "edit": round(time.monotonic() - opened, 3),
            },
        }

        def compose() -> Image.Image:
            return Image.fromarray(paste.lay_over(self._rgb, self._alpha, patch))

        picture = Image.fromarray(patch.rgba)
        return Edit(wish.name, picture, (patch.x, patch.y), report, compose)

    def _report(
        self, wish: wishes.Wish, place: window.Window, inverted: Inversion
    ) -> dict[str, Any]:
        """How an edit was made: plain values."""
        return {
            "model": self.prior.name,
            "model_version": self.prior.version,
            "model_sha256": self.prior.info.card["files"][GENERATOR],
            "concept": wish.concept.name,
            "operation": wish.operation,
            "variant": wish.variant,
            "strength": wish.asked_strength,
            "seed": wish.seed,
            "quality": wish.quality,
            "composite": wish.composite,
            "window": list(place),
            "psnr": inverted.psnr,
            "warnings": self._warnings(inverted),
            "device": str(self.prior.device),
        }

    def _look_of(
        self,
        like: Image.Image | np.ndarray | None,
        like_image: Image.Image | np.ndarray | None,
        on_step: OnStep,
    ) -> Tensor:
        """p_c of a region of this photo, or of another one. C values."""
        if like is None:
            raise BadRequest("A picture to be like needs a mask of the region to be like.")
        other = self if like_image is None else PhotoSession(self.prior, like_image, on_step)
        return other._like(like, on_step)

    def _like(self, mask: Image.Image | np.ndarray, on_step: OnStep) -> Tensor:
        """p_c of what is under ``mask`` in this photo: the mean activation there, C values."""
        region = window.as_mask(mask, *self.size)
        place = self._place(region)
        inverted = self.inverted(place, on_step)
        share = F.adaptive_avg_pool2d(self._in_window(region, place), GRID)
        # A region smaller than a cell fills none: what counts is which cells it fills most.
        return concepts.mean_over(inverted.r, share / share.max().clamp(min=1e-6)).flatten()

    def _in_window(self, stroke: np.ndarray, place: window.Window) -> Tensor:
        """A photo's mask (H×W) as the window sees it: 1×1×R×R."""
        small = window.resize(window.crop(stroke, place, fill="zero"), self.prior.resolution)
        return torch.from_numpy(small)[None, None].to(self.prior.device)

    def _warnings(self, inverted: Inversion) -> list[str]:
        """What the person should know about the result, before an edit and after it."""
        limit = self.prior.familiar_limit
        if limit is None or (value := self.prior.unfamiliarity_of(inverted)) <= limit:
            return []
        return [
            f"This picture is unlike those that {self.prior.name} knows (unfamiliarity "
            f"{value:.2f}; its own stay under {limit:.2f}): expect new content to be coarse and "
            "not to match it well."
        ]
