"""The bridge's Engine against real engine processes, and against those who only pretend."""

import json
import os
import shlex
import signal
import socket
import sys
import threading
import time

import numpy as np
import pytest
from engines import PATIENCE, SCRIPT, edit, is_free, running, until
from ganpaint_bridge import BridgeError, Engine, Event, error_text, event_text, run
from ganpaint_bridge.locate import clean_environment
from test_client import Stranger, write_runtime

from ganpaint_engine import errors, paths
from ganpaint_engine.client import Client
from ganpaint_engine.service import lifecycle, security

START = shlex.join([sys.executable, str(SCRIPT)])


def bridge(start=False, **options):
    return Engine("test", start=start, **options)


def submit(engine, concept="tree", width=4, height=3, channels=3, **options):
    pixels = bytes(i % 256 for i in range(width * height * channels))
    return engine.submit(
        concept=concept,
        operation="add",
        image=(pixels, width, height, channels),
        mask=(b"\xff" * (width * height), width, height),
        **options,
    )


def pump_for(engine, wanted):
    """Pump until an event of type ``wanted``; all events so far."""
    events = []
    deadline = time.monotonic() + PATIENCE
    while not any(event.type == wanted for event in events):
        assert time.monotonic() < deadline, events
        events += engine.pump(0.05)
    return events


def code_of(engine, job):
    """The code with which a job fails."""
    (error,) = (e.error for e in pump_for(engine, "failed") if e.job_id == job and e.error)
    assert error.message
    assert error.code in errors.BY_CODE
    return error.code


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
        assert other.status()["running"] is None
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
    monkeypatch.delenv("GANPAINT_HOME", raising=False)
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
    for _ in range(10):
        assert client.pump(0.02) == []
    assert lifecycle.running() is None  # looking does not start it
    run(client, submit(client))
    client.close()
    assert lifecycle.stop()


# -- those who only pretend ----------------------------------------------------------------------


def test_wrong_token(engine):
    path = paths.runtime_file()
    right = path.read_bytes()
    write_runtime(json.loads(right)["endpoint"])
    try:
        client = bridge()
        assert code_of(client, submit(client)) == "wrong_token"
    finally:
        path.write_bytes(right)
    run(client, submit(client))
    client.close()


def test_a_stranger_on_a_stale_port_is_sent_no_picture(home):
    with Stranger() as stranger:
        write_runtime(f"tcp://127.0.0.1:{stranger.port}")
        client = bridge()
        assert code_of(client, submit(client)) == "wrong_token"
    assert stranger.heard == ["HELLO"]


def test_an_engine_of_another_major(home):
    token = security.new_token()
    with Stranger("2.0", token) as newer:
        write_runtime(f"tcp://127.0.0.1:{newer.port}", token)
        client = bridge()
        assert code_of(client, submit(client)) == "protocol_mismatch"
    assert newer.heard == ["HELLO"]


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 200 OK\r\n\r\n", b"\xff" * 100, bytes(64), b"\xff" + bytes(63)]
)
def test_other_programs_on_the_port(home, answer):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            peer, _ = server.accept()
            with peer:
                peer.sendall(answer)
                peer.shutdown(socket.SHUT_WR)
                peer.recv(1000)

        thread = threading.Thread(target=serve)
        thread.start()
        write_runtime(f"tcp://127.0.0.1:{server.getsockname()[1]}")
        client = bridge()
        assert code_of(client, submit(client)) == "engine_unreachable"
        client.close()
        thread.join()


def test_a_port_that_keeps_silent_ends_in_bounded_time(home, monkeypatch):
    monkeypatch.setattr("ganpaint_bridge.engine._ANSWER_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        write_runtime(f"tcp://127.0.0.1:{silent.getsockname()[1]}")
        client = bridge()
        assert code_of(client, submit(client)) == "engine_unreachable"


class Babbler(Stranger):
    """Knows the token, and then says ``answers``."""

    def __init__(self, token, answers):
        super().__init__("1.0", token)
        self.answers = answers

    def run(self):
        router = self.router

        class Router:
            poll, recv_multipart = router.poll, router.recv_multipart

            def send_multipart(self, parts, answers=self.answers):
                router.send_multipart(parts)
                for answer in answers:
                    router.send_multipart([parts[0], *answer])

        self.router = Router()
        super().run()


@pytest.mark.parametrize(
    "answer",
    [
        [b""],
        [b"\xc1"],
        [b"\x01"],
        [b"\x80"],
        [b"\xdf\xff\xff\xff\xff"],
        [security.USERNAME],
    ],
)
def test_babble_from_the_engine(home, answer):
    token = security.new_token()
    with Babbler(token, [answer]) as babbler:
        write_runtime(f"tcp://127.0.0.1:{babbler.port}", token)
        client = bridge()
        assert code_of(client, submit(client, job_id="j")) == "engine_unreachable"


@pytest.mark.parametrize(
    "changes",
    [
        {"patch": {"width": 2, "height": 2}},
        {"patch": {}},
        {"patch": None},
        {"offset": [1]},
        {"offset": None},
    ],
)
def test_a_result_that_does_not_fit(home, changes):
    from ganpaint_engine.service import protocol

    header = {"type": "RESULT", "job_id": "j", "name": "x", "offset": [0, 0], "report": {}}
    header["patch"] = {"width": 1, "height": 1, "channels": 4, "dtype": "uint8"}
    unknown = {"type": "FROM_THE_FUTURE", "job_id": "j"}
    answers = [[protocol.pack(unknown)], [protocol.pack({**header, **changes}), bytes(4)]]
    token = security.new_token()
    with Babbler(token, answers) as babbler:
        write_runtime(f"tcp://127.0.0.1:{babbler.port}", token)
        client = bridge()
        assert code_of(client, submit(client, job_id="j")) == "engine_unreachable"


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
    assert event_text(Event("progress", "j", 0.5, "adapt to photo")) == "Adapt to photo…"
    assert event_text(Event("failed", error=BridgeError("busy", "Full."))) == "Full."
    assert event_text(Event("result", "j")) == "Done"


def test_the_python_client_and_the_bridge_share_an_engine(engine):
    client = bridge()
    job = submit(client, "slow")
    pump_for(client, "progress")
    with Client.connect() as other:
        running(other, job)
        client.cancel(job)
        pump_for(client, "cancelled")
        assert edit(other)[-1].type == "result"
    client.close()
    assert os.path.exists(paths.runtime_file())
