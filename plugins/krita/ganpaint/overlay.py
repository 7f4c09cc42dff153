"""A preview over Krita's canvas: nothing of the document is touched, not even its undo history.

A layer would not do: adding one and taking it away are two undo steps. So the preview is drawn over
the canvas, in sRGB, above whatever lies on the photo. The layer that Apply makes is Krita's own.
"""

import contextlib

from krita import Krita

from .qt import QtCore, QtGui, QtWidgets

_FOLLOW_MS = 33  # Krita tells nobody that its canvas was moved, so it is looked at
_WIDGET = QtCore.Qt.WidgetAttribute


class Overlay(QtWidgets.QWidget):
    """Shows one picture in its place on one document's canvas, and follows pan, zoom, rotation."""

    def __init__(self, document, canvas):
        super().__init__(canvas, objectName="ganpaint_overlay")
        for attribute in (
            _WIDGET.WA_TransparentForMouseEvents,
            _WIDGET.WA_NoSystemBackground,
            _WIDGET.WA_TranslucentBackground,
        ):
            self.setAttribute(attribute)
        self.document = document
        self._image = None
        self._corner, self._scale = QtCore.QPointF(), (1.0, 1.0)
        self._transform = None
        self._timer = QtCore.QTimer(self)
        self._timer.setInterval(_FOLLOW_MS)
        self._timer.timeout.connect(self._follow)

    def draw(self, image, x, y, scale=(1.0, 1.0)):
        """Show ``image`` (QImage) with its corner at its pixel (x, y) of a photo that many times
        smaller than the document."""
        self._image, self._corner, self._scale = image, QtCore.QPointF(x, y), scale
        self._timer.start()
        self._follow()
        self.update()

    def end(self):
        """Take the preview off the canvas, for good."""
        with contextlib.suppress(
            RuntimeError
        ):  # Qt deleted it with the canvas of a closed document
            self._timer.stop()
            self.hide()
            self.deleteLater()

    def paintEvent(self, _event):
        if self._image is None or self._transform is None:
            return
        painter = QtGui.QPainter(self)
        painter.setTransform(self._transform)
        painter.scale(*self._scale)
        painter.setRenderHint(QtGui.QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawImage(self._corner, self._image)
        painter.end()

    def _follow(self):
        view = _view_of(self.document)
        self.setVisible(view is not None)
        if view is None:
            return
        canvas = self.parentWidget()
        transform = photo_to_canvas(view)
        if transform != self._transform or self.geometry() != canvas.rect():
            self._transform = transform
            self.setGeometry(canvas.rect())
            self.raise_()
            self.update()


def photo_to_canvas(view):
    """The QTransform from the photo's pixels to the canvas widget's."""
    to_flake, _invertible = view.flakeToImageTransform().inverted()
    return to_flake * view.flakeToCanvasTransform()


def start(document):
    """An Overlay on the canvas of the active window that shows ``document``; None if none does."""
    canvas = _canvas_widget() if _view_of(document) is not None else None
    return Overlay(document, canvas) if canvas is not None else None


def _view_of(document):
    """The active view, if it shows ``document``."""
    window = Krita.instance().activeWindow()
    view = window.activeView() if window else None
    shown = view.document() if view else None
    return view if shown is not None and shown == document else None


def _canvas_widget():
    """The widget that Krita paints the active view on: its API does not name it."""
    area = Krita.instance().activeWindow().qwindow().findChild(QtWidgets.QMdiArea)
    frame = area.currentSubWindow() if area else None
    if frame is None:
        return None
    for widget in frame.findChildren(QtWidgets.QWidget):
        if widget.metaObject().className() in ("KisOpenGLCanvas2", "KisQPainterCanvas"):
            return widget
    return None
