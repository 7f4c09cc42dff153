"""How much one client may send, and in what pieces."""

import pytest
from engines import Raw, request

from ganpaint_engine import errors
from ganpaint_engine.service import limits, security


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(limits.time, "monotonic", lambda: now[0])
    return now


def test_a_burst_and_then_the_rate(clock):
    rate = limits.MessageRate(per_second=10, burst=5)
    assert [rate.admits(b"a") for _ in range(6)] == [True] * 5 + [False]
    assert rate.admits(b"b")  # another client is not slowed down
    clock[0] += 0.2
    assert [rate.admits(b"a") for _ in range(3)] == [True, True, False]
    clock[0] += 3600
    assert [rate.admits(b"a") for _ in range(6)] == [True] * 5 + [False]  # no more saved up


def test_one_complaint_a_second(clock):
    rate = limits.MessageRate(per_second=1, burst=1)
    assert rate.admits(b"a")
    assert not rate.admits(b"a")
    assert [rate.may_complain(b"a") for _ in range(3)] == [True, False, False]
    clock[0] += 1
    assert rate.may_complain(b"a")


def test_a_forgotten_client_starts_anew_and_strangers_take_no_memory(clock):
    rate = limits.MessageRate(per_second=1, burst=1)
    assert rate.admits(b"a")
    rate.forget(b"a")
    assert rate.admits(b"a")
    for number in range(3 * limits._MAX_CLIENTS):
        rate.admits(str(number).encode())
    assert len(rate._buckets) <= limits._MAX_CLIENTS


def test_a_flood_is_told_once_a_second_and_its_submits_always(engine):
    with Raw() as flood, Raw() as other:
        for _ in range(6000):
            flood.send({"type": "STATUS"})
        flood.send(request("late"), bytes(24), bytes(8))
        flood.send({"type": "CANCEL", "job_id": "late"})  # always taken
        other.send({"type": "STATUS"})
        assert other.receive()["type"] == "STATUS_REPLY"
        answers = []
        while not answers or answers[-1]["type"] not in ("FAILED", "RESULT", "CANCELLED"):
            answers.append(flood.receive())
    complaints = [a for a in answers if a["type"] == "ERROR"]
    assert {a["code"] for a in complaints} == {"rate_limited"}
    assert len(complaints) < 20
    assert len(answers) < 6000


def test_a_message_of_many_frames_is_cut_short_and_refused(engine):
    with Raw() as raw:
        raw.send(request(), *[b"x"] * 50_000)
        answer = raw.receive()
        assert (answer["type"], answer["code"]) == ("FAILED", "bad_request")


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("tcp://127.0.0.1:*", True),
        ("tcp://127.0.0.1:5555", True),
        ("tcp://127.3.2.1:1", True),
        ("tcp://[::1]:5555", True),
        ("tcp://0.0.0.0:5555", False),
        ("tcp://[::]:5555", False),
        ("tcp://*:5555", False),
        ("tcp://192.168.1.7:5555", False),
        ("tcp://eth0:5555", False),
        ("tcp://localhost:5555", False),
    ],
)
def test_what_is_loopback(endpoint, expected):
    assert security.is_loopback(endpoint) is expected
    if not expected:
        with pytest.raises(errors.InsecureBind, match="--curve"):
            security.Door(endpoint)
    assert security.Door(endpoint, secret=bytes(32)).is_remote


@pytest.mark.parametrize(
    "endpoint", ["", "tcp://", "ipc:///tmp/x", "127.0.0.1:5", "tcp://127.0.0.1:x", "tcp://a:70000"]
)
def test_what_is_no_endpoint(endpoint):
    with pytest.raises(errors.BadRequest):
        security.Door(endpoint)
