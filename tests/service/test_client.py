import dataclasses
import os
import signal
import socket

import pytest
from engines import PATIENCE, photo, running, submit, until
from strangers import Stranger, write_runtime

from ganpaint_engine import errors, paths
from ganpaint_engine.client import Client
from ganpaint_engine.service import security


def test_no_runtime_file(home):
    with pytest.raises(errors.EngineUnreachable):
        Client.connect()


def test_the_file_of_a_dead_process(home):
    write_runtime("tcp://127.0.0.1:9", pid=2**22 + 1)
    with pytest.raises(errors.EngineUnreachable):
        Client.connect()


def test_nobody_listens(home):
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # held, so that nobody else can listen there
        write_runtime(f"tcp://127.0.0.1:{bound.getsockname()[1]}")
        with pytest.raises(errors.EngineUnreachable, match="listens"):
            Client.connect(timeout=PATIENCE)


def test_a_listener_that_keeps_silent(home):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        write_runtime(f"tcp://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(errors.EngineUnreachable):
            Client.connect(timeout=0.5)


def test_wrong_token(engine, tmp_path):
    right = security.read_runtime(paths.runtime_file())
    wrong = dataclasses.replace(right, token=security.new_token())
    security.write_runtime(tmp_path / "runtime.json", wrong)
    with pytest.raises(errors.WrongToken):
        Client.connect(tmp_path / "runtime.json", timeout=PATIENCE)


def test_a_stranger_on_a_stale_port_is_recognized(home):
    with Stranger() as stranger:
        write_runtime(f"tcp://127.0.0.1:{stranger.port}")
        with pytest.raises(errors.WrongToken):
            Client.connect()
    assert stranger.heard == ["HELLO"]


def test_an_engine_of_another_major(home):
    token = security.new_token()
    with Stranger("2.0", token) as newer:
        write_runtime(f"tcp://127.0.0.1:{newer.port}", token)
        with pytest.raises(errors.ProtocolMismatch):
            Client.connect()


def test_an_engine_that_dies_during_a_job(own_engine):
    with Client.connect() as client:
        job = submit(client, "slow")
        running(client, job)
        own_engine.process.send_signal(signal.SIGKILL)
        with pytest.raises(errors.EngineUnreachable):
            list(client.events(job, timeout=PATIENCE))
        with pytest.raises(errors.EngineUnreachable):
            client.status()


def test_an_engine_that_is_told_to_leave_cancels_its_jobs(own_engine):
    with Client.connect() as client:
        job = submit(client, "slow")
        running(client, job)
        client.shutdown()
        with pytest.raises(errors.Cancelled):
            list(client.events(job, timeout=PATIENCE))
    assert own_engine.wait() == 0


def test_two_jobs_at_once_get_their_own_events(engine):
    with Client.connect() as client:
        first, second = submit(client, seed=1), submit(client, seed=2)
        late = list(client.events(second, timeout=PATIENCE))[-1]
        early = list(client.events(first, timeout=PATIENCE))[-1]
        assert (early.report["seed"], late.report["seed"]) == (1, 2)
        with pytest.raises(errors.BadRequest):
            next(client.events(first))


def test_silence_ends(engine):
    with Client.connect() as client:
        job = submit(client, "deep")
        until(lambda: client.status()["running"] == job)
        os.kill(engine.process.pid, signal.SIGSTOP)
        try:
            with pytest.raises(errors.EngineUnreachable, match="answer"):
                list(client.events(job, timeout=0.3))
        finally:
            os.kill(engine.process.pid, signal.SIGCONT)


@pytest.mark.parametrize(
    ("image", "mask", "error"),
    [
        (photo()[0].astype(float), photo()[1], errors.BadRequest),
        (photo()[0], photo()[0], errors.BadRequest),
        (photo()[0][..., :2], photo()[1], errors.BadRequest),
        (photo()[0], photo(5, 5)[1], errors.MaskSizeMismatch),
    ],
)
def test_bad_arrays_are_not_sent(engine, image, mask, error):
    with Client.connect() as client:
        with pytest.raises(error):
            client.submit(image, mask, concept="tree", operation="add")
        assert client.status()["running"] is None
