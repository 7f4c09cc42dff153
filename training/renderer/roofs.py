"""Roofs over a block: gable, hip, pyramid, spire, lean-to; dormers and chimneys."""

from __future__ import annotations

import math
from collections.abc import Sequence

from training.renderer import facades
from training.renderer.mesh import Frame, Mesh, Point
from training.renderer.stonework import Block, band

THICK = 0.16


def gable(mesh: Mesh, block: Block, rise: float, along: str, over: float = 0.35) -> None:
    """Two slopes meeting in a ridge along x or y. Gable walls are the walls' own affair."""
    z, drop = block.z1, over * rise / ((block.width if along == "y" else block.depth) / 2)
    (xm, ym), top = block.centre, block.z1 + rise
    if along == "y":
        ya, yb = block.y0 - over, block.y1 + over
        xa, xb = block.x0 - over, block.x1 + over
        left = [(xa, yb, z - drop), (xa, ya, z - drop), (xm, ya, top), (xm, yb, top)]
        right = [(xb, ya, z - drop), (xb, yb, z - drop), (xm, yb, top), (xm, ya, top)]
        ridge: tuple[Point, Point] = ((xm, ya, top), (xm, yb, top))
    else:
        ya, yb = block.y0 - over, block.y1 + over
        xa, xb = block.x0 - over, block.x1 + over
        left = [(xa, ya, z - drop), (xb, ya, z - drop), (xb, ym, top), (xa, ym, top)]
        right = [(xb, yb, z - drop), (xa, yb, z - drop), (xa, ym, top), (xb, ym, top)]
        ridge = ((xa, ym, top), (xb, ym, top))
    lift = (0.0, 0.0, THICK)
    for quad in (left, right):
        mesh.slab([(p[0], p[1], p[2] + lift[2]) for p in quad], THICK, "roof", "eaves")
    (ax, ay, _), (bx, by, _) = ridge
    wide = 0.12
    low = (ax - (wide if along == "y" else 0), ay - (0 if along == "y" else wide), top + 0.05)
    high = (
        bx + (wide if along == "y" else 0),
        by + (0 if along == "y" else wide),
        top + THICK + 0.1,
    )
    mesh.box(low, high, "roof")


def hip(mesh: Mesh, block: Block, rise: float, over: float = 0.4) -> None:
    """Four slopes; the ridge runs along the longer side."""
    x0, x1, y0, y1 = block.x0 - over, block.x1 + over, block.y0 - over, block.y1 + over
    z, top = block.z1, block.z1 + rise
    inset = min(x1 - x0, y1 - y0) / 2
    (xm, ym) = block.centre
    if block.width > block.depth:
        a, b = (x0 + inset, ym, top), (x1 - inset, ym, top)
        slopes = [[(x0, y0, z), (x1, y0, z), b, a], [(x1, y1, z), (x0, y1, z), a, b],
                  [(x1, y0, z), (x1, y1, z), b], [(x0, y1, z), (x0, y0, z), a]]  # fmt: skip
    else:
        a, b = (xm, y0 + inset, top), (xm, y1 - inset, top)
        slopes = [[(x0, y1, z), (x0, y0, z), a, b], [(x1, y0, z), (x1, y1, z), b, a],
                  [(x0, y0, z), (x1, y0, z), a], [(x1, y1, z), (x0, y1, z), b]]  # fmt: skip
    for slope in slopes:
        mesh.face(slope, "roof")
    band(mesh, block, z - 0.16, 0.158, over, "eaves")


def pyramid(
    mesh: Mesh,
    centre: Point,
    radius: float,
    rise: float,
    sides: int,
    flare: float,
    name: str = "roof",
) -> None:
    """A pointed roof on a regular plan; ``flare`` turns its foot outward like a bell's."""
    turn = math.pi / sides
    profile = [(radius * (1 + flare), 0.0)]
    if flare:
        profile += [(radius * (0.86 + 0.2 * flare), rise * 0.1), (radius * 0.72, rise * 0.22)]
    profile.append((0.004, rise))
    mesh.lathe(profile, centre, name, sides=sides, turn=turn, smooth=False)


def lean_to(mesh: Mesh, quad: Sequence[Point]) -> None:
    """One slope: ``quad`` is its upper side, counter-clockwise from above."""
    mesh.slab(list(quad), THICK, "roof", "eaves")


def chimney(mesh: Mesh, x: float, y: float, z0: float, z1: float, size: float) -> None:
    h = size / 2
    mesh.box((x - h, y - h, z0), (x + h, y + h, z1), "chimney")
    mesh.box(
        (x - h - 0.07, y - h - 0.07, z1 - 0.15), (x + h + 0.07, y + h + 0.07, z1), "trim", True
    )
    for dx in (-h * 0.4, h * 0.4):
        mesh.lathe([(0.1, 0.0), (0.08, 0.35)], (x + dx, y, z1), "chimney", sides=8)


def dormer(
    mesh: Mesh, block: Block, u: float, rise: float, window: bool, trim: facades.Trim
) -> None:
    """A small gabled window in the front slope of a roof whose ridge runs along x."""
    w, h = 1.25, 1.15
    slope = rise / (block.depth / 2)
    z0, y0 = block.z1 + 0.35 * slope, block.y0 + 0.35
    z1 = z0 + h
    body = Block(u - w / 2, u + w / 2, y0, y0 + (h + 0.5) / slope + 0.3, z0, z1)
    frame = Frame((body.x0, body.y0, 0), (1, 0, 0), (0, -1, 0))
    hole = facades.Opening(w / 2, z0 + 0.22, 0.72, 0.85)
    outline = [(0.0, z0), (w, z0), (w, z1), (w / 2, z1 + 0.45), (0.0, z1)]
    facades.wall(mesh, frame, outline, [hole] if window else [], trim, "trim")
    for name in ("left", "right"):
        side, length = body.side(name)
        quad = [side.at(0, z0), side.at(length, z0), side.at(length, z1), side.at(0, z1)]
        mesh.face(quad, "trim")
    gable(mesh, body, 0.45, "y", 0.14)
