"""A real engine process whose edits cost nothing: the service without the model's time.

``python -m benchmarks.quick_engine``: as ``ganpaint serve``. The concept says what an edit does:
"slow" takes a minute in small steps, "boom" fails, any other answers at once with the photo.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from ganpaint_engine.service import lifecycle
from ganpaint_engine.service.jobs import Job, Progress, Result
from ganpaint_engine.service.server import Work

_STEP = 0.01  # seconds


def edit(job: Job, progress: Progress) -> Result:
    """The whole photo as the patch, opaque."""
    concept = job.request["params"]["concept"]
    if concept == "boom":
        raise RuntimeError("boom")
    for step in range(6000 if concept == "slow" else 1):
        progress(step / 6000, "slowly")
        if concept == "slow":
            time.sleep(_STEP)
    size = job.request["image"]
    width, height, channels = size["width"], size["height"], size["channels"]
    pixels = job.frames[0]
    patch = pixels if channels == 4 else bytes(4 * width * height)
    fields = {
        "name": f"Add {concept}",
        "offset": [0, 0],
        "patch": {"width": width, "height": height, "channels": 4, "dtype": "uint8"},
        "report": {"seed": job.request["params"]["seed"]},
    }
    return Result(fields, [bytes(patch)])


def about() -> dict[str, Any]:
    model = {"name": "none", "version": "0", "resolution": 64, "concepts": ["tree", "slow"]}
    return {"device": "cpu", "default_model": "none", "models": [model]}


def main() -> int:
    """Serve until stopped. Returns a process exit code."""
    return lifecycle.serve(idle_minutes=0, make_work=lambda _: Work({"edit": edit}, about))


if __name__ == "__main__":
    sys.exit(main())
