"""``ganpaint train DIR``: a model of one's own photographs.

Every photo gives squares of itself: all of it, and closer ones where photos are few. Their labels
come with them (``--labels``) or are guessed by the shipped segmenter; so the units of the concepts
that the start model has stay where they were, and are then found and measured anew. The trainer is
the bundled model's own. Torn off, a run goes on where it was; a package is there whole or not.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ganpaint_engine import (
    familiarity,
    inversion,
    model_card,
    model_change,
    model_dissection,
    model_package,
    paths,
    segmentation,
    segmenters,
    window,
)
from ganpaint_engine.errors import BadRequest, BadTrainingData, NothingFound
from ganpaint_engine.model_package import ModelInfo
from ganpaint_engine.photo_folder import PhotoFolder, Problem
from ganpaint_engine.prior import OnStep, Prior
from ganpaint_engine.segmentation import CLASSES, Segmenter

if TYPE_CHECKING:
    from training.trainer import Trainer

LEAST = 20
"""Photos under which nothing can be learned but these photos themselves."""

FEW = 5000
"""Photos under which the bundled model is the start."""

WINDOWS = 1200
"""Squares wanted at least, all photos together; a photo gives MOST_EACH at most."""
MOST_EACH = 8
HELD_OUT_EVERY = 10
MEASURED = 12
WATCHED = 16
"""Held-out squares whose reconstruction is followed while training."""
DISSECTED = 600
TRAINING = 0.85
FINE_TUNE = 0.5
"""Factor of the learning rates when the start is a trained model."""
MOST_SECONDS_BETWEEN_SAVES = 120
TERMS = "Made of photographs of one's own: as free as those are."


@dataclass
class Photographs:
    """Squares of a folder's photos: N×3×R×R uint8 and labels N×R×R uint8, and which are held out.

    photos: how many pictures they are of. problems: what was left out.
    """

    pictures: Tensor
    labels: Tensor
    held: Tensor
    photos: int
    problems: list[Problem]


@dataclass(frozen=True)
class Plan:
    """What to train. ``start``: a model's name, ``none``, or ``auto``. ``out``: a folder to write
    the package to; where it is none it goes among the person's models as ``name``."""

    folder: Path
    name: str
    minutes: float
    start: str = "auto"
    labels: Path | None = None
    out: Path | None = None
    resolution: int | None = None
    device: str = "auto"
    terms: str = TERMS
    replace: bool = False
    batch: int = 16


class Point(NamedTuple):
    """Of the curve: the step, the minutes until then, E's PSNR on held-out squares in dB."""

    step: int
    minutes: float
    decibels: float


@dataclass
class Trained:
    """The package, and what was left out of the folder."""

    info: ModelInfo
    problems: list[Problem] = field(default_factory=list)


def squares(width: int, height: int, count: int, seed: int) -> list[window.Window]:
    """``count`` squares of a photo or a few more: first what covers all of it, then closer ones."""
    side = min(width, height)
    steps = max(math.ceil(max(width, height) / side - 0.1), 1)
    places = []
    for i in range(steps):
        shift = round(i * (max(width, height) - side) / max(steps - 1, 1)) if steps > 1 else None
        if shift is None:
            places.append(window.whole_window(width, height))
        else:
            places.append(window.Window(*((shift, 0) if width > height else (0, shift)), side))
    rng = np.random.default_rng(seed)
    while len(places) < count:
        closer = max(round(side * rng.uniform(0.45, 0.9)), 1)
        x, y = rng.integers(0, width - closer + 1), rng.integers(0, height - closer + 1)
        places.append(window.Window(int(x), int(y), closer))
    return places


def read(plan: Plan, side: int, segmenter: Segmenter, on_step: OnStep) -> Photographs:
    """All usable photos of the folder as squares of ``side`` px.

    Raises BadRequest, TooFewPhotos, BadTrainingData (a label map that does not fit its photo).
    """
    folder = PhotoFolder.open(plan.folder)
    each = min(max(WINDOWS // max(len(folder), 1), 1), MOST_EACH)
    pictures, labels, held, photos = [], [], [], 0
    for path, image in folder:
        on_step(photos / max(len(folder), 1), "read photos")
        rgb = np.asarray(image)
        known = None if plan.labels is None else _label_map(plan.labels, path, image.size)
        for place in squares(*image.size, each, photos):
            small = window.resize(np.ascontiguousarray(window.crop(rgb, place)), side)
            pictures.append(torch.from_numpy(small).permute(2, 0, 1))
            if known is not None:
                labels.append(_shrunk(window.crop(known, place), side))
            held.append(photos % HELD_OUT_EVERY == 0)
        photos += 1
    folder.require(photos, LEAST)
    x = torch.stack(pictures)
    guessed = torch.stack(labels) if labels else _guessed(segmenter, x, on_step)
    return Photographs(x, guessed, torch.tensor(held), photos, folder.problems)


def _label_map(folder: Path, photo: Path, size: tuple[int, int]) -> np.ndarray:
    """A photo's labels: a PNG of its name and size, one byte a pixel, an index into CLASSES."""
    path = folder / f"{photo.stem}.png"
    try:
        with Image.open(path) as image:
            values = np.asarray(image)
    except OSError as error:
        raise BadTrainingData(f"{photo.name} has no label map {path}: {error}.") from error
    if values.ndim != 2 or values.shape != size[::-1] or values.max(initial=0) >= len(CLASSES):
        raise BadTrainingData(
            f"{path} is to have one byte a pixel under {len(CLASSES)}, "
            f"{size[0]}x{size[1]} px as its photo."
        )
    return values.astype(np.uint8)


def _shrunk(labels: np.ndarray, side: int) -> Tensor:
    small = Image.fromarray(np.ascontiguousarray(labels)).resize(
        (side, side), Image.Resampling.NEAREST
    )
    return torch.from_numpy(np.array(small))


def _guessed(segmenter: Segmenter, x: Tensor, on_step: OnStep) -> Tensor:
    """The segmenter's labels of N×3×R×R uint8, as uint8."""
    found = []
    for i in range(0, len(x), 32):
        on_step(i / len(x), "guess labels")
        found.append(segmenter.labels(model_dissection.to_float(x[i : i + 32])).to(torch.uint8))
    return torch.cat(found)


def train(plan: Plan, on_step: OnStep) -> Trained:
    """From a folder of photographs to a package, within ``plan.minutes`` in all.

    Raises TooFewPhotos, BadRequest, BadTrainingData, ModelExists, UnknownModel, OtherCheckpoint,
    SegmenterMissing, DiskFull.
    """
    if not 0 < plan.minutes < 100_000:
        raise BadRequest(f"Minutes are above 0, not {plan.minutes}.")
    files = PhotoFolder.open(plan.folder)
    with _package(plan) as folder:
        start = _start(plan, len(files))
        side = plan.resolution or (start.resolution if start else 64)
        eyes = segmenters.find(None, start)
        photographs = read(plan, side, eyes, lambda f, stage: on_step(0.05 * f, stage))
        trainer = _trainer(plan, side, start, eyes)
        curve = _run(plan, trainer, photographs, start, lambda f, s: on_step(0.05 + 0.8 * f, s))
        draft = _card(plan, trainer, photographs, start)
        draft["training"]["encoder_db"] = [point._asdict() for point in curve]
        _finish(folder, draft, trainer, photographs, eyes, on_step)
    target = plan.out or paths.user_models_dir() / plan.name
    shutil.rmtree(_checkpoint(plan).parent, ignore_errors=True)
    on_step(1.0, "done")
    return Trained(model_package.read_card(target), photographs.problems)


def _start(plan: Plan, files: int) -> ModelInfo | None:
    if plan.start == "none" or (plan.start == "auto" and files >= FEW):
        return None
    return model_package.find_model("churches" if plan.start == "auto" else plan.start)


@contextmanager
def _package(plan: Plan) -> Iterator[Path]:
    """The folder to fill; it becomes the package only if all goes well."""
    if plan.out is None:
        with model_package.new_package(plan.name, plan.replace) as folder:
            yield folder
        return
    model_package.checked_name(plan.name)
    if plan.out.exists():
        raise BadRequest(f"{plan.out} exists already.")
    try:
        plan.out.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f".{plan.out.name}.", dir=plan.out.parent) as place:
            folder = Path(place) / "new"
            folder.mkdir()
            yield folder
            folder.rename(plan.out)
    except OSError as error:
        raise BadRequest(f"{plan.out} cannot be written: {error}.") from error


def _checkpoint(plan: Plan) -> Path:
    return paths.cache_dir() / "train" / plan.name / "checkpoint.pt"


def _trainer(plan: Plan, side: int, start: ModelInfo | None, eyes: Segmenter) -> Trainer:
    """The bundled model's trainer, going on from a checkpoint where there is one."""
    from training import distributed
    from training.networks import SIZES
    from training.train import resume
    from training.trainer import Recipe, Trainer

    if side not in SIZES:
        known = ", ".join(str(size) for size in sorted(SIZES))
        raise BadRequest(f"Models are trained at {known} px, not at {side}.")
    if start is not None and (start.architecture != "proggan" or not start.prepared):
        raise BadRequest(f"{start.name} cannot be the start: it has no encoder, or is no ProGAN.")
    if not isinstance(eyes.net, segmentation.UNetSegmenter) or eyes.classes != CLASSES:
        eyes = segmentation.load(paths.segmenter_file())
    assert isinstance(eyes.net, segmentation.UNetSegmenter)
    workers = distributed.start(plan.device)
    recipe = Recipe(side, bf16=workers.device.type == "cuda")
    trainer = Trainer(recipe, eyes.net, workers, start)
    resume(trainer, _checkpoint(plan).parent)
    return trainer


@dataclass
class Curve:
    """How well E and G rebuild held-out squares (N×3×R×R in [-1, 1]) as training goes on.

    Kept in ``file`` beside the checkpoint, so that a resumed run has all of it.
    """

    file: Path
    held: Tensor
    points: list[Point] = field(default_factory=list)

    @classmethod
    def resumed(cls, file: Path, photographs: Photographs) -> Curve:
        """The curve so far, if there is one that can be read."""
        squares = photographs.pictures[photographs.held]
        every = max(len(squares) // WATCHED, 1)
        curve = cls(file, model_dissection.to_float(squares[::every][:WATCHED]))
        if file.is_file():
            try:
                curve.points = [Point(*point) for point in json.loads(file.read_text())]
            except (ValueError, TypeError):
                file.unlink()
        return curve

    def follow(self, trainer: Trainer, total: float) -> None:
        """Measure at the start, and again after every twelfth of ``total`` seconds."""
        if not self.points or trainer.seconds / 60 - self.points[-1].minutes > total / 720:
            self.measure(trainer)

    @torch.no_grad()
    def measure(self, trainer: Trainer) -> None:
        """Another point, of the averaged weights."""
        prior, x = trainer.ema.eval(), self.held.to(trainer.device)
        y = torch.cat([prior.generator.head(prior.encoder(one)) for one in x.split(4)])
        decibels = round(inversion.psnr(y, x), 2)
        self.points.append(Point(trainer.step, round(trainer.seconds / 60, 2), decibels))
        self.file.write_text(json.dumps(self.points), encoding="utf-8")


def _run(
    plan: Plan, trainer: Trainer, photographs: Photographs, start: ModelInfo | None, on_step: OnStep
) -> list[Point]:
    """Train for TRAINING of the time; the critic joins after a fifth of it. Returns the curve."""
    from training.data import Scenes
    from training.train import save
    from training.trainer import LEARNING_RATES

    ours = Scenes(photographs.pictures[~photographs.held], photographs.labels[~photographs.held])
    total, rate = TRAINING * plan.minutes * 60, 1.0 if start is None else FINE_TUNE
    _checkpoint(plan).parent.mkdir(parents=True, exist_ok=True)
    curve = Curve.resumed(_checkpoint(plan).with_name("curve.json"), photographs)
    saved = trainer.seconds
    try:
        while trainer.seconds < total:
            curve.follow(trainer, total)
            begun, rng = time.monotonic(), trainer.rng()
            remaining = 1 - trainer.seconds / total
            groups = trainer.prior_optimizer.param_groups
            for group, base in zip(groups, LEARNING_RATES, strict=True):
                group["lr"] = rate * base * min(1.0, 0.1 + 3 * remaining)
            x, labels = ours.batch(plan.batch, rng)
            x = x.to(trainer.device, memory_format=torch.channels_last)
            adversarial = remaining < 0.8 and trainer.step % trainer.recipe.critic_every == 0
            losses = trainer.train_step(x, labels.to(trainer.device), rng, adversarial)
            trainer.seconds += time.monotonic() - begun
            if trainer.seconds - saved > MOST_SECONDS_BETWEEN_SAVES:
                saved = trainer.seconds
                save(trainer, _checkpoint(plan).parent)
            on_step(min(trainer.seconds / total, 1), f"step {trainer.step}, l1 {losses['l1']:.2f}")
    finally:
        save(trainer, _checkpoint(plan).parent)
    curve.measure(trainer)
    return curve.points


def _finish(
    folder: Path,
    draft: dict[str, Any],
    trainer: Trainer,
    photographs: Photographs,
    eyes: Segmenter,
    on_step: OnStep,
) -> None:
    """Concepts, measurements, card and weights. ``draft``: what the card is to say beside them."""
    generator, encoder = trainer.ema.generator, trainer.ema.encoder
    prior = Prior(ModelInfo(folder, draft), generator, encoder, {}, trainer.device)
    judge = Segmenter(segmentation.load_judge(), CLASSES)
    every = max(len(photographs.pictures) // DISSECTED, 1)
    try:
        found = model_dissection.run(
            prior,
            eyes,
            judge,
            photographs.pictures[::every],
            on_step=lambda f, stage: on_step(0.85 + 0.1 * f, stage),
        )
    except NothingFound as nothing:
        found = model_dissection.Dissected(left_out=[nothing.message])
    on_step(0.95, "measure")
    held = list(model_dissection.to_float(photographs.pictures[photographs.held]).split(1))
    rows = [prior.invert(x.to(trainer.device)).psnr for x in held[:: max(len(held) // MEASURED, 1)]]
    means = {k: round(sum(row[k] for row in rows) / len(rows), 2) for k in rows[0]}
    draft |= {
        "left_out": found.left_out,
        "measured": {"held_out_psnr_db": means},
        "familiar": {"entropy": familiarity.limit(judge.net, held)},
    }
    model_package.save(folder, draft, generator.state_dict(), encoder.state_dict(), {})
    model_change.write(
        model_package.read_card(folder), folder, found.concepts, list(found.entries.values()),
        None, found.thumbnails, found.rankings,
    )  # fmt: skip


def _card(
    plan: Plan, trainer: Trainer, photographs: Photographs, start: ModelInfo | None
) -> dict[str, Any]:
    count = len(photographs.pictures)
    return model_card.draft(plan.name, trainer.ema.generator, plan.terms) | {
        "training": {
            "data": f"{photographs.photos} photographs, {count} squares of them",
            "labels": "given" if plan.labels else "guessed by the shipped segmenter",
            "from": f"{start.name} {start.version}" if start else "nothing",
            "steps": trainer.step,
            "minutes": round(trainer.seconds / 60, 2),
            "device": str(trainer.device),
        },
    }
