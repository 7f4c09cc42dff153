"""Engine processes for the long runs: started in a home of their own, watched from outside."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ganpaint_engine import paths
from ganpaint_engine.service import security

PATIENCE = 60.0  # seconds; only something broken takes that long
_T = TypeVar("_T")


def until(condition: Callable[[], _T], what: str, patience: float = PATIENCE) -> _T:
    """The first true value of ``condition()``. Raises TimeoutError."""
    deadline = time.monotonic() + patience
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come within {patience:.0f} s")
        time.sleep(0.005)
    return value


class EngineProcess:
    """An engine in the GANPAINT_HOME of now: the quick one, or with ``real`` the product's own."""

    def __init__(self, real: bool = False) -> None:
        quick = [sys.executable, "-m", "benchmarks.quick_engine"]
        product = [sys.executable, "-m", "ganpaint_engine", "serve", "--idle-minutes", "0"]
        root = str(Path(__file__).resolve().parents[1])
        path = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [*product, "--device", "cpu"] if real else quick,
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
