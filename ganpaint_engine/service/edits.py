"""The engine's real work: the op "edit", done with the Python API.

Keeps the models and the photos used last, so that a second edit of a photo starts at once. All of
it runs in the worker thread; torch is imported there and nowhere else in the service.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np

from ganpaint_engine import settings
from ganpaint_engine.errors import EmptyMask
from ganpaint_engine.model_package import find_model, list_models
from ganpaint_engine.service import looks
from ganpaint_engine.service.jobs import Job, Progress, Result
from ganpaint_engine.service.photos import OpenPhotos
from ganpaint_engine.service.server import Work

if TYPE_CHECKING:
    from ganpaint_engine.prior import Prior

log = logging.getLogger(__name__)

DEFAULT_MODEL = "churches"
_PRIORS_KEPT = 2


class Edits:
    """Loaded models, least recently used first, and open photos."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._priors: OrderedDict[str, Prior] = OrderedDict()
        self.photos = OpenPhotos()

    def about(self) -> dict[str, Any]:
        """WELCOME's device, default_model and models. Called by the I/O thread; cheap."""
        models = [
            {
                "name": info.name,
                "version": info.version,
                "resolution": info.resolution,
                "concepts": info.concepts,
                "operations": {name: info.operations(name) for name in info.concepts},
                "variants": info.variants,
            }
            for info in list_models()
            if info.prepared
        ]
        names = [model["name"] for model in models]
        wished = settings.text("model", DEFAULT_MODEL)
        default = next((n for n in (wished, DEFAULT_MODEL) if n in names), next(iter(names), None))
        return {"device": self._device, "default_model": default, "models": models}

    def warm_up(self) -> None:
        """Load the default model, so that the first edit need not wait for it."""
        default = self.about()["default_model"]
        if default is not None:
            self._prior(default).rehearse()

    def edit(self, job: Job, progress: Progress) -> Result:
        """The handler of "edit". Raises what load_model, open and edit raise."""
        params = job.request["params"]
        height, width = job.request["image"]["height"], job.request["image"]["width"]
        mask = np.frombuffer(job.frames[1], np.uint8).reshape(height, width)
        if not mask.any():
            raise EmptyMask("Nothing is selected: the mask is empty.")
        name = self._model_of(job)
        progress(0.0, "loading the model")
        prior = self._prior(name)
        prior.concept(params["concept"])  # an unknown one is told before the photo is opened
        photo, digest = self.photos.opened(prior, job)
        progress(0.01, "encode")
        options = {key: params[key] for key in ("context", "grow", "feather", "composite")}
        edit = photo.edit(
            mask,
            **{params["operation"]: params["concept"]},
            variant=params.get("variant"),
            strength=params["strength"],
            seed=params["seed"],
            quality=params["quality"],
            **options,
            on_step=progress,
            on_warnings=lambda sentences: progress(0.01, "encode", sentences),
        )
        height, width = edit.layer.shape[:2]
        fields = {
            "name": edit.name,
            "offset": list(edit.offset),
            "patch": {"width": width, "height": height, "channels": 4, "dtype": "uint8"},
            "report": edit.report | {"photo": digest},
        }
        self.photos.trim()  # the edit may have opened another window of it
        if edit.report["stage"] == "encoder":
            self.photos.refine_later(prior, digest, edit.report["window"])
        return Result(fields, [edit.layer.tobytes()])

    def _model_of(self, job: Job) -> str:
        named: str | None = job.request["params"]["model"]
        return named or self.about()["default_model"] or DEFAULT_MODEL

    def is_quick(self, job: Job) -> bool:
        """Whether a waiting preview needs no more than about a step's time: E and the head, once.

        That is so whether its photo is open or not; a model that is not loaded takes longer.
        """
        if "model" not in job.notes:
            job.notes["model"] = self._model_of(job)
        return job.notes["model"] in self._priors

    def _prior(self, name: str) -> Prior:
        """The model, loaded anew if it was replaced, prepared or taught since it was loaded."""
        kept = self._priors.get(name)
        if kept is None or find_model(name).card != kept.info.card:
            import ganpaint_engine as gp

            self._priors[name] = prior = gp.load_model(name, device=self._device)
            self._device = str(prior.device)
            log.info("Model %s %s on %s", prior.name, prior.version, self._device)
        self._priors.move_to_end(name)
        while len(self._priors) > _PRIORS_KEPT:
            self._priors.popitem(last=False)
        return self._priors[name]


def edit_work(device: str) -> Work:
    """What `ganpaint serve` does, computing on ``device`` ("auto", "cpu", "cuda", …; "stub")."""
    if device == "stub":
        from ganpaint_engine.service.stub import stub_work

        return stub_work()
    edits = Edits(device)
    return Work(
        {"edit": edits.edit},
        edits.about,
        edits.warm_up,
        edits.photos.figures,
        edits.is_quick,
        looks.of_model,
        edits.photos.has_more,
        edits.photos.go_on,
    )
