"""Make a model package of a training run: dissect, measure, and write card and weights.

    python -m training.package scenes128.npz --run run --segmenter unet.pt --judge judge.pt \
        --name churches --version 1.0.0 --out models/churches

The gate: by the judge, removing a concept must take most of it away and adding it must put it
there; operations that fail are left out and named, and a model without any is not written.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks import measure
from ganpaint_engine import dissection, model_package
from ganpaint_engine.concepts import Concept
from ganpaint_engine.segmentation import CLASSES, UNetSegmenter
from ganpaint_engine.session import Prior
from training.data import Scenes
from training.train import Trainer, load_segmenter
from training.train_segmenter import KINDS, class_iou

CONCEPTS = ("tree", "dome", "door", "window", "grass", "sky", "bush")
CELL_SHARES = {"window": 0.25, "door": 0.4, "bush": 0.4}
# The gate, in share of the cells under the stroke: how much must be gone, or have come.
MUST_GO, MUST_COME = 0.5, 0.3
TERMS = "Apache-2.0. Trained only on scenes rendered by this project."


@torch.no_grad()
def featuremaps(
    trainer: Trainer, segmenter: UNetSegmenter, scenes: Scenes, count: int
) -> tuple[Tensor, Tensor]:
    """r = E(x) of ``count`` training pictures, and the segmenter's maps of the pictures.

    Of x and not of G's pictures: what is small is blurred in those, and the segmenter misses it.
    """
    maps, labels = [], []
    for i in range(0, count, 32):
        x = scenes.pictures[i : min(i + 32, count)].float() / 127.5 - 1
        maps.append(trainer.ema.encoder(x.to(trainer.device)))
        labels.append(segmenter(x.to(trainer.device)).argmax(1))
    return torch.cat(maps), torch.cat(labels)


def passes(effect: measure.Effect) -> bool:
    """The gate for one operation on one concept."""
    if effect.operation == "remove":
        return effect.after <= (1 - MUST_GO) * effect.before
    return effect.after - effect.before >= MUST_COME


def failures(effects: list[measure.Effect]) -> list[str]:
    """A line about each operation that does not pass."""
    return [
        f"{e.operation} {e.concept}: {e.before:.2f} of the stroke before, {e.after:.2f} after"
        for e in effects
        if not passes(e)
    ]


def card_concepts(
    concepts: dict[str, Concept], iou: dict[str, float], effects: list[measure.Effect]
) -> list[dict[str, Any]]:
    """The card's entry of every concept, with what the judge saw."""
    entries = []
    for name, concept in concepts.items():
        entry: dict[str, Any] = {
            "name": name,
            "units": len(concept.units),
            "unit_iou": round(iou[name], 3),
            "operations": [e.operation for e in effects if e.concept == name and passes(e)],
        }
        for e in effects:
            if e.concept == name:
                entry[e.operation] = {
                    "scenes": e.scenes,
                    "share_before": round(e.before, 3),
                    "share_after": round(e.after, 3),
                }
        if entry["operations"]:
            entries.append(entry)
    return entries


def load_judge(path: Path) -> nn.Module:
    """The judge that ``training.train_segmenter --kind judge`` wrote, in eval mode."""
    net = KINDS["judge"]()
    net.load_state_dict(torch.load(path, weights_only=True)["state"])
    return net.eval()


def build(args: argparse.Namespace) -> int:
    """Dissect, measure, gate, write. Returns an exit status."""
    segmenter, judge = load_segmenter(args.segmenter), load_judge(args.judge)
    state = torch.load(args.run / "checkpoint.pt", map_location="cpu")
    trainer = Trainer(state["resolution"], segmenter, torch.device("cpu"), 0)
    trainer.load(state)
    side = trainer.resolution
    known, held = (Scenes.load(args.scenes, side, held_out) for held_out in (False, True))
    r, labels = featuremaps(trainer, segmenter, known, args.featuremaps)
    concepts, iou = dissection.dissect(r, labels, CONCEPTS, CLASSES, shares=CELL_SHARES)
    draft = {
        "name": args.name, "version": args.version, "terms": TERMS, "resolution": side,
        "edit_layer": {"number": 4, "grid": 8, "units": r.shape[1]},
        "channels": trainer.ema.generator.channels,
        "concepts": [{"name": n} for n in concepts],
    }  # fmt: skip
    weights = trainer.ema.generator.state_dict(), trainer.ema.encoder.state_dict()
    info = model_package.ModelInfo(args.out, {**draft, "files": {}})
    prior = Prior(info, trainer.ema.generator, trainer.ema.encoder, concepts, trainer.device)
    pictures = list(held.pictures.permute(0, 2, 3, 1).numpy())
    effects = measure.effects(prior, judge, pictures, list(held.labels.numpy()))
    for e in effects:
        print(f"{e.concept:8s} {e.operation:6s} {e.before:.2f} -> {e.after:.2f}  ({e.scenes})")
    failed = failures(effects)
    print("\n".join(f"left out: {line}" for line in failed))
    draft["concepts"] = card_concepts(concepts, iou, effects)
    concepts = {entry["name"]: concepts[entry["name"]] for entry in draft["concepts"]}
    if not concepts:
        print("No concept passes the gate: nothing is written.", file=sys.stderr)
        return 1
    draft["left_out"] = failed
    draft["training"] = {
        "data": f"{len(known)} rendered church scenes; {len(held)} more held out",
        "steps": trainer.step,
        "minutes": round(trainer.seconds / 60, 1),
        "device": args.device_name,
    }
    draft["measured"] = {
        "held_out_psnr_db": measure.fidelity(prior, pictures[::5]),
        "judge_mean_iou": round(float(class_iou(judge, held).mean()), 3),
    }
    info = model_package.save(args.out, draft, *weights, concepts)
    print(f"{info.path}: {', '.join(info.concepts)}; {draft['measured']}")
    return 0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scenes", type=Path)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--segmenter", type=Path, required=True)
    parser.add_argument("--judge", type=Path, required=True)
    parser.add_argument("--name", default="churches")
    parser.add_argument("--version", default="1.0.0")
    parser.add_argument("--device-name", default="CPU, 2 cores")
    parser.add_argument("--featuremaps", type=int, default=800)
    parser.add_argument("--out", type=Path, required=True)
    sys.exit(build(parser.parse_args()))


if __name__ == "__main__":
    main()
