"""A thing in other colours: which pixels are its own, and what becomes of them."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import ganpaint_engine as gp
from ganpaint_engine import appearance, editing, model_package, paste, recolour
from ganpaint_engine.recolour import Change, Tint

SIDE = 64
GREEN, WHITE, ORANGE = (70, 110, 50), (225, 222, 218), (200, 120, 40)
TINT = Tint(np.array(ORANGE, np.float32), np.array([ORANGE, GREEN], np.float32))
EXAMPLES = Path(__file__).parent.parent / "models" / "churches" / "examples"


def lawn(light: float = 1.0) -> np.ndarray:
    """White posts in a lawn, before a bluish wall with a white top, SIDE×SIDE×3 levels of 255."""
    rng = np.random.default_rng(0)
    picture = np.empty((SIDE, SIDE, 3), np.float32)
    picture[:32] = (120, 140, 170)
    picture[32:] = GREEN
    picture[32:, ::8] = picture[:16] = WHITE
    picture += rng.normal(0, 6, picture.shape)
    return (picture * light).clip(0, 255)


def presence() -> torch.Tensor:
    """E sees it in the lower half, and a little in the row above."""
    there = torch.zeros(1, 1, 8, 8)
    there[..., 4:, :], there[..., 3, :] = 1, 0.4
    return there


def changed(picture: np.ndarray, tint: Tint = TINT, strength: float = 1.0) -> np.ndarray:
    """The picture with its lawn recoloured, the stroke a little larger than it."""
    mask = torch.zeros(1, 1, SIDE, SIDE)
    mask[..., 24:, :] = 1
    change = recolour.learned(picture, recolour.asked(tint, presence(), mask, strength))
    assert change is not None
    return laid(change, picture)


def laid(change: Change, picture: np.ndarray) -> np.ndarray:
    opacity = recolour.matte(change, picture, change.word, change.weight)[..., None]
    return picture + opacity * (recolour.shifted(change, picture) - picture)


def mean(picture: np.ndarray) -> np.ndarray:
    """The mean CIELAB colour of the lawn without its posts."""
    return appearance.to_lab(picture)[36:].reshape(-1, 8, 8, 3)[:, :, 2:7].mean((0, 1, 2))


def test_only_the_things_own_pixels_change() -> None:
    before = lawn()
    after = changed(before)
    away = np.abs(after - before).mean(2)
    blades = away[40:].reshape(-1, 8, 8)[..., 2:7].mean()
    assert blades > 40
    assert away[40:, ::8].mean() < 0.3 * blades, "posts"
    assert away[24:31].mean() < 0.1 * blades, "the wall under the stroke"
    assert not away[:24].any(), "what is not under it"


def test_the_mean_becomes_the_looks() -> None:
    found, wished = mean(changed(lawn())), appearance.to_lab(np.array(ORANGE))
    assert np.abs(found[1:] - wished[1:]).max() < 12
    assert np.abs(found[1:] - mean(lawn())[1:]).max() > 30
    half = mean(changed(lawn(), strength=0.5))
    assert mean(lawn())[1] < half[1] < found[1]


def test_a_loose_stroke_around_a_small_thing_changes_the_thing_alone() -> None:
    rng = np.random.default_rng(0)
    picture = np.full((SIDE, SIDE, 3), (200, 190, 170), np.float32)
    picture[44:] = GREEN
    door = np.zeros((SIDE, SIDE), bool)
    door[28:44, 28:36] = True
    picture[door] = (150, 40, 30)
    picture = (picture + rng.normal(0, 6, picture.shape)).clip(0, 255)
    mask, there = torch.zeros(1, 1, SIDE, SIDE), torch.zeros(1, 1, 8, 8)
    mask[..., 20:50, 20:44] = 1
    there[..., 3:6, 3:5] = 0.4
    blue = Tint(np.array([40, 60, 150]), np.zeros((0, 3)))
    change = recolour.learned(picture, recolour.asked(blue, there, mask, 1.0))
    assert change is not None
    away = np.abs(laid(change, picture) - picture).mean(2)
    inside = door.copy()
    inside[[28, 43], :] = inside[:, [28, 35]] = False
    beside = (mask[0, 0].numpy() > 0) & ~door
    assert away[inside].mean() > 40
    assert away[beside].mean() < 0.1 * away[inside].mean()


def test_the_matte_has_no_specks() -> None:
    mask = torch.ones(1, 1, SIDE, SIDE)
    change = recolour.learned(lawn(), recolour.asked(TINT, presence(), mask, 1.0))
    assert change is not None
    specked = lawn()
    specked[40::6, 3::8] += 25  # a colour that is not quite the lawn's, on single blades
    found = recolour.matte(change, specked, change.word, change.weight)[40:]
    assert found[:, 3::8].std() < 0.1 < found[:, 3::8].mean()


def test_in_a_dark_picture_the_look_is_dark() -> None:
    dark, light = mean(changed(lawn(0.35))), mean(changed(lawn()))
    assert dark[0] < 0.7 * light[0]
    assert abs(dark[1]) < abs(light[1])


def test_detail_stays() -> None:
    before, after = lawn(), changed(lawn())
    one, other = (p[40:, 2:7].mean(2) - p[40:, 2:7].mean() for p in [before, after])
    assert float((one * other).sum() / np.sqrt((one**2).sum() * (other**2).sum())) > 0.8


def test_grey_between_leaves_stays_grey() -> None:
    mask = torch.ones(1, 1, SIDE, SIDE)
    change = recolour.learned(lawn(), recolour.asked(TINT, presence(), mask, 1.0))
    assert change is not None
    grey = appearance.to_lab(recolour.shifted(change, np.full((2, 2, 3), 128.0)))
    assert np.abs(grey[..., 1:]).max() < 20 < np.abs(change.chroma).max()


def test_nothing_under_the_stroke_is_nothing_to_change() -> None:
    wish = recolour.asked(TINT, presence(), torch.zeros(1, 1, SIDE, SIDE), 1.0)
    assert recolour.learned(lawn(), wish) is None


@given(
    seed=st.integers(0, 99),
    plain=st.booleans(),
    strength=st.floats(0.01, 2),
    colour=st.tuples(*[st.integers(0, 255)] * 3),
    known=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_whatever_is_seen_colours_stay_colours(
    seed: int, plain: bool, strength: float, colour: tuple[int, ...], known: bool
) -> None:
    rng = np.random.default_rng(seed)
    picture = rng.integers(0, 256, (1, 1, 3) if plain else (SIDE, SIDE, 3)).astype(np.float32)
    picture = np.broadcast_to(picture, (SIDE, SIDE, 3)).copy()
    there = torch.from_numpy(rng.random((1, 1, 8, 8), np.float32))
    mask = torch.from_numpy(rng.random((1, 1, SIDE, SIDE), np.float32) ** 4)
    looks = np.array([ORANGE, GREEN]) if known else np.zeros((0, 3))
    wish = recolour.asked(Tint(np.array(colour), looks), there, mask, strength)
    change = recolour.learned(picture, wish)
    if change is not None:
        opacity = recolour.matte(change, picture, change.word, change.weight)
        assert (opacity >= 0).all()
        assert (opacity <= mask[0, 0].numpy() + 1e-6).all()
        new = laid(change, picture)
        assert np.isfinite(new).all()
        assert new.min() >= 0
        assert new.max() <= 255.01


def test_a_look_is_meant_as_its_name_says() -> None:
    measured, said = (209, 198, 174), appearance.NAMED_LOOKS["grass"]["snow"]
    found = appearance.meant("grass", "snow", measured)
    assert (np.minimum(measured, said) - 1 <= found).all()
    assert (found <= np.maximum(measured, said) + 1).all()
    assert np.abs(appearance.meant("grass", "7", measured) - measured).max() < 1


def test_colours_that_a_card_does_not_tell_rightly_are_not_known() -> None:
    info = model_package.find_model("churches")
    assert set(info.colours("grass")) == {"fresh", "dry", "snow"}
    assert info.colours("grass")["fresh"] == (0x8E, 0x99, 0x5D)
    assert info.colours("unicorn") == {}
    looks: list[dict[str, Any]] = [{"name": "a", "colour": "red"}, {"name": "b"}]
    card = {**info.card, "concepts": [{"name": "grass", "variants": looks}]}
    assert dataclasses.replace(info, card=card).colours("grass") == {}


@pytest.fixture(scope="module")
def prior() -> "gp.Prior":
    return gp.load_model("churches", device="cpu")


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return np.asarray(Image.open(EXAMPLES / "tower.png").convert("RGB"))


@pytest.fixture
def grass(photo: np.ndarray) -> np.ndarray:
    mask = np.zeros(photo.shape[:2], np.uint8)
    mask[int(0.75 * len(mask)) :] = 255
    return mask


def test_strips_do_not_show(
    prior: "gp.Prior", photo: np.ndarray, grass: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for rows in (7, 40, 4096):
        monkeypatch.setattr(paste, "_STRIP", rows)
        edit = prior.open(photo).edit(grass, restyle="grass", variant="dry", quality="preview")
        found.append(edit.array.astype(int))
    assert np.abs(found[0] - photo).max() > 20
    assert np.abs(found[0] - found[2]).max() <= 1
    assert np.abs(found[1] - found[2]).max() <= 1


@pytest.mark.parametrize("deep", [False, True])
def test_a_photo_keeps_its_pixels_but_for_their_colours(
    prior: "gp.Prior", photo: np.ndarray, grass: np.ndarray, deep: bool
) -> None:
    opened = photo.astype(np.uint16) * 257 if deep else photo
    edit = prior.open(opened).edit(grass, restyle="grass", variant="snow", quality="preview")
    assert edit.array.dtype == opened.dtype
    above = grass.shape[0] // 2
    assert np.array_equal(edit.array[:above], opened[:above])
    unit = 257 if deep else 1
    before, after = (appearance.to_lab(p[-40:] / unit) for p in (opened, edit.array))
    assert np.abs(before[..., 1:]).mean() > 2 * np.abs(after[..., 1:]).mean(), "no longer green"
    fine = [p[..., 0] - p[..., 0].mean(1, keepdims=True) for p in (before, after)]
    assert (fine[0] * fine[1]).sum() > 0.8 * np.sqrt((fine[0] ** 2).sum() * (fine[1] ** 2).sum())


def test_a_region_gives_its_own_colour(
    prior: "gp.Prior", photo: np.ndarray, grass: np.ndarray
) -> None:
    sky = np.zeros_like(grass)
    sky[:60, :60] = 255
    edit = prior.open(photo).edit(grass, restyle="grass", like=sky, quality="preview")
    wished = appearance.to_lab(photo[:60, :60]).mean((0, 1))
    found = appearance.to_lab(edit.array[-40:]).mean((0, 1))
    before = appearance.to_lab(photo[-40:]).mean((0, 1))
    assert np.linalg.norm(found - wished) < 0.4 * np.linalg.norm(before - wished)


def test_what_was_added_can_be_recoloured(prior: "gp.Prior", photo: np.ndarray) -> None:
    mask = np.zeros(photo.shape[:2], np.uint8)
    height, width = photo.shape[:2]
    mask[height // 4 : height * 3 // 4, width * 2 // 3 : width - 8] = 255
    session = prior.open(photo)
    tree = session.edit(mask, add="tree", quality="preview")
    autumn = session.edit(mask, restyle="tree", variant="autumn", after=tree, quality="preview")
    leaves = np.abs(tree.array.astype(int) - photo).max(2) > 60
    assert leaves.sum() > 500
    green, brown = (appearance.to_lab(edit.array)[leaves].mean(0) for edit in (tree, autumn))
    assert brown[1] > green[1] + 5, "redder"
    assert np.abs(autumn.array.astype(int) - photo).max(2)[leaves].mean() > 60, "still there"


@pytest.mark.parametrize(("quality", "once"), [("preview", True), ("final", False)])
def test_a_preview_of_another_look_is_drawn_once(
    prior: "gp.Prior",
    photo: np.ndarray,
    grass: np.ndarray,
    quality: str,
    once: bool,
    drawn: list[editing.Drawn],
) -> None:
    prior.open(photo).edit(grass, restyle="grass", variant="dry", quality=quality)
    (found,) = drawn
    assert isinstance(found.followed[0], recolour.Recolouring)
    assert torch.equal(found.y, found.y_e) == once


def test_a_look_without_a_colour_is_drawn_by_the_head(
    small_model: Path, photo: np.ndarray, grass: np.ndarray, drawn: list[editing.Drawn]
) -> None:
    session = gp.load_model(small_model, device="cpu").open(photo)
    session.edit(grass, restyle="tree", variant="bare", quality="preview")
    (found,) = drawn
    assert found.followed == (None,)
    assert not torch.equal(found.y, found.y_e)
