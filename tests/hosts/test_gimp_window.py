"""GIMP's windows, with hands on the keyboard: one GIMP, from the first preview to the Doctor.

The engine is the stub: its concept "slow" takes twelve seconds, time enough to cancel, to kill it
and to close the image.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator

import numpy as np
import pytest
from conftest import Display, Engines, Stage, wait_for

pytestmark = pytest.mark.editors

DIALOG = "Edit with GANPaint"
SLOW = "GANPaint: add slow (1, seed 0)"


@pytest.fixture(scope="module")
def window_stage(stage: Stage) -> Stage:
    return stage.with_engine("window-engine")


@pytest.fixture(scope="module")
def engines(window_stage: Stage) -> Iterator[Engines]:
    engines = Engines(window_stage, "ganpaint_engine.service.stub", "--step-ms", "12")
    yield engines
    engines.close()


@pytest.fixture(scope="module")
def gui(
    window_stage: Stage, display: Display, engines: Engines
) -> Iterator[subprocess.Popen[bytes]]:
    """The real GIMP on the display, running inside/gimp_dialog.py; the tests go through it."""
    variables = {"DISPLAY": display.name, "GANPAINT_ENGINE": str(engines.command)}
    process = window_stage.start_gimp("gimp", "gimp_dialog.py", **variables)
    yield process
    process.terminate()
    process.wait(30)


@pytest.mark.usefixtures("gui")
class TestWindows:
    """In order: each test goes on where the one before it ended."""

    def test_preview_is_on_the_canvas_and_follows_the_strength(
        self, window_stage: Stage, display: Display
    ) -> None:
        dialog = display.window(DIALOG)
        main = display.window("GIMP$")
        display.do("xdotool", "windowmove", main, "0", "0", "windowsize", main, "1278", "834")
        display.do("xdotool", "windowmove", "--sync", dialog, "735", "330")
        wait_for("the preview", lambda: "2 layers" in _title(display))
        full = _picture(window_stage, display, "preview-1.png")
        _type(display, dialog, "alt+g", "0.3")
        wait_for("another preview", lambda: _differs(window_stage, display, full))
        display.photograph("gimp-preview.png")
        display.press(dialog, "Escape")

    def test_cancel_leaves_everything_as_it_was(self, window_stage: Stage) -> None:
        after = window_stage.report("previewed.json")
        assert after["status"] == "cancel"
        assert after["layers"] == after["chosen"] == ["Background"]
        assert (after["dirty"], after["selected"], after["undo"]) == (False, True, True)
        wait_for("the file", (window_stage.folder / "after.xcf").exists)
        before = (window_stage.folder / "before.xcf").read_bytes()
        wait_for(
            "the same file",
            lambda: (window_stage.folder / "after.xcf").read_bytes() == before,
        )

    def test_previews_add_no_undo_steps(self, window_stage: Stage, display: Display) -> None:
        _in_main_window(display, "ctrl+z")
        assert _told(window_stage, "undone") == (True, False)  # the guide, added just before

    def test_previews_keep_what_can_be_redone(self, window_stage: Stage, display: Display) -> None:
        dialog = display.window(DIALOG)
        wait_for("the preview", lambda: "2 layers" in _title(display))
        display.press(dialog, "Escape")
        assert window_stage.report("previewed-again.json")["layers"] == ["Background"]
        _in_main_window(display, "ctrl+y")
        assert _told(window_stage, "redone") == (True, True)

    def test_previews_can_be_switched_off(self, window_stage: Stage, display: Display) -> None:
        dialog = display.window(DIALOG)
        wait_for("a slow preview to begin", window_stage.working)
        display.press(dialog, "alt+p")
        wait_for("its end", lambda: not window_stage.working())

    def test_cancel_stops_the_engine_and_leaves_the_dialog(
        self, window_stage: Stage, display: Display
    ) -> None:
        dialog = display.window(DIALOG)
        display.press(dialog, "Return")
        wait_for("the edit to begin", window_stage.working)
        display.press(dialog, "Escape")
        wait_for("the edit to end", lambda: not window_stage.working())
        assert not display.gone(dialog)
        display.press(dialog, "Escape")
        cancelled = window_stage.report("cancelled.json")
        assert cancelled["status"] == "cancel"
        assert cancelled["layers"] == ["Background"]

    def test_a_killed_engine_is_told_and_started_again_from_the_window(
        self, window_stage: Stage, display: Display, engines: Engines
    ) -> None:
        dialog = display.window(DIALOG)  # with previews off, as it was left
        height = _height(display, dialog)
        display.press(dialog, "Return")
        wait_for("the edit to begin", window_stage.working)
        started = engines.started
        engines.kill()
        # The sentence and the button make the dialog taller.
        wait_for("the error", lambda: _height(display, dialog) > height)
        display.photograph("gimp-engine-died.png")
        display.press(dialog, "alt+i")
        wait_for("another engine", lambda: engines.started > started)
        wait_for("its answer", lambda: _answers(window_stage))
        display.press(dialog, "Return")
        applied = window_stage.report("applied.json")
        assert applied["status"] == "success"
        assert applied["layers"] == [SLOW, "Background"]
        assert applied["chosen"] == ["Background"]

    def test_one_undo_takes_the_edit_away_and_redo_brings_it_back(
        self, window_stage: Stage, display: Display
    ) -> None:
        _in_main_window(display, "ctrl+z")
        wait_for("the undo", lambda: "1 layer" in _title(display))
        undone = _state(window_stage, "applied-undone")
        assert (undone["layers"], undone["guide"]) == (["Background"], True)
        _in_main_window(display, "ctrl+y")
        wait_for("the redo", lambda: "2 layers" in _title(display))
        assert _state(window_stage, "applied-redone")["layers"] == [SLOW, "Background"]

    def test_edit_again_replaces_the_layer_in_one_step(
        self, window_stage: Stage, display: Display
    ) -> None:
        dialog = display.window("Edit again")
        _type(display, dialog, "alt+g", "0.5")
        display.press(dialog, "Return")
        changed = "GANPaint: add slow (0.5, seed 0)"
        assert window_stage.report("again.json")["layers"] == [changed, "Background"]
        _in_main_window(display, "ctrl+z")
        assert _state(window_stage, "again-undone")["layers"] == [SLOW, "Background"]

    def test_a_direct_entry_starts_at_once_and_closes_by_itself(self, window_stage: Stage) -> None:
        direct = window_stage.report("direct.json")
        assert direct["status"] == "success"
        # With the strength of the last edit, which was undone, but made.
        assert "GANPaint: remove dome (0.5, seed 0)" in direct["layers"]

    def test_a_closed_image_ends_the_edit_and_the_window_stays(
        self, window_stage: Stage, display: Display
    ) -> None:
        window_stage.report("closing.json")
        _in_main_window(display, "ctrl+F12")  # the menu entry's shortcut: with its last values
        dialog = display.window(DIALOG)
        display.press(dialog, "Return")
        wait_for("the edit to begin", window_stage.working)
        _in_main_window(display, "ctrl+w")
        wait_for("the edit to end", lambda: not window_stage.working())
        time.sleep(1)  # for the picture alone
        display.photograph("gimp-closed.png")
        assert not display.gone(dialog)  # as it would be after an edit
        display.press(dialog, "Escape")
        wait_for("the dialog to close", lambda: display.gone(dialog))
        assert _state(window_stage, "closed") == {"images": 0}

    def test_the_doctor_needs_no_image(
        self, window_stage: Stage, display: Display, engines: Engines, gui: subprocess.Popen[bytes]
    ) -> None:
        window = display.window("GANPaint Doctor")
        wait_for("the report", lambda: _answers(window_stage))
        time.sleep(3)  # for the picture alone: the engine is asked every two seconds
        display.photograph("gimp-doctor.png")
        started = engines.started
        display.press(window, "alt+r")
        wait_for("another engine", lambda: engines.started > started)
        wait_for("its answer", lambda: _answers(window_stage))
        display.press(window, "Escape")
        assert window_stage.report("doctor.json") == {"status": "success", "images": 0}
        assert gui.wait(60) == 0


def _title(display: Display) -> str:
    return display.do("xdotool", "search", "--name", "GIMP$", "getwindowname", "%@")


def _height(display: Display, window: str) -> int:
    geometry = display.do("xdotool", "getwindowgeometry", "--shell", window)
    return int(dict(line.split("=") for line in geometry.split())["HEIGHT"])


def _type(display: Display, dialog: str, key: str, text: str) -> None:
    """Put a text into the entry with this mnemonic."""
    display.press(dialog, key, "ctrl+a")
    display.do("xdotool", "type", "--delay", "40", text)
    display.do("xdotool", "key", "Tab")


def _in_main_window(display: Display, key: str) -> None:
    display.press(display.window("GIMP$"), key)


def _state(stage: Stage, step: str) -> dict[str, object]:
    (stage.folder / f"{step}.go").touch()
    return stage.report(f"{step}.json")


def _told(stage: Stage, step: str) -> tuple[object, object]:
    """After an undo or redo: whether something is selected, and whether the guide is there."""
    state = _state(stage, step)
    return state["selected"], state["guide"]


def _answers(stage: Stage) -> bool:
    try:
        stage.working()
    except Exception:
        return False
    return True


def _picture(stage: Stage, display: Display, name: str) -> np.ndarray:
    """The left part of the screen, where the canvas is; without the dialog."""
    display.do("import", "-window", "root", "-crop", "780x700+0+100", str(stage.folder / name))
    return stage.pixels(name).astype(int)


def _differs(stage: Stage, display: Display, before: np.ndarray) -> bool:
    """Whether much of the canvas has changed: not only the line around the selection."""
    now = _picture(stage, display, "preview-2.png")
    return bool((np.abs(now - before).max(2) > 20).sum() > 500)
