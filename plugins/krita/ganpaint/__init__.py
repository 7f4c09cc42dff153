"""GANPaint for Krita: a docker, and the menu Tools > GANPaint."""

import os

from krita import DockWidgetFactory, DockWidgetFactoryBase, Krita

from .docker import DOCKER_ID, GanPaintDocker
from .ganpaint_bridge import words
from .menu import GanPaintExtension
from .qt import QtCore

# Krita puts the language chosen in it into the environment; Windows and macOS have none there.
if not any(os.environ.get(name) for name in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")):
    words.use(QtCore.QLocale().name())

# Scoped in PyQt6, plain in PyQt5.
_RIGHT = getattr(DockWidgetFactoryBase, "DockPosition", DockWidgetFactoryBase).DockRight

Krita.instance().addExtension(GanPaintExtension(Krita.instance()))
Krita.instance().addDockWidgetFactory(DockWidgetFactory(DOCKER_ID, _RIGHT, GanPaintDocker))
