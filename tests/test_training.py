"""The trainer and its parts, for a few steps on made-up scenes."""

import argparse
import csv
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganpaint_engine import errors, model_package
from ganpaint_engine.segmentation import CLASSES, DilatedSegmenter, UNetSegmenter
from training import data, edits, networks, train, train_segmenter


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    """Forty scenes: sky above, grass below, a tree somewhere."""
    rng = np.random.default_rng(0)
    (tmp_path / "pictures").mkdir()
    (tmp_path / "labels").mkdir()
    for i in range(40):
        rgb = np.zeros((64, 64, 3), np.uint8)
        rgb[:40], rgb[40:] = (120, 160, 255), (60, 160, 60)
        labels = np.zeros((64, 64), np.uint8)
        labels[40:] = CLASSES.index("grass")
        x = int(rng.integers(0, 44))
        rgb[20:50, x : x + 20] = (20, 80, 20)
        labels[20:50, x : x + 20] = CLASSES.index("tree")
        Image.fromarray(rgb).save(tmp_path / "pictures" / f"{i:06}.png")
        Image.fromarray(labels).save(tmp_path / "labels" / f"{i:06}.png")
    out = tmp_path / "packed.npz"
    assert data.pack(tmp_path, out, 64) == 40
    return out


def test_held_out_scenes_are_apart(packed: Path) -> None:
    known, held = (data.Scenes.load(packed, 64, side) for side in (False, True))
    assert (len(known), len(held)) == (38, 2)
    x, y = known.batch(4, torch.Generator().manual_seed(0))
    assert x.shape == (4, 3, 64, 64)
    assert x.abs().max() <= 1
    assert set(y.unique().tolist()) <= {0, 1, 2}


def test_shrinking_keeps_pictures_and_labels_together(packed: Path) -> None:
    small = data.Scenes.load(packed, 32, True)
    assert small.pictures.shape[1:] == (3, 32, 32)
    green = small.pictures[:, 0] < 40
    assert ((small.labels == CLASSES.index("tree")) == green).float().mean() > 0.95


@pytest.mark.parametrize("kind", [UNetSegmenter, DilatedSegmenter])
def test_segmenters_answer_at_the_pictures_size(kind: type[torch.nn.Module]) -> None:
    assert kind()(torch.zeros(1, 3, 64, 64)).shape == (1, len(CLASSES), 64, 64)


def test_a_segmenter_learns(packed: Path) -> None:
    scenes = data.Scenes.load(packed, 64, False)
    net = train_segmenter.train(scenes, "unet", minutes=10, seed=0, batch=8, most_steps=60)
    iou = train_segmenter.class_iou(net, data.Scenes.load(packed, 64, True))
    assert iou[CLASSES.index("sky")] > 0.5


def made_edits(packed: Path, count: int = 32) -> tuple[edits.Edits, torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(0)
    x, labels = data.Scenes.load(packed, 64, False).batch(count, rng)
    shares = edits.cell_shares(labels)
    assert torch.allclose(shares.sum(1), torch.ones(count, 8, 8))
    statistics = edits.Statistics(torch.zeros(edits.K, 100))
    r = torch.randn(count, 100, 8, 8)
    return edits.make(r, x, labels, shares, statistics, rng), x, labels


def test_training_edits_ask_for_what_can_be_done(packed: Path) -> None:
    made, x, labels = made_edits(packed)
    assert made.r.shape == (16, 100, 8, 8)
    assert made.target.shape == (16, 3, 64, 64)
    assert made.weight.shape == (16, 1, 64, 64)
    assert made.stroke.flatten(1).amax(1).min() == 1
    assert {True, False} == set(made.adding)
    shares = edits.cell_shares(labels)
    for n, (name, adding) in enumerate(zip(made.names, made.adding, strict=True)):
        if adding:
            assert made.fill[n] > 0.05
        else:
            assert shares[n, CLASSES.index(name)].max() > 0.3
            assert torch.equal(made.target[n], x[n])


def test_a_transplant_should_look_like_its_donor_and_leave_the_rest(packed: Path) -> None:
    made, x, _ = made_edits(packed)
    moved = 0
    for n, adding in enumerate(made.adding):
        changed = (made.target[n] != x[n]).any(0)
        under = made.stroke[n].repeat_interleave(8, 1).repeat_interleave(8, 2)[0] > 0
        assert not changed[~under].any()
        assert (made.weight[n, 0][changed] > 1).all()
        moved += int(adding and changed.any())
    assert moved > 3


def arguments(packed: Path, out: Path, *more: str) -> argparse.Namespace:
    needed = [str(packed), "--segmenter", "none", "--out", str(out), "--resolution", "32"]
    quick = ["--batch", "4", "--warm-up", "0", "--critic-every", "1", "--device", "cpu"]
    return train.parser().parse_args([*needed, *quick, *more])


def losses_of(out: Path) -> list[dict[str, float]]:
    with (out / "losses.csv").open(newline="") as file:
        return [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]


def test_an_interrupted_run_resumes_to_the_same_curve(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "EVERY", 1)
    net = UNetSegmenter().eval()
    train.train(arguments(packed, tmp_path / "whole", "--steps", "6"), net)
    train.train(arguments(packed, tmp_path / "parts", "--steps", "3"), net)
    train.train(arguments(packed, tmp_path / "parts", "--steps", "6"), net)
    whole, parts = losses_of(tmp_path / "whole"), losses_of(tmp_path / "parts")
    assert [row["step"] for row in parts] == [1, 2, 3, 4, 5, 6]
    for one, two in zip(whole, parts, strict=True):
        assert two == pytest.approx(one, rel=1e-3, abs=1e-3)
    assert whole[-1]["l1"] != pytest.approx(whole[0]["l1"], rel=1e-2)
    for name in ("sheet.png", "curves.png"):
        with Image.open(tmp_path / "parts" / name) as picture:
            assert min(picture.size) > 100


@pytest.mark.parametrize(
    "more",
    [("--fakes", "transplants"), ("--fakes", "none"), ("--separate",), ("--precision", "bf16")],
)
def test_other_recipes_train(packed: Path, tmp_path: Path, more: tuple[str, ...]) -> None:
    trainer = train.train(
        arguments(packed, tmp_path, "--steps", "2", *more), UNetSegmenter().eval()
    )
    assert trainer.step == 2
    assert all(torch.isfinite(p).all() for p in trainer.nets.parameters())


def test_two_processes_train_one_model(packed: Path, tmp_path: Path) -> None:
    segmenter = tmp_path / "unet.pt"
    torch.save({"kind": "unet", "state": UNetSegmenter().state_dict()}, segmenter)
    call = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    call += ["-m", "training.train", str(packed), "--segmenter", str(segmenter)]
    call += ["--out", str(tmp_path / "run"), "--resolution", "32", "--batch", "4", "--steps", "3"]
    call += ["--warm-up", "0", "--critic-every", "1", "--device", "cpu"]
    root = str(Path(train.__file__).parents[1])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": root}
    done = subprocess.run(
        call, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    state = torch.load(tmp_path / "run" / train.CHECKPOINT, weights_only=True)
    assert state["step"] == 3
    assert len(list((tmp_path / "run").glob("checkpoint*"))) == 1


def test_a_checkpoint_of_another_recipe_is_refused(packed: Path, tmp_path: Path) -> None:
    net = UNetSegmenter().eval()
    train.train(arguments(packed, tmp_path, "--steps", "1"), net)
    with pytest.raises(errors.OtherCheckpoint, match="fakes edits"):
        train.train(arguments(packed, tmp_path, "--steps", "2", "--fakes", "none"), net)
    (tmp_path / train.CHECKPOINT).write_bytes(b"not a checkpoint")
    with pytest.raises(errors.OtherCheckpoint, match="damaged"):
        train.train(arguments(packed, tmp_path, "--steps", "2"), net)


def test_a_full_disk_leaves_the_last_checkpoint(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = train.train(arguments(packed, tmp_path, "--steps", "1"), UNetSegmenter().eval())
    before = (tmp_path / train.CHECKPOINT).read_bytes()

    def full(_: object, path: Path) -> None:
        path.write_bytes(before[:1000])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(train.torch, "save", full)
    with pytest.raises(OSError, match="No space"):
        train.save(trainer, tmp_path)
    assert (tmp_path / train.CHECKPOINT).read_bytes() == before
    assert len(list(tmp_path.glob("checkpoint*"))) == 1


def _unlabelled(folder: Path) -> None:
    for path in (folder / "labels").iterdir():
        path.unlink()


def _other_size(folder: Path) -> None:
    Image.new("L", (32, 32)).save(folder / "labels" / "000007.png")


def _coloured_labels(folder: Path) -> None:
    Image.new("RGB", (64, 64)).save(folder / "labels" / "000007.png")


def _index_too_large(folder: Path) -> None:
    Image.new("L", (64, 64), 200).save(folder / "labels" / "000007.png")


def _no_picture(folder: Path) -> None:
    (folder / "pictures" / "000007.png").unlink()


def _broken_picture(folder: Path) -> None:
    (folder / "pictures" / "000007.png").write_bytes(b"\x89PNG broken")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (_unlabelled, "has no labels"),
        (_other_size, "not one scene"),
        (_coloured_labels, "no label map"),
        (_index_too_large, "no label map"),
        (_no_picture, "has no picture"),
        (_broken_picture, "cannot be read"),
    ],
)
def test_bad_scenes_are_named(
    packed: Path, tmp_path: Path, spoil: Callable[[Path], None], says: str
) -> None:
    spoil(packed.parent)
    with pytest.raises(errors.BadTrainingData, match=says):
        data.pack(packed.parent, tmp_path / "again.npz", 64)
    assert not (tmp_path / "again.npz").exists()


def test_pictures_of_any_mode_are_packed(packed: Path, tmp_path: Path) -> None:
    for i, mode in enumerate(("L", "RGBA", "P", "CMYK")):
        picture = Image.new(mode, (64, 64))
        picture.save(packed.parent / "pictures" / f"{i:06}.{'tif' if mode == 'CMYK' else 'png'}")
    (packed.parent / "pictures" / "000003.png").unlink()
    assert data.pack(packed.parent, tmp_path / "again.npz", 64) == 40


def test_what_is_no_set_of_scenes_is_refused(tmp_path: Path) -> None:
    (tmp_path / "junk.npz").write_bytes(b"junk")
    with pytest.raises(errors.BadTrainingData, match="no packed set"):
        data.Scenes.load(tmp_path / "junk.npz", 64, False)


def test_a_larger_prior_starts_from_a_smaller_one(tmp_path: Path) -> None:
    small = networks.Prior(networks.SIZES[64])
    card = {"name": "s", "version": "1", "terms": "", "resolution": 64, "concepts": []}
    weights = small.generator.state_dict(), small.encoder.state_dict()
    package = model_package.save(tmp_path, card, *weights, {})
    grown = networks.Prior(networks.SIZES[128])
    networks.grow(grown, package)
    r = torch.randn(1, grown.generator.edit_channels, 8, 8)
    for i in range(5, small.generator.depth + 1):
        ours, theirs = grown.generator.layer(i), small.generator.layer(i)
        assert torch.allclose(ours.conv.weight, theirs.conv.weight, atol=1e-2)
    assert grown.generator.linear_head(r).shape == (1, 3, 128, 128)
    kept = grown.encoder.down[1].conv.weight, small.encoder.down[0].conv.weight
    assert torch.allclose(*kept, atol=1e-2)


def test_holes_for_the_encoder_are_cut_in_part_of_the_batch() -> None:
    masks = edits.holes(torch.zeros(64, 3, 64, 64), 32, torch.Generator().manual_seed(0))
    assert masks[:32].sum() == 0
    cut = (masks[32:].flatten(1).sum(1) > 0).float().mean()
    assert 0.05 < cut < 0.6
    assert set(masks.unique().tolist()) == {0.0, 1.0}


def test_segmenters_see_large_pictures_at_their_own_size() -> None:
    net = UNetSegmenter().eval()
    x = torch.randn(1, 3, 64, 64)
    large = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert net(large).shape == (1, len(CLASSES), 128, 128)
    assert torch.allclose(net.features(large)[0], net.features(x)[0], atol=1e-5)
