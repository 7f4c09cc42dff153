"""Those who only pretend to be an engine, and engines that speak nonsense."""

import json
import socket
import threading

import pytest
from bridges import bridge, code_of, submit
from ganpaint_bridge import run
from strangers import Stranger, write_runtime

from ganpaint_engine import paths
from ganpaint_engine.service import protocol, security


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
    header = {"type": "RESULT", "job_id": "j", "name": "x", "offset": [0, 0], "report": {}}
    header["patch"] = {"width": 1, "height": 1, "channels": 4, "dtype": "uint8"}
    unknown = {"type": "FROM_THE_FUTURE", "job_id": "j"}
    answers = [[protocol.pack(unknown)], [protocol.pack({**header, **changes}), bytes(4)]]
    token = security.new_token()
    with Babbler(token, answers) as babbler:
        write_runtime(f"tcp://127.0.0.1:{babbler.port}", token)
        client = bridge()
        assert code_of(client, submit(client, job_id="j")) == "engine_unreachable"


@pytest.mark.parametrize(
    "news",
    [
        {"type": "QUEUED", "position": "1"},
        {"type": "PROGRESS", "fraction": 0.5, "stage": "encode", "warnings": 5},
    ],
)
def test_news_that_a_plugin_could_not_show(home, news):
    token = security.new_token()
    with Babbler(token, [[protocol.pack({**news, "job_id": "j"})]]) as babbler:
        write_runtime(f"tcp://127.0.0.1:{babbler.port}", token)
        client = bridge()
        assert code_of(client, submit(client, job_id="j")) == "engine_unreachable"
