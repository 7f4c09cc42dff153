"""The architectural manner of a building, and the kit its parts are built with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from training.renderer import facades
from training.renderer.facades import Opening, Trim
from training.renderer.mesh import Flat, Mesh
from training.renderer.stonework import SIDES, Block
from training.renderer.streams import Stream

GROUND = -0.4  # walls reach into the ground: a door's hole may not touch a wall's edge


@dataclass(frozen=True)
class Style:
    """What all parts of a building have in common."""

    manner: str
    head: str  # of windows and doors, see facades.HEADS
    wall: str  # kind of material
    roof: str
    pitch: float  # rise of a roof by half its span
    trim: Trim
    floor: float  # of the ground floor, in metres above the ground
    buttressed: bool = False
    pilastered: bool = False
    quoined: bool = False
    dentils: bool = False


MANNERS: dict[str, dict[str, Any]] = {
    "romanesque": {"head": ("round",), "wall": {"ashlar": 3, "rubble": 4, "plaster": 2, "brick": 2},
                   "roof": {"tile": 4, "slate": 2}, "pitch": (0.5, 0.9)},
    "gothic": {"head": ("pointed",), "wall": {"ashlar": 4, "rubble": 3, "brick": 3},
               "roof": {"slate": 4, "tile": 2, "metal": 1}, "pitch": (0.9, 1.6)},
    "baroque": {"head": ("round", "segment", "flat"), "wall": {"plaster": 6, "ashlar": 2},
                "roof": {"tile": 4, "metal": 2, "slate": 1}, "pitch": (0.6, 1.0)},
    "classical": {"head": ("flat", "round"), "wall": {"ashlar": 3, "plaster": 3, "brick": 1},
                  "roof": {"slate": 2, "tile": 2, "metal": 2}, "pitch": (0.4, 0.65)},
    "rural": {"head": ("flat", "round", "segment"),
              "wall": {"plaster": 5, "boards": 3, "rubble": 3, "brick": 2},
              "roof": {"tile": 3, "shingle": 3, "slate": 1, "metal": 1}, "pitch": (0.7, 1.3)},
}  # fmt: skip


def draw_style(rng: Stream, manner: str) -> Style:
    """A style of a manner, with its details left to chance."""
    table = MANNERS[manner]
    head = rng.choice(table["head"])
    surround = rng.uniform(0.1, 0.24) if rng.chance(0.75) else 0.0
    classical = manner in ("classical", "baroque")
    hood = rng.choice(("none", "cornice", "pediment", "keystone")) if classical else "none"
    trim = Trim(
        depth=rng.uniform(0.18, 0.45),
        surround=surround,
        proud=rng.uniform(0.03, 0.09),
        orders=rng.choice((0, 1, 2, 3, 4)) if manner in ("romanesque", "gothic") else 0,
        hood=hood if surround else "none",
        bars=(rng.choice((1, 1, 2)), rng.choice((1, 2, 3, 4))),
        shutters=rng.choice(("", "", "plain")) if manner == "rural" else "",
        panels=rng.chance(0.7),
    )
    steps = (
        rng.choice((0, 1, 2, 3, 3, 4, 5, 7)) if manner != "rural" else rng.choice((0, 0, 1, 2, 3))
    )
    return Style(
        manner, head, rng.weighted(table["wall"]), rng.weighted(table["roof"]),
        rng.uniform(*table["pitch"]), trim, 0.16 * steps,
        buttressed=manner == "gothic" or (manner == "romanesque" and rng.chance(0.3)),
        pilastered=classical and rng.chance(0.7), quoined=rng.chance(0.3),
        dentils=classical and rng.chance(0.5),
    )  # fmt: skip


@dataclass
class Kit:
    """One building in the making: its mesh and style, and which elements the scene shows.

    ``shows(element, drawn)`` is what was drawn unless the element is toggled. Layouts never ask
    it: they are the same with and without an element, and only building it is left out.
    """

    mesh: Mesh
    style: Style
    shows: Callable[[str, bool], bool]
    streams: Callable[..., Stream]
    holds: dict[str, Any] = field(default_factory=dict)

    def wall(
        self,
        block: Block,
        openings: dict[str, Sequence[Opening]],
        gables: Sequence[str] = (),
        rise: float = 0.0,
        material: str = "wall",
        foot: float = GROUND,
    ) -> None:
        """The four walls of a block with their openings; some end in a gable ``rise`` m high."""
        for name in SIDES:
            frame, length = block.side(name)
            outline: list[Flat] = [(0.0, foot), (length, foot), (length, block.z1)]
            if name in gables:
                outline.append((length / 2, block.z1 + rise))
            outline.append((0.0, block.z1))
            fitting = facades.apart(openings.get(name, ()))
            facades.wall(self.mesh, frame, outline, self.shown(fitting), self.style.trim, material)

    def shown(self, openings: Sequence[Opening]) -> list[Opening]:
        """Those that are not toggled away."""
        doors, windows = self.shows("door", True), self.shows("windows", True)
        return [
            o for o in openings
            if o.kind == "arch" or (doors if o.kind == "door" else windows)
        ]  # fmt: skip


def row(
    span: Flat, count: int, v: float, w: float, h: float, head: str, kind: str = "window"
) -> list[Opening]:
    """``count`` equal openings spread over ``span``."""
    step = (span[1] - span[0]) / max(count, 1)
    w = min(w, step * 0.72)
    return [Opening(span[0] + (k + 0.5) * step, v, w, h, head, kind) for k in range(count)]


def narrow(trim: Trim) -> Trim:
    """The same trim for small openings."""
    return replace(trim, surround=trim.surround * 0.6, orders=0, hood="none", bars=(1, 1))
