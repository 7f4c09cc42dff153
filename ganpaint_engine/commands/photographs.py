"""``ganpaint models measure``, ``models prepare``, ``train``: from photographs and for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ganpaint_engine.terminal import err_console, escape, out_console

if TYPE_CHECKING:
    from ganpaint_engine.photo_folder import Problem
    from ganpaint_engine.prior import OnStep

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
    concept: Annotated[
        list[str] | None, typer.Option(help="Whose edits are tried; may be repeated. All if none.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda…")] = "auto",
) -> None:
    """How well a model does on a folder of photographs: figures, and a sheet of pictures."""
    from ganpaint_engine import gap_report
    from ganpaint_engine.prior import load_model

    with _progress() as on_step:
        prior = load_model(name, device)
        report = gap_report.measure(prior, photos, out, on_step, quality, concept or ())
    for table in report.tables():
        out_console.print(table)
    _tell_problems(report.problems)
    unlike = [m.file for m in report.measured if m.warnings]
    if unlike:
        out_console.print(f"Unlike what {name} knows: {escape(', '.join(unlike))}")
    out_console.print(f"Pictures: {report.sheet}\nFigures:  {report.data}")


SEGMENTER_HELP = (
    "Finds the concepts: a file, a folder of transformers (such as an ADE20K SegFormer), or "
    "torchvision:NAME:FILE. The model's own or the shipped one if not given."
)


@models_app.command()
def prepare(
    name: Annotated[str, typer.Argument(help="An imported model's name.")],
    minutes: Annotated[float, typer.Option(help="How long in all, over every run.")] = 60,
    segmenter: Annotated[str | None, typer.Option(help=SEGMENTER_HELP)] = None,
    samples: Annotated[int, typer.Option(min=20, help="Pictures that are dissected.")] = 400,
    again: Annotated[bool, typer.Option("--again", help="Also if it is prepared already.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda…")] = "auto",
) -> None:
    """Make an imported generator ready for photos. Stopped, it goes on where it was."""
    from ganpaint_engine import model_package, preparing, segmenters

    info = model_package.find_model(name)
    found = segmenters.find(segmenter, info)
    with _progress() as on_step:
        written = preparing.prepare(name, minutes, on_step, found, device, again, samples)
    fit = written.card["measured"]["samples_psnr_db"]
    out_console.print(
        f"{written.name} is ready for photos: its own samples at {fit['encoder']:.1f} dB by E, "
        f"{fit['refined']:.1f} dB refined, {fit['adapted']:.1f} dB adapted.\n"
        f"Concepts: {', '.join(written.concepts) or 'none'}"
    )
    for line in written.card["left_out"]:
        out_console.print(f"not offered: {escape(line)}")
    if not written.concepts:
        out_console.print(
            f"Teach it some: ganpaint concepts learn {written.name} --name … --strokes …"
        )


def train(
    photos: Annotated[Path, typer.Argument(help=PHOTOS_HELP)],
    name: Annotated[str, typer.Option(help="What the model is to be called.")],
    minutes: Annotated[float, typer.Option(help="How long in all, over every run.")] = 60,
    start: Annotated[
        str, typer.Option("--from", help="A model to start from, none, or auto: by the photos.")
    ] = "auto",
    labels: Annotated[
        Path | None, typer.Option(help="Label maps of the photos: PNGs of the same names.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the model to this new folder instead.")
    ] = None,
    resolution: Annotated[
        int | None, typer.Option(help="Side of the window in px; the start model's if not given.")
    ] = None,
    terms: Annotated[str | None, typer.Option(help="The model's licence, for its card.")] = None,
    replace: Annotated[bool, typer.Option(help="Replace a model of the same name.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda…")] = "auto",
) -> None:
    """Make a model of a folder of photographs. Stopped, it goes on where it was."""
    from ganpaint_engine import photo_training

    plan = photo_training.Plan(
        photos, name, minutes, start, labels, out, resolution, device,
        terms or photo_training.TERMS, replace,
    )  # fmt: skip
    with _progress() as on_step:
        trained = photo_training.train(plan, on_step)
    _tell_problems(trained.problems)
    card = trained.info.card
    fit = card["measured"]["held_out_psnr_db"]
    out_console.print(
        f"{name}: {card['training']['data']}, from {card['training']['from']}, "
        f"{card['training']['steps']} steps.\n"
        f"Photos that it did not see: {fit['encoder']:.1f} dB by E, {fit['refined']:.1f} dB "
        f"refined, {fit['adapted']:.1f} dB adapted.\n"
        f"Concepts: {', '.join(trained.info.concepts) or 'none'}\n{trained.info.path}"
    )
    for line in card["left_out"]:
        out_console.print(f"not offered: {escape(line)}")
