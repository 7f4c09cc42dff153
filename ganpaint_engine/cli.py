"""``ganpaint …``: the command line.

Each command imports what it needs when it runs: ``--help`` loads typer and little else.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from ganpaint_engine.terminal import err_console, escape, out_console  # before typer  # isort: skip
import typer

from ganpaint_engine import __version__
from ganpaint_engine.commands import (
    cache,
    concepts,
    features,
    keys,
    models,
    photographs,
    plugin,
    service,
    stack,
)
from ganpaint_engine.errors import BadRequest, GanpaintError
from ganpaint_engine.threads import wait_asleep

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

    from ganpaint_engine.client import Client
    from ganpaint_engine.editing import Edit
    from ganpaint_engine.prior import OnStep
    from ganpaint_engine.remote import RemoteEdit

app = typer.Typer(
    help="Semantic photo editing with a generative image prior, inside GIMP and Krita.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
models.app.add_typer(photographs.models_app)
app.command("stack")(stack.stack)
app.command("train")(photographs.train)
app.add_typer(models.app, name="models")
app.add_typer(plugin.app, name="plugin")
app.add_typer(keys.app, name="keys")
app.add_typer(cache.app, name="cache")
app.command("stats")(cache.stats)
app.add_typer(service.app, name="service")
app.add_typer(concepts.app, name="concepts")
app.add_typer(features.app, name="features")
app.command("dissect")(concepts.dissect)


def _version(wanted: bool) -> None:
    if wanted:
        out_console.print(f"ganpaint {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


@contextmanager
def _progress() -> Iterator[OnStep]:
    """A progress bar on the terminal; the callback that moves it."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:14}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err_console.console, transient=True) as bar:
        task = bar.add_task("loading", total=1.0)

        def on_step(fraction: float, stage: str) -> None:
            bar.update(task, completed=fraction, description=stage)

        yield on_step


_CONTEXT = "What the model sees: auto, whole (the photo), selection (little more than it)."


@app.command()
def edit(
    photo: Annotated[Path, typer.Argument(help="The photo: any format that Pillow reads.")],
    mask: Annotated[
        Path, typer.Option("--mask", help="The stroke, of the photo's size: white is selected.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Where the edited photo goes.")],
    add: Annotated[str | None, typer.Option(help="The concept to add.")] = None,
    remove: Annotated[str | None, typer.Option(help="The concept to remove.")] = None,
    restyle: Annotated[str | None, typer.Option(help="The concept whose look changes.")] = None,
    variant: Annotated[
        str | None, typer.Option(help="A look of the concept, such as autumn; see concepts list.")
    ] = None,
    like: Annotated[
        Path | None, typer.Option(help="A mask of the region whose look to take instead.")
    ] = None,
    like_image: Annotated[
        Path | None, typer.Option(help="The photo that --like lies in, if it is another one.")
    ] = None,
    strength: Annotated[
        str, typer.Option(help="How strongly: above 0 to 2, or low, medium, high.")
    ] = "1.0",
    seed: Annotated[int, typer.Option(help="Picks the look; 0 is the mean one.")] = 0,
    model: Annotated[str, typer.Option(help="A model's name, or its folder.")] = "churches",
    quality: Annotated[str, typer.Option(help="preview or final.")] = "final",
    composite: Annotated[
        str,
        typer.Option(help="Final blend: residual, alpha, color_transfer, poisson, laplacian."),
    ] = "residual",
    context: Annotated[str, typer.Option(help=_CONTEXT)] = "auto",
    grow: Annotated[
        int, typer.Option(help="Grow the selection by so many px; below 0: shrink.")
    ] = 0,
    feather: Annotated[float, typer.Option(help="Soften its edge, σ in px.")] = 0.0,
    adaptation: Annotated[
        str, typer.Option(help="How G' is made: delta, additive, paper (slow), weights, none.")
    ] = "delta",
    inversion: Annotated[
        str, typer.Option(help="Stages after E: r, encoder (none), z, layers, all.")
    ] = "r",
    features_: Annotated[
        str, typer.Option("--features", help="Of the inversion's loss: auto, vgg16, bundled, none.")
    ] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda…")] = "auto",
    layer: Annotated[
        Path | None, typer.Option(help="Also write the change alone, as a transparent layer.")
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(help="Let a running engine do it: local, or tcp://HOST:PORT of a remote one."),
    ] = None,
    engine_key: Annotated[
        str | None, typer.Option(help="The remote engine's public key: 64 digits, or a file.")
    ] = None,
    key: Annotated[
        Path | None, typer.Option(help="Your secret key, if it is not the one named client.")
    ] = None,
) -> None:
    """Add a concept to a photo, remove one, or change its look, under a mask."""
    from ganpaint_engine import photo_file, pictures

    file, stroke = photo_file.read(photo), pictures.read_mask(mask)
    picture = file.seen
    concepts = {"add": add, "remove": remove, "restyle": restyle}
    wish: dict[str, Any] = {"variant": variant, "seed": seed, "quality": quality}
    wish |= {"strength": _strength(strength), "composite": composite}
    wish |= {"context": context, "grow": grow, "feather": feather}
    done: Edit | RemoteEdit
    with _progress() as on_step:
        if engine is not None:
            if like is not None or like_image is not None:
                raise BadRequest("--like is not for a running engine; name a --variant.")
            if (adaptation, inversion, features_) != ("delta", "r", "auto"):
                raise BadRequest("--adaptation, --inversion and --features are not for one either.")
            with _engine(engine, engine_key, key) as client:
                done = _edit_there(client, picture, stroke, concepts, model, wish, on_step)
        else:
            wish |= concepts | {"adaptation": adaptation}
            wish["like"] = None if like is None else pictures.read_mask(like)
            wish["like_image"] = None if like_image is None else pictures.read_photo(like_image)
            how = (inversion, features_)
            done = _edit_here(picture, stroke, model, device, wish, how, on_step)
    new, offset = done.layer, done.offset
    notes = file.notes + photo_file.write(file.edited(new, offset), output, file)
    if layer is not None:
        photo_file.write(file.full_layer(new, offset), layer, file, metadata=False)
    _tell(done, output)
    _warn(notes)


def _edit_here(
    picture: np.ndarray,
    stroke: Image,
    model: str,
    device: str,
    wish: dict[str, Any],
    how: tuple[str, str],
    on_step: OnStep,
) -> Edit:
    from ganpaint_engine.prior import load_model

    prior = load_model(model, device)
    photo = prior.open(picture, inversion=how[0], features=how[1])
    return photo.edit(stroke, **wish, on_step=on_step, on_warnings=_warn)


def _edit_there(
    client: Client,
    picture: np.ndarray,
    stroke: Image,
    concepts: dict[str, str | None],
    model: str,
    wish: dict[str, Any],
    on_step: OnStep,
) -> RemoteEdit:
    from ganpaint_engine import remote

    wanted = [(operation, name) for operation, name in concepts.items() if name is not None]
    if len(wanted) != 1 or isinstance(wish["strength"], str):
        raise BadRequest("Say one of what to add, remove or restyle, and the strength in figures.")
    ((operation, concept),) = wanted
    wish |= {"operation": operation, "concept": concept, "model": model}
    return remote.edit(client, picture, stroke, on_step, _warn, **wish)


def _engine(endpoint: str, engine_key: str | None, key: Path | None) -> Client:
    """The client of the engine that --engine names."""
    from ganpaint_engine import client

    if endpoint == "local":
        return client.Client.connect(name="ganpaint edit")
    if engine_key is None:
        raise BadRequest("A remote engine needs --engine-key; on its machine: ganpaint keys list.")
    return client.connect(endpoint, engine_key, key, name="ganpaint edit")


def _strength(text: str) -> float | str:
    """A number, or the name of a strength; the session refuses names it does not know."""
    try:
        return float(text)
    except ValueError:
        return text


def _warn(sentences: Sequence[str]) -> None:
    for sentence in sentences:
        err_console.print(f"[yellow]note:[/] {escape(sentence)}")


def _tell(done: Edit | RemoteEdit, output: Path) -> None:
    fit = done.report["psnr"]
    taken = max(fit[stage] for stage in ("encoder", "refined") if stage in fit)
    adapted = f", adapted to it at {fit['adapted']:.1f} dB" if "adapted" in fit else ""
    out_console.print(
        f"{done.name}: {output}\n  photo taken into the model at {taken:.1f} dB{adapted}; "
        f"edit took {done.report['seconds']['edit']:.1f} s"
    )
    if output.suffix.lower() in (".jpg", ".jpeg", ".webp"):
        err_console.print("note: this format changes every pixel a little; .png keeps the rest.")


@app.command()
def inspect(
    photo: Annotated[Path, typer.Argument(help="The photo: any format that Pillow reads.")],
    mask: Annotated[
        Path | None, typer.Option("--mask", help="The stroke; without it, the photo's middle.")
    ] = None,
    model: Annotated[str, typer.Option(help="A model's name, or its folder.")] = "churches",
    context: Annotated[str, typer.Option(help=_CONTEXT)] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda…")] = "auto",
) -> None:
    """Say how well a model knows a photo, or the part of it where an edit would be made."""
    from ganpaint_engine import pictures
    from ganpaint_engine.prior import load_model

    stroke = None if mask is None else pictures.read_mask(mask)
    seen = (
        load_model(model, device).open(pictures.read_photo(photo)).inspect(stroke, context=context)
    )
    x, y, side = seen.window
    out_console.print(f"window: {side}x{side} px at {x}, {y}; redrawn at {seen.psnr:.1f} dB")
    if seen.unfamiliarity is not None:
        known = "unlike" if seen.warnings else "like"
        out_console.print(
            f"unfamiliarity: {seen.unfamiliarity:.2f} ({seen.limit:.2f} at most in the model's "
            f"own pictures): {known} what {model} knows"
        )
    _warn(seen.warnings)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")] = Path("ganpaint-demo"),
) -> None:
    """Edit the bundled example, and show where the pictures are."""
    from ganpaint_engine import demonstration

    with _progress() as on_step:
        sheet, edits = demonstration.run(out, on_step)
    for path, done in edits:
        _tell(done, path)
    out_console.print(f"\nBefore and after, side by side: [bold]{sheet.absolute()}[/]")


@app.command()
def serve(
    detached: Annotated[
        bool, typer.Option("--detached", help="Return as soon as the engine is ready.")
    ] = False,
    idle_minutes: Annotated[
        float | None, typer.Option(help="Leave after so long without work; 0: never.")
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="auto, cpu, cuda…; else as the settings say.")
    ] = None,
    bind: Annotated[
        str | None,
        typer.Option(
            help="Where to listen, tcp://ADDRESS:PORT; beyond loopback only with --curve."
        ),
    ] = None,
    curve: Annotated[
        bool,
        typer.Option(
            "--curve",
            help="Encrypt, and let in only the clients with allowed keys; see ganpaint keys.",
        ),
    ] = False,
    stub: Annotated[
        bool, typer.Option("--stub", help="No model: made-up results, for work on plug-ins.")
    ] = False,
) -> None:
    """Run the engine that the plug-ins talk to. They start it themselves when they need it."""
    from ganpaint_engine.service import lifecycle

    device = "stub" if stub else device
    raise typer.Exit(
        lifecycle.serve(
            detached=detached, idle_minutes=idle_minutes, device=device, bind=bind, curve=curve
        )
    )


@app.command()
def status() -> None:
    """Say whether an engine runs, and what it does."""
    from rich.table import Table

    from ganpaint_engine.service import lifecycle

    reply = lifecycle.status()
    if reply is None:
        out_console.print("No engine is running.")
        raise typer.Exit(3)
    table = Table(show_header=False, box=None)
    for key, value in reply.items():
        if key != "type":
            table.add_row(key.replace("_", " "), str(value))
    out_console.print(table)


@app.command()
def stop() -> None:
    """End the running engine."""
    from ganpaint_engine.service import lifecycle

    stopped = lifecycle.stop()
    out_console.print("The engine has ended." if stopped else "No engine was running.")


@app.command("doctor")
def doctor_command() -> None:
    """Check this installation, line by line."""
    from ganpaint_engine import doctor, paths

    checks = list(doctor.checks())
    for check in checks:
        mark = "[green]ok  [/]" if check.ok else "[red]bad [/]"
        out_console.print(f"{mark} {check.name}: {escape(check.finding)}")
    out_console.print(f"     files are kept under {paths.runtime_dir()}")
    if not all(check.ok for check in checks):
        raise typer.Exit(1)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; an error of the engine becomes a line with its code.

    Exit status 2 for a wrong request, 1 for any other error, 130 when interrupted.
    """
    wait_asleep()
    try:
        app(arguments)
    except GanpaintError as error:
        err_console.print(f"[red]error[/] {escape(f'[{error.code}] {error.message}')}")
        sys.exit(2 if isinstance(error, BadRequest) else 1)
    except KeyboardInterrupt:
        err_console.print("stopped")
        sys.exit(130)
