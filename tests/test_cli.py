"""The command line as people run it: in processes of their own."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganpaint_engine import cli


def ganpaint(*args: object, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ganpaint_engine", *map(str, args)]
    return subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **(env or {})}, check=False
    )


@pytest.fixture
def files(photo: Image.Image, stroke: Image.Image, tmp_path: Path) -> tuple[Path, Path]:
    photo.save(tmp_path / "photo.png")
    stroke.save(tmp_path / "mask.png")
    return tmp_path / "photo.png", tmp_path / "mask.png"


def test_edit_writes_photo_and_layer(
    files: tuple[Path, Path], small_model: Path, tmp_path: Path
) -> None:
    photo, mask = files
    out, layer = tmp_path / "new" / "out.png", tmp_path / "layer.png"
    done = ganpaint(
        *("edit", photo, "--mask", mask, "--add", "tree", "--model", small_model, "-o", out),
        *("--layer", layer, "--strength", "0.8", "--seed", "3", "--quality", "preview"),
    )
    assert done.returncode == 0, done.stderr
    before, after = np.asarray(Image.open(photo)), np.asarray(Image.open(out))
    assert after.shape == before.shape
    assert np.array_equal(after[:20], before[:20])
    assert (after != before).any()
    with Image.open(layer) as picture:
        assert picture.mode == "RGBA"
        assert picture.size == (200, 150)
    assert str(out) in done.stdout


def test_every_bad_input_has_its_code(
    files: tuple[Path, Path],
    small_model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    photo, mask = files
    Image.new("L", (200, 150)).save(tmp_path / "empty.png")
    Image.new("L", (20, 20), 255).save(tmp_path / "other.png")
    Image.new("RGB", (63, 100)).save(tmp_path / "small.png")
    Image.new("1", (10_001, 10_000)).save(tmp_path / "large.png")
    (tmp_path / "cut.png").write_bytes(photo.read_bytes()[:-4000])
    (tmp_path / "text.png").write_text("not a picture")
    out = tmp_path / "out.png"
    cases = [
        ("mask_empty", photo, tmp_path / "empty.png", "tree", small_model),
        ("mask_size", photo, tmp_path / "other.png", "tree", small_model),
        ("unknown_concept", photo, mask, "unicorn", small_model),
        ("unknown_model", photo, mask, "tree", "nowhere"),
        ("photo_too_small", tmp_path / "small.png", mask, "tree", small_model),
        ("photo_too_large", tmp_path / "large.png", mask, "tree", small_model),
        ("image_corrupt", tmp_path / "cut.png", mask, "tree", small_model),
        ("image_corrupt", tmp_path / "text.png", mask, "tree", small_model),
        ("bad_request", tmp_path / "none.png", mask, "tree", small_model),
    ]
    for code, picture, stroke, concept, model in cases:
        args = ("edit", picture, "--mask", stroke, "--add", concept, "--model", model, "-o", out)
        with pytest.raises(SystemExit) as end:
            cli.main([str(a) for a in args])
        assert end.value.code in (1, 2), code
        assert f"[{code}]" in capsys.readouterr().err, code
        assert not out.exists()


def test_inspect_says_what_an_edit_would_warn_of(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo, mask = files
    noise = np.random.default_rng(0).integers(0, 256, (150, 200, 3), np.uint8)
    Image.fromarray(noise).save(photo)
    cli.app(["inspect", str(photo), "--mask", str(mask)], standalone_mode=False)
    told = capsys.readouterr()
    assert "window: 150x150 px at 18, 0; redrawn at" in told.out
    assert "unlike what churches" in told.out
    assert "note:" in told.err
    whole = ["inspect", str(photo), "--mask", str(mask), "--context", "selection"]
    cli.app(whole, standalone_mode=False)
    assert "window: 128x128 px" in capsys.readouterr().out


def test_selection_options_and_warnings_before_the_edit(
    files: tuple[Path, Path], small_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo, mask = files
    shared = ["edit", photo, "--mask", mask, "--model", small_model, "--quality", "preview"]
    widths = []
    for i, options in enumerate((["--grow", "-8"], ["--grow", "12", "--feather", "1.5"])):
        layer = tmp_path / f"{i}.png"
        more = ["--add", "tree", "--context", "whole", "-o", tmp_path / "o.png", "--layer", layer]
        cli.app([str(a) for a in [*shared, *options, *more]], standalone_mode=False)
        with Image.open(layer) as picture:
            left, _, right, _ = picture.getbbox()
        widths.append(right - left)
    assert widths[1] > widths[0] + 30
    with pytest.raises(SystemExit):
        cli.main([str(a) for a in [*shared, "--add", "tree", "--context", "wide", "-o", "x.png"]])
    assert "[bad_request]" in capsys.readouterr().err


def test_help_and_client_side_do_not_import_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from ganpaint_engine import cli\n"
        "try: cli.app(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "print('torch' in sys.modules)"
    )
    for args in (["--help"], ["edit", "--help"], ["status"], ["stop"], ["models", "list"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *args], capture_output=True, text=True, check=False
        )
        assert done.stdout.strip().endswith("False"), (args, done.stdout, done.stderr)


def test_models_and_version(small_model: Path) -> None:
    assert "churches" in ganpaint("models", "list").stdout
    info = ganpaint("models", "info", small_model)
    assert info.returncode == 0
    assert '"resolution": 32' in info.stdout
    assert ganpaint("--version").stdout.startswith("ganpaint ")


def test_doctor_says_ok() -> None:
    done = ganpaint("doctor")
    assert done.returncode == 0, done.stdout
    assert "model churches" in done.stdout


def test_engine_started_asked_and_stopped() -> None:
    assert ganpaint("status").returncode == 3
    started = ganpaint("serve", "--detached", "--device", "cpu")
    try:
        assert started.returncode == 0, started.stderr
        assert ganpaint("status").returncode == 0
    finally:
        stopped = ganpaint("stop")
    assert "has ended" in stopped.stdout
    assert ganpaint("status").returncode == 3


def test_edit_restyles_to_a_variant_or_like_a_region(
    files: tuple[Path, Path], small_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo, mask = files
    shared = ["edit", photo, "--mask", mask, "--model", small_model, "--quality", "preview"]
    wishes: list[list[object]] = [
        ["--restyle", "tree", "--variant", "autumn"],
        ["--restyle", "tree", "--like", mask, "--like-image", photo],
        ["--add", "tree", "--variant", "bare", "--strength", "high"],
    ]
    for i, wish in enumerate(wishes):
        arguments = [*shared, *wish, "-o", tmp_path / f"{i}.png"]
        cli.app([str(a) for a in arguments], standalone_mode=False)
        assert (tmp_path / f"{i}.png").is_file()
    assert "Restyle tree (autumn)" in capsys.readouterr().out
    for wish, code in (
        (["--restyle", "tree"], "bad_request"),
        (["--restyle", "tree", "--variant", "spring"], "unknown_variant"),
    ):
        with pytest.raises(SystemExit):
            cli.main([str(a) for a in [*shared, *wish, "-o", tmp_path / "never.png"]])
        assert f"[{code}]" in capsys.readouterr().err
    assert not (tmp_path / "never.png").exists()
