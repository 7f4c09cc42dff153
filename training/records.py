"""What a run writes beside its checkpoint: losses as a table and as curves, speed and time left."""

from __future__ import annotations

import csv
from collections import deque
from pathlib import Path

EVERY = 20
"""Steps between two rows."""


class Records:
    """``losses.csv`` of a run; going on after an interruption, its later rows are dropped."""

    def __init__(self, folder: Path, step: int) -> None:
        self.path = folder / "losses.csv"
        self.rows: list[dict[str, str]] = []
        if self.path.exists() and step:
            with self.path.open(newline="") as file:
                self.rows = [row for row in csv.DictReader(file) if int(row["step"]) <= step]
        self._write()

    def _write(self) -> None:
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        with self.path.open("w", newline="") as file:
            writer = csv.DictWriter(file, names, restval="")
            writer.writeheader()
            writer.writerows(self.rows)

    def add(self, step: int, losses: dict[str, float]) -> None:
        """Keep the losses of a step."""
        row = {"step": str(step)} | {name: f"{value:.5g}" for name, value in losses.items()}
        self.rows.append(row)
        self._write()

    def curves(self, path: Path) -> None:
        """A picture of all losses over the steps, if matplotlib is at hand."""
        try:
            from matplotlib.figure import Figure
        except ImportError:
            return
        skipped = ("step", "penalty2", "penalty3")
        names = list(dict.fromkeys(n for row in self.rows for n in row if n not in skipped))
        if not names:
            return
        figure = Figure(figsize=(9, 2.2 * ((len(names) + 2) // 3)), layout="constrained")
        for i, name in enumerate(names):
            axes = figure.add_subplot((len(names) + 2) // 3, 3, i + 1)
            points = [(int(r["step"]), float(r[name])) for r in self.rows if r.get(name)]
            axes.plot(*zip(*points, strict=True), linewidth=0.8)
            axes.set_title(name, fontsize=8)
            axes.tick_params(labelsize=7)
        figure.savefig(path, dpi=110)


class Speed:
    """Pictures a second over the last steps, and the time left of a time-boxed run."""

    def __init__(self, kept: int = 50) -> None:
        self.marks: deque[tuple[float, int]] = deque(maxlen=kept)

    def add(self, seconds: float, pictures: int) -> None:
        """``pictures`` more were done at ``seconds`` of the run."""
        self.marks.append((seconds, pictures))

    def text(self, total: float) -> str:
        """For the progress line of a run that may take ``total`` seconds."""
        if len(self.marks) < 2:
            return ""
        (first, _), (last, _) = self.marks[0], self.marks[-1]
        done = sum(n for _, n in list(self.marks)[1:])
        left = max(total - last, 0)
        return f"{done / max(last - first, 1e-9):.1f} pictures/s, {left / 60:.1f} min left"
