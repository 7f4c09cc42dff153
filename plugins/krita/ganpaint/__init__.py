"""GANPaint for Krita: a docker, and the menu Tools > GANPaint."""

from krita import DockWidgetFactory, DockWidgetFactoryBase, Krita

from .docker import DOCKER_ID, GanPaintDocker
from .menu import GanPaintExtension

# Scoped in PyQt6, plain in PyQt5.
_RIGHT = getattr(DockWidgetFactoryBase, "DockPosition", DockWidgetFactoryBase).DockRight

Krita.instance().addExtension(GanPaintExtension(Krita.instance()))
Krita.instance().addDockWidgetFactory(DockWidgetFactory(DOCKER_ID, _RIGHT, GanPaintDocker))
