"""The clients of the load run (``benchmarks.load``): each a process of its own, as in life."""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

import numpy as np
from PIL import Image

from ganpaint_engine import errors, paths
from ganpaint_engine.client import Client, JobEvent
from ganpaint_engine.service.photos import digest

SIDE = (384, 512)  # of every photo, px: height, width
PATIENCE = 600.0  # seconds without any news of a job, after which it is lost
_THINKING = 1.0  # seconds between two requests of a client, on average
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
    """What one client saw, or all of them."""

    counts: Counter[str] = field(default_factory=Counter)
    previews: list[tuple[float, int]] = field(default_factory=list)  # seconds, place in the queue
    openings: list[float] = field(default_factory=list)  # seconds of first previews of a photo
    memory: list[tuple[float, int]] = field(default_factory=list)  # seconds since start, bytes
    problems: list[str] = field(default_factory=list)

    def add(self, what: str) -> None:
        self.counts[what] += 1

    def note(self, what: str, text: str) -> None:
        """Something that must not be."""
        self.counts[what] += 1
        self.problems.append(f"{what}: {text}")

    def take(self, other: Tally) -> None:
        """What another client saw, too."""
        self.counts += other.counts
        self.previews += other.previews
        self.openings += other.openings
        self.problems += other.problems


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


class Person:
    """One client's life."""

    def __init__(self, number: int, seed: int, model: str) -> None:
        self.name = f"client {number}"
        self.tally = Tally()
        self._random = random.Random(f"{seed} {number}")
        self._model = model
        self._photo = photo_of(number)
        self._others = iter(range(1000 * (number + 1), 1000 * (number + 2)))
        self._masks = masks()
        self._seeds = iter(range(10_000_000 * (number + 1), 10_000_000 * (number + 2)))
        self._first: Request | None = None
        self._pixels: dict[frozenset[str], np.ndarray] = {}  # of the first request
        self._client = Client.connect(name=self.name, timeout=PATIENCE)
        models = {one["name"]: one for one in self._client.welcome["models"]}
        self._able = [
            (concept, operation)
            for concept, operations in models[model]["operations"].items()
            for operation in operations
            if operation in ("add", "remove")
        ]

    def live(self, seconds: float) -> None:
        """Ask for this and that."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            kind = self._random.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
            getattr(self, f"_{kind}")()
            time.sleep(self._random.expovariate(1 / _THINKING))

    def previews(self, count: int) -> None:
        """Nothing but previews, one after the other."""
        for _ in range(count):
            self._preview()

    def refine(self) -> None:
        """A final edit: after it nothing is left to be refined in the window."""
        self._final()

    def show_another(self) -> None:
        """A final edit of a photo that nobody has shown yet."""
        photo = photo_of(next(self._others))
        request = self._wish("final")
        self._wait(self._submit(request, photo), request, False, photo)

    def close(self) -> None:
        self._client.close()

    def open(self) -> None:
        """Have every window of the photo opened, as an editor does when a photo is chosen."""
        for mask in range(len(self._masks)):
            self._opening(Request(mask, *self._able[0], "preview", next(self._seeds)), self._photo)

    def _opening(self, request: Request, photo: np.ndarray) -> None:
        asked = time.monotonic()
        if self._wait(self._submit(request, photo), request, False, photo) is not None:
            self.tally.openings.append(time.monotonic() - asked)

    # -- what people do ----------------------------------------------------------------------

    def _preview(self) -> None:
        request = self._wish("preview")
        result = self._wait(self._submit(request), request)
        if self._first is None and result is not None:
            self._first = request
            self._compare(result)

    def _final(self) -> None:
        request = self._wish("final")
        self._wait(self._submit(request), request)

    def _repeat(self) -> None:
        """The same request has the same pixels, whatever else the engine did meanwhile."""
        if self._first is None:
            return self._preview()
        result = self._wait(self._submit(self._first), self._first)
        if result is not None:
            self._compare(result)

    def _compare(self, result: JobEvent) -> None:
        """Pixels for the first request; better ones once a final has refined its window's r, δ."""
        assert result.patch is not None
        stages = frozenset(result.report["psnr"])
        if (self._pixels.setdefault(stages, result.patch) != result.patch).any():
            self.tally.note("foreign", f"{self.name}: other pixels for the same request")

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
        self.tally.add("left behind")
        self._client = Client.connect(name=self.name, timeout=PATIENCE)

    def _keep(self) -> None:
        """Lose the connection, and come back for the result."""
        request = self._wish("final")
        job = self._submit(request, keep_result=True)
        time.sleep(self._random.uniform(0, 1))
        secret = self._client.secret
        self._client.close()
        time.sleep(self._random.uniform(0, 2))
        self._client = Client.connect(name=self.name, timeout=PATIENCE, secret=secret)
        self._client.fetch(job)
        if self._wait(job, request, measured=False) is not None:
            self.tally.add("fetched")

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
        self.tally.add(f"{request.quality}s asked for")
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
            for event in self._client.events(job, timeout=PATIENCE):
                if event.type == "queued" and position is None:
                    position = event.position
                elif event.type == "result":
                    if measured and request.quality == "preview" and position is not None:
                        took = time.monotonic() - self._asked
                        self.tally.previews.append((took, position))
                    self._check(job, request, event, self._photo if photo is None else photo)
                    return event
        except (errors.Cancelled, errors.Superseded) as error:
            self.tally.add(error.code)
        except errors.QueueFull:
            self.tally.add("queue_full")
        except errors.GanpaintError as error:
            self.tally.note("lost", f"{self.name}, {request}: [{error.code}] {error.message}")
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
            self.tally.note("foreign", f"{self.name}: {got} for {wanted}")
        self.tally.add("results")


def life(number: int, seed: int, model: str, way: Connection) -> None:
    """A client's process: opens its photo, says so, lives as long as it is told, and tells."""
    person = Person(number, seed, model)
    person.open()
    way.send(len(person.tally.openings))
    person.tally = Tally()
    try:
        person.live(way.recv())
    except Exception as error:
        person.tally.note("lost", f"{person.name} ended: {type(error).__name__}: {error}")
    person.close()
    way.send(person.tally)
