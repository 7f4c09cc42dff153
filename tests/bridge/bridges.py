"""Helpers for tests of the bridge's Engine."""

import contextlib
import time

from engines import PATIENCE, until
from ganpaint_bridge import Engine

from ganpaint_engine import errors
from ganpaint_engine.service import lifecycle


def bridge(start=False, **options):
    return Engine("test", start=start, **options)


def submit(engine, concept="tree", width=4, height=3, channels=3, **options):
    pixels = bytes(i % 256 for i in range(width * height * channels))
    return engine.submit(
        concept=concept,
        operation="add",
        image=(pixels, width, height, channels),
        mask=(b"\xff" * (width * height), width, height),
        **options,
    )


def pump_for(engine, wanted):
    """Pump until an event of type ``wanted``; all events so far."""
    events = []
    deadline = time.monotonic() + PATIENCE
    while not any(event.type == wanted for event in events):
        assert time.monotonic() < deadline, events
        events += engine.pump(0.05)
    return events


def code_of(engine, job):
    """The code with which a job fails."""
    (error,) = (e.error for e in pump_for(engine, "failed") if e.job_id == job and e.error)
    assert error.message
    assert error.code in errors.BY_CODE
    return error.code


def end_engine():
    """No engine runs after this; one that is leaving already is waited for."""
    with contextlib.suppress(errors.EngineUnreachable):
        lifecycle.stop()
    until(lambda: lifecycle.running() is None, "the engine's end")
