"""A model of one's own photographs, at toy size."""

import resource
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganpaint_engine import cli, errors, model_package, photo_squares, photo_training, segmenters
from ganpaint_engine.photo_training import Plan
from ganpaint_engine.prior import load_model
from ganpaint_engine.segmentation import CLASSES


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("prior.REFINE_STEPS", "prior.PHOTO_STEPS", "editing.EDIT_STEPS"):
        monkeypatch.setattr(f"ganpaint_engine.{name}", 2)
    monkeypatch.setattr(photo_squares, "WINDOWS", 40)
    monkeypatch.setattr(photo_training, "MEASURED", 2)


def scene(seed: int) -> Image.Image:
    """Sky, grass and a tree somewhere, with noise; all photos are different."""
    rng = np.random.default_rng(seed)
    rgb = np.zeros((96, 128, 3))
    horizon = int(rng.integers(40, 70))
    rgb[:horizon], rgb[horizon:] = (120, 160, 250), (70, 150, 60)
    x = int(rng.integers(0, 90))
    rgb[horizon - 30 : horizon + 8, x : x + 30] = (20, 80, 20)
    for _ in range(6):
        y0, x0 = rng.integers(0, 80), rng.integers(0, 110)
        rgb[y0 : y0 + 12, x0 : x0 + 12] += rng.normal(0, 50)
    return Image.fromarray(np.clip(rgb + rng.normal(0, 8, rgb.shape), 0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty-four photos of all kinds, and files that are none."""
    folder = tmp_path_factory.mktemp("album")
    kinds = (("RGB", "jpg"), ("L", "png"), ("CMYK", "tif"), ("RGBA", "png"), ("P", "gif"))
    for i in range(24):
        mode, suffix = kinds[i % len(kinds)] if i % 4 == 0 else kinds[0]
        scene(i).convert(mode).save(folder / f"{i:02}.{suffix}")
    scene(1).resize((256, 192)).save(folder / "again.png")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing")
    (folder / "list.csv").write_text("a,b")
    return folder


def test_from_a_mixed_folder_to_a_package(
    album: Path, photo: Image.Image, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["train", str(album), "--name", "mine", "--minutes", "0.05", "--resolution", "32"]
    with pytest.raises(SystemExit) as left:
        cli.main([*arguments, "--from", "none"])
    told = capsys.readouterr()
    assert left.value.code == 0, told
    assert "24 photographs" in told.out
    for file, code in (("again.png", "duplicate"), ("broken.jpg", "image_corrupt")):
        assert f"{file} [{code}]" in told.err
    info = model_package.find_model("mine")
    model_package.verify(info)
    assert info.card["training"]["from"] == "nothing"
    assert info.card["training"]["steps"] >= 1
    prior = load_model("mine", "cpu")
    assert prior.resolution == 32
    assert prior.open(photo).psnr["adapted"] > 5
    with pytest.raises(SystemExit):
        cli.main(arguments)
    assert "model_exists" in capsys.readouterr().err


def test_three_photos_are_too_few_and_leave_nothing(tmp_path: Path) -> None:
    for i in range(3):
        scene(i).save(tmp_path / f"{i}.png")
    for out in (None, tmp_path / "out"):
        with pytest.raises(errors.TooFewPhotos, match="holds 3 usable"):
            photo_training.train(Plan(tmp_path, "few", 1, out=out), lambda f, s: None)
    assert "few" not in [m.name for m in model_package.list_models()]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["0.png", "1.png", "2.png", "home"]


def test_a_stopped_run_goes_on_and_lists_nothing(album: Path, tmp_path: Path) -> None:
    plan = Plan(album, "later", 5, "none", resolution=32, out=tmp_path / "later", batch=4)

    def stop(fraction: float, stage: str) -> None:
        if stage.startswith("step 2,"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        photo_training.train(plan, stop)
    assert not (tmp_path / "later").exists()
    eyes = segmenters.find(None)
    assert photo_training._trainer(plan, 32, None, eyes).step == 2
    with pytest.raises(errors.OtherCheckpoint):
        photo_training._trainer(plan, 64, None, eyes)


def test_a_full_disk_lists_nothing(album: Path) -> None:
    """A file size limit stands in for the full disk: writing fails midway, as it does there."""
    plan = Plan(album, "full", 0.05, "none", resolution=32, batch=4)
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, old[1]))
    try:
        with pytest.raises(errors.DiskFull, match="cannot be kept"):
            photo_training.train(plan, lambda f, s: None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert "full" not in [m.name for m in model_package.list_models()]


def test_the_bundled_model_is_the_start_for_few_photos(album: Path) -> None:
    start = photo_training._start(Plan(album, "mine", 1), 30)
    assert start is not None
    assert start.name == "churches"
    assert photo_training._start(Plan(album, "mine", 1), 5000) is None
    assert photo_training._start(Plan(album, "mine", 1, "none"), 30) is None
    side = start.resolution
    trainer = photo_training._trainer(Plan(album, "mine", 1), side, start, segmenters.find(None))
    theirs = model_package.load_tensors(start, model_package.GENERATOR)["layer5.conv.weight"]
    assert torch.allclose(trainer.nets.generator.layer(5).conv.weight, theirs, atol=1e-3)


@pytest.fixture
def labels(album: Path, tmp_path: Path) -> Path:
    """A label map of every photo: 2 above, 12 (the renderer's stairs) below, a row without."""
    folder = tmp_path / "labels"
    folder.mkdir()
    for path in album.iterdir():
        if path.stem.isdigit():
            with Image.open(path) as image:
                values = np.full(image.size[::-1], 12, np.uint8)
            values[: len(values) // 2], values[-1] = 2, 255
            Image.fromarray(values).save(folder / f"{path.stem}.png")
    return folder


def labelled(album: Path, labels: Path) -> photo_squares.Photographs:
    return photo_squares.read(album, labels, 32, segmenters.find(None), lambda f, s: None)


def test_labels_come_from_files_where_given(album: Path, labels: Path) -> None:
    found = labelled(album, labels)
    assert found.photos == 24
    assert len(found.labels) == len(found.pictures) == len(found.held)
    whole = found.labels[0]
    assert whole[:15].unique().tolist() == [CLASSES.index("tree")]
    assert whole[17:31].unique().tolist() == [CLASSES.index("path")]  # stairs, to a model
    assert found.labels.max() < len(CLASSES)
    assert 0.05 < float(found.held.float().mean()) < 0.3
    Image.new("L", (5, 5)).save(labels / "03.png")
    with pytest.raises(errors.BadTrainingData, match="03"):
        labelled(album, labels)


def test_names_beside_the_label_maps(album: Path, labels: Path) -> None:
    names = ["car", "car", "Dome", *["car"] * 9, "hill"]
    (labels / photo_squares.NAMES).write_text("\n".join(names))
    found = labelled(album, labels)
    assert found.labels[0][:15].unique().tolist() == [CLASSES.index("dome")]
    assert found.labels[0][17:31].unique().tolist() == [CLASSES.index("hill")]
    (labels / photo_squares.NAMES).write_text("\n".join(["sky"] * 2 + ["car"] * 11))
    guessed = labelled(album, labels)
    plain = photo_squares.read(album, None, 32, segmenters.find(None), lambda f, s: None)
    assert torch.equal(guessed.labels, plain.labels)


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ("sky\ngrass\ntree", "value 12, which has no name"),
        ("car\nlorry", "is to name the values"),
        ("", "is to name the values"),
        ("sky\n" * 300, "is to name the values"),
    ],
)
def test_label_maps_that_cannot_be_understood(
    album: Path, labels: Path, names: str, says: str
) -> None:
    (labels / photo_squares.NAMES).write_text(names)
    with pytest.raises(errors.BadTrainingData, match=says):
        labelled(album, labels)


def test_values_that_no_renderer_writes(album: Path, labels: Path) -> None:
    with Image.open(labels / "05.png") as image:
        Image.new("L", image.size, 13).save(labels / "05.png")
    with pytest.raises(errors.BadTrainingData, match=r"05\.png holds the value 13"):
        labelled(album, labels)
    with pytest.raises(errors.BadTrainingData, match="no folder of label maps"):
        labelled(album, labels / "nowhere")


def test_squares_cover_a_photo_and_lie_in_it() -> None:
    for width, height in ((100, 100), (300, 100), (100, 260), (130, 100)):
        found = photo_squares.squares(width, height, 6, 0)
        assert len(found) >= 6
        for x, y, side in found:
            assert x >= 0
            assert y >= 0
            assert x + side <= width
            assert y + side <= height
    wide = photo_squares.squares(300, 100, 1, 0)
    assert [(w.x, w.side) for w in wide] == [(0, 100), (100, 100), (200, 100)]
