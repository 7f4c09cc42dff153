"""Batch code for the real GIMP with its windows: opens them one by one, and tells what came of it.

The test outside presses the keys. After each step the state of the image is written down; where it
says "go", the step waits for the test to say so.
"""

import glob
import json
import os
import time

from gi.repository import Gimp, Gio

STAGE = os.environ["GANPAINT_STAGE"]
with open(os.path.join(STAGE, "box.json")) as box_file:
    BOX = json.load(box_file)
EDIT = "plug-in-ganpaint-edit"


def path_of(name):
    return os.path.join(STAGE, name)


def write(name, content):
    with open(path_of(name + ".part"), "w") as file:
        json.dump(content, file)
    os.rename(path_of(name + ".part"), path_of(name))


def wait_for_go(name):
    deadline = time.monotonic() + 300
    while not os.path.exists(path_of(name + ".go")):
        if time.monotonic() > deadline:
            raise TimeoutError(name)
        time.sleep(0.05)


def state(image, status=None):
    found = {"status": status.value_nick if status is not None else "", "valid": image.is_valid()}
    if not image.is_valid():
        return found
    return {
        **found,
        "layers": [layer.get_name() for layer in image.get_layers()],
        "selected": not Gimp.Selection.is_empty(image),
        "chosen": [layer.get_name() for layer in image.get_selected_layers()],
        "guide": image.find_next_guide(0) != 0,
        "dirty": image.is_dirty(),
        "undo": image.undo_is_enabled(),
    }


def forget_last_values():
    """The dialog would begin with them, and not with what the step asks for."""
    for path in glob.glob(os.path.join(Gimp.directory(), "**", "*" + EDIT + "*"), recursive=True):
        if os.path.isfile(path):
            os.remove(path)


def ask(image, name=EDIT, layer=None, **values):
    """Open a window, as the menu does; returns once it is closed."""
    forget_last_values()
    procedure = Gimp.get_pdb().lookup_procedure(name)
    config = procedure.create_config()
    config.set_property("run-mode", Gimp.RunMode.INTERACTIVE)
    config.set_property("image", image)
    config.set_core_object_array("drawables", [layer or image.get_layers()[-1]])
    for key, value in values.items():
        config.set_property(key, value)
    return procedure.run(config).index(0)


def open_photo():
    image = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, Gio.File.new_for_path(path_of("photo.png")))
    image.convert_precision(Gimp.Precision.U16_NON_LINEAR)
    display = Gimp.Display.new(image)
    image.select_rectangle(Gimp.ChannelOps.REPLACE, *BOX)
    image.add_hguide(20)  # the last undo step
    return image, display


def save(image, name):
    file = Gio.File.new_for_path(path_of(name))
    Gimp.file_save(Gimp.RunMode.NONINTERACTIVE, image, file, None)
    image.clean_all()


def previews(image):
    """Preview and cancel: with a step to undo, then with one to redo."""
    save(image, "before.xcf")
    write("previewed.json", state(image, ask(image)))
    save(image, "after.xcf")
    wait_for_go("undone")
    write("undone.json", state(image))
    write("previewed-again.json", state(image, ask(image)))
    wait_for_go("redone")
    write("redone.json", state(image))


def applying(image):
    """Cancel in mid-job, a dead engine, a new one, and an edit at last; then change that one."""
    write("cancelled.json", state(image, ask(image, concept="slow")))
    write("applied.json", state(image, ask(image, concept="slow")))
    for name in ("applied-undone", "applied-redone"):
        wait_for_go(name)
        write(name + ".json", state(image))
    again = ask(image, "plug-in-ganpaint-edit-again", layer=image.get_layers()[0])
    write("again.json", state(image, again))
    wait_for_go("again-undone")
    write("again-undone.json", state(image))
    direct = ask(image, "plug-in-ganpaint-remove-dome")
    write("direct.json", state(image, direct))


def closing():
    """The image goes while an edit is on the way that was called by its shortcut."""
    image, _ = open_photo()
    image.clean_all()  # GIMP closes it without a question then
    del image
    write("closing.json", {})
    wait_for_go("closed")
    write("closed.json", {"images": len(Gimp.get_images())})


def looking_after():
    """The Doctor, with no image open."""
    procedure = Gimp.get_pdb().lookup_procedure("plug-in-ganpaint-doctor")
    config = procedure.create_config()
    config.set_property("run-mode", Gimp.RunMode.INTERACTIVE)
    status = procedure.run(config).index(0)
    write("doctor.json", {"status": status.value_nick, "images": len(Gimp.get_images())})


def main():
    image, display = open_photo()
    previews(image)
    applying(image)
    display.delete()
    closing()
    looking_after()


main()
