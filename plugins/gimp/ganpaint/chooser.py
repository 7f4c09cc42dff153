"""The upper part of the dialog: operation, concept and look, as the current model has them."""

import gi

gi.require_version("Gtk", "3.0")
from ganpaint_bridge import host  # noqa: E402
from ganpaint_bridge.words import _  # noqa: E402
from gi.repository import GdkPixbuf, GLib, Gtk  # noqa: E402

_ICON_PX = 24
_LOOK_PX = 64


class Chooser:
    """``widget`` shows, and changes, "operation", "concept" and "variant" of a procedure's config.

    ``offer`` starts as what every model has, and becomes what the engine says of its own.
    """

    def __init__(self, config):
        self._config = config
        self._offer = host.DEFAULT_OFFER
        self._filling = False
        self.widget = Gtk.Grid(row_spacing=6, column_spacing=12)
        self.labels = Gtk.SizeGroup(mode=Gtk.SizeGroupMode.HORIZONTAL)
        self._operations = self._operation_buttons()
        self._concepts = self._concept_list()
        self._looks = Gtk.FlowBox(max_children_per_line=8, min_children_per_line=4)
        self._looks.set_selection_mode(Gtk.SelectionMode.SINGLE)
        self._looks.set_activate_on_single_click(True)
        self._looks.connect("child-activated", self._on_look)
        self._looks_label = self._label(_("_Look:"), self._looks, 2)
        self.widget.show_all()
        for name in ("operation", "concept", "variant"):
            config.connect("notify::" + name, lambda *_event: self._fill())
        self._fill()

    def offer(self, offer):
        """Show what the current model can do."""
        self._offer = offer
        self._fill()

    def _operation_buttons(self):
        row = Gtk.Box(homogeneous=True)
        row.get_style_context().add_class("linked")
        buttons, first = {}, None
        for operation in host.OPERATIONS:
            label = host.operation_label(operation)
            button = Gtk.RadioButton.new_with_label_from_widget(first, label)
            button.set_mode(False)
            button.connect("toggled", self._on_operation, operation)
            row.pack_start(button, True, True, 0)
            buttons[operation] = button
            first = first or button
        self.widget.attach(row, 0, 0, 2, 1)
        return buttons

    def _concept_list(self):
        # The concept, its label, its picture.
        self._store = Gtk.ListStore(str, str, GdkPixbuf.Pixbuf)
        box = Gtk.ComboBox(model=self._store, id_column=0, hexpand=True)
        picture, text = Gtk.CellRendererPixbuf(), Gtk.CellRendererText()
        box.pack_start(picture, False)
        box.add_attribute(picture, "pixbuf", 2)
        box.pack_start(text, True)
        box.add_attribute(text, "text", 1)
        box.connect("changed", self._on_concept)
        self._label(_("Co_ncept:"), box, 1)
        return box

    def _label(self, text, widget, row):
        label = Gtk.Label.new_with_mnemonic(text)
        label.set_xalign(0.0)
        label.set_mnemonic_widget(widget)
        self.labels.add_widget(label)
        self.widget.attach(label, 0, row, 1, 1)
        self.widget.attach(widget, 1, row, 1, 1)
        return label

    def _fill(self):
        """Make the widgets show what the config says."""
        if self._filling:
            return
        self._filling = True
        try:
            operation = self._config.get_property("operation")
            self._operations[operation].set_active(True)
            self._fill_concepts(operation, self._config.get_property("concept"))
            self._fill_looks(operation, self._config.get_property("concept"))
        finally:
            self._filling = False

    def _fill_concepts(self, operation, chosen):
        names = list(self._offer.concepts_for(operation))
        if chosen and chosen not in names:  # the engine will say that it does not know it
            names.append(chosen)
        self._store.clear()
        for name in names:
            label = host.title(host.name_label(name))
            self._store.append([name, label, self._concept_picture(name)])
        self._concepts.set_active_id(chosen)

    def _concept_picture(self, concept):
        looks = (self._offer.looks.get((concept, one)) for one in self._offer.variants(concept))
        return next((_pixbuf(look, _ICON_PX) for look in looks if look is not None), None)

    def _fill_looks(self, operation, concept):
        for child in self._looks.get_children():
            self._looks.remove(child)
        variants = self._offer.variants(concept, operation)
        chosen = self._config.get_property("variant") or ""
        for variant in ("", *variants) if variants else ():
            child = self._look_cell(concept, variant)
            self._looks.add(child)
            if variant == chosen:
                self._looks.select_child(child)
        self._looks.show_all()
        self._looks.set_visible(bool(variants))
        self._looks_label.set_visible(bool(variants))

    def _look_cell(self, concept, variant):
        look = self._offer.looks.get((concept, variant))
        cell = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=2)
        if look is not None:
            cell.pack_start(Gtk.Image.new_from_pixbuf(_pixbuf(look, _LOOK_PX)), False, False, 0)
        text = host.name_label(variant) if variant else _("by the seed")
        cell.pack_end(Gtk.Label(label=text), look is None, True, 0)
        child = Gtk.FlowBoxChild()
        child.variant = variant
        child.add(cell)
        return child

    def _on_operation(self, button, operation):
        if button.get_active() and not self._filling:
            self._set("operation", operation)
            known = self._offer.concepts_for(operation)
            if known and self._config.get_property("concept") not in known:
                self._set("concept", known[0])
            self._fill()

    def _on_concept(self, box):
        if not self._filling and box.get_active_id():
            self._set("variant", "")
            self._set("concept", box.get_active_id())

    def _on_look(self, _looks, child):
        if not self._filling:
            self._set("variant", child.variant)

    def _set(self, name, value):
        if self._config.get_property(name) != value:
            self._config.set_property(name, value)


def _pixbuf(look, side):
    """A look's thumbnail, at most ``side`` px wide and high."""
    data = GLib.Bytes.new(look.rgb)
    space = GdkPixbuf.Colorspace.RGB
    size = look.width, look.height
    whole = GdkPixbuf.Pixbuf.new_from_bytes(data, space, False, 8, *size, look.width * 3)
    scale = side / max(size)
    small = [max(round(length * scale), 1) for length in size]
    return whole.scale_simple(*small, GdkPixbuf.InterpType.BILINEAR)
