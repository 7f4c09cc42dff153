"""The GIMP half of ``benchmarks.editors``.

Time runs from the press of Apply. *GIMP frozen* is its longest answer to a plug-in that asks it
something small every few milliseconds, *window frozen* the longest turn of a loop like that of the
plug-in's window.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.kill_gimp import hosts

_PATIENCE = 900.0  # seconds: the whole run
_HEARTBEAT = "gimp_heartbeat/heartbeat.py"
_ROWS = {
    "cold": "first edit, engine not running",
    "warm": "edit in a new place",
    "again": "the same with another seed",
    "preview": "first preview in a new place",
}


def table(chroot: Path, folder: Path) -> str:
    """The figures as a table for docs/using.md."""
    times = _run(chroot, folder)
    lines = [
        "| GIMP, 24 MP, 16 bits | first progress | on the canvas | GIMP frozen | window frozen |",
        "|---|---|---|---|---|",
    ]
    for row in _rows(times, _heartbeats(folder / "heartbeat.txt")):
        values = ["" if value is None else f"{value:.2f} s" for value in row[1:]]
        lines.append(f"| {row[0]} | {' | '.join(values)} |")
    return "\n".join(lines)


def _run(chroot: Path, folder: Path) -> dict[str, Any]:
    """What inside/gimp_speed.py measured; see there."""
    tests = hosts()
    stage = tests.prepared(chroot, folder, tests.example_scene())
    for version in tests.GIMP_VERSIONS:
        place = stage.home / ".config/GIMP" / version / "plug-ins/heartbeat"
        place.mkdir(parents=True)
        shutil.copy(tests.INSIDE / _HEARTBEAT, place)
    engines = tests.Engines(stage, "ganpaint_engine", "serve")
    try:
        with tests.on_display(stage) as display:
            variables = {"DISPLAY": display.name, "GANPAINT_ENGINE": str(engines.command)}
            with stage.start_gimp("gimp", "gimp_speed.py", **variables) as gimp:
                try:
                    gimp.wait(_PATIENCE)
                finally:
                    gimp.terminate()
    finally:
        engines.close()
    times: dict[str, Any] = json.loads((folder / "speed.json").read_text())
    return times


def _heartbeats(path: Path) -> list[tuple[float, float]]:
    """When GIMP was asked, and how long its answer took."""
    beats = []
    for line in path.read_text().splitlines():
        if len(line.split()) == 2:
            began, took = line.split()
            beats.append((float(began), float(took)))
    return beats


def _rows(
    times: dict[str, Any], beats: list[tuple[float, float]]
) -> list[tuple[str, float | None, float, float, float]]:
    def row(what: str, part: dict[str, Any]) -> tuple[str, float | None, float, float, float]:
        began, ended = part["began"], part["ended"] + 0.5  # GIMP draws the new layer after that
        frozen = max((took for at, took in beats if began <= at <= ended), default=float("nan"))
        first = None if part["first"] is None else part["first"] - began
        return what, first, part["ended"] - began, frozen, part["window"]

    rows = [row(text, times[name]) for name, text in _ROWS.items()]
    changes = [row("", part) for name, part in times.items() if name.startswith("preview ")]
    rows.append(
        (
            f"preview after a change of strength (median of {len(changes)})",
            None,
            median(one[2] for one in changes),
            max(one[3] for one in changes),
            max(one[4] for one in changes),
        )
    )
    return rows
