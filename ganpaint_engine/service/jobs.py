"""Jobs: their queue, and the thread that works on them one after the other.

The queue belongs to the I/O thread and needs no lock. The worker gets one job at a time and tells
what becomes of it through a callback; the only thing both threads touch is a job's cancel flag.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ganpaint_engine.errors import (
    BadRequest,
    Busy,
    Cancelled,
    GanpaintError,
    InternalError,
    OutOfMemory,
)

log = logging.getLogger(__name__)

_PROGRESS_EVERY = 0.05  # seconds between two messages of one stage


@dataclass(eq=False)
class Job:
    """One SUBMIT. ``peer`` is the client's routing id; ``frames`` are the raw pictures."""

    peer: bytes
    job_id: str
    op: str
    request: dict[str, Any]
    frames: list[bytes]
    cancelled: threading.Event = field(default_factory=threading.Event)

    @property
    def key(self) -> tuple[bytes, str]:
        return self.peer, self.job_id

    @property
    def size(self) -> int:
        return sum(len(frame) for frame in self.frames)


@dataclass(frozen=True)
class Result:
    """A finished job: the keys of RESULT beside job_id, and its frames."""

    fields: dict[str, Any]
    frames: list[bytes]


Progress = Callable[[float, str], None]  # (fraction 0..1, stage); raises Cancelled
Handler = Callable[[Job, Progress], Result]
Report = Callable[[Job, dict[str, Any], list[bytes]], None]


class JobQueue:
    """First come, first served; bounded in jobs and in bytes."""

    def __init__(self, max_jobs: int, max_bytes: int) -> None:
        self._max_jobs = max_jobs
        self._max_bytes = max_bytes
        self._waiting: deque[Job] = deque()
        self.running: Job | None = None

    def __len__(self) -> int:
        return len(self._waiting) + (self.running is not None)

    @property
    def waiting(self) -> list[Job]:
        return list(self._waiting)

    def live(self) -> list[Job]:
        """All jobs, the running one first."""
        return ([self.running] if self.running else []) + self.waiting

    def find(self, peer: bytes, job_id: str) -> Job | None:
        return next((job for job in self.live() if job.key == (peer, job_id)), None)

    def add(self, job: Job) -> None:
        """Raises BadRequest for a job id that is alive, Busy when there is no room."""
        if self.find(job.peer, job.job_id):
            raise BadRequest("There is a live job of this id already.")
        bytes_queued = sum(other.size for other in self._waiting)
        if len(self) >= self._max_jobs or (
            self._waiting and bytes_queued + job.size > self._max_bytes
        ):
            raise Busy(f"{len(self)} edits are waiting already.", jobs=len(self))
        self._waiting.append(job)

    def start_next(self) -> Job | None:
        """The job to be worked on now, if nothing runs and one waits."""
        if self.running or not self._waiting:
            return None
        self.running = self._waiting.popleft()
        return self.running

    def finished(self, job: Job) -> None:
        if self.running is job:
            self.running = None

    def cancel(self, job: Job) -> bool:
        """Flag the job; True when it was still waiting and is thereby gone."""
        job.cancelled.set()
        if job in self._waiting:
            self._waiting.remove(job)
            return True
        return False


def failure(error: BaseException) -> GanpaintError:
    """``error`` as one that may be shown: what is not ours becomes internal, or out_of_memory."""
    if isinstance(error, GanpaintError):
        return error
    # torch's own class is known by name: importing torch here would cost every client seconds.
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return OutOfMemory("There was not enough memory for this edit.")
    return InternalError(f"The engine failed: {type(error).__name__}: {error}")


class Worker(threading.Thread):
    """Works on jobs. ``report(job, header, frames)`` is called in this thread."""

    def __init__(
        self, handlers: Mapping[str, Handler], report: Report, warm_up: Callable[[], None]
    ) -> None:
        super().__init__(name="ganpaint-worker", daemon=True)
        self._handlers = handlers
        self._report = report
        self._warm_up = warm_up
        self._inbox: queue.SimpleQueue[Job | None] = queue.SimpleQueue()

    def take(self, job: Job) -> None:
        self._inbox.put(job)

    def stop(self, timeout: float) -> bool:
        """End after the current job; whether that happened within ``timeout`` seconds."""
        self._inbox.put(None)
        self.join(timeout)
        return not self.is_alive()

    def run(self) -> None:
        try:
            self._warm_up()
        except Exception:
            log.exception("Warming up failed")  # the first job will say why
        while (job := self._inbox.get()) is not None:
            header, frames = self._work(job)
            job.frames = []  # they may be half a gigabyte
            self._report(job, header, frames)

    def _work(self, job: Job) -> tuple[dict[str, Any], list[bytes]]:
        """The last message about the job, whatever happens."""
        started = time.monotonic()
        progress = self._progress_of(job)
        try:
            progress(0.0, "starting")
            result = self._handlers[job.op](job, progress)
            header = {"type": "RESULT", **result.fields}
            log.info("Job %s done in %.2f s", job.job_id, time.monotonic() - started)
            return header, result.frames
        except Cancelled:
            log.info("Job %s cancelled after %.2f s", job.job_id, time.monotonic() - started)
            return {"type": "CANCELLED"}, []
        except BaseException as error:  # even SystemExit must not end this thread
            shown = failure(error)
            log.log(
                logging.ERROR if shown.code == "internal" else logging.INFO,
                "Job %s failed: %s",
                job.job_id,
                shown.code,
                exc_info=shown.code == "internal",
            )
            return failed(shown), []

    def _progress_of(self, job: Job) -> Progress:
        last_time, last_stage = 0.0, ""

        def progress(fraction: float, stage: str) -> None:
            nonlocal last_time, last_stage
            if job.cancelled.is_set():
                raise Cancelled
            now = time.monotonic()
            if stage == last_stage and now - last_time < _PROGRESS_EVERY:
                return
            last_time, last_stage = now, stage
            fraction = min(1.0, max(0.0, float(fraction)))
            self._report(job, {"type": "PROGRESS", "fraction": fraction, "stage": stage}, [])

        return progress


def failed(error: GanpaintError) -> dict[str, Any]:
    """The FAILED header for ``error``, less its job_id."""
    return {
        "type": "FAILED",
        "code": error.code,
        "message": error.message,
        "detail": error.detail,
    }
