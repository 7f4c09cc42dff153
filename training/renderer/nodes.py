"""Shader nodes with less writing: make a node, set or link its inputs, take its outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import bpy

from training.renderer.labels import LABELS

Rgb = Sequence[float]
Socket = Any


class Nodes:
    """The node tree of a new material of one class."""

    def __init__(self, name: str, label: str) -> None:
        self.material = bpy.data.materials.new(name)
        self.material.use_nodes = True
        # 0 is what no surface covers, so a class is its index + 1.
        self.material.pass_index = LABELS.index(label) + 1
        self.tree = self.material.node_tree
        self.tree.nodes.clear()

    def new(self, kind: str, inputs: Mapping[Any, Any] | None = None, **settings: Any) -> Any:
        """A node ``ShaderNode<kind>``; inputs are values or other nodes' outputs."""
        node = self.tree.nodes.new("ShaderNode" + kind)
        for name, value in settings.items():
            setattr(node, name, value)
        for key, value in (inputs or {}).items():
            self.set(node.inputs[key], value)
        return node

    def set(self, socket: Socket, value: Any) -> None:
        if isinstance(value, bpy.types.NodeSocket):
            self.tree.links.new(value, socket)
        elif isinstance(value, (tuple, list)) and socket.type == "RGBA":
            socket.default_value = (*value[:3], 1)
        else:
            socket.default_value = value

    def math(self, operation: str, a: Any, b: Any = 0.0, clamp: bool = False) -> Socket:
        return self.new("Math", {0: a, 1: b}, operation=operation, use_clamp=clamp).outputs[0]

    def mix(self, factor: Any, a: Any, b: Any, blend: str = "MIX") -> Socket:
        inputs = {"Fac": factor, "Color1": a, "Color2": b}
        return self.new("MixRGB", inputs, blend_type=blend).outputs[0]

    def ramp(self, factor: Any, *stops: tuple[float, Rgb | float]) -> Socket:
        """A colour (or grey) for a number, linear between the stops (at least two)."""
        node = self.new("ValToRGB", {0: factor})
        elements = node.color_ramp.elements
        while len(elements) < len(stops):
            elements.new(0.5)
        for element, (position, value) in zip(elements, stops, strict=True):
            grey = (value,) * 3 if isinstance(value, (int, float)) else value
            element.position, element.color = position, (*grey, 1)
        return node.outputs[0]

    def noise(self, vector: Socket, scale: float, detail: float = 4, rough: float = 0.55) -> Socket:
        inputs = {"Vector": vector, "Scale": scale, "Detail": detail, "Roughness": rough}
        return self.new("TexNoise", inputs).outputs[0]

    def surface(self, stretch: Sequence[float] = (1, 1, 1), shift: float = 0.0) -> Socket:
        """Coordinates on the surface, in metres, times ``stretch``."""
        uv = self.new("TexCoord").outputs["UV"]
        inputs = {"Vector": uv, "Scale": tuple(stretch), "Location": (shift, shift * 0.7, 0)}
        return self.new("Mapping", inputs).outputs[0]

    def space(self) -> Socket:
        """Coordinates in the object's space, in metres."""
        return self.new("TexCoord").outputs["Object"]

    def finish(
        self, colour: Any, rough: float, height: Socket | None = None, relief: float = 0.0,
        **principled: Any,
    ) -> Any:  # fmt: skip
        """Close the material: colour, roughness, and relief in metres."""
        inputs: dict[str | int, Any] = {"Base Color": colour, "Roughness": rough}
        inputs |= {k.replace("_", " "): v for k, v in principled.items()}
        if height is not None and relief:
            bump = self.new("Bump", {"Height": height, "Distance": relief, "Strength": 1.0})
            inputs["Normal"] = bump.outputs[0]
        bsdf = self.new("BsdfPrincipled", inputs)
        return self.output(bsdf.outputs[0])

    def output(self, shader: Socket) -> Any:
        self.new("OutputMaterial", {"Surface": shader})
        return self.material
