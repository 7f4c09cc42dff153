"""What the engine has done since its start, in figures: for STATS and for Prometheus."""

from __future__ import annotations

import os
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ganpaint_engine.service.jobs import Job

_QUALITIES = ("preview", "final")
# The last message about a job, and the state that it leaves it in.
_STATE = {
    "RESULT": "done",
    "FAILED": "failed",
    "CANCELLED": "cancelled",
    "SUPERSEDED": "superseded",
}


@dataclass
class Times:
    """Of some durations, seconds: how many, their sum, the longest."""

    count: int = 0
    sum: float = 0.0
    max: float = 0.0

    def add(self, seconds: float) -> None:
        self.count += 1
        self.sum += seconds
        self.max = max(self.max, seconds)


@dataclass
class Counters:
    """Jobs that are over: how many ended how, and how long those that were done took."""

    ended_jobs: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, Times] = field(default_factory=lambda: {q: Times() for q in _QUALITIES})
    waited: dict[str, Times] = field(default_factory=lambda: {q: Times() for q in _QUALITIES})

    def ended(self, job: Job, kind: str) -> None:
        """``kind``: the type of the last message about the job."""
        self.ended_jobs[_STATE[kind]] += 1
        if kind == "RESULT":
            self.seconds[job.quality].add(time.monotonic() - job.begun)
            self.waited[job.quality].add(job.begun - job.submitted)

    def as_fields(self) -> dict[str, Any]:
        """``jobs``, ``seconds`` and ``waited`` of STATS_REPLY, less the live jobs."""
        return {
            "jobs": {state: self.ended_jobs[state] for state in _STATE.values()},
            "seconds": {quality: vars(times).copy() for quality, times in self.seconds.items()},
            "waited": {quality: vars(times).copy() for quality, times in self.waited.items()},
        }


def memory() -> dict[str, int]:
    """Bytes of this process: ``rss`` now, ``rss_max`` so far, ``gpu`` where torch has one."""
    used: dict[str, int] = {}
    for key, name in (("rss", "VmRSS"), ("rss_max", "VmHWM")):
        try:  # Linux; elsewhere the keys are left out
            status = Path(f"/proc/{os.getpid()}/status").read_text(encoding="ascii")
        except OSError:
            break
        found = re.search(rf"{name}:\s+(\d+) kB", status)
        if found:
            used[key] = int(found[1]) * 1024
    torch = sys.modules.get("torch")  # never imported for this
    if torch is not None and hasattr(torch, "cuda") and torch.cuda.is_initialized():
        used["gpu"] = int(torch.cuda.memory_allocated())
    return used


def prometheus(fields: dict[str, Any]) -> str:
    """STATS_REPLY's figures in Prometheus' text format, version 0.0.4."""
    return "".join(f"{line}\n" for line in _lines(fields))


def _lines(fields: dict[str, Any]) -> Iterator[str]:
    yield from _metric("uptime_seconds", "gauge", {"": fields["uptime"]})
    live = ("queued", "running")
    jobs = fields["jobs"]
    yield from _metric("jobs", "gauge", {f'state="{s}"': jobs[s] for s in live})
    ended = {f'state="{state}"': n for state, n in jobs.items() if state not in live}
    yield from _metric("jobs_ended_total", "counter", ended)
    for name in ("seconds", "waited"):
        whole = "job_seconds" if name == "seconds" else "job_waited_seconds"
        yield f"# TYPE ganpaint_{whole} summary"
        for quality, times in fields[name].items():
            yield f'ganpaint_{whole}_count{{quality="{quality}"}} {times["count"]}'
            yield f'ganpaint_{whole}_sum{{quality="{quality}"}} {times["sum"]:.6f}'
    for group in ("queue", "memory", "cache"):
        for key, value in fields[group].items():
            kind = "counter" if key in ("hits", "misses", "disk_hits") else "gauge"
            total = "_total" if kind == "counter" else ""
            yield from _metric(f"{group}_{key}{total}", kind, {"": value})


def _metric(name: str, kind: str, values: dict[str, float]) -> Iterator[str]:
    yield f"# TYPE ganpaint_{name} {kind}"
    for labels, value in values.items():
        yield f"ganpaint_{name}{{{labels}}} {value}" if labels else f"ganpaint_{name} {value}"
