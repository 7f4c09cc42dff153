"""The Doctor's window: what the engine is doing, and the settings; it needs no image."""

import gi

gi.require_version("Gtk", "3.0")
gi.require_version("GimpUi", "3.0")
from ganpaint_bridge import BridgeError, host, settings  # noqa: E402
from ganpaint_bridge.doctor import Doctor  # noqa: E402
from ganpaint_bridge.words import _  # noqa: E402
from gi.repository import Gdk, GimpUi, GLib, Gtk  # noqa: E402

_PUMP_MS = 100
_VALUE_WIDTH = 60  # characters
_MARKS = {True: "✓", False: "✗", None: ""}
# Beside the responses of every dialog, which are below 0.
_COPY, _RESTART, _STOP = 1, 2, 3


class DoctorWindow:
    """Shows the bridge's report and keeps it fresh, until the person closes it."""

    def __init__(self, client):
        self._doctor = Doctor(client)
        self._loop = GLib.MainLoop()
        self._shown = None
        self._dialog = GimpUi.Dialog(title=_("GANPaint Doctor"), role="ganpaint-doctor")
        self._dialog.add_button(_("Copy re_port"), _COPY)
        self._dialog.add_button(_("_Restart the engine"), _RESTART)
        self._dialog.add_button(_("S_top the engine"), _STOP)
        self._dialog.add_button(_("_Close"), Gtk.ResponseType.CLOSE)
        pages = Gtk.Notebook(border_width=6)
        self._report = Gtk.Grid(row_spacing=6, column_spacing=12, border_width=12)
        pages.append_page(self._report, Gtk.Label(label=_("Engine")))
        self._form = _SettingsForm(self._doctor.restart)
        pages.append_page(self._form.widget, Gtk.Label(label=_("Settings")))
        self._line = Gtk.Label(xalign=0.0, wrap=True, margin_start=12)
        content = self._dialog.get_content_area()
        content.pack_start(pages, True, True, 0)
        content.pack_start(self._line, False, False, 6)

    def run(self):
        """Show the window until it is closed."""
        self._dialog.connect("response", self._on_response)
        self._dialog.show_all()
        self._pump()
        timer = GLib.timeout_add(_PUMP_MS, self._pump)
        self._loop.run()
        GLib.source_remove(timer)
        self._doctor.close()
        self._dialog.destroy()

    def _pump(self):
        self._doctor.pump()
        lines = self._doctor.lines()
        if lines != self._shown:
            self._shown = lines
            self._show(lines)
        return True

    def _show(self, lines):
        for child in self._report.get_children():
            self._report.remove(child)
        for row, line in enumerate(lines):
            value = Gtk.Label(label=line.value, xalign=0.0, selectable=True, wrap=True)
            value.set_max_width_chars(_VALUE_WIDTH)
            value.set_can_focus(False)
            self._report.attach(Gtk.Label(label=_MARKS[line.ok], xalign=0.0), 0, row, 1, 1)
            self._report.attach(Gtk.Label(label=line.title, xalign=0.0, yalign=0.0), 1, row, 1, 1)
            self._report.attach(value, 2, row, 1, 1)
        self._report.show_all()
        self._dialog.set_response_sensitive(_STOP, self._doctor.running)

    def _on_response(self, _dialog, response):
        if response == _COPY:
            clipboard = Gtk.Clipboard.get(Gdk.SELECTION_CLIPBOARD)
            clipboard.set_text(self._doctor.report_text(), -1)
            clipboard.store()
            self._line.set_text(_("The report is in the clipboard: no private paths, no pictures."))
        elif response == _RESTART:
            self._doctor.restart()
        elif response == _STOP:
            self._doctor.stop()
        else:
            self._loop.quit()


class _SettingsForm:
    """``widget``: the settings that engine and editors share, to be changed and saved."""

    def __init__(self, restart):
        self._restart = restart
        self.widget = Gtk.Grid(row_spacing=6, column_spacing=12, border_width=12)
        chosen = settings.read()
        rows = (
            ("engine", _("_Engine's path"), _("found by itself")),
            ("model", _("_Model"), _("the engine's own")),
            ("device", _("_Device"), _("auto, cpu, cuda, cuda:1, mps…")),
            ("remote", _("Remote en_gine"), "tcp://HOST:PORT"),
            ("remote_key", _("Its public _key"), _("64 digits and letters a to f")),
        )
        self._entries = {}
        for row, (name, label, hint) in enumerate(rows):
            entry = Gtk.Entry(text=getattr(chosen, name), placeholder_text=hint, hexpand=True)
            self._attach(label, entry, row)
            self._entries[name] = entry
        self._idle = Gtk.SpinButton.new_with_range(0, 100000, 1)
        self._idle.set_value(chosen.idle_minutes)
        self._idle.set_tooltip_text(_("Minutes without work until the engine leaves; 0: never"))
        self._attach(_("_Idle minutes"), self._idle, len(rows))
        save = Gtk.Button.new_with_mnemonic(_("Sa_ve, and restart the engine"))
        save.connect("clicked", lambda *_event: self._save())
        self.widget.attach(save, 1, len(rows) + 1, 1, 1)
        self._said = Gtk.Label(xalign=0.0, wrap=True, max_width_chars=_VALUE_WIDTH)
        self.widget.attach(self._said, 0, len(rows) + 2, 2, 1)

    def _attach(self, text, widget, row):
        label = Gtk.Label.new_with_mnemonic(text)
        label.set_xalign(0.0)
        label.set_mnemonic_widget(widget)
        self.widget.attach(label, 0, row, 1, 1)
        self.widget.attach(widget, 1, row, 1, 1)

    def _save(self):
        texts = {name: entry.get_text().strip() for name, entry in self._entries.items()}
        try:
            settings.write(settings.Settings(idle_minutes=self._idle.get_value(), **texts))
        except BridgeError as error:
            self._said.set_text(host.failure_text(error))
            return
        self._said.set_text(_("Saved."))
        self._restart()
