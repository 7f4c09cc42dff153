"""ZMTP 3.0, the side of a DEALER that identifies itself with PLAIN; https://rfc.zeromq.org/spec/23/

No input or output happens here: bytes that came from the peer go into :meth:`Zmtp.receive`, bytes
to send wait in :attr:`Zmtp.out`. It is spoken to libzmq's ROUTER.
"""

from __future__ import annotations

import struct
from collections import deque
from typing import Deque, Dict, List, Optional, Sequence, Tuple

MORE, LONG, COMMAND = 1, 2, 4
_HANDSHAKE_FRAME = 64 * 1024  # nobody who has not identified himself may send more
_GREETING_SIZE = 64
_SMALL = 8192  # shorter pieces are copied together, so that one send carries them


class ZmtpError(Exception):
    """The peer does not speak ZMTP 3 as agreed."""


class Refused(ZmtpError):
    """The peer sent ERROR during the handshake: it does not take this user name and password."""


def _short(text: bytes) -> bytes:
    return bytes([len(text)]) + text


def _command(name: bytes, body: bytes = b"") -> bytes:
    content = _short(name) + body
    if len(content) < 256:
        return bytes([COMMAND]) + _short(content)
    return struct.pack(">BQ", COMMAND | LONG, len(content)) + content


def _properties(**items: bytes) -> bytes:
    return b"".join(
        _short(name.replace("_", "-").encode()) + struct.pack(">I", len(value)) + value
        for name, value in items.items()
    )


class Zmtp:
    """State of one connection. ``max_frame`` bounds what the peer may make us keep, in bytes."""

    def __init__(self, username: bytes, password: bytes, max_frame: int) -> None:
        self.ready = False
        self.out: Deque[memoryview] = deque()
        self._max_frame = max_frame
        self._buffer = bytearray()
        self._parts: List[bytes] = []
        self._expected = b"greeting"
        self._hello = _command(b"HELLO", _short(username) + _short(password))
        self._write(b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"PLAIN".ljust(20, b"\0") + bytes(32))

    def send(self, frames: Sequence[bytes]) -> None:
        """Queue one message. Only after ``ready``; big frames are not copied."""
        last = len(frames) - 1
        for index, frame in enumerate(frames):
            flags = MORE if index < last else 0
            size = len(frame)
            short = size < 256
            head = bytes([flags, size]) if short else struct.pack(">BQ", flags | LONG, size)
            if size < _SMALL:
                self._write(head + bytes(frame))
            else:
                self._write(head)
                self.out.append(memoryview(frame).cast("B"))

    def receive(self, data: bytes) -> List[List[bytes]]:
        """Take bytes from the peer; return the messages that are now complete.

        Raises ZmtpError, after which the connection is of no more use.
        """
        self._buffer += data
        if self._expected == b"greeting" and not self._take_greeting():
            return []
        messages = []
        while True:
            frame = self._take_frame()
            if frame is None:
                return messages
            flags, body = frame
            if flags & COMMAND:
                self._take_command(body)
            elif not self.ready:
                raise ZmtpError("a message before the handshake was over")
            else:
                self._parts.append(body)
                if not flags & MORE:
                    messages.append(self._parts)
                    self._parts = []

    def _write(self, data: bytes) -> None:
        self.out.append(memoryview(data))

    def _take_greeting(self) -> bool:
        buffer = self._buffer
        if buffer and buffer[0] != 0xFF:
            raise ZmtpError("whoever listens there is not a ZeroMQ peer")
        if len(buffer) < _GREETING_SIZE:
            return False
        if buffer[9] != 0x7F or buffer[10] < 3:
            raise ZmtpError("the peer speaks a ZMTP older than 3.0")
        if bytes(buffer[12:32]).rstrip(b"\0") != b"PLAIN":
            raise ZmtpError("the peer does not ask for PLAIN")
        del buffer[:_GREETING_SIZE]
        self._write(self._hello)
        self._expected = b"WELCOME"
        return True

    def _take_frame(self) -> Optional[Tuple[int, bytes]]:
        """(flags, body) of the next whole frame, or None."""
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        flags = buffer[0]
        if flags & ~(MORE | LONG | COMMAND):
            raise ZmtpError("reserved flag bits are set")
        head = 9 if flags & LONG else 2
        if len(buffer) < head:
            return None
        size = struct.unpack(">Q", buffer[1:9])[0] if flags & LONG else buffer[1]
        if size > (self._max_frame if self.ready else _HANDSHAKE_FRAME):
            raise ZmtpError("the peer announced a frame of {} bytes".format(size))
        if len(buffer) < head + size:
            return None
        with memoryview(buffer) as view:
            body = bytes(view[head : head + size])
        del buffer[: head + size]
        return flags, body

    def _take_command(self, body: bytes) -> None:
        # libzmq 4.3 writes its "\x05ERROR" as a C string, in which \x05E is one character: "^RROR".
        if body.startswith(b"^RROR"):
            body = b"\x05E" + body[1:]
        size = body[0] if body else 0
        name, rest = body[1 : 1 + size], body[1 + size :]
        if name == b"ERROR":
            raise Refused(rest[1:].decode("ascii", "replace"))
        if name == b"PING" and self.ready:
            self._write(_command(b"PONG", rest[2:]))  # the first two bytes are a time to live
        elif name == self._expected == b"WELCOME":
            self._write(_command(b"INITIATE", _properties(Socket_Type=b"DEALER", Identity=b"")))
            self._expected = b"READY"
        elif name == self._expected == b"READY":
            if _parse_properties(rest).get(b"socket-type") != b"ROUTER":
                raise ZmtpError("the peer is not a ROUTER")
            self.ready = True
            self._expected = b""
        elif not self.ready:
            raise ZmtpError("unexpected command during the handshake")


def _parse_properties(data: bytes) -> Dict[bytes, bytes]:
    result = {}
    at = 0
    while at < len(data):
        name_end = at + 1 + data[at]
        if name_end + 4 > len(data):
            raise ZmtpError("malformed properties")
        (size,) = struct.unpack(">I", data[name_end : name_end + 4])
        result[data[at + 1 : name_end].lower()] = data[name_end + 4 : name_end + 4 + size]
        at = name_end + 4 + size
    return result
