"""The settings that the engine and both editors share: read and written here, used by the engine.

One JSON file, see places.settings_file. Keys that are not known here stay as they are.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
from typing import Any, Dict, NamedTuple

from .errors import BridgeError
from .places import read_install, settings_file
from .words import _

IDLE_MINUTES = 30.0


class Settings(NamedTuple):
    """What a person can set. Empty texts: the engine's own choice.

    ``engine``: the path of ``ganpaint``, of a Python that has it, or of a folder with either.
    ``model``: the default model. ``device``: "cpu", "cuda"… ``idle_minutes`` without work until the
    engine leaves; 0: never. ``remote``: "tcp://HOST:PORT" of an engine on another machine that does
    the edits, and ``remote_key`` its public key, 64 hexadecimal digits. The keys are made, and the
    encryption is spoken, by the engine on this machine: see docs/security.md.
    """

    engine: str = ""
    model: str = ""
    device: str = ""
    idle_minutes: float = IDLE_MINUTES
    remote: str = ""
    remote_key: str = ""


def path(folder: str = "") -> str:
    """The settings file. ``folder``: where install.json lies, by default the plug-in's."""
    return settings_file(read_install(folder))


def read(folder: str = "") -> Settings:
    """The settings; what is missing or wrong in the file has its default."""
    content = _content(path(folder))
    remote = content.get("remote")
    remote = remote if isinstance(remote, dict) else {}
    idle = content.get("idle_minutes")
    good = isinstance(idle, (int, float)) and not isinstance(idle, bool) and 0 <= idle < 1e6
    return Settings(
        _text(content.get("engine")),
        _text(content.get("model")),
        _text(content.get("device")),
        float(idle) if good else IDLE_MINUTES,  # type: ignore[arg-type]
        _text(remote.get("endpoint")),
        _text(remote.get("engine_key")),
    )


def write(settings: Settings, folder: str = "") -> None:
    """Store ``settings`` in one step; other keys of the file are kept.

    The running engine takes a new model at once, the rest when it is restarted. Raises BridgeError
    bad_request for what cannot be, storage where the file cannot be written.
    """
    check(settings)
    file = path(folder)
    content = _content(file)
    if not content:
        _set_aside(file)
    remote: Dict[str, Any] = {}
    if settings.remote:
        kept = content.get("remote")
        remote = dict(kept if isinstance(kept, dict) else {})
        remote.update(endpoint=settings.remote, engine_key=settings.remote_key)
    idle = settings.idle_minutes
    values = {
        "engine": settings.engine,
        "model": settings.model,
        "device": settings.device,
        "idle_minutes": None if idle == IDLE_MINUTES else idle,
        "remote": remote,
    }
    for key, value in values.items():
        if value in ("", None, {}):
            content.pop(key, None)
        else:
            content[key] = value
    try:
        _replace(file, json.dumps(content, indent=2, ensure_ascii=False).encode("utf-8"))
    except OSError as error:
        reason = "%s: %s" % (file, error.strerror or error)
        raise BridgeError("storage", _("The settings cannot be stored: %s") % reason) from error


def check(settings: Settings) -> None:
    """Raises BridgeError bad_request, with the reason, for settings that cannot be."""
    text = ""
    if not 0 <= settings.idle_minutes < 1e6:
        text = _("The minutes until the engine leaves are 0 or more.")
    elif settings.device and not re.match(r"(auto|cpu|mps|(cuda|xpu)(:\d+)?)$", settings.device):
        text = _("“%s” is no device: auto, cpu, cuda, cuda:1, mps…") % settings.device
    elif settings.remote and not re.match(r"tcp://[^\s/]+:\d{1,5}$", settings.remote):
        text = _("“%s” is no address of an engine: tcp://HOST:PORT.") % settings.remote
    elif settings.remote and not re.match(r"[0-9a-fA-F]{64}$", settings.remote_key):
        text = _("The remote engine's public key is missing: 64 digits and letters a to f.")
    elif settings.engine and not os.path.exists(os.path.expanduser(settings.engine)):
        text = _("There is nothing at %s.") % settings.engine
    if text:
        raise BridgeError("bad_request", text)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _content(file: str) -> Dict[str, Any]:
    try:
        with open(file, encoding="utf-8") as opened:
            content = json.load(opened)
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _set_aside(file: str) -> None:
    """Keep a copy of a file that could not be understood: somebody wrote it by hand."""
    with contextlib.suppress(OSError), open(file, "rb") as damaged:
        data = damaged.read()
        if data.strip() not in (b"", b"{}"):
            _replace(file + ".damaged", data)


def _replace(file: str, data: bytes) -> None:
    """Write so that a reader finds the old file or the new one, whole."""
    target = os.path.realpath(file)  # it may be a link into a person's dotfiles
    os.makedirs(os.path.dirname(target), exist_ok=True)
    handle, scratch = tempfile.mkstemp(dir=os.path.dirname(target), prefix=".settings-")
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(data + b"\n")
        os.replace(scratch, target)
    except BaseException:
        os.unlink(scratch)
        raise
