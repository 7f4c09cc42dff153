"""From a weight file to a model that samples: files good and bad, cards, lists, commands."""

from __future__ import annotations

import argparse
import contextlib
import gzip
import io
import json
import pickle
import resource
import shutil
import tarfile
import tempfile
import zipfile
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
import written_out
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file, save_file

import ganpaint_engine as gp
from ganpaint_engine import cli, errors, model_package, paths
from ganpaint_engine.concepts import Concept
from ganpaint_engine.encoder import Encoder
from ganpaint_engine.published import layouts, weight_files
from ganpaint_engine.published.importing import import_file, name_for
from ganpaint_engine.service.edits import Edits

PROGGAN = written_out.proggan([4, 5, 5, 6, 6, 4, 4])
STYLEGAN2 = written_out.stylegan2([3, 4, 5, 6, 5, 4], [4, 5, 5])


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "proggan_small-0a1b2c3d.pth"
    torch.save(PROGGAN, path)
    return path


def listed() -> list[str]:
    return [info.name for info in gp.list_models()]


def left_in_models() -> list[Path]:
    """Everything in the person's models folder but the staging folder itself."""
    root = paths.user_models_dir()
    return [p for p in root.rglob("*") if p.name != ".staging"] if root.exists() else []


# -- good files ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["zip", "before 1.6", "safetensors"])
@pytest.mark.parametrize("layout", ["proggan", "older", "stylegan2"])
def test_import_then_sample(layout: str, kind: str, tmp_path: Path) -> None:
    state = {"proggan": PROGGAN, "older": written_out.as_older(PROGGAN), "stylegan2": STYLEGAN2}
    path = tmp_path / "church outdoor.v2.pt"
    if kind == "safetensors":
        save_file(state[layout], path)
    else:
        wrapper = "g_ema" if layout == "stylegan2" else "state_dict"
        content = {wrapper: state[layout], "args": argparse.Namespace(size=16)}
        torch.save(content, path, _use_new_zipfile_serialization=kind == "zip")
    info = import_file(path)
    assert info.name == "church-outdoor.v2"
    assert info.name in listed()
    assert not info.prepared
    prior = gp.load_model(info.name, device="cpu")
    assert (prior.resolution, prior.concepts) == (16, [])
    pictures = prior.sample(3, seed=5)
    z = torch.randn(1, 4, generator=torch.Generator().manual_seed(5))
    if layout == "stylegan2":
        expected = written_out.stylegan2_of_z(STYLEGAN2, z).clamp(-1, 1)
    else:
        expected = written_out.proggan_of_z(written_out.as_older(PROGGAN), z)
    shown = (expected[0].permute(1, 2, 0).numpy() + 1) * 127.5
    assert np.abs(np.asarray(pictures[0]) - shown).max() < 0.51
    assert np.array_equal(prior.sample(1, seed=5)[0], pictures[0])
    assert not np.array_equal(pictures[0], pictures[1])


def test_weights_keep_the_files_own_precision(tmp_path: Path) -> None:
    for dtype in (torch.float16, torch.float32, torch.float64):
        state = {k: v.to(dtype) for k, v in PROGGAN.items()}
        torch.save(state, tmp_path / "w.pth")
        info = import_file(tmp_path / "w.pth", replace=True)
        stored = load_file(info.path / model_package.GENERATOR)
        assert all(torch.equal(stored[k], v) for k, v in state.items())
        assert {t.dtype for t in stored.values()} == {dtype}


def test_the_card_says_where_it_came_from_and_what_it_is(weights: Path) -> None:
    info = import_file(weights, terms="CC BY-NC 4.0")
    assert info.name == "proggan_small-0a1b2c3d"
    assert info.card["terms"] == "CC BY-NC 4.0"
    assert info.card["source"] == {
        "file": weights.name,
        "bytes": weights.stat().st_size,
        "sha256": model_package.sha256(weights),
    }
    assert info.card["edit_layer"] == {"number": 4, "grid": 8, "units": 6}
    assert info.card["channels"] == [4, 5, 5, 6, 6, 4, 4]
    model_package.verify(info)


def test_stylegan2s_card_says_what_is_held_fixed(tmp_path: Path) -> None:
    torch.save({"g_ema": STYLEGAN2}, tmp_path / "sg.pt")
    info = import_file(tmp_path / "sg.pt", edit_layer=2)
    assert info.architecture == "stylegan2"
    assert info.card["edit_layer"] == {"number": 2, "grid": 8, "units": 5}
    assert "mean style" in info.card["notes"][0]
    assert gp.load_model("sg").generator.edit_layer == 2
    for layer in (1, 4):
        with pytest.raises(errors.BadRequest, match="edit layer"):
            import_file(tmp_path / "sg.pt", name="other", edit_layer=layer)


def test_names() -> None:
    assert name_for(Path("a/proggan_kitchen-67f1e16c.pth")) == "proggan_kitchen-67f1e16c"
    assert name_for(Path("my church (2).pt")) == "my-church-2"
    with pytest.raises(errors.BadRequest, match="--name"):
        name_for(Path("教会.pt"))


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", ".hidden", "a b", "x" * 65])
def test_names_that_no_model_can_have(weights: Path, name: str) -> None:
    with pytest.raises(errors.BadRequest, match="name"):
        import_file(weights, name=name)


# -- not prepared --------------------------------------------------------------------------------


def test_it_says_what_it_lacks(weights: Path, photo: Image.Image, stroke: Image.Image) -> None:
    import_file(weights, name="raw")
    prior = gp.load_model("raw", device="cpu")
    for use in (
        lambda: prior.open(photo),
        lambda: prior.concept("tree"),
        lambda: prior.invert(torch.zeros(1, 3, 16, 16)),
    ):
        with pytest.raises(errors.ModelNotPrepared, match=r"ganpaint models prepare raw") as error:
            use()
        assert error.value.code == "model_not_prepared"
        assert "an encoder, concepts" in error.value.message


def test_8_px_cannot_be_prepared(tmp_path: Path, photo: Image.Image) -> None:
    torch.save(written_out.proggan([3, 4, 4, 5, 4]), tmp_path / "tiny.pth")
    info = import_file(tmp_path / "tiny.pth")
    assert not info.can_be_prepared
    prior = gp.load_model("tiny")
    assert prior.sample(2)[1].size == (8, 8)
    with pytest.raises(errors.ModelNotPrepared, match="a head") as error:
        prior.open(photo)
    assert "prepare tiny" not in error.value.message


def test_editors_are_not_offered_it(weights: Path) -> None:
    import_file(weights, name="a-raw")
    about = Edits("cpu").about()
    assert [model["name"] for model in about["models"]] == ["churches"]
    assert about["default_model"] == "churches"


def test_an_engine_that_runs_takes_notice_when_a_model_is_prepared(
    weights: Path, small_model: Path
) -> None:
    import_file(weights, name="x")
    edits = Edits("cpu")
    with pytest.raises(errors.ModelNotPrepared):
        edits._prior("x").concept("tree")
    with model_package.new_package("x", replace=True) as folder:
        shutil.copytree(small_model, folder, dirs_exist_ok=True)
    prior = edits._prior("x")
    assert prior.concept("tree").name == "tree"
    assert edits._prior("x") is prior


def test_removing_a_model(weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import_file(weights, name="x")
    with pytest.raises(SystemExit) as end:
        cli.main(["models", "remove", "x", "--yes"])
    assert end.value.code == 0
    assert listed() == ["churches"]
    assert left_in_models() == []
    for name, error in (("x", errors.UnknownModel), ("churches", errors.BadRequest)):
        with pytest.raises(error):
            model_package.remove(name)
    assert listed() == ["churches"]


@pytest.mark.parametrize(("n", "seed"), [(0, 0), (-1, 0), (1, -1)])
def test_sampling_nonsense(small_model: Path, n: int, seed: int) -> None:
    with pytest.raises(errors.BadRequest):
        gp.load_model(small_model).sample(n, seed)


@pytest.mark.parametrize("edit_layer", [2, 3])
def test_photos_are_edited_with_a_stylegan2(
    edit_layer: int,
    tmp_path: Path,
    photo: Image.Image,
    stroke: Image.Image,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With an encoder and a concept (of random weights) it goes the whole road."""
    for steps in ("prior.REFINE_STEPS", "prior.PHOTO_STEPS", "editing.EDIT_STEPS"):
        monkeypatch.setattr(f"ganpaint_engine.{steps}", 5)
    torch.manual_seed(0)
    state = written_out.stylegan2([6, 6, 8, 8, 6, 6], [5, 5, 5])
    torch.save({"g_ema": state}, tmp_path / "sg.pt")
    raw = import_file(tmp_path / "sg.pt", edit_layer=edit_layer)
    generator = model_package.load_generator(raw)
    concept = Concept(
        "tree", torch.arange(4), torch.arange(4, 6), 3 * torch.rand(8), 3 * torch.rand(2, 8)
    )
    card = {**raw.card, "prepared": True, "concepts": [{"name": "tree"}]}
    weights = generator.state_dict(), Encoder([8], 8).state_dict()
    with model_package.new_package("sg", replace=True) as folder:
        model_package.save(folder, card, *weights, {"tree": concept}, half=False)
    prior = gp.load_model("sg", device="cpu")
    assert prior.generator.edit_layer == edit_layer
    session = prior.open(photo)
    assert session.psnr["adapted"] > session.psnr["encoder"]
    done = session.edit(stroke, add="tree", quality="final")
    before, after = np.asarray(photo), np.asarray(done.image)
    assert (after != before).any()
    assert np.array_equal(after[:20], before[:20])


# -- name clashes, and packages written whole or not at all --------------------------------------


def test_a_name_that_is_taken(weights: Path, tmp_path: Path) -> None:
    first = import_file(weights, name="x").card["source"]["sha256"]
    torch.save(written_out.proggan([4] * 7, seed=1), tmp_path / "other.pth")
    with pytest.raises(errors.ModelExists, match="--replace"):
        import_file(tmp_path / "other.pth", name="x")
    assert model_package.find_model("x").card["source"]["sha256"] == first
    again = import_file(tmp_path / "other.pth", name="x", replace=True)
    assert again.card["source"]["sha256"] != first
    model_package.verify(again)
    assert [p.name for p in left_in_models() if p.is_dir()] == ["x"]
    for replace in (False, True):
        with pytest.raises(errors.ModelExists, match="Choose another name"):
            import_file(weights, name="churches", replace=replace)


def test_no_half_made_package_is_listed(weights: Path) -> None:
    def interrupted() -> None:
        with model_package.new_package("half") as folder:
            import_file(weights, name="whole")
            for file in model_package.find_model("whole").path.iterdir():
                (folder / file.name).write_bytes(file.read_bytes())
            assert listed().count("whole") == 1
            assert "half" not in listed()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert "half" not in listed()
    assert {p.name for p in left_in_models() if p.is_dir()} == {"whole"}


@pytest.mark.parametrize("replace", [False, True])
def test_full_disk(weights: Path, replace: bool) -> None:
    """A file size limit stands in for the full disk: writing fails midway, as it does there."""
    if replace:
        import_file(weights, name="x")
    before = [p.read_bytes() for p in left_in_models() if p.is_file()]
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, old[1]))
    try:
        with pytest.raises(errors.DiskFull):
            import_file(weights, name="x", replace=replace)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert [p.read_bytes() for p in left_in_models() if p.is_file()] == before
    assert ("x" in listed()) == replace


def test_too_little_room_is_told_before_anything_is_written(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("usage", (), {"free": 100})
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    with pytest.raises(errors.DiskFull, match="0 MB are free"):
        import_file(weights)
    assert left_in_models() == []


# -- bad files -----------------------------------------------------------------------------------


class Malicious:
    """Unpickling this would write a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (self.target, "was run")


def bad_files(folder: Path) -> dict[str, tuple[type[errors.GanpaintError], bytes]]:
    """Name to the error it must give, and its bytes."""
    trap = folder / "was_run"

    def saved(content: Any, **options: Any) -> bytes:
        file = io.BytesIO()
        torch.save(content, file, **options)
        return file.getvalue()

    def zipped(name: str, content: bytes, how: int = zipfile.ZIP_STORED) -> bytes:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", how) as archive:
            archive.writestr(name, content)
        return file.getvalue()

    good, old = saved(PROGGAN), saved(PROGGAN, _use_new_zipfile_serialization=False)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        member = tarfile.TarInfo("w.pth")
        member.size = len(good)
        tar.addfile(member, io.BytesIO(good))
    script = io.BytesIO()
    with zipfile.ZipFile(script, "w") as archive:
        for entry in ("data.pkl", "constants.pkl", "code/__torch__.py"):
            archive.writestr(f"m/{entry}", b"")
    save_file(PROGGAN, folder / "w.safetensors")
    safe = (folder / "w.safetensors").read_bytes()
    nan = {**PROGGAN, "layer1.wscale.b": torch.full((5,), float("nan"))}
    evil = {**PROGGAN, "layer1.wscale.b": Malicious(trap)}
    module = torch.nn.Sequential(torch.nn.Linear(2, 2))
    damaged, unknown, unsafe = errors.DamagedWeights, errors.UnknownWeights, errors.UnsafeWeights
    return {
        "empty": (damaged, b""),
        "truncated": (damaged, good[: len(good) // 2]),
        "truncated by a byte": (damaged, good[:-1]),
        "truncated old": (damaged, old[: len(old) // 2]),
        "truncated old pickle": (damaged, old[:60]),
        "truncated safetensors": (damaged, safe[: len(safe) // 2]),
        "truncated safetensors header": (damaged, safe[:40]),
        "nan": (damaged, saved(nan)),
        "html": (unknown, b"\n<!DOCTYPE html><html>404</html>"),
        "text": (unknown, b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n"),
        "zip archive": (unknown, zipped("w.pth", good)),
        "packed anew": (unknown, zipped("w/data.pkl", good, zipfile.ZIP_DEFLATED)),
        "tar": (unknown, packed.getvalue()),
        "gzip": (unknown, gzip.compress(good)),
        "png": (unknown, b"\x89PNG\r\n\x1a\n" + bytes(100)),
        "tensor": (unknown, saved(torch.zeros(3))),
        "list": (unknown, saved([PROGGAN])),
        "other weights": (unknown, saved(module.state_dict())),
        "malicious": (unsafe, saved(evil)),
        "malicious old": (unsafe, saved(evil, _use_new_zipfile_serialization=False)),
        "malicious pickle": (unsafe, pickle.dumps(Malicious(trap))),
        "nvidia pickle": (unsafe, pickle.dumps({"G_ema": argparse.Namespace(a=1)}, protocol=3)),
        "whole module": (unsafe, saved(module)),
        "torchscript": (unsafe, script.getvalue()),
    }


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_bad_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, (error, content) in bad_files(tmp_path).items():
        path = tmp_path / f"{name.replace(' ', '_')}.pth"
        path.write_bytes(content)
        with pytest.raises(error) as caught:
            import_file(path)
        if error is errors.UnsafeWeights:
            assert "is not opened" in caught.value.message, name
        with pytest.raises(SystemExit) as end:
            cli.main(["models", "import", str(path)])
        assert end.value.code == 1
        assert f"[{error.code}]" in capsys.readouterr().err, name
        assert listed() == ["churches"], name
    assert not (tmp_path / "was_run").exists()
    assert left_in_models() == []


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["zip", "old", "safetensors"]), st.randoms(use_true_random=False))
def test_any_damage_is_a_coded_error_or_no_damage(kind: str, random: Random) -> None:
    """Bytes changed anywhere, files cut anywhere: read as weights, or refused with a code."""
    state = written_out.proggan([2] * 5)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "w.pth"
        if kind == "safetensors":
            save_file(state, path)
        else:
            torch.save(state, path, _use_new_zipfile_serialization=kind == "zip")
        content = bytearray(path.read_bytes())
        reach = random.choice((64, 600, len(content)))  # heads, directories, everything
        for _ in range(random.choice((1, 3, 20))):
            content[random.randrange(-reach, reach) % len(content)] = random.randrange(256)
        if random.random() < 0.3:
            del content[random.randrange(len(content)) :]
        path.write_bytes(content)
        with contextlib.suppress(errors.GanpaintError):
            layouts.recognise(weight_files.read(path))


def test_no_such_file(tmp_path: Path) -> None:
    for path in (tmp_path / "none.pth", tmp_path):
        with pytest.raises(errors.BadRequest, match="cannot be read"):
            import_file(path, name="x")


def test_weights_that_make_no_picture(tmp_path: Path) -> None:
    torch.save({k: v * 1e38 for k, v in STYLEGAN2.items()}, tmp_path / "w.pth")
    with pytest.raises(errors.DamagedWeights):
        import_file(tmp_path / "w.pth")


# -- the command line ----------------------------------------------------------------------------


def run(*args: object) -> None:
    cli.main([str(a) for a in args])


def test_commands(weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def said(*args: object) -> str:
        with pytest.raises(SystemExit) as end:
            run(*args)
        captured = capsys.readouterr()
        assert end.value.code in (0, None), captured.err
        return captured.out

    out = said("models", "import", weights, "--format", "proggan", "--name", "raw", "--terms", "x")
    assert "raw: proggan, 16 px, 6 units at layer 4; terms: x" in out
    assert "ganpaint models prepare raw" in out
    row = next(line for line in said("models", "list").splitlines() if line.startswith(" raw"))
    assert "none; lacks an encoder" in row
    assert json.loads(said("models", "info", "raw").rsplit("\n", 2)[0])["prepared"] is False
    sheet = tmp_path / "sheet.png"
    said("models", "sample", "raw", "-o", sheet, "-n", 5, "--seed", 2)
    with Image.open(sheet) as picture:
        assert picture.size == (48, 32)
        first = picture.crop((0, 0, 16, 16))
    assert np.array_equal(first, gp.load_model("raw").sample(1, seed=2)[0])
    with pytest.raises(SystemExit) as end:
        run("models", "import", weights, "--name", "raw")
    assert end.value.code == 1
    assert "[model_exists]" in capsys.readouterr().err
