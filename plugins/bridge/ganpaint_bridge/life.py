"""The end of an engine: asked for by its connection, waited for, and after some seconds forced."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import Optional

from .errors import BridgeError
from .locate import Runtime, still_runs
from .words import _

_ASKED_S = 5.0  # what an engine that was asked may take: it ends its job's step first
_FORCED_S = 5.0  # between SIGTERM and SIGKILL
_GIVEN_UP_S = 20.0


class Ending:
    """Watches one engine leave. ``asked``: SHUTDOWN was sent to it; else it is told by a signal."""

    def __init__(self, runtime: Optional[Runtime], asked: bool) -> None:
        self._runtime = runtime
        self._began = time.monotonic()
        first = _ASKED_S if asked else 0.0
        kill = getattr(signal, "SIGKILL", signal.SIGTERM)  # Windows has none; both end it there
        self._signals = [(first, signal.SIGTERM), (first + _FORCED_S, kill)]

    def over(self) -> bool:
        """Whether it has gone. Call from time to time: forces it when its time is up.

        Raises BridgeError engine_unreachable when even that does not help.
        """
        runtime = self._runtime
        if runtime is None or not still_runs(runtime):
            return True
        passed = time.monotonic() - self._began
        if self._signals and passed >= self._signals[0][0]:
            number = self._signals.pop(0)[1]
            with contextlib.suppress(OSError):
                os.kill(runtime.pid, number)  # still_runs: it is that very engine's number
        if passed > _GIVEN_UP_S:
            text = _("The engine (process %d) does not end.") % runtime.pid
            raise BridgeError("engine_unreachable", text)
        return False
