"""Photo sessions: open a photo once, edit it many times; what is kept of it in between."""

from __future__ import annotations

import dataclasses
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from ganpaint_engine import (
    concepts,
    editing,
    familiarity,
    memory,
    paste,
    selection,
    stack,
    window,
    wishes,
)
from ganpaint_engine.compositing import RESIDUAL
from ganpaint_engine.editing import Edit
from ganpaint_engine.encoder import GRID
from ganpaint_engine.errors import BadRequest
from ganpaint_engine.inversion import INVERSIONS
from ganpaint_engine.memory import EDIT_RUNGS, WINDOW_RUNGS, Rung
from ganpaint_engine.model_package import GENERATOR
from ganpaint_engine.photo_cache import Computed
from ganpaint_engine.prior import Inversion, OnStep, Prior, silent
from ganpaint_engine.recolour import Tint
from ganpaint_engine.selection import Selection
from ganpaint_engine.wishes import check_one_of

T = TypeVar("T")

OnWarnings = Callable[[list[str]], None]
"""Called with sentences for the person as soon as they are known."""


class Store(Protocol):
    """Where a session keeps what it computed of a window, and looks for it before it computes."""

    def get(self, place: window.Window) -> Computed | None: ...

    def put(self, place: window.Window, computed: Computed) -> None: ...

    def drop(self, place: window.Window) -> None: ...


@dataclass(frozen=True)
class Outlook:
    """What can be told of a window before an edit is made in it.

    window: photo px. psnr: dB at which the model redraws it, after E alone or better.
    unfamiliarity: how unlike what the model knows, in nats; limit: under which the model's own
    pictures stay; None if that was never measured. warnings: sentences for the person, none where
    all is well.
    """

    window: window.Window
    psnr: float
    unfamiliarity: float | None
    limit: float | None
    warnings: list[str]


class PhotoSession:
    """A photo that was opened: what the model made of it is kept, so that further edits are fast.

    Opening computes nothing of the model. A window is taken into it by E when a preview needs it,
    and wholly (r refined, δ fitted) by the first final edit, or by ``inverted``.
    """

    KEPT = 4

    def __init__(
        self,
        prior: Prior,
        image: Image.Image | np.ndarray,
        store: Store | None = None,
        inversion: str = "r",
        features: str = "auto",
    ) -> None:
        """As ``Prior.open``. A store keeps what the default inversion gives, and nothing else."""
        check_one_of("Inversion", inversion, tuple(INVERSIONS))
        self.prior = prior
        self._how: dict[str, Any] = {"method": inversion, "features": features}
        used = prior.features(features)
        self._features = used.name if used is not None else "none"
        self._store = store if (inversion, features) == ("r", "auto") else None
        self._rgb, self._alpha = window.as_photo(image)
        self._inversions: OrderedDict[window.Window, Inversion] = OrderedDict()
        self._rung = memory.FULL  # how far down the present edit had to go for want of memory

    @property
    def nbytes(self) -> int:
        """Memory that this photo takes, with its inversions."""
        pixels = self._rgb.nbytes + (0 if self._alpha is None else self._alpha.nbytes)
        return pixels + sum(inverted.nbytes for inverted in self._inversions.values())

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, px."""
        return self._rgb.shape[1], self._rgb.shape[0]

    @property
    def psnr(self) -> dict[str, float]:
        """dB of the photo's middle square after each stage; computed when it is first asked for."""
        return self.inverted(window.whole_window(*self.size)).psnr

    @property
    def warnings(self) -> list[str]:
        """What the person should know before any edit: of the photo's middle square."""
        return self._outlook(window.whole_window(*self.size)).warnings

    def place(
        self,
        mask: Image.Image | np.ndarray,
        *,
        context: str = "auto",
        grow: int = 0,
        feather: float = 0.0,
    ) -> window.Window:
        """The window in which an edit under ``mask`` would be made. Raises as edit does."""
        return self._place(selection.read(mask, *self.size, grow, feather), context)

    def _place(self, stroke: Selection, context: str = "auto") -> window.Window:
        return window.window_for(stroke.box, *self.size, self.prior.resolution, context)

    def inspect(
        self,
        mask: Image.Image | np.ndarray | None = None,
        *,
        context: str = "auto",
        grow: int = 0,
        feather: float = 0.0,
    ) -> Outlook:
        """How well the model knows what is around ``mask``, from E alone: what an edit would warn
        of. Without a mask, of the photo's middle square. Raises as edit does for the mask."""
        if mask is None:
            return self._outlook(window.whole_window(*self.size))
        return self._outlook(self.place(mask, context=context, grow=grow, feather=feather))

    def has(self, place: window.Window) -> bool:
        """Whether all that an edit in a window builds on is at hand."""
        return place in self._inversions and self._inversions[place].is_complete

    def encoded(self, place: window.Window) -> Inversion:
        """The best there is of a window without waiting: from E alone, if nothing better is."""
        if place not in self._inversions:
            x = window.to_tensor(window.crop(self._rgb, place), self.prior.resolution)
            x = x.to(self.prior.device)
            kept = self._restored(place, x)
            self._inversions[place] = kept or self._climb(
                WINDOW_RUNGS, lambda prior, _: prior.encode(x.to(prior.device))
            )
            while len(self._inversions) > self.KEPT:
                self._inversions.popitem(last=False)
        self._inversions.move_to_end(place)
        return self._inversions[place]

    def inverted(self, place: window.Window, on_step: OnStep = silent) -> Inversion:
        """The whole inversion of a window, made at its first use."""
        found = self.encoded(place)
        if not found.is_complete:

            def invert(prior: Prior, _: Rung) -> Inversion:
                start = self._inversions[place].to(prior.device)
                return prior.invert(
                    *(start.x, on_step, start, lambda stage: self._keep(place, stage)),
                    **self._how,
                )

            found = self._climb(WINDOW_RUNGS, invert)
            self._keep(place, found)
            if self._store is not None:
                self._store.put(place, found.computed)
        return found

    def _climb(self, rungs: Sequence[Rung], work: Callable[[Prior, Rung], T]) -> T:
        """What ``work`` gives on the first rung of memory's ladder that has the memory for it.

        Raises OutOfMemory. Which rung that was is told by ``edit``, in its report.
        """

        def on(rung: Rung) -> T:
            prior = self.prior.on_cpu if rung.on_cpu else self.prior
            with memory.precision(rung, prior.device):
                return work(prior, rung)

        last = memory.is_cpu(self.prior.device)
        made, rung = memory.climb([r for r in rungs if not (last and r.on_cpu)], on)
        self._rung = max(self._rung, rung, key=memory.LADDER.index)
        return made

    def _keep(self, place: window.Window, found: Inversion) -> None:
        found.unfamiliarity = self._inversions[place].unfamiliarity
        self._inversions[place] = found

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
        context: str = "auto",
        grow: int = 0,
        feather: float = 0.0,
        adaptation: str = "delta",
        after: Edit | None = None,
        on_step: OnStep | None = None,
        on_warnings: OnWarnings | None = None,
    ) -> Edit:
        """Add, remove or restyle a concept under the stroke.

        mask: PIL "L" or H×W of the photo's size; soft values are kept. restyle: the concept whose
        look changes where it is. variant: the name of a look, for add and restyle. like: instead,
        a mask of a region whose look to take, in this photo or in ``like_image`` (of that one's
        size then). strength: s, 0 to 2; up to 1 it weighs the edit (α), beyond it drives the units
        harder; or ``low``, ``medium``, ``high``: 4, 10 or 20 units, to higher quantiles of their
        activation. seed: picks the look where no variant does; 0 is the mean one. quality:
        ``preview`` masks the photo's own δ (or does without, before there are any: it answers from
        E alone), ``final`` also adapts them to the edit. composite: the final blend, ``residual``,
        or one of the paper's alternatives: ``alpha``, ``color_transfer``, ``poisson``,
        ``laplacian``. adaptation: how G' is made, ``delta`` or one of the forms to compare it with:
        ``additive``, ``paper``, ``weights``, ``none``. context: the window: ``auto``, ``whole`` or
        ``selection``, see window.CONTEXTS. grow, feather: of the mask, photo px, see selection.
        after: an edit of this photo on which this one is stacked; the result holds both.
        on_warnings: called once, with sentences, as soon as E has told that there is something to
        warn of and before the rest is computed; they are in the report too. Raises EmptyMask,
        MaskSizeMismatch, UnknownConcept, UnknownVariant, UnsupportedOperation, BadRequest.
        """
        if after is not None and after.photo is not self:
            raise BadRequest("An edit can only come after one of the same opened photo.")
        one: dict[str, Any] = {"mask": mask}
        one |= {"add": add, "remove": remove, "restyle": restyle, "variant": variant}
        one |= {"like": like, "like_image": like_image, "strength": strength, "seed": seed}
        one |= {"grow": grow, "feather": feather}
        return self._edited(
            after.stack if after is not None else (),
            [one],
            {"quality": quality, "composite": composite, "adaptation": adaptation},
            context,
            on_step or silent,
            on_warnings,
        )

    def edits(
        self,
        edits: Sequence[Mapping[str, Any]],
        *,
        quality: str = "final",
        composite: str = "residual",
        adaptation: str = "delta",
        context: str = "auto",
        on_step: OnStep | None = None,
        on_warnings: OnWarnings | None = None,
    ) -> Edit:
        """A stack of edits at once, the first one first: the same as ``edit`` after ``edit``.

        edits: for each a mapping of what ``edit`` takes: ``mask``, one of ``add``, ``remove`` and
        ``restyle``, and if wanted ``variant``, ``like``, ``like_image``, ``strength``, ``seed``,
        ``grow``, ``feather``. All share one window: edits far apart are better made one by one.
        Raises as ``edit``.
        """
        if not edits:
            raise BadRequest("There is no edit to make.")
        how = {"quality": quality, "composite": composite, "adaptation": adaptation}
        return self._edited((), edits, how, context, on_step or silent, on_warnings)

    def without(
        self,
        edit: Edit,
        *numbers: int,
        on_step: OnStep | None = None,
        on_warnings: OnWarnings | None = None,
    ) -> Edit:
        """A stack of edits again without some of them, numbered from 0.

        Raises BadRequest for a number that the stack does not have, or where nothing would be left.
        """
        wrong = [n for n in numbers if not 0 <= n < len(edit.stack)]
        if wrong or edit.photo is not self:
            raise BadRequest(
                f"This photo's edit has the numbers 0 to {len(edit.stack) - 1}, not {wrong}."
            )
        left = tuple(part for n, part in enumerate(edit.stack) if n not in numbers)
        if not left:
            raise BadRequest("Without these edits nothing is left: that is the photo itself.")
        how = {key: edit.report[key] for key in ("quality", "composite", "adaptation")}
        left = (*left[:-1], dataclasses.replace(left[-1], wish=left[-1].wish.made(**how)))
        context = edit.report["context"]
        return self._edited(left, [], how, context, on_step or silent, on_warnings)

    def _edited(
        self,
        before: stack.Stack,
        asked: Sequence[Mapping[str, Any]],
        how: dict[str, str],
        context: str,
        on_step: OnStep,
        on_warnings: OnWarnings | None,
    ) -> Edit:
        """The edits ``before`` and those that are asked for upon them, in one window."""
        started, outer = time.monotonic(), self._rung
        self._rung = memory.FULL
        parts = (*before, *(stack.read(self.prior, self.size, one, how) for one in asked))
        stroke = stack.selected(parts)
        place = self._place(stroke, context)
        warned = self._outlook(place, parts[-1].wish).warnings
        if warned and on_warnings is not None:
            on_warnings(warned)
        ahead = 0.25 if any(part.wish.like for part in parts[len(before) :]) else 0.0
        parts = self._with_looks(parts, asked, lambda f, stage: on_step(ahead * f, stage))
        if how["quality"] == "final":
            span = 0.5 - ahead
            inverted = self.inverted(place, lambda f, stage: on_step(ahead + span * f, stage))
        else:
            inverted = self.encoded(place)
        opened = time.monotonic()
        patch, outside = self._patched(parts, stroke, place, inverted, on_step)
        rung, self._rung = self._rung, outer  # a preview may have been made within a final edit
        warned = warned + memory.sentence(rung)
        report = self._report(parts, place, inverted) | {
            "device": "cpu" if rung.on_cpu else str(self.prior.device),
            "memory": rung.name,
            "context": context,
            "warnings": warned,
            "psnr": {**inverted.psnr, "outside": outside},
            "seconds": {
                "invert": round(opened - started, 3),
                "edit": round(time.monotonic() - opened, 3),
            },
        }

        def compose() -> np.ndarray:
            return paste.lay_over(self._rgb, self._alpha, patch)

        offset = (patch.x, patch.y)
        return Edit(stack.name(parts), patch.rgba, offset, report, compose, parts, self)

    def _with_looks(
        self, parts: stack.Stack, asked: Sequence[Mapping[str, Any]], on_step: OnStep
    ) -> stack.Stack:
        """With p_c of the regions that the last edits are to be like."""
        made = list(parts)
        for n, one in enumerate(asked, len(parts) - len(asked)):
            if one.get("like") is not None:
                look, tint = self._look_of(one["like"], one.get("like_image"), on_step)
                wish = dataclasses.replace(parts[n].wish, look=look, tint=tint)
                made[n] = dataclasses.replace(parts[n], wish=wish)
        return tuple(made)

    def _patched(
        self,
        parts: stack.Stack,
        stroke: Selection,
        place: window.Window,
        inverted: Inversion,
        on_step: OnStep,
    ) -> tuple[paste.Patch, float | None]:
        """The new pixels, and the PSNR of the raw G' outside."""
        seen = [(part.wish, self._in_window(part.selection, place)) for part in parts]

        def apply(prior: Prior, rung: Rung) -> editing.Drawn:
            edits = [(wish.to(prior), mask.to(prior.device)) for wish, mask in seen]
            return editing.apply(prior, inverted.to(prior.device), edits, on_step, rung.margin)

        home, drawn = self.prior.device, self._climb(EDIT_RUNGS, apply)
        drawn = drawn._replace(y=drawn.y.float().to(home), y_e=drawn.y_e.float().to(home))
        around = window.crop(self._rgb, place)
        y_e, things = editing.things(self.prior, inverted, seen, drawn, around)
        fine = None
        for wish, mask in seen:  # the last addition's, where there are several
            if wish.operation == "add":
                fine = editing.fine_detail(self.prior, inverted, mask, around, wish)
        keep_detail = all(wish.operation == "restyle" for wish, _ in seen)
        last = parts[-1].wish
        if last.composite != RESIDUAL:  # the paper's alternatives blend what the head drew
            y_e, things = drawn.y_e, []
        patch = paste.paste(
            *(self._rgb, stroke, place, drawn.y, y_e, last.seed, keep_detail, fine),
            composite=last.composite,
            x=inverted.x,
            things=things,
        )
        on_step(1.0, "done")
        whole = self._in_window(stroke, place)
        return patch, editing.outside_psnr(self.prior, inverted, whole, drawn.y_e)

    def _report(
        self, parts: stack.Stack, place: window.Window, inverted: Inversion
    ) -> dict[str, Any]:
        """How an edit was made, and those before it: plain values."""
        wish = parts[-1].wish
        return {
            "model": self.prior.name,
            "model_version": self.prior.version,
            "model_sha256": self.prior.info.card["files"][GENERATOR],
            **parts[-1].report(),
            "after": [part.report() for part in parts[:-1]],
            "quality": wish.quality,
            "composite": wish.composite,
            "adaptation": wish.adaptation,
            "inversion": self._how["method"],
            "features": self._features,
            "window": list(place),
            "stage": "adapted" if inverted.is_complete else "encoder",
            "device": str(self.prior.device),
        }

    def _look_of(
        self,
        like: Image.Image | np.ndarray,
        like_image: Image.Image | np.ndarray | None,
        on_step: OnStep,
    ) -> tuple[Tensor, Tint]:
        """p_c of a region of this photo, or of another one, C values, and its colour."""
        other = self
        if like_image is not None:
            other = PhotoSession(self.prior, like_image, None, *self._how.values())
        return other._like(like, on_step)

    def _like(self, mask: Image.Image | np.ndarray, on_step: OnStep) -> tuple[Tensor, Tint]:
        """p_c of what is under ``mask`` in this photo: the mean activation there, C values; and
        the mean colour."""
        region = selection.read(mask, *self.size)
        place = self._place(region)
        inverted = self.inverted(place, on_step)
        small = self._in_window(region, place)
        share = F.adaptive_avg_pool2d(small, GRID)
        # A region smaller than a cell fills none: what counts is which cells it fills most.
        look = concepts.mean_over(inverted.r, share / share.max().clamp(min=1e-6)).flatten()
        colour = concepts.mean_over(inverted.x, small).flatten().cpu().numpy()
        return look, Tint((colour + 1) * 127.5, np.zeros((0, 3)))

    def _in_window(self, stroke: Selection, place: window.Window) -> Tensor:
        """A selection as the window sees it: 1×1×R×R."""
        small = stroke.seen(place, self.prior.resolution)
        return torch.from_numpy(small)[None, None].to(self.prior.device)

    def _outlook(self, place: window.Window, wish: wishes.Wish | None = None) -> Outlook:
        """What the person should know of a window before an edit, or before ``wish``."""
        found, limit = self.encoded(place), self.prior.familiar_limit
        psnr = max(found.psnr.values())
        if limit is None:
            return Outlook(place, psnr, None, None, [])
        value, warned = self.prior.unfamiliarity_of(found), []
        if value > limit:
            told = familiarity.unlike(self.prior.name, value, limit)
            asked = (wish.operation, wish.composite) if wish is not None else ()
            warned += [told, *familiarity.advice(*asked)]
        return Outlook(place, psnr, value, limit, warned)
