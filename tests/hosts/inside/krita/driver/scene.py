"""What the plays have to hand: the docker by the names of its widgets, photos, the undo history."""

import hashlib
import json
import os
import subprocess
import time

from krita import Krita, Selection

from .qt import QtCore, QtWidgets

STAGE = os.environ["GANPAINT_STAGE"]
REAL_HOME = os.environ["GANPAINT_HOME"]
STUB_HOME = os.path.join(STAGE, "stub")
with open(os.path.join(STAGE, "box.json")) as box_file:
    BOX = json.load(box_file)
SRGB = ("RGBA", "U8", "sRGB-elle-V2-srgbtrc.icc")
REPORT = {}
REST_S = 1.5  # Krita itself may crash when a photo is closed sooner than that


def path_of(name):
    return os.path.join(STAGE, name)


def use_stub():
    """From now on the plug-in finds the stub engine."""
    os.environ["GANPAINT_HOME"] = STUB_HOME


def use_real():
    os.environ["GANPAINT_HOME"] = REAL_HOME


class Docker:
    """The plug-in's docker."""

    def __init__(self):
        window = Krita.instance().activeWindow()
        found = [d for d in window.dockers() if d.objectName() == "ganpaint_docker"]
        self.widget = found[0]
        self.widget.setVisible(True)
        self.widget.raise_()

    def part(self, kind, name):
        return self.widget.findChild(kind, "ganpaint_" + name)

    def button(self, name):
        return self.part(QtWidgets.QPushButton, name)

    def status(self):
        return self.part(QtWidgets.QLabel, "status").text()

    def idle(self):
        return self.button("apply").isEnabled()

    def forget(self):
        """Empty the status line, so that ``settled`` tells the next outcome from the last."""
        self.part(QtWidgets.QLabel, "status").setText("")

    def settled(self):
        return self.idle() and self.status() not in ("", "Cancelling…")

    def previewed(self):
        return self.status().startswith("Preview.")

    def working(self):
        """The engine has said that it works."""
        return self.part(QtWidgets.QProgressBar, "progress").value() > 11

    def choose(self, operation="add", concept="tree", strength=1.0, seed=0, feather=0, grow=0):
        combo = self.part(QtWidgets.QComboBox, "operation")
        combo.setCurrentIndex(combo.findData(operation))
        self.part(QtWidgets.QComboBox, "concept").setCurrentText(concept)
        self.part(QtWidgets.QDoubleSpinBox, "strength").setValue(strength)
        self.part(QtWidgets.QSpinBox, "seed").setValue(seed)
        self.part(QtWidgets.QSpinBox, "feather").setValue(feather)
        self.part(QtWidgets.QSpinBox, "grow").setValue(grow)
        looks = self.part(QtWidgets.QListWidget, "looks")
        if looks.count():
            looks.setCurrentRow(0)

    def press(self, name):
        """Press a button, by its signal."""
        self.forget()
        self.button(name).click()

    def click(self, name):
        """Press a button with the mouse, through X, as a person would."""
        self.forget()
        # Once the docker has taken its shape: with what it offers, the buttons move.
        QtCore.QTimer.singleShot(500, lambda: self._click_now(self.button(name)))

    def _click_now(self, button):
        self.widget.findChild(QtWidgets.QScrollArea).ensureWidgetVisible(button)
        middle = button.mapToGlobal(button.rect().center())
        move = ["xdotool", "mousemove", str(middle.x()), str(middle.y())]
        # Not waited for: Krita must be free to take the click.
        subprocess.Popen([*move, "sleep", "0.2", "click", "1"])

    def slide(self, hundredths):
        self.part(QtWidgets.QSlider, "strength_slider").setValue(hundredths)

    def overlay(self):
        return (
            Krita.instance()
            .activeWindow()
            .qwindow()
            .findChild(QtWidgets.QWidget, "ganpaint_overlay")
        )


class Photo:
    """A document with a photo in its own view, and the test's box selected in it."""

    def __init__(self, picture="photo.png", selected=True):
        self.rested = pause(REST_S)
        self.document = Krita.instance().openDocument(path_of(picture))
        self.document.setBatchmode(True)
        Krita.instance().activeWindow().addView(self.document)
        self.base = self.document.rootNode().childNodes()[0]
        if selected:
            self.select(*BOX)

    def select(self, x, y, width, height, data=None):
        selection = Selection()
        if data is None:
            selection.select(x, y, width, height, 255)
        else:
            selection.setPixelData(QtCore.QByteArray(data), x, y, width, height)
        self.document.setSelection(selection)

    def ready(self):
        document = Krita.instance().activeDocument()
        if document != self.document or document.activeNode() is None:
            return False
        for other in Krita.instance().dockers():  # room for the one that matters
            if other.objectName() in ("PresetDocker", "ColorSelectorNg", "sharedtooldocker"):
                other.close()
        return True

    def activate(self, node):
        """Make a node the active one; Krita gets round to it later."""
        self.document.setActiveNode(node)
        return lambda: self.document.activeNode() == node

    def layers(self, parent=None):
        self.document.waitForDone()
        nodes = (parent or self.document.rootNode()).childNodes()
        return [describe(node) for node in nodes if node.type() != "selectionmask"]

    def new_layer(self):
        """The layer right above the photo."""
        nodes = [n for n in self.base.parentNode().childNodes() if n.type() != "selectionmask"]
        return nodes[nodes.index(self.base) + 1]

    def undo(self):
        Krita.instance().action("edit_undo").trigger()
        self.document.waitForDone()
        return self.layers()

    def redo(self):
        Krita.instance().action("edit_redo").trigger()
        self.document.waitForDone()
        return self.layers()

    def state(self):
        """All of a document that an edit could change."""
        return {
            "layers": self.layers(),
            "undo": undo_steps(),
            "annotations": sorted(self.document.annotationTypes()),
            "modified": self.document.modified(),
        }

    def seen(self, name):
        """Save what the whole image looks like, in 8-bit sRGB."""
        document = self.document
        document.refreshProjection()
        document.waitForDone()
        document.projection(0, 0, document.width(), document.height()).save(path_of(name))

    def close(self):
        """To be yielded from: waits until Krita has come to rest with what was opened just now."""
        yield self.rested
        self.document.waitForDone()
        yield pause(0.1)
        self.document.setModified(False)
        self.document.close()


def describe(node):
    """A layer and the masks on it, pixels included."""
    box = node.bounds().getRect()
    sha = hashlib.sha256(bytes(node.pixelData(*box))).hexdigest()
    masks = [describe(child) for child in node.childNodes()]
    shape = {"name": node.name(), "type": node.type(), "box": list(box), "sha": sha}
    return dict(shape, depth=node.colorDepth(), visible=node.visible(), children=masks)


def save_layer(node, name):
    """The layer's own pixels as Krita holds them, and its mask's."""
    box = node.bounds().getRect()
    with open(path_of(name + ".pixels"), "wb") as file:
        file.write(bytes(node.pixelData(*box)))
    with open(path_of(name + ".mask"), "wb") as file:
        file.write(bytes(node.childNodes()[0].selection().pixelData(*box)))


def undo_steps():
    """The texts of the undo history, and which of them is the present."""
    for view in Krita.instance().activeWindow().qwindow().findChildren(QtWidgets.QAbstractItemView):
        if view.metaObject().className() == "KisUndoView":
            model = view.model()
            texts = [model.index(row, 0).data() for row in range(model.rowCount())]
            return [texts, view.currentIndex().row()]
    raise LookupError("Krita's undo history is not to be found")


class Heart:
    """Beats every 10 ms in Krita's thread; ``longest`` is the longest pause, in seconds."""

    def __init__(self):
        self.longest, self._last = 0.0, time.monotonic()
        self._timer = QtCore.QTimer()
        self._timer.setInterval(10)
        self._timer.timeout.connect(self._beat)
        self._timer.start()

    def _beat(self):
        now = time.monotonic()
        self.longest, self._last = max(self.longest, now - self._last), now

    def stop(self):
        self._timer.stop()
        return self.longest


def menu_entry(*path):
    """The action under these menus of the window's menu bar."""
    actions = Krita.instance().activeWindow().qwindow().menuBar().actions()
    for place in path:
        action = next(a for a in actions if a.text().replace("&", "") == place)
        actions = action.menu().actions() if action.menu() else []
    return action


def screenshot(name):
    subprocess.run(["import", "-window", "root", path_of(name)], check=True)


def grab(widget, name):
    """A picture of one widget as it is on the screen."""
    corner = widget.mapToGlobal(widget.rect().topLeft())
    size = f"{widget.width()}x{widget.height()}+{corner.x()}+{corner.y()}"
    subprocess.run(["import", "-window", "root", "-crop", size, path_of(name)], check=True)


def ask(name):
    """Ask the test outside for something, by a file; true once it has been done."""
    open(path_of("ask-" + name), "w").close()
    return lambda: os.path.exists(path_of("did-" + name))


def pause(seconds):
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end
