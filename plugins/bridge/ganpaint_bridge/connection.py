"""A non-blocking TCP connection to the engine: moves bytes between a socket and :class:`Zmtp`."""

from __future__ import annotations

import errno
import selectors
import socket
import time
from typing import List, Optional, Sequence

from .words import _
from .zmtp import Zmtp

_CHUNK = 1 << 20
_BUFFER = 4 << 20  # a large picture then needs few turns of the host's timer
# While a picture is on its way, one call of pump may take this long: short enough for a smooth
# user interface, long enough that the engine's side drains its buffer in between.
_TRANSFER_SLICE = 0.02
_TRANSFER_WAIT = 0.002
_IN_PROGRESS = {0, errno.EINPROGRESS, errno.EWOULDBLOCK, getattr(errno, "WSAEWOULDBLOCK", 0)}


class Lost(Exception):
    """There is no connection (any more)."""


class Connection:
    """One attempt to talk to ``host:port``. Every failure is raised as Lost or ZmtpError."""

    def __init__(self, host: str, port: int, zmtp: Zmtp) -> None:
        self._zmtp = zmtp
        self._connecting = True
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        self._selector = selectors.DefaultSelector()  # unlike select(), no limit on file numbers
        self._selector.register(self._socket, selectors.EVENT_WRITE)
        code = self._socket.connect_ex((host, port))
        if code not in _IN_PROGRESS:
            self.close()
            raise Lost(errno.errorcode.get(code, str(code)))

    @property
    def ready(self) -> bool:
        """Whether the handshake is over and messages may be sent."""
        return self._zmtp.ready

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, frames: Sequence[bytes]) -> None:
        """Queue one message; the following calls of pump send it."""
        self._zmtp.send(frames)

    def pump(self, timeout: float) -> List[List[bytes]]:
        """Send and receive what is possible; wait up to ``timeout`` seconds for a message."""
        now = time.monotonic()
        deadline, slice_end = now + timeout, now + max(timeout, _TRANSFER_SLICE)
        while True:
            wait = max(0.0, deadline - now)
            if self._zmtp.out and not self._connecting:
                wait = max(wait, _TRANSFER_WAIT)
            moved = self._turn(wait)
            if moved is None:
                return []
            if moved:
                return moved
            now = time.monotonic()
            if now >= slice_end:
                return []

    def close(self) -> None:
        self._selector.close()
        self._socket.close()

    def _turn(self, wait: float) -> Optional[List[List[bytes]]]:
        """One wait: None when nothing could move, else the messages that became complete."""
        writing = self._connecting or bool(self._zmtp.out)
        interest = selectors.EVENT_READ | (selectors.EVENT_WRITE if writing else 0)
        self._selector.modify(self._socket, interest)
        ready = 0
        for _key, mask in self._selector.select(wait):
            ready |= mask
        if not ready:
            return None
        try:
            if ready & selectors.EVENT_WRITE:
                self._write()
            if ready & selectors.EVENT_READ:
                return self._zmtp.receive(self._read())
        except OSError as error:
            raise Lost(str(error)) from error
        return []

    def _write(self) -> None:
        if self._connecting:
            code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                raise Lost(errno.errorcode.get(code, str(code)))
            self._connecting = False
        out = self._zmtp.out
        while out:
            try:
                sent = self._socket.send(out[0][:_BUFFER])
            except (BlockingIOError, InterruptedError):
                return
            if sent < len(out[0]):
                out[0] = out[0][sent:]
            else:
                out.popleft()

    def _read(self) -> bytes:
        try:
            data = self._socket.recv(_CHUNK)
        except (BlockingIOError, InterruptedError):
            return b""
        if not data:
            raise Lost(_("the engine closed the connection"))
        return data
