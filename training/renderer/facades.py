"""Walls with real openings: reveals, surrounds, panes and door leaves set back in the wall."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import bpy  # noqa: F401  it brings mathutils along
from mathutils import Vector
from mathutils.geometry import tessellate_polygon

from training.renderer.mesh import Flat, Frame, Mesh

ARC = 10  # steps of a curved head
HEADS = ("flat", "segment", "round", "pointed")


@dataclass(frozen=True)
class Opening:
    """A hole in a wall: ``u`` its middle, ``v`` its foot, ``w`` and ``h`` its size in metres.

    ``kind`` is door, window, louvre (of a belfry) or arch (open to what is behind it).
    """

    u: float
    v: float
    w: float
    h: float
    head: str = "flat"
    kind: str = "window"

    @property
    def rise(self) -> float:
        """The height of the curved part."""
        share = {"flat": 0.0, "segment": 0.14, "round": 0.5, "pointed": 0.8, "circle": 0.5}
        return min(share[self.head] * self.w, 0.9 * self.h)

    def outline(self, grow: float = 0.0) -> list[Flat]:
        """Counter-clockwise from the lower left corner, ``grow`` m larger on all sides.

        A door does not grow at its foot. However much it grows, it has the same points.
        """
        half = self.w / 2 + grow
        if self.head == "circle":
            turn = [2 * math.pi * k / (2 * ARC) - math.pi / 2 for k in range(2 * ARC)]
            mid = self.v + self.h / 2
            return [(self.u + half * math.cos(t), mid + half * math.sin(t)) for t in turn]
        foot = self.v - (grow if self.kind in ("window", "louvre") else 0)
        spring = self.v + self.h - self.rise
        points = [(self.u - half, foot), (self.u + half, foot)]
        if self.head == "flat":
            top = self.v + self.h + grow
            return [*points, (self.u + half, top), (self.u - half, top)]
        for k in range(ARC + 1):
            t = k / ARC
            if self.head == "pointed":
                # Two arcs, each struck from beyond the other side's springing.
                side = 1 - abs(2 * t - 1)
                x = half * (1 - 2 * t)
                y = math.sqrt(max(0.0, 1 - (1 - side * 0.5) ** 2)) / math.sqrt(0.75)
            else:
                x, y = half * math.cos(math.pi * t), math.sin(math.pi * t)
            points.append((self.u + x, spring + y * (self.rise + grow)))
        return points

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, foot, right, top."""
        return (self.u - self.w / 2, self.v, self.u + self.w / 2, self.v + self.h)


@dataclass(frozen=True)
class Trim:
    """How openings are framed; all in metres."""

    depth: float = 0.25
    surround: float = 0.0
    proud: float = 0.05
    orders: int = 0
    sill: bool = True
    hood: str = "none"  # none, pediment, cornice, keystone
    bars: tuple[int, int] = (1, 2)
    shutters: str = ""
    panels: bool = True


def ring(
    mesh: Mesh, frame: Frame, a: Sequence[Flat], b: Sequence[Flat], da: float, db: float, name: str
) -> None:
    """The band between two outlines of equally many points, at ``da`` and ``db`` m of depth."""
    for k in range(len(a)):
        j = (k + 1) % len(a)
        quad = [
            frame.at(*a[k], da), frame.at(*a[j], da), frame.at(*b[j], db), frame.at(*b[k], db),
        ]  # fmt: skip
        mesh.face(quad, name)


def apart(openings: Sequence[Opening], gap: float = 0.12) -> list[Opening]:
    """The openings that do not touch one that comes before them."""
    kept: list[Opening] = []
    for new in openings:
        a = new.box
        if all(
            a[0] > b[2] + gap or a[2] < b[0] - gap or a[1] > b[3] + gap or a[3] < b[1] - gap
            for b in (o.box for o in kept)
        ):
            kept.append(new)
    return kept


def wall(
    mesh: Mesh,
    frame: Frame,
    outline: Sequence[Flat],
    openings: Sequence[Opening],
    trim: Trim,
    material: str = "wall",
) -> None:
    """A wall's face with the openings cut out of it and filled.

    The outline must reach below the ground where a door stands: a hole may not touch an edge.
    """
    holes = [o.outline(_grown(o, trim)) for o in openings]
    loops = [list(outline), *holes]
    points = [p for loop in loops for p in loop]
    corners = tessellate_polygon([[Vector((u, v, 0)) for u, v in loop] for loop in loops])
    for triangle in corners:
        a, b, c = (points[i] for i in triangle)
        if (b[0] - a[0]) * (c[1] - a[1]) < (c[0] - a[0]) * (b[1] - a[1]):
            b, c = c, b
        mesh.face([frame.at(*p) for p in (a, b, c)], material)
    for opening in openings:
        fill(mesh, frame, opening, trim)


def _grown(opening: Opening, trim: Trim) -> float:
    return 0.16 * trim.orders if opening.kind == "door" else 0.0


def fill(mesh: Mesh, frame: Frame, opening: Opening, trim: Trim) -> None:
    """Reveal, surround and whatever closes the opening."""
    grow, depth = _grown(opening, trim), 0.0
    while grow > 1e-6:  # a stepped portal
        outer, inner = opening.outline(grow), opening.outline(grow - 0.16)
        ring(mesh, frame, outer, outer, depth, depth - 0.14, "trim")
        depth -= 0.14
        ring(mesh, frame, outer, inner, depth, depth, "trim")
        grow -= 0.16
    edge = opening.outline()
    back = depth - trim.depth
    ring(mesh, frame, edge, edge, depth, back, "trim" if trim.surround else "wall")
    if trim.surround:
        _surround(mesh, frame, opening, trim)
    if opening.kind == "arch":
        return
    if opening.kind == "door":
        _door(mesh, frame, opening, back, trim)
    elif opening.kind == "louvre":
        _louvre(mesh, frame, opening, back)
    else:
        _window(mesh, frame, opening, back, trim)


def _surround(mesh: Mesh, frame: Frame, o: Opening, trim: Trim) -> None:
    """A raised frame around the opening, with a sill and a hood."""
    start = _grown(o, trim)
    width = trim.surround * (1.4 if o.kind == "door" else 1.0)
    inner, outer = o.outline(start), o.outline(start + width)
    ring(mesh, frame, inner, inner, 0.0, trim.proud, "trim")
    ring(mesh, frame, inner, outer, trim.proud, trim.proud, "trim")
    ring(mesh, frame, outer, outer, trim.proud, 0.0, "trim")
    left, foot, right, top = o.box
    left, right, top = left - start - width, right + start + width, top + start + width
    if o.kind == "window" and trim.sill and o.head != "circle":
        span = (left - 0.05, right + 0.05)
        mesh.bar(frame, span, (foot - width - 0.06, foot - width + 0.06), (0, 0.14), "trim")
    if trim.hood == "keystone" and o.head != "circle":
        w = max(0.09, o.w * 0.1)
        mesh.bar(frame, (o.u - w, o.u + w), (top - width * 1.3, top + 0.06), (0, 0.1), "trim")
    if trim.hood in ("cornice", "pediment") and o.head == "flat":
        mesh.bar(frame, (left - 0.1, right + 0.1), (top + 0.02, top + 0.14), (0, 0.2), "trim")
    if trim.hood == "pediment" and o.head == "flat":
        peak, base = top + 0.14 + (right - left) * 0.22, top + 0.14
        corners = ((left - 0.1, base), (right + 0.1, base), (o.u, peak))
        mesh.face([frame.at(*c, 0.12) for c in corners], "trim")
        for a, b in (corners[1:], (corners[2], corners[0])):
            mesh.face(
                [frame.at(*a, 0), frame.at(*a, 0.2), frame.at(*b, 0.2), frame.at(*b, 0)], "trim"
            )


def _window(mesh: Mesh, frame: Frame, o: Opening, back: float, trim: Trim) -> None:
    """Panes with a frame and glazing bars."""
    mesh.face([frame.at(*p, back) for p in o.outline()], "glass")
    edge, inner = o.outline(), o.outline(-min(0.07, o.w * 0.08))
    front = back + 0.05
    ring(mesh, frame, edge, inner, front, front, "frame")
    ring(mesh, frame, inner, inner, front, back, "frame")
    left, foot, right, top = o.box
    if o.head == "circle":
        _spokes(mesh, frame, o, back)
        return
    for k in range(trim.bars[0]):
        u = left + (right - left) * (k + 1) / (trim.bars[0] + 1)
        reach = top - o.rise * (0.1 if trim.bars[0] == 1 else 0.45)
        mesh.bar(frame, (u - 0.03, u + 0.03), (foot, reach), (back, front), "frame")
    for k in range(trim.bars[1]):
        v = foot + (o.h - o.rise) * (k + 1) / (trim.bars[1] + (0 if o.rise else 1))
        mesh.bar(frame, (left, right), (v - 0.025, v + 0.025), (back, front), "frame")
    if trim.shutters and o.head in ("flat", "segment") and o.h > 0.8:
        _shutters(mesh, frame, o, trim)


def _shutters(mesh: Mesh, frame: Frame, o: Opening, trim: Trim) -> None:
    left, foot, right, top = o.box
    w = o.w / 2
    for a, b in (
        (left - trim.surround - w, left - trim.surround),
        (right + trim.surround, right + trim.surround + w),
    ):
        mesh.bar(frame, (a, b), (foot, top), (trim.proud, trim.proud + 0.05), "shutter")
        for k in range(int(o.h / 0.14)):
            v = foot + 0.08 + 0.14 * k
            mesh.bar(
                frame,
                (a + 0.05, b - 0.05),
                (v, v + 0.05),
                (trim.proud, trim.proud + 0.075),
                "shutter",
            )


def _spokes(mesh: Mesh, frame: Frame, o: Opening, back: float) -> None:
    """The tracery of a rose window: an inner ring and spokes."""
    mid, radius = (o.u, o.v + o.h / 2), o.w / 2
    small = replace(o, w=o.w * 0.36, v=mid[1] - o.w * 0.18, h=o.w * 0.36)
    front = back + 0.07
    ring(mesh, frame, small.outline(0.05), small.outline(-0.03), front, front, "frame")
    for k in range(12):
        t = 2 * math.pi * k / 12
        c, s = math.cos(t), math.sin(t)
        w = 0.035
        quad = [
            (mid[0] + c * radius * a - s * b, mid[1] + s * radius * a + c * b)
            for a, b in ((0.36, -w), (1.0, -w), (1.0, w), (0.36, w))
        ]
        mesh.face([frame.at(*p, front) for p in quad], "frame")


def _louvre(mesh: Mesh, frame: Frame, o: Opening, back: float) -> None:
    """Sloping boards in front of the dark of a belfry."""
    mesh.face([frame.at(*p, back - 0.1) for p in o.outline()], "glass")
    left, foot, right, top = o.box
    for k in range(int((o.h - o.rise * 0.5) / 0.24)):
        v = foot + 0.24 * k
        if v + 0.2 > top - o.rise * 0.3:
            break
        quad = [frame.at(left, v, back + 0.12), frame.at(right, v, back + 0.12),
                frame.at(right, v + 0.16, back), frame.at(left, v + 0.16, back)]  # fmt: skip
        mesh.face(quad, "frame")


def _door(mesh: Mesh, frame: Frame, o: Opening, back: float, trim: Trim) -> None:
    """One or two leaves with raised panels; a fanlight of door leaf in a curved head."""
    mesh.face([frame.at(*p, back) for p in o.outline()], "door")
    left, foot, right, top = o.box
    spring = top - o.rise
    leaves = 2 if o.w > 1.25 else 1
    width = o.w / leaves
    if o.rise > 0.15:
        mesh.bar(frame, (left, right), (spring - 0.06, spring + 0.06), (back, back + 0.06), "door")
    for leaf in range(leaves):
        a, b = left + leaf * width + 0.05, left + (leaf + 1) * width - 0.05
        mesh.bar(frame, (a - 0.05, a + 0.04), (foot, spring), (back, back + 0.045), "door")
        mesh.bar(frame, (b - 0.04, b + 0.05), (foot, spring), (back, back + 0.045), "door")
        if not trim.panels:
            for share in (0.15, 0.75):
                v = foot + (spring - foot) * share
                mesh.bar(frame, (a, b), (v, v + 0.06), (back, back + 0.02), "iron")
            continue
        for low, high in ((0.05, 0.28), (0.33, 0.62), (0.67, 0.95)):
            va, vb = foot + (spring - foot) * low, foot + (spring - foot) * high
            mesh.bar(frame, (a + 0.1, b - 0.1), (va, vb), (back, back + 0.03), "door")
    knob = left + width - 0.12
    mesh.bar(
        frame, (knob - 0.03, knob + 0.03), (foot + 0.95, foot + 1.15), (back, back + 0.1), "iron"
    )
