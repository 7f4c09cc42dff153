"""Thumbnails of looks, also of packages that are not as they should be."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from ganpaint_engine import paths
from ganpaint_engine.errors import UnknownModel
from ganpaint_engine.service import looks
from ganpaint_engine.service.protocol_messages import MAX_LOOK_SIDE, MAX_LOOKS


@pytest.fixture
def package(tmp_path, small_model):
    """A model whose concept tree has two looks, ``one.webp`` and ``two.webp``."""
    folder = tmp_path / "model"
    shutil.copytree(small_model, folder)
    for name, colour in (("one", (200, 30, 20)), ("two", (20, 30, 200))):
        Image.new("RGB", (40, 30), colour).save(folder / f"{name}.webp", lossless=True)
    return folder


def describe(folder, variants, files=("one.webp", "two.webp")):
    card = json.loads((folder / "model.json").read_text())
    card["concepts"][0]["variants"] = variants
    card["files"].update(dict.fromkeys(files, "0" * 64))
    (folder / "model.json").write_text(json.dumps(card))
    return card["concepts"][0]["name"]


def look(name, **more):
    return {"name": name, "share": 0.5, "rgb": [0, 0, 0], **more}


def test_the_pixels_are_those_of_the_files(package):
    concept = describe(
        package, [look("a", thumbnail="two.webp"), look("b"), look("c", thumbnail="one.webp")]
    )
    first, second = looks.of_model(str(package))
    assert first[:4] == (concept, "a", 40, 30)
    assert second[:4] == (concept, "c", 40, 30)
    pixels = np.frombuffer(second.rgb, np.uint8).reshape(30, 40, 3)
    assert (pixels == (200, 30, 20)).all()


def test_the_bundled_models_looks_all_have_one():
    card = json.loads((paths.bundled_models_dir() / "churches" / "model.json").read_text())
    named = {(c["name"], v["name"]) for c in card["concepts"] for v in c.get("variants", ())}
    found = looks.of_model("churches")
    assert {(one.concept, one.variant) for one in found} == named
    for one in found:
        assert len(one.rgb) == one.width * one.height * 3
        assert np.frombuffer(one.rgb, np.uint8).std() > 3, "a picture, and not one grey"


def test_damaged_huge_and_unlisted_thumbnails_are_left_out(package, tmp_path):
    (package / "one.webp").write_bytes(b"RIFF no picture")
    Image.new("RGB", (2000, 1000)).save(package / "huge.png")
    Image.new("RGB", (400, 200), (9, 9, 9)).save(package / "large.png")
    Image.new("RGB", (4, 4)).save(tmp_path / "outside.png")
    variants = [
        look("damaged", thumbnail="one.webp"),
        look("huge", thumbnail="huge.png"),
        look("large", thumbnail="large.png"),
        look("unlisted", thumbnail="model.json"),
        look("outside", thumbnail="../outside.png"),
        look("missing", thumbnail="missing.png"),
    ]
    describe(
        package, variants, ("one.webp", "huge.png", "large.png", "../outside.png", "missing.png")
    )
    (only,) = looks.of_model(str(package))
    assert (only.variant, only.width, only.height) == ("large", MAX_LOOK_SIDE, MAX_LOOK_SIDE // 2)


def test_their_number_is_bounded(package):
    describe(package, [look(f"l{i}", thumbnail="one.webp") for i in range(MAX_LOOKS + 9)])
    found = looks.of_model(str(package))
    assert len(found) == MAX_LOOKS
    assert sum(len(one.rgb) for one in found) <= 1 << 20


def test_a_thumbnail_that_was_replaced_is_read_again(package):
    describe(package, [look("a", thumbnail="one.webp")])
    assert looks.of_model(str(package))[0].rgb[:3] == bytes((200, 30, 20))
    shutil.copy(package / "two.webp", package / "one.webp")
    card = json.loads((package / "model.json").read_text())
    card["files"]["one.webp"] = "1" * 64
    (package / "model.json").write_text(json.dumps(card))
    assert looks.of_model(str(package))[0].rgb[:3] == bytes((20, 30, 200))


def test_an_unknown_model():
    with pytest.raises(UnknownModel):
        looks.of_model("no such model")
