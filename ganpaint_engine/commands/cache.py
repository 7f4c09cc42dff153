"""``ganpaint cache …``: what is kept of opened photos; and ``ganpaint stats``."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(
    help="What the engine keeps of photos on disk, so that it need not open them again.",
    no_args_is_help=True,
)


@app.command("show")
def cache_show() -> None:
    """Say where the cache lies, how much is in it, and how much may be."""
    from ganpaint_engine import photo_cache, settings

    used = photo_cache.usage()
    mib = settings.number("cache_mib", photo_cache.DEFAULT_MIB)
    keeps = settings.flag("keep_photos", True) and mib > 0
    typer.echo(f"Folder: {photo_cache.folder()}")
    typer.echo(f"Kept:   {used.files} windows of photos, {used.bytes / 2**20:.1f} MiB")
    typer.echo(f"Limit:  {mib:.0f} MiB" if keeps else "Limit:  nothing is kept (settings)")


@app.command("clear")
def cache_clear() -> None:
    """Remove all of it. Photos that a running engine has open stay so until it ends."""
    from ganpaint_engine import photo_cache
    from ganpaint_engine.service import lifecycle

    removed = photo_cache.clear()
    typer.echo(f"Removed {removed.files} files, {removed.bytes / 2**20:.1f} MiB.")
    if lifecycle.running() is not None:
        typer.echo("The running engine still has photos open in memory: ganpaint stop ends it.")


def stats(
    prometheus: Annotated[
        bool, typer.Option("--prometheus", help="In Prometheus' text format.")
    ] = False,
) -> None:
    """What the running engine has done since its start: jobs, times, memory, queue, cache."""
    from ganpaint_engine.client import Client

    with Client.connect(name="ganpaint stats") as client:
        reply = client.stats()
    if prometheus:
        typer.echo(reply["text"], nl=False)
        return
    for group, figures in reply.items():
        if isinstance(figures, dict):
            typer.echo(f"{group}:")
            for key, value in figures.items():
                typer.echo(f"  {key:14} {_shown(value)}")


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_shown(part)}" for key, part in value.items())
    return f"{value:.3f}" if isinstance(value, float) else str(value)
