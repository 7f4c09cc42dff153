"""Leaves, bark and ground cover."""

from __future__ import annotations

from typing import Any

from training.renderer.materials import photographed
from training.renderer.nodes import Nodes, Rgb
from training.renderer.streams import Stream
from training.renderer.tiles import Tiles

# From the shaded to the lit leaf: linear albedo.
LEAVES: dict[str, tuple[Rgb, Rgb]] = {
    "summer": ((0.042, 0.115, 0.021), (0.178, 0.315, 0.058)),
    "dark": ((0.026, 0.075, 0.026), (0.095, 0.189, 0.054)),
    "spring": ((0.101, 0.201, 0.033), (0.285, 0.436, 0.084)),
    "olive": ((0.105, 0.137, 0.074), (0.315, 0.357, 0.2)),
    "gold": ((0.258, 0.141, 0.018), (0.554, 0.341, 0.047)),
    "rust": ((0.252, 0.084, 0.021), (0.605, 0.235, 0.058)),
    "red": ((0.153, 0.026, 0.015), (0.4, 0.082, 0.036)),
    "blossom": ((0.378, 0.231, 0.252), (0.66, 0.504, 0.525)),
    "needles": ((0.021, 0.058, 0.027), (0.072, 0.143, 0.058)),
    "bluish": ((0.042, 0.084, 0.072), (0.126, 0.2, 0.168)),
}
GRASS: dict[str, tuple[Rgb, Rgb]] = {
    "lush": ((0.030, 0.075, 0.012), (0.075, 0.140, 0.025)),
    "mown": ((0.045, 0.090, 0.018), (0.100, 0.160, 0.040)),
    "dry": ((0.130, 0.115, 0.045), (0.230, 0.195, 0.085)),
    "meadow": ((0.060, 0.085, 0.022), (0.150, 0.160, 0.055)),
}


def blades(kind: str) -> tuple[Rgb, Rgb]:
    """Single blades are lighter than a lawn, which is half in its own shade."""
    dark, light = ([1.3 * c for c in rgb] for rgb in GRASS[kind])
    return dark, light


def leaves(name: str, label: str, palette: tuple[Rgb, Rgb]) -> Any:
    """Leaves lit from both sides; ``tint``, a number of each leaf, picks its tone."""
    n = Nodes(name, label)
    tint = n.new("Attribute", attribute_name="tint").outputs["Fac"]
    colour = n.ramp(tint, (0.0, palette[0]), (1.0, palette[1]))
    # Cycles turns a normal towards the eye on a face's back. A leaf is lit as part of its clump,
    # whichever side is seen, so it is turned again.
    surface = n.new("NewGeometry")
    sign = n.math("SUBTRACT", 1.0, n.math("MULTIPLY", surface.outputs["Backfacing"], 2.0))
    turned = n.new("VectorMath", {0: surface.outputs["Normal"], "Scale": sign}, operation="SCALE")
    normal = turned.outputs[0]
    front = n.new("BsdfDiffuse", {"Color": colour, "Normal": normal}).outputs[0]
    warm = n.mix(1.0, colour, (1.25, 1.2, 0.6), "MULTIPLY")
    through = n.new("BsdfTranslucent", {"Color": warm, "Normal": normal}).outputs[0]
    return n.output(n.new("MixShader", {0: 0.32, 1: front, 2: through}).outputs[0])


def bark(name: str, rgb: Rgb, birch: bool = False) -> Any:
    n = Nodes(name, "tree")
    space = n.new("Mapping", {"Vector": n.space(), "Scale": (1, 1, 6) if birch else (5, 5, 1)})
    value = n.noise(space.outputs[0], 2.0, 4)
    dark = (0.03, 0.028, 0.025) if birch else [c * 0.45 for c in rgb]
    return n.finish(n.ramp(value, (0.36, dark), (0.46 if birch else 0.65, rgb)), 0.9)


def turf(name: str, rng: Stream, kind: str, tiles: Tiles, fallen: float) -> Any:
    """Grass seen from afar, with worn patches and, in autumn, fallen leaves."""
    n = Nodes(name, "grass")
    dark, light = (rng.tint(c, 0.15) for c in GRASS[kind])
    photo = photographed(n, tiles, rng, "grass", light, 0.5)
    fine = n.noise(n.surface((1, 0.6, 1)), 7.0, 5, 0.75)
    wide = n.noise(n.surface(), rng.uniform(0.05, 0.2), 5)
    colour = n.ramp(fine, (0.3, dark), (0.7, light))
    if photo:
        colour = photo[0]
    colour = n.mix(1.0, colour, n.ramp(wide, (0.35, 0.65), (0.65, 1.1)), "MULTIPLY")
    bare = n.ramp(n.noise(n.surface(), 0.35, 6, 0.7), (0.58, 0.0), (0.7, rng.uniform(0, 0.7)))
    colour = n.mix(bare, colour, GRASS["dry"][0])
    if fallen:
        spots = n.new("TexVoronoi", {"Vector": n.surface(), "Scale": 5.0}).outputs["Distance"]
        there = n.noise(n.surface(), 0.5, 3)
        mask = n.math(
            "MULTIPLY",
            n.ramp(spots, (0.16, 1.0), (0.24, 0.0)),
            n.ramp(there, (0.45, 0.0), (0.6, fallen)),
        )
        colour = n.mix(mask, colour, (0.36, 0.16, 0.03))
    return n.finish(colour, 0.95, fine, 0.05)


def far_hill(name: str, rng: Stream) -> Any:
    """Fields and woods on a slope far away."""
    n = Nodes(name, "hill")
    space = n.space()
    dark, light = rng.choice((((0.02, 0.04, 0.018), (0.07, 0.10, 0.04)),
                              ((0.035, 0.055, 0.025), (0.14, 0.15, 0.06)),
                              ((0.08, 0.075, 0.05), (0.20, 0.17, 0.11)),
                              ((0.05, 0.06, 0.05), (0.12, 0.13, 0.11))))  # fmt: skip
    woods = n.noise(space, rng.uniform(0.03, 0.07), 6, 0.7)
    crowns = n.noise(space, 0.5, 3, 0.8)
    colour = n.ramp(woods, (0.44, dark), (0.54, light))
    colour = n.mix(1.0, colour, n.ramp(crowns, (0.3, 0.6), (0.7, 1.15)), "MULTIPLY")
    return n.finish(colour, 0.95, crowns, 2.0)
