"""Blender set up for small fast pictures: settings, lights, and the passes read back."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix

from training.renderer.camera import SENSOR_MM, Camera
from training.renderer.errors import RenderFailed
from training.renderer.mesh import Mesh
from training.renderer.sky import Array, Sky

PASSES = {"light": "Image", "depth": "Depth", "classes": "IndexMA"}


class Stage:
    """The one Blender scene of this process."""

    def __init__(self, size: int, samples: int, threads: int = 1) -> None:
        bpy.ops.wm.read_factory_settings(use_empty=True)
        self.size = size
        self.scene = scene = bpy.context.scene
        scene.render.engine = "CYCLES"
        scene.render.resolution_x = scene.render.resolution_y = size
        scene.render.resolution_percentage = 100
        scene.render.film_transparent = True
        scene.render.threads_mode, scene.render.threads = "FIXED", threads
        cycles = scene.cycles
        cycles.device, cycles.samples, cycles.seed = "CPU", samples, 0
        cycles.use_adaptive_sampling, cycles.use_light_tree = False, False
        cycles.use_denoising, cycles.denoiser = True, "OPENIMAGEDENOISE"
        cycles.denoising_input_passes = "RGB_ALBEDO_NORMAL"
        cycles.denoising_prefilter = "FAST"
        cycles.max_bounces, cycles.diffuse_bounces, cycles.glossy_bounces = 2, 2, 1
        cycles.transmission_bounces = cycles.transparent_max_bounces = 1
        cycles.caustics_reflective = cycles.caustics_refractive = False
        cycles.sample_clamp_indirect = 4.0
        layer = bpy.context.view_layer
        layer.use_pass_material_index = layer.use_pass_z = True
        self._folder = tempfile.TemporaryDirectory(prefix="ganpaint-scenes-")
        self._writers = self._compositor()

    def close(self) -> None:
        """Take the temporary files away."""
        self._folder.cleanup()

    def _compositor(self) -> dict[str, Any]:
        """One EXR file for each pass; labels as floats are exact, and not antialiased."""
        self.scene.use_nodes = True
        tree = self.scene.node_tree
        tree.nodes.clear()
        layers = tree.nodes.new("CompositorNodeRLayers")
        writers = {}
        for name, source in PASSES.items():
            out = writers[name] = tree.nodes.new("CompositorNodeOutputFile")
            out.base_path = self._folder.name
            out.file_slots[0].path = name + "-"
            out.format.file_format, out.format.color_depth = "OPEN_EXR", "32"
            out.format.color_mode, out.format.exr_codec = "RGBA", "NONE"
            tree.links.new(layers.outputs[source], out.inputs[0])
        return writers

    def clear(self, keeps: Callable[[Any], bool]) -> None:
        """Take everything off the stage but the meshes and materials that ``keeps`` names."""
        for thing in list(bpy.data.objects):
            bpy.data.objects.remove(thing)
        for group in (bpy.data.meshes, bpy.data.materials):
            for block in list(group):
                if not keeps(block):
                    group.remove(block)
        for group in (bpy.data.cameras, bpy.data.lights, bpy.data.worlds, bpy.data.images):
            for block in list(group):
                group.remove(block)

    def add(self, mesh: Mesh, material: Callable[[str], Any]) -> None:
        """A gathered mesh, with ``material`` giving the material of each name."""
        if not mesh.faces:
            return
        names = sorted(set(mesh.materials))
        slot = {name: k for k, name in enumerate(names)}
        block = bpy.data.meshes.new("mesh")
        block.from_pydata(mesh.vertices, [], mesh.faces)
        for name in names:
            block.materials.append(material(name))
        slots = np.array([slot[m] for m in mesh.materials], np.int32)
        block.polygons.foreach_set("material_index", slots)
        block.polygons.foreach_set("use_smooth", np.array(mesh.smooth, dtype=bool))
        uv = np.array(mesh.coordinates, np.float32)
        block.uv_layers.new(name="surface").data.foreach_set("uv", uv.ravel())
        block.update()
        bpy.context.collection.objects.link(bpy.data.objects.new("object", block))

    def light(self, sky: Sky) -> None:
        """The sky's light from all around, and the sun."""
        world = bpy.data.worlds.new("sky")
        self.scene.world = world
        world.use_nodes = True
        nodes, links = world.node_tree.nodes, world.node_tree.links
        colours = sky.environment()
        image = bpy.data.images.new("sky", colours.shape[1], colours.shape[0], float_buffer=True)
        image.colorspace_settings.name = "Non-Color"
        flat = np.concatenate([colours, np.ones((*colours.shape[:2], 1))], -1)
        image.pixels.foreach_set(flat.astype(np.float32).ravel())
        image.update()
        node = nodes.new("ShaderNodeTexEnvironment")
        node.image = image
        links.new(node.outputs[0], nodes["Background"].inputs[0])
        if sky.sun_power <= 0:
            return
        lamp = bpy.data.lights.new("sun", "SUN")
        lamp.energy, lamp.angle, lamp.color = sky.sun_power, sky.sun_angle, tuple(sky.sun_colour)
        thing = bpy.data.objects.new("sun", lamp)
        bpy.context.collection.objects.link(thing)
        thing.rotation_euler = (np.pi / 2 - sky.elevation, 0.0, sky.azimuth + np.pi / 2)

    def look(self, camera: Camera) -> None:
        lens = bpy.data.cameras.new("camera")
        lens.sensor_width, lens.lens, lens.shift_y = SENSOR_MM, camera.lens_mm, camera.shift
        lens.clip_start, lens.clip_end = 0.05, 20000.0
        thing = bpy.data.objects.new("camera", lens)
        bpy.context.collection.objects.link(thing)
        placed = Matrix(camera.matrix().tolist()).to_4x4()
        placed.translation = camera.position
        thing.matrix_world = placed
        self.scene.camera = thing

    def render(self) -> tuple[Array, Array, Array]:
        """Linear RGBA H×W×4, depth H×W in metres and classes H×W (index + 1), top row first."""
        for old in Path(self._folder.name).iterdir():
            old.unlink()
        bpy.ops.render.render()
        light, depth, classes = (self._read(name) for name in PASSES)
        return light, depth[..., 0], np.rint(classes[..., 0]).astype(np.uint8)

    def _read(self, name: str) -> Array:
        found = list(Path(self._folder.name).glob(name + "-*.exr"))
        if not found or not found[0].stat().st_size:
            raise RenderFailed(
                f"Blender wrote no picture into {self._folder.name}. Is the disk of the folder for "
                "temporary files full? Set TMPDIR to another one."
            )
        image = bpy.data.images.load(str(found[0]))
        image.colorspace_settings.name = "Non-Color"
        pixels = np.empty(self.size * self.size * 4, np.float32)
        image.pixels.foreach_get(pixels)
        bpy.data.images.remove(image)
        return pixels.reshape(self.size, self.size, 4)[::-1]
