import numpy as np
import pytest
import torch

from ganpaint_engine import paste, selection
from ganpaint_engine.paste import Patch
from ganpaint_engine.selection import Selection
from ganpaint_engine.window import Window, to_tensor


@pytest.fixture
def rgb() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)


@pytest.fixture
def stroke() -> Selection:
    mask = np.zeros((300, 400), np.float32)
    mask[120:180, 150:220] = 1
    return selection.read(mask, 400, 300)


PLACE = Window(50, 0, 300)


def test_an_edit_that_changes_nothing_gives_back_the_photo(
    rgb: np.ndarray, stroke: Selection
) -> None:
    y = to_tensor(rgb[:, 50:350], 32)
    patch = paste.paste(rgb, stroke, PLACE, y, y, seed=0)
    assert np.array_equal(paste.lay_over(rgb, None, patch), rgb)


def test_outside_is_bit_identical_and_inside_is_new(rgb: np.ndarray, stroke: Selection) -> None:
    y = to_tensor(rgb[:, 50:350], 32)
    y_e = torch.full_like(y, 0.8)
    patch = paste.paste(rgb, stroke, PLACE, y, y_e, seed=0)
    out = paste.lay_over(rgb, None, patch)
    far = np.ones(rgb.shape[:2], bool)
    far[120 - 38 : 180 + 38, 150 - 38 : 220 + 38] = False
    assert np.array_equal(out[far], rgb[far])
    centre = out[140:160, 170:200].astype(float).mean()
    assert centre == pytest.approx(0.9 * 255, abs=6)


def test_patch_and_offset_rebuild_the_picture(rgb: np.ndarray, stroke: Selection) -> None:
    y = to_tensor(rgb[:, 50:350], 32)
    patch = paste.paste(rgb, stroke, PLACE, y, -y, seed=0)
    height, width = patch.rgba.shape[:2]
    assert patch.x >= 50
    assert patch.x + width <= 350
    assert patch.y + height <= 300
    assert patch.rgba[..., 3].max() == 255
    assert patch.rgba[0, :, 3].any()
    assert patch.rgba[:, 0, 3].any(), "cut to what is not transparent"


def test_soft_stroke_changes_softly(rgb: np.ndarray, stroke: Selection) -> None:
    flat = np.full_like(rgb, 100)
    y = to_tensor(flat[:, 50:350], 32)
    y_e = y + 0.8
    half = Selection(stroke.values * np.float32(0.5), stroke.box, stroke.size)
    strong = paste.lay_over(flat, None, paste.paste(flat, stroke, PLACE, y, y_e, 0))
    weak = paste.lay_over(flat, None, paste.paste(flat, half, PLACE, y, y_e, 0))
    ratio = (weak[150, 180, 0] - 100.0) / (strong[150, 180, 0] - 100.0)
    assert 0.35 < ratio < 0.65


def test_detail_survives_where_the_edit_is_weak(stroke: Selection) -> None:
    rng = np.random.default_rng(3)
    photo = np.clip(120 + 40 * rng.standard_normal((300, 400, 3)), 0, 255).astype(np.uint8)
    y = to_tensor(photo[:, 50:350], 32)
    patch = paste.paste(photo, stroke, PLACE, y, y + 2 / 127.5, seed=0)
    out = paste.lay_over(photo, None, patch)
    inside = np.s_[130:170, 160:210]
    difference = out[inside].astype(int) - photo[inside]
    assert abs(difference.mean() - 2) < 0.7, "shifted as the edit says"
    assert difference.std() < 2, "with the photo's own grain"


def test_new_content_has_grain_like_its_surroundings(stroke: Selection) -> None:
    rng = np.random.default_rng(3)
    photo = np.clip(120 + 5 * rng.standard_normal((300, 400, 1)), 0, 255)
    photo = np.repeat(photo, 3, axis=2).astype(np.uint8)
    y = to_tensor(photo[:, 50:350], 32)
    out = paste.lay_over(photo, None, paste.paste(photo, stroke, PLACE, y, y + 0.6, seed=0))
    grain = out[135:165, 165:205, 0].astype(float)
    assert 2 < grain.std() < 9


def test_alpha_of_a_transparent_photo_grows_under_the_patch(rgb: np.ndarray) -> None:
    alpha = np.zeros(rgb.shape[:2], np.uint8)
    patch = Patch(np.full((10, 12, 4), 255, np.uint8), 5, 7)
    out = paste.lay_over(rgb, alpha, patch)
    assert out.shape == (300, 400, 4)
    assert out[7:17, 5:17, 3].min() == 255
    assert out[..., 3].astype(int).sum() == 10 * 12 * 255


def test_light_around_the_stroke_is_carried_under_it() -> None:
    covered = np.zeros((64, 64), np.float32)
    covered[20:50, 15:40] = 1
    residual = np.full((64, 64, 3), 12, np.float32)
    residual[covered > 0] = -90
    under = paste.carried(residual, covered)[28:42, 22:32]
    assert np.allclose(under, 12, atol=1)
