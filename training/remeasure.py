"""Measure again what a package's edits do, with the engine as it is, and put it into its card.

    python -m training.remeasure models/churches scenes128.npz

The engine goes on after a package was built: how a place is filled is not in the weights. The
concepts' figures, raw and finished, their gates, what is offered and what is left out are measured
as ``training.package`` does it; nothing else of the card changes.
"""

from __future__ import annotations

import argparse
import copy
import json
from pathlib import Path
from typing import Any

from torch import nn

from benchmarks import measure
from benchmarks.bundled_model import JUDGE, finished_edit, load_judge
from ganpaint_engine.model_package import CARD
from ganpaint_engine.prior import Prior, load_model
from training import gates
from training.data import Scenes
from training.package import left_out, print_effects, put_figures


def remeasure(prior: Prior, judge: nn.Module, held: Scenes, most: int) -> dict[str, Any]:
    """The card of ``prior`` with new figures. most: finished edits of each kind."""
    pictures, labels = list(held.pictures.permute(0, 2, 3, 1).numpy()), list(held.labels.numpy())
    raw = measure.effects(prior, judge, pictures, labels)
    finished = measure.effects(prior, judge, pictures, labels, finished_edit, most=most)
    card = copy.deepcopy(prior.info.card)
    for entry in card["concepts"]:
        put_figures(entry, raw, finished, prior.exemplars)
    known = card["measured"]["held_out_psnr_db"], card["measured"]["outside_unchanged"]
    card["measured"]["gates"] = gates.table(raw, known[1], known[0])
    again = tuple(f"{e.operation} {e.concept}:" for e in raw)
    others = [line for line in card["left_out"] if not line.startswith(again)]
    card["left_out"] = left_out(raw, finished, prior.exemplars) + others
    print_effects(raw, finished, card["left_out"])
    return card


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
    new.replace(prior.info.path / CARD)


if __name__ == "__main__":
    main()
