"""Who may talk to the engine: the token, the runtime file that carries it, PLAIN, and the proof.

The runtime file is readable by its owner alone, so knowing the token means being that user (or
having been given the file). The token itself is never sent: a client's PLAIN password and the
engine's proof are two different HMACs of it, so that a stranger who listens on a port that an
engine left learns nothing that would make a client believe him.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import secrets
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import zmq

USERNAME = b"ganpaint"
ZAP_DOMAIN = b"ganpaint"
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


class ZapHandler:
    """Answers libzmq's question whether a peer may connect (RFC 27).

    Its socket belongs into the poll loop of the thread that made it. Create it before the server
    socket binds. Only PLAIN with our user name and the token's password passes.
    """

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], token: str) -> None:
        self._password = password(token)
        self.socket = context.socket(zmq.REP)
        self.socket.linger = 0
        self.socket.bind(ZAP_ENDPOINT)

    def answer(self) -> bool:
        """Take one request and answer it. Returns whether the peer was let in."""
        version, request_id, domain, _address, _identity, mechanism, *credentials = (
            self.socket.recv_multipart()
        )
        welcome = (
            (domain, mechanism, len(credentials)) == (ZAP_DOMAIN, b"PLAIN", 2)
            and same(credentials[0], USERNAME)
            and same(credentials[1], self._password)
        )
        status = (b"200", b"OK") if welcome else (b"400", b"wrong token")
        self.socket.send_multipart([version, request_id, *status, USERNAME, b""])
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

    Raises PermissionError when it belongs to somebody else.
    """
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    if os.name == "posix":
        if path.stat().st_uid != os.getuid():
            raise PermissionError(f"{path} belongs to another user.")
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
