"""Detail finer than the window."""

import numpy as np
import pytest

from ganpaint_engine import detail


def textured(level: float, side: int = 256) -> np.ndarray:
    """A grey S×S×3 picture with detail of this strength in its left half."""
    made = 128 + detail.noise(side, 64, level, seed=1).repeat(3, axis=2)
    made[:, side // 2 :] = 128
    return made


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
    made = detail.noise(300, 64, [6.0, 0.0, 0.0], seed=2)
    assert made.shape == (300, 300, 1)
    assert made.std() == pytest.approx(6, rel=0.05)
    coarse, fine = detail.noise(256, 64, [6.0, 0.0], 0), detail.noise(256, 64, [0.0, 6.0], 0)
    step = lambda v: np.abs(np.diff(v[..., 0], axis=1)).mean()  # noqa: E731
    assert step(fine) > 1.4 * step(coarse)
    assert not detail.noise(64, 64, 5.0, 0).any()  # the window shows all there is
    assert np.array_equal(detail.noise(100, 32, 5.0, 3), detail.noise(100, 32, 5.0, 3))


def test_a_models_own_pictures_tell_what_is_typical() -> None:
    rng = np.random.default_rng(0)
    rough = np.clip(128 + rng.normal(0, 12, (64, 64, 3)), 0, 255).astype(np.uint8)
    flat = np.full((64, 64, 3), 128, np.uint8)
    where = np.zeros((64, 64), bool)
    where[10:50, 10:50] = True
    assert detail.typical([rough, rough], [where, where]) > 4
    assert detail.typical([flat], [where]) == 0
    assert detail.typical([rough], [np.zeros((64, 64), bool)]) == 0
