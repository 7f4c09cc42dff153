"""A scene by its seed: what stands where, and the photograph taken of it.

Every element draws from a stream of its own, and layouts never ask what is shown. So a scene with
an element toggled is the same scene, but for that element, its shadow and the light it throws.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from training.renderer import buildings, foliage, grounds, houses, materials
from training.renderer.buildings import Plot
from training.renderer.camera import Camera
from training.renderer.film import Film, develop
from training.renderer.mesh import Mesh
from training.renderer.plants import Nursery
from training.renderer.sky import Array, Sky
from training.renderer.stage import Stage
from training.renderer.streams import Stream, stream
from training.renderer.style import Kit, draw_style
from training.renderer.surfaces import Surfaces
from training.renderer.tiles import Tiles

KINDS: dict[str, float] = {"church": 6, "domed": 3, "house": 2, "palace": 1.3}
MANNERS: dict[str, dict[str, float]] = {
    "church": {"romanesque": 3, "gothic": 3, "baroque": 2.5, "rural": 2.5, "classical": 1},
    "domed": {"romanesque": 2, "baroque": 3, "classical": 3.5},
    "house": {"rural": 4, "classical": 1.5, "baroque": 1},
    "palace": {"classical": 3, "baroque": 2, "romanesque": 1},
}
BUILDERS = {
    "church": buildings.church, "domed": buildings.domed, "house": houses.house,
    "palace": houses.palace,
}  # fmt: skip
# How often an element that is not part of the building is there.
ODDS = {"trees": 0.85, "bushes": 0.6, "hill": 0.5, "neighbours": 0.3, "path": 0.6, "blades": 1.0,
        "clouds": 1.0, "door": 0.97, "windows": 1.0, "stairs": 1.0}  # fmt: skip


class Renderer:
    """Renders scenes one after another on one stage."""

    def __init__(
        self, size: int = 256, samples: int = 20, threads: int = 1, textures: Path | None = None
    ) -> None:
        self.tiles = Tiles(textures)
        self.stage = Stage(size, samples, threads)
        self.nursery = Nursery()

    def render(self, seed: int, toggles: Mapping[str, bool]) -> tuple[Array, Array, dict[str, Any]]:
        """Picture H×W×3 and labels H×W (both uint8) of scene ``seed``, and what it holds.

        ``toggles`` gives or denies elements of ``labels.ELEMENTS``; the rest is as drawn.
        """
        self.stage.clear(self.nursery.owns)
        layout = Layout(seed, toggles, self)
        spec = layout.build()
        rgba, depth, classes = self.stage.render()
        cloudy = layout.shows("clouds", True)
        picture, labels = develop(
            layout.sky, layout.camera, layout.film, rgba, depth, classes, cloudy
        )
        return picture, labels, spec

    def close(self) -> None:
        """Take the temporary files away; nothing can be rendered after it."""
        self.stage.close()


class Layout:
    """One scene being laid out on the stage."""

    def __init__(self, seed: int, toggles: Mapping[str, bool], renderer: Renderer) -> None:
        self.seed, self.toggles = seed, toggles
        self.stage, self.nursery, self.tiles = renderer.stage, renderer.nursery, renderer.tiles

    def stream(self, *names: object) -> Stream:
        return stream(self.seed, *names)

    def shows(self, element: str, drawn: bool) -> bool:
        return self.toggles.get(element, drawn)

    def _keeps(self, element: str, drawn: bool) -> bool:
        """For neighbours: an element can be denied to them, not given."""
        return drawn and self.toggles.get(element, True)

    def there(self, element: str) -> bool:
        """Whether an element with odds of its own is in the scene."""
        return self.shows(element, self.stream(element, "there").chance(ODDS[element]))

    def build(self) -> dict[str, Any]:
        """Put everything on the stage; what the scene holds, for the manifest."""
        kind = self.stream("kind").weighted(KINDS)
        plot, holds = self._building(
            kind, self.stream("kind", "manner").weighted(MANNERS[kind]), "main"
        )
        self.camera = Camera.draw(self.stream("camera"), plot)
        towards = math.atan2(
            self.camera.position[1] - plot.y0, self.camera.position[0] - plot.centre_x
        )
        self.sky = Sky.draw(self.stream("sky"), towards)
        self.film = Film.draw(self.stream("film"), self.sky, self.camera)
        land = grounds.Land.draw(self.stream("land"), plot)
        self._ground(land, plot)
        planted = self._plants(land, plot)
        if self.there("neighbours"):
            holds["neighbours"] = self._neighbours(plot, land)
        self.stage.light(self.sky)
        self.stage.look(self.camera)
        return {
            "holds": holds | planted,
            "setting": land.setting,
            "season": land.season,
            "sky": self.sky.cover if self.shows("clouds", True) else "clear of clouds",
            "sun": {
                k: round(math.degrees(getattr(self.sky, k)), 1) for k in ("elevation", "azimuth")
            },
            "camera": _rounded(asdict(self.camera)),
            "film": _rounded(asdict(self.film)),
        }

    def _building(
        self, kind: str, manner: str, name: str, **place: float
    ) -> tuple[Plot, dict[str, Any]]:
        streams = partial(self.stream, name)
        style = draw_style(streams("style"), manner)
        shows = self.shows if name == "main" else self._keeps
        presence = partial(_present, shows, self.stream, name)
        kit = Kit(Mesh(), style, presence, streams)
        plot = BUILDERS[kind](kit, streams("plan"), **place)
        surfaces = Surfaces(style, streams, self.tiles)
        self.stage.add(kit.mesh, surfaces.of)
        holds = {"manner": manner, "wall": style.wall, "roof": style.roof, **kit.holds}
        if "domes" in kit.holds:
            holds["dome"] = surfaces.dome
        return plot, holds

    def _ground(self, land: grounds.Land, plot: Plot) -> None:
        rng = self.stream("ground")
        fallen = rng.uniform(0, 0.9) if land.season == "autumn" else 0.0
        turf = foliage.turf("grass", rng, land.grass, self.tiles, fallen)
        kinds = {"path": land.paving, "kerb": "slabs", "pavement": "slabs"}
        if land.setting == "street":
            kinds["path"] = "asphalt"
        made: dict[str, Any] = {"grass": turf}

        def surface(name: str) -> Any:
            if name == "hill":
                return foliage.far_hill("hill", self.stream("hill", "surface"))
            if name not in made:
                paving = self.stream("paving", name)
                made[name] = materials.paving(name, "path", paving, kinds[name], self.tiles)
            return made[name]

        self.stage.add(grounds.ground(land, plot, self.stream("ground", "shape")), surface)
        if self.there("path") and land.setting != "street":
            self.stage.add(grounds.path(land), surface)
        if self.there("hill"):
            self.stage.add(grounds.hills(self.stream("hill"))[0], surface)

    def _plants(self, land: grounds.Land, plot: Plot) -> dict[str, Any]:
        """Trees, shrubs and grass blades; how many of what."""
        trees = grounds.trees(self.stream("trees"), land, plot, self.camera)
        if self.stream("backdrop", "there").chance(0.5):
            trees += grounds.backdrop(self.stream("backdrop"), land, plot)
        shrubs = grounds.shrubs(self.stream("bushes"), land, plot)
        trees = trees if self.there("trees") else []
        shrubs = shrubs if self.there("bushes") else []
        for label, plants in (("tree", trees), ("bush", shrubs)):
            for p in plants:
                self._place(p, label)
        if self.there("blades"):
            for x, y, turn, species, variant in grounds.sward(
                self.stream("blades"), land, plot, self.camera
            ):
                self.nursery.place(
                    species, variant, land.grass, "grass", (x, y, 0), (1, 1, 1), turn
                )
        kinds = sorted({p.species for p in trees})
        return {"trees": len(trees), "species": kinds, "bushes": len(shrubs)}

    def _place(self, p: grounds.Planting, label: str) -> None:
        if p.species == "hedge":
            size = (1.0, 1.0, p.height)
        else:
            _, height = self.nursery.variant(p.species, p.variant)
            s = p.height / height
            size = (s * p.wide, s * p.wide, s)
        self.nursery.place(p.species, p.variant, p.palette, label, (p.x, p.y, -0.05), size, p.turn)

    def _neighbours(self, plot: Plot, land: grounds.Land) -> int:
        """Houses at the sides, wall to wall in a street."""
        count = 0
        for side in (-1, 1):
            rng = self.stream("neighbours", side)
            gap = 7.5 if land.setting == "street" and rng.chance(0.5) else rng.uniform(11, 22)
            x = plot.x0 - gap if side < 0 else plot.x1 + gap
            if rng.chance(0.75):
                manner = rng.choice(("rural", "rural", "classical"))
                y = rng.uniform(0, 12) if land.setting != "street" else rng.uniform(0, 1.5)
                self._building("house", manner, f"neighbour{side}", x=x, y=y)
                count += 1
        return count


def _present(shows: Any, streams: Any, name: str, element: str, drawn: bool) -> bool:
    """For building parts: doors and the like have odds too; domes and chimneys bring theirs."""
    if element in ODDS:
        drawn = streams(name, element, "there").chance(ODDS[element])
    return bool(shows(element, drawn))


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    def short(value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return [short(v) for v in value]
        return round(value, 4) if isinstance(value, float) else value

    return {k: short(v) for k, v in values.items()}
