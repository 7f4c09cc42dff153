"""Screenshots for the guide, on a photograph that is given from outside; see krita_stage."""

import json

from krita import Krita

from .qt import QtCore, QtWidgets
from .scene import Photo, grab, menu_entry, path_of, pause, screenshot


def edit(docker):
    with open(path_of("shot.json")) as file:
        wish = json.load(file)
    photo = Photo("shot.png", selected=False)
    yield photo.ready
    window = Krita.instance().activeWindow().qwindow()
    window.resizeDocks([docker.widget], [620], QtCore.Qt.Orientation.Vertical)
    photo.select(*wish["box"])
    docker.choose(wish["operation"], wish["concept"], seed=wish.get("seed", 0))
    docker.press("preview")
    yield docker.previewed
    yield pause(1.5)
    screenshot("krita-docker.png")
    docker.press("apply")
    yield docker.settled
    photo.document.setSelection(None)
    yield pause(1.5)
    screenshot("krita-layers.png")
    menu_entry("Tools", "GANPaint", "Doctor…").trigger()
    yield lambda: window.findChild(QtWidgets.QWidget, "ganpaint_doctor_window") is not None
    doctor = window.findChild(QtWidgets.QWidget, "ganpaint_doctor_window")
    yield pause(3)
    grab(doctor, "krita-doctor.png")
    doctor.findChild(QtWidgets.QTabWidget, "ganpaint_doctor_tabs").setCurrentIndex(1)
    yield pause(0.5)
    grab(doctor, "krita-settings.png")
    doctor.close()
    yield from photo.close()


PLAYS = (edit,)
