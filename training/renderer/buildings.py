"""Churches and domed churches, and the parts that all buildings share."""

from __future__ import annotations

from dataclasses import dataclass

from training.renderer import domes, roofs, stonework, towers
from training.renderer.facades import Opening
from training.renderer.mesh import Flat, Point
from training.renderer.stonework import Block
from training.renderer.streams import Stream
from training.renderer.style import GROUND, Kit, narrow, row


@dataclass(frozen=True)
class Plot:
    """Where a building stands and how much room it takes: what the rest is laid out around."""

    x0: float
    x1: float
    y0: float
    y1: float
    eaves: float
    top: float
    door_x: float
    porch_y: float  # where the steps or the porch end, and a path may begin

    @property
    def centre_x(self) -> float:
        return (self.x0 + self.x1) / 2


def _entrance(kit: Kit, rng: Stream, u: float, head: str, limit: float) -> Opening:
    """A main door for a church, at most ``limit`` m high."""
    w = rng.uniform(1.3, 2.5)
    h = min(limit, w * rng.uniform(1.45, 2.0) + 0.4)
    head = rng.choice(("round", "segment")) if head == "flat" and rng.chance(0.4) else head
    return Opening(u, kit.style.floor + 0.02, w, h, head, "door")


def steps(kit: Kit, block: Block, door: Opening, rng: Stream) -> float:
    """The stairs to a door, if the floor is raised; how far they reach."""
    if kit.style.floor < 0.1:
        return 0.0
    wide = door.w + rng.uniform(0.6, 2.6)
    frame, _ = block.side("front")
    count = max(1, round(kit.style.floor / 0.16))
    if kit.shows("stairs", True):
        kit.holds["stairs"] = count
        return stonework.stairs(kit.mesh, frame, door.u, wide, kit.style.floor, count)
    return 0.32 * count + 0.5


def plinth(kit: Kit, block: Block) -> None:
    if kit.style.floor > 0.12:
        stonework.band(kit.mesh, block, GROUND, kit.style.floor - GROUND - 0.03, 0.09)


def crowning_dome(kit: Kit, spot: Point, radius: float, drawn: bool, minor: list[Point]) -> float:
    """The main dome, and small ones around it; its top's height, or 0 where none was drawn.

    The height is the same when the dome is toggled, for the camera is placed by it.
    """
    rng = kit.streams("dome")
    main = domes.Dome.draw(rng)
    radius *= rng.uniform(0.85, 1.1)
    few = rng.chance(0.35)
    height = spot[2] + radius * (main.drum + 1.3) if drawn else 0.0
    if not kit.shows("dome", drawn):
        return height
    kit.holds.setdefault("domes", []).append(main.shape)
    windows, trim = kit.shows("windows", True), narrow(kit.style.trim)
    domes.build(kit.mesh, main, spot, radius, windows, trim)
    for place in minor if few else []:
        domes.build(kit.mesh, main, place, radius * 0.42, windows, trim)
    return height


def _front(kit: Kit, rng: Stream, block: Block, rise: float, door: Opening | None) -> list[Opening]:
    """A church front: the door, something above it, and windows beside it."""
    w, head = block.width, kit.style.head if kit.style.head != "segment" else "round"
    eaves = block.z1
    above = eaves + rise * 0.12
    found: list[Opening] = [door] if door else []
    top_of_door = (
        (door.v + door.h + 0.55 + 0.16 * kit.style.trim.orders) if door else kit.style.floor + 1.5
    )
    kind = rng.weighted({"rose": 4, "lancets": 3, "single": 3, "none": 1})
    space = max(0.0, eaves + rise * 0.55 - max(above - 1.4, top_of_door))
    foot = max(above - 1.4, top_of_door)
    if kind == "rose" and space > 1.4:
        size = min(space, w * rng.uniform(0.2, 0.34))
        found.append(Opening(w / 2, foot, size, size, "circle"))
    elif kind == "lancets" and space > 1.5:
        found += row((w * 0.3, w * 0.7), 3, foot, w * 0.09, min(space, w * 0.32), head)
    elif kind == "single" and space > 1.4:
        wide = rng.uniform(0.1, 0.18) * w
        found.append(Opening(w / 2, foot, wide, min(space, wide * 2.6), head))
    side_h = min(eaves * 0.42, rng.uniform(1.6, 3.4))
    for u in (w * 0.17, w * 0.83) if rng.chance(0.8) else ():
        v = max(eaves * rng.uniform(0.3, 0.42), kit.style.floor + 1.1)
        found.append(Opening(u, v, min(w * 0.12, 1.2), min(side_h, eaves - v - 0.6), head))
    return [o for o in found if o.h > 0.6]


def church(kit: Kit, rng: Stream) -> Plot:
    """A nave with a gabled front; often a tower or two, aisles, a transept, a crossing dome."""
    s = kit.style
    modest = s.manner == "rural"
    w = rng.uniform(5.5, 8.5) if modest else rng.uniform(7.5, 13)
    d, h = w * rng.uniform(1.4, 2.1), w * rng.uniform(0.5, 0.9) + s.floor
    x = rng.normal(0.6)
    nave = Block(x - w / 2, x + w / 2, 0.0, d, GROUND, h)
    rise = w / 2 * s.pitch
    plan = rng.weighted(
        {"none": 3, "front": 3, "left": 2, "right": 2, "twin": 3 if not modest else 0}
    )
    centred = plan == "front"
    door = _entrance(kit, kit.streams("door"), w / 2, s.head, min(h * 0.55, 4.6))
    front = _front(kit, rng, nave, rise, None if centred else door)
    bay = rng.uniform(2.6, 4.2)
    bays = max(2, int(d / bay))
    sill = max(h * rng.uniform(0.3, 0.42), s.floor + 0.9)
    side = row(
        (0.4, d - 0.4), bays, sill, rng.uniform(0.8, 1.5), max(0.9, h * 0.88 - sill - 0.5), s.head
    )
    kit.wall(nave, {"front": front, "right": side, "left": side}, ("front", "back"), rise)
    roofs.gable(kit.mesh, nave, rise, "y", rng.uniform(0.12, 0.4))
    plinth(kit, nave)
    for name in ("left", "right"):
        frame, length = nave.side(name)
        places = [0.4 + (length - 0.8) * k / bays for k in range(bays + 1)]
        if s.buttressed:
            stonework.buttresses(kit.mesh, frame, places, (GROUND, h * 0.9), rng.uniform(0.5, 0.9))
        elif s.pilastered:
            stonework.pilasters(kit.mesh, frame, places, (max(s.floor, 0), h), 0.5)
    _dress_front(kit, nave, centred)
    tops = [h + rise, _transept(kit, rng, nave, rise)]
    found = _church_towers(kit, rng, nave, plan, door)
    tops += [t.height + t.width * 0.8 for t in found]
    face = nave if not centred else found[0].block
    shown = face.width / 2
    reach = steps(kit, face, Opening(shown, door.v, door.w, door.h), kit.streams("stairs"))
    x0 = min([nave.x0, *(t.block.x0 for t in found)])
    x1 = max([nave.x1, *(t.block.x1 for t in found)])
    kit.holds |= {"building": "church", "towers": [t.top for t in found]}
    return Plot(x0, x1, face.y0, d, h, max(tops), face.x0 + shown, face.y0 - reach)


def _dress_front(kit: Kit, nave: Block, centred: bool) -> None:
    """Pilasters, quoins and a course at the eaves on the front."""
    frame, w = nave.side("front")
    s = kit.style
    if s.pilastered:
        places = [0.35, w * 0.31, w * 0.69, w - 0.35] if not centred else [0.35, w - 0.35]
        stonework.pilasters(kit.mesh, frame, places, (max(s.floor, 0), nave.z1 - 0.1), 0.55)
        kit.mesh.bar(frame, (-0.1, w + 0.1), (nave.z1 - 0.1, nave.z1 + 0.2), (0, 0.28), "trim")
    elif s.quoined:
        stonework.quoins(kit.mesh, nave)
    if s.dentils:
        for k in range(int(w / 0.4)):
            u = (k + 0.5) * 0.4
            kit.mesh.bar(
                frame, (u - 0.1, u + 0.1), (nave.z1 - 0.32, nave.z1 - 0.1), (0, 0.16), "trim"
            )


def _transept(kit: Kit, rng: Stream, nave: Block, rise: float) -> float:
    """Perhaps arms across the nave; the dome stands where they cross, arms or not."""
    reach = rng.uniform(2.2, 4.5)
    y = nave.y0 + nave.depth * rng.uniform(0.45, 0.62)
    half = nave.width * rng.uniform(0.3, 0.42)
    if rng.chance(0.4):
        block = Block(nave.x0 - reach, nave.x1 + reach, y - half, y + half, GROUND, nave.z1 - 0.05)
        low = rise * half / (nave.width / 2) * 0.98
        end = [Opening(half, nave.z1 * 0.4, half * 0.45, nave.z1 * 0.45, kit.style.head)]
        face = [Opening(u, nave.z1 * 0.4, 0.8, nave.z1 * 0.35, kit.style.head)
                for u in (reach / 2, 2 * reach + nave.width - reach / 2)]  # fmt: skip
        kit.wall(block, {"left": end, "right": end, "front": face}, ("left", "right"), low)
        roofs.gable(kit.mesh, block, low, "x", 0.25)
    radius = nave.width * rng.uniform(0.28, 0.42)
    drawn = rng.chance(
        {"baroque": 0.6, "classical": 0.6, "romanesque": 0.4}.get(kit.style.manner, 0.15)
    )
    spot = (nave.centre[0], y, nave.z1 + rise * (1 - radius / nave.width))
    return crowning_dome(kit, spot, radius, drawn, [])


def _church_towers(
    kit: Kit, rng: Stream, nave: Block, plan: str, door: Opening
) -> list[towers.Tower]:
    """One or two towers at the front, or none."""
    tr = kit.streams("towers")
    width = nave.width * tr.uniform(0.3, 0.44)
    height = nave.z1 + nave.width * tr.uniform(0.45, 1.3)
    x = nave.centre[0]
    match plan:
        case "front":
            places = [(x, nave.y0 - width * tr.uniform(0.35, 0.8))]
        case "left":
            places = [(nave.x0 - width * tr.uniform(0.1, 0.48), nave.y0 + tr.uniform(-0.5, 2.5))]
        case "right":
            places = [(nave.x1 + width * tr.uniform(0.1, 0.48), nave.y0 + tr.uniform(-0.5, 2.5))]
        case "twin":
            out = width * tr.uniform(-0.1, 0.45)
            places = [(nave.x0 - out, nave.y0 - 0.5), (nave.x1 + out, nave.y0 - 0.5)]
        case _:
            places = []
    model = towers.Tower.draw(tr, kit.style.manner, 0, 0, width, height)
    found = []
    for px, py in places:
        tower = towers.Tower(
            px, py, width, height, model.top, model.stages, model.belfry, model.slim
        )
        entrance = Opening(
            width / 2,
            door.v,
            min(door.w, width * 0.5),
            min(door.h, height / model.stages * 0.8),
            door.head,
            "door",
        )
        towers.build(kit, tower, kit.streams("tower"), entrance if plan == "front" else None)
        found.append(tower)
    return found


def portico(kit: Kit, rng: Stream, block: Block, v: Flat, width: float) -> float:
    """Columns carrying an entablature and a pediment before the front; how far it reaches."""
    x, deep = block.centre[0], rng.uniform(1.8, 3.2)
    n = rng.choice((4, 4, 6))
    y0 = block.y0 - deep
    height = (v[1] - v[0]) * 0.86
    podium = Block(x - width / 2 - 0.3, x + width / 2 + 0.3, y0 - 0.3, block.y0, GROUND, v[0])
    if v[0] > 0.1:
        kit.mesh.box((podium.x0, podium.y0, GROUND), (podium.x1, podium.y1, v[0]), "trim")
    for k in range(n):
        px = x - width / 2 + 0.45 + (width - 0.9) * k / (n - 1)
        stonework.column(kit.mesh, (px, y0 + 0.4, v[0]), height, min(0.42, height * 0.075))
    beam = Block(x - width / 2, x + width / 2, y0, block.y0, v[0] + height, v[1])
    kit.mesh.box((beam.x0, beam.y0, beam.z0), (beam.x1, beam.y1, beam.z1), "trim", bottom=True)
    stonework.cornice(kit.mesh, beam, v[1], 0.35, kit.style.dentils)
    rise, top = width * rng.uniform(0.14, 0.22), v[1] + 0.35
    upper = Block(beam.x0 - 0.2, beam.x1 + 0.2, y0 - 0.1, block.y0, v[1], top)
    frame, length = upper.side("front")
    kit.mesh.face(
        [frame.at(*p) for p in ((0, top), (length, top), (length / 2, top + rise))], "wall"
    )
    roofs.gable(kit.mesh, upper, rise, "y", 0.25)
    return deep + 0.3


def domed(kit: Kit, rng: Stream) -> Plot:
    """A square or broad church under a large dome, with a portico or a plain front."""
    s = kit.style
    w = rng.uniform(9, 17)
    d, h = w * rng.uniform(0.8, 1.2), rng.uniform(5.5, 9.5) + s.floor
    x = rng.normal(0.6)
    body = Block(x - w / 2, x + w / 2, 0.0, d, GROUND, h)
    door = _entrance(kit, kit.streams("door"), w / 2, s.head, min(h * 0.6, 4.8))
    rows = 1 if h < 7.5 else rng.choice((1, 2))
    count = rng.choice((2, 4, 4, 6)) + 1
    found: list[Opening] = [door]
    for k in range(rows):
        foot = s.floor + 1.2 + k * (h - s.floor) * 0.46
        tall = (h - s.floor) * (0.3 if rows == 2 else 0.45)
        found += row((0.5, w - 0.5), count, foot, rng.uniform(0.9, 1.6), tall, s.head)
    side = row((0.5, d - 0.5), count - 1, s.floor + 1.2, 1.2, (h - s.floor) * 0.4, s.head)
    kit.wall(body, {"front": found, "left": side, "right": side})
    plinth(kit, body)
    stonework.cornice(kit.mesh, body, h - 0.15, 0.5, s.dentils)
    roof_top = h + 0.35
    upper = Block(body.x0, body.x1, body.y0, body.y1, h, roof_top)
    if rng.chance(0.5):
        stonework.parapet(kit.mesh, upper, rng.uniform(0.5, 1.0))
        spot_z = roof_top + 0.1
    else:
        rise = min(w, d) / 2 * rng.uniform(0.25, 0.5)
        roofs.hip(kit.mesh, upper, rise, 0.3)
        spot_z = roof_top + rise * 0.45
    if s.pilastered:
        frame, _ = body.side("front")
        places = [0.5 + (w - 1.0) * k / count for k in range(count + 1)]
        stonework.pilasters(kit.mesh, frame, places, (max(s.floor, 0), h - 0.15), 0.5)
    reach = 0.0
    has_portico = s.manner == "classical" and rng.chance(0.65)
    if has_portico:
        reach = portico(kit, rng, body, (s.floor, h * 0.82), w * rng.uniform(0.45, 0.62))
    face = Block(body.x0, body.x1, body.y0 - reach, body.y1, body.z0, body.z1)
    wide = Opening(w / 2, door.v, w * 0.4 if has_portico else door.w, door.h)
    reach += steps(kit, face, wide, kit.streams("stairs"))
    radius = min(w, d) * rng.uniform(0.28, 0.42)
    corners = [
        (x + sx * (w / 2 - radius * 0.6), sy, h + 0.4)
        for sx in (-1, 1)
        for sy in (radius * 0.6, d - radius * 0.6)
    ]
    drawn = rng.chance(0.9)
    top = crowning_dome(kit, (x, d * 0.5, spot_z), radius, drawn, corners)
    kit.holds |= {"building": "domed church", "portico": has_portico, "towers": []}
    return Plot(body.x0, body.x1, 0.0, d, h, max(top, h + 1.5), x, -reach)
