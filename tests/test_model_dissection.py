"""Dissecting a whole model whose units, looks and effects are known beforehand."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import planted
import pytest
import torch
from filelock import FileLock
from PIL import Image

import ganpaint_engine as gp
from ganpaint_engine import cli, errors, model_change, model_package, paths, segmentation


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A planted model with its segmenter, a judge, and forty scenes."""
    folder = tmp_path_factory.mktemp("planted")
    planted.package(folder / "model")
    planted.save_segmenter(planted.segmenter(), folder / "model" / model_package.SEGMENTER)
    planted.save_segmenter(planted.judge(), folder / "judge.safetensors")
    planted.scenes(folder / "scenes", 40)
    return folder


@pytest.fixture(scope="module")
def dissected(ground: Path) -> Path:
    """The same model after `ganpaint dissect`."""
    options = ["--pictures", ground / "scenes", "--judge", ground / "judge.safetensors"]
    cli_run("dissect", ground / "model", *options, "--out", ground / "out", "--device", "cpu")
    return ground / "out"


def cli_run(*arguments: object) -> None:
    """The command line in this process; typer's exit 0 is no news."""
    cli.app([str(a) for a in arguments], standalone_mode=False)


def test_the_planted_units_and_looks_are_found(dissected: Path) -> None:
    info = model_package.read_card(dissected)
    model_package.verify(info)
    concepts = model_package.load_concepts(info)
    assert {name: sorted(c.units.tolist()) for name, c in concepts.items()} == {
        "sky": [planted.SKY],
        "grass": [planted.GRASS],
        "tree": [planted.SUMMER, planted.AUTUMN],
    }
    assert info.variants["tree"] == ["summer", "autumn"], "the common look first"
    tree = concepts["tree"]
    summer, autumn = tree.look("summer"), tree.look("autumn")
    assert summer[planted.SUMMER] > 2 > 0 > summer[planted.AUTUMN]
    assert autumn[planted.AUTUMN] > 2 > 0 > autumn[planted.SUMMER]
    assert tree.levels.shape == (3, planted.UNITS)
    assert (tree.levels[2] >= tree.levels[0] - 1e-3)[tree.ranking].all()


def test_the_card_says_what_the_judge_saw(dissected: Path) -> None:
    info = model_package.read_card(dissected)
    assert info.card["dissection"]["independent_judge"] is True
    assert info.operations("tree") == ["add", "remove", "restyle"]
    assert info.operations("sky") == ["remove"], "one look, and no place without it to measure"
    tree = next(e for e in info.card["concepts"] if e["name"] == "tree")
    assert tree["remove"]["share_after"] < 0.1 < 0.9 < tree["remove"]["share_before"]
    assert tree["add"]["share_before"] < 0.1 < 0.9 < tree["add"]["share_after"]
    assert tree["restyle"]["share_after"] > 0.9
    assert tree["restyle"]["moved"] > 0.8
    ranking = model_change.read_rankings(info)["tree"]
    assert {row["unit"] for row in ranking[:2]} == {planted.SUMMER, planted.AUTUMN}
    assert ranking[0]["iou"] > 0.4


def test_thumbnails_show_their_looks(dissected: Path) -> None:
    info = model_package.read_card(dissected)
    tree = next(e for e in info.card["concepts"] if e["name"] == "tree")
    for look in tree["variants"]:
        assert look["thumbnail"] in info.card["files"]
        with Image.open(dissected / look["thumbnail"]) as picture:
            middle = np.asarray(picture.convert("RGB"), int)[40:56, 40:56].mean((0, 1))
        wanted = np.array(planted.COLOURS[look["name"]])
        assert np.abs(middle - wanted).mean() < 30, look["name"]


def test_a_summer_tree_in_a_photo_turns_to_autumn(dissected: Path) -> None:
    rgb = planted.scene(np.random.default_rng(5), side=192, autumn=False)
    tree = np.abs(rgb.astype(int) - planted.COLOURS["summer"]).sum(2) < 60
    session = gp.load_model(dissected, device="cpu").open(rgb)
    edit = session.edit(tree, restyle="tree", variant="autumn")
    after = np.asarray(edit.image, float)
    wanted, was = (np.array(planted.COLOURS[k], float) for k in ("autumn", "summer"))
    moved = np.linalg.norm(after[tree].mean(0) - wanted) / np.linalg.norm(was - wanted)
    assert moved < 0.35, "two thirds of the way at least"
    far = np.ones_like(tree)
    x, y = edit.offset
    far[y : y + edit.patch.height, x : x + edit.patch.width] = False
    assert np.array_equal(after[far], rgb[far].astype(float))


def test_a_tree_like_the_one_of_another_photo(dissected: Path) -> None:
    rng = np.random.default_rng(6)
    here, other = (planted.scene(rng, side=192, autumn=a) for a in (False, True))
    tree = np.abs(here.astype(int) - planted.COLOURS["summer"]).sum(2) < 60
    model = np.abs(other.astype(int) - planted.COLOURS["autumn"]).sum(2) < 60
    session = gp.load_model(dissected, device="cpu").open(here)
    edit = session.edit(tree, restyle="tree", like=model, like_image=other, quality="preview")
    red, green, _ = np.asarray(edit.image, float)[tree].mean(0)
    assert red > green + 20
    assert here[tree].mean(0)[1] > here[tree].mean(0)[0] + 20


def test_looks_only_keeps_concepts_and_measurements(ground: Path, tmp_path: Path) -> None:
    cli_run("dissect", ground / "model", "--pictures", ground / "scenes", "--out", tmp_path / "m")
    card = json.loads((tmp_path / "m" / "model.json").read_text())
    del card["concepts"][0]
    tree = card["concepts"][1]
    tree |= {"remove": {"mine": 1}, "operations": ["remove"], "variants": []}
    card["left_out"] = ["add grass: it failed"]
    (tmp_path / "m" / "model.json").write_text(json.dumps(card))
    before = model_package.load_concepts(model_package.read_card(tmp_path / "m"))["tree"]
    options = ["--pictures", ground / "scenes", "--looks-only", "--keep-segmenter"]
    cli_run(
        "dissect",
        tmp_path / "m",
        "--segmenter",
        ground / "model" / model_package.SEGMENTER,
        *options,
    )
    info = model_package.read_card(tmp_path / "m")
    model_package.verify(info)
    assert info.concepts == ["grass", "tree"], "no others are added"
    entry = info.card["concepts"][1]
    assert entry["remove"] == {"mine": 1}
    assert info.operations("tree") == ["remove", "restyle"]
    assert info.variants["tree"] == ["summer", "autumn"]
    assert "add grass: it failed" in info.card["left_out"]
    after = model_package.load_concepts(info)["tree"]
    assert torch.equal(before.units, after.units)
    assert torch.equal(before.p, after.p)
    assert segmentation.load(tmp_path / "m" / model_package.SEGMENTER).classes == planted.CLASSES
    assert model_package.SEGMENTER in info.card["files"]


def test_without_a_judge_the_card_says_so(ground: Path, tmp_path: Path) -> None:
    cli_run("dissect", ground / "model", "--pictures", ground / "scenes", "--out", tmp_path / "m")
    assert model_package.read_card(tmp_path / "m").card["dissection"]["independent_judge"] is False


def test_operations_that_do_nothing_are_not_offered(ground: Path, tmp_path: Path) -> None:
    """A generator that draws every unit in one grey cannot show any concept."""
    shutil.copytree(ground / "model", tmp_path / "grey")
    info = model_package.read_card(tmp_path / "grey")
    weights = model_package.load_tensors(info, model_package.GENERATOR)
    weights["output_32x32.conv.weight"] *= 0
    model_package.save_tensors(info.path / model_package.GENERATOR, weights)
    card = json.loads((info.path / "model.json").read_text())
    digest = model_package.sha256(info.path / model_package.GENERATOR)
    card["files"][model_package.GENERATOR] = digest
    (info.path / "model.json").write_text(json.dumps(card))
    with pytest.raises(errors.NothingFound, match="remove tree"):
        cli_run("dissect", info.path, "--pictures", ground / "scenes")
    assert model_package.read_card(info.path).card == card, "the package is as it was"


def test_a_bundled_model_is_copied_and_not_changed(
    ground: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(ground / "model", tmp_path / "bundled" / "model")
    monkeypatch.setattr(paths, "bundled_models_dir", lambda: tmp_path / "bundled")
    before = (tmp_path / "bundled" / "model" / "model.json").read_bytes()
    cli_run("dissect", "model", "--pictures", ground / "scenes", "--concept", "tree")
    assert (tmp_path / "bundled" / "model" / "model.json").read_bytes() == before
    assert model_package.find_model("model").path == paths.user_models_dir() / "model"
    assert model_package.find_model("model").concepts == ["tree"]
    with pytest.raises(errors.BadRequest, match="hold a model"):
        cli_run("dissect", tmp_path / "bundled" / "model", "--pictures", ground / "scenes")
    leftovers = [p.name for p in paths.user_models_dir().iterdir() if p.suffix != ".lock"]
    assert leftovers == ["model"]


def test_a_failed_write_leaves_the_old_package(
    dissected: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(dissected, tmp_path / "m")
    info = model_package.read_card(tmp_path / "m")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(model_package, "save_tensors", full)
    with pytest.raises(errors.BadRequest, match="No space"):
        cli_run("concepts", "remove", tmp_path / "m", "--name", "sky")
    model_package.verify(model_package.read_card(tmp_path / "m"))
    assert model_package.read_card(tmp_path / "m").card == info.card
    assert [p.name for p in tmp_path.iterdir() if p.suffix != ".lock"] == ["m"]


def test_removed_concepts_take_their_thumbnails_along(dissected: Path, tmp_path: Path) -> None:
    shutil.copytree(dissected, tmp_path / "m")
    cli_run("concepts", "remove", tmp_path / "m", "--name", "tree")
    info = model_package.read_card(tmp_path / "m")
    model_package.verify(info)
    assert info.concepts == ["sky", "grass"]
    assert not list((tmp_path / "m").glob("look-tree-*"))
    assert "tree" not in model_change.read_rankings(info)
    with pytest.raises(errors.UnknownConcept):
        cli_run("concepts", "remove", tmp_path / "m", "--name", "tree")


def test_bad_input_has_its_code(ground: Path, tmp_path: Path) -> None:
    model, scenes = ground / "model", ground / "scenes"
    bare = tmp_path / "bare"
    shutil.copytree(model, bare)
    (bare / model_package.SEGMENTER).unlink()
    few = tmp_path / "few"
    planted.scenes(few, 3)
    (few / "broken.png").write_bytes(b"no picture")
    (tmp_path / "noise.safetensors").write_bytes(b"\0" * 64)
    out = ["--out", tmp_path / "never"]
    cases: list[tuple[list[object], type[errors.GanpaintError]]] = [
        ([bare, "--pictures", scenes], errors.SegmenterMissing),
        ([model, "--pictures", tmp_path / "nowhere"], errors.BadRequest),
        ([model, "--pictures", few], errors.BadRequest),
        ([model, "--pictures", scenes, "--concept", "unicorn"], errors.BadRequest),
        ([model, "--segmenter", tmp_path / "nowhere.pt"], errors.BadRequest),
        ([model, "--segmenter", tmp_path / "noise.safetensors"], errors.DamagedModel),
        ([model, "--segmenter", model / model_package.ENCODER], errors.DamagedModel),
        ([model, "--judge", model / model_package.SEGMENTER], errors.BadRequest),
        (["no-such-model"], errors.UnknownModel),
    ]
    for arguments, error in cases:
        with pytest.raises(error):
            cli_run("dissect", *arguments, *out)
    assert not (tmp_path / "never").exists()
    with pytest.raises(errors.BadRequest, match="exists"):
        cli_run("dissect", model, "--out", scenes)


def test_one_command_at_a_time_changes_a_model(dissected: Path, tmp_path: Path) -> None:
    shutil.copytree(dissected, tmp_path / "m")
    with FileLock(tmp_path / ".m.lock"), pytest.raises(errors.ModelBusy):
        cli_run("concepts", "remove", tmp_path / "m", "--name", "sky")


def test_the_page_shows_every_concept(ground: Path, dissected: Path, tmp_path: Path) -> None:
    cli_run(
        *("concepts", "page", dissected, "--out", tmp_path / "page"),
        *("--pictures", ground / "scenes", "--count", 12, "--device", "cpu"),
    )
    (path,) = (tmp_path / "page").iterdir()
    text = path.read_text(encoding="utf-8")
    links = re.findall(r'(?:src|href)="([^"]*)"', text)
    assert all(link.startswith(("data:image/webp;base64,", "#")) for link in links)
    assert {link for link in links if link[0] == "#"} == {"#sky", "#grass", "#tree"}
    pictures = [decoded(link) for link in links if link[0] != "#"]
    tree = text[text.index('<h2 id="tree"') :]
    assert "summer, " in tree
    assert f"unit {planted.SUMMER}, IoU" in tree
    removed = tree[tree.index("Removed") : tree.index("Inserted")]
    before, stroke, after = (decoded(link) for link in re.findall(r'src="([^"]*)"', removed)[:3])
    painted = np.abs(stroke - before).max(2) > 60
    assert 0.02 < painted.mean() < 0.5
    trees = [np.array(planted.COLOURS[look]) for look in ("summer", "autumn")]

    def nearest(picture: np.ndarray) -> float:
        return min(np.abs(picture[painted].mean(0) - colour).mean() for colour in trees)

    assert nearest(before) < 30, "the stroke is where the tree is"
    assert nearest(after) > 2 * nearest(before), "and the tree is gone from there"
    assert len(pictures) > 20


def decoded(link: str) -> np.ndarray:
    """The picture of a data: link, H×W×3."""
    with Image.open(io.BytesIO(base64.b64decode(link.split(",", 1)[1]))) as image:
        return np.asarray(image.convert("RGB"), int)


def test_the_page_of_a_model_with_an_odd_card(dissected: Path, tmp_path: Path) -> None:
    """A card is anybody's text: nothing in it becomes markup."""
    shutil.copytree(dissected, tmp_path / "m")
    card = json.loads((tmp_path / "m" / "model.json").read_text())
    card["version"] = "<script>alert(1)</script>"
    card["concepts"][0]["variants"][0]["name"] = '"><script>'
    card["concepts"][0]["variants"][0]["thumbnail"] = "../../secret.webp"
    (tmp_path / "m" / "model.json").write_text(json.dumps(card))
    cli_run("concepts", "page", tmp_path / "m", "--out", tmp_path / "page", "--count", 6)
    assert "<script" not in (tmp_path / "page" / "concepts.html").read_text()
