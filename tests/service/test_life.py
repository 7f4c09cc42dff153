"""What a desktop does to an engine: full disks, suspends, clocks that jump, crashes."""

import ast
import logging
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from disks import fill, read_only, small_disk
from engines import PATIENCE, EngineProcess, connect_tcp, edit, running, submit, until
from ganpaint_bridge import Engine, run

from ganpaint_engine import cli, errors, paths, photo_cache
from ganpaint_engine.client import Client
from ganpaint_engine.photo_cache import PhotoCache
from ganpaint_engine.service import checkup, folder, keys, lifecycle, security, unit

ROOT = Path(__file__).resolve().parents[2]
SOON = 3.0  # seconds in which a client must hear of an engine's end


def findings():
    return {check.name: check for check in checkup.checks()}


@pytest.fixture
def own_tmp(tmp_path, monkeypatch):
    """The place that the engine uses when its home is of no use."""
    place = tmp_path / "tmp"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    monkeypatch.setattr("tempfile.tempdir", str(place))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    return place


# -- disks ---------------------------------------------------------------------------------------


def in_another_place(own_tmp):
    """Start, use and end an engine that cannot use its home."""
    process = EngineProcess()
    try:
        until(lambda: process.process.poll() is not None or lifecycle.running(), "the start")
        assert lifecycle.running(), process.process.stdout.read()
        assert lifecycle.folder_in_use().parent == own_tmp
        assert lifecycle.folder_in_use().stat().st_mode & 0o777 == 0o700
        with Client.connect() as client:
            assert edit(client)[-1].type == "result"
        editor = Engine("test", start=False)
        wish = {"concept": "tree", "operation": "add"}
        job = editor.submit(image=(bytes(12), 2, 2, 3), mask=(b"\xff" * 4, 2, 2), **wish)
        assert run(editor, job).type == "result"
        editor.close()
        second = EngineProcess()
        assert second.wait() == 0
        assert "steps aside" in second.output
    finally:
        assert process.end() == 0, process.output
    assert lifecycle.running() is None
    assert not list(own_tmp.glob("*/runtime.json"))


def test_a_full_home(home, own_tmp):
    with small_disk(home):
        fill(home)
        assert str(own_tmp) in findings()["runtime folder"].finding
        assert not findings()["disk"].ok
        in_another_place(own_tmp)


def test_a_read_only_home(home, own_tmp):
    with small_disk(home):
        read_only(home)
        found = findings()
        assert "Read-only" in found["runtime folder"].finding
        assert "nothing is kept" in found["cache"].finding
        in_another_place(own_tmp)


def test_no_place_at_all_is_a_clear_error(home, monkeypatch, capsys):
    with small_disk(home):
        fill(home)
        monkeypatch.setattr(paths, "runtime_dirs", lambda: [paths.runtime_dir()])
        for more in ([], ["--detached"]):
            with pytest.raises(SystemExit):
                cli.main(["serve", *more])
            assert "[storage]" in capsys.readouterr().err
        assert not findings()["runtime folder"].ok
        assert "[storage]" in findings()["runtime folder"].finding


def test_a_disk_that_fills_up_while_the_engine_works(home):
    with small_disk(home):
        engine = EngineProcess().ready()
        fill(home)
        with Client.connect() as client:
            for _ in range(30):
                assert edit(client)[-1].type == "result"
        assert engine.end() == 0, engine.output
        assert "Traceback" not in engine.output
        assert lifecycle.running() is None


def test_the_log_is_rotated(home, monkeypatch):
    monkeypatch.setattr(folder, "_LOG_BYTES", 2000)
    handler = folder.QuietLog(security.private_dir(paths.runtime_dir()) / folder.LOG)
    for number in range(500):
        handler.emit(logging.makeLogRecord({"msg": f"line {number}", "levelno": 20}))
    handler.close()
    logs = sorted(paths.runtime_dir().glob("engine.log*"))
    assert [log.name for log in logs] == ["engine.log", "engine.log.1", "engine.log.2"]
    assert all(log.stat().st_size <= 2000 for log in logs)
    assert "line 499" in logs[0].read_text()


# -- what a crash leaves -------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b'{"endpoint": "tcp://127', bytes(300), b"\xff\xfe"])
def test_a_half_written_runtime_file(home, content):
    place = security.private_dir(paths.runtime_dir())
    paths.runtime_file().write_bytes(content)
    paths.runtime_file().chmod(0o600)
    (place / ".runtime-abc").write_bytes(content)
    (place / ".probe-1").write_bytes(content)
    assert "half written" in findings()["runtime file"].finding
    engine = EngineProcess().ready()
    with Client.connect() as client:
        assert edit(client)[-1].type == "result"
    assert engine.end() == 0
    assert sorted(os.listdir(place)) == ["engine.lock", "engine.log"]


def test_the_number_of_a_crashed_engine_now_belongs_to_another_program(home):
    security.write_runtime(
        paths.runtime_file(),
        security.Runtime("tcp://127.0.0.1:9", security.new_token(), os.getpid(), "1.0", 0.0),
    )
    assert lifecycle.running() is None
    assert lifecycle.status() is None
    assert lifecycle.stop() is False
    engine = EngineProcess().ready()
    assert lifecycle.status()["pid"] == engine.process.pid
    assert engine.end() == 0


def test_the_doctor_explains_what_a_crash_left(own_engine):
    own_engine.process.send_signal(signal.SIGKILL)
    own_engine.wait()
    found = findings()
    assert f"process {own_engine.process.pid}" in found["runtime file"].finding
    assert found["runtime file"].ok  # nothing is to be done: the next start replaces it
    assert found["lock"].finding == "free"
    assert found["engine"].finding == "not running"


def test_the_doctor_explains_a_half_written_cache(home):
    folder = photo_cache.folder() / "model"
    folder.mkdir(parents=True)
    (folder / ".part-killed").write_bytes(bytes(10))
    found = findings()["cache"]
    assert found.ok
    assert "1 half written" in found.finding
    PhotoCache(1 << 20)  # the next start
    assert "half written" not in findings()["cache"].finding


def test_the_doctor_sees_open_files_and_damaged_settings(home):
    security.write_runtime(
        paths.runtime_file(), security.Runtime("x", security.new_token(), 1, "1.0", 0.0)
    )
    paths.runtime_file().chmod(0o644)
    paths.settings_file().parent.mkdir(parents=True)
    paths.settings_file().write_text("{")
    keys.new(keys.CLIENT)
    keys.secret_file(keys.CLIENT).chmod(0o644)
    (paths.runtime_dir() / folder.LOCK).mkdir()
    found = findings()
    for name in ("runtime file", "settings", "keys", "lock"):
        assert not found[name].ok, name
    assert "644" in found["runtime file"].finding
    assert "chmod 600" in found["keys"].finding


def test_the_doctor_with_a_running_and_with_a_stopped_engine(own_engine):
    assert str(own_engine.process.pid) in findings()["engine"].finding
    assert findings()["lock"].finding == "held by the running engine"


# -- signals, suspends, clocks -------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_tells_running_and_waiting_jobs(own_engine, number):
    with Client.connect() as client:
        jobs = [submit(client, "slow") for _ in range(2)]
        running(client, jobs[0])
        started = time.monotonic()
        own_engine.process.send_signal(number)
        for job in jobs:
            with pytest.raises(errors.Cancelled):
                list(client.events(job, timeout=PATIENCE))
        assert time.monotonic() - started < SOON
    assert own_engine.wait() == 0, own_engine.output


def test_a_killed_engine_is_told_soon(own_engine):
    with Client.connect() as client:
        job = submit(client, "slow")
        running(client, job)
        started = time.monotonic()
        own_engine.process.send_signal(signal.SIGKILL)
        with pytest.raises(errors.EngineUnreachable):
            list(client.events(job, timeout=PATIENCE))
        assert time.monotonic() - started < SOON


def test_a_suspended_engine_goes_on(own_engine):
    with Client.connect() as client:
        job = submit(client, "deep")
        running(client, job)
        own_engine.process.send_signal(signal.SIGSTOP)
        time.sleep(3)
        own_engine.process.send_signal(signal.SIGCONT)
        assert list(client.events(job, timeout=PATIENCE))[-1].type == "result"
        assert edit(client)[-1].type == "result"


def test_a_suspended_client_finds_its_result(own_engine):
    code = (
        "import os, signal, numpy as np; from ganpaint_engine.client import Client\n"
        "c = Client.connect(); z = np.full((4, 4, 3), 9, np.uint8)\n"
        "job = c.submit(z, z[..., 0], concept='deep', operation='add')\n"
        "print('sent', flush=True)\n"
        "print([e.type for e in c.events(job)][-1])\n"
    )
    client = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert client.stdout.readline() == "sent\n"
    client.send_signal(signal.SIGSTOP)
    time.sleep(4)
    client.send_signal(signal.SIGCONT)
    assert client.communicate(timeout=PATIENCE)[0] == "result\n"


def test_a_wall_clock_that_jumps_changes_nothing(home, monkeypatch):
    monkeypatch.setenv("CLOCK_JUMPS", "1")
    engine = EngineProcess("0.5").ready()  # idle minutes: years have passed by the wall clock
    with Client.connect() as client:
        for _ in range(3):
            time.sleep(0.5)
            assert edit(client)[-1].type == "result"
            assert 0 <= client.status()["uptime"] < 600
    assert engine.end() == 0, engine.output


def test_nothing_but_the_runtime_file_looks_at_the_wall_clock():
    """Everything that waits or measures goes by time.monotonic."""
    seen = []
    for source in [*ROOT.glob("ganpaint_engine/**/*.py"), *ROOT.glob("plugins/**/*.py")]:
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                name = f"{node.value.id}.{node.attr}"
                if name in ("time.time", "time.time_ns", "datetime.now", "datetime.utcnow"):
                    seen.append(f"{source.relative_to(ROOT)}: {name}")
    assert [s for s in seen if "/service/" in s or "bridge" in s or "client.py" in s] == [
        "ganpaint_engine/service/lifecycle.py: time.time"  # started_at, for people
    ]


def test_more_strangers_than_open_files(home):
    few = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (60, 60))  # noqa: E731
    engine = EngineProcess(preexec_fn=few).ready()
    try:
        strangers = [connect_tcp() for _ in range(120)]
        time.sleep(1)
        assert engine.process.poll() is None
        for stranger in strangers:
            stranger.close()
        until(answers, "an answer after the strangers have gone")
    finally:
        assert engine.end() == 0, engine.output


def answers():
    try:
        with Client.connect(timeout=2) as client:
            return edit(client)[-1].type == "result"
    except errors.EngineUnreachable:
        return False


# -- systemd -------------------------------------------------------------------------------------


def test_the_unit_file_is_one_that_systemd_takes(tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not on this machine")
    for options in ({}, {"bind": "tcp://0.0.0.0:5555", "curve": True}):
        file = tmp_path / "ganpaint.service"
        file.write_text(unit.text(**options))
        done = subprocess.run(
            ["systemd-analyze", "verify", "--user", "--man=no", str(file)],
            check=False,
            capture_output=True,
            text=True,
            env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
        )
        complaints = [line for line in done.stderr.splitlines() if "ganpaint.service" in line]
        assert done.returncode == 0, done.stderr
        assert complaints == []


def test_the_unit_starts_what_serve_takes(capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["service", "unit", "--bind", "tcp://0.0.0.0:5555", "--curve"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    (line,) = (line for line in text.splitlines() if line.startswith("ExecStart="))
    assert line.endswith("serve --idle-minutes 0 --bind tcp://0.0.0.0:5555 --curve")
    assert sys.executable in line
    with pytest.raises(errors.InsecureBind):
        unit.text(bind="tcp://0.0.0.0:5555")
    assert '"/a b/py%%$$"' in unit._quoted("/a b/py%$")
