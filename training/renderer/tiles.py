"""Photographic material tiles, if a folder of them is given: one sub-folder a category."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import bpy

from training.renderer.errors import SetFolder
from training.renderer.nodes import Nodes, Socket
from training.renderer.streams import Stream

PICTURES = (".webp", ".png", ".jpg", ".jpeg")


class Tiles:
    """The folder; without one there are no tiles, and materials are procedural."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        if folder is not None and not folder.is_dir():
            raise SetFolder(f"There is no folder of textures at {folder}.")

    @cache  # noqa: B019  one object lives as long as its process
    def of(self, category: str) -> list[Path]:
        if self.folder is None:
            return []
        found = (self.folder / category).glob("*")
        return sorted(p for p in found if p.suffix.lower() in PICTURES)

    def pick(self, rng: Stream, *categories: str) -> Path | None:
        """A tile of one of the categories. Takes the same draws with and without a folder."""
        chosen, place = rng.choice(categories), rng.random()
        found = self.of(chosen)
        return found[int(place * len(found))] if found else None


def tile_colour(nodes: Nodes, path: Path, metres: float, shift: float) -> tuple[Socket, Socket]:
    """Colour and brightness of a tile laid ``metres`` wide over the surface."""
    image: Any = bpy.data.images.load(str(path), check_existing=True)
    vector = nodes.surface((1 / metres,) * 3, shift)
    node = nodes.new("TexImage", {"Vector": vector}, image=image, interpolation="Cubic")
    grey = nodes.new("RGBToBW", {0: node.outputs[0]}).outputs[0]
    return node.outputs[0], grey
