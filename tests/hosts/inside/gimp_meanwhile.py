"""Batch code for gimp-console: what the plug-in's own modules do when the image changes meanwhile.

They are called here as the windows call them, but step by step: GIMP's batch code can close an
image between two steps, which no script can do while it waits for a procedure.
"""

import json
import os
import sys

import gi

gi.require_version("Gegl", "0.4")
from gi.repository import Gegl, Gimp, Gio  # noqa: E402

STAGE = os.environ["GANPAINT_STAGE"]
sys.path.insert(0, os.path.join(Gimp.directory(), "plug-ins", "ganpaint"))
import result  # noqa: E402
import work  # noqa: E402
from ganpaint_bridge import BridgeError, host  # noqa: E402

REQUEST = host.EditRequest("tree", "add")


def open_photo():
    file = Gio.File.new_for_path(os.path.join(STAGE, "photo.png"))
    image = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, file)
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 40, 50, 60, 70)
    return image, image.get_layers()[0]


def begin(image, layer, request=REQUEST, on_canvas=False):
    job = work.Work(image, work.target(image, [layer]), host.Editing("test"))
    job.start(request, on_canvas)
    return job


def end(job):
    """Wait for the result and put it in its place; the code and text of what is refused."""
    try:
        job.finish(job.editing.wait(lambda update: None))
    except BridgeError as error:
        return [error.code, error.message]
    finally:
        job.close()
    return ["done", ""]


def meanwhile(change):
    """What comes of an edit when ``change(image, layer)`` happens while it is on its way."""
    image, layer = open_photo()
    job = begin(image, layer)
    change(image, layer)
    before = len(image.get_layers()) if image.is_valid() else 0
    said = end(job)
    return said, len(image.get_layers()) - before if image.is_valid() else 0


def resize(image, layer):
    layer.resize(100, 90, 0, 0)


def paint(image, layer):
    layer.invert(False)


def preview_again(image, layer):
    """The layers of two previews of the same size, and of one that is larger."""
    job = work.Work(image, work.target(image, [layer]), host.Editing("test"))
    seen = []
    try:
        for request in (REQUEST, REQUEST._replace(strength=0.5), None):
            if request is None:
                image.select_rectangle(Gimp.ChannelOps.REPLACE, 40, 50, 80, 90)
                request = REQUEST
            job.start(request._replace(quality="preview"), on_canvas=True)
            job.finish(job.editing.wait(lambda update: None))
            top = image.get_layers()[0]
            seen.append([top.get_id(), top.get_width(), top.get_lock_content()])
    finally:
        job.close()
    return seen


def large():
    """Of a large photo only what is around the selection is read; the result is the same."""
    image, layer = open_photo()
    image.scale(3000, 2400)
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 1900, 1500, 120, 90)
    layers = []
    regions = []
    for context in ("auto", "whole"):
        job = begin(image, layer, REQUEST._replace(context=context))
        regions.append(list(job._reading.region))
        end(job)
        layers.append(job.layer)
    pictures = []
    for one in layers:
        area = Gegl.Rectangle.new(0, 0, one.get_width(), one.get_height())
        pixels = one.get_buffer().get(area, 1.0, "R'G'B'A u8", Gegl.AbyssPolicy.NONE)
        pictures.append([list(one.get_offsets()), bytes(pixels).hex()])
    return {"regions": regions, "same": pictures[0] == pictures[1]}


def leftover():
    """A preview of a plug-in that was killed: the next one takes it away."""
    image, layer = open_photo()
    job = begin(image, layer, REQUEST._replace(quality="preview"), on_canvas=True)
    job.finish(job.editing.wait(lambda update: None))
    job.editing.close()
    counts = [len(image.get_layers())]
    result.Preview(image)
    return [*counts, len(image.get_layers())]


def main():
    image, layer = open_photo()
    report = {
        "closed": meanwhile(lambda image, layer: image.delete()),
        "deleted": meanwhile(lambda image, layer: image.remove_layer(layer)),
        "moved": meanwhile(lambda image, layer: layer.set_offsets(3, 0)),
        "resized": meanwhile(resize),
        "painted": meanwhile(paint),
        "previews": preview_again(image, layer),
        "after_previews": [one.get_name() for one in image.get_layers()],
        "large": large(),
        "leftover": leftover(),
    }
    path = os.path.join(STAGE, os.environ["REPORT"])
    with open(path + ".part", "w") as file:
        json.dump(report, file)
    os.rename(path + ".part", path)


main()
