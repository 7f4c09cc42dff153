"""A prior: a loaded model, and what it makes of one window of a photo."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ganpaint_engine import adaptation, familiarity, inversion, model_package
from ganpaint_engine import features as features_of_pictures
from ganpaint_engine.adaptation import Deltas
from ganpaint_engine.concepts import Concept
from ganpaint_engine.encoder import GRID, Encoder
from ganpaint_engine.errors import (
    BadRequest,
    DamagedModel,
    ModelNotPrepared,
    UnknownConcept,
)
from ganpaint_engine.exemplars import Exemplars
from ganpaint_engine.features import Features
from ganpaint_engine.generator import SplitGenerator
from ganpaint_engine.photo_cache import Computed
from ganpaint_engine.removal import Fillings
from ganpaint_engine.segmentation import load_judge

if TYPE_CHECKING:
    from ganpaint_engine.session import PhotoSession, Store

OnStep = Callable[[float, str], None]
"""Called with (fraction in [0, 1], stage) after every step; an exception from it stops the work."""

_TOLD = {"refined": "refine", "z": "seek z", "layers": "seek residuals"}
"""What a person is told of each stage of inversion.INVERSIONS."""

REFINE_STEPS = 40
PHOTO_STEPS = 60


def silent(fraction: float, stage: str) -> None:
    """The callback of those who do not ask for progress."""


def cells_to_px(t: Tensor, rows: slice, columns: slice) -> Tensor:
    """A view of the part of a picture or featuremap (N×C×H×W) that lies in these of the grid's
    cells."""
    k = t.shape[-1] // GRID
    down, across = (slice(s.start * k, s.stop * k) for s in (rows, columns))
    return t[..., down, across]


@dataclass
class Inversion:
    """A window of a photo, taken into the model.

    x: 1×3×R×R in [-1, 1]. r: 1×C×8×8. deltas: δ fitted to the photo.
    psnr: dB against x after each stage: ``encoder``, those of inversion.INVERSIONS (``refined``),
    ``adapted``. Of E alone there is the first only, and δ are 0. z: where it was sought, 1×Z.
    unfamiliarity: as ``Prior.unfamiliarity_of`` tells it; None until it is asked. fillings: of
    strokes that were filled from around, kept for the next strength or seed, see ``removal``.
    at_first, redrawn: what the prior's methods of these names gave.

    r and δ are kept in fp16, also where they have just been computed: an edit is the same whether
    its photo was opened now or found in a cache.
    """

    x: Tensor
    computed: Computed
    unfamiliarity: float | None = None
    z: Tensor | None = None
    fillings: Fillings = field(default_factory=dict, repr=False, compare=False)
    at_first: Tensor | None = field(default=None, repr=False, compare=False)
    redrawn: Tensor | None = field(default=None, repr=False, compare=False)

    @cached_property
    def r(self) -> Tensor:
        return self.computed.r.float()

    @cached_property
    def deltas(self) -> Deltas:
        # Laid out as the featuremaps are: that saves a tenth of a pass and more.
        layout, kept = torch.channels_last, self.computed.deltas
        return {i: delta.float().contiguous(memory_format=layout) for i, delta in kept.items()}

    @property
    def psnr(self) -> dict[str, float]:
        return self.computed.psnr

    @property
    def is_complete(self) -> bool:
        """Whether r was refined and δ fitted, or r is what E gave."""
        return "adapted" in self.psnr

    def to(self, device: torch.device) -> Inversion:
        """The same on ``device``."""
        if self.x.device == device:
            return self
        deltas = {i: delta.to(device) for i, delta in self.computed.deltas.items()}
        computed = Computed(self.computed.r.to(device), deltas, self.psnr)
        moved = Inversion(self.x.to(device), computed, self.unfamiliarity, self.z)
        moved.fillings = self.fillings
        return moved

    def crop(self, rows: slice, columns: slice) -> Inversion:
        """Only these rows and columns of the grid's cells."""
        deltas = {i: cells_to_px(d, rows, columns) for i, d in self.computed.deltas.items()}
        computed = Computed(cells_to_px(self.computed.r, rows, columns), deltas, self.psnr)
        return Inversion(cells_to_px(self.x, rows, columns), computed)

    @property
    def nbytes(self) -> int:
        kept = sum(t.nbytes for t in (self.computed.r, *self.computed.deltas.values()))
        return self.x.nbytes + 3 * kept  # in fp16, and in fp32 for use


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
        self._features: dict[str, Features | None] = {}

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

    @cached_property
    def on_cpu(self) -> Prior:
        """The same model on the CPU, loaded when it is first asked for."""
        return self if self.device.type == "cpu" else load_model(self.info.path, "cpu")

    @property
    def key(self) -> str:
        """What tells this model's weights from any other's: a hash of G's and E's."""
        files = self.info.card["files"]
        both = str(files[model_package.GENERATOR]) + str(files[model_package.ENCODER])
        return hashlib.sha256(both.encode()).hexdigest()

    def open(
        self,
        image: Image.Image | np.ndarray,
        store: Store | None = None,
        *,
        inversion: str = "r",
        features: str = "auto",
    ) -> PhotoSession:
        """Open a photo: a PIL image or H×W×3|4 uint8 or uint16, sRGB. ``store``: keeps what is
        computed.

        inversion: which stages take it into the model, of inversion.INVERSIONS: ``r``, ``encoder``,
        ``z``, ``layers``, ``all``. features: what their loss compares beside pixels: ``vgg16``,
        ``bundled``, ``none``; ``auto`` is VGG-16 where it was fetched, else the bundled ones.
        Raises PhotoTooSmall (a side under 64 px), PhotoTooLarge (over 100 MP), BadRequest,
        ModelNotPrepared, FeaturesMissing.
        """
        from ganpaint_engine.session import PhotoSession  # it needs this module

        _ = self.encoder
        return PhotoSession(self, image, store, inversion, features)

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

    def encode(self, x: Tensor) -> Inversion:
        """E alone: r as it gives it, δ = 0. x: 1×3×R×R in [-1, 1] on the prior's device."""
        r = inversion.encode(self.encoder, x)
        return self._inversion(x, r, adaptation.zero_deltas(self.generator, r), {}, "encoder")

    def at_first(self, inverted: Inversion) -> Tensor:
        """r of a window as E alone gives it. What is chosen by it is the same in a first preview
        and once r is refined."""
        if inverted.at_first is None:
            inverted.at_first = inversion.encode(self.encoder, inverted.x)
        return inverted.at_first

    def redrawn(self, inverted: Inversion) -> Tensor:
        """G'(r) with the photo's own δ, 1×3×R×R: the window as the model knows it."""
        if inverted.redrawn is None:
            with torch.no_grad():
                inverted.redrawn = self._render(inverted.r, inverted.deltas)
        return inverted.redrawn

    def invert(
        self,
        x: Tensor,
        on_step: OnStep = silent,
        start: Inversion | None = None,
        on_stage: Callable[[Inversion], None] | None = None,
        method: str = "r",
        features: str = "auto",
    ) -> Inversion:
        """E, then refinement of r, then δ. x: as for ``encode``.

        start: what an earlier stage gave, to go on from. on_stage: called with what each gives.
        method: which stages follow E, a name of inversion.INVERSIONS. features: what their loss
        compares beside pixels, one of features.KINDS.
        """
        found = start or self.encode(x)
        on_step(0.02, "encode")
        stages = inversion.INVERSIONS[method]
        for k, stage in enumerate(stages):
            if stage in found.psnr:
                continue
            share = 0.38 / len(stages)
            step = partial(self._tell, on_step, 0.02 + share * k, share, _TOLD[stage])
            found = self._stage(stage, found, self.features(features), step)
            if on_stage is not None:
                on_stage(found)
        deltas = adaptation.fit(
            self.generator,
            found.r,
            x,
            found.deltas,
            steps=PHOTO_STEPS,
            on_step=lambda f: on_step(0.4 + 0.6 * f, "adapt to photo"),
        )
        return self._inversion(x, found.r, deltas, found.psnr, "adapted")

    @staticmethod
    def _tell(on_step: OnStep, start: float, share: float, stage: str, fraction: float) -> None:
        on_step(start + share * fraction, stage)

    def _stage(
        self, stage: str, found: Inversion, features: Features | None, on_step: inversion.Step
    ) -> Inversion:
        """One of the stages of inversion.INVERSIONS."""
        g, x, z = self.generator, found.x, found.z
        if stage == "refined":
            r = inversion.refine(g, x, found.r, REFINE_STEPS, features=features, on_step=on_step)
        elif stage == "z":
            z = inversion.fit_z(g, x, inversion.estimate_z(g, found.r), features, on_step=on_step)
            with torch.no_grad():
                r = g.stem(z)
        else:
            assert z is not None  # the stage before this one sought it
            r = inversion.fit_layers(g, x, z, features, on_step=on_step)
        made = self._inversion(x, r, found.deltas, found.psnr, stage)
        made.z = z
        return made

    def features(self, kind: str) -> Features | None:
        """F of the loss of inversion, loaded once. Raises as ``features.load``."""
        if kind not in self._features:
            self._features[kind] = features_of_pictures.load(kind, self.device)
        return self._features[kind]

    def _inversion(
        self, x: Tensor, r: Tensor, deltas: Deltas, psnr: dict[str, float], stage: str
    ) -> Inversion:
        """With the dB of a stage just done beside those before it."""
        measured = {**psnr, stage: round(inversion.psnr(self._render(r, deltas), x), 2)}
        halves = {i: delta.half().contiguous() for i, delta in deltas.items()}
        return Inversion(x, Computed(r.half().contiguous(), halves, measured))

    def rehearse(self) -> None:
        """One step of everything, on nothing: PyTorch's first of each kind takes up to seconds."""
        x = torch.zeros(1, 3, self.resolution, self.resolution, device=self.device)
        found = self.encode(x)
        inversion.refine(self.generator, x, found.r, steps=1)
        adaptation.fit(self.generator, found.r, x, found.deltas, steps=1, tolerance=0)
        self.unfamiliarity(x)

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

    def unfamiliarity_of(self, inverted: Inversion) -> float:
        """The same of an opened window; worked out once."""
        if inverted.unfamiliarity is None:
            inverted.unfamiliarity = self.unfamiliarity(inverted.x)
        return inverted.unfamiliarity

    def knows(self, inverted: Inversion) -> bool:
        """Whether a window is like the pictures that this model was made of, as far as measured."""
        return self.familiar_limit is None or self.unfamiliarity_of(inverted) <= self.familiar_limit

    @property
    def familiar_limit(self) -> float | None:
        """Unfamiliarity above which edits are warned about; None if it was never measured."""
        return self.info.card.get("familiar", {}).get("entropy")

    @torch.no_grad()
    def _render(self, r: Tensor, deltas: Deltas | None = None) -> Tensor:
        return self.generator.head(r, deltas)


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
