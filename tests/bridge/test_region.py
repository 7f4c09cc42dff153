"""The part of a photo that an edit needs, and cutting it out."""

from __future__ import annotations

import numpy as np
import pytest
from ganpaint_bridge.region import Region, cut, needed
from hypothesis import given
from hypothesis import strategies as st

from ganpaint_engine.window import Box, window_for

RESOLUTION = 128


@st.composite
def strokes(draw: st.DrawFn) -> tuple[Region, int, int]:
    width, height = draw(st.integers(64, 8000)), draw(st.integers(64, 8000))
    x, y = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    across, down = draw(st.integers(1, width - x)), draw(st.integers(1, height - y))
    return Region(x, y, across, down), width, height


@given(strokes())
def test_the_window_is_as_wide_in_the_part_as_in_the_whole_photo(
    case: tuple[Region, int, int],
) -> None:
    stroke, width, height = case
    part = needed(stroke, width, height, "auto")
    assert part == part.clipped(width, height)  # it lies in the photo, and the stroke in it
    assert stroke.x >= part.x
    assert stroke.y >= part.y
    assert stroke.x + stroke.width <= part.x + part.width
    assert stroke.y + stroke.height <= part.y + part.height

    def window_side(region: Region, across: int, down: int) -> int:
        box = Box(region.x, region.y, region.x + region.width, region.y + region.height)
        return window_for(box, across, down, RESOLUTION).side

    moved = stroke._replace(x=stroke.x - part.x, y=stroke.y - part.y)
    assert window_side(moved, part.width, part.height) == window_side(stroke, width, height)


def test_the_whole_photo_is_needed_when_it_is_asked_for() -> None:
    assert needed(Region(10, 10, 5, 5), 6000, 4000, "whole") == Region(0, 0, 6000, 4000)


def test_a_part_of_a_large_photo_is_small() -> None:
    part = needed(Region(3000, 2000, 200, 200), 6000, 4000, "auto")
    assert part.width * part.height < 6000 * 4000 / 10


def test_growing_and_feathering_need_more() -> None:
    stroke = Region(3000, 2000, 300, 300)
    assert needed(stroke, 9000, 9000, "auto", 100).width > needed(stroke, 9000, 9000, "auto").width


@pytest.mark.parametrize(
    "wanted",
    [(3, 2, 4, 3), (0, 0, 10, 8), (-4, -3, 20, 20), (8, 6, 5, 5), (50, 50, 2, 2), (5, -9, 3, 4)],
)
def test_cutting_is_slicing_with_zeros_around(wanted: tuple[int, int, int, int]) -> None:
    pixels = np.arange(1, 81, dtype=np.uint8).reshape(8, 10)
    around = np.zeros((200, 200), np.uint8)
    around[100:108, 100:110] = pixels
    x, y, width, height = wanted
    expected = around[100 + y : 100 + y + height, 100 + x : 100 + x + width]
    got = cut(pixels.tobytes(), Region(0, 0, 10, 8), Region(*wanted))
    assert got == expected.tobytes()
