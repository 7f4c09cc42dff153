"""Training pictures: rendered scenes and their label maps, packed once and kept in memory.

    python -m training.data SCENES --out scenes128.npz --resolution 128

``SCENES`` holds ``pictures/*.webp|png`` (sRGB) and ``labels/*.png`` (one byte a pixel, an index
into ``segmentation.CLASSES``). Every twentieth scene is held out: never trained on.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from ganpaint_engine.errors import BadTrainingData, GanpaintError
from ganpaint_engine.segmentation import CLASSES
from training.renderer.labels import LABELS

HELD_OUT_EVERY = 20
CLOSEST = 0.4
"""Side of the closest view that training takes of a scene, as a share of the scene's."""
MOST_LABELS = len(LABELS)
"""Indices of labels are below this: scenes have classes beyond ``CLASSES``."""
FINER = {"cloud": "sky", "stairs": "path"}
"""What those classes are to a model that knows only ``CLASSES``."""


def pack(folder: Path, out: Path, resolution: int) -> int:
    """Shrink all scenes of ``folder`` to ``resolution`` px and write them to ``out``.

    Raises BadTrainingData naming the first scene that is not as it should be; OSError.
    """
    labels = sorted((folder / "labels").glob("*.png"))
    if not labels:
        raise BadTrainingData(f"{folder} has no labels/*.png: is it a folder of scenes?")
    pictures, maps = [], []
    for path in labels:
        rgb, label = read_scene(folder, path)
        shrunk = rgb.resize((resolution,) * 2, Image.Resampling.BOX)
        pictures.append(np.asarray(shrunk))
        maps.append(np.asarray(label.resize((resolution,) * 2, Image.Resampling.NEAREST)))
    new = out.with_suffix(".new.npz")
    try:
        np.savez(new, pictures=np.stack(pictures), labels=np.stack(maps))
    except OSError:
        new.unlink(missing_ok=True)
        raise
    new.replace(out)
    return len(labels)


def read_scene(folder: Path, path: Path) -> tuple[Image.Image, Image.Image]:
    """The picture and the label map of one scene, checked."""
    found = sorted((folder / "pictures").glob(path.stem + ".*"))
    if not found:
        raise BadTrainingData(f"{path} has no picture {folder / 'pictures' / path.stem}.*")
    try:
        with Image.open(found[0]) as picture, Image.open(path) as opened:
            rgb, label = picture.convert("RGB"), opened.copy()
    except OSError as error:
        raise BadTrainingData(f"Scene {path.stem} cannot be read: {error}") from error
    if label.mode not in ("L", "P") or np.asarray(label).max() >= MOST_LABELS:
        raise BadTrainingData(
            f"{path} is no label map: one byte a pixel, each an index below {MOST_LABELS}."
        )
    if label.size != rgb.size:
        raise BadTrainingData(f"{path} is {label.size}, its picture {rgb.size}: not one scene.")
    return rgb, label


@dataclass
class Scenes:
    """Pictures N×3×R×R uint8 and labels N×R×R uint8.

    fine, fine_labels: the same, larger, where they were asked for: views for training come from
    them, so that a close view is a sharp one.
    """

    pictures: Tensor
    labels: Tensor
    fine: Tensor | None = None
    fine_labels: Tensor | None = None

    @classmethod
    def load(cls, path: Path, resolution: int, held_out: bool, fine: bool = False) -> Scenes:
        """One side of the split, at ``resolution`` (at most that of the file). fine: and as large
        as the file has it."""
        try:
            with np.load(path) as packed:  # allow_pickle is off by default
                pictures, labels = packed["pictures"], packed["labels"]
        except (OSError, ValueError, KeyError) as error:
            raise BadTrainingData(f"{path} is no packed set of scenes: {error}") from error
        if pictures.shape[1] % resolution:
            raise BadTrainingData(f"{path} holds {pictures.shape[1]} px, not n × {resolution}.")
        keep = (np.arange(len(labels)) % HELD_OUT_EVERY == 0) == held_out
        pictures, labels = pictures[keep], labels[keep]
        step = pictures.shape[1] // resolution
        n = len(labels)
        small = pictures.reshape(n, resolution, step, resolution, step, 3).mean((2, 4)) + 0.5
        rgb = torch.from_numpy(small.astype(np.uint8)).permute(0, 3, 1, 2).contiguous()
        maps = torch.from_numpy(labels[:, step // 2 :: step, step // 2 :: step].copy())
        if not fine or step == 1:
            return cls(rgb, known_labels(maps))
        large = torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous()
        return cls(rgb, known_labels(maps), large, known_labels(torch.from_numpy(labels)))

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, size: int, rng: torch.Generator, augment: bool = True) -> tuple[Tensor, Tensor]:
        """``size`` random scenes: pictures in [-1, 1] and labels (int64), augmented alike."""
        pick = torch.randint(len(self), (size,), generator=rng)
        if self.fine is None or self.fine_labels is None or not augment:
            x, y = self.pictures[pick].float() / 127.5 - 1, self.labels[pick].long()
            return _augment(x, y, rng) if augment else (x, y)
        x, y = self.fine[pick].float() / 127.5 - 1, self.fine_labels[pick].long()
        return _augment(x, y, rng, self.pictures.shape[-1], CLOSEST)


def known_labels(maps: Tensor) -> Tensor:
    """Labels N×R×R (uint8) by the classes that models know: a cloud is sky, stairs are path."""
    known = [*range(len(CLASSES)), *(CLASSES.index(FINER[c]) for c in LABELS[len(CLASSES) :])]
    if int(maps.max()) >= len(known):
        raise BadTrainingData(f"There is no label {int(maps.max())}: the last is {LABELS[-1]}.")
    return torch.tensor(known, dtype=torch.uint8)[maps.long()]


def _augment(
    x: Tensor, y: Tensor, rng: torch.Generator, side: int = 0, closest: float = 0.74
) -> tuple[Tensor, Tensor]:
    """Flip, zoom in, and vary brightness, contrast, saturation and colour balance.

    side: of the views, in px; 0 is that of ``x``. closest: side of the closest view, as a share.
    """
    n, side = len(x), side or x.shape[-1]

    def rand(low: float, high: float, *shape: int) -> Tensor:
        return torch.rand(n, *(shape or (1,)), generator=rng) * (high - low) + low

    zoom = rand(closest, 1.0).squeeze(1)
    flip = (rand(0, 1) < 0.5).float().squeeze(1) * -2 + 1
    shift = rand(-1, 1, 2) * (1 - zoom)[:, None]
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0], theta[:, 1, 1] = zoom * flip, zoom
    theta[:, :, 2] = shift
    if side < x.shape[-1]:  # as fine as they come, then averaged, for nothing may flicker
        grid = F.affine_grid(theta, [n, 3, 2 * side, 2 * side], align_corners=False)
        views = F.grid_sample(x, grid, padding_mode="border", align_corners=False)
        x = F.avg_pool2d(views, 2)
    else:
        grid = F.affine_grid(theta, list(x.shape), align_corners=False)
        x = F.grid_sample(x, grid, padding_mode="border", align_corners=False)
    grid = F.affine_grid(theta, [n, 3, side, side], align_corners=False)
    maps = F.grid_sample(
        y[:, None].float(), grid, mode="nearest", padding_mode="border", align_corners=False
    )
    gray = x.mean(1, keepdim=True)
    x = gray + (x - gray) * rand(0.7, 1.25, 1, 1, 1)
    x = x * rand(0.8, 1.2, 1, 1, 1) + rand(-0.15, 0.15, 1, 1, 1) + rand(-0.07, 0.07, 3, 1, 1)
    return x.clamp(-1, 1), maps[:, 0].long()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--resolution", type=int, default=128)
    args = parser.parse_args()
    try:
        count = pack(args.folder, args.out, args.resolution)
    except (GanpaintError, OSError) as error:
        sys.exit(f"error: {error}")
    print(f"{count} scenes packed into {args.out}")


if __name__ == "__main__":
    main()
