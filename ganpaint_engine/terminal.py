"""The terminal: rich's consoles, loaded when something is first printed.

``ganpaint --help`` needs none of it, and typer is told to leave rich alone too: its way of showing
help costs more time than all the rest of the command.
"""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

os.environ.setdefault("TYPER_USE_RICH", "0")  # read by typer when it is imported


class LateConsole:
    """rich's Console, made at its first use."""

    def __init__(self, stderr: bool = False) -> None:
        self._stderr = stderr

    @cached_property
    def console(self) -> Console:
        from rich.console import Console

        return Console(stderr=self._stderr, highlight=False, soft_wrap=True)

    def print(self, *objects: Any, **options: Any) -> None:
        self.console.print(*objects, **options)

    def print_json(self, *, data: Any) -> None:
        self.console.print_json(data=data)


out_console = LateConsole()
err_console = LateConsole(stderr=True)


def escape(text: str) -> str:
    """``text`` with nothing in it that rich would take for markup."""
    from rich.markup import escape as rich_escape

    return rich_escape(text)
