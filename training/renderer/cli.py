"""``python -m training.renderer``: render a set of scenes, verify one, look at one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from training.renderer import sets, sheet, work
from training.renderer.errors import BadSetting, RendererError, SetFolder
from training.renderer.labels import ELEMENTS

app = typer.Typer(
    help="Photographs of churches and houses with label maps, rendered with Blender's Cycles.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
out_console = Console(highlight=False, soft_wrap=True)
err_console = Console(stderr=True, highlight=False, soft_wrap=True)

Folder = Annotated[Path, typer.Argument(help="The folder of the set.")]


@app.command()
def render(
    folder: Folder,
    count: Annotated[int, typer.Option(min=1, help="How many scenes.")] = 64,
    first: Annotated[int, typer.Option(min=0, help="The first seed; a scene is its seed.")] = 0,
    size: Annotated[int, typer.Option(min=32, max=2048, help="Side of the pictures in px.")] = 256,
    samples: Annotated[int, typer.Option(min=1, max=4096, help="Light paths for a pixel.")] = 14,
    processes: Annotated[int, typer.Option(min=1, max=256, help="Scenes rendered at a time.")] = 1,
    toggle: Annotated[
        list[str] | None,
        typer.Option(help=f"ELEMENT=on|off, all else equal. Elements: {', '.join(ELEMENTS)}."),
    ] = None,
    textures: Annotated[
        Path | None, typer.Option(help="A folder of photographic material tiles.")
    ] = None,
    quality: Annotated[
        int, typer.Option(min=1, max=100, help="Of the WebP pictures; 100 is lossless.")
    ] = 92,
) -> None:
    """Render scenes; those the folder has already are left alone."""
    toggles = sets.parse_toggles(toggle or [])
    if textures is not None and not textures.is_dir():
        raise SetFolder(f"There is no folder of textures at {textures}.")
    blender = work.blender_version()
    settings = sets.Settings(size, samples, textures is not None, quality, blender)
    scenes = sets.SceneSet.open(folder, settings)
    jobs = [work.Job(seed, toggles) for seed in range(first, first + count)]
    there = sum(scenes.has(job.name) for job in jobs)
    if there:
        err_console.print(f"{there} of {count} scenes are there already.")
    columns = (
        TextColumn("scenes"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TextColumn("left"), TimeRemainingColumn(elapsed_when_finished=False),
    )  # fmt: skip
    with Progress(*columns, console=err_console, speed_estimate_period=600) as bar:
        task = bar.add_task("", total=count, completed=there)
        todo = min(processes, max(1, count - there))
        if there < count:
            work.render_set(scenes, settings, jobs, todo, textures, lambda _: bar.advance(task))
    out_console.print(f"{count} scenes of {size} px in {escape(str(folder))}")


@app.command()
def verify(folder: Folder) -> None:
    """Compare a set's files with the hashes in its manifest."""
    faults = sets.verify(folder)
    for fault in faults:
        out_console.print(escape(fault))
    if faults:
        raise typer.Exit(1)
    out_console.print(f"All is well: {len(sets.SceneSet.read(folder).records)} scenes.")


@app.command("sheet")
def sheet_(
    folder: Folder,
    out: Annotated[Path, typer.Option(help="The picture to write (.png, .webp, .jpg).")],
    count: Annotated[int, typer.Option(min=1)] = 48,
    columns: Annotated[int, typer.Option(min=1)] = 8,
    tile: Annotated[int, typer.Option(min=16, help="Side of each picture in px.")] = 128,
    labels: Annotated[bool, typer.Option("--labels", help="Show the label maps too.")] = False,
    quality: Annotated[int, typer.Option(min=1, max=100)] = 85,
) -> None:
    """A contact sheet of a set's first scenes."""
    if out.suffix.lower() not in (".png", ".webp", ".jpg", ".jpeg"):
        raise BadSetting(f"Cannot write {out.name}: use a name ending in .png, .webp or .jpg.")
    shown = sheet.contact_sheet(folder, out, count, columns, tile, labels, quality)
    out_console.print(f"{shown} scenes on {escape(str(out))}")


def main() -> None:
    """Run a command; an error the person can mend is one line with its code, and exit status 2."""
    try:
        app()
    except RendererError as error:
        err_console.print(f"[red]error[/red] {escape(f'[{error.code}]')} {escape(str(error))}")
        sys.exit(2)
    except KeyboardInterrupt:
        err_console.print("Stopped. Run the same command again to go on.")
        sys.exit(130)
