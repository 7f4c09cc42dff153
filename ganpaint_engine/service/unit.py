"""The engine as a systemd user service: the text of its unit file."""

from __future__ import annotations

import sys

from ganpaint_engine.service import security

_UNIT = """\
# {path}
# Printed by: ganpaint service unit
[Unit]
Description=GANPaint engine
Documentation=https://www.freedesktop.org/software/systemd/man/systemd.service.html

[Service]
Type=exec
ExecStart={command}
Restart=on-failure
RestartSec=5
TimeoutStopSec=30
UMask=0077
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
# A client that never ends a message fills the memory; then this engine alone is ended.
MemoryMax={memory}
OOMPolicy=stop

[Install]
WantedBy=default.target
"""

PATH = "~/.config/systemd/user/ganpaint.service"


def text(*, bind: str | None = None, curve: bool = False, memory: str = "80%") -> str:
    """The unit file for this installation of the engine.

    ``bind`` and ``curve`` as in lifecycle.serve; ``memory`` as systemd's MemoryMax takes it.
    Raises InsecureBind, BadRequest.
    """
    arguments = [sys.executable, "-m", "ganpaint_engine", "serve", "--idle-minutes", "0"]
    if bind is not None:
        security.Door(bind, secret=bytes(32) if curve else None)  # raises for what serve refuses
        arguments += ["--bind", bind]
    arguments += ["--curve"] if curve else []
    return _UNIT.format(path=PATH, command=" ".join(map(_quoted, arguments)), memory=memory)


def _quoted(argument: str) -> str:
    """As systemd reads a command line: % and $ stand for themselves when doubled."""
    escaped = argument.replace("\\", "\\\\").replace('"', '\\"')
    escaped = escaped.replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if any(c in argument for c in " \t'\"\\;") else escaped
