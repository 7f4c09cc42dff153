"""Train small priors by different recipes for equally many steps, and print what each gave.

    python -m training.compare_recipes scenes128.npz --segmenter unet.pt --out out/recipes

The same seed, scenes and steps; then the same dissection, library of exemplars and judge. Run again
it goes on where it stopped.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from benchmarks import measure
from benchmarks.bundled_model import load_judge
from ganpaint_engine import dissection, exemplars, model_package
from ganpaint_engine.prior import Prior
from ganpaint_engine.segmentation import CLASSES
from training import package, train
from training.data import Scenes
from training.edits import cell_shares

RECIPES = {
    "edits, joint E": [],
    "transplants, joint E": ["--fakes", "transplants"],
    "reconstructions alone, joint E": ["--fakes", "none"],
    "samples alone, E apart": ["--separate", "--fakes", "none"],
}


@dataclass(frozen=True)
class Outcome:
    """What a recipe gave on held-out scenes."""

    psnr: dict[str, float]
    gone: float
    come: float
    outside: float


def arguments(args: argparse.Namespace, name: str) -> argparse.Namespace:
    """The trainer's arguments for one recipe."""
    folder = args.out / "".join(c if c.isalnum() else "_" for c in name)
    fixed = ["--resolution", str(args.resolution), "--batch", str(args.batch)]
    fixed += ["--steps", str(args.steps), "--minutes", "1e6", "--warm-up", "0", "--seed", "1"]
    call = [str(args.scenes), "--segmenter", str(args.segmenter), "--out", str(folder)]
    return train.parser().parse_args([*call, *fixed, *RECIPES[name]])


def outcome(run: Path, args: argparse.Namespace) -> Outcome:
    """Dissect and measure what a run left, on ``args.measured`` held-out scenes."""
    trained, judge = package.Trained.load(run), load_judge()
    generator, encoder, side = trained.prior.generator, trained.prior.encoder, trained.resolution
    known, held = (Scenes.load(args.scenes, side, held_out) for held_out in (False, True))
    segmenter = train.load_segmenter(args.segmenter)
    r, labels = package.featuremaps(encoder, segmenter, known, 400)
    names = package.CONCEPTS
    concepts, _ = dissection.dissect(r, labels, names, CLASSES, shares=package.CELL_SHARES)
    shares = cell_shares(known.labels[: len(r)].long())[:, package.indices(names)]
    library = exemplars.choose(r, shares, names, 160)
    card = {"name": "r", "version": "0", "resolution": side, "files": {}}
    info = model_package.ModelInfo(run, {**card, "concepts": [{"name": n} for n in concepts]})
    prior = Prior(info, generator, encoder, concepts, torch.device("cpu"), library)
    pictures, truth = list(held.pictures.permute(0, 2, 3, 1).numpy()), list(held.labels.numpy())
    effects = measure.effects(prior, judge, pictures, truth, most=args.measured)
    removed = [1 - e.after / max(e.before, 1e-6) for e in effects if e.operation == "remove"]
    added = [e.after - e.before for e in effects if e.operation == "add"]
    return Outcome(
        measure.fidelity(prior, pictures[: args.measured]),
        sum(removed) / max(len(removed), 1),
        sum(added) / max(len(added), 1),
        measure.outside(prior, judge, pictures, truth, 4),
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scenes", type=Path)
    parser.add_argument("--segmenter", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--resolution", type=int, default=64)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=350)
    parser.add_argument("--measured", type=int, default=12, help="scenes measured")
    args = parser.parse_args()
    table = Table(
        "recipe", "E, dB", "+ r, dB", "gone", "come", "outside",
        title=f"{args.steps} steps of {args.batch} at {args.resolution} px from scratch",
    )  # fmt: skip
    for name in RECIPES:
        one = arguments(args, name)
        train.train(one)
        found = outcome(one.out, args)
        psnr = (f"{found.psnr[stage]:.1f}" for stage in ("encoder", "refined"))
        rest = (f"{value:.2f}" for value in (found.gone, found.come, found.outside))
        table.add_row(name, *psnr, *rest)
        Console().print(table)


if __name__ == "__main__":
    main()
