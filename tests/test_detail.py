"""Detail finer than the window."""

import cv2
import numpy as np
import pytest

from ganpaint_engine import detail


def textured(level: float, side: int = 256) -> np.ndarray:
    """A grey S×S×3 picture with detail of this strength in its left half."""
    made = 128 + detail.noise((side, side), side, 64, level, seed=1)
    made[:, side // 2 :] = 128
    return np.clip(np.rint(made), 0, 255).astype(np.uint8)[..., None].repeat(3, axis=2)


def test_as_strong_as_the_donors_have_it() -> None:
    left = np.zeros((8, 8), bool)
    left[:, :4] = True
    levels = detail.contrast(textured(8.0), left, 64)
    assert levels == pytest.approx([8, 8], rel=0.35)
    assert detail.contrast(textured(8.0), ~left, 64) == pytest.approx([0, 0], abs=1)
    few = np.zeros((8, 8), bool)
    few[0, :2] = True
    assert detail.contrast(textured(8.0), few, 64) is None


def test_noise_has_the_asked_octaves() -> None:
    made = detail.noise((300, 200), 300, 64, [6.0, 0.0, 0.0], seed=2)
    assert made.shape == (300, 200)
    assert made.std() == pytest.approx(6, rel=0.05)
    coarse, fine = (
        detail.noise((256, 256), 256, 64, levels, 0) for levels in ([6.0, 0.0], [0.0, 6.0])
    )
    step = lambda v: np.abs(np.diff(v, axis=1)).mean()  # noqa: E731
    assert step(fine) > 1.4 * step(coarse)
    assert not detail.noise((64, 64), 64, 64, 5.0, 0).any()  # the window shows all there is
    one, two = (detail.noise((100, 100), 100, 32, 5.0, 3) for _ in range(2))
    assert np.array_equal(one, two)


def test_detail_belongs_to_textures_and_not_to_edges_or_plain_things() -> None:
    rng = np.random.default_rng(0)
    y = np.full((128, 128, 3), 120, np.float32)
    y[:, 64:] += cv2.GaussianBlur(30 * rng.standard_normal((128, 64, 1)), (0, 0), 1)[..., None]
    y[:, 24:] += 60  # an edge
    where = detail.texture(y, np.ones((128, 128), np.float32))
    assert where[:, 75:].mean() > 0.6
    assert where[:, :50].max() < 0.05
    rim = np.full((128, 128), 0.5, np.float32)
    rim[:, 100:] = 1
    assert not detail.texture(y, rim)[:, 75:95].any(), "half of it is the photo's own"
    assert detail.texture(y, rim)[:, 100:].mean() > 0.6
    assert not detail.texture(y, rim * 0.5).any()


def test_a_models_own_pictures_tell_what_is_typical() -> None:
    rng = np.random.default_rng(0)
    rough = np.clip(128 + rng.normal(0, 12, (64, 64, 3)), 0, 255).astype(np.uint8)
    flat = np.full((64, 64, 3), 128, np.uint8)
    where = np.zeros((64, 64), bool)
    where[10:50, 10:50] = True
    assert detail.typical([rough, rough], [where, where]) > 4
    assert detail.typical([flat], [where]) == 0
    assert detail.typical([rough], [np.zeros((64, 64), bool)]) == 0
