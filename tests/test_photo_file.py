"""Photos of every kind through the command line: converted rightly, and their own values kept."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, PngImagePlugin

from ganpaint_engine import cli, errors, photo_file

XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF>stars=4</rdf:RDF></x:xmpmeta>"


@pytest.fixture
def mask(stroke: Image.Image, tmp_path: Path) -> Path:
    stroke.save(tmp_path / "mask.png")
    return tmp_path / "mask.png"


@pytest.fixture
def deep(photo: Image.Image) -> np.ndarray:
    """The photo with values that 8 bits do not have."""
    values = np.asarray(photo).astype(np.uint16) * 257
    return values ^ np.random.default_rng(0).integers(0, 128, values.shape, np.uint16)


@cache
def wide_gamut() -> bytes:
    """An RGB profile that is not sRGB: red and green swapped in its matrix tags."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = int.from_bytes(profile[128:132], "big")
    tags = {bytes(profile[i : i + 4]): i for i in range(132, 132 + 12 * count, 12)}
    red, green = tags[b"rXYZ"] + 4, tags[b"gXYZ"] + 4
    profile[red : red + 8], profile[green : green + 8] = (
        profile[green : green + 8],
        profile[red : red + 8],
    )
    return bytes(profile).replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))


def edited(photo: Path, mask: Path, model: Path, out: Path, *more: object) -> np.ndarray:
    """What the command writes, as its format's own library reads it."""
    wish = ["--add", "tree", "--quality", "preview", "--model", model, "-o", out, *more]
    cli.app([str(a) for a in ["edit", photo, "--mask", mask, *wish]], standalone_mode=False)
    if out.suffix == ".tiff":
        return tifffile.imread(out)
    array = cv2.imread(str(out), cv2.IMREAD_UNCHANGED)
    if array.ndim == 3:
        array = array[..., [2, 1, 0, 3][: array.shape[2]]]
    return array


def assert_kept(after: np.ndarray, before: np.ndarray) -> None:
    """Changed under the stroke, and bit for bit the same far from it."""
    assert after.dtype == before.dtype
    assert after.shape == before.shape
    far = np.ones(before.shape[:2], bool)
    far[25:135, 45:155] = False
    assert np.array_equal(after[far], before[far])
    assert (after[60:100, 80:120] != before[60:100, 80:120]).mean() > 0.5


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
@pytest.mark.parametrize("alpha", [False, True])
def test_16_bits_in_16_bits_out(
    suffix: str, alpha: bool, deep: np.ndarray, mask: Path, small_model: Path, tmp_path: Path
) -> None:
    if alpha:
        deep = np.dstack([deep, np.full(deep.shape[:2], 65535, np.uint16)])
    path = tmp_path / f"photo{suffix}"
    if suffix == ".tiff":
        extra = ["unassalpha"] if alpha else None
        tifffile.imwrite(path, deep, photometric="rgb", extrasamples=extra)
    else:
        cv2.imwrite(str(path), deep[..., [2, 1, 0, 3][: deep.shape[2]]])
    assert_kept(edited(path, mask, small_model, tmp_path / f"out{suffix}"), deep)


def test_16_bits_with_a_profile_and_metadata_and_turned(
    deep: np.ndarray, mask: Path, small_model: Path, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[271], exif[274] = "Maker", 6
    turned = np.ascontiguousarray(np.rot90(deep))  # to be turned clockwise to be seen upright
    file = photo_file.PhotoFile(
        turned, turned, None, wide_gamut(), exif.tobytes(), XMP, (300.0, 300.0)
    )
    photo_file.write(turned, tmp_path / "photo.png", file)
    for suffix in (".png", ".tiff"):
        out = tmp_path / f"out{suffix}"
        assert_kept(edited(tmp_path / "photo.png", mask, small_model, out), deep)
        with Image.open(out) as picture:
            assert picture.info["icc_profile"] == wide_gamut()
            assert picture.getexif()[271] == "Maker"
            assert picture.getexif().get(274, 1) == 1
            assert picture.info["dpi"] == pytest.approx((300, 300), abs=0.1)
            xmp = picture.info.get("xmp") or picture.info.get("XML:com.adobe.xmp")
            assert "stars=4" in str(xmp)


def test_16_bits_to_a_format_of_8_says_so(
    deep: np.ndarray, mask: Path, small_model: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    cv2.imwrite(str(tmp_path / "photo.png"), deep[..., ::-1])
    after = edited(tmp_path / "photo.png", mask, small_model, tmp_path / "out.bmp")
    assert after.dtype == np.uint8
    assert "8 bits a channel" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_profile_and_metadata_are_kept(
    kind: str, photo: Image.Image, mask: Path, small_model: Path, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[271], exif[33432] = "Maker", "Somebody"
    options: dict[str, object] = {"icc_profile": wide_gamut(), "exif": exif, "dpi": (300, 300)}
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", XMP.decode())
    xmp = {
        "PNG": {"pnginfo": info},
        "TIFF": {"tiffinfo": {700: XMP, 271: "Maker", 33432: "Somebody"}},
    }.get(kind, {"xmp": XMP})
    path, out = tmp_path / "photo", tmp_path / f"out.{kind.lower()}"
    photo.save(path, kind, **options, **xmp)
    with Image.open(path) as opened:
        before = np.asarray(opened.convert("RGB"))
    edited(path, mask, small_model, out)
    with Image.open(out) as after:
        assert after.info["icc_profile"] == wide_gamut()
        assert after.getexif()[271] == "Maker"
        assert after.getexif()[33432] == "Somebody"
        if kind != "WEBP":  # it has no field for it
            assert after.info["dpi"] == pytest.approx((300, 300), abs=1)
        assert "stars=4" in str(after.info.get("xmp") or after.info["XML:com.adobe.xmp"])
        if kind in ("PNG", "TIFF"):
            assert_kept(np.asarray(after.convert("RGB")), before)


def test_colours_of_a_profile_reach_the_engine_and_come_back(
    photo: Image.Image, tmp_path: Path
) -> None:
    photo.save(tmp_path / "photo.png", icc_profile=wide_gamut())
    file = photo_file.read(tmp_path / "photo.png")
    assert np.array_equal(file.own, np.asarray(photo))
    red_and_green = file.seen[..., [1, 0, 2]].astype(int) - file.own
    assert np.abs(red_and_green).mean() < 3, "the profile swaps them"
    layer = np.zeros((10, 10, 4), np.uint8)
    layer[...] = (200, 40, 60, 255)
    after = file.edited(layer, (50, 50))
    assert np.abs(after[52, 52].astype(int) - (40, 200, 60)).max() < 4
    assert np.array_equal(file.edited(layer * 0, (50, 50)), file.own)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_photos_are_seen_upright(orientation: int, deep: np.ndarray, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    file = photo_file.PhotoFile(deep, deep, exif=exif.tobytes())
    photo_file.write(deep, tmp_path / "deep.png", file)
    Image.fromarray((deep >> 8).astype(np.uint8)).save(tmp_path / "plain.png", exif=exif)
    one, two = photo_file.read(tmp_path / "deep.png"), photo_file.read(tmp_path / "plain.png")
    assert one.own.dtype == np.uint16
    assert np.array_equal(one.own >> 8, two.own)
    assert (two.own.shape[:2] == deep.shape[:2]) == (orientation < 5)


def palette(photo: Image.Image) -> Image.Image:
    return photo.quantize(64)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda p: p.convert("L"), "grey"),
        (lambda p: p.convert("LA"), "grey"),
        (palette, "palette"),
        (lambda p: p.convert("CMYK"), "CMYK"),
        (lambda p: Image.fromarray(np.asarray(p.convert("L")).astype(np.uint16) * 257), "grey"),
    ],
)
def test_other_modes_become_rgb_and_are_told(
    make: object, word: str, photo: Image.Image, mask: Path, small_model: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    made = make(photo)
    made.save(tmp_path / "photo.tiff")
    after = edited(tmp_path / "photo.tiff", mask, small_model, tmp_path / "out.png")
    told = capsys.readouterr().err
    assert word in told
    assert "output is RGB" in told
    if made.mode == "I;16":
        assert after.dtype == np.uint16
        assert np.array_equal(after[:20], np.asarray(made)[:20, :, None].repeat(3, 2))
    else:
        assert np.array_equal(after[:20, :, :3], np.asarray(made.convert("RGB"))[:20])


def test_the_layer_alone_has_the_profile_and_no_metadata(
    photo: Image.Image, mask: Path, small_model: Path, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[271] = "Maker"
    photo.save(tmp_path / "photo.png", icc_profile=wide_gamut(), exif=exif)
    layer = tmp_path / "layer.png"
    after = edited(
        tmp_path / "photo.png", mask, small_model, tmp_path / "out.png", "--layer", layer
    )
    with Image.open(layer) as picture:
        assert picture.info["icc_profile"] == wide_gamut()
        assert not picture.getexif()
        over = Image.alpha_composite(photo.convert("RGBA"), picture.convert("RGBA"))
    assert np.abs(np.asarray(over)[..., :3].astype(int) - after).max() <= 3


def test_a_16_bit_file_cut_short_has_its_code(deep: np.ndarray, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "photo.png"), deep[..., ::-1])
    whole = (tmp_path / "photo.png").read_bytes()
    (tmp_path / "photo.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(errors.CorruptImage):
        photo_file.read(tmp_path / "photo.png")
