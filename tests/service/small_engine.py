"""A real engine process whose "edits" take no model: the concept says how they behave."""

import itertools
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ganpaint_engine.errors import UnknownConcept
from ganpaint_engine.service import lifecycle
from ganpaint_engine.service.jobs import Result
from ganpaint_engine.service.server import Work

STEP = 0.01
if "CLOCK_JUMPS" in os.environ:  # the wall clock leaps by years at every look
    years = itertools.cycle((0, 30, -20, 5))
    wall = time.time
    time.time = lambda: wall() + next(years) * 3.15e7


def edit(job, progress):
    """ "tree" inverts the photo; "slow" takes a minute in steps; others fail in their ways."""
    concept = job.request["params"]["concept"]
    if concept == "slow":
        for step in range(6000):
            progress(step / 6000, "slowly")
            time.sleep(STEP)
    if concept == "deep":  # one step of a second and more, in which no progress can be told
        time.sleep(1.5)
        progress(0.5, "out of the depth")
    if concept == "abyss":  # one step that nothing interrupts
        time.sleep(60)
    if concept == "boom":
        raise RuntimeError("boom")
    if concept == "memory":
        raise MemoryError
    if concept == "exit":
        sys.exit(3)
    if concept == "unknown":
        raise UnknownConcept("The model has no concept 'unknown'.", path=Path("x"))
    for step in range(4):
        progress(step / 4, f"step {step}")
    image = job.request["image"]
    width, height, channels = image["width"], image["height"], image["channels"]
    pixels = job.frames[0]
    patch = bytearray(b"\xff" * (width * height * 4))
    for channel in range(3):
        patch[channel::4] = pixels[channel::channels]
    fields = {
        "name": f"Add {concept}",
        "offset": [3, 4],
        "patch": {"width": width, "height": height, "channels": 4, "dtype": "uint8"},
        "report": {"seed": job.request["params"]["seed"], "mask": sum(job.frames[1][:1000])},
    }
    return Result(fields, [bytes(patch)])


def about():
    models = [{"name": "small", "version": "1", "resolution": 64, "concepts": ["tree", "slow"]}]
    return {"device": "cpu", "default_model": "small", "models": models}


if __name__ == "__main__":
    idle = float(sys.argv[1]) if len(sys.argv) > 1 else None
    bind = sys.argv[2] if len(sys.argv) > 2 else None  # then with CURVE
    make_work = lambda _: Work({"edit": edit}, about)  # noqa: E731
    sys.exit(
        lifecycle.serve(idle_minutes=idle, bind=bind, curve=bind is not None, make_work=make_work)
    )
