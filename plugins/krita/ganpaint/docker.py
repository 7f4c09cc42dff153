"""The docker: choices, preview and Apply, progress and errors, the document's edits, the engine."""

from krita import DockWidget, Krita

from . import doctor, picture, recipes
from .controls import Controls
from .ganpaint_bridge import BridgeError, host
from .ganpaint_bridge.words import _
from .history import History
from .qt import QtCore, QtWidgets
from .session import Session, Target

DOCKER_ID = "ganpaint_docker"
_SETTLE_MS = 60  # a slider on its way tells of many values


class GanPaintDocker(DockWidget):
    """One per Krita window. Runs one edit at a time, on the document active when it began."""

    def __init__(self):
        super().__init__()
        self.setWindowTitle("GANPaint")
        self._session = Session("krita %s" % Krita.instance().version(), self)
        self._again = None  # the recipes.Edit that is being made again
        self._make()
        self._settle = QtCore.QTimer(self)
        self._settle.setSingleShot(True)
        self._settle.setInterval(_SETTLE_MS)
        self._settle.timeout.connect(self._preview)

    def canvasChanged(self, _canvas):
        """Krita asks for it. An edit stays with the document that it was begun on."""
        document = Krita.instance().activeDocument()
        self._session.forget_closed()
        self._history.show_document(document)
        if document is not None and self.isVisible():
            self._session.look_for_engine()

    def edit(self, operation, concept):
        """Apply what a menu entry names, with the values chosen here last."""
        values = {"operation": operation, "concept": concept, "variant": None}
        self._leave_again()
        self._controls.choose(self._controls.request()._replace(**values))
        self.apply()

    def apply(self, _checked=False):
        """Make the edit chosen here a layer."""
        self._run(self._session.apply)

    def toggle_preview(self):
        """Switch the preview on the canvas on or off."""
        self._preview_button.click()

    def edit_again(self):
        """Take up the edit of the active layer, or the one chosen in the list."""
        self._with_edit(self._take_up)

    def repeat_here(self):
        """Make the edit of the active layer, or the one chosen in the list, on the selection."""
        self._with_edit(self._repeat_edit)

    # -- told by the session -----------------------------------------------------------------

    def progress(self, fraction, text):
        if self._session.busy:
            self._bar.setValue(round(100 * fraction))
            self._status.setText(text)

    def idle(self, text, error):
        self._bar.setValue(0)
        self._status.setText(text)
        self._preview_button.setChecked(False)
        self._restart_button.setVisible(error is not None and error.code.startswith("engine_"))
        self._enable(busy=False)

    def previewed(self, patch):
        self._bar.setValue(100)
        self._status.setText(_("Preview. Apply makes it a layer; Cancel leaves no trace."))
        self._warn(patch.report.get("warnings", ()))

    def inserted(self, _layer, patch):
        self.idle(_("%s: done.") % patch.name, None)
        self._bar.setValue(100)
        self._warn(patch.report.get("warnings", ()))
        self._leave_again()
        self._history.look()

    def held(self, text):
        self.idle(text + " " + _("Apply again, or insert the edit as it is."), None)
        self._insert_button.setVisible(True)
        self._cancel_button.setEnabled(True)

    def news(self, update):
        if update.kind == "offer":
            self._controls.offer(update.offer)
            self._engine_line.setText(_engine_text(update.offer))
        elif update.kind == "warning":
            self._warning.setText(update.text)
            self._warning.show()
        elif update.kind == "silent":
            self._status.setText(update.text)
            self._restart_button.show()
        elif update.kind == "engine":
            self._engine_line.setText(update.text)

    def unreachable(self, _error):
        self._engine_line.setText(_("The engine is not running; the first edit starts it."))

    # -- making ------------------------------------------------------------------------------

    def _make(self):
        self._controls = Controls()
        self._controls.changed.connect(self._changed)
        self._history = History()
        self._history.again.connect(self._take_up)
        self._history.here.connect(self._repeat_edit)
        self._preview_button = _button("preview", _("Preview"), self._preview_pressed)
        self._preview_button.setCheckable(True)
        self._apply_button = _button("apply", _("Apply"), self.apply)
        self._cancel_button = _button("cancel", _("Cancel"), self._cancel)
        self._insert_button = _button("insert", _("Insert anyway"), self._insert)
        self._restart_button = _button("restart", _("Restart the engine"), self._restart)
        self._leave_button = _button("leave", _("Make a new edit instead"), self._leave_again)
        self._doctor_button = _button("doctor", _("Doctor…"), lambda _checked=False: doctor.show())
        self._bar = QtWidgets.QProgressBar(objectName="ganpaint_progress", value=0)
        self._status = QtWidgets.QLabel(objectName="ganpaint_status", wordWrap=True)
        self._warning = QtWidgets.QLabel(objectName="ganpaint_warning", wordWrap=True)
        self._engine_line = QtWidgets.QLabel(objectName="ganpaint_engine", wordWrap=True)
        for widget in (self._insert_button, self._restart_button, self._leave_button):
            widget.hide()
        self._warning.hide()
        self.unreachable(None)
        self._enable(busy=False)
        self._lay_out()

    def _lay_out(self):
        panel = QtWidgets.QWidget()
        layout = QtWidgets.QVBoxLayout(panel)
        layout.addWidget(self._controls)
        layout.addWidget(self._leave_button)
        layout.addLayout(_row(self._preview_button, self._apply_button, self._cancel_button))
        layout.addWidget(self._bar)
        for widget in (self._status, self._warning, self._insert_button, self._restart_button):
            layout.addWidget(widget)
        layout.addWidget(self._controls.more)
        layout.addWidget(self._history, 1)
        layout.addLayout(_row(self._engine_line, self._doctor_button))
        area = QtWidgets.QScrollArea(widgetResizable=True)
        area.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setFrameShape(QtWidgets.QFrame.Shape.NoFrame)
        area.setWidget(panel)
        bar = area.verticalScrollBar().sizeHint().width()
        area.setMinimumWidth(panel.minimumSizeHint().width() + bar)
        self.setWidget(area)

    def _enable(self, busy):
        self._apply_button.setEnabled(not busy)
        self._preview_button.setEnabled(not busy)
        self._cancel_button.setEnabled(busy)
        self._controls.setEnabled(not busy)
        self._controls.more.setEnabled(not busy)
        self._insert_button.hide()

    def _warn(self, sentences):
        text = "\n".join(str(sentence) for sentence in sentences)
        self._warning.setText(text)
        self._warning.setVisible(bool(text))

    # -- pressed -----------------------------------------------------------------------------

    def _preview_pressed(self, _checked=False):
        if self._preview_button.isChecked():
            self._preview()
        else:
            self._cancel()

    def _changed(self):
        if self._session.previewing:
            self._settle.start()

    def _preview(self):
        if self._preview_button.isChecked():
            self._run(self._session.preview)

    def _cancel(self, _checked=False):
        self._settle.stop()
        self._session.cancel()

    def _insert(self, _checked=False):
        self._enable(busy=True)
        self._session.insert_anyway()

    def _restart(self, _checked=False):
        self._restart_button.hide()
        self._session.restart_engine()

    def _run(self, start):
        """Start an edit of what is chosen; what is wrong with it is told in the status line."""
        final = start == self._session.apply
        if self._session.busy and not self._session.previewing:
            self._status.setText(_("An edit is under way. Wait for it, or cancel it."))
            return
        self._settle.stop()
        self._controls.keep()
        self._restart_button.hide()
        try:
            target = self._target()
            # First: Krita handles events while it converts colours, a second press among them.
            self._enable(busy=final)
            self._cancel_button.setEnabled(True)
            self._warn(())
            start(self._controls.request(), target)
        except BridgeError as error:
            self._session.cancel()
            self.idle(host.failure_text(error), error)
        except Exception as error:  # Krita would drop it without a word to the person
            self._session.cancel()
            self.idle(host.failure_text(host.internal(_("The layer cannot be read"), error)), None)

    def _target(self):
        """What an edit is of now. Raises BridgeError with what is missing."""
        window, document = Krita.instance().activeWindow(), Krita.instance().activeDocument()
        # Just after the last one was closed, Krita still names it.
        if document is None or not picture.is_open(document):
            raise host.wrong_layer(_("Open a photo first."))
        again = self._again
        if again is not None and recipes.node_of(document, again.id) is not None:
            source = recipes.node_of(document, again.place.get("source"))
            if source is None:
                raise host.wrong_layer(_("The layer that this edit was made of is gone."))
            return Target(document, source, again.layer, again.place.get("selection", {}), again)
        layer = picture.active_layer(window.activeView() if window else None, document)
        # On an edit's own layer the photo under it is meant.
        made = recipes.edit_of(document, layer)
        source = recipes.node_of(document, made.place.get("source")) if made else None
        return Target(document, source or layer, layer, {})

    # -- edits made before -------------------------------------------------------------------

    def _with_edit(self, act):
        document = Krita.instance().activeDocument()
        edit = recipes.edit_of(document, document.activeNode()) if document else None
        edit = edit or self._history.chosen()
        if edit is None:
            self._status.setText(_("Choose a layer that GANPaint made, or an edit in the list."))
        else:
            act(edit)

    def _take_up(self, edit):
        """Show the values of an edit; Apply then replaces its layer."""
        if self._can_be_made(edit):
            self._cancel()
            self._again = edit
            self._controls.choose(edit.request)
            self._leave_button.show()
            text = _("The values of “%s”. Apply replaces its layer.")
            self._status.setText(text % edit.layer.name())

    def _repeat_edit(self, edit):
        """Make an edit again, of the active layer, where the selection is now."""
        if self._can_be_made(edit):
            self._leave_again()
            self._controls.choose(edit.request)
            self.apply()

    def _can_be_made(self, edit):
        why = host.why_not_again(edit.recipe, self._session.editing.offer)
        if why is not None:
            self._status.setText(why)
        return why is None

    def _leave_again(self, _checked=False):
        self._again = None
        self._leave_button.hide()


def _button(name, text, pressed):
    button = QtWidgets.QPushButton(text, objectName="ganpaint_" + name)
    button.clicked.connect(pressed)
    return button


def _row(*widgets):
    row = QtWidgets.QHBoxLayout()
    for widget in widgets:
        row.addWidget(widget)
    return row


def _engine_text(offer):
    if offer.model is None:
        return _("The engine has no model that can edit photos.")
    return _("Model: %s") % ("%s %s" % (offer.model, offer.version)).strip()
