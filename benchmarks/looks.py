"""Measure changes of look on held-out scenes whose labels are known; and on photographs, a sheet.

    python -m benchmarks.looks [--most 6] [--photos DIR] [--out DIR]

For each look that the model offers, over things that have another one; the stroke is the thing,
grown by a twelfth of the picture, as a hasty selection is. *ours*: as the engine does it. *drawn*:
what the head draws of it, the photo's detail kept, as for looks whose colour is not known. *way*:
how far the thing's mean a* and b* went towards the look's (1: there). *beside*: mean ΔE (CIELAB) of
what is under the stroke and not the thing. *around*: of what is within a twelfth of the picture
around the stroke. *kept*: the thing's share of its own pixels by the judge, after to before. Times:
a preview of a new stroke, as a ratio to ours in the same run.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from PIL import Image
from rich.table import Table

from benchmarks.bundled_model import HERE, Scene, console, load_scenes
from ganpaint_engine import wishes
from ganpaint_engine.appearance import meant, to_lab
from ganpaint_engine.demonstration import before_after
from ganpaint_engine.editing import Edit
from ganpaint_engine.measurement import share
from ganpaint_engine.prior import Prior, load_model
from ganpaint_engine.segmentation import CLASSES, DilatedSegmenter, load_judge
from ganpaint_engine.window import to_tensor

GROWN = 1 / 12
"""How much larger a stroke is than the thing, and how wide what is around it, of the picture."""
LEAST = {"door": 0.01, "window": 0.01, "dome": 0.02}
USUAL_LEAST = 0.06
"""Share of the picture that a thing must have."""
FAR = 15.0
"""Distance of a* and b* that a look must have from the thing's."""
PHOTOS: dict[str, list[tuple[str, str, tuple[float, float, float, float]]]] = {
    "azure_mit_house": [("tree", "autumn", (0.68, 0, 1, 0.6)), ("grass", "snow", (0, 0.78, 1, 1))],
    "budgie_cc0_roman-colosseum": [("sky", "clouded", (0.5, 0, 1, 1))],
    "highsmith_pd_008": [("sky", "clouded", (0, 0, 1, 0.9))],
    "kodak_kodim01": [("door", "dark", (0.27, 0.5, 0.43, 0.92))],
    "kodak_kodim19": [("grass", "fresh", (0.2, 0.66, 1, 1)), ("sky", "clear", (0, 0, 1, 0.55))],
}
"""Concept, look, and the stroke as a box in shares of the sides, by the photograph's name."""


class Case(NamedTuple):
    """A thing in a scene: H×W bools, and the look it is to be given, with its colour."""

    scene: Scene
    thing: np.ndarray
    concept: str
    look: str
    colour: np.ndarray


class Figures(NamedTuple):
    """As in the module's docstring."""

    way: float
    beside: float
    around: float
    kept: float
    seconds: float


def grown(mask: np.ndarray) -> np.ndarray:
    """A mask (H×W bools) and what is within GROWN around."""
    px = round(GROWN * min(mask.shape))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * px + 1, 2 * px + 1))
    return np.asarray(cv2.dilate(mask.astype(np.uint8), kernel)) > 0


def mean_lab(picture: np.ndarray, where: np.ndarray) -> np.ndarray:
    return np.asarray(to_lab(picture)[where].mean(0))


def cases(prior: Prior, scenes: Sequence[Scene], most: int) -> Iterator[Case]:
    """For each look ``most`` things that are far from it."""
    for concept in prior.concepts:
        if "restyle" not in prior.operations(concept):
            continue
        for look, measured in prior.info.colours(concept).items():
            colour, count = meant(concept, look, measured), 0
            for scene in scenes:
                thing = scene.labels == CLASSES.index(concept)
                if thing.mean() < LEAST.get(concept, USUAL_LEAST):
                    continue
                away = (mean_lab(scene.picture, thing) - to_lab(colour))[1:]
                if np.linalg.norm(away) > FAR and count < most:
                    count += 1
                    yield Case(scene, thing, concept, look, colour)


@contextmanager
def only_drawn() -> Iterator[None]:
    """As if no look's colour were known."""
    usual = wishes._tint
    wishes._tint = lambda *_: None
    try:
        yield
    finally:
        wishes._tint = usual


def measured(judge: DilatedSegmenter, case: Case, after: np.ndarray, seconds: float) -> Figures:
    """An edited picture's figures, H×W×3 uint8; its preview took so many seconds."""
    before, thing = case.scene.picture, case.thing
    stroke = grown(thing)
    start, end = (mean_lab(p, thing)[1:] for p in (before, after))
    wished = to_lab(case.colour)[1:] - start
    moved = np.linalg.norm(to_lab(before) - to_lab(after), axis=2)
    there = torch.from_numpy(thing.astype(np.float32))[None, None]
    with torch.no_grad():
        shares = [
            share(judge, to_tensor(p, len(thing)), there, case.concept) for p in (before, after)
        ]
    return Figures(
        way=float((end - start) @ wished / (wished @ wished)),
        beside=float(moved[stroke & ~thing].mean()),
        around=float(moved[grown(stroke) & ~stroke].mean()),
        kept=shares[1] / max(shares[0], 0.05),
        seconds=seconds,
    )


def tried(prior: Prior, judge: DilatedSegmenter, case: Case) -> Figures:
    """One edit, measured, and a preview of another stroke, timed."""
    session, stroke = prior.open(case.scene.picture), grown(case.thing).astype(np.uint8) * 255

    def edited(stroke: np.ndarray, quality: str) -> np.ndarray:
        edit = session.edit(
            stroke, restyle=case.concept, variant=case.look, context="whole", quality=quality
        )
        return edit.array

    after = edited(stroke, "final")
    started = time.perf_counter()
    edited(np.roll(stroke, 1, 1), "preview")
    return measured(judge, case, after, time.perf_counter() - started)


def run(prior: Prior, found: Sequence[Case]) -> dict[str, dict[str, list[Figures]]]:
    """Figures by concept and look, and by the way it was made."""
    judge = load_judge()
    figures: dict[str, dict[str, list[Figures]]] = {}
    for case in found:
        ways = figures.setdefault(f"{case.concept}, {case.look}", {"ours": [], "drawn": []})
        ways["ours"].append(tried(prior, judge, case))
        with only_drawn():
            ways["drawn"].append(tried(prior, judge, case))
        console.print(f"{case.scene.name}: {case.concept}, {case.look}", style="dim")
    return figures


def table(figures: dict[str, dict[str, list[Figures]]]) -> Table:
    """Means of all; of times medians. In each cell: ours, drawn."""
    columns = ("way", "beside, ΔE", "around, ΔE", "kept", "preview")
    shown = Table("look", "things", *columns, title="Changes of look: ours · drawn by the head")
    everything: dict[str, list[Figures]] = {
        way: [f for ways in figures.values() for f in ways[way]] for way in ("ours", "drawn")
    }
    for name, ways in {**figures, "all": everything}.items():
        ours, drawn = np.array(ways["ours"]), np.array(ways["drawn"])
        cells = [
            f"{a:.2f} · {b:.2f}" for a, b in zip(ours.mean(0)[:4], drawn.mean(0)[:4], strict=True)
        ]
        slower = statistics.median(drawn[:, 4]) / statistics.median(ours[:, 4])
        shown.add_row(name, str(len(ours)), *cells, f"1 · {slower:.1f}")
    return shown


def on_photos(prior: Prior, folder: Path) -> list[tuple[Image.Image, Image.Image, Edit]]:
    """Edits of PHOTOS, each photo with its stroke."""
    rows = []
    for name, strokes in PHOTOS.items():
        photo = Image.open(next(folder.glob(f"{name}.*"))).convert("RGB")
        session = prior.open(photo)
        for concept, look, (x0, y0, x1, y1) in strokes:
            mask, (width, height) = Image.new("L", photo.size), photo.size
            box = round(x0 * width), round(y0 * height), round(x1 * width), round(y1 * height)
            mask.paste(255, box)
            rows.append((photo, mask, session.edit(mask, restyle=concept, variant=look)))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="churches")
    parser.add_argument("--scenes", type=Path, default=HERE / "scenes")
    parser.add_argument("--most", type=int, default=6, help="things for each look")
    parser.add_argument("--photos", type=Path, help="a folder with the photographs of PHOTOS")
    parser.add_argument("--out", type=Path, default=Path("out/looks"))
    args = parser.parse_args()
    prior = load_model(args.model)
    console.print(table(run(prior, list(cases(prior, load_scenes(args.scenes), args.most)))))
    if args.photos:
        args.out.mkdir(parents=True, exist_ok=True)
        before_after(on_photos(prior, args.photos)).save(args.out / "photos.png")
        console.print(f"pictures: {args.out / 'photos.png'}")


if __name__ == "__main__":
    main()
