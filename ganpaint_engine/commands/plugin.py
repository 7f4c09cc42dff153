"""``ganpaint plugin …``: the plug-ins of GIMP and Krita."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="The plug-ins of GIMP and Krita.", no_args_is_help=True)

HostArgument = Annotated[str, typer.Argument(help="gimp or krita")]
FolderOption = Annotated[
    Path | None, typer.Option("--config-dir", help="GIMP's or Krita's own folder, if unusual.")
]


@app.command("install")
def plugin_install(host: HostArgument, config_dir: FolderOption = None) -> None:
    """Install the plug-in of an editor; repeat it to update."""
    from ganpaint_engine import plugins

    for copy in plugins.install(host, config_dir):
        typer.echo(f"Installed in {copy.plugin_dir}. Restart {host.capitalize()} to see it.")


@app.command("uninstall")
def plugin_uninstall(host: HostArgument, config_dir: FolderOption = None) -> None:
    """Remove an installed plug-in, and nothing else."""
    from ganpaint_engine import plugins

    copies = plugins.uninstall(host, config_dir)
    for copy in copies:
        typer.echo(f"Removed from {copy.plugin_dir}.")
    if not copies:
        typer.echo(f"No plug-in of {host} was installed there.")


@app.command("zip")
def plugin_zip(
    host: HostArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="The zip file to write.")],
) -> None:
    """Pack the plug-in into a zip: Krita's own plug-in importer takes it."""
    from ganpaint_engine import plugin_packages

    file = plugin_packages.make_zip(host, out)
    typer.echo(f"Written: {file}.")
    if host == "krita":
        typer.echo("In Krita: Tools ▸ Scripts ▸ Import Python Plugin from File…, then restart it.")
    else:
        typer.echo("Unpack it into GIMP's folder plug-ins, then restart GIMP.")


@app.command("folder")
def plugin_folder(
    host: HostArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write into.")],
) -> None:
    """Write the plug-in into a folder, to be copied by hand."""
    from ganpaint_engine import plugin_packages

    folder = plugin_packages.make_folder(host, out)
    place = "GIMP's folder plug-ins" if host == "gimp" else "Krita's resource folder"
    typer.echo(f"Copy what is in {folder} into {place}, then restart {host.capitalize()}.")


@app.command("list")
def plugin_list() -> None:
    """Where plug-ins are installed."""
    from ganpaint_engine import plugins

    copies = plugins.list_installed()
    for copy in copies:
        typer.echo(f"{copy.host:6} {copy.version:10} {copy.plugin_dir}")
    if not copies:
        typer.echo("None. Install one with: ganpaint plugin install gimp|krita")
