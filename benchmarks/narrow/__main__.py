"""Measure ways of narrowing the gap on photographs, and the routes of compositing.

    python -m benchmarks.narrow --photos DIR [--model NAME] [--ways base,poisson,...] [--out DIR]

Some strokes have a right answer: what is added was in the photo and was taken out of it by
inpainting, or what is removed was pasted in. Prints a table for additions and one for removals and
writes them as ``narrow.json``, with each edit's figures, after every way; ``sheet.jpg`` shows the
edits, a row for each stroke. A stopped run is begun anew.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from rich.console import Console
from rich.table import Table

from benchmarks.narrow import cases, measures
from benchmarks.narrow.cases import Case
from benchmarks.narrow.measures import Measured
from benchmarks.narrow.ways import WAYS, Made, Maker
from ganpaint_engine import paths, segmentation, window
from ganpaint_engine.compositing import COMPOSITES
from ganpaint_engine.errors import GanpaintError
from ganpaint_engine.prior import load_model
from ganpaint_engine.segmentation import UNetSegmenter

TILE, LINE, GAP = 160, 16, 4
console = Console(width=120)

Means = dict[str, dict[str, float]]


def tables(results: dict[str, list[Measured]], strokes: list[Case]) -> dict[str, Means]:
    """Means of every way, for each operation."""
    found: dict[str, Means] = {}
    for operation in dict.fromkeys(case.operation for case in strokes):
        at = [i for i, case in enumerate(strokes) if case.operation == operation]
        found[operation] = {
            way: measures.summary([rows[i] for i in at]) for way, rows in results.items()
        }
    return found


def show(operation: str, means: Means, count: int) -> Table:
    """The table of one operation."""
    heads = (
        "share",
        "colour",
        "detail",
        "unlike",
        "seam",
        "outside_db",
        "encoder_db",
        "refined_db",
    )
    table = Table("way", *(h.replace("_", " ") for h in heads), title=f"{count} × {operation}")
    for way, row in means.items():
        cells = ("–" if key not in row else f"{row[key]:.2f}" for key in heads)
        table.add_row(WAYS[way].title, *cells)
    return table


def sheet(strokes: list[Case], columns: list[tuple[str, list[np.ndarray]]]) -> Image.Image:
    """A row for each stroke, a column for each way."""
    width = GAP + len(columns) * (TILE + GAP)
    page = Image.new("RGB", (width, GAP + 2 * LINE + len(strokes) * (TILE + GAP)), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(11)
    for i, (title, column) in enumerate(columns):
        x = GAP + i * (TILE + GAP)
        first, _, rest = title.partition(": ")
        draw.text((x, GAP), first[:27], "black", font)
        draw.text((x, GAP + LINE), rest or first[27:], "black", font)
        for j, picture in enumerate(column):
            page.paste(Image.fromarray(picture), (x, GAP + 2 * LINE + j * (TILE + GAP)))
    return page


def _tile(picture: np.ndarray) -> np.ndarray:
    return cv2.resize(picture, (TILE, TILE), interpolation=cv2.INTER_AREA)


def _given(maker: Maker, case: Case) -> np.ndarray:
    """The photo before the edit, with a line around the stroke."""
    place = maker.place(case)
    picture = window.crop(case.photo, place).copy()
    under = window.crop(case.stroke, place, fill="zero")
    lines, _ = cv2.findContours(under, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    cv2.drawContours(picture, lines, -1, (255, 40, 90), max(place.side // 100, 1))
    return _tile(picture)


def run(args: argparse.Namespace) -> None:
    """All ways on all strokes."""
    prior = load_model(args.model, "cpu")
    strokes = cases.load(args.photos, args.strokes, prior.concepts)
    strokes = [c for c in strokes if c.known or not args.known]
    strokes = [c for c in strokes if args.operation in (None, c.operation)]
    if not strokes:
        sys.exit(f"error: no stroke for the photos of {args.photos}")
    judge = segmentation.load_judge()
    eyes = segmentation.load(paths.segmenter_file()).net
    assert isinstance(eyes, UNetSegmenter)
    maker, results = Maker(prior, args.quality == "final"), {}
    columns = [
        ("stroke", [_given(maker, case) for case in strokes]),
        ("right", [_tile(window.crop(c.truth, maker.place(c))) for c in strokes]),
    ]
    args.out.mkdir(parents=True, exist_ok=True)
    for name in args.ways.split(","):
        way = WAYS[name]
        made: list[Made] = []
        for i, case in enumerate(strokes):
            made.append(maker.make(i, case, way))
            print(f"{name}: {i + 1} of {len(strokes)}", file=sys.stderr, flush=True)
        results[name] = [
            measures.measure(maker, judge, eyes, case, one)
            for case, one in zip(strokes, made, strict=True)
        ]
        columns.append((way.title, [_tile(one.picture) for one in made]))
        _write(args.out, strokes, results, columns, f"{prior.name} {prior.version}")
        if way.opening != WAYS["base"].opening:
            maker.forget(way)
    _tell(strokes, results)
    console.print(f"Pictures: {args.out / 'sheet.jpg'}\nFigures:  {args.out / 'narrow.json'}")


def _tell(strokes: list[Case], results: dict[str, list[Measured]]) -> None:
    for operation, means in tables(results, strokes).items():
        count = sum(case.operation == operation for case in strokes)
        console.print(show(operation, means, count))
        console.print(f"best: {measures.best(means, operation)}")
        routes = {k: v for k, v in means.items() if k in ("base", *COMPOSITES)}
        console.print(f"best route of compositing: {measures.best(routes, operation)}")


def _write(
    out: Path,
    strokes: list[Case],
    results: dict[str, list[Measured]],
    columns: list[tuple[str, list[np.ndarray]]],
    model: str,
) -> None:
    each = [
        {"photo": c.name, "operation": c.operation, "concept": c.concept, "known": c.known}
        | {way: asdict(rows[i]) for way, rows in results.items()}
        for i, c in enumerate(strokes)
    ]
    content = {"model": model, "means": tables(results, strokes), "each": each}
    text = json.dumps(content, indent=1) + "\n"
    (out / "narrow.json").write_text(text, encoding="utf-8")
    sheet(strokes, columns).save(out / "sheet.jpg", quality=88)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--model", default="churches")
    parser.add_argument("--strokes", type=Path, default=cases.STROKES)
    parser.add_argument("--ways", default=",".join(WAYS), help=f"of {', '.join(WAYS)}")
    parser.add_argument("--quality", choices=("preview", "final"), default="final")
    parser.add_argument("--operation", choices=("add", "remove"), help="this one alone")
    parser.add_argument("--known", action="store_true", help="only strokes with a right answer")
    parser.add_argument("--out", type=Path, default=Path("out/narrow"))
    args = parser.parse_args()
    if unknown := set(args.ways.split(",")) - WAYS.keys():
        parser.error(f"no way {', '.join(sorted(unknown))}; there are {', '.join(WAYS)}")
    if not args.ways.startswith("base"):
        parser.error("the first way is base: the others are compared with it")
    try:
        run(args)
    except GanpaintError as error:
        sys.exit(f"error [{error.code}]: {error.message}")


if __name__ == "__main__":
    main()
