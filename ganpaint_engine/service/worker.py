"""The thread that works on jobs, one at a time; long ones let previews pass between two steps.

It takes jobs from the queue and tells what becomes of them through a callback. Every step of a job
calls its ``progress``: there a stopped job ends, and there a final edit is paused while the
previews that wait are worked on, on top of it in the same thread; and so is a preview that has to
open its photo, while those whose photos are open are worked on. Previews that come meanwhile wait
for the next step: so each waits for one step at most, and a final goes on whatever they do. That
needs no lock: weights are never changed by a job, and what a job computes is its own until it is
done.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ganpaint_engine.errors import GanpaintError, InternalError, OutOfMemory
from ganpaint_engine.service.jobs import (
    Frames,
    Handler,
    Job,
    JobQueue,
    Progress,
    Report,
    failed,
)
from ganpaint_engine.service.looks import Look

log = logging.getLogger(__name__)

_PROGRESS_EVERY = 0.05  # seconds between two messages of one stage
_ETA_FROM = 0.05  # fraction done before which nothing can be said about the rest


OnStep = Callable[[float, str], None]
"""Called with (fraction, stage) after every step; an exception from it stops the work."""


class Stopped(Exception):
    """The job was stopped; its ``ending`` says how."""


def failure(error: BaseException) -> GanpaintError:
    """``error`` as one that may be shown: what is not ours becomes internal, or out_of_memory."""
    if isinstance(error, GanpaintError):
        return error
    # torch's own class is known by name: importing torch here would cost every client seconds.
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return OutOfMemory("There was not enough memory for this edit.")
    return InternalError(f"The engine failed: {type(error).__name__}: {error}")


@dataclass(frozen=True)
class Work:
    """What the engine can do.

    about: WELCOME's device, default_model and models. cache: STATS_REPLY's. looks: the thumbnails
    of a model's looks; raises UnknownModel. These are called by the I/O thread, and are cheap.
    warm_up: what the worker does first. is_quick: whether a preview would be done in about one
    step; it may then pass one that would not. has_more, go_on: what can be done ahead while no job
    waits, such as refining what a preview was answered from; go_on's callback may raise, to stop
    it, and what raises is not tried again.
    """

    handlers: Mapping[str, Handler]
    about: Callable[[], dict[str, Any]]
    warm_up: Callable[[], None] = lambda: None
    cache: Callable[[], dict[str, int]] = dict
    is_quick: Callable[[Job], bool] = lambda job: False
    looks: Callable[[str], Sequence[Look]] = lambda model: ()
    has_more: Callable[[], bool] = lambda: False
    go_on: Callable[[OnStep], None] = lambda on_step: None


class Worker(threading.Thread):
    """Works on jobs. ``report(job, header, frames)`` is called in this thread."""

    def __init__(self, work: Work, jobs: JobQueue, report: Report) -> None:
        super().__init__(name="ganpaint-worker", daemon=True)
        self._does = work
        self._jobs = jobs
        self._report = report
        self._postponed: list[Job] = []
        self._paused_seconds = 0.0

    def stop(self, timeout: float) -> bool:
        """End after the current job; whether that happened within ``timeout`` seconds."""
        self._jobs.close()
        self.join(timeout)
        return not self.is_alive()

    def run(self) -> None:
        try:
            self._does.warm_up()
            log.info("Warmed up")
        except Exception:
            log.exception("Warming up failed")  # the first job will say why
        while not self._jobs.closed:
            job = self._jobs.next(wait=not self._does.has_more())
            if job is None:
                self._go_on()
                continue
            self._finish(job, *self._work(job))
            while self._postponed:
                again = self._postponed.pop()
                self._finish(again, *self._work(again))

    def _go_on(self) -> None:
        """Do what can be done ahead, until a job comes."""

        def on_step(fraction: float, stage: str) -> None:
            if not self._jobs.is_idle:
                raise Stopped

        try:
            self._does.go_on(on_step)
        except Stopped:
            pass  # it goes on from its last stage when there is time again
        except BaseException:  # nobody asked for it: who needs it will be told why it fails
            log.warning("Working ahead failed", exc_info=True)

    def _finish(self, job: Job, header: dict[str, Any], frames: Frames) -> None:
        job.frames = []  # they may be half a gigabyte
        self._report(job, header, frames)

    def _work(self, job: Job) -> tuple[dict[str, Any], Frames]:
        """The last message about the job, whatever happens."""
        started = time.monotonic()
        try:
            progress = self._progress_of(job)
            progress(0.0, "starting")
            result = self._does.handlers[job.op](job, progress)
            header = {"type": "RESULT", **result.fields}
            log.info("Job %s done in %.2f s", job.job_id, time.monotonic() - started)
            return header, result.frames
        except Stopped:
            kind = job.ending["type"].lower()
            log.info("Job %s %s after %.2f s", job.job_id, kind, time.monotonic() - started)
            return job.ending, []
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
        started = time.monotonic()
        paused_before = self._paused_seconds
        last_time, last_stage, furthest = 0.0, "", 0.0

        def progress(fraction: float, stage: str, warnings: Sequence[str] = ()) -> None:
            nonlocal last_time, last_stage, furthest
            if not job.stopped.is_set():
                self._let_pass(job)
            if job.stopped.is_set():
                raise Stopped
            now = time.monotonic()
            if stage == last_stage and now - last_time < _PROGRESS_EVERY and not warnings:
                return
            last_time, last_stage = now, stage
            furthest = max(furthest, min(1.0, float(fraction)))
            worked = now - started - (self._paused_seconds - paused_before)
            eta = worked * (1 / furthest - 1) if furthest >= _ETA_FROM else None
            news = {"type": "PROGRESS", "fraction": furthest, "stage": stage, "eta": eta}
            self._report(job, {**news, "warnings": list(warnings)}, [])

        return progress

    def _let_pass(self, running: Job) -> None:
        """Work on the previews that may pass the job on whose step we are, and wait by now."""
        now = time.monotonic()
        while (job := self._jobs.next_passing(running, self._does.is_quick, now)) is not None:
            started, paused_before = time.monotonic(), self._paused_seconds
            header, frames = self._work(job)
            if header.get("code") == OutOfMemory.code:
                self._postponed.append(job)  # what the paused edit holds may be what was missing
            else:
                self._finish(job, header, frames)
            self._paused_seconds = paused_before + time.monotonic() - started
