"""Engine processes for benchmarks: in a home that is thrown away, watched from outside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from ganpaint_engine import paths
from ganpaint_engine.service import security

PATIENCE = 60.0  # seconds; only something broken takes that long
QUICK = ("benchmarks.quick_engine",)
"""The engine whose edits cost nothing: what ``python -m`` runs."""
PRODUCT = ("ganpaint_engine", "serve", "--idle-minutes", "0", "--device", "cpu")
"""The product's own, as people start it."""
_T = TypeVar("_T")


@contextmanager
def own_home() -> Iterator[Path]:
    """A folder that is ``GANPAINT_HOME`` meanwhile."""
    before = os.environ.get("GANPAINT_HOME")
    with tempfile.TemporaryDirectory(prefix="ganpaint-benchmark-") as home:
        os.environ["GANPAINT_HOME"] = home
        try:
            yield Path(home)
        finally:
            os.environ.pop("GANPAINT_HOME")
            if before is not None:
                os.environ["GANPAINT_HOME"] = before


def until(condition: Callable[[], _T], what: str, patience: float = PATIENCE) -> _T:
    """The first true value of ``condition()``. Raises TimeoutError."""
    deadline = time.monotonic() + patience
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come within {patience:.0f} s")
        time.sleep(0.005)
    return value


class EngineProcess:
    """An engine in the GANPAINT_HOME of now. ``command``: what ``python -m`` runs."""

    def __init__(self, command: Sequence[str] = QUICK) -> None:
        root = str(Path(__file__).resolve().parents[1])
        path = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", *command],
            env={**os.environ, "PYTHONPATH": path},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    @property
    def pid(self) -> int:
        return self.process.pid

    def runtime(self) -> security.Runtime | None:
        """The runtime file, once it is this very engine's."""
        runtime = security.read_runtime(paths.runtime_file())
        return runtime if runtime is not None and runtime.pid == self.pid else None

    def ready(self) -> EngineProcess:
        until(lambda: self.runtime() or self.process.poll() is not None, "the engine's start")
        if self.process.poll() is not None:
            raise RuntimeError(f"the engine ended with {self.process.returncode}")
        return self

    def memory(self) -> float:
        """Resident memory, MB."""
        return self._status("VmRSS") / 1000

    def threads(self) -> int:
        return self._status("Threads")

    def files(self) -> int:
        """Open files."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def cpu(self) -> float:
        """Seconds of processor time so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self) -> int:
        self.process.terminate()
        return self.process.wait(PATIENCE)

    def _status(self, key: str) -> int:
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith(key)).split()[1])


@contextmanager
def engine(
    *arguments: str,
    module: str = "ganpaint_engine.service.lifecycle",
    settings: dict[str, object] | None = None,
) -> Iterator[Path]:
    """A running engine in a home of its own; yields its runtime file.

    ``arguments`` go to ``python -m module``. settings: the person's, in that home.
    """
    with own_home():
        if settings:
            paths.settings_file().parent.mkdir(parents=True, exist_ok=True)
            paths.settings_file().write_text(json.dumps(settings), encoding="utf-8")
        process = EngineProcess((module, "--idle-minutes", "0", *arguments)).ready()
        try:
            yield paths.runtime_file()
        finally:
            process.end()
