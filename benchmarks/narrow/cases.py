"""Strokes on photographs, and what would be right under them where that is known."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from ganpaint_engine import gap, pictures
from ganpaint_engine.photo_folder import PhotoFolder

STROKES = Path(__file__).with_name("strokes.json")
LONGEST = 1280
"""Longer side in px to which photos are shrunk."""
ROUND = ("tree", "bush", "dome")
GROWN = 0.03
"""What was pasted in is removed with a stroke that is larger by this share of the photo."""


@dataclass(frozen=True)
class Case:
    """One edit: the photo as it is given (H×W×3 uint8), its stroke (H×W uint8), and the truth.

    truth: the photo as it would be right; where ``known`` is false, the photo itself.
    """

    name: str
    operation: str
    concept: str
    photo: np.ndarray
    stroke: np.ndarray
    truth: np.ndarray
    known: bool


def read_photos(folder: Path) -> dict[str, np.ndarray]:
    """The usable photos of a folder by name, RGB, at most LONGEST px."""
    found = {}
    for path, image in PhotoFolder.open(folder):
        image.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
        found[path.name] = np.asarray(pictures.flat(image))
    return found


def load(folder: Path, strokes: Path, concepts: list[str]) -> list[Case]:
    """The cases of a folder's photos: those in the file of strokes, and for photos that it does
    not name, additions at plausible places."""
    photos = read_photos(folder)
    listed = json.loads(strokes.read_text(encoding="utf-8"))["strokes"]
    named = {row["photo"] for row in listed}
    cases = [_case(photos, row) for row in listed if _usable(row, photos, concepts)]
    for name in (n for n in photos if n not in named):
        for concept in concepts:
            nothing = np.zeros(photos[name].shape[:2], np.float32)
            stroke = gap.place_to_add(nothing, concept)
            cases.append(
                Case(name, "add", concept, photos[name], stroke, photos[name], known=False)
            )
    return cases


def _usable(row: dict[str, Any], photos: dict[str, np.ndarray], concepts: list[str]) -> bool:
    needed = {row["photo"], row.get("from", row)["photo"]}
    return needed <= photos.keys() and row["concept"] in concepts


def _case(photos: dict[str, np.ndarray], row: dict[str, Any]) -> Case:
    photo, concept = photos[row["photo"]], row["concept"]
    stroke, given = shape(photo.shape[:2], row["place"], concept), photo
    match row["truth"]:
        case "taken_out":
            hole = cv2.dilate(stroke, np.ones((3, 3), np.uint8))
            given = cv2.inpaint(photo, hole, 5, cv2.INPAINT_TELEA)
        case "pasted_in":
            given = paste_in(photo, stroke, row, photos[row["from"]["photo"]])
            reach = 2 * round(GROWN * min(stroke.shape)) + 1
            stroke = cv2.dilate(stroke, np.ones((reach, reach), np.uint8))
    known = row["truth"] != "none"
    return Case(row["photo"], row["operation"], concept, given, stroke, photo, known)


def corners(size: tuple[int, ...], place: list[float]) -> tuple[int, int, int, int]:
    """A place in shares as pixels: left, top, right, bottom."""
    height, width = size
    x0, y0, x1, y1 = place
    return round(x0 * width), round(y0 * height), round(x1 * width), round(y1 * height)


def shape(size: tuple[int, ...], place: list[float], concept: str) -> np.ndarray:
    """The stroke, H×W uint8: round for what grows or bulges, a box for the rest."""
    x0, y0, x1, y1 = corners(size, place)
    stroke = np.zeros(size, np.uint8)
    if concept in ROUND:
        axes = (max((x1 - x0) // 2, 1), max((y1 - y0) // 2, 1))
        cv2.ellipse(stroke, ((x0 + x1) // 2, (y0 + y1) // 2), axes, 0, 0, 360, 255, -1)
    else:
        stroke[y0:y1, x0:x1] = 255
    return stroke


def paste_in(
    photo: np.ndarray, stroke: np.ndarray, row: dict[str, Any], source: np.ndarray
) -> np.ndarray:
    """The photo with a piece of another one under the stroke."""
    x0, y0, x1, y1 = corners(photo.shape[:2], row["place"])
    left, top, right, bottom = corners(source.shape[:2], row["from"]["place"])
    piece = cv2.resize(
        source[top:bottom, left:right], (x1 - x0, y1 - y0), interpolation=cv2.INTER_AREA
    )
    out, under = photo.copy(), stroke[y0:y1, x0:x1] > 0
    out[y0:y1, x0:x1][under] = piece[under]
    return out
