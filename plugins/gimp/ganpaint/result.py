"""An edit's patch as a layer of the image: the lasting one, and the preview on the canvas."""

import json

import gi

gi.require_version("Gimp", "3.0")
gi.require_version("Gegl", "0.4")
import picture  # noqa: E402
from ganpaint_bridge import host  # noqa: E402
from ganpaint_bridge.region import Region, cut  # noqa: E402
from gi.repository import Gegl, Gimp  # noqa: E402

ORIGIN_NAME = "ganpaint-origin"  # the parasite with the layer and the stroke of an edit
PREVIEW_NAME = "ganpaint-preview"  # the parasite that tells a preview's layer from all others

_SOLID = b"\0" + b"\xff" * 255
_LAYER_TYPES = {
    Gimp.ImageBaseType.RGB: Gimp.ImageType.RGBA_IMAGE,
    Gimp.ImageBaseType.GRAY: Gimp.ImageType.GRAYA_IMAGE,
    Gimp.ImageBaseType.INDEXED: Gimp.ImageType.INDEXEDA_IMAGE,
}


def insert(image, reading, patch, replaced=None):
    """Put the patch above the layer that was read, in one undo step. -> the new layer.

    ``patch``: of the picture that was read. ``replaced``, an earlier edit of that layer, gives its
    place to the new one. Raises BridgeError bad_request when the layer is no longer where it was.
    """
    picture.check_unmoved(image, reading)
    new = _made(image, reading, patch, patch.name)
    _keep(new, host.RECIPE_NAME, patch.recipe)
    origin = dict(picture.packed(reading.stroke), source=reading.layer.get_tattoo())
    _keep(new, ORIGIN_NAME, json.dumps(origin, sort_keys=True).encode("ascii"))
    image.undo_group_start()
    try:
        if replaced is not None and replaced.is_valid():
            parent, position = replaced.get_parent(), image.get_item_position(replaced)
            image.remove_layer(replaced)  # first: two of one name would become "… #1"
            image.insert_layer(new, parent, position)
        else:
            _insert_above(image, new, reading.layer)
        # The photo stays chosen, so that the next edit starts from it and not from here.
        image.set_selected_layers([reading.layer])
    finally:
        image.undo_group_end()
    Gimp.displays_flush()
    return new


def recipe_of(layer):
    """How a layer was made, as bytes; None when it is no edit's."""
    return _kept(layer, host.RECIPE_NAME)


def stroke_of(layer):
    """Where the edit was that a layer shows; None when that is not kept."""
    return picture.unpacked(_origin(layer))


def source_of(image, layer):
    """The layer that an edit's layer was made from; else the next one below that is no edit's."""
    number = _origin(layer).get("source")
    source = image.get_layer_by_tattoo(number) if isinstance(number, int) and number > 0 else None
    if source is not None and recipe_of(source) is None:
        return source
    parent = layer.get_parent()
    siblings = parent.get_children() if parent is not None else image.get_layers()
    for below in siblings[image.get_item_position(layer) + 1 :]:
        if not below.is_group() and recipe_of(below) is None:
            return below
    return None


def latest_edit_of(image, layer):
    """The topmost layer that was made from this one; None without any."""
    for other in _layers(image):
        if recipe_of(other) is not None and _origin(other).get("source") == layer.get_tattoo():
            return other
    return None


class Preview:
    """One preview on the canvas of ``image``; takes ``hidden``, the layer it may replace, away.

    It leaves nothing behind: no undo step, no change of the image.
    """

    def __init__(self, image, hidden=None):
        self._image = image
        self._hidden = hidden if hidden is not None and hidden.get_visible() else None
        self._layer = None
        self._place = None
        self._numbers = None
        self._remove_leftovers()

    def show(self, reading, patch):
        """Show a patch in place of the last one. Raises BridgeError as ``insert``."""
        picture.check_unmoved(self._image, reading)
        corner = reading.region
        place = Region(patch.x + corner.x, patch.y + corner.y, patch.width, patch.height)
        if reading.shrunk == 1 and place == self._place and self._can_be_refilled():
            with picture.unrecorded(self._image):
                self._layer.set_lock_content(False)
                _fill(self._layer, reading, patch)
                self._layer.set_lock_content(True)
            self._layer.update(0, 0, patch.width, patch.height)
        else:
            self._insert(reading, patch)
            self._place = place
        Gimp.displays_flush()

    def hide(self):
        """Take it away; nothing happens when there is none."""
        if self._layer is None or not self._image.is_valid():
            return
        with picture.unrecorded(self._image):
            if self._layer.is_valid():
                chosen = self._image.get_selected_layers()
                self._image.remove_layer(self._layer)
                self._image.set_selected_layers([one for one in chosen if one.is_valid()])
            if self._hidden is not None and self._hidden.is_valid():
                self._hidden.set_visible(True)
        before, after = self._numbers
        if self._image.get_tattoo_state() == after:
            self._image.set_tattoo_state(before)
        self._layer = None
        Gimp.displays_flush()

    def _can_be_refilled(self):
        """GIMP ends a plug-in that writes to a locked layer; its group may be locked, too."""
        if self._layer is None or not self._layer.is_valid():
            return False
        parent = self._layer.get_parent()
        while parent is not None and not parent.get_lock_content():
            parent = parent.get_parent()
        return parent is None

    def _insert(self, reading, patch):
        self.hide()
        image = self._image
        chosen = image.get_selected_layers()
        before = image.get_tattoo_state()
        layer = _made(image, reading, patch, PREVIEW_NAME)
        _keep(layer, PREVIEW_NAME, b"1")
        with picture.unrecorded(image):
            _insert_above(image, layer, reading.layer)
            image.set_selected_layers(chosen)
            # What was painted on it would be lost, and undo would look for it.
            layer.set_lock_content(True)
            if self._hidden is not None and self._hidden.is_valid():
                self._hidden.set_visible(False)
        self._layer = layer
        self._numbers = before, image.get_tattoo_state()

    def _remove_leftovers(self):
        """Previews whose plug-in was killed, or that were saved with the image."""
        for layer in _layers(self._image):
            if layer.get_parasite(PREVIEW_NAME) is not None:
                with picture.unrecorded(self._image):
                    self._image.remove_layer(layer)


def _made(image, reading, patch, name):
    """A layer that is not yet in the image, with the patch's soft edge as its mask."""
    kind = _LAYER_TYPES[image.get_base_type()]
    size = patch.width, patch.height
    # As the engine blends: the present "normal" mode works in linear light, where soft edges come
    # out brighter, and its blend space cannot be changed.
    new = Gimp.Layer.new(image, name, *size, kind, 100.0, Gimp.LayerMode.NORMAL_LEGACY)
    new.add_mask(new.create_mask(Gimp.AddMaskType.BLACK))
    new.set_edit_mask(False)
    if _fill(new, reading, patch):
        # Half transparent pixels of the photo stay so; the other mode would make them denser.
        new.set_mode(Gimp.LayerMode.NORMAL)
        new.set_composite_mode(Gimp.LayerCompositeMode.CLIP_TO_BACKDROP)
    if reading.shrunk > 1:
        new.scale(patch.width * reading.shrunk, patch.height * reading.shrunk, False)
    left, top = reading.place.x + reading.region.x, reading.place.y + reading.region.y
    new.set_offsets(left + patch.x * reading.shrunk, top + patch.y * reading.shrunk)
    return new


def _fill(layer, reading, patch):
    """Write a patch: its alpha into the mask, the photo's alpha into the layer's own.

    Returns whether the photo is half transparent somewhere in it.
    """
    area = Gegl.Rectangle.new(0, 0, patch.width, patch.height)
    buffer = layer.get_mask().get_buffer()
    buffer.set(area, picture.MASK, patch.rgba[3::4])
    buffer.flush()
    alpha = b"\xff" * (patch.width * patch.height)
    sent = reading.picture
    if sent.channels == 4:
        place = Region(patch.x, patch.y, patch.width, patch.height)
        alpha = cut(sent.pixels[3::4], Region(0, 0, sent.width, sent.height), place)
    half = alpha.count(255) + alpha.count(0) != len(alpha)
    if half and not _has_below(reading.layer):
        alpha = alpha.translate(_SOLID)  # put together, it is clipped to the photo's alpha
    rgba = bytearray(patch.rgba)
    rgba[3::4] = alpha
    buffer = layer.get_buffer()
    buffer.set(area, picture.RGBA, bytes(rgba))
    buffer.flush()
    return half


def _has_below(layer):
    """Whether anything may show through a layer's transparent pixels."""
    image, parent = layer.get_image(), layer.get_parent()
    siblings = parent.get_children() if parent is not None else image.get_layers()
    if any(one.get_visible() for one in siblings[image.get_item_position(layer) + 1 :]):
        return True
    return parent is not None and _has_below(parent)


def _insert_above(image, new, layer):
    image.insert_layer(new, layer.get_parent(), image.get_item_position(layer))


def _keep(layer, name, data):
    flags = Gimp.PARASITE_PERSISTENT | Gimp.PARASITE_UNDOABLE
    layer.attach_parasite(Gimp.Parasite.new(name, flags, data))


def _kept(layer, name):
    parasite = layer.get_parasite(name)
    return None if parasite is None else bytes(parasite.get_data())


def _origin(layer):
    """The layer and the stroke that an edit's layer was made of; {} where that is not known."""
    try:
        origin = json.loads((_kept(layer, ORIGIN_NAME) or b"").strip(b"\0"))
    except ValueError:
        return {}
    return origin if isinstance(origin, dict) else {}


def _layers(image, group=None):
    """All layers, in groups too, from the top."""
    for layer in image.get_layers() if group is None else group.get_children():
        yield layer
        if layer.is_group():
            yield from _layers(image, layer)
