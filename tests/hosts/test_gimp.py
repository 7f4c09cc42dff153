"""The GIMP plug-in in real GIMP 3, without a window."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import Stage, ask_engine

from ganpaint_engine.client import JobEvent

pytestmark = pytest.mark.editors

TREE = "GANPaint: add tree (1, seed 0)"
DOME = "GANPaint: remove dome (1, seed 0)"


@pytest.fixture(scope="module")
def console(stage: Stage, stub_stage: Stage, expected: JobEvent) -> dict[str, Any]:
    """Reports of gimp-console, by scenario; see inside/gimp_console.py."""
    return run_console(stage, "model") | run_console(stub_stage, "stub")


def run_console(stage: Stage, scenarios: str) -> dict[str, Any]:
    """What gimp-console says of some scenarios, with this stage's engine."""
    variables = {"SCENARIOS": scenarios, "REPORT": f"gimp-{scenarios}.json"}
    with stage.start_gimp("gimp-console", "gimp_console.py", **variables) as gimp:
        assert gimp.wait(600) == 0, (stage.folder / "gimp_console.log").read_text()[-3000:]
    return stage.report(f"gimp-{scenarios}.json")


def patch_of(stage: Stage, name: str, expected: JobEvent) -> np.ndarray:
    assert expected.patch is not None
    return np.fromfile(stage.folder / name, np.uint8).reshape(expected.patch.shape)


def box_of(expected: JobEvent) -> list[int]:
    assert expected.patch is not None
    return [*expected.offset, expected.patch.shape[1], expected.patch.shape[0]]


def assert_one_new_layer(result: dict[str, Any], name: str) -> dict[str, Any]:
    """One layer more, on top and of this name; the old ones, pixels included, as they were."""
    assert (result["status"], result["error"]) == ("success", "")
    assert result["after"][1:] == result["before"]
    assert result["after"][0]["name"] == name
    return result["after"][0]


def assert_refused(result: dict[str, Any], code: str) -> None:
    assert result["status"] != "success"
    assert f"[{code}]" in result["error"]
    assert result["after"] == result["before"]


def test_edit_adds_the_engines_patch_as_one_layer(
    stage: Stage, console: dict[str, Any], expected: JobEvent
) -> None:
    layer = assert_one_new_layer(console["plain"], TREE)
    assert layer["masked"]
    assert console["plain"]["returned"] == TREE
    assert layer["box"] == box_of(expected)
    np.testing.assert_array_equal(patch_of(stage, "gimp-plain.rgba", expected), expected.patch)


def test_recipe_is_stored_with_the_layer(console: dict[str, Any], expected: JobEvent) -> None:
    recipe = console["plain"]["after"][0]["recipe"]
    assert recipe["concept"] == "tree"
    assert recipe.keys() >= expected.report.keys()


def test_photo_stays_the_chosen_layer(console: dict[str, Any]) -> None:
    assert console["plain"]["active"] == [console["plain"]["before"][0]["name"]]


def test_layer_offsets_are_allowed_for(console: dict[str, Any], expected: JobEvent) -> None:
    layer = assert_one_new_layer(console["shifted"], TREE)
    left, top, width, height = box_of(expected)
    assert layer["box"] == [left - 37, top + 11, width, height]
    assert layer["sha"] == console["plain"]["after"][0]["sha"]


def test_soft_selection_stays_soft(stage: Stage, console: dict[str, Any]) -> None:
    mask = np.fromfile(stage.folder / "gimp-soft.mask", np.uint8)
    mask = mask.reshape(stage.scene.photo.shape[:2])
    assert len(np.unique(mask)) > 100
    patch = ask_engine(stage, mask).patch
    assert patch is not None
    assert_one_new_layer(console["soft_selection"], TREE)
    got = np.fromfile(stage.folder / "gimp-soft.rgba", np.uint8)
    np.testing.assert_array_equal(got, patch.ravel())


def test_deep_linear_images_give_the_same_colours(
    stage: Stage, console: dict[str, Any], expected: JobEvent
) -> None:
    assert_one_new_layer(console["linear_16_bit"], TREE)
    got = patch_of(stage, "gimp-16bit.rgba", expected).astype(int)
    assert np.abs(got - expected.patch).max() <= 2


def test_direct_menu_entry_needs_no_arguments(console: dict[str, Any]) -> None:
    assert_one_new_layer(console["direct_entry"], DOME)


def test_edit_again_makes_the_same_in_the_same_place(console: dict[str, Any]) -> None:
    again = console["again"]
    assert (again["status"], again["error"]) == ("success", "")
    names = [layer["name"] for layer in again["after"]]
    assert names == [layer["name"] for layer in again["before"]]
    assert names[1] == "GANPaint: add tree (0.7, seed 2)"
    first, second = again["first"]["after"][0], again["after"][1]
    assert first["recipe"]["quality"] == "preview"
    assert second["recipe"]["quality"] == "final"
    for name in ("strength", "seed", "grow", "feather", "context"):
        assert second["recipe"][name] == first["recipe"][name]
    assert second["box"] == first["box"]
    # A final edit is a finer one, of the same thing.
    assert again["after"][2]["sha"] == again["before"][2]["sha"]


def test_repeat_here_makes_it_in_the_new_place(console: dict[str, Any]) -> None:
    layer = console["repeat_here"]["after"]
    names = [one["name"] for one in layer]
    assert names[:2].count("GANPaint: add tree: autumn (1, seed 2)") == 1
    new = layer[1]
    assert new["name"] == "GANPaint: add tree: autumn (1, seed 2) #1"
    assert new["recipe"]["variant"] == "autumn"
    left, top, width, height = new["box"]
    assert left < 45 < left + width
    assert top < 60 < top + height


def test_an_edit_of_an_edit_is_one_of_the_photo(console: dict[str, Any]) -> None:
    result = console["edit_of_an_edit"]
    assert result["status"] == "success"
    new, old = result["after"][1], result["after"][0]
    assert new["sha"] == old["sha"]


def test_scripts_entries_return_the_new_layer(console: dict[str, Any]) -> None:
    layer = assert_one_new_layer(console["remove"], DOME)
    assert console["remove"]["returned"] == layer["name"]
    sky = "GANPaint: change appearance of sky: clouded (1, seed 0)"
    assert_one_new_layer(console["restyle"], sky)
    assert console["restyle"]["returned"] == sky


@pytest.mark.parametrize(
    ("scenario", "code"),
    [
        ("no_selection", "mask_empty"),
        ("selection_beside_the_layer", "mask_empty"),
        ("unknown_concept", "unknown_concept"),
        ("two_layers", "bad_request"),
        ("layer_mask", "bad_request"),
        ("layer_group", "bad_request"),
        ("again_without_an_edit", "bad_request"),
    ],
)
def test_what_cannot_be_done_is_refused(console: dict[str, Any], scenario: str, code: str) -> None:
    assert_refused(console[scenario], code)


def test_missing_engine_is_told(stage: Stage) -> None:
    variables = {
        "SCENARIOS": "no engine",
        "REPORT": "gimp-missing.json",
        "GANPAINT_HOME": str(stage.folder / "nobody"),
        "GANPAINT_ENGINE": "/nowhere/ganpaint serve",
    }
    with stage.start_gimp("gimp-console", "gimp_console.py", **variables) as gimp:
        gimp.wait(300)
    assert_refused(stage.report("gimp-missing.json")["plain"], "engine_missing")
