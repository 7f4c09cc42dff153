"""Measure the ways to make an edit's G' against each other, on held-out scenes.

    python -m benchmarks.adaptation [--count N] [--only delta weights]

For each: PSNR of the raw G'(r_e) against the photo outside the grown stroke, the concept's share
under the stroke by the judge (removals and additions apart), and the time of a final edit of an
opened photo, as a ratio to the default in the same run. Medians of the time, means of the others.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.table import Table
from torch import Tensor

from benchmarks import measure
from benchmarks.bundled_model import HERE, Scene, console, load_scenes
from ganpaint_engine import adaptation, editing, wishes
from ganpaint_engine.measurement import share
from ganpaint_engine.prior import Prior, load_model, silent
from ganpaint_engine.segmentation import load_judge
from ganpaint_engine.window import to_tensor

CONCEPTS = ("tree", "dome", "door", "window")


class Job(NamedTuple):
    """An edit to make: a picture's number, the stroke 1×1×R×R, and what to do with a concept."""

    scene: int
    stroke: Tensor
    concept: str
    operation: str


class Outcome(NamedTuple):
    """PSNR outside, dB; the concept's share under the stroke before and after; seconds."""

    outside: float
    before: float
    after: float
    seconds: float


def jobs(prior: Prior, scenes: list[Scene], count: int) -> list[Job]:
    """``count`` removals and as many additions, each concept in turn, each scene at most once."""
    labels, side = [scene.labels for scene in scenes], prior.resolution
    found: list[Job] = []
    for operation, strokes in (("remove", measure.removals), ("add", measure.additions)):
        chosen: list[Job] = []
        offers = {c: strokes(labels, c, side) for c in CONCEPTS if c in prior.concepts}
        while len(chosen) < count and any(offers.values()):
            for concept, offered in offers.items():
                used = {job.scene for job in chosen}
                fresh = [(i, stroke) for i, stroke in offered if i not in used]
                offers[concept] = fresh[1:]
                if fresh and len(chosen) < count:
                    chosen.append(Job(*fresh[0], concept, operation))
        found += chosen
    return found


def outcomes(
    prior: Prior, scenes: list[Scene], todo: list[Job], methods: list[str]
) -> dict[str, list[tuple[Job, Outcome]]]:
    """What each method made of each job."""
    judge = load_judge()
    found: dict[str, list[tuple[Job, Outcome]]] = {method: [] for method in methods}
    for job in todo:
        inverted = prior.invert(to_tensor(scenes[job.scene].picture, prior.resolution))
        before = share(judge, inverted.x, job.stroke, job.concept)
        for method in methods:
            wish = wishes.check(
                prior, {job.operation: job.concept}, 1.0, 0, "final", None, False, adaptation=method
            )
            started = time.perf_counter()
            y_e = editing.apply(prior, inverted, [(wish, job.stroke)], silent).y_e
            seconds = time.perf_counter() - started
            outside = editing.outside_psnr(prior, inverted, job.stroke, y_e)
            after = share(judge, y_e, job.stroke, job.concept)
            outcome = Outcome(outside or float("nan"), before, after, seconds)
            found[method].append((job, outcome))
            console.print(f"{job.operation} {job.concept}, {method}: {outcome}", style="dim")
    return found


def table(found: dict[str, list[tuple[Job, Outcome]]]) -> Table:
    """One row for each method."""
    default = [outcome.seconds for _, outcome in next(iter(found.values()))]
    out = Table(
        "adaptation", "PSNR outside, dB", "removed: share", "added: share", "time, × default",
        title=f"Adaptation, {len(default)} edits of held-out scenes",
    )  # fmt: skip
    for method, rows in found.items():
        shares = []
        for operation in ("remove", "add"):
            pairs = [(o.before, o.after) for job, o in rows if job.operation == operation]
            shares.append(" → ".join(f"{value:.2f}" for value in np.mean(pairs, axis=0)))
        ratio = statistics.median(
            o.seconds / d for (_, o), d in zip(rows, default, strict=True)
        )  # each edit against the default's time for the same one
        outside = np.nanmean([o.outside for _, o in rows])
        out.add_row(method, f"{outside:.1f}", *shares, f"{ratio:.1f}")
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="churches")
    parser.add_argument("--scenes", type=Path, default=HERE / "scenes")
    parser.add_argument("--count", type=int, default=4, help="removals, and as many additions")
    parser.add_argument("--only", nargs="+", default=list(adaptation.ADAPTATIONS))
    args = parser.parse_args()
    prior, scenes = load_model(args.model, "cpu"), load_scenes(args.scenes)
    found = outcomes(prior, scenes, jobs(prior, scenes, args.count), args.only)
    console.print(table(found))


if __name__ == "__main__":
    main()
