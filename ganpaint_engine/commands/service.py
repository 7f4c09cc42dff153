"""``ganpaint service …``: the engine as a service of the system."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(help="The engine as a systemd user service.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Makes typer keep the sub-command's name, although there is one only."""


@app.command("unit")
def service_unit(
    bind: Annotated[str | None, typer.Option(help="As of ganpaint serve.")] = None,
    curve: Annotated[bool, typer.Option("--curve", help="As of ganpaint serve.")] = False,
    memory: Annotated[str, typer.Option(help="The most memory it may take.")] = "80%",
) -> None:
    """Print the unit file of a systemd user service that keeps an engine running.

    ganpaint service unit > ~/.config/systemd/user/ganpaint.service, then systemctl --user
    daemon-reload, and systemctl --user enable --now ganpaint.
    """
    from ganpaint_engine.service import unit

    typer.echo(unit.text(bind=bind, curve=curve, memory=memory), nl=False)
