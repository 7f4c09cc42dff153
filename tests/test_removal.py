"""What stands where a thing was: taken from around the stroke, and from the photo's own pixels."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image

import ganpaint_engine as gp
from ganpaint_engine import editing, paths, removal
from ganpaint_engine.window import to_array, to_tensor

NOWHERE = torch.zeros(1, 1, 8, 8, dtype=torch.bool)


def scene() -> tuple[torch.Tensor, torch.Tensor]:
    """A grey picture with a red square, and the stroke over it: 1×3×64×64, 1×1×64×64."""
    x, mask = torch.full((1, 3, 64, 64), 0.2), torch.zeros(1, 1, 64, 64)
    x[:, :, 24:40, 24:40] = torch.tensor([0.9, -0.9, -0.9]).view(1, 3, 1, 1)
    mask[:, :, 24:40, 24:40] = 1
    return x, mask


def stripes(side: int) -> np.ndarray:
    """Upright stripes with a red square in the middle, side×side×3 uint8."""
    photo = np.empty((side, side, 3), np.uint8)
    photo[:] = np.where(np.arange(side) // (side // 32) % 2, 200, 60)[None, :, None]
    photo[side * 3 // 8 : side * 5 // 8, side * 3 // 8 : side * 5 // 8] = (230, 20, 20)
    return photo


def test_the_hole_is_filled_from_around_it() -> None:
    found = removal.Place(*scene(), NOWHERE).fill()
    assert len(found) == len(removal.WAYS)
    for one in found:
        around = one.small[one.hole == 0].reshape(-1, 3).astype(int)
        assert np.abs(one.made.astype(int) - np.median(around, axis=0)).max() <= 3
        assert np.array_equal(one.made[one.hole == 0], one.small[one.hole == 0])


def test_the_same_picture_is_always_filled_the_same() -> None:
    """Also where several photos are edited at a time."""
    rng = torch.Generator().manual_seed(3)
    x = torch.nn.functional.interpolate(
        torch.rand(1, 3, 8, 8, generator=rng) * 2 - 1, size=32, mode="bilinear"
    )
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., 10:20, 7:23] = 1

    def filled(_: int) -> list[np.ndarray]:
        return [found.made for found in removal.Place(x, mask, NOWHERE).fill()]

    with ThreadPoolExecutor(8) as pool:
        others = list(pool.map(filled, range(24)))
    first = filled(0)
    for other in others:
        assert all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_too_large_a_hole_is_not_filled() -> None:
    x, _ = scene()
    assert removal.Place(x, torch.ones(1, 1, 64, 64), NOWHERE).fill() == []
    assert removal.Place(x, torch.zeros(1, 1, 64, 64), NOWHERE).fill() == []


def test_nothing_is_taken_from_the_things_likes() -> None:
    x, mask = scene()
    x[:, :, :, :20] = torch.tensor([-0.9, 0.9, -0.9]).view(1, 3, 1, 1)
    likes = NOWHERE.clone()
    likes[..., :3] = True
    for (free, *_), one in zip(removal.WAYS, removal.Place(x, mask, likes).fill(), strict=True):
        inside = one.made[one.hole > 0].astype(int)
        if not free:
            assert not (inside[:, 1] > inside[:, 0] + 50).any()


def test_detail_is_the_photos_own() -> None:
    photo = stripes(512)
    mask = torch.zeros(1, 1, 128, 128)
    mask[..., 46:82, 46:82] = 1
    found = removal.Place(to_tensor(photo, 128), mask, NOWHERE).fill()[0]
    cutout = removal.filling(photo, found)
    x0, _, x1, _ = (v * 512 for v in cutout.box)
    width = cutout.rgba.shape[1]
    assert abs(width - (x1 - x0)) <= 1
    columns = x0 + (np.arange(width) + 0.5) * (x1 - x0) / width
    truth = np.where(columns.astype(int) // 16 % 2, 200, 60)[None, :, None]
    opaque = cutout.rgba[..., 3] > 250
    off = np.abs(cutout.rgba[..., :3].astype(int) - truth).mean(2)[opaque]
    assert np.median(off) < 3, "stripes as sharp as the photo's"
    assert off.mean() < 25


def test_a_removal_is_near_to_its_surroundings_for_every_seed() -> None:
    prior = gp.load_model("churches", device="cpu")
    photo = to_array(scene()[0], 128).clip(0, 255).astype("uint8")
    mask = to_array(scene()[1].expand(1, 3, -1, -1) * 2 - 1, 128)[..., 0].clip(0, 255)
    session, stroke = prior.open(photo), mask.astype("uint8")
    around = photo[4:20, 4:20].mean((0, 1))
    for seed in range(3):
        edit = session.edit(stroke, remove="dome", seed=seed, quality="preview")
        assert float(abs(edit.array[stroke > 127].mean(0) - around).mean()) < 6


def test_what_the_photo_has_is_added_as_the_photo_has_it() -> None:
    x, mask = torch.full((1, 3, 64, 64), 0.2), torch.zeros(1, 1, 64, 64)
    green = torch.tensor([-0.6, 0.5, -0.7]).view(1, 3, 1, 1)
    x[:, :, 24:] = green
    mask[:, :, 14:30, 24:40] = 1
    likes = NOWHERE.clone()
    likes[..., 3:, :] = True
    found = removal.Place(x, mask, likes, only=True).fill()
    assert found
    for one in found:
        inside = one.made[one.hole > 0].astype(int)
        assert (inside[:, 1] - inside[:, 0] > 60).mean() > 0.9
    likes[..., :] = False
    likes[..., 7, 7] = True
    assert removal.Place(x, mask, likes, only=True).fill() == [], "too little to be filled with"


def test_what_stands_before_the_sky_does_not_run_into_what_is_added_of_it() -> None:
    x, mask = torch.full((1, 3, 64, 64), 0.0), torch.zeros(1, 1, 64, 64)
    blue, white = (torch.tensor(c).view(1, 3, 1, 1) for c in ([-0.6, -0.3, 0.5], [0.9, 0.9, 0.9]))
    x[:] = blue
    x[:, :, 12:, 20:44] = white  # a tower, narrower than its cells
    mask[:, :, 4:34, 16:48] = 1
    likes = ~NOWHERE
    likes[..., 2:, 3:5] = False
    for one in removal.Place(x, mask, likes, only=True).fill():
        inside = one.made[one.hole > 0].astype(float)
        assert np.abs(inside - (blue.view(3).numpy() + 1) * 127.5).max() < 25
        assert np.array_equal(one.made[one.hole == 0], one.small[one.hole == 0])
        assert np.abs(removal._evened(one)).max() < 10
        assert one.roughness < 0.05


def test_a_hole_with_little_around_is_smeared_in() -> None:
    x, mask = scene()
    mask[:] = 0
    mask[..., 10:52, 14:50] = 1
    everywhere = ~NOWHERE
    (*_, last) = removal.Place(x, mask, everywhere).fill()
    assert np.array_equal(last.made[last.hole == 0], last.small[last.hole == 0])
    assert not (last.made == 0).all(2).any()


@pytest.mark.parametrize(
    ("choice", "once"),
    [
        ({"quality": "preview"}, True),
        ({"quality": "preview", "composite": "alpha"}, False),
        ({"quality": "final"}, False),
    ],
)
def test_a_preview_of_a_filled_place_is_drawn_once(
    choice: dict[str, str], once: bool, drawn: list[editing.Drawn]
) -> None:
    """Where something of what the head draws can be seen, or is fitted, it is drawn."""
    prior = gp.load_model("churches", device="cpu")
    photo = to_array(scene()[0], 128).clip(0, 255).astype("uint8")
    mask = to_array(scene()[1].expand(1, 3, -1, -1) * 2 - 1, 128)[..., 0].clip(0, 255)
    prior.open(photo).edit(mask.astype("uint8"), remove="dome", **choice)
    (found,) = drawn
    assert isinstance(found.followed[0], removal.Filled)
    assert torch.equal(found.y, found.y_e) == once


def test_the_first_preview_shows_the_filling_of_the_final_edit() -> None:
    folder = paths.bundled_models_dir() / "churches" / "examples"
    photo = np.asarray(Image.open(folder / "church.png").convert("RGB"))
    prior = gp.load_model("churches", device="cpu")
    for name in ("tree", "dome"):
        mask = np.asarray(Image.open(folder / f"church-{name}.png").convert("L"))
        session = prior.open(photo)
        first = session.edit(mask, remove=name, quality="preview")
        final = session.edit(mask, remove=name)
        assert "adapted" not in first.report["psnr"]
        assert "adapted" in final.report["psnr"]
        assert np.abs(first.array.astype(int) - final.array).max() <= 1
