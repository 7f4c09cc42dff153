"""A prior and its photo sessions: open a photo once, edit it many times."""

from __future__ import annotations

import dataclasses
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from ganpaint_engine import (
    adaptation,
    detail,
    exemplars,
    familiarity,
    inversion,
    model_package,
    paste,
    window,
    wishes,
)
from ganpaint_engine import concepts as concept_edits
from ganpaint_engine.adaptation import Deltas
from ganpaint_engine.concepts import Concept
from ganpaint_engine.encoder import GRID, Encoder
from ganpaint_engine.errors import (
    BadRequest,
    DamagedModel,
    ModelNotPrepared,
    OutOfMemory,
    UnknownConcept,
)
from ganpaint_engine.exemplars import Exemplars
from ganpaint_engine.generator import SplitGenerator
from ganpaint_engine.photo_cache import Computed
from ganpaint_engine.segmentation import load_judge
from ganpaint_engine.wishes import Wish

OnStep = Callable[[float, str], None]
"""Called with (fraction in [0, 1], stage) after every step; an exception from it stops the work."""

REFINE_STEPS = 40
PHOTO_STEPS = 60
EDIT_STEPS = 40
EDIT_TOLERANCE = 0.01  # closer than the photo was fitted: there is less left to fit


def _silent(fraction: float, stage: str) -> None:
    """The callback of those who do not ask for progress."""


class Store(Protocol):
    """Where a session keeps what it computed of a window, and looks for it before it computes."""

    def get(self, place: window.Window) -> Computed | None: ...

    def put(self, place: window.Window, computed: Computed) -> None: ...

    def drop(self, place: window.Window) -> None: ...


@dataclass(frozen=True)
class Inversion:
    """A window of a photo, taken into the model.

    x: 1×3×R×R in [-1, 1]. r: 1×C×8×8. deltas: δ fitted to the photo.
    psnr: dB against x after each stage: ``encoder``, ``refined``, ``adapted``.

    r and δ are kept in fp16, also where they have just been computed: an edit is the same whether
    its photo was opened now or found in a cache.
    """

    x: Tensor
    computed: Computed

    @property
    def r(self) -> Tensor:
        return self.computed.r.float()

    @property
    def deltas(self) -> Deltas:
        return {i: delta.float() for i, delta in self.computed.deltas.items()}

    @property
    def psnr(self) -> dict[str, float]:
        return self.computed.psnr

    @property
    def nbytes(self) -> int:
        return sum(t.nbytes for t in (self.x, self.computed.r, *self.computed.deltas.values()))


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
    """A loaded model: generator, encoder and concepts on one device.

    An imported generator that is not prepared has no encoder and no concepts: it can sample.
    """

    def __init__(
        self,
        info: model_package.ModelInfo,
        generator: SplitGenerator,
        encoder: Encoder | None,
        found: dict[str, Concept],
        device: torch.device,
        library: Exemplars | None = None,
    ) -> None:
        self.info = info
        self.device = device
        self.exemplars = library.to(device) if library is not None else None
        self.generator = generator
        self._encoder = encoder
        for net in (generator, *([encoder] if encoder is not None else [])):
            net.to(device).eval().requires_grad_(False)
            net.to(memory_format=torch.channels_last)
        self._concepts = {name: concept.to(device) for name, concept in found.items()}

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

    @property
    def encoder(self) -> Encoder:
        """E. Raises ModelNotPrepared."""
        if self._encoder is None:
            way = f" Run: ganpaint models prepare {self.name}" * self.info.can_be_prepared
            raise ModelNotPrepared(
                f"The model {self.name} can sample, but cannot edit photos: it lacks "
                f"{', '.join(self.info.lacks)}.{way}",
                model=self.name,
            )
        return self._encoder

    def concept(self, name: str) -> Concept:
        """The units and p_c of a concept. Raises UnknownConcept, ModelNotPrepared."""
        _ = self.encoder
        try:
            return self._concepts[name]
        except (KeyError, TypeError):
            raise UnknownConcept(
                f"The model {self.name} has no concept {name!r}. It has: "
                f"{', '.join(self.concepts)}.",
                concept=str(name),
            ) from None

    def operations(self, concept: str) -> list[str]:
        """Which of ``add``, ``remove`` and ``restyle`` the card says it can do with a concept."""
        return self.info.operations(concept)

    @property
    def key(self) -> str:
        """What tells this model's weights from any other's: a hash of G's and E's."""
        files = self.info.card["files"]
        both = str(files[model_package.GENERATOR]) + str(files[model_package.ENCODER])
        return hashlib.sha256(both.encode()).hexdigest()

    def open(
        self,
        image: Image.Image | np.ndarray,
        on_step: OnStep | None = None,
        store: Store | None = None,
    ) -> PhotoSession:
        """Invert a photo: a PIL image or H×W×3|4 uint8, sRGB. ``store``: keeps what is computed.

        Raises PhotoTooSmall (a side under 64 px), PhotoTooLarge (over 100 MP), BadRequest,
        ModelNotPrepared.
        """
        _ = self.encoder
        return PhotoSession(self, image, on_step or _silent, store)

    @torch.no_grad()
    def sample(self, n: int = 1, seed: int = 0) -> list[Image.Image]:
        """``n`` pictures G(z), R×R px, sRGB. The z of a seed are the same on every device.

        The first pictures of a seed do not depend on ``n``. Raises BadRequest.
        """
        if n < 1 or seed < 0:
            raise BadRequest(f"One sample or more, and a seed of 0 or more; not {n} and {seed}.")
        draw = torch.Generator().manual_seed(seed)
        pictures = []
        for _ in range(n):
            z = torch.randn(1, self.generator.z_channels, generator=draw).to(self.device)
            y = ((self.generator(z)[0] + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
            pictures.append(Image.fromarray(y.permute(1, 2, 0).cpu().numpy()))
        return pictures

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
        halves = {i: delta.half().contiguous() for i, delta in deltas.items()}
        return Inversion(
            x, Computed(r.half().contiguous(), halves, {k: round(v, 2) for k, v in quality.items()})
        )

    def restore(self, x: Tensor, computed: Computed) -> Inversion | None:
        """The inversion of x from what was kept of it; None if that is not of this model's shapes.

        x: as for ``invert``.
        """
        r = computed.r.to(self.device)
        deltas = {i: delta.to(self.device) for i, delta in computed.deltas.items()}
        shape = (1, self.generator.edit_channels, GRID, GRID)
        if r.shape != shape:
            return None
        right = adaptation.zero_deltas(self.generator, r)
        if {i: d.shape for i, d in deltas.items()} != {i: d.shape for i, d in right.items()}:
            return None
        if not all(t.dtype == torch.half and t.isfinite().all() for t in (r, *deltas.values())):
            return None
        return Inversion(x, Computed(r, deltas, computed.psnr))

    @cached_property
    def _segmenter(self) -> nn.Module:
        return load_judge().to(self.device)

    def unfamiliarity(self, x: Tensor) -> float:
        """How unsure a segmenter of scenes is about x (1×3×R×R), nats; see ``familiarity``."""
        return round(float(familiarity.entropy(self._segmenter, x)), 3)

    @property
    def familiar_limit(self) -> float | None:
        """Unfamiliarity above which edits are warned about; None if it was never measured."""
        return self.info.card.get("familiar", {}).get("entropy")

    @torch.no_grad()
    def _render(self, r: Tensor, deltas: Deltas | None = None) -> Tensor:
        return self.generator.head(r, deltas)


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

    def inverted(self, place: window.Window, on_step: OnStep = _silent) -> Inversion:
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
        on_step: OnStep | None = None,
    ) -> Edit:
        """Add, remove or restyle a concept under the stroke.

        mask: PIL "L" or H×W of the photo's size; soft values are kept. restyle: the concept whose
        look changes where it is. variant: the name of a look, for add and restyle. like: instead,
        a mask of a region whose look to take, in this photo or in ``like_image`` (of that one's
        size then). strength: s, 0 to 2; up to 1 it weighs the edit (α), beyond it drives the units
        harder; or ``low``, ``medium``, ``high``: 4, 10 or 20 units, to higher quantiles of their
        activation. seed: picks the look where no variant does; 0 is the mean one. quality:
        ``preview`` masks the photo's own δ, ``final`` also adapts them to the edit. Raises
        EmptyMask, MaskSizeMismatch, UnknownConcept, UnknownVariant, UnsupportedOperation,
        BadRequest.
        """
        started = time.monotonic()
        on_step = on_step or _silent
        wished = {"add": add, "remove": remove, "restyle": restyle}
        wish = wishes.check(
            self.prior, wished, strength, seed, quality, variant, like=like is not None
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
        try:
            y, y_e = self._apply(inverted, stroke, place, wish, on_step)
        except torch.OutOfMemoryError as error:
            raise OutOfMemory(f"Not enough memory on {self.prior.device}: {error}") from error
        keep_detail = wish.operation == "restyle"
        fine = self._detail(inverted, stroke, place, wish) if wish.operation == "add" else None
        patch = paste.paste(self._rgb, stroke, place, y, y_e, seed, keep_detail, fine)
        image = Image.fromarray(paste.lay_over(self._rgb, self._alpha, patch))
        on_step(1.0, "done")
        report = self._report(wish, place, inverted) | {
            "like": like is not None,
            "psnr": {**inverted.psnr, "outside": self._outside(inverted, stroke, place, y_e)},
            "seconds": {
                "invert": round(opened - started, 3),
                "edit": round(time.monotonic() - opened, 3),
            },
        }
        return Edit(wish.name, image, Image.fromarray(patch.rgba), (patch.x, patch.y), report)

    def _report(self, wish: Wish, place: window.Window, inverted: Inversion) -> dict[str, Any]:
        """How an edit was made: plain values."""
        return {
            "model": self.prior.name,
            "model_version": self.prior.version,
            "model_sha256": self.prior.info.card["files"][model_package.GENERATOR],
            "concept": wish.concept.name,
            "operation": wish.operation,
            "variant": wish.variant,
            "strength": wish.asked_strength,
            "seed": wish.seed,
            "quality": wish.quality,
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
        return concept_edits.mean_over(inverted.r, share / share.max().clamp(min=1e-6)).flatten()

    def _in_window(self, stroke: np.ndarray, place: window.Window) -> Tensor:
        """A photo's mask (H×W) as the window sees it: 1×1×R×R."""
        small = window.resize(window.crop(stroke, place, fill="zero"), self.prior.resolution)
        return torch.from_numpy(small)[None, None].to(self.prior.device)

    def _apply(
        self,
        inverted: Inversion,
        stroke: np.ndarray,
        place: window.Window,
        wish: Wish,
        on_step: OnStep,
    ) -> tuple[Tensor, Tensor]:
        """The window's picture before and after the edit, under the δ of the edit.

        The δ are the photo's, masked; for a final edit they are then fitted to it. That y is drawn
        with the same δ leaves the edit alone as the difference of the two.
        """
        prior = self.prior
        mask = self._in_window(stroke, place)
        u = window.stroke_on_grid(mask)
        with torch.no_grad():
            cover = F.adaptive_avg_pool2d(mask, GRID)
            r_e = _edited(inverted.r, u, cover, wish, prior.exemplars)
            # A cell's edit reaches beyond the cell: within one cell the photo is not to be matched.
            mask_e = adaptation.soften(mask, grow=prior.resolution // GRID)
            deltas = adaptation.mask_deltas(inverted.deltas, mask_e)
        on_step(0.55, "edit")
        if wish.quality == "final":
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

    def _outside(
        self, inverted: Inversion, stroke: np.ndarray, place: window.Window, y_e: Tensor
    ) -> float | None:
        """PSNR in dB of G' where the photo was to be kept, before paste-back; None: nowhere."""
        mask = self._in_window(stroke, place)
        mask_e = adaptation.soften(mask, grow=self.prior.resolution // GRID)
        kept = (mask_e == 0).expand_as(y_e)
        return round(inversion.psnr(y_e[kept], inverted.x[kept]), 2) if kept.any() else None

    def _detail(
        self, inverted: Inversion, stroke: np.ndarray, place: window.Window, wish: Wish
    ) -> np.ndarray | None:
        """What an added concept is to have that the window is too small for: S×S×1, or nothing.

        As strong as in the other cells that hold the concept, or as the card says it usually is.
        """
        u = window.stroke_on_grid(self._in_window(stroke, place))
        with torch.no_grad():
            there = concept_edits.presence(inverted.r, wish.concept)
        donors = ((there >= 1) & (u == 0))[0, 0].cpu().numpy()
        photo = window.crop(self._rgb, place).astype(np.float32)
        usual = self.prior.info.detail(wish.concept.name)
        levels = detail.contrast(photo, donors, self.prior.resolution)
        if levels is None and not usual:
            return None
        if levels is not None and usual:
            # Cells can look like the concept to E and not be it: the sky got a wall's roughness.
            levels = [min(max(level, usual / 2), 2 * usual) for level in levels]
        return detail.noise(place.side, self.prior.resolution, levels or usual, wish.seed)

    def _warnings(self, inverted: Inversion) -> list[str]:
        """What the person should know about the result, before an edit and after it."""
        limit = self.prior.familiar_limit
        if limit is None or (value := self.prior.unfamiliarity(inverted.x)) <= limit:
            return []
        return [
            f"This picture is unlike those that {self.prior.name} knows (unfamiliarity "
            f"{value:.2f}; its own stay under {limit:.2f}): expect new content to be coarse and "
            "not to match it well."
        ]


def _edited(r: Tensor, u: Tensor, cover: Tensor, wish: Wish, library: Exemplars | None) -> Tensor:
    """r_e of a wish, with the stroke on the grid U and its share of each cell (1×1×8×8)."""
    concept, s, look = wish.concept, wish.strength, wish.look
    match wish.operation:
        case "add" if wish.like:
            return concept_edits.add(r, u, concept, s, look)
        case "add":
            wanted = look if wish.variant else None
            least = concept.p if isinstance(wish.asked_strength, str) else None
            return exemplars.insert(r, u, cover, concept, library, s, wish.seed, wanted, least)
        case "remove":
            return exemplars.take_out(r, u, concept, library, s, wish.seed)
        case _:
            return concept_edits.restyle(r, u, concept, concept.p if look is None else look, s)


def load_model(name: str | Path = "churches", device: str = "auto") -> Prior:
    """Load a bundled or installed model by name, or a package in a folder.

    device: ``auto`` (the GPU if there is one), ``cpu``, ``cuda``… Every file is compared with its
    hash first. Raises UnknownModel, DamagedModel, BadRequest (no such device).
    """
    info = model_package.find_model(name)
    model_package.verify(info)
    generator = model_package.load_generator(info)
    if not info.prepared:
        return Prior(info, generator, None, {}, _device(device))
    try:
        encoder = Encoder.from_state_dict(model_package.load_tensors(info, model_package.ENCODER))
    except (KeyError, IndexError, RuntimeError) as error:
        raise DamagedModel(f"The weights of model {info.name} do not fit: {error}.") from error
    found, library = model_package.load_concepts(info), model_package.load_exemplars(info)
    return Prior(info, generator, encoder, found, _device(device), library)


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise BadRequest(f"There is no device {name!r} here: {error}.") from error
    return device
