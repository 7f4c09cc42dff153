"""What each procedure does when it is called: with a window, or for a script."""

import gi

gi.require_version("Gimp", "3.0")
import arguments  # noqa: E402
import work  # noqa: E402
from ganpaint_bridge import BridgeError, host  # noqa: E402
from ganpaint_bridge.words import _  # noqa: E402
from gi.repository import Gimp, GLib, GObject  # noqa: E402


def edit(operation=None):
    """The edit that the arguments ask for; by hand, after the dialog."""

    def run(procedure, run_mode, image, drawables, config, _data):
        def make():
            what = work.target(image, drawables)
            wanted = arguments.request(config, operation)
            # A script's own entry has no dialog: its arguments are what is wanted.
            if run_mode == Gimp.RunMode.INTERACTIVE and operation is None:
                return _ask(procedure, config, image, what, _("Edit with GANPaint"))
            return _make(run_mode, image, what, wanted)

        return _answer(procedure, run_mode, make)

    return run


def direct(operation, concept):
    """One edit with the values of the last one, without a question."""

    def run(procedure, run_mode, image, drawables, _config, _data):
        def make():
            wanted = arguments.last_request(operation, concept)
            return _make(run_mode, image, work.target(image, drawables), wanted)

        return _answer(procedure, run_mode, make)

    return run


def again(edit_procedure):
    """The edit of the chosen layer, with other values or (for a script) the same ones."""

    def run(procedure, run_mode, image, drawables, _config, _data):
        def make():
            what, wanted = work.target_again(image, drawables)
            if run_mode != Gimp.RunMode.INTERACTIVE:
                return _make(run_mode, image, what, wanted)
            asking = Gimp.get_pdb().lookup_procedure(edit_procedure)
            config = asking.create_config()
            arguments.put(config, wanted)
            return _ask(asking, config, image, what, _("Edit again with GANPaint"))

        return _answer(procedure, run_mode, make)

    return run


def repeat():
    """The edit of the chosen layer, where the selection is now."""

    def run(procedure, run_mode, image, drawables, _config, _data):
        def make():
            what, wanted = work.target_again(image, drawables)
            return _make(run_mode, image, work.Target(what.layer), wanted)

        return _answer(procedure, run_mode, make)

    return run


def doctor(procedure, _config, _data):
    """The window that looks after the engine."""
    _load_gtk()
    from doctor import DoctorWindow

    DoctorWindow(_client()).run()
    return procedure.new_return_values(Gimp.PDBStatusType.SUCCESS, None)


def _answer(procedure, run_mode, make):
    """Call ``make`` for the new layer, or None where the person gave up; and say what came of it.

    By hand, what cannot be done is told in GIMP's own message, for there is no window yet.
    """
    try:
        layer = work.safely(_("The edit could not be made"), make)
    except BridgeError as error:
        message = host.failure_text(error)
        literal = GLib.Error.new_literal(Gimp.PlugIn.error_quark(), message, 0)
        failed = Gimp.PDBStatusType.EXECUTION_ERROR
        return procedure.new_return_values(failed, literal)
    if layer is None:
        return procedure.new_return_values(Gimp.PDBStatusType.CANCEL, None)
    values = procedure.new_return_values(Gimp.PDBStatusType.SUCCESS, None)
    value = GObject.Value(Gimp.Layer, layer)
    values.remove(1)
    values.insert(1, value)
    return values


def _ask(procedure, config, image, what, title):
    _load_gtk()
    from dialog import EditWindow

    job = work.Work(image, what, host.Editing(_client()))
    return job.layer if EditWindow(procedure, config, job, title).run() else None


def _make(run_mode, image, what, wanted):
    """The edit, without a question: in a small window, or (for a script) with GIMP's own bar."""
    job = work.Work(image, what, host.Editing(_client()))
    title = host.edit_title(wanted.operation, wanted.concept, wanted.variant)
    if run_mode != Gimp.RunMode.NONINTERACTIVE:
        _load_gtk()
        from dialog import DirectWindow

        return job.layer if DirectWindow(job, wanted, title).run() else None
    Gimp.progress_init(title)
    try:
        job.start(wanted)
        job.finish(job.editing.wait(_show_progress))
    finally:
        job.close()
        Gimp.progress_end()
    return job.layer


def _show_progress(update):
    if update.kind == "progress":
        Gimp.progress_set_text(update.text)
        Gimp.progress_update(update.fraction)


def _load_gtk():
    """Only where a window is shown: the console has no display for GTK."""
    gi.require_version("GimpUi", "3.0")
    from gi.repository import GimpUi

    GimpUi.init("ganpaint")


def _client():
    return "gimp %s" % Gimp.version()
