"""Many clients at one engine: is anything lost, does anybody get another's result, does it leak?

    python -m benchmarks.load --clients 16 --minutes 20 --seed 1

A real engine on loopback with the bundled model. Each client has a photo of its own and goes on
asking for previews, finals and bursts of previews in a slot, cancels, disconnects, and comes back
for what it asked to be kept. Every result is compared with its request: the photo's hash, the
seed, which is different for every request, concept, operation and quality; now and then a request
is repeated, and its pixels must be those of the first time. Prints tables in Markdown.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.engine_process import engine
from ganpaint_engine import errors, paths
from ganpaint_engine.client import Client, JobEvent
from ganpaint_engine.service.photos import digest

SIDE = (384, 512)  # of every photo, px: height, width
_PATIENCE = 600.0  # seconds without any news of a job, after which it is lost
_THINKING = 1.0  # seconds between two requests of a client, on average
_SAMPLE_EVERY = 5.0
_UNLOADED = 15  # previews
_WEIGHTS = {
    "preview": 55,
    "repeat": 10,
    "final": 10,
    "burst": 10,
    "other": 2,
    "cancel": 8,
    "leave": 4,
    "keep": 3,
}


@dataclass(frozen=True)
class Request:
    """One edit, as it is asked for, and as its report must say."""

    mask: int
    concept: str
    operation: str
    quality: str
    seed: int


@dataclass
class Tally:
    """What all clients saw. Only ``add`` and ``note`` are called by several threads."""

    counts: Counter[str] = field(default_factory=Counter)
    previews: list[tuple[float, int]] = field(default_factory=list)  # seconds, position
    openings: list[float] = field(default_factory=list)  # seconds of first previews of a photo
    memory: list[tuple[float, int]] = field(default_factory=list)  # seconds since start, bytes
    problems: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, what: str) -> None:
        with self._lock:
            self.counts[what] += 1

    def note(self, what: str, text: str) -> None:
        """Something that must not be."""
        with self._lock:
            self.counts[what] += 1
            self.problems.append(f"{what}: {text}")


def photo_of(number: int) -> np.ndarray:
    """A photo (H×W×3 uint8) that no other client has."""
    example = sorted((paths.bundled_models_dir() / "churches/examples").glob("*.png"))[0]
    with Image.open(example) as picture:
        pixels = np.asarray(picture.convert("RGB").resize(SIDE[::-1]))
    noise = np.random.default_rng(number).integers(0, 8, pixels.shape)
    return np.clip(np.roll(pixels, 16 * number, axis=1) + noise, 0, 255).astype(np.uint8)


def masks() -> list[np.ndarray]:
    """Three strokes of one window, H×W uint8: a rectangle, a soft one, and an ellipse."""
    y, x = np.mgrid[-1 : 1 : SIDE[0] * 1j, -1 : 1 : SIDE[1] * 1j]
    box = (np.abs(x) < 0.3) & (np.abs(y) < 0.4)
    ellipse = (x / 0.3) ** 2 + (y / 0.4) ** 2 < 1
    return [box * np.uint8(255), box * np.uint8(150), ellipse * np.uint8(255)]


class Person(threading.Thread):
    """One client's life, from ``start`` until ``end`` (seconds, time.monotonic)."""

    def __init__(self, number: int, seed: int, tally: Tally, model: str) -> None:
        super().__init__(name=f"client {number}")
        self._random = random.Random(f"{seed} {number}")
        self.end = 0.0
        self._tally = tally
        self._model = model
        self._photo = photo_of(number)
        self._others = iter(range(1000 * (number + 1), 1000 * (number + 2)))
        self._masks = masks()
        self._seeds = iter(range(10_000_000 * (number + 1), 10_000_000 * (number + 2)))
        self._first: tuple[Request, np.ndarray] | None = None
        self._client = Client.connect(name=self.name, timeout=_PATIENCE)
        models = {one["name"]: one for one in self._client.welcome["models"]}
        self._able = [
            (concept, operation)
            for concept, operations in models[model]["operations"].items()
            for operation in operations
            if operation in ("add", "remove")
        ]

    def run(self) -> None:
        try:
            while time.monotonic() < self.end:
                kind = self._random.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
                getattr(self, f"_{kind}")()
                time.sleep(self._random.expovariate(1 / _THINKING))
        except Exception as error:
            self._tally.note("lost", f"{self.name} ended: {type(error).__name__}: {error}")
        finally:
            self._client.close()

    def open(self) -> None:
        """Have every window of the photo opened, as an editor does when a photo is chosen."""
        for mask in range(len(self._masks)):
            self._opening(Request(mask, *self._able[0], "preview", next(self._seeds)), self._photo)

    def _opening(self, request: Request, photo: np.ndarray) -> None:
        asked = time.monotonic()
        if self._wait(self._submit(request, photo), request, False, photo) is not None:
            self._tally.openings.append(time.monotonic() - asked)

    # -- what people do ----------------------------------------------------------------------

    def _preview(self) -> None:
        request = self._wish("preview")
        result = self._wait(self._submit(request), request)
        if self._first is None and result is not None and result.patch is not None:
            self._first = request, result.patch

    def _final(self) -> None:
        request = self._wish("final")
        self._wait(self._submit(request), request)

    def _repeat(self) -> None:
        """The same request has the same pixels, whatever else the engine did meanwhile."""
        if self._first is None:
            return self._preview()
        request, pixels = self._first
        result = self._wait(self._submit(request), request)
        if result is not None and result.patch is not None and (result.patch != pixels).any():
            self._tally.note("foreign", f"{self.name}: other pixels for the same request")

    def _burst(self) -> None:
        """A slider that is dragged."""
        requests = [self._wish("preview") for _ in range(4)]
        jobs = []
        for request in requests:
            jobs.append(self._submit(request, slot="slider"))
            time.sleep(0.05)
        for job, request in zip(jobs, requests, strict=True):
            self._wait(job, request, measured=False)

    def _other(self) -> None:
        """Another photo, once."""
        self._opening(self._wish("preview"), photo_of(next(self._others)))

    def _cancel(self) -> None:
        request = self._wish(self._random.choice(("preview", "final")))
        job = self._submit(request)
        time.sleep(self._random.uniform(0, 1))
        self._client.cancel(job)
        self._wait(job, request, measured=False)

    def _leave(self) -> None:
        """Go in the middle of something, and come back as somebody else."""
        self._submit(self._wish("final"))
        time.sleep(self._random.uniform(0, 0.5))
        self._client.close()
        self._tally.add("left behind")
        self._client = Client.connect(name=self.name, timeout=_PATIENCE)

    def _keep(self) -> None:
        """Lose the connection, and come back for the result."""
        request = self._wish("final")
        job = self._submit(request, keep_result=True)
        time.sleep(self._random.uniform(0, 1))
        secret = self._client.secret
        self._client.close()
        time.sleep(self._random.uniform(0, 2))
        self._client = Client.connect(name=self.name, timeout=_PATIENCE, secret=secret)
        self._client.fetch(job)
        if self._wait(job, request, measured=False) is not None:
            self._tally.add("fetched")

    # -- asking and checking -----------------------------------------------------------------

    def _wish(self, quality: str) -> Request:
        concept, operation = self._random.choice(self._able)
        mask = self._random.randrange(len(self._masks))
        return Request(mask, concept, operation, quality, next(self._seeds))

    def _submit(
        self,
        request: Request,
        photo: np.ndarray | None = None,
        slot: str | None = None,
        keep_result: bool = False,
    ) -> str:
        self._asked = time.monotonic()
        self._tally.add(f"{request.quality}s asked for")
        return self._client.submit(
            self._photo if photo is None else photo,
            self._masks[request.mask],
            concept=request.concept,
            operation=request.operation,
            quality=request.quality,
            seed=request.seed,
            model=self._model,
            slot=slot,
            keep_result=keep_result,
        )

    def _wait(
        self, job: str, request: Request, measured: bool = True, photo: np.ndarray | None = None
    ) -> JobEvent | None:
        """The job's end; its result, if it has one. measured: count its time, if a preview."""
        position = None
        try:
            for event in self._client.events(job, timeout=_PATIENCE):
                if event.type == "queued" and position is None:
                    position = event.position
                elif event.type == "result":
                    if measured and request.quality == "preview" and position is not None:
                        took = time.monotonic() - self._asked
                        self._tally.previews.append((took, position))
                    self._check(job, request, event, self._photo if photo is None else photo)
                    return event
        except (errors.Cancelled, errors.Superseded) as error:
            self._tally.add(error.code)
        except errors.QueueFull:
            self._tally.add("queue_full")
        except errors.GanpaintError as error:
            self._tally.note("lost", f"{self.name}, {request}: [{error.code}] {error.message}")
        return None

    def _check(self, job: str, request: Request, event: JobEvent, photo: np.ndarray) -> None:
        report = event.report
        wanted = {
            "photo": digest(photo.tobytes(), photo.shape),
            "seed": request.seed,
            "concept": request.concept,
            "operation": request.operation,
            "quality": request.quality,
        }
        got = {key: report.get(key) for key in wanted}
        if got != wanted or event.job_id != job:
            self._tally.note("foreign", f"{self.name}: {got} for {wanted}")
        self._tally.add("results")


def unloaded_preview(model: str) -> float:
    """Median seconds of a preview of an open photo, when nobody else asks for anything."""
    person = Person(0, 0, Tally(), model)
    person.open()
    for _ in range(_UNLOADED):
        person._preview()
    person._client.close()
    return statistics.median(seconds for seconds, _ in person._tally.previews)


def run(clients: int, seconds: float, seed: int, model: str) -> tuple[Tally, float, dict]:
    """The load; returns what was seen, the unloaded preview's seconds, and the engine's STATS."""
    unloaded = unloaded_preview(model)
    tally, started = Tally(), time.monotonic()
    people = [Person(number, seed, tally, model) for number in range(clients)]
    for person in people:
        person.open()
        print(f"{person.name}: photo open, {time.monotonic() - started:.0f} s", file=sys.stderr)
    tally.counts["opened before"] = len(tally.openings)
    tally.openings.clear()
    begun = time.monotonic()
    for person in people:
        person.end = begun + seconds
        person.start()
    with Client.connect(name="watch", timeout=_PATIENCE) as watch:
        while any(person.is_alive() for person in people):
            tally.memory.append((time.monotonic() - begun, watch.stats()["memory"].get("rss", 0)))
            time.sleep(min(_SAMPLE_EVERY, seconds / 10))
        deadline = time.monotonic() + _PATIENCE
        while watch.stats()["queue"]["jobs"] and time.monotonic() < deadline:
            time.sleep(0.2)
        stats = watch.stats()
    return tally, unloaded, stats


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
            ("jobs ahead of a preview, mean and most", f"{places.mean():.1f}, {places.max()}"),
            (
                "time / (unloaded × place in the queue), p50 and p95",
                f"{np.percentile(ratios, 50):.2f}, {np.percentile(ratios, 95):.2f}",
            ),
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
    parser.add_argument("--out", type=Path, help="Also write the table there.")
    options = parser.parse_args()
    with engine("--device", options.device):
        tally, unloaded, stats = run(
            options.clients, 60 * options.minutes, options.seed, options.model
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
