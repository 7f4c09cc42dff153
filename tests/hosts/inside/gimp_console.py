"""Batch code for gimp-console: runs the plug-in on one photo in many ways and writes a report."""

import hashlib
import json
import os
import time

import gi

gi.require_version("Gegl", "0.4")
from gi.repository import Gegl, Gimp, Gio  # noqa: E402

STAGE = os.environ["GANPAINT_STAGE"]
with open(os.path.join(STAGE, "box.json")) as box_file:
    BOX = json.load(box_file)
REPLACE = Gimp.ChannelOps.REPLACE
RECIPE = "ganpaint-recipe"


def file_of(name):
    return Gio.File.new_for_path(os.path.join(STAGE, name))


def open_photo(selected=True):
    image = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, file_of("photo.png"))
    if selected:
        image.select_rectangle(REPLACE, *BOX)
    return image, image.get_layers()[0]


def rgba(layer):
    """A layer's pixels, with its mask as their alpha if it has one."""
    area = Gegl.Rectangle.new(0, 0, layer.get_width(), layer.get_height())
    pixels = bytearray(layer.get_buffer().get(area, 1.0, "R'G'B'A u8", Gegl.AbyssPolicy.NONE))
    mask = layer.get_mask()
    if mask is not None:
        assert set(pixels[3::4]) == {255}  # opaque: the soft edge is the mask's
        pixels[3::4] = bytes(mask.get_buffer().get(area, 1.0, "Y u8", Gegl.AbyssPolicy.NONE))
    return bytes(pixels)


def describe(layer):
    _, x, y = layer.get_offsets()
    recipe = layer.get_parasite(RECIPE)
    return {
        "name": layer.get_name(),
        "box": [x, y, layer.get_width(), layer.get_height()],
        "recipe": json.loads(bytes(recipe.get_data())) if recipe else None,
        "masked": layer.get_mask() is not None,
        "sha": hashlib.sha256(rgba(layer)).hexdigest(),
    }


def edit(image, layers, procedure="plug-in-ganpaint-edit", save=None, **arguments):
    """Run a procedure as a script would; what it said, and the image's layers before and after."""
    before = [describe(layer) for layer in image.get_layers() if not layer.is_group()]
    pdb = Gimp.get_pdb()
    config = pdb.lookup_procedure(procedure).create_config()
    config.set_property("run-mode", Gimp.RunMode.NONINTERACTIVE)
    config.set_property("image", image)
    config.set_core_object_array("drawables", layers)
    if config.find_property("quality") is not None:
        config.set_property("quality", "preview")
    for name, value in arguments.items():
        config.set_property(name, value)
    result = pdb.lookup_procedure(procedure).run(config)
    status = result.index(0)
    # At once: the next call of any procedure replaces it.
    error = pdb.get_last_error() if status != Gimp.PDBStatusType.SUCCESS else ""
    if save and not error:
        with open(os.path.join(STAGE, save), "wb") as file:
            file.write(rgba(image.get_layers()[0]))
    layer = result.index(1) if not error else None
    return {
        "status": status.value_nick,
        "error": error,
        "returned": layer.get_name() if layer is not None else None,
        "before": before,
        "after": [describe(layer) for layer in image.get_layers() if not layer.is_group()],
        "active": [layer.get_name() for layer in image.get_selected_layers()],
    }


def plain():
    image, layer = open_photo()
    return edit(image, [layer], save="gimp-plain.rgba", concept="tree", operation="add")


def shifted():
    """The layer lies elsewhere on the canvas, and the selection over the same part of it."""
    image, layer = open_photo(selected=False)
    layer.set_offsets(-37, 11)
    image.select_rectangle(REPLACE, BOX[0] - 37, BOX[1] + 11, BOX[2], BOX[3])
    return edit(image, [layer], concept="tree", operation="add")


def soft_selection():
    image, layer = open_photo()
    Gimp.Selection.feather(image, 20)
    area = Gegl.Rectangle.new(0, 0, image.get_width(), image.get_height())
    buffer = image.get_selection().get_buffer()
    with open(os.path.join(STAGE, "gimp-soft.mask"), "wb") as file:
        file.write(bytes(buffer.get(area, 1.0, "Y u8", Gegl.AbyssPolicy.NONE)))
    return edit(image, [layer], save="gimp-soft.rgba", concept="tree", operation="add")


def linear_16_bit():
    image, layer = open_photo()
    image.convert_precision(Gimp.Precision.U16_LINEAR)
    return edit(image, [layer], save="gimp-16bit.rgba", concept="tree", operation="add")


def direct_entry():
    image, layer = open_photo()
    return edit(image, [layer], procedure="plug-in-ganpaint-remove-dome")


def again():
    """Made anew of the same stroke, though something else is selected by then."""
    image, layer = open_photo()
    values = {"strength": 0.7, "seed": 2, "grow": 3, "feather": 2.0}
    first = edit(image, [layer], concept="tree", **values)
    image.select_rectangle(REPLACE, 0, 0, 5, 5)
    image.insert_layer(layer.copy(), None, 0)
    second = edit(image, [image.get_layers()[1]], procedure="plug-in-ganpaint-edit-again")
    return {**second, "first": first}


def repeat_here():
    """The photo is chosen; the edit to repeat is the last one that was made of it."""
    image, layer = open_photo()
    edit(image, [layer], concept="tree", seed=2, variant="autumn")
    image.select_rectangle(REPLACE, 20, 30, 50, 60)
    return edit(image, [layer], procedure="plug-in-ganpaint-repeat-here")


def again_without_an_edit():
    image, layer = open_photo()
    return edit(image, [layer], procedure="plug-in-ganpaint-edit-again")


def edit_of_an_edit():
    """The photo below is meant, and not the small layer with the change."""
    image, layer = open_photo()
    edit(image, [layer], concept="tree")
    return edit(image, [image.get_layers()[0]], concept="tree")


def restyle():
    image, layer = open_photo()
    image.select_rectangle(REPLACE, 0, 0, image.get_width(), image.get_height() // 3)
    return edit(image, [layer], procedure="ganpaint-restyle", concept="sky", variant="clouded")


def remove():
    image, layer = open_photo()
    return edit(image, [layer], procedure="ganpaint-remove", concept="dome")


def no_selection():
    image, layer = open_photo(selected=False)
    return edit(image, [layer])


def selection_beside_the_layer():
    image, layer = open_photo(selected=False)
    layer.set_offsets(image.get_width() // 2, 0)
    image.select_rectangle(REPLACE, 0, 0, 10, 10)
    return edit(image, [layer])


def unknown_concept():
    image, layer = open_photo()
    return edit(image, [layer], concept="spaceship")


def two_layers():
    image, layer = open_photo()
    copy = layer.copy()
    image.insert_layer(copy, None, 0)
    return edit(image, [layer, copy])


def layer_mask():
    image, layer = open_photo()
    layer.add_alpha()
    mask = layer.create_mask(Gimp.AddMaskType.WHITE)
    layer.add_mask(mask)
    return edit(image, [mask])


def layer_group():
    image, _ = open_photo()
    group = Gimp.GroupLayer.new(image, "group")
    image.insert_layer(group, None, 0)
    return edit(image, [group])


def through_kills():
    """One edit after the other while engines die, until the test says that the last one lives.

    CONCEPT: what is added, a tree where that is not said.
    """
    concept = os.environ.get("CONCEPT", "tree")
    image, layer = open_photo()
    tries = []
    while True:
        is_last = os.path.exists(os.path.join(STAGE, "kills-over"))
        tries.append(edit(image, [layer], concept=concept, operation="add"))
        if is_last:
            return tries
        time.sleep(0.2)


SCENARIOS = {
    "kills": [through_kills],
    "model": [plain, shifted, soft_selection, linear_16_bit, restyle, remove],
    "stub": [
        direct_entry,
        again,
        repeat_here,
        again_without_an_edit,
        edit_of_an_edit,
        no_selection,
        selection_beside_the_layer,
        unknown_concept,
        two_layers,
        layer_mask,
        layer_group,
    ],
    "no engine": [plain],
}


def main():
    report = {run.__name__: run() for run in SCENARIOS[os.environ["SCENARIOS"]]}
    path = os.path.join(STAGE, os.environ["REPORT"])
    with open(path + ".part", "w") as file:
        json.dump(report, file)
    os.rename(path + ".part", path)


main()
