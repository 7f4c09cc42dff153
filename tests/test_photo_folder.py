"""Reading a folder of photographs with all kinds of files in it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganpaint_engine import errors, pictures
from ganpaint_engine.photo_folder import SAME, PhotoFolder, difference_hash


def scene(seed: int, width: int = 160, height: int = 120) -> Image.Image:
    """A picture that no other seed makes: a few coloured boxes on a gradient."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    rgb = np.stack([x * 255 / width, y * 255 / height, np.full(x.shape, 90.0)], axis=2)
    for _ in range(8):
        x0, y0 = rng.integers(0, width - 40), rng.integers(0, height - 40)
        rgb[y0 : y0 + 40, x0 : x0 + 40] = rng.integers(0, 256, 3)
    return Image.fromarray(rgb.astype(np.uint8))


@pytest.fixture
def junk(tmp_path: Path) -> Path:
    """Photos in many modes, and files that are none."""
    folder = tmp_path / "photos"
    (folder / "deeper").mkdir(parents=True)
    scene(0).save(folder / "a.jpg", quality=95)
    scene(1).convert("CMYK").save(folder / "cmyk.jpg")
    scene(2).convert("P").save(folder / "deeper" / "palette.gif")
    scene(3).convert("L").save(folder / "grey.png")
    deep = np.asarray(scene(4).convert("L")).astype(np.uint16) * 257
    Image.fromarray(deep).save(folder / "sixteen.png")
    scene(5).convert("RGBA").save(folder / "alpha.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    scene(6).save(folder / "turned.jpg", exif=exif, quality=95)
    scene(8, 320, 240).save(folder / "large.png")
    scene(0).save(folder / "zz-again.webp")
    Image.new("RGB", (100, 100), "blue").save(folder / "blank.png")
    scene(7).resize((40, 30)).save(folder / "thumb.png")
    whole = (folder / "a.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "lies.png").write_bytes(b"%PDF-1.7 not a picture")
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "notes.txt").write_text("hello")
    (folder / ".hidden.jpg").write_bytes(whole)
    return folder


def test_every_usable_photo_and_a_line_about_the_others(junk: Path) -> None:
    photos = PhotoFolder.open(junk)
    read = {path.name: image for path, image in photos}
    assert set(read) == {
        "a.jpg", "cmyk.jpg", "palette.gif", "grey.png", "sixteen.png", "alpha.png", "turned.jpg",
        "large.png",
    }  # fmt: skip
    assert all(image.mode == "RGB" for image in read.values())
    assert read["turned.jpg"].size == (120, 160)
    codes = {p.file: p.code for p in photos.problems}
    assert codes == {
        "zz-again.webp": "duplicate",
        "blank.png": "blank",
        "thumb.png": "photo_too_small",
        "cut.jpg": "image_corrupt",
        "lies.png": "image_corrupt",
        "empty.jpg": "image_corrupt",
        "notes.txt": "not_a_picture",
    }


def test_deep_grey_is_scaled_and_not_clipped(junk: Path) -> None:
    read = np.asarray(pictures.read_photo(junk / "sixteen.png"))[..., 0].astype(int)
    assert np.abs(read - np.asarray(scene(4).convert("L")).astype(int)).max() <= 1


def test_recompressed_and_scaled_copies_are_the_same_picture(tmp_path: Path) -> None:
    scene(1).save(tmp_path / "q.jpg", quality=40)
    again = Image.open(tmp_path / "q.jpg").resize((333, 250))
    same = difference_hash(scene(1)) ^ difference_hash(again)
    other = difference_hash(scene(1)) ^ difference_hash(scene(2))
    assert same.bit_count() <= SAME < other.bit_count()


def test_too_few_photos_say_why(junk: Path, tmp_path: Path) -> None:
    photos = PhotoFolder.open(junk)
    found = len(list(photos))
    photos.require(found, found)
    with pytest.raises(errors.TooFewPhotos, match=r"at least 50.*blank.png") as caught:
        photos.require(found, 50)
    assert caught.value.code == "too_few_photos"
    with pytest.raises(errors.BadRequest):
        PhotoFolder.open(tmp_path / "nowhere")
