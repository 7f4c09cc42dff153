"""How soon it is there, and what it costs when idle: ``python -m benchmarks.startup``.

Every time stands beside that of a bare ``python -c pass`` in the same run: on a busy machine the
ratio and the processor time tell more than the clock.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass

from benchmarks.processes import PATIENCE, PRODUCT, EngineProcess, own_home, until
from ganpaint_engine.client import Client
from ganpaint_engine.service import lifecycle

_HELP = 0.3  # seconds, to reach
_WELCOME = 1.5
_IDLE = 0.5  # per cent


@dataclass(frozen=True)
class Cost:
    """Seconds by the clock and of processor time, medians."""

    wall: float
    cpu: float


def command(arguments: list[str], repeats: int) -> Cost:
    """What a Python process with these arguments takes."""
    walls, cpus = [], []
    for _ in range(repeats):
        before, started = _children(), time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
        walls.append(time.perf_counter() - started)
        cpus.append(_children() - before)
    return Cost(statistics.median(walls), statistics.median(cpus))


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def welcome(repeats: int) -> Cost:
    """From the start of the engine's process to a client that has its WELCOME."""
    walls, cpus = [], []
    for _ in range(repeats):
        engine = EngineProcess(PRODUCT).ready()
        with Client.connect(timeout=PATIENCE):
            walls.append(time.monotonic() - engine.started)
            cpus.append(engine.cpu())
        engine.end()
    return Cost(statistics.median(walls), statistics.median(cpus))


@dataclass(frozen=True)
class Idle:
    """An engine with its model loaded and nothing to do."""

    loaded: float  # seconds from its start until the model was there and tried
    percent: float  # of one core
    memory: float  # MB
    threads: int


def idle(seconds: float) -> Idle:
    """Measured over ``seconds``, after the model is there and things have settled."""
    engine = EngineProcess(PRODUCT).ready()
    log = lifecycle.log_file()
    until(lambda: "Warmed up" in log.read_text(encoding="utf-8"), "the model", 10 * PATIENCE)
    loaded = time.monotonic() - engine.started
    time.sleep(min(5.0, seconds))
    before, started = engine.cpu(), time.monotonic()
    time.sleep(seconds)
    spent, took = engine.cpu() - before, time.monotonic() - started
    found = Idle(loaded, 100 * spent / took, engine.memory(), engine.threads())
    engine.end()
    return found


def main(arguments: list[str] | None = None) -> int:
    """Print the figures; 0 when they reach what is asked, by the clock."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.startup", description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--idle-seconds", type=float, default=60.0)
    options = parser.parse_args(arguments)
    bare = command(["-c", "pass"], options.repeats)
    shown = command(["-m", "ganpaint_engine", "--help"], options.repeats)
    with own_home():
        greeted = welcome(options.repeats)
    with own_home():  # whose log says nothing of a model yet
        rest = idle(options.idle_seconds)
    for name, cost, most in (
        ("python -c pass", bare, 0.0),
        ("ganpaint --help", shown, _HELP),
        ("start to WELCOME", greeted, _WELCOME),
    ):
        print(
            f"{name:18} {cost.wall:6.2f} s  {cost.cpu:6.2f} s of processor time  "
            f"{cost.wall / bare.wall:5.1f} x bare" + (f"  to reach: {most} s" if most else "")
        )
    print(
        f"idle with a model  {rest.percent:.2f} % of a core over {options.idle_seconds:.0f} s (to "
        f"reach: {_IDLE} %), {rest.memory:.0f} MB, {rest.threads} threads; the model was there "
        f"after {rest.loaded:.1f} s"
    )
    reached = shown.wall <= _HELP and greeted.wall <= _WELCOME and rest.percent <= _IDLE
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
