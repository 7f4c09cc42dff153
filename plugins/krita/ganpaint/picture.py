"""Which layer an edit is of, and its pixels: read in strips, so that Krita never stands still."""

import zlib

from krita import Krita

from .colours import SRGB, Converter, rgba_of, space_of
from .ganpaint_bridge import host
from .ganpaint_bridge.words import _

PAINT = "paintlayer"
# Layers that hold pixels of their own; for the others Krita can tell only what they look like.
_LAYERS = (PAINT, "grouplayer", "vectorlayer", "filelayer", "clonelayer", "filllayer")
_STRIP = 1 << 17  # pixels; of 16-bit ones Krita converts so many in about 30 ms


def active_layer(view, document):
    """The one layer to edit. Raises BridgeError bad_request with the reason if there is none."""
    chosen = view.selectedNodes() if view else []
    if len(chosen) > 1:
        raise host.wrong_layer(
            _("Choose one layer to edit; %d layers are chosen now.") % len(chosen)
        )
    node = document.activeNode()
    if node is None:
        raise host.wrong_layer(_("Choose one layer to edit; no layer is chosen now."))
    return node


def check_layer(layer):
    """Raises BridgeError bad_request when what is seen of ``layer`` cannot be edited as a photo."""
    if layer.type() not in _LAYERS:
        raise host.wrong_layer(_("A mask or filter is chosen. Choose the layer itself."))
    if layer.animated():
        raise host.wrong_layer(
            _("This layer is animated. Choose a layer that is one still picture.")
        )
    if layer.type() == "grouplayer" and layer.passThroughMode():
        raise host.wrong_layer(
            _("This group passes through: it has no picture of its own. Choose a layer in it.")
        )
    if layer.opacity() < 255 or layer.blendingMode() != "normal":
        raise host.wrong_layer(
            _("This layer is blended with those below it. Merge them, or put them into a group.")
        )
    node = layer
    while node is not None:
        if not node.visible():
            raise host.wrong_layer(_("This layer is hidden. Make it visible, then try again."))
        node = node.parentNode()
        if node is not None and node.locked():
            raise host.wrong_layer(
                _("The group “%s” is locked: nothing can be added to it.") % node.name()
            )


def selection_mask(document):
    """The selection on the canvas's pixels, u8. Raises BridgeError mask_empty.

    Asked for the canvas, not for the selection's own box: that may reach beyond it.
    """
    selection = document.selection()
    if selection is None:
        raise host.no_selection()
    return bytes(selection.pixelData(0, 0, document.width(), document.height()))


def is_open(document):
    """Whether the person has not closed ``document``."""
    return any(other == document for other in Krita.instance().documents())


class Reading:
    """The pixels of a layer, strip by strip, with what tells later whether they were changed.

    ``earlier``, a Reading of the same layer, spares the conversion of strips that are as they were.
    """

    def __init__(self, document, layer, earlier=None):
        check_layer(layer)
        self.document, self.layer = document, layer
        self.key = (layer.uniqueId().toString(), space_of(layer))
        self.width, self.height = document.width(), document.height()
        self._rows = max(1, min(self.height, _STRIP // self.width))
        self._marks = []  # one checksum of Krita's own bytes for each strip
        self._pixels = bytearray(4 * self.width * self.height)
        same = earlier is not None and earlier.frame() == self.frame()
        self._earlier = earlier if same else None
        self._converter = None

    def frame(self):
        """What must agree for two readings to be of the same pixels."""
        return (self.key, self.width, self.height)

    @property
    def fraction(self):
        """How much has been read, 0..1."""
        return min(1.0, len(self._marks) * self._rows / self.height)

    def step(self):
        """Read one strip. -> whether all is read."""
        index = len(self._marks)
        raw = self._raw(index)
        mark = zlib.crc32(raw)
        area = slice(4 * self.width * self._rows * index, 4 * self.width * self._rows * (index + 1))
        known = self._earlier
        if known is not None and index < len(known._marks) and known._marks[index] == mark:
            self._pixels[area] = memoryview(known._pixels)[area]
        else:
            self._pixels[area] = self._converted(raw, self._height(index))
        self._marks.append(mark)
        if len(self._marks) * self._rows < self.height:
            return False
        self.close()
        return True

    def close(self):
        """Let go of what reading needs; what was read stays."""
        self._earlier = None
        if self._converter is not None:
            self._converter.close()
            self._converter = None

    def pixels(self):
        """RGBA bytes of the whole canvas, once all is read."""
        return self._pixels

    def strips(self, top, bottom):
        """The numbers of the strips that hold the rows top..bottom."""
        return range(top // self._rows, (min(bottom, self.height) - 1) // self._rows + 1)

    def is_framed(self):
        """Whether the document's size and the layer's colour space are as they were."""
        size = (self.document.width(), self.document.height())
        return (size, space_of(self.layer)) == ((self.width, self.height), self.key[1])

    def changed(self, index, left, right):
        """Whether the layer looks different now in the columns left..right of a strip."""
        if zlib.crc32(self._raw(index)) == self._marks[index]:
            return False
        top, height, width = index * self._rows, self._height(index), right - left
        now = self._converted(self._raw(index, left, width), height, width)
        self.close()
        for row in range(height):
            start = 4 * ((top + row) * self.width + left)
            if (
                now[4 * width * row : 4 * width * (row + 1)]
                != self._pixels[start : start + 4 * width]
            ):
                return True
        return False

    def _height(self, index):
        return min(self._rows, self.height - index * self._rows)

    def _raw(self, index, left=0, width=None):
        """Krita's own bytes of a strip. Masks count: what is read is what the layer looks like."""
        plain = self.layer.type() == PAINT and not self.layer.childNodes()
        read = self.layer.pixelData if plain else self.layer.projectionPixelData
        return bytes(read(left, index * self._rows, width or self.width, self._height(index)))

    def _converted(self, raw, height, width=None):
        width = width or self.width
        if self._converter is None and self.key[1] != SRGB:
            self._converter = Converter(self.width, self._rows)
        if self._converter is not None:
            raw = self._converter.convert(raw, width, height, self.key[1], SRGB)
        return rgba_of(raw, width, height)
