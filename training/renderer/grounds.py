"""The land: ground, forecourt, path, hills, and what grows on it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from training.renderer.buildings import Plot
from training.renderer.camera import Camera
from training.renderer.mesh import Flat, Mesh
from training.renderer.streams import Stream

FAR = 1400.0
SEASONS: dict[str, float] = {"summer": 5, "spring": 2, "autumn": 2.5, "winter": 0.9}
SPECIES: dict[str, float] = {"broadleaf": 5, "round": 3, "birch": 2, "column": 2, "conifer": 2.5,
                             "pine": 1.2}  # fmt: skip
PALETTES: dict[str, dict[str, float]] = {
    "summer": {"summer": 5, "dark": 3, "olive": 1, "spring": 1},
    "spring": {"spring": 5, "blossom": 2.5, "summer": 2},
    "autumn": {"gold": 3, "rust": 3, "red": 1.5, "summer": 1, "olive": 1},
    "winter": {"dark": 1},
}
EVERGREEN: dict[str, dict[str, float]] = {
    "conifer": {"needles": 3, "bluish": 1, "dark": 1},
    "pine": {"dark": 2, "needles": 1},
    "column": {"dark": 3, "summer": 2},
}
GRASSES: dict[str, dict[str, float]] = {
    "summer": {"lush": 3, "mown": 4, "meadow": 2, "dry": 1}, "spring": {"lush": 4, "mown": 3},
    "autumn": {"mown": 2, "meadow": 2, "dry": 2}, "winter": {"dry": 3, "mown": 2, "meadow": 1},
}  # fmt: skip


@dataclass(frozen=True)
class Land:
    """What the ground around a building is like."""

    setting: str  # lawn, square, street
    season: str
    grass: str
    paving: str
    path: list[Flat]  # the middle line, from the door outward
    path_half: float
    apron: float  # how far paving reaches before the building

    @classmethod
    def draw(cls, rng: Stream, plot: Plot) -> Land:
        setting = rng.weighted({"lawn": 6, "square": 2.5, "street": 1.8})
        season = rng.weighted(SEASONS)
        bend, n = rng.uniform(-7, 7), 14
        long = rng.uniform(25, 60)
        line = [
            (plot.door_x + bend * (k / n) ** 2, plot.porch_y + 0.3 - long * k / n)
            for k in range(n + 1)
        ]
        return cls(
            setting, season, rng.weighted(GRASSES[season]),
            rng.choice(("slabs", "slabs", "cobble", "gravel", "asphalt")), line,
            rng.uniform(0.7, 2.0), rng.uniform(0.6, 5.0) if rng.chance(0.4) else 0.0,
        )  # fmt: skip

    def on_path(self, x: float, y: float, margin: float = 0.0) -> bool:
        return any(
            abs(x - px) < self.path_half + margin and abs(y - py) < 3.0 for px, py in self.path
        )


def ground(land: Land, plot: Plot, rng: Stream) -> Mesh:
    """The plane underfoot; in a street, a pavement with a kerb and the road before it."""
    mesh = Mesh()
    name = "grass" if land.setting == "lawn" else "path"
    mesh.face([(-FAR, -FAR, 0), (FAR, -FAR, 0), (FAR, FAR, 0), (-FAR, FAR, 0)], name)
    deep = rng.uniform(2.5, 6.0)
    green = rng.chance(0.45)
    if land.setting == "street":
        y = plot.porch_y - deep
        mesh.box((-FAR, y - 0.15, 0), (FAR, y, 0.13), "kerb")
        mesh.box((-FAR, y, 0), (FAR, FAR, 0.1), "pavement")
    if land.setting == "square" and green:
        # Lawns on both sides of a broad approach.
        for sign in (-1, 1):
            xs = sorted((plot.door_x + sign * 3.5, plot.door_x + sign * 40))
            mesh.box((xs[0], plot.porch_y - 40, 0), (xs[1], plot.y0 - 1.5, 0.04), "grass")
    if land.setting == "lawn" and land.apron:
        a = land.apron
        mesh.box((plot.x0 - a, plot.porch_y - a, 0), (plot.x1 + a, plot.y1 + a, 0.02), "path")
    return mesh


def path(land: Land) -> Mesh:
    """A strip from the door into the foreground."""
    mesh, half = Mesh(), land.path_half
    rows = []
    for (xa, ya), (xb, yb) in pairwise(land.path):
        long = math.hypot(xb - xa, yb - ya)
        nx, ny = -(yb - ya) / long * half, (xb - xa) / long * half
        rows.append([(xa + nx, ya + ny, 0.035), (xa - nx, ya - ny, 0.035)])
    for low, high in pairwise(rows):
        mesh.face([low[0], low[1], high[1], high[0]], "path")
    return mesh


def hills(rng: Stream) -> tuple[Mesh, int]:
    """One to three ridges behind one another."""
    mesh, count = Mesh(), rng.choice((1, 2, 2, 3))
    for k in range(count):
        y, height = 170.0 * (1 + 1.6 * k), rng.uniform(6, 26) * (1 + 1.5 * k)
        waves = [
            (rng.uniform(0.4, 1) / m, rng.uniform(0, 6.28), m * rng.uniform(0.8, 1.2))
            for m in (1, 2, 3.5, 6, 11)
        ]
        n, wide = 90, 420.0 * (1 + 1.6 * k)
        rows: list[list[tuple[float, float, float]]] = [[], [], []]
        for i in range(n + 1):
            x = -wide + 2 * wide * i / n
            wave = sum(a * math.sin(m * 3.3 * x / wide + p) for a, p, m in waves)
            top = max(0.5, height * (0.55 + 0.4 * wave))
            rows[0].append((x, y, -1.0))
            rows[1].append((x, y + 60 * (k + 1), top * 0.7))
            rows[2].append((x, y + 130 * (k + 1), top))
        mesh.grid(rows, "hill")
    return mesh, count


@dataclass(frozen=True)
class Planting:
    """One plant to be placed."""

    species: str
    variant: int
    palette: str
    height: float
    x: float
    y: float
    turn: float
    wide: float


def _plant(rng: Stream, land: Land, species: str, palette: str, x: float, y: float) -> Planting:
    if land.season == "winter" and species in ("broadleaf", "round", "birch"):
        species = "bare"
    if species in EVERGREEN:
        palette = rng.weighted(EVERGREEN[species])
    height = {"round": (4.5, 9), "column": (7, 15), "conifer": (7, 17), "birch": (7, 12)}.get(
        species, (7, 15)
    )
    return Planting(
        species,
        rng.randrange(4),
        palette,
        rng.uniform(*height),
        x,
        y,
        rng.uniform(0, 6.28),
        rng.uniform(0.85, 1.2),
    )


def trees(rng: Stream, land: Land, plot: Plot, camera: Camera) -> list[Planting]:
    """Trees beside, behind and before the building; now and then one hides part of it."""
    kinds = [rng.weighted(SPECIES) for _ in range(rng.choice((1, 2, 2, 3)))]
    colours = [rng.weighted(PALETTES[land.season]) for _ in kinds]
    found = []
    for _ in range(rng.choice((2, 3, 4, 5, 6, 8, 10)) * (2 if land.setting == "lawn" else 1)):
        pick = rng.randrange(len(kinds))
        sign, where, hide = rng.choice((-1, 1)), rng.random(), rng.chance(0.4)
        edge = plot.x1 if sign > 0 else plot.x0
        if where < 0.4:
            x, y = edge + sign * rng.uniform(2.2, 10), rng.uniform(-7, 10)
        elif where < 0.55:
            x, y = plot.centre_x + rng.uniform(-34, 34), plot.y1 + rng.uniform(4, 30)
        else:
            along = rng.uniform(0.2, 0.75)
            x = (
                plot.centre_x
                + (camera.position[0] - plot.centre_x) * along
                + sign * rng.uniform(2, 11)
            )
            y = plot.porch_y + (camera.position[1] - plot.porch_y) * along
        plant = _plant(rng, land, kinds[pick], colours[pick], x, y)
        ahead, across = camera.seen(x, y)
        spread = plant.height * 0.4 / max(ahead, 1) * camera.lens_mm / 36
        in_front = y < plot.y0 and abs(across) < 0.24 + spread * 0.4
        inside = plot.x0 - 1.8 < x < plot.x1 + 1.8 and plot.porch_y - 1.5 < y < plot.y1 + 1.5
        if inside or land.on_path(x, y, 0.8) or (0 < ahead < 6.5) or (in_front and not hide):
            continue
        if land.setting == "street" and y < plot.porch_y - 2.5:
            continue
        found.append(plant)
    return found


def backdrop(rng: Stream, land: Land, plot: Plot) -> list[Planting]:
    """A belt of trees far behind, which closes the view."""
    kinds = [rng.choice(("broadleaf", "broadleaf", "round", "conifer", "birch")) for _ in range(2)]
    colours = [rng.weighted(PALETTES[land.season]) for _ in kinds]
    y, dense = plot.y1 + rng.uniform(22, 70), rng.randint(14, 40)
    found = []
    for _ in range(dense):
        pick = rng.randrange(2)
        x = plot.centre_x + rng.uniform(-1, 1) * (40 + y)
        found.append(_plant(rng, land, kinds[pick], colours[pick], x, y + rng.uniform(0, 25)))
    return found


def shrubs(rng: Stream, land: Land, plot: Plot) -> list[Planting]:
    """Shrubs at the foot of the walls and in the grass; a hedge beside the path or the front."""
    colours = {"summer": 4, "dark": 4, "spring": 2, "blossom": 1.5, "red": 0.5, "olive": 1}
    palette = rng.weighted(colours)
    found = []
    for _ in range(rng.choice((0, 1, 2, 3, 5, 8))):
        near = rng.chance(0.6)
        x = rng.uniform(plot.x0 - 2, plot.x1 + 2) if near else plot.centre_x + rng.uniform(-16, 16)
        y = plot.y0 - rng.uniform(0.7, 1.6) if near else plot.y0 - rng.uniform(1, 9)
        clear = abs(x - plot.door_x) > 2.0 + land.path_half and not land.on_path(x, y, 0.8)
        height = rng.uniform(0.6, 1.9)
        if clear and not (
            y > plot.porch_y - 0.6 and abs(x - plot.door_x) < 4 and y > plot.y0 - 2.5
        ):
            found.append(
                Planting(
                    "bush",
                    rng.randrange(3),
                    palette,
                    height,
                    x,
                    y,
                    rng.uniform(0, 6.28),
                    rng.uniform(0.9, 1.7),
                )
            )
    if land.setting != "street" and rng.chance(0.35):
        found += _hedge(rng, land, plot, palette if palette in ("summer", "dark") else "dark")
    return found


def _hedge(rng: Stream, land: Land, plot: Plot, palette: str) -> list[Planting]:
    """Clipped metres in a row, along the path's edge or across the front, open at the path."""
    height, found = rng.uniform(0.6, 1.3), []
    if rng.chance(0.5):
        y = plot.porch_y - rng.uniform(2.5, 6)
        span = int(plot.x1 - plot.x0) // 2 + rng.randint(2, 8)
        for k in range(-span, span + 1):
            x = plot.centre_x + k
            if abs(x - plot.door_x) > land.path_half + 0.9 and not land.on_path(x, y, 0.6):
                found.append(Planting("hedge", k % 2, palette, height, x, y, 0.0, 1.0))
        return found
    for sign in (-1, 1):
        for (xa, ya), (xb, yb) in zip(land.path[1:6], land.path[2:7], strict=True):
            long = math.hypot(xb - xa, yb - ya)
            turn = math.atan2(yb - ya, xb - xa)
            for k in range(max(1, int(long))):
                t = (k + 0.5) / max(1, int(long))
                x = xa + (xb - xa) * t + sign * (land.path_half + 0.7)
                found.append(
                    Planting("hedge", k % 2, palette, height, x, ya + (yb - ya) * t, turn, 1.0)
                )
    return found


def sward(
    rng: Stream, land: Land, plot: Plot, camera: Camera
) -> list[tuple[float, float, float, str, int]]:
    """Where tiles of grass blades lie before the camera: x, y, turn, species and variant."""
    if land.setting != "lawn" or camera.position[2] > 5:
        return []
    found: list[tuple[float, float, float, str, int]] = []
    px, py, _ = camera.position
    for i in range(-9, 10):
        for j in range(0, 9):
            x, y = round(px / 2) * 2.0 + 2 * i, round(py / 2) * 2.0 + 2 * j
            turn, variant = rng.choice((0, 1, 2, 3)) * math.pi / 2, rng.randrange(2)
            ahead, across = camera.seen(x, y)
            seen = 0.5 < ahead < 15 and abs(across) < 0.5 + 1.6 / max(ahead, 0.5)
            apron = land.apron + 1.0 if land.apron else 1.0
            built = plot.x0 - apron < x < plot.x1 + apron and y > plot.porch_y - apron
            fades = ahead > 9 and rng.chance((ahead - 9) / 6)
            if seen and not fades and not built and not land.on_path(x, y, 1.0):
                found.append((x, y, turn, "sward" if ahead < 6 else "thin", variant))
    return found
