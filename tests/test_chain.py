"""From nothing to an edit, at toy size: render scenes, train, dissect, package, edit."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ganpaint_engine as gp
from ganpaint_engine import model_package
from tests.test_renderer import ROOT, render_python
from training import data, gates, package, train, train_segmenter


def run(main: object, monkeypatch: pytest.MonkeyPatch, *words: object) -> None:
    """A command of ``training``, as its command line."""
    monkeypatch.setattr("sys.argv", ["command", *map(str, words)])
    main()  # type: ignore[operator]


def test_the_whole_chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scenes, packed, out = tmp_path / "scenes", tmp_path / "scenes.npz", tmp_path / "toy"
    call = [render_python(), "-m", "training.renderer", "render", str(scenes), "--count", "8"]
    done = subprocess.run(
        [*call, "--size", "64", "--samples", "1"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    run(data.main, monkeypatch, scenes, "--out", packed, "--resolution", 64)
    unet = tmp_path / "unet.pt"
    known = data.Scenes.load(packed, 64, False)
    net = train_segmenter.train(known, "unet", minutes=10, seed=0, batch=4, most_steps=30)
    train.torch.save({"kind": "unet", "state": net.state_dict()}, unet)
    common = (packed, "--segmenter", unet, "--out")
    run(
        train.main, monkeypatch, *common, tmp_path / "run", "--resolution", 32, "--steps", 20,
        "--batch", 4, "--warm-up", 0, "--device", "cpu",
    )  # fmt: skip
    # What twenty steps give passes no gate: here they are only to be measured.
    monkeypatch.setattr(gates, "OFFERED_GONE", -99)
    monkeypatch.setattr(gates, "OFFERED_COME", -99)
    with pytest.raises(SystemExit) as ended:
        run(
            package.main, monkeypatch, *common, out, "--run", tmp_path / "run", "--name", "toy",
            "--finished", 1,
        )  # fmt: skip
    assert ended.value.code == 0
    info = model_package.read_card(out)
    model_package.verify(info)
    assert info.concepts
    assert info.card["training"]["steps"] == 20
    assert info.card["measured"]["gates"]

    prior = gp.load_model(out, device="cpu")
    photo = Image.open(next((scenes / "pictures").glob("*.webp"))).convert("RGB").resize((150, 120))
    mask = np.zeros((120, 150), np.uint8)
    mask[60:110, 40:100] = 255
    operation = prior.operations(prior.concepts[0])[0]
    edit = prior.open(photo).edit(mask, **{operation: prior.concepts[0]})
    before, after = np.asarray(photo), np.asarray(edit.image)
    assert (before != after).any()
    x, y = edit.offset
    outside = np.ones(before.shape[:2], bool)
    outside[y : y + edit.patch.height, x : x + edit.patch.width] = False
    assert np.array_equal(before[outside], after[outside])
