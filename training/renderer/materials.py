"""Surfaces of buildings and ground: masonry, plaster, boards, roofing, metal, glass, paving."""

from __future__ import annotations

from typing import Any

from training.renderer.nodes import Nodes, Rgb, Socket
from training.renderer.streams import Stream
from training.renderer.tiles import Tiles, tile_colour

# Linear albedo. Nothing is lighter than fresh whitewash.
STONE = ((0.52, 0.46, 0.36), (0.42, 0.38, 0.32), (0.58, 0.54, 0.47), (0.36, 0.33, 0.30),
         (0.55, 0.45, 0.30), (0.47, 0.33, 0.24), (0.30, 0.27, 0.24),
         (0.60, 0.50, 0.40))  # fmt: skip
BRICK = ((0.36, 0.13, 0.08), (0.42, 0.19, 0.12), (0.28, 0.11, 0.08), (0.45, 0.26, 0.17),
         (0.50, 0.38, 0.24), (0.22, 0.12, 0.10))  # fmt: skip
PLASTER = ((0.68, 0.66, 0.62), (0.70, 0.62, 0.48), (0.66, 0.50, 0.28), (0.62, 0.40, 0.32),
           (0.70, 0.68, 0.66), (0.52, 0.56, 0.54), (0.60, 0.30, 0.20), (0.48, 0.55, 0.60),
           (0.66, 0.58, 0.52))  # fmt: skip
BOARDS = ((0.68, 0.67, 0.65), (0.26, 0.07, 0.05), (0.24, 0.17, 0.11), (0.45, 0.50, 0.54),
          (0.62, 0.58, 0.42), (0.16, 0.12, 0.09))  # fmt: skip
ROOF = {
    "tile": ((0.34, 0.13, 0.07), (0.28, 0.10, 0.06), (0.40, 0.20, 0.11), (0.22, 0.12, 0.08)),
    "slate": ((0.10, 0.11, 0.13), (0.15, 0.15, 0.16), (0.09, 0.09, 0.10), (0.17, 0.15, 0.17)),
    "shingle": ((0.17, 0.12, 0.09), (0.22, 0.18, 0.15), (0.12, 0.10, 0.09)),
    "metal": ((0.22, 0.36, 0.31), (0.33, 0.35, 0.37), (0.30, 0.08, 0.06), (0.12, 0.20, 0.15)),
}
DOME = {
    "copper": (0.24, 0.40, 0.34), "lead": (0.32, 0.34, 0.37), "gold": (0.78, 0.52, 0.16),
    "slate": (0.13, 0.14, 0.16), "tile": (0.38, 0.16, 0.09), "stone": (0.58, 0.54, 0.47),
    "blue": (0.08, 0.17, 0.38), "white": (0.70, 0.69, 0.67),
}  # fmt: skip
DOOR = ((0.13, 0.06, 0.028), (0.05, 0.035, 0.025), (0.20, 0.035, 0.025), (0.035, 0.09, 0.06),
        (0.04, 0.07, 0.15), (0.24, 0.14, 0.07), (0.33, 0.34, 0.33))  # fmt: skip
PHOTOS = {
    "brick": (("Bricks",), 1.9), "ashlar": (("Bricks", "Tiles", "Travertine"), 3.2),
    "rubble": (("Bricks", "Rock", "Rocks"), 3.5), "plaster": (("Plaster", "Concrete"), 3.5),
    "boards": (("WoodSiding", "Planks"), 2.4), "tile": (("RoofingTiles",), 2.2),
    "slate": (("RoofingTiles",), 2.0), "shingle": (("RoofingTiles", "ThatchedRoof"), 2.4),
    "metal": (("CorrugatedSteel", "RoofingTiles"), 2.4), "door": (("Planks", "Wood"), 1.8),
    "slabs": (("PavingStones", "Tiles"), 2.6), "cobble": (("PavingStones", "Bricks"), 2.2),
    "gravel": (("Gravel", "Ground"), 2.4), "asphalt": (("Asphalt", "Road"), 3.5),
    "grass": (("Grass", "Grass", "Moss"), 2.6),
}  # fmt: skip


def courses(
    n: Nodes, width: float, height: float, joint: float, shift: float
) -> tuple[Socket, Socket]:
    """Blocks in courses: a random number for each block, and 1 in the joints."""
    inputs = {
        "Vector": n.surface(shift=shift), "Scale": 1.0, "Brick Width": width,
        "Row Height": height, "Mortar Size": joint, "Mortar Smooth": 0.3,
        "Color1": (0, 0, 0), "Color2": (1, 1, 1), "Mortar": (0.5, 0.5, 0.5),
    }  # fmt: skip
    brick = n.new("TexBrick", inputs)
    return brick.outputs["Color"], brick.outputs["Fac"]


def stones(n: Nodes, size: float, joint: float, shift: float) -> tuple[Socket, Socket]:
    """Irregular stones: a random number for each, and 1 in the joints."""
    vector = n.surface((1, 1.5, 1), shift)
    cell = n.new("TexVoronoi", {"Vector": vector, "Scale": 1 / size})
    edge = n.new("TexVoronoi", {"Vector": vector, "Scale": 1 / size}, feature="DISTANCE_TO_EDGE")
    grey = n.new("RGBToBW", {0: cell.outputs["Color"]}).outputs[0]
    return grey, n.ramp(edge.outputs["Distance"], (joint * 0.4, 1.0), (joint, 0.0))


def weathered(n: Nodes, colour: Socket, rng: Stream, grime: float, foot: bool) -> Socket:
    """Large stains, streaks running down, and a dark damp foot."""
    patches = n.noise(n.surface(shift=rng.uniform(0, 50)), rng.uniform(0.15, 0.6), 5)
    low = 1 - grime * rng.uniform(0.5, 1)
    colour = n.mix(1.0, colour, n.ramp(patches, (0.35, low), (0.62, 1.0)), "MULTIPLY")
    streaks = n.noise(n.surface((2.2, 0.16, 1), rng.uniform(0, 50)), 1.0, 4)
    dark = 1 - grime * rng.uniform(0.2, 0.8)
    colour = n.mix(1.0, colour, n.ramp(streaks, (0.42, dark), (0.6, 1.0)), "MULTIPLY")
    if foot:
        uv = n.new("SeparateXYZ", {0: n.surface()}).outputs[1]
        ragged = n.math("ADD", uv, n.math("MULTIPLY", patches, -0.9))
        damp = n.ramp(ragged, (0.0, 1 - 0.45 * grime), (0.6, 1.0))
        colour = n.mix(1.0, colour, damp, "MULTIPLY")
    return colour


def photographed(
    n: Nodes, tiles: Tiles, rng: Stream, kind: str, tint: Rgb, share: float = 0.75
) -> tuple[Socket, Socket] | None:
    """Colour and height of a photographic tile pulled towards ``tint``, if there are tiles."""
    categories, metres = PHOTOS[kind]
    wanted, size, shift = rng.chance(share), rng.uniform(0.8, 1.25) * metres, rng.uniform(0, 9)
    pull, path = rng.uniform(0.25, 0.7), tiles.pick(rng, *categories)
    if path is None or not wanted:
        return None
    colour, grey = tile_colour(n, path, size, shift)
    # The tint times the tile's own light and dark keeps its grain under a colour of choice.
    shaded = n.mix(1.0, n.ramp(grey, (0.0, 0.35), (0.6, 1.1)), tint, "MULTIPLY")
    return n.mix(pull, colour, shaded), grey


def masonry(n: Nodes, rng: Stream, kind: str, rgb: Rgb) -> tuple[Socket, Socket]:
    """Colour and height of brick, ashlar or rubble, at their real sizes."""
    shift = rng.uniform(0, 30)
    if kind == "brick":
        value, joint = courses(n, rng.uniform(0.22, 0.3), rng.uniform(0.075, 0.1), 0.011, shift)
    elif kind == "ashlar":
        height = rng.uniform(0.24, 0.48)
        value, joint = courses(n, height * rng.uniform(1.6, 2.6), height, 0.012, shift)
    else:
        value, joint = stones(n, rng.uniform(0.22, 0.5), 0.07, shift)
    spread = rng.uniform(0.12, 0.32) if kind != "rubble" else rng.uniform(0.25, 0.45)
    dark = [c * (1 - spread) for c in rgb]
    other = rng.tint([min(0.75, c * (1 + spread * 0.6)) for c in rgb], 0.15)
    colour = n.ramp(value, (0.0, dark), (0.45, rgb), (1.0, other))
    grain = n.noise(n.surface(shift=shift), 9.0, 3, 0.7)
    colour = n.mix(1.0, colour, n.ramp(grain, (0.3, 0.82), (0.7, 1.08)), "MULTIPLY")
    mortar = rng.tint((0.42, 0.39, 0.34), 0.3)
    height = n.math("SUBTRACT", n.math("MULTIPLY", grain, 0.35), joint)
    return n.mix(n.math("MULTIPLY", joint, 0.75), colour, mortar), height


def wall(name: str, rng: Stream, kind: str, rgb: Rgb, tiles: Tiles) -> Any:
    """A wall of ``kind`` brick, ashlar, rubble, plaster or boards."""
    n = Nodes(name, "wall")
    photo = photographed(n, tiles, rng, kind, rgb)
    grime = rng.uniform(0.1, 0.5)
    if photo:
        colour, height = photo
        relief = 0.02
    elif kind == "plaster":
        height = n.noise(n.surface(), rng.uniform(3, 8), 5, 0.65)
        colour = n.mix(1.0, n.ramp(height, (0.3, 0.9), (0.7, 1.0)), rgb, "MULTIPLY")
        relief = rng.uniform(0.005, 0.02)
    elif kind == "boards":
        value, joint = courses(n, 4.0, rng.uniform(0.12, 0.2), 0.008, rng.uniform(0, 20))
        tone = n.ramp(value, (0.0, [c * 0.88 for c in rgb]), (1.0, rgb))
        colour = n.mix(joint, tone, [c * 0.35 for c in rgb])
        height, relief = n.math("MULTIPLY", joint, -1.0), 0.02
    else:
        colour, height = masonry(n, rng, kind, rgb)
        relief = {"brick": 0.008, "ashlar": 0.015}.get(kind, 0.04)
    return n.finish(weathered(n, colour, rng, grime, True), 0.92, height, relief)


def plain(name: str, label: str, rng: Stream, rgb: Rgb, rough: float = 0.85) -> Any:
    """Dressed stone, paint or plaster without a pattern."""
    n = Nodes(name, label)
    grain = n.noise(n.space(), rng.uniform(2, 6), 5, 0.65)
    colour = n.mix(1.0, n.ramp(grain, (0.3, 0.78), (0.65, 1.0)), rgb, "MULTIPLY")
    return n.finish(colour, rough)


def roof(name: str, rng: Stream, kind: str, rgb: Rgb, tiles: Tiles, label: str = "roof") -> Any:
    """Clay tiles, slates, shingles or sheet metal with standing seams."""
    n = Nodes(name, label)
    photo = photographed(n, tiles, rng, kind, rgb, 0.6)
    rough = 0.8
    if photo:
        colour, height = photo
        relief = 0.03
    elif kind == "metal":
        along = n.new("SeparateXYZ", {0: n.surface()}).outputs[0]
        seam = n.math("PINGPONG", along, rng.uniform(0.22, 0.35))
        height = n.ramp(seam, (0.0, 1.0), (0.03, 0.0))
        colour = n.mix(height, rgb, [c * 0.6 for c in rgb])
        relief, rough = 0.03, rng.uniform(0.35, 0.7)
    else:
        width, row = (0.24, 0.3) if kind == "tile" else (0.3, 0.22)
        value, joint = courses(n, width, row, 0.012, rng.uniform(0, 20))
        spread = rng.uniform(0.15, 0.4)
        colour = n.ramp(
            value, (0.0, [c * (1 - spread) for c in rgb]), (0.5, rgb), (1.0, rng.tint(rgb, spread))
        )
        # Each row rises towards its lower edge, which throws a line of shade on the next.
        up = n.new("SeparateXYZ", {0: n.surface()}).outputs[1]
        rise = n.math("MULTIPLY", n.math("FRACT", n.math("DIVIDE", up, row)), -1.0)
        if kind == "tile":
            along = n.new("SeparateXYZ", {0: n.surface()}).outputs[0]
            wave = n.math("SINE", n.math("MULTIPLY", along, 6.283 / width))
            rise = n.math("ADD", rise, n.math("MULTIPLY", wave, 0.6))
        height = n.math("SUBTRACT", rise, joint)
        edge = n.ramp(n.math("FRACT", n.math("DIVIDE", up, row)), (0.0, 0.55), (0.18, 1.0))
        colour = n.mix(1.0, colour, edge, "MULTIPLY")
        relief = 0.03
    moss = n.noise(n.space(), rng.uniform(0.3, 1.0), 6, 0.7)
    mossy = n.ramp(moss, (0.55, 0.0), (0.75, rng.uniform(0, 0.5)))
    colour = n.mix(mossy, colour, rng.choice(((0.09, 0.10, 0.05), (0.06, 0.05, 0.045))))
    return n.finish(colour, rough, height, relief)


def dome(name: str, rng: Stream, kind: str, tiles: Tiles) -> Any:
    """The skin of a dome: metal sheets, slates, tiles or stone."""
    rgb = rng.tint(DOME[kind], 0.15)
    if kind in ("slate", "tile"):
        return roof(name, rng, kind, rgb, tiles, "dome")
    n = Nodes(name, "dome")
    seams = n.new("SeparateXYZ", {0: n.surface()})
    ring = n.math("PINGPONG", seams.outputs[1], rng.uniform(0.4, 0.8))
    height = n.ramp(ring, (0.0, 1.0), (0.03, 0.0))
    patches = n.noise(n.surface((1.5, 0.5, 1)), rng.uniform(0.6, 1.6), 6, 0.65)
    dark = [c * rng.uniform(0.55, 0.8) for c in rgb]
    colour = n.ramp(patches, (0.32, dark), (0.62, rgb))
    colour = n.mix(n.math("MULTIPLY", height, 0.5), colour, [c * 0.5 for c in rgb])
    metal = {"gold": 0.9, "copper": 0.1, "lead": 0.35}.get(kind, 0.0)
    rough = {"gold": rng.uniform(0.22, 0.4), "white": 0.9, "stone": 0.9}.get(kind, 0.55)
    return n.finish(colour, rough, height, 0.015, Metallic=metal)


def door(name: str, rng: Stream, tiles: Tiles) -> Any:
    """Boards, painted or bare."""
    n = Nodes(name, "door")
    rgb = rng.tint(rng.choice(DOOR), 0.2)
    photo = photographed(n, tiles, rng, "door", rgb, 0.6)
    grain = n.noise(n.surface((9, 0.8, 1)), 1.5, 4)
    boards = n.math("PINGPONG", n.new("SeparateXYZ", {0: n.surface()}).outputs[0], 0.075)
    colour = n.ramp(grain, (0.3, [c * 0.65 for c in rgb]), (0.7, rgb))
    colour = n.mix(n.ramp(boards, (0.0, 0.7), (0.01, 0.0)), colour, (0.01, 0.008, 0.006))
    if photo:
        colour = photo[0]
    return n.finish(colour, rng.uniform(0.4, 0.8), boards, 0.02)


def glass(name: str, rng: Stream) -> Any:
    """Window panes: dark rooms, a curtain here and there, and the sky mirrored."""
    n = Nodes(name, "window")
    room = n.noise(n.space(), rng.uniform(0.5, 1.2), 1)
    light = rng.uniform(0.05, 0.3)
    colour = n.ramp(room, (0.45, (0.008, 0.01, 0.014)), (0.68, (light, light, light * 0.95)))
    wobble = n.noise(n.space(), 3.0, 1)
    return n.finish(colour, rng.uniform(0.03, 0.2), wobble, 0.01, **{"IOR": 1.5})


def paving(name: str, label: str, rng: Stream, kind: str, tiles: Tiles) -> Any:
    """Slabs, cobbles, gravel or asphalt."""
    n = Nodes(name, label)
    base = {"slabs": (0.34, 0.31, 0.27), "cobble": (0.24, 0.22, 0.20),
            "gravel": (0.42, 0.37, 0.29), "asphalt": (0.10, 0.10, 0.105)}[kind]  # fmt: skip
    rgb = rng.tint(base, 0.25)
    photo = photographed(n, tiles, rng, kind, rgb)
    if photo:
        colour, height = photo
    elif kind in ("slabs", "cobble"):
        row = rng.uniform(0.3, 0.6) if kind == "slabs" else rng.uniform(0.1, 0.16)
        value, joint = courses(n, row * rng.uniform(1, 1.7), row, 0.012, 0)
        tone = n.ramp(value, (0.0, [c * 0.75 for c in rgb]), (1.0, rng.tint(rgb, 0.2)))
        colour, height = n.mix(joint, tone, [c * 0.45 for c in rgb]), n.math("MULTIPLY", joint, -1)
    else:
        height = n.noise(n.surface(), 14.0 if kind == "gravel" else 30.0, 3, 0.8)
        colour = n.ramp(height, (0.3, [c * 0.65 for c in rgb]), (0.7, [c * 1.15 for c in rgb]))
    worn = n.noise(n.surface(), rng.uniform(0.1, 0.4), 5)
    colour = n.mix(
        1.0, colour, n.ramp(worn, (0.35, rng.uniform(0.6, 0.85)), (0.6, 1.0)), "MULTIPLY"
    )
    return n.finish(colour, 0.8, height, 0.012)
