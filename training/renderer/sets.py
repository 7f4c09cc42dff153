"""A set of scenes on disk: pictures, label maps, and a manifest with their hashes.

    pictures/000012.webp            sRGB
    labels/000012.png               one byte a pixel, an index into ``labels.LABELS``
    pictures/000012-trees-off.webp  the same scene without its trees
    manifest.jsonl                  a first line about the set, then one for each scene

A scene counts once its line is in the manifest, which is written after its files. So a run can be
stopped at any moment, and the next one renders what has no line yet.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from training.renderer.errors import BadSetting, DamagedSet, SetFolder, writing
from training.renderer.labels import ELEMENTS, LABELS

FORMAT = "ganpaint-scenes-1"
MANIFEST = "manifest.jsonl"


@dataclass(frozen=True)
class Settings:
    """What all scenes of a set have in common; a set is resumed only with the same."""

    size: int
    samples: int
    textures: bool
    quality: int
    blender: str = ""
    format: str = FORMAT


def parse_toggles(words: Iterable[str]) -> dict[str, bool]:
    """``["trees=off", "dome=on"]`` to ``{"dome": True, "trees": False}``.

    Raises BadSetting for anything else.
    """
    found: dict[str, bool] = {}
    for word in words:
        for part in word.split(","):
            name, _, value = part.strip().partition("=")
            if name not in ELEMENTS or value not in ("on", "off"):
                raise BadSetting(
                    f"Cannot toggle {part.strip()!r}: write ELEMENT=on or ELEMENT=off, with one of "
                    f"{', '.join(ELEMENTS)}."
                )
            found[name] = value == "on"
    return dict(sorted(found.items()))


def stem(seed: int, toggles: Mapping[str, bool]) -> str:
    """The name of a scene's files."""
    return "-".join([f"{seed:06d}", *(f"{k}-{'on' if v else 'off'}" for k, v in toggles.items())])


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class SceneSet:
    """The folder of a set. Only one process writes it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings: Settings | None = None
        self.records: dict[str, dict[str, Any]] = {}

    @classmethod
    def read(cls, folder: Path) -> SceneSet:
        """An existing set. Raises SetFolder where there is none, DamagedSet for a bad manifest."""
        found = cls(folder)
        try:
            text = (folder / MANIFEST).read_text(encoding="utf-8")
        except OSError as error:
            raise SetFolder(f"There is no set of scenes in {folder}: no {MANIFEST}.") from error
        lines = text.split("\n")
        # A line that a stopped run left unfinished has no line break; its scene is made anew.
        for number, line in enumerate(lines[:-1], 1):
            try:
                record = json.loads(line)
                if number == 1:
                    found.settings = Settings(**record["settings"])
                else:
                    found.records[record["stem"]] = record
            except (ValueError, KeyError, TypeError) as error:
                raise DamagedSet(f"Line {number} of {folder / MANIFEST} cannot be read.") from error
        return found

    @classmethod
    def open(cls, folder: Path, settings: Settings) -> SceneSet:
        """The set in ``folder`` to be continued with ``settings``, or a new one."""
        if (folder / MANIFEST).exists():
            found = cls.read(folder)
            if found.settings is not None:
                found._must_match(settings)
                found._trim()
                return found
        found = cls(folder)
        found.settings = settings
        with writing(folder):
            for name in ("pictures", "labels"):
                (folder / name).mkdir(parents=True, exist_ok=True)
        head = {"settings": asdict(settings), "labels": LABELS}
        with writing(folder / MANIFEST):
            (folder / MANIFEST).write_text(json.dumps(head) + "\n", encoding="utf-8")
        return found

    def _must_match(self, settings: Settings) -> None:
        assert self.settings is not None
        old, new = asdict(self.settings), asdict(settings)
        wrong = [f"{k} is {old[k]!r} there and {new[k]!r} here" for k in old if old[k] != new[k]]
        if wrong:
            raise BadSetting(
                f"The set in {self.folder} was made with other settings ({'; '.join(wrong)}). "
                "Use the same, or another folder."
            )

    def _trim(self) -> None:
        """Cut off a last line that a stopped run left unfinished."""
        path = self.folder / MANIFEST
        data = path.read_bytes()
        if not data.endswith(b"\n"):
            with writing(path), path.open("r+b") as file:
                file.truncate(data.rfind(b"\n") + 1)

    def files(self, name: str) -> tuple[Path, Path]:
        """A scene's picture and label map."""
        folder = self.folder
        return folder / "pictures" / f"{name}.webp", folder / "labels" / f"{name}.png"

    def has(self, name: str) -> bool:
        return name in self.records and all(p.is_file() for p in self.files(name))

    def add(self, record: Mapping[str, Any], picture: bytes, labels: bytes) -> None:
        """Write a scene's files, then its line."""
        for path, data in zip(self.files(record["stem"]), (picture, labels), strict=True):
            with writing(path):
                partial = path.with_name(path.name + ".partial")
                partial.write_bytes(data)
                os.replace(partial, path)
        line = dict(record) | {"picture_sha256": sha256(picture), "labels_sha256": sha256(labels)}
        path = self.folder / MANIFEST
        with writing(path), path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        self.records[record["stem"]] = line


def pack(picture: np.ndarray, labels: np.ndarray, quality: int) -> tuple[bytes, bytes]:
    """A picture H×W×3 as WebP and labels H×W as PNG. Quality 100 is lossless."""
    webp, png = io.BytesIO(), io.BytesIO()
    lossless = quality >= 100
    Image.fromarray(picture).save(webp, "WEBP", quality=quality, lossless=lossless, method=4)
    Image.fromarray(labels).save(png, "PNG", optimize=True)
    return webp.getvalue(), png.getvalue()


def verify(folder: Path) -> list[str]:
    """What is wrong with a set, a line for each fault; empty if all is well."""
    scenes = SceneSet.read(folder)
    if scenes.settings is None:
        return [f"{MANIFEST} has no first line."]
    faults = []
    size = (scenes.settings.size,) * 2
    for name, record in scenes.records.items():
        for path, key in zip(scenes.files(name), ("picture_sha256", "labels_sha256"), strict=True):
            try:
                data = path.read_bytes()
            except OSError:
                faults.append(f"{path.name} is missing.")
                continue
            if sha256(data) != record[key]:
                faults.append(f"{path.name} differs from its hash.")
                continue
            with Image.open(io.BytesIO(data)) as image:
                if image.size != size:
                    faults.append(f"{path.name} is not {size[0]} px.")
                if path.suffix == ".png" and int(np.asarray(image).max()) >= len(LABELS):
                    faults.append(f"{path.name} has a label that does not exist.")
    known = {p.name for name in scenes.records for p in scenes.files(name)}
    stray = [p for sub in ("pictures", "labels") for p in (folder / sub).glob("*")]
    return faults + [
        f"{p.name} is not in the manifest." for p in sorted(stray) if p.name not in known
    ]
