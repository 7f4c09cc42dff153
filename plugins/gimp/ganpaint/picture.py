"""Pixels out of a GIMP image: the layer that is edited, and the stroke over it."""

import base64
import contextlib
import zlib
from typing import NamedTuple, Optional

import gi

gi.require_version("Gimp", "3.0")
gi.require_version("Gegl", "0.4")
from ganpaint_bridge import host  # noqa: E402
from ganpaint_bridge.region import Region, cut, needed  # noqa: E402
from ganpaint_bridge.words import _  # noqa: E402
from gi.repository import Gegl, Gimp  # noqa: E402

# These formats mean sRGB: GIMP converts from, and to, whatever the image is in.
RGB = "R'G'B' u8"
RGBA = "R'G'B'A u8"
# Linear: with "Y' u8" the gray of a feathered edge would be bent by the gamma curve.
MASK = "Y u8"


class Stroke(NamedTuple):
    """Where to edit: u8 ``pixels`` of ``region``, in the layer's own coordinates; 0 elsewhere."""

    region: Region
    pixels: bytes


class Reading(NamedTuple):
    """What is sent of a layer, and where it was taken from: ``region`` in the layer's coordinates.

    ``place`` is the layer's own (x, y, width, height) on the canvas at that moment. The picture is
    ``shrunk`` times smaller than the region: 1 for an edit that is to stay.
    """

    layer: "Gimp.Layer"
    place: Region
    region: Region
    picture: host.Picture
    stroke: Stroke
    shrunk: int = 1


def plain_layer(image, drawables):
    """The one layer chosen. Raises BridgeError bad_request, with the reason, without one."""
    if len(drawables) != 1:
        if drawables:
            raise host.wrong_layer(
                _("Choose one layer to edit; %d are chosen now.") % len(drawables)
            )
        raise host.wrong_layer(_("Choose the layer to edit; none is chosen now."))
    drawable = drawables[0]
    if drawable.is_layer_mask():
        raise host.wrong_layer(_("A layer mask is being edited. Choose the layer itself."))
    if not drawable.is_layer():
        raise host.wrong_layer(_("A channel is chosen. Choose a layer."))
    if drawable.is_group():
        raise host.wrong_layer(_("A layer group is chosen. Choose one layer, or merge the group."))
    if image.get_floating_sel() is not None:
        raise host.wrong_layer(_("There is a floating selection. Anchor it first."))
    return drawable


def selected_stroke(image, layer):
    """The selection, as far as it lies on the layer. Raises BridgeError mask_empty."""
    _ok, non_empty, x0, y0, x1, y1 = Gimp.Selection.bounds(image)
    place = place_of(layer)
    region = Region(x0 - place.x, y0 - place.y, x1 - x0, y1 - y0)
    region = region.clipped(place.width, place.height)
    if not non_empty or not region.width or not region.height:
        raise host.no_selection()
    on_canvas = Region(region.x + place.x, region.y + place.y, region.width, region.height)
    pixels = get(image.get_selection(), on_canvas, MASK)
    if pixels.count(0) == len(pixels):
        raise host.no_selection()
    return Stroke(region, pixels)


def packed(stroke):
    """A stroke as it is kept beside a layer: plain values that JSON can hold."""
    pixels = base64.b64encode(zlib.compress(stroke.pixels, 6)).decode("ascii")
    return {"region": list(stroke.region), "pixels": pixels}


def unpacked(kept) -> Optional[Stroke]:
    """The stroke that ``packed`` made this of; None when it is not whole: anybody may have made
    the file that it comes from."""
    try:
        region = Region(*(int(number) for number in kept["region"]))
        area = region.width * region.height
        unzip = zlib.decompressobj()
        pixels = unzip.decompress(base64.b64decode(kept["pixels"]), area)
    except (KeyError, TypeError, ValueError, zlib.error):
        return None
    return Stroke(region, pixels) if len(pixels) == area > 0 else None


def read(image, layer, stroke, request, most=None):
    """What the engine needs of the layer, as it is seen: with its effects and its mask.

    ``most``: pixels that are enough, for a preview. Raises BridgeError mask_empty, or bad_request
    (the editor handed out too few).
    """
    place = place_of(layer)
    reach = max(request.grow, 0) + 3 * request.feather
    region = needed(stroke.region, place.width, place.height, request.context, reach)
    k = 1
    while most is not None and region.width * region.height > most * k * k:
        k += 1
    region = Region(*(length // k * k for length in region))
    hiding = layer.get_mask() if layer.get_apply_mask() else None
    channels = 3 if hiding is None and not layer.has_alpha() else 4
    with _with_effects(image, layer) as seen:
        pixels = get(seen, region, RGBA if channels == 4 else RGB, k)
    if hiding is not None:
        pixels = _masked(pixels, get(hiding, region, MASK, k))
    mask = _thinned(cut(stroke.pixels, stroke.region, region), region, k)
    if k > 1 and not any(mask):
        return read(image, layer, stroke, request)  # the stroke was too small for that
    picture = host.Picture(pixels, region.width // k, region.height // k, channels, mask)
    return Reading(layer, place, region, host.check_picture(picture), stroke, k)


def of_reading(request, reading):
    """An edit as it is to be asked for with this picture: its lengths shrunk as well."""
    k = reading.shrunk
    return request._replace(grow=round(request.grow / k), feather=request.feather / k)


def check_unmoved(image, reading):
    """Raise BridgeError bad_request if the result would no longer fit where it was made for."""
    if not image.is_valid():
        raise host.wrong_layer(_("The image was closed before the edit was done."))
    if not reading.layer.is_valid():
        raise host.wrong_layer(_("The layer was deleted before the edit was done."))
    if place_of(reading.layer) != reading.place:
        raise host.wrong_layer(
            _("The layer was moved or resized before the edit was done. Make the edit again.")
        )


def place_of(layer):
    """Where a layer lies on the canvas."""
    _ok, left, top = layer.get_offsets()
    return Region(left, top, layer.get_width(), layer.get_height())


def get(drawable, region, pixel_format, shrunk=1):
    """A drawable's pixels, ``shrunk`` times smaller; 0 beyond its edges."""
    x, y, width, height = (length // shrunk for length in region)
    area, scale = Gegl.Rectangle.new(x, y, width, height), 1.0 / shrunk
    return bytes(drawable.get_buffer().get(area, scale, pixel_format, Gegl.AbyssPolicy.NONE))


def _thinned(pixels, region, step):
    """Every ``step``-th pixel of every ``step``-th row of a one-channel picture."""
    if step == 1:
        return pixels
    starts = range(0, region.width * region.height, region.width * step)
    return b"".join(pixels[start : start + region.width : step] for start in starts)


@contextlib.contextmanager
def unrecorded(image):
    """Changes that leave no trace in the undo history, nor in whether the image was changed.

    For what is taken back again, and only for moments: what the person does meanwhile is to be
    recorded.
    """
    was_dirty = image.is_dirty()
    image.undo_freeze()
    try:
        yield
    finally:
        if image.is_valid():
            image.undo_thaw()
            if not was_dirty:
                image.clean_all()


@contextlib.contextmanager
def _with_effects(image, layer):
    """The layer itself, or a copy with its effects merged, if it has any."""
    if not any(effect.get_visible() for effect in layer.get_filters()):
        yield layer
        return
    numbers = image.get_tattoo_state()
    with unrecorded(image):
        copy = layer.copy()
        try:
            copy.merge_filters()
            yield copy
        finally:
            copy.delete()
            image.set_tattoo_state(numbers)


def _masked(rgba, mask):
    """RGBA pixels, as transparent as a layer mask makes them."""
    alpha = rgba[3::4]
    if alpha.count(255) == len(alpha):
        alpha = mask
    elif mask.count(255) != len(mask):
        alpha = bytes((a * m + 127) // 255 for a, m in zip(alpha, mask))  # noqa: B905 - Python 3.10
    pixels = bytearray(rgba)
    pixels[3::4] = alpha
    return bytes(pixels)
