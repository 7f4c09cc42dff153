#!/usr/bin/env python3
"""GANPaint for GIMP 3: Filters > GANPaint, by hand or from a script.

``plug-in-ganpaint-edit`` asks for everything, ``-edit-again`` reopens the edit that made a layer,
``-repeat-here`` makes it in another place, and ``plug-in-ganpaint-add-tree`` and its like are the
menu entries Add > Tree ... that ask for nothing. ``ganpaint-add``, ``ganpaint-remove`` and
``ganpaint-restyle`` are for scripts. ``plug-in-ganpaint-doctor`` looks after the engine.
"""

import os
import sys

import gi

gi.require_version("Gimp", "3.0")
import arguments  # noqa: E402
import run  # noqa: E402
from ganpaint_bridge import host, words  # noqa: E402
from ganpaint_bridge.words import _  # noqa: E402
from gi.repository import Gimp  # noqa: E402

_MENU = "<Image>/Filters/GANPaint"
_EDIT = "plug-in-ganpaint-edit"
_AGAIN = "plug-in-ganpaint-edit-again"
_REPEAT = "plug-in-ganpaint-repeat-here"
_DOCTOR = "plug-in-ganpaint-doctor"
_SCRIPTED = {"ganpaint-" + operation: operation for operation in host.OPERATIONS}
# GIMP registers menu entries when a plug-in was installed, long before an engine can say what its
# model knows: these are the concepts of the bundled model. With another model, an entry of a
# concept that it lacks says so; what it has besides is in the dialog.
_NOT_RESTYLED = ("bush",)
_DIRECT = {
    "plug-in-ganpaint-%s-%s" % (operation, concept): (operation, concept)
    for operation in host.OPERATIONS
    for concept in host.KNOWN_CONCEPTS
    if operation != "restyle" or concept not in _NOT_RESTYLED
}


class GanPaint(Gimp.PlugIn):
    """Registers the procedures and runs them."""

    def do_set_i18n(self, _name):
        return False  # the bridge translates

    def do_query_procedures(self):
        return [_EDIT, _AGAIN, _REPEAT, *_SCRIPTED, *_DIRECT, _DOCTOR]

    def do_create_procedure(self, name):
        kind = Gimp.PDBProcType.PLUGIN
        if name == _DOCTOR:
            procedure = Gimp.Procedure.new(self, name, kind, run.doctor, None)
            procedure.set_sensitivity_mask(Gimp.ProcedureSensitivityMask.ALWAYS)
            arguments.add_run_mode(procedure)
        else:
            procedure = Gimp.ImageProcedure.new(self, name, kind, _runner(name), None)
            procedure.set_image_types("*")
            # Callable in any case: what does not fit is told in words, not by a grey menu entry.
            sensitive = Gimp.ProcedureSensitivityMask
            procedure.set_sensitivity_mask(
                sensitive.DRAWABLE | sensitive.DRAWABLES | sensitive.NO_DRAWABLES
            )
            _add_arguments(procedure, name)
        procedure.set_attribution("GANPaint", "GANPaint", "2025")
        _describe(procedure, name)
        return procedure


def _runner(name):
    if name in _DIRECT:
        return run.direct(*_DIRECT[name])
    if name in _SCRIPTED:
        return run.edit(_SCRIPTED[name])
    return {_EDIT: run.edit(), _AGAIN: run.again(_EDIT), _REPEAT: run.repeat()}[name]


def _add_arguments(procedure, name):
    if name == _EDIT:
        arguments.add(procedure)
    elif name in _SCRIPTED:
        arguments.add(procedure, _SCRIPTED[name])
    label, text = _("Layer"), _("The new layer with the change")
    procedure.add_layer_return_value("layer", label, text, True, arguments.FLAGS)


def _describe(procedure, name):
    """Name and place in the menus, and what a script's author reads. Scripts' own have no place."""
    menu, label, blurb = _MENU, None, _("Edit the selection with GANPaint, as a new layer")
    if name in _DIRECT:
        operation, concept = _DIRECT[name]
        menu = "%s/%s" % (_MENU, host.operation_label(operation))
        label = host.title(host.name_label(concept))
        blurb = _("%s, with the values of the last edit") % host.edit_title(operation, concept)
    elif name in _SCRIPTED:
        blurb = _("For scripts: %s in the selection, as a new layer") % _SCRIPTED[name]
    elif name == _EDIT:
        label = _("_Edit with GANPaint...")
        blurb = _("Add, remove or change trees, doors, domes... in the selection, as a new layer")
    elif name == _AGAIN:
        label = _("Edit _Again...")
        blurb = _("Change how a GANPaint layer was made")
    elif name == _REPEAT:
        label = _("_Repeat Here")
        blurb = _("Make the edit of a GANPaint layer once more, in the selection")
    elif name == _DOCTOR:
        label = _("_Doctor and Settings...")
        blurb = _("What GANPaint's engine is doing, and its settings")
    procedure.set_documentation(blurb, blurb, name)
    if label is not None:
        procedure.set_menu_label(label)
        procedure.add_menu_path(menu)


if __name__ == "__main__":
    words.use()
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    Gimp.main(GanPaint.__gtype__, sys.argv)
