"""Render the pairs: the same scene with and without its trees, dome, door.

    .venv-render/bin/python -m benchmarks.compare_methods.render PAIRS [--seeds 48]

A scene is first rendered with all three; then again without each one of those that can be seen in
it. The seeds are far from those of any training set. It goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from training.renderer import work
from training.renderer.errors import RendererError
from training.renderer.sets import SceneSet, Settings
from training.renderer.work import Job

FIRST = 700_000
SIZE, SAMPLES, QUALITY = 384, 12, 96
ELEMENTS = {"trees": "tree", "dome": "dome", "door": "door"}
"""The renderer's element and the concept that it shows."""
SEEN = {"trees": 0.03, "dome": 0.012, "door": 0.004}
"""Share of the picture that an element must have for its pair to be rendered."""
MOST = 0.45
WITH = {"dome": True, "door": True, "trees": True}


def without(seed: int, element: str) -> Job:
    """The scene of ``seed`` with all but one element."""
    return Job(seed, WITH | {element: False})


def render(
    folder: Path, seeds: list[int], size: int, samples: int, textures: Path | None, processes: int
) -> int:
    """Render what a set of pairs lacks; how many pairs it has. Raises RendererError."""
    settings = Settings(size, samples, textures is not None, QUALITY, work.blender_version())
    scenes = SceneSet.open(folder, settings)

    def said(job: Job) -> None:
        print(job.name, flush=True)

    def make(jobs: list[Job]) -> None:
        if not all(scenes.has(job.name) for job in jobs):
            work.render_set(scenes, settings, jobs, processes, textures, said)

    pairs = 0
    for start in range(0, len(seeds), 4):
        full = [Job(seed, WITH) for seed in seeds[start : start + 4]]
        make(full)
        less = [
            without(job.seed, element)
            for job in full
            for element, label in ELEMENTS.items()
            if SEEN[element] <= scenes.records[job.name]["pixels"].get(label, 0) <= MOST
        ]
        make(less)
        pairs += len(less)
    return pairs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--first", type=int, default=FIRST)
    parser.add_argument("--seeds", type=int, default=48, help="how many scenes")
    parser.add_argument("--size", type=int, default=SIZE, help="side of the pictures, px")
    parser.add_argument("--samples", type=int, default=SAMPLES, help="light paths for a pixel")
    parser.add_argument("--textures", type=Path, help="folder of photographic material tiles")
    parser.add_argument("--processes", type=int, default=1)
    args = parser.parse_args()
    seeds = list(range(args.first, args.first + args.seeds))
    try:
        count = render(args.folder, seeds, args.size, args.samples, args.textures, args.processes)
    except RendererError as error:
        sys.exit(f"error [{error.code}] {error}")
    print(f"{count} pairs in {args.folder}")


if __name__ == "__main__":
    main()
