"""The kill runs and the startup figures at a small size."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import kills, startup
from benchmarks.processes import EngineProcess


@pytest.fixture(autouse=True)
def own_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANPAINT_HOME", str(home))  # the runs set their own: it is put back


def test_kills_leave_nothing() -> None:
    tally = kills.run(7, seed=3)
    assert tally.faults == []
    assert len(tally.told) == 2  # both kinds were killed, and both survivors knew


def test_a_stray_process_would_be_seen() -> None:
    stray = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert stray.pid in kills.strays(set())
        assert stray.pid not in kills.strays({stray.pid})
    finally:
        stray.communicate()


def test_an_idle_engine_rests() -> None:
    engine = EngineProcess().ready()
    try:
        startup.time.sleep(1)
        before = engine.cpu()
        startup.time.sleep(6)
        assert engine.cpu() - before <= 0.06  # 1 % of a core: the clock ticks in hundredths
    finally:
        assert engine.end() == 0


def test_help_takes_little_more_than_python_itself() -> None:
    """By processor time, which a busy machine does not stretch as it does the clock."""
    bare = startup.command(["-c", "pass"], 3)
    shown = startup.command(["-m", "ganpaint_engine", "--help"], 3)
    assert shown.cpu - bare.cpu < 0.6
    assert bare.wall > 0
