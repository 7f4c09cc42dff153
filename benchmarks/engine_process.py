"""An engine of its own for a benchmark: a process, a home folder that is thrown away."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ganpaint_engine import paths
from ganpaint_engine.service import lifecycle

_START_SECONDS = 120.0
_END_SECONDS = 30.0


@contextmanager
def engine(*arguments: str, module: str = "ganpaint_engine.service.lifecycle") -> Iterator[Path]:
    """A running engine; yields its runtime file. ``GANPAINT_HOME`` is changed meanwhile.

    ``arguments`` go to ``python -m module``.
    """
    before = os.environ.get("GANPAINT_HOME")
    with tempfile.TemporaryDirectory(prefix="ganpaint-benchmark-") as home:
        os.environ["GANPAINT_HOME"] = home
        command = [sys.executable, "-m", module, "--idle-minutes", "0", *arguments]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + _START_SECONDS
            while lifecycle.running() is None:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError("the engine does not start")
                time.sleep(0.05)
            yield paths.runtime_file()
        finally:
            process.terminate()
            process.wait(_END_SECONDS)
            os.environ.pop("GANPAINT_HOME")
            if before is not None:
                os.environ["GANPAINT_HOME"] = before
