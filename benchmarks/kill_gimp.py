"""Real GIMP as a victim of ``benchmarks.kills``: in the chroot of the tests in real editors."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

from benchmarks.processes import PATIENCE, until
from ganpaint_engine.client import Client

_HOSTS = Path(__file__).resolve().parents[1] / "tests/hosts"
_STARTING = 6.0  # seconds: what GIMP takes to its first edit, about
_LONG = 10 * PATIENCE  # a busy machine may be loading the model first
MOMENTS = ("starting", "editing", "between edits")


def hosts() -> ModuleType:
    """The stage for tests in real editors (tests/hosts/conftest.py)."""
    name = "ganpaint_tests_hosts"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, _HOSTS / "conftest.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


def of_home(home: Path) -> list[tuple[int, str]]:
    """Living processes with this GANPAINT_HOME, but for this one: their ids and names."""
    mark = f"GANPAINT_HOME={home}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                is_zombie = (entry / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
                if not is_zombie and mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.append((int(entry.name), (entry / "comm").read_text().strip()))
    return found


def gimps(home: Path) -> list[int]:
    """The process ids of GIMP itself, not of its plug-ins, with this GANPAINT_HOME."""
    return [pid for pid, name in of_home(home) if "gimp-console" in name]


class Gimp:
    """GIMPs that make one edit after the other with the engine at ``stage.engine_home``."""

    def __init__(self, chroot: Path, folder: Path) -> None:
        tests = hosts()
        self.stage = tests.prepared(chroot, folder, tests.example_scene())

    @property
    def home(self) -> Path:
        home: Path = self.stage.engine_home
        return home

    def kill_one(self, moment: str, rng: random.Random, concept: str) -> float:
        """Start one and kill it at a random time of ``moment``; when that was (time.monotonic).

        concept: of an edit that takes long.
        """
        with Client.connect(name="kills", timeout=PATIENCE) as watch:
            done = watch.stats()["jobs"]["done"]
            process = self._start(concept if moment == "editing" else "tree")
            if moment == "editing":
                until(lambda: watch.stats()["jobs"]["running"], "an edit of GIMP's", _LONG)
            elif moment == "between edits":
                until(lambda: watch.stats()["jobs"]["done"] > done, "GIMP's first edit", _LONG)
        time.sleep(rng.uniform(0, _STARTING if moment == "starting" else 1.0))
        if process.poll() is not None:
            raise RuntimeError(f"GIMP ended by itself, with {process.returncode}")
        for pid in gimps(self.home) or [process.pid]:  # on its way into the chroot it is no GIMP
            os.kill(pid, signal.SIGKILL)
        killed = time.monotonic()
        process.wait(PATIENCE)
        return killed

    def _start(self, concept: str) -> subprocess.Popen[bytes]:
        variables = {"SCENARIOS": "kills", "REPORT": "never.json", "CONCEPT": concept}
        process: subprocess.Popen[bytes] = self.stage.start_gimp(
            "gimp-console", "gimp_console.py", **variables
        )
        return process
