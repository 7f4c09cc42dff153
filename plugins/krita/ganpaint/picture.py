"""Pixels out of a Krita document and back into it; the only module here that touches layers."""

import json

from krita import Krita

from .ganpaint_bridge import host
from .qt import QByteArray, QTimer

# What the engine works in. Deep documents are linear by default: their numbers are not sRGB.
_SRGB = ("RGBA", "U8", "sRGB-elle-V2-srgbtrc.icc")
# Layers that hold pixels of their own; for the others Krita can tell only what they look like.
_PAINT = "paintlayer"
_LAYERS = (_PAINT, "grouplayer", "vectorlayer", "filelayer", "clonelayer", "filllayer")


def active_layer(view, document):
    """The one layer to edit. Raises BridgeError bad_request with the reason if there is none."""
    chosen = view.selectedNodes() if view else []
    if len(chosen) > 1:
        raise host.wrong_layer("Choose one layer to edit; %d layers chosen now." % len(chosen))
    node = document.activeNode()
    if node is None:
        raise host.wrong_layer("Choose one layer to edit; no layer chosen now.")
    if node.type() not in _LAYERS:
        raise host.wrong_layer("A mask or filter is chosen. Choose the layer itself.")
    return node


def read(document, layer):
    """The layer's pixels and, on the same pixels, the selection. Raises BridgeError mask_empty."""
    selection = document.selection()
    if selection is None:
        raise host.no_selection()
    document.waitForDone()
    width, height = document.width(), document.height()
    # Asked for the canvas, not the selection's own box: that may reach beyond it.
    mask = bytes(selection.pixelData(0, 0, width, height))
    pixels = swap_red_and_blue(_srgb_pixels(layer, width, height))
    return host.check_picture(host.Picture(pixels, width, height, 4, mask))


def insert(document, layer, patch):
    """Put the patch above ``layer`` as a new layer, in one undo step. -> the new layer.

    The person may have gone on working: a layer that is gone by now leaves the top of the image.
    """
    new = document.createNode(patch.name, _PAINT)
    pixels = swap_red_and_blue(patch.rgba)
    own = converted(pixels, patch.width, patch.height, _SRGB, _space(new))
    new.setPixelData(own, patch.x, patch.y, patch.width, patch.height)
    # Last: what is done to a layer before it belongs to the image needs no undo step of its own.
    parent = layer.parentNode()
    if parent is not None:
        parent.addChildNode(new, layer)
    else:
        top = document.rootNode().childNodes()
        document.rootNode().addChildNode(new, top[-1] if top else None)
    recipe = json.dumps(patch.report, sort_keys=True, default=str).encode("utf-8")
    name = "%s-%s" % (host.RECIPE_NAME, new.uniqueId().toString().strip("{}"))
    document.setAnnotation(name, patch.name, QByteArray(recipe))
    document.refreshProjection()
    if parent is not None:
        # The photo stays the active layer, so that the next edit starts from it and not from here.
        # Later: Krita itself makes the new layer the active one as soon as it gets round to it.
        QTimer.singleShot(0, lambda: document.setActiveNode(layer))
    return new


def swap_red_and_blue(pixels):
    """BGRA, as Krita holds 8-bit pixels, to RGBA or back."""
    swapped = bytearray(pixels)
    swapped[0::4], swapped[2::4] = pixels[2::4], pixels[0::4]
    return bytes(swapped)


def converted(pixels, width, height, source, target):
    """Pixels from one colour space (model, depth, profile) to another, by Krita's own conversion.

    It happens in a document of its own that nobody sees: in the person's, each conversion would be
    an undo step, even that of a layer which never becomes part of the image.
    """
    if source == target:
        return QByteArray(pixels)
    area = (0, 0, width, height)
    document = Krita.instance().createDocument(width, height, "GANPaint", *_SRGB, 72.0)
    document.setBatchmode(True)
    node = document.createNode("pixels", _PAINT)
    node.setColorSpace(*source)
    node.setPixelData(QByteArray(pixels), *area)
    node.setColorSpace(*target)
    result = node.pixelData(*area)
    document.setModified(False)
    document.close()
    return result


def _srgb_pixels(layer, width, height):
    """BGRA u8 sRGB pixels of the canvas's area, whatever the layer is in."""
    read_raw = layer.pixelData if layer.type() == _PAINT else layer.projectionPixelData
    raw = read_raw(0, 0, width, height)
    return bytes(converted(raw, width, height, _space(layer), _SRGB))


def _space(layer):
    return (layer.colorModel(), layer.colorDepth(), layer.colorProfile())
