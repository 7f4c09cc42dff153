"""Files from strangers: sizes are looked at before anything is made of them."""

import ast
import io
import json
import struct
import zipfile
import zlib
from pathlib import Path

import pytest
from PIL import Image, ImageFile

from ganpaint_engine import errors, model_package, pictures, strokes
from ganpaint_engine.model_card import MAX_BYTES

ENGINE = Path(pictures.__file__).parent


def png_bomb(width: int, height: int) -> bytes:
    """A PNG of a few kilobytes that claims, and would decode to, ``width`` x ``height`` px."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    packer = zlib.compressobj(9)
    row = bytes(1 + width * 3)
    data = b"".join(packer.compress(row) for _ in range(min(height, 50))) + packer.flush()
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize("read", [pictures.read_photo, pictures.read_mask])
@pytest.mark.parametrize("size", [(10_001, 10_000), (60_000, 60_000), (2**31 - 1, 2**31 - 1)])
def test_a_picture_bomb_is_not_decoded(read, size, tmp_path: Path, monkeypatch) -> None:
    width = min(size[0], 20_000)
    bomb = bytearray(png_bomb(width, 10_000))
    if size[0] > width:
        head = struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0)
        bomb[16 : 16 + 17] = head + struct.pack(">I", zlib.crc32(b"IHDR" + head))
    (tmp_path / "bomb.png").write_bytes(bomb)
    assert len(bomb) < 100_000
    decoded = []
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda image: decoded.append(image.size))
    with pytest.raises((errors.PhotoTooLarge, errors.CorruptImage)):
        read(tmp_path / "bomb.png")
    assert decoded == []


def test_a_format_that_starts_a_program_is_not_read(tmp_path: Path) -> None:
    eps = io.BytesIO()
    Image.new("RGB", (100, 100)).save(eps, "EPS")
    (tmp_path / "photo.png").write_bytes(eps.getvalue())
    with pytest.raises(errors.CorruptImage):
        pictures.read_photo(tmp_path / "photo.png")


@pytest.mark.parametrize("source", sorted(ENGINE.rglob("*.py")), ids=lambda path: path.stem)
def test_every_picture_is_opened_as_one_of_the_safe_formats(source: Path) -> None:
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Image.open":
            assert "formats" in {keyword.arg for keyword in node.keywords}, ast.unparse(node)


def test_a_layer_that_is_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(strokes, "MAX_PIXELS", 1000)
    photo = io.BytesIO()
    Image.new("RGB", (80, 80)).save(photo, "BMP")
    with zipfile.ZipFile(tmp_path / "x.ora", "w", zipfile.ZIP_DEFLATED) as archive:
        layers = '<layer src="a.png"/><layer src="a.png"/>'
        archive.writestr("stack.xml", f'<image w="80" h="80"><stack>{layers}</stack></image>')
        archive.writestr("a.png", photo.getvalue())
    with pytest.raises(errors.CorruptImage, match="larger than any layer"):
        strokes._layers(tmp_path / "x.ora")
    monkeypatch.undo()
    picture, mask = strokes._layers(tmp_path / "x.ora")
    assert picture.shape == (80, 80, 3)
    assert mask.min() == 255


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP"])
def test_the_usual_formats_are_read(kind: str, tmp_path: Path) -> None:
    Image.new("RGB", (80, 70), (200, 30, 30)).save(tmp_path / "photo", kind)
    assert pictures.read_photo(tmp_path / "photo").size == (80, 70)


@pytest.mark.parametrize(
    "changes",
    [
        {"resolution": "64"},
        {"resolution": 10**9},
        {"concepts": {"tree": 1}},
        {"concepts": [{"name": 7}]},
        {"concepts": [{}]},
        {"concepts": [{"name": "tree", "operations": "add"}]},
        {"files": ["generator.safetensors"]},
        {"files": {"x" * 5000: ""}},
        {"files": {}},
        {"name": None},
    ],
)
def test_a_card_of_another_make(small_model: Path, tmp_path: Path, changes: dict) -> None:
    card = json.loads((small_model / model_package.CARD).read_text())
    (tmp_path / model_package.CARD).write_text(json.dumps({**card, **changes}))
    with pytest.raises(errors.DamagedModel):
        model_package.verify(model_package.read_card(tmp_path))


@pytest.mark.parametrize("text", ["[" * 200_000, '"' + "x" * MAX_BYTES + '"', "1", "\udc80", "{}"])
def test_a_card_that_is_a_bomb(tmp_path: Path, text: str) -> None:
    (tmp_path / model_package.CARD).write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(errors.DamagedModel):
        model_package.read_card(tmp_path)


def test_a_damaged_model_in_the_own_folder_hides_no_other(home: Path) -> None:
    """WELCOME lists the models: a broken card must not keep the engine from greeting."""
    place = home / "models" / "broken"
    place.mkdir(parents=True)
    card = {"format": 1, "name": "broken", "version": "1", "terms": "", "resolution": "many"}
    (place / model_package.CARD).write_text(json.dumps({**card, "concepts": [], "files": {}}))
    assert "churches" in [info.name for info in model_package.list_models()]
