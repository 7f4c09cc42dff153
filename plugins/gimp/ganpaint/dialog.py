"""The dialog: choices above, progress and errors below, GIMP usable all the while.

It runs its own GLib loop instead of ``dialog.run()``, so that a timer can pump the bridge and the
dialog can stay open during the work. (The status bar's Cancel would kill the plug-in outright.)
"""

import gi

gi.require_version("Gimp", "3.0")
gi.require_version("GimpUi", "3.0")
gi.require_version("Gtk", "3.0")
import arguments  # noqa: E402
import picture  # noqa: E402
from ganpaint_bridge import BridgeError, host  # noqa: E402
from gi.repository import GimpUi, GLib, GObject, Gtk  # noqa: E402

_PUMP_MS = 50


class EditDialog:
    """One open dialog. ``preset`` is (operation, concept) of a direct menu entry, or None."""

    def __init__(self, procedure, config, image, drawables, client, preset):
        self._config = config
        self._image = image
        self._drawables = drawables
        self._preset = preset
        self._layer = None
        self._done = False
        self._loop = GLib.MainLoop()
        self._editing = host.Editing(client)
        name = host.edit_title(*preset) if preset else "Edit with GANPaint"
        self._dialog = GimpUi.ProcedureDialog.new(procedure, config, name)
        self._dialog.set_ok_label("_Apply")
        self._fill()

    def run(self):
        """Show the dialog until an edit is done (True) or the person closes it (False)."""
        self._dialog.connect("response", self._on_response)
        self._dialog.connect("delete-event", lambda *_: True)
        self._dialog.show()
        self._editing.connect()
        GLib.timeout_add(_PUMP_MS, self._pump)
        if self._preset:
            GLib.idle_add(self._start)
        self._loop.run()
        self._editing.close()
        self._dialog.destroy()
        return self._done

    def _fill(self):
        self._dialog.get_scale_entry("strength", 1.0)
        if self._preset:
            self._dialog.fill(["strength", "seed", "quality"])
        else:
            self._add_concept_list()
            self._dialog.fill(["operation", "concept", "strength", "seed", "quality"])
        self._bar = Gtk.ProgressBar(show_text=True, text="")
        self._line = Gtk.Label(xalign=0.0, wrap=True, selectable=True, max_width_chars=48)
        content = self._dialog.get_content_area()
        content.pack_start(self._bar, False, False, 6)
        content.pack_start(self._line, False, False, 0)
        self._bar.show()
        self._line.show()

    def _add_concept_list(self):
        """Put a list of suggestions where GIMP has a plain entry for the string "concept"."""
        labeled = self._dialog.get_widget("concept", GObject.TYPE_NONE)
        labeled.remove(labeled.get_entry())
        self._concept = Gtk.ComboBoxText.new_with_entry()
        entry = self._concept.get_child()
        entry.set_activates_default(True)
        both_ways = GObject.BindingFlags.BIDIRECTIONAL | GObject.BindingFlags.SYNC_CREATE
        self._config.bind_property("concept", entry, "text", both_ways)
        self._offer(host.KNOWN_CONCEPTS)
        self._concept.set_hexpand(True)
        self._concept.show()
        labeled.attach(self._concept, 1, 0, 1, 1)
        labeled.get_label().set_mnemonic_widget(self._concept)

    def _offer(self, concepts):
        self._concept.remove_all()
        for concept in concepts:
            self._concept.append_text(concept)

    def _on_response(self, dialog, response):
        if response == Gtk.ResponseType.OK:
            # The dialog would otherwise end here; it stays open for the work.
            GObject.signal_stop_emission_by_name(dialog, "response")
            self._start()
        elif response in (Gtk.ResponseType.CANCEL, Gtk.ResponseType.DELETE_EVENT):
            GObject.signal_stop_emission_by_name(dialog, "response")
            if self._editing.busy:
                self._line.set_text("Cancelling…")
                self._editing.cancel()
                self._show_idle_if_done()
            else:
                self._loop.quit()

    def _start(self):
        if self._editing.busy:
            return
        self._line.set_text("")
        try:
            self._layer = picture.active_layer(self._image, self._drawables)
            pixels = picture.read(self._image, self._layer)
            self._editing.start(arguments.request(self._config, self._preset), pixels)
        except BridgeError as error:
            self._show_idle(host.failure_text(error))
            return
        except Exception as error:
            self._show_idle(host.failure_text(host.internal("The layer cannot be read", error)))
            return
        self._bar.set_fraction(0.0)
        self._bar.set_text("Looking for the engine…")
        self._dialog.set_response_sensitive(Gtk.ResponseType.OK, False)

    def _pump(self):
        for update in self._editing.pump():
            self._show(update)
        return True

    def _show(self, update):
        if update.kind == "progress":
            self._bar.set_fraction(update.fraction)
            self._bar.set_text(update.text)
        elif update.kind == "offer" and not self._preset and update.offer.concepts:
            self._offer(update.offer.concepts)
        elif update.kind == "done":
            self._insert(update.patch)
        elif update.kind in ("failed", "cancelled"):
            self._show_idle(update.text)

    def _insert(self, patch):
        if not self._image.is_valid():
            self._show_idle("The image was closed before the edit was done.")
            return
        try:
            picture.insert(self._image, self._layer, patch)
        except Exception as error:
            self._show_idle(host.failure_text(host.internal("The layer cannot be made", error)))
            return
        self._done = True
        self._loop.quit()

    def _show_idle(self, text):
        self._bar.set_fraction(0.0)
        self._bar.set_text("")
        self._line.set_text(text)
        self._dialog.set_response_sensitive(Gtk.ResponseType.OK, True)

    def _show_idle_if_done(self):
        if not self._editing.busy:
            self._show_idle("Cancelled.")
