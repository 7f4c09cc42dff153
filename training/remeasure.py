"""Measure again what a package's edits do, with the engine as it is, and put it into its card.

    python -m training.remeasure models/churches scenes128.npz

The engine goes on after a package was built: how a place is filled is not in the weights. The
concepts' figures, raw and finished, their gates and what is offered are measured as
``training.package`` does it; nothing else of the card changes.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from torch import nn

from benchmarks import measure
from benchmarks.bundled_model import JUDGE, finished_edit, load_judge
from benchmarks.measure import Effect
from ganpaint_engine.exemplars import Exemplars
from ganpaint_engine.model_package import CARD
from ganpaint_engine.prior import Prior, load_model
from training import gates
from training.data import Scenes
from training.package import figures, passes, print_effects

MEASURED = ("add", "remove")


def remeasure(prior: Prior, judge: nn.Module, held: Scenes, most: int) -> dict[str, Any]:
    """The card of ``prior`` with new figures. most: finished edits of each kind."""
    pictures, labels = list(held.pictures.permute(0, 2, 3, 1).numpy()), list(held.labels.numpy())
    raw = measure.effects(prior, judge, pictures, labels)
    finished = measure.effects(prior, judge, pictures, labels, finished_edit, most=most)
    card = json.loads(json.dumps(prior.info.card))
    for entry in card["concepts"]:
        update(entry, raw, finished, prior.exemplars)
    known = card["measured"]["held_out_psnr_db"], card["measured"]["outside_unchanged"]
    card["measured"]["gates"] = gates.table(raw, known[1], known[0])
    print_effects(raw, finished, card["left_out"])
    return dict(card)


def update(
    entry: dict[str, Any], raw: list[Effect], finished: list[Effect], library: Exemplars | None
) -> None:
    """Put a concept's figures into its entry, and what is offered of what was measured."""
    offered = []
    for suffix, effects in (("", raw), ("_finished", finished)):
        for effect in (e for e in effects if e.concept == entry["name"]):
            entry[effect.operation + suffix] = figures(effect)
            if not suffix and passes(effect, finished, library):
                offered.append(effect.operation)
    entry["operations"] = offered + [o for o in entry["operations"] if o not in MEASURED]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="a package's folder or name; its card is changed")
    parser.add_argument("scenes", type=Path)
    parser.add_argument("--judge", type=Path, default=JUDGE, help="default: the benchmarks' own")
    parser.add_argument("--finished", type=int, default=8, help="finished edits of each kind")
    args = parser.parse_args()
    prior = load_model(args.model, "cpu")
    held = Scenes.load(args.scenes, prior.resolution, True)
    card = remeasure(prior, load_judge(args.judge), held, args.finished)
    new = prior.info.path / (CARD + ".new")
    new.write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    os.replace(new, prior.info.path / CARD)


if __name__ == "__main__":
    main()
