"""What can be chosen: the form of the docker. It keeps its last values in Krita's settings."""

import random

from krita import Krita

from .ganpaint_bridge import choices
from .ganpaint_bridge.words import _
from .qt import QtCore, QtGui, QtWidgets

_SETTINGS = "GANPaint"
_DICE = 16  # pixels of its icon
_LOOK = 64  # pixels of a thumbnail


class Controls(QtWidgets.QWidget):
    """Holds an EditRequest that the person can change; ``changed`` tells when it was.

    ``more`` is a widget of its own with what is changed less often.
    """

    changed = QtCore.pyqtSignal()

    def __init__(self):
        super().__init__()
        self._offer = choices.DEFAULT_OFFER
        self._quiet = False
        self._make()
        self._lay_out()
        self.offer(self._offer)
        self._restore()
        self._listen()

    def request(self):
        """What is chosen now, as a final edit."""
        operation = self._operation.currentData()
        look = self._looks.currentItem()
        variant = look.data(QtCore.Qt.ItemDataRole.UserRole) if look is not None else None
        return choices.EditRequest(
            choices.concept_named(self._concept.currentText()),
            operation,
            self._strength.value(),
            self._seed.value(),
            "final",
            variant if operation != "remove" else None,
            self._context.currentData(),
            self._grow.value(),
            float(self._feather.value()),
            self._composite.currentData(),
        )

    def choose(self, request):
        """Show ``request``, as if a person had chosen it; ``changed`` comes once."""
        self._quiet = True
        try:
            _pick(self._operation, request.operation)
            self._offer_concepts()
            self._concept.setCurrentText(choices.title(choices.name_label(request.concept)))
            self._offer_looks(request.variant)
            self._strength.setValue(request.strength)
            self._seed.setValue(request.seed)
            _pick(self._context, request.context)
            self._grow.setValue(request.grow)
            self._feather.setValue(round(request.feather))
            _pick(self._composite, request.composite)
        finally:
            self._quiet = False
        self._slide()
        self._tell()

    def offer(self, offer):
        """Offer what the engine's model can do."""
        self._offer, quiet = offer, self._quiet
        self._quiet = True
        self._offer_concepts()
        self._offer_looks(self._variant())
        self._quiet = quiet

    def keep(self):
        """Remember the values for the next time that Krita is started."""
        for name, value in self.request()._asdict().items():
            text = "" if value is None else str(value)
            Krita.instance().writeSetting(_SETTINGS, name, text)

    # -- making ------------------------------------------------------------------------------

    def _make(self):
        self._operation = _combo("operation", choices.OPERATIONS, choices.operation_label)
        self._concept = QtWidgets.QComboBox(objectName="ganpaint_concept", editable=True)
        _narrow(self._concept)
        self._looks = QtWidgets.QListWidget(objectName="ganpaint_looks")
        self._looks.setViewMode(QtWidgets.QListView.ViewMode.IconMode)
        self._looks.setMovement(QtWidgets.QListView.Movement.Static)
        self._looks.setResizeMode(QtWidgets.QListView.ResizeMode.Adjust)
        self._looks.setIconSize(QtCore.QSize(_LOOK, _LOOK))
        self._looks.setFixedHeight(_LOOK + 40)  # one row with its names
        self._strength = QtWidgets.QDoubleSpinBox(objectName="ganpaint_strength", singleStep=0.05)
        self._strength.setRange(*choices.STRENGTH_RANGE)
        self._strength.setValue(choices.STRENGTH_DEFAULT)
        horizontal = QtCore.Qt.Orientation.Horizontal
        self._slider = QtWidgets.QSlider(horizontal, objectName="ganpaint_strength_slider")
        self._slider.setRange(*(round(100 * end) for end in choices.STRENGTH_RANGE))
        self._seed = QtWidgets.QSpinBox(objectName="ganpaint_seed", maximum=choices.SEED_MAX)
        self._dice = QtWidgets.QToolButton(objectName="ganpaint_dice")
        self._dice.setIcon(_dice_icon(self.palette().color(QtGui.QPalette.ColorRole.ButtonText)))
        self._dice.setToolTip(_("Another seed: another one of the same kind"))
        self._grow = _pixels("grow", choices.GROW_RANGE)
        self._grow.setToolTip(_("Makes the selection larger, or smaller where it is negative"))
        self._feather = _pixels("feather", choices.FEATHER_RANGE)
        self._feather.setToolTip(_("Softens the edge of the selection"))
        self._context = _combo("context", choices.CONTEXTS, choices.context_label)
        self._context.setToolTip(_("How much of the photo the network sees"))
        self._composite = _combo("composite", choices.COMPOSITES, choices.composite_label)
        self._composite.setToolTip(_("How the new pixels are joined with the photo"))

    def _lay_out(self):
        form = QtWidgets.QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow(_("Operation"), self._operation)
        form.addRow(_("Concept"), self._concept)
        form.addRow(self._looks)
        form.addRow(_("Strength"), _row(self._slider, self._strength))
        form.addRow(_("Seed"), _row(self._seed, self._dice))
        self.more = QtWidgets.QWidget()
        more = QtWidgets.QFormLayout(self.more)
        more.setContentsMargins(0, 0, 0, 0)
        more.addRow(_("Grow"), self._grow)
        more.addRow(_("Feather"), self._feather)
        more.addRow(_("Context"), self._context)
        more.addRow(_("Blending"), self._composite)

    def _listen(self):
        self._operation.currentIndexChanged.connect(self._operation_chosen)
        self._concept.currentTextChanged.connect(self._concept_chosen)
        self._looks.currentItemChanged.connect(self._tell)
        self._strength.valueChanged.connect(self._slide)
        self._slider.valueChanged.connect(self._slid)
        self._dice.clicked.connect(self._throw)
        for spin in (self._strength, self._seed, self._grow, self._feather):
            spin.valueChanged.connect(self._tell)
        for combo in (self._context, self._composite):
            combo.currentIndexChanged.connect(self._tell)

    def _restore(self):
        values = {}
        for name, default in choices.EditRequest("tree", "add")._asdict().items():
            text = Krita.instance().readSetting(_SETTINGS, name, "")
            try:
                values[name] = type(default)(text) if text and default is not None else default
            except ValueError:
                values[name] = default
        values["variant"] = Krita.instance().readSetting(_SETTINGS, "variant", "") or None
        self.choose(choices.EditRequest(**values))

    # -- reacting ----------------------------------------------------------------------------

    def _tell(self, *_unused):
        if not self._quiet:
            self.changed.emit()

    def _slide(self, _value=None):
        self._slider.blockSignals(True)
        self._slider.setValue(round(100 * self._strength.value()))
        self._slider.blockSignals(False)

    def _slid(self, hundredths):
        self._strength.setValue(hundredths / 100)

    def _throw(self, _checked=False):
        self._seed.setValue(random.randrange(1, 10000))

    def _operation_chosen(self, _index):
        quiet, self._quiet = self._quiet, True
        self._offer_concepts()
        self._quiet = quiet
        self._concept_chosen()

    def _concept_chosen(self, _text=""):
        quiet, self._quiet = self._quiet, True
        self._offer_looks(self._variant())
        self._quiet = quiet
        self._tell()

    def _variant(self):
        look = self._looks.currentItem()
        return look.data(QtCore.Qt.ItemDataRole.UserRole) if look is not None else None

    def _offer_concepts(self):
        """The concepts of the model for the operation; what was chosen or typed stays."""
        chosen = self._concept.currentText()
        names = self._offer.concepts_for(self._operation.currentData()) or self._offer.concepts
        self._concept.clear()
        self._concept.addItems([choices.title(choices.name_label(name)) for name in names])
        if chosen:
            self._concept.setCurrentText(chosen)

    def _offer_looks(self, chosen):
        """The looks of the concept with their thumbnails; hidden where there are none."""
        concept = choices.concept_named(self._concept.currentText())
        names = self._offer.variants(concept, self._operation.currentData() or "add")
        self._looks.clear()
        for name in (None, *names) if names else ():
            label = choices.title(choices.name_label(name)) if name else _("Any")
            item = QtWidgets.QListWidgetItem(self._look_icon(concept, name), label)
            item.setData(QtCore.Qt.ItemDataRole.UserRole, name)
            self._looks.addItem(item)
            if name == chosen:
                self._looks.setCurrentItem(item)
        self._looks.setVisible(bool(names))

    def _look_icon(self, concept, name):
        look = self._offer.looks.get((concept, name))
        if look is None:
            return QtGui.QIcon()
        form = QtGui.QImage.Format.Format_RGB888
        image = QtGui.QImage(look.rgb, look.width, look.height, 3 * look.width, form)
        return QtGui.QIcon(QtGui.QPixmap.fromImage(image.copy()))


def _pick(combo, value):
    combo.setCurrentIndex(max(0, combo.findData(value)))


def _combo(name, values, label):
    combo = QtWidgets.QComboBox(objectName="ganpaint_" + name)
    _narrow(combo)
    for value in values:
        combo.addItem(label(value), value)
    return combo


def _narrow(combo):
    """A docker is narrow: a long choice is cut, and does not push the rest out of sight."""
    policy = QtWidgets.QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
    combo.setSizeAdjustPolicy(policy)
    combo.setMinimumContentsLength(8)


def _pixels(name, ends):
    spin = QtWidgets.QSpinBox(objectName="ganpaint_" + name, suffix=_(" px"))
    spin.setRange(*(round(end) for end in ends))
    return spin


def _row(first, second):
    row = QtWidgets.QHBoxLayout()
    row.addWidget(first, 1)
    row.addWidget(second)
    return row


def _dice_icon(colour):
    """A die that shows five: no icon of Krita's own means chance."""
    pixmap = QtGui.QPixmap(_DICE, _DICE)
    pixmap.fill(QtCore.Qt.GlobalColor.transparent)
    painter = QtGui.QPainter(pixmap)
    painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
    painter.setPen(colour)
    painter.drawRoundedRect(1, 1, _DICE - 3, _DICE - 3, 3, 3)
    painter.setBrush(colour)
    for x, y in ((4, 4), (11, 4), (7, 7), (4, 11), (11, 11)):
        painter.drawEllipse(QtCore.QPointF(x, y), 1, 1)
    painter.end()
    return QtGui.QIcon(pixmap)
