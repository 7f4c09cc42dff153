"""Make a model package of a training run: dissect, measure, and write card and weights.

    python -m training.package scenes128.npz --run run --segmenter unet.pt --judge judge.pt \
        --name churches --version 1.0.0 --out models/churches

Operations that fail the lower bar of ``training.gates`` are not offered and named in the card, as
is every gate with what was measured; a model that can do nothing is not written.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks import kid, measure
from benchmarks.bundled_model import JUDGE, finished_edit, load_judge
from ganpaint_engine import detail, dissection, exemplars, familiarity, model_package
from ganpaint_engine.concepts import Concept
from ganpaint_engine.encoder import Encoder
from ganpaint_engine.prior import Prior
from ganpaint_engine.segmentation import CLASSES, DilatedSegmenter, UNetSegmenter, shrink
from training import gates, networks, views
from training.data import Scenes
from training.edits import cell_shares
from training.train import CHECKPOINT, load_segmenter, read_checkpoint
from training.train_segmenter import class_iou

CONCEPTS = ("tree", "dome", "door", "window", "grass", "sky", "bush")
THINGS = ("tree", "dome", "door", "window", "bush")
"""Concepts with a shape, which are added after exemplars. Grass and sky have none: exemplars of
them bring along what stands in them."""
CELL_SHARES = {"window": 0.25, "door": 0.4, "bush": 0.4}
MEASURED = ("remove", "add")
"""Operations that are measured here; changes of look by ``ganpaint dissect``."""
FEWEST_CUTOUTS = 12
"""Of a thing, for it to be offered because of them."""
TERMS = "Apache-2.0. Trained only on scenes rendered by this project."


@dataclass(frozen=True)
class Trained:
    """What a training run left: averaged weights, and how they came about."""

    prior: networks.Prior
    resolution: int
    steps: int
    minutes: float

    @classmethod
    def load(cls, run: Path) -> Trained:
        """From a run's folder. Raises OtherCheckpoint."""
        state = read_checkpoint(run / CHECKPOINT, torch.device("cpu"))
        resolution = state["recipe"]["resolution"]
        prior = networks.Prior(networks.SIZES[resolution])
        prior.load_state_dict(state["ema"])
        return cls(prior.eval(), resolution, state["step"], round(state["seconds"] / 60, 1))


@torch.no_grad()
def featuremaps(
    encoder: Encoder, segmenter: UNetSegmenter, scenes: Scenes, count: int
) -> tuple[Tensor, Tensor]:
    """r = E(x) of ``count`` training pictures, and the segmenter's maps of the pictures.

    Of x and not of G's pictures: what is small is blurred in those, and the segmenter misses it.
    """
    maps, labels = [], []
    for i in range(0, min(count, len(scenes)), 32):
        x = scenes.pictures[i : min(i + 32, count)].float() / 127.5 - 1
        maps.append(encoder(x))
        labels.append(segmenter(shrink(x)).argmax(1))
    return torch.cat(maps), torch.cat(labels)


def indices(names: tuple[str, ...]) -> list[int]:
    """The classes' numbers."""
    return [CLASSES.index(n) for n in names]


def passes(
    effect: measure.Effect,
    finished: list[measure.Effect],
    library: exemplars.Exemplars | None,
) -> bool:
    """Whether an operation is offered: by the judge, or because what is added is known.

    A cutout was labelled by who rendered it: that it is a door needs no judge, whose own doors are
    others. Its figures are in the card all the same.
    """
    things = library.things(effect.concept) if library is not None else 0
    known = effect.operation == "add" and things >= FEWEST_CUTOUTS
    return known or gates.offered(effect, finished)


def left_out(
    effects: list[measure.Effect],
    finished: list[measure.Effect],
    library: exemplars.Exemplars | None,
) -> list[str]:
    """A line about each operation that is not offered."""
    return [
        f"{e.operation} {e.concept}: {e.before:.2f} of the stroke before, {e.after:.2f} after"
        for e in effects
        if not passes(e, finished, library)
    ]


def card_concepts(
    concepts: dict[str, Concept],
    iou: dict[str, float],
    effects: list[measure.Effect],
    finished: list[measure.Effect],
    library: exemplars.Exemplars,
) -> list[dict[str, Any]]:
    """The card's entry of every concept, with what the judge saw."""
    entries = []
    for name, concept in concepts.items():
        entry: dict[str, Any] = {
            "name": name,
            "units": len(concept.units),
            "unit_iou": round(iou[name], 3),
            "operations": [],
        }
        put_figures(entry, effects, finished, library)
        if entry["operations"]:
            entries.append(entry)
    return entries


def put_figures(
    entry: dict[str, Any],
    effects: list[measure.Effect],
    finished: list[measure.Effect],
    library: exemplars.Exemplars | None,
) -> None:
    """Put what the judge saw of a concept into its entry of the card, and what is offered of it."""
    offered = []
    for suffix, found in (("", effects), ("_finished", finished)):
        for e in (e for e in found if e.concept == entry["name"]):
            entry[e.operation + suffix] = _shares(e)
            if not suffix and passes(e, finished, library):
                offered.append(e.operation)
    entry["operations"] = offered + [o for o in entry["operations"] if o not in MEASURED]


def _shares(e: measure.Effect) -> dict[str, float]:
    before, after = round(e.before, 3), round(e.after, 3)
    return {"scenes": e.scenes, "share_before": before, "share_after": after}


@torch.no_grad()
def kid_figures(prior: Prior, judge: DilatedSegmenter, held: Scenes) -> dict[str, float]:
    """KID of samples and of reconstructions, and of one half of the real pictures to the other.

    Nothing where there are too few pictures to halve.
    """
    if len(held) < 4:
        return {}
    real = kid.features(judge, held.pictures.float() / 127.5 - 1)
    order = torch.randperm(len(real), generator=torch.Generator().manual_seed(0))
    halves = real[order[: len(real) // 2]], real[order[len(real) // 2 :]]
    z = torch.randn(
        2 * len(real), prior.generator.channels[0], generator=torch.Generator().manual_seed(0)
    )
    samples = torch.cat([prior.generator(part) for part in z.split(32)])
    rebuilt = torch.cat([
        prior.generator.head(prior.encoder(x.float() / 127.5 - 1))
        for x in held.pictures.split(32)
    ])  # fmt: skip
    return {
        "samples": round(kid.kid(kid.features(judge, samples), real), 4),
        "reconstructions": round(kid.kid(kid.features(judge, rebuilt), real), 4),
        "real_halves": round(kid.kid(*halves), 4),
    }


def measured(
    prior: Prior, judge: DilatedSegmenter, held: Scenes, effects: list[measure.Effect]
) -> dict[str, Any]:
    """The card's figures over held-out scenes, and the table of gates."""
    pictures, labels = list(held.pictures.permute(0, 2, 3, 1).numpy()), list(held.labels.numpy())
    psnr = measure.fidelity(prior, pictures[::5])
    kept = measure.outside(prior, judge, pictures, labels)
    return {
        "held_out_psnr_db": psnr,
        "outside_unchanged": round(kept, 4),
        "kid": kid_figures(prior, judge, held),
        "judge_mean_iou": round(float(class_iou(judge, held).mean()), 3),
        "gates": gates.table(effects, kept, psnr),
    }


def library_of(
    args: argparse.Namespace, r: Tensor, known: Scenes, encoder: Encoder
) -> exemplars.Exemplars:
    """The exemplars: views of large scenes with cutouts, or training pictures as they are.

    r: N×C×8×8, of the first N of ``known``. Raises BadTrainingData.
    """
    if args.views:
        each = args.exemplars // len(THINGS)
        return views.library(
            views.choose(args.views, THINGS, each, known.pictures.shape[-1]), encoder, THINGS
        )
    shares = cell_shares(known.labels[: len(r)].long())[:, indices(CONCEPTS)]
    return exemplars.choose(r, shares, CONCEPTS, args.exemplars).only(THINGS)


def build(args: argparse.Namespace) -> int:
    """Dissect, measure, gate, write. Returns an exit status."""
    segmenter, judge = load_segmenter(args.segmenter), load_judge(args.judge)
    trained = Trained.load(args.run)
    generator, encoder, side = trained.prior.generator, trained.prior.encoder, trained.resolution
    known, held = (Scenes.load(args.scenes, side, held_out) for held_out in (False, True))
    r, labels = featuremaps(encoder, segmenter, known, args.featuremaps)
    concepts, iou = dissection.dissect(r, labels, CONCEPTS, CLASSES, shares=CELL_SHARES)
    draft = {
        "name": args.name, "version": args.version, "terms": TERMS, "resolution": side,
        "edit_layer": {"number": 4, "grid": 8, "units": r.shape[1]},
        "channels": generator.channels,
        "concepts": [{"name": n} for n in concepts],
    }  # fmt: skip
    library = library_of(args, r, known, encoder)
    weights = generator.state_dict(), encoder.state_dict()
    unwritten = {model_package.GENERATOR: "", model_package.ENCODER: ""}
    info = model_package.ModelInfo(args.out, {**draft, "files": unwritten})
    prior = Prior(info, generator, encoder, concepts, torch.device("cpu"), library)
    pictures = list(held.pictures.permute(0, 2, 3, 1).numpy())
    effects = measure.effects(prior, judge, pictures, list(held.labels.numpy()))
    finished = measure.effects(
        prior, judge, pictures, list(held.labels.numpy()), finished_edit, most=args.finished
    )
    failed = left_out(effects, finished, library)
    print_effects(effects, finished, failed)
    draft["concepts"] = card_concepts(concepts, iou, effects, finished, library)
    for entry in draft["concepts"]:
        places = held.labels.numpy() == CLASSES.index(entry["name"])
        entry["detail"] = detail.typical(
            list(held.pictures.permute(0, 2, 3, 1).numpy()), list(places)
        )
    concepts = {entry["name"]: concepts[entry["name"]] for entry in draft["concepts"]}
    if not concepts:
        print("No concept passes the gate: nothing is written.", file=sys.stderr)
        return 1
    draft["left_out"] = failed
    draft["training"] = {
        "data": f"{len(known)} rendered church scenes; {len(held)} more held out",
        "steps": trained.steps,
        "minutes": trained.minutes,
        "device": args.device_name,
        "notes": args.notes,
    }
    draft["measured"] = measured(prior, judge, held, effects)
    x = held.pictures.to(prior.device).float() / 127.5 - 1
    draft["familiar"] = {"entropy": familiarity.limit(load_judge(), list(x.split(1)))}
    info = model_package.save(args.out, draft, *weights, concepts, exemplars=library)
    print(f"{info.path}: {', '.join(info.concepts)}; {draft['measured']}")
    return 0


def print_effects(
    effects: list[measure.Effect], finished: list[measure.Effect], failed: list[str]
) -> None:
    """What edits did, raw and finished, and what is left out for it."""
    for kind, rows in (("raw", effects), ("finished", finished)):
        for e in rows:
            shares = f"{e.before:.2f} -> {e.after:.2f}  ({e.scenes})"
            print(f"{kind:8s} {e.concept:8s} {e.operation:6s} {shares}")
    print("\n".join(f"left out: {line}" for line in failed))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scenes", type=Path)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--segmenter", type=Path, required=True)
    parser.add_argument("--judge", type=Path, default=JUDGE, help="default: the benchmarks' own")
    parser.add_argument("--name", default="churches")
    parser.add_argument("--version", default="1.0.0")
    parser.add_argument("--device-name", default="CPU, 2 cores")
    parser.add_argument("--featuremaps", type=int, default=1600, help="pictures to dissect on")
    parser.add_argument("--exemplars", type=int, default=320, help="kept in the package")
    parser.add_argument("--views", type=Path, nargs="+", help="large scenes, for their cutouts")
    parser.add_argument("--finished", type=int, default=6, help="finished edits of each kind")
    parser.add_argument("--notes", default="", help="for the card: how it was trained")
    parser.add_argument("--out", type=Path, required=True)
    sys.exit(build(parser.parse_args()))


if __name__ == "__main__":
    main()
