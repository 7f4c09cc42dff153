"""Contact sheets of a set, to look at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from training.renderer.errors import BadSetting, DamagedSet, writing
from training.renderer.labels import COLOURS
from training.renderer.sets import SceneSet

GAP = 2


def contact_sheet(
    folder: Path, out: Path, count: int, columns: int, tile: int, labels: bool, quality: int
) -> int:
    """``count`` scenes of a set side by side, each with its labels under it if wanted."""
    scenes = SceneSet.read(folder)
    names = sorted(scenes.records)[:count]
    if not names:
        raise BadSetting(f"The set in {folder} has no scenes yet.")
    tiles = [_tile(scenes, name, tile, labels) for name in names]
    wide, high = tiles[0].size
    rows = -(-len(tiles) // columns)
    sheet = Image.new("RGB", (columns * (wide + GAP) - GAP, rows * (high + GAP) - GAP), "white")
    for k, picture in enumerate(tiles):
        sheet.paste(picture, ((k % columns) * (wide + GAP), (k // columns) * (high + GAP)))
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        sheet.save(out, quality=quality)
    return len(tiles)


def _tile(scenes: SceneSet, name: str, size: int, labels: bool) -> Image.Image:
    picture_path, label_path = scenes.files(name)
    try:
        with Image.open(picture_path) as picture, Image.open(label_path) as label:
            shown = picture.convert("RGB").resize((size, size), Image.Resampling.LANCZOS)
            if not labels:
                return shown
            colours = np.array(COLOURS, np.uint8)[np.asarray(label)]
    except OSError as error:
        raise DamagedSet(f"The files of scene {name} cannot be read: {error}.") from error
    both = Image.new("RGB", (size, 2 * size))
    both.paste(shown, (0, 0))
    both.paste(Image.fromarray(colours).resize((size, size), Image.Resampling.NEAREST), (0, size))
    return both
