"""Runs inside the real Krita: presses the GANPaint docker and menu, and writes what came of it.

A play is a generator: it yields conditions, each waited for by a timer while Krita goes on. Buttons
are pressed with xdotool, through X, as a person would.
"""

import hashlib
import json
import os
import subprocess
import time
import traceback

from krita import Extension, Krita, Selection
from PyQt5.QtCore import QTimer
from PyQt5.QtWidgets import QComboBox, QLabel, QProgressBar, QPushButton

STAGE = os.environ["GANPAINT_STAGE"]
with open(os.path.join(STAGE, "box.json")) as box_file:
    BOX = json.load(box_file)
SRGB = ("RGBA", "U8", "sRGB-elle-V2-srgbtrc.icc")
LINEAR_16_BIT = ("RGBA", "U16", "sRGB-elle-V2-g10.icc")
PATIENCE_S = 120
REPORT = {}


def path_of(name):
    return os.path.join(STAGE, name)


class Docker:
    """The plug-in's docker, by the names of its widgets."""

    def __init__(self):
        window = Krita.instance().activeWindow()
        found = [d for d in window.dockers() if d.objectName() == "ganpaint_docker"]
        self.widget = found[0]
        self.widget.setVisible(True)
        self.widget.raise_()

    def part(self, kind, name):
        return self.widget.findChild(kind, "ganpaint_" + name)

    def status(self):
        return self.part(QLabel, "status").text()

    def idle(self):
        return self.part(QPushButton, "apply").isEnabled()

    def forget(self):
        """Empty the status line, so that ``settled`` tells the next outcome from the last."""
        self.part(QLabel, "status").setText("")

    def settled(self):
        return self.idle() and self.status() != ""

    def choose(self, name, text):
        self.part(QComboBox, name).setCurrentText(text)

    def click(self, name):
        self.forget()
        # Once the docker has taken its new shape: with the text above, the buttons move.
        QTimer.singleShot(400, lambda: self.click_now(name))

    def click_now(self, name):
        button = self.part(QPushButton, name)
        middle = button.mapToGlobal(button.rect().center())
        move = ["xdotool", "mousemove", str(middle.x()), str(middle.y())]
        # Not waited for: Krita must be free to take the click.
        subprocess.Popen([*move, "sleep", "0.2", "click", "1"])


class Photo:
    """A document with the test's photo in its own view."""

    def __init__(self, docker, selected=True):
        krita = Krita.instance()
        self.docker = docker
        self.document = krita.openDocument(path_of("photo.png"))
        self.document.setBatchmode(True)
        krita.activeWindow().addView(self.document)
        if selected:
            selection = Selection()
            selection.select(*BOX, 255)
            self.document.setSelection(selection)

    def ready(self):
        document = Krita.instance().activeDocument()
        return document == self.document and document.activeNode() is not None

    def layers(self):
        self.document.waitForDone()
        nodes = self.document.rootNode().childNodes()
        return [describe(node) for node in nodes if "mask" not in node.type()]

    def undo(self):
        Krita.instance().action("edit_undo").trigger()
        return self.layers()

    def layer(self, name):
        return self.document.nodeByName(name)

    def selected(self):
        return self.document.selection() is not None

    def close(self):
        self.document.setModified(False)
        self.document.close()


def describe(node):
    box = node.bounds().getRect()
    sha = hashlib.sha256(bytes(node.pixelData(*box))).hexdigest()
    return {"name": node.name(), "box": list(box), "depth": node.colorDepth(), "sha": sha}


def save_pixels(node, name):
    """The layer's own pixels, as Krita holds them: BGRA."""
    with open(path_of(name), "wb") as file:
        file.write(bytes(node.pixelData(*node.bounds().getRect())))


def no_selection(docker):
    photo = Photo(docker, selected=False)
    yield photo.ready
    before = photo.layers()
    docker.click("apply")
    yield docker.settled
    REPORT["no_selection"] = {
        "status": docker.status(),
        "idle": docker.idle(),
        "before": before,
        "after": photo.layers(),
    }
    photo.close()


def apply_and_undo(docker):
    photo = Photo(docker)
    yield photo.ready
    before = photo.layers()
    docker.choose("quality", "Preview (faster)")
    docker.click("apply")
    yield lambda: docker.part(QProgressBar, "progress").value() > 0
    screenshot("krita-docker.png")
    yield docker.settled
    after = photo.layers()
    save_pixels(photo.layer(after[-1]["name"]), "krita-plain.bgra")
    yield pause(0.5)
    screenshot("krita-layers.png")
    names = photo.document.annotationTypes()
    recipes = [bytes(photo.document.annotation(name)).decode() for name in names]
    REPORT["apply"] = {
        "status": docker.status(),
        "before": before,
        "after": after,
        "active": photo.document.activeNode().name(),
        "recipes": [json.loads(recipe) for recipe in recipes],
    }
    REPORT["undo"] = {"after": photo.undo(), "selected": photo.selected()}
    photo.close()


def cancel(docker):
    photo = Photo(docker)
    yield photo.ready
    before = photo.layers()
    docker.choose("quality", "Final")
    docker.click("apply")
    mark("krita-working")
    yield lambda: os.path.exists(path_of("krita-cancel.go"))
    docker.click("cancel")
    yield docker.settled
    REPORT["cancel"] = {"status": docker.status(), "before": before, "after": photo.layers()}
    mark("krita-cancelled")
    photo.close()


def error_then_menu(docker):
    """A concept that the model has not; then, in the same docker, Remove > Dome of the menu."""
    photo = Photo(docker)
    yield photo.ready
    docker.choose("quality", "Preview (faster)")
    docker.choose("concept", "spaceship")
    docker.click("apply")
    yield docker.settled
    REPORT["error"] = {"status": docker.status(), "after": photo.layers()}
    before = photo.layers()
    docker.forget()
    menu_entry("Tools", "GANPaint", "Remove", "Dome").trigger()
    yield docker.settled
    REPORT["menu"] = {"before": before, "after": photo.layers()}
    photo.close()


def linear_16_bit(docker):
    photo = Photo(docker)
    photo.document.setColorSpace(*LINEAR_16_BIT)
    yield photo.ready
    base = photo.document.activeNode()
    # One undo step of its own, to show where the next one begins.
    photo.document.rootNode().addChildNode(photo.document.createGroupLayer("marker"), base)
    # Krita makes the new layer the active one, a moment later.
    yield lambda: photo.document.activeNode() != base
    photo.document.setActiveNode(base)
    yield lambda: photo.document.activeNode() == base
    before = photo.layers()
    docker.choose("operation", "Add")
    docker.choose("concept", "tree")
    docker.click("apply")
    yield docker.settled
    after = photo.layers()
    save_pixels(photo.layer("Add tree"), "krita-16bit.bgra")
    once = photo.undo()
    yield pause(0.5)
    twice = photo.undo()
    REPORT["linear_16_bit"] = {"before": before, "after": after, "once": once, "twice": twice}
    photo.close()


def menu_entry(*path):
    """The action under these menus of the window's menu bar."""
    actions = Krita.instance().activeWindow().qwindow().menuBar().actions()
    for place in path:
        action = next(a for a in actions if a.text().replace("&", "") == place)
        actions = action.menu().actions() if action.menu() else []
    return action


def screenshot(name):
    subprocess.run(["import", "-window", "root", path_of(name)], check=True)


def mark(name):
    open(path_of(name), "w").close()


def pause(seconds):
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end


class Driver(Extension):
    """Starts the play once Krita's window stands."""

    def setup(self):
        pass

    def createActions(self, _window):
        QTimer.singleShot(1500, self.start)

    def start(self):
        docker = Docker()
        self.play = (
            condition
            for act in (no_selection, apply_and_undo, cancel, error_then_menu, linear_16_bit)
            for condition in act(docker)
        )
        self.condition = pause(0.5)
        self.deadline = time.monotonic() + PATIENCE_S
        self.timer = QTimer()
        self.timer.setInterval(50)
        self.timer.timeout.connect(self.step)
        self.timer.start()

    def step(self):
        try:
            if self.condition():
                self.condition = next(self.play)
                self.deadline = time.monotonic() + PATIENCE_S
            elif time.monotonic() > self.deadline:
                raise TimeoutError("waited in vain; the docker says: " + Docker().status())
        except StopIteration:
            self.end()
        except Exception:
            REPORT["failure"] = traceback.format_exc() + "\nThe docker says: " + Docker().status()
            self.end()

    def end(self):
        self.timer.stop()
        with open(path_of("krita.part"), "w") as file:
            json.dump(REPORT, file)
        os.rename(path_of("krita.part"), path_of("krita.json"))
        # Not a closing of the window: documents left open by a failure would ask to be saved.
        QTimer.singleShot(200, lambda: os._exit(0))


Krita.instance().addExtension(Driver(Krita.instance()))
