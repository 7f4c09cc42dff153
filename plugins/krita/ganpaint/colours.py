"""Colour spaces: any of Krita's to the engine's 8-bit sRGB and back, by Krita's own conversion."""

from krita import Krita

from .qt import QtCore, QtGui

# (model, depth, profile), as Krita names them. Deep documents are linear by default: their numbers
# are not sRGB.
SRGB = ("RGBA", "U8", "sRGB-elle-V2-srgbtrc.icc")
_IMAGE = QtGui.QImage.Format


def space_of(node):
    """The colour space of a node's pixels."""
    return (node.colorModel(), node.colorDepth(), node.colorProfile())


class Converter:
    """Converts pixels in a document of its own that nobody sees.

    In the person's document each conversion would be an undo step, even that of a layer which never
    becomes part of the image. Close it after use.
    """

    def __init__(self, width, height):
        self._document = Krita.instance().createDocument(width, height, "GANPaint", *SRGB, 72.0)
        self._document.setBatchmode(True)

    def convert(self, pixels, width, height, source, target):
        """``pixels`` (Krita's own bytes, at most of the converter's size) from space to space."""
        if source == target:
            return pixels
        area = (0, 0, width, height)
        node = self._document.createNode("pixels", "paintlayer")
        node.setColorSpace(*source)
        node.setPixelData(QtCore.QByteArray(pixels), *area)
        node.setColorSpace(*target)
        return node.pixelData(*area)

    def close(self):
        """Let go of the document, without a question about unsaved changes."""
        self._document.setModified(False)
        self._document.close()


def rgba_of(pixels, width, height):
    """Bytes RGBA of 8-bit pixels as Krita holds them: BGRA."""
    image = QtGui.QImage(bytes(pixels), width, height, 4 * width, _IMAGE.Format_ARGB32)
    return bytes_of(image.convertToFormat(_IMAGE.Format_RGBA8888))


def bgra_of(pixels, width, height, opaque=False):
    """Bytes as Krita holds 8-bit pixels, of RGBA ones; ``opaque``: with alpha 255 throughout."""
    image = QtGui.QImage(pixels, width, height, 4 * width, _IMAGE.Format_RGBA8888)
    if opaque:
        image = image.copy()
        image.reinterpretAsFormat(_IMAGE.Format_RGBX8888)
    return bytes_of(image.convertToFormat(_IMAGE.Format_RGB32 if opaque else _IMAGE.Format_ARGB32))


def image_of(pixels, width, height):
    """A QImage of its own of RGBA bytes (straight alpha)."""
    return QtGui.QImage(pixels, width, height, 4 * width, _IMAGE.Format_RGBA8888).copy()


def bytes_of(image):
    """The bytes of a QImage whose rows have no padding (four bytes a pixel)."""
    return image.constBits().asstring(image.width() * image.height() * 4)


def shrunk(picture, most):
    """``picture`` (host.Picture, RGBA) with at most ``most`` pixels, and how much smaller it is.

    Itself where it is small enough, or where nothing would be left of the selection.
    """
    times = max(1.0, (picture.width * picture.height / most) ** 0.5)
    # A row of a QImage is a multiple of four bytes long.
    width, height = int(picture.width / times) // 4 * 4, int(picture.height / times)
    if times == 1 or width < 64 or height < 64:
        return picture, (1.0, 1.0)
    smooth = (
        QtCore.Qt.AspectRatioMode.IgnoreAspectRatio,
        QtCore.Qt.TransformationMode.SmoothTransformation,
    )
    size, row = (picture.width, picture.height), picture.width
    colours = QtGui.QImage(picture.pixels, *size, 4 * row, _IMAGE.Format_RGBA8888)
    colours = colours.scaled(width, height, *smooth).convertToFormat(_IMAGE.Format_RGBA8888)
    mask = QtGui.QImage(picture.mask, *size, row, _IMAGE.Format_Grayscale8)
    mask = mask.scaled(width, height, *smooth).convertToFormat(_IMAGE.Format_Grayscale8)
    selected = mask.constBits().asstring(width * height)
    if selected.count(0) == width * height:
        return picture, (1.0, 1.0)
    small = picture._replace(pixels=bytes_of(colours), width=width, height=height, mask=selected)
    return small, (picture.width / width, picture.height / height)
