"""A folder of photographs: every picture that can be used, and a line about each file that cannot.

One bad file never stops the reading. Photos are read as the editor's are (any mode, EXIF
orientation, colour profile, size limits); doubles are found by a perceptual hash.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from ganpaint_engine import pictures
from ganpaint_engine.errors import BadRequest, GanpaintError, TooFewPhotos

HASH_SIDE = 16
SAME = 16
"""Two photos whose hashes differ in at most so many of HASH_SIDE² bits are the same picture:
scaled, recompressed or slightly retouched, but not the same place from another angle."""

STEP = 4
"""Levels of 255 by which neighbours in the hashed copy must differ to count."""

BLANK = 1.5
"""Standard deviation in levels of 255 under which a picture shows nothing."""


class Problem(NamedTuple):
    """A file that was left out: its path within the folder, a code, and what is wrong with it.

    Codes are those of ``errors`` and also ``not_a_picture``, ``duplicate`` and ``blank``.
    """

    file: str
    code: str
    message: str


@dataclass
class PhotoFolder:
    """Iterate over it once for (path, RGB image) of each usable photo, in the order of names;
    ``problems`` then says what was left out."""

    folder: Path
    files: list[Path]
    problems: list[Problem] = field(default_factory=list)

    @classmethod
    def open(cls, folder: Path) -> PhotoFolder:
        """All files under ``folder`` but hidden ones. Raises BadRequest if it is no folder."""
        if not folder.is_dir():
            raise BadRequest(f"There is no folder {folder}.")
        files = [p for p in folder.rglob("*") if p.is_file()]
        return cls(folder, sorted(p for p in files if not _hidden(p.relative_to(folder))))

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[tuple[Path, Image.Image]]:
        known: dict[int, Path] = {}
        for path in self.files:
            try:
                image = _usable(path, known)
            except _LeftOut as reason:
                self._leave_out(path, reason.code, str(reason))
            except GanpaintError as error:
                self._leave_out(path, error.code, error.message)
            else:
                yield path, image

    def _leave_out(self, path: Path, code: str, message: str) -> None:
        self.problems.append(Problem(str(path.relative_to(self.folder)), code, message))

    def require(self, found: int, least: int) -> None:
        """Raises TooFewPhotos if ``found`` usable photos are less than ``least``."""
        if found < least:
            why = "; ".join(f"{p.file}: {p.message}" for p in self.problems[:5])
            raise TooFewPhotos(
                f"{self.folder} holds {found} usable photos; at least {least} are needed."
                + (f" Left out: {why}" if why else ""),
                found=found,
                needed=least,
            )


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


class _LeftOut(Exception):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def _usable(path: Path, known: dict[int, Path]) -> Image.Image:
    """The photo as RGB; ``known`` (hash to path) learns it. Raises _LeftOut, GanpaintError."""
    if path.suffix.lower() not in Image.registered_extensions():
        raise _LeftOut("not_a_picture", f"{path.suffix or 'no suffix'}: not a picture format.")
    image = pictures.flat(pictures.read_photo(path))
    if np.asarray(image.convert("L").resize((64, 64))).std() < BLANK:
        raise _LeftOut("blank", "shows nothing but one colour.")
    mark = difference_hash(image)
    for other, first in known.items():
        if (mark ^ other).bit_count() <= SAME:
            raise _LeftOut("duplicate", f"the same picture as {first.name}.")
    known[mark] = path
    return image


def difference_hash(image: Image.Image, side: int = HASH_SIDE) -> int:
    """side² bits: whether each pixel of a small grey copy is brighter than its left neighbour.

    By STEP or more: in a plain sky, noise alone would decide.
    """
    small = image.convert("L").resize((side + 1, side), Image.Resampling.BOX)
    grey = np.asarray(small, dtype=np.int16)
    return int.from_bytes(np.packbits(grey[:, 1:] >= grey[:, :-1] + STEP).tobytes(), "big")
