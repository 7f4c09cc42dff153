"""``ganpaint stack``: several edits of one photo upon each other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from ganpaint_engine.errors import BadRequest

PICTURES = {"mask": "read_mask", "like": "read_mask", "like_image": "read_photo"}
"""What an edit names files for, and which function of ``pictures`` reads them."""


def stack(
    photo: Annotated[Path, typer.Argument(help="The photo: any format that Pillow reads.")],
    edits: Annotated[Path, typer.Argument(help="JSON: a list of edits, the first one first.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Where the edited photo goes.")],
    model: Annotated[str, typer.Option(help="A model's name, or its folder.")] = "churches",
    quality: Annotated[str, typer.Option(help="preview or final.")] = "final",
    composite: Annotated[str, typer.Option(help="Final blend; see ganpaint edit.")] = "residual",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda…")] = "auto",
) -> None:
    """Make several edits of a photo, each upon those before it.

    EDITS holds objects such as {"mask": "mask.png", "add": "tree", "seed": 2}; what else they may
    say has the names of the options of ganpaint edit. Files are looked for beside EDITS. To take an
    edit back, take it out of the list.
    """
    from ganpaint_engine import pictures
    from ganpaint_engine.terminal import out_console

    asked = read(edits)  # before anything large is loaded
    from ganpaint_engine.prior import load_model

    done = (
        load_model(model, device)
        .open(pictures.read_photo(photo))
        .edits(asked, quality=quality, composite=composite)
    )
    pictures.write_picture(done.image, output)
    out_console.print(f"{done.name}: {output}", highlight=False)


def read(path: Path) -> list[dict[str, Any]]:
    """The edits that a file lists, with the pictures that they name. Raises BadRequest."""
    from ganpaint_engine import pictures

    try:
        asked = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadRequest(f"{path} is no list of edits: {error}.") from error
    if not isinstance(asked, list) or not all(isinstance(one, dict) for one in asked):
        raise BadRequest(f"{path} is no list of edits: write [{{...}}, {{...}}].")
    return [
        {
            key: getattr(pictures, PICTURES[key])(path.parent / str(value))
            if key in PICTURES
            else value
            for key, value in one.items()
        }
        for one in asked
    ]
