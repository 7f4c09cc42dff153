"""Batch code for the real GIMP with its windows: opens the dialog, then tells what has come of it.

The test outside presses the keys. After each step the image's layers are written down, and the next
step waits for the test to say "go".
"""

import json
import os
import time

from gi.repository import Gimp, Gio

STAGE = os.environ["GANPAINT_STAGE"]
with open(os.path.join(STAGE, "box.json")) as box_file:
    BOX = json.load(box_file)


def path_of(name):
    return os.path.join(STAGE, name)


def write(name, content):
    with open(path_of(name + ".part"), "w") as file:
        json.dump(content, file)
    os.rename(path_of(name + ".part"), path_of(name))


def wait_for_go(name):
    deadline = time.monotonic() + 300
    while not os.path.exists(path_of(name)):
        if time.monotonic() > deadline:
            raise TimeoutError(name)
        time.sleep(0.05)


def state(image, status=None):
    return {
        "status": status.value_nick if status is not None else "",
        "layers": [layer.get_name() for layer in image.get_layers()],
        "selected": not Gimp.Selection.is_empty(image),
    }


def ask(image, quality, name="plug-in-ganpaint-edit"):
    """Open the dialog, as the menu does; returns once it is closed."""
    procedure = Gimp.get_pdb().lookup_procedure(name)
    config = procedure.create_config()
    config.set_property("run-mode", Gimp.RunMode.INTERACTIVE)
    config.set_property("image", image)
    config.set_core_object_array("drawables", image.get_layers()[-1:])
    config.set_property("quality", quality)
    return procedure.run(config).index(0)


def main():
    image = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, Gio.File.new_for_path(path_of("photo.png")))
    Gimp.Display.new(image)
    image.select_rectangle(Gimp.ChannelOps.REPLACE, *BOX)
    # First: after an edit, the dialog would begin with the quality of that one.
    write("gimp-cancelled.json", state(image, ask(image, "final")))
    write("gimp-applied.json", state(image, ask(image, "preview")))
    wait_for_go("gimp-undone.go")
    write("gimp-undone.json", state(image))
    write("gimp-retried.json", state(image, ask(image, "preview")))
    direct = ask(image, "preview", "plug-in-ganpaint-remove-dome")
    write("gimp-direct.json", state(image, direct))


main()
