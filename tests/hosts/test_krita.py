"""The Krita plug-in in real Krita: docker and menu, pressed by a driver inside (inside/krita)."""

from __future__ import annotations

import shutil
from typing import Any

import numpy as np
import pytest
from conftest import INSIDE, Display, Stage, wait_for

from ganpaint_engine.client import JobEvent

pytestmark = pytest.mark.editors


@pytest.fixture(scope="module")
def krita(stage: Stage, display: Display, expected: JobEvent) -> dict[str, Any]:
    """The driver's report, by act; see inside/krita/driver."""
    shutil.copytree(INSIDE / "krita", stage.home / ".local/share/krita/pykrita", dirs_exist_ok=True)
    kritarc = stage.home / ".config/kritarc"
    kritarc.write_text(kritarc.read_text() + "enable_driver=true\n")
    with stage.start("krita", "--nosplash", log="krita.log", DISPLAY=display.name) as process:
        try:
            cancel_when_working(stage)
            report = stage.report("krita.json")
        finally:
            # How it ended, beside the logs, for whoever looks into a failure.
            display.do("import", "-window", "root", str(stage.folder / "krita-end.png"))
            process.terminate()
    for name in ("krita-docker.png", "krita-layers.png"):
        display.keep(stage.folder / name)
    assert "failure" not in report, report["failure"]
    return report


def cancel_when_working(stage: Stage) -> None:
    """Let the driver press Cancel only once the engine is at work; see that it then stops."""

    def failed() -> bool:
        return (stage.folder / "krita.json").exists()

    wait_for("Krita's edit", lambda: failed() or (stage.folder / "krita-working").exists())
    wait_for("the engine's work", lambda: failed() or stage.working())
    (stage.folder / "krita-cancel.go").touch()
    wait_for("the cancel", lambda: failed() or (stage.folder / "krita-cancelled").exists())
    wait_for("the engine to stop", lambda: failed() or not stage.working())


def assert_one_new_layer(act: dict[str, Any], name: str) -> dict[str, Any]:
    """One layer more, right above the photo; the old ones, pixels included, as they were."""
    photo, new, *others = act["after"]
    assert [photo, *others] == act["before"]
    assert new["name"] == name
    return new


def patch_of(stage: Stage, name: str, dtype: type, expected: JobEvent) -> np.ndarray:
    """The layer's pixels as RGBA; Krita holds integer pixels as BGRA."""
    assert expected.patch is not None
    return np.fromfile(stage.folder / name, dtype).reshape(expected.patch.shape)[..., [2, 1, 0, 3]]


def srgb_of_linear(linear: np.ndarray) -> np.ndarray:
    """The sRGB curve (IEC 61966-2-1) on 0..1."""
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def test_apply_adds_the_engines_patch_as_one_layer(
    stage: Stage, krita: dict[str, Any], expected: JobEvent
) -> None:
    layer = assert_one_new_layer(krita["apply"], "Add tree")
    assert expected.patch is not None
    height, width, _ = expected.patch.shape
    assert layer["box"] == [*expected.offset, width, height]
    np.testing.assert_array_equal(
        patch_of(stage, "krita-plain.bgra", np.uint8, expected), expected.patch
    )


def test_status_and_recipe_and_active_layer(krita: dict[str, Any], expected: JobEvent) -> None:
    act = krita["apply"]
    assert act["status"] == "Add tree: done."
    assert act["active"] == act["before"][0]["name"]
    [recipe] = act["recipes"]
    assert recipe["concept"] == "tree"
    assert recipe.keys() == expected.report.keys()


def test_one_undo_takes_it_away(krita: dict[str, Any]) -> None:
    assert krita["undo"]["after"] == krita["apply"]["before"]
    # Made just before the edit: a second step would have taken it away.
    assert krita["undo"]["selected"]


def test_no_selection_is_told(krita: dict[str, Any]) -> None:
    act = krita["no_selection"]
    assert "[mask_empty]" in act["status"]
    assert act["idle"]
    assert act["after"] == act["before"]


def test_cancel_stops_the_engine_and_changes_nothing(krita: dict[str, Any]) -> None:
    act = krita["cancel"]
    assert act["status"] == "Cancelled."
    assert act["after"] == act["before"]


def test_an_error_is_shown_and_the_menu_still_works(krita: dict[str, Any]) -> None:
    assert "[unknown_concept]" in krita["error"]["status"]
    assert krita["error"]["after"] == krita["menu"]["before"]
    assert_one_new_layer(krita["menu"], "Remove dome")


def test_16_bit_document_gives_the_same_colours_in_one_undo_step(
    stage: Stage, krita: dict[str, Any], expected: JobEvent
) -> None:
    act = krita["linear_16_bit"]
    assert act["before"][0]["depth"] == "U16"
    assert_one_new_layer(act, "Add tree")
    got = patch_of(stage, "krita-16bit.bgra", np.uint16, expected) / 65535
    got[..., :3] = srgb_of_linear(got[..., :3])
    assert expected.patch is not None
    assert np.abs(255 * got - expected.patch).max() <= 2
    assert act["once"] == act["before"]
    assert [layer["name"] for layer in act["twice"]] == [act["before"][0]["name"]]
