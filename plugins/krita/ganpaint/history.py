"""The document's GANPaint edits: each can be shown, hidden, taken up again, or removed."""

from . import recipes
from .ganpaint_bridge.words import _
from .qt import QtCore, QtWidgets

_LOOK_MS = 700  # Krita tells nobody of undo, redo and the eye in its layer list
_ICON = 48
_ID = QtCore.Qt.ItemDataRole.UserRole
_SHOWN = QtCore.Qt.CheckState.Checked
_HIDDEN = QtCore.Qt.CheckState.Unchecked


class History(QtWidgets.QWidget):
    """A list with thumbnails; the box before an edit is the eye of its layer.

    Krita's scripts cannot join two steps into one undo step. So a layer that an edit replaces is
    hidden and not removed, and this list shows it again when undo takes the newer one away.
    """

    again = QtCore.pyqtSignal(object)  # recipes.Edit
    here = QtCore.pyqtSignal(object)

    def __init__(self):
        super().__init__()
        self._document = None
        self._seen = None
        self._present = {}  # whether a layer that replaced another was there at the last look
        self._list = QtWidgets.QListWidget(objectName="ganpaint_history")
        self._list.setIconSize(QtCore.QSize(_ICON, _ICON))
        self._list.itemChanged.connect(self._toggled)
        self._list.itemSelectionChanged.connect(self._enable)
        self._buttons = [
            self._button("again", _("Edit again"), lambda: self.again.emit(self.chosen())),
            self._button("here", _("Repeat here"), lambda: self.here.emit(self.chosen())),
            self._button("discard", _("Remove"), self._discard),
        ]
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(QtWidgets.QLabel(_("Edits of this document")))
        layout.addWidget(self._list)
        row = QtWidgets.QHBoxLayout()
        for button in self._buttons:
            row.addWidget(button)
        layout.addLayout(row)
        self._enable()
        self._timer = QtCore.QTimer(self)
        self._timer.setInterval(_LOOK_MS)
        self._timer.timeout.connect(self.look)

    def _button(self, name, text, pressed):
        button = QtWidgets.QPushButton(text, objectName="ganpaint_" + name)
        button.clicked.connect(lambda _checked=False: pressed())
        return button

    def show_document(self, document):
        """Show the edits of ``document`` (None: of none)."""
        if document is None or self._document is None or document != self._document:
            self._present = {}
        self._document = document
        if document is None:
            self._timer.stop()
        else:
            self._timer.start()
        self.look()

    def look(self):
        """See what became of the layers meanwhile."""
        edits = recipes.edits(self._document) if self._document is not None else []
        self._swap(edits)
        seen = [(edit.id, edit.layer.name(), edit.layer.visible()) for edit in edits]
        if seen == self._seen:
            return
        self._seen = seen
        chosen = self._list.currentItem().data(_ID) if self._list.currentItem() else None
        self._list.blockSignals(True)
        self._list.clear()
        for edit in edits:
            item = QtWidgets.QListWidgetItem(recipes.icon(edit.place), edit.layer.name())
            item.setData(_ID, edit.id)
            item.setToolTip(edit.layer.name())
            item.setCheckState(_SHOWN if edit.layer.visible() else _HIDDEN)
            self._list.addItem(item)
            if edit.id == chosen:
                self._list.setCurrentItem(item)
        self._list.blockSignals(False)
        self._enable()

    def _swap(self, edits):
        """Show a replaced layer when the one that replaced it goes, hide it when that comes."""
        there = {edit.id: edit for edit in edits}
        for name in recipes.ids(self._document) if self._document is not None else ():
            replaced = there.get(recipes.place_of(self._document, name).get("replaces"))
            before, now = self._present.get(name), name in there
            self._present[name] = now
            if replaced is not None and before is not None and before != now:
                replaced.layer.setVisible(not now)
                self._document.refreshProjection()

    def chosen(self):
        item = self._list.currentItem()
        node = recipes.node_of(self._document, item.data(_ID)) if item is not None else None
        return recipes.edit_of(self._document, node) if node is not None else None

    def _enable(self):
        for button in self._buttons:
            button.setEnabled(self._list.currentItem() is not None)

    def _toggled(self, item):
        node = recipes.node_of(self._document, item.data(_ID))
        if node is not None:
            node.setVisible(item.checkState() == _SHOWN)
            self._document.refreshProjection()

    def _discard(self):
        edit = self.chosen()
        if edit is not None:
            edit.layer.remove()
            self.look()
