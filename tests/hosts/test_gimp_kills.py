"""GIMP's plug-in goes on working while the engine is killed again and again."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import PATIENCE_S, Stage, wait_for

from benchmarks import kills
from benchmarks.kill_gimp import gimps
from ganpaint_engine.client import Client
from ganpaint_engine.errors import BY_CODE, GanpaintError

pytestmark = pytest.mark.editors

KILLS = 10


@contextlib.contextmanager
def engine(home: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The product's engine in ``home``."""
    runtime = home / "runtime" / "runtime.json"
    command = [sys.executable, "-m", "ganpaint_engine", "serve", "--device", "cpu"]
    environment = {**os.environ, "GANPAINT_HOME": str(home)}
    with (home / "serve.log").open("ab") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        wait_for("the engine", lambda: runtime.exists() and str(process.pid) in runtime.read_text())
        yield process
    finally:
        process.kill()
        process.wait(30)


def at_work(home: Path) -> bool:
    """Whether GIMP has a job there."""
    with contextlib.suppress(GanpaintError):
        with Client.connect(home / "runtime" / "runtime.json", name="tests") as client:
            status = client.status()
        return bool(status["active"] or status["waiting"])
    return False


@pytest.fixture(scope="module")
def tries(stage: Stage) -> list[dict[str, Any]]:
    """Every edit that GIMP made while ten engines died, each at a random moment of an edit."""
    rng = random.Random(1)
    home = stage.folder / "killed-engines"
    home.mkdir()
    variables = {"SCENARIOS": "kills", "REPORT": "gimp-kills.json", "GANPAINT_HOME": str(home)}
    with contextlib.ExitStack() as stack:
        gimp: subprocess.Popen[bytes] | None = None
        for _ in range(KILLS):
            with engine(home) as process:
                if gimp is None:
                    gimp = stage.start_gimp("gimp-console", "gimp_console.py", **variables)
                    stack.callback(gimp.wait, 30)
                    stack.callback(gimp.terminate)
                wait_for("an edit", lambda: at_work(home))
                time.sleep(rng.uniform(0, 1.5))
                process.kill()
        with engine(home):
            (stage.folder / "kills-over").touch()
            assert gimp is not None
            assert gimp.wait(2 * PATIENCE_S) == 0
    tries: list[dict[str, Any]] = stage.report("gimp-kills.json")["through_kills"]
    return tries


def test_each_killed_edit_says_so_and_changes_nothing(tries: list[dict[str, Any]]) -> None:
    failed = [one for one in tries if one["status"] != "success"]
    assert len(failed) >= KILLS // 2  # the kill came while an edit was under way
    for one in failed:
        assert one["after"] == one["before"]
        assert any(f"[{code}]" in one["error"] for code in BY_CODE), one["error"]
        assert "[internal]" not in one["error"]


def test_the_edits_between_succeed_and_each_adds_one_layer(tries: list[dict[str, Any]]) -> None:
    assert tries[-1]["status"] == "success"
    for one in tries:
        if one["status"] == "success":
            (new,) = (layer for layer in one["after"] if layer not in one["before"])
            assert new["name"].startswith("GANPaint: add tree")
            assert [layer for layer in one["after"] if layer != new] == one["before"]


def test_killed_gimps_leave_the_engine_free_within_three_seconds(stage: Stage) -> None:
    rng = random.Random(2)
    home = stage.folder / "killed-gimps"
    home.mkdir()
    variables = {"SCENARIOS": "kills", "REPORT": "never.json", "GANPAINT_HOME": str(home)}
    (stage.folder / "kills-over").unlink(missing_ok=True)
    with engine(home) as process:
        for _ in range(KILLS):
            wrapper = stage.start_gimp("gimp-console", "gimp_console.py", **variables)
            wait_for("an edit", lambda: at_work(home))
            time.sleep(rng.uniform(0, 1))
            for pid in gimps(home):
                os.kill(pid, signal.SIGKILL)
            killed = time.monotonic()
            wait_for("the end of its job", lambda: not at_work(home))
            assert time.monotonic() - killed < 3
            wrapper.wait(30)
            assert gimps(home) == []
        assert process.poll() is None


def test_random_kills_of_engine_client_and_gimp_leave_nothing(
    chroot: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GANPAINT_HOME", str(tmp_path))  # the run sets its own: it is put back
    tally = kills.run(6, seed=5, chroot=chroot)
    assert tally.faults == []
    assert any(moment.startswith("GIMP") for moment in tally.moments)
