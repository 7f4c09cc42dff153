"""The whole road by its commands: a server with a weight file → pull → prepare → edit a photo."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import planted
import pytest
import torch
from file_server import FileServer
from PIL import Image

from ganpaint_engine import cli, encoder_training, model_package, preparing
from ganpaint_engine.published import catalogue

Say = Callable[..., str]


def weight_file() -> bytes:
    """A ProGAN in the published layout: patches of four colours, one unit each, drawn from z."""
    generator = planted.generator()
    with torch.no_grad():
        first = generator.layer(1).conv.weight
        rng = torch.Generator().manual_seed(0)
        first[:4] = torch.randn(first[:4].shape, generator=rng) * 6
    file = io.BytesIO()
    torch.save({"state_dict": generator.state_dict()}, file)
    return file.getvalue()


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    """Runs a command that is to succeed; what it says."""

    def run(*arguments: object) -> str:
        with pytest.raises(SystemExit) as end:
            cli.main([str(a) for a in arguments])
        told = capsys.readouterr()
        assert end.value.code in (0, None), told.err
        return told.out

    return run


def test_pull_prepare_edit(tmp_path: Path, say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("prior.REFINE_STEPS", "prior.PHOTO_STEPS", "editing.EDIT_STEPS"):
        monkeypatch.setattr(f"ganpaint_engine.{name}", 8)
    monkeypatch.setattr(preparing, "MEASURED", 2)
    # A clock of steps: on a busy machine twelve seconds would be too few of them.
    ticks = itertools.count(step=0.03)
    monkeypatch.setattr(encoder_training, "time", SimpleNamespace(monotonic=lambda: next(ticks)))
    content = weight_file()
    digest = hashlib.sha256(content).hexdigest()[:8]
    with FileServer(content) as server:
        (tmp_path / "catalogue.toml").write_text(
            catalogue.TABLE.read_text(encoding="utf-8")
            + f"""
            [sets.s]
            title = "Patches"
            terms = "CC0"
            terms_url = "https://example.org/terms"
            terms_text = "Free."
            format = "proggan"
            max_bytes = 1_000_000
            addresses = ["{server.address}"]
            [models.patches]
            set = "s"
            file = "proggan_patches-{digest}.pth"
            sha256 = "{digest}"
            """
        )
        monkeypatch.setattr(catalogue, "TABLE", tmp_path / "catalogue.toml")
        assert "prepare patches" in say("models", "pull", "patches", "--accept-terms")
    eyes = planted.save_segmenter(planted.segmenter(), tmp_path / "eyes.safetensors")
    told = say(
        "models", "prepare", "patches", "--minutes", 0.2, "--samples", 40, "--segmenter", eyes
    )
    assert "patches is ready for photos" in told
    info = model_package.find_model("patches")
    assert info.prepared
    assert "tree" in info.concepts
    assert "add" in info.operations("grass")

    photo, mask, out = (tmp_path / name for name in ("photo.png", "mask.png", "out.png"))
    Image.new("RGB", (128, 128), planted.COLOURS["sky"]).save(photo)
    stroke = np.zeros((128, 128), np.uint8)
    stroke[48:80, 48:80] = 255
    Image.fromarray(stroke).save(mask)
    say("edit", photo, "--mask", mask, "--add", "grass", "--model", "patches", "-o", out)
    with Image.open(photo) as a, Image.open(out) as b:
        before, after = np.asarray(a).astype(int), np.asarray(b.convert("RGB")).astype(int)
    changed = np.abs(after - before).sum(2)
    assert changed[:20].max() == 0, "away from the stroke the photo's own pixels stay"
    middle = after[60:68, 60:68].mean((0, 1))
    sky, grass = (np.array(planted.COLOURS[name]) for name in ("sky", "grass"))
    assert np.linalg.norm(middle - grass) < np.linalg.norm(middle - sky)
    assert json.loads((info.path / "model.json").read_text())["terms"] == "CC0"
