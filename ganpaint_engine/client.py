"""The Python client of a running engine, on pyzmq. Never imports torch.

Usage::

    with Client.connect() as client:
        job = client.submit(image, mask, concept="tree", operation="add")
        for event in client.events(job): ...

``connect("tcp://host:port", engine_key)`` takes the place of ``Client.connect()`` for an engine on
another machine.
"""

from __future__ import annotations

import os
import time
import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import zmq
from zmq.utils.monitor import recv_monitor_message

from ganpaint_engine import errors
from ganpaint_engine.service import keys, protocol, security

# The engine would not know us again after a reconnection. Not -1: with that, libzmq throws away
# what the engine had said just before it left.
_NEVER = 24 * 3600 * 1000  # milliseconds

_LAST = ("RESULT", "FAILED", "CANCELLED", "SUPERSEDED")  # after these, no more of a job

_FATAL: dict[int, errors.GanpaintError] = {
    zmq.EVENT_HANDSHAKE_FAILED_AUTH: errors.WrongToken("The engine does not accept this token."),
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: errors.EngineUnreachable("Whoever answered is no engine."),
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL: errors.EngineUnreachable("The engine hung up."),
    zmq.EVENT_DISCONNECTED: errors.EngineUnreachable("The connection to the engine was lost."),
    zmq.EVENT_CLOSED: errors.EngineUnreachable("No engine listens there."),
}


# During a CURVE handshake these mean that the keys do not fit.
_WRONG_KEY: dict[int, errors.GanpaintError] = {
    zmq.EVENT_HANDSHAKE_FAILED_AUTH: errors.WrongKey(
        "The engine does not let this client's key in; on its machine: ganpaint keys allow."
    ),
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: errors.WrongKey(
        "Whoever listens there does not ask for keys: is it the --bind of an engine with --curve?"
    ),
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL: errors.WrongKey(
        "Whoever listens there does not have the key that was given as the engine's."
    ),
}


@dataclass(frozen=True)
class JobEvent:
    """News of a job. ``type``: queued (position), progress (fraction, stage, eta) or result.

    ``eta``: seconds left, estimated; None while nothing is known. ``warnings``: what to expect of
    this photo, told once on the way.
    A result has the layer's ``name``, ``patch`` (H×W×4 uint8, sRGB, straight alpha), its ``offset``
    (x, y in the photo's pixels) and ``report``.
    """

    type: str
    job_id: str
    position: int = 0
    fraction: float = 0.0
    stage: str = ""
    eta: float | None = None
    name: str = ""
    patch: np.ndarray | None = None
    offset: tuple[int, int] = (0, 0)
    report: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


class Client:
    """A connection to an engine. Not for use by several threads at once."""

    def __init__(
        self,
        endpoint: str,
        login: str | keys.Curve,
        name: str,
        timeout: float,
        secret: bytes | None = None,
    ) -> None:
        """Connects with a token, or with CURVE keys; see connect() for what is raised."""
        self._timeout = timeout
        self.secret = secret or os.urandom(32)
        self._lost: errors.GanpaintError | None = None
        self._inbox: dict[str, deque[tuple[dict[str, Any], list[bytes]]]] = {}
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        for option, value in (
            (zmq.LINGER, 0),
            (zmq.SNDHWM, 100),
            (zmq.RCVHWM, 1000),
            (zmq.RECONNECT_IVL, _NEVER),
            (zmq.MAXMSGSIZE, protocol.MAX_FRAME),
            (zmq.HANDSHAKE_IVL, int(timeout * 1000)),
            *_identification(login),
        ):
            self._socket.setsockopt(option, value)
        self._monitor = self._socket.get_monitor_socket()
        self._monitor.linger = 0
        try:
            self._fatal = {**_FATAL, **(_WRONG_KEY if isinstance(login, keys.Curve) else {})}
            self._connect(endpoint)
            self.welcome = self._greet(login, name)
        except BaseException:
            self.close()
            raise

    @classmethod
    def connect(
        cls,
        runtime_file: Path | None = None,
        *,
        name: str = "python",
        timeout: float = 10.0,
        secret: bytes | None = None,
    ) -> Self:
        """Connect to the engine of ``runtime_file``, by default this user's.

        ``secret``: the ``secret`` of an earlier Client, to be known as the same client again and
        fetch its results. Made at random otherwise.
        Raises EngineUnreachable (none runs, or none answers within ``timeout`` seconds),
        WrongToken, ProtocolMismatch.
        """
        runtime = (
            security.find_runtime() if runtime_file is None else security.read_runtime(runtime_file)
        )
        if runtime is None or not security.alive(runtime.pid):
            raise errors.EngineUnreachable("No engine is running.")
        return cls(runtime.endpoint, runtime.token, name, timeout, secret)

    def _connect(self, endpoint: str) -> None:
        try:
            self._socket.connect(endpoint)
        except zmq.ZMQError as error:
            raise errors.EngineUnreachable(f"Cannot connect to {endpoint}: {error}.") from error

    def submit(
        self,
        image: np.ndarray,
        mask: np.ndarray,
        *,
        concept: str,
        operation: str,
        variant: str | None = None,
        strength: float = 1.0,
        seed: int = 0,
        quality: str = "final",
        model: str | None = None,
        context: str = "auto",
        grow: int = 0,
        feather: float = 0.0,
        composite: str = "residual",
        job_id: str | None = None,
        slot: str | None = None,
        keep_result: bool = False,
        keep_photo: bool = True,
    ) -> str:
        """Ask for an edit; returns the job's id at once.

        ``image``: H×W×3|4 uint8 sRGB, straight alpha. ``mask``: H×W uint8, soft values kept.
        ``slot``: a name of one's own for what this is a preview of; earlier previews of the same
        slot that are not done end with Superseded. ``keep_result``: the job outlives this
        connection, see fetch(). ``keep_photo`` False: the engine keeps nothing of the photo.
        ``context``, ``grow``, ``feather``, ``composite``: see docs/protocol.md; an engine of
        protocol 1.0 ignores them.
        Raises BadRequest for other arrays, PhotoTooLarge, MaskSizeMismatch.
        """
        if image.ndim != 3 or mask.ndim != 2 or {image.dtype, mask.dtype} != {np.dtype(np.uint8)}:
            raise errors.BadRequest("The photo is H×W×3 or 4, the mask H×W, both of uint8.")
        height, width, channels = image.shape
        job_id = job_id or uuid.uuid4().hex
        params = {
            "concept": concept,
            "operation": operation,
            "variant": variant,
            "strength": strength,
            "seed": seed,
            "quality": quality,
            "model": model,
            "context": context,
            "grow": grow,
            "feather": feather,
            "composite": composite,
        }
        mask_size = {"width": mask.shape[1], "height": mask.shape[0], "dtype": "uint8"}
        size = {"width": width, "height": height, "channels": channels, "dtype": "uint8"}
        header: dict[str, Any] = {"type": "SUBMIT", "job_id": job_id, "op": "edit"}
        header |= {"params": params, "image": size, "mask": mask_size}
        header |= {"slot": slot, "keep_result": keep_result, "keep_photo": keep_photo}
        frames = [_bytes_of(image), _bytes_of(mask)]
        protocol.check_pictures(protocol.check(header), frames)
        self._inbox[job_id] = deque()
        self._send(header, frames)
        return job_id

    def events(self, job_id: str, timeout: float | None = None) -> Iterator[JobEvent]:
        """The job's events as they come; ends after the result.

        ``timeout``: seconds without any news after which EngineUnreachable is raised. Raises the
        error of a failed job, Cancelled or Superseded for a stopped one, BadRequest for an id that
        was neither submitted nor fetched.
        """
        if job_id not in self._inbox:
            raise errors.BadRequest(f"There is no job {job_id!r}.")
        while True:
            while not self._inbox[job_id]:
                self._keep(*self._receive(timeout))
            header, frames = self._inbox[job_id].popleft()
            if header["type"] in _LAST:
                del self._inbox[job_id]
            yield _event(header, frames)
            if header["type"] == "RESULT":
                return

    def cancel(self, job_id: str) -> None:
        """Stop the job; its events then end with Cancelled, or with a result that was faster."""
        self._send({"type": "CANCEL", "job_id": job_id})

    def forget(self, job_id: str) -> None:
        """Drop what was and will be told of the job; it goes on, unless it is cancelled."""
        self._inbox.pop(job_id, None)

    def fetch(self, job_id: str) -> None:
        """Ask for a job submitted with ``keep_result`` before a connection was lost.

        Its events() then begin with the last news of it, and raise UnknownJob when there is none.
        """
        self._inbox[job_id] = deque()
        self._send({"type": "FETCH", "job_id": job_id})

    def status(self) -> dict[str, Any]:
        """What the engine does: the fields of STATUS_REPLY."""
        return self._ask({"type": "STATUS"}, "STATUS_REPLY")

    def stats(self) -> dict[str, Any]:
        """What the engine has done since its start: the fields of STATS_REPLY."""
        return self._ask({"type": "STATS"}, "STATS_REPLY")

    def looks(self, model: str | None = None) -> dict[tuple[str, str], np.ndarray]:
        """Thumbnails of a model's named looks: (concept, variant) -> H×W×3 uint8, sRGB.

        Raises UnknownModel; BadRequest from an engine of protocol 1.0.
        """
        header, frames = self._ask_for_frames({"type": "LOOKS", "model": model}, "LOOKS_REPLY")
        found = {}
        for look, rgb in zip(header["looks"], frames, strict=True):
            pixels = np.frombuffer(rgb, np.uint8).reshape(look["height"], look["width"], 3)
            found[look["concept"], look["variant"]] = pixels
        return found

    def shutdown(self) -> None:
        """End the engine; live jobs are cancelled."""
        self._ask({"type": "SHUTDOWN"}, "GOODBYE")

    def close(self) -> None:
        """Leave. The engine cancels what this client still had running."""
        if self._socket.closed:
            return
        self._socket.disable_monitor()
        self._monitor.close()
        self._socket.close()
        self._context.term()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _greet(self, login: str | keys.Curve, name: str) -> dict[str, Any]:
        nonce = os.urandom(32)
        hello = {"type": "HELLO", "protocol": protocol.VERSION, "client": name, "nonce": nonce}
        welcome = self._ask({**hello, "client_secret": self.secret}, "WELCOME")
        # Under CURVE the handshake itself has proved that the engine holds its key.
        if isinstance(login, str) and not security.same(
            welcome["proof"], security.proof(login, nonce)
        ):
            raise errors.WrongToken("Who answered is not the engine that was started.")
        protocol.check_version(welcome["protocol"])
        return welcome

    def _ask(self, header: dict[str, Any], reply: str) -> dict[str, Any]:
        """Send, and wait for the message of type ``reply``; what comes before is kept."""
        return self._ask_for_frames(header, reply)[0]

    def _ask_for_frames(
        self, header: dict[str, Any], reply: str
    ) -> tuple[dict[str, Any], list[bytes]]:
        self._send(header)
        deadline = time.monotonic() + self._timeout
        while True:
            answer, frames = self._receive(max(0.0, deadline - time.monotonic()))
            if answer["type"] == reply:
                return answer, frames
            self._keep(answer, frames)

    def _keep(self, header: dict[str, Any], frames: list[bytes]) -> None:
        if header["type"] == "ERROR":
            raise errors.from_code(header["code"], header["message"])
        if header.get("job_id") in self._inbox:
            self._inbox[header["job_id"]].append((header, frames))

    def _send(
        self, header: dict[str, Any], frames: Sequence[bytes | memoryview] | None = None
    ) -> None:
        try:
            self._socket.send_multipart([protocol.pack(header), *(frames or [])], zmq.NOBLOCK)
        except zmq.Again:
            raise errors.EngineUnreachable("The engine does not take messages.") from None

    def _receive(self, timeout: float | None) -> tuple[dict[str, Any], list[bytes]]:
        """The next message; also looks after the connection, which zmq alone keeps quiet about."""
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._monitor, zmq.POLLIN)
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            wait = None if left is None else int(left * 1000) + 1
            ready = dict(poller.poll(0 if self._lost else wait))
            if self._socket in ready:  # first: the last words before a disconnection count
                packed, *frames = self._socket.recv_multipart()
                header = protocol.unpack(packed)
                if header["type"] in protocol.ENGINE_TYPES:  # else: a newer engine's, not for us
                    return {**header, **protocol.check(header)}, frames
            elif self._lost is not None:  # a new exception each time: they collect tracebacks
                raise errors.from_code(self._lost.code, self._lost.message)
            elif self._monitor in ready:
                event = recv_monitor_message(self._monitor)["event"]
                self._lost = self._fatal.get(event)
            elif not ready:
                raise errors.EngineUnreachable("The engine does not answer.")


def _bytes_of(array: np.ndarray) -> memoryview:
    """An array's samples in order; not copied where they lie so already."""
    return np.ascontiguousarray(array).data.cast("B")


def connect(
    endpoint: str,
    engine_key: str | Path,
    key: str | Path | None = None,
    *,
    name: str = "python",
    timeout: float = 10.0,
    secret: bytes | None = None,
) -> Client:
    """A client of the engine at ``endpoint`` (``tcp://HOST:PORT``), over CURVE.

    engine_key: the engine's public key, 64 hexadecimal digits or the name of a file with them.
    key: the file of this client's secret key, by default the one made by ``ganpaint keys new
    --client client``. secret: as in Client.connect. Raises WrongKey, EngineUnreachable,
    ProtocolMismatch, BadRequest.
    """
    security.is_loopback(endpoint)  # raises for what is no endpoint
    own = keys.read_secret(Path(key).expanduser() if key else keys.secret_file(keys.CLIENT))
    login = keys.Curve(keys.read_public(str(engine_key)), own)
    return Client(endpoint, login, name, timeout, secret)


def _identification(login: str | keys.Curve) -> tuple[tuple[int, Any], ...]:
    """The socket options with which the client says who it is."""
    if isinstance(login, keys.Curve):
        return login.options()
    return (
        (zmq.PLAIN_USERNAME, security.USERNAME),
        (zmq.PLAIN_PASSWORD, security.password(login)),
    )


def _event(header: dict[str, Any], frames: list[bytes]) -> JobEvent:
    """The event of a job's message. Raises the error of FAILED, Cancelled for CANCELLED."""
    kind, job_id = header["type"], header["job_id"]
    if kind == "FAILED":
        raise errors.from_code(header["code"], header["message"], header["detail"])
    if kind == "CANCELLED":
        raise errors.Cancelled
    if kind == "SUPERSEDED":
        raise errors.Superseded(by=header["by"])
    if kind == "QUEUED":
        return JobEvent("queued", job_id, position=header["position"])
    if kind == "PROGRESS":
        fraction, stage, eta = header["fraction"], header["stage"], header["eta"]
        warnings = tuple(header["warnings"])
        return JobEvent(
            "progress", job_id, fraction=fraction, stage=stage, eta=eta, warnings=warnings
        )
    shape = (header["patch"]["height"], header["patch"]["width"], 4)
    return JobEvent(
        "result",
        job_id,
        fraction=1.0,
        name=header["name"],
        patch=np.frombuffer(frames[0], np.uint8).reshape(shape),
        offset=tuple(header["offset"]),
        report=header["report"],
    )
