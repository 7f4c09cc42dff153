"""Which material each named part of a building gets, and its class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from training.renderer import materials
from training.renderer.streams import Stream
from training.renderer.style import Style
from training.renderer.tiles import Tiles


class Surfaces:
    """The materials of one building, made when first asked for, each from its own stream."""

    def __init__(self, style: Style, streams: Callable[..., Stream], tiles: Tiles) -> None:
        self.style, self.streams, self.tiles = style, streams, tiles
        rng = streams("colours")
        self.wall_rgb = rng.tint(rng.choice(_albedos(style.wall)), 0.15, 0.7)
        light = rng.chance(0.6)
        base = [min(0.68, c * (1.25 if light else 0.75) + 0.05) for c in self.wall_rgb]
        stone = rng.choice(materials.STONE)
        self.trim_rgb = rng.tint(base if rng.chance(0.5) else stone, 0.12, 0.7)
        self.roof_rgb = rng.tint(rng.choice(materials.ROOF[style.roof]), 0.2)
        self.frame_rgb = rng.choice(
            ((0.6, 0.6, 0.58), (0.10, 0.07, 0.05), (0.03, 0.03, 0.035), (0.25, 0.22, 0.18))
        )
        self.shutter_rgb = rng.tint(
            rng.choice(
                (
                    (0.05, 0.16, 0.08),
                    (0.10, 0.17, 0.28),
                    (0.25, 0.08, 0.05),
                    (0.2, 0.13, 0.08),
                    (0.5, 0.5, 0.48),
                )
            ),
            0.2,
        )
        self.dome = rng.weighted(
            {
                "copper": 4,
                "lead": 3,
                "gold": 2,
                "slate": 2,
                "tile": 3,
                "stone": 2,
                "blue": 1,
                "white": 1,
            }
        )
        self.tower_like_wall = rng.chance(0.75)
        self._made: dict[str, Any] = {}

    def of(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def _make(self, name: str) -> Any:
        rng, tiles, style = self.streams("surface", name), self.tiles, self.style
        made: Any
        match name:
            case "wall":
                made = materials.wall(name, rng, style.wall, self.wall_rgb, tiles)
            case "tower":
                kind = rng.choice(("ashlar", "rubble"))
                if self.tower_like_wall:
                    return self.of("wall")
                made = materials.wall(name, rng, kind, self.trim_rgb, tiles)
            case "chimney":
                made = materials.wall(name, rng, "brick", rng.choice(materials.BRICK), tiles)
            case "roof":
                made = materials.roof(name, rng, style.roof, self.roof_rgb, tiles)
            case "dome":
                made = materials.dome(name, rng, self.dome, tiles)
            case "door":
                made = materials.door(name, rng, tiles)
            case "glass":
                made = materials.glass(name, rng)
            case _:
                made = self._plain(name, rng)
        return made

    def _plain(self, name: str, rng: Stream) -> Any:
        """The parts without a pattern: class, colour and roughness."""
        rib = [min(0.7, c * rng.choice((0.6, 1.0, 1.25))) for c in materials.DOME[self.dome]]
        clock = rng.choice(((0.65, 0.64, 0.6), (0.03, 0.03, 0.04)))
        dark = [c * 0.6 for c in self.frame_rgb]
        table: dict[str, tuple[str, Any, float]] = {
            "eaves": ("roof", dark, 0.6),
            "metal": ("roof", dark, 0.6),
            "rib": ("dome", rib, 0.6),
            "glassdome": ("dome", (0.02, 0.022, 0.026), 0.2),
            "iron": ("door", (0.02, 0.02, 0.02), 0.4),
            "frame": ("window", self.frame_rgb, 0.5),
            "shutter": ("window", self.shutter_rgb, 0.6),
            "stairs": ("stairs", [c * 0.8 for c in self.trim_rgb], 0.9),
            "clock": ("wall", clock, 0.5),
        }
        label, rgb, rough = table.get(name, ("wall", self.trim_rgb, 0.85))
        return materials.plain(name, label, rng, rgb, rough)


def _albedos(kind: str) -> tuple[tuple[float, float, float], ...]:
    return {
        "brick": materials.BRICK, "plaster": materials.PLASTER, "boards": materials.BOARDS,
    }.get(kind, materials.STONE)  # fmt: skip
