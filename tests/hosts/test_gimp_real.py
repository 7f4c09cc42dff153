"""GIMP's window with the product's engine and the bundled model: what it makes is the engine's.

Its screenshots are those of docs/using.md. GANPAINT_PHOTO="FILE X Y WIDTH HEIGHT" makes them of
another photo, with a tree there.
"""

from __future__ import annotations

import hashlib
import json
import os

import numpy as np
import pytest
from conftest import PATIENCE_S, Display, Stage, wait_for
from PIL import Image

pytestmark = pytest.mark.editors


def test_the_window_makes_what_the_engine_makes(stage: Stage, display: Display) -> None:
    photo, box = stage.scene.photo, list(stage.scene.box)
    if os.environ.get("GANPAINT_PHOTO"):
        file, *numbers = os.environ["GANPAINT_PHOTO"].rsplit(maxsplit=4)
        photo, box = np.asarray(Image.open(file).convert("RGB")), [int(one) for one in numbers]
    Image.fromarray(photo).save(stage.folder / "picture.png")
    (stage.folder / "picture-box.json").write_text(json.dumps(box))
    gimp = stage.start_gimp("gimp", "gimp_pictures.py", DISPLAY=display.name)
    try:
        dialog = display.window("Edit with GANPaint")
        main = display.window("GIMP$")
        display.do("xdotool", "windowmove", main, "0", "0", "windowsize", main, "1278", "834")
        display.press(main, "shift+ctrl+j")  # the whole image in the window
        display.do("xdotool", "windowmove", "--sync", dialog, "735", "330")
        wait_for("the preview", lambda: "2 layers" in _title(display))
        wait_for("the end of the preview", lambda: not stage.working())
        display.photograph("gimp-dialog.png")
        display.press(dialog, "Return")
        made = stage.report("picture.json")
        display.photograph("gimp-layers.png")
    finally:
        (stage.folder / "picture.go").touch()
        gimp.wait(PATIENCE_S)
    assert made["status"] == "success"
    assert made["layers"] == ["GANPaint: add tree (1, seed 0)", "Background"]
    mask = np.fromfile(stage.folder / "picture.mask", np.uint8).reshape(photo.shape[:2])
    with stage.engine() as client:
        job = client.submit(photo, mask, concept="tree", operation="add", quality="final")
        wanted = list(client.events(job, timeout=PATIENCE_S))[-1]
    assert wanted.patch is not None
    assert made["box"] == [*wanted.offset, wanted.patch.shape[1], wanted.patch.shape[0]]
    if photo.shape[0] * photo.shape[1] <= 1 << 20:  # else GIMP sends a part of it
        assert made["sha"] == hashlib.sha256(wanted.patch.tobytes()).hexdigest()


def _title(display: Display) -> str:
    return display.do("xdotool", "search", "--name", "GIMP$", "getwindowname", "%@")
