"""The I/O thread: one ROUTER that takes messages, answers, and passes on what the worker says.

It never computes, so that a CANCEL or a STATUS is answered while an edit runs. The thread that
calls :meth:`Server.run` is the I/O thread; the worker is a thread of its own (jobs.py).
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import socket
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import zmq

from ganpaint_engine.errors import (
    BadRequest,
    EngineUnreachable,
    GanpaintError,
    NotAllowed,
    RateLimited,
    UnknownModel,
    WrongKey,
)
from ganpaint_engine.service import protocol, security, stats
from ganpaint_engine.service.desk import Desk
from ganpaint_engine.service.jobs import Frames, Job, failed
from ganpaint_engine.service.limits import MessageRate
from ganpaint_engine.service.worker import Work, Worker

__all__ = ["Server", "Work"]

log = logging.getLogger(__name__)

_TICK = 1.0  # seconds: how often clients with jobs hear something, and idleness is looked at
_MAX_PEERS = 1024  # greeted peers remembered; the longest silent one is forgotten first
_MESSAGES_PER_TURN = 32  # before the worker's reports get their turn
_FAREWELL = 1000  # milliseconds for the last messages to leave
_WORKER_END = 3.0  # seconds
_HANDSHAKE = 10_000  # milliseconds
_HEARTBEAT = 10_000
# A host that is busy (a file dialog, a long filter) does not pump its bridge: be patient.
_HEARTBEAT_TIMEOUT = 120_000
_HIGH_WATER = 1000  # messages a client may leave unread
_MAX_PARTS = 8  # frames of a message that are kept; no message has more than three
_UNREAD = 32  # messages of a client that libzmq takes before we do


class Peer(NamedTuple):
    """A greeted connection: its name for the log, and the client it belongs to."""

    name: str
    owner: bytes


class Server:
    """Listens from construction on; serves during ``run``. ``idle_seconds`` 0: never leave.

    ``doors``: where it listens; the first one is this user's own. Raises EngineUnreachable when a
    door cannot be opened.
    """

    def __init__(
        self,
        work: Work,
        token: str,
        version: str,
        idle_seconds: float = 0.0,
        doors: Sequence[security.Door] = (security.Door(),),
    ) -> None:
        self._work = work
        self._token = token
        self._version = version
        self._idle_seconds = idle_seconds
        self._reports: queue.SimpleQueue[tuple[Job, dict[str, Any], Frames]]
        self._reports = queue.SimpleQueue()
        self._peers: OrderedDict[bytes, Peer] = OrderedDict()
        self._started = self._active = time.monotonic()
        self._stopping = False
        self._woken, self._waker = socket.socketpair()
        self._woken.setblocking(False)
        self._waker.setblocking(False)
        self._context = zmq.Context()
        self._rate = MessageRate()
        self._keys: dict[bytes, bytes] = {}  # of remote peers
        self._doors = doors
        allowed = next((door.allowed for door in doors if door.is_remote), frozenset)
        self._zap = security.ZapHandler(self._context, token, allowed)
        self._routers = [self._listen(door) for door in doors]
        self.endpoints = [router.getsockopt_string(zmq.LAST_ENDPOINT) for router in self._routers]
        self._worker_started = False
        self._desk = Desk(self._send)
        self._worker = Worker(work, self._desk.queue, self._report)

    def _listen(self, door: security.Door) -> zmq.Socket[bytes]:
        router = self._context.socket(zmq.ROUTER)
        for option, value in (
            (zmq.LINGER, 0),
            (zmq.SNDHWM, _HIGH_WATER),
            (zmq.RCVHWM, _UNREAD),
            (zmq.MAXMSGSIZE, protocol.MAX_FRAME),
            (zmq.HANDSHAKE_IVL, _HANDSHAKE),
            (zmq.HEARTBEAT_IVL, _HEARTBEAT),
            (zmq.HEARTBEAT_TIMEOUT, _HEARTBEAT_TIMEOUT),
            # Sending to a client that has gone raises EHOSTUNREACH. That, and not a disconnect
            # notification (a draft API that released libzmq lacks), is how its jobs end.
            (zmq.ROUTER_MANDATORY, 1),
            *door.options(),
        ):
            router.setsockopt(option, value)
        try:
            router.bind(door.endpoint)
        except zmq.ZMQError as error:
            self._context.destroy(linger=0)
            raise EngineUnreachable(f"Cannot listen at {door.endpoint}: {error}.") from error
        return router

    @property
    def endpoint(self) -> str:
        """Where this user's own programs connect."""
        return self.endpoints[0]

    def _is_remote(self, peer: bytes) -> bool:
        return self._doors[peer[0]].is_remote

    def run(self) -> None:
        """Serve until stop() is called, SHUTDOWN comes, or nothing was to do for too long."""
        poller = zmq.Poller()
        for source in (*self._routers, self._zap.socket, self._woken):
            poller.register(source, zmq.POLLIN)
        next_tick = time.monotonic() + _TICK
        try:
            while not self._stopping:
                wait = max(0.0, next_tick - time.monotonic())
                ready = dict(poller.poll(int(wait * 1000) + 1))
                if self._zap.socket in ready and not self._zap.answer():
                    log.warning("A peer with a wrong token or key was refused")
                if self._woken.fileno() in ready:
                    self._take_reports()
                for door, router in enumerate(self._routers):
                    if router in ready:
                        self._take_messages(bytes([door]), router)
                if time.monotonic() >= next_tick:
                    next_tick = time.monotonic() + _TICK
                    self._tick()
        finally:
            self._close()

    def stop(self) -> None:
        """End run(). May be called from any thread and from a signal handler."""
        self._stopping = True
        self._wake()

    # -- between the threads -----------------------------------------------------------------

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # full: it wakes up anyway; closed: nobody is to wake
            self._waker.send(b"\0")

    def _report(self, job: Job, header: dict[str, Any], frames: Frames) -> None:
        """Called by the worker."""
        self._reports.put((job, header, frames))
        self._wake()

    def _take_reports(self) -> None:
        try:
            while self._woken.recv(4096):
                pass
        except BlockingIOError:
            pass
        while not self._reports.empty():
            self._desk.take_report(*self._reports.get())
            self._active = time.monotonic()

    # -- sending -----------------------------------------------------------------------------

    def _send(self, peer: bytes, header: Mapping[str, Any], frames: Frames) -> None:
        try:
            router = self._routers[peer[0]]
            router.send_multipart([peer[1:], protocol.pack(header), *frames], zmq.NOBLOCK)
        except zmq.ZMQError as error:
            # EHOSTUNREACH: it has gone. EAGAIN: it has left a thousand messages unread.
            name = self._peers[peer].name if peer in self._peers else "?"
            log.info("Client %s is lost: %s", name, error)
            self._drop(peer)

    def _drop(self, peer: bytes) -> None:
        """Forget a client that has gone."""
        self._peers.pop(peer, None)
        self._rate.forget(peer)
        self._keys.pop(peer, None)
        self._desk.drop(peer)

    def _tick(self) -> None:
        """Tell every client with a job how it stands; this also finds the clients that went."""
        self._start_worker()
        self._desk.remind(_TICK / 2)
        now = time.monotonic()
        if not self._desk.is_idle:
            self._active = now
        elif self._idle_seconds and now - self._active > self._idle_seconds:
            log.info("Nothing to do for %.0f s: leaving", now - self._active)
            self._stopping = True

    # -- receiving ---------------------------------------------------------------------------

    def _take_messages(self, door: bytes, router: zmq.Socket[bytes]) -> None:
        """A peer is known by its door's number and the routing id that it has there."""
        for _ in range(_MESSAGES_PER_TURN):
            try:
                routing_id = router.recv(zmq.NOBLOCK)
            except zmq.Again:
                return
            peer, (parts, user) = door + routing_id, _parts(router)
            if self._is_remote(peer):
                if len(self._keys) > 4 * _MAX_PEERS:
                    self._keys.clear()  # each comes back with its peer's next message
                self._keys[peer] = bytes.fromhex(user)
            self._take(peer, parts)

    def _take(self, peer: bytes, parts: list[bytes]) -> None:
        header: dict[str, Any] = {}
        client = self._keys.get(peer, peer)  # more connections do not give a key more
        admitted = self._rate.admits(client)
        try:
            header = protocol.unpack_from_client(parts[0] if parts else b"")
            if not admitted and header["type"] != "CANCEL":
                raise RateLimited(f"More than {self._rate.per_second:.0f} messages a second.")
            if header["type"] != "HELLO" and peer not in self._peers:
                raise BadRequest("The first message of a connection must be HELLO.")
            message = protocol.check(header)
            self._active = time.monotonic()
            self._answers[header["type"]](self, peer, message, parts[1:])
        except GanpaintError as error:
            # Over its rate, a client is told once a second; of each job's fate it hears always.
            if admitted or header.get("type") == "SUBMIT" or self._rate.may_complain(client):
                self._refuse(peer, header, error)
        except Exception:
            log.exception("A message of type %s could not be handled", header.get("type"))
            self._refuse(peer, header, GanpaintError("The engine could not handle this message."))

    def _refuse(self, peer: bytes, header: Mapping[str, Any], error: GanpaintError) -> None:
        log.info("%s refused: %s: %s", header.get("type", "A message"), error.code, error.message)
        job_id = header.get("job_id")
        if header.get("type") == "SUBMIT" and isinstance(job_id, str):
            self._send(peer, {**failed(error), "job_id": job_id[:64]}, [])
        else:
            refusal = {"type": "ERROR", "code": error.code, "message": error.message}
            self._send(peer, {**refusal, "about": str(header.get("type", ""))[:40]}, [])

    def _hello(self, peer: bytes, message: dict[str, Any], _frames: list[bytes]) -> None:
        protocol.check_version(message["protocol"])
        self._peers[peer] = Peer(message["client"], security.owner(peer, message["client_secret"]))
        self._peers.move_to_end(peer)
        if len(self._peers) > _MAX_PEERS:
            self._drop(next(iter(self._peers)))
        log.info("Hello %s", message["client"])
        welcome = {
            "type": "WELCOME",
            "protocol": protocol.VERSION,
            "engine": self._version,
            # CURVE has proved the engine by its key, and a remote client does not know the token.
            "proof": bytes(32) if self._is_remote(peer) else self._proof(message["nonce"]),
            "limits": protocol.LIMITS,
            "capabilities": list(protocol.CAPABILITIES),
        }
        self._send(peer, {**welcome, **self._work.about()}, [])
        self._start_worker()

    def _proof(self, nonce: bytes) -> bytes:
        return security.proof(self._token, nonce)

    def _start_worker(self) -> None:
        """After the first WELCOME, or soon: loading torch keeps the interpreter to itself."""
        if not self._worker_started:
            self._worker_started = True
            self._worker.start()

    def _submit(self, peer: bytes, message: dict[str, Any], frames: list[bytes]) -> None:
        protocol.check_pictures(message, frames)
        if self._is_remote(peer):
            self._check_remote(peer, message["params"].get("model"))
        self._desk.submit(peer, self._peers[peer].owner, message, frames)

    def _check_remote(self, peer: bytes, model: str | None) -> None:
        """Raises WrongKey for a client that was revoked meanwhile, UnknownModel for a folder."""
        if self._keys[peer] not in self._doors[peer[0]].allowed():
            raise WrongKey("This client's key is no longer allowed.")
        if model and any(c in model for c in "/\\"):
            raise UnknownModel("Only the names of installed models are taken from other machines.")

    def _cancel(self, peer: bytes, message: dict[str, Any], _frames: list[bytes]) -> None:
        self._desk.cancel(self._peers[peer].owner, message["job_id"])

    def _fetch(self, peer: bytes, message: dict[str, Any], _frames: list[bytes]) -> None:
        self._desk.fetch(peer, self._peers[peer].owner, message["job_id"])

    def _status(self, peer: bytes, _message: dict[str, Any], _frames: list[bytes]) -> None:
        reply = {
            "type": "STATUS_REPLY",
            "engine": self._version,
            "pid": os.getpid(),
            "device": self._work.about()["device"],
            "uptime": time.monotonic() - self._started,
            "idle_minutes": self._idle_seconds / 60,
        }
        self._send(peer, {**reply, **self._desk.status(self._peers[peer].owner)}, [])

    def _stats(self, peer: bytes, _message: dict[str, Any], _frames: list[bytes]) -> None:
        figures = {"uptime": time.monotonic() - self._started, **self._desk.figures()}
        figures |= {"memory": stats.memory(), "cache": self._work.cache()}
        reply = {"type": "STATS_REPLY", **figures, "text": stats.prometheus(figures)}
        self._send(peer, reply, [])

    def _looks(self, peer: bytes, message: dict[str, Any], _frames: list[bytes]) -> None:
        if self._is_remote(peer):
            self._check_remote(peer, message["model"])
        model = message["model"] or self._work.about()["default_model"]
        if model is None:
            raise UnknownModel("There is no model here.")
        found = self._work.looks(model)
        names = [{k: v for k, v in look._asdict().items() if k != "rgb"} for look in found]
        reply = {"type": "LOOKS_REPLY", "model": model, "looks": names}
        self._send(peer, reply, [look.rgb for look in found])

    def _shutdown(self, peer: bytes, _message: dict[str, Any], _frames: list[bytes]) -> None:
        if self._is_remote(peer):
            raise NotAllowed("Only its owner ends this engine, on its own machine.")
        log.info("Asked to leave by %s", self._peers[peer].name)
        self._stopping = True
        self._send(peer, {"type": "GOODBYE"}, [])

    _answers: Mapping[str, Callable[[Server, bytes, dict[str, Any], list[bytes]], None]] = {
        "HELLO": _hello,
        "SUBMIT": _submit,
        "CANCEL": _cancel,
        "FETCH": _fetch,
        "STATUS": _status,
        "STATS": _stats,
        "LOOKS": _looks,
        "SHUTDOWN": _shutdown,
    }

    def end_worker(self) -> bool:
        """After run(): whether the worker has ended too, or is deep inside a computation."""
        return not self._worker_started or self._worker.stop(_WORKER_END)

    def _close(self) -> None:
        self._desk.end()
        for router in self._routers:
            router.close(linger=_FAREWELL)
        self._zap.socket.close()
        self._context.term()
        self._woken.close()
        self._waker.close()


def _parts(router: zmq.Socket[bytes]) -> tuple[list[bytes], str]:
    """The frames of a message whose routing id has been read; of too many, the first ones.

    With them who sent it, as the ZAP handler called him.
    """
    parts: list[bytes] = []
    user = ""
    while router.getsockopt(zmq.RCVMORE):
        if parts:
            part = router.recv()
        else:
            frame = router.recv(copy=False)  # only then with its sender
            part, user = frame.bytes, str(frame.get("User-Id"))
        if len(parts) <= _MAX_PARTS:
            parts.append(part)
    return parts, user
