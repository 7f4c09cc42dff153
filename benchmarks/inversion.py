"""Measure every stage of inversion on held-out scenes and on photographs.

    python -m benchmarks.inversion [--photos DIR] [--scenes-count N] [--features bundled none]

For each way of inversion.INVERSIONS and each kind of features of its loss: PSNR, SSIM and a
perceptual distance of head(r) to the window's picture, and the time, as a ratio to the default's r
stage in the same run. The distance is taken in the features of the judge, which no loss here sees:
mean |a - b| of its maps, for no network trained on photographs can be shipped; it compares with
nothing published. *+ δ* is the default with its δ, as an edit begins from.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from rich.table import Table
from torch import Tensor

from benchmarks.bundled_model import HERE, console, load_scenes
from ganpaint_engine import adaptation, inversion, pictures, window
from ganpaint_engine import features as feature_networks
from ganpaint_engine.measurement import ssim
from ganpaint_engine.prior import PHOTO_STEPS, REFINE_STEPS, Prior, load_model
from ganpaint_engine.segmentation import DilatedSegmenter, load_judge


class Figures(NamedTuple):
    """dB, SSIM, distance in the judge's features, seconds that the stage took."""

    psnr: float
    ssim: float
    distance: float
    seconds: float


@torch.no_grad()
def distance(judge: DilatedSegmenter, a: Tensor, b: Tensor) -> float:
    """Mean absolute difference of the judge's featuremaps, averaged over its layers."""
    maps = [list(judge.features(x)) for x in (a, b)]
    return float(torch.stack([(p - q).abs().mean() for p, q in zip(*maps, strict=True)]).mean())


class Measured:
    """What every stage made of pictures, by the stage's name."""

    def __init__(self, prior: Prior, kinds: Sequence[str]) -> None:
        self.prior, self.kinds, self.judge = prior, kinds, load_judge()
        self.found: dict[str, list[Figures]] = {}

    def _note(self, name: str, x: Tensor, y: Tensor, started: float) -> None:
        seconds = time.perf_counter() - started
        figures = Figures(inversion.psnr(y, x), ssim(y, x), distance(self.judge, y, x), seconds)
        self.found.setdefault(name, []).append(figures)
        console.print(f"{name}: {figures}", style="dim")

    def add(self, x: Tensor) -> None:
        """Take one picture through all stages. x: 1×3×R×R in [-1, 1]."""
        g, started = self.prior.generator, time.perf_counter()
        r0 = inversion.encode(self.prior.encoder, x)
        self._note("E", x, g.head(r0), started)
        started = time.perf_counter()
        z = inversion.estimate_z(g, r0)
        self._note("z, estimated", x, g(z), started)
        for kind in self.kinds:
            features, of = self.prior.features(kind), f"; {kind}"
            started = time.perf_counter()
            z1 = inversion.fit_z(g, x, z, features)
            self._note("z" + of, x, g(z1), started)
            started = time.perf_counter()
            r = inversion.fit_layers(g, x, z1, features)
            self._note("z + layers" + of, x, g.head(r), started)
            started = time.perf_counter()
            r = inversion.refine(g, x, r, REFINE_STEPS, features=features)
            self._note("z + layers + r" + of, x, g.head(r), started)
            started = time.perf_counter()
            r = inversion.refine(g, x, r0, REFINE_STEPS, features=features)
            self._note("E + r" + of, x, g.head(r), started)
        started = time.perf_counter()
        deltas = adaptation.fit(g, r, x, adaptation.zero_deltas(g, r), steps=PHOTO_STEPS)
        self._note(f"E + r + δ; {self.kinds[-1]}", x, g.head(r, deltas), started)

    def table(self, title: str) -> Table:
        """One row for each stage: means, and the time against that of E + r."""
        out = Table("stage; features", "PSNR, dB", "SSIM", "distance", "time", title=title)
        default = np.mean([f.seconds for f in self.found[f"E + r; {self.kinds[0]}"]])
        for name, rows in self.found.items():
            mean = Figures(*np.mean(rows, axis=0))
            out.add_row(
                name, f"{mean.psnr:.1f}", f"{mean.ssim:.3f}", f"{mean.distance:.3f}",
                f"{mean.seconds / default:.2f}",
            )  # fmt: skip
        return out


def photographs(folder: Path, side: int) -> list[Tensor]:
    """The middle squares of a folder's photographs, as the model sees them."""
    found = []
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in (".png", ".jpg", ".jpeg"):
            rgb, _ = window.as_photo(pictures.read_photo(path))
            place = window.whole_window(rgb.shape[1], rgb.shape[0])
            found.append(window.to_tensor(window.crop(rgb, place), side))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="churches")
    parser.add_argument("--scenes", type=Path, default=HERE / "scenes")
    parser.add_argument("--scenes-count", type=int, default=8)
    parser.add_argument("--photos", type=Path, help="a folder of photographs")
    choice = [kind for kind in feature_networks.KINDS if kind != "auto"]
    parser.add_argument("--features", nargs="+", default=["bundled", "none"], choices=choice)
    args = parser.parse_args()
    prior = load_model(args.model, "cpu")
    scenes = load_scenes(args.scenes)[: args.scenes_count]
    groups = {"held-out scenes": [window.to_tensor(s.picture, prior.resolution) for s in scenes]}
    if args.photos is not None:
        groups["photographs"] = photographs(args.photos, prior.resolution)
    tables = []
    for name, windows in groups.items():
        measured = Measured(prior, args.features)
        for x in windows:
            measured.add(x)
        tables.append(measured.table(f"Inversion, {len(windows)} {name}"))
    for table in tables:
        console.print(table)


if __name__ == "__main__":
    main()
