"""One engine process for all of these tests; after each it must answer the next request."""

import signal
import socket
import struct
import subprocess
import sys

import numpy as np
import pytest
from engines import (
    PATIENCE,
    Raw,
    active,
    connect_tcp,
    edit,
    is_free,
    photo,
    request,
    running,
    submit,
    until,
)
from ganpaint_bridge.connection import Connection, Lost
from ganpaint_bridge.zmtp import Zmtp

from ganpaint_engine import errors
from ganpaint_engine.client import Client
from ganpaint_engine.service import protocol, security

FRAMES = bytes(24), bytes(8)


@pytest.fixture
def client(engine):
    with Client.connect(name="test") as client:
        yield client


def test_welcome(client):
    assert client.welcome["protocol"] == protocol.VERSION
    assert client.welcome["limits"]["max_pixels"] == 100_000_000
    assert client.welcome["default_model"] == "small"
    assert client.welcome["models"][0]["concepts"] == ["tree", "slow"]
    assert client.welcome["limits"] == protocol.LIMITS
    assert client.welcome["capabilities"] == list(protocol.CAPABILITIES)


def test_an_edit_from_queue_to_result(client):
    image, mask = photo(13, 7, 4)
    job = client.submit(image, mask, concept="tree", operation="add", seed=5)
    events = list(client.events(job, timeout=PATIENCE))
    kinds = [event.type for event in events]
    assert kinds[0] == "queued"
    assert kinds[-1] == "result"
    assert {"step 0", "step 3"} <= {event.stage for event in events}
    fractions = [event.fraction for event in events if event.type == "progress"]
    assert fractions == sorted(fractions)
    result = events[-1]
    assert result.name == "Add tree"
    assert result.offset == (3, 4)
    assert result.report["seed"] == 5
    assert np.array_equal(result.patch[..., :3], image[..., :3])


def test_a_running_job_stops(client):
    job = submit(client, "slow")
    running(client, job)
    client.cancel(job)
    client.cancel(job)
    with pytest.raises(errors.Cancelled):
        list(client.events(job, timeout=PATIENCE))
    client.cancel(job)  # of a job that is no more: nothing happens
    client.cancel("never heard of")
    assert client.status()["running"] is None


def test_a_waiting_job_is_cancelled_while_another_runs(client):
    slow, waiting = submit(client, "slow"), submit(client)
    client.cancel(waiting)
    with pytest.raises(errors.Cancelled):
        list(client.events(waiting, timeout=PATIENCE))
    assert client.status()["running"] == slow
    client.cancel(slow)


def test_cancel_reaches_no_other_clients_job(client):
    job = submit(client, "slow", job_id="same")
    running(client, job)
    with Client.connect() as other:
        other.cancel("same")
        mine = submit(other, job_id="same")
        other.cancel("same")
        with pytest.raises(errors.Cancelled):
            list(other.events(mine, timeout=PATIENCE))
        assert other.status()["running"] is None  # nor is it named to others
    assert client.status()["running"] == "same"
    client.cancel(job)


def test_status_is_answered_during_work(client):
    job = submit(client, "slow")
    until(lambda: client.status()["stage"] == "slowly")
    status = client.status()
    assert status["running"] == job
    assert status["device"] == "cpu"
    client.cancel(job)


def test_closing_the_client_cancels_its_jobs(client):
    with Client.connect() as other:
        job = submit(other, "slow")
        submit(other, "slow")
        running(other, job)
    until(lambda: is_free(client), "the end of the jobs")


def test_killing_the_clients_process_cancels_its_job(client):
    code = (
        "import time, numpy as np; from ganpaint_engine.client import Client\n"
        "c = Client.connect(); z = np.zeros((2, 2, 3), np.uint8)\n"
        "c.submit(z, z[..., 0], concept='slow', operation='add', job_id='doomed')\n"
        "time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    active(client)
    process.send_signal(signal.SIGKILL)
    process.wait()
    until(lambda: is_free(client), "the end of the job")


def test_a_client_lost_during_a_step_without_progress(client):
    with Client.connect() as other:
        running(other, submit(other, "deep"))
    job = submit(client)
    assert list(client.events(job, timeout=PATIENCE))[-1].type == "result"


def test_a_duplicate_live_id_fails_and_the_first_goes_on(engine):
    with Raw() as raw:
        slow = {"concept": "slow", "operation": "add"}
        raw.send(request("twice", params=slow), *FRAMES)
        assert raw.receive()["type"] == "QUEUED"
        raw.send(request("twice"), *FRAMES)
        while (answer := raw.receive())["type"] != "FAILED":
            assert answer["type"] in ("QUEUED", "PROGRESS")
        assert (answer["job_id"], answer["code"]) == ("twice", "bad_request")
        while raw.receive()["type"] != "PROGRESS":
            pass


def test_a_client_that_fills_its_share_is_told_so_and_others_are_served(client):
    jobs = [submit(client, "slow") for _ in range(protocol.MAX_CLIENT_JOBS)]
    with pytest.raises(errors.QueueFull) as caught:
        edit(client)
    assert caught.value.detail["max_jobs"] == protocol.MAX_CLIENT_JOBS
    with Client.connect() as other:
        assert edit(other, quality="preview")[-1].type == "result"
    for job in jobs:
        client.cancel(job)


@pytest.mark.parametrize(
    ("concept", "error"),
    [
        ("boom", errors.InternalError),
        ("memory", errors.OutOfMemory),
        ("exit", errors.InternalError),
        ("unknown", errors.UnknownConcept),
    ],
)
def test_failures_keep_their_code(client, concept, error):
    with pytest.raises(error) as caught:
        edit(client, concept)
    assert caught.value.message


# -- hostile input -------------------------------------------------------------------------------


def test_nothing_but_hello_before_hello(engine):
    for kind in sorted(protocol.CLIENT_TYPES - {"HELLO", "SUBMIT"}):
        with Raw(greet=False) as raw:
            raw.send({"type": kind, "job_id": "x"})
            answer = raw.receive()
            assert (answer["type"], answer["code"]) == ("ERROR", "bad_request")
    with Raw(greet=False) as raw:
        raw.send(request(), *FRAMES)
        answer = raw.receive()
        assert (answer["type"], answer["code"]) == ("FAILED", "bad_request")


def test_another_major_is_told_so(engine):
    with Raw(greet=False) as raw:
        raw.send({"type": "HELLO", "protocol": "2.0", "nonce": bytes(16)})
        answer = raw.receive()
        assert (answer["type"], answer["code"]) == ("ERROR", "protocol_mismatch")
        raw.send({"type": "STATUS"})
        assert raw.receive()["code"] == "bad_request"  # it is not let in


@pytest.mark.parametrize("nonce", [b"", bytes(15), bytes(65), "text", None])
def test_a_bad_nonce(engine, nonce):
    with Raw(greet=False) as raw:
        raw.send({"type": "HELLO", "protocol": "1.0", "nonce": nonce})
        assert raw.receive()["code"] == "bad_request"


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"\xc1",
        b"hello",
        bytes(1000),
        protocol.pack({"no": "type"}),
        protocol.pack({"type": 7}),
        protocol.pack({"type": "WELCOME"}),
        b"\x93\x01\x02\x03",
        b"\xdf\xff\xff\xff\xff",  # a map of 4 G entries
        b"\xdb\xff\xff\xff\xff",  # a string of 4 GB
        b"\x81" * 5000,  # nested maps
        b"\x91" * 60_000,  # nested lists
        b"x" * 200_000,
    ],
)
def test_bad_headers(engine, header):
    with Raw() as raw:
        raw.send(header, b"frame")
        answer = raw.receive()
        assert (answer["type"], answer["code"]) == ("ERROR", "bad_request")


@pytest.mark.parametrize(
    ("header", "frames", "code"),
    [
        (request(), (), "bad_request"),
        (request(), FRAMES[:1], "bad_request"),
        (request(), (*FRAMES, b""), "bad_request"),
        (request(), (bytes(25), bytes(8)), "bad_request"),
        (request(), (bytes(8), bytes(24)), "bad_request"),
        (request(width=10**6, height=10**6), FRAMES, "photo_too_large"),
        (request(width=2**40), FRAMES, "bad_request"),
        (request(mask={"width": 8, "height": 1, "dtype": "uint8"}), FRAMES, "mask_size"),
        (request(op="__import__"), FRAMES, "bad_request"),
        (request(job_id="x" * 10_000), FRAMES, "bad_request"),
    ],
)
def test_bad_submits(engine, header, frames, code):
    with Raw() as raw:
        raw.send(header, *frames)
        answer = raw.receive()
        assert (answer["type"], answer["code"]) == ("FAILED", code)
        raw.send({"type": "STATUS"})
        assert raw.receive()["type"] == "STATUS_REPLY"


def test_wrong_token_never_reaches_the_server(engine):
    with Raw(greet=False, password=b"0" * 64) as raw:
        raw.socket.rcvtimeo = 300
        raw.send({"type": "HELLO", "protocol": "1.0", "nonce": bytes(16)})
        with pytest.raises(Exception, match="temporarily unavailable"):
            raw.receive()


def test_random_bytes_on_the_port(engine):
    generator = np.random.default_rng(7)
    for _ in range(20):
        with connect_tcp() as tcp:
            tcp.sendall(generator.bytes(int(generator.integers(1, 5000))))
    with connect_tcp() as tcp:
        tcp.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")


def test_an_unidentified_peer_that_announces_a_huge_frame(engine):
    greeting = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"PLAIN".ljust(20, b"\0") + bytes(32)
    for size in (2**62, 2**31, protocol.MAX_FRAME):
        with connect_tcp() as tcp:
            tcp.sendall(greeting + struct.pack(">BQ", 6, size) + b"x" * 1000)


def test_an_identified_peer_that_announces_a_huge_frame_is_cut_off(engine):
    runtime = engine.runtime()
    zmtp = Zmtp(security.USERNAME, security.password(runtime.token), 1000)
    connection = Connection("127.0.0.1", int(runtime.endpoint.rpartition(":")[2]), zmtp)
    until(lambda: connection.pump(0.01) or connection.ready, "the handshake")
    zmtp.out.append(memoryview(struct.pack(">BQ", 2, protocol.MAX_FRAME + 1)))
    with pytest.raises(Lost):
        until(lambda: connection.pump(0.01), "the end of the connection")
    connection.close()


def test_a_connection_cut_in_the_middle_of_a_picture(engine):
    with Raw() as raw:
        image = {"width": 4000, "height": 3000, "channels": 4, "dtype": "uint8"}
        mask = {"width": 4000, "height": 3000, "dtype": "uint8"}
        raw.send(request(image=image, mask=mask), bytes(48_000_000), bytes(12_000_000))


def test_hundred_silent_connections(engine):
    silent = [connect_tcp() for _ in range(100)]
    with Client.connect() as client:
        assert edit(client)[-1].type == "result"
    for tcp in silent:
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        tcp.close()


def test_a_client_that_never_reads_holds_nobody_up(client, engine):
    with Raw() as raw:
        for _ in range(20_000):  # more answers than all buffers on the way take
            raw.send({"type": "STATUS"})
        assert client.status()["pid"] == engine.process.pid
