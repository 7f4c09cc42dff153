"""Measures edits of a photo of 24 megapixels at 16 bits; the engine is not running at first."""

import time

from .qt import QtWidgets
from .scene import REPORT, Heart, Photo, pause, undo_steps


def large(docker):
    photo = Photo("large.png", selected=False)
    yield photo.ready
    photo.select(2500, 1500, 1000, 1000)
    yield pause(2)
    size = [photo.document.width(), photo.document.height(), photo.base.colorDepth()]
    act = REPORT.setdefault("large", {"size": size})
    for name, seed in (("cold", 0), ("warm", 1)):
        docker.choose(seed=seed)
        steps = len(undo_steps()[0])
        heart, began = Heart(), time.monotonic()
        docker.press("apply")
        yield docker.working
        first = time.monotonic() - began
        yield docker.settled
        act[name] = {"first_progress_s": first, "layer_s": time.monotonic() - began}
        act[name].update(longest_s=heart.stop(), status=docker.status())
        act[name]["steps"] = len(undo_steps()[0]) - steps
        yield pause(1)
    yield from slides(docker, act)
    yield from photo.close()


def slides(docker, act):
    """A preview, and how soon it follows the slider."""
    heart = Heart()
    docker.press("preview")
    yield docker.previewed
    act["slider_s"] = []
    for hundredths in (60, 80, 120, 90, 70):
        shown, began = docker.overlay()._image, time.monotonic()
        docker.slide(hundredths)
        yield lambda shown=shown: docker.overlay()._image is not shown
        act["slider_s"].append(time.monotonic() - began)
        yield pause(0.3)
    act["slider_longest_s"] = heart.stop()
    docker.press("cancel")
    act["bar"] = docker.part(QtWidgets.QProgressBar, "progress").value()


PLAYS = (large,)
