"""Where messages about jobs and the jobs themselves meet: who asked, who hears, what is kept.

Belongs to the I/O thread. The server brings messages and carries answers away; the worker's
reports come through ``take_report``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ganpaint_engine.errors import BadRequest, UnknownJob
from ganpaint_engine.service import protocol_messages as limits
from ganpaint_engine.service.jobs import PREVIEW, Bounds, Frames, Job, JobQueue, failed
from ganpaint_engine.service.results import KeptResults
from ganpaint_engine.service.stats import Counters

Send = Callable[[bytes, dict[str, Any], Frames], None]

_CANCELLED = {"type": "CANCELLED"}


class Desk:
    """Takes, stops and fetches jobs. ``send`` goes to a peer."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.counters = Counters()
        self.queue = JobQueue(
            Bounds(
                limits.MAX_QUEUE,
                limits.MAX_QUEUED_BYTES,
                limits.MAX_CLIENT_JOBS,
                limits.MAX_CLIENT_BYTES,
            )
        )
        self.results = KeptResults(
            limits.RESULTS_KEPT, limits.RESULT_BYTES_KEPT, limits.RESULT_SECONDS_KEPT
        )

    @property
    def is_idle(self) -> bool:
        """Nothing is worked on, and nobody may still come for a result."""
        self.results.expire()
        return not len(self.queue) and not len(self.results)

    # -- what clients ask for ----------------------------------------------------------------

    def submit(
        self, peer: bytes, owner: bytes, message: dict[str, Any], frames: list[bytes]
    ) -> None:
        """Take a checked SUBMIT. Raises BadRequest, QueueFull."""
        job = Job(owner, peer, message, frames)
        if job.keep_result and not owner.startswith(b"secret:"):
            raise BadRequest("keep_result needs a HELLO with a client_secret.")
        if job.key in self.results:
            raise BadRequest("There is a kept result of this id already.")
        older = [] if job.slot is None else self._previews_in(owner, job.slot)
        self.queue.add(job, instead_of=older)
        for other in older:
            self._stop(other, {"type": "SUPERSEDED", "by": job.job_id})
        # Only now, without those; the worker may have begun it already.
        self._tell(job, {"type": "QUEUED", "position": self.queue.positions().get(job, 0)})

    def _previews_in(self, owner: bytes, slot: str) -> list[Job]:
        live = self.queue.live()
        return [j for j in live if (j.owner, j.slot, j.priority) == (owner, slot, PREVIEW)]

    def cancel(self, owner: bytes, job_id: str) -> None:
        """Stop a job of this client; nothing happens when there is none."""
        job = self.queue.find(owner, job_id)
        if job is not None:
            self._stop(job, _CANCELLED)

    def fetch(self, peer: bytes, owner: bytes, job_id: str) -> None:
        """Send the last message about a job of this client to ``peer``, and what comes later."""
        job = self.queue.find(owner, job_id)
        kept = self.results.get((owner, job_id))
        if job is not None and job.keep_result:
            job.peer = peer
            self._send(peer, job.news, [])
        elif kept is not None:
            self._send(peer, kept.header, kept.frames)
        else:
            error = UnknownJob(f"There is no job {job_id!r} of this client to be fetched.")
            self._send(peer, {**failed(error), "job_id": job_id}, [])

    def drop(self, peer: bytes) -> None:
        """A connection is gone: stop what it asked for, but for what is to outlive it."""
        for job in self.queue.live():
            if job.peer == peer:
                job.peer = None
                if not job.keep_result:
                    self._stop(job, _CANCELLED)

    def status(self, owner: bytes) -> dict[str, Any]:
        """The part of STATUS_REPLY that is about jobs; only this client's own are named."""
        live = self.queue.live()
        begun = [job for job in live if job.begun]
        mine = [job for job in begun if job.owner == owner]
        return {
            "waiting": len(live) - len(begun),
            "active": len(begun),
            "running": mine[-1].job_id if mine else None,
            "stage": mine[-1].news.get("stage", "") if mine else "",
        }

    def figures(self) -> dict[str, Any]:
        """The part of STATS_REPLY that is about jobs."""
        fields = self.counters.as_fields()
        live = self.queue.live()
        begun = sum(job.begun > 0 for job in live)
        fields["jobs"] = {"queued": len(live) - begun, "running": begun, **fields["jobs"]}
        fields["queue"] = {
            "jobs": len(live),
            "bytes": self.queue.size,
            "clients": self.queue.clients,
            "results": len(self.results),
            "result_bytes": self.results.size,
        }
        return fields

    # -- what becomes of jobs ----------------------------------------------------------------

    def take_report(self, job: Job, header: dict[str, Any], frames: Frames) -> None:
        """News of a job from the worker."""
        if header["type"] == "PROGRESS":
            if not job.over:
                self._tell(job, header)
            return
        self.queue.finished(job)
        self._end(job, header, frames)

    def _stop(self, job: Job, ending: dict[str, Any]) -> None:
        """Stop a live job. Its end is told at once; what is computed of it stops at its next step.

        A step can be long: loading the model is one. Nobody should wait for it to be told.
        """
        job.stop(ending)
        self.queue.remove(job)
        self._end(job, job.ending, [])

    def _end(self, job: Job, header: dict[str, Any], frames: Frames) -> None:
        """The job is over: tell, count, keep. Only once: a begun job may end before it knows."""
        if job.over:
            return
        job.over = True
        self.counters.ended(job, header["type"])
        if job.keep_result:
            self.results.put(job.key, {**header, "job_id": job.job_id}, frames)
        self._tell(job, header, frames)

    def _tell(self, job: Job, header: dict[str, Any], frames: Frames = ()) -> None:
        """Send a message about a job, and remember it for the ticks."""
        message = {**header, "job_id": job.job_id}
        job.news = {**message, "warnings": []} if header.get("warnings") else message
        job.told = time.monotonic()
        if job.peer is not None:
            self._send(job.peer, message, frames)

    def remind(self, silence: float) -> None:
        """Tell how jobs stand of which nothing was heard for ``silence`` seconds.

        This is also what finds the clients that went: sending to them fails.
        """
        self.results.expire()
        positions = self.queue.positions()
        for job in self.queue.live():
            if not job.over and time.monotonic() - job.told >= silence:
                update = {"position": positions[job]} if job in positions else {}
                self._tell(job, {**job.news, **update})

    def end(self) -> None:
        """Stop everything and tell so."""
        for job in self.queue.live():
            job.stop(_CANCELLED)
            self._end(job, job.ending, [])
