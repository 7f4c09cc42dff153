"""The Doctor window: the engine, its log and its settings. Works without a document."""

from krita import Krita

from .ganpaint_bridge import BridgeError, settings
from .ganpaint_bridge.doctor import Doctor
from .ganpaint_bridge.errors import sentence
from .ganpaint_bridge.words import _, later
from .qt import QtCore, QtGui, QtWidgets

_TURN_MS = 100
_LOOK_S = 2.0  # how often an engine that another program started is looked for
_MARKS = {True: "✓", False: "✗", None: ""}
# Field of Settings -> label, hint.
_FIELDS = {
    "engine": (later("Engine"), later("empty: the one that installed the plug-in")),
    "model": (later("Model"), later("empty: the engine's default")),
    "device": (later("Device"), later("auto, cpu, cuda, cuda:1, mps…")),
    "idle_minutes": (later("Leaves after (min)"), later("0: never")),
    "remote": (later("Engine on another machine"), "tcp://HOST:PORT"),
    "remote_key": (later("Its public key"), later("64 digits and letters a to f")),
}


def show():
    """Open the window, or bring the one that is open to the front."""
    parent = Krita.instance().activeWindow().qwindow()
    window = parent.findChild(DoctorWindow) or DoctorWindow(parent)
    window.show()
    window.raise_()


class DoctorWindow(QtWidgets.QDialog):
    """Has a connection of its own; closing it leaves engine and edits as they are."""

    def __init__(self, parent):
        super().__init__(parent, objectName="ganpaint_doctor_window")
        self.setAttribute(QtCore.Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(_("GANPaint: Doctor"))
        self.resize(640, 560)
        self._doctor = Doctor("krita %s" % Krita.instance().version())
        self._shown = None
        self._rested = 0
        tabs = QtWidgets.QTabWidget(objectName="ganpaint_doctor_tabs")
        tabs.addTab(self._engine_page(), _("Engine"))
        tabs.addTab(SettingsPage(), _("Settings"))
        QtWidgets.QVBoxLayout(self).addWidget(tabs)
        self._timer = QtCore.QTimer(self)
        self._timer.setInterval(_TURN_MS)
        self._timer.timeout.connect(self._turn)
        self._timer.start()
        self._show_lines()

    def done(self, result):
        """Qt calls it however the window is closed."""
        self._timer.stop()
        self._doctor.close()
        super().done(result)

    def _engine_page(self):
        page = QtWidgets.QWidget()
        layout = QtWidgets.QVBoxLayout(page)
        self._lines = QtWidgets.QTreeWidget(objectName="ganpaint_report", rootIsDecorated=False)
        self._lines.setHeaderHidden(True)
        self._lines.setColumnCount(2)
        self._lines.setWordWrap(True)
        layout.addWidget(self._lines, 2)
        layout.addWidget(QtWidgets.QLabel(_("The end of its log")))
        self._log = QtWidgets.QPlainTextEdit(objectName="ganpaint_log", readOnly=True)
        self._log.setLineWrapMode(QtWidgets.QPlainTextEdit.LineWrapMode.NoWrap)
        layout.addWidget(self._log, 1)
        row = QtWidgets.QHBoxLayout()
        for name, text, act in (
            ("engine_start", _("Start"), self._doctor.start),
            ("engine_restart", _("Restart"), self._doctor.restart),
            ("engine_stop", _("Stop"), self._doctor.stop),
            ("copy", _("Copy report"), self._copy),
        ):
            button = QtWidgets.QPushButton(text, objectName="ganpaint_" + name)
            button.clicked.connect(lambda _checked=False, act=act: act())
            row.addWidget(button)
        layout.addLayout(row)
        return page

    def _turn(self):
        self._doctor.pump()
        self._rested += 1
        if not self._doctor.running and self._rested * _TURN_MS > 1000 * _LOOK_S:
            self._rested = 0
            self._doctor.look_again()
        self._show_lines()

    def _show_lines(self):
        lines, log = self._doctor.lines(), self._doctor.log_tail()
        if (lines, log) == self._shown:
            return
        self._shown = (lines, log)
        self._lines.clear()
        for line in lines:
            text = ("%s %s" % (_MARKS[line.ok], line.value)).strip()
            item = QtWidgets.QTreeWidgetItem([line.title, text])
            item.setToolTip(1, line.value)
            self._lines.addTopLevelItem(item)
        self._lines.resizeColumnToContents(0)
        self._log.setPlainText("\n".join(log))
        self._log.moveCursor(QtGui.QTextCursor.MoveOperation.End)

    def _copy(self):
        QtWidgets.QApplication.clipboard().setText(self._doctor.report_text())


class SettingsPage(QtWidgets.QWidget):
    """The settings of engine and plug-ins, in the file that all of them read."""

    def __init__(self):
        super().__init__()
        layout = QtWidgets.QVBoxLayout(self)
        form = QtWidgets.QFormLayout()
        layout.addLayout(form)
        self._fields = {}
        for name, value in settings.read()._asdict().items():
            label, hint = _FIELDS[name]
            text = "%g" % value if isinstance(value, float) else value
            field = QtWidgets.QLineEdit(text, objectName="ganpaint_setting_" + name)
            field.setPlaceholderText(_(hint))
            form.addRow(_(label), field)
            self._fields[name] = field
        self._told = QtWidgets.QLabel(objectName="ganpaint_settings_told", wordWrap=True)
        save = QtWidgets.QPushButton(_("Save"), objectName="ganpaint_settings_save")
        save.clicked.connect(self._save)
        layout.addWidget(self._told)
        layout.addWidget(save)
        layout.addStretch()

    def _save(self, _checked=False):
        texts = {name: field.text().strip() for name, field in self._fields.items()}
        try:
            minutes = texts["idle_minutes"].replace(",", ".")
            texts["idle_minutes"] = float(minutes) if minutes else settings.IDLE_MINUTES
            settings.write(settings.Settings(**texts))
        except ValueError:
            self._told.setText(_("The minutes until the engine leaves are 0 or more."))
        except BridgeError as error:
            self._told.setText(sentence(error))
        else:
            self._told.setText(_("Saved. Restart the engine for it to take effect."))
