"""What :meth:`Engine.pump` reports to the plug-in."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional

from .errors import BridgeError, engine_error, sentence
from .words import _, later, plural

ANSWERS = {
    "LOOKS_REPLY": "looks",
    "STATUS_REPLY": "status",
    "STATS_REPLY": "stats",
    "GOODBYE": "goodbye",
}
FINAL = ("result", "failed", "cancelled", "superseded")


class Event(NamedTuple):
    """One piece of news. ``job_id`` is None where it is about the engine and not about a job.

    ``type``: "starting" (an engine is being started; comes again every half second), "welcome"
    (connected), "queued", "progress", and as the last one of a job "result", "failed", "cancelled"
    or "superseded" (a newer one took its slot). Answers to Engine.ask: "looks" (``frames[i]``: RGB
    of ``header["looks"][i]``), "status", "stats", "goodbye", and "refused". "asleep": the engine
    has left while nothing was asked of it; "stopped": after Engine.stop. ``fraction`` is 0..1.
    ``header`` is the engine's message. A result's ``frames[0]`` is the patch: rows of 8-bit sRGB
    RGBA, straight alpha, ``header["patch"]["width"]`` by ``["height"]``, to be put at
    ``header["offset"]`` (x, y in the photo's pixels).
    """

    type: str
    job_id: Optional[str] = None
    fraction: float = 0.0
    stage: str = ""
    header: Dict[str, Any] = {}  # noqa: RUF012 - read only; a tuple's default cannot be a factory
    frames: List[bytes] = []  # noqa: RUF012
    error: Optional[BridgeError] = None

    @property
    def warnings(self) -> List[str]:
        """Sentences of a "progress" about what to expect; mostly none."""
        return [str(one) for one in self.header.get("warnings") or ()]


_STAGES = {
    "starting": later("Starting…"),
    "loading the model": later("Loading the model…"),
    "encode": later("Looking at the photo…"),
    "refine": later("Fitting to the photo…"),
    "adapt to photo": later("Adapting to the photo…"),
    "edit": later("Editing…"),
    "adapt to edit": later("Adapting to the edit…"),
    "done": later("Finishing…"),
}
_ENDS = {
    "result": later("Done"),
    "cancelled": later("Cancelled"),
    "superseded": later("A newer edit took over"),
}


def event_text(event: Event) -> str:
    """The line a plug-in shows beside its progress bar."""
    if event.type == "starting":
        return _("Starting the engine…")
    if event.type == "queued":
        ahead = event.header.get("position", 0)
        text = plural("Waiting for %d earlier edit…", "Waiting for %d earlier edits…", ahead)
        return text % ahead if ahead else "…"
    if event.type == "progress":
        return _(_STAGES[event.stage]) if event.stage in _STAGES else "…"
    if event.type == "failed" and event.error is not None:
        return sentence(event.error)
    return _(_ENDS.get(event.type, later("Connected to the engine.")))


def answer_event(header: Dict[str, Any], frames: List[bytes]) -> Event:
    """The event for an answer about the engine itself. Raises as job_event."""
    if header["type"] == "LOOKS_REPLY":
        looks = header["looks"]
        if len(looks) != len(frames):
            raise ValueError("not one picture for each look")
        for look, rgb in zip(looks, frames):  # noqa: B905 - strict came with Python 3.10
            width, height = look["width"], look["height"]
            if not isinstance(width, int) or not isinstance(height, int):
                raise TypeError("a look's size is not in whole numbers")
            if not isinstance(look["concept"], str) or not isinstance(look["variant"], str):
                raise TypeError("a look without a name")
            if min(width, height) < 1 or len(rgb) != width * height * 3:
                raise ValueError("a look is not of the announced size")
    return Event(ANSWERS[header["type"]], header=header, frames=frames)


def job_event(header: Dict[str, Any], frames: List[bytes]) -> Optional[Event]:
    """The event for a message about a job; None for types of message this version does not know.

    Raises ValueError, TypeError or KeyError when the message is not as the protocol has it.
    """
    kind, job_id = header["type"], header["job_id"]
    if kind == "QUEUED":
        if not isinstance(header.get("position", 0), int):
            raise TypeError("a position that is no whole number")
        return Event("queued", job_id, header=header)
    if kind == "PROGRESS":
        fraction = min(1.0, max(0.0, float(header["fraction"])))
        if not isinstance(header.get("warnings") or [], list):
            raise TypeError("warnings that are no list")
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
        return Event("failed", job_id, header=header, error=engine_error(header))
    if kind in ("CANCELLED", "SUPERSEDED"):
        return Event(kind.lower(), job_id, header=header)
    return None
