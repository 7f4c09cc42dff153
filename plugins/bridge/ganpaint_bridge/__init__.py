"""Talks to GANPaint's engine from inside an editor, with Python's standard library alone.

Usage::

    engine = Engine(client="gimp 3.0.4")
    job = engine.submit(concept="tree", operation="add", image=(…), mask=(…))
    for event in engine.pump(): …          # from the host's timer
    result = run(engine, job)              # or, in a script, until it is done
"""

from .engine import Engine, run
from .errors import BridgeError, error_text
from .events import Event, event_text

__all__ = ["BridgeError", "Engine", "Event", "error_text", "event_text", "run"]
