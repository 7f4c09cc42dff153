"""Rendering a set with any number of processes, each with a Blender of its own."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.connection import wait as wait_for
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any

import numpy as np

from training.renderer.errors import BlenderMissing, RenderFailed
from training.renderer.labels import LABELS
from training.renderer.sets import SceneSet, Settings, pack, stem

LIBRARIES = "libx11-6 libxrender1 libxfixes3 libxi6 libxkbcommon0 libsm6 libice6 libgl1"


@dataclass(frozen=True)
class Job:
    """One scene to render."""

    seed: int
    toggles: Mapping[str, bool]

    @property
    def name(self) -> str:
        return stem(self.seed, self.toggles)


def blender_version() -> str:
    """The version of ``bpy``. Raises BlenderMissing with what to install."""
    path = list(sys.path)
    try:
        import bpy

        # Blender puts its own folders first; processes started later, which are handed the path,
        # would take those for bpy itself.
        sys.path[:] = path
    except ImportError as error:
        if getattr(error, "name", None) == "bpy":
            raise BlenderMissing(
                "Blender's Python package bpy is not installed here. Run `make render-env`, then "
                "use .venv-render/bin/python (Python 3.11)."
            ) from error
        raise BlenderMissing(
            f"Blender's Python package cannot be loaded: {error}. On Debian and Ubuntu, install "
            f"the system libraries it needs: apt-get install {LIBRARIES}."
        ) from error
    return str(bpy.app.version_string)


_renderer: Any = None
_quality = 90


def _leave(status: int) -> None:
    """End this process at once.

    Blender's own end can hang: a thread of its that closes picture files late waits on a condition
    that is destroyed under it.
    """
    if _renderer is not None:
        _renderer.close()
    os._exit(status)


def _die_with_parent() -> None:
    """A killed command leaves no renderers behind: each waits for its parent's end."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        wait_for([parent.sentinel])
        _leave(1)

    threading.Thread(target=watch, daemon=True).start()


def _start(size: int, samples: int, textures: Path | None, quality: int) -> None:
    """In each process, once. What Blender says about every frame goes nowhere."""
    global _renderer, _quality
    _die_with_parent()
    Finalize(None, _leave, args=(0,), exitpriority=-100)
    sys.stdout.flush()
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    from training.renderer.scene import Renderer

    _renderer, _quality = Renderer(size, samples, 1, textures), quality


def _work(job: Job) -> tuple[dict[str, Any], bytes, bytes]:
    """A scene's line for the manifest and its two files."""
    picture, labels, spec = _renderer.render(job.seed, job.toggles)
    counts = np.bincount(labels.ravel(), minlength=len(LABELS))
    shares = {LABELS[k]: round(n / labels.size, 4) for k, n in enumerate(counts.tolist()) if n}
    record = {
        "stem": job.name,
        "seed": job.seed,
        "toggles": dict(job.toggles),
        "pixels": shares,
        **spec,
    }
    return record, *pack(picture, labels, _quality)


def render_set(
    scenes: SceneSet,
    settings: Settings,
    jobs: Sequence[Job],
    processes: int,
    textures: Path | None,
    on_scene: Callable[[Job], None],
) -> None:
    """Render the jobs that the set does not have yet, calling ``on_scene`` after each.

    Raises RenderFailed if a process dies, DiskFull and SetFolder if a file cannot be written; what
    was finished before stays in the set.
    """
    todo = iter([job for job in jobs if not scenes.has(job.name)])
    pool = ProcessPoolExecutor(
        processes, multiprocessing.get_context("spawn"), _start,
        (settings.size, settings.samples, textures, settings.quality),
    )  # fmt: skip
    waiting: dict[Future[Any], Job] = {}

    def feed() -> None:
        job = next(todo, None)
        if job is not None:
            waiting[pool.submit(_work, job)] = job

    try:
        for _ in range(2 * processes):
            feed()
        while waiting:
            done, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                job = waiting.pop(future)
                scenes.add(*_result(future, job))
                on_scene(job)
                feed()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _result(future: Future[Any], job: Job) -> Any:
    try:
        return future.result()
    except BrokenProcessPool as error:
        raise RenderFailed(
            f"The process that rendered scene {job.name} died, perhaps for want of memory. The "
            "scenes before it are kept: run the same command again, with fewer processes."
        ) from error
