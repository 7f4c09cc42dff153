"""``ganpaint features …``: networks whose features the loss of inversion compares."""

from __future__ import annotations

from typing import Annotated

import typer

from ganpaint_engine.commands.models import agree_to, transfer
from ganpaint_engine.terminal import escape, out_console

app = typer.Typer(
    help="Feature networks that tell how alike two pictures look.", no_args_is_help=True
)


@app.command("list")
def list_() -> None:
    """Which can be fetched, and which are here."""
    from ganpaint_engine import paths
    from ganpaint_engine.published import catalogue

    out_console.print("bundled         the segmenter that comes with the bundled model; here")
    for entry in catalogue.read(catalogue.FEATURES).values():
        is_here = (paths.features_dir() / entry.file).is_file()
        found = "here" if is_here else f"ganpaint features pull {entry.name}"
        out_console.print(f"{entry.name:15} {escape(entry.title)}; {found}")


@app.command()
def pull(
    name: Annotated[str, typer.Argument(help="Which one.")] = "vgg16",
    accept_terms: Annotated[
        bool, typer.Option("--accept-terms", help="Accept the terms without being asked.")
    ] = False,
) -> None:
    """Fetch a feature network. Interrupted, it goes on where it stopped when run again."""
    from ganpaint_engine import paths
    from ganpaint_engine.published import catalogue, download

    wanted = catalogue.find(name, catalogue.FEATURES)
    agree_to(wanted, accept_terms)
    with transfer(wanted.file) as on_progress:
        path, address = download.fetch(wanted, paths.features_dir(), on_progress)
    out_console.print(
        f"{name}: {escape(str(path))}, from {escape(address)}. Opening a photo uses it now."
    )
