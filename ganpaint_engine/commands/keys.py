"""``ganpaint keys …``: the key pairs of engines and clients on different machines."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(
    help="The keys with which remote engines and their clients know each other.",
    no_args_is_help=True,
)


@app.command("new")
def keys_new(
    client: Annotated[
        str | None,
        typer.Option("--client", help="Make a client's pair of this name, not the engine's."),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace an existing pair.")] = False,
) -> None:
    """Make a key pair: the engine's, or with --client NAME one for a client.

    On the engine's machine: ganpaint keys new. On the client's: ganpaint keys new --client client
    (the name "client" is the one used when no other is given). Then, on the engine's machine,
    ganpaint keys allow NAME KEY with the client's public key.
    """
    from ganpaint_engine.service import keys

    name = keys.ENGINE if client is None else client
    public = keys.new(name, replace=replace)
    typer.echo(f"Secret key: {keys.secret_file(name)} (it stays on this machine)")
    typer.echo(f"Public key: {public.hex()}")
    if client is None:
        typer.echo("Clients give the public key as --engine-key.")
    else:
        typer.echo("On the engine's machine: ganpaint keys allow NAME and the public key.")


@app.command("allow")
def keys_allow(
    name: Annotated[str, typer.Argument(help="What to call this client.")],
    key: Annotated[str, typer.Argument(help="Its public key: 64 digits, or a file.")],
) -> None:
    """Let a client use this machine's engine, from its next connection on."""
    from ganpaint_engine.service import keys

    typer.echo(f"Allowed: {keys.allow(name, keys.read_public(key))}")


@app.command("revoke")
def keys_revoke(
    name: Annotated[str, typer.Argument(help="What the client is called here.")],
) -> None:
    """Refuse a client's next connection, and the next job of one that is open."""
    from ganpaint_engine.service import keys

    typer.echo("Revoked." if keys.revoke(name) else f"No client {name} was allowed.")


@app.command("list")
def keys_list() -> None:
    """The public keys at hand, and the clients that may enter."""
    from ganpaint_engine import paths
    from ganpaint_engine.service import keys

    for file in sorted(paths.keys_dir().glob("*.public")):
        typer.echo(f"{file.stem:16} {file.read_text(encoding='ascii').strip()}")
    for name, public in keys.allowed().items():
        typer.echo(f"{name:16} {public.hex()} may enter")
    typer.echo(f"Keys are kept in {paths.keys_dir()}.")
