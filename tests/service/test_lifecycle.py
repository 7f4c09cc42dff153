import json
import os
import signal
import subprocess
import sys

import pytest
from engines import EngineProcess, edit, running, submit, until

from ganpaint_engine import paths
from ganpaint_engine.client import Client
from ganpaint_engine.service import lifecycle, security


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_it_cleanly(own_engine, number):
    own_engine.process.send_signal(number)
    assert own_engine.wait() == 0, own_engine.output
    assert not paths.runtime_file().exists()
    assert "Engine ended" in lifecycle.log_file().read_text()


def test_it_ends_in_the_middle_of_a_long_computation(own_engine):
    with Client.connect() as client:
        running(client, submit(client, "abyss"))
    own_engine.process.terminate()
    assert own_engine.wait() == 0, own_engine.output
    assert not paths.runtime_file().exists()


def test_a_second_engine_steps_aside(own_engine):
    before = paths.runtime_file().read_bytes()
    second = EngineProcess()
    assert second.wait() == 0
    assert "steps aside" in second.output
    assert paths.runtime_file().read_bytes() == before
    with Client.connect() as client:
        assert edit(client)[-1].type == "result"


def test_many_engines_at_once_leave_one(home):
    engines = [EngineProcess() for _ in range(4)]
    until(lambda: any(engine.runtime() for engine in engines), "an engine")
    (winner,) = (engine for engine in engines if engine.runtime())
    for engine in engines:
        if engine is not winner:
            assert engine.wait() == 0
            assert "steps aside" in engine.output
    assert winner.runtime()
    assert winner.end() == 0


def test_after_a_crash_the_next_engine_takes_over(own_engine):
    own_engine.process.send_signal(signal.SIGKILL)
    own_engine.wait()
    assert paths.runtime_file().exists()
    assert lifecycle.running() is None
    following = EngineProcess().ready()
    with Client.connect() as client:
        assert client.status()["pid"] == following.process.pid
    assert following.end() == 0


def test_it_leaves_another_engines_runtime_file(own_engine):
    other = security.Runtime("tcp://127.0.0.1:1", security.new_token(), os.getpid(), "1.0", 0)
    security.write_runtime(paths.runtime_file(), other)
    assert own_engine.end() == 0
    assert security.read_runtime(paths.runtime_file()) == other


def test_an_idle_engine_leaves(home):
    engine = EngineProcess("0.005").ready()
    assert engine.wait() == 0
    assert not paths.runtime_file().exists()


def test_start_detached_status_stop(home, capfd):
    """The engine of the product itself, through the functions that the command line calls."""
    assert lifecycle.status() is None
    assert lifecycle.stop() is False
    assert lifecycle.serve(detached=True, idle_minutes=1, device="cpu") == 0
    pid = lifecycle.running().pid
    try:
        assert lifecycle.serve(detached=True) == 0
        assert "running already" in capfd.readouterr().out
        assert lifecycle.status()["pid"] == pid
        assert lifecycle.status()["idle_minutes"] == 1
    finally:
        assert lifecycle.stop() is True
    assert lifecycle.status() is None


def test_a_detached_start_that_fails_says_why(home, capfd, monkeypatch):
    (home / "runtime").mkdir(parents=True)
    (home / "runtime" / "engine.lock").mkdir()  # not a file that could be locked
    assert lifecycle.serve(detached=True) != 0
    assert "engine.lock" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("content", "minutes"),
    [(None, 30), ("{", 30), ("[]", 30), ({"idle_minutes": 5}, 5), ({"idle_minutes": "x"}, 30)],
)
def test_idle_setting(home, content, minutes):
    if content is not None:
        paths.settings_file().parent.mkdir(parents=True)
        text = content if isinstance(content, str) else json.dumps(content)
        paths.settings_file().write_text(text)
    assert lifecycle.idle_setting() == minutes


def test_the_client_side_never_loads_torch():
    code = (
        "import sys; import ganpaint_engine.client, ganpaint_engine.service.lifecycle\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
