"""Batch code for the real GIMP: one edit through the window with the real engine."""

import hashlib
import json
import os
import time

import gi

gi.require_version("Gegl", "0.4")
from gi.repository import Gegl, Gimp, Gio  # noqa: E402

STAGE = os.environ["GANPAINT_STAGE"]
with open(os.path.join(STAGE, "picture-box.json")) as box_file:
    BOX = json.load(box_file)


def pixels(layer):
    """RGB as it is, with the mask as alpha."""
    area = Gegl.Rectangle.new(0, 0, layer.get_width(), layer.get_height())
    found = bytearray(layer.get_buffer().get(area, 1.0, "R'G'B'A u8", Gegl.AbyssPolicy.NONE))
    mask = layer.get_mask().get_buffer()
    found[3::4] = bytes(mask.get(area, 1.0, "Y u8", Gegl.AbyssPolicy.NONE))
    return bytes(found)


def main():
    file = Gio.File.new_for_path(os.path.join(STAGE, "picture.png"))
    image = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, file)
    Gimp.Display.new(image)
    image.select_ellipse(Gimp.ChannelOps.REPLACE, *BOX)
    Gimp.Selection.feather(image, BOX[2] / 10)
    procedure = Gimp.get_pdb().lookup_procedure("plug-in-ganpaint-edit")
    config = procedure.create_config()
    config.set_property("run-mode", Gimp.RunMode.INTERACTIVE)
    config.set_property("image", image)
    config.set_core_object_array("drawables", image.get_layers()[-1:])
    status = procedure.run(config).index(0)
    area = Gegl.Rectangle.new(0, 0, image.get_width(), image.get_height())
    selection = image.get_selection().get_buffer()
    with open(os.path.join(STAGE, "picture.mask"), "wb") as file:
        file.write(bytes(selection.get(area, 1.0, "Y u8", Gegl.AbyssPolicy.NONE)))
    layer = image.get_layers()[0]
    report = {
        "status": status.value_nick,
        "layers": [one.get_name() for one in image.get_layers()],
        "box": [*layer.get_offsets()[1:], layer.get_width(), layer.get_height()],
        "sha": hashlib.sha256(pixels(layer)).hexdigest(),
    }
    path = os.path.join(STAGE, "picture.json")
    with open(path + ".part", "w") as file:
        json.dump(report, file)
    os.rename(path + ".part", path)
    while not os.path.exists(os.path.join(STAGE, "picture.go")):
        time.sleep(0.2)


main()
