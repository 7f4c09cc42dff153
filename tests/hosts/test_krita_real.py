"""The Krita plug-in with the real engine: each operation, as the engine gives it when asked."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
from conftest import PATIENCE_S, Display, Stage
from krita_stage import SHOT_PHOTO, play

from ganpaint_engine.client import JobEvent

pytestmark = pytest.mark.editors


@pytest.fixture(scope="module")
def krita(stage: Stage, display: Display) -> dict[str, Any]:
    if os.environ.get(SHOT_PHOTO):
        play(stage, display, "shots")
    return play(stage, display, "real")


def golden(stage: Stage, **wishes: Any) -> JobEvent:
    """What the engine itself makes of the same edit of the same photo."""
    with stage.engine() as client:
        job = client.submit(stage.scene.photo, stage.scene.mask, quality="final", **wishes)
        return list(client.events(job, timeout=PATIENCE_S))[-1]


def assert_is(stage: Stage, name: str, layer: dict[str, Any], wanted: JobEvent) -> None:
    """The layer has the patch's place and colours, and its mask the patch's alpha.

    Krita sends RGBA and the test RGB: the engine works in floats, whose last bit may round
    otherwise.
    """
    assert wanted.patch is not None
    height, width, _ = wanted.patch.shape
    assert layer["box"] == [*wanted.offset, width, height]
    pixels = np.fromfile(stage.folder / f"{name}.pixels", np.uint8).reshape(height, width, 4)
    mask = np.fromfile(stage.folder / f"{name}.mask", np.uint8).reshape(height, width)
    difference = np.abs(pixels[..., [2, 1, 0]].astype(int) - wanted.patch[..., :3])
    assert difference.max() <= 1
    np.testing.assert_array_equal(mask, wanted.patch[..., 3])


def test_add_with_a_preview_first(stage: Stage, krita: dict[str, Any]) -> None:
    act = krita["add"]
    assert act["status"] == "GANPaint: add tree (1, seed 1): done."
    wanted = golden(stage, concept="tree", operation="add", strength=1.0, seed=1)
    assert_is(stage, "real-add", act["after"][1], wanted)


def test_previews_touch_nothing(krita: dict[str, Any]) -> None:
    act = krita["add"]
    assert act["during"] == act["before"]
    assert len(act["slider_s"]) == 4


def test_remove(stage: Stage, krita: dict[str, Any]) -> None:
    act = krita["remove"]
    assert act["looks"] == 0
    wanted = golden(stage, concept="tree", operation="remove")
    assert_is(stage, "real-remove", act["layers"][1], wanted)


def test_change_of_appearance_with_a_look(stage: Stage, krita: dict[str, Any]) -> None:
    act = krita["restyle"]
    assert all(act["icons"])
    assert len(act["icons"]) == act["looks"] - 1
    with stage.engine() as client:
        [model] = client.welcome["models"]
    variant = model["variants"]["tree"][0]
    wanted = golden(stage, concept="tree", operation="restyle", variant=variant)
    assert_is(stage, "real-restyle", act["layers"][1], wanted)
