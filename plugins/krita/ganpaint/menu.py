"""The menu Tools > GANPaint: Add > Tree ... Remove > Sky."""

from functools import partial

from krita import Extension, Krita

from .docker import DOCKER_ID
from .ganpaint_bridge import host
from .qt import QMenu

_ROOT = "tools/ganpaint_menu"


def action_id(operation, concept):
    """The name under which shortcuts and ganpaint.action know a menu entry."""
    return "ganpaint_%s_%s" % (operation, concept)


class GanPaintExtension(Extension):
    """Adds the menu to every Krita window; the docker of that window does the work."""

    def setup(self):
        """Krita asks for it; there is nothing to prepare."""

    def createActions(self, window):
        """Called by Krita once per window."""
        self._submenu(window, "ganpaint_menu", "GANPaint", "tools")
        for operation in host.OPERATIONS:
            submenu = "ganpaint_%s_menu" % operation
            self._submenu(window, submenu, host.operation_label(operation), _ROOT)
            for concept in host.KNOWN_CONCEPTS:
                action = window.createAction(
                    action_id(operation, concept), host.title(concept), "%s/%s" % (_ROOT, submenu)
                )
                action.triggered.connect(partial(self._edit, operation, concept))

    @staticmethod
    def _submenu(window, name, label, place):
        menu = QMenu(name, window.qwindow())
        window.createAction(name, label, place).setMenu(menu)

    @staticmethod
    def _edit(operation, concept, _checked=False):
        # Krita deletes the window object it gave to createActions; the active one is the same.
        for docker in Krita.instance().activeWindow().dockers():
            if docker.objectName() == DOCKER_ID:
                docker.setVisible(True)
                docker.raise_()
                docker.edit(operation, concept)
