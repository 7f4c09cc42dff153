"""Batch code for gimp-console: one edit in documents of every kind, and the pixels they then show.

For each document these are written, of the whole canvas and in sRGB: what it shows before and after
("NAME.before", "NAME.after", RGBA u8), the edited layer alone ("NAME.layer", RGBA u8) and the
selection ("NAME.mask", u8); and whether the layer's own pixels are the same as before, to the byte.
"""

import hashlib
import json
import os

import gi

gi.require_version("Gegl", "0.4")
from gi.repository import Gegl, Gimp, Gio  # noqa: E402

STAGE = os.environ["GANPAINT_STAGE"]
REPLACE = Gimp.ChannelOps.REPLACE
P = Gimp.Precision


def file_of(name):
    return Gio.File.new_for_path(os.path.join(STAGE, name))


def photo():
    image = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, file_of("photo.png"))
    return image, image.get_layers()[0]


def select(image, x=60, y=70, width=90, height=110, feather=0):
    image.select_ellipse(REPLACE, x, y, width, height)
    if feather:
        Gimp.Selection.feather(image, feather)


def precision(kind, feather=12):
    def make():
        image, layer = photo()
        if image.get_precision() != kind:
            image.convert_precision(kind)
        select(image, feather=feather)
        return image, layer

    return make


def adobe_rgb(kind):
    def make():
        image, layer = photo()
        if image.get_precision() != kind:
            image.convert_precision(kind)
        profile = Gimp.ColorProfile.new_rgb_adobe()
        image.convert_color_profile(profile, Gimp.ColorRenderingIntent.PERCEPTUAL, False)
        select(image, feather=12)
        return image, layer

    return make


def gray(kind):
    def make():
        image, layer = photo()
        image.convert_grayscale()
        if image.get_precision() != kind:
            image.convert_precision(kind)
        select(image, feather=12)
        return image, layer

    return make


def indexed():
    image, layer = photo()
    image.convert_indexed(
        Gimp.ConvertDitherType.NONE, Gimp.ConvertPaletteType.GENERATE, 128, False, False, ""
    )
    select(image)
    return image, layer


def offset():
    """The layer lies partly beyond the canvas, the selection reaches beyond both."""
    image, layer = photo()
    layer.set_offsets(-37, 41)
    select(image, -40, 20, 130, 120, feather=10)
    return image, layer


def small_layer():
    """The layer covers a part of a larger canvas, and of the selection."""
    image, layer = photo()
    image.resize(400, 380, 70, 60)
    below = Gimp.Layer.new(
        image, "paper", 400, 380, Gimp.ImageType.RGB_IMAGE, 100.0, Gimp.LayerMode.NORMAL
    )
    below.fill(Gimp.FillType.WHITE)
    image.insert_layer(below, None, 1)
    select(image, 20, 30, 200, 200, feather=14)
    return image, layer


def group(locked):
    def make():
        image, layer = photo()
        outer, inner = Gimp.GroupLayer.new(image, "outer"), Gimp.GroupLayer.new(image, "inner")
        image.insert_layer(outer, None, 0)
        image.insert_layer(inner, outer, 0)
        image.reorder_item(layer, inner, 0)
        inner.set_lock_content(locked)
        select(image, feather=8)
        return image, layer

    return make


def layer_mask():
    """The right part of the layer is masked away: the negative below it shows."""
    image, layer = photo()
    below = layer.copy()
    image.insert_layer(below, None, 1)
    below.invert(False)
    mask = layer.create_mask(Gimp.AddMaskType.WHITE)
    layer.add_mask(mask)
    width, height = layer.get_width(), layer.get_height()
    half = bytes([255] * 100 + [0] * (width - 100)) * height
    buffer = mask.get_buffer()
    buffer.set(Gegl.Rectangle.new(0, 0, width, height), "Y u8", half)
    buffer.flush()
    layer.set_edit_mask(False)
    select(image)
    return image, layer


def alpha():
    """Transparent on the left, half transparent in a stripe, opaque on the right."""
    image, layer = photo()
    layer.add_alpha()
    width, height = layer.get_width(), layer.get_height()
    area = Gegl.Rectangle.new(0, 0, width, height)
    buffer = layer.get_buffer()
    pixels = bytearray(buffer.get(area, 1.0, "R'G'B'A u8", Gegl.AbyssPolicy.NONE))
    pixels[3::4] = bytes([0] * 90 + [128] * 30 + [255] * (width - 120)) * height
    buffer.set(area, "R'G'B'A u8", bytes(pixels))
    buffer.flush()
    select(image, feather=6)
    return image, layer


def locks():
    image, layer = photo()
    layer.add_alpha()
    layer.set_lock_alpha(True)
    layer.set_lock_content(True)
    layer.set_lock_position(True)
    select(image, feather=6)
    return image, layer


def text():
    image, _ = photo()
    font = Gimp.context_get_font()
    layer = Gimp.TextLayer.new(image, "GANPaint engine", font, 60.0, Gimp.Unit.pixel())
    image.insert_layer(layer, None, 0)
    layer.set_offsets(5, 90)
    select(image, 0, 80, 200, 70)
    return image, layer


def effect():
    """The layer has an effect that was not merged: what is seen is its negative."""
    image, layer = photo()
    layer.append_filter(Gimp.DrawableFilter.new(layer, "gegl:invert-gamma", "negative"))
    select(image, feather=6)
    return image, layer


DOCUMENTS = {
    "u8": precision(P.U8_NON_LINEAR),
    "u16": precision(P.U16_NON_LINEAR),
    "u16_linear": precision(P.U16_LINEAR),
    "u32_linear": precision(P.U32_LINEAR),
    "half_linear": precision(P.HALF_LINEAR),
    "float": precision(P.FLOAT_NON_LINEAR),
    "float_linear": precision(P.FLOAT_LINEAR),
    "adobe_u8": adobe_rgb(P.U8_NON_LINEAR),
    "adobe_u16": adobe_rgb(P.U16_NON_LINEAR),
    "gray_u8": gray(P.U8_NON_LINEAR),
    "gray_u16_linear": gray(P.U16_LINEAR),
    "indexed": indexed,
    "offset": offset,
    "small_layer": small_layer,
    "group": group(locked=False),
    "locked_group": group(locked=True),
    "layer_mask": layer_mask,
    "alpha": alpha,
    "locks": locks,
    "text": text,
    "effect": effect,
}


def canvas(image, alone=None):
    """What the image, or its layer ``alone``, shows, RGBA u8 of the whole canvas."""
    copy = image.duplicate()
    if alone is not None:
        while alone.get_parent() is not None:
            alone = alone.get_parent()
        for position, layer in enumerate(copy.get_layers()):
            layer.set_visible(position == image.get_item_position(alone))
    layer = copy.merge_visible_layers(Gimp.MergeType.CLIP_TO_IMAGE)
    _, left, top = layer.get_offsets()
    area = Gegl.Rectangle.new(-left, -top, image.get_width(), image.get_height())
    pixels = bytes(layer.get_buffer().get(area, 1.0, "R'G'B'A u8", Gegl.AbyssPolicy.NONE))
    copy.delete()
    return pixels


def write(name, content):
    with open(os.path.join(STAGE, name), "wb") as file:
        file.write(content)


def raw(layer):
    """The layer's own pixels, in its own format, and its place."""
    area = Gegl.Rectangle.new(0, 0, layer.get_width(), layer.get_height())
    buffer = layer.get_buffer()
    pixels = bytes(buffer.get(area, 1.0, None, Gegl.AbyssPolicy.NONE))
    return hashlib.sha256(pixels).hexdigest(), list(layer.get_offsets())


def try_one(name, make):
    image, layer = make()
    area = Gegl.Rectangle.new(0, 0, image.get_width(), image.get_height())
    selection = image.get_selection().get_buffer()
    write(name + ".mask", bytes(selection.get(area, 1.0, "Y u8", Gegl.AbyssPolicy.NONE)))
    write(name + ".before", canvas(image))
    write(name + ".layer", canvas(image, layer))
    before, position = raw(layer), image.get_item_position(layer)
    procedure = Gimp.get_pdb().lookup_procedure("ganpaint-add")
    config = procedure.create_config()
    config.set_property("image", image)
    config.set_core_object_array("drawables", [layer])
    result = procedure.run(config)
    if result.index(0) != Gimp.PDBStatusType.SUCCESS:
        return {"error": Gimp.get_pdb().get_last_error()}
    new = result.index(1)
    write(name + ".after", canvas(image))
    _, left, top = new.get_offsets()
    parent, own = new.get_parent(), layer.get_parent()
    return {
        "size": [image.get_width(), image.get_height()],
        "box": [left, top, new.get_width(), new.get_height()],
        "layer": [*layer.get_offsets()[1:], layer.get_width(), layer.get_height()],
        "untouched": raw(layer) == before,
        "above": image.get_item_position(new) == position,
        "parents": [one.get_name() if one else None for one in (parent, own)],
        "masked": new.get_mask() is not None,
    }


def main():
    report = {name: try_one(name, make) for name, make in DOCUMENTS.items()}
    path = os.path.join(STAGE, os.environ["REPORT"])
    with open(path + ".part", "w") as file:
        json.dump(report, file)
    os.rename(path + ".part", path)


main()
