"""The layer an edit becomes, and how it was made: the only module here that changes a document."""

from krita import Selection

from . import recipes
from .colours import SRGB, Converter, bgra_of, space_of
from .ganpaint_bridge.words import _
from .picture import PAINT
from .qt import QtCore

_STRIP = 1 << 17  # pixels that are converted and written in one go


class Insertion:
    """A patch on its way into its document, a strip at a time; ``finish`` is one undo step.

    A transparency mask holds the patch's alpha, so that the soft edge can be painted on. It is put
    under the layer by ``setChildNodes``: ``addChildNode`` would be an undo step of its own.
    """

    def __init__(self, target, patch):
        self._target, self._patch = target, patch
        self._layer = target.document.createNode(patch.name, PAINT)
        self._rows = max(1, _STRIP // patch.width)
        self._top = 0
        self._converter = None
        if space_of(self._layer) != SRGB:
            self._converter = Converter(patch.width, self._rows)

    def step(self):
        """Write one strip into the layer, which nobody sees yet. -> whether all is written."""
        patch, top = self._patch, self._top
        height = min(self._rows, patch.height - top)
        rgba = patch.rgba[4 * patch.width * top : 4 * patch.width * (top + height)]
        pixels = bgra_of(rgba, patch.width, height, opaque=True)
        if self._converter is not None:
            own = space_of(self._layer)
            pixels = self._converter.convert(pixels, patch.width, height, SRGB, own)
        area = (patch.x, patch.y + top, patch.width, height)
        self._layer.setPixelData(QtCore.QByteArray(pixels), *area)
        self._top += height
        if self._top < patch.height:
            return False
        self.close()
        return True

    def close(self):
        """Let go of what writing needs."""
        if self._converter is not None:
            self._converter.close()
            self._converter = None

    def finish(self, recipe, place):
        """Put the layer above the target's and store how it was made with it. -> the layer."""
        document, above = self._target.document, self._target.above
        self._layer.setChildNodes([self._mask()])
        # Last: what is done to a layer before it belongs to the image is no undo step.
        parent = above.parentNode()
        if parent is not None:
            parent.addChildNode(self._layer, above)
        else:
            root = document.rootNode()
            top = [node for node in root.childNodes() if "mask" not in node.type()][-1:]
            root.addChildNode(self._layer, top[0] if top else None)
        recipes.write(document, self._layer, recipe, place)
        # The photo stays the active layer, so that the next edit starts from it and not from here.
        # Later: Krita itself makes the new layer the active one as soon as it gets round to it.
        layer = self._target.layer
        QtCore.QTimer.singleShot(0, lambda: document.setActiveNode(layer))
        return self._layer

    def _mask(self):
        patch = self._patch
        selection = Selection()
        alpha = QtCore.QByteArray(bytes(patch.rgba[3::4]))
        selection.setPixelData(alpha, patch.x, patch.y, patch.width, patch.height)
        mask = self._target.document.createTransparencyMask(_("Edge"))
        mask.setSelection(selection)
        return mask
