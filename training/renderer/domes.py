"""Domes on drums, with ribs and lanterns."""

from __future__ import annotations

import math
from dataclasses import dataclass

from training.renderer import facades, stonework
from training.renderer.mesh import Flat, Mesh, Point
from training.renderer.streams import Stream

SHAPES = {"round": 4, "tall": 3, "pointed": 2, "low": 2, "onion": 2, "faceted": 2}


ONION = (
    (0.86, 0.0), (1.02, 0.16), (1.1, 0.36), (1.08, 0.56), (0.94, 0.8), (0.68, 1.04),
    (0.42, 1.24), (0.22, 1.42), (0.1, 1.6), (0.02, 1.85),
)  # fmt: skip


@dataclass(frozen=True)
class Dome:
    """What a dome is like; sizes as shares of its radius."""

    shape: str
    drum: float
    sides: int
    ribs: int
    lantern: float
    windows: bool

    @classmethod
    def draw(cls, rng: Stream, small: bool = False) -> Dome:
        shape = rng.weighted(SHAPES)
        drum = rng.uniform(0.45, 1.1) if not small else rng.uniform(0.15, 0.5)
        sides = rng.choice((8, 12, 16)) if shape != "faceted" else 8
        ribs = sides if rng.chance(0.55) else 0
        lantern = rng.uniform(0.2, 0.34) if rng.chance(0.65) else 0.0
        return cls(shape, drum, sides, ribs, lantern, rng.chance(0.75))

    def profile(self, radius: float) -> list[Flat]:
        """(radius, height) from the springing to the crown."""
        n = 14
        if self.shape == "onion":
            return [(radius * r, radius * h) for r, h in ONION]
        rises = {"round": 1.0, "tall": 1.25, "pointed": 1.3, "low": 0.62, "faceted": 1.05}
        height = rises[self.shape]
        power = 0.82 if self.shape == "pointed" else 1.0
        steps = [math.pi / 2 * k / n for k in range(n)]
        points = [(radius * math.cos(t) ** power, radius * height * math.sin(t)) for t in steps]
        return [
            *points,
            (radius * 0.01, radius * height * (1.04 if self.shape == "pointed" else 1)),
        ]


def build(
    mesh: Mesh, dome: Dome, foot: Point, radius: float, windows: bool, trim: facades.Trim
) -> None:
    """Drum, skin, ribs and lantern on ``foot``, ``radius`` m wide at the springing."""
    x, y, z = foot
    drum = dome.drum * radius
    _drum(mesh, dome, foot, radius, windows and dome.windows, trim)
    spring = z + drum
    ledge = [
        (radius * 0.98, -0.18),
        (radius * 1.07, -0.1),
        (radius * 1.1, 0.05),
        (radius * 0.9, 0.12),
    ]
    mesh.lathe(ledge, (x, y, spring), "trim", sides=32, smooth=False)
    profile = dome.profile(radius)
    facets = dome.shape == "faceted"
    turn = math.pi / dome.sides
    mesh.lathe(profile, (x, y, spring), "dome", 8 if facets else 40, turn, smooth=not facets)
    for k in range(dome.ribs):
        _rib(mesh, profile, (x, y, spring), turn + 2 * math.pi * k / dome.ribs, radius)
    crown = spring + profile[-1][1]
    if dome.lantern and dome.shape != "onion":
        crown = _lantern(mesh, (x, y, crown - radius * 0.06), radius * dome.lantern)
    stonework.cross(mesh, (x, y, crown - 0.05), min(1.6, radius * 0.45), "rib")


def _drum(
    mesh: Mesh, dome: Dome, foot: Point, radius: float, windows: bool, trim: facades.Trim
) -> None:
    """An upright ring of wall with a window in every side, or every other one."""
    x, y, z = foot
    drum = dome.drum * radius
    corners = stonework.regular((x, y), radius * 0.98, dome.sides, math.pi / dome.sides)
    base = z - 1.2  # into the roof below
    for k, (frame, length) in enumerate(stonework.polygon_sides(corners)):
        outline = [(0.0, base), (length, base), (length, z + drum), (0.0, z + drum)]
        width, height = length * 0.42, drum * 0.62
        hole = facades.Opening(length / 2, z + drum * 0.2, width, height, "round", "window")
        fits = windows and height > 0.5 and width > 0.25 and (k % 2 == 0 or dome.sides < 12)
        facades.wall(mesh, frame, outline, [hole] if fits else [], trim, "drum")
        if drum > 0.9:
            stonework.pilasters(mesh, frame, [0.0], (z, z + drum), length * 0.12, 0.06)


def _rib(mesh: Mesh, profile: list[Flat], centre: Point, angle: float, radius: float) -> None:
    """A raised strip from the springing to the crown."""
    x, y, z = centre
    c, s = math.cos(angle), math.sin(angle)
    half, lift = radius * 0.035, radius * 0.03

    def at(r: float, h: float, side: float) -> Point:
        return (x + r * c - side * s, y + r * s + side * c, z + h)

    rows = [
        [at(r * 0.985, h, -half), at(r + lift, h + lift * 0.5, -half * 0.6),
         at(r + lift, h + lift * 0.5, half * 0.6), at(r * 0.985, h, half)]
        for r, h in profile[:-1]
    ]  # fmt: skip
    mesh.grid(rows, "rib", smooth=False)


def _lantern(mesh: Mesh, foot: Point, radius: float) -> float:
    """A little drum of pillars with a cap; the height of its top."""
    x, y, z = foot
    height = radius * 2.0
    mesh.lathe(
        [(radius * 1.15, 0.0), (radius * 1.15, radius * 0.3), (radius, radius * 0.35)],
        foot,
        "rib",
        12,
        smooth=False,
    )
    mesh.lathe([(radius * 0.72, 0.0), (radius * 0.72, height)], foot, "glassdome", 8, smooth=False)
    for k in range(8):
        a = 2 * math.pi * (k + 0.5) / 8
        px, py = x + radius * 0.86 * math.cos(a), y + radius * 0.86 * math.sin(a)
        w = radius * 0.13
        mesh.box((px - w, py - w, z), (px + w, py + w, z + height), "rib")
    cap = [
        (radius * 1.12, 0.0),
        (radius * 1.12, radius * 0.15),
        (radius * 0.9, radius * 0.4),
        (radius * 0.55, radius * 0.8),
        (radius * 0.16, radius * 1.1),
        (0.005, radius * 1.5),
    ]
    mesh.lathe(cap, (x, y, z + height), "dome", 16)
    return z + height + radius * 1.45
