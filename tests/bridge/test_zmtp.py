import contextlib
import struct
import time

import pytest
import zmq
from ganpaint_bridge.connection import Connection, Lost
from ganpaint_bridge.zmtp import Refused, Zmtp, ZmtpError
from hypothesis import given
from hypothesis import strategies as st

from ganpaint_engine.service import security

GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x01" + b"PLAIN".ljust(20, b"\0") + bytes(32)
WELCOME = b"\x04\x08\x07WELCOME"
READY = b"\x04\x1c\x05READY\x0bSocket-Type\x00\x00\x00\x06ROUTER"
HANDSHAKE = GREETING + WELCOME + READY


def fresh(max_frame=1000):
    return Zmtp(b"user", b"password", max_frame)


def ready(max_frame=1000):
    zmtp = fresh(max_frame)
    zmtp.receive(HANDSHAKE)
    assert zmtp.ready
    zmtp.out.clear()
    return zmtp


def written(zmtp):
    return b"".join(zmtp.out)


def test_what_it_says_during_the_handshake():
    zmtp = fresh()
    assert len(written(zmtp)) == 64
    zmtp.receive(GREETING)
    assert b"\x05HELLO\x04user\x08password" in written(zmtp)
    zmtp.receive(WELCOME)
    assert b"INITIATE" in written(zmtp)
    assert not zmtp.ready
    zmtp.receive(READY)
    assert zmtp.ready


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=5), st.integers(1, 50))
def test_messages_survive_any_splitting(frames, step):
    sender, receiver = ready(), ready()
    sender.send(frames)
    data = HANDSHAKE + written(sender)
    receiver, messages = fresh(), []
    for start in range(0, len(data), step):
        messages += receiver.receive(data[start : start + step])
    assert messages == [frames]


def test_big_frames_are_not_copied():
    zmtp = ready()
    picture = bytearray(100_000)
    zmtp.send([b"header", picture])
    assert any(piece.obj is picture for piece in zmtp.out)


def test_ping_is_answered_with_its_context():
    zmtp = ready()
    assert zmtp.receive(b"\x04\x0a\x04PING\x00\x64abc") == []
    assert written(zmtp) == b"\x04\x08\x04PONGabc"


@pytest.mark.parametrize("error", [b"\x04\x0a\x05ERROR\x03400", b"\x04\x09^RROR\x03400"])
def test_error_is_a_refusal_also_as_libzmq_spells_it(error):
    with pytest.raises(Refused, match="400"):
        fresh().receive(GREETING + error)


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        GREETING.replace(b"\x7f\x03", b"\x7f\x01"),
        GREETING.replace(b"PLAIN", b"CURVE"),
        GREETING.replace(b"PLAIN", b"NULL\0"),
        GREETING + READY,  # a step left out
        GREETING + WELCOME + WELCOME,
        GREETING + b"\x00\x01x",  # a message before the end of the handshake
        GREETING + b"\x06" + struct.pack(">Q", 2**62),  # a huge command
        GREETING + b"\xf8\x01x",  # reserved bits
        GREETING + b"\x04\x00",
        HANDSHAKE.replace(b"ROUTER", b"PUBxxx"),
        GREETING + WELCOME + b"\x04\x0b\x05READY\xffabcd",
        HANDSHAKE + b"\x02" + struct.pack(">Q", 1001),  # over the limit
        HANDSHAKE + b"\x02" + struct.pack(">Q", 2**63),
    ],
)
def test_what_is_no_engine(data):
    with pytest.raises(ZmtpError):
        fresh().receive(data)


@given(st.binary(max_size=300), st.sampled_from([b"", GREETING, GREETING + WELCOME, HANDSHAKE]))
def test_random_bytes_end_in_an_error_or_wait_for_more(data, before):
    with contextlib.suppress(ZmtpError):  # and nothing else may be raised
        fresh().receive(before + data)


# -- against libzmq ------------------------------------------------------------------------------


@pytest.fixture
def pair():
    """libzmq's ROUTER with short heartbeats, and a connection to it."""
    token = security.new_token()
    context = zmq.Context()
    zap = security.ZapHandler(context, token)
    router = context.socket(zmq.ROUTER)
    router.plain_server = True
    router.zap_domain = security.ZAP_DOMAIN
    router.router_mandatory = True
    router.heartbeat_ivl = 50
    router.heartbeat_timeout = 200
    router.rcvtimeo = 10_000
    port = router.bind_to_random_port("tcp://127.0.0.1")
    zmtp = Zmtp(security.USERNAME, security.password(token), 100_000_000)
    connection = Connection("127.0.0.1", port, zmtp)
    try:
        while not connection.ready:
            connection.pump(0.01)
            if zap.socket.poll(0):
                assert zap.answer()
        yield router, connection
    finally:
        connection.close()
        context.destroy(linger=0)


def pump_until(connection, condition):
    messages = []
    deadline = time.monotonic() + 20
    while not condition(messages):
        assert time.monotonic() < deadline
        messages += connection.pump(0.01)
    return messages


@pytest.mark.parametrize("sizes", [(0,), (1, 255, 256), (8191, 8192, 8193), (30_000_000, 5)])
def test_echo_through_libzmq(pair, sizes):
    router, connection = pair
    frames = [bytes([size % 251]) * size for size in sizes]
    connection.send(frames)
    pump_until(connection, lambda _: router.poll(0))
    peer, *received = router.recv_multipart()
    assert received == frames
    router.send_multipart([peer, *received])
    assert pump_until(connection, bool) == [frames]


def test_heartbeats_keep_a_pumped_connection_alive(pair):
    router, connection = pair
    connection.send([b"x"])
    pump_until(connection, lambda _: router.poll(0))
    peer = router.recv_multipart()[0]
    end = time.monotonic() + 1.0  # five times the heartbeat's timeout
    pump_until(connection, lambda _: time.monotonic() > end)
    router.send_multipart([peer, b"still there"])
    assert pump_until(connection, bool) == [[b"still there"]]


def test_a_closed_router_is_a_lost_connection(pair):
    router, connection = pair
    router.close()
    with pytest.raises(Lost):
        pump_until(connection, lambda _: False)
