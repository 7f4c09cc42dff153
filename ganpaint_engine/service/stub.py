"""A deterministic stub engine for work on plug-ins: the real service, and no model behind it.

    python -m ganpaint_engine.service.stub        or: ganpaint serve --stub

It starts at once, never loads torch, and its results are a known function of the request, see
``paint``. Concepts are those that the bundled model has, and more for what is hard to provoke
otherwise: ``slow`` takes five seconds and more, ``unlike`` warns that the photo is unlike what the
model knows, ``fail:CODE`` fails with that code. Of ``variant``, ``context``, ``grow``, ``feather``
and ``composite`` only the report tells.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

import numpy as np

from ganpaint_engine import errors
from ganpaint_engine.service import lifecycle
from ganpaint_engine.service.jobs import Job, Progress, Result
from ganpaint_engine.service.looks import Look
from ganpaint_engine.service.photos import digest
from ganpaint_engine.service.server import Work
from ganpaint_engine.sizes import check_size

MODEL = "stub"
CONCEPTS = ("tree", "dome", "door", "window", "grass", "sky", "slow", "unlike")
VARIANTS = {"tree": ("summer", "autumn"), "dome": ("copper",)}
LOOK_SIDE = 24  # px
LOOK_COLOURS = {"summer": (80, 100, 55), "autumn": (150, 90, 45), "copper": (150, 178, 162)}
WARNING = "This picture is unlike those that stub knows: expect new content to be coarse."
STEPS = 40  # of a final edit
STEP_SECONDS = 0.005
_SLOW = 25  # times as long


def paint(
    image: np.ndarray, mask: np.ndarray, strength: float, seed: int
) -> tuple[np.ndarray, tuple[int, int]]:
    """The patch (h×w×4 uint8) and its offset (x, y): the box of the mask's non-zero pixels.

    RGB is the photo's (image: H×W×3|4), inverted, its channels rolled by ``seed``; alpha is the
    mask (H×W) times ``strength``, at most 255. Raises EmptyMask.
    """
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        raise errors.EmptyMask("Nothing is selected: the mask is empty.")
    x0, x1, y0, y1 = columns[0], columns[-1] + 1, rows[0], rows[-1] + 1
    inside, alpha = image[y0:y1, x0:x1], mask[y0:y1, x0:x1]
    patch = np.empty((*alpha.shape, 4), np.uint8)
    if inside.shape[2] == 4:
        np.invert(inside, out=patch)
    else:
        np.invert(inside, out=patch[..., :3])
    if seed % 3:
        patch[..., :3] = np.roll(patch[..., :3], seed % 3, axis=2)
    patch[..., 3] = alpha if strength == 1 else np.minimum(alpha * strength, 255).astype(np.uint8)
    return patch, (int(x0), int(y0))


class Stub:
    """The handler of "edit". ``step_seconds``: how long each of its steps takes."""

    def __init__(self, step_seconds: float = STEP_SECONDS) -> None:
        self._step_seconds = step_seconds

    def edit(self, job: Job, progress: Progress) -> Result:
        """Raises what the real one would for such a request."""
        image, params = job.request["image"], job.request["params"]
        height, width, channels = image["height"], image["width"], image["channels"]
        check_size(width, height)
        _check(params)
        self._work(params, progress)
        pixels = np.frombuffer(job.frames[0], np.uint8).reshape(height, width, channels)
        mask = np.frombuffer(job.frames[1], np.uint8).reshape(height, width)
        patch, offset = paint(pixels, mask, params["strength"], params["seed"])
        size = {"width": patch.shape[1], "height": patch.shape[0], "channels": 4, "dtype": "uint8"}
        report = {
            **params,
            "model": MODEL,
            "warnings": [WARNING] if params["concept"] == "unlike" else [],
        }
        if width * height <= 1 << 20:  # a large one would cost more than the rest
            report["photo"] = digest(job.frames[0], (height, width, channels))
        name = f"{params['operation'].capitalize()} {params['concept']}"
        fields = {"name": name, "offset": list(offset), "patch": size, "report": report}
        return Result(fields, [patch.data.cast("B")])

    def _work(self, params: dict[str, Any], progress: Progress) -> None:
        """Take the time, in the steps and stages of a real edit."""
        progress(0.1, "edit", [WARNING] if params["concept"] == "unlike" else [])
        slow = params["concept"] == "slow"
        if params["quality"] == "preview" and not slow:
            return
        for step in range(STEPS):
            time.sleep(self._step_seconds * (_SLOW if slow else 1))
            progress(0.1 + 0.9 * (step + 1) / STEPS, "adapt to edit")

    @staticmethod
    def about() -> dict[str, Any]:
        model = {
            "name": MODEL,
            "version": "1",
            "resolution": 64,
            "concepts": list(CONCEPTS),
            "operations": {name: list(operations(name)) for name in CONCEPTS},
            "variants": {name: list(VARIANTS.get(name, ())) for name in CONCEPTS},
        }
        return {"device": "stub", "default_model": MODEL, "models": [model]}


def operations(concept: str) -> tuple[str, ...]:
    """What can be done with a concept."""
    return ("add", "remove", "restyle") if concept in VARIANTS else ("add", "remove")


def looks(model: str) -> list[Look]:
    """Thumbnails of one colour each, LOOK_COLOURS. Raises UnknownModel."""
    _check_model(model)
    return [
        Look(concept, name, LOOK_SIDE, LOOK_SIDE, bytes(LOOK_COLOURS[name]) * LOOK_SIDE**2)
        for concept, names in VARIANTS.items()
        for name in names
    ]


def _check_model(model: str | None) -> None:
    if model not in (None, MODEL):
        raise errors.UnknownModel(f"The stub engine has no model {model!r}.", model=model)


def _check(params: dict[str, Any]) -> None:
    concept, variant = params["concept"], params["variant"]
    _check_model(params["model"])
    if concept.startswith("fail:"):
        raise errors.from_code(concept.removeprefix("fail:"), "The stub was asked to fail.")
    if concept not in CONCEPTS:
        raise errors.UnknownConcept(f"The stub has no concept {concept!r}.", concept=concept)
    if params["operation"] not in operations(concept):
        raise errors.UnsupportedOperation(f"The stub cannot {params['operation']} {concept!r}.")
    if variant is not None and variant not in VARIANTS.get(concept, ()):
        raise errors.UnknownVariant(f"{concept!r} has no look {variant!r}.", variant=variant)
    if not params["strength"]:
        raise errors.BadRequest("Strength is above 0 and at most 2, not 0.")


def stub_work(step_seconds: float = STEP_SECONDS) -> Work:
    """What the stub engine can do."""
    stub = Stub(step_seconds)
    return Work({"edit": stub.edit}, stub.about, looks=looks)


def main() -> int:
    """Run the stub engine in the foreground, where editors find it instead of the real one."""
    parser = argparse.ArgumentParser(prog="python -m ganpaint_engine.service.stub")
    parser.add_argument("--idle-minutes", type=float)
    parser.add_argument("--step-ms", type=float, default=1000 * STEP_SECONDS)
    options = parser.parse_args()
    return lifecycle.serve(
        idle_minutes=options.idle_minutes,
        make_work=lambda _: stub_work(options.step_ms / 1000),
    )


if __name__ == "__main__":
    sys.exit(main())
