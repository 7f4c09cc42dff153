"""The bridge's Engine against real engine processes."""

import json
import os
import shlex
import signal
import socket
import sys
import time

import numpy as np
import pytest
from bridges import bridge, code_of, pump_for, submit
from engines import SCRIPT, active, edit, is_free, until
from ganpaint_bridge import BridgeError, Event, error_text, event_text, run
from ganpaint_bridge.starting import clean_environment
from strangers import write_runtime

from ganpaint_engine import errors, paths
from ganpaint_engine.client import Client
from ganpaint_engine.service import lifecycle

START = shlex.join([sys.executable, str(SCRIPT)])


# -- with an engine that runs --------------------------------------------------------------------


def test_an_edit(engine):
    client = bridge()
    job = submit(client, seed=3, strength=0.5, quality="preview", model="small")
    seen = []
    result = run(client, job, seen.append)
    assert [event.type for event in seen[:2]] == ["welcome", "queued"]
    assert "progress" in {event.type for event in seen}
    assert result.header["name"] == "Add tree"
    assert result.header["offset"] == [3, 4]
    assert result.header["report"]["seed"] == 3
    assert len(result.frames[0]) == 4 * 3 * 4
    assert client.welcome["models"][0]["concepts"] == ["tree", "slow"]
    assert client.fileno() >= 0
    client.close()


def test_a_4k_picture_from_a_slow_timer(engine):
    pixels = np.random.default_rng(2).integers(0, 256, (2160, 3840, 4), np.uint8)
    client = bridge()
    client.submit(
        concept="tree",
        operation="add",
        image=(pixels.tobytes(), 3840, 2160, 4),
        mask=(b"\xff" * (3840 * 2160), 3840, 2160),
    )
    events = []
    while not any(event.type == "result" for event in events):
        assert all(event.type != "failed" for event in events), events
        time.sleep(0.03)
        events += client.pump()
    patch = np.frombuffer(events[-1].frames[0], np.uint8).reshape(2160, 3840, 4)
    assert np.array_equal(patch[..., :3], pixels[..., :3])
    client.close()


def test_cancel_while_it_runs_and_before_it_was_sent(engine):
    client = bridge()
    never_sent = submit(client)
    client.cancel(never_sent)
    job = submit(client, "slow")
    events = pump_for(client, "progress")
    assert [e.job_id for e in events if e.type == "cancelled"] == [never_sent]
    client.cancel(job)
    client.cancel(job)
    assert pump_for(client, "cancelled")[-1].job_id == job
    client.cancel(job)
    client.cancel("unknown")
    run(client, submit(client))
    client.close()


def test_closing_cancels(engine):
    client = bridge()
    job = submit(client, "slow")
    pump_for(client, "progress")
    client.close()
    with Client.connect() as other:
        until(lambda: is_free(other), "the end of the job")
    assert job


@pytest.mark.parametrize(
    ("concept", "code"), [("unknown", "unknown_concept"), ("boom", "internal")]
)
def test_failures_keep_their_code(engine, concept, code):
    client = bridge()
    assert code_of(client, submit(client, concept)) == code
    run(client, submit(client))  # the connection goes on
    client.close()


def test_a_mask_of_another_size_and_wrong_buffers(engine):
    client = bridge()
    job = client.submit(
        concept="tree", operation="add", image=(bytes(12), 2, 2, 3), mask=(bytes(6), 3, 2)
    )
    assert code_of(client, job) == "mask_size"
    for image, mask in [
        ((bytes(11), 2, 2, 3), (bytes(4), 2, 2)),
        ((bytes(12), 2, 2, 3), (b"", 2, 2)),
    ]:
        with pytest.raises(BridgeError) as caught:
            client.submit(concept="tree", operation="add", image=image, mask=mask)
        assert caught.value.code == "bad_request"
    job = submit(client, "slow", job_id="one")
    with pytest.raises(BridgeError):
        submit(client, job_id="one")
    client.close()


def test_too_large_a_photo_is_not_sent(engine):
    client = bridge()
    pump_for(client, "welcome")
    client.welcome["limits"]["max_pixels"] = 11
    assert code_of(client, submit(client)) == "photo_too_large"
    client.close()


# -- finding and starting ------------------------------------------------------------------------


def test_it_starts_an_engine_and_says_so(home, monkeypatch):
    monkeypatch.setenv("GANPAINT_ENGINE", f"{START} 1")
    client = bridge(start=True)
    seen = []
    result = run(client, submit(client), seen.append)
    assert seen[0].type == "starting"
    assert result.type == "result"
    client.close()
    assert lifecycle.stop()


def test_two_plugins_at_once_start_one_engine(home, monkeypatch):
    monkeypatch.setenv("GANPAINT_ENGINE", f"{START} 1")
    clients = [bridge(start=True) for _ in range(2)]
    done = set()
    for client in clients:
        submit(client)
    while len(done) < 2:
        for client in clients:
            for event in client.pump(0.02):
                assert event.type != "failed", event
                if event.type == "result":
                    done.add(client)
    with Client.connect() as other:
        assert other.status()["active"] == 0
    for client in clients:
        client.close()
    assert lifecycle.stop()


def test_install_json_tells_where_and_how(tmp_path, monkeypatch):
    monkeypatch.delenv("GANPAINT_HOME", raising=False)
    monkeypatch.delenv("GANPAINT_ENGINE", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    command = [sys.executable, str(SCRIPT), "1"]
    install = {"command": command, "runtime_file": str(paths.runtime_file()), "version": "0"}
    assert str(tmp_path) in install["runtime_file"]
    (tmp_path / "install.json").write_text(json.dumps(install))
    client = bridge(start=True, folder=str(tmp_path))
    run(client, submit(client))
    client.close()
    assert lifecycle.stop()


def test_without_leave_to_start_there_is_none(home):
    client = bridge()
    assert code_of(client, submit(client)) == "engine_unreachable"


@pytest.mark.parametrize(
    "command", ["", "/nowhere/python -m ganpaint_engine", f"{sys.executable} -m no_such_module"]
)
def test_no_engine_installed(home, monkeypatch, command):
    monkeypatch.setenv("PATH", str(home))
    monkeypatch.setenv("GANPAINT_ENGINE", command)
    client = bridge(start=True)
    assert code_of(client, submit(client)) == "engine_missing"
    # once it is there, the same Engine finds it
    monkeypatch.setenv("GANPAINT_ENGINE", f"{START} 1")
    if command == "":
        run(client, submit(client))
        assert lifecycle.stop()
    client.close()


def test_without_install_json_and_home(tmp_path, monkeypatch):
    for name in ("GANPAINT_HOME", "GANPAINT_ENGINE", "XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HOME", "PATH"):
        monkeypatch.setenv(name, str(tmp_path))
    client = bridge(start=True, folder=str(tmp_path))
    assert code_of(client, submit(client)) == "engine_missing"


def test_a_command_that_fails_is_quoted(home, monkeypatch):
    code = "import sys; sys.exit('the disk is full')"
    monkeypatch.setenv("GANPAINT_ENGINE", shlex.join([sys.executable, "-c", code]))
    client = bridge(start=True)
    with pytest.raises(BridgeError, match="the disk is full") as caught:
        run(client, submit(client))
    assert caught.value.code == "engine_unreachable"


def test_a_stale_file_leads_to_a_start(home, monkeypatch):
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        write_runtime(f"tcp://127.0.0.1:{bound.getsockname()[1]}")  # this process lives
        monkeypatch.setenv("GANPAINT_ENGINE", f"{START} 1")
        client = bridge(start=True)
        run(client, submit(client))
        client.close()
    assert lifecycle.stop()


def test_a_file_that_others_can_reach_is_not_trusted(engine):
    path = paths.runtime_file()
    path.chmod(0o644)
    try:
        client = bridge()
        assert code_of(client, submit(client)) == "engine_unreachable"
    finally:
        path.chmod(0o600)


def test_the_hosts_python_settings_do_not_reach_the_engine():
    host = {
        "PYTHONHOME": "/app/usr",
        "PYTHONPATH": "/app/usr/lib",
        "APPDIR": "/app",
        "LD_LIBRARY_PATH": "/app/usr/lib",
        "PATH": "/app/usr/bin:/usr/bin",
        "HOME": "/home/x",
    }
    clean = clean_environment(dict(host))
    assert clean == {"APPDIR": "/app", "PATH": "/usr/bin", "HOME": "/home/x"}
    assert clean_environment({"LD_LIBRARY_PATH": "/cuda"}) == {"LD_LIBRARY_PATH": "/cuda"}


# -- engines that go -----------------------------------------------------------------------------


def test_an_engine_that_dies_fails_the_job_and_is_started_again(own_engine, monkeypatch):
    monkeypatch.setenv("GANPAINT_ENGINE", f"{START} 1")
    client = bridge(start=True)
    job = submit(client, "slow")
    pump_for(client, "progress")
    own_engine.process.send_signal(signal.SIGKILL)
    own_engine.wait()
    assert code_of(client, job) == "engine_unreachable"
    assert client.pump(0.05) == []  # it waits to be asked
    run(client, submit(client))
    client.close()
    assert lifecycle.stop()


def test_an_engine_that_leaves_while_idle_is_no_error(own_engine, monkeypatch):
    monkeypatch.setenv("GANPAINT_ENGINE", f"{START} 1")
    client = bridge(start=True)
    run(client, submit(client))
    assert own_engine.end() == 0
    assert [event.type for event in pump_for(client, "asleep")] == ["asleep"]
    for _ in range(10):
        assert client.pump(0.02) == []
    assert lifecycle.running() is None  # looking does not start it
    run(client, submit(client))
    client.close()
    assert lifecycle.stop()


# -- texts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", sorted(errors.BY_CODE))
def test_every_code_has_a_text(code):
    text = error_text(BridgeError(code, "It went wrong."))
    assert text.startswith("It went wrong.")


def test_event_texts():
    assert event_text(Event("starting")) == "Starting the engine…"
    assert (
        event_text(Event("queued", "j", header={"position": 2})) == "Waiting for 2 earlier edits…"
    )
    assert event_text(Event("queued", "j", header={"position": 1})) == "Waiting for 1 earlier edit…"
    assert event_text(Event("progress", "j", 0.5, "adapt to photo")) == "Adapting to the photo…"
    assert event_text(Event("failed", error=BridgeError("queue_full", "Full."))) == "Full."
    assert event_text(Event("result", "j")) == "Done"


def test_the_python_client_and_the_bridge_share_an_engine(engine):
    client = bridge()
    job = submit(client, "slow")
    pump_for(client, "progress")
    with Client.connect() as other:
        active(other)
        client.cancel(job)
        pump_for(client, "cancelled")
        assert edit(other)[-1].type == "result"
    client.close()
    assert os.path.exists(paths.runtime_file())
