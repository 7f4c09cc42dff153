"""Houses and palaces."""

from __future__ import annotations

from training.renderer import facades, roofs, stonework
from training.renderer.buildings import Plot, crowning_dome, plinth, portico, steps
from training.renderer.facades import Opening
from training.renderer.stonework import Block
from training.renderer.streams import Stream
from training.renderer.style import GROUND, Kit, narrow, row


def _storeys(
    kit: Kit, rng: Stream, block: Block, floors: int, door_u: float | None, bay: float
) -> list[Opening]:
    """Windows in rows, a door among those of the ground floor."""
    s, w = kit.style, block.width
    storey = (block.z1 - s.floor) / floors
    n = max(2, round(w / bay))
    wide, tall = rng.uniform(0.8, 1.15), min(storey * 0.58, rng.uniform(1.2, 2.0))
    found: list[Opening] = []
    if door_u is not None:
        dr = kit.streams("door")
        door_w = dr.uniform(0.95, 1.7)
        found.append(
            Opening(
                door_u,
                s.floor + 0.02,
                door_w,
                min(storey * 0.8, dr.uniform(2.1, 2.7)),
                s.head,
                "door",
            )
        )
    for k in range(floors):
        foot = s.floor + k * storey + storey * 0.3
        found += row((0.35, w - 0.35), n, foot, wide, tall, s.head)
    return found


def house(kit: Kit, rng: Stream, x: float = 0.0, y: float = 0.0) -> Plot:
    """A house of one to three floors under a gable or hip, with chimneys and dormers."""
    s = kit.style
    floors = rng.choice((1, 2, 2, 2, 3))
    w, d = rng.uniform(7, 13), rng.uniform(6.5, 9.5)
    h = s.floor + floors * rng.uniform(2.7, 3.3)
    body = Block(x - w / 2, x + w / 2, y, y + d, GROUND, h)
    bay = rng.uniform(1.9, 2.9)
    door_u = w / 2 if rng.chance(0.6) else w * rng.uniform(0.2, 0.8)
    front = _storeys(kit, rng, body, floors, door_u, bay)
    side = _storeys(kit, rng, Block(0, d, 0, 1, GROUND, h), floors, None, bay * 1.3)
    along = rng.weighted({"x": 5, "y": 3, "hip": 2})
    span = d if along == "x" else w if along == "y" else min(w, d)
    rise = span / 2 * s.pitch * (1.0 if along != "hip" else 0.75)
    ends = {"x": ("left", "right"), "y": ("front", "back"), "hip": ()}[along]
    if along == "y" and rise > 2.2:
        front.append(Opening(w / 2, h + 0.3, 0.8, min(1.2, rise * 0.4), s.head))
    kit.wall(body, {"front": front, "left": side, "right": side}, ends, rise)
    if along == "hip":
        roofs.hip(kit.mesh, body, rise)
    else:
        roofs.gable(kit.mesh, body, rise, along, rng.uniform(0.25, 0.6))
    plinth(kit, body)
    _house_details(kit, rng, body, rise, along)
    frame, _ = body.side("front")
    if s.quoined:
        stonework.quoins(kit.mesh, body, 0.3)
    if floors > 1 and rng.chance(0.35):
        kit.mesh.bar(
            frame,
            (0, w),
            (s.floor + (h - s.floor) / floors - 0.08,) * 1
            + (s.floor + (h - s.floor) / floors + 0.08,),
            (0, 0.07),
            "trim",
        )
    if rng.chance(0.3):
        z = s.floor + 2.75
        quad = [
            frame.at(door_u - 1.1, z, 1.1),
            frame.at(door_u + 1.1, z, 1.1),
            frame.at(door_u + 1.1, z + 0.5, 0),
            frame.at(door_u - 1.1, z + 0.5, 0),
        ]
        if kit.shows("door", True):
            roofs.lean_to(kit.mesh, quad)
    reach = steps(kit, body, Opening(door_u, 0, 1.2, 2), kit.streams("stairs"))
    top = crowning_dome(kit, (x, y + d / 2, h + rise * 0.4), min(w, d) * 0.26, False, [])
    kit.holds |= {"building": "house", "floors": floors, "towers": []}
    return Plot(body.x0, body.x1, y, y + d, h, max(h + rise, top), body.x0 + door_u, y - reach)


def _house_details(kit: Kit, rng: Stream, body: Block, rise: float, along: str) -> None:
    """Chimneys, and dormers where the slope faces the front."""
    cr = kit.streams("chimney")
    size = cr.uniform(0.55, 0.95)
    places = [
        (
            body.x0 + body.width * cr.uniform(0.1, 0.9),
            body.centre[1] + body.depth * cr.uniform(-0.2, 0.2),
        )
        for _ in range(cr.choice((1, 1, 2)))
    ]
    if kit.shows("chimney", cr.chance(0.8)):
        for px, py in places:
            roofs.chimney(kit.mesh, px, py, body.z1, body.z1 + rise + cr.uniform(0.5, 1.2), size)
    if along == "x" and rise > 2.2 and rng.chance(0.45):
        n = rng.choice((1, 2, 3))
        for k in range(n):
            u = body.x0 + body.width * (k + 0.5) / n
            roofs.dormer(
                kit.mesh, body, u, rise, kit.shows("windows", True), narrow(kit.style.trim)
            )


def palace(kit: Kit, rng: Stream) -> Plot:
    """A broad building with a heavy cornice, often on an arcade."""
    s = kit.style
    floors = rng.choice((2, 2, 3))
    w, d = rng.uniform(12, 20), rng.uniform(8, 11)
    h = s.floor + floors * rng.uniform(3.3, 4.0)
    body = Block(-w / 2, w / 2, 0.0, d, GROUND, h)
    bay = rng.uniform(2.4, 3.4)
    front = _storeys(kit, rng, body, floors, w / 2, bay)
    side = _storeys(kit, rng, Block(0, d, 0, 1, GROUND, h), floors, None, bay)
    kit.wall(body, {"front": front, "left": side, "right": side})
    plinth(kit, body)
    storey = (h - s.floor) / floors
    for k in range(1, floors):
        stonework.band(kit.mesh, body, s.floor + storey * k - 0.1, 0.2, 0.1)
    if s.quoined:
        stonework.quoins(kit.mesh, body)
    stonework.cornice(kit.mesh, body, h - 0.2, 0.6, s.dentils)
    upper = Block(body.x0, body.x1, body.y0, body.y1, h, h + 0.4)
    rise = 0.8
    if rng.chance(0.5):
        stonework.parapet(kit.mesh, upper, 0.9)
    else:
        rise = d / 2 * rng.uniform(0.35, 0.6)
        roofs.hip(kit.mesh, upper, rise, 0.45)
    reach = 0.0
    arcaded = rng.chance(0.55)
    if arcaded:
        reach = arcade(kit, rng, body, s.floor, storey)
    elif s.manner == "classical" and rng.chance(0.5):
        reach = portico(kit, rng, body, (s.floor, s.floor + storey * 2 - 0.4), w * 0.4)
    face = Block(body.x0, body.x1, -reach, d, GROUND, h)
    reach += steps(kit, face, Opening(w / 2, 0, w * 0.25, 2), kit.streams("stairs"))
    top = crowning_dome(kit, (0, d / 2, h + 0.4), d * 0.34, rng.chance(0.2), [])
    kit.holds |= {"building": "palace", "arcade": arcaded, "floors": floors, "towers": []}
    return Plot(body.x0, body.x1, 0.0, d, h, max(h + 0.4 + rise, top), 0.0, -reach)


def arcade(kit: Kit, rng: Stream, block: Block, floor: float, storey: float) -> float:
    """A row of open arches before the ground floor, under a lean-to or a terrace."""
    deep, s = rng.uniform(2.0, 3.0), kit.style
    out = Block(block.x0, block.x1, block.y0 - deep, block.y0, GROUND, floor + storey - 0.05)
    kit.mesh.box((out.x0, out.y0, GROUND), (out.x1, out.y1, max(floor, 0.02)), "trim")
    n = max(3, round(block.width / rng.uniform(2.2, 3.0)) | 1)
    step = block.width / n
    head = s.head if s.head != "flat" else "round"
    arches = [
        Opening((k + 0.5) * step, floor + 0.03, step * 0.76, storey * 0.84, head, "arch")
        for k in range(n)
    ]
    frame, length = out.side("front")
    outline = [(0.0, GROUND), (length, GROUND), (length, out.z1), (0.0, out.z1)]
    thick = facades.Trim(depth=0.45, surround=s.trim.surround, proud=s.trim.proud, sill=False)
    facades.wall(kit.mesh, frame, outline, arches, thick)
    for name in ("left", "right"):
        side, deepness = out.side(name)
        hole = Opening(deepness / 2, floor + 0.03, deepness * 0.6, storey * 0.8, head, "arch")
        rect = [(0.0, GROUND), (deepness, GROUND), (deepness, out.z1), (0.0, out.z1)]
        facades.wall(kit.mesh, side, rect, [hole], thick)
    kit.mesh.box((out.x0, out.y0, out.z1), (out.x1, out.y1, out.z1 + 0.15), "trim", bottom=True)
    stonework.band(kit.mesh, out, out.z1 - 0.05, 0.2, 0.12)
    return deep
