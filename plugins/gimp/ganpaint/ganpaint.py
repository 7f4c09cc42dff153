#!/usr/bin/env python3
"""GANPaint for GIMP 3: Filters > GANPaint, by hand or from a script.

``plug-in-ganpaint-edit`` asks for everything; ``plug-in-ganpaint-add-tree`` and its like are the
direct menu entries Add > Tree ... Remove > Sky. Each sends the chosen layer and the selection to
the engine and adds one new layer in one undo step.
"""

import sys

import gi

gi.require_version("Gimp", "3.0")
import arguments  # noqa: E402
import picture  # noqa: E402
from ganpaint_bridge import BridgeError, host  # noqa: E402
from gi.repository import Gimp, GLib  # noqa: E402

_EDIT = "plug-in-ganpaint-edit"
_MENU = "<Image>/Filters/GANPaint"
_DIRECT = {
    "plug-in-ganpaint-%s-%s" % (operation, concept): (operation, concept)
    for operation in host.OPERATIONS
    for concept in host.KNOWN_CONCEPTS
}


class GanPaint(Gimp.PlugIn):
    """Registers the procedures and runs them."""

    def do_set_i18n(self, _name):
        return False

    def do_query_procedures(self):
        return [_EDIT, *_DIRECT]

    def do_create_procedure(self, name):
        procedure = Gimp.ImageProcedure.new(self, name, Gimp.PDBProcType.PLUGIN, _run, None)
        procedure.set_image_types("*")
        # Callable in any case: what does not fit is told in words, not by a grey menu entry.
        sensitive = Gimp.ProcedureSensitivityMask
        procedure.set_sensitivity_mask(
            sensitive.DRAWABLE | sensitive.DRAWABLES | sensitive.NO_DRAWABLES
        )
        procedure.set_attribution("GANPaint", "GANPaint", "2025")
        _describe(procedure, name)
        arguments.add(procedure, direct=name in _DIRECT)
        return procedure


def _describe(procedure, name):
    if name in _DIRECT:
        operation, concept = _DIRECT[name]
        procedure.set_menu_label(host.title(concept))
        procedure.add_menu_path("%s/%s" % (_MENU, host.operation_label(operation)))
        blurb = "%s in the selection, as a new layer" % host.edit_title(operation, concept)
    else:
        procedure.set_menu_label("_Edit with GANPaint...")
        procedure.add_menu_path(_MENU)
        blurb = "Add or remove trees, doors, domes... in the selection, as a new layer"
    procedure.set_documentation(blurb, blurb, name)


def _run(procedure, run_mode, image, drawables, config, _data):
    preset = _DIRECT.get(procedure.get_name())
    if run_mode == Gimp.RunMode.INTERACTIVE:
        return _run_dialog(procedure, image, drawables, config, preset)
    try:
        layer = picture.active_layer(image, drawables)
        patch = _edit(arguments.request(config, preset), picture.read(image, layer))
        picture.insert(image, layer, patch)
    except Exception as error:
        if not isinstance(error, BridgeError):
            error = host.internal("The edit could not be made", error)
        message = GLib.Error.new_literal(Gimp.PlugIn.error_quark(), host.failure_text(error), 0)
        return procedure.new_return_values(Gimp.PDBStatusType.EXECUTION_ERROR, message)
    return procedure.new_return_values(Gimp.PDBStatusType.SUCCESS, None)


def _run_dialog(procedure, image, drawables, config, preset):
    # GTK is loaded here only: the console has no display for it.
    gi.require_version("GimpUi", "3.0")
    from dialog import EditDialog
    from gi.repository import GimpUi

    GimpUi.init("ganpaint")
    done = EditDialog(procedure, config, image, drawables, _client(), preset).run()
    status = Gimp.PDBStatusType.SUCCESS if done else Gimp.PDBStatusType.CANCEL
    return procedure.new_return_values(status, None)


def _edit(request, pixels):
    editing = host.Editing(_client())
    Gimp.progress_init(host.edit_title(request.operation, request.concept))
    try:
        editing.start(request, pixels)
        return editing.wait(_show_progress)
    finally:
        editing.close()
        Gimp.progress_end()


def _show_progress(update):
    if update.kind == "progress":
        Gimp.progress_set_text(update.text)
        Gimp.progress_update(update.fraction)


def _client():
    return "gimp %s" % Gimp.version()


Gimp.main(GanPaint.__gtype__, sys.argv)
