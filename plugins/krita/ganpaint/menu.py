"""The menu Tools > GANPaint: Add > Tree … Change appearance > Sky, and what the docker can do."""

from functools import partial

from krita import Extension, Krita

from . import doctor
from .docker import DOCKER_ID
from .ganpaint_bridge import host
from .ganpaint_bridge.words import _, later
from .qt import QtWidgets

_ROOT = "tools/ganpaint_menu"
# Name of the action -> its text, the docker's method.
_ENTRIES = {
    "ganpaint_preview": (later("Preview on the canvas"), "toggle_preview"),
    "ganpaint_apply": (later("Apply what the docker shows"), "apply"),
    "ganpaint_edit_again": (later("Edit again"), "edit_again"),
    "ganpaint_repeat_here": (later("Repeat here"), "repeat_here"),
}


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
            place = "%s/%s" % (_ROOT, submenu)
            for concept in host.KNOWN_CONCEPTS:
                label = host.title(host.name_label(concept))
                act = partial(self._do, "edit", operation, concept)
                self._action(window, action_id(operation, concept), label, place, act)
        for name, (label, method) in _ENTRIES.items():
            self._action(window, name, _(label), _ROOT, partial(self._do, method))
        self._action(window, "ganpaint_doctor", _("Doctor…"), _ROOT, doctor.show)

    @staticmethod
    def _submenu(window, name, label, place):
        menu = QtWidgets.QMenu(name, window.qwindow())
        window.createAction(name, label, place).setMenu(menu)

    @staticmethod
    def _action(window, name, label, place, act):
        window.createAction(name, label, place).triggered.connect(lambda _checked=False: act())

    @staticmethod
    def _do(method, *arguments):
        """Have the docker do it; shown, so that its progress and errors are seen."""
        docker = _docker()
        if docker is not None:
            docker.setVisible(True)
            docker.raise_()
            getattr(docker, method)(*arguments)


def _docker():
    # Krita deletes the window object it gave to createActions; the active one is the same.
    window = Krita.instance().activeWindow()
    found = window.dockers() if window else Krita.instance().dockers()
    return next((d for d in found if d.objectName() == DOCKER_ID), None)
