"""``ganpaint models measure``: what a model makes of photographs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ganpaint_engine.terminal import err_console, escape, out_console

if TYPE_CHECKING:
    from ganpaint_engine.photo_folder import Problem
    from ganpaint_engine.session import OnStep

models_app = typer.Typer()

PHOTOS_HELP = "A folder of photographs; what cannot be used is listed."


@contextmanager
def _progress() -> Iterator[OnStep]:
    """A progress bar with the time that is left; the callback that moves it."""
    from rich.progress import (
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description:22}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err_console.console, transient=True) as bar:
        task = bar.add_task("loading", total=1.0)
        yield lambda fraction, stage: bar.update(task, completed=fraction, description=stage)


def _tell_problems(problems: list[Problem]) -> None:
    """The files that were left out, a line each."""
    for file, code, message in problems:
        err_console.print(f"[yellow]left out[/] {escape(f'{file} [{code}]: {message}')}")


@models_app.command()
def measure(
    name: Annotated[str, typer.Argument(help="A model's name, or its folder.")],
    photos: Annotated[Path, typer.Option(help=PHOTOS_HELP)],
    out: Annotated[Path, typer.Option(help="Folder for sheet, maps and figures.")] = Path(
        "ganpaint-measured"
    ),
    quality: Annotated[str, typer.Option(help="Of the edits: preview or final.")] = "final",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda…")] = "auto",
) -> None:
    """How well a model does on a folder of photographs: figures, and a sheet of pictures."""
    from ganpaint_engine import gap_report
    from ganpaint_engine.session import load_model

    with _progress() as on_step:
        report = gap_report.measure(load_model(name, device), photos, out, on_step, quality)
    for table in report.tables():
        out_console.print(table)
    _tell_problems(report.problems)
    unlike = [m.file for m in report.measured if m.warnings]
    if unlike:
        out_console.print(f"Unlike what {name} knows: {escape(', '.join(unlike))}")
    out_console.print(f"Pictures: {report.sheet}\nFigures:  {report.data}")
