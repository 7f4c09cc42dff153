"""Jobs, and the queue they wait in: previews before finals, clients in turn, bounded.

The I/O thread puts jobs in and takes out those that are stopped or over; the worker begins them.
Of a job itself the worker touches its frames, which it lets go of at the end, and ``begun``.
"""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ganpaint_engine.errors import BadRequest, GanpaintError, QueueFull

PREVIEW, FINAL = 0, 1  # priorities: the smaller one first


Frames = Sequence[bytes | memoryview]
"""Pictures as raw samples; a memoryview has items of one byte."""


@dataclass(eq=False)
class Job:
    """One SUBMIT.

    owner: the client, whatever its connection. peer: the routing id of the connection that hears
    of the job, None while there is none. frames: the raw pictures, until the job is over.
    """

    owner: bytes
    peer: bytes | None
    request: dict[str, Any]
    frames: list[bytes]
    submitted: float = field(default_factory=time.monotonic)
    begun: float = 0.0
    stopped: threading.Event = field(default_factory=threading.Event)
    ending: dict[str, Any] = field(default_factory=dict)  # its last message if it is stopped
    news: dict[str, Any] = field(default_factory=dict)  # the last message about it,
    told: float = 0.0  # and when that was
    over: bool = False
    notes: dict[str, Any] = field(default_factory=dict)  # what the handler has found out about it

    def __post_init__(self) -> None:
        self.size = sum(len(frame) for frame in self.frames)

    @property
    def job_id(self) -> str:
        return str(self.request["job_id"])

    @property
    def op(self) -> str:
        return str(self.request["op"])

    @property
    def quality(self) -> str:
        return str(self.request["params"]["quality"])

    @property
    def priority(self) -> int:
        return PREVIEW if self.quality == "preview" else FINAL

    @property
    def slot(self) -> str | None:
        slot: str | None = self.request["slot"]
        return slot

    @property
    def keep_result(self) -> bool:
        return bool(self.request["keep_result"])

    @property
    def key(self) -> tuple[bytes, str]:
        return self.owner, self.job_id

    def stop(self, ending: dict[str, Any]) -> None:
        """End with the message ``ending`` at the next step; the first one said counts."""
        if not self.stopped.is_set():
            self.ending = ending
            self.stopped.set()


@dataclass(frozen=True)
class Result:
    """A finished job: the keys of RESULT beside job_id, and its frames."""

    fields: dict[str, Any]
    frames: Frames


class Progress(Protocol):
    """Called with (fraction 0..1, stage) after every step; raises to stop the job.

    warnings: sentences to be told to the person at once.
    """

    def __call__(self, fraction: float, stage: str, warnings: Sequence[str] = ()) -> None: ...


Handler = Callable[[Job, Progress], Result]
Report = Callable[[Job, dict[str, Any], Frames], None]


@dataclass(frozen=True)
class Bounds:
    """How many live jobs there may be, and bytes of their pictures; in all, and of one client."""

    jobs: int
    bytes: int
    client_jobs: int
    client_bytes: int


class JobQueue:
    """Live jobs. Among jobs of one priority the clients take turns, one job each.

    ``active`` are the begun ones: the last of them runs, those before it are paused. Where nothing
    runs, a final is begun even while previews wait, because at each of its steps it lets those pass
    that wait then: so neither kind keeps the other from going on.
    """

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._waiting: list[Job] = []
        self._turns: dict[tuple[int, bytes], int] = {}  # of clients with a waiting job
        self._numbers = itertools.count()
        self._changed = threading.Condition(threading.RLock())
        self._closed = False
        self.active: list[Job] = []

    def __len__(self) -> int:
        return len(self._all())

    @property
    def size(self) -> int:
        """Bytes of all live jobs' pictures."""
        return sum(job.size for job in self._all())

    @property
    def clients(self) -> int:
        return len({job.owner for job in self._all()})

    def _all(self) -> list[Job]:
        with self._changed:
            return self.active + self._waiting

    def waiting(self) -> list[Job]:
        """The waiting jobs, previews first, each kind in the order in which it would be begun."""
        with self._changed:
            turns, left, order = dict(self._turns), list(self._waiting), []
        later = itertools.count(max(turns.values(), default=0) + 1)
        while left:
            job = min(left, key=lambda one: (one.priority, turns[one.priority, one.owner]))
            turns[job.priority, job.owner] = next(later)
            left.remove(job)
            order.append(job)
        return order

    def live(self) -> list[Job]:
        """All jobs that are not over, in their order."""
        with self._changed:
            return [job for job in self.active + self.waiting() if not job.over]

    def positions(self) -> dict[Job, int]:
        """For each waiting job, how many come before it; a final is not in a preview's way."""
        with self._changed:
            waiting, active = self.waiting(), list(self.active)
        previews = sum(job.priority == PREVIEW for job in active)
        return {
            job: number + (previews if job.priority == PREVIEW else len(active))
            for number, job in enumerate(waiting)
        }

    def find(self, owner: bytes, job_id: str) -> Job | None:
        return next((job for job in self.live() if job.key == (owner, job_id)), None)

    # -- the I/O thread's side ---------------------------------------------------------------

    def add(self, job: Job, instead_of: Sequence[Job] = ()) -> None:
        """Take a job in. ``instead_of``: live jobs that will be stopped.

        Raises BadRequest for a job id that is alive, QueueFull when there is no room.
        """
        with self._changed:
            if self.find(job.owner, job.job_id):
                raise BadRequest("There is a live job of this id already.")
            self._check_room(job, [other for other in self._all() if other not in instead_of])
            if not self._has_another(job):
                self._turns[job.priority, job.owner] = next(self._numbers)
            self._waiting.append(job)
            self._changed.notify()

    def _check_room(self, job: Job, others: Sequence[Job]) -> None:
        mine = [other for other in others if other.owner == job.owner]
        for jobs, most, most_bytes, whose in (
            (mine, self._bounds.client_jobs, self._bounds.client_bytes, "of this client "),
            (others, self._bounds.jobs, self._bounds.bytes, ""),
        ):
            if len(jobs) >= most or sum(other.size for other in jobs) + job.size > most_bytes:
                text = f"{len(jobs)} edits {whose}are waiting already."
                raise QueueFull(text, jobs=len(jobs), max_jobs=most, max_bytes=most_bytes)

    def _has_another(self, job: Job) -> bool:
        """Whether a job of this client and priority waits."""
        kind = (job.priority, job.owner)
        return any((other.priority, other.owner) == kind for other in self._waiting)

    def remove(self, job: Job) -> bool:
        """Take a waiting job out; whether it was one."""
        with self._changed:
            if job not in self._waiting:
                return False
            self._waiting.remove(job)
            if not self._has_another(job):
                self._turns.pop((job.priority, job.owner), None)
            return True

    def finished(self, job: Job) -> None:
        """Forget a job that the worker has done with."""
        with self._changed:
            if job in self.active:
                self.active.remove(job)

    def close(self) -> None:
        """There will be no more: ``next`` returns None."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    # -- the worker's side -------------------------------------------------------------------

    def next(self, wait: bool = True) -> Job | None:
        """Begin the job whose turn it is; waits for one, or not. None if there is none, and once
        the queue is closed."""
        with self._changed:
            while not self._closed:
                waiting = self.waiting()
                finals = [job for job in waiting if job.priority == FINAL]
                for job in finals or waiting:
                    self._begin(job)
                    return job
                if not wait:
                    break
                self._changed.wait()
        return None

    @property
    def closed(self) -> bool:
        """Whether there will be no more."""
        return self._closed

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits, and more may come."""
        with self._changed:
            return not self._closed and not self._waiting

    def next_passing(
        self, running: Job, is_quick: Callable[[Job], bool], before: float = math.inf
    ) -> Job | None:
        """Begin a preview, submitted ``before`` (time.monotonic), that may pass ``running``.

        Any passes a final; a quick one passes a preview that is not. None where there is none.
        """
        if self._closed:
            return None
        passes_all = running.priority == FINAL
        if not passes_all and is_quick(running):  # else each would be passed by the one after it
            return None
        for other in self.waiting():
            if other.priority != PREVIEW:
                return None
            if other.submitted <= before and (passes_all or is_quick(other)):
                with self._changed:
                    if other in self._waiting:  # nobody has taken it out meanwhile
                        self._begin(other)
                        return other
        return None

    def _begin(self, job: Job) -> None:
        self._turns[job.priority, job.owner] = next(self._numbers)
        self.remove(job)
        job.begun = time.monotonic()
        self.active.append(job)


def failed(error: GanpaintError) -> dict[str, Any]:
    """The FAILED header for ``error``, less its job_id."""
    return {
        "type": "FAILED",
        "code": error.code,
        "message": error.message,
        "detail": error.detail,
    }
