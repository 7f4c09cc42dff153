"""The Krita plug-in in real Krita: edits, preview, history, and what can go wrong.

The stub engine answers here: it inverts what is under the selection, so that every pixel is known.
The plays that press the docker are in inside/krita/driver.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Display, Stage
from krita_stage import play
from PIL import Image

from ganpaint_engine import plugins
from ganpaint_engine.service.stub import paint

pytestmark = pytest.mark.editors

FIRST = "GANPaint: add tree (0.8, seed 2)"
SECOND = "GANPaint: add tree (0.95, seed 2)"


@pytest.fixture(scope="module")
def krita(stage: Stage, display: Display) -> dict[str, Any]:
    """What the plays wrote down, by play."""
    return play(stage, display, "edits,life")


def layer_of(stage: Stage, name: str, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """RGBA and mask of a layer that a play saved; Krita holds integer pixels as BGRA."""
    pixels = np.fromfile(stage.folder / f"{name}.pixels", np.uint8).reshape(*shape, 4)
    mask = np.fromfile(stage.folder / f"{name}.mask", np.uint8).reshape(shape)
    return pixels[..., [2, 1, 0, 3]], mask


def assert_is_the_stubs(
    stage: Stage, name: str, mask: np.ndarray, strength: float = 1.0, seed: int = 0
) -> None:
    """The saved layer has the stub's colours, opaque, and its alpha in the mask."""
    patch, _ = paint(stage.scene.photo, mask, strength, seed)
    pixels, edge = layer_of(stage, name, patch.shape[:2])
    np.testing.assert_array_equal(pixels[..., :3], patch[..., :3])
    assert (pixels[..., 3] == 255).all()
    np.testing.assert_array_equal(edge, patch[..., 3])


def names(layers: list[dict[str, Any]]) -> list[str]:
    return [layer["name"] for layer in layers]


def test_apply_adds_one_layer_with_a_mask_and_touches_nothing_else(
    stage: Stage, krita: dict[str, Any]
) -> None:
    act = krita["apply"]
    photo, new, *others = act["after"]
    assert [photo, *others] == act["before"]
    assert new["name"] == "GANPaint: add tree (0.8, seed 1)"
    assert new["box"] == list(stage.scene.box)
    assert [(mask["type"], mask["name"]) for mask in new["children"]] == [
        ("transparencymask", "Edge")
    ]
    assert_is_the_stubs(stage, "apply", stage.scene.mask, 0.8, 1)


def test_status_recipe_and_active_layer(krita: dict[str, Any]) -> None:
    act = krita["apply"]
    assert act["status"] == "GANPaint: add tree (0.8, seed 1): done."
    assert act["active"] == act["before"][0]["name"]
    [recipe] = act["recipes"]
    wanted = {"concept": "tree", "operation": "add", "strength": 0.8, "seed": 1, "model": "stub"}
    assert wanted.items() <= recipe.items()


def test_exactly_one_undo_step_and_redo(krita: dict[str, Any]) -> None:
    act = krita["apply"]
    (texts, present), after = act["steps"]
    assert after == [[*texts, "Add Layer"], present + 1]
    assert act["undone"] == act["before"]
    assert act["redone"] == act["after"]
    assert act["undone_twice"] == act["before"][:1]  # the step before the edit's own


def test_soft_edges_of_the_selection_become_the_mask(stage: Stage, krita: dict[str, Any]) -> None:
    mask = np.zeros(stage.scene.photo.shape[:2], np.uint8)
    rows, columns = np.mgrid[:90, :120]
    mask[30:120, 40:160] = (columns * 2 + rows) % 256
    assert krita["soft"]["status"].endswith("done.")
    assert_is_the_stubs(stage, "soft", mask)


def test_a_selection_beyond_the_canvas_ends_at_its_edge(
    stage: Stage, krita: dict[str, Any]
) -> None:
    height, width = stage.scene.photo.shape[:2]
    mask = np.zeros((height, width), np.uint8)
    mask[height - 50 :, width - 70 :] = 255
    assert krita["beyond"]["box"] == [width - 70, height - 50, 70, 50]
    assert_is_the_stubs(stage, "beyond", mask)


def test_a_preview_touches_nothing(krita: dict[str, Any]) -> None:
    act = krita["preview"]
    assert act["during"] == act["before"]
    assert act["cancelled"] == act["before"]
    assert act["status"] == "Cancelled."
    assert act["overlay_gone"]


def test_a_preview_looks_like_the_layer_that_apply_makes(
    stage: Stage, krita: dict[str, Any]
) -> None:
    assert len(krita["preview"]["applied"]["layers"]) == 2
    shown, made = (
        np.asarray(Image.open(stage.folder / name).convert("RGB")).astype(int)
        for name in ("preview.png", "applied.png")
    )
    difference = np.abs(shown - made).max(2)
    # Krita scales with its own filter: along edges a few pixels differ.
    assert np.percentile(difference, 95) <= 4
    assert np.percentile(difference, 99) <= 20
    assert difference.mean() < 1


def test_the_preview_of_a_large_photo_is_in_the_same_place(
    stage: Stage, krita: dict[str, Any]
) -> None:
    act = krita["preview"]
    assert act["scale"] > 1.5
    # To a pixel of the smaller photo at each side.
    np.testing.assert_allclose(act["large"], stage.scene.box, atol=2 * act["scale"])


def test_edit_again_replaces_the_layer_in_one_undo_step(
    stage: Stage, krita: dict[str, Any]
) -> None:
    act = krita["again"]
    assert act["first"] == FIRST
    assert FIRST in act["taken_up"]
    visible = {layer["name"]: layer["visible"] for layer in act["after"]}
    assert (visible[FIRST], visible[SECOND]) == (False, True)
    (texts, present), after = act["steps"]
    assert after == [[*texts, "Add Layer"], present + 1]
    # The selection was gone by then: the edit's own is stored with it.
    assert_is_the_stubs(stage, "again", stage.scene.mask, 0.95, 2)


def test_undo_of_a_replacement_brings_the_first_layer_back(krita: dict[str, Any]) -> None:
    act = krita["again"]
    assert SECOND not in names(act["undone"])
    assert {layer["name"]: layer["visible"] for layer in act["undone"]}[FIRST]
    assert act["redone"] == act["after"]


def test_repeat_here_uses_the_selection_of_now(stage: Stage, krita: dict[str, Any]) -> None:
    act = krita["here"]
    assert act["status"] == f"{FIRST}: done."
    mask = np.zeros(stage.scene.photo.shape[:2], np.uint8)
    mask[10:40, 10:50] = 255
    assert_is_the_stubs(stage, "here", mask, 0.8, 2)


def test_edits_are_known_again_in_a_saved_file(krita: dict[str, Any]) -> None:
    act = krita["reopened"]
    assert sorted(act["rows"]) == sorted([FIRST, FIRST, SECOND])
    assert all(act["icons"])
    assert all(act["all_shown"])
    assert len(act["left"]) == len(act["layers"]) - 1
    assert names(act["undone"]) == names(act["layers"])
    assert act["again"] == f"{SECOND}: done."
    assert names(act["again_layers"]).count(SECOND) == 2


def test_menu_entries_use_the_last_values(krita: dict[str, Any]) -> None:
    act = krita["menu"]
    assert act["added"] == "GANPaint: add door (0.5, seed 3): done."
    assert "change appearance of dome" in act["restyled"]
    assert act["kept"] == "0.5"


def test_without_a_document(krita: dict[str, Any]) -> None:
    act = krita["without_document"]
    assert act["apply"].startswith("Open a photo first.")
    assert "running and answering" in act["doctor"]
    assert "stub" in act["doctor"]


def test_doctor_copies_a_report_and_stores_settings(stage: Stage, krita: dict[str, Any]) -> None:
    act = krita["without_document"]
    assert "stub" in act["copied"]
    assert str(stage.home) not in act["copied"]
    assert "no device" in act["settings"][0]
    assert act["settings"][1].startswith("Saved.")
    stored = json.loads((stage.folder / "stub/config/settings.json").read_text())
    assert stored["device"] == "cpu"


def files_of(folder: Path) -> dict[str, bytes]:
    """The plug-in's files under a resource folder of Krita, by place."""
    found = [*folder.glob("pykrita/ganpaint/**/*"), *folder.glob("*/ganpaint.*")]
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in found
        if path.is_file() and "__pycache__" not in path.parts and path.name != "install.json"
    }


def test_kritas_own_importer_takes_the_zip(stage: Stage, krita: dict[str, Any]) -> None:
    assert krita["importer"] == {"names": ["GANPaint"], "asked": ["ganpaint"]}
    installed = files_of(stage.home / ".local/share/krita")
    assert "actions/ganpaint.action" in installed
    assert files_of(stage.folder / "imported") == installed


def test_update_and_uninstall_after_krita_has_run(
    stage: Stage, krita: dict[str, Any], tmp_path: Path
) -> None:
    """In a copy of the person's folders, as Krita left them."""
    for place in (".local/share/krita", ".config"):
        shutil.copytree(stage.home / place, tmp_path / place)
    folder, kritarc = tmp_path / ".local/share/krita", tmp_path / ".config/kritarc"
    before = files_of(folder)
    plugins.install("krita", folder)
    assert files_of(folder) == before
    plugins.uninstall("krita", folder)
    assert files_of(folder) == {}
    assert not (folder / "pykrita/ganpaint").exists()
    assert "enable_ganpaint" not in kritarc.read_text()
    assert "[GANPaint]" in kritarc.read_text()  # the values chosen last are the person's


def test_errors_are_told_and_change_nothing(krita: dict[str, Any]) -> None:
    act = krita["errors"]
    assert "[mask_empty]" in act["no_selection"]
    assert act["idle"]
    assert "[out_of_memory]" in act["failed"]
    assert act["after"]["layers"] == act["before"]["layers"]
    assert "unlike" in act["warning"]


def test_cancel_stops_the_engine_and_changes_nothing(krita: dict[str, Any]) -> None:
    act = krita["cancel"]
    assert act["status"] == "Cancelled."
    assert act["after"] == act["before"]


def test_a_dead_engine_is_told_and_started_again(krita: dict[str, Any]) -> None:
    act = krita["killed"]
    assert "[engine_unreachable]" in act["status"]
    assert act["restart_offered"]
    assert act["after"] == act["before"]
    assert act["next"].endswith("done.")
    assert len(act["layers"]) == 2


def test_a_document_closed_meanwhile(krita: dict[str, Any]) -> None:
    assert krita["closed"] == {
        "status": "The document was closed before the edit was done.",
        "open": 0,
    }


def test_a_changed_layer_is_not_pasted_over_blindly(krita: dict[str, Any]) -> None:
    act = krita["changed"]
    assert act["status"].startswith("The layer was changed while the edit was made.")
    assert act["held"] == act["before"]
    assert act["inserted"].endswith("done.")
    assert len(act["after"]) == 2


def test_a_removed_layer(krita: dict[str, Any]) -> None:
    act = krita["removed"]
    assert act["status"].startswith("The layer was removed while the edit was made.")
    assert act["after"] == act["before"]


def test_the_layer_comes_into_its_own_document(krita: dict[str, Any]) -> None:
    act = krita["elsewhere"]
    assert act["other"][0] == act["other"][1]
    assert len(act["own"]) == 2


REASONS = {
    "hidden": "This layer is hidden.",
    "animated": "This layer is animated.",
    "faint": "This layer is blended with those below it.",
    "multiplied": "This layer is blended with those below it.",
    "mask": "A mask or filter is chosen.",
    "passing": "This group passes through",
    "locked_group": "is locked: nothing can be added to it.",
}


@pytest.mark.parametrize("kind", REASONS)
def test_layers_that_are_no_photo_are_refused_with_the_reason(
    krita: dict[str, Any], kind: str
) -> None:
    status, untouched = krita["refused"][kind]
    assert REASONS[kind] in status
    assert untouched
