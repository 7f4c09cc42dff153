"""``ganpaint models …``: what models there are, and how to get more."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ganpaint_engine.terminal import escape, out_console

if TYPE_CHECKING:
    from ganpaint_engine.model_package import ModelInfo

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
def sample(
    name: ModelArgument,
    output: Annotated[Path, typer.Option("-o", "--output", help="Where the sheet goes.")],
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="How many pictures.")] = 16,
    seed: Annotated[int, typer.Option(min=0, help="Picks the pictures.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda…")] = "auto",
) -> None:
    """Draw pictures from a model, as one sheet."""
    from ganpaint_engine import pictures
    from ganpaint_engine.session import load_model

    pictures.write_picture(pictures.sheet(load_model(name, device).sample(count, seed)), output)
    out_console.print(f"{count} samples: {output}")
