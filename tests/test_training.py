"""The trainer and its parts, for a few steps on made-up scenes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganpaint_engine import model_package
from ganpaint_engine.segmentation import CLASSES, DilatedSegmenter, UNetSegmenter
from training import data, edits, train, train_segmenter


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


def test_training_edits_ask_for_what_can_be_done(packed: Path) -> None:
    rng = torch.Generator().manual_seed(0)
    _, labels = data.Scenes.load(packed, 64, False).batch(16, rng)
    shares = edits.cell_shares(labels)
    assert torch.allclose(shares.sum(1), torch.ones(16, 8, 8))
    statistics = edits.Statistics(torch.zeros(edits.K, 100))
    made = edits.make(torch.randn(16, 100, 8, 8), shares, statistics, rng)
    assert made.stroke.shape == (16, 1, 8, 8)
    assert made.stroke.flatten(1).amax(1).min() == 1
    for n, (name, adding) in enumerate(zip(made.names, made.adding, strict=True)):
        if not adding:
            assert shares[n, CLASSES.index(name)].max() > 0.3


def test_training_goes_on_where_it_stopped(packed: Path) -> None:
    scenes = data.Scenes.load(packed, 64, False)
    trainer = train.Trainer(64, UNetSegmenter().eval(), torch.device("cpu"), seed=0)
    x, labels = scenes.batch(4, trainer.rng)
    for adversarial in (False, True):
        losses = trainer.train_step(x, labels, adversarial)
        assert all(np.isfinite(v) for v in losses.values()), losses
        assert ("critic" in losses) == adversarial
    again = train.Trainer(64, UNetSegmenter().eval(), torch.device("cpu"), seed=1)
    again.segmenter.load_state_dict(trainer.segmenter.state_dict())
    again.load(trainer.state())
    one = trainer.train_step(x, labels, True)
    two = again.train_step(x, labels, True)
    assert again.step == 3
    for name in one:
        assert two[name] == pytest.approx(one[name], rel=1e-3, abs=1e-3), name


def test_a_larger_prior_starts_from_a_smaller_one(tmp_path: Path) -> None:
    small = train.Prior(train.SIZES[64])
    card = {"name": "s", "version": "1", "terms": "", "resolution": 64, "concepts": []}
    weights = small.generator.state_dict(), small.encoder.state_dict()
    package = model_package.save(tmp_path, card, *weights, {})
    grown = train.Prior(train.SIZES[128])
    train.grow(grown, package)
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
