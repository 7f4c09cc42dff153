"""The engine's work when the settings name an engine on another machine: that one does the edits.

Editors keep talking to this machine's engine, by PLAIN on the loopback; from here on it is CURVE,
with keys that never leave their machines (keys.py). Nothing is computed or kept here.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ganpaint_engine import settings
from ganpaint_engine.client import Client, JobEvent, connect
from ganpaint_engine.errors import BadRequest, EngineUnreachable, UnknownModel
from ganpaint_engine.remote import SILENCE
from ganpaint_engine.service.jobs import Job, Progress, Result
from ganpaint_engine.service.looks import Look
from ganpaint_engine.service.worker import Work

log = logging.getLogger(__name__)


def work_of_settings() -> Work | None:
    """The relay to the engine that the settings name; None where they name none.

    Raises BadRequest for a setting that is none, and as client.connect when that engine cannot be
    reached: an engine that could do nothing does not start.
    """
    remote = settings.read().get("remote")
    if remote is None:
        return None
    if not isinstance(remote, Mapping) or not all(
        isinstance(remote.get(key), str) for key in ("endpoint", "engine_key")
    ):
        raise BadRequest(
            "The setting remote needs an endpoint (tcp://HOST:PORT) and an engine_key."
        )
    relay = Relay(remote["endpoint"], remote["engine_key"])
    return Work({"edit": relay.edit}, relay.about, looks=relay.looks)


class Relay:
    """Passes jobs on. Its connection belongs to the worker; the I/O thread gets what was kept."""

    def __init__(self, endpoint: str, engine_key: str) -> None:
        self._endpoint, self._engine_key = endpoint, engine_key
        self._client: Client | None = None
        self._looks: dict[str, list[Look]] = {}
        self._connected()

    def _connected(self) -> Client:
        if self._client is None:
            client = connect(self._endpoint, self._engine_key, name="ganpaint relay")
            self._about = {key: client.welcome[key] for key in ("default_model", "models")}
            self._about["device"] = f"{client.welcome['device']} at {self._endpoint}"
            if "looks" in client.welcome["capabilities"]:
                names = [model["name"] for model in client.welcome["models"]]
                self._looks = {name: _looks(client, name) for name in names}
            self._client = client
            log.info("Edits are made at %s", self._endpoint)
        return self._client

    def about(self) -> dict[str, Any]:
        """The other engine's device, default_model and models, as of the last connection."""
        return self._about

    def looks(self, model: str) -> Sequence[Look]:
        """Raises UnknownModel."""
        if model not in [one["name"] for one in self._about["models"]]:
            raise UnknownModel(f"The engine at {self._endpoint} has no model {model!r}.")
        return self._looks.get(model, ())

    def edit(self, job: Job, progress: Progress) -> Result:
        """The handler of "edit". Raises what the other engine says, or EngineUnreachable."""
        size = job.request["image"]
        shape = size["height"], size["width"], size["channels"]
        image = np.frombuffer(job.frames[0], np.uint8).reshape(shape)
        mask = np.frombuffer(job.frames[1], np.uint8).reshape(shape[:2])
        try:
            client = self._connected()
            keep = job.request["keep_photo"]
            sent = client.submit(image, mask, keep_photo=keep, **job.request["params"])
        except EngineUnreachable:
            self.close()
            raise
        try:
            return self._follow(client, sent, progress)
        except EngineUnreachable:
            self.close()  # the next edit tries anew
            raise
        except BaseException:
            client.cancel(sent)  # of no effect where it is over already
            client.forget(sent)
            raise

    @staticmethod
    def _follow(client: Client, sent: str, progress: Progress) -> Result:
        for event in client.events(sent, timeout=SILENCE):
            if event.type == "result":
                return _result(event)
            if event.type == "progress":
                progress(event.fraction, event.stage, event.warnings)
            else:  # queued there; here it runs, and can be stopped
                progress(0.0, "starting")
        raise EngineUnreachable("The other engine sent no result.")

    def close(self) -> None:
        """Let go of the other engine; the next edit connects anew."""
        if self._client is not None:
            self._client.close()
        self._client = None


def _result(event: JobEvent) -> Result:
    assert event.patch is not None
    height, width = event.patch.shape[:2]
    size = {"width": width, "height": height, "channels": 4, "dtype": "uint8"}
    fields = {
        "name": event.name,
        "offset": list(event.offset),
        "patch": size,
        "report": event.report,
    }
    return Result(fields, [event.patch.tobytes()])


def _looks(client: Client, model: str) -> list[Look]:
    return [
        Look(concept, variant, pixels.shape[1], pixels.shape[0], pixels.tobytes())
        for (concept, variant), pixels in client.looks(model).items()
    ]
