"""``ganpaint models prepare``: make an imported generator ready for photos.

E is trained on the generator's own samples, concepts are found in them with a segmenter, all is
measured, and the package is replaced in one step. What was done is kept between runs: a stopped
one goes on where it was.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as to_bytes
from torch import Tensor

from ganpaint_engine import (
    familiarity,
    model_change,
    model_dissection,
    model_package,
    paths,
    segmentation,
)
from ganpaint_engine.encoder_training import EncoderTrainer
from ganpaint_engine.errors import BadRequest, DiskFull, NothingFound
from ganpaint_engine.model_dissection import Dissected
from ganpaint_engine.model_package import ModelInfo
from ganpaint_engine.prior import OnStep, Prior, load_model
from ganpaint_engine.segmentation import Segmenter

TRAINING = 0.8
"""Share of the time that E gets; the rest is dissection and measurement."""

MEASURED = 8
"""Samples on which reconstruction is measured at every stage."""


def kept_in(info: ModelInfo) -> Path:
    """Where the state of an unfinished preparation lies: in the cache, by the generator's hash."""
    digest = str(info.card["files"][model_package.GENERATOR])[:16]
    return paths.cache_dir() / "prepare" / f"{digest}.pt"


def prepare(
    name: str,
    minutes: float,
    on_step: OnStep,
    segmenter: Segmenter,
    device: str = "auto",
    again: bool = False,
    samples: int = 400,
) -> ModelInfo:
    """Prepare the person's model ``name`` within ``minutes`` in all, and replace its package.

    segmenter: finds the concepts. again: also a model that is prepared already, from the start.
    samples: how many pictures are dissected. Raises UnknownModel, BadRequest (prepared already,
    or nothing follows its edit layer), ModelBusy, DiskFull.
    """
    info = model_package.find_model(name)
    _check(info, minutes, again)
    with model_change.changing(info.path):
        prior = load_model(info.path, device)
        state = kept_in(info)
        if again:
            state.unlink(missing_ok=True)
        trainer = _resumed(prior, state)
        trainer.run(
            TRAINING * minutes * 60,
            lambda f, stage: on_step(TRAINING * f, stage),
            lambda: _keep(trainer, state),
        )
        prior = Prior(info, prior.generator, trainer.average, {}, prior.device)
        x = _samples(trainer, samples)
        rest = 1 - TRAINING
        found = _dissected(
            prior, segmenter, x, lambda f, stage: on_step(TRAINING + 0.8 * rest * f, stage)
        )
        on_step(1 - 0.2 * rest, "measure")
        card = _card(trainer, prior, found, x)
        written = _write(info, card, prior, found)
        state.unlink(missing_ok=True)
        on_step(1.0, "done")
    return written


def _check(info: ModelInfo, minutes: float, again: bool) -> None:
    if paths.bundled_models_dir().resolve() in info.path.resolve().parents:
        raise BadRequest(f"{info.name} came with the product and is ready for photos.")
    if info.prepared and not again:
        raise BadRequest(f"{info.name} is prepared already; --again does it anew.")
    if not info.can_be_prepared or info.resolution < 16:
        raise BadRequest(
            f"{info.name} draws {info.resolution} px: nothing follows its 8×8 edit layer, so it "
            "can sample and no more."
        )
    if not 0 < minutes < 100_000:
        raise BadRequest(f"Minutes are above 0, not {minutes}.")


def _keep(trainer: EncoderTrainer, path: Path) -> None:
    """Write the state so that a kill at any moment leaves a whole one. Raises DiskFull."""
    new = path.with_suffix(".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(trainer.state(), new)
        new.replace(path)
    except (OSError, RuntimeError) as error:
        new.unlink(missing_ok=True)
        raise DiskFull(f"What was learned cannot be kept in {path.parent}: {error}.") from error


def _resumed(prior: Prior, path: Path) -> EncoderTrainer:
    """E's trainer, going on from what was kept; what cannot be understood is removed."""
    if path.is_file():
        trainer = EncoderTrainer(prior.generator, prior.device)
        try:
            trainer.load(torch.load(path, map_location=prior.device, weights_only=True))
            return trainer
        except (OSError, KeyError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError):
            path.unlink(missing_ok=True)
    return EncoderTrainer(prior.generator, prior.device)


def _samples(trainer: EncoderTrainer, count: int) -> Tensor:
    """``count`` of the generator's pictures, N×3×R×R uint8."""
    drawn = []
    for i in range(0, count, 8):
        rng = torch.Generator().manual_seed(7_000_000 + i)
        x, _ = trainer.draw(min(8, count - i), rng)
        drawn.append(((x + 1) * 127.5).round().to(torch.uint8).cpu())
    return torch.cat(drawn)


def _dissected(prior: Prior, segmenter: Segmenter, x: Tensor, on_step: OnStep) -> Dissected:
    """Concepts that pass their measurement; none is no fault: strokes can still teach some."""
    shipped = Segmenter(segmentation.load_judge(), segmentation.CLASSES)
    judge = shipped if segmenter.classes == segmentation.CLASSES else segmenter
    try:
        return model_dissection.run(prior, segmenter, judge, x, on_step=on_step)
    except NothingFound as nothing:
        return Dissected(left_out=[nothing.message])


def _card(trainer: EncoderTrainer, prior: Prior, found: Dissected, x: Tensor) -> dict[str, Any]:
    """What the card is to say beyond what it said before."""
    pictures = list(model_dissection.to_float(x).split(1))
    rows = [prior.invert(one.to(prior.device)).psnr for one in pictures[:MEASURED]]
    means = {k: round(sum(row[k] for row in rows) / len(rows), 2) for k in rows[0]}
    judge = segmentation.load_judge()
    return {
        "prepared": True,
        "left_out": found.left_out,
        "preparation": {
            "minutes": round(trainer.seconds / 60, 2),
            "steps": trainer.step,
            "device": str(prior.device),
            "encoder_db_over_minutes": trainer.curve,
            "samples": len(x),
        },
        "measured": {"samples_psnr_db": means},
        "familiar": {"entropy": familiarity.limit(judge, pictures[:64])},
    }


def _write(info: ModelInfo, card: dict[str, Any], prior: Prior, found: Dissected) -> ModelInfo:
    """The package with E and concepts, in place of the one without, in one step."""
    encoder = {k: v.half().cpu().contiguous() for k, v in prior.encoder.state_dict().items()}
    concepts = {
        k: v.half().contiguous() if v.is_floating_point() else v.to(torch.int32)
        for k, v in model_package.concept_tensors(found.concepts).items()
    }
    files = found.thumbnails | {
        model_package.ENCODER: to_bytes(encoder),
        model_package.CONCEPTS: to_bytes(concepts),
    }
    entries = list(found.entries.values())
    return model_change.write(info, info.path, found.concepts, entries, card, files, found.rankings)
