"""What all tests share: a home of their own, and a small model with random weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from ganpaint_engine.editing import Drawn


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """GANPAINT_HOME: nothing that a test writes reaches the person's own folders."""
    folder = tmp_path / "home"
    monkeypatch.setenv("GANPAINT_HOME", str(folder))
    return folder


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Drawn]:
    """What the edits of this test drew, the first one first."""
    from ganpaint_engine import editing

    seen, apply = [], editing.apply

    def watched(*args: object) -> Drawn:
        seen.append(apply(*args))  # type: ignore[arg-type]
        return seen[-1]

    monkeypatch.setattr(editing, "apply", watched)
    return seen


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package of a 32 px model with random weights: right in all but what it shows."""
    import torch

    from ganpaint_engine import model_package
    from ganpaint_engine.concepts import Concept
    from ganpaint_engine.encoder import Encoder
    from ganpaint_engine.generator import Generator

    torch.manual_seed(0)
    generator = Generator([8, 16, 16, 16, 16, 16, 16, 8, 8])
    encoder = Encoder([8, 16], 16)
    concepts = {
        name: Concept(
            name,
            torch.arange(4 * k, 4 * k + 4),
            torch.tensor([u for u in range(8) if u // 4 != k]),
            torch.rand(16) * 2,
            torch.rand(3, 16) * 2,
            looks=("plain", "autumn", "bare"),
        )
        for k, name in enumerate(("tree", "dome"))
    }
    card = {
        "name": "small",
        "version": "0.0.1",
        "terms": "none: random weights",
        "resolution": generator.resolution,
        "edit_layer": {"number": 4, "grid": 8, "units": 16},
        "channels": generator.channels,
        "concepts": [
            {"name": c.name, "variants": [{"name": look} for look in c.looks]}
            for c in concepts.values()
        ],
    }
    folder = tmp_path_factory.mktemp("models") / "small"
    model_package.save(folder, card, generator.state_dict(), encoder.state_dict(), concepts)
    return folder


@pytest.fixture(scope="session")
def photo() -> Image.Image:
    """A picture of 200×150 px: a gradient with texture."""
    y, x = np.mgrid[0:150, 0:200]
    rgb = np.stack([x, y * 1.5, 255 - x], axis=2)
    rgb += np.random.default_rng(1).normal(0, 6, rgb.shape)
    return Image.fromarray(np.clip(rgb, 0, 255).astype(np.uint8))


@pytest.fixture(scope="session")
def stroke() -> Image.Image:
    """A mask for ``photo``, with a soft edge."""
    mask = np.zeros((150, 200), np.uint8)
    mask[60:100, 80:120] = 255
    mask[55:60, 80:120] = 90
    return Image.fromarray(mask)
