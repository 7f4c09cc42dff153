"""The two clients behind one face, so that one suite can hold both to the protocol.

A job's news are tuples: ("queued", position), ("progress", fraction, stage, eta, warnings), and as
the last one ("result", Patch), ("failed", code), ("cancelled",) or ("superseded",).
"""

import os
import time
from typing import NamedTuple

import numpy as np
from ganpaint_bridge import BridgeError, Engine

from ganpaint_engine import errors
from ganpaint_engine.client import Client

PATIENCE = 60.0
LAST = ("result", "failed", "cancelled", "superseded")


class Patch(NamedTuple):
    rgba: np.ndarray
    offset: tuple
    name: str
    report: dict


class PyzmqPeer:
    """ganpaint_engine.client"""

    def __init__(self, secret=None):
        self.secret = secret or os.urandom(32)
        self.client = Client.connect(name="conformance", timeout=PATIENCE, secret=secret)
        self.secret = self.client.secret
        self.refused = {}

    @property
    def welcome(self):
        return self.client.welcome

    def submit(self, image, mask, **options):
        try:
            return self.client.submit(image, mask, **options)
        except errors.GanpaintError as error:  # what this client finds wrong before sending
            job = f"refused {len(self.refused)}"
            self.refused[job] = error.code
            return job

    def news(self, job):
        if job in self.refused:
            yield ("failed", self.refused[job])
            return
        try:
            for event in self.client.events(job, timeout=PATIENCE):
                if event.type == "queued":
                    yield ("queued", event.position)
                elif event.type == "progress":
                    yield ("progress", event.fraction, event.stage, event.eta, event.warnings)
                else:
                    yield ("result", Patch(event.patch, event.offset, event.name, event.report))
        except (errors.Cancelled, errors.Superseded) as error:
            yield (error.code,)
        except errors.GanpaintError as error:
            yield ("failed", error.code)

    def cancel(self, job):
        self.client.cancel(job)

    def fetch(self, job):
        self.client.fetch(job)

    def looks(self, model):
        try:
            return self.client.looks(model)
        except errors.GanpaintError as error:
            return error.code

    def close(self):
        self.client.close()


class BridgePeer:
    """plugins/bridge: the standard library alone"""

    def __init__(self, secret=None):
        self.engine = Engine("conformance", start=False, secret=secret)
        self.secret = self.engine.secret
        self.waiting = {}
        self.refused = {}
        deadline = time.monotonic() + PATIENCE
        while self.engine.welcome is None:
            assert time.monotonic() < deadline
            self._pump()

    @property
    def welcome(self):
        return self.engine.welcome

    def submit(self, image, mask, **options):
        height, width, channels = image.shape
        try:
            job = self.engine.submit(
                image=(image.tobytes(), width, height, channels),
                mask=(mask.tobytes(), mask.shape[1], mask.shape[0]),
                **options,
            )
        except BridgeError as error:
            job = f"refused {len(self.refused)}"
            self.refused[job] = error.code
        self.waiting[job] = []
        return job

    def looks(self, model):
        self.engine.ask("LOOKS", model=model)
        self.answer = None
        deadline = time.monotonic() + PATIENCE
        while self.answer is None:
            assert time.monotonic() < deadline, "silence"
            self._pump()
        if self.answer.error:
            return self.answer.error.code
        looks = zip(self.answer.header["looks"], self.answer.frames, strict=True)
        return {
            (look["concept"], look["variant"]): np.frombuffer(rgb, np.uint8).reshape(
                look["height"], look["width"], 3
            )
            for look, rgb in looks
        }

    def _pump(self):
        for event in self.engine.pump(0.05):
            if event.type in ("looks", "refused"):
                self.answer = event
            elif event.job_id is None:
                assert event.error is None, event
            else:
                self.waiting.setdefault(event.job_id, []).append(event)

    def news(self, job):
        if job in self.refused:
            yield ("failed", self.refused[job])
            return
        deadline = time.monotonic() + PATIENCE
        while True:
            for event in self.waiting[job]:
                yield _news(event)
                if event.type in LAST:
                    return
                deadline = time.monotonic() + PATIENCE
            self.waiting[job] = []
            assert time.monotonic() < deadline, "silence"
            self._pump()

    def cancel(self, job):
        self.engine.cancel(job)

    def fetch(self, job):
        self.waiting[job] = []
        self.engine.fetch(job)

    def close(self):
        self.engine.close()


def _news(event):
    if event.type == "queued":
        return ("queued", event.header["position"])
    if event.type == "progress":
        header = event.header
        warnings = tuple(header["warnings"])
        return ("progress", event.fraction, event.stage, header.get("eta"), warnings)
    if event.type == "failed":
        return ("failed", event.error.code)
    if event.type == "result":
        size = event.header["patch"]
        rgba = np.frombuffer(event.frames[0], np.uint8)
        rgba = rgba.reshape(size["height"], size["width"], 4)
        header = event.header
        return ("result", Patch(rgba, tuple(header["offset"]), header["name"], header["report"]))
    return (event.type,)
