"""Towers in stages, with belfries and many kinds of tops."""

from __future__ import annotations

import math
from dataclasses import dataclass

from training.renderer import domes, roofs, stonework
from training.renderer.facades import Opening
from training.renderer.stonework import Block
from training.renderer.streams import Stream
from training.renderer.style import GROUND, Kit, narrow, row

TOPS = {
    "romanesque": {"pyramid": 4, "spire": 1, "saddle": 1, "crenels": 1, "cap": 2},
    "gothic": {"spire": 5, "crenels": 2, "pyramid": 1, "broach": 2},
    "baroque": {"onion": 4, "dome": 3, "cap": 2, "pyramid": 1},
    "classical": {"dome": 3, "cap": 2, "spire": 2, "crenels": 1},
    "rural": {"pyramid": 4, "spire": 2, "saddle": 2, "onion": 1},
}


@dataclass(frozen=True)
class Tower:
    """A square tower: ``x`` its middle, ``y`` its front, ``width`` and ``height`` of its walls."""

    x: float
    y: float
    width: float
    height: float
    top: str
    stages: int
    belfry: int
    slim: float  # rise of the top by its width

    @classmethod
    def draw(
        cls, rng: Stream, manner: str, x: float, y: float, width: float, height: float
    ) -> Tower:
        slim = rng.uniform(1.6, 3.4) if manner == "gothic" else rng.uniform(0.7, 2.2)
        return cls(
            x, y, width, height, rng.weighted(TOPS[manner]), rng.choice((2, 3, 3, 4)),
            rng.choice((1, 1, 2, 3)), slim,
        )  # fmt: skip

    @property
    def block(self) -> Block:
        half = self.width / 2
        return Block(self.x - half, self.x + half, self.y, self.y + self.width, GROUND, self.height)


def build(
    kit: Kit, tower: Tower, rng: Stream, door: Opening | None = None, name: str = "tower"
) -> None:
    """Walls with openings in every stage, string courses, and the top."""
    block, style = tower.block, kit.style
    stage = tower.height / tower.stages
    belfry_foot = tower.height - stage * 0.86
    tall = min(stage * 0.68, tower.width * 0.9)
    bells = row(
        (tower.width * 0.12, tower.width * 0.88), tower.belfry, belfry_foot, tower.width * 0.34,
        tall, style.head if style.head != "flat" else "round", "louvre",
    )  # fmt: skip
    slit = rng.uniform(0.12, 0.26) * tower.width
    lower = [
        Opening(tower.width / 2, stage * k + stage * 0.35, slit, min(stage * 0.5, 1.9), style.head)
        for k in range(tower.stages - 1)
    ]
    front = [*([door] if door else []), *lower, *bells]
    sides = [*lower[1:], *bells]
    kit.wall(block, {"front": front, "right": sides, "left": sides, "back": bells}, material=name)
    for k in range(1, tower.stages):
        if not (door and stage * k < door.v + door.h + 0.5):
            stonework.band(kit.mesh, block, stage * k - 0.1, 0.18, 0.1)
    if style.quoined:
        stonework.quoins(kit.mesh, block, 0.42)
    if style.buttressed:
        for side in ("front", "left", "right"):
            frame, length = block.side(side)
            reach = (GROUND, tower.height * 0.72)
            stonework.buttresses(kit.mesh, frame, [0.3, length - 0.3], reach, 0.55)
    if rng.chance(0.25):
        _clock(kit, tower, stage)
    _top(kit, tower, rng)


def _clock(kit: Kit, tower: Tower, stage: float) -> None:
    """A clock face under the belfry."""
    frame, length = tower.block.side("front")
    z = tower.height - stage * 1.12
    face = Opening(length / 2, z - length * 0.16, length * 0.32, length * 0.32, "circle")
    kit.mesh.face([frame.at(*p, 0.16) for p in face.outline()], "clock")
    middle = z
    for angle, size in ((0.7, 0.1), (2.2, 0.14)):
        u, v = (
            length / 2 + math.cos(angle) * length * size,
            middle + math.sin(angle) * length * size,
        )
        du, dv = -math.sin(angle) * 0.04, math.cos(angle) * 0.04
        quad = [
            (length / 2 - du, middle - dv),
            (u - du, v - dv),
            (u + du, v + dv),
            (length / 2 + du, middle + dv),
        ]
        kit.mesh.face([frame.at(*p, 0.18) for p in quad], "iron")


def _top(kit: Kit, tower: Tower, rng: Stream) -> None:
    """What stands on the walls. Where domes are toggled away, a domed tower ends in a parapet."""
    block, mesh = tower.block, kit.mesh
    centre = (tower.x, tower.y + tower.width / 2, tower.height)
    half = tower.width / 2
    top = tower.top
    small = domes.Dome.draw(rng, small=True)
    shape = "onion" if top == "onion" else rng.choice(("round", "tall", "faceted", "pointed"))
    if top in ("dome", "onion"):
        if not kit.shows("dome", True):
            top = "crenels"
        else:
            kit.holds.setdefault("domes", []).append(shape)
    if top == "crenels":
        stonework.band(mesh, block, tower.height - 0.25, 0.25, 0.15)
        stonework.parapet(mesh, block, 0.6, crenels=kit.style.manner in ("gothic", "romanesque"))
        return
    stonework.cornice(mesh, block, tower.height - 0.12, 0.4, kit.style.dentils)
    foot = (centre[0], centre[1], tower.height + 0.28)
    rise = tower.width * tower.slim
    if top in ("dome", "onion"):
        windows = kit.shows("windows", True)
        small = domes.Dome(shape, small.drum, 8, small.ribs, small.lantern, small.windows)
        domes.build(mesh, small, foot, half * 0.86, windows, narrow(kit.style.trim))
    elif top == "saddle":
        upper = Block(block.x0, block.x1, block.y0, block.y1, tower.height, tower.height + 0.28)
        roofs.gable(mesh, upper, tower.width * 0.7, "y", 0.2)
        frame, length = upper.side("front")
        peak = [(0.0, upper.z1), (length, upper.z1), (length / 2, upper.z1 + tower.width * 0.7)]
        mesh.face([frame.at(*p) for p in peak], "tower")
    elif top in ("spire", "broach"):
        _spire(kit, tower, foot, max(rise, tower.width * 1.5), top == "broach")
    elif top == "cap":
        roofs.pyramid(mesh, foot, half * 1.45, rise * 0.4, 4, 0.1)
        upper = Block(
            tower.x - half * 0.4,
            tower.x + half * 0.4,
            centre[1] - half * 0.4,
            centre[1] + half * 0.4,
            foot[2],
            foot[2] + rise * 0.4 + half * 0.5,
        )
        kit.wall(upper, {}, material="trim", foot=foot[2])
        roofs.pyramid(mesh, (tower.x, centre[1], upper.z1), half * 0.7, half * 1.1, 4, 0.1)
        stonework.cross(mesh, (tower.x, centre[1], upper.z1 + half * 1.05), 1.0)
    else:
        roofs.pyramid(mesh, foot, half * 1.5, rise, 4, rng.choice((0.0, 0.12)))
        stonework.cross(mesh, (foot[0], foot[1], foot[2] + rise - 0.1), 1.1)


def _spire(
    kit: Kit, tower: Tower, foot: tuple[float, float, float], rise: float, broach: bool
) -> None:
    """An octagonal spire; pinnacles, or broaches, fill the square's corners."""
    half, mesh = tower.width / 2, kit.mesh
    roofs.pyramid(mesh, foot, half * 1.08, rise, 8, 0.0)
    for sx in (-1, 1):
        for sy in (-1, 1):
            corner = (foot[0] + sx * half * 0.84, foot[1] + sy * half * 0.84, foot[2])
            if broach:
                roofs.pyramid(mesh, corner, half * 0.34, rise * 0.3, 4, 0.0)
                continue
            w = half * 0.15
            mesh.box(
                (corner[0] - w, corner[1] - w, foot[2] - 0.2),
                (corner[0] + w, corner[1] + w, foot[2] + half * 0.7),
                "trim",
            )
            roofs.pyramid(
                mesh,
                (corner[0], corner[1], foot[2] + half * 0.7),
                w * 1.6,
                half * 0.75,
                4,
                0.0,
                "trim",
            )
    stonework.cross(mesh, (foot[0], foot[1], foot[2] + rise - 0.15), 1.3)
