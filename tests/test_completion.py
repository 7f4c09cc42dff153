"""A hole completed from the rest of its picture."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ganpaint_engine import completion

SIDE = 96


def hole_at(top: int, left: int, bottom: int, right: int) -> np.ndarray:
    hole = np.zeros((SIDE, SIDE), np.uint8)
    hole[top:bottom, left:right] = 1
    return hole


def complete(
    picture: np.ndarray, hole: np.ndarray, *how: Any, **more: Any
) -> completion.Completed | None:
    return completion.complete(completion.smeared(picture, hole), hole, *how, **more)


def checks(period: int) -> np.ndarray:
    """A board of light and dark squares with something red in the middle, SIDE×SIDE×3 uint8."""
    rows, columns = np.indices((SIDE, SIDE)) // period
    board = np.where((rows + columns) % 2, 210, 40).astype(np.uint8)
    return np.repeat(board[..., None], 3, 2)


def photo(seed: int) -> np.ndarray:
    """Smooth blobs of colour with grain."""
    rng = np.random.default_rng(seed)
    coarse = torch.from_numpy(rng.random((1, 3, 6, 6), np.float32))
    smooth = torch.nn.functional.interpolate(coarse, size=SIDE, mode="bicubic")[0]
    picture = smooth.permute(1, 2, 0).numpy() * 200 + 25 + rng.normal(0, 4, (SIDE, SIDE, 3))
    return picture.clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(("period", "fine"), [(8, True), (8, False), (12, False), (16, True)])
def test_a_pattern_goes_on_through_the_hole(period: int, fine: bool) -> None:
    truth, hole = checks(period), hole_at(36, 36, 62, 62)
    spoiled = truth.copy()
    spoiled[hole > 0] = (230, 20, 20)
    done = complete(spoiled, hole, hole, fine=fine)
    assert done is not None
    off = np.abs(done.picture.astype(int) - truth).mean(2)[hole > 0]
    assert off.mean() < 10, "a smear through the board is 60 off"


def test_an_edge_goes_on_through_the_hole() -> None:
    truth = np.full((SIDE, SIDE, 3), 60, np.uint8)
    truth[:50] = (120, 170, 230)
    hole, spoiled = hole_at(34, 30, 66, 60), truth.copy()
    spoiled[hole > 0] = 255
    done = complete(spoiled, hole, hole)
    assert done is not None
    off = np.abs(done.picture.astype(int) - truth).mean(2)[hole > 0]
    assert (off < 12).mean() > 0.9


@given(
    seed=st.integers(0, 10),
    box=st.tuples(*[st.integers(0, 95)] * 4),
    level=st.sampled_from([0.0, 30.0]),
    fine=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_any_hole_is_completed_or_refused(
    seed: int, box: tuple[int, int, int, int], level: float, fine: bool
) -> None:
    (top, bottom), (left, right) = sorted(box[:2]), sorted(box[2:])
    hole, picture = hole_at(top, left, bottom + 1, right + 1), photo(seed)
    before = picture.copy()
    done = complete(picture, hole, hole, level, fine)
    assert np.array_equal(picture, before), "the input stays as it was"
    if done is None:
        assert hole.mean() > 0.3
        return
    outside = hole == 0
    assert np.array_equal(done.picture[outside], picture[outside])
    assert not done.offsets[outside].any()
    rows, columns = np.nonzero(hole)
    away = done.offsets[rows, columns]
    at = np.clip(rows + away[:, 0], 0, 95), np.clip(columns + away[:, 1], 0, 95)
    assert not hole[at].any(), "taken from outside of the hole"


def test_nothing_is_taken_from_where_it_is_barred() -> None:
    picture = np.full((SIDE, SIDE, 3), 128, np.uint8)
    picture[:, :32] = (20, 220, 20)
    hole = hole_at(30, 40, 60, 70)
    barred = hole.copy()
    barred[:, :32] = 1
    done = complete(picture, hole, barred)
    assert done is not None
    columns = np.indices((SIDE, SIDE))[1] + done.offsets[..., 1]
    assert (columns[hole > 0] >= 32).all()


def test_level_keeps_to_the_same_height() -> None:
    picture, hole = photo(4), hole_at(40, 40, 60, 60)
    free = complete(picture, hole, hole)
    kept = complete(picture, hole, hole, level=1000.0)
    assert free is not None
    assert kept is not None
    assert np.abs(kept.offsets[..., 0]).max() <= 6 < np.abs(free.offsets[..., 0]).max()


def test_too_little_to_take_from_is_refused() -> None:
    hole = hole_at(0, 0, 96, 96)
    hole[:, :4] = 0
    assert complete(photo(1), hole, hole) is None


def test_the_number_of_threads_makes_no_difference() -> None:
    picture, hole = photo(2), hole_at(20, 20, 70, 66)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(complete(picture, hole, hole))
    finally:
        torch.set_num_threads(before)
    first = found[0]
    assert first is not None
    for other in found[1:]:
        assert other is not None
        assert np.array_equal(other.picture, first.picture)
        assert np.array_equal(other.offsets, first.offsets)


def test_offsets_enlarged_are_those_that_were() -> None:
    offsets = np.zeros((20, 30, 2), np.int64)
    offsets[:, 11:] = (3, -7)
    larger = completion.enlarged(offsets, (301, 199))
    assert larger.shape == (199, 301, 2)
    assert {tuple(v) for v in np.unique(larger.reshape(-1, 2), axis=0)} == {(0, 0), (3, -7)}
    assert abs((larger[..., 0] == 3).mean() - 19 / 30) < 0.03
