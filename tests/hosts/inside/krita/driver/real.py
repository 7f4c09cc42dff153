"""Plays with the real engine: what comes of it is compared with the engine asked directly."""

import time

from .qt import QtWidgets
from .scene import REPORT, Heart, Photo, pause, save_layer


def preview_and_apply(docker):
    """The slider moves the preview; Apply makes it final."""
    heart = Heart()
    photo = Photo()
    yield photo.ready
    before = photo.state()
    docker.choose(strength=0.8, seed=1)
    began = time.monotonic()
    docker.press("preview")
    yield docker.previewed
    act = {"first_s": time.monotonic() - began, "slider_s": []}
    for hundredths in (60, 90, 120, 100):
        shown = docker.overlay()._image
        began = time.monotonic()
        docker.slide(hundredths)
        yield lambda shown=shown: docker.overlay()._image is not shown
        act["slider_s"].append(time.monotonic() - began)
        yield pause(0.3)
    act["before"], act["during"] = before, photo.state()
    began = time.monotonic()
    docker.press("apply")
    yield docker.settled
    act["apply_s"], act["longest"] = time.monotonic() - began, heart.stop()
    act["status"], act["after"] = docker.status(), photo.layers()
    save_layer(photo.new_layer(), "real-add")
    REPORT["add"] = act
    yield from photo.close()


def operations(docker):
    """Remove, and change of appearance, with a look."""
    for operation, concept in (("remove", "tree"), ("restyle", "tree")):
        photo = Photo()
        yield photo.ready
        docker.choose(operation, concept)
        looks = docker.part(QtWidgets.QListWidget, "looks")
        count = looks.count()
        if operation == "restyle":
            looks.setCurrentRow(1)
        docker.press("apply")
        yield docker.settled
        save_layer(photo.new_layer(), "real-" + operation)
        REPORT[operation] = {
            "status": docker.status(),
            "looks": count,
            "icons": [not looks.item(row).icon().isNull() for row in range(1, count)],
            "layers": photo.layers(),
        }
        yield from photo.close()


PLAYS = (preview_and_apply, operations)
