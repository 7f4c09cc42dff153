"""The docker: choices, Apply and Cancel, progress and errors; the work never blocks Krita."""

from krita import DockWidget, Krita

from . import picture
from .ganpaint_bridge import BridgeError, host
from .qt import (
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSpinBox,
    QTimer,
    QVBoxLayout,
    QWidget,
)

DOCKER_ID = "ganpaint_docker"
_PUMP_MS = 30


class GanPaintDocker(DockWidget):
    """One per Krita window. Runs one edit at a time on the document active when it began."""

    def __init__(self):
        super().__init__()
        self.setWindowTitle("GANPaint")
        self._editing = host.Editing("krita %s" % Krita.instance().version())
        self._document = None
        self._layer = None
        # A timer in the GUI thread: Krita gives Python threads no reliable time to run.
        self._timer = QTimer(self)
        self._timer.setInterval(_PUMP_MS)
        self._timer.timeout.connect(self._pump)
        self._build()

    def canvasChanged(self, canvas):
        """Krita asks for it; an edit stays with the document that it was begun on."""

    def edit(self, operation, concept):
        """Apply what a menu entry names, with the strength, seed and quality chosen here."""
        self._operation.setCurrentIndex(host.OPERATIONS.index(operation))
        self._concept.setCurrentText(concept)
        self._apply()

    def _build(self):
        self._concept = QComboBox(objectName="ganpaint_concept", editable=True)
        self._offer(host.KNOWN_CONCEPTS)
        self._operation = QComboBox(objectName="ganpaint_operation")
        self._operation.addItems([host.operation_label(name) for name in host.OPERATIONS])
        self._strength = QDoubleSpinBox(objectName="ganpaint_strength", singleStep=0.1)
        self._strength.setRange(*host.STRENGTH_RANGE)
        self._strength.setValue(host.STRENGTH_DEFAULT)
        self._seed = QSpinBox(objectName="ganpaint_seed", maximum=host.SEED_MAX)
        self._quality = QComboBox(objectName="ganpaint_quality")
        self._quality.addItems([host.quality_label(name) for name in host.QUALITIES])
        self._apply_button = QPushButton("Apply", objectName="ganpaint_apply")
        self._apply_button.clicked.connect(self._apply)
        self._cancel_button = QPushButton("Cancel", objectName="ganpaint_cancel", enabled=False)
        self._cancel_button.clicked.connect(self._cancel)
        self._bar = QProgressBar(objectName="ganpaint_progress", value=0)
        self._status = QLabel(objectName="ganpaint_status", wordWrap=True)
        self.setWidget(self._lay_out())

    def _lay_out(self):
        form = QFormLayout()
        form.addRow("Operation", self._operation)
        form.addRow("Concept", self._concept)
        form.addRow("Strength", self._strength)
        form.addRow("Seed", self._seed)
        form.addRow("Quality", self._quality)
        buttons = QHBoxLayout()
        buttons.addWidget(self._apply_button)
        buttons.addWidget(self._cancel_button)
        panel = QWidget()
        layout = QVBoxLayout(panel)
        layout.addLayout(form)
        layout.addLayout(buttons)
        layout.addWidget(self._bar)
        layout.addWidget(self._status)
        layout.addStretch()
        return panel

    def _offer(self, concepts):
        chosen = self._concept.currentText()
        self._concept.clear()
        self._concept.addItems(concepts)
        if chosen:
            self._concept.setCurrentText(chosen)

    def _request(self):
        return host.EditRequest(
            host.concept_named(self._concept.currentText()),
            host.OPERATIONS[self._operation.currentIndex()],
            self._strength.value(),
            self._seed.value(),
            host.QUALITIES[self._quality.currentIndex()],
        )

    def _apply(self, _checked=False):
        if not self._apply_button.isEnabled():
            self._status.setText("An edit is under way. Wait for it, or cancel it.")
            return
        # First: Krita handles events while it converts colours, a second press among them.
        self._apply_button.setEnabled(False)
        try:
            self._start()
        except BridgeError as error:
            self._show_idle(host.failure_text(error))
        except Exception as error:  # Krita would drop it without a word to the person
            self._show_idle(host.failure_text(host.internal("The layer cannot be read", error)))

    def _start(self):
        window = Krita.instance().activeWindow()
        self._document = Krita.instance().activeDocument()
        if self._document is None:
            raise host.wrong_layer("Open a photo first.")
        view = window.activeView() if window else None
        self._layer = picture.active_layer(view, self._document)
        self._editing.start(self._request(), picture.read(self._document, self._layer))
        self._bar.setValue(0)
        self._status.setText("Looking for the engine…")
        self._cancel_button.setEnabled(True)
        self._timer.start()

    def _cancel(self, _checked=False):
        self._status.setText("Cancelling…")
        self._editing.cancel()
        if not self._editing.busy:
            self._show_idle("Cancelled.")

    def _pump(self):
        for update in self._editing.pump():
            if update.kind == "progress":
                self._bar.setValue(round(100 * update.fraction))
                self._status.setText(update.text)
            elif update.kind == "offer" and update.offer.concepts:
                self._offer(update.offer.concepts)
            elif update.kind == "done":
                self._insert(update)
            elif update.kind in ("failed", "cancelled"):
                self._show_idle(update.text)

    def _insert(self, update):
        # Nothing to wait for or to cancel any more, while Krita takes the layer.
        self._timer.stop()
        self._cancel_button.setEnabled(False)
        if not any(document == self._document for document in Krita.instance().documents()):
            self._show_idle("The document was closed before the edit was done.")
            return
        try:
            picture.insert(self._document, self._layer, update.patch)
        except Exception as error:  # Krita would drop it without a word to the person
            self._show_idle(host.failure_text(host.internal("The layer cannot be made", error)))
            return
        self._show_idle(update.text)
        self._bar.setValue(100)

    def _show_idle(self, text):
        # The connection is kept only for the length of an edit; an idle engine may then leave.
        self._timer.stop()
        self._editing.close()
        self._bar.setValue(0)
        self._status.setText(text)
        self._apply_button.setEnabled(True)
        self._cancel_button.setEnabled(False)
