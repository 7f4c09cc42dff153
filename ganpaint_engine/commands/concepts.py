"""``ganpaint dissect`` and ``ganpaint concepts …``: find, learn, list, show and remove concepts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ganpaint_engine.errors import BadRequest, SegmenterMissing, UnknownConcept
from ganpaint_engine.terminal import err_console, escape, out_console

if TYPE_CHECKING:
    from torch import Tensor

    from ganpaint_engine.model_package import ModelInfo
    from ganpaint_engine.prior import OnStep, Prior
    from ganpaint_engine.segmentation import Segmenter

app = typer.Typer(help="The concepts of a model.", no_args_is_help=True)

ModelArgument = Annotated[str, typer.Argument(help="A model's name, or its folder.")]
OutOption = Annotated[
    Path | None, typer.Option(help="Write the changed model to this new folder instead.")
]
InPlaceOption = Annotated[
    bool, typer.Option("--in-place", help="Change a model that came with the product itself.")
]
PicturesOption = Annotated[
    Path | None,
    typer.Option(help="A folder of pictures to look at; the model's own samples if not given."),
]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda…")]


@contextmanager
def _progress() -> Iterator[OnStep]:
    """A progress bar on the terminal; the callback that moves it."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:16}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err_console.console, transient=True) as bar:
        task = bar.add_task("loading", total=1.0)
        yield lambda fraction, stage: bar.update(task, completed=fraction, description=stage)


def dissect(
    model: ModelArgument,
    pictures: PicturesOption = None,
    count: Annotated[int, typer.Option(help="How many pictures at most.", min=20)] = 800,
    segmenter: Annotated[
        Path | None, typer.Option(help="Finds what is where; the model's own if not given.")
    ] = None,
    judge: Annotated[
        Path | None,
        typer.Option(help="Another segmenter, that measures edits; the shipped one if not given."),
    ] = None,
    concept: Annotated[
        list[str] | None, typer.Option(help="Only this one; may be repeated. All if not given.")
    ] = None,
    looks_only: Annotated[
        bool,
        typer.Option(
            "--looks-only",
            help="Keep the model's concepts and their measurements; add strengths and looks.",
        ),
    ] = False,
    keep_segmenter: Annotated[
        bool, typer.Option("--keep-segmenter", help="Put the segmenter into the model.")
    ] = False,
    out: OutOption = None,
    in_place: InPlaceOption = False,
    device: DeviceOption = "auto",
) -> None:
    """Find a model's concepts anew: units, strengths, looks, and what edits with them do."""
    from ganpaint_engine import model_change, model_dissection, model_package, segmentation
    from ganpaint_engine.prior import load_model

    info = model_package.find_model(model)
    target = model_change.target_of(info, out, in_place)
    with model_change.changing(target):
        ranker, measurer, independent = _segmenters(info, segmenter, judge)
        with _progress() as on_step:
            prior = load_model(info.path, device)
            x = _pictures(prior, pictures, count)
            known = model_package.load_concepts(info)
            kept = {n: c for n, c in known.items() if looks_only and n in ranker.classes}
            result = model_dissection.run(
                prior, ranker, measurer, x, concept or list(kept), on_step, kept
            )
        entries, left_out = model_dissection.merged(info.card, result, set(kept))
        concepts = {
            n: known[n] if e.get("learned") else result.concepts.get(n) or known[n]
            for n, e in entries.items()
        }
        more = {
            "left_out": left_out,
            "dissection": {
                "pictures": len(x),
                "source": "the model's own samples" if pictures is None else "a folder of pictures",
                "outlier_units": result.outliers,
                "independent_judge": independent,
            },
        }
        files = dict(result.thumbnails)
        if keep_segmenter:
            files[model_package.SEGMENTER] = segmentation.to_bytes(ranker)
        written = model_change.write(
            info, target, concepts, list(entries.values()), more, files, result.rankings
        )
    _table(written)
    for line in result.left_out:
        out_console.print(f"not offered: {escape(line)}")
    if not independent:
        err_console.print(
            "[yellow]note:[/] measured by the segmenter that ranked the units, which flatters: the "
            "shipped judge does not know its classes. --judge names another one."
        )
    out_console.print(f"{written.path}")


def _pictures(prior: Prior, folder: Path | None, count: int) -> Tensor:
    """A folder's pictures, or the model's own: N×3×R×R uint8. What is left out is told."""
    from ganpaint_engine import model_dissection

    if folder is None:
        return model_dissection.samples(prior, count)
    x, problems = model_dissection.read_folder(folder, prior.resolution, count)
    for problem in problems:
        err_console.print(f"[yellow]left out[/] {escape(problem)}")
    return x


def _segmenters(
    info: ModelInfo, segmenter: Path | None, judge: Path | None
) -> tuple[Segmenter, Segmenter, bool]:
    """Who ranks, who measures, and whether these are two. Raises SegmenterMissing, BadRequest."""
    from ganpaint_engine import model_package, paths, segmentation

    own = info.path / model_package.SEGMENTER
    if segmenter is None and not own.is_file():
        raise SegmenterMissing(
            f"The model {info.name} has no segmenter of its own: name one with --segmenter, or "
            "teach it concepts from painted pictures with: ganpaint concepts learn"
        )
    ranker = segmentation.load(segmenter or own)
    shipped = paths.judge_file()
    if judge is None and not (shipped.is_file() and ranker.classes == segmentation.CLASSES):
        return ranker, ranker, False
    measurer = segmentation.load(judge or shipped)
    first, second = (s.net.state_dict()["out.weight"] for s in (ranker, measurer))
    if first.shape == second.shape and (first - second).abs().max() < 1e-2:
        raise BadRequest("The judge must be another segmenter than the one that ranks the units.")
    return ranker, measurer, True


@app.command()
def learn(
    model: ModelArgument,
    name: Annotated[str, typer.Option("--name", help="What the concept is called, such as bell.")],
    strokes: Annotated[
        Path,
        typer.Option(help="Painted pictures: house.jpg with house.mask.png, or house.ora."),
    ],
    out: OutOption = None,
    in_place: InPlaceOption = False,
    device: DeviceOption = "auto",
) -> None:
    """Teach a model a concept from a few pictures on which its place was painted."""
    from ganpaint_engine import learning, model_change, model_package
    from ganpaint_engine import strokes as painted_pictures
    from ganpaint_engine.prior import load_model

    info = model_package.find_model(model)
    learning.check_name(name, info.concepts)
    target = model_change.target_of(info, out, in_place)
    with model_change.changing(target):
        painted = painted_pictures.read(strokes)
        with _progress() as on_step:
            learned = learning.learn(load_model(info.path, device), name, painted, on_step)
        concepts = {**model_package.load_concepts(info), name: learned.concept}
        written = model_change.write(
            info, target, concepts, [*info.card["concepts"], learned.entry],
            files=learned.thumbnails, rankings={name: learned.ranking},
        )  # fmt: skip
    units = ", ".join(str(u) for u in learned.concept.units.tolist())
    out_console.print(
        f"{name}: {len(painted)} painted pictures, units {units} "
        f"(mean IoU {learned.entry['unit_iou']:.2f}).\n{written.path}\n"
        f"Try it: ganpaint edit PHOTO --mask MASK --add '{name}' --model {written.path} -o OUT.png"
    )


@app.command("list")
def list_concepts(model: ModelArgument) -> None:
    """What a model can do with each concept, and the looks it knows."""
    from ganpaint_engine import model_package

    _table(model_package.find_model(model))


def _table(info: ModelInfo) -> None:
    from rich.table import Table

    table = Table("concept", "operations", "looks", "units", "from", box=None)
    for entry in info.card["concepts"]:
        name = str(entry["name"])
        table.add_row(
            name,
            ", ".join(info.operations(name)),
            ", ".join(info.variants.get(name, ())),
            str(entry.get("units", "")),
            "painted pictures" if entry.get("learned") else "dissection",
        )
    out_console.print(table)


@app.command("remove")
def remove_concept(
    model: ModelArgument,
    name: Annotated[str, typer.Option("--name", help="The concept to forget.")],
    out: OutOption = None,
    in_place: InPlaceOption = False,
) -> None:
    """Take a concept out of a model. The network itself stays as it is."""
    from ganpaint_engine import model_change, model_package

    info = model_package.find_model(model)
    if name not in info.concepts:
        raise UnknownConcept(
            f"The model {info.name} has no concept {name!r}. It has: {', '.join(info.concepts)}.",
            concept=name,
        )
    target = model_change.target_of(info, out, in_place)
    with model_change.changing(target):
        concepts = model_package.load_concepts(info)
        del concepts[name]
        entries = [e for e in info.card["concepts"] if e["name"] != name]
        written = model_change.write(info, target, concepts, entries)
    out_console.print(f"{name} is gone from {written.path}.")


@app.command()
def page(
    model: ModelArgument,
    out: Annotated[Path, typer.Option(help="The folder that the page goes to.")],
    pictures: PicturesOption = None,
    count: Annotated[int, typer.Option(help="How many pictures at most.", min=6)] = 120,
    device: DeviceOption = "auto",
) -> None:
    """Write an HTML page: each concept's units, looks, and what removing and inserting it does."""
    from ganpaint_engine import concept_page
    from ganpaint_engine.prior import load_model

    with _progress() as on_step:
        prior = load_model(model, device)
        x = _pictures(prior, pictures, count)
        if len(x) < concept_page.FEWEST_PICTURES:
            raise BadRequest(f"{pictures} holds no pictures that can be used.")
        written = concept_page.write(prior, x, out, on_step)
    out_console.print(f"{written.absolute()}")
