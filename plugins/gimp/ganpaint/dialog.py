"""The windows of an edit: choices above, progress and errors below, GIMP usable all the while.

They run their own GLib loop instead of ``dialog.run()``, so that a timer can pump the bridge and
the window can stay open during the work. (The status bar's Cancel would kill the plug-in outright.)
"""

import random

import gi

gi.require_version("Gimp", "3.0")
gi.require_version("GimpUi", "3.0")
gi.require_version("Gtk", "3.0")
import arguments  # noqa: E402
import work  # noqa: E402
from chooser import Chooser  # noqa: E402
from ganpaint_bridge import BridgeError, host  # noqa: E402
from ganpaint_bridge.words import _  # noqa: E402
from gi.repository import GimpUi, GLib, GObject, Gtk  # noqa: E402

_PUMP_MS = 30
_SETTLE_MS = 60  # a slider that is being dragged
_LOOK_MS = 700  # at the selection, which the person may change meanwhile
_DICE = 1000
_TEXT_WIDTH = 52  # characters
# Where a new engine may do better than the one that said this.
_ENGINE_TROUBLE = ("engine_unreachable", "engine_missing", "wrong_token", "internal")


class _Window:
    """What both windows have: a bar, a line for sentences, and the life of the engine in them."""

    def __init__(self, dialog, job):
        self.work = job
        self.done = False
        self._dialog = dialog
        self._loop = GLib.MainLoop()
        self._timers = []
        self._bar = Gtk.ProgressBar(show_text=True, text="")
        self._line = Gtk.Label(xalign=0.0, wrap=True, selectable=True, max_width_chars=_TEXT_WIDTH)
        self._restart = Gtk.Button.new_with_mnemonic(_("Restart the eng_ine"))
        self._restart.connect("clicked", lambda *_event: self._on_restart())
        content = dialog.get_content_area()
        content.set_spacing(6)
        content.pack_end(self._restart, False, False, 0)
        content.pack_end(self._line, False, False, 0)
        content.pack_end(self._bar, False, False, 6)
        self._bar.show()
        self._line.show()

    def run(self):
        """Show the window until an edit is done (True) or the person closes it (False)."""
        self._dialog.connect("response", self._on_response)
        self._dialog.connect("delete-event", lambda *_event: True)
        self._dialog.show()
        self.work.editing.connect()
        self._every(_PUMP_MS, self._pump)
        self._begin()
        self._loop.run()
        for timer in self._timers:
            GLib.source_remove(timer)
        self.work.close()
        self._dialog.destroy()
        return self.done

    def _every(self, milliseconds, action):
        def again():
            action()
            return True

        self._timers.append(GLib.timeout_add(milliseconds, again))

    def _begin(self):
        """What happens as soon as the window is there."""

    def _pump(self):
        for update in self.work.editing.pump():
            self._show(update)

    def _start(self, request, on_canvas=False):
        """Send an edit; whether that worked."""
        try:
            work.safely(_("The layer cannot be read"), self.work.start, request, on_canvas)
        except BridgeError as error:
            self._stopped(error)
            return False
        return True

    def _show(self, update):
        if update.kind == "progress":
            self._bar.set_fraction(update.fraction)
            self._bar.set_text(update.text)
        elif update.kind == "done":
            try:
                work.safely(_("The layer cannot be made"), self.work.finish, update.patch)
            except BridgeError as error:
                self._stopped(error)
            else:
                self._finished(update)
        elif update.kind == "failed":
            self._stopped(update.error)
        elif update.kind == "cancelled":
            self._idle(update.text)
        elif update.kind == "warning":
            self._line.set_text(update.text)
        elif update.kind == "silent":
            self._line.set_text(update.text)
            self._restart.show()
        elif update.kind == "engine" and not self.work.busy:
            self._bar.set_text(update.text)

    def _finished(self, _update):
        """An edit is in the image."""
        self.done = True
        self._loop.quit()

    def _stopped(self, error):
        """An edit came to nothing."""
        self._idle(host.failure_text(error))
        self._restart.set_visible(error.code in _ENGINE_TROUBLE)

    def _idle(self, text):
        self._bar.set_fraction(0.0)
        self._bar.set_text("")
        self._line.set_text(text)

    def _on_restart(self):
        self._restart.hide()
        self._idle("")
        self.work.editing.restart_engine()

    def _on_response(self, dialog, response):
        if response == Gtk.ResponseType.OK:
            # The dialog would otherwise end here; it stays open for the work.
            GObject.signal_stop_emission_by_name(dialog, "response")
            self._on_ok()
        elif response in (Gtk.ResponseType.CANCEL, Gtk.ResponseType.DELETE_EVENT):
            GObject.signal_stop_emission_by_name(dialog, "response")
            self._on_cancel()

    def _on_ok(self):
        """The person wants the edit."""

    def _on_cancel(self):
        self._loop.quit()


class EditWindow(_Window):
    """Everything can be chosen, with a preview on the canvas; *Apply* makes the edit."""

    def __init__(self, procedure, config, job, title):
        dialog = GimpUi.ProcedureDialog.new(procedure, config, title)
        dialog.set_ok_label(_("_Apply"))
        super().__init__(dialog, job)
        self._config = config
        self._applying = False
        self._wanted = 0  # the timer of the next preview
        self._stale = False  # the preview on its way, or on the canvas, is not of these values
        self._fill()

    def _begin(self):
        self._selection = self.work.selection()
        self._config.connect("notify", lambda *_event: self._want_preview())
        self._every(_LOOK_MS, self._look_at_selection)
        self._want_preview()

    def _fill(self):
        content = self._dialog.get_content_area()
        self._chooser = Chooser(self._config)
        self._choices = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=6, border_width=12)
        self._choices.pack_start(self._chooser.widget, False, False, 0)
        strength = self._dialog.get_scale_entry("strength", 1.0)
        self._chooser.labels.add_widget(strength.get_label())
        self._choices.pack_start(strength, False, False, 0)
        self._choices.pack_start(self._seed_row(), False, False, 0)
        self._choices.pack_start(self._selection_part(), False, False, 0)
        self._shown = Gtk.CheckButton.new_with_mnemonic(_("_Preview on the canvas"))
        self._shown.set_active(arguments.preview())
        self._shown.connect("toggled", self._on_preview)
        self._choices.pack_start(self._shown, False, False, 0)
        content.pack_start(self._choices, True, True, 0)
        self._choices.show_all()

    def _seed_row(self):
        row = Gtk.Box(spacing=12)
        label = Gtk.Label.new_with_mnemonic(_("Se_ed:"))
        label.set_xalign(0.0)
        self._chooser.labels.add_widget(label)
        spin = Gtk.SpinButton.new_with_range(0, host.SEED_MAX, 1)
        spin.set_activates_default(True)
        both_ways = GObject.BindingFlags.BIDIRECTIONAL | GObject.BindingFlags.SYNC_CREATE
        self._config.bind_property("seed", spin, "value", both_ways)
        label.set_mnemonic_widget(spin)
        dice = Gtk.Button.new_with_mnemonic("⚄ " + _("_Throw"))
        dice.set_tooltip_text(_("Another seed, another result"))
        dice.connect("clicked", lambda *_event: spin.set_value(random.randrange(1, _DICE)))
        row.pack_start(label, False, False, 0)
        row.pack_start(spin, True, True, 0)
        row.pack_start(dice, False, False, 0)
        return row

    def _selection_part(self):
        part = Gtk.Expander.new_with_mnemonic(_("Selection and s_urroundings"))
        box = Gtk.Box(
            orientation=Gtk.Orientation.VERTICAL, spacing=6, margin_start=12, margin_top=6
        )
        for name in ("grow", "feather"):
            box.pack_start(self._dialog.get_scale_entry(name, 1.0), False, False, 0)
        box.pack_start(self._dialog.get_widget("context", GObject.TYPE_NONE), False, False, 0)
        part.add(box)
        get = self._config.get_property
        part.set_expanded(bool(get("grow") or get("feather") or get("context") != "auto"))
        return part

    def _show(self, update):
        if update.kind == "offer":
            self._chooser.offer(update.offer)
        elif update.kind == "cancelled" and not self._applying:
            self._idle("")  # a preview that is no longer wanted
        else:
            super()._show(update)

    # -- the preview -------------------------------------------------------------------------

    def _on_preview(self, button):
        arguments.remember_preview(button.get_active())
        self._want_preview()

    def _want_preview(self):
        self._stale = True
        if not self._wanted:
            self._wanted = GLib.timeout_add(_SETTLE_MS, self._preview)

    def _preview(self):
        """Send the values of this moment, unless an edit is on its way: its end calls this again.

        (What is on its way is not stopped: it may be opening the photo, which the next one needs.)
        """
        self._wanted = 0
        if not self._shown.get_active():
            self._stop_preview()
        elif self._stale and not self.work.busy and not self._applying:
            self._stale = False
            request = arguments.request(self._config)._replace(quality="preview")
            if self._start(request, on_canvas=True):
                self._line.set_text("")
        return False

    def _stop_preview(self):
        if not self._applying:
            self.work.editing.cancel()
            self.work.hide_preview()

    def _look_at_selection(self):
        selection = self.work.selection()
        if selection is None:
            self._stay_closed()
        elif selection != self._selection:
            self._selection = selection
            self._want_preview()

    def _stay_closed(self):
        """The image is gone: say so, and nothing else can be done here."""
        self.work.editing.close()  # without a word: a cancelled edit would be told of
        self._stopped(host.wrong_layer(_("The image was closed.")))
        self._choices.set_sensitive(False)
        self._dialog.set_response_sensitive(Gtk.ResponseType.OK, False)

    # -- applying ----------------------------------------------------------------------------

    def _on_ok(self):
        if self._applying:
            return
        request = arguments.request(self._config)._replace(quality="final")
        if self._start(request):
            self._line.set_text("")
            self._restart.hide()
            self._bar.set_text(_("Looking for the engine…"))
            self._set_applying(True)

    def _on_cancel(self):
        if not self._applying:
            self._loop.quit()
            return
        self.work.editing.cancel()

    def _finished(self, update):
        if self._applying:
            arguments.remember(arguments.request(self._config))
            super()._finished(update)
            return
        self._idle(self._line.get_text())
        if self._stale:
            self._preview()

    def _idle(self, text):
        super()._idle(text)
        self._set_applying(False)

    def _set_applying(self, applying):
        self._applying = applying
        self._choices.set_sensitive(not applying)
        self._dialog.set_response_sensitive(Gtk.ResponseType.OK, not applying)

    def _on_restart(self):
        super()._on_restart()
        self._want_preview()


class DirectWindow(_Window):
    """An edit without questions: it begins at once, and the window goes with it."""

    def __init__(self, job, request, title):
        dialog = GimpUi.Dialog(title=title, role="ganpaint-direct", use_header_bar=True)
        dialog.add_button(_("_Cancel"), Gtk.ResponseType.CANCEL)
        dialog.add_button(_("_Try again"), Gtk.ResponseType.OK)
        dialog.get_content_area().set_border_width(12)
        dialog.set_default_size(380, -1)
        super().__init__(dialog, job)
        self._request = request

    def _begin(self):
        self._on_ok()

    def _on_ok(self):
        self._idle("")
        self._restart.hide()
        self._bar.set_text(_("Looking for the engine…"))
        going = self._start(self._request._replace(quality="final"))
        self._dialog.set_response_sensitive(Gtk.ResponseType.OK, not going)

    def _on_restart(self):
        super()._on_restart()
        self._on_ok()

    def _stopped(self, error):
        super()._stopped(error)
        self._dialog.set_response_sensitive(Gtk.ResponseType.OK, True)
