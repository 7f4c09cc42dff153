"""The final blends, on pictures whose right answer is known."""

import cv2
import numpy as np
import pytest
from PIL import Image

import ganpaint_engine as gp
from ganpaint_engine import compositing, errors, paste, selection
from ganpaint_engine.window import Window, to_tensor

SIDE = 200
ALL = compositing.COMPOSITES


@pytest.fixture
def photo() -> np.ndarray:
    """A colourful picture with detail of all sizes, S×S×3 in levels of 255."""
    rng = np.random.default_rng(4)
    octaves = (rng.normal(0, 14, (n, n, 3)).astype(np.float32) for n in (4, 12, 50, SIDE))
    base = np.array([120, 135, 110], np.float32)
    return np.clip(base + sum(cv2.resize(o, (SIDE, SIDE)) for o in octaves), 30, 225)


def disc(x: int = 100, y: int = 100, radius: int = 40) -> np.ndarray:
    """An alpha of 1 in a disc, fading over 5 px."""
    ys, xs = np.mgrid[0:SIDE, 0:SIDE]
    return np.clip((radius - np.hypot(xs - x, ys - y)) / 5, 0, 1).astype(np.float32)


def test_alpha_is_the_edit_itself(photo: np.ndarray) -> None:
    after, alpha = 255 - photo, disc()
    blended = compositing.blend("alpha", photo, after, alpha)
    assert np.array_equal(blended.content, after)
    assert np.array_equal(blended.alpha, alpha)


@pytest.mark.parametrize("alpha", [disc(), np.ones((SIDE, SIDE), np.float32)])
def test_color_transfer_undoes_a_change_of_colours(photo: np.ndarray, alpha: np.ndarray) -> None:
    lab = cv2.cvtColor(photo / np.float32(255), cv2.COLOR_RGB2LAB)
    tinted = (lab - lab.mean((0, 1))) * [0.8, 0.7, 0.9] + lab.mean((0, 1)) + [8, 5, -6]
    after = cv2.cvtColor(tinted.astype(np.float32), cv2.COLOR_LAB2RGB) * 255
    assert np.abs(after - photo).mean() > 10
    content = compositing.blend("color_transfer", photo, after, alpha).content
    assert np.abs(content - photo).mean() < 1.5


def test_color_transfer_takes_the_colours_around_and_not_of_the_new_thing(
    photo: np.ndarray,
) -> None:
    after = np.where(disc(radius=38)[..., None] > 0, np.float32([250, 20, 20]), photo)
    content = compositing.blend("color_transfer", photo, after, disc()).content
    assert np.abs(content - after)[disc(radius=60) == 0].mean() < 1
    assert content[100, 100, 0] > 200 > 60 > content[100, 100, 1], "the red thing stays red"


@pytest.mark.parametrize(("x", "y"), [(100, 100), (99, 103), (61, 120)])
def test_poisson_takes_away_a_difference_of_light_and_moves_nothing(
    photo: np.ndarray, x: int, y: int
) -> None:
    content = compositing.blend("poisson", photo, photo - 25, disc(x, y)).content
    inside = disc(x, y) > 0
    assert np.abs(content - photo)[inside].mean() < 1, "not by one pixel: the detail is the photo's"


def test_poisson_keeps_the_gradients_of_the_edit(photo: np.ndarray) -> None:
    flat = np.full_like(photo, 120)
    bump = flat + 60 * cv2.GaussianBlur(disc(radius=20), (0, 0), 3)[..., None]
    content = compositing.blend("poisson", flat, bump + 20, disc(radius=50)).content
    assert np.abs(content - bump)[disc(radius=50) > 0].max() < 4


@pytest.mark.parametrize(
    "alpha",
    [disc(0, 100), disc(199, 199), disc(100, 100, 300), np.ones((SIDE, SIDE), np.float32),
     disc(100, 100, 1), disc(0, 0, 1)],
    ids=["left border", "corner", "all", "all, hard", "a pixel", "a corner's pixel"],
)  # fmt: skip
@pytest.mark.parametrize("composite", list(compositing.BLENDS))
def test_strokes_of_any_place_and_size(
    photo: np.ndarray, alpha: np.ndarray, composite: str
) -> None:
    content, ending = compositing.blend(composite, photo, photo, alpha)
    assert np.isfinite(content).all()
    assert np.abs(content - photo)[ending > 0].mean() < 2, "of two equal pictures there is one"
    assert ((ending == 0) == (alpha == 0)).all()


def test_poisson_has_no_light_to_take_where_all_is_covered(photo: np.ndarray) -> None:
    content = compositing.blend("poisson", photo, photo - 25, np.ones((SIDE, SIDE))).content
    assert np.array_equal(content, photo - 25)


def test_poisson_at_the_border_takes_the_light_of_the_other_side(photo: np.ndarray) -> None:
    content = compositing.blend("poisson", photo, photo - 25, disc(0, 100)).content
    assert np.abs(content - photo)[disc(0, 100) > 0].mean() < 2


def test_laplacian_is_exact_where_one_picture_is_all(photo: np.ndarray) -> None:
    after = 255 - photo
    content = compositing.blend("laplacian", photo, after, np.ones((SIDE, SIDE), np.float32))[0]
    assert np.abs(content - after).max() < 0.01


def test_laplacian_blends_coarse_detail_over_a_longer_way_than_fine() -> None:
    xs = np.arange(SIDE)
    photo = np.full((SIDE, SIDE, 3), 100, np.float32)
    after = photo + 50 + 30 * ((xs // 2 % 2) * 2 - 1)[None, :, None].astype(np.float32)
    alpha = np.zeros((SIDE, SIDE), np.float32)
    alpha[:, 100:] = 1
    row = compositing.blend("laplacian", photo, after, alpha).content[SIDE // 2, :, 0]
    light = cv2.GaussianBlur(row[None], (0, 0), 4)[0]
    stripes = cv2.GaussianBlur(np.abs(row - light)[None], (0, 0), 2)[0]

    def way(values: np.ndarray) -> int:
        """Pixels in which a rise gets from a tenth to nine tenths."""
        low, high = values[10], values[-10]
        part = (values - low) / (high - low)
        return int(((part > 0.1) & (part < 0.9)).sum())

    assert way(light) > 2 * way(stripes)


def test_laplacian_of_a_half_selected_region_is_half_of_it() -> None:
    photo = np.full((SIDE, SIDE, 3), 100, np.float32)
    content, ending = compositing.blend(
        "laplacian", photo, photo + 80, np.full((SIDE, SIDE), 0.5, np.float32)
    )
    assert content[100, 100, 0] * ending[100, 100] + 100 * (1 - ending[100, 100]) == pytest.approx(
        140, abs=0.5
    )


@pytest.mark.parametrize("composite", ALL)
@pytest.mark.parametrize("place", [Window(50, 0, 299), Window(101, 60, 150)])
def test_the_photo_is_bit_identical_outside_the_patch(composite: str, place: Window) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    stroke = np.zeros((300, 400), np.float32)
    stroke[110:150, 160:200] = 1
    y = to_tensor(rgb[place.y : place.y + place.side, place.x : place.x + place.side], 32)
    patch = paste.paste(
        rgb, selection.read(stroke, 400, 300), place, y, -y, seed=0, composite=composite
    )
    out = paste.lay_over(rgb, None, patch)
    alpha = np.zeros(stroke.shape, np.uint8)
    height, width = patch.rgba.shape[:2]
    alpha[patch.y : patch.y + height, patch.x : patch.x + width] = patch.rgba[..., 3]
    assert np.array_equal(out[alpha == 0], rgb[alpha == 0])
    reach = place.side // 8
    far = np.ones(stroke.shape, bool)
    far[110 - reach : 150 + reach, 160 - reach : 200 + reach] = False
    assert not alpha[far].any()
    assert (out[120:140, 170:190] != rgb[120:140, 170:190]).mean() > 0.9


def test_a_large_window_is_solved_small_and_answers_the_same() -> None:
    side = 1100
    ys, xs = np.mgrid[0:side, 0:side].astype(np.float32)
    photo = np.repeat((60 + 60 * xs / side + 40 * ys / side)[..., None], 3, 2)
    photo += np.random.default_rng(0).normal(0, 10, photo.shape).astype(np.float32)
    alpha = np.clip((200 - np.hypot(xs - 500, ys - 640)) / 20, 0, 1)
    content = compositing.blend("poisson", photo, photo + 30, alpha).content
    assert np.abs(content - photo)[alpha > 0].mean() < 1.5


@pytest.fixture(scope="module")
def session(small_model: object, photo_file: Image.Image) -> "gp.PhotoSession":
    return gp.load_model(small_model, device="cpu").open(photo_file)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def photo_file() -> Image.Image:
    rgb = np.random.default_rng(1).integers(60, 200, (150, 200, 3), np.uint8)
    return Image.fromarray(rgb)


def test_an_edit_can_be_made_with_each(session: "gp.PhotoSession", stroke: Image.Image) -> None:
    made = {c: session.edit(stroke, add="tree", quality="preview", composite=c) for c in ALL}
    assert {c: edit.report["composite"] for c, edit in made.items()} == {c: c for c in ALL}
    pictures = [np.asarray(edit.image) for edit in made.values()]
    for i, one in enumerate(pictures):
        assert not any(np.array_equal(one, other) for other in pictures[:i])
    default = session.edit(stroke, add="tree", quality="preview")
    assert np.array_equal(default.image, pictures[0])
    with pytest.raises(errors.BadRequest, match="poisson"):
        session.edit(stroke, add="tree", composite="glue")
