"""Plays about what goes wrong: no selection, a dead engine, a document changed or closed."""

import os
import time

from krita import Krita

from .qt import QtCore, QtWidgets
from .scene import BOX, REPORT, Heart, Photo, ask, menu_entry, path_of, pause


def report_of(window):
    """The lines of the Doctor window."""
    tree = window.findChild(QtWidgets.QTreeWidget, "ganpaint_report")
    items = [tree.topLevelItem(row) for row in range(tree.topLevelItemCount())]
    return "\n".join(item.text(0) + ": " + item.text(1) for item in items)


def without_document(docker):
    """The Doctor, and Apply, with no document open."""
    docker.press("apply")
    yield docker.settled
    act = {"apply": docker.status()}
    menu_entry("Tools", "GANPaint", "Doctor…").trigger()
    window = Krita.instance().activeWindow().qwindow()
    found = lambda: window.findChild(QtWidgets.QWidget, "ganpaint_doctor_window")  # noqa: E731
    yield found
    yield lambda: "running and answering" in report_of(found())
    act["doctor"] = report_of(found())
    field = found().findChild(QtWidgets.QLineEdit, "ganpaint_setting_device")
    told = found().findChild(QtWidgets.QLabel, "ganpaint_settings_told")
    save = found().findChild(QtWidgets.QPushButton, "ganpaint_settings_save")
    act["settings"] = []
    for device in ("toaster", "cpu"):
        field.setText(device)
        save.click()
        act["settings"].append(told.text())
    found().findChild(QtWidgets.QPushButton, "ganpaint_copy").click()
    act["copied"] = QtWidgets.QApplication.clipboard().text()
    found().findChild(QtWidgets.QPushButton, "ganpaint_engine_stop").click()
    yield lambda: "not running" in report_of(found())
    found().findChild(QtWidgets.QPushButton, "ganpaint_engine_restart").click()
    yield lambda: "running and answering" in report_of(found())
    found().close()
    REPORT["without_document"] = act


def importer(_docker):
    """Krita's own importer of plug-ins takes the zip, and takes a newer one over it."""
    from plugin_importer.plugin_importer import PluginImporter

    folder = path_of("imported")
    os.makedirs(folder)
    asked = []
    for _time in range(2):
        confirm = lambda plugin: asked.append(plugin["name"]) or True  # noqa: E731
        found = PluginImporter(path_of("ganpaint.zip"), folder, confirm).import_all()
    REPORT["importer"] = {"names": [one["ui_name"] for one in found], "asked": asked}
    yield pause(0)


def errors(docker):
    photo = Photo(selected=False)
    yield photo.ready
    before = photo.state()
    docker.choose()
    docker.press("apply")
    yield docker.settled
    act = {"no_selection": docker.status(), "idle": docker.idle()}
    photo.select(*BOX)
    docker.choose(concept="fail:out_of_memory")
    docker.press("apply")
    yield docker.settled
    act["failed"] = docker.status()
    photo.document.setSelection(None)
    act["before"], act["after"] = before, photo.state()
    docker.choose(concept="unlike")
    photo.select(*BOX)
    docker.press("preview")
    yield docker.previewed
    act["warning"] = docker.part(QtWidgets.QLabel, "warning").text()
    docker.press("cancel")
    REPORT["errors"] = act
    yield from photo.close()


def slow_edit(docker):
    """A photo with an edit under way that takes five seconds."""
    photo = Photo()
    yield photo.ready
    docker.choose(concept="slow")
    docker.press("apply")
    yield docker.working
    return photo


def cancel(docker):
    heart = Heart()
    photo = yield from slow_edit(docker)
    before = photo.state()
    began = time.monotonic()
    docker.press("cancel")
    yield docker.settled
    act = {"seconds": time.monotonic() - began, "status": docker.status()}
    yield ask("idle")
    act["engine_seconds"] = time.monotonic() - began
    act["before"], act["after"], act["longest"] = before, photo.state(), heart.stop()
    REPORT["cancel"] = act
    yield from photo.close()


def killed(docker):
    """The engine dies in the middle of an edit and is started again from the docker."""
    heart = Heart()
    photo = yield from slow_edit(docker)
    before = photo.layers()
    began = time.monotonic()
    yield ask("kill")
    yield docker.settled
    act = {"status": docker.status(), "seconds": time.monotonic() - began}
    act["restart_offered"] = docker.button("restart").isVisible()
    act["before"], act["after"] = before, photo.layers()
    docker.button("restart").click()
    yield lambda: docker.part(QtWidgets.QLabel, "engine").text() == "Model: stub 1"
    docker.choose()
    docker.press("apply")
    yield docker.settled
    act["next"], act["layers"] = docker.status(), photo.layers()
    act["longest"] = heart.stop()
    REPORT["killed"] = act
    yield from photo.close()


def closed(docker):
    photo = yield from slow_edit(docker)
    yield from photo.close()
    yield docker.settled
    REPORT["closed"] = {"status": docker.status(), "open": len(Krita.instance().documents())}


def changed(docker):
    """Painted on while the edit is made: it is held back, and inserted when asked for."""
    photo = yield from slow_edit(docker)
    x, y, width, height = BOX
    photo.base.setPixelData(
        QtCore.QByteArray(bytes(4 * 100)), x + width // 2, y + height // 2, 10, 10
    )
    before = photo.layers()
    yield docker.settled
    act = {"status": docker.status(), "before": before, "held": photo.layers()}
    docker.press("insert")
    yield docker.settled
    act["inserted"], act["after"] = docker.status(), photo.layers()
    REPORT["changed"] = act
    yield from photo.close()


def elsewhere(docker):
    """Another document is in front when the edit is done: it goes where it belongs.

    The photo was painted on beside the edit, in the same rows: no reason to hold the edit back.
    """
    photo = yield from slow_edit(docker)
    photo.base.setPixelData(QtCore.QByteArray(bytes(4 * 100)), 0, BOX[1], 10, 10)
    other = Photo()
    yield other.ready
    before = other.layers()
    yield docker.settled
    act = {"status": docker.status(), "other": [before, other.layers()], "own": photo.layers()}
    REPORT["elsewhere"] = act
    yield from other.close()
    yield from photo.close()


def removed(docker):
    """The layer is deleted while its edit is made."""
    photo = Photo()
    yield photo.ready
    photo.base.parentNode().addChildNode(photo.base.duplicate(), photo.base)
    yield pause(0.3)
    yield photo.activate(photo.base)
    docker.choose(concept="slow")
    docker.press("apply")
    yield docker.working
    photo.base.remove()
    before = photo.layers()
    yield docker.settled
    REPORT["removed"] = {"status": docker.status(), "before": before, "after": photo.layers()}
    docker.press("cancel")
    yield from photo.close()


def refused(docker):
    """Layers that are no photo: each with the sentence that says why."""
    sentences = REPORT.setdefault("refused", {})
    for name, make in REFUSALS.items():
        photo = Photo()
        yield photo.ready
        yield photo.activate(make(photo))
        before = photo.layers()
        docker.choose()
        docker.press("apply")
        yield docker.settled
        sentences[name] = [docker.status(), before == photo.layers()]
        yield from photo.close()


def hidden(photo):
    photo.base.setVisible(False)
    return photo.base


def animated(photo):
    photo.base.enableAnimation()
    return photo.base


def faint(photo):
    photo.base.setOpacity(100)
    return photo.base


def multiplied(photo):
    photo.base.setBlendingMode("multiply")
    return photo.base


def on_layer(photo, node):
    photo.base.addChildNode(node, None)
    return node


def mask(photo):
    return on_layer(photo, photo.document.createTransparencyMask("mask"))


def passing(photo):
    group = photo.document.createGroupLayer("group")
    group.setPassThroughMode(True)
    photo.document.rootNode().addChildNode(group, photo.base)
    return group


def locked_group(photo):
    group = photo.document.createGroupLayer("group")
    photo.document.rootNode().addChildNode(group, photo.base)
    inside = photo.base.duplicate()
    group.addChildNode(inside, None)
    group.setLocked(True)
    return inside


REFUSALS = {
    "hidden": hidden,
    "animated": animated,
    "faint": faint,
    "multiplied": multiplied,
    "mask": mask,
    "passing": passing,
    "locked_group": locked_group,
}
PLAYS = (
    without_document,
    importer,
    errors,
    cancel,
    killed,
    closed,
    changed,
    elsewhere,
    removed,
    refused,
)
