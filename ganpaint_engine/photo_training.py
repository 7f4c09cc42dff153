"""``ganpaint train DIR``: a model of one's own photographs.

The photos' labels (``photo_squares``) are given or guessed; so the units of the concepts that the
start model has stay where they were, and are then found and measured anew. The trainer is the
bundled model's own. Torn off, a run goes on where it was; a package is there whole or not.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from ganpaint_engine import (
    familiarity,
    inversion,
    model_card,
    model_change,
    model_dissection,
    model_package,
    paths,
    photo_squares,
    segmentation,
    segmenters,
)
from ganpaint_engine.errors import BadRequest, DiskFull, NothingFound
from ganpaint_engine.model_package import ModelInfo
from ganpaint_engine.photo_folder import PhotoFolder, Problem
from ganpaint_engine.photo_squares import Photographs
from ganpaint_engine.prior import OnStep, Prior
from ganpaint_engine.segmentation import CLASSES, Segmenter

if TYPE_CHECKING:
    from training.trainer import Trainer

FEW = 5000
"""Photos under which the bundled model is the start."""

MEASURED = 12
WATCHED = 16
"""Held-out squares whose reconstruction is followed while training."""
DISSECTED = 600
TRAINING = 0.85
FINE_TUNE = 0.5
"""Factor of the learning rates when the start is a trained model."""
MOST_SECONDS_BETWEEN_SAVES = 120
TERMS = "Made of photographs of one's own: as free as those are."


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
        photographs = photo_squares.read(
            plan.folder, plan.labels, side, eyes, lambda f, stage: on_step(0.05 * f, stage)
        )
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
        with _writing(self.file.parent):
            self.file.write_text(json.dumps(self.points), encoding="utf-8")


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """What is kept of a run is written into ``folder``. Raises DiskFull."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except (OSError, RuntimeError) as error:
        raise DiskFull(f"What was learned cannot be kept in {folder}: {error}.") from error


def _save(trainer: Trainer, folder: Path) -> None:
    from training.train import save

    with _writing(folder):
        save(trainer, folder)


def _run(
    plan: Plan, trainer: Trainer, photographs: Photographs, start: ModelInfo | None, on_step: OnStep
) -> list[Point]:
    """Train for TRAINING of the time; the critic joins after a fifth of it. Returns the curve."""
    from training.data import Scenes
    from training.trainer import LEARNING_RATES

    ours = Scenes(photographs.pictures[~photographs.held], photographs.labels[~photographs.held])
    total, rate = TRAINING * plan.minutes * 60, 1.0 if start is None else FINE_TUNE
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
                _save(trainer, _checkpoint(plan).parent)
            on_step(min(trainer.seconds / total, 1), f"step {trainer.step}, l1 {losses['l1']:.2f}")
    finally:
        _save(trainer, _checkpoint(plan).parent)
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
