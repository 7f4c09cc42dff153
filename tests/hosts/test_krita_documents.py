"""The Krita plug-in in documents of every colour space and with every kind of layer.

The stub engine inverts what it gets, in sRGB. What Krita then shows must be the inverse of what it
showed before: the same colours, whatever the document holds them in, and in the right place.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import pytest
from conftest import Display, Stage
from krita_stage import play
from PIL import Image, ImageCms

from ganpaint_engine.service.stub import paint

pytestmark = pytest.mark.editors

# What two conversions may round away, in steps of 8-bit sRGB, as measured. A CMYK profile's tables
# for the two directions are no exact inverses of each other: there the raw inks are tested below.
ROUNDING = {
    "linear_16": 1,
    "srgb_16": 1,
    "adobe_8": 2,
    "adobe_16": 1,
    "prophoto_16": 1,
    "rec2020_f16": 1,
    "linear_f32": 1,
    "gray_8": 2,
    "gray_16": 1,
    "cmyk_8": 16,
    "cmyk_16": 16,
    "lab_16": 1,
}
SHAPES = ("offset", "small", "grouped", "in_group", "locked", "filled")


@pytest.fixture(scope="module")
def krita(stage: Stage, display: Display) -> dict[str, Any]:
    return play(stage, display, "documents")


def seen(stage: Stage, name: str) -> tuple[np.ndarray, np.ndarray]:
    """The image before and after an edit, RGB."""
    before, after = (
        np.asarray(Image.open(stage.folder / f"{name}-{when}.png").convert("RGB")).astype(int)
        for when in ("before", "after")
    )
    return before, after


@pytest.mark.parametrize("name", ROUNDING)
def test_colours_are_the_same_in_every_space(
    stage: Stage, krita: dict[str, Any], name: str
) -> None:
    assert krita[name]["status"].endswith("done.")
    assert krita[name]["box"] == list(stage.scene.box)
    before, after = seen(stage, name)
    inside = stage.scene.mask > 0
    np.testing.assert_array_equal(after[~inside], before[~inside])
    worst = np.abs(after[inside] - (255 - before[inside])).max()
    assert worst <= ROUNDING[name]


@pytest.mark.parametrize("name", ROUNDING)
def test_the_layer_is_in_the_documents_space_and_one_undo_takes_it_away(
    krita: dict[str, Any], name: str
) -> None:
    depth = {"8": "U8", "16": "U16", "f16": "F16", "f32": "F32"}[name.rsplit("_", maxsplit=1)[-1]]
    assert krita[name]["space"][1] == depth
    assert krita[name]["undone"]


def muted(stage: Stage) -> np.ndarray:
    return np.asarray(Image.open(stage.folder / "muted.png"))


def test_linear_16_bit_numbers_by_the_srgb_curve(stage: Stage, krita: dict[str, Any]) -> None:
    patch, _ = paint(muted(stage), stage.scene.mask, 1.0, 0)
    raw = np.fromfile(stage.folder / "linear_16.pixels", np.uint16).reshape(patch.shape)
    linear = raw[..., [2, 1, 0]] / 65535
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    assert np.abs(255 * encoded - patch[..., :3]).max() <= 1


@pytest.mark.parametrize(
    ("name", "profile", "order"),
    [("adobe_8", "ClayRGB-elle-V2-g22.icc", [2, 1, 0]), ("cmyk_8", "cmyk.icm", [0, 1, 2, 3])],
)
def test_raw_numbers_by_another_colour_engine(
    stage: Stage, krita: dict[str, Any], name: str, profile: str, order: list[int]
) -> None:
    """LittleCMS with the intent that Krita uses inside: perceptual, with black point."""
    folder = stage.chroot / "usr/share/color/icc/krita"
    profiles = [
        ImageCms.ImageCmsProfile(BytesIO((folder / file).read_bytes()))
        for file in ("sRGB-elle-V2-srgbtrc.icc", profile)
    ]
    left, top, width, height = stage.scene.box
    before, _ = seen(stage, name)
    inverse = (255 - before[top : top + height, left : left + width]).astype(np.uint8)
    wanted = ImageCms.profileToProfile(
        Image.fromarray(inverse),
        *profiles,
        renderingIntent=ImageCms.Intent.PERCEPTUAL,
        outputMode="CMYK" if len(order) == 4 else "RGB",
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    raw = np.fromfile(stage.folder / f"{name}.pixels", np.uint8)
    raw = raw.reshape(height, width, -1)[..., order]
    assert wanted is not None
    assert np.abs(raw.astype(int) - np.asarray(wanted).astype(int)).max() <= 2


@pytest.mark.parametrize("name", SHAPES)
def test_layers_of_every_shape(stage: Stage, krita: dict[str, Any], name: str) -> None:
    assert krita[name]["status"].endswith("done.")
    assert krita[name]["untouched"]
    assert krita[name]["above"].startswith("GANPaint: add tree")
    before, after = seen(stage, name)
    inside = stage.scene.mask > 0
    np.testing.assert_array_equal(after[~inside], before[~inside])
    if name != "small":
        assert np.abs(after[inside] - (255 - before[inside])).max() <= 1


def test_a_layer_smaller_than_the_canvas(stage: Stage, krita: dict[str, Any]) -> None:
    """Inverted where the layer has pixels; where it has none the engine sees black, transparent."""
    left, top, width, height = stage.scene.box
    _, after = seen(stage, "small")
    inside = after[top + 10 : top + height, left + 10 : left + width]
    assert np.abs(inside - (255 - np.array((150, 120, 90)))).max() <= 1
    assert (after[top : top + 10, left : left + width] == 255).all()
