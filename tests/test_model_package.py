import json
import shutil
from pathlib import Path

import pytest
import torch

from ganpaint_engine import errors, model_package, paths
from ganpaint_engine.prior import load_model


@pytest.fixture
def copy(small_model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small_model, tmp_path / "copy"))


def test_card_and_weights_come_back(small_model: Path) -> None:
    info = model_package.find_model(small_model)
    assert (info.name, info.version, info.resolution) == ("small", "0.0.1", 32)
    assert info.concepts == ["tree", "dome"]
    model_package.verify(info)
    tensors = model_package.load_tensors(info, model_package.GENERATOR)
    assert all(t.dtype == torch.float32 for t in tensors.values())
    concepts = model_package.load_concepts(info)
    assert concepts["dome"].units.tolist() == [4, 5, 6, 7]


def test_weights_on_disk_are_fp16(small_model: Path) -> None:
    from safetensors.torch import load_file

    for name in (model_package.GENERATOR, model_package.ENCODER):
        assert {t.dtype for t in load_file(small_model / name).values()} == {torch.float16}


@pytest.mark.parametrize("name", ["", "nowhere", "../etc", "a\0b", ".", "/nonexistent/x"])
def test_unknown_model(name: str) -> None:
    with pytest.raises(errors.UnknownModel):
        load_model(name)


def test_a_persons_model_is_found_by_name(small_model: Path) -> None:
    shutil.copytree(small_model, paths.user_models_dir() / "small")
    assert "small" in [m.name for m in model_package.list_models()]
    assert load_model("small").name == "small"


@pytest.mark.parametrize(
    "name", [model_package.GENERATOR, model_package.ENCODER, model_package.CONCEPTS]
)
def test_half_downloaded_file(copy: Path, name: str) -> None:
    whole = (copy / name).read_bytes()
    (copy / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(errors.DamagedModel, match=name):
        load_model(copy)
    (copy / name).unlink()
    with pytest.raises(errors.DamagedModel, match=name):
        load_model(copy)
    (copy / name).write_bytes(whole)
    load_model(copy)


def test_one_flipped_bit(copy: Path) -> None:
    data = bytearray((copy / model_package.GENERATOR).read_bytes())
    data[-1] ^= 1
    (copy / model_package.GENERATOR).write_bytes(data)
    with pytest.raises(errors.DamagedModel):
        load_model(copy)


@pytest.mark.parametrize("card", ["", "{", "[]", "{}", '{"format": 99}'])
def test_broken_card(copy: Path, card: str) -> None:
    (copy / "model.json").write_text(card)
    with pytest.raises(errors.DamagedModel):
        load_model(copy)


def test_right_hash_of_wrong_content(copy: Path) -> None:
    for content in (b"no safetensors", (copy / model_package.ENCODER).read_bytes()):
        (copy / model_package.GENERATOR).write_bytes(content)
        card = json.loads((copy / "model.json").read_text())
        digest = model_package.sha256(copy / model_package.GENERATOR)
        card["files"][model_package.GENERATOR] = digest
        (copy / "model.json").write_text(json.dumps(card))
        with pytest.raises(errors.DamagedModel):
            load_model(copy)


def test_no_such_device(small_model: Path) -> None:
    with pytest.raises(errors.BadRequest, match="device"):
        load_model(small_model, device="warp")
