"""The command that starts an engine, and the start itself."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from typing import Any, Dict, List, Optional

from .errors import BridgeError
from .locate import in_flatpak
from .words import _

_WINDOWS = sys.platform == "win32"
_SERVE = ("serve", "--detached")


def start_command(install: Dict[str, Any], chosen: str = "") -> List[str]:
    """The command that starts an engine. ``chosen``: the path in the settings.

    In this order: $GANPAINT_ENGINE, the settings, what the installation wrote down, the command
    ``ganpaint`` of the PATH. Raises BridgeError engine_missing.
    """
    override = os.environ.get("GANPAINT_ENGINE")
    if override:
        return shlex.split(override, posix=not _WINDOWS)
    if chosen:
        return _around(command_of(chosen))
    command = install.get("command")
    if isinstance(command, list) and command and all(isinstance(part, str) for part in command):
        return _around(command)
    found = shutil.which("ganpaint")
    if found:
        return _around([found, *_SERVE])
    text = _("The plug-in does not know how to start GANPaint's engine.")
    raise BridgeError("engine_missing", text)


def command_of(path: str) -> List[str]:
    """The command for a path that a person chose: ``ganpaint``, a Python, or a folder with one.

    Raises BridgeError engine_missing, naming it.
    """
    path = os.path.abspath(os.path.expanduser(path))
    inside = ("ganpaint", os.path.join("bin", "ganpaint"), os.path.join("Scripts", "ganpaint.exe"))
    if os.path.isdir(path):
        for name in (*inside, *(os.path.join(".venv", one) for one in inside[1:])):
            if os.path.isfile(os.path.join(path, name)):
                return [os.path.join(path, name), *_SERVE]
    elif os.path.isfile(path):
        if os.path.basename(path).lower().startswith("python"):
            return [path, "-m", "ganpaint_engine", *_SERVE]
        return [path, *_SERVE]
    text = _("There is no GANPaint engine at %s, where the settings say that it is.") % path
    raise BridgeError("engine_missing", text)


def _around(command: List[str]) -> List[str]:
    """The same, from inside a Flatpak: the engine needs the system's own Python and GPU driver."""
    return ["flatpak-spawn", "--host", *command] if in_flatpak() else command


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
            reason = "%s: %s" % (command[0], error.strerror)
            text = _("GANPaint's engine cannot be started: %s") % reason
            raise BridgeError("engine_missing", text) from error

    def running(self) -> bool:
        """Whether it is still at work."""
        return self._process.poll() is None

    def failure(self) -> Optional[BridgeError]:
        """The reason when the command has failed; None while it runs and once it has succeeded."""
        code = self._process.poll()
        if not code:
            return None
        self._output.seek(0)
        lines = self._output.read().decode("utf-8", "replace").strip().splitlines()
        reason = lines[-1].strip() if lines else "exit code {}".format(code)
        if "org.freedesktop.DBus.Error.ServiceUnknown" in reason:
            text = _(
                "This editor is a Flatpak that may not start programs of the system. Start the "
                "engine yourself (ganpaint serve), or allow it: flatpak override --user "
                "--talk-name=org.freedesktop.Flatpak APP"
            )
            return BridgeError("engine_missing", text)
        missing = any("No module named" in line for line in lines[-1:])
        return BridgeError(
            "engine_missing" if missing else "engine_unreachable",
            _("GANPaint's engine did not start: %s") % reason,
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
