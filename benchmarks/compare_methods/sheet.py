"""A sheet of pictures: a row for each case, a column for each method."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from benchmarks.compare_methods.pairs import Case
from benchmarks.compare_methods.run import Results

MARGIN, LINE = 4, 16
CONTEXT = 2.2
"""Side of what is shown, in longer sides of the stroke."""


def _outlined(picture: np.ndarray, stroke: np.ndarray) -> np.ndarray:
    mask = stroke.astype(np.uint8)
    out = picture.copy()
    out[cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0] = (255, 30, 90)
    return out


def choose(cases: Sequence[Case], each: int) -> list[Case]:
    """``each`` cases of every kind, evenly from the smallest stroke to the largest: not picked by
    their results."""
    found = []
    for kind in dict.fromkeys(case.kind for case in cases):
        of_it = sorted((c for c in cases if c.kind == kind), key=lambda c: float(c.stroke.mean()))
        places = np.linspace(0, len(of_it) - 1, min(each, len(of_it)) + 2)[1:-1]
        found += [of_it[round(place)] for place in places]
    return found


def draw(
    cases: Sequence[Case], names: Sequence[str], results: Results, side: int = 128
) -> Image.Image:
    """Columns: the picture with the stroke's outline, the truth where known, then the methods."""
    columns = ["before", "truth", *names]
    width = len(columns) * (side + MARGIN) + MARGIN
    sheet = Image.new("RGB", (width, LINE + len(cases) * (side + MARGIN) + MARGIN), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for j, name in enumerate(columns):
        pen.text((MARGIN + j * (side + MARGIN), 1), name, "black", font)
    for i, case in enumerate(cases):
        view = case.view(CONTEXT)
        for j, name in enumerate(columns):
            if j == 0:
                picture = _outlined(case.picture, case.stroke)
            elif j == 1:
                if case.truth is None:
                    continue
                picture = case.truth
            elif (case.name, name) in results.records:
                picture = results.picture(case.name, name)
            else:
                continue
            tile = Image.fromarray(np.ascontiguousarray(picture[view]))
            place = (MARGIN + j * (side + MARGIN), LINE + i * (side + MARGIN))
            sheet.paste(tile.resize((side, side), Image.Resampling.LANCZOS), place)
    return sheet
