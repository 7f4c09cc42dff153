"""Who may talk to the engine: the token, the runtime file that carries it, PLAIN, CURVE, the proof.

The runtime file is readable by its owner alone, so knowing the token means being that user (or
having been given the file). The token itself is never sent: a client's PLAIN password and the
engine's proof are two different HMACs of it, so that a stranger who listens on a port that an
engine left learns nothing that would make a client believe him.

Beyond this machine only CURVE is spoken: it encrypts, the engine's key pair proves the engine, and
a client's public key must lie in the folder of the allowed ones (keys.py).
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import ipaddress
import json
import os
import secrets
import stat
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import zmq

from ganpaint_engine import paths
from ganpaint_engine.errors import BadRequest, InsecureBind

USERNAME = b"ganpaint"
ZAP_DOMAIN = b"ganpaint"
CURVE_DOMAIN = b"ganpaint-curve"
ZAP_ENDPOINT = "inproc://zeromq.zap.01"  # fixed by ZeroMQ's RFC 27


def new_token() -> str:
    """A fresh random token, 64 hexadecimal digits."""
    return secrets.token_hex(32)


def _hmac(token: str, message: bytes) -> bytes:
    return hmac.new(bytes.fromhex(token), message, hashlib.sha256).digest()


def password(token: str) -> bytes:
    """What a client sends as its PLAIN password: HMAC-SHA256(token, "password"), hexadecimal."""
    return _hmac(token, b"password").hex().encode()


def proof(token: str, nonce: bytes) -> bytes:
    """What the engine answers to a client's nonce: HMAC-SHA256(token, "proof:" + nonce)."""
    return _hmac(token, b"proof:" + nonce)


def same(a: bytes, b: bytes) -> bool:
    """Comparison whose duration tells nothing."""
    return hmac.compare_digest(a, b)


def owner(peer: bytes, client_secret: bytes | None) -> bytes:
    """Whose jobs a connection's are: those of who knows the secret, else the connection's alone."""
    if client_secret is None:
        return b"peer:" + peer
    return b"secret:" + hashlib.sha256(client_secret).digest()


@dataclass(frozen=True)
class Door:
    """Where the engine listens, and how a peer has to identify itself there.

    ``secret`` is the engine's CURVE key, 32 bytes; without it the door is PLAIN, and its endpoint
    must be on the loopback. ``allowed`` tells the public keys, 32 bytes each, that may enter now.
    Raises InsecureBind, and BadRequest for an endpoint that is none.
    """

    endpoint: str = "tcp://127.0.0.1:*"
    secret: bytes | None = None
    allowed: Callable[[], frozenset[bytes]] = frozenset

    def __post_init__(self) -> None:
        if not is_loopback(self.endpoint) and self.secret is None:
            raise InsecureBind(
                f"{self.endpoint} can be reached from other machines. Listen there with --curve: "
                "without it anybody on the way could read the photos."
            )

    @property
    def is_remote(self) -> bool:
        """Whether who comes in here is somebody else than this user on this machine."""
        return self.secret is not None

    def options(self) -> tuple[tuple[int, Any], ...]:
        """What the ROUTER of this door has to be told before it binds."""
        if self.secret is None:
            return (zmq.PLAIN_SERVER, 1), (zmq.ZAP_DOMAIN, ZAP_DOMAIN)
        return (
            (zmq.CURVE_SERVER, 1),
            (zmq.CURVE_SECRETKEY, self.secret),
            (zmq.ZAP_DOMAIN, CURVE_DOMAIN),
            (zmq.IPV6, "[" in self.endpoint),
        )


def is_loopback(endpoint: str) -> bool:
    """Whether only this machine can reach ``endpoint``. Raises BadRequest for what is no endpoint.

    A name, an interface or ``*`` counts as reachable: what it stands for may change.
    """
    host, colon, port = endpoint.removeprefix("tcp://").rpartition(":")
    if not endpoint.startswith("tcp://") or not colon or not host or not _is_port(port):
        raise BadRequest(f"{endpoint!r} is not of the form tcp://ADDRESS:PORT.")
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _is_port(text: str) -> bool:
    return text == "*" or (text.isascii() and text.isdigit() and int(text) < 2**16)


class ZapHandler:
    """Answers libzmq's question whether a peer may connect (RFC 27).

    Its socket belongs into the poll loop of the thread that made it. Create it before the server
    sockets bind. Through a PLAIN door passes our user name with the token's password, through a
    CURVE door a public key that ``allowed`` tells.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        token: str,
        allowed: Callable[[], frozenset[bytes]] = frozenset,
    ) -> None:
        self._password = password(token)
        self._allowed = allowed
        self.socket = context.socket(zmq.REP)
        self.socket.linger = 0
        self.socket.bind(ZAP_ENDPOINT)

    def answer(self) -> bool:
        """Take one request and answer it. Returns whether the peer was let in."""
        version, request_id, domain, _address, _identity, mechanism, *credentials = (
            self.socket.recv_multipart()
        )
        if (domain, mechanism, len(credentials)) == (CURVE_DOMAIN, b"CURVE", 1):
            welcome = credentials[0] in self._allowed()
            reason, user = b"unknown key", credentials[0].hex().encode()
        else:
            welcome = (
                (domain, mechanism, len(credentials)) == (ZAP_DOMAIN, b"PLAIN", 2)
                and same(credentials[0], USERNAME)
                and same(credentials[1], self._password)
            )
            reason, user = b"wrong token", USERNAME
        status = (b"200", b"OK") if welcome else (b"400", reason)
        self.socket.send_multipart([version, request_id, *status, user, b""])
        return welcome


@dataclass(frozen=True)
class Runtime:
    """What the runtime file says about the running engine."""

    endpoint: str
    token: str
    pid: int
    protocol: str
    started_at: float  # seconds since the epoch


def private_dir(path: Path) -> Path:
    """``path`` as a folder that only this user can enter; made when it is missing.

    Raises PermissionError when it belongs to somebody else, or is a link, which could lead to them.
    """
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    if os.name == "posix":
        status = path.lstat()
        if status.st_uid != os.getuid() or not stat.S_ISDIR(status.st_mode):
            raise PermissionError(f"{path} belongs to another user, or is a link.")
        if status.st_mode & 0o077:
            path.chmod(0o700)
    return path


def write_runtime(path: Path, runtime: Runtime) -> None:
    """Write the runtime file, mode 0600, in one step: a reader sees all of it or nothing."""
    private_dir(path.parent)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".runtime-")  # made with 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(asdict(runtime), file)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def read_runtime(path: Path) -> Runtime | None:
    """What the runtime file says; None when there is none, or none that can be trusted."""
    try:
        with path.open(encoding="utf-8") as file:
            status = os.fstat(file.fileno())
            content = json.load(file)
        runtime = Runtime(**{name: content[name] for name in Runtime.__dataclass_fields__})
        bytes.fromhex(runtime.token)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if os.name == "posix" and (status.st_uid != os.getuid() or status.st_mode & 0o077):
        return None
    return runtime


def find_runtime() -> Runtime | None:
    """The runtime file of this user's engine, if its process lives."""
    for folder in paths.runtime_dirs():
        runtime = read_runtime(folder / paths.runtime_file().name)
        if runtime is not None and alive(runtime.pid):
            return runtime
    return None


def remove_runtime(path: Path, token: str) -> None:
    """Remove the runtime file if it is still the one of the engine with this token."""
    runtime = read_runtime(path)
    if runtime is not None and same(runtime.token.encode(), token.encode()):
        with contextlib.suppress(FileNotFoundError):
            path.unlink()


def alive(pid: int) -> bool:
    """Whether a process ``pid`` of this user lives; on Windows, where asking could end it, True."""
    if os.name != "posix":
        return True
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True
