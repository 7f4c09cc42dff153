"""Finds the running engine; knows the token's use.

The engine writes a runtime file once it listens (docs/protocol.md).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import sys
import tempfile
from typing import Any, NamedTuple, Optional

_WINDOWS = sys.platform == "win32"


class Runtime(NamedTuple):
    """Where an engine says that it listens."""

    host: str
    port: int
    token: bytes
    pid: int = 0
    path: str = ""

    def password(self) -> bytes:
        """The PLAIN password. Made from the token, so that the token itself is never sent: a
        stranger on a stale port learns nothing with which to forge the proof."""
        return hmac.new(self.token, b"password", hashlib.sha256).hexdigest().encode()

    def proves(self, nonce: bytes, proof: Any) -> bool:
        """Whether ``proof`` shows that the engine knows the token."""
        mine = hmac.new(self.token, b"proof:" + nonce, hashlib.sha256).digest()
        return isinstance(proof, bytes) and hmac.compare_digest(mine, proof)


def in_flatpak() -> bool:
    """Whether the editor runs inside a Flatpak sandbox, where process numbers are its own."""
    return os.path.exists("/.flatpak-info")


def find_engine(path: str) -> Optional[Runtime]:
    """The engine that a runtime file names, if its process lives and the file can be trusted.

    ``path`` is where the file normally is. An engine whose folder is full or cannot be written
    puts it into one of two other places, named after the first.
    """
    folder, name = os.path.split(path)
    other = "ganpaint-" + hashlib.sha256(folder.encode("utf-8")).hexdigest()[:16]
    places = [folder]
    for place in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir()):
        if place:
            places.append(os.path.join(place, other))
    for place in places:
        found = _read_runtime(os.path.join(place, name))
        if found is not None:
            return found
    return None


def _read_runtime(path: str) -> Optional[Runtime]:
    try:
        with open(path, encoding="utf-8") as file:
            status = os.fstat(file.fileno())
            content = json.load(file)
        host, _, port = content["endpoint"].replace("tcp://", "", 1).rpartition(":")
        pid = int(content["pid"])
        found = Runtime(host, int(port), bytes.fromhex(content["token"]), pid, path)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    if not _WINDOWS and (status.st_uid != os.getuid() or status.st_mode & 0o077):
        return None  # somebody else wrote it, or could have
    return found if host == "127.0.0.1" and _alive(pid) else None


def _alive(pid: int) -> bool:
    """Whether a process ``pid`` of this user lives."""
    if pid <= 0:
        return False
    if _WINDOWS or in_flatpak():
        return True  # os.kill would end it there, or means another one; connecting shows soon
    try:
        os.kill(pid, 0)
    except OSError:  # none such, or (PermissionError) another user's
        return False
    return True


def still_runs(runtime: Runtime) -> bool:
    """Whether the engine of this runtime file has not ended yet: it holds its lock till then.

    So ``runtime.pid`` is its number, and not one that the system has given to another process.
    """
    found = _read_runtime(runtime.path)
    if _WINDOWS:
        return found == runtime  # it removes its file as it leaves
    import fcntl

    try:
        with open(os.path.join(os.path.dirname(runtime.path), "engine.lock"), "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return found is None or found == runtime  # another file: a newer engine holds the lock
    return False
