"""Train the prior: generator, encoder and critics together.

    python -m training.train scenes128.npz --segmenter unet.pt --out run --minutes 90

Time-boxed by ``--minutes``; run again with more minutes it goes on where it stopped. On several
GPUs or machines the same under ``torchrun``. A checkpoint, a sheet of pictures, the losses as a
table and as curves are written every few minutes.
"""

from __future__ import annotations

import argparse
import pickle
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ganpaint_engine.errors import GanpaintError, OtherCheckpoint
from ganpaint_engine.model_package import find_model
from ganpaint_engine.segmentation import UNetSegmenter
from training import distributed
from training.data import Scenes
from training.networks import SIZES
from training.records import EVERY, Records, Speed
from training.sheets import write_sheet
from training.trainer import LEARNING_RATES, Recipe, Trainer

CHECKPOINT = "checkpoint.pt"


def load_segmenter(path: Path) -> UNetSegmenter:
    """The segmenter that ``training.train_segmenter --kind unet`` wrote, in eval mode."""
    net = UNetSegmenter()
    net.load_state_dict(read_checkpoint(path, torch.device("cpu"))["state"])
    return net.eval()


def recipe_of(args: argparse.Namespace, device: torch.device) -> Recipe:
    """The recipe that the command line asks for."""
    bf16 = device.type == "cuda" if args.precision == "auto" else args.precision == "bf16"
    return Recipe(
        args.resolution, args.fakes, not args.separate, args.critic_every, bf16, args.seed
    )


def resume(trainer: Trainer, out: Path) -> bool:
    """Go on from the checkpoint in ``out``, if there is one. Raises OtherCheckpoint."""
    path = out / CHECKPOINT
    if not path.exists():
        return False
    trainer.load(read_checkpoint(path, trainer.device))
    return True


def read_checkpoint(path: Path, device: torch.device) -> dict[str, Any]:
    """A file that torch saved, tensors and plain values alone. Raises OtherCheckpoint."""
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise OtherCheckpoint(f"{path} is no checkpoint, or a damaged one: {error}") from error
    if not isinstance(state, dict):
        raise OtherCheckpoint(f"{path} is no checkpoint: it holds {type(state).__name__}.")
    return state


def save(trainer: Trainer, out: Path) -> None:
    """Write the checkpoint so that a kill at any moment, or a full disk, leaves a whole one."""
    new = out / (CHECKPOINT + ".new")
    try:
        torch.save(trainer.state(), new)
    except (OSError, RuntimeError):
        new.unlink(missing_ok=True)
        raise
    new.replace(out / CHECKPOINT)


class Run:
    """A time-boxed run: the loop, and what it writes into ``args.out``."""

    def __init__(self, trainer: Trainer, args: argparse.Namespace) -> None:
        self.trainer, self.args, self.out = trainer, args, args.out
        self.leads = trainer.workers.leads
        self.held = Scenes.load(args.scenes, trainer.recipe.resolution, True)
        self.records = Records(args.out, trainer.step) if self.leads else None
        self.speed = Speed()
        self.saved = self.shown = trainer.seconds

    def go(self, scenes: Scenes) -> None:
        """Train until ``args.minutes`` in all have been spent, or ``args.steps`` are done."""
        trainer, args = self.trainer, self.args
        total, last = args.minutes * 60, time.monotonic()
        while trainer.seconds < total and trainer.step != args.steps:
            rng = trainer.rng()
            x, labels = scenes.batch(args.batch, rng)
            x = x.to(trainer.device, memory_format=torch.channels_last)
            warm = trainer.seconds > args.warm_up * 60
            self._set_rates(1 - trainer.seconds / total)
            losses = trainer.train_step(
                x,
                labels.to(trainer.device),
                rng,
                warm and trainer.step % trainer.recipe.critic_every == 0,
            )
            now = time.monotonic()
            # The time box is the leader's: all processes must stop after the same step.
            spent = torch.tensor(trainer.seconds + now - last, dtype=torch.float64)
            trainer.seconds, last = (
                float(distributed.average(trainer.workers, spent.to(trainer.device))),
                now,
            )
            self.speed.add(trainer.seconds, args.batch * trainer.workers.count)
            self._report(losses)
        self._finish()

    def _set_rates(self, remaining: float) -> None:
        groups = self.trainer.prior_optimizer.param_groups
        for group, base in zip(groups, LEARNING_RATES, strict=True):
            group["lr"] = self.args.rate * base * min(1.0, 0.1 + 3 * remaining)

    def _report(self, losses: dict[str, float]) -> None:
        trainer = self.trainer
        if self.records is None:
            return
        if trainer.step % EVERY == 0:
            self.records.add(trainer.step, losses)
            text = "  ".join(f"{k} {v:.3f}" for k, v in losses.items())
            speed = self.speed.text(self.args.minutes * 60)
            print(f"step {trainer.step}  {speed}  {text}", flush=True)
        if trainer.seconds - self.saved > 180:
            self.saved = trainer.seconds
            save(trainer, self.out)
        if trainer.seconds - self.shown > self.args.sheet_minutes * 60:
            self.shown = trainer.seconds
            self._sheet(f"sheet{trainer.step:06d}.png")

    def _sheet(self, name: str) -> None:
        ema = self.trainer.ema
        statistics = self.trainer.statistics
        write_sheet(ema.generator, ema.encoder, statistics, self.held, self.out / name)
        if self.records is not None:
            self.records.curves(self.out / "curves.png")

    def _finish(self) -> None:
        if self.leads:
            save(self.trainer, self.out)
            self._sheet("sheet.png")
        distributed.meet(self.trainer.workers)


def train(args: argparse.Namespace, segmenter: nn.Module | None = None) -> Trainer:
    """Everything from the command line's arguments to a trained prior.

    Raises BadTrainingData, OtherCheckpoint, UnknownModel, and OSError if ``args.out`` cannot be
    written.
    """
    workers = distributed.start(args.device)
    try:
        args.out.mkdir(parents=True, exist_ok=True)
        scenes = Scenes.load(args.scenes, args.resolution, False, fine=True)
        start = find_model(args.start) if args.start else None
        net = segmenter if isinstance(segmenter, UNetSegmenter) else load_segmenter(args.segmenter)
        trainer = Trainer(recipe_of(args, workers.device), net, workers, start)
        if resume(trainer, args.out) and workers.leads:
            print(f"going on at step {trainer.step}, {trainer.seconds / 60:.1f} min")
        Run(trainer, args).go(scenes)
        return trainer
    finally:
        distributed.finish(workers)


def parser() -> argparse.ArgumentParser:
    """The command line; its defaults are the recipe of the bundled model."""
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("scenes", type=Path)
    p.add_argument("--segmenter", type=Path, required=True)
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--resolution", type=int, choices=sorted(SIZES), default=64)
    p.add_argument("--minutes", type=float, default=60, help="in all, over every run")
    p.add_argument("--steps", type=int, help="stop after so many steps, whatever the time")
    p.add_argument("--warm-up", type=float, default=10, help="minutes before the critic")
    p.add_argument("--sheet-minutes", type=float, default=5)
    p.add_argument("--batch", type=int, default=16, help="of each process")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--rate", type=float, default=1.0, help="factor of the learning rates")
    p.add_argument("--critic-every", type=int, default=2, help="steps between the critic's")
    p.add_argument("--fakes", choices=("edits", "transplants", "none"), default="edits")
    p.add_argument("--separate", action="store_true", help="G from samples alone, E after it")
    p.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto")
    p.add_argument("--device", default="auto")
    p.add_argument("--start", help="a model to start from, of this or a smaller resolution")
    return p


def main() -> None:
    try:
        train(parser().parse_args())
    except (GanpaintError, OSError) as error:
        sys.exit(f"error: {error}")
    distributed.end()


if __name__ == "__main__":
    main()
