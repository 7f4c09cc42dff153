"""``kill -9`` at random moments: ``python -m benchmarks.kills --count 200 --seed 1``.

Half of the kills hit the engine (on its way up, idle, at work, taking a picture, on its way out),
half a client's process. With ``--gimp CHROOT`` (made by ``tests/hosts/editors setup CHROOT``, as
root) a third each hits the engine, a client, and real GIMP (on its way up, in an edit, between
two). After each: is the next start clean, is the survivor told in time, is any process or lock
left? Ends with status 1 when not.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.kill_gimp import MOMENTS as GIMP_MOMENTS
from benchmarks.kill_gimp import Gimp, of_home
from benchmarks.processes import PATIENCE, PRODUCT, QUICK, EngineProcess, own_home, until
from ganpaint_engine import errors, paths
from ganpaint_engine.client import Client
from ganpaint_engine.service import folder, lifecycle

SOON = 3.0  # seconds in which the survivor must hear of it
_MOMENTS = ("starting", "idle", "working", "sending", "stopping")
_CLIENT = """
import sys, numpy as np
from ganpaint_engine.client import Client
client = Client.connect()
picture = np.zeros((1500, 2000, 4), np.uint8)
print("connected", flush=True)
job = client.submit(picture, picture[..., 0] + 255, concept=sys.argv[1], operation="add")
for event in client.events(job): pass
"""


@dataclass
class Tally:
    """Seconds until the survivor knew, by what was killed; what was not as it should be."""

    told: dict[str, list[float]] = field(default_factory=dict)
    starts: list[tuple[float, float]] = field(default_factory=list)  # by the clock, of processor
    moments: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def note(self, victim: str, seconds: float) -> None:
        self.told.setdefault(victim, []).append(seconds)
        if seconds > SOON:
            self.faults.append(f"{victim}: told after {seconds:.1f} s")


class Run:
    """Kills in the GANPAINT_HOME of now.

    real: the product's engine with its model. gimp: the one that is killed too.
    """

    def __init__(self, seed: int, real: bool, gimp: Gimp | None = None) -> None:
        self._rng = random.Random(seed)
        self._real = real
        self._command = PRODUCT if real else QUICK
        self.tally = Tally()
        self._engine: EngineProcess | None = None
        self._gimp = gimp
        self._slow = "tree" if real else "slow"  # of an edit that takes a while

    def kill_one(self) -> None:
        """One kill, and the look around after it."""
        victims = ["engine", "client"] + ["gimp"] * (self._gimp is not None)
        match self._rng.choice(victims):
            case "engine":
                self._kill_engine(self._rng.choice(_MOMENTS))
            case "client":
                self._kill_client()
            case _:
                self._kill_gimp(self._rng.choice(GIMP_MOMENTS))
        for pid in strays({self._engine.pid} if self._engine else set()):
            self.tally.faults.append(f"process {pid} was left")

    def finish(self) -> None:
        """End the last engine: nothing may be left of the home but lock, logs and cache."""
        self._running_engine().end()
        if folder.is_locked(paths.runtime_dir()):
            self.tally.faults.append("the lock is still held")
        left = {p.name for p in paths.runtime_dir().iterdir()} - {folder.LOCK}
        if left := {name for name in left if not name.startswith(folder.LOG)}:
            self.tally.faults.append(f"left in the runtime folder: {left}")
        for pid in strays(set()):
            self.tally.faults.append(f"process {pid} was left at the end")

    def _running_engine(self) -> EngineProcess:
        if self._engine is None:
            engine = EngineProcess(self._command).ready()
            self.tally.starts.append((time.monotonic() - engine.started, engine.cpu()))
            self._engine = engine
        return self._engine

    # -- the engine dies -----------------------------------------------------------------------

    def _kill_engine(self, moment: str) -> None:
        self.tally.moments[f"engine {moment}"] += 1
        if moment == "starting":
            if self._engine is not None:
                self._engine.end()
            self._engine = EngineProcess(self._command)
            time.sleep(self._rng.uniform(0, 6.0 if self._real else 1.5))
            self._kill()
        else:
            with self._connected() as client:
                self._occupy(client, moment)
                time.sleep(self._rng.uniform(0, 0.3))
                if moment == "stopping":
                    self._running_engine().process.terminate()
                    time.sleep(self._rng.uniform(0, 0.05))
                self._kill()
                self._expect_the_end(client)
        self._expect_a_clean_start()

    def _kill(self) -> None:
        engine = self._engine
        assert engine is not None
        engine.process.kill()
        engine.process.wait(PATIENCE)
        self._engine = None

    @contextlib.contextmanager
    def _connected(self) -> Iterator[Client]:
        self._running_engine()
        with Client.connect(name="kills", timeout=PATIENCE) as client:
            yield client

    def _occupy(self, client: Client, moment: str) -> None:
        """Have the engine work on a job, or take a large picture."""
        side = 3000 if moment == "sending" else 80
        picture = np.zeros((side, side, 4), np.uint8)
        if moment in ("working", "sending", "stopping"):
            mask = np.full((side, side), 255, np.uint8)
            client.submit(picture, mask, concept=self._slow, operation="add")
        if moment == "working":
            until(lambda: client.status()["running"], "the start of the job")

    def _expect_the_end(self, client: Client) -> None:
        killed = time.monotonic()
        try:
            while True:
                client.status()
        except (errors.EngineUnreachable, errors.Cancelled):
            self.tally.note("client, of the engine's death", time.monotonic() - killed)

    def _expect_a_clean_start(self) -> None:
        """A new engine starts, and does an edit; a client of the old one is not needed for it."""
        if lifecycle.running() is not None:
            self.tally.faults.append("a dead engine counts as running")
        try:
            with self._connected() as client:
                self._edit(client)
        except (errors.GanpaintError, RuntimeError, TimeoutError) as error:
            self.tally.faults.append(f"the next start: {type(error).__name__}: {error}")
            if self._engine is not None:
                self._kill()

    def _edit(self, client: Client) -> None:
        picture = np.random.default_rng(1).integers(0, 255, (80, 80, 3), np.uint8)
        mask = np.zeros((80, 80), np.uint8)
        mask[20:50, 20:50] = 255
        job = client.submit(picture, mask, concept="tree", operation="add", quality="preview")
        for event in client.events(job, timeout=PATIENCE):
            if event.type == "result":
                return

    # -- a client dies -------------------------------------------------------------------------

    def _kill_client(self) -> None:
        self.tally.moments["client"] += 1
        engine = self._running_engine()
        child = subprocess.Popen(
            [sys.executable, "-c", _CLIENT, self._slow], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(self._rng.uniform(0, 0.5))
        child.kill()
        child.wait(PATIENCE)
        child.stdout.close()
        self._expect_a_free_engine(engine, "a client", time.monotonic())

    def _kill_gimp(self, moment: str) -> None:
        self.tally.moments[f"GIMP {moment}"] += 1
        engine = self._running_engine()
        assert self._gimp is not None
        killed = self._gimp.kill_one(moment, self._rng, self._slow)
        self._expect_a_free_engine(engine, "GIMP", killed)
        # Its plug-in's process is told by a broken pipe.
        with contextlib.suppress(TimeoutError):
            until(lambda: not strays({engine.pid}), "the end of its processes", SOON)

    def _expect_a_free_engine(self, engine: EngineProcess, victim: str, killed: float) -> None:
        """The dead client's job is over, and the same engine does the next one."""
        with Client.connect(name="kills", timeout=PATIENCE) as client:
            until(lambda: _is_free(client), "the end of the dead client's job")
            self.tally.note(f"engine, of {victim}'s death", time.monotonic() - killed)
            if client.status()["pid"] != engine.pid:
                self.tally.faults.append("another engine answers")
            self._edit(client)


def _is_free(client: Client) -> bool:
    status = client.status()
    return not status["active"] and not status["waiting"]


def strays(known: set[int]) -> list[int]:
    """Processes of this run's home that are neither known nor this one."""
    return [pid for pid, _ in of_home(Path(os.environ["GANPAINT_HOME"])) if pid not in known]


def run(count: int, seed: int, real: bool = False, chroot: Path | None = None) -> Tally:
    """``count`` kills. ``chroot``: where GIMP is, which is then killed too."""
    with own_home() as home:
        gimp = None if chroot is None else Gimp(chroot, home)
        if gimp is not None:
            os.environ["GANPAINT_HOME"] = str(gimp.home)  # seen by the chroot, too
        the_run = Run(seed, real, gimp)
        for _ in range(count):
            the_run.kill_one()
        the_run.finish()
    return the_run.tally


def main(arguments: list[str] | None = None) -> int:
    """Print the tally; 0 when all was as it should be."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kills", description=__doc__)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--real", action="store_true", help="the engine with its model")
    parser.add_argument("--gimp", type=Path, metavar="CHROOT", help="kill GIMP there, too")
    options = parser.parse_args(arguments)
    started = time.monotonic()
    tally = run(options.count, options.seed, options.real, options.gimp)
    print(f"{options.count} kills, {time.monotonic() - started:.0f} s: {dict(tally.moments)}")
    for survivor, seconds in sorted(tally.told.items()):
        print(
            f"{survivor}: known after {np.median(seconds):.2f} s (median), {max(seconds):.2f} s "
            f"(most), {len(seconds)} times"
        )
    clock, cpu = np.array(tally.starts).T
    print(
        f"starts: {np.median(clock):.2f} s (median), {clock.max():.2f} s (most); of processor time "
        f"{np.median(cpu):.2f} s and {cpu.max():.2f} s; the slowest had {cpu[clock.argmax()]:.2f} s"
    )
    for fault in tally.faults:
        print(f"FAULT {fault}")
    print(f"{len(tally.faults)} faults")
    return 1 if tally.faults else 0


if __name__ == "__main__":
    sys.exit(main())
