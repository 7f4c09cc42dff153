"""Batch code for the real GIMP: edits of a 24-megapixel photo of 16 bits, and when each thing was.

The plug-in's own modules are called as its window calls them, from a loop like the window's: what
it measures is all that a person waits for, but for the drawing of the window itself.
"""

import json
import os
import sys
import time

from gi.repository import Gimp, Gio

STAGE = os.environ["GANPAINT_STAGE"]
SIZE = 6000, 4000
PUMP_S = 0.03
sys.path.insert(0, os.path.join(Gimp.directory(), "plug-ins", "ganpaint"))
import work  # noqa: E402
from ganpaint_bridge import host  # noqa: E402

REQUEST = host.EditRequest("tree", "add")
PREVIEW = REQUEST._replace(quality="preview")


def open_photo():
    file = Gio.File.new_for_path(os.path.join(STAGE, "photo.png"))
    image = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, file)
    image.scale(*SIZE)
    image.convert_precision(Gimp.Precision.U16_NON_LINEAR)
    Gimp.Display.new(image)
    Gimp.displays_flush()
    return image


def select(image, x, y):
    image.select_ellipse(Gimp.ChannelOps.REPLACE, x, y, 700, 900)
    Gimp.Selection.feather(image, 20)
    Gimp.displays_flush()
    time.sleep(1)


def edit(image, editing, request, on_canvas=False):
    """One edit: (begin, first progress, end) and the longest pause of the window's loop, s."""
    job = editing if isinstance(editing, work.Work) else None
    began = time.monotonic()
    if job is None:
        job = work.Work(image, work.target(image, image.get_layers()[-1:]), editing)
    first, longest, turn = None, 0.0, began
    job.start(request, on_canvas)
    while True:
        longest = max(longest, time.monotonic() - turn)
        turn = time.monotonic()
        for update in job.editing.pump(PUMP_S):
            if update.kind == "progress" and update.fraction > 0 and first is None:
                first = time.monotonic()
            if update.error is not None:
                raise update.error
            if update.kind == "done":
                job.finish(update.patch)
                now = time.monotonic()
                longest = max(longest, now - turn - PUMP_S)
                return {"began": began, "first": first, "ended": now, "window": longest}


def main():
    image = open_photo()
    target = work.target(image, image.get_layers()[-1:])
    times = {}
    select(image, 1200, 1500)
    times["cold"] = edit(image, host.Editing("speed"), REQUEST)
    select(image, 4200, 1500)
    times["warm"] = edit(image, host.Editing("speed"), REQUEST)
    times["again"] = edit(image, host.Editing("speed"), REQUEST._replace(seed=1))
    select(image, 2600, 800)
    job = work.Work(image, target, host.Editing("speed"))
    times["preview"] = edit(image, job, PREVIEW, on_canvas=True)
    for number, strength in enumerate((0.9, 0.8, 0.7, 0.6, 0.5)):
        request = PREVIEW._replace(strength=strength)
        times[f"preview {number}"] = edit(image, job, request, on_canvas=True)
    job.close()
    path = os.path.join(STAGE, "speed.json")
    with open(path + ".part", "w") as file:
        json.dump(times, file)
    os.rename(path + ".part", path)


main()
