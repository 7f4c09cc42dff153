"""What stands before and upon walls: cornices, pilasters, columns, buttresses, stairs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from training.renderer.mesh import Flat, Frame, Mesh, Point


@dataclass(frozen=True)
class Block:
    """An upright box of building: its plan, its foot and its eaves, in metres."""

    x0: float
    x1: float
    y0: float
    y1: float
    z0: float
    z1: float

    @property
    def width(self) -> float:
        return self.x1 - self.x0

    @property
    def depth(self) -> float:
        return self.y1 - self.y0

    @property
    def centre(self) -> Flat:
        return ((self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2)

    def side(self, name: str) -> tuple[Frame, float]:
        """A side's frame (heights count from z = 0) and its length."""
        match name:
            case "front":
                return Frame((self.x0, self.y0, 0), (1, 0, 0), (0, -1, 0)), self.width
            case "right":
                return Frame((self.x1, self.y0, 0), (0, 1, 0), (1, 0, 0)), self.depth
            case "back":
                return Frame((self.x1, self.y1, 0), (-1, 0, 0), (0, 1, 0)), self.width
            case _:
                return Frame((self.x0, self.y1, 0), (0, -1, 0), (-1, 0, 0)), self.depth


SIDES = ("front", "right", "back", "left")


def band(
    mesh: Mesh, block: Block, z: float, height: float, proud: float, name: str = "trim"
) -> None:
    """A course of stone all around a block."""
    low = (block.x0 - proud, block.y0 - proud, z)
    mesh.box(low, (block.x1 + proud, block.y1 + proud, z + height), name, bottom=True)


def cornice(mesh: Mesh, block: Block, z: float, size: float, dentils: bool = False) -> None:
    """Three courses, each further out, ending at ``z`` + ``size``."""
    for k in range(3):
        band(mesh, block, z + size * k / 3, size / 3, size * (0.25 + 0.3 * k))
    if dentils:
        step = size * 0.9
        for name in SIDES:
            frame, length = block.side(name)
            for k in range(int(length / step)):
                u = (k + 0.5) * step
                v = (z - size * 0.55, z)
                mesh.bar(frame, (u - step * 0.25, u + step * 0.25), v, (0, size * 0.3), "trim")


def quoins(mesh: Mesh, block: Block, size: float = 0.36) -> None:
    """Large stones at the corners, long and short by turns."""
    for name in SIDES:
        frame, length = block.side(name)
        for k in range(int((block.z1 - block.z0) / size)):
            v = (block.z0 + k * size, block.z0 + (k + 0.93) * size)
            long = size * (1.5 if k % 2 else 0.9)
            mesh.bar(frame, (0, long), v, (0, 0.04), "trim")
            mesh.bar(frame, (length - long, length), v, (0, 0.04), "trim")


def pilasters(
    mesh: Mesh, frame: Frame, places: Sequence[float], v: Flat, width: float, proud: float = 0.14
) -> None:
    """Flat columns on a wall, each with base and capital."""
    for u in places:
        half = width / 2
        mesh.bar(frame, (u - half, u + half), v, (0, proud), "trim")
        mesh.bar(
            frame, (u - half - 0.07, u + half + 0.07), (v[0], v[0] + 0.3), (0, proud + 0.07), "trim"
        )
        for k, lift in enumerate((0.32, 0.18)):
            g = 0.05 + 0.05 * k
            top = (v[1] - lift, v[1] - lift + 0.16)
            mesh.bar(frame, (u - half - g, u + half + g), top, (0, proud + g), "trim")


def buttresses(mesh: Mesh, frame: Frame, places: Sequence[float], v: Flat, proud: float) -> None:
    """Piers against the wall, in two steps, with sloping tops."""
    for u in places:
        a, b = u - 0.3, u + 0.3
        low = v[0] + (v[1] - v[0]) * 0.55
        for foot, top, d in ((v[0], low, proud), (low, v[1], proud * 0.6)):
            mesh.bar(frame, (a, b), (foot, top), (0, d), "wall")
            slope = [frame.at(a, top, d + 0.04), frame.at(b, top, d + 0.04),
                     frame.at(b, top + d * 0.9, 0), frame.at(a, top + d * 0.9, 0)]  # fmt: skip
            mesh.face(slope, "trim")
            for side in (a, b):
                tri = [
                    frame.at(side, top, d),
                    frame.at(side, top, 0),
                    frame.at(side, top + d * 0.9, 0),
                ]
                mesh.face(tri, "trim")


def column(mesh: Mesh, foot: Point, height: float, radius: float, square: bool = False) -> None:
    """A column with base, swelling shaft and capital; or a square pier."""
    x, y, z = foot
    plinth, cap = radius * 1.35, radius * 1.5
    mesh.box((x - plinth, y - plinth, z), (x + plinth, y + plinth, z + radius * 0.6), "trim")
    top = z + height
    mesh.box((x - cap, y - cap, top - radius * 0.55), (x + cap, y + cap, top), "trim", bottom=True)
    if square:
        mesh.box((x - radius, y - radius, z), (x + radius, y + radius, top), "trim")
        return
    shaft = height - radius * 0.55
    profile = [(radius * 1.25, radius * 0.6), (radius * 1.05, radius * 0.95),
               (radius, shaft * 0.35),
               (radius * 0.84, shaft - radius), (radius * 0.9, shaft - radius * 0.9),
               (radius * 1.35, shaft)]  # fmt: skip
    mesh.lathe(profile, foot, "trim", sides=16)


def stairs(mesh: Mesh, frame: Frame, u: float, width: float, height: float, steps: int) -> float:
    """Steps up to ``height`` at ``u``, running round three sides; how far they reach."""
    rise, tread = height / steps, 0.32
    for k in range(steps):
        reach = tread * (steps - k) + 0.5
        half = width / 2 + tread * (steps - k - 1)
        mesh.bar(frame, (u - half, u + half), (-0.2, rise * (k + 1)), (0, reach), "stairs")
    return tread * steps + 0.5


def parapet(mesh: Mesh, block: Block, height: float, crenels: bool = False) -> None:
    """A low wall round a flat roof, plain with a coping, or with merlons."""
    inner = 0.3
    z = block.z1
    mesh.box(
        (block.x0 + inner, block.y0 + inner, z),
        (block.x1 - inner, block.y1 - inner, z + 0.05),
        "roof",
    )
    for name in SIDES:
        frame, length = block.side(name)
        mesh.bar(frame, (0, length), (z, z + height), (-inner, 0), "wall")
        if not crenels:
            mesh.bar(
                frame,
                (-0.06, length + 0.06),
                (z + height, z + height + 0.12),
                (-inner, 0.08),
                "trim",
            )
            continue
        n = max(2, round(length / 1.3))
        for k in range(n):
            a = length * (k + 0.2) / n
            mesh.bar(
                frame,
                (a, a + length * 0.6 / n),
                (z + height, z + height + 0.55),
                (-inner, 0),
                "wall",
            )


def cross(mesh: Mesh, foot: Point, size: float, name: str = "metal") -> None:
    """A cross on a ball."""
    x, y, z = foot
    ball = [
        (0.001, 0.0),
        (size * 0.13, size * 0.08),
        (size * 0.13, size * 0.2),
        (0.001, size * 0.28),
    ]
    mesh.lathe(ball, foot, name, sides=10)
    t = max(0.03, size * 0.05)
    mesh.box((x - t, y - t, z), (x + t, y + t, z + size), name)
    mesh.box(
        (x - size * 0.3, y - t, z + size * 0.62),
        (x + size * 0.3, y + t, z + size * 0.72),
        name,
        bottom=True,
    )


def regular(centre: Flat, radius: float, sides: int, turn: float = 0.0) -> list[Flat]:
    """A regular polygon, counter-clockwise."""
    return [
        (centre[0] + radius * math.cos(turn + 2 * math.pi * k / sides),
         centre[1] + radius * math.sin(turn + 2 * math.pi * k / sides))
        for k in range(sides)
    ]  # fmt: skip


def polygon_sides(corners: Sequence[Flat]) -> list[tuple[Frame, float]]:
    """The frames and lengths of an upright prism's sides."""
    out = []
    for (xa, ya), (xb, yb) in zip(corners, [*corners[1:], corners[0]], strict=True):
        length = math.hypot(xb - xa, yb - ya)
        along = ((xb - xa) / length, (yb - ya) / length, 0.0)
        out.append((Frame((xa, ya, 0.0), along, (along[1], -along[0], 0.0)), length))
    return out
