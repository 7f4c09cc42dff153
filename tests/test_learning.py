"""A new concept from painted pictures, on a model whose units are known beforehand."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import planted
import pytest
from PIL import Image

import ganpaint_engine as gp
from ganpaint_engine import cli, errors, model_package, strokes


def painted(seed: int, autumn: bool = True) -> tuple[Image.Image, Image.Image]:
    """A scene with an autumn tree, and a mask that covers most of the tree."""
    rgb = planted.scene(np.random.default_rng(seed), side=128, autumn=autumn)
    tree = np.abs(rgb.astype(int) - planted.COLOURS["autumn"]).sum(2) < 60
    return Image.fromarray(rgb), Image.fromarray((tree * 255).astype(np.uint8))


def write(folder: Path, count: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        photo, mask = painted(i)
        photo.save(folder / f"house{i}.png")
        mask.save(folder / f"house{i}.mask.png")
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return planted.package(tmp_path_factory.mktemp("models") / "model")


def learn(model: Path, folder: Path, out: Path, name: str = "fire maple") -> None:
    arguments = ["concepts", "learn", model, "--name", name, "--strokes", folder, "--out", out]
    cli.app([str(a) for a in arguments], standalone_mode=False)


def test_the_painted_unit_is_learned_and_edits_with_it(model: Path, tmp_path: Path) -> None:
    learn(model, write(tmp_path / "strokes", 5), tmp_path / "out")
    info = model_package.read_card(tmp_path / "out")
    model_package.verify(info)
    (entry,) = info.card["concepts"]
    assert entry["name"] == "fire maple"
    assert entry["learned"] == {"painted_pictures": 5}
    assert entry["measured"] is False
    concept = model_package.load_concepts(info)["fire maple"]
    assert concept.units.tolist() == [planted.AUTUMN]
    rgb = planted.scene(np.random.default_rng(9), side=192, autumn=False)
    tree = np.abs(rgb.astype(int) - planted.COLOURS["summer"]).sum(2) < 60
    edit = gp.load_model(info.path, device="cpu").open(rgb).edit(tree, add="fire maple")
    red, green, _ = np.asarray(edit.image, float)[tree].mean(0)
    assert red > green + 20


def test_a_learned_concept_stays_beside_others(model: Path, tmp_path: Path) -> None:
    folder = write(tmp_path / "strokes", 3)
    learn(model, folder, tmp_path / "one")
    learn(tmp_path / "one", folder, tmp_path / "two", name="bonfire")
    info = model_package.read_card(tmp_path / "two")
    assert info.concepts == ["fire maple", "bonfire"]
    assert list(model_package.load_concepts(info)) == info.concepts
    with pytest.raises(errors.ConceptTaken):
        learn(tmp_path / "two", folder, tmp_path / "three", name="bonfire")


def ora(path: Path, photo: Image.Image, *layers: tuple[Image.Image, int, int]) -> None:
    """An OpenRaster file: the picture, and layers of strokes above it at their corners."""
    stack = '<layer src="data/0.png" x="0" y="0"/>'
    with zipfile.ZipFile(path, "w") as archive:
        for i, (image, x, y) in enumerate([(photo, 0, 0), *layers]):
            content = io.BytesIO()
            image.save(content, "PNG")
            archive.writestr(f"data/{i}.png", content.getvalue())
            if i:
                stack = f'<layer src="data/{i}.png" x="{x}" y="{y}"/>' + stack
        size = f'w="{photo.width}" h="{photo.height}"'
        archive.writestr("stack.xml", f"<image {size}><stack>{stack}</stack></image>")


def test_every_way_to_hand_in_strokes(tmp_path: Path) -> None:
    photo, mask = painted(1)
    for folder in ("pictures", "masks"):
        (tmp_path / folder).mkdir()
    photo.save(tmp_path / "a.jpg")
    mask.save(tmp_path / "a_mask.png")
    photo.save(tmp_path / "pictures" / "b.png")
    mask.save(tmp_path / "masks" / "b.png")
    photo.save(tmp_path / "c.jpg")
    mask.save(tmp_path / "c.png")
    box = mask.getbbox()
    assert box is not None
    red = Image.new("RGBA", (box[2] - box[0], box[3] - box[1]), (255, 0, 0, 255))
    ora(tmp_path / "d.ora", photo, (red, box[0], box[1]))
    found = strokes.read(tmp_path)
    assert [one.name for one in found] == ["a.jpg", "c.jpg", "b.png", "d.ora"]
    for one in found[:3]:
        assert np.array_equal(one.mask, np.asarray(mask)), one.name
    assert found[3].mask[box[1] : box[3], box[0] : box[2]].min() == 255
    assert (found[3].mask > 0).sum() == red.width * red.height
    assert np.array_equal(found[3].rgb, np.asarray(photo))


@pytest.mark.parametrize(
    "name", ["", "Tree", "a/b", "../x", "x" * 33, "two  \n", "-a", "bell.p", "ünder"]
)
def test_odd_names_are_refused(model: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(errors.BadRequest):
        learn(model, write(tmp_path / "s", 3), tmp_path / "out", name=name)


def test_bad_strokes_have_their_code(model: Path, tmp_path: Path) -> None:
    def spoilt(name: str) -> Path:
        return write(tmp_path / name, 3)

    photo, mask = painted(2)
    (tmp_path / "empty").mkdir()
    photo.save(tmp_path / "empty" / "alone.png")
    mask.resize((64, 64)).save(spoilt("sizes") / "house1.mask.png")
    Image.new("L", mask.size).save(spoilt("blank") / "house1.mask.png")
    Image.new("L", mask.size, 255).save(spoilt("full") / "house1.mask.png")
    (spoilt("cut") / "house1.png").write_bytes(b"no picture")
    (spoilt("ora") / "x.ora").write_bytes(b"no archive")
    ora(spoilt("flat") / "x.ora", photo)
    cases: dict[str, type[errors.GanpaintError]] = {
        "nowhere": errors.BadRequest,
        "empty": errors.StrokesUnusable,
        "sizes": errors.MaskSizeMismatch,
        "blank": errors.EmptyMask,
        "full": errors.StrokesUnusable,
        "cut": errors.CorruptImage,
        "ora": errors.CorruptImage,
        "flat": errors.StrokesUnusable,
    }
    write(tmp_path / "few", 2)
    for folder, error in {**cases, "few": errors.StrokesUnusable}.items():
        with pytest.raises(error):
            learn(model, tmp_path / folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_the_model_cannot_see_is_not_learned(model: Path, tmp_path: Path) -> None:
    """Strokes at random places follow no unit."""
    rng = np.random.default_rng(0)
    tmp_path = tmp_path / "s"
    tmp_path.mkdir()
    for i in range(8):
        flat = np.full((96, 96, 3), planted.COLOURS["sky"], np.uint8)
        mask = np.zeros((96, 96), np.uint8)
        y, x = rng.integers(0, 80, 2)
        mask[y : y + 16, x : x + 16] = 255
        Image.fromarray(flat).save(tmp_path / f"{i}.png")
        Image.fromarray(mask).save(tmp_path / f"{i}.mask.png")
    with pytest.raises(errors.StrokesUnusable, match="No unit"):
        learn(model, tmp_path, tmp_path / "out")
