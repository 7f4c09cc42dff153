"""What :meth:`Engine.pump` reports to the plug-in."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional

from .errors import BridgeError

FINAL = ("result", "failed", "cancelled", "superseded")


class Event(NamedTuple):
    """One piece of news. ``job_id`` is None where it is about the engine and not about a job.

    ``type``: "starting" (an engine is being started; comes again every half second), "welcome"
    (connected), "queued", "progress", and as the last one of a job "result", "failed", "cancelled"
    or "superseded" (a newer one took its slot). ``fraction`` is 0..1. ``header`` is the engine's
    message. A result's ``frames[0]`` is the patch: rows of 8-bit sRGB RGBA, straight alpha,
    ``header["patch"]["width"]`` by ``["height"]``, to be put at
    ``header["offset"]`` (x, y in the photo's pixels).
    """

    type: str
    job_id: Optional[str] = None
    fraction: float = 0.0
    stage: str = ""
    header: Dict[str, Any] = {}  # noqa: RUF012 - read only; a tuple's default cannot be a factory
    frames: List[bytes] = []  # noqa: RUF012
    error: Optional[BridgeError] = None


def event_text(event: Event) -> str:
    """The line a plug-in shows beside its progress bar."""
    if event.type == "starting":
        return "Starting the engine…"
    if event.type == "queued":
        ahead = event.header.get("position", 0)
        return "Waiting for {} earlier edit{}…".format(ahead, "s" * (ahead != 1)) if ahead else "…"
    if event.type == "progress":
        return "{}…".format(event.stage[:1].upper() + event.stage[1:]) if event.stage else "…"
    if event.type == "failed" and event.error is not None:
        return event.error.message
    texts = {"result": "Done", "cancelled": "Cancelled", "superseded": "A newer edit took over"}
    return texts.get(event.type, "Connected to the engine")


def job_event(header: Dict[str, Any], frames: List[bytes]) -> Optional[Event]:
    """The event for a message about a job; None for types of message this version does not know.

    Raises ValueError, TypeError or KeyError when the message is not as the protocol has it.
    """
    kind, job_id = header["type"], header["job_id"]
    if kind == "QUEUED":
        return Event("queued", job_id, header=header)
    if kind == "PROGRESS":
        fraction = min(1.0, max(0.0, float(header["fraction"])))
        return Event("progress", job_id, fraction, str(header["stage"]), header)
    if kind == "RESULT":
        patch = header["patch"]
        x, y = header["offset"]
        # Floats and strings, too, have products: some infinite, some of many gigabytes.
        if not all(isinstance(n, int) for n in (x, y, patch["width"], patch["height"])):
            raise TypeError("offset and size are not whole numbers")
        if len(frames) != 1 or len(frames[0]) != patch["width"] * patch["height"] * 4:
            raise ValueError("the patch is not of the announced size")
        return Event("result", job_id, 1.0, "", header, frames)
    if kind == "FAILED":
        error = BridgeError(str(header["code"]), str(header["message"]), header.get("detail"))
        return Event("failed", job_id, header=header, error=error)
    if kind in ("CANCELLED", "SUPERSEDED"):
        return Event(kind.lower(), job_id, header=header)
    return None
