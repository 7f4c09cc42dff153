"""How each GANPaint layer was made, kept in the document as annotations: saved with a .kra file.

Krita cannot store anything on a layer itself, so the name of the annotation holds the layer's id,
which Krita keeps through saving, undo and redo. Annotations are no part of the undo history.
"""

import base64
import contextlib
import json
import zlib
from typing import NamedTuple

from krita import Selection

from .ganpaint_bridge import host
from .ganpaint_bridge.recipe import RECIPE_NAME, read_recipe
from .qt import QtCore, QtGui

_RECIPE = RECIPE_NAME + "-"
_PLACE = "ganpaint-place-"
_THUMBNAIL = 96  # pixels


class Edit(NamedTuple):
    """One edit of a document: its layer (a node of the image), recipe (JSON) and place.

    ``place`` says where it was made: "source" and "replaces" (ids of layers), "selection",
    "thumbnail" (PNG, base64); {} in a document that another program wrote.
    """

    id: str
    layer: object
    recipe: bytes
    place: dict

    @property
    def request(self):
        """The EditRequest of the recipe; None when it cannot be read."""
        return read_recipe(self.recipe)


def id_of(node):
    """A node's id, as recipes name it."""
    return node.uniqueId().toString().strip("{}")


def node_of(document, name):
    """The node of an id; None when it is not (or no more) in the image."""
    node = document.nodeByUniqueID(QtCore.QUuid("{%s}" % name)) if name else None
    return node if node is not None and node.parentNode() is not None else None


def write(document, layer, recipe, place):
    """Store how ``layer`` was made."""
    name = id_of(layer)
    data = json.dumps(place, sort_keys=True).encode("utf-8")
    document.setAnnotation(_RECIPE + name, layer.name(), QtCore.QByteArray(recipe))
    document.setAnnotation(_PLACE + name, layer.name(), QtCore.QByteArray(data))


def edits(document):
    """The edits whose layer is in the image, as Edit, in the order of the layers' ids."""
    found = []
    for name in ids(document):
        edit = edit_of(document, node_of(document, name))
        if edit is not None:
            found.append(edit)
    return found


def ids(document):
    """The ids of all layers, present or undone, that were made in this document."""
    names = document.annotationTypes()
    return [name[len(_RECIPE) :] for name in names if name.startswith(_RECIPE)]


def edit_of(document, layer):
    """The Edit that made ``layer``; None when none did."""
    if layer is None:
        return None
    name = id_of(layer)
    if _RECIPE + name not in document.annotationTypes():
        return None
    return Edit(name, layer, bytes(document.annotation(_RECIPE + name)), place_of(document, name))


def place_of(document, name):
    """Where the edit of an id was made; {} when that is not stored, or damaged."""
    try:
        place = json.loads(bytes(document.annotation(_PLACE + name)).decode("utf-8"))
    except ValueError:
        return {}
    return place if isinstance(place, dict) else {}


def stored_selection(document):
    """The document's selection, small enough to be stored; {} when there is none."""
    selection = document.selection()
    if selection is None:
        return {}
    left, top = max(0, selection.x()), max(0, selection.y())
    right = min(document.width(), selection.x() + selection.width())
    bottom = min(document.height(), selection.y() + selection.height())
    if right <= left or bottom <= top:
        return {}
    box = (left, top, right - left, bottom - top)
    data = zlib.compress(bytes(selection.pixelData(*box)), 1)
    return {"box": list(box), "data": base64.b64encode(data).decode("ascii")}


def stored_mask(document, stored):
    """The u8 mask on the canvas's pixels of a stored selection. Raises BridgeError mask_empty."""
    try:
        box = [int(number) for number in stored["box"]]
        data = zlib.decompress(base64.b64decode(stored["data"]))
    except (KeyError, TypeError, ValueError, zlib.error) as error:
        raise host.no_selection() from error
    selection = Selection()
    selection.setPixelData(QtCore.QByteArray(data), *box)
    return bytes(selection.pixelData(0, 0, document.width(), document.height()))


def thumbnail(picture, patch):
    """A PNG (base64) of the edit in its place: the photo with the patch, around the patch."""
    rgba = QtGui.QImage.Format.Format_RGBA8888
    photo = QtGui.QImage(picture.pixels, picture.width, picture.height, 4 * picture.width, rgba)
    image = photo.copy(patch.x, patch.y, patch.width, patch.height)
    painter = QtGui.QPainter(image)
    painter.drawImage(
        0, 0, QtGui.QImage(patch.rgba, patch.width, patch.height, 4 * patch.width, rgba)
    )
    painter.end()
    keep = QtCore.Qt.AspectRatioMode.KeepAspectRatio
    smooth = QtCore.Qt.TransformationMode.SmoothTransformation
    buffer = QtCore.QBuffer()
    buffer.open(QtCore.QIODevice.OpenModeFlag.WriteOnly)
    image.scaled(_THUMBNAIL, _THUMBNAIL, keep, smooth).save(buffer, "PNG")
    return base64.b64encode(bytes(buffer.data())).decode("ascii")


def icon(place):
    """The thumbnail of an edit, as a QIcon (empty when there is none)."""
    pixmap = QtGui.QPixmap()
    with contextlib.suppress(TypeError, ValueError):
        pixmap.loadFromData(base64.b64decode(place.get("thumbnail", "")))
    return QtGui.QIcon(pixmap)
