"""Measure a model on held-out scenes, and print it as tables.

    make benchmark      or      python -m benchmarks.bundled_model [--model NAME] [--out DIR]

Fidelity: PSNR of the window's picture after E, after refinement of r, after δ. Time: of opening a
photo and of each kind of edit, with the ratio to a preview measured in the same run. Effect: the
share of the concept under the stroke in the finished picture, before and after, by the judge.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from rich.console import Console
from rich.table import Table
from torch import Tensor

from benchmarks import measure
from ganpaint_engine.demonstration import before_after
from ganpaint_engine.editing import Edit
from ganpaint_engine.prior import Prior, load_model
from ganpaint_engine.segmentation import DilatedSegmenter, load_judge
from ganpaint_engine.window import resize, to_array, to_tensor

HERE = Path(__file__).parent
JUDGE = HERE / "judge.safetensors"
console = Console(width=100)


@dataclass(frozen=True)
class Scene:
    """A held-out scene: picture H×W×3 uint8 and labels H×W."""

    name: str
    picture: np.ndarray
    labels: np.ndarray


def load_scenes(folder: Path) -> list[Scene]:
    """All scenes of a folder with ``pictures/`` and ``labels/``."""
    scenes = []
    for path in sorted((folder / "labels").glob("*.png")):
        picture = next((folder / "pictures").glob(path.stem + ".*"))
        rgb = np.asarray(Image.open(picture).convert("RGB"))
        scenes.append(Scene(path.stem, rgb, np.asarray(Image.open(path))))
    return scenes


def finished_edit(prior: Prior, x: Tensor, stroke: Tensor, concept: str, adding: bool) -> Tensor:
    """An edit as a user gets it, with δ and paste-back, as the model's window would show it."""
    side = 4 * prior.resolution
    photo = np.clip(np.rint(to_array(x, side)), 0, 255).astype(np.uint8)
    mask = resize(stroke[0, 0].cpu().numpy(), side)
    choice = {"add" if adding else "remove": concept}
    edit = prior.open(photo).edit(mask, **choice)  # type: ignore[arg-type]
    return to_tensor(np.asarray(edit.image), prior.resolution)


def fidelity_table(prior: Prior, scenes: list[Scene]) -> Table:
    """PSNR at each stage."""
    table = Table("stage", "PSNR, dB", title=f"Fidelity on {len(scenes)} held-out scenes")
    names = {"encoder": "E", "refined": "E + r", "adapted": "E + r + δ"}
    for stage, value in measure.fidelity(prior, [s.picture for s in scenes]).items():
        table.add_row(names[stage], f"{value:.1f}")
    return table


def time_table(prior: Prior, scenes: list[Scene], mask: np.ndarray) -> tuple[Table, list[Edit]]:
    """Medians of the time of opening, of a preview and of a final edit."""
    concept = prior.concepts[0]
    spent: dict[str, list[float]] = {"open": [], "preview": [], "final": []}
    edits = []
    for scene in scenes:
        start = time.perf_counter()
        session = prior.open(scene.picture)
        session.inverted(session.place(mask))
        spent["open"].append(time.perf_counter() - start)
        for quality in ("preview", "final"):
            start = time.perf_counter()
            edits.append(session.edit(mask, add=concept, quality=quality))
            spent[quality].append(time.perf_counter() - start)
    medians = {k: statistics.median(v) for k, v in spent.items()}
    table = Table(
        "step", "median, s", "× preview", title=f"Time, {prior.device}, {len(scenes)} scenes"
    )
    for step, seconds in medians.items():
        table.add_row(step, f"{seconds:.2f}", f"{seconds / medians['preview']:.1f}")
    return table, edits[1::2]


def effect_table(prior: Prior, scenes: list[Scene], judge: DilatedSegmenter) -> Table:
    """What edits did to the concept's share under the stroke."""
    table = Table(
        "concept", "operation", "scenes", "before", "after",
        title="Share of the concept under the stroke, finished picture, by the judge",
    )  # fmt: skip
    effects = measure.effects(
        prior,
        judge,
        [s.picture for s in scenes],
        [s.labels for s in scenes],
        edit=finished_edit,
        most=3,
    )
    for e in effects:
        table.add_row(e.concept, e.operation, str(e.scenes), f"{e.before:.2f}", f"{e.after:.2f}")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="churches")
    parser.add_argument("--scenes", type=Path, default=HERE / "scenes")
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--out", type=Path, default=Path("out/benchmark"))
    args = parser.parse_args()
    prior, judge = load_model(args.model), load_judge()
    scenes = load_scenes(args.scenes)[: args.count]
    console.print(f"model {prior.name} {prior.version}, torch {torch.__version__}")
    console.print(fidelity_table(prior, scenes))
    mask = np.zeros(scenes[0].labels.shape, np.uint8)
    mask[90:200, 10:100] = 255
    table, edits = time_table(prior, scenes[:6], mask)
    console.print(table)
    console.print(effect_table(prior, scenes, judge))
    args.out.mkdir(parents=True, exist_ok=True)
    rows = [
        (Image.fromarray(s.picture), Image.fromarray(mask), e)
        for s, e in zip(scenes, edits, strict=False)
    ]
    before_after(rows, side=256).save(args.out / "edits.png")
    console.print(f"pictures: {args.out / 'edits.png'}")


if __name__ == "__main__":
    main()
