"""Many clients at one engine: is anything lost, does anybody get another's result, does it leak?

    python -m benchmarks.load --clients 16 --minutes 20 --seed 1 [--fill --memory-mib 64]

A real engine on loopback with the bundled model. Each client is a process with a photo of its own
and goes on asking for previews, finals and bursts of previews in a slot, cancels, disconnects, and
comes back for what it asked to be kept. Every result is compared with its request: the photo's
hash, the seed, which is different for every request, concept, operation and quality; now and then a
request is repeated, and its pixels must be those of the first time. Prints tables in Markdown.

A preview's time, from asking to having its pixels, is compared with that of an unloaded engine
(the median of previews before and after the load, in the same run) times its place in the queue:
one more than the position that the engine told in its first QUEUED, which is the number of previews
asked for before it that were not done.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.people import PATIENCE, Person, Tally, life
from benchmarks.processes import engine
from ganpaint_engine.client import Client

_SAMPLE_EVERY = 5.0
_UNLOADED = 15  # previews, before and after
_FILLER = 10_000  # number of the client that fills the store


class Load(NamedTuple):
    """What was seen: by all clients, of previews without load (seconds), and the engine's STATS."""

    tally: Tally
    unloaded: float
    stats: dict


def unloaded_previews(model: str) -> list[float]:
    """Seconds of previews of an open photo, when nobody else asks for anything.

    Refined before, so that the engine does not use the time between two of them to refine it.
    """
    person = Person(0, 0, model)
    person.open()
    person.refine()
    person.previews(_UNLOADED)
    person.close()
    return [seconds for seconds, _ in person.tally.previews]


def fill_store(model: str) -> int:
    """Open photos until the engine lets go of the oldest ones; how many it keeps.

    Before that its memory grows with every new photo, as it should.
    """
    person, kept = Person(_FILLER, 0, model), -1
    with Client.connect(name="watch", timeout=PATIENCE) as watch:
        while (photos := watch.stats()["cache"]["photos"]) > kept:
            kept = photos
            person.show_another()
    person.close()
    return kept


def run(clients: int, seconds: float, seed: int, model: str, fill: bool = False) -> Load:
    """The load. fill: with a store of open photos that is full from the beginning."""
    alone = unloaded_previews(model)
    if fill:
        print(f"store filled with {fill_store(model)} photos", file=sys.stderr)
    tally = Tally()
    people = _started(clients, seed, model)
    begun = time.monotonic()
    for _, way in people:
        way.send(seconds)
    with Client.connect(name="watch", timeout=PATIENCE) as watch:
        while time.monotonic() < begun + seconds:
            tally.memory.append((time.monotonic() - begun, watch.stats()["memory"].get("rss", 0)))
            time.sleep(min(_SAMPLE_EVERY, seconds / 10))
        for number, (process, way) in enumerate(people):
            try:
                tally.take(way.recv())
            except EOFError:
                tally.note("lost", f"client {number}: its process ended by itself")
            process.join()
        deadline = time.monotonic() + PATIENCE
        while watch.stats()["queue"]["jobs"] and time.monotonic() < deadline:
            time.sleep(0.2)
        stats = watch.stats()
    alone += unloaded_previews(model)
    return Load(tally, statistics.median(alone), stats)


def _started(
    clients: int, seed: int, model: str
) -> list[tuple[multiprocessing.process.BaseProcess, Connection]]:
    """The clients' processes, each with its photo open."""
    context = multiprocessing.get_context("spawn")
    people: list[tuple[multiprocessing.process.BaseProcess, Connection]] = []
    started = time.monotonic()
    for number in range(clients):
        way, inside = context.Pipe()
        process = context.Process(target=life, args=(number, seed, model, inside), daemon=True)
        process.start()
        inside.close()
        people.append((process, way))
    for number, (_, way) in enumerate(people):
        way.recv()
        print(f"client {number}: photo open, {time.monotonic() - started:.0f} s", file=sys.stderr)
    return people


def memory_per_minute(tally: Tally) -> list[float]:
    """Mean MiB in each minute."""
    minutes: dict[int, list[int]] = {}
    for when, rss in tally.memory:
        minutes.setdefault(int(when // 60), []).append(rss)
    return [statistics.mean(minutes[minute]) / 2**20 for minute in sorted(minutes)]


def spread(values: list[float]) -> float:
    """(max - min) / mean."""
    return (max(values) - min(values)) / statistics.mean(values) if values else 0.0


def _seconds(times: list[float]) -> str:
    return f"{statistics.median(times):.1f} s (of {len(times)})" if times else "none"


def _percentiles(ratios: np.ndarray) -> str:
    if not len(ratios):
        return "none"
    p50, p95 = np.percentile(ratios, (50, 95))
    return f"{p50:.2f}, {p95:.2f} (of {len(ratios)})"


def table(tally: Tally, unloaded: float, stats: dict) -> str:
    """What was seen, as Markdown."""
    counts = tally.counts
    times = np.array([seconds for seconds, _ in tally.previews]) * 1000
    places = np.array([place for _, place in tally.previews])
    ratios = times / (1000 * unloaded * (places + 1))
    memory = memory_per_minute(tally)
    half = memory[len(memory) // 2 :]
    rows: list[tuple[str, object]] = [
        ("previews asked for", counts["previews asked for"]),
        ("finals asked for", counts["finals asked for"]),
        ("results, each compared with its request", counts["results"]),
        ("cancelled, superseded", f"{counts['cancelled']}, {counts['superseded']}"),
        ("left behind by a disconnection", counts["left behind"]),
        ("fetched after a reconnection", counts["fetched"]),
        ("refused with `queue_full`", counts["queue_full"]),
        ("**lost results**", counts["lost"]),
        ("**foreign results**", counts["foreign"]),
        ("jobs left in the engine's queue", stats["queue"]["jobs"]),
        ("photos opened under load, median", _seconds(tally.openings)),
        ("preview of an open photo, unloaded, median", f"{1000 * unloaded:.0f} ms"),
    ]
    if len(times):
        rows += [
            (
                "preview of an open photo under load, p50 and p95",
                f"{np.percentile(times, 50):.0f}, {np.percentile(times, 95):.0f} ms",
            ),
            ("previews ahead of it, mean and most", f"{places.mean():.1f}, {places.max()}"),
            ("time / (unloaded × place in the queue), p50 and p95", _percentiles(ratios)),
            ("the same where none was ahead", _percentiles(ratios[places == 0])),
            ("the same where one or more were", _percentiles(ratios[places > 0])),
        ]
    rows += [
        ("memory, MiB in each minute", " ".join(f"{mib:.0f}" for mib in memory)),
        ("memory, spread in the last half", f"{100 * spread(half):.1f} %"),
    ]
    lines = "".join(f"| {name} | {value} |\n" for name, value in rows)
    return f"| | |\n|---|---|\n{lines}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--model", default="churches")
    parser.add_argument("--fill", action="store_true", help="Fill the store of open photos first.")
    parser.add_argument("--memory-mib", type=float, default=512, help="Of that store.")
    parser.add_argument("--out", type=Path, help="Also write the table there.")
    options = parser.parse_args()
    with engine("--device", options.device, settings={"memory_mib": options.memory_mib}):
        tally, unloaded, stats = run(
            options.clients, 60 * options.minutes, options.seed, options.model, options.fill
        )
    text = f"{options.clients} clients, {options.minutes:g} minutes, seed {options.seed}.\n\n"
    text += table(tally, unloaded, stats)
    print(text)
    for problem in tally.problems[:20]:
        print(problem)
    if options.out:
        options.out.write_text(text, encoding="utf-8")
    raise SystemExit(bool(tally.counts["lost"] or tally.counts["foreign"]))


if __name__ == "__main__":
    main()
