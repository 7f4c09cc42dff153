"""Plays with the stub engine, whose results are known to the pixel: edits, preview, history."""

import json
import sys
import time

from krita import Krita

from .qt import QtCore, QtWidgets
from .scene import (
    BOX,
    REPORT,
    Photo,
    grab,
    menu_entry,
    path_of,
    pause,
    save_layer,
    undo_steps,
)


def apply_undo_redo(docker):
    """With an undo step of its own before, to show where the edit's begins."""
    photo = Photo()
    yield photo.ready
    photo.base.parentNode().addChildNode(photo.document.createGroupLayer("marker"), photo.base)
    # Krita makes the new layer the active one, a moment later.
    yield lambda: photo.document.activeNode() != photo.base
    yield photo.activate(photo.base)
    before, steps = photo.layers(), undo_steps()
    docker.choose(strength=0.8, seed=1)
    docker.click("apply")
    yield docker.settled
    yield pause(0.3)
    after = photo.layers()
    save_layer(photo.new_layer(), "apply")
    act = {"status": docker.status(), "before": before, "after": after}
    act["steps"] = [steps, undo_steps()]
    act["active"] = photo.document.activeNode().name()
    names = [n for n in photo.document.annotationTypes() if n.startswith("ganpaint-recipe")]
    act["recipes"] = [json.loads(bytes(photo.document.annotation(n)).decode()) for n in names]
    act["undone"] = photo.undo()
    yield pause(0.2)
    act["redone"] = photo.redo()
    yield pause(0.2)
    photo.undo()
    act["undone_twice"] = photo.undo()
    REPORT["apply"] = act
    yield from photo.close()


def selections(docker):
    """A soft one, and one that reaches beyond the canvas."""
    width, height = 120, 90
    soft = bytes((x * 2 + y) % 256 for y in range(height) for x in range(width))
    for name, box, data in (("soft", (40, 30, width, height), soft), ("beyond", None, None)):
        photo = Photo(selected=False)
        yield photo.ready
        right, bottom = photo.document.width(), photo.document.height()
        photo.select(*(box or (right - 70, bottom - 50, 400, 300)), data)
        docker.choose()
        docker.press("apply")
        yield docker.settled
        save_layer(photo.new_layer(), name)
        REPORT[name] = {"status": docker.status(), "box": photo.layers()[1]["box"]}
        yield from photo.close()


def preview(docker):
    """On the canvas and off again; then what Apply makes, seen at the same place."""
    ants = Krita.instance().action("toggle_display_selection")
    photo = Photo()
    yield photo.ready
    ants.trigger()
    before = photo.state()
    docker.choose(strength=0.7)
    docker.press("preview")
    yield docker.previewed
    canvas = docker.overlay().parentWidget()
    yield pause(0.5)
    shown = docker.overlay()._image
    began = time.monotonic()
    docker.slide(90)
    yield lambda: docker.overlay()._image is not shown
    act = {"seconds": time.monotonic() - began, "before": before, "during": photo.state()}
    yield pause(0.5)
    grab(canvas, "preview.png")
    docker.press("cancel")
    yield docker.settled
    act["cancelled"], act["status"] = photo.state(), docker.status()
    act["overlay_gone"] = docker.overlay() is None or not docker.overlay().isVisible()
    docker.press("preview")
    yield docker.previewed
    docker.press("apply")
    yield docker.settled
    yield pause(0.7)
    grab(canvas, "applied.png")
    act["applied"] = photo.state()
    yield from preview_of_large(docker, act)
    REPORT["preview"] = act
    ants.trigger()
    yield from photo.close()


def preview_of_large(docker, act):
    """As a photo is previewed that is too large to be sent whole: this one counts as such."""
    session = sys.modules["ganpaint.session"]
    kept, session._PREVIEW_PIXELS = session._PREVIEW_PIXELS, 20000
    docker.press("preview")
    yield docker.previewed
    shown = docker.overlay()
    (across, down), corner, image = shown._scale, shown._corner, shown._image
    act["large"] = [across * corner.x(), down * corner.y()]
    act["large"] += [across * image.width(), down * image.height()]
    act["scale"] = across
    session._PREVIEW_PIXELS = kept
    docker.press("cancel")


def again_and_here(docker):
    """An edit replaced by another, repeated elsewhere, found again in a saved file."""
    photo = Photo()
    yield photo.ready
    docker.choose(strength=0.8, seed=2)
    docker.press("apply")
    yield docker.settled
    first = photo.new_layer().name()
    photo.document.setSelection(None)
    yield from again(docker, photo, REPORT.setdefault("again", {"first": first}), 0)
    photo.select(10, 10, 40, 30)
    history(docker).setCurrentRow(0)
    docker.press("here")
    yield docker.settled
    REPORT["here"] = {"status": docker.status(), "layers": photo.layers()}
    nodes = photo.document.rootNode().childNodes()
    save_layer(next(n for n in nodes if n.bounds().getRect() == (10, 10, 40, 30)), "here")
    photo.document.saveAs(path_of("saved.kra"))
    yield from photo.close()
    yield pause(0.5)
    yield from reopened(docker)


def again(docker, photo, act, row):
    """Take up the edit of a row of the history, make it stronger, undo, redo."""
    yield pause(0.9)
    history(docker).setCurrentRow(row)
    docker.press("again")
    act["taken_up"] = docker.status()
    docker.slide(95)
    steps = undo_steps()
    docker.press("apply")
    yield docker.settled
    yield pause(0.3)  # Krita's list of undo steps follows a moment later
    act["status"], act["after"] = docker.status(), photo.layers()
    act["steps"] = [steps, undo_steps()]
    save_layer(photo.document.nodeByName("GANPaint: add tree (0.95, seed 2)"), "again")
    yield pause(0.9)
    photo.undo()
    yield pause(1.0)
    act["undone"] = photo.layers()
    photo.redo()
    yield pause(1.0)
    act["redone"] = photo.layers()


def reopened(docker):
    photo = Photo("saved.kra", selected=False)
    yield photo.ready
    yield pause(1.0)
    shown = history(docker)
    act = {"rows": [shown.item(row).text() for row in range(shown.count())]}
    act["icons"] = [not shown.item(row).icon().isNull() for row in range(shown.count())]
    act["layers"] = photo.layers()
    hidden = next(
        r
        for r in range(shown.count())
        if shown.item(r).checkState() == QtCore.Qt.CheckState.Unchecked
    )
    shown.item(hidden).setCheckState(QtCore.Qt.CheckState.Checked)
    yield pause(0.9)
    act["all_shown"] = [layer["visible"] for layer in photo.layers()]
    count = shown.count()
    shown.setCurrentRow(0)
    gone = shown.currentItem().text()
    docker.press("discard")
    yield lambda: shown.count() == count - 1
    act["discarded"], act["left"] = gone, photo.layers()
    act["undone"] = photo.undo()
    # In a file that was opened again an edit has its selection still.
    yield pause(0.9)
    active = next(n for n in photo.document.rootNode().childNodes() if "0.95" in n.name())
    yield photo.activate(active)
    menu_entry("Tools", "GANPaint", "Edit again").trigger()
    docker.press("apply")
    yield docker.settled
    act["again"], act["again_layers"] = docker.status(), photo.layers()
    REPORT["reopened"] = act
    yield from photo.close()


def history(docker):
    return docker.part(QtWidgets.QListWidget, "history")


def by_menu(docker):
    """Add > Door of the menu, with the values chosen last."""
    photo = Photo()
    yield photo.ready
    docker.choose("remove", "tree", strength=0.5, seed=3)
    docker.forget()
    menu_entry("Tools", "GANPaint", "Add", "Door").trigger()
    yield docker.settled
    act = {"added": docker.status()}
    docker.forget()
    menu_entry("Tools", "GANPaint", "Change appearance", "Dome").trigger()
    yield docker.settled
    act["restyled"] = docker.status()
    act["kept"] = Krita.instance().readSetting("GANPaint", "strength", "")
    act["box"] = [photo.new_layer().bounds().getRect(), BOX]
    REPORT["menu"] = act
    yield from photo.close()


PLAYS = (apply_undo_redo, selections, preview, again_and_here, by_menu)
