"""Meshes by hand: faces with a material's name and coordinates on the surface in metres.

A surface coordinate runs along the wall or the eaves (first) and up it (second), so that bricks
lie in level courses and tiles follow the slope, whatever way a face looks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

Point = tuple[float, float, float]
Flat = tuple[float, float]


def add(a: Point, b: Point) -> Point:
    return (a[0] + b[0], a[1] + b[1], a[2] + b[2])


def sub(a: Point, b: Point) -> Point:
    return (a[0] - b[0], a[1] - b[1], a[2] - b[2])


def scale(a: Point, s: float) -> Point:
    return (a[0] * s, a[1] * s, a[2] * s)


def dot(a: Point, b: Point) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def cross(a: Point, b: Point) -> Point:
    return (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])


def unit(a: Point) -> Point:
    return scale(a, 1 / (math.sqrt(dot(a, a)) or 1.0))


@dataclass(frozen=True)
class Frame:
    """A wall's plane: ``origin``, ``along`` (level) and ``out`` (outward), both of length 1."""

    origin: Point
    along: Point
    out: Point

    def at(self, u: float, v: float, d: float = 0.0) -> Point:
        """The point ``u`` m along, ``v`` m up and ``d`` m in front of the wall."""
        x, y, z = self.origin
        return (
            x + u * self.along[0] + d * self.out[0],
            y + u * self.along[1] + d * self.out[1],
            z + v,
        )


class Mesh:
    """Vertices and faces being gathered; ``bpy`` gets them all at once."""

    def __init__(self) -> None:
        self.vertices: list[Point] = []
        self.faces: list[tuple[int, ...]] = []
        self.materials: list[str] = []
        self.coordinates: list[Flat] = []
        self.smooth: list[bool] = []

    def face(
        self, points: Sequence[Point], material: str, uv: Sequence[Flat] | None = None
    ) -> None:
        """A flat polygon with vertices of its own."""
        first = len(self.vertices)
        self.vertices.extend(points)
        self._face(tuple(range(first, first + len(points))), points, material, uv, False)

    def _face(
        self,
        corners: tuple[int, ...],
        points: Sequence[Point],
        material: str,
        uv: Sequence[Flat] | None,
        smooth: bool,
    ) -> None:
        self.faces.append(corners)
        self.materials.append(material)
        self.coordinates.extend(uv or _surface(points))
        self.smooth.append(smooth)

    def grid(self, rows: Sequence[Sequence[Point]], material: str, smooth: bool = True) -> None:
        """A sheet through rows of points, with shared vertices; coordinates by arc length."""
        first, n = len(self.vertices), len(rows[0])
        for row in rows:
            self.vertices.extend(row)
        widest = max(rows, key=lambda r: math.dist(r[0], r[n // 3]) + math.dist(r[0], r[n // 2]))
        us = _lengths(widest)
        vs = _lengths([row[0] for row in rows])
        for i in range(len(rows) - 1):
            for k in range(n - 1):
                a = first + i * n + k
                corners = (a, a + 1, a + n + 1, a + n)
                uv = [
                    (us[k], vs[i]),
                    (us[k + 1], vs[i]),
                    (us[k + 1], vs[i + 1]),
                    (us[k], vs[i + 1]),
                ]
                self._face(corners, [], material, uv, smooth)

    def box(self, low: Point, high: Point, material: str, bottom: bool = False) -> None:
        """An upright box; its underside only where it can be seen."""
        (x0, y0, z0), (x1, y1, z1) = low, high
        self.prism([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], z0, z1, material, bottom)

    def prism(
        self, base: Sequence[Flat], z0: float, z1: float, material: str, bottom: bool = False
    ) -> None:
        """A polygon (counter-clockwise from above) raised from ``z0`` to ``z1``."""
        n = len(base)
        for k in range(n):
            (xa, ya), (xb, yb) = base[k], base[(k + 1) % n]
            self.face([(xa, ya, z0), (xb, yb, z0), (xb, yb, z1), (xa, ya, z1)], material)
        self.face([(x, y, z1) for x, y in base], material)
        if bottom:
            self.face([(x, y, z0) for x, y in reversed(base)], material)

    def bar(self, frame: Frame, u: Flat, v: Flat, d: Flat, material: str) -> None:
        """A box in a wall's own coordinates: from u[0] to u[1], v[0] to v[1], d[0] to d[1]."""
        quads = (
            [(u[0], v[0], d[1]), (u[1], v[0], d[1]), (u[1], v[1], d[1]), (u[0], v[1], d[1])],
            [(u[0], v[0], d[0]), (u[0], v[0], d[1]), (u[0], v[1], d[1]), (u[0], v[1], d[0])],
            [(u[1], v[0], d[1]), (u[1], v[0], d[0]), (u[1], v[1], d[0]), (u[1], v[1], d[1])],
            [(u[0], v[1], d[1]), (u[1], v[1], d[1]), (u[1], v[1], d[0]), (u[0], v[1], d[0])],
            [(u[0], v[0], d[0]), (u[1], v[0], d[0]), (u[1], v[0], d[1]), (u[0], v[0], d[1])],
        )
        for quad in quads:
            self.face([frame.at(*corner) for corner in quad], material)

    def slab(self, quad: Sequence[Point], thickness: float, top: str, edge: str) -> None:
        """A tilted board: ``quad`` is its upper side, counter-clockwise seen from above."""
        normal = unit(cross(sub(quad[1], quad[0]), sub(quad[-1], quad[0])))
        low = [add(p, scale(normal, -thickness)) for p in quad]
        self.face(quad, top)
        self.face(list(reversed(low)), edge)
        for k in range(len(quad)):
            j = (k + 1) % len(quad)
            self.face([low[k], low[j], quad[j], quad[k]], edge)

    def lathe(
        self,
        profile: Sequence[Flat],
        centre: Point,
        material: str,
        sides: int = 24,
        turn: float = 0.0,
        smooth: bool = True,
    ) -> None:
        """Turn a profile of (radius, height) about the upright axis through ``centre``."""
        x, y, z = centre
        angles = [turn + 2 * math.pi * k / sides for k in range(sides + 1)]
        rows = [
            [(x + r * math.cos(a), y + r * math.sin(a), z + h) for a in angles] for r, h in profile
        ]
        if smooth:
            self.grid(rows, material)
            return
        for low, high in pairwise(rows):
            for k in range(sides):
                quad = [low[k], low[k + 1], high[k + 1], high[k]]
                self.face(quad if math.dist(quad[2], quad[3]) > 1e-4 else quad[:3], material)


def _surface(points: Sequence[Point]) -> list[Flat]:
    """Coordinates in metres on a flat face: along the level direction, and up the slope."""
    ax = ay = az = 0.0
    for (x0, y0, z0), (x1, y1, z1) in zip(points, [*points[1:], points[0]], strict=True):
        ax += (y0 - y1) * (z0 + z1)
        ay += (z0 - z1) * (x0 + x1)
        az += (x0 - x1) * (y0 + y1)
    normal = unit((ax, ay, az))
    if abs(normal[2]) > 0.96:
        return [(p[0], p[1]) for p in points]
    along = unit((-normal[1], normal[0], 0.0))
    up = cross(normal, along)
    return [(dot(p, along), dot(p, up)) for p in points]


def _lengths(points: Sequence[Point]) -> list[float]:
    total, out = 0.0, [0.0]
    for a, b in pairwise(points):
        total += math.dist(a, b)
        out.append(total)
    return out
