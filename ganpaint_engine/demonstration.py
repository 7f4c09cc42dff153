"""``ganpaint demo``: edits of the example that comes with the bundled model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

from ganpaint_engine import paths, pictures
from ganpaint_engine.prior import load_model

if TYPE_CHECKING:
    from ganpaint_engine.editing import Edit
    from ganpaint_engine.prior import OnStep

MODEL = "churches"
_MARGIN, _LINE = 8, 22


def run(out: Path, on_step: OnStep) -> tuple[Path, list[tuple[Path, Edit]]]:
    """Make every edit that ``examples.json`` lists; returns the sheet, and each edit's file.

    Each result is written beside the sheet as a picture of its own.
    """
    folder = paths.bundled_models_dir() / MODEL / "examples"
    wishes = json.loads((folder / "examples.json").read_text(encoding="utf-8"))
    prior = load_model(MODEL)
    edits, rows = [], []
    for i, wish in enumerate(wishes):
        photo = pictures.read_photo(folder / wish["photo"])
        mask = pictures.read_mask(folder / wish["mask"])

        def step(fraction: float, stage: str, i: int = i) -> None:
            on_step((i + fraction) / len(wishes), stage)

        choice = {key: wish[key] for key in ("seed", "variant") if key in wish}
        choice[wish["operation"]] = wish["concept"]
        edit = prior.open(photo).edit(mask, **choice, on_step=step)
        path = out / f"{i + 1}-{wish['operation']}-{wish['concept']}.png"
        pictures.write_picture(edit.image, path)
        edits.append((path, edit))
        rows.append((photo, mask, edit))
    sheet = out / "before-after.png"
    pictures.write_picture(before_after(rows), sheet)
    return sheet, edits


def before_after(rows: list[tuple[Image.Image, Image.Image, Edit]], side: int = 384) -> Image.Image:
    """A sheet: in each row the photo, the photo with the stroke marked, and the edit.

    Each picture is scaled to ``side`` px on its longer side.
    """
    sizes = [_fit(photo.size, side) for photo, _, _ in rows]
    height = sum(h + _LINE + _MARGIN for _, h in sizes) + _MARGIN
    sheet = Image.new("RGB", (3 * side + 4 * _MARGIN, height), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(15)
    y = _MARGIN
    for (photo, mask, edit), size in zip(rows, sizes, strict=True):
        marked = photo.convert("RGB")
        marked.paste((255, 40, 90), mask=mask.point(lambda v: v // 2))
        columns = ((photo, "before"), (marked, "stroke"), (edit.image, edit.name))
        for j, (picture, text) in enumerate(columns):
            x = _MARGIN + j * (side + _MARGIN)
            draw.text((x, y), text, "black", font)
            small = picture.convert("RGB").resize(size, Image.Resampling.LANCZOS)
            sheet.paste(small, (x, y + _LINE))
        y += size[1] + _LINE + _MARGIN
    return sheet


def _fit(size: tuple[int, int], side: int) -> tuple[int, int]:
    factor = side / max(size)
    return round(size[0] * factor), round(size[1] * factor)
