import numpy as np
import pytest
from PIL import Image

from ganpaint_engine import errors, selection
from ganpaint_engine.window import Box, Window, crop, resize


def square(soft: float = 1.0) -> np.ndarray:
    mask = np.zeros((300, 400), np.float32)
    mask[100:160, 150:230] = soft
    return mask


def full(one: selection.Selection) -> np.ndarray:
    return one.within(0, 0, *one.size)


@pytest.mark.parametrize(
    "mask", [np.zeros((64, 80), np.uint8), np.zeros((64, 80)), Image.new("L", (80, 64))]
)
def test_empty_masks(mask: object) -> None:
    with pytest.raises(errors.EmptyMask):
        selection.read(mask, 80, 64)


def test_masks_of_another_size_or_kind() -> None:
    with pytest.raises(errors.MaskSizeMismatch):
        selection.read(np.ones((80, 64)), 80, 64)
    with pytest.raises(errors.BadRequest):
        selection.read(np.ones((64, 80, 3)), 80, 64)
    with pytest.raises(errors.BadRequest):
        selection.read(np.ones((64, 80), np.int32), 80, 64)


def test_soft_values_are_kept_and_nan_is_nothing() -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[3, 4] = 51
    one = selection.read(mask, 64, 64)
    assert one.box == Box(4, 3, 5, 4)
    assert one.values == pytest.approx(0.2)
    wild = np.where(mask > 0, np.inf, np.nan)
    assert full(selection.read(wild, 64, 64)).sum() == 1


@pytest.mark.parametrize("grow", [1, 7, 40])
def test_growing_moves_every_edge_as_far(grow: int) -> None:
    grown = selection.read(square(), 400, 300, grow=grow)
    assert grown.box == Box(150 - grow, 100 - grow, 230 + grow, 160 + grow)
    values = full(grown)
    assert (values[100:160, 150 - grow : 230 + grow] == 1).all()
    corner = values[100 - grow : 100, 150 - grow : 150]
    assert corner.mean() == pytest.approx(np.pi / 4, abs=0.5 / grow), "round, not square"


def test_shrinking_is_the_opposite_and_may_leave_nothing() -> None:
    small = selection.read(square(), 400, 300, grow=-10)
    assert small.box == Box(160, 110, 220, 150)
    assert (small.values == 1).all()
    with pytest.raises(errors.EmptyMask, match="shrinks by 30"):
        selection.read(square(), 400, 300, grow=-30)


def test_the_border_of_the_photo_is_no_edge() -> None:
    everything = np.ones((64, 80), bool)
    for options in ({"grow": 9}, {"grow": -9}, {"feather": 9.0}, {"feather": 300.0}):
        assert (full(selection.read(everything, 80, 64, **options)) > 0.999).all(), options


def test_a_soft_selection_stays_soft_when_it_grows_or_shrinks() -> None:
    mask = np.zeros((200, 300), np.float32)
    mask[:, 100:150] = np.linspace(0, 1, 50)
    mask[:, 150:] = 1
    for grow in (20, -20):
        profile = full(selection.read(mask, 300, 200, grow=grow))[100]
        moved = np.roll(mask[100], -grow)
        assert np.abs(profile - moved)[40:260].max() < 1.5 / 16, grow
    assert full(selection.read(square(0.5), 400, 300, grow=5)).max() == 0.5


@pytest.mark.parametrize("sigma", [3.0, 30.0])
def test_feathering_blurs_the_edge_by_sigma(sigma: float) -> None:
    mask = np.zeros((100, 600), np.uint8)
    mask[:, 300:] = 255
    profile = full(selection.read(mask, 600, 100, feather=sigma))[50]
    at = 300 - 0.5
    assert profile[300:].mean() > profile[:300].mean()
    assert np.interp(at, np.arange(600), profile) == pytest.approx(0.5, abs=0.02)
    assert np.interp(at - sigma, np.arange(600), profile) == pytest.approx(0.159, abs=0.02)


@pytest.mark.parametrize(
    "options",
    [{"grow": 501}, {"grow": 1.5}, {"feather": -1.0}, {"feather": float("nan")}, {"feather": 501}],
)
def test_out_of_range(options: dict[str, object]) -> None:
    with pytest.raises(errors.BadRequest):
        selection.read(square(), 400, 300, **options)


@pytest.mark.parametrize("place", [Window(40, 0, 300), Window(-30, -80, 460), Window(140, 90, 100)])
def test_a_window_sees_the_mean_over_each_of_its_pixels(place: Window) -> None:
    rng = np.random.default_rng(0)
    mask = square() * rng.random((300, 400), np.float32)
    seen = selection.read(mask, 400, 300).seen(place, 32)
    expected = resize(crop(mask, place, fill="zero"), 32)
    assert np.allclose(seen, expected, atol=1e-4)
