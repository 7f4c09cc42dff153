"""Ways of narrowing the gap: the run at toy size, and what its figures say."""

import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from benchmarks.narrow import __main__ as narrow
from benchmarks.narrow import cases, measures, ways


@pytest.fixture
def photos(tmp_path: Path, photo: Image.Image) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    photo.save(folder / "one.png")
    photo.transpose(Image.Transpose.ROTATE_90).save(folder / "two.png")
    return folder


@pytest.fixture
def strokes(tmp_path: Path) -> Path:
    tree = {"photo": "one.png", "concept": "tree", "place": [0.1, 0.1, 0.5, 0.8]}
    content = [
        {**tree, "operation": "add", "truth": "taken_out"},
        {**tree, "operation": "add", "truth": "none"},
        {
            **tree,
            "operation": "remove",
            "truth": "pasted_in",
            "from": {"photo": "two.png", "place": [0.2, 0.2, 0.8, 0.8]},
        },
        {"photo": "two.png", "concept": "tower", "place": [0, 0, 1, 1], "operation": "add"},
        {**tree, "photo": "three.png", "operation": "add", "truth": "none"},
    ]
    file = tmp_path / "strokes.json"
    file.write_text(json.dumps({"strokes": content}))
    return file


def test_strokes_with_a_right_answer(photos: Path, strokes: Path) -> None:
    taken, plain, pasted = cases.load(photos, strokes, ["tree"])
    assert [c.known for c in (taken, plain, pasted)] == [True, False, True]
    for case in (taken, pasted):
        changed = (case.photo != case.truth).any(2)
        assert changed.any()
        near = cv2.dilate(case.stroke, np.ones((3, 3), np.uint8)) > 0
        assert not (changed & ~near).any()
    assert (plain.photo == plain.truth).all()
    assert (pasted.stroke > 0).sum() > (plain.stroke > 0).sum()


def test_photos_without_strokes_get_plausible_ones(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "none.json").write_text('{"strokes": []}')
    found = cases.load(photos, tmp_path / "none.json", ["tree", "sky"])
    assert [(c.name, c.concept) for c in found] == [
        ("one.png", "tree"), ("one.png", "sky"), ("two.png", "tree"), ("two.png", "sky"),
    ]  # fmt: skip
    assert not any(c.known for c in found)


def test_the_shipped_strokes_are_whole() -> None:
    listed = json.loads(cases.STROKES.read_text(encoding="utf-8"))["strokes"]
    assert {row["operation"] for row in listed} == {"add", "remove"}
    for row in listed:
        x0, y0, x1, y1 = row["place"]
        assert 0 <= x0 < x1 <= 1
        assert 0 <= y0 < y1 <= 1
        assert ("from" in row) == (row["truth"] == "pasted_in")


def test_the_run_measures_every_way(
    photos: Path,
    strokes: Path,
    small_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(ways, "EDIT_STEPS", 2)
    monkeypatch.setattr(ways, "PHOTO_STEPS", 2)
    short = {k: dataclasses.replace(w, steps=2, encoder_steps=w.encoder_steps // 10) for k, w in
             ways.WAYS.items()}  # fmt: skip
    monkeypatch.setattr(narrow, "WAYS", short)
    out = tmp_path / "out"
    arguments = ["narrow", "--photos", str(photos), "--strokes", str(strokes)]
    monkeypatch.setattr("sys.argv", [*arguments, "--model", str(small_model), "--out", str(out)])
    narrow.main()
    told = capsys.readouterr().out
    assert "2 × add" in told
    assert "1 × remove" in told
    found = json.loads((out / "narrow.json").read_text())
    assert found["means"]["add"].keys() == found["means"]["remove"].keys() == ways.WAYS.keys()
    first, second, third = found["each"]
    for way in ways.WAYS:
        assert first[way]["unlike"] > 0
        assert second[way]["unlike"] is None
        assert third[way]["colour"] > 0
    assert first["alpha"]["seam"] != first["poisson"]["seam"]
    with Image.open(out / "sheet.jpg") as sheet:
        assert sheet.width > (2 + len(ways.WAYS)) * narrow.TILE


def test_measures() -> None:
    rng = np.random.default_rng(0)
    rough, smooth = (
        rng.integers(100 - n, 100 + n, (256, 256, 3)).astype(np.uint8) for n in (60, 2)
    )
    stroke = np.zeros((256, 256), np.uint8)
    stroke[64:192, 64:192] = 255
    red = smooth.copy()
    red[64:192, 64:192] = (200, 60, 60)
    assert measures.colour(smooth, smooth, stroke) == pytest.approx(0)
    assert measures.colour(red, smooth, stroke) > 30
    assert measures.contrast(smooth, rough, stroke) < -2
    assert measures.contrast(rough, smooth, stroke) > 2
    assert measures.seam(red, smooth, stroke) > 0.5
    assert measures.seam(smooth, smooth, stroke) == pytest.approx(0)


def test_the_best_way_must_do_the_edit() -> None:
    table = {
        "base": {"share": 0.8, "unlike": 0.5, "colour": 9.0},
        "poisson": {"share": 0.4, "unlike": 0.1, "colour": 5.0},
        "laplacian": {"share": 0.75, "unlike": 0.4, "colour": 8.0},
        "alpha": {"share": 0.75, "unlike": 0.41, "colour": 7.0},
    }
    assert measures.best(table, "add") == "alpha"
    assert measures.best(table, "remove") == "poisson"
    table["alpha"]["unlike"] = 0.43
    assert measures.best(table, "add") == "laplacian"
    table["laplacian"]["unlike"] = 0.48
    table["alpha"]["unlike"] = 0.49
    assert measures.best(table, "add") == "base"
    assert measures.best({"base": {"share": 0.8}}, "add") == "base"
