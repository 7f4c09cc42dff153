"""CURVE key pairs on disk, and who may use a remote engine: the same idea as SSH's key files.

Under ``paths.keys_dir()`` (mode 0700; every file 0600): ``engine.secret`` and ``engine.public``
are the engine's pair, ``NAME.secret`` and ``NAME.public`` those of a client on this machine, and
``clients/NAME.public`` the clients that this machine's engine lets in. A file holds one key, 64
hexadecimal digits. A secret key never has to travel: what is carried over is public.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

import zmq
from zmq.utils import z85

from ganpaint_engine import paths
from ganpaint_engine.errors import BadRequest, WrongKey

log = logging.getLogger(__name__)

ENGINE = "engine"
CLIENT = "client"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_SIZE = 32  # bytes


@dataclass(frozen=True)
class Curve:
    """What a client needs to talk CURVE: the engine's public key and its own secret one."""

    engine: bytes
    secret: bytes

    def options(self) -> tuple[tuple[int, bytes], ...]:
        """What the DEALER has to be told before it connects."""
        return (
            (zmq.CURVE_SERVERKEY, self.engine),
            (zmq.CURVE_PUBLICKEY, public_of(self.secret)),
            (zmq.CURVE_SECRETKEY, self.secret),
        )


def public_of(secret: bytes) -> bytes:
    """The public key, 32 bytes, of a secret one."""
    public: bytes = z85.decode(zmq.curve_public(z85.encode(secret)))
    return public


def secret_file(name: str) -> Path:
    return paths.keys_dir() / f"{_checked(name)}.secret"


def public_file(name: str) -> Path:
    return paths.keys_dir() / f"{_checked(name)}.public"


def clients_dir() -> Path:
    """The folder of the public keys that may enter."""
    return paths.keys_dir() / "clients"


def new(name: str, *, replace: bool = False) -> bytes:
    """Make a key pair of that name; returns the public key.

    Raises BadRequest when there is one already (and not ``replace``), or for a name that is none.
    """
    file = secret_file(name)
    if file.exists() and not replace:
        raise BadRequest(f"There is a key {file} already. --replace makes a new one in its place.")
    public, secret = (z85.decode(key) for key in zmq.curve_keypair())
    _write(public_file(name), public)
    _write(file, secret)
    return public


def allow(name: str, public: bytes) -> Path:
    """Let the client in from now on; returns the file that says so."""
    file = clients_dir() / f"{_checked(name)}.public"
    _write(file, public)
    return file


def revoke(name: str) -> bool:
    """Whether the client was allowed. Refused from now on: its next connection, its next job."""
    file = clients_dir() / f"{_checked(name)}.public"
    with contextlib.suppress(FileNotFoundError):
        file.unlink()
        return True
    return False


def allowed() -> dict[str, bytes]:
    """The clients that may enter, by name. Files that others could have written do not count."""
    found = {}
    with contextlib.suppress(FileNotFoundError):
        for file in sorted(clients_dir().iterdir()):
            if file.suffix == ".public":
                try:
                    _check_mode(file, 0o022)
                    found[file.stem] = _read(file)
                except WrongKey as error:
                    log.warning("%s", error.message)
    return found


def allowed_keys() -> frozenset[bytes]:
    """The public keys that may enter now; read anew for every connection."""
    return frozenset(allowed().values())


def read_secret(file: Path) -> bytes:
    """A secret key, 32 bytes. Raises WrongKey: missing, damaged, or readable by other users."""
    if not file.exists():
        kind = "" if file.stem == ENGINE else f" --client {file.stem}"
        raise WrongKey(f"There is no key {file}. Make one: ganpaint keys new{kind}")
    _check_mode(file, 0o077)
    return _read(file)


def read_public(text: str) -> bytes:
    """A public key from its 64 digits, or from the file of that name. Raises WrongKey."""
    key = _decode(text)
    return key if key is not None else _read(Path(text).expanduser())


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise BadRequest(f"{name!r} is no name for a key: letters, digits and . _ @ - make one.")
    return name


def _decode(text: str) -> bytes | None:
    text = text.strip()
    return bytes.fromhex(text) if re.fullmatch(r"[0-9a-fA-F]{64}", text) else None


def _read(file: Path) -> bytes:
    try:
        key = _decode(file.read_bytes()[:1000].decode("ascii", "replace"))
    except OSError as error:
        raise WrongKey(f"The key {file} cannot be read: {error.strerror}.") from error
    if key is None:
        raise WrongKey(f"{file} holds no key: 64 hexadecimal digits.")
    return key


def _check_mode(file: Path, forbidden: int) -> None:
    """Raises WrongKey when ``file`` is another user's, or has any of the ``forbidden`` bits."""
    if os.name != "posix":
        return
    try:
        status = file.stat()
    except OSError as error:
        raise WrongKey(f"The key {file} cannot be read: {error.strerror}.") from error
    if status.st_uid not in (0, os.getuid()) or status.st_mode & forbidden:
        raise WrongKey(f"Other users can reach the key {file}: chmod 600 it, and make a new one.")


def _write(file: Path, key: bytes) -> None:
    """Mode 0600, in one step."""
    for folder in (paths.keys_dir(), file.parent):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
    handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=".key-")  # made with 0600
    try:
        with os.fdopen(handle, "w", encoding="ascii") as out:
            out.write(key.hex() + "\n")
        os.replace(temporary, file)
    except BaseException:
        os.unlink(temporary)
        raise
