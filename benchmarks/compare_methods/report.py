"""From edits to a table: means, paired differences to ours, and words on who is better."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from rich.table import Table

from benchmarks.compare_methods import detector, measures
from benchmarks.compare_methods.methods import OURS
from benchmarks.compare_methods.pairs import Case
from benchmarks.compare_methods.run import Results, applies
from ganpaint_engine.segmentation import DilatedSegmenter

NEAR = 1.5
"""Side of what is compared by features, in longer sides of the stroke."""


@dataclass
class Row:
    """One method on one operation; values in the order of the cases, NaN where nothing is known."""

    method: str
    operation: str
    cases: list[str] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    l1: list[float] = field(default_factory=list)
    perceptual: list[float] = field(default_factory=list)
    seam: list[float] = field(default_factory=list)
    outside_db: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    auc: list[float] = field(default_factory=list)

    def numbers(self) -> dict[str, Any]:
        """What the table shows, and the same by kind of edit; plain values."""

        def mean(values: Iterable[float]) -> float | None:
            known = [v for v in values if np.isfinite(v)]
            return round(float(np.mean(known)), 3) if known else None

        kinds = {
            kind: {
                key: mean(
                    v for v, k in zip(getattr(self, key), self.kinds, strict=True) if k == kind
                )
                for key in ("l1", "perceptual")
            }
            for kind in dict.fromkeys(self.kinds)
        }
        return {
            "method": self.method,
            "operation": self.operation,
            "cases": len(self.cases),
            "l1": mean(self.l1),
            "perceptual": mean(self.perceptual),
            "seam": round(float(np.exp(np.mean(np.log(self.seam)))), 3),
            "outside_db": mean(self.outside_db),
            "seconds": round(float(np.median(self.seconds)), 4),
            "auc": mean(self.auc),
            "auc_spread": round(float(np.std(self.auc)), 3) if self.auc else None,
            "kinds": kinds,
        }


def measure_row(
    method: str, cases: Sequence[Case], results: Results, judge: DilatedSegmenter, seeds: int
) -> Row:
    """All figures of a method on cases of one operation."""
    row, pairs = Row(method, cases[0].operation), []
    for case in cases:
        image, record = results.picture(case.name, method), results.records[case.name, method]
        right = case.picture if case.truth is None else case.truth
        row.cases.append(case.name)
        row.kinds.append(case.kind)
        row.seam.append(measures.seam(image, right, case.stroke))
        row.outside_db.append(np.nan if record.outside_db is None else record.outside_db)
        row.seconds.append(record.seconds)
        if case.truth is None:
            row.l1.append(np.nan)
            row.perceptual.append(np.nan)
            continue
        view = case.view(NEAR)
        row.l1.append(measures.l1(image, case.truth, case.stroke))
        row.perceptual.append(
            measures.perceptual(judge, image[view], case.truth[view], case.stroke[view])
        )
        pairs.append(detector.cut(case.scene, image, case.truth, case.stroke))
    row.auc = detector.detect(judge, pairs, seeds)
    return row


def measure_all(
    cases: Sequence[Case],
    names: Iterable[str],
    results: Results,
    only: Mapping[str, str],
    judge: DilatedSegmenter,
    seeds: int = 10,
) -> list[Row]:
    """A row for each method and operation, over the cases that the method has made."""
    rows = []
    for operation in ("add", "remove"):
        of_it = [case for case in cases if case.operation == operation]
        for name in names:
            done = [case for case in of_it if (case.name, name) in results.records]
            if done and applies(name, done[0], only):
                rows.append(measure_row(name, done, results, judge, seeds))
    return rows


def _by_ours(rows: Sequence[Row]) -> dict[str, Row]:
    return {row.operation: row for row in rows if row.method == OURS}


def table(rows: Sequence[Row], title: str) -> Table:
    """All rows: mean L1 and perceptual distance, seam, AUC, raw PSNR outside, time."""
    found = Table(
        "", "method", "cases", "L1", "percept.", "seam", "AUC", "outside, dB", "time, × ours",
        title=title,
    )  # fmt: skip
    reference, last = _by_ours(rows), ""
    for row in rows:
        n = row.numbers()
        ratio = n["seconds"] / max(reference[row.operation].numbers()["seconds"], 1e-6)
        auc = "" if n["auc"] is None else f"{n['auc']:.2f} ± {n['auc_spread']:.2f}"
        found.add_row(
            row.operation if row.operation != last else "", row.method, str(n["cases"]),
            _shown(n["l1"], 1), _shown(n["perceptual"], 1), f"{n['seam']:.2f}", auc,
            _shown(n["outside_db"], 1) or "copied", f"{ratio:.2f}",
        )  # fmt: skip
        last = row.operation
    return found


def kind_table(rows: Sequence[Row]) -> Table:
    """L1 and perceptual distance of each kind of edit."""
    kinds = list(dict.fromkeys(kind for row in rows for kind in row.kinds))
    found = Table("method", *kinds, title="L1 / perceptual distance to the truth, by kind of edit")
    for name in dict.fromkeys(row.method for row in rows):
        of_it = {k: v for r in rows if r.method == name for k, v in r.numbers()["kinds"].items()}
        cells = [
            f"{_shown(of_it[k]['l1'], 1)} / {_shown(of_it[k]['perceptual'], 1)}"
            if k in of_it
            else ""
            for k in kinds
        ]
        found.add_row(name, *cells)
    return found


def _shown(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _gain(own: Row, row: Row, key: str) -> np.ndarray:
    """How much smaller a value is than ours: case by case; for the detector, split by split."""
    if key == "auc":
        same = own.cases == row.cases and len(own.auc) == len(row.auc)
        return np.array(own.auc) - np.array(row.auc) if same else np.zeros(0)
    values = dict(zip(own.cases, getattr(own, key), strict=True))
    gain = np.array([values[c] - v for c, v in zip(row.cases, getattr(row, key), strict=True)])
    return gain[np.isfinite(gain)]


def verdicts(rows: Sequence[Row]) -> list[str]:
    """Where a method is better than ours, by more than twice the difference's standard error.

    Differences are taken case by case for distances, split by split for the detector; its splits
    overlap, so there a difference must also be 0.05 at least.
    """
    found = []
    for row in rows:
        own = _by_ours(rows)[row.operation]
        if row is own:
            continue
        for key, words, least in (("l1", "L1", 0.0), ("perceptual", "perceptual distance", 0.0),
                                  ("auc", "AUC", 0.05)):  # fmt: skip
            gain = _gain(own, row, key)
            if len(gain) < 2:
                continue
            error = float(gain.std(ddof=1)) / np.sqrt(len(gain))
            if gain.mean() > max(2 * error, least):
                found.append(
                    f"{row.operation}: {row.method} is better than ours in {words}, by "
                    f"{gain.mean():.2f} ± {error:.2f} of {np.nanmean(getattr(own, key)):.2f}"
                )
    return found
