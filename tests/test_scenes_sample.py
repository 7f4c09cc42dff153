"""The committed sample of 64 rendered scenes, among them pairs with an element toggled."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganpaint_engine.segmentation import CLASSES
from training import data
from training.renderer import sets
from training.renderer.labels import LABELS

SAMPLE = Path(__file__).parent / "data" / "scenes64"


@pytest.fixture(scope="module")
def sample() -> sets.SceneSet:
    return sets.SceneSet.read(SAMPLE)


def load(scenes: sets.SceneSet, name: str) -> tuple[np.ndarray, np.ndarray]:
    picture, labels = scenes.files(name)
    with Image.open(picture) as a, Image.open(labels) as b:
        return np.asarray(a.convert("RGB")), np.asarray(b)


def test_sample_agrees_with_its_manifest(sample: sets.SceneSet) -> None:
    assert sets.verify(SAMPLE) == []
    assert len(sample.records) == 64
    assert sum(p.stat().st_size for p in SAMPLE.rglob("*") if p.is_file()) < 3_000_000


def test_sample_shows_every_class_and_says_what_it_holds(sample: sets.SceneSet) -> None:
    seen = np.zeros(len(LABELS), int)
    for name, record in sample.records.items():
        _, labels = load(sample, name)
        counts = np.bincount(labels.ravel(), minlength=len(LABELS))
        shares = {LABELS[k]: round(n / labels.size, 4) for k, n in enumerate(counts) if n}
        assert shares == pytest.approx(record["pixels"])
        seen += counts / labels.size > 0.004
        for key in ("seed", "holds", "camera", "season", "sky", "sun", "film"):
            assert key in record
    assert (seen >= 3).all(), dict(zip(LABELS, seen, strict=True))


def pairs(sample: sets.SceneSet) -> list[tuple[str, str, str]]:
    found = []
    for name, record in sample.records.items():
        for element, value in record["toggles"].items():
            plain = sets.stem(record["seed"], {})
            if plain in sample.records and not value:
                found.append((element, plain, name))
    return found


def near(mask: np.ndarray, reach: int = 3) -> np.ndarray:
    """The mask grown by ``reach`` pixels."""
    padded, side = np.pad(mask, reach), 2 * reach + 1
    n, m = mask.shape
    return np.any([padded[i : i + n, j : j + m] for i in range(side) for j in range(side)], axis=0)


def test_toggled_scenes_of_the_sample_lose_the_element_and_little_else(
    sample: sets.SceneSet,
) -> None:
    found = pairs(sample)
    assert {element for element, _, _ in found} >= {"trees", "dome", "door", "clouds"}
    names = {"trees": "tree", "clouds": "cloud", "bushes": "bush", "windows": "window"}
    for element, plain, toggled in found:
        (before, labels), (after, labels_after) = load(sample, plain), load(sample, toggled)
        label = LABELS.index(names.get(element, element))
        assert (labels == label).mean() > 0.005, (element, plain)
        assert not (labels_after == label).any(), (element, plain)
        same = labels == labels_after
        assert 0.3 < same.mean() < 0.999, (element, plain)
        # The element's shadow and the light it throws go with it. A tree's shadow can lie on all
        # that stands, but not on the sky beyond its twigs.
        sky = (labels == LABELS.index("sky")) & ~near(labels == label)
        change = np.abs(before.astype(int) - after).max(-1)[sky if element == "trees" else same]
        assert np.median(change) <= 6, (element, plain)


def test_pictures_are_not_clipped(sample: sets.SceneSet) -> None:
    white = [(load(sample, name)[0].min(-1) >= 253).mean() for name in sample.records]
    assert np.mean(white) < 0.01


def test_training_reads_the_sample(tmp_path: Path) -> None:
    assert data.pack(SAMPLE, tmp_path / "scenes.npz", 64) == 64
    packed = np.load(tmp_path / "scenes.npz")["labels"]
    assert packed.max() == len(LABELS) - 1
    scenes = data.Scenes.load(tmp_path / "scenes.npz", 64, held_out=True)
    kept = torch.from_numpy(packed[::20])
    assert (scenes.labels[kept == LABELS.index("cloud")] == CLASSES.index("sky")).all()
    assert (scenes.labels[kept == LABELS.index("stairs")] == CLASSES.index("path")).all()
    plain = kept < len(CLASSES)
    assert (scenes.labels[plain] == kept[plain]).all()
