"""Cutouts: what exemplars look like in pixels, and where and in which light they are laid."""

from pathlib import Path

import numpy as np
import pytest
import torch

import ganpaint_engine as gp
from ganpaint_engine import cutouts, model_package, paste, selection
from ganpaint_engine.cutouts import Cutout, Cutouts
from ganpaint_engine.errors import DamagedModel
from ganpaint_engine.exemplars import Exemplars
from ganpaint_engine.paste import Thing
from ganpaint_engine.window import Window, to_tensor

RED = (200, 40, 30)


def thing(height: int = 40, width: int = 20) -> Cutout:
    """A red rectangle with a hole in its middle, in the middle of its picture."""
    rgba = np.zeros((height, width, 4), np.uint8)
    rgba[..., :3], rgba[..., 3] = RED, 255
    rgba[height // 4 : height // 2, width // 4 : width // 2, 3] = 0
    return Cutout(rgba, (0.4, 0.3, 0.6, 0.7), np.array([100.0, 100.0, 100.0]))


def stroke_in(y0: int, y1: int, x0: int, x1: int, side: int = 64) -> np.ndarray:
    stroke = np.zeros((side, side), np.float32)
    stroke[y0:y1, x0:x1] = 1
    return stroke


def packed(count: int = 3) -> Cutouts:
    held = torch.zeros(count, 8, 8)
    held[:, 2:6, 3:5] = 1
    return cutouts.pack([thing() for _ in range(count)], held, [0] * count, 90)


def test_a_thing_stands_in_the_strokes_box() -> None:
    fitted = cutouts.fitted(thing(), stroke_in(10, 50, 20, 40))
    x0, y0, x1, y1 = fitted.box
    assert y1 == pytest.approx(50 / 64)
    assert (x0 + x1) / 2 == pytest.approx(30 / 64)
    assert y0 >= 10 / 64 - 1e-6
    assert x0 >= 20 / 64 - 1e-6
    # As large as fits, and of nearly its own proportions.
    assert y1 - y0 == pytest.approx(40 / 64, rel=0.01) or x1 - x0 == pytest.approx(20 / 64)
    assert 1 / 1.26 <= ((x1 - x0) / (y1 - y0)) / (0.2 / 0.4) <= 1.26


def test_a_thing_is_not_blown_up_to_fill_a_huge_stroke() -> None:
    x0, _, x1, y1 = cutouts.fitted(thing(), np.ones((64, 64), np.float32)).box
    assert x1 - x0 <= 1.6 * 0.2 * 1.0001
    assert y1 == 1


@pytest.mark.parametrize("side", [16, 64, 401])
def test_drawing_a_part_is_a_part_of_drawing_all(side: int) -> None:
    whole = cutouts.drawn(thing(), side, (0, 0, side, side))
    part = cutouts.drawn(thing(), side, (side // 4, side // 3, side // 2, side))
    np.testing.assert_allclose(part, whole[side // 3 :, side // 4 : side // 2], atol=0.51)
    opaque = whole[..., 3] > 0.99
    assert np.abs(whole[..., :3][opaque] - RED).max() < 1.5
    assert whole[..., 3].mean() == pytest.approx(0.2 * 0.4 * 15 / 16, rel=0.08)


def test_the_light_of_the_photo_is_taken_on() -> None:
    dark = cutouts.lit(thing(), np.array([50.0, 50.0, 50.0]), 0.5)
    assert dark.rgba[0, 0, :3].tolist() == [round(v * 0.5**0.5) for v in RED]
    assert cutouts.lit(thing(), np.zeros(3), 1.0).rgba[0, 0, 0] == round(200 / 1.6)
    np.testing.assert_array_equal(cutouts.lit(thing(), thing().around, 1.0).rgba, thing().rgba)


def test_the_tone_is_what_the_drawn_thing_differs_by() -> None:
    y_e = np.full((64, 64, 3), 9.0, np.float32) + np.array(RED, np.float32)
    tone = cutouts.tone(thing(), y_e)
    assert np.abs(tone[30:40, 30:34] - 9).max() < 2
    assert np.abs(tone[2, 2]).max() < 1, "none where the thing is not"
    assert np.abs(cutouts.tone(thing(), y_e - 200)).max() <= 12


def test_a_package_keeps_them(tmp_path: Path) -> None:
    bundled = gp.load_model("churches", device="cpu")
    r = torch.randn(3, bundled.generator.edit_channels, 8, 8)
    library = Exemplars(r, torch.rand(3, 1, 8, 8), ("tree",), packed())
    card = {k: v for k, v in bundled.info.card.items() if k not in ("files", "exemplars")}
    card["concepts"] = [c for c in card["concepts"] if c["name"] == "tree"]
    model_package.save(
        tmp_path,
        card,
        bundled.generator.state_dict(),
        bundled.encoder.state_dict(),
        {"tree": bundled.concept("tree")},
        exemplars=library,
    )
    prior = gp.load_model(tmp_path, device="cpu")
    assert prior.exemplars is not None
    assert prior.exemplars.cutouts is not None
    again = prior.exemplars.cutouts.cutout(2, (1, -2))
    assert np.abs(again.rgba.astype(int) - thing().rgba)[..., 3].max() <= 3
    assert again.box == pytest.approx((0.4 - 0.25, 0.3 + 0.125, 0.6 - 0.25, 0.7 + 0.125), abs=1e-3)
    edit = prior.open(np.full((128, 128, 3), 120, np.uint8)).edit(
        (stroke_in(20, 100, 40, 90, 128) * 255).astype(np.uint8), add="tree", quality="preview"
    )
    inside = edit.array[30:95, 50:80].astype(int)
    assert (inside[..., 0] - inside[..., 1] > 60).mean() > 0.3, "the red thing is there"
    assert (np.abs(inside - 120).max(2) < 25).any(), "and the photo shows through its hole"


@pytest.mark.parametrize("fault", ["ends", "boxes", "data", "kinds"])
def test_damaged_ones_are_told(fault: str) -> None:
    kept = packed()
    kept.check(3)
    tensors = kept.tensors()
    wrong = {
        "ends": torch.tensor([5, 4, 9], dtype=torch.int32),
        "boxes": kept.boxes * float("nan"),
        "data": kept.data.float(),
        "kinds": kept.kinds[:2],
    }
    with pytest.raises(ValueError, match="cutouts"):
        Cutouts(**{**tensors, fault: wrong[fault]}).check(3)
    garbled = Cutouts(**{**tensors, "data": torch.zeros_like(kept.data)})
    with pytest.raises(DamagedModel):
        garbled.cutout(0)


def test_a_huge_one_is_refused_before_it_is_decoded() -> None:
    huge = Cutout(np.zeros((600, 4, 4), np.uint8), (0.0, 0.0, 1.0, 1.0), np.zeros(3))
    with pytest.raises(DamagedModel, match="600"):
        cutouts.pack([huge], torch.zeros(1, 8, 8), [0], 90).cutout(0)


def test_a_thing_in_a_patch_leaves_the_photo_around_it() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    mask = np.zeros((300, 400), np.float32)
    mask[60:240, 120:280] = 1
    stroke, place = selection.read(mask, 400, 300), Window(50, 0, 300)
    y = to_tensor(rgb[:, 50:350], 32)
    one = Thing(thing(), np.zeros((32, 32, 3), np.float32), np.ones((32, 32), np.float32))
    patch = paste.paste(rgb, stroke, place, y, y, 0, things=[one])
    out = paste.lay_over(rgb, None, patch)
    left, top, right, bottom = (round(v * 300) for v in one.cutout.box)
    changed = (out != rgb).any(2)
    assert not changed[:, : 50 + left - 7].any()
    assert not changed[:, 50 + right + 7 :].any()
    assert not changed[: top - 7].any()
    assert changed[top + 3 : bottom - 3, 50 + left + 3 : 50 + right - 3].mean() > 0.9
    faint = one._replace(weight=np.zeros((32, 32), np.float32))
    none = paste.paste(rgb, stroke, place, y, y, 0, things=[faint])
    assert np.array_equal(paste.lay_over(rgb, None, none), rgb)
