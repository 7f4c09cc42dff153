import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ganpaint_engine import errors, window
from ganpaint_engine.window import Box, Window


@settings(max_examples=300)
@given(st.data(), st.sampled_from(list(window.CONTEXTS)))
def test_every_window_holds_its_stroke(data: st.DataObject, context: str) -> None:
    width, height = data.draw(st.integers(64, 5000)), data.draw(st.integers(64, 5000))
    x0, y0 = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    x1, y1 = data.draw(st.integers(x0 + 1, width)), data.draw(st.integers(y0 + 1, height))
    w = window.window_for(Box(x0, y0, x1, y1), width, height, 64, context)
    assert w.x <= x0
    assert w.y <= y0
    assert w.x + w.side >= x1
    assert w.y + w.side >= y1
    assert w.side >= min(64, width, height)
    if w.side <= min(width, height):
        assert w.x >= 0
        assert w.y >= 0
        assert w.x + w.side <= width
        assert w.y + w.side <= height


def test_strokes_close_by_share_a_window() -> None:
    one = window.window_for(Box(1000, 1000, 1200, 1200), 4000, 3000, 64)
    two = window.window_for(Box(1010, 1004, 1210, 1204), 4000, 3000, 64)
    assert one == two
    assert one.side == 500


def test_contexts() -> None:
    box = Box(1000, 1000, 1200, 1200)
    sides = {c: window.window_for(box, 4000, 3000, 64, c).side for c in window.CONTEXTS}
    assert sides == {"auto": 500, "selection": 280, "whole": 3000}
    at_the_left = window.window_for(Box(0, 0, 50, 50), 4000, 3000, 64, "whole")
    assert at_the_left == Window(0, 0, 3000)
    with pytest.raises(errors.BadRequest):
        window.window_for(box, 4000, 3000, 64, "wide")


def test_small_photo_uses_all_of_it() -> None:
    assert window.window_for(Box(100, 100, 180, 180), 256, 256, 64) == Window(0, 0, 256)


def test_window_beyond_the_photo_is_reflected() -> None:
    photo = np.arange(64 * 200 * 3, dtype=np.uint32).astype(np.uint8).reshape(64, 200, 3)
    w = window.window_for(Box(0, 0, 180, 64), 200, 64, 64)
    assert w.side == 180
    cut = window.crop(photo, w)
    assert cut.shape == (180, 180, 3)
    inside = cut[-w.y : -w.y + 64]
    assert np.array_equal(inside, photo[:, w.x : w.x + 180])


@pytest.mark.parametrize("size", [(63, 200), (200, 63)])
def test_too_small(size: tuple[int, int]) -> None:
    with pytest.raises(errors.PhotoTooSmall):
        window.as_photo(Image.new("RGB", size))


def test_too_large_is_refused_before_pixels_are_touched() -> None:
    huge = np.lib.stride_tricks.as_strided(
        np.zeros(3, np.uint8), shape=(10_001, 10_000, 3), strides=(0, 0, 1)
    )
    with pytest.raises(errors.PhotoTooLarge):
        window.as_photo(huge)


def test_transparent_pixels_take_the_mean_colour() -> None:
    rgba = np.zeros((64, 64, 4), np.uint8)
    rgba[:, :32] = (200, 100, 50, 255)
    rgb, alpha = window.as_photo(rgba)
    assert alpha is not None
    assert tuple(rgb[0, 60]) == (200, 100, 50)


def test_any_touched_cell_is_on() -> None:
    mask = torch.zeros(1, 1, 64, 64)
    mask[0, 0, 17, 63] = 0.4
    u = window.stroke_on_grid(mask)
    assert u.shape == (1, 1, 8, 8)
    assert float(u[0, 0, 2, 7]) == pytest.approx(0.4)
    assert float(u.sum()) == pytest.approx(0.4)


def test_picture_to_tensor_and_back() -> None:
    rgb = np.full((100, 100, 3), (255, 0, 128), np.uint8)
    x = window.to_tensor(rgb, 32)
    assert x.shape == (1, 3, 32, 32)
    assert x[0, 0].min() == pytest.approx(1)
    assert x[0, 1].max() == pytest.approx(-1)
    assert np.allclose(window.to_array(x, 100), rgb, atol=0.01)
