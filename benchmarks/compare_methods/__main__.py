"""Compare ways to make an edit.

    python -m benchmarks.compare_methods PAIRS [--photos DIR] [--out DIR]

PAIRS: a folder that ``benchmarks.compare_methods.render`` made. Prints the tables, and writes them
as comparison.json, and sheets of pictures, into --out. Edits are kept there: a run that was stopped
goes on where it was. See docs/comparison.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from benchmarks.compare_methods import pairs, photos, report, run, sheet
from benchmarks.compare_methods.methods import METHODS, ONLY, OURS, SLOW, Method
from benchmarks.compare_methods.pairs import Case
from ganpaint_engine.prior import Prior, load_model
from ganpaint_engine.segmentation import load_judge

console = Console(width=120)


def compare(
    prior: Prior,
    cases: Sequence[Case],
    wanted: Mapping[str, Method],
    out: Path,
    title: str,
    seeds: int = 10,
    each: int = 2,
) -> dict[str, Any]:
    """Make what is missing, measure, print; the figures as plain values."""
    results = run.Results(out)

    def said(done: int) -> None:
        if done % 10 == 0 or done == len(cases):
            console.print(f"{title}: {done} of {len(cases)} edits", style="dim")

    run.make_all(prior, cases, wanted, results, ONLY, said)
    rows = report.measure_all(cases, wanted, results, ONLY, load_judge(), seeds)
    console.print(report.table(rows, f"{title}, {len(cases)} edits"))
    console.print(report.kind_table(rows))
    words = report.verdicts(rows)
    for line in words:
        console.print(line)
    fidelity = [results.records[c.name, next(iter(wanted))].adapted_db for c in cases]
    console.print(f"fidelity: G' against the picture, {np.mean(fidelity):.1f} dB on average")
    picture = sheet.draw(sheet.choose(cases, each), list(wanted), results)
    picture.save(out / "sheet.png")
    console.print(f"pictures: {out / 'sheet.png'}")
    return {
        "rows": [row.numbers() for row in rows],
        "verdicts": words,
        "fidelity_db": round(float(np.mean(fidelity)), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pairs", type=Path, nargs="?", help="a folder of rendered pairs")
    parser.add_argument("--photos", type=Path, help="a folder of photographs")
    parser.add_argument("--model", default="churches")
    parser.add_argument("--methods", help=f"of {', '.join(METHODS)}; with commas between")
    parser.add_argument("--kinds", help="of edit, such as 'add tree,remove door'; else all")
    parser.add_argument("--most", type=int, help="edits of each kind, at most")
    parser.add_argument("--seeds", type=int, default=10, help="halvings for the detector")
    parser.add_argument("--out", type=Path, default=Path("out/comparison"))
    args = parser.parse_args()
    names = args.methods.split(",") if args.methods else [m for m in METHODS if m not in SLOW]
    if OURS not in names or not set(names) <= set(METHODS):
        parser.error(f"--methods are of {', '.join(METHODS)}, {OURS} among them")
    wanted = {name: METHODS[name] for name in METHODS if name in names}
    prior = load_model(args.model)
    console.print(f"model {prior.name} {prior.version}, torch {torch.__version__}, {prior.device}")
    kinds = args.kinds.split(",") if args.kinds else None
    sources: dict[str, list[Case]] = {}
    if args.pairs:
        sources["scenes"] = pairs.some(pairs.read(args.pairs), args.most, kinds)
    if args.photos:
        sources["photos"] = pairs.some(photos.read(args.photos, prior), args.most, kinds)
    if not any(sources.values()):
        parser.error("there is nothing to edit: give a folder of pairs, or --photos")
    found = {
        name: compare(prior, cases, wanted, args.out / name, name.capitalize(), args.seeds)
        for name, cases in sources.items()
        if cases
    }
    (args.out / "comparison.json").write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
