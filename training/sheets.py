"""Sheets of pictures, to look at while training goes on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ganpaint_engine import concepts
from ganpaint_engine.encoder import Encoder
from ganpaint_engine.generator import Generator
from training import edits
from training.data import Scenes
from training.edits import Statistics, cell_shares


def to_uint8(x: Tensor) -> np.ndarray:
    """N×3×H×W in [-1, 1] to N×H×W×3 uint8."""
    x = x.detach().float().cpu().permute(0, 2, 3, 1)
    return ((x + 1) * 127.5 + 0.5).clamp(0, 255).to(torch.uint8).numpy()


def write_grid(columns: list[Tensor], path: Path, scale: int = 2) -> None:
    """Pictures side by side: one column for each of ``columns`` (N×3×R×R)."""
    strips = [np.concatenate(list(to_uint8(c)), axis=0) for c in columns]
    grid = Image.fromarray(np.concatenate(strips, axis=1))
    size = (grid.width * scale, grid.height * scale)
    grid.resize(size, Image.Resampling.NEAREST).save(path)


@torch.no_grad()
def write_sheet(
    generator: Generator,
    encoder: Encoder,
    statistics: Statistics,
    held: Scenes,
    path: Path,
    rows: int = 8,
) -> None:
    """Columns: picture, reconstruction, what an edit should give and gives, trees gone, sample."""
    device = statistics.p.device
    pick = [(3 + i) % len(held) for i in range(2 * rows)]  # the second half are donors
    x = (held.pictures[pick].float() / 127.5 - 1).to(device)
    labels = held.labels[pick].long().to(device)
    shares = cell_shares(labels)
    r = encoder(x)
    rng = torch.Generator().manual_seed(0)
    made = edits.make(r, x, labels, shares, statistics, rng)
    x, r, shares = x[:rows], r[:rows], shares[:rows]
    columns = [x, generator.head(r), made.target, generator.head(made.r)]
    trees = (shares[:, 2:3] > 0.05).float()
    columns.append(generator.head(concepts.remove(r, trees, statistics.concept("tree"))))
    columns.append(generator(torch.randn(rows, generator.channels[0], device=device)))
    write_grid(columns, path)
