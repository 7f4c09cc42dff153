"""The scene renderer: its sets and settings, and Blender itself at a small size.

Blender has a Python environment of its own: GANPAINT_RENDER_PYTHON, or .venv-render, which
``make test`` makes. Where there is none these tests are skipped, but never in CI.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ganpaint_engine.segmentation import CLASSES
from training.renderer import sets, work
from training.renderer.errors import BadSetting, BlenderMissing, DamagedSet, DiskFull, SetFolder
from training.renderer.labels import COLOURS, ELEMENTS, LABELS
from training.renderer.streams import stream

ROOT = Path(__file__).parent.parent
PATIENCE_S = 900


def load(scenes: sets.SceneSet, name: str) -> tuple[np.ndarray, np.ndarray]:
    picture, labels = scenes.files(name)
    with Image.open(picture) as a, Image.open(labels) as b:
        return np.asarray(a.convert("RGB")), np.asarray(b)


# --- sets and settings, without Blender


def test_labels_begin_with_the_classes_of_the_models() -> None:
    assert LABELS[: len(CLASSES)] == CLASSES
    assert len(LABELS) == len(COLOURS)


def test_streams_do_not_hang_on_the_process() -> None:
    assert stream(7, "trees").random() == stream(7, "trees").random()
    assert stream(7, "trees").random() != stream(7, "dome").random()
    assert stream(3, "x").randrange(10**9) == 23777575


def test_toggles_are_parsed_and_refused() -> None:
    assert sets.parse_toggles(["trees=off,dome=on"]) == {"dome": True, "trees": False}
    assert sets.stem(12, {"dome": True, "trees": False}) == "000012-dome-on-trees-off"
    for word in ("trees", "trees=no", "tower=off", "=on"):
        with pytest.raises(BadSetting, match="Cannot toggle"):
            sets.parse_toggles([word])
    assert all(sets.parse_toggles([f"{e}=off"]) for e in ELEMENTS)


SETTINGS = sets.Settings(8, 1, False, 90, "4.5")


def add(scenes: sets.SceneSet, name: str) -> None:
    grey = np.full((8, 8, 3), 90, np.uint8)
    scenes.add({"stem": name, "seed": 0}, *sets.pack(grey, grey[..., 0] * 0, 90))


def test_a_stopped_run_is_taken_up_again(tmp_path: Path) -> None:
    scenes = sets.SceneSet.open(tmp_path, SETTINGS)
    add(scenes, "000000")
    with (tmp_path / sets.MANIFEST).open("a") as file:
        file.write('{"stem": "000001", "se')
    again = sets.SceneSet.open(tmp_path, SETTINGS)
    assert again.has("000000")
    assert not again.has("000001")
    add(again, "000001")
    assert sets.verify(tmp_path) == []
    with pytest.raises(BadSetting, match="size is 8 there and 16 here"):
        sets.SceneSet.open(tmp_path, sets.Settings(16, 1, False, 90, "4.5"))


def test_verify_finds_what_is_wrong(tmp_path: Path) -> None:
    scenes = sets.SceneSet.open(tmp_path, SETTINGS)
    for name in ("000000", "000001"):
        add(scenes, name)
    scenes.files("000000")[0].write_bytes(b"not it")
    scenes.files("000001")[1].unlink()
    (tmp_path / "labels" / "stray.png").touch()
    faults = "\n".join(sets.verify(tmp_path))
    assert "000000.webp differs" in faults
    assert "000001.png is missing" in faults
    assert "stray.png is not in the manifest" in faults
    (tmp_path / sets.MANIFEST).write_text("{}\n{}\n")
    with pytest.raises(DamagedSet):
        sets.verify(tmp_path)


def test_a_full_disk_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scenes = sets.SceneSet.open(tmp_path, SETTINGS)

    def full(self: Path, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    add(scenes, "000000")
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(DiskFull, match="No space left"):
        add(scenes, "000001")
    assert list(sets.SceneSet.read(tmp_path).records) == ["000000"]


def test_a_folder_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SetFolder, match="Cannot write"):
        sets.SceneSet.open(tmp_path / "file" / "set", SETTINGS)


def test_missing_blender_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bpy", None)
    with pytest.raises(BlenderMissing, match="make render-env"):
        work.blender_version()


# --- Blender


def render_python() -> str:
    """The interpreter with Blender."""
    named = os.environ.get("GANPAINT_RENDER_PYTHON", str(ROOT / ".venv-render/bin/python"))
    if Path(named).exists():
        return named
    why = f"no Python with Blender at {named}: run `make render-env`"
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)


def renderer(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [render_python(), "-m", "training.renderer", *map(str, words)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def files(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.rglob("*.*") if p.suffix in (".webp", ".png")}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scenes of 64 px, rendered in one process."""
    folder = tmp_path_factory.mktemp("rendered")
    done = renderer("render", folder, "--count", 2, *SMALL)
    assert done.returncode == 0, done.stderr
    return folder


SMALL: tuple[Any, ...] = ("--first", 3, "--size", 64, "--samples", 2, "--quality", 100)


def test_blender_renders_a_set(rendered: Path) -> None:
    assert sets.verify(rendered) == []
    scenes = sets.SceneSet.read(rendered)
    assert sorted(scenes.records) == ["000003", "000004"]
    for name in scenes.records:
        picture, labels = load(scenes, name)
        assert picture.shape == (64, 64, 3)
        assert picture.std() > 10
        assert {LABELS.index("wall")} <= set(np.unique(labels).tolist())


def test_rendering_again_skips_what_is_there_and_makes_what_is_lost(
    rendered: Path, tmp_path: Path
) -> None:
    """A scene lost from a set is rendered alone, in another process, to the same bytes."""
    folder = tmp_path / "set"
    shutil.copytree(rendered, folder)
    before = files(folder)
    kept = folder / "pictures" / "000003.webp"
    stamp = kept.stat().st_mtime_ns
    (folder / "pictures" / "000004.webp").unlink()
    done = renderer("render", folder, "--count", 2, *SMALL)
    assert done.returncode == 0, done.stderr
    assert "1 of 2 scenes are there already" in done.stderr
    assert kept.stat().st_mtime_ns == stamp
    assert files(folder) == before
    assert sets.verify(folder) == []


def test_a_toggle_changes_its_element_alone(rendered: Path, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    shutil.copytree(rendered, folder)
    done = renderer("render", folder, "--count", 1, *SMALL, "--toggle", "clouds=off")
    assert done.returncode == 0, done.stderr
    scenes = sets.SceneSet.read(folder)
    assert scenes.records["000003-clouds-off"]["toggles"] == {"clouds": False}
    (before, labels), (after, labels_after) = (
        load(scenes, "000003"),
        load(scenes, "000003-clouds-off"),
    )
    sky = (labels == LABELS.index("sky")) | (labels == LABELS.index("cloud"))
    assert (labels == LABELS.index("cloud")).any()
    assert not (labels_after == LABELS.index("cloud")).any()
    assert (labels[~sky] == labels_after[~sky]).all()
    # Two pixels from the sky, nothing at all has changed: the lens's blur reaches no further.
    near = np.pad(sky, 2)
    reach = np.zeros_like(sky)
    for i in range(5):
        for j in range(5):
            reach |= near[i : i + 64, j : j + 64]
    assert (~reach).sum() > 500
    assert (before[~reach] == after[~reach]).all()
    assert (before[sky] != after[sky]).any()


def test_bad_commands_are_refused_with_a_code(rendered: Path, tmp_path: Path) -> None:
    for words, code in (
        (("render", tmp_path / "a", "--toggle", "trees=no"), "renderer_setting"),
        (("render", rendered, "--size", 128), "renderer_setting"),
        (("render", tmp_path / "b", "--textures", tmp_path / "none"), "renderer_folder"),
        (("verify", tmp_path), "renderer_folder"),
        (("sheet", rendered, "--out", tmp_path / "sheet.txt"), "renderer_setting"),
    ):
        done = renderer(*words)
        assert done.returncode == 2, done.stdout
        assert f"[{code}]" in done.stderr
        assert "Traceback" not in done.stderr
    done = renderer("sheet", rendered, "--out", tmp_path / "sheet.webp", "--labels", "--tile", 32)
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "sheet.webp") as sheet:
        assert sheet.height == 64
    record = json.loads((rendered / sets.MANIFEST).read_text().splitlines()[1])
    assert record["camera"]["shot"]
