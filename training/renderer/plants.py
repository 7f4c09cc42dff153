"""Plants as Blender meshes, made once a process and placed as instances."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

from training.renderer import foliage, growth
from training.renderer.growth import Array, Plant

VARIANTS = {"bush": 3, "hedge": 2, "sward": 2, "thin": 2}
BARKS = {"birch": (0.55, 0.53, 0.50), "pine": (0.20, 0.10, 0.06)}
BARK = (0.12, 0.09, 0.065)


def leaf_quads(plant: Plant) -> Array:
    """N×4×3 corners of the leaves: rhombi about their centres."""
    helper = np.where(np.abs(plant.facing[:, 2:]) > 0.9, [1.0, 0, 0], [0, 0, 1.0])
    across = np.cross(plant.facing, helper)
    across /= np.linalg.norm(across, axis=1, keepdims=True) + 1e-9
    along = np.cross(across, plant.facing)
    a, b = along * plant.sizes[:, :1], across * plant.sizes[:, 1:]
    c = plant.centres
    return np.stack([c - a, c - b, c + a, c + b], 1)


def wood_quads(segments: Array) -> Array:
    """M×4×3: each segment as a tube, rounder where it is thicker."""
    parts = []
    thick = segments[:, 6]
    for sides, low, high in ((7, 0.07, 9.0), (4, 0.02, 0.07), (3, 0.0, 0.02)):
        s = segments[(thick >= low) & (thick < high)]
        if not len(s):
            continue
        way = s[:, 3:6] - s[:, :3]
        way = way / (np.linalg.norm(way, axis=1, keepdims=True) + 1e-9)
        helper = np.where(np.abs(way[:, 2:]) > 0.9, [1.0, 0, 0], [0, 0, 1.0])
        x = np.cross(way, helper)
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        y = np.cross(way, x)
        turn = 2 * np.pi * np.arange(sides + 1) / sides
        rim = x[:, None] * np.cos(turn)[None, :, None] + y[:, None] * np.sin(turn)[None, :, None]
        low_ring = s[:, None, :3] + rim * s[:, 6, None, None]
        high_ring = s[:, None, 3:6] + rim * s[:, 7, None, None]
        quads = np.stack(
            [low_ring[:, :-1], low_ring[:, 1:], high_ring[:, 1:], high_ring[:, :-1]], 2
        )
        parts.append(quads.reshape(-1, 4, 3))
    return np.concatenate(parts) if parts else np.zeros((0, 4, 3))


def plant_mesh(name: str, plant: Plant) -> Any:
    """One mesh: leaves with slot 0, wood with slot 1."""
    leaves, wood = leaf_quads(plant), wood_quads(plant.wood)
    quads = np.concatenate([leaves, wood]).astype(np.float32)
    n = len(quads)
    mesh = bpy.data.meshes.new(name)
    mesh.vertices.add(4 * n)
    mesh.loops.add(4 * n)
    mesh.polygons.add(n)
    mesh.vertices.foreach_set("co", quads.ravel())
    mesh.loops.foreach_set("vertex_index", np.arange(4 * n, dtype=np.int32))
    mesh.polygons.foreach_set("loop_start", np.arange(0, 4 * n, 4, dtype=np.int32))
    slots = np.repeat(np.array([0, 1], np.int32), [len(leaves), len(wood)])
    mesh.polygons.foreach_set("material_index", slots)
    mesh.update(calc_edges=True)
    mesh.shade_smooth()
    tint = mesh.attributes.new("tint", "FLOAT", "POINT")
    tones = np.zeros(4 * n, np.float32)
    tones[: 4 * len(leaves)] = np.repeat(plant.tints, 4)
    tint.data.foreach_set("value", tones)
    normals = np.zeros((4 * n, 3))
    normals[: 4 * len(leaves)] = np.repeat(plant.shading, 4, 0)
    normals[4 * len(leaves) :] = _tube_normals(wood)
    mesh.normals_split_custom_set_from_vertices(normals.tolist())
    return mesh


def _tube_normals(wood: Array) -> Array:
    """Flat normals of the wood's quads, once for each corner."""
    if not len(wood):
        return np.zeros((0, 3))
    normal = np.cross(wood[:, 1] - wood[:, 0], wood[:, 3] - wood[:, 0])
    normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-12
    return np.repeat(normal, 4, 0)


class Nursery:
    """Plants and their materials, made when first asked for and kept."""

    def __init__(self) -> None:
        self._meshes: dict[tuple[str, int], tuple[Any, float]] = {}
        self._materials: dict[str, Any] = {}

    def variant(self, species: str, variant: int) -> tuple[Any, float]:
        """A mesh and its height in metres."""
        key = (species, variant % VARIANTS.get(species, 4))
        if key not in self._meshes:
            plant = growth.grow(*key)
            mesh = plant_mesh(f"{key[0]}{key[1]}", plant)
            mesh.materials.append(self.leaves("summer", "tree"))
            mesh.materials.append(self.bark(species))
            self._meshes[key] = (mesh, plant.height)
        return self._meshes[key]

    def leaves(self, palette: str, label: str) -> Any:
        key = f"leaves-{palette}-{label}"
        if key not in self._materials:
            colours = foliage.LEAVES.get(palette) or foliage.blades(palette)
            self._materials[key] = foliage.leaves(key, label, colours)
        return self._materials[key]

    def bark(self, species: str) -> Any:
        if species not in self._materials:
            rgb = BARKS.get(species, BARK)
            self._materials[species] = foliage.bark("bark-" + species, rgb, species == "birch")
        return self._materials[species]

    def owns(self, block: Any) -> bool:
        """Whether a mesh or material is the nursery's, and must outlive a scene."""
        return (
            any(block == m for m, _ in self._meshes.values()) or block in self._materials.values()
        )

    def place(
        self,
        species: str,
        variant: int,
        palette: str,
        label: str,
        at: tuple[float, float, float],
        size: tuple[float, float, float],
        turn: float,
    ) -> Any:
        """An instance at ``at``, scaled by ``size``, turned about its stem by ``turn`` radians."""
        mesh, _ = self.variant(species, variant)
        thing = bpy.data.objects.new(species, mesh)
        bpy.context.collection.objects.link(thing)
        thing.location, thing.scale, thing.rotation_euler[2] = at, size, turn
        thing.material_slots[0].link = "OBJECT"
        thing.material_slots[0].material = self.leaves(palette, label)
        return thing
