"""What an editor's Doctor window shows: the engine, its model, versions, the log; no photo needed.

Pumped by the host's timer::

    doctor = Doctor("gimp 3.0.4")
    doctor.pump(); doctor.lines(); doctor.report_text(); doctor.restart(); doctor.close()
"""

from __future__ import annotations

import getpass
import os
import platform
import re
import time
from typing import Any, Dict, List, NamedTuple, Optional

from . import settings
from .engine import Engine
from .errors import BridgeError, sentence
from .events import Event, event_text
from .places import read_install, runtime_file
from .starting import start_command
from .words import _

_ASK_S = 2.0
_LOG_LINES = 30
_LOG_BYTES = 20000
_GIGA = 1 << 30


class Line(NamedTuple):
    """One line: ``ok`` None where there is nothing to be right or wrong."""

    title: str
    value: str
    ok: Optional[bool] = None


class Doctor:
    """Looks at the engine, and never starts one by itself: start() and restart() do.

    ``client`` names the host, as for Editing. ``folder``: where install.json lies.
    """

    def __init__(self, client: str, folder: str = "") -> None:
        self._client = client
        self._folder = folder
        self._engine = Engine(client, start=False, folder=folder)
        self._asked = 0.0
        self._state = _("Looking for the engine…")
        self._state_ok: Optional[bool] = None
        self._answers: Dict[str, Dict[str, Any]] = {}

    @property
    def running(self) -> bool:
        """Whether an engine has answered and is there."""
        return self._engine.ready

    def pump(self, timeout: float = 0.0) -> bool:
        """Go on; whether there may be something new to show."""
        events = self._engine.pump(timeout)
        for event in events:
            self._take(event)
        if self._engine.ready and time.monotonic() - self._asked > _ASK_S:
            self._asked = time.monotonic()
            self._engine.ask("STATUS")
            self._engine.ask("STATS")
        return bool(events)

    def start(self) -> None:
        """Start an engine if none runs."""
        if not self._engine.ready:
            self._engine.stop(restart=True)

    def restart(self) -> None:
        """End the engine, whoever uses it, and start another one: with the settings of now."""
        self._engine.stop(restart=True)

    def stop(self) -> None:
        """End the engine."""
        self._engine.stop()

    def look_again(self) -> None:
        """Look for an engine that was started meanwhile."""
        self._engine.start()

    def close(self) -> None:
        self._engine.close()

    def _take(self, event: Event) -> None:
        if event.type in ("status", "stats"):
            self._answers[event.type] = event.header
        elif event.type == "welcome":
            self._answers = {"welcome": event.header}
            self._set(_("running and answering"), True)
        elif event.type == "starting":
            self._set(event_text(event), None)
        elif event.type in ("asleep", "stopped"):
            self._set(_("not running; the next edit starts it"), None)
        elif event.error is not None and event.type == "failed":
            missing = event.error.code == "engine_unreachable" and not self._finds()
            if missing and not self._answers:
                self._set(_("not running; the next edit starts it"), None)
            else:
                self._set(sentence(event.error), False)

    def _set(self, state: str, ok: Optional[bool]) -> None:
        self._state, self._state_ok = state, ok
        if not ok:
            self._answers = {}

    def _finds(self) -> bool:
        return os.path.exists(runtime_file(read_install(self._folder)))

    # -- the report --------------------------------------------------------------------------

    def lines(self) -> List[Line]:
        """What is known now, in the order in which it is to be shown."""
        install = read_install(self._folder)
        lines = [Line(_("Engine"), self._state, self._state_ok)]
        lines += self._about_engine()
        lines.append(self._command(install))
        lines.append(Line(_("Plug-in"), str(install.get("version") or _("copied by hand"))))
        lines.append(Line(_("Editor"), self._client))
        system = "Python %s, %s" % (platform.python_version(), platform.platform())
        lines.append(Line(_("System"), system))
        lines += self._about_settings()
        lines.append(Line(_("Log"), log_file(install)))
        return lines

    def report_text(self) -> str:
        """All of it and the end of the log, to be sent to somebody: without names and paths that
        are private. There are no pictures in it."""
        lines = ["%s: %s" % (line.title, line.value) for line in self.lines()]
        return without_private("\n".join([*lines, "", *self.log_tail(), ""]))

    def log_tail(self) -> List[str]:
        """The last lines of the engine's log."""
        try:
            with open(log_file(read_install(self._folder)), "rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - _LOG_BYTES))
                text = file.read(_LOG_BYTES).decode("utf-8", "replace")
        except OSError:
            return []
        return text.splitlines()[-_LOG_LINES:]

    def _about_engine(self) -> List[Line]:
        welcome, status = self._answers.get("welcome", {}), self._answers.get("status", {})
        lines = []
        if welcome:
            values = {"engine": welcome.get("engine"), "theirs": welcome.get("protocol")}
            text = _("%(engine)s, protocol %(theirs)s") % values
            lines.append(Line(_("Engine's version"), text))
        if status:
            minutes = int(float(status.get("uptime", 0)) // 60)
            values = {"pid": status.get("pid"), "minutes": minutes}
            text = _("%(pid)s, running for %(minutes)d min") % values
            lines.append(Line(_("Process"), text))
            lines.append(Line(_("Device"), str(status.get("device"))))
            values = {"active": status.get("active"), "waiting": status.get("waiting")}
            text = _("%(active)s under way, %(waiting)s waiting") % values
            lines.append(Line(_("Edits"), text))
        memory = _memory(self._answers.get("stats", {}).get("memory"))
        if memory:
            lines.append(Line(_("Memory"), memory))
        return lines + _models(welcome)

    def _command(self, install: Dict[str, Any]) -> Line:
        title = _("Starts with")
        try:
            command = start_command(install, settings.read(self._folder).engine)
        except BridgeError as error:
            return Line(title, sentence(error), False)
        found = os.path.sep not in command[0] or os.path.exists(command[0])
        text = " ".join(command)
        return Line(title, text if found else _("%s: there is no such file") % text, found)

    def _about_settings(self) -> List[Line]:
        chosen = settings.read(self._folder)
        lines = [Line(_("Settings"), settings.path(self._folder))]
        if chosen.remote:
            lines.append(Line(_("Edits are made by"), chosen.remote))
        return lines


def log_file(install: Dict[str, Any]) -> str:
    """The engine's log, beside its runtime file."""
    return os.path.join(os.path.dirname(runtime_file(install)), "engine.log")


def _memory(found: Any) -> str:
    if not isinstance(found, dict):
        return ""
    parts = []
    for key, text in (("rss", _("%.1f GB")), ("gpu", _("%.1f GB on the GPU"))):
        if isinstance(found.get(key), (int, float)):
            parts.append(text % (found[key] / _GIGA))
    return ", ".join(parts)


def _models(welcome: Dict[str, Any]) -> List[Line]:
    """The default model first."""
    if not welcome:
        return []
    models = [one for one in welcome.get("models") or () if isinstance(one, dict)]
    if not models:
        return [Line(_("Model"), _("none is installed"), False)]
    models.sort(key=lambda one: one.get("name") != welcome.get("default_model"))
    values = ["%s %s" % (one.get("name"), one.get("version", "")) for one in models]
    return [Line(_("Model"), values[0].strip(), True)] + (
        [Line(_("Other models"), ", ".join(values[1:]))] if values[1:] else []
    )


def without_private(text: str) -> str:
    """``text`` without home folders, the person's name and the machine's, keys and addresses."""
    home = os.path.expanduser("~")
    for own in {home, os.path.realpath(home)}:
        if len(own) > 2:
            text = text.replace(own, "~")
    text = re.sub(r"(/home/|/Users/|[A-Za-z]:\\\\?Users\\\\?)[^/\\\s:,'\"]+", "~", text)
    text = re.sub(r"\b[0-9a-fA-F]{64}\b", "<key>", text)
    text = re.sub(r"tcp://(?!127\.0\.0\.1)[^\s,]+", "tcp://<address>", text)
    for private, instead in ((_user(), "<user>"), (platform.node(), "<machine>")):
        if len(private) > 2:
            text = re.sub(r"(?<![\w])%s(?![\w])" % re.escape(private), instead, text)
    return text


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # no entry, or no such module on Windows
        return ""
