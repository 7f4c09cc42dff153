"""A real exchange between a client and an engine, byte for byte, for docs/protocol.md.

The engine's side is the real server on a real socket; the client's side is written out here by
hand, so that the document shows what goes over the wire and not what a library makes of it.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ganpaint_engine.service import protocol, security
from ganpaint_engine.service.jobs import Job, Progress, Result
from ganpaint_engine.service.server import Server, Work

TOKEN = bytes(range(32)).hex()
NONCE = bytes(range(16))
_PATIENCE = 60.0  # seconds
_MORE, _LONG, _COMMAND = 1, 2, 4


@dataclass(frozen=True)
class Piece:
    """Some bytes that one side sent: what they are, and the header if they hold one."""

    who: str  # "client" or "engine"
    what: str
    data: bytes
    header: dict[str, Any] | None = None


def exchange() -> list[Piece]:
    """From the first byte to a result: a photo of 2×1 px, every pixel selected."""
    server = Server(Work({"edit": _edit}, _about), TOKEN, "0.1.0")
    thread = threading.Thread(target=server.run)
    thread.start()
    host, port = server.endpoint.removeprefix("tcp://").split(":")
    try:
        with socket.create_connection((host, int(port)), _PATIENCE) as tcp:
            return list(_talk(_Wire(tcp)))
    finally:
        server.stop()
        thread.join()
        server.end_worker()


def _edit(job: Job, _progress: Progress) -> Result:
    """Two pixels, without news on the way: those depend on the time."""
    patch = {"width": 2, "height": 1, "channels": 4, "dtype": "uint8"}
    fields = {"name": "Add tree", "offset": [0, 0], "patch": patch, "report": {"seed": 0}}
    return Result(fields, [bytes([0, 96, 0, 255, 0, 128, 0, 255])])


def _about() -> dict[str, Any]:
    model = {"name": "churches", "version": "1.0.0", "resolution": 64, "concepts": ["tree"]}
    return {"device": "cpu", "default_model": "churches", "models": [model]}


class _Wire:
    """The client's end: frames as ZMTP has them."""

    def __init__(self, tcp: socket.socket) -> None:
        self._tcp = tcp

    def send(self, data: bytes) -> None:
        self._tcp.sendall(data)

    def take(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = self._tcp.recv(size - len(data))
            if not part:
                raise ConnectionError("the engine closed the connection")
            data += part
        return data

    def frame(self) -> tuple[bytes, bytes, bool]:
        """The next frame: all its bytes, its body, and whether another one belongs to it."""
        flags = self.take(1)
        size = self.take(8 if flags[0] & _LONG else 1)
        body = self.take(int.from_bytes(size, "big"))
        return flags + size + body, body, bool(flags[0] & _MORE)

    def message(self) -> Piece:
        """The next message of the engine."""
        data, body, more = self.frame()
        header = protocol.unpack(body)
        while more:
            part, _, more = self.frame()
            data += part
        return Piece("engine", header["type"], data, header)


def _frame(body: bytes, flags: int = 0) -> bytes:
    if len(body) < 256:
        return bytes([flags, len(body)]) + body
    return struct.pack(">BQ", flags | _LONG, len(body)) + body


def _short(text: bytes) -> bytes:
    return bytes([len(text)]) + text


def _talk(wire: _Wire) -> Iterator[Piece]:
    greeting = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"PLAIN".ljust(20, b"\0") + bytes(32)
    hello = _short(b"HELLO") + _short(security.USERNAME) + _short(security.password(TOKEN))
    kind = _short(b"Socket-Type") + struct.pack(">I", 6) + b"DEALER"
    initiate = _short(b"INITIATE") + kind + _short(b"Identity") + bytes(4)
    yield _sent(wire, "ZMTP greeting: version 3.0, mechanism PLAIN", greeting)
    yield Piece("engine", "ZMTP greeting", wire.take(64))
    yield _sent(wire, "command HELLO: user name and password", _frame(hello, _COMMAND))
    yield Piece("engine", "command WELCOME", wire.frame()[0])
    yield _sent(wire, "command INITIATE: socket type", _frame(initiate, _COMMAND))
    yield Piece("engine", "command READY", wire.frame()[0])
    first = {"type": "HELLO", "protocol": protocol.VERSION, "client": "example", "nonce": NONCE}
    yield _message(wire, first)
    yield wire.message()
    size = {"width": 2, "height": 1}
    submit = {
        "type": "SUBMIT",
        "job_id": "1",
        "op": "edit",
        "params": {"concept": "tree", "operation": "add"},
        "image": {**size, "channels": 3, "dtype": "uint8"},
        "mask": {**size, "dtype": "uint8"},
    }
    yield _message(wire, submit, bytes([200, 0, 0, 100, 0, 0]), bytes([255, 255]))
    news = wire.message()
    while True:  # on a machine that stalls, the engine says some of it twice
        yield news
        if news.what == "RESULT":
            return
        before = news
        while (news := wire.message()) == before:
            pass


def _sent(wire: _Wire, what: str, data: bytes, header: dict[str, Any] | None = None) -> Piece:
    wire.send(data)
    return Piece("client", what, data, header)


def _message(wire: _Wire, header: dict[str, Any], *frames: bytes) -> Piece:
    parts = [protocol.pack(header), *frames]
    data = b"".join(
        _frame(part, _MORE if number < len(parts) else 0) for number, part in enumerate(parts, 1)
    )
    return _sent(wire, header["type"], data, header)
