"""``ganpaint models …``: what models there are, and how to get more."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ganpaint_engine.terminal import err_console, escape, out_console

if TYPE_CHECKING:
    from ganpaint_engine.model_package import ModelInfo
    from ganpaint_engine.published.catalogue import Published
    from ganpaint_engine.published.download import OnProgress

app = typer.Typer(help="The models at hand, and how to get more.", no_args_is_help=True)

ModelArgument = Annotated[str, typer.Argument(help="A model's name, or its folder.")]


@app.command("list")
def list_() -> None:
    """All installed models, and what those lack that are not prepared for photos."""
    from rich.table import Table

    from ganpaint_engine import model_package

    table = Table("name", "version", "window", "concepts", "terms", box=None)
    for info in model_package.list_models():
        concepts = ", ".join(info.concepts) or f"none; lacks {', '.join(info.lacks)}"
        cells = (info.name, info.version, f"{info.resolution} px", concepts, info.card["terms"])
        table.add_row(*(escape(str(cell)) for cell in cells))
    out_console.print(table)


@app.command()
def info(name: ModelArgument) -> None:
    """One model's card; its files are compared with their hashes."""
    from ganpaint_engine import model_package

    found = model_package.find_model(name)
    model_package.verify(found)
    out_console.print_json(data=found.card)
    out_console.print(f"{found.path}: all {len(found.card['files'])} files are whole.")


@app.command()
def pull(
    published: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Which one; none shows them all.")
    ] = None,
    accept_terms: Annotated[
        bool, typer.Option("--accept-terms", help="Accept the terms without being asked.")
    ] = False,
    name: Annotated[str | None, typer.Option(help="What to call the model here.")] = None,
    replace: Annotated[bool, typer.Option(help="Replace a model of the same name.")] = False,
) -> None:
    """Fetch a published generator. Interrupted, it goes on where it stopped when run again."""
    from ganpaint_engine import model_package
    from ganpaint_engine.published import catalogue, pulling

    if published is None:
        for entry in catalogue.read().values():
            out_console.print(f"{entry.name:15} {escape(entry.title)}; {entry.terms}")
        return
    wanted = catalogue.find(published)
    model_package.check_free(name or wanted.name, replace)
    agree_to(wanted, accept_terms)
    with transfer(wanted.file) as on_progress:
        made = pulling.pull(wanted, name, replace, on_progress)
    tell_imported(made)


def agree_to(wanted: Published, accepted: bool) -> None:
    """Show the terms, and ask unless they were accepted. Raises TermsNotAccepted."""
    from ganpaint_engine.errors import TermsNotAccepted

    out_console.print(escape(f"{wanted.name}: {wanted.title}\n\n{wanted.terms_text}\n"))
    size = f"{wanted.bytes / 1e6:.0f} MB" if wanted.bytes else "size not known beforehand"
    out_console.print(f"{wanted.terms}: {wanted.terms_url}\n{wanted.file}, {size}, from:")
    for address in wanted.addresses:
        out_console.print(f"  {escape(address)}")
    if accepted:
        return
    if not sys.stdin.isatty():
        raise TermsNotAccepted("Nobody can be asked here: accept the terms with --accept-terms.")
    if not typer.confirm("Do you accept these terms?"):
        raise TermsNotAccepted("The terms were not accepted: nothing was fetched.")


@contextmanager
def transfer(file: str) -> Iterator[OnProgress]:
    """A bar with bytes, speed and the time left; the callback that moves it."""
    from rich import progress

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.DownloadColumn(),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=err_console.console) as bar:
        task = bar.add_task(escape(file), total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="Weights: .pth, .pt or .safetensors.")],
    format_: Annotated[str, typer.Option("--format", help="auto, proggan or stylegan2.")] = "auto",
    name: Annotated[str | None, typer.Option(help="The model's name; else the file's.")] = None,
    terms: Annotated[str | None, typer.Option(help="The weights' licence, for the card.")] = None,
    replace: Annotated[bool, typer.Option(help="Replace a model of the same name.")] = False,
    edit_layer: Annotated[
        int | None, typer.Option(help="StyleGAN2: which 8×8 layer is edited, 2 or 3.")
    ] = None,
) -> None:
    """Make a model of published ProGAN or StyleGAN2 weights. Nothing in the file is run."""
    from ganpaint_engine.published.importing import import_file

    tell_imported(import_file(file, format_, name, terms, replace, edit_layer))


def tell_imported(found: ModelInfo) -> None:
    """What was imported, and what to do next."""
    out_console.print(
        f"{found.name}: {found.architecture}, {found.resolution} px, "
        f"{found.card['edit_layer']['units']} units at layer {found.card['edit_layer']['number']}; "
        f"terms: {escape(str(found.card['terms']))}"
    )
    for note in found.card.get("notes", []):
        out_console.print(f"  {escape(note)}")
    out_console.print(f"  It can sample:   ganpaint models sample {found.name} -o sheet.png")
    if found.can_be_prepared:
        out_console.print(f"  To edit photos:  ganpaint models prepare {found.name}")
    else:
        out_console.print(f"  It cannot edit photos: it lacks {', '.join(found.lacks)}.")


@app.command()
def remove(
    name: Annotated[str, typer.Argument(help="The name of a model of your own.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a model of your own, with what was prepared for it."""
    from ganpaint_engine import model_package

    found = model_package.find_model(name)
    if yes or typer.confirm(f"Delete {found.path}?"):
        out_console.print(f"Deleted {escape(str(model_package.remove(name)))}.")


@app.command()
def sample(
    name: ModelArgument,
    output: Annotated[Path, typer.Option("-o", "--output", help="Where the sheet goes.")],
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="How many pictures.")] = 16,
    seed: Annotated[int, typer.Option(min=0, help="Picks the pictures.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda…")] = "auto",
) -> None:
    """Draw pictures from a model, as one sheet."""
    from ganpaint_engine import pictures
    from ganpaint_engine.prior import load_model

    pictures.write_picture(pictures.sheet(load_model(name, device).sample(count, seed)), output)
    out_console.print(f"{count} samples: {output}")
