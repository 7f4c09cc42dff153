"""Finds the running engine, or the command that starts one; knows the token's use.

The engine writes a runtime file once it listens (docs/protocol.md). ``install.json``, beside this
package, was written when the plug-in was installed:
``{"command": [python, "-m", …], "runtime_file": "…", "version": "…"}``.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import shlex
import subprocess
import sys
import tempfile
from typing import Any, Dict, List, NamedTuple, Optional

from .errors import BridgeError

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


def read_install(folder: str) -> Dict[str, Any]:
    """``install.json`` of ``folder``; an empty dict where there is none."""
    try:
        with open(os.path.join(folder, "install.json"), encoding="utf-8") as file:
            content = json.load(file)
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def runtime_file(install: Dict[str, Any]) -> str:
    """Where the engine's runtime file is or will be. Raises BridgeError engine_missing."""
    home = os.environ.get("GANPAINT_HOME")
    if home:
        return os.path.join(os.path.abspath(os.path.expanduser(home)), "runtime", "runtime.json")
    path = install.get("runtime_file")
    if not isinstance(path, str) or not path:
        raise BridgeError("engine_missing", "The plug-in does not know of any GANPaint engine.")
    return path


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
    if _WINDOWS:
        return True  # os.kill would end it there; connecting shows soon enough
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


def start_command(install: Dict[str, Any]) -> List[str]:
    """The command that starts an engine. Raises BridgeError engine_missing."""
    override = os.environ.get("GANPAINT_ENGINE")
    command = shlex.split(override, posix=not _WINDOWS) if override else install.get("command")
    if isinstance(command, list) and command and all(isinstance(part, str) for part in command):
        return command
    raise BridgeError("engine_missing", "The plug-in does not know how to start GANPaint's engine.")


class Starter:
    """The command on its way. It leaves by itself as soon as the engine it started is ready."""

    def __init__(self, command: List[str]) -> None:
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the command
        options: Dict[str, Any] = {"creationflags": 0x08000000} if _WINDOWS else {}  # no console
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=subprocess.STDOUT,
                env=clean_environment(dict(os.environ)),
                start_new_session=True,
                **options,
            )
        except OSError as error:
            self._output.close()
            raise BridgeError(
                "engine_missing",
                "GANPaint's engine cannot be started: {}: {}".format(command[0], error.strerror),
            ) from error

    def failure(self) -> Optional[BridgeError]:
        """The reason when the command has failed; None while it runs and once it has succeeded."""
        code = self._process.poll()
        if not code:
            return None
        self._output.seek(0)
        lines = self._output.read().decode("utf-8", "replace").strip().splitlines()
        reason = lines[-1].strip() if lines else "exit code {}".format(code)
        missing = any("No module named" in line for line in lines[-1:])
        return BridgeError(
            "engine_missing" if missing else "engine_unreachable",
            "GANPaint's engine did not start: {}".format(reason),
        )

    def close(self) -> None:
        """Forget the command; it goes on by itself."""
        self._output.close()
        # A command still at work is let go on purpose: without this, Popen warns.
        self._process.returncode = self._process.poll() or 0


def clean_environment(environment: Dict[str, str]) -> Dict[str, str]:
    """The environment without what an editor sets for its own interpreter and libraries."""
    bundle = environment.get("APPDIR")  # set inside an AppImage
    for name in ("PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "PYTHONEXECUTABLE"):
        environment.pop(name, None)
    for name in ("LD_LIBRARY_PATH", "PATH") if bundle else ():
        parts = environment.get(name, "").split(os.pathsep)
        kept = [part for part in parts if part and not part.startswith(str(bundle))]
        if kept:
            environment[name] = os.pathsep.join(kept)
        else:
            environment.pop(name, None)
    return environment
