"""Pixels out of a GIMP image and back into it; the only module here that touches buffers."""

import json

import gi

gi.require_version("Gimp", "3.0")
gi.require_version("Gegl", "0.4")
from ganpaint_bridge import host  # noqa: E402
from gi.repository import Gegl, Gimp  # noqa: E402

# These formats mean sRGB: GIMP converts from, and to, whatever the image is in.
_RGB = "R'G'B' u8"
_RGBA = "R'G'B'A u8"
# Linear: with "Y' u8" the gray of a feathered edge would be bent by the gamma curve.
_MASK = "Y u8"

_LAYER_TYPES = {
    Gimp.ImageBaseType.RGB: Gimp.ImageType.RGBA_IMAGE,
    Gimp.ImageBaseType.GRAY: Gimp.ImageType.GRAYA_IMAGE,
    Gimp.ImageBaseType.INDEXED: Gimp.ImageType.INDEXEDA_IMAGE,
}


def active_layer(image, drawables):
    """The one plain layer to edit. Raises BridgeError bad_request, with the reason, without one."""
    if len(drawables) != 1:
        count = "no layer" if not drawables else "%d layers" % len(drawables)
        raise host.wrong_layer("Choose one layer to edit; %s chosen now." % count)
    drawable = drawables[0]
    if drawable.is_layer_mask():
        raise host.wrong_layer("A layer mask is being edited. Choose the layer itself.")
    if not drawable.is_layer():
        raise host.wrong_layer("A channel is chosen. Choose a layer.")
    if drawable.is_group():
        raise host.wrong_layer("A layer group is chosen. Choose one layer, or merge the group.")
    if image.get_floating_sel() is not None:
        raise host.wrong_layer("There is a floating selection. Anchor it first.")
    return drawable


def read(image, layer):
    """The layer's pixels and, on the same pixels, the selection. Raises BridgeError mask_empty."""
    if Gimp.Selection.is_empty(image):
        raise host.no_selection()
    width, height = layer.get_width(), layer.get_height()
    _, left, top = layer.get_offsets()
    alpha = layer.has_alpha()
    pixels = _get(layer, 0, 0, width, height, _RGBA if alpha else _RGB)
    mask = _get(image.get_selection(), left, top, width, height, _MASK)
    return host.check_picture(host.Picture(pixels, width, height, 4 if alpha else 3, mask))


def insert(image, layer, patch):
    """Put the patch above ``layer`` as a new layer, in one undo step. -> the new layer.

    The person may have gone on working: a layer that is gone by now leaves the top of the image.
    """
    _, left, top = layer.get_offsets() if layer.is_valid() else (True, 0, 0)
    new = Gimp.Layer.new(
        image,
        patch.name,
        patch.width,
        patch.height,
        _LAYER_TYPES[image.get_base_type()],
        100.0,
        Gimp.LayerMode.NORMAL,
    )
    new.set_offsets(left + patch.x, top + patch.y)
    buffer = new.get_buffer()
    buffer.set(Gegl.Rectangle.new(0, 0, patch.width, patch.height), _RGBA, patch.rgba)
    buffer.flush()
    recipe = json.dumps(patch.report, sort_keys=True, default=str).encode("utf-8")
    flags = Gimp.PARASITE_PERSISTENT | Gimp.PARASITE_UNDOABLE
    new.attach_parasite(Gimp.Parasite.new(host.RECIPE_NAME, flags, recipe))
    image.undo_group_start()
    try:
        if layer.is_valid():
            image.insert_layer(new, layer.get_parent(), image.get_item_position(layer))
            # The photo stays chosen, so that the next edit starts from it and not from here.
            image.set_selected_layers([layer])
        else:
            image.insert_layer(new, None, 0)
    finally:
        image.undo_group_end()
    new.update(0, 0, patch.width, patch.height)
    Gimp.displays_flush()
    return new


def _get(drawable, x, y, width, height, pixel_format):
    area = Gegl.Rectangle.new(x, y, width, height)
    # NONE: what lies outside the buffer is 0, so a layer beyond the canvas is simply not selected.
    return bytes(drawable.get_buffer().get(area, 1.0, pixel_format, Gegl.AbyssPolicy.NONE))
