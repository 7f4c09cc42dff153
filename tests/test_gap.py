"""Measuring a model on photographs, and knowing beforehand what it does not know."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import bundled_model
from ganpaint_engine import (
    cli,
    errors,
    exemplars,
    familiarity,
    gap,
    measurement,
    removal,
    segmentation,
)
from ganpaint_engine.prior import load_model
from ganpaint_engine.window import to_tensor


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("prior.REFINE_STEPS", "prior.PHOTO_STEPS", "editing.EDIT_STEPS"):
        monkeypatch.setattr(f"ganpaint_engine.{name}", 6)


@pytest.fixture
def folder(tmp_path: Path, photo: Image.Image) -> Path:
    photos = tmp_path / "photos"
    photos.mkdir()
    photo.save(photos / "one.png")
    photo.transpose(Image.Transpose.ROTATE_90).crop((0, 60, 150, 180)).save(photos / "two.jpg")
    (photos / "broken.jpg").write_bytes(b"\xff\xd8 cut short")
    return photos


def test_the_command_measures_and_shows(
    folder: Path, small_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = ["models", "measure", str(small_model), "--photos", str(folder), "--out", str(out)]
    with pytest.raises(SystemExit) as left:
        cli.main([*arguments, "--quality", "preview"])
    assert left.value.code == 0
    told = capsys.readouterr()
    assert "small on 2 photographs" in told.out
    assert "broken.jpg [image_corrupt]" in told.err
    figures = json.loads((out / "measured.json").read_text())
    assert figures["photos"] == 2
    assert [p["file"] for p in figures["left_out"]] == ["broken.jpg"]
    assert set(figures["stages"]) == {"encoder", "refined", "adapted"}
    assert figures["stages"]["adapted"]["psnr"] > figures["stages"]["encoder"]["psnr"]
    assert {(e["concept"], e["operation"]) for e in figures["edits"]} >= {
        ("tree", "add"),
        ("dome", "add"),
    }
    for one in figures["each"]:
        assert np.asarray(one["cells"]).shape == (8, 8)
        for trial in one["trials"]:
            assert 0 <= trial["after"] <= 1
            assert trial["outside_db"] is None or trial["outside_db"] > 5
    with Image.open(out / "sheet.png") as sheet:
        assert sheet.height > 2 * 192
    assert {p.name for p in (out / "maps").iterdir()} == {"one.png", "two.png"}


def test_a_folder_without_photos_is_an_error(small_model: Path, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    prior = load_model(small_model, "cpu")
    from ganpaint_engine import gap_report

    with pytest.raises(errors.TooFewPhotos):
        gap_report.measure(prior, tmp_path / "none", tmp_path / "out", lambda f, s: None)
    assert not (tmp_path / "out").exists()


def test_structural_similarity() -> None:
    x = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert measurement.ssim(x, x) == pytest.approx(1)
    assert measurement.ssim(x, -x) < -0.8
    little, much = (x + s * torch.randn_like(x) for s in (0.05, 0.5))
    assert 1 > measurement.ssim(x, little) > 0.9 > measurement.ssim(x, much)


def test_cells_that_cannot_be_expressed_stand_out() -> None:
    x = torch.zeros(1, 3, 64, 64)
    y = x.clone()
    y[..., 8:16, 40:48] = 1
    cells = gap.cell_errors(y, x)
    assert cells[1, 5] == pytest.approx(127.5)
    assert cells.sum() == cells[1, 5]
    heat = gap.heat_map(np.full((100, 140, 3), 90, np.uint8), cells)
    place, rest = heat[12:25, 20 + 62 : 20 + 75], heat[60:, :60]
    assert place.mean() > rest.mean() + 40


def test_places_are_plausible() -> None:
    seen = np.zeros((100, 200), np.float32)
    seen[30:95, 4:70] = 1
    stroke = gap.place_to_add(seen, "tree")
    assert (seen[stroke > 0]).mean() == 0
    assert gap.place_to_add(seen, "sky")[:40].any()
    assert not gap.place_to_add(seen, "sky")[45:].any()
    removal = gap.place_to_remove(seen)
    assert removal is not None
    assert (removal[seen > 0] > 0).all()
    assert gap.place_to_remove(np.zeros((50, 50), np.float32)) is None


def test_photographs_are_unlike_the_scenes_and_scenes_are_not() -> None:
    judge = segmentation.load_judge()
    scenes = bundled_model.load_scenes(bundled_model.HERE / "scenes")[::2]
    known = [to_tensor(s.picture, 64) for s in scenes]
    limit = familiarity.limit(judge, known)
    values = torch.cat([familiarity.entropy(judge, x) for x in known])
    assert (values <= limit).float().mean() >= 0.9
    for path in sorted(Path("tests/data/photographs").glob("*.webp")):
        with Image.open(path) as opened:
            picture = np.asarray(opened.convert("RGB"))
        assert familiarity.entropy(judge, to_tensor(picture, 64)) > limit, path.name


def test_the_engine_warns_beforehand_of_what_is_unlike(
    small_model: Path, photo: Image.Image
) -> None:
    prior = load_model(small_model, "cpu")
    assert prior.open(photo).warnings == []  # no limit was measured for this model
    prior.info.card["familiar"] = {"entropy": 0.0}
    assert "unlike" in prior.open(photo).warnings[0]
    prior.info.card["familiar"] = {"entropy": 10.0}
    assert prior.open(photo).warnings == []


def test_the_route_that_measured_best_is_offered_to_whoever_does_not_take_it(
    small_model: Path, photo: Image.Image, stroke: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(familiarity, "ROUTES", {"remove": "poisson"})
    prior = load_model(small_model, "cpu")
    prior.info.card["familiar"] = {"entropy": 0.0}
    opened = prior.open(photo)
    (_, offer) = opened.inspect(stroke).warnings
    assert offer == (
        'To remove something from such a picture, the final blend "poisson" measured best: try it '
        "(--composite poisson)."
    )

    def told(composite: str, **wished: str) -> list[str]:
        early: list[str] = []
        edit = opened.edit(
            stroke, **wished, composite=composite, quality="preview", on_warnings=early.extend
        )
        assert edit.report["warnings"] == early
        return early[1:]

    assert told("residual", remove="tree") == [offer]
    assert told("poisson", remove="tree") == []
    assert told("residual", add="tree") == []
    prior.info.card["familiar"] = {"entropy": 10.0}
    assert prior.open(photo).inspect(stroke).warnings == []


def test_removals_from_unlike_photos_take_the_photos_own_cells_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prior = load_model("churches", "cpu")
    scene = bundled_model.load_scenes(bundled_model.HERE / "scenes")[0].picture
    stroke = np.zeros(scene.shape[:2], np.uint8)
    stroke[80:160, 40:120] = 255
    asked: list[tuple[int, bool]] = []
    take_out = exemplars.take_out

    def spy(r, u, concept, library, s=1.0, seed=0, own=False):  # type: ignore[no-untyped-def]
        asked.append((seed, own))
        return take_out(r, u, concept, library, s, seed, own)

    monkeypatch.setattr(exemplars, "take_out", spy)
    # As for a stroke with little around it, whose place cannot be filled from there.
    monkeypatch.setattr(removal, "from_around", lambda *_, **__: None)
    patches = {}
    for limit in (10.0, 0.0):
        prior.info.card["familiar"] = {"entropy": limit}
        photo = prior.open(scene)
        for seed in (0, 1):
            edit = photo.edit(stroke, remove="tree", seed=seed, quality="preview")
            patches[limit, seed] = np.asarray(edit.patch).astype(float)
    assert asked == [(0, False), (0, False), (0, True), (0, False)]
    # The same cells, but for the grain, which the seed draws.
    assert np.abs(patches[10.0, 0] - patches[0.0, 1]).mean() < 2
    assert np.abs(patches[0.0, 0] - patches[0.0, 1]).mean() > 4
